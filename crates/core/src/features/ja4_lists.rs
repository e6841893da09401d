//! Lists of JA4 that were made. Clients of a kind have the same ones in every connection, sorted as they are, and their texts and hashes
//! cost more than all else of the fingerprint.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

use crate::protocols::fingerprints::Ja4List;

/// Lists that are kept: of those that share a place, the last one. Hostile ones that never come again cost what they cost without.
const PLACES: usize = 256;

/// Numbers of a list that is kept; nearly all are shorter. All together take 512 KiB at most.
const LONGEST: usize = 256;

/// Lists, and what fingerprints show of them.
#[derive(Clone, Debug, Default)]
pub struct Ja4Lists(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    hashes: RandomState,
    kept: Vec<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    sorted: Box<[u16]>,
    algorithms: Box<[u16]>,
    list: Arc<Ja4List>,
}

impl Ja4Lists {
    /// [`Ja4List::new`].
    pub fn list(&self, sorted: &[u16], algorithms: &[u16]) -> Arc<Ja4List> {
        let make = || Arc::new(Ja4List::new(sorted, algorithms));
        if sorted.len() + algorithms.len() > LONGEST {
            return make();
        }
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Places { hashes, kept } = &mut *places;
        if kept.is_empty() {
            kept.resize_with(PLACES, || None);
        }
        let at = hashes.hash_one((sorted, algorithms)) as usize % PLACES;
        let Some(place) = kept.get_mut(at) else { return make() };
        match place {
            Some(same) if *same.sorted == *sorted && *same.algorithms == *algorithms => Arc::clone(&same.list),
            other => {
                let list = make();
                *other = Some(Kept { sorted: sorted.into(), algorithms: algorithms.into(), list: Arc::clone(&list) });
                list
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
