//! The Certificate message up to TLS 1.2 (RFC 5246 section 7.4.2).

use crate::wire::Reader;

/// What the server showed of itself.
///
/// The leaf is kept as it came (a message has less than 64 KiB, a usual leaf one or two): its names, dates and key are
/// read when a row asks for them, so that flows whose rows do not pay nothing for X.509.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// How many.
    pub count: u32,
    /// Sum of their lengths.
    pub total_len: u32,
    /// The first one, in DER.
    pub leaf: Option<Box<[u8]>>,
}

/// Reads the body of a Certificate message, as far as it is sound.
pub fn certificates(body: &[u8]) -> Option<Certificates> {
    let mut list = Reader::new(body).vec24()?;
    let mut found = Certificates::default();
    while let Some(der) = list.vec24() {
        found.count += 1;
        found.total_len += der.len() as u32;
        if found.leaf.is_none() {
            found.leaf = Some(der.rest().into());
        }
    }
    Some(found)
}

impl Certificates {
    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.leaf.as_ref().map_or(0, |der| der.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_the_leaf() {
        let chain = certificates(&[0, 0, 9, 0, 0, 2, 7, 7, 0, 0, 1, 8, 0]);
        let expected = Certificates { count: 2, total_len: 3, leaf: Some([7, 7].into()) };
        assert_eq!(chain, Some(expected));
        assert_eq!(certificates(&[0, 0, 0]), Some(Certificates::default()));
        assert_eq!(certificates(&[0, 0, 9]), None);
    }
}
