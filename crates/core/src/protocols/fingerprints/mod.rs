//! Fingerprints of implementations, made of the facts that parsers have found.

mod ja3;
mod ja4;
#[cfg(feature = "ja4plus")]
pub mod ja4plus;

pub use ja3::{ja3, ja3_hash, ja3s, ja3s_hash};
pub use ja4::{Ja4, Ja4List, Over};

use std::fmt;

use crate::digits::Ascii;

/// Text that goes straight into a hash.
pub(crate) struct Hashing<D>(D);

impl<D: sha2::digest::Update> fmt::Write for Hashing<D> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl<D: sha2::digest::Update> Ascii for Hashing<D> {
    fn push_ascii(&mut self, ascii: &[u8]) {
        self.0.update(ascii);
    }
}
