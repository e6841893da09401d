//! Lists of JA4 that were made. Clients of a kind have the same ones in every connection, sorted as they are, and their texts and hashes
//! cost more than all else of the fingerprint.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::kept::Kept;
use crate::protocols::fingerprints::Ja4List;

/// Numbers of a list that is kept; nearly all are shorter. All together take 512 KiB at most.
const LONGEST: usize = 256;

/// Lists, and what fingerprints show of them.
#[derive(Clone, Debug, Default)]
pub struct Ja4Lists {
    hashes: RandomState,
    kept: Kept<Made>,
}

struct Made {
    sorted: Box<[u16]>,
    algorithms: Box<[u16]>,
    list: Arc<Ja4List>,
}

impl Ja4Lists {
    /// [`Ja4List::new`].
    pub fn list(&self, sorted: &[u16], algorithms: &[u16]) -> Arc<Ja4List> {
        let list = || Arc::new(Ja4List::new(sorted, algorithms));
        if sorted.len() + algorithms.len() > LONGEST {
            return list();
        }
        self.kept.of(
            self.hashes.hash_one((sorted, algorithms)),
            |made| *made.sorted == *sorted && *made.algorithms == *algorithms,
            || Made { sorted: sorted.into(), algorithms: algorithms.into(), list: list() },
            |made| Arc::clone(&made.list),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::kept::PLACES;
    use super::*;

    #[test]
    fn what_is_kept_is_what_would_be_made() {
        // More than there are places, so that some fall to one; and some that are too long.
        let all: Vec<(Vec<u16>, Vec<u16>)> = (0..3 * PLACES as u16)
            .map(|n| ((0..n % 7).map(|i| n * i).collect(), (0..n % 3).collect()))
            .chain([((0..LONGEST as u16).collect(), vec![1]), (vec![1; LONGEST], vec![]), (vec![], vec![1; LONGEST])])
            .collect();
        let lists = Ja4Lists::default();
        for (sorted, algorithms) in all.iter().chain(&all).chain(all.iter().flat_map(|list| [list, list])) {
            assert_eq!(*lists.list(sorted, algorithms), Ja4List::new(sorted, algorithms));
        }
        // What lies between the two is part of it.
        assert_ne!(lists.list(&[1, 2], &[3]), lists.list(&[1], &[2, 3]));
        // The second time, it is the same one.
        assert!(Arc::ptr_eq(&lists.list(&[1], &[2]), &lists.list(&[1], &[2])));
    }
}
