//! What was made of one flow and is kept for others: servers and clients repeat themselves in every connection.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Things that are kept: of those that share a place, the last one. Hostile ones that never come again cost what they cost without, and
/// what all together take is bounded by what one may take.
pub struct Kept<T>(Arc<Mutex<Vec<Option<T>>>>);

/// How many are kept.
pub(super) const PLACES: usize = 256;

impl<T> Kept<T> {
    /// What is answered for the one of this hash that is the same; for another one, which is made and kept in its place, if there is none.
    pub fn of<A>(
        &self,
        hash: u64,
        same: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> T,
        answer: impl FnOnce(&T) -> A,
    ) -> A {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.is_empty() {
            places.resize_with(PLACES, || None);
        }
        let place = &mut places[hash as usize % PLACES];
        match place {
            Some(kept) if same(kept) => answer(kept),
            other => answer(other.insert(make())),
        }
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// The same places.
impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_of_a_place_is_kept() {
        let kept = Kept::default();
        let made = |hash: u64, name: &'static str| {
            let mut made = false;
            let make = || {
                made = true;
                name
            };
            assert_eq!(kept.of(hash, |kept| *kept == name, make, |kept| *kept), name);
            made
        };
        assert!(made(1, "a") && !made(1, "a"));
        assert!(made(1 + PLACES as u64, "b") && made(1, "a") && made(2, "b"));
        assert!(!made(1, "a") && !made(2, "b") && made(u64::MAX, "c"));
    }
}
