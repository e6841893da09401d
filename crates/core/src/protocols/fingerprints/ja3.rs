//! JA3 and JA3S (github.com/salesforce/ja3): MD5 of the numbers in a hello.

use std::fmt;

use md5::{Digest, Md5};

use super::Hashing;
use crate::digits::{Ascii, Digits, push_numbers};
use crate::protocols::tls::{ClientHello, ServerHello, is_grease};

/// Writes `version,ciphers,extensions,groups,formats`: decimal numbers in the order of the hello, GREASE left out.
pub fn ja3(hello: &ClientHello, out: &mut impl Ascii) -> fmt::Result {
    decimal(out, [hello.legacy_version]);
    for list in [hello.ciphers(), hello.extensions(), hello.groups()] {
        out.write_char(',')?;
        decimal(out, list.iter().copied().filter(|v| !is_grease(*v)));
    }
    out.write_char(',')?;
    decimal(out, hello.point_formats().iter().map(|f| u16::from(*f)));
    Ok(())
}

/// The MD5 of [`ja3`].
pub fn ja3_hash(hello: &ClientHello) -> [u8; 16] {
    md5(|out| ja3(hello, out))
}

/// Writes `version,cipher,extensions` of a ServerHello; nothing is left out.
pub fn ja3s(hello: &ServerHello, out: &mut impl Ascii) -> fmt::Result {
    decimal(out, [hello.legacy_version]);
    out.write_char(',')?;
    decimal(out, [hello.cipher]);
    out.write_char(',')?;
    decimal(out, hello.extensions().iter().copied());
    Ok(())
}

/// The MD5 of [`ja3s`].
pub fn ja3s_hash(hello: &ServerHello) -> [u8; 16] {
    md5(|out| ja3s(hello, out))
}

fn decimal(out: &mut impl Ascii, values: impl IntoIterator<Item = u16>) {
    push_numbers(out, b'-', values, Digits::decimal);
}

fn md5(text: impl FnOnce(&mut Hashing<Md5>) -> fmt::Result) -> [u8; 16] {
    let mut hashing = Hashing(Md5::new());
    // Hashing takes any text.
    let _ = text(&mut hashing);
    hashing.0.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::hex;
    use crate::protocols::tls::testing::Hello;

    #[test]
    fn the_example_of_its_authors() {
        // From the README of salesforce/ja3.
        let formats = [0];
        let hello = Hello {
            version: 769,
            ciphers: &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
            extensions: &[(0, b""), (10, b"\0\x06\0\x17\0\x18\0\x19"), (11, b"\x01\x00")],
            ..Hello::default()
        };
        let hello = hello.read();
        assert_eq!(hello.point_formats(), formats);
        let mut text = String::new();
        assert!(ja3(&hello, &mut text).is_ok());
        assert_eq!(text, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0");
        assert_eq!(hex(&ja3_hash(&hello)), "ada70206e40642a3e4461f35503241d5");
    }

    #[test]
    fn a_hello_without_extensions_keeps_its_commas() {
        let hello = Hello { version: 769, ciphers: &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], ..Hello::default() };
        let mut text = String::new();
        assert!(ja3(&hello.read(), &mut text).is_ok());
        assert_eq!(text, "769,4-5-10-9-100-98-3-6-19-18-99,,,");
        assert_eq!(hex(&ja3_hash(&hello.read())), "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn grease_is_left_out() {
        let hello = Hello {
            version: 771,
            ciphers: &[0x0a0a, 4865],
            extensions: &[(0x1a1a, b""), (10, b"\0\x04\x2a\x2a\0\x1d"), (0x1a2a, b"")],
            ..Hello::default()
        };
        let mut text = String::new();
        assert!(ja3(&hello.read(), &mut text).is_ok());
        assert_eq!(text, "771,4865,10-6698,29,");
    }
}
