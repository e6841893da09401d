//! Start lines of HTTP/1 (RFC 9112 section 3 and 4) and of the protocols made after it: RTSP (RFC 2326, 7826), SIP
//! (RFC 3261).

use memchr::memchr;

use super::Probe;

/// Longest line that is read: servers refuse longer ones (nginx and Apache from 8 KiB on, by default).
pub const MAX_LINE: usize = 16 << 10;

/// A protocol with such start lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// HTTP/1.x, with x.
    Http1(u8),
    /// RTSP.
    Rtsp,
    /// SIP.
    Sip,
}

impl Family {
    /// From the version at the end of a request line, or at the start of a status line.
    fn of_version(version: &[u8]) -> Option<Self> {
        match version {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', x @ b'0'..=b'9'] => Some(Self::Http1(x - b'0')),
            [b'R', b'T', b'S', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Some(Self::Rtsp),
            b"SIP/2.0" => Some(Self::Sip),
            _ => None,
        }
    }
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLine<'a> {
    /// Protocol.
    pub family: Family,
    /// What it asks or answers.
    pub kind: Kind<'a>,
    /// Its length with the line end.
    pub len: usize,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A request.
    Request {
        /// Its method.
        method: &'a [u8],
        /// Its target.
        target: &'a [u8],
    },
    /// A response with this status.
    Response(u16),
}

/// The next line without its end (CRLF or LF), and its length with it.
pub fn line(bytes: &[u8]) -> Probe<(&[u8], usize)> {
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    match memchr(b'\n', window) {
        Some(end) => {
            let text = window.get(..end).unwrap_or_default();
            Probe::Certain((text.strip_suffix(b"\r").unwrap_or(text), end + 1))
        }
        None if window.len() < MAX_LINE => Probe::NeedMore,
        None => Probe::NotThis,
    }
}

/// `METHOD SP target SP version` (the method 2 to 20 of A–Z, `_`, `-`) or `version SP 3 digits [SP reason]`, ended by CRLF or LF.
pub fn start_line(bytes: &[u8]) -> Probe<StartLine<'_>> {
    // Most of what is no start line is known by its first bytes.
    let word = bytes.iter().position(|b| !matches!(b, b'A'..=b'Z' | b'_' | b'-'));
    let begins = bytes.first().is_none_or(u8::is_ascii_uppercase);
    match word.map(|n| (n, bytes.get(n).copied())) {
        _ if !begins => return Probe::NotThis,
        None if bytes.len() > 20 => return Probe::NotThis,
        Some((2..=20, Some(b' ' | b'/'))) | None => {}
        _ => return Probe::NotThis,
    }
    let (text, len) = match line(bytes) {
        Probe::Certain(found) => found,
        Probe::NeedMore => return Probe::NeedMore,
        Probe::NotThis => return Probe::NotThis,
    };
    let mut parts = text.splitn(2, |b| *b == b' ');
    let (first, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let found = match Family::of_version(first) {
        Some(family) => status(rest).map(|status| (family, Kind::Response(status))),
        None => request(first, rest),
    };
    match found {
        Some((family, kind)) => Probe::Certain(StartLine { family, kind, len }),
        None => Probe::NotThis,
    }
}

fn status(rest: &[u8]) -> Option<u16> {
    let digits = rest.get(..3)?;
    let ends = matches!(rest.get(3), None | Some(b' '));
    (ends && digits.iter().all(u8::is_ascii_digit)).then(|| digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
}

fn request<'a>(method: &'a [u8], rest: &'a [u8]) -> Option<(Family, Kind<'a>)> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let (target, version) = (rest.get(..space)?, rest.get(space + 1..)?);
    let sound = (2..=20).contains(&method.len()) && !target.is_empty();
    sound.then_some((Family::of_version(version)?, Kind::Request { method, target }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(text: &str) -> Option<(Family, bool)> {
        start_line(text.as_bytes()).certain().map(|l| (l.family, matches!(l.kind, Kind::Request { .. })))
    }

    #[test]
    fn start_lines_are_told_apart() {
        assert_eq!(family("GET / HTTP/1.1\r\n"), Some((Family::Http1(1), true)));
        assert_eq!(family("M-SEARCH * HTTP/1.0\n"), Some((Family::Http1(0), true)));
        assert_eq!(family("HTTP/1.1 200\r\n"), Some((Family::Http1(1), false)));
        assert_eq!(family("SETUP rtsp://x RTSP/1.0\r\n"), Some((Family::Rtsp, true)));
        assert_eq!(family("SIP/2.0 100 Trying\r\n"), Some((Family::Sip, false)));
        for no in [
            "GET / HTTP/2.0\r\n",
            "GET  HTTP/1.1\r\n",
            "get / HTTP/1.1\r\n",
            "G / HTTP/1.1\r\n",
            "GET /\r\n",
            "HTTP/1.1 20\r\n",
            "HTTP/1.1 2000\r\n",
            "-GET / HTTP/1.1\r\n",
            "GET / a HTTP/1.1\r\n",
            "EHLO x\r\n",
        ] {
            assert_eq!(start_line(no.as_bytes()), Probe::NotThis, "{no}");
        }
    }

    #[test]
    fn a_start_line_is_waited_for_as_long_as_it_may_be_one() {
        let text = b"OPTIONS * HTTP/1.1\r\n";
        assert!((0..text.len()).all(|n| start_line(&text[..n]) == Probe::NeedMore));
        assert_eq!(start_line(b"ABCDEFGHIJKLMNOPQRSTU"), Probe::NotThis);
        assert_eq!(start_line(&[b"GET /", &[b'x'; MAX_LINE][..]].concat()), Probe::NotThis);
    }
}
