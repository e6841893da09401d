//! What shows that a TLS connection is one of Tor (tor-spec: "Negotiating channels", "Cell packet format"): made-up names
//! in the hello and in the certificate, and records that hold whole cells.

use std::ops::RangeInclusive;

use super::tls::{Facts, ext};

/// What holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The hello asks for a made-up name, and has no ALPN.
    pub sni: bool,
    /// The certificate has two made-up names.
    pub certificate: bool,
    /// Half or more of the records have the length of cells.
    pub cells: bool,
}

impl Evidence {
    /// Of a TLS connection over TCP. `names`: issuer and subject of the leaf, in text (RFC 4514).
    pub fn of(facts: &Facts, names: Option<(&str, &str)>) -> Self {
        let hello = facts.client.as_ref();
        let name = hello.filter(|h| !h.has(ext::ALPN)).and_then(|h| h.server_name());
        Self {
            sni: name.is_some_and(|n| is_made_up(n, 4..=25, &[b".com"])),
            certificate: names.is_some_and(|(issuer, subject)| {
                let made_up =
                    |dn: &str| dn.strip_prefix("CN=").is_some_and(|n| is_made_up(n.as_bytes(), IN_CERTIFICATE, &ENDS));
                made_up(issuer) && made_up(subject) && issuer != subject
            }),
            cells: has_cells(facts).unwrap_or(false),
        }
    }

    /// 0 to 1.
    pub fn confidence(&self) -> f64 {
        let tenths = 2 * u8::from(self.sni) + 6 * u8::from(self.certificate) + 4 * u8::from(self.cells);
        f64::from(tenths.min(10)) / 10.0
    }

    /// Names of the rules that hold.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        let all = [(self.sni, "tor_sni"), (self.certificate, "tor_certificate"), (self.cells, "tor_cells")];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name)
    }
}

/// Whether a certificate (DER) can be Tor's: there are two made-up names in it. Spares the reading of all others.
pub fn may_be_certificate(der: &[u8]) -> bool {
    let begins = |at: &usize| der.get(at + 4..).is_some_and(begins_as_made_up);
    memchr::memmem::find_iter(der, b"www.").filter(begins).nth(1).is_some()
}

/// Whether this can be what follows `www.` in a name of a certificate.
fn begins_as_made_up(rest: &[u8]) -> bool {
    let letters = rest.iter().take_while(|b| is_letter(**b)).count();
    let end = rest.get(letters..).unwrap_or_default();
    IN_CERTIFICATE.contains(&letters) && ENDS.iter().any(|e| end.starts_with(e))
}

/// Letters of the names in certificates, and their ends.
const IN_CERTIFICATE: RangeInclusive<usize> = 8..=20;
const ENDS: [&[u8]; 2] = [b".com", b".net"];

/// Base 32 (RFC 4648 section 6).
fn is_letter(b: u8) -> bool {
    matches!(b, b'a'..=b'z' | b'2'..=b'7')
}

/// `www.` with so many letters and one of these ends.
fn is_made_up(name: &[u8], length: RangeInclusive<usize>, ends: &[&[u8]]) -> bool {
    let Some(rest) = name.strip_prefix(b"www.") else { return false };
    let Some(middle) = ends.iter().find_map(|end| rest.strip_suffix(*end)) else { return false };
    length.contains(&middle.len()) && middle.iter().all(|b| is_letter(*b))
}

/// Whether records have the length of cells under the cipher suite that was chosen.
fn has_cells(facts: &Facts) -> Option<bool> {
    let server = facts.server.as_ref()?;
    let records = &facts.records;
    let cells = match server.cipher {
        _ if server.is_13() => records.tls13,
        0x009c..=0x009f | 0xc02b | 0xc02c | 0xc02f | 0xc030 => records.gcm,
        0xcca8..=0xccaa => records.chacha20,
        0x002f | 0x0033 | 0x0035 | 0x0039 | 0xc009 | 0xc00a | 0xc013 | 0xc014 => {
            if server.version() <= 0x0301 {
                records.cbc_implicit_iv
            } else {
                records.cbc
            }
        }
        _ => return None,
    };
    Some(records.all >= 8 && u64::from(cells) * 2 >= u64::from(records.all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names() {
        let made_up = |n: &str| is_made_up(n.as_bytes(), 4..=25, &[b".com"]);
        assert!(made_up("www.abcd.com") && made_up("www.a2b3c4d5e6f7abcdefghijklm.com"));
        for no in
            ["www.abc.com", "www.abcd.net", "www.abc1.com", "www.Abcd.com", "abcd.com", "www.ab.cd.com", "www..com"]
        {
            assert!(!made_up(no), "{no}");
        }
        assert!(!made_up("www.a2b3c4d5e6f7abcdefghijklmn.com"));
    }

    #[test]
    fn certificates_without_two_made_up_names_are_not_read() {
        let names = |a: &str, b: &str| may_be_certificate(format!("0\u{3}{a}\u{c}\u{13}{b}\u{0}").as_bytes());
        assert!(names("www.a2b3c4d5.com", "www.abcdefghijklmnopqrst.net"));
        assert!(!names("www.a2b3c4d5.com", "www.example.org"));
        assert!(!names("www.a2b3c4d5.com", "www.abcdefghijklmnopqrstu.net"));
        assert!(!names("www.a2b3c4d5.com", "a2b3c4d5.com"));
    }

    #[test]
    fn evidence_adds_up_to_one_at_most() {
        let e = |sni, certificate, cells| Evidence { sni, certificate, cells }.confidence();
        assert_eq!((e(true, false, true), e(false, true, true), e(true, true, true)), (0.6, 1.0, 1.0));
        assert_eq!(
            Evidence { sni: true, certificate: false, cells: true }.rules().collect::<Vec<_>>(),
            ["tor_sni", "tor_cells"]
        );
    }
}
