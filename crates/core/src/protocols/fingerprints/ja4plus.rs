//! JA4S, JA4H, JA4L, JA4X, JA4SSH, JA4T and JA4TS, by FoxIO's "JA4+ technical details". Written from these, without any of
//! FoxIO's code; the methods are under the FoxIO License 1.1 (non-commercial purposes only), so they are part of a build that
//! asked for them only. See NOTICE.

use std::fmt::{self, Write};

use super::Over;
use super::ja4::{alpn, hash12, hex4, version};
use crate::digits::Ascii;
use crate::protocols::http1::{Fields, Request};
use crate::protocols::tls::{Identifiers, ServerHello};
use crate::trackers::{Opening, SynSegment, Window};

/// JA4S of a ServerHello.
pub fn ja4s(hello: &ServerHello, over: Over, out: &mut impl Ascii) -> fmt::Result {
    let extensions = hello.extensions();
    let (first, last) = alpn(hello.alpn().unwrap_or_default());
    let count = extensions.len().min(99);
    write!(out, "{}{}{count:02}{first}{last}_{:04x}_", over.letter(), version(hello.version()), hello.cipher)?;
    hash12(out, extensions.is_empty(), |out| hex4(out, extensions))
}

/// JA4H of a request whose fields were read.
pub fn ja4h(request: &Request, fields: &Fields, out: &mut impl Ascii) -> fmt::Result {
    request.method.chars().take(2).try_for_each(|c| out.write_char(c.to_ascii_lowercase()))?;
    let cookie = if fields.cookies.is_some() { 'c' } else { 'n' };
    let referer = if fields.referer { 'r' } else { 'n' };
    write!(out, "1{}{cookie}{referer}{:02}", request.minor.min(9), fields.count.min(99))?;
    let tag = fields.language.as_ref().map_or(&[][..], |l| l.as_slice());
    let letters = tag.iter().take_while(|b| !matches!(b, b',' | b';' | 0)).filter(|b| **b != b'-');
    let letters = letters.map(|b| b.to_ascii_lowercase().into()).chain(std::iter::repeat('0'));
    letters.take(4).try_for_each(|c| out.write_char(c))?;
    out.write_char('_')?;
    // FoxIO's programs hash the empty list of names, but write zeros for no cookies.
    hash12(out, false, |out| out.write_str(&String::from_utf8_lossy(&fields.names)))?;
    let mut cookies: Vec<_> =
        fields.cookies.iter().flat_map(|c| c.split(|b| *b == b';')).map(<[u8]>::trim_ascii).collect();
    cookies.retain(|c| !c.is_empty());
    let name = |cookie: &[u8]| cookie.iter().position(|b| *b == b'=').unwrap_or(cookie.len());
    cookies.sort_by(|a, b| a.get(..name(a)).cmp(&b.get(..name(b))));
    for whole in [false, true] {
        out.write_char('_')?;
        hash12(out, cookies.is_empty(), |out| {
            joined(out, ',', cookies.iter().copied(), |out, cookie| {
                let shown = if whole { cookie } else { cookie.get(..name(cookie)).unwrap_or_default() };
                out.write_str(&String::from_utf8_lossy(shown))
            })
        })?;
    }
    Ok(())
}

/// JA4X of a certificate.
pub fn ja4x(identifiers: &Identifiers, out: &mut impl Ascii) -> fmt::Result {
    for (i, list) in [&identifiers.issuer, &identifiers.subject, &identifiers.extensions].into_iter().enumerate() {
        if i > 0 {
            out.write_char('_')?;
        }
        hash12(out, list.is_empty(), |out| {
            joined(out, ',', list, |out, oid| oid.iter().try_for_each(|b| write!(out, "{b:02x}")))
        })?;
    }
    Ok(())
}

/// JA4T of a SYN; of a SYN-ACK, JA4TS without what was sent again.
pub fn ja4t(syn: &SynSegment, out: &mut impl Ascii) -> fmt::Result {
    write!(out, "{}_", syn.window)?;
    match syn.kinds() {
        [] => out.write_str("00")?,
        kinds => joined(out, '-', kinds, |out, kind| write!(out, "{kind}"))?,
    }
    match syn.mss.filter(|mss| *mss > 0) {
        Some(mss) => write!(out, "_{mss}")?,
        None => out.write_str("_00")?,
    }
    match syn.scale.filter(|scale| *scale > 0) {
        Some(scale) => write!(out, "_{scale}"),
        None => out.write_str("_00"),
    }
}

/// JA4TS: that of the SYN-ACK, and the delays of what was sent again.
pub fn ja4ts(opening: &Opening, out: &mut impl Ascii) -> Option<()> {
    ja4t(opening.syn_ack.as_ref()?, out).ok()?;
    if !opening.resent().is_empty() {
        out.write_char('_').ok()?;
        joined(out, '-', opening.resent(), |out, delay| write!(out, "{delay}")).ok()?;
        if let Some(delay) = opening.reset {
            write!(out, "-R{delay}").ok()?;
        }
    }
    Some(())
}

/// JA4L: half of a time between two packets in whole microseconds, and a TTL.
pub fn ja4l(from: i64, to: i64, ttl: u8, out: &mut impl Ascii) -> Option<()> {
    let time = to.checked_sub(from).filter(|time| *time >= 0)?;
    write!(out, "{}_{ttl}", time / 2_000).ok()
}

/// JA4SSH of a window of segments. The client is the side with this index.
pub fn ja4ssh(window: &Window, client: usize, out: &mut impl Ascii) -> fmt::Result {
    for (i, [a, b]) in [window.mode, window.segments, window.acks].into_iter().enumerate() {
        let (c, s) = if client == 0 { (a, b) } else { (b, a) };
        write!(out, "{}c{c}s{s}", if i > 0 { "_" } else { "" })?;
    }
    Ok(())
}

/// Writes values with a separator between them.
fn joined<W: Write, T: Copy>(
    out: &mut W,
    separator: char,
    values: impl IntoIterator<Item = T>,
    one: impl Fn(&mut W, T) -> fmt::Result,
) -> fmt::Result {
    for (i, value) in values.into_iter().enumerate() {
        if i > 0 {
            out.write_char(separator)?;
        }
        one(out, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
        let mut out = String::new();
        assert!(write(&mut out).is_ok());
        out
    }

    fn oids(text: &str) -> Vec<Vec<u8>> {
        let byte = |hex: &str| u8::from_str_radix(hex, 16).unwrap();
        text.split(',').map(|oid| (0..oid.len()).step_by(2).map(|i| byte(&oid[i..i + 2])).collect()).collect()
    }

    #[test]
    fn the_example_of_ja4x() {
        let names = oids("550403,550406,550408,55040a");
        let extensions = oids("551d0f,551d25,551d11");
        let all = Identifiers { issuer: names.clone(), subject: names, extensions };
        assert_eq!(text(|out| ja4x(&all, out)), "96a6439c8f5c_96a6439c8f5c_aae71e8db6d7");
        let none = "000000000000";
        assert_eq!(text(|out| ja4x(&Identifiers::default(), out)), [none; 3].join("_"));
    }

    #[test]
    fn a_request_without_anything() {
        let request = Request { method: "GET".into(), minor: 0, host: None, user_agent: None, fields: None };
        let ja4h = text(|out| ja4h(&request, &Fields::default(), out));
        assert_eq!(ja4h, "ge10nn000000_e3b0c44298fc_000000000000_000000000000");
    }

    #[test]
    fn latency_is_half_and_whole() {
        let mut out = String::new();
        assert!(ja4l(1_000, 3_519_999, 42, &mut out).is_some());
        assert_eq!(out, "1759_42");
        assert!(ja4l(2, 1, 42, &mut out).is_none());
    }

    #[test]
    fn the_client_comes_first() {
        let window = Window { mode: [36, 76], segments: [51, 80], acks: [69, 0] };
        assert_eq!(text(|out| ja4ssh(&window, 0, out)), "c36s76_c51s80_c69s0");
        assert_eq!(text(|out| ja4ssh(&window, 1, out)), "c76s36_c80s51_c0s69");
    }
}
