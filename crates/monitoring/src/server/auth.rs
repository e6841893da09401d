//! Basic authentication (RFC 7617) against bcrypt hashes. What a password check may cost, and who gets one first, is decided in
//! [`Checks`]; here a header becomes a user and a password.

use super::checks::{Checks, Job, Key};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

/// Whether a request may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Denied,
    /// Its password is still waiting to be checked.
    Busy,
}

/// Standard base64 (RFC 4648); some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// bcrypt reads no more of a password than this.
const BCRYPT_BYTES: usize = 72;

/// User names and their bcrypt hashes.
pub(super) type Users = BTreeMap<String, Arc<str>>;

/// The password checks of a server. They outlive its web configuration: an outcome is kept under the user's hash, so it holds after
/// a reload for as long as that hash is in the file.
pub(super) struct Passwords {
    secret: RandomState,
    checks: Checks,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { secret: RandomState::new(), checks: Checks::default() }
    }

    /// Judges an `Authorization` header of a client.
    pub(super) async fn judge(&self, users: &Users, header: &str, client: IpAddr) -> Verdict {
        if users.is_empty() {
            return Verdict::Allowed;
        }
        let Some((user, password)) = credentials(header) else { return Verdict::Denied };
        let known = users.get(&user);
        let Some(hash) = known.or_else(|| self.any_hash(users, &user)) else { return Verdict::Denied };
        let key = self.key(known.is_some(), &user, hash, &password);
        let bytes = password.as_bytes();
        let job = Job {
            password: bytes.get(..BCRYPT_BYTES).unwrap_or(bytes).to_vec(),
            hash: Arc::clone(hash),
            user_exists: known.is_some(),
        };
        match self.checks.outcome(key, job, client).await {
            Some(true) => Verdict::Allowed,
            Some(false) => Verdict::Denied,
            None => Verdict::Busy,
        }
    }

    /// The hash that a user who does not exist is checked against, always the same for one name: the answer takes as long as for a
    /// user who exists, whatever the costs of the hashes.
    fn any_hash<'u>(&self, users: &'u Users, name: &str) -> Option<&'u Arc<str>> {
        let n = self.secret.hash_one(name) % (users.len() as u64).max(1);
        users.values().nth(usize::try_from(n).unwrap_or(0))
    }

    /// What an outcome is kept under; no password stays in memory once it has been checked.
    fn key(&self, exists: bool, user: &str, hash: &str, password: &str) -> Key {
        let mut digest = Sha256::new();
        for word in [0u8, 1].map(|n| self.secret.hash_one(n)) {
            digest.update(word.to_le_bytes());
        }
        digest.update([u8::from(exists)]);
        for part in [user, hash, password] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
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
    use std::net::Ipv4Addr;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn users(hashes: &[(&str, &str)]) -> Users {
        hashes.iter().map(|(user, password)| ((*user).to_owned(), bcrypt::hash(password, 4).unwrap().into())).collect()
    }

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
        let (passwords, users) = (Passwords::new(), users(&[("ann", "s3cret")]));
        // ann:s3cret, ann:wrong, bob:s3cret
        for _ in 0..2 {
            assert_eq!(passwords.judge(&users, "Basic YW5uOnMzY3JldA==", CLIENT).await, Verdict::Allowed);
            assert_eq!(passwords.judge(&users, "basic YW5uOndyb25n", CLIENT).await, Verdict::Denied);
            assert_eq!(passwords.judge(&users, "Basic Ym9iOnMzY3JldA==", CLIENT).await, Verdict::Denied);
            assert_eq!(passwords.judge(&users, "", CLIENT).await, Verdict::Denied);
        }
        assert_eq!(passwords.checks.done(), 3, "each was checked once");
    }

    #[tokio::test]
    async fn an_outcome_holds_for_as_long_as_the_hash_is_the_same() {
        let (passwords, mut users) = (Passwords::new(), users(&[("ann", "s3cret")]));
        assert_eq!(passwords.judge(&users, "Basic YW5uOnMzY3JldA==", CLIENT).await, Verdict::Allowed);
        users.insert("bob".to_owned(), bcrypt::hash("other", 4).unwrap().into());
        assert_eq!(passwords.judge(&users, "Basic YW5uOnMzY3JldA==", CLIENT).await, Verdict::Allowed);
        assert_eq!(passwords.checks.done(), 1);
        users.insert("ann".to_owned(), bcrypt::hash("newer", 4).unwrap().into());
        assert_eq!(passwords.judge(&users, "Basic YW5uOnMzY3JldA==", CLIENT).await, Verdict::Denied);
    }

    #[test]
    fn users_who_do_not_exist_are_checked_against_a_hash_of_those_who_do() {
        let (passwords, users) = (Passwords::new(), users(&[("ann", "a"), ("bob", "b")]));
        let hash = |name: &str| passwords.any_hash(&users, name).unwrap();
        let names: Vec<_> = (0..64).map(|n| format!("nobody{n}")).collect();
        assert!(names.iter().all(|name| hash(name) == hash(name)));
        let chosen: std::collections::BTreeSet<_> = names.iter().map(|name| hash(name)).collect();
        assert_eq!(chosen.len(), 2);
        assert!(passwords.any_hash(&Users::new(), "nobody").is_none());
    }
}
