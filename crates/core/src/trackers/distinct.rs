//! Counting different values, up to a bound.

use super::Memory;

/// Different values that are counted: beyond, a count says "this many or more". Enough for any sound flow; a scanner that
/// makes more of them fills 8 KiB.
pub const MAX_DISTINCT: usize = 1024;

/// The different ones of the values seen. The first takes no memory of its own, as most flows have only one.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    first: Option<u64>,
    /// The others, sorted.
    others: Vec<u64>,
}

impl Distinct {
    /// Most bytes on the heap: a vector that grew by doubling.
    pub(super) const MAX_HEAP: usize = MAX_DISTINCT * size_of::<u64>();

    /// Takes in a value.
    #[inline]
    pub(super) fn insert(&mut self, value: u64, memory: &mut Memory) {
        if self.first != Some(value) {
            self.insert_other(value, memory);
        }
    }

    #[cold]
    fn insert_other(&mut self, value: u64, memory: &mut Memory) {
        if self.first.is_none() {
            self.first = Some(value);
            return;
        }
        // The first is one of the count.
        if self.others.len() + 1 >= MAX_DISTINCT {
            return;
        }
        if let Err(at) = self.others.binary_search(&value) {
            let before = self.heap_bytes();
            self.others.insert(at, value);
            memory.changed(before, self.heap_bytes());
        }
    }

    /// How many there are, at most [`MAX_DISTINCT`].
    pub fn count(&self) -> u64 {
        u64::from(self.first.is_some()) + self.others.len() as u64
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.others.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_count_once_and_the_count_stops() {
        let (mut d, mut memory) = (Distinct::default(), Memory::default());
        assert_eq!(d.count(), 0);
        for value in [7, 7, 3, 7, 3] {
            d.insert(value, &mut memory);
        }
        assert_eq!(d.count(), 2);
        for value in 0..5000 {
            d.insert(value, &mut memory);
            assert!(d.heap_bytes() <= Distinct::MAX_HEAP);
        }
        assert_eq!((d.count(), memory.heap_bytes()), (1024, d.heap_bytes()));
    }
}
