//! What features say of a certificate (RFC 5280).

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::asn1_rs::{Any, Oid, Tag, ToDer, oid};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate, X509Name};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::digits::push_hex;

/// A certificate, read. Its texts are at most three times as long as the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Issuer, as in RFC 4514.
    pub issuer: String,
    /// Subject, as in RFC 4514.
    pub subject: String,
    /// DNS names and addresses of subjectAltName in their order, joined by ",".
    pub sans: Option<String>,
    /// notBefore, in seconds since the Unix epoch.
    pub not_before: i64,
    /// notAfter, in seconds since the Unix epoch.
    pub not_after: i64,
    /// Algorithm of the public key: a name, or an object identifier.
    pub key_type: String,
    /// Its size.
    pub key_bits: Option<u32>,
    /// Whether issuer and subject are the same bytes. The signature is not verified.
    pub self_signed: bool,
}

/// Reads a certificate; none where it is not DER.
pub fn leaf(der: &[u8]) -> Option<Leaf> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let (issuer, subject) = (certificate.issuer(), certificate.subject());
    let validity = certificate.validity();
    let (key_type, key_bits) = key(certificate.public_key());
    Some(Leaf {
        issuer: rfc4514(issuer),
        subject: rfc4514(subject),
        sans: sans(&certificate),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        key_type,
        key_bits,
        self_signed: issuer.as_raw() == subject.as_raw(),
    })
}

/// Object identifiers of a certificate, each as the bytes of its encoding, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Types of the issuer's names.
    pub issuer: Vec<Vec<u8>>,
    /// Types of the subject's names.
    pub subject: Vec<Vec<u8>>,
    /// Extensions.
    pub extensions: Vec<Vec<u8>>,
}

/// Reads the object identifiers of a certificate; none where it is not DER.
pub fn identifiers(der: &[u8]) -> Option<Identifiers> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = |name: &X509Name<'_>| name.iter_attributes().map(|a| a.attr_type().as_bytes().to_vec()).collect();
    Some(Identifiers {
        issuer: names(certificate.issuer()),
        subject: names(certificate.subject()),
        extensions: certificate.extensions().iter().map(|e| e.oid.as_bytes().to_vec()).collect(),
    })
}

/// dNSName and iPAddress of subjectAltName.
fn sans(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => Some(&san.general_names),
        _ => None,
    })?;
    let mut out: Option<String> = None;
    for name in names {
        let text = match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => Ipv4Addr::from(v4).to_string(),
                (_, Ok(v6)) => Ipv6Addr::from(v6).to_string(),
                _ => continue,
            },
            _ => continue,
        };
        match &mut out {
            Some(all) => {
                all.push(',');
                all.push_str(&text);
            }
            None => out = Some(text),
        }
    }
    out
}

const NAMES: &[(Oid<'static>, &str)] = &[
    (oid!(2.5.4.3), "CN"),
    (oid!(2.5.4.6), "C"),
    (oid!(2.5.4.7), "L"),
    (oid!(2.5.4.8), "ST"),
    (oid!(2.5.4.9), "STREET"),
    (oid!(2.5.4.10), "O"),
    (oid!(2.5.4.11), "OU"),
    (oid!(0.9.2342.19200300.100.1.25), "DC"),
    (oid!(0.9.2342.19200300.100.1.1), "UID"),
    (oid!(2.5.4.4), "SN"),
    (oid!(2.5.4.5), "serialNumber"),
    (oid!(2.5.4.12), "title"),
    (oid!(2.5.4.15), "businessCategory"),
    (oid!(2.5.4.17), "postalCode"),
    (oid!(2.5.4.41), "name"),
    (oid!(2.5.4.42), "GN"),
    (oid!(2.5.4.46), "dnQualifier"),
    (oid!(2.5.4.97), "organizationIdentifier"),
    (oid!(1.2.840.113549.1.9.1), "emailAddress"),
    (oid!(1.3.6.1.4.1.311.60.2.1.1), "jurisdictionL"),
    (oid!(1.3.6.1.4.1.311.60.2.1.2), "jurisdictionST"),
    (oid!(1.3.6.1.4.1.311.60.2.1.3), "jurisdictionC"),
];

/// The string of RFC 4514: the last name first.
fn rfc4514(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    let names: Vec<_> = name.iter_rdn().collect();
    for (i, rdn) in names.iter().rev().enumerate() {
        if i > 0 {
            out.push(',');
        }
        for (j, attribute) in rdn.iter().enumerate() {
            if j > 0 {
                out.push('+');
            }
            let known = NAMES.iter().find(|(oid, _)| oid == attribute.attr_type());
            match known.zip(text(attribute.attr_value())) {
                Some(((_, name), value)) => {
                    out.push_str(name);
                    out.push('=');
                    escaped(&value, &mut out);
                }
                None => {
                    match known {
                        Some((_, name)) => out.push_str(name),
                        None => out.push_str(&attribute.attr_type().to_id_string()),
                    }
                    out.push_str("=#");
                    let value = attribute.attr_value();
                    push_hex(&value.header.to_der_vec().unwrap_or_default(), &mut out);
                    push_hex(value.data, &mut out);
                }
            }
        }
    }
    out
}

/// The text of a string type; none of another.
fn text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    Some(match value.tag() {
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        Tag::UniversalString => {
            let points = bytes.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]));
            points.map(|p| char::from_u32(p).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        // T.61 is never what is in there: UTF-8 or Latin-1 is.
        Tag::TeletexString => match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
        },
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => return None,
    })
}

/// RFC 4514 section 2.4.
fn escaped(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            '\0' => out.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            '#' if i == 0 => out.push_str("\\#"),
            ' ' if i == 0 || i == last => out.push_str("\\ "),
            _ => out.push(c),
        }
    }
}

/// Type and size of a key.
fn key(info: &SubjectPublicKeyInfo<'_>) -> (String, Option<u32>) {
    let algorithm = &info.algorithm.algorithm;
    let parameters = info.algorithm.parameters.as_ref();
    let (name, bits) = match () {
        () if *algorithm == oid!(1.2.840.113549.1.1.1) => ("rsa", first_integer_bits(&info.subject_public_key.data)),
        () if *algorithm == oid!(1.2.840.113549.1.1.10) => {
            ("rsa-pss", first_integer_bits(&info.subject_public_key.data))
        }
        () if *algorithm == oid!(1.2.840.10045.2.1) => ("ec", parameters.and_then(curve_bits)),
        // Parameters p, q, g (RFC 3279 section 2.3.2); the sequence's own header is not in the data.
        () if *algorithm == oid!(1.2.840.10040.4.1) => ("dsa", parameters.and_then(|p| integer_bits(p.data))),
        () if *algorithm == oid!(1.2.840.10046.2.1) || *algorithm == oid!(1.2.840.113549.1.3.1) => ("dh", None),
        () if *algorithm == oid!(1.3.101.112) => ("ed25519", Some(256)),
        () if *algorithm == oid!(1.3.101.113) => ("ed448", Some(456)),
        () => return (algorithm.to_id_string(), None),
    };
    (name.to_owned(), bits)
}

/// Bits of the first integer in a sequence: the modulus of an RSA key (RFC 8017 appendix A.1.1).
fn first_integer_bits(der: &[u8]) -> Option<u32> {
    let (_, sequence) = Any::from_der(der).ok()?;
    integer_bits(sequence.data)
}

/// Bits of an integer.
fn integer_bits(der: &[u8]) -> Option<u32> {
    let (_, integer) = Any::from_der(der).ok()?;
    if integer.tag() != Tag::Integer {
        return None;
    }
    let zeros = integer.data.iter().take_while(|b| **b == 0).count();
    let first = integer.data.get(zeros)?;
    Some(8 * (integer.data.len() - zeros) as u32 - first.leading_zeros())
}

/// Bits of the field of a named curve (SEC 2, RFC 5639).
fn curve_bits(parameters: &Any<'_>) -> Option<u32> {
    let curve = parameters.clone().oid().ok()?;
    let bits: &[(Oid<'_>, u32)] = &[
        (oid!(1.2.840.10045.3.1.7), 256),
        (oid!(1.3.132.0.34), 384),
        (oid!(1.3.132.0.35), 521),
        (oid!(1.3.132.0.33), 224),
        (oid!(1.2.840.10045.3.1.1), 192),
        (oid!(1.3.132.0.10), 256),
        (oid!(1.3.132.0.32), 224),
        (oid!(1.3.132.0.31), 192),
        (oid!(1.3.132.0.8), 160),
        (oid!(1.3.132.0.9), 160),
        (oid!(1.3.132.0.30), 160),
        (oid!(1.3.36.3.3.2.8.1.1.1), 160),
        (oid!(1.3.36.3.3.2.8.1.1.3), 192),
        (oid!(1.3.36.3.3.2.8.1.1.5), 224),
        (oid!(1.3.36.3.3.2.8.1.1.7), 256),
        (oid!(1.3.36.3.3.2.8.1.1.9), 320),
        (oid!(1.3.36.3.3.2.8.1.1.11), 384),
        (oid!(1.3.36.3.3.2.8.1.1.13), 512),
        (oid!(1.3.132.0.1), 163),
        (oid!(1.3.132.0.2), 163),
        (oid!(1.3.132.0.15), 163),
        (oid!(1.3.132.0.26), 233),
        (oid!(1.3.132.0.27), 233),
        (oid!(1.3.132.0.3), 239),
        (oid!(1.3.132.0.16), 283),
        (oid!(1.3.132.0.17), 283),
        (oid!(1.3.132.0.36), 409),
        (oid!(1.3.132.0.37), 409),
        (oid!(1.3.132.0.38), 571),
        (oid!(1.3.132.0.39), 571),
        // SM2 (GB/T 32918).
        (oid!(1.2.156.10197.1.301), 256),
    ];
    bits.iter().find(|(oid, _)| *oid == curve).map(|(_, n)| *n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tests/data/make_certificate.py: two names in one RDN, characters to escape, a BMPString, addresses.
    const DER: &[u8] = include_bytes!("../../../../../tests/data/certificate.der");

    #[test]
    fn what_is_read_of_a_certificate() {
        let leaf = leaf(DER).unwrap();
        let subject =
            r#"UID=7+emailAddress=a@example.test,1.2.3.4=#0c0161,CN=\#1 www.example.test\ ,O=Exämple\, \"Ltd\"\;"#;
        assert_eq!(leaf.subject, subject);
        assert_eq!((leaf.issuer.as_str(), leaf.self_signed), (subject, true));
        assert_eq!(leaf.sans.as_deref(), Some("www.example.test,192.0.2.1,2001:db8::1"));
        assert_eq!((leaf.key_type.as_str(), leaf.key_bits), ("ec", Some(256)));
        assert_eq!(leaf.not_after - leaf.not_before, 3600 * 24 * 10);
    }

    #[test]
    fn what_is_cut_is_none() {
        assert!((0..DER.len()).all(|n| leaf(&DER[..n]).is_none()));
    }

    proptest::proptest! {
        #[test]
        fn damage_is_survived(at: proptest::sample::Index, b: u8, cut: proptest::sample::Index) {
            let mut der = DER.to_vec();
            let at = at.index(der.len());
            der[at] = b;
            let _ = leaf(&der[..cut.index(der.len())]);
            let _ = leaf(&der);
        }
    }
}
