//! Where the values of a dictionary are, by their hashes.

/// A table of at most half as many places as it has slots, which are looked at one after the other. A slot has half of the hash, so
/// that the table grows without a look at the values, and another value of a full slot is seldom looked at.
#[derive(Default)]
pub(super) struct Places {
    slots: Vec<Slot>,
    taken: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    place: u32,
}

/// No place is this one: a dictionary ends long before.
const FREE: Slot = Slot { hash: 0, place: u32::MAX };
const FIRST_SLOTS: usize = 16;
/// From so many slots on, a table that grows is doubled.
const MOST_FOURFOLD: usize = 4096;

impl Places {
    /// The place with this hash that is the right one; where there is none, `next`, which is put down. The hashes must not be known to who
    /// makes the values.
    #[inline]
    pub(super) fn find_or_insert(&mut self, hash: u64, next: u32, is: impl Fn(u32) -> bool) -> u32 {
        if self.taken * 2 >= self.slots.len() {
            self.grow();
        }
        let (hash, last) = (hash as u32, self.slots.len() - 1);
        let mut at = hash as usize & last;
        loop {
            let slot = &mut self.slots[at];
            if slot.place == FREE.place {
                *slot = Slot { hash, place: next };
                self.taken += 1;
                return next;
            }
            if slot.hash == hash && is(slot.place) {
                return slot.place;
            }
            at = (at + 1) & last;
        }
    }

    #[cold]
    fn grow(&mut self) {
        // Seldom while it is small; but there is a table for each of some two hundred columns.
        let by = if self.slots.len() < MOST_FOURFOLD { 4 } else { 2 };
        let slots = (self.slots.len() * by).max(FIRST_SLOTS);
        let old = std::mem::replace(self, Self { slots: vec![FREE; slots], taken: 0 });
        for Slot { hash, place } in old.slots.into_iter().filter(|slot| slot.place != FREE.place) {
            self.find_or_insert(hash.into(), place, |_| false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the hashes: with two bits of them, nearly every slot that is looked at is another value's.
        #[test]
        fn each_value_has_the_place_that_it_was_given_first(values in prop::collection::vec(0_u64..600, 0..1500), bits in 0_u32..64) {
            let (mut places, mut distinct, mut given) = (Places::default(), Vec::new(), HashMap::new());
            for value in values {
                let hash = value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> bits;
                let place = places.find_or_insert(hash, distinct.len() as u32, |place| distinct[place as usize] == value);
                if place as usize == distinct.len() {
                    distinct.push(value);
                }
                prop_assert_eq!(place, *given.entry(value).or_insert(place));
                prop_assert_eq!(distinct[place as usize], value);
            }
            prop_assert_eq!(distinct.len(), given.len());
        }
    }
}
