//! Numbers and bytes as digits, by hand: with `write!` for each of the dozens that a fingerprint consists of, a run with every
//! feature took a thirtieth longer.

use std::fmt::{self, Write};
use std::str;

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

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        self.text.get(..self.len).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Writes numbers with a separator of ASCII between them; by dozens, as each call of a writer has its price.
pub fn write_numbers(
    out: &mut impl Write,
    separator: u8,
    values: impl IntoIterator<Item = u16>,
    digits: impl Fn(u16) -> Digits,
) -> fmt::Result {
    let mut write =
        |ascii: Option<&[u8]>| out.write_str(ascii.and_then(|ascii| str::from_utf8(ascii).ok()).unwrap_or_default());
    let mut text = [0; 256];
    let mut len = 0;
    for (i, value) in values.into_iter().enumerate() {
        // A separator and the digits of the largest number.
        if len + 6 > text.len() {
            write(text.get(..len))?;
            len = 0;
        }
        if let Some(place) = text.get_mut(len).filter(|_| i > 0) {
            *place = separator;
            len += 1;
        }
        // All five: a copy of as many as there are is a call.
        let digits = digits(value);
        if let Some(place) = text.get_mut(len..).and_then(<[u8]>::first_chunk_mut) {
            *place = digits.text;
            len += digits.len;
        }
    }
    write(text.get(..len))
}

/// Appends bytes in hexadecimal digits.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    let mut text = [0; 64];
    for bytes in bytes.chunks(text.len() / 2) {
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = hex_pair(*byte);
        }
        push(text.get(..2 * bytes.len()), out);
    }
}

/// Appends the octets of an IPv4 address.
pub fn push_ipv4(octets: [u8; 4], out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write_numbers(out, b'.', octets.map(Into::into), Digits::decimal);
}

/// Appends the octets of a MAC address, with colons.
pub fn push_mac(octets: [u8; 6], out: &mut String) {
    let mut text = [b':'; 17];
    for (place, octet) in text.chunks_mut(3).zip(octets) {
        if let Some(pair) = place.first_chunk_mut() {
            *pair = hex_pair(octet);
        }
    }
    push(text.get(..), out);
}

fn push(ascii: Option<&[u8]>, out: &mut String) {
    out.push_str(ascii.and_then(|ascii| str::from_utf8(ascii).ok()).unwrap_or_default());
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
            prop_assert_eq!(decimal.as_str(), n.to_string());
            prop_assert_eq!(four.as_str(), format!("{n:04x}"));
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            prop_assert_eq!(made(|out| push_hex(&bytes, out)), format!("x{hex}"));
            let words: Vec<u16> = bytes.iter().map(|b| u16::from(*b) * 257).collect();
            let joined: Vec<_> = words.iter().map(u16::to_string).collect();
            let numbers = made(|out| write_numbers(out, b'-', words.iter().copied(), Digits::decimal).unwrap());
            prop_assert_eq!(numbers, format!("x{}", joined.join("-")));
            prop_assert_eq!(made(|out| push_ipv4(v4, out)), format!("x{}", Ipv4Addr::from(v4)));
            prop_assert_eq!(made(|out| push_mac(mac, out)), format!("x{}", mac.map(|b| format!("{b:02x}")).join(":")));
        }
    }
}
