//! Classic pcap: a header, then records, parsed where they were read so that no packet is copied.
//!
//! Format: draft-ietf-opsawg-pcap. What libpcap and Wireshark accept beside it is accepted too: the "modified" magic,
//! Ixia's, and the order of lengths before version 2.4.

use super::reader::{Limits, MAX_RECORD_BYTES, Step};
use super::{CaptureFormat, CaptureInfo, Resolution};
use joyfuljay_core::frame::{Frame, LinkType};

/// What the file header says, as far as records need it.
#[derive(Debug)]
pub(super) struct Pcap {
    big_endian: bool,
    /// Nanoseconds of one unit of the fraction of a second.
    fraction_ns: i64,
    record_header: usize,
    lengths: Lengths,
    /// Largest `cap_len` that is believed.
    max_cap_len: u32,
    link: LinkType,
}

/// The order of the two lengths in a record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let u16_at = |at| field::<2>(header, at).map(|b| if big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) });
        let u32_at = |at| field::<4>(header, at).map(|b| if big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) });
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
            let [sec, fraction, first, second] = words::<BIG>(header);
            let (cap_len, wire_len) = match self.lengths {
                Lengths::CapturedFirst => (first, second),
                Lengths::WireFirst => (second, first),
                Lengths::SmallerIsCaptured => (first.min(second), first.max(second)),
            };
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
            frames.push(Frame { ts, offset, cap_len, wire_len, link: self.link });
            *pos += len;
        }
        Step::Full
    }
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
