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
    /// They come first; what follows them means nothing.
    text: [u8; 8],
    len: usize,
}

impl Digits {
    /// Decimal ones, without leading zeros.
    pub fn decimal(n: u16) -> Self {
        let len = 1 + [9, 99, 999, 9999].map(|most| usize::from(n > most)).iter().sum::<usize>();
        // All five, the first in the lowest byte; leading zeros are shifted out.
        let n = u64::from(n);
        let pair = |n: u64| (n / 10) | (n % 10) << 8;
        let five = (n / 10_000) | pair(n / 100 % 100) << 8 | pair(n % 100) << 24;
        let text = (five + 0x30_3030_3030) >> (8 * (5 - len));
        Self { text: text.to_le_bytes(), len }
    }

    /// Four hexadecimal ones.
    pub fn hex(n: u16) -> Self {
        let [a, b] = n.to_be_bytes();
        let ([a, b], [c, d]) = (hex_pair(a), hex_pair(b));
        Self { text: [a, b, c, d, 0, 0, 0, 0], len: 4 }
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

    /// Appends digits, if there is room for eight.
    pub fn digits(&mut self, digits: &Digits) {
        // All eight: a copy of as many as there are is a call.
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

    /// Whether there is room for digits and a separator.
    fn has_room(&self) -> bool {
        self.len + 8 <= Self::MOST
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
    for value in values {
        if !piece.has_room() {
            out.push_ascii(piece.bytes());
            piece.len = 0;
        }
        // Digits and separator at once; the last one is left out in the end.
        let mut digits = digits(value);
        if let Some(place) = digits.text.get_mut(digits.len) {
            *place = separator;
            digits.len += 1;
        }
        piece.digits(&digits);
    }
    let bytes = piece.bytes();
    out.push_ascii(bytes.split_last().map_or(bytes, |(_, rest)| rest));
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
    let (mut text, mut len) = ([0; 16], 0);
    for octet in octets {
        if let Some(place) = text.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
            *place = OCTETS[usize::from(octet)];
        }
        len += 2 + usize::from(octet > 9) + usize::from(octet > 99);
    }
    out.push_ascii(text.get(..len - 1).unwrap_or_default());
}

/// Octets in decimal digits with a dot behind them.
static OCTETS: [[u8; 4]; 256] = {
    let mut all = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let [a, b, c] = [n / 100, n / 10 % 10, n % 10];
        let [a, b, c] = [b'0' + a as u8, b'0' + b as u8, b'0' + c as u8];
        all[n] = match n {
            0..10 => [c, b'.', 0, 0],
            10..100 => [b, c, b'.', 0],
            _ => [a, b, c, b'.'],
        };
        n += 1;
    }
    all
};

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
    [byte >> 4, byte & 15].map(|n| b"0123456789abcdef"[usize::from(n)])
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

    #[test]
    fn all_numbers_have_the_digits_of_write() {
        for n in 0..=u16::MAX {
            assert_eq!(Digits::decimal(n).bytes(), n.to_string().as_bytes());
        }
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
