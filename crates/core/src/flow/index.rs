//! From hashes to places: open addressing, at most half full, one word a slot.
//!
//! A slot is 0, or the lower half of the hash over the place plus one. That half says where an entry belongs, too, so
//! moving entries looks at nothing but the slots. Entries are moved up when one is removed, so that there are no
//! tombstones. The hash is keyed by a secret of the process, so that collisions cannot be sent.

/// The part of a hash that a slot holds: there are fewer slots than this, as there are fewer places.
const TAG: u64 = 0xffff_ffff;

/// Where an entry belongs, under the mask of the slots.
fn home(entry: u64) -> usize {
    (entry >> 32) as usize
}

/// Places by hash.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<u64>,
    len: usize,
}

impl Index {
    /// An empty index.
    pub(super) fn new() -> Self {
        Self { slots: vec![0; 64], len: 0 }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u64>()
    }

    /// Bytes that one more entry would add: it doubles when it is half full.
    pub(super) fn growth(&self) -> usize {
        if (self.len + 1) * 2 > self.slots.len() { self.bytes() } else { 0 }
    }

    /// A place that this hash may have, read early so that the slot is in the cache by the time of the search; or none.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<usize> {
        let slot = *self.slots.get(hash as usize & (self.slots.len() - 1))?;
        (slot as u32 as usize).checked_sub(1)
    }

    /// The place under this hash that is the wanted one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_wanted: impl Fn(usize) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = *self.slots.get(at & mask)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash & TAG {
                let place = slot as u32 - 1;
                if is_wanted(place as usize) {
                    return Some(place);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a place.
    pub(super) fn insert(&mut self, hash: u64, place: u32) {
        if self.growth() > 0 {
            let larger = vec![0; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, larger) {
                if slot != 0 {
                    self.put(slot);
                }
            }
        }
        self.put(hash << 32 | u64::from(place + 1));
        self.len += 1;
    }

    fn put(&mut self, entry: u64) {
        let mask = self.slots.len() - 1;
        let mut at = home(entry) & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = entry;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Removes a place and moves later entries of the same run up.
    pub(super) fn remove(&mut self, hash: u32, place: u32) {
        let mask = self.slots.len() - 1;
        let slots = &mut self.slots;
        let mut hole = hash as usize & mask;
        while slots[hole] as u32 != place + 1 {
            if slots[hole] == 0 {
                return;
            }
            hole = (hole + 1) & mask;
        }
        let mut at = (hole + 1) & mask;
        while slots[at] != 0 {
            // The entry may move to the hole if its home does not lie between the hole and where it is now.
            if at.wrapping_sub(home(slots[at])) & mask >= at.wrapping_sub(hole) & mask {
                slots[hole] = slots[at];
                hole = at;
            }
            at = (at + 1) & mask;
        }
        slots[hole] = 0;
        self.len -= 1;
    }

    /// Whether there is no entry, by a look at every slot.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0 && self.slots.iter().all(|s| *s == 0)
    }
}
