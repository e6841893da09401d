//! SSH (RFC 4253): identification strings, KEXINIT and the packets in clear up to NEWKEYS.

use md5::{Digest, Md5};

use super::{Probe, SegmentCount, Session as StreamSession, Shown, Taken};
use crate::packet::Side;
use crate::wire::Reader;

/// Longest identification string with its line end. RFC 4253 section 4.2 allows 255; implementations take more.
const MAX_BANNER: usize = 512;

/// Longest packet in clear: RFC 4253 section 6.1 obliges nobody to take more.
const MAX_PACKET: usize = 35_000;

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// An identification string: `SSH-protoversion-softwareversion SP comments`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Version of the protocol: 2.0, 1.99 (both), 1.5…
    pub version: Box<str>,
    /// Name and version of the software.
    pub software: Option<Box<str>>,
}

impl Banner {
    /// Reads an identification string: what it says, and its length with the line end.
    pub fn parse(bytes: &[u8]) -> Probe<(Self, usize)> {
        let start = bytes.get(..4).unwrap_or(bytes);
        if !b"SSH-".starts_with(start) {
            return Probe::NotThis;
        }
        let line = bytes.get(..MAX_BANNER).unwrap_or(bytes);
        let Some(end) = line.iter().position(|b| *b == b'\n') else {
            return if line.len() < MAX_BANNER { Probe::NeedMore } else { Probe::NotThis };
        };
        let text = line.get(4..end).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut parts = text.splitn(2, |b| *b == b'-');
        let first_word = |b: &[u8]| -> Box<str> {
            let word = b.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            String::from_utf8_lossy(word).into()
        };
        let version = parts.next().map(first_word).unwrap_or_default();
        let software = parts.next().map(first_word).filter(|s| !s.is_empty());
        Probe::Certain((Self { version, software }, end + 1))
    }

    /// Whether it speaks version 2 (1.99: also version 2).
    pub fn is_two(&self) -> bool {
        matches!(&*self.version, "2.0" | "1.99")
    }
}

/// HASSH of a KEXINIT as if its sender were the client, and as if it were the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hassh {
    /// MD5 of the algorithms client to server.
    pub client: [u8; 16],
    /// MD5 of the algorithms server to client.
    pub server: [u8; 16],
}

impl Hassh {
    /// From the payload of a KEXINIT (RFC 4253 section 7.1).
    pub fn of_kexinit(payload: &[u8]) -> Option<Self> {
        let mut r = Reader::new(payload);
        if r.u8()? != KEXINIT {
            return None;
        }
        r.take(16)?;
        let mut list = || {
            let n = r.u32()?;
            r.take(usize::try_from(n).ok()?)
        };
        let (kex, _host_key) = (list()?, list()?);
        let pairs = [(list()?, list()?), (list()?, list()?), (list()?, list()?)];
        let hash = |lists: [&[u8]; 4]| Md5::digest(lists.join(&b';')).into();
        let [enc, mac, compression] = pairs;
        Some(Self {
            client: hash([kex, enc.0, mac.0, compression.0]),
            server: hash([kex, enc.1, mac.1, compression.1]),
        })
    }
}

/// What is known of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// The identification string.
    pub banner: Option<Banner>,
    /// Whether other lines came before it: only a server may send some.
    pub after_lines: bool,
    /// The first KEXINIT.
    pub hassh: Option<Hassh>,
    /// Packets in clear with a number from 20 to 49, up to NEWKEYS.
    pub kex_packets: u64,
    /// Whether NEWKEYS was seen.
    pub newkeys: bool,
    state: State,
    /// Whether the first KEXINIT has been read.
    kexinit: bool,
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Banner,
    Packets,
    /// Encrypted packets, from this offset on.
    Encrypted(u64),
}

/// The two directions of an SSH connection, each from its identification string on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    sides: [Direction; 2],
    encrypted: SegmentCount,
    /// Strings and algorithms are those of an earlier connection: only counts go on.
    frozen: bool,
}

impl Session {
    /// Most bytes on the heap: two identification strings (U+FFFD takes three bytes for one).
    pub const MAX_HEAP: usize = 2 * 3 * MAX_BANNER;

    /// What is known of a direction.
    pub fn side(&self, side: Side) -> &Direction {
        &self.sides[side as usize]
    }

    /// The direction is about to be read, and has sent other lines first.
    pub fn begins_after_lines(&mut self, side: Side) {
        self.sides[side as usize].after_lines |= !self.frozen;
    }

    /// Segments with a byte behind the NEWKEYS of their direction, where one was seen.
    pub fn encrypted_segments(&self) -> Option<u64> {
        self.sides.iter().any(|d| d.newkeys).then_some(self.encrypted.count)
    }
}

impl StreamSession for Session {
    fn read(&mut self, side: Side, shown: &Shown<'_>, _scratch: &mut Vec<u8>) -> Taken {
        let d = &mut self.sides[side as usize];
        let mut r = Reader::new(shown.bytes);
        loop {
            let step = match d.state {
                State::Banner => d.read_banner(r.rest(), self.frozen),
                State::Packets => d.read_packet(r.rest(), self.frozen),
                State::Encrypted(from) => {
                    if shown.segment.end > from {
                        self.encrypted.add(&shown.segment);
                    }
                    return Taken::bytes(u64::MAX);
                }
            };
            match step {
                // What was read lies within what is left.
                Probe::Certain(n) => _ = r.take(n),
                Probe::NeedMore => return Taken::bytes(r.position() as u64),
                Probe::NotThis => return Taken::DONE,
            }
            if let State::Encrypted(from) = &mut d.state {
                *from = shown.offset + r.position() as u64;
            }
        }
    }

    fn restart(&mut self) {
        self.frozen = self.sides.iter().any(|d| d.banner.is_some());
        self.sides.iter_mut().for_each(|d| (d.state, d.kexinit) = (State::Banner, false));
    }

    fn heap_bytes(&self) -> usize {
        let text = |b: &Banner| b.version.len() + b.software.as_ref().map_or(0, |s| s.len());
        self.sides.iter().filter_map(|d| d.banner.as_ref()).map(text).sum()
    }
}

impl Direction {
    fn read_banner(&mut self, bytes: &[u8], frozen: bool) -> Probe<usize> {
        let (banner, n) = match Banner::parse(bytes) {
            Probe::Certain(found) => found,
            Probe::NeedMore => return Probe::NeedMore,
            Probe::NotThis => return Probe::NotThis,
        };
        let is_two = banner.is_two();
        self.state = State::Packets;
        if !frozen {
            self.banner = Some(banner);
        }
        // Version 1 has other packets, and another key exchange.
        if is_two { Probe::Certain(n) } else { Probe::NotThis }
    }

    /// A binary packet (RFC 4253 section 6): length, length of padding, payload, padding. Before NEWKEYS there is no MAC.
    fn read_packet(&mut self, bytes: &[u8], frozen: bool) -> Probe<usize> {
        let mut r = Reader::new(bytes);
        let Some(length) = r.u32().map(|n| n as usize) else { return Probe::NeedMore };
        if !(2..=MAX_PACKET).contains(&length) {
            return Probe::NotThis;
        }
        let Some(packet) = r.take(length) else { return Probe::NeedMore };
        let padding = packet.first().map_or(0, |n| usize::from(*n));
        let payload = packet.get(1..length.saturating_sub(padding)).unwrap_or_default();
        let Some(&number) = payload.first() else { return Probe::NotThis };
        self.kex_packets += u64::from((20..50).contains(&number));
        if number == KEXINIT && !self.kexinit {
            self.kexinit = true;
            if !frozen {
                self.hassh = Hassh::of_kexinit(payload);
            }
        }
        if number == NEWKEYS {
            self.newkeys = true;
            self.state = State::Encrypted(0);
        }
        Probe::Certain(4 + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{Wire, hex, read_cut};
    use proptest::prelude::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let padding = 8 - (payload.len() + 5) % 8 + 4;
        let mut p = ((payload.len() + 1 + padding) as u32).to_be_bytes().to_vec();
        p.push(padding as u8);
        p.extend(payload);
        p.extend(vec![0; padding]);
        p
    }

    fn kexinit() -> Vec<u8> {
        let mut p = vec![KEXINIT];
        p.extend([7; 16]);
        for list in ["kex1,kex2", "rsa", "c2s", "s2c", "mac", "mac2", "none", "zlib", "", ""] {
            p.extend((list.len() as u32).to_be_bytes());
            p.extend(list.as_bytes());
        }
        p.extend([0; 5]);
        p
    }

    fn stream() -> Vec<u8> {
        let mut s = b"SSH-2.0-OpenSSH_9.6 Debian\r\n".to_vec();
        s.extend(packet(&kexinit()));
        s.extend(packet(&[30, 0, 0, 0, 0]));
        s.extend(packet(&[2, 0, 0, 0, 0]));
        s.extend(packet(&[NEWKEYS]));
        s
    }

    #[test]
    fn a_direction_up_to_newkeys() {
        let s = read_cut(Session::default(), &stream(), &[]);
        let d = s.side(Side::A);
        let banner = d.banner.as_ref().unwrap();
        assert_eq!((&*banner.version, banner.software.as_deref()), ("2.0", Some("OpenSSH_9.6")));
        // printf 'kex1,kex2;c2s;mac;none' | md5sum
        assert_eq!(hex(&d.hassh.unwrap().client), "a526eeddb83ffb03d3365c7a67a3adaa");
        // printf 'kex1,kex2;s2c;mac2;zlib' | md5sum
        assert_eq!(hex(&d.hassh.unwrap().server), "b59f3646d16ea658ff9762d79dcf873e");
        assert_eq!((d.kex_packets, s.encrypted_segments()), (3, Some(0)));
    }

    #[test]
    fn segments_behind_newkeys_are_counted() {
        let mut wire = Wire::new(Session::default());
        wire.send(Side::A, &[stream(), vec![1; 9]].concat()).send(Side::B, &stream()[..50]).send(Side::A, &[2; 40]);
        wire.send(Side::B, &stream()[50..]).send(Side::B, &[3; 30]).send(Side::A, &[2; 40]);
        assert_eq!(wire.session.encrypted_segments(), Some(4));
        assert_eq!(read_cut(Session::default(), &stream()[..60], &[]).encrypted_segments(), None);
    }

    #[test]
    fn an_identification_string_ends_in_time() {
        let long = |n: usize| [b"SSH-2.0-", &b"x".repeat(n)[..], b"\n"].concat();
        assert!(Banner::parse(&long(503)).certain().is_some());
        assert_eq!(Banner::parse(&long(504)), Probe::NotThis);
        assert_eq!((Banner::parse(b"SS"), Banner::parse(b"SSL-")), (Probe::NeedMore, Probe::NotThis));
        let b = Banner::parse(b"SSH-2.0\n").certain().unwrap().0;
        assert_eq!((&*b.version, b.software), ("2.0", None));
    }

    #[test]
    fn version_one_is_read_no_further() {
        let mut wire = Wire::new(Session::default());
        wire.send(Side::A, b"SSH-1.5-1.2.26\n\0\0\0\x20");
        assert!(wire.is_done(Side::A));
        assert_eq!(wire.session.side(Side::A).kex_packets, 0);
    }

    #[test]
    fn a_second_connection_adds_to_the_counts_only() {
        let mut s = read_cut(Session::default(), &stream(), &[]);
        s.restart();
        let other = [b"SSH-2.0-dropbear\r\n", &stream()[28..]].concat();
        let s = read_cut(s, &other, &[]);
        let d = s.side(Side::A);
        assert_eq!((d.banner.as_ref().unwrap().software.as_deref(), d.kex_packets), (Some("OpenSSH_9.6"), 6));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_facts(
            noise in prop::collection::vec(any::<u8>(), 0..50),
            damage in prop::option::of((0usize..300, any::<u8>())),
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            let mut bytes = stream();
            bytes.extend(noise);
            if let Some((at, value)) = damage && let Some(b) = bytes.get_mut(at) {
                *b = value;
            }
            let (at_once, cut) = (read_cut(Session::default(), &bytes, &[]), read_cut(Session::default(), &bytes, &cuts));
            // Segments are counted, so their number is the split's.
            prop_assert_eq!(&at_once.sides, &cut.sides);
            prop_assert_eq!(at_once.encrypted_segments().is_some(), cut.encrypted_segments().is_some());
            prop_assert!(cut.heap_bytes() <= Session::MAX_HEAP);
        }
    }
}
