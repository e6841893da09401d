//! Reading what came over the wire: every read is bounded, and answers `None` beyond the end.

/// A cursor over bytes in network byte order.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that are left; they stay.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next `n` bytes. Where there are fewer, none is read.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let bytes = self.rest().get(..n)?;
        self.at += n;
        Some(bytes)
    }

    /// A reader of the next `n` bytes, which this one steps over.
    pub fn sub(&mut self, n: usize) -> Option<Reader<'a>> {
        self.take(n).map(Reader::new)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.rest().first_chunk::<N>()?;
        self.at += N;
        Some(bytes)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Steps over all bytes of 0 that come next.
    pub fn skip_zeros(&mut self) {
        let rest = self.rest();
        let (words, _) = rest.as_chunks();
        let zeros = 16 * words.iter().take_while(|word| u128::from_ne_bytes(**word) == 0).count();
        self.at += zeros + rest.iter().skip(zeros).take_while(|byte| **byte == 0).count();
    }

    /// A vector of TLS's presentation language (RFC 8446 section 3.4) with a length of one byte.
    pub fn vec8(&mut self) -> Option<Reader<'a>> {
        self.vector(|r| r.u8().map(usize::from))
    }

    /// The same with a length of two bytes.
    pub fn vec16(&mut self) -> Option<Reader<'a>> {
        self.vector(|r| r.u16().map(usize::from))
    }

    /// The same with a length of three bytes.
    pub fn vec24(&mut self) -> Option<Reader<'a>> {
        self.vector(|r| r.u24().map(|n| n as usize))
    }

    /// Reads a length and then so many bytes, or nothing at all.
    fn vector(&mut self, length: impl FnOnce(&mut Self) -> Option<usize>) -> Option<Reader<'a>> {
        let mut ahead = *self;
        let n = length(&mut ahead)?;
        let inner = ahead.sub(n)?;
        *self = ahead;
        Some(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_in_network_order_and_stop_at_the_end() {
        let mut r = Reader::new(&[1, 0, 2, 0, 0, 3, 9]);
        assert_eq!((r.u8(), r.u16(), r.u24(), r.position(), r.len()), (Some(1), Some(2), Some(3), 6, 1));
        assert_eq!((r.u16(), r.rest()), (None, &[9][..]));
        assert_eq!((r.u8(), r.is_empty(), r.u8()), (Some(9), true, None));
    }

    #[test]
    fn zeros_are_stepped_over_up_to_the_next_other_byte() {
        for len in 0..70 {
            let mut bytes = vec![0; len];
            let mut r = Reader::new(&bytes);
            r.skip_zeros();
            assert!(r.is_empty(), "{len}");
            bytes.extend([5, 0]);
            let mut r = Reader::new(&bytes);
            r.skip_zeros();
            assert_eq!((r.position(), r.u8()), (len, Some(5)), "{len}");
        }
    }

    #[test]
    fn a_vector_that_claims_too_much_is_not_read() {
        let mut r = Reader::new(&[0, 3, 7, 7]);
        assert!(r.vec16().is_none());
        assert_eq!(r.position(), 0);
        assert_eq!(Reader::new(&[2, 7, 7, 1]).vec8().map(|v| v.rest().to_vec()), Some(vec![7, 7]));
    }
}
