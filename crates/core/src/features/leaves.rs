//! Certificates that were read and hashed. A server sends the same one in every connection, and reading it costs as much as the rest of
//! a row of TLS.

use std::cell::OnceCell;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::kept::Kept;
use crate::protocols::tls::{Leaf, leaf};

/// Bytes of a certificate that is kept: nearly all are shorter. What is read of it takes three times as much at most, so all
/// together take 4 MiB at most, and half a megabyte where certificates are as usual.
const LONGEST: usize = 4096;

/// Certificates, and what they say. Views have it by reference, as most features do not ask.
#[derive(Clone, Debug, Default)]
pub struct Leaves(Kept<Seen>);

#[derive(Default)]
struct Seen {
    der: Box<[u8]>,
    /// What was asked of it before.
    leaf: OnceCell<Option<Arc<Leaf>>>,
    sha256: OnceCell<[u8; 32]>,
}

impl Leaves {
    /// What a certificate says; none where it is not DER.
    pub fn read(&self, der: &[u8]) -> Option<Arc<Leaf>> {
        let read = || leaf(der).map(Arc::new);
        self.of(der, |seen| seen.leaf.get_or_init(read).clone()).unwrap_or_else(read)
    }

    /// The SHA-256 of a certificate.
    pub fn sha256(&self, der: &[u8]) -> [u8; 32] {
        let hash = || Sha256::digest(der).into();
        self.of(der, |seen| *seen.sha256.get_or_init(hash)).unwrap_or_else(hash)
    }

    /// What is answered for a certificate that is kept from here on; none for one that is not.
    fn of<T>(&self, der: &[u8], answer: impl FnOnce(&Seen) -> T) -> Option<T> {
        // The signature at the end is as good as random.
        let end = der.last_chunk().filter(|_| der.len() <= LONGEST)?;
        let make = || Seen { der: der.into(), ..Seen::default() };
        Some(self.0.of(u16::from_le_bytes(*end).into(), |seen| *seen.der == *der, make, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See the tests of `protocols::tls`.
    const DER: &[u8] = include_bytes!("../../../../tests/data/certificate.der");

    #[test]
    fn what_is_kept_is_what_would_be_read() {
        let name = DER.windows(4).position(|w| w == b"www.").unwrap();
        // Their ends are the same, so all fall to one place.
        let named = |letter: u8| [&DER[..name], &[letter], &DER[name + 1..]].concat();
        let long = [&vec![7; LONGEST][..], DER].concat();
        let all = [named(b'a'), named(b'b'), DER[1..].to_vec(), long, vec![7], vec![]];
        let leaves = Leaves::default();
        for der in all.iter().chain(&all).chain(all.iter().flat_map(|der| [der, der])) {
            assert_eq!(leaves.read(der).as_deref(), leaf(der).as_ref());
            assert_eq!(leaves.sha256(der), <[u8; 32]>::from(Sha256::digest(der)));
        }
        assert!(leaf(&all[0]).is_some() && leaf(&all[0]) != leaf(&all[1]));
    }
}
