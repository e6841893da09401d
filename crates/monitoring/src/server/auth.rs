//! Basic authentication against bcrypt hashes. A check takes tens of milliseconds by design, so it runs beside the server's thread,
//! few at a time, and its outcome is remembered under a keyed hash: a scraper that comes every second pays once.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::Semaphore;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied,
    Busy,
}

/// Standard base64 (RFC 4648); some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Users, and what has been checked already.
pub(super) struct Auth {
    users: BTreeMap<String, String>,
    secret: [u64; 2],
    known: Mutex<HashMap<[u8; 32], bool>>,
    checking: Semaphore,
    waiting: Semaphore,
}

/// Outcomes remembered; wrong guesses push one another out, so memory stays small.
const MAX_KNOWN: usize = 128;
/// bcrypt runs at once, and requests that may wait for one.
const MAX_CHECKS: usize = 2;
const MAX_WAITING: usize = 16;
/// Compared with for users that do not exist, so that they take as long: the hash of nothing anybody knows.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

impl Auth {
    pub(super) fn new(users: BTreeMap<String, String>) -> Self {
        let secret = [RandomState::new().hash_one(0u8), RandomState::new().hash_one(1u8)];
        Self {
            users,
            secret,
            known: Mutex::default(),
            checking: Semaphore::new(MAX_CHECKS),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Judges an `Authorization` header.
    pub(super) async fn check(&self, header: &str) -> Verdict {
        if self.users.is_empty() {
            return Verdict::Allowed;
        }
        let Some((user, password)) = credentials(header) else { return Verdict::Denied };
        let hash = self.users.get(&user);
        let key = self.key(&user, &password);
        if let Some(ok) = self.known().get(&key) {
            return verdict(*ok);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Verdict::Busy };
        let Ok(_turn) = self.checking.acquire().await else { return Verdict::Busy };
        let exists = hash.is_some();
        let hash = hash.map_or(NOBODY, String::as_str).to_owned();
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let ok = check.await.unwrap_or(false) && exists;
        let mut known = self.known();
        if known.len() >= MAX_KNOWN {
            // A right password stays; it is what the next scrape brings.
            known.retain(|_, ok| *ok);
        }
        known.insert(key, ok);
        verdict(ok)
    }

    fn key(&self, user: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        for word in self.secret {
            digest.update(word.to_le_bytes());
        }
        digest.update((user.len() as u64).to_le_bytes());
        digest.update(user);
        digest.update(password);
        digest.finalize().into()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], bool>> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn verdict(ok: bool) -> Verdict {
    if ok { Verdict::Allowed } else { Verdict::Denied }
}

/// User and password of `Basic dXNlcjpwYXNz` (RFC 7617).
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_7617s_example_with_and_without_padding() {
        let want = ("Aladdin".to_owned(), "open sesame".to_owned());
        assert_eq!(credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Some(want.clone()));
        assert_eq!(credentials("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), Some(want));
        assert_eq!(credentials("Basic Zm9v*"), None);
        assert_eq!(credentials("Bearer x"), None);
        assert_eq!(credentials("Basic"), None);
    }

    #[tokio::test]
    async fn right_passwords_pass_and_wrong_ones_and_unknown_users_do_not() {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let auth = Auth::new([("ann".to_owned(), hash)].into());
        // ann:s3cret, ann:wrong, bob:s3cret
        for _ in 0..2 {
            assert_eq!(auth.check("Basic YW5uOnMzY3JldA==").await, Verdict::Allowed);
            assert_eq!(auth.check("basic YW5uOndyb25n").await, Verdict::Denied);
            assert_eq!(auth.check("Basic Ym9iOnMzY3JldA==").await, Verdict::Denied);
            assert_eq!(auth.check("").await, Verdict::Denied);
        }
        assert_eq!(auth.known().len(), 3);
    }
}
