//! The streams of a connection: what each direction begins with, and the sessions that follow it.

use super::start::Start;
use crate::packet::Side;
use crate::protocols::vpn::{Evidence, OpenVpnStream};
use crate::protocols::{Probe, Session as StreamSession, Shown, Taken, http1, http2, ssh};

/// Lines that a server may send before its identification string (RFC 4253 section 4.2 gives no number).
const MAX_LINES: u8 = 64;

/// Longest of those lines: what is longer is no text that a client would show to its user.
const MAX_LINE: usize = 4096;

/// Where commands of SMTP, FTP and POP3 are looked for.
const COMMANDS_WITHIN: u64 = 4096;

const GREETINGS: u32 = Start::Greeting220.bit() | Start::GreetingPop3.bit() | Start::GreetingImap.bit();

/// What is to be followed behind its start. What is not, is recognised only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Follow {
    pub ssh: bool,
    pub http1: bool,
    pub http1_fields: bool,
    pub http2: bool,
    pub openvpn: bool,
}

/// Commands that a client sent, a bit each.
pub(super) mod command {
    pub const SMTP: u8 = 1;
    pub const FTP: u8 = 2;
    pub const POP3: u8 = 4;
}

/// Who reads a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reader {
    /// None yet: the start of the stream is not known.
    #[default]
    Start,
    /// Lines of text, of which so many were read: commands, and those that may come before an identification string.
    Lines(u8),
    /// What a client sends through a proxy that has let it.
    Tunnel,
    Ssh,
    Http1,
    Http2,
    OpenVpn,
    Done,
}

/// What is known of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Direction {
    reader: Reader,
    /// Bits of all starts, over all connections of the flow.
    starts: u32,
    /// Bits of [`command`].
    commands: u8,
    /// The second byte, where the first is 5; the methods offered, where these are methods.
    socks: Option<(u8, Box<[u8]>)>,
}

/// Both directions of a connection: all protocols but TLS and DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    follow: Follow,
    sides: [Direction; 2],
    /// Who sent the first bytes of this connection.
    first: Option<Side>,
    /// SOCKS: an offer and an answer that fits.
    pub(super) socks5: bool,
    ssh: Option<Box<ssh::Session>>,
    http1: Option<Box<http1::Session>>,
    http2: Option<Box<http2::Session>>,
    openvpn: Option<Box<OpenVpnStream>>,
}

impl Stream {
    /// Most bytes on the heap.
    pub const MAX_HEAP: usize = size_of::<ssh::Session>()
        + ssh::Session::MAX_HEAP
        + size_of::<http1::Session>()
        + http1::Session::MAX_HEAP
        + size_of::<http2::Session>()
        + http2::Session::MAX_HEAP
        + size_of::<OpenVpnStream>()
        + 2 * 255;

    /// Before the first byte.
    pub fn new(follow: Follow) -> Self {
        Self { follow, ..Self::default() }
    }

    /// SSH.
    pub fn ssh(&self) -> Option<&ssh::Session> {
        self.ssh.as_deref()
    }

    /// HTTP/1 in clear.
    pub fn http1(&self) -> Option<&http1::Session> {
        self.http1.as_deref()
    }

    /// HTTP/2 in clear, from its preface on or after `Upgrade: h2c`.
    pub fn http2(&self) -> Option<&http2::Session> {
        self.http2.as_deref().or_else(|| self.http1.as_ref()?.http2.as_deref())
    }

    /// Tunnels over TCP.
    pub fn vpn(&self) -> impl Iterator<Item = Evidence> {
        let pptp = self.any(Start::Pptp).then_some(Evidence::PPTP);
        [self.openvpn.as_ref().and_then(|o| o.messages.evidence()), pptp].into_iter().flatten()
    }

    /// Whether a direction has begun so.
    pub fn began(&self, side: Side, start: Start) -> bool {
        self.sides[side as usize].starts & start.bit() != 0
    }

    /// Whether any direction has begun so.
    pub fn any(&self, start: Start) -> bool {
        self.began(Side::A, start) || self.began(Side::B, start)
    }

    pub(super) fn sent(&self, side: Side, commands: u8) -> bool {
        self.sides[side as usize].commands & commands != 0
    }

    /// The flow has ended: frees what only further bytes would need.
    pub fn end(&mut self) {
        self.sides.iter_mut().for_each(|d| d.socks = None);
        if let Some(http1) = &mut self.http1 {
            http1.end();
        }
        self.openvpn.take_if(|o| o.messages.evidence().is_none());
    }

    /// Whether a direction has come to frames of HTTP/2.
    fn is_http2(&self, side: Side) -> bool {
        match self.sides[side as usize].reader {
            Reader::Http2 => true,
            Reader::Http1 => self.http1.as_ref().is_some_and(|http1| http1.is_http2(side)),
            _ => false,
        }
    }

    /// Whether a direction has come to another protocol than it began with, which lets the other one go on.
    fn goes_on_otherwise(&self, side: Side) -> bool {
        self.is_http2(side) || self.is_opened(side)
    }

    /// Whether a direction has come to what a response to CONNECT has opened.
    fn is_opened(&self, side: Side) -> bool {
        self.http1.as_ref().is_some_and(|http1| http1.is_opened(side))
    }

    /// The start of a direction has come.
    fn start(&mut self, side: Side, shown: &Shown<'_>) -> Probe<Reader> {
        let bytes = shown.bytes;
        let first = *self.first.get_or_insert(side);
        self.answer_to_socks(side, bytes);
        let start = match Start::of(bytes) {
            Probe::Certain(start) => Some(start),
            Probe::NeedMore => return Probe::NeedMore,
            Probe::NotThis => None,
        };
        let greeting = matches!(start, Some(Start::Greeting220 | Start::GreetingPop3 | Start::GreetingImap));
        // A start of TLS is one only at the start of the stream.
        let start = start.filter(|_| first == side || !greeting);
        if let Some(start) = start {
            self.sides[side as usize].starts |= start.bit();
        }
        if start != Some(Start::OpenVpn)
            && let Some(openvpn) = &mut self.openvpn
        {
            openvpn.refute();
        }
        let reader = |wanted: bool, reader: Reader| if wanted { reader } else { Reader::Done };
        let follow = self.follow;
        Probe::Certain(match start {
            Some(Start::SshBanner) => {
                self.ssh.get_or_insert_default();
                reader(follow.ssh, Reader::Ssh)
            }
            Some(Start::HttpRequest | Start::HttpResponse) => {
                // SSH may come behind the answer to CONNECT.
                let proxied = follow.ssh && (bytes.starts_with(b"CONNECT ") || self.http1.is_some());
                let wanted = follow.http1 || proxied;
                if wanted {
                    self.http1.get_or_insert_with(|| Box::new(http1::Session::new(follow.http1_fields)));
                }
                reader(wanted, Reader::Http1)
            }
            Some(Start::Http2Preface) => {
                if follow.http2 {
                    self.http2.get_or_insert_default().begins_with_preface(side);
                }
                reader(follow.http2, Reader::Http2)
            }
            Some(Start::OpenVpn) => {
                if follow.openvpn {
                    self.openvpn.get_or_insert_default();
                }
                reader(follow.openvpn, Reader::OpenVpn)
            }
            Some(Start::Text | Start::Greeting220 | Start::GreetingPop3 | Start::GreetingImap) => Reader::Lines(0),
            Some(Start::Socks5) => {
                let methods = bytes.get(2..2 + usize::from(bytes.get(1).copied().unwrap_or(0)));
                if let (Some((_, kept)), Some(methods)) = (&mut self.sides[side as usize].socks, methods) {
                    *kept = methods.into();
                }
                self.match_socks();
                Reader::Done
            }
            // The answer of a server to a preface that was seen, or is still to come.
            None | Some(Start::Http2Settings) => match self.sides[side.other() as usize].reader {
                Reader::Http2 => Reader::Http2,
                Reader::Start if follow.http2 && start.is_some() => return Probe::NeedMore,
                _ => Reader::Done,
            },
            Some(_) => Reader::Done,
        })
    }

    /// Notes a byte that may answer an offer of methods.
    fn answer_to_socks(&mut self, side: Side, bytes: &[u8]) {
        if let [5, second, ..] = bytes
            && self.sides[side as usize].socks.is_none()
        {
            self.sides[side as usize].socks = Some((*second, Box::default()));
            self.match_socks();
        }
    }

    fn match_socks(&mut self) {
        let [a, b] = &self.sides;
        if let (Some(a), Some(b)) = (&a.socks, &b.socks) {
            let answers = |offer: &[u8], answer: u8| !offer.is_empty() && (answer == 0xff || offer.contains(&answer));
            self.socks5 |= answers(&a.1, b.0) || answers(&b.1, a.0);
        }
    }

    /// One line of text: how long it is, and who reads what follows.
    fn line(&mut self, side: Side, offset: u64, bytes: &[u8], lines: u8) -> Probe<(usize, Reader)> {
        let other = self.sides[side.other() as usize].reader;
        let d = &mut self.sides[side as usize];
        // Who is answered by something else than SSH has greeted in another protocol, in which anybody's text may follow.
        let greets = d.starts & GREETINGS != 0 && !matches!(other, Reader::Start | Reader::Ssh);
        let may_be_ssh = (1..=MAX_LINES).contains(&lines) && !greets;
        if may_be_ssh && bytes.starts_with(b"SSH-") {
            match ssh::Banner::parse(bytes) {
                Probe::Certain(_) => {
                    d.starts |= Start::SshAfterLines.bit();
                    self.ssh.get_or_insert_default().begins_after_lines(side);
                    return Probe::Certain((0, if self.follow.ssh { Reader::Ssh } else { Reader::Done }));
                }
                Probe::NeedMore => return Probe::NeedMore,
                Probe::NotThis => {}
            }
        } else if may_be_ssh && b"SSH-".starts_with(bytes) {
            return Probe::NeedMore;
        }
        if lines >= MAX_LINES && offset >= COMMANDS_WITHIN {
            return Probe::NotThis;
        }
        let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
        match window.iter().position(|b| matches!(b, b'\n' | 0)) {
            Some(end) if window.get(end) == Some(&b'\n') => {
                if offset < COMMANDS_WITHIN {
                    d.commands |= commands(window.get(..end).unwrap_or_default());
                }
                Probe::Certain((end + 1, Reader::Lines(lines.saturating_add(1))))
            }
            None if window.len() < MAX_LINE => Probe::NeedMore,
            // A line of text has no NUL.
            _ => Probe::NotThis,
        }
    }

    fn read_on(&mut self, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken {
        let mut at = 0usize;
        loop {
            let rest = Shown {
                offset: shown.offset.saturating_add(at as u64),
                bytes: shown.bytes.get(at..).unwrap_or_default(),
                segment: shown.segment,
            };
            let mut taken = match self.sides[side as usize].reader {
                Reader::Start => {
                    match self.start(side, &rest) {
                        Probe::Certain(reader) => self.sides[side as usize].reader = reader,
                        Probe::NeedMore => return Taken::bytes(at as u64),
                        Probe::NotThis => self.sides[side as usize].reader = Reader::Done,
                    }
                    continue;
                }
                Reader::Lines(lines) => {
                    match self.line(side, rest.offset, rest.bytes, lines) {
                        Probe::Certain((n, reader)) => {
                            at += n;
                            self.sides[side as usize].reader = reader;
                        }
                        Probe::NeedMore => return Taken::bytes(at as u64),
                        Probe::NotThis => self.sides[side as usize].reader = Reader::Done,
                    }
                    continue;
                }
                Reader::Ssh => self.ssh.as_mut().map(|s| s.read(side, &rest, scratch)),
                Reader::Http1 => {
                    let taken = self.http1.as_mut().map(|s| s.read(side, &rest, scratch));
                    if self.is_opened(side) {
                        at += taken.map_or(0, |taken| taken.bytes as usize);
                        let asked = self.began(side, Start::HttpRequest);
                        // The response was lines that a server may send before its identification string.
                        self.sides[side as usize].reader = if asked { Reader::Tunnel } else { Reader::Lines(1) };
                        continue;
                    }
                    taken
                }
                Reader::Tunnel => {
                    self.sides[side as usize].reader = match ssh::Banner::parse(rest.bytes) {
                        Probe::Certain(_) => {
                            self.sides[side as usize].starts |= Start::SshBanner.bit();
                            self.ssh.get_or_insert_default();
                            if self.follow.ssh { Reader::Ssh } else { Reader::Done }
                        }
                        Probe::NeedMore => return Taken::bytes(at as u64),
                        Probe::NotThis => Reader::Done,
                    };
                    continue;
                }
                Reader::Http2 => self.http2.as_mut().map(|s| s.read(side, &rest, scratch)),
                Reader::OpenVpn => self.openvpn.as_mut().map(|s| s.read(side, &rest, scratch)),
                Reader::Done => None,
            }
            .unwrap_or(Taken::DONE);
            taken.bytes = taken.bytes.saturating_add(at as u64);
            return taken;
        }
    }
}

/// The commands that a line begins with.
fn commands(line: &[u8]) -> u8 {
    let word = line.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
    let mut upper = [0; 4];
    let Some(letters) = upper.get_mut(..word.len()) else { return 0 };
    letters.copy_from_slice(word);
    upper.make_ascii_uppercase();
    match &upper {
        b"EHLO" | b"HELO" => command::SMTP,
        b"USER" => command::FTP | command::POP3,
        b"AUTH" => command::FTP | command::POP3,
        b"FEAT" | b"SYST" => command::FTP,
        b"CAPA" | b"APOP" | b"STLS" | b"QUIT" => command::POP3,
        _ => 0,
    }
}

impl StreamSession for Stream {
    fn read(&mut self, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken {
        let before = self.goes_on_otherwise(side);
        let taken = self.read_on(side, shown, scratch);
        // What follows the preface, or the answer to `Upgrade: h2c` or CONNECT, may have come before it in the other direction.
        Taken { wakes: !before && self.goes_on_otherwise(side), ..taken }
    }

    fn lost(&mut self, side: Side) {
        self.sides[side as usize].reader = Reader::Done;
    }

    fn restart(&mut self) {
        self.first = None;
        for d in &mut self.sides {
            (d.reader, d.socks) = (Reader::Start, None);
        }
        if let Some(s) = &mut self.ssh {
            s.restart();
        }
        if let Some(s) = &mut self.http1 {
            s.restart();
        }
        if let Some(s) = &mut self.http2 {
            s.restart();
        }
        if let Some(s) = &mut self.openvpn {
            s.restart();
        }
    }

    fn heap_bytes(&self) -> usize {
        self.ssh.as_ref().map_or(0, |s| size_of::<ssh::Session>() + s.heap_bytes())
            + self.http1.as_ref().map_or(0, |s| size_of::<http1::Session>() + s.heap_bytes())
            + self.http2.as_ref().map_or(0, |s| size_of::<http2::Session>() + s.heap_bytes())
            + self.openvpn.as_ref().map_or(0, |_| size_of::<OpenVpnStream>())
            + self.sides.iter().filter_map(|d| d.socks.as_ref()).map(|(_, methods)| methods.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::Wire;
    use Side::{A, B};
    use proptest::prelude::*;

    const ALL: Follow = Follow { ssh: true, http1: true, http1_fields: true, http2: true, openvpn: true };

    fn wire(parts: &[(Side, &[u8])]) -> Wire<Stream> {
        let mut wire = Wire::new(Stream::new(ALL));
        parts.iter().for_each(|(side, bytes)| _ = wire.send(*side, bytes));
        wire
    }

    #[test]
    fn each_direction_is_read_as_what_it_begins_with() {
        let w = wire(&[(A, b"GET / HTTP/1.1\r\n\r\n"), (B, b"SSH-2.0-x\r\n")]);
        assert_eq!(w.session.http1().map(|h| h.requests), Some(1));
        assert!(w.session.ssh().is_some_and(|s| s.side(B).banner.is_some()));
        let w = wire(&[(A, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), (B, &[0xff; 9])]);
        assert!(w.session.began(A, Start::ClientHello) && w.is_done(A) && w.is_done(B));
        assert_eq!(w.session.heap_bytes(), 0);
    }

    #[test]
    fn an_identification_string_behind_lines() {
        let w = wire(&[(B, b"hello\r\nSS"), (B, b"H-1.99-x\r\n")]);
        let ssh = w.session.ssh().unwrap();
        assert!(w.session.began(B, Start::SshAfterLines) && ssh.side(B).after_lines && ssh.side(B).banner.is_some());
        let lines = |n: usize| [&b"x\n".repeat(n)[..], b"SSH-2.0-x\n"].concat();
        assert!(wire(&[(B, &lines(64))]).session.ssh().is_some());
        assert!(wire(&[(B, &lines(65))]).session.ssh().is_none());
        assert!(wire(&[(B, b"x\0\nSSH-2.0-x\n")]).session.ssh().is_none());
        for first in ["\u{2554}\u{2550} hello", "\thello", "\x1b[1mhello", "220 hello", "* OK hello", "", " "] {
            let text = format!("{first}\r\nSSH-2.0-x\r\n");
            let bytes = text.as_bytes();
            for cut in 0..bytes.len() {
                let w = wire(&[(B, &bytes[..cut]), (B, &bytes[cut..])]);
                assert!(w.session.ssh().is_some_and(|s| s.side(B).banner.is_some()), "{text:?} cut at {cut}");
            }
        }
        assert!(wire(&[(B, b"\xc3\xff\nSSH-2.0-x\n")]).session.ssh().is_none());
    }

    #[test]
    fn a_line_of_mail_is_no_identification_string() {
        let mail = b"+OK\r\n\r\nSSH-2.0-x\r\n.\r\n";
        assert!(wire(&[(B, b"+OK hi\r\n"), (A, b"USER a\r\n"), (B, mail)]).session.ssh().is_none());
        assert!(wire(&[(B, b"+OK hi\r\n"), (A, b"SSH-2.0-y\r\n"), (B, mail)]).session.ssh().is_some());
    }

    #[test]
    fn an_identification_string_behind_a_proxy() {
        let (ask, answer) = (&b"CONNECT a:22 HTTP/1.1\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nVia: b\r\n\r\nSSH-2.0-x\r\n");
        for cut in 0..answer.len() {
            let w = wire(&[(A, ask), (B, &answer[..cut]), (B, &answer[cut..])]);
            assert!(w.session.ssh().is_some_and(|s| s.side(B).banner.is_some()), "{cut}");
            assert_eq!(w.session.http1().map(|h| (h.requests, h.responses)), Some((1, 1)));
        }
        // The client's is read wherever it comes.
        let banner = &b"SSH-2.0-y\r\n"[..];
        let together = [ask, banner].concat();
        for parts in [
            [(A, ask), (B, answer), (A, banner)],
            [(A, ask), (A, banner), (B, answer)],
            [(A, &together[..30]), (A, &together[30..]), (B, answer)],
        ] {
            let w = wire(&parts);
            let ssh = w.session.ssh().unwrap();
            assert!(ssh.side(A).banner.is_some() && !ssh.side(A).after_lines && ssh.side(B).banner.is_some());
        }
        let refused = wire(&[(A, ask), (B, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), (A, banner)]);
        assert!(refused.session.ssh().is_none());
        let w = wire(&[(A, b"GET / HTTP/1.1\r\n\r\n"), (B, answer)]);
        assert!(w.session.ssh().is_none());
        let mut w = Wire::new(Stream::new(Follow { ssh: true, ..Follow::default() }));
        w.send(A, ask).send(B, answer);
        assert!(w.session.ssh().is_some());
    }

    #[test]
    fn commands_are_found_within_4096_bytes() {
        let w = wire(&[(B, b"220 x"), (A, b"noop\r\nehlo a\r\nQUIT\r\nUSERS\r\n")]);
        assert!(
            w.session.sent(A, command::SMTP) && w.session.sent(A, command::POP3) && !w.session.sent(A, command::FTP)
        );
        assert!(w.session.began(B, Start::Greeting220));
        let far = [&b"x".repeat(4095)[..], b"\nEHLO a\n"].concat();
        assert!(!wire(&[(A, &far)]).session.sent(A, command::SMTP));
        assert!(wire(&[(A, &far[1..])]).session.sent(A, command::SMTP));
        let many = [&b"noop\n".repeat(100)[..], b"USER a\n"].concat();
        assert!(wire(&[(A, &many)]).session.sent(A, command::FTP));
        // Who speaks second does not greet.
        assert!(!wire(&[(A, b"hello\n"), (B, b"220 x")]).session.began(B, Start::Greeting220));
    }

    #[test]
    fn socks_is_an_offer_and_an_answer() {
        let socks = |a: &[u8], b: &[u8]| wire(&[(A, a), (B, b)]).session.socks5;
        assert!(socks(&[5, 2, 0, 2], &[5, 2]) && socks(&[5, 1, 0], &[5, 0xff]) && socks(&[5, 1, 0, 5, 1], &[5, 0, 5]));
        assert!(!socks(&[5, 1, 0], &[5, 2]) && !socks(&[5, 1, 0], &[4, 0]) && !socks(&[5, 0], &[5, 0]));
        assert!(wire(&[(B, &[5, 0]), (A, &[5, 1]), (A, &[0])]).session.socks5);
    }

    #[test]
    fn http2_from_both_sides_whoever_comes_first() {
        let (client, server) = ([http2::PREFACE, &[0; 3], &[4, 0, 0, 0, 0, 0]].concat(), [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let w = wire(&[(A, &client), (B, &server)]);
        assert_eq!(w.session.http2().map(|h| (h.preface_seen, h.frames)), Some((true, 2)));
        let w = wire(&[(B, &server), (A, &client)]);
        assert_eq!(w.session.http2().map(|h| h.frames), Some(2));
        // In a connection behind it, too.
        let mut again = wire(&[(B, &server), (A, &client), (B, &server)]);
        again.restart();
        again.send(B, &server).send(A, &client);
        assert_eq!(again.session.http2().map(|h| h.frames), Some(5));
        assert!(wire(&[(B, &server), (A, b"\x7f"), (B, &server)]).session.http2().is_none());
    }

    #[test]
    fn what_is_not_to_be_followed_is_recognised_only() {
        let mut w = Wire::new(Stream::new(Follow::default()));
        w.send(A, b"GET / HTTP/1.1\r\n").send(B, &[0xff]);
        assert!(w.session.began(A, Start::HttpRequest) && w.is_done(A) && w.is_done(B));
        assert_eq!(w.session.heap_bytes(), 0);
    }

    #[test]
    fn another_connection_adds_to_what_was_seen() {
        let mut w = wire(&[(A, b"GET / HTTP/1.1\r\n\r\n")]);
        w.session.restart();
        let mut again = Wire::new(w.session);
        again.send(A, b"SSH-2.0-x\r\n");
        assert!(again.session.any(Start::HttpRequest) && again.session.any(Start::SshBanner));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_facts(
            script in prop::collection::vec((any::<bool>(), 0usize..14, prop::collection::vec(0usize..60, 0..3)), 0..8),
        ) {
            let parts: [&[u8]; 14] = [
                b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-x\r\n",
                b"hello\n", b"220 hi\r\n", b"EHLO x\r\nUSER y\r\n", http2::PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0],
                &[5, 2, 0, 1], &[5, 1], &[0, 14, 0x38, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0x16, 3, 1, 0, 40, 1, 0, 0, 38, 3, 3],
                b"CONNECT a HTTP/1.1\r\n\r\n", "\u{e9}t\u{e9}\n".as_bytes(),
            ];
            let (mut at_once, mut cut) = (Wire::new(Stream::new(ALL)), Wire::new(Stream::new(ALL)));
            for (a, part, cuts) in script {
                let side = if a { A } else { B };
                at_once.send(side, parts[part]);
                cut.send_cut(side, parts[part], &cuts);
            }
            prop_assert!(cut.session.heap_bytes() <= Stream::MAX_HEAP);
            prop_assert_eq!(at_once.session, cut.session);
        }
    }
}
