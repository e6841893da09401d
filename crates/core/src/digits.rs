//! Numbers and bytes as digits, by hand: with `write!` for each of the dozens that a fingerprint consists of, a run with every
//! feature took a thirtieth longer.

use std::fmt::{self, Write};
use std::str;

/// Digits of a number.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    text: [u8; 5],
    from: usize,
}

impl Digits {
    /// Decimal ones, without leading zeros.
    pub fn decimal(n: u16) -> Self {
        let mut text = [b'0'; 5];
        let (mut from, mut rest) = (text.len(), n);
        for digit in text.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            from -= 1;
            if rest == 0 {
                break;
            }
        }
        Self { text, from }
    }

    /// Four hexadecimal ones.
    pub fn hex(n: u16) -> Self {
        let [a, b] = n.to_be_bytes();
        let ([a, b], [c, d]) = (hex_pair(a), hex_pair(b));
        Self { text: [b'0', a, b, c, d], from: 1 }
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn as_bytes(&self) -> &[u8] {
        self.text.get(self.from..).unwrap_or_default()
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
        let (before, digits) = ([separator], digits(value));
        for part in [if i > 0 { &before[..] } else { &[] }, digits.as_bytes()] {
            if let Some(place) = text.get_mut(len..len + part.len()) {
                place.copy_from_slice(part);
                len += part.len();
            }
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
