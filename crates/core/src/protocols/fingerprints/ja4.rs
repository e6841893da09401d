//! JA4 of TLS clients (FoxIO, "JA4+ technical details"; this one method is under the BSD licence).

use std::borrow::Borrow;
use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::Hashing;
use crate::digits::{Ascii, Digits, push_hex, push_numbers};
use crate::protocols::tls::{ClientHello, ext, is_grease};

/// What carries the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// TLS over TCP.
    Tcp,
    /// DTLS.
    Dtls,
    /// QUIC.
    Quic,
}

impl Over {
    /// What a fingerprint begins with.
    pub(super) fn letter(self) -> char {
        match self {
            Over::Tcp => 't',
            Over::Dtls => 'd',
            Over::Quic => 'q',
        }
    }
}

/// A version in two characters.
pub(super) fn version(number: u16) -> &'static str {
    match number {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// JA4 of a hello.
#[derive(Clone, Copy, Debug)]
pub struct Ja4<'a> {
    /// The hello.
    pub hello: &'a ClientHello,
    /// What carried it.
    pub over: Over,
}

/// One of the two lists of a fingerprint, without GREASE.
#[derive(Debug, PartialEq, Eq)]
pub struct Ja4List {
    /// As JA4_r has it.
    text: Box<str>,
    /// As JA4 has it: the first digits of its SHA-256; zeros where there are no ciphers, or no extensions.
    hash: [u8; 12],
}

impl Ja4List {
    /// The list of these numbers, sorted, and of signature algorithms in the order of the hello.
    pub fn new(sorted: &[u16], algorithms: &[u16]) -> Self {
        let mut text = String::new();
        push_numbers(&mut text, b',', sorted.iter().copied(), Digits::hex);
        if !algorithms.is_empty() {
            text.push('_');
        }
        push_numbers(&mut text, b',', algorithms.iter().copied(), Digits::hex);
        let mut digits = String::new();
        // Writing to a string cannot fail.
        let _ = hash12(&mut digits, sorted.is_empty(), |out| out.write_str(&text));
        let mut hash = [0; 12];
        hash.iter_mut().zip(digits.bytes()).for_each(|(to, digit)| *to = digit);
        Self { text: text.into(), hash }
    }
}

impl Ja4<'_> {
    /// Writes the fingerprint: `a_b_c`.
    pub fn write(&self, lists: &[impl Borrow<Ja4List>; 2], out: &mut impl Ascii) -> fmt::Result {
        self.start(out)?;
        for list in lists {
            out.write_char('_')?;
            out.push_ascii(&list.borrow().hash);
        }
        Ok(())
    }

    /// Writes it with the lists themselves in place of their hashes (JA4_r).
    pub fn write_raw(&self, lists: &[impl Borrow<Ja4List>; 2], out: &mut impl Ascii) -> fmt::Result {
        self.start(out)?;
        for list in lists {
            out.write_char('_')?;
            out.push_ascii(list.borrow().text.as_bytes());
        }
        Ok(())
    }

    /// Its lists: of the ciphers, and of the extensions with the signature algorithms. `make` is [`Ja4List::new`], or knows what that says.
    pub fn lists<L>(&self, mut make: impl FnMut(&[u16], &[u16]) -> L) -> [L; 2] {
        let shown = |e: &u16| ![ext::SERVER_NAME, ext::ALPN].contains(e);
        let ciphers = without_grease(self.hello.ciphers().iter().copied());
        let extensions = without_grease(self.hello.extensions().iter().copied().filter(shown));
        let algorithms = without_grease(self.hello.signature_algorithms().iter().copied());
        let sorted = |mut list: Vec<u16>| {
            list.sort_unstable();
            list
        };
        [make(&sorted(ciphers), &[]), make(&sorted(extensions), &algorithms)]
    }

    /// The part that can be read: `t13d1516h2`.
    fn start(&self, out: &mut impl Ascii) -> fmt::Result {
        let hello = self.hello;
        let carrier = self.over.letter();
        let sni = if hello.has(ext::SERVER_NAME) { 'd' } else { 'i' };
        let count = |list: &[u16]| list.iter().filter(|v| !is_grease(**v)).count().min(99);
        let (ciphers, extensions) = (count(hello.ciphers()), count(hello.extensions()));
        out.write_char(carrier)?;
        out.write_str(self.version())?;
        out.write_char(sni)?;
        for digit in [ciphers / 10, ciphers % 10, extensions / 10, extensions % 10] {
            out.write_char(char::from(b'0' + digit as u8))?;
        }
        let (first, last) = alpn(hello.alpn().and_then(|mut names| names.next()).unwrap_or_default());
        out.write_char(first)?;
        out.write_char(last)
    }

    fn version(&self) -> &'static str {
        let offered = self.hello.versions().iter().copied().filter(|v| !is_grease(*v));
        let highest = match self.over {
            // DTLS counts downwards; 0x0100 is its oldest.
            Over::Dtls => offered.max_by_key(|v| if *v == 0x0100 { 0 } else { !*v }),
            Over::Tcp | Over::Quic => offered.max(),
        };
        version(highest.unwrap_or(self.hello.legacy_version))
    }
}

fn without_grease(values: impl Iterator<Item = u16>) -> Vec<u16> {
    // How many at most: a filter hides it from `collect`, which would begin with four.
    let mut all = Vec::with_capacity(values.size_hint().1.unwrap_or_default());
    all.extend(values.filter(|v| !is_grease(*v)));
    all
}

#[cfg(feature = "ja4plus")]
pub(super) fn hex4(out: &mut impl Ascii, values: &[u16]) -> fmt::Result {
    push_numbers(out, b',', values.iter().copied(), Digits::hex);
    Ok(())
}

/// The first twelve digits of the SHA-256 of a text; zeros where the list that it begins with is empty.
pub(super) fn hash12(
    out: &mut impl Ascii,
    empty: bool,
    text: impl FnOnce(&mut Hashing<Sha256>) -> fmt::Result,
) -> fmt::Result {
    if empty {
        return out.write_str("000000000000");
    }
    let mut hashing = Hashing(Sha256::new());
    text(&mut hashing)?;
    let hash: [u8; 32] = hashing.0.finalize().into();
    push_hex(hash.get(..6).unwrap_or_default(), out);
    Ok(())
}

/// First and last character of a protocol's name; where they are no ASCII letters or digits, of its hex form.
pub(super) fn alpn(name: &[u8]) -> (char, char) {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ('0', '0') };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (first.into(), last.into());
    }
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    (digit(first >> 4), digit(last & 15))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tls::testing::Hello;

    /// The hello that FoxIO's technical details work through.
    fn example() -> ClientHello {
        let hello = Hello {
            version: 0x0303,
            ciphers: &[
                0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
                0x009d, 0x002f, 0x0035,
            ],
            extensions: &[
                (0x1a1a, b""),
                (0x001b, b""),
                (0x0000, b""),
                (0x0033, b""),
                (0x0010, b"\0\x03\x02h2"),
                (0x4469, b""),
                (0x0017, b""),
                (0x002d, b""),
                (0x000d, b"\0\x10\x04\x03\x08\x04\x04\x01\x05\x03\x08\x05\x05\x01\x08\x06\x06\x01"),
                (0x0005, b""),
                (0x0023, b""),
                (0x0012, b""),
                (0x002b, b"\x06\x8a\x8a\x03\x04\x03\x03"),
                (0xff01, b""),
                (0x000b, b""),
                (0x000a, b""),
                (0x0015, b""),
                (0x2a2a, b""),
            ],
            ..Hello::default()
        };
        hello.read()
    }

    fn both(hello: &ClientHello, over: Over) -> (String, String) {
        let (mut hashed, mut raw) = (String::new(), String::new());
        let ja4 = Ja4 { hello, over };
        let lists = ja4.lists(Ja4List::new);
        assert!(ja4.write(&lists, &mut hashed).is_ok() && ja4.write_raw(&lists, &mut raw).is_ok());
        (hashed, raw)
    }

    #[test]
    fn the_example_of_its_authors() {
        let (hashed, raw) = both(&example(), Over::Tcp);
        assert_eq!(hashed, "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(
            raw,
            "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_\
             0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_\
             0403,0804,0401,0503,0805,0501,0806,0601"
        );
        assert!(both(&example(), Over::Quic).0.starts_with("q13d"));
    }

    #[test]
    fn without_extensions_there_are_zeros() {
        let hello = Hello { version: 0x0303, ciphers: &[], ..Hello::default() }.read();
        assert_eq!(both(&hello, Over::Tcp), ("t12i000000_000000000000_000000000000".into(), "t12i000000__".into()));
    }

    #[test]
    fn dtls_counts_its_versions_downwards() {
        let versions: &[(u16, &[u8])] = &[(43, b"\x06\xfe\xfd\xfe\xfc\xfe\xff")];
        let hello = Hello { version: 0xfefd, extensions: versions, ..Hello::default() }.read();
        assert!(both(&hello, Over::Dtls).0.starts_with("dd3i"));
    }

    #[test]
    fn names_of_protocols() {
        assert_eq!(alpn(b"http/1.1"), ('h', '1'));
        assert_eq!(alpn(b"x"), ('x', 'x'));
        assert_eq!(alpn(b"\xab\xcd"), ('a', 'd'));
        assert_eq!(alpn(b"\xab"), ('a', 'b'));
        assert_eq!(alpn(b"h2\xff"), ('6', 'f'));
        assert_eq!(alpn(b""), ('0', '0'));
    }
}
