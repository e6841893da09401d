//! What a direction of a connection begins with.

use crate::protocols::start_line::{Family, Kind, start_line};
use crate::protocols::tls::{Hello, looks_like_hello};
use crate::protocols::vpn::OpenVpnStream;
use crate::protocols::{Probe, http2, ssh};
use crate::wire::Reader;

/// Longest NetBIOS session request that is stepped over: two encoded names of 34 bytes, with scopes (RFC 1002 section 4.3.2).
const MAX_SESSION_REQUEST: usize = 512;

/// The start of a direction, as far as it identifies the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Start {
    ClientHello,
    ServerHello,
    SshBanner,
    /// The same behind other lines.
    SshAfterLines,
    HttpRequest,
    HttpResponse,
    /// The connection preface of HTTP/2.
    Http2Preface,
    /// A SETTINGS frame, as of a server.
    Http2Settings,
    OpenVpn,
    Pptp,
    BitTorrent,
    Smb,
    Rtsp,
    Sip,
    /// `220`, before the other side has sent anything.
    Greeting220,
    /// `+OK`, likewise.
    GreetingPop3,
    /// `* OK` or `* PREAUTH`, likewise.
    GreetingImap,
    /// 5, number of methods, methods.
    Socks5,
    Rdp,
    Mqtt,
    /// Text that is nothing of the above.
    Text,
}

impl Start {
    /// A bit of its own.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// What these bytes begin with. A greeting is one from either end.
    pub fn of(bytes: &[u8]) -> Probe<Self> {
        let Some(&first) = bytes.first() else { return Probe::NeedMore };
        let found = match first {
            0x16 => looks_like_hello(bytes).map(|hello| match hello {
                Hello::Client => Self::ClientHello,
                Hello::Server => Self::ServerHello,
            }),
            b'A'..=b'Z' => return text(bytes),
            b'2' => begins(bytes, b"220", Self::Greeting220),
            b'+' => begins(bytes, b"+OK", Self::GreetingPop3),
            b'*' => either(begins(bytes, b"* OK", Self::GreetingImap), begins(bytes, b"* PREAUTH", Self::GreetingImap)),
            0x13 => begins(bytes, b"\x13BitTorrent protocol", Self::BitTorrent),
            0x05 => socks5(bytes),
            0x03 => rdp(bytes),
            0x10 => mqtt(bytes),
            0x81 | 0x82 => smb(bytes),
            0 => either(either(smb(bytes), pptp(bytes)), http2::settings(bytes).map(|()| Self::Http2Settings)),
            _ => Probe::NotThis,
        };
        match (found, first) {
            // Text that is no greeting may still be lines before an identification string of SSH.
            (Probe::NotThis, b'\r' | b'\n' | b' '..=b'~') => Probe::Certain(Self::Text),
            // All that the rules above have refused, so that they are not kept waiting.
            (Probe::NotThis, _) => match OpenVpnStream::may_begin(bytes) {
                Some(true) => Probe::Certain(Self::OpenVpn),
                Some(false) => other_text(bytes),
                None => Probe::NeedMore,
            },
            _ => found,
        }
    }
}

/// Text that begins with a tab, an escape sequence or a character beyond ASCII in UTF-8 (RFC 4253 section 4.2).
fn other_text(bytes: &[u8]) -> Probe<Start> {
    let len = match bytes.first() {
        Some(b'\t' | b'\x1b') => 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return Probe::NotThis,
    };
    let first = bytes.get(..len).unwrap_or(bytes);
    match std::str::from_utf8(first) {
        Ok(_) => Probe::Certain(Start::Text),
        Err(problem) if problem.error_len().is_none() => Probe::NeedMore,
        Err(_) => Probe::NotThis,
    }
}

/// The first that is certain; else, if one of both may be, more bytes are needed.
fn either<T>(a: Probe<T>, b: Probe<T>) -> Probe<T> {
    match (a, b) {
        (Probe::Certain(found), _) | (_, Probe::Certain(found)) => Probe::Certain(found),
        (Probe::NeedMore, _) | (_, Probe::NeedMore) => Probe::NeedMore,
        _ => Probe::NotThis,
    }
}

fn begins(bytes: &[u8], with: &[u8], start: Start) -> Probe<Start> {
    match bytes.get(..with.len()) {
        Some(bytes) if bytes == with => Probe::Certain(start),
        Some(_) => Probe::NotThis,
        None if with.starts_with(bytes) => Probe::NeedMore,
        None => Probe::NotThis,
    }
}

/// Bytes that begin with a capital letter.
fn text(bytes: &[u8]) -> Probe<Start> {
    let banner = ssh::Banner::parse(bytes).map(|_| Start::SshBanner);
    let preface = http2::preface(bytes).map(|()| Start::Http2Preface);
    // Anything is one of three by its first letters, so that the others do not keep it waiting.
    match either(banner, preface) {
        Probe::NotThis => {}
        found => return found,
    }
    match start_line(bytes) {
        Probe::Certain(line) => Probe::Certain(match (line.family, line.kind) {
            (Family::Http1(_), Kind::Request { .. }) => Start::HttpRequest,
            (Family::Http1(_), Kind::Response(_)) => Start::HttpResponse,
            (Family::Rtsp, _) => Start::Rtsp,
            (Family::Sip, _) => Start::Sip,
        }),
        Probe::NeedMore => Probe::NeedMore,
        Probe::NotThis => Probe::Certain(Start::Text),
    }
}

/// A message of SMB version 1 or 2, at once or behind one request for a NetBIOS session or its answer.
fn smb(bytes: &[u8]) -> Probe<Start> {
    let mut r = Reader::new(bytes);
    if let [0x81 | 0x82, ..] = bytes {
        r.u8();
        let Some(len) = r.u24() else { return Probe::NeedMore };
        if len as usize > MAX_SESSION_REQUEST {
            return Probe::NotThis;
        }
        if r.take(len as usize).is_none() {
            return Probe::NeedMore;
        }
    }
    let expected = |at: usize, f: fn(u8) -> bool| r.rest().get(at).is_none_or(|b| f(*b));
    let begins = expected(0, |b| b == 0)
        && expected(4, |b| b >= 0xfe)
        && expected(5, |b| b == b'S')
        && expected(6, |b| b == b'M')
        && expected(7, |b| b == b'B');
    let sound = |len: u32| len & 0x00ff_ffff >= 36;
    match (begins, r.array::<8>()) {
        (true, Some([_, a, b, c, ..])) if sound(u32::from_be_bytes([0, a, b, c])) => Probe::Certain(Start::Smb),
        (true, None) => Probe::NeedMore,
        _ => Probe::NotThis,
    }
}

/// A control message (RFC 2637 section 1.4): length, type 1, magic cookie.
fn pptp(bytes: &[u8]) -> Probe<Start> {
    let expected = [(2, 0u8), (3, 1), (4, 0x1a), (5, 0x2b), (6, 0x3c), (7, 0x4d)];
    let sound = expected.iter().all(|(at, value)| bytes.get(*at).is_none_or(|b| b == value));
    match (sound, bytes.len() >= 8) {
        (false, _) => Probe::NotThis,
        (true, false) => Probe::NeedMore,
        (true, true) => Probe::Certain(Start::Pptp),
    }
}

/// A client's choice of methods (RFC 1928 section 3).
fn socks5(bytes: &[u8]) -> Probe<Start> {
    match bytes.get(1) {
        None => Probe::NeedMore,
        Some(0) => Probe::NotThis,
        Some(n) if bytes.len() >= 2 + usize::from(*n) => Probe::Certain(Start::Socks5),
        Some(_) => Probe::NeedMore,
    }
}

/// TPKT (RFC 1006) with a connection request of X.224, and a cookie or a negotiation request (MS-RDPBCGR 2.2.1.1).
fn rdp(bytes: &[u8]) -> Probe<Start> {
    let expected = |at: usize, value: u8| bytes.get(at).is_none_or(|b| *b == value);
    if !expected(1, 0) || !expected(5, 0xe0) {
        return Probe::NotThis;
    }
    let Some(request) = bytes.get(11..) else { return Probe::NeedMore };
    let cookie = begins(request, b"Cookie: ", Start::Rdp);
    let negotiation = match request {
        [] => Probe::NeedMore,
        [1, _, 8, 0, ..] => Probe::Certain(Start::Rdp),
        [1, rest @ ..] if rest.len() < 3 => Probe::NeedMore,
        _ => Probe::NotThis,
    };
    either(cookie, negotiation)
}

/// CONNECT (MQTT 5.0 section 3.1; version 3.1 has another name).
fn mqtt(bytes: &[u8]) -> Probe<Start> {
    // The remaining length takes one to four bytes, all but the last of which have their top bit set.
    let lengths = bytes.get(1..).unwrap_or_default();
    let Some(n) = lengths.iter().take(4).position(|b| b & 0x80 == 0) else {
        return if lengths.len() < 4 { Probe::NeedMore } else { Probe::NotThis };
    };
    let name = lengths.get(n + 1..).unwrap_or_default();
    either(begins(name, b"\0\x04MQTT", Start::Mqtt), begins(name, b"\0\x06MQIsdp", Start::Mqtt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: &[(&[u8], Start)] = &[
        (b"SSH-2.0-x\r\n", Start::SshBanner),
        (b"GET / HTTP/1.1\r\n", Start::HttpRequest),
        (b"HTTP/1.1 200 OK\r\n", Start::HttpResponse),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Start::Http2Preface),
        (&[0, 0, 6, 4, 0, 0, 0, 0, 0], Start::Http2Settings),
        (&[0, 14, 0x38, 0, 0, 0, 0, 0, 0, 0, 1], Start::OpenVpn),
        (&[0x16, 3, 0x38, 0, 0, 0, 0, 0, 0, 0, 1], Start::OpenVpn),
        (&[0, 0x9c, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d], Start::Pptp),
        (b"\x13BitTorrent protocol", Start::BitTorrent),
        (b"\0\0\0\x54\xffSMB", Start::Smb),
        (b"\x82\0\0\0\0\0\0\x54\xfeSMB", Start::Smb),
        (b"OPTIONS rtsp://a RTSP/1.0\r\n", Start::Rtsp),
        (b"SIP/2.0 200 OK\r\n", Start::Sip),
        (b"220", Start::Greeting220),
        (b"+OK", Start::GreetingPop3),
        (b"* OK", Start::GreetingImap),
        (b"* PREAUTH", Start::GreetingImap),
        (&[5, 2, 0, 2], Start::Socks5),
        (b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: ", Start::Rdp),
        (b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0", Start::Rdp),
        (b"\x10\x0c\0\x04MQTT", Start::Mqtt),
        (b"\x10\x8c\x01\0\x06MQIsdp", Start::Mqtt),
        (b"EHLO x\r\n", Start::Text),
        (b"welcome", Start::Text),
    ];

    #[test]
    fn starts_are_known_with_their_last_byte() {
        for (bytes, start) in ALL {
            assert_eq!(Start::of(bytes), Probe::Certain(*start));
            assert_eq!(Start::of(&[bytes, &b"\r\nmore"[..]].concat()), Probe::Certain(*start));
            if *start != Start::Text {
                assert_eq!(Start::of(&bytes[..bytes.len() - 1]), Probe::NeedMore, "{start:?}");
            }
        }
    }

    #[test]
    fn other_starts_are_none() {
        let none: &[&[u8]] = &[
            b"\0\0\0\x20\xffSMB",
            b"\0\0\0\x54\xfdSMB",
            &[5, 0, 1],
            &[0xff, 0xfd, 1],
            &[0x16, 3, 1, 0, 0],
            &[3, 1, 1],
            &[0x10, 0xff, 0xff, 0xff, 0xff],
            &[0, 14, 0x38, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x81, 0, 3, 0],
        ];
        for bytes in none {
            assert_eq!(Start::of(bytes), Probe::NotThis, "{bytes:x?}");
        }
    }

    proptest! {
        /// What is certain of a prefix is certain of all that begins so.
        #[test]
        fn more_bytes_do_not_change_an_answer(start in 0..ALL.len(), keep in 0usize..30, more in prop::collection::vec(any::<u8>(), 0..30)) {
            let bytes = ALL[start].0;
            let all = [&bytes[..keep.min(bytes.len())], &more].concat();
            for n in 0..all.len() {
                let answer = Start::of(&all[..n]);
                if answer != Probe::NeedMore {
                    prop_assert_eq!(answer, Start::of(&all));
                }
            }
        }
    }
}
