//! Numbers and bytes as digits, by hand: with `write!` for each of the dozens that a fingerprint consists of, a run with every
//! feature took a thirtieth longer.

use std::fmt;

/// What takes text of ASCII, as bytes.
pub trait Ascii: fmt::Write {
    /// Appends it. Of what is no ASCII, the highest bit is lost.
    fn push_ascii(&mut self, ascii: &[u8]);
}

impl Ascii for String {
    fn push_ascii(&mut self, ascii: &[u8]) {
        self.extend(ascii.iter().map(|byte| char::from(byte & 0x7f)));
    }
}

/// Digits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// They come first.
    text: [u8; 5],
    len: usize,
}

impl Digits {
    /// Decimal ones, without leading zeros.
    pub fn decimal(n: u16) -> Self {
        let len = match n {
            0..=9 => 1,
            10..=99 => 2,
            100..=999 => 3,
            1000..=9999 => 4,
            _ => 5,
        };
        let (mut text, mut rest) = ([b'0'; 5], n);
        for digit in text.iter_mut().take(len).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Self { text, len }
    }

    /// Four hexadecimal ones.
    pub fn hex(n: u16) -> Self {
        let [a, b] = n.to_be_bytes();
        let ([a, b], [c, d]) = (hex_pair(a), hex_pair(b));
        Self { text: [a, b, c, d, b'0'], len: 4 }
    }

    /// The digits, in ASCII.
    pub fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// Some text of ASCII, put together before it is appended: each call has its price. What goes beyond its end is left out.
pub struct Piece {
    text: [u8; Self::MOST],
    len: usize,
}

impl Piece {
    const MOST: usize = 256;

    /// An empty one.
    pub fn new() -> Self {
        Self { text: [0; Self::MOST], len: 0 }
    }

    /// Appends a byte.
    pub fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// Appends digits, if there is room for five.
    pub fn digits(&mut self, digits: &Digits) {
        // All five: a copy of as many as there are is a call.
        if let Some(place) = self.text.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) {
            *place = digits.text;
            self.len += digits.len;
        }
    }

    /// Appends a number in decimal digits.
    pub fn number(&mut self, n: impl Into<u16>) {
        self.digits(&Digits::decimal(n.into()));
    }

    /// What there is.
    pub fn bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// Whether there is room for a separator and a number.
    fn has_room(&self) -> bool {
        self.len + 6 <= Self::MOST
    }
}

/// Appends numbers with a separator of ASCII between them.
pub fn push_numbers(
    out: &mut impl Ascii,
    separator: u8,
    values: impl IntoIterator<Item = u16>,
    digits: impl Fn(u16) -> Digits,
) {
    let mut piece = Piece::new();
    for (i, value) in values.into_iter().enumerate() {
        if !piece.has_room() {
            out.push_ascii(piece.bytes());
            piece.len = 0;
        }
        if i > 0 {
            piece.byte(separator);
        }
        piece.digits(&digits(value));
    }
    out.push_ascii(piece.bytes());
}

/// Appends bytes in hexadecimal digits.
pub fn push_hex(bytes: &[u8], out: &mut impl Ascii) {
    let mut text = [0; 64];
    for bytes in bytes.chunks(text.len() / 2) {
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = hex_pair(*byte);
        }
        out.push_ascii(text.get(..2 * bytes.len()).unwrap_or_default());
    }
}

/// Appends the octets of an IPv4 address.
pub fn push_ipv4(octets: [u8; 4], out: &mut impl Ascii) {
    push_numbers(out, b'.', octets.map(Into::into), Digits::decimal);
}

/// Appends the octets of a MAC address, with colons.
pub fn push_mac(octets: [u8; 6], out: &mut impl Ascii) {
    let mut text = [b':'; 17];
    for (place, octet) in text.chunks_mut(3).zip(octets) {
        if let Some(pair) = place.first_chunk_mut() {
            *pair = hex_pair(octet);
        }
    }
    out.push_ascii(&text);
}

fn hex_pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|n| if n < 10 { b'0' + n } else { b'a' + n - 10 })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn made(push: impl FnOnce(&mut String)) -> String {
        let mut out = "x".to_owned();
        push(&mut out);
        out
    }

    proptest! {
        #[test]
        fn digits_are_those_of_write(n: u16, bytes in prop::collection::vec(any::<u8>(), 0..100), v4: [u8; 4], mac: [u8; 6]) {
            let (decimal, four) = (Digits::decimal(n), Digits::hex(n));
            prop_assert_eq!(decimal.bytes().to_vec(), n.to_string().into_bytes());
            prop_assert_eq!(four.bytes().to_vec(), format!("{n:04x}").into_bytes());
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            prop_assert_eq!(made(|out| push_hex(&bytes, out)), format!("x{hex}"));
            let words: Vec<u16> = bytes.iter().map(|b| u16::from(*b) * 257).collect();
            let joined: Vec<_> = words.iter().map(u16::to_string).collect();
            let numbers = made(|out| push_numbers(out, b'-', words.iter().copied(), Digits::decimal));
            prop_assert_eq!(numbers, format!("x{}", joined.join("-")));
            prop_assert_eq!(made(|out| push_ipv4(v4, out)), format!("x{}", Ipv4Addr::from(v4)));
            prop_assert_eq!(made(|out| push_mac(mac, out)), format!("x{}", mac.map(|b| format!("{b:02x}")).join(":")));
        }
    }
}
