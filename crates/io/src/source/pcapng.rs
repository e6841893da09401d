//! pcapng (draft-ietf-opsawg-pcapng): blocks, parsed where they were read so that no packet is copied.
//!
//! Section lengths are ignored, as writers leave them unset and readers disbelieve them. Blocks that carry no packets
//! (names, statistics, keys, custom ones) are stepped over.

use super::reader::MAX_RECORD_BYTES;
use super::step::{Limits, MAX_WIRE_LEN, Step};
use super::{CaptureFormat, CaptureInfo, Resolution};
use joyfuljay_core::frame::{Frame, LinkType, TimeNs};
use serde::{Deserialize, Serialize};

/// The state of the present section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pcapng {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Zero bytes since the last block.
    padding: u64,
    /// The time of the last packet that had one: simple packet blocks have none and take this (0 before any).
    last_ts: TimeNs,
}

/// What an interface description block says, as far as packets need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Interface {
    #[serde(with = "super::slice::link_number")]
    link: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// How ticks of an interface become nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Clock {
    tick: Tick,
    /// `if_tsoffset`, in nanoseconds.
    offset: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Tick {
    Multiply(u64),
    Divide(u64),
    /// Ticks of 2 to the minus this many seconds.
    Shift(u8),
}

/// Bytes that are enough to know the length of a block, and of a section header its byte order.
pub(super) const BLOCK_HEAD: usize = 12;

/// The type of a section header block, the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Interfaces of one section. Hostile files may have one every 20 bytes; real ones have a few hundred at most.
const MAX_INTERFACES: usize = 65_536;

const IDB: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

impl Pcapng {
    /// Takes blocks from `data` at `*pos` until the batch is full or the data end.
    pub(super) fn parse(
        &mut self,
        data: &[u8],
        pos: &mut usize,
        limits: Limits,
        frames: &mut Vec<Frame>,
        info: &mut CaptureInfo,
    ) -> Step {
        while !limits.reached(frames.len(), *pos) {
            let rest = data.get(*pos..).unwrap_or_default();
            let Some(head) = rest.first_chunk::<BLOCK_HEAD>() else {
                return Step::header(BLOCK_HEAD);
            };
            let [t0, t1, t2, t3, l0, l1, l2, l3, m0, m1, m2, m3] = *head;
            if [t0, t1, t2, t3, l0, l1, l2, l3] == [0; 8] {
                // No block: the padding of tapes and of files that were allocated before they were written.
                self.padding += 4;
                *pos += 4;
                continue;
            }
            if self.padding > 0 {
                return Step::Damaged(format!("{} zero bytes before it are no block", self.padding));
            }
            let section = [t0, t1, t2, t3] == SECTION_HEADER;
            let big = match (section, [m0, m1, m2, m3]) {
                (false, _) => self.big_endian,
                (true, [0x1a, 0x2b, 0x3c, 0x4d]) => true,
                (true, [0x4d, 0x3c, 0x2b, 0x1a]) => false,
                (true, magic) => {
                    let magic = u32::from_be_bytes(magic);
                    return Step::Damaged(format!("pcapng section header with unknown byte-order magic {magic:#010x}"));
                }
            };
            let order = Order { big };
            let (kind, claimed) = (order.u32([t0, t1, t2, t3]), order.u32([l0, l1, l2, l3]));
            // Some writers leave the padding out of the length; Wireshark rounds up too.
            let len = claimed.checked_next_multiple_of(4).unwrap_or(u32::MAX);
            if len < 12 {
                return Step::Damaged(format!("pcapng block claims {claimed} bytes, the smallest has 12"));
            }
            if len > MAX_RECORD_BYTES {
                return Step::Damaged(format!(
                    "pcapng block claims {claimed} bytes, more than the {MAX_RECORD_BYTES} that are read"
                ));
            }
            let len = len as usize;
            let Some(block) = rest.get(..len) else {
                return Step::block(len);
            };
            let trailer = block.last_chunk().map_or(0, |t| order.u32(*t));
            if trailer != claimed {
                return Step::Damaged(format!("pcapng block lengths differ: {claimed} before, {trailer} after"));
            }
            let body = block.get(8..len - 4).unwrap_or_default();
            let body_at = *pos + 8;
            let done = match kind {
                _ if section => self.section(order, body, info),
                IDB => self.interface(order, body, info),
                ENHANCED_PACKET => self.packet(order, body, body_at, frames, false),
                OLD_PACKET => self.packet(order, body, body_at, frames, true),
                SIMPLE_PACKET => self.simple_packet(order, body, body_at, frames),
                _ => Some(Ok(())),
            };
            match done {
                Some(Ok(())) => *pos += len,
                Some(Err(problem)) => return Step::Damaged(problem),
                None => return Step::Damaged(format!("pcapng block of type {kind:#x} is too short: {claimed} bytes")),
            }
        }
        Step::Full
    }

    /// A section header: forgets the interfaces of the last section. The errors are those that refuse the section.
    fn section(&mut self, order: Order, body: &[u8], info: &mut CaptureInfo) -> Option<Result<(), String>> {
        let version = (order.u16_at(body, 4)?, order.u16_at(body, 6)?);
        let options = body.get(16..)?;
        // Minor version 2 was never defined and is written by some; it differs in nothing.
        if version.0 != 1 || !matches!(version.1, 0 | 2) {
            return Some(Err(format!("pcapng version {}.{} unsupported (1.0 is read)", version.0, version.1)));
        }
        if let Err(problem) = Options::new(order, options).try_for_each(|o| o.map(drop)) {
            return Some(Err(problem));
        }
        self.big_endian = order.big;
        self.interfaces.clear();
        info.format = CaptureFormat::Pcapng;
        info.big_endian = order.big;
        info.version = version;
        info.sections += 1;
        Some(Ok(()))
    }

    fn interface(&mut self, order: Order, body: &[u8], info: &mut CaptureInfo) -> Option<Result<(), String>> {
        let link = LinkType(order.u16_at(body, 0)?);
        let snaplen = order.u32_at(body, 4)?;
        let (mut resolution, mut offset) = (Resolution::default(), 0i64);
        for option in Options::new(order, body.get(8..)?) {
            match option {
                Ok((9, [value, ..])) => {
                    let exponent = value & 0x7f;
                    resolution =
                        if value & 0x80 != 0 { Resolution::Binary(exponent) } else { Resolution::Decimal(exponent) };
                }
                Ok((14, value)) => offset = value.first_chunk().map_or(0, |v| order.i64(*v)),
                Ok(_) => {}
                Err(problem) => return Some(Err(problem)),
            }
        }
        if self.interfaces.len() >= MAX_INTERFACES {
            return Some(Err(format!("pcapng section with more than {MAX_INTERFACES} interfaces")));
        }
        self.interfaces.push(Interface { link, snaplen, clock: Clock::new(resolution, offset) });
        info.interface(link, snaplen, resolution);
        Some(Ok(()))
    }

    /// An enhanced packet block, or the older one that it replaced, which counts drops beside the interface.
    fn packet(
        &mut self,
        order: Order,
        body: &[u8],
        at: usize,
        frames: &mut Vec<Frame>,
        old: bool,
    ) -> Option<Result<(), String>> {
        let [id, high, low, cap_len, wire_len] = order.words(body)?;
        let id = if old { u32::from(order.u16_at(body, 0)?) } else { id };
        let Some(interface) = self.interfaces.get(id as usize) else {
            let known = self.interfaces.len();
            return Some(Err(format!("packet of interface {id}, the section has described {known}")));
        };
        let room = body.len() - 20;
        if cap_len as usize > room {
            return Some(Err(format!("packet claims {cap_len} bytes, its block has room for {room}")));
        }
        self.last_ts = interface.clock.nanoseconds(u64::from(high) << 32 | u64::from(low));
        let wire_len = wire_len.min(MAX_WIRE_LEN);
        frames.push(Frame { ts: self.last_ts, offset: (at + 20) as u32, cap_len, wire_len, link: interface.link });
        Some(Ok(()))
    }

    /// A simple packet block: of interface 0, cut at its snaplen, without a time.
    fn simple_packet(
        &mut self,
        order: Order,
        body: &[u8],
        at: usize,
        frames: &mut Vec<Frame>,
    ) -> Option<Result<(), String>> {
        let wire_len = order.u32_at(body, 0)?;
        let Some(interface) = self.interfaces.first() else {
            return Some(Err("simple packet before any interface".to_owned()));
        };
        let cap_len = if interface.snaplen == 0 { wire_len } else { wire_len.min(interface.snaplen) };
        let room = body.len() - 4;
        if cap_len as usize > room {
            return Some(Err(format!("packet claims {cap_len} bytes, its block has room for {room}")));
        }
        let wire_len = wire_len.min(MAX_WIRE_LEN);
        frames.push(Frame { ts: self.last_ts, offset: (at + 4) as u32, cap_len, wire_len, link: interface.link });
        Some(Ok(()))
    }
}

impl Clock {
    fn new(resolution: Resolution, offset_seconds: i64) -> Self {
        let tick = match resolution {
            Resolution::Decimal(n @ 0..=9) => Tick::Multiply(10u64.pow(9 - u32::from(n))),
            // Ticks finer than 10^-28 s: 64 bits of them are less than a nanosecond.
            Resolution::Decimal(n) => 10u64.checked_pow(u32::from(n) - 9).map_or(Tick::Shift(127), Tick::Divide),
            Resolution::Binary(n) => Tick::Shift(n),
        };
        Self { tick, offset: i128::from(offset_seconds) * 1_000_000_000 }
    }

    fn nanoseconds(self, ticks: u64) -> TimeNs {
        // 64 bits of ticks by 30 bits of scale and the offset stay far within 128 bits.
        let since = match self.tick {
            Tick::Multiply(by) => i128::from(ticks) * i128::from(by),
            Tick::Divide(by) => i128::from(ticks / by),
            Tick::Shift(n) => (i128::from(ticks) * 1_000_000_000) >> n,
        };
        (since + self.offset).clamp(i128::from(TimeNs::MIN), i128::from(TimeNs::MAX)) as TimeNs
    }
}

/// A byte order.
#[derive(Clone, Copy, Debug)]
struct Order {
    big: bool,
}

impl Order {
    fn u16(self, b: [u8; 2]) -> u16 {
        if self.big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) }
    }

    fn u32(self, b: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) }
    }

    fn i64(self, b: [u8; 8]) -> i64 {
        if self.big { i64::from_be_bytes(b) } else { i64::from_le_bytes(b) }
    }

    fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        bytes.get(at..)?.first_chunk().map(|b| self.u16(*b))
    }

    fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        bytes.get(at..)?.first_chunk().map(|b| self.u32(*b))
    }

    /// The first five words, which is what a packet block begins with.
    fn words(self, bytes: &[u8]) -> Option<[u32; 5]> {
        let head = bytes.first_chunk::<20>()?;
        let (words, _) = head.as_chunks::<4>();
        let mut out = [0; 5];
        for (out, word) in out.iter_mut().zip(words) {
            *out = self.u32(*word);
        }
        Some(out)
    }
}

/// The options at the end of a block: code and value, up to `opt_endofopt` or the end of the block.
struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    fn new(order: Order, rest: &'a [u8]) -> Self {
        Self { order, rest }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<(u16, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_first_chunk::<4>()?;
        let (code, len) = (self.order.u16([head[0], head[1]]), usize::from(self.order.u16([head[2], head[3]])));
        if code == 0 {
            return None;
        }
        let Some(value) = rest.get(..len) else {
            self.rest = &[];
            return Some(Err(format!("pcapng option {code} claims {len} bytes, its block has {}", rest.len())));
        };
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok((code, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Writer, frames, read_all};
    use super::super::{CaptureReader, PacketSource};
    use super::*;
    use std::io::Cursor;

    #[test]
    fn sections_of_both_byte_orders_and_several_interfaces() {
        let mut file = Vec::new();
        for big in [false, true] {
            let w = Writer { big };
            file.extend(w.section());
            file.extend(w.interface(1, 0, &[]));
            file.extend(w.interface(113, 0, &[(2, b"eth0"), (9, &[9]), (0, &[])]));
            file.extend(w.block(5, &[0; 12]));
            file.extend(w.enhanced(1, 5_000_000_007, 60, b"first"));
            file.extend(w.block(0x0bad, b"custom"));
            file.extend(w.enhanced(0, 3, 2, b"ab"));
        }
        let section = [(5_000_000_007, 113, 60, b"first".to_vec()), (3_000, 1, 2, b"ab".to_vec())];
        assert_eq!(frames(file.clone()), [section.clone(), section].concat());
        let mut reader = CaptureReader::from_reader("x", Cursor::new(file)).unwrap();
        reader.pull(&mut joyfuljay_core::FrameBatch::new(), std::time::Duration::ZERO).unwrap();
        let info = reader.info();
        assert_eq!((info.sections, info.interfaces, info.link_types), (2, 4, vec![LinkType(1), LinkType(113)]));
    }

    #[test]
    fn old_and_simple_packet_blocks() {
        let w = Writer { big: true };
        let mut file = w.section();
        file.extend(w.interface(1, 4, &[]));
        // Interface 0, 7 drops.
        let mut old = w.words(&[7, 0, 9, 3, 3]);
        old.extend(b"old");
        file.extend(w.block(2, &old));
        let mut simple = w.words(&[10]);
        simple.extend(b"simp");
        file.extend(w.block(3, &simple));
        assert_eq!(frames(file), [(9_000, 1, 3, b"old".to_vec()), (9_000, 1, 10, b"simp".to_vec())]);
    }

    #[test]
    fn zeros_at_the_end_are_no_damage_and_in_the_middle_they_are() {
        let w = Writer { big: false };
        let mut file = w.section();
        file.extend(w.interface(1, 0, &[]));
        file.extend(w.enhanced(0, 1, 1, b"a"));
        for zeros in [1, 4, 11, 12, 13, 511, 1 << 20, 9 << 20] {
            assert_eq!(frames([file.clone(), vec![0; zeros]].concat()).len(), 1, "{zeros}");
        }
        let (batches, warnings) = read_all(Cursor::new([file.clone(), vec![0; 16], file].concat()));
        assert_eq!(batches.concat().len(), 1);
        assert!(warnings[0].message.contains("zero bytes"), "{}", warnings[0]);
    }

    #[test]
    fn clocks_of_any_resolution() {
        let ns = |resolution, offset, ticks| Clock::new(resolution, offset).nanoseconds(ticks);
        assert_eq!(ns(Resolution::Decimal(0), 0, 3), 3_000_000_000);
        assert_eq!(ns(Resolution::Decimal(12), 0, 5_999), 5);
        assert_eq!(ns(Resolution::Decimal(127), 0, u64::MAX), 0);
        assert_eq!(ns(Resolution::Binary(32), 0, 1 << 31), 500_000_000);
        assert_eq!(ns(Resolution::Binary(127), 0, u64::MAX), 0);
        assert_eq!(ns(Resolution::Decimal(6), -2, 1_000_000), -1_000_000_000);
        assert_eq!(ns(Resolution::Decimal(0), i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(ns(Resolution::Decimal(0), i64::MIN, 0), i64::MIN);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let w = Writer { big: false };
        let mut sound = w.section();
        sound.extend(w.interface(1, 0, &[]));
        sound.extend(w.enhanced(0, 1, 1, b"a"));
        let offset = sound.len() as u64;
        let mut trailer = w.enhanced(0, 1, 1, b"b");
        let last = trailer.len() - 1;
        trailer[last] = 9;
        let mut packet = w.words(&[0, 0, 0, 9, 9]);
        packet.extend(b"short");
        for (block, text) in [
            (w.words(&[6, 8, 0]), "claims 8 bytes"),
            (w.words(&[6, 0xffff_fff0, 0]), "more than"),
            (w.words(&[0x0a0d_0d0a, 28, 0x1234_5678]), "byte-order magic"),
            (trailer, "lengths differ"),
            (w.enhanced(7, 1, 1, b"b"), "interface 7"),
            (w.block(6, &packet), "room for 8"),
            (w.block(6, &[0; 4]), "too short"),
            (
                w.interface(1, 0, &[])[..8]
                    .iter()
                    .copied()
                    .chain(w.interface(1, 0, &[(0x2222, b"")])[8..].to_vec())
                    .collect(),
                "lengths differ",
            ),
        ] {
            let mut file = sound.clone();
            file.extend(&block);
            file.extend([0; 64]);
            let (batches, warnings) = read_all(Cursor::new(file));
            assert_eq!(batches.concat().len(), 1, "{text}");
            assert!(warnings[0].message.contains(text), "{}", warnings[0]);
            assert_eq!(warnings[0].offset, offset);
        }
    }

    #[test]
    fn options_that_do_not_fit_are_refused() {
        let w = Writer { big: false };
        let mut section = w.section();
        // Replace the first four bytes behind the version by an option in a longer section header.
        let mut body = section[8..section.len() - 4].to_vec();
        body.extend(w.u16(4));
        body.extend(w.u16(12336));
        section = w.block(0x0a0d_0d0a, &body);
        let error = CaptureReader::from_reader("x.pcapng", Cursor::new(section)).unwrap_err().to_string();
        assert!(error.contains("option 4 claims 12336 bytes"), "{error}");
    }
}
