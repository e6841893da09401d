//! Which flows may be due, in the order of time.
//!
//! One heap over a million flows costs twenty cache misses for each flow that leaves it. Due times lie within one timeout
//! of each other and mostly come in order, so entries are put into bins of a fixed width of time, unsorted, and only the
//! first bin is made a heap: it fits the cache.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// A flow that may be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// When.
    pub(super) at: i64,
    /// Its place in the store.
    pub(super) place: u32,
    /// What it must have in common with the place to be valid still.
    pub(super) stamp: u32,
}

/// Entries in the order of (time, place).
#[derive(Debug)]
pub(super) struct DueQueue {
    width: i64,
    /// Entries of all bins up to `reach`.
    near: BinaryHeap<Reverse<Due>>,
    reach: i64,
    far: BTreeMap<i64, Vec<Due>>,
    len: usize,
}

/// Bins in one timeout: a million flows are some 4,000 a bin, or 64 KiB.
const BINS: i64 = 256;

impl DueQueue {
    /// An empty queue for due times that mostly lie within `span` of each other.
    pub(super) fn new(span: i64) -> Self {
        Self { width: (span / BINS).max(1), near: BinaryHeap::new(), reach: i64::MIN, far: BTreeMap::new(), len: 0 }
    }

    /// How many entries there are, valid or not.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        // A vector doubles: three quarters full on average.
        self.len * size_of::<Due>() * 4 / 3
    }

    /// Adds an entry.
    #[inline]
    pub(super) fn push(&mut self, due: Due) {
        self.len += 1;
        let bin = due.at.div_euclid(self.width);
        if bin <= self.reach {
            self.near.push(Reverse(due));
        } else {
            self.far.entry(bin).or_default().push(due);
        }
    }

    /// The first entry.
    pub(super) fn peek(&mut self) -> Option<Due> {
        while self.near.is_empty() {
            let (bin, entries) = self.far.pop_first()?;
            self.reach = bin;
            self.near = entries.into_iter().map(Reverse).collect();
        }
        self.near.peek().map(|d| d.0)
    }

    /// Takes the first entry out.
    pub(super) fn pop(&mut self) -> Option<Due> {
        self.peek()?;
        self.len -= 1;
        self.near.pop().map(|d| d.0)
    }

    /// Drops entries.
    pub(super) fn retain(&mut self, keep: impl Fn(&Due) -> bool) {
        self.near.retain(|d| keep(&d.0));
        for entries in self.far.values_mut() {
            entries.retain(&keep);
            entries.shrink_to_fit();
        }
        self.far.retain(|_, entries| !entries.is_empty());
        self.len = self.near.len() + self.far.values().map(Vec::len).sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_in_order_whatever_is_pushed_in_between(
            width in 1_i64..1_000,
            steps in vec(prop_oneof![3 => (-5_000_i64..5_000).prop_map(Some), 1 => Just(i64::MAX).prop_map(Some), 2 => Just(None)], 0..200),
        ) {
            let mut queue = DueQueue::new(width);
            let mut model: Vec<Due> = Vec::new();
            for (i, step) in steps.into_iter().enumerate() {
                match step {
                    Some(at) => {
                        let due = Due { at, place: i as u32, stamp: 0 };
                        queue.push(due);
                        model.push(due);
                    }
                    None => {
                        model.sort_unstable_by_key(|d| Reverse(*d));
                        prop_assert_eq!(queue.peek(), model.last().copied());
                        prop_assert_eq!(queue.pop(), model.pop());
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
            }
            queue.retain(|d| d.place % 2 == 0);
            model.retain(|d| d.place % 2 == 0);
            model.sort_unstable();
            for due in model {
                prop_assert_eq!(queue.pop(), Some(due));
            }
            prop_assert_eq!((queue.pop(), queue.len()), (None, 0));
        }
    }
}
