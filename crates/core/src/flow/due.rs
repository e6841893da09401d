//! Which flows may be due, in the order of time.
//!
//! One heap over a million flows costs twenty cache misses for each flow that leaves it. Due times lie within one timeout
//! of each other and mostly come in order, so entries are put into bins of a fixed width of time, unsorted, and only the
//! first bin is made a heap: it fits the cache. Flows that begin one after the other go to the same bin, so the last one
//! is found by a comparison.

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
    /// Where in `bins` the others lie, by their number: time over `width`.
    far: BTreeMap<i64, usize>,
    bins: Vec<Vec<Due>>,
    unused: Vec<usize>,
    last: Option<LastBin>,
    len: usize,
}

/// The bin that was pushed to last.
#[derive(Clone, Copy, Debug)]
struct LastBin {
    /// The first of its times, `width` in all.
    start: i64,
    /// Its place in `bins`.
    at: usize,
}

/// Bins in one timeout: a million flows are some 4,000 a bin, or 64 KiB.
const BINS: i64 = 256;

impl DueQueue {
    /// An empty queue for due times that mostly lie within `span` of each other.
    pub(super) fn new(span: i64) -> Self {
        Self {
            width: (span / BINS).max(1),
            near: BinaryHeap::new(),
            reach: i64::MIN,
            far: BTreeMap::new(),
            bins: Vec::new(),
            unused: Vec::new(),
            last: None,
            len: 0,
        }
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
        match self.last {
            // As numbers modulo 2^64: the first bin of all may begin before the first time there is.
            Some(LastBin { start, at }) if (due.at.wrapping_sub(start) as u64) < self.width as u64 => {
                if let Some(bin) = self.bins.get_mut(at) {
                    bin.push(due);
                }
            }
            _ => self.push_elsewhere(due),
        }
    }

    fn push_elsewhere(&mut self, due: Due) {
        let number = due.at.div_euclid(self.width);
        if number <= self.reach {
            self.near.push(Reverse(due));
            return;
        }
        let (bins, unused) = (&mut self.bins, &mut self.unused);
        let at = *self.far.entry(number).or_insert_with(|| {
            unused.pop().unwrap_or_else(|| {
                bins.push(Vec::new());
                bins.len() - 1
            })
        });
        if let Some(bin) = bins.get_mut(at) {
            bin.push(due);
        }
        self.last = Some(LastBin { start: number.wrapping_mul(self.width), at });
    }

    /// The first entry.
    pub(super) fn peek(&mut self) -> Option<Due> {
        while self.near.is_empty() {
            let (number, at) = self.far.pop_first()?;
            self.reach = number;
            self.near = self.take_bin(at).into_iter().map(Reverse).collect();
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
        self.len = self.near.len();
        for (number, at) in std::mem::take(&mut self.far) {
            let mut entries = self.take_bin(at);
            entries.retain(&keep);
            entries.shrink_to_fit();
            if !entries.is_empty() {
                self.len += entries.len();
                self.far.insert(number, at);
                self.unused.pop();
                if let Some(bin) = self.bins.get_mut(at) {
                    *bin = entries;
                }
            }
        }
    }

    /// The entries of a bin, whose place is free then.
    fn take_bin(&mut self, at: usize) -> Vec<Due> {
        self.unused.push(at);
        self.last = None;
        self.bins.get_mut(at).map(std::mem::take).unwrap_or_default()
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
