//! Classic pcap: a header, then records, parsed where they were read so that no packet is copied.
//!
//! Format: draft-ietf-opsawg-pcap. What libpcap and Wireshark accept beside it is accepted too: the "modified" magic,
//! Ixia's, and the order of lengths before version 2.4.

use super::reader::MAX_RECORD_BYTES;
use super::step::{Limits, MAX_WIRE_LEN, Step};
use super::{CaptureFormat, CaptureInfo, Resolution};
use joyfuljay_core::frame::{Frame, LinkType};
use serde::{Deserialize, Serialize};

/// What the file header says, as far as records need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds of one unit of the fraction of a second.
    fraction_ns: i64,
    record_header: usize,
    lengths: Lengths,
    /// Largest `cap_len` that is believed.
    max_cap_len: u32,
    #[serde(with = "super::slice::link_number")]
    link: LinkType,
}

/// The order of the two lengths in a record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Lengths {
    CapturedFirst,
    /// Before version 2.3, and DG/UX (543.0).
    WireFirst,
    /// Version 2.3 was written both ways: the smaller one is the captured one.
    SmallerIsCaptured,
}

/// Bytes of the longest file header: magic, versions, zone, accuracy, snaplen, link type, and Ixia's total.
pub(super) const MAX_FILE_HEADER: usize = 28;

/// tshark's limit for the length of a frame where the file's snaplen does not claim more.
const USUAL_MAX_CAP_LEN: u32 = 262_144;

/// Whether these first bytes are those of a classic pcap file.
pub(super) fn is_pcap(magic: [u8; 4]) -> bool {
    variant(magic).is_some()
}

/// Big-endian?, format, and whether fractions are nanoseconds.
fn variant(magic: [u8; 4]) -> Option<(bool, CaptureFormat, bool)> {
    let of = |magic: u32| match magic {
        0xa1b2_c3d4 => Some((CaptureFormat::Pcap, false)),
        0xa1b2_3c4d => Some((CaptureFormat::Pcap, true)),
        0xa1b2_cd34 => Some((CaptureFormat::PcapModified, false)),
        0x1c00_01ac => Some((CaptureFormat::PcapIxia, true)),
        0x1c00_01ab => Some((CaptureFormat::PcapIxia, false)),
        _ => None,
    };
    let little = of(u32::from_le_bytes(magic)).map(|(format, nanos)| (false, format, nanos));
    little.or_else(|| of(u32::from_be_bytes(magic)).map(|(format, nanos)| (true, format, nanos)))
}

impl Pcap {
    /// Reads the file header, and gives its length beside what it says; the error is the problem in words.
    pub(super) fn open(header: &[u8], info: &mut CaptureInfo) -> Result<(Self, usize), String> {
        let cut = || format!("the capture ends within its file header (24 bytes, {} are there)", header.len());
        let (big_endian, format, nanos) =
            header.first_chunk().and_then(|magic| variant(*magic)).ok_or_else(|| "no pcap magic".to_owned())?;
        let u16_at =
            |at| field::<2>(header, at).map(|b| if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) });
        let u32_at =
            |at| field::<4>(header, at).map(|b| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) });
        let (major, minor) = (u16_at(4).ok_or_else(cut)?, u16_at(6).ok_or_else(cut)?);
        let (snaplen, network) = (u32_at(16).ok_or_else(cut)?, u32_at(20).ok_or_else(cut)?);
        let len = if format == CaptureFormat::PcapIxia { MAX_FILE_HEADER } else { 24 };
        if header.len() < len {
            return Err(cut());
        }
        if major < 2 {
            return Err(format!("pcap: major version {major} unsupported (2 and later are read)"));
        }
        // The upper half holds the length of the frame check sequence; what is reserved there must be zero.
        if network & 0x03ff_0000 != 0 {
            return Err(format!("pcap: link type {network} unknown"));
        }
        let link = LinkType(network as u16);
        info.format = format;
        info.big_endian = big_endian;
        info.version = (major, minor);
        info.sections = 1;
        info.interface(link, snaplen, Resolution::Decimal(if nanos { 9 } else { 6 }));
        let pcap = Self {
            big_endian,
            fraction_ns: if nanos { 1 } else { 1000 },
            record_header: if format == CaptureFormat::PcapModified { 24 } else { 16 },
            lengths: match (major, minor) {
                (2, ..=2) | (543, _) => Lengths::WireFirst,
                (2, 3) => Lengths::SmallerIsCaptured,
                _ => Lengths::CapturedFirst,
            },
            max_cap_len: snaplen.clamp(USUAL_MAX_CAP_LEN, MAX_RECORD_BYTES),
            link,
        };
        Ok((pcap, len))
    }

    /// Takes records from `data` at `*pos` until the batch is full or the data end.
    pub(super) fn parse(&self, data: &[u8], pos: &mut usize, limits: Limits, frames: &mut Vec<Frame>) -> Step {
        if self.big_endian {
            self.records::<true>(data, pos, limits, frames)
        } else {
            self.records::<false>(data, pos, limits, frames)
        }
    }

    fn records<const BIG: bool>(&self, data: &[u8], pos: &mut usize, limits: Limits, frames: &mut Vec<Frame>) -> Step {
        while !limits.reached(frames.len(), *pos) {
            let rest = data.get(*pos..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<16>() else {
                return Step::header(self.record_header);
            };
            if *header == [0; 16] {
                // No packet: the padding of tapes and of files that were allocated before they were written.
                match rest.get(..self.record_header) {
                    None => return Step::header(self.record_header),
                    Some(zeros) if zeros.iter().all(|b| *b == 0) => {
                        *pos += self.record_header;
                        continue;
                    }
                    Some(_) => {}
                }
            }
            let [sec, fraction, first, second] = words::<BIG>(header);
            let (cap_len, wire_len) = match self.lengths {
                Lengths::CapturedFirst => (first, second),
                Lengths::WireFirst => (second, first),
                Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
            };
            if cap_len == 0 && is_file_header(header) {
                return Step::Damaged(
                    "a second file header, as when captures are put together with `cat`: `mergecap -w OUT FILE…` does it"
                        .to_owned(),
                );
            }
            if cap_len > self.max_cap_len {
                return Step::Damaged(format!(
                    "the record claims {cap_len} bytes, more than the {} that a frame of this capture can have",
                    self.max_cap_len
                ));
            }
            let len = self.record_header + cap_len as usize;
            if rest.len() < len {
                return Step::record(len, cap_len);
            }
            // A fraction beyond one second is carried, as tshark does.
            let ts = i64::from(sec) * 1_000_000_000 + i64::from(fraction) * self.fraction_ns;
            let offset = (*pos + self.record_header) as u32;
            frames.push(Frame { ts, offset, cap_len, wire_len: wire_len.min(MAX_WIRE_LEN), link: self.link });
            *pos += len;
        }
        Step::Full
    }
}

/// Whether a record is the header of another capture: a magic number, version 2.4, and nothing in the fields that no program
/// uses. As a record, it would be a frame without bytes in the year 2055 or later.
fn is_file_header(record: &[u8; 16]) -> bool {
    let [a, b, c, d, version @ ..] = *record;
    let (big, little) = (u32::from_be_bytes([a, b, c, d]), u32::from_le_bytes([a, b, c, d]));
    let is_magic = |n| matches!(n, 0xa1b2_c3d4 | 0xa1b2_3c4d);
    is_magic(big) && version == [0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]
        || is_magic(little) && version == [2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn words<const BIG: bool>(b: &[u8; 16]) -> [u32; 4] {
    let word = |w: [u8; 4]| if BIG { u32::from_be_bytes(w) } else { u32::from_le_bytes(w) };
    [
        word([b[0], b[1], b[2], b[3]]),
        word([b[4], b[5], b[6], b[7]]),
        word([b[8], b[9], b[10], b[11]]),
        word([b[12], b[13], b[14], b[15]]),
    ]
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Writer, frames, read_all};
    use super::super::{CaptureFormat, CaptureReader, Resolution};
    use std::io::Cursor;

    #[test]
    fn every_magic_in_both_byte_orders() {
        for (magic, extra, nanos) in [
            (0xa1b2_c3d4, 0, false),
            (0xa1b2_3c4d, 0, true),
            (0xa1b2_cd34, 8, false),
            (0x1c00_01ac, 0, true),
            (0x1c00_01ab, 0, false),
        ] {
            for big in [false, true] {
                let w = Writer { big };
                let mut file = w.pcap(magic, (2, 4), 65535, 1);
                if magic >> 16 == 0x1c00 {
                    file.extend([0; 4]);
                }
                file.extend(w.record(7, 5, 100, extra, b"hello"));
                file.extend(w.record(4_000_000_000, 0, 3, extra, b"abc"));
                let ts = if nanos { 7_000_000_005 } else { 7_000_005_000 };
                let late = 4_000_000_000_000_000_000;
                assert_eq!(frames(file), [(ts, 1, 100, b"hello".to_vec()), (late, 1, 3, b"abc".to_vec())], "{magic:x}");
            }
        }
    }

    #[test]
    fn a_second_file_header_is_no_frame() {
        for (first, second) in [(false, false), (false, true), (true, false)] {
            let file = |big| {
                let w = Writer { big };
                [w.pcap(0xa1b2_c3d4, (2, 4), 65535, 1), w.record(7, 5, 3, 0, b"abc")].concat()
            };
            let (batches, warnings) = read_all(Cursor::new([file(first), file(second)].concat()));
            assert_eq!(batches.concat().len(), 1);
            assert!(warnings[0].message.contains("offset 43: a second file header"), "{warnings:?}");
        }
    }

    #[test]
    fn lengths_change_places_before_version_2_4() {
        let w = Writer { big: false };
        for (version, swapped) in [((2, 2), true), ((2, 3), true), ((543, 0), true), ((2, 3), false), ((2, 4), false)] {
            let mut file = w.pcap(0xa1b2_c3d4, version, 100, 1);
            let lengths = if swapped { [1, 0, 9, 2] } else { [1, 0, 2, 9] };
            file.extend(w.words(&lengths));
            file.extend(b"ab");
            assert_eq!(frames(file), [(1_000_000_000, 1, 9, b"ab".to_vec())], "{version:?}");
        }
    }

    #[test]
    fn fractions_beyond_a_second_are_carried() {
        let w = Writer { big: false };
        let mut file = w.pcap(0xa1b2_3c4d, (2, 4), 100, 1);
        file.extend(w.record(1, 3_000_000_001, 0, 0, b""));
        assert_eq!(frames(file)[0].0, 4_000_000_001);
    }

    #[test]
    fn zeros_at_the_end_are_no_packets_and_no_damage() {
        let w = Writer { big: false };
        for magic in [0xa1b2_c3d4, 0xa1b2_cd34] {
            let extra = if magic == 0xa1b2_cd34 { 8 } else { 0 };
            let mut file = w.pcap(magic, (2, 4), 65535, 1);
            // Time and lengths of 0 alone are no padding.
            file.extend(w.record(0, 0, 2, extra, b"ab"));
            file.extend(w.record(0, 1, 0, extra, b""));
            for zeros in [0, 1, 15, 16, 17, 23, 24, 511, 1 << 20, 9 << 20] {
                let padded = [file.clone(), vec![0; zeros]].concat();
                assert_eq!(frames(padded), frames(file.clone()), "{zeros}");
            }
        }
    }

    #[test]
    fn absurd_lengths_end_the_capture_with_the_place() {
        let w = Writer { big: false };
        let mut file = w.pcap(0xa1b2_c3d4, (2, 4), 65535, 1);
        file.extend(w.record(1, 0, 2, 0, b"ab"));
        file.extend(w.words(&[2, 0, 262_145, 262_145]));
        file.extend(vec![0; 300_000]);
        let (batches, warnings) = read_all(Cursor::new(file));
        assert_eq!(batches.concat().len(), 1);
        assert_eq!(warnings[0].offset, 42);
        assert!(warnings[0].message.contains("offset 42") && warnings[0].message.contains("262145"), "{}", warnings[0]);
    }

    #[test]
    fn headers_that_cannot_be_read_are_refused() {
        let w = Writer { big: true };
        for (file, text) in [
            (w.pcap(0xa1b2_c3d4, (1, 0), 1, 1), "major version 1"),
            (w.pcap(0xa1b2_c3d4, (2, 4), 1, 0x0001_0001), "link type"),
            (w.pcap(0xa1b2_c3d4, (2, 4), 1, 1)[..20].to_vec(), "20 are there"),
            (w.pcap(0x1c00_01ac, (2, 4), 1, 1), "24 are there"),
        ] {
            let error = CaptureReader::from_reader("x.pcap", Cursor::new(file)).unwrap_err().to_string();
            assert!(error.starts_with("x.pcap: ") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn the_header_is_told() {
        let w = Writer { big: true };
        // The bits of the frame check sequence's length are no part of the link type.
        let file = w.pcap(0xa1b2_3c4d, (2, 4), 96, 0x2400_0071);
        let info = CaptureReader::from_reader("x", Cursor::new(file)).unwrap().info();
        assert_eq!((info.format, info.big_endian, info.snaplen), (CaptureFormat::Pcap, true, 96));
        assert_eq!((info.resolution, info.link_types[0].0, info.interfaces), (Resolution::Decimal(9), 113, 1));
    }
}
