//! A block of a packet ring, as bytes (`linux/if_packet.h`: `tpacket_block_desc`, `tpacket3_hdr`, `sockaddr_ll`).
//!
//! The kernel takes the VLAN tag out of a frame and says it beside; a capture file has it inside. It is put back, so that live rows
//! and those of a file are the same. Nothing here trusts what the block says: where a length leads out of it, the block ends.

use joyfuljay_core::frame::{FrameBatch, LinkType, TimeNs};

/// Bytes of the three structures.
const BLOCK_HEADER: usize = 48;
const FRAME_HEADER: usize = 48;
const ADDRESS: usize = 20;

/// Offset of the word that says whose the block is.
pub(crate) const STATUS: usize = 8;
/// It is the reader's.
pub(crate) const STATUS_USER: u32 = 1;

/// Bits of a frame's status: the tag is said, and its type too.
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;

/// The tag of a kernel that does not say its type (IEEE 802.1Q).
const TPID_8021Q: u16 = 0x8100;
/// Both hardware addresses, behind which the tag belongs.
const ADDRESSES: usize = 12;

/// A packet that this host sent (`sll_pkttype`).
const OUTGOING: u8 = 4;

/// Hardware types (`linux/if_arp.h`).
pub(crate) mod hardware {
    pub(crate) const ETHER: u16 = 1;
    pub(crate) const PPP: u16 = 512;
    pub(crate) const RAWIP: u16 = 519;
    pub(crate) const TUNNEL: u16 = 768;
    pub(crate) const TUNNEL6: u16 = 769;
    pub(crate) const LOOPBACK: u16 = 772;
    pub(crate) const SIT: u16 = 776;
    pub(crate) const IPGRE: u16 = 778;
    pub(crate) const IEEE80211: u16 = 801;
    pub(crate) const IEEE80211_RADIOTAP: u16 = 803;
    pub(crate) const IP6GRE: u16 = 823;
    pub(crate) const NONE: u16 = 65_534;
}

/// The link type of frames of a hardware type; none where frames are not understood.
pub(crate) fn link_type(hardware: u16) -> Option<LinkType> {
    use hardware::*;
    Some(match hardware {
        ETHER | LOOPBACK => LinkType::ETHERNET,
        // No link header, or one that is there in one direction only: such frames are read from their IP header on.
        NONE | RAWIP | PPP | TUNNEL | TUNNEL6 | SIT | IPGRE | IP6GRE => LinkType::RAW,
        IEEE80211 => LinkType::IEEE802_11,
        IEEE80211_RADIOTAP => LinkType::IEEE802_11_RADIOTAP,
        _ => return None,
    })
}

/// A place in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    at: usize,
    left: u32,
}

impl Cursor {
    /// At the first frame of a block.
    pub(crate) fn new(block: &[u8]) -> Self {
        let read = || Some(Self { at: u32_at(block, 16)? as usize, left: u32_at(block, 12)? });
        read().filter(|cursor| cursor.at >= BLOCK_HEADER).unwrap_or_default()
    }

    /// The frame here, and the place of the next one. None at the end of the block.
    pub(crate) fn frame<'a>(&self, block: &'a [u8]) -> Option<(RingFrame<'a>, Self)> {
        let left = self.left.checked_sub(1)?;
        let header = block.get(self.at..)?;
        let frame = RingFrame::parse(header)?;
        let next = u32_at(header, 0)? as usize;
        // A frame that leads nowhere is the last.
        let next = match next {
            0..FRAME_HEADER => Self::default(),
            _ => Self { at: self.at.checked_add(next)?, left },
        };
        Some((frame, next))
    }
}

/// A frame in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingFrame<'a> {
    /// Time by the host's clock.
    pub(crate) ts: TimeNs,
    /// Bytes on the wire, without a tag that was taken off.
    pub(crate) wire_len: u32,
    /// From the link header on.
    pub(crate) bytes: &'a [u8],
    /// Where in them the network header begins.
    network: usize,
    /// Type and control information of the tag that was taken off.
    pub(crate) vlan: Option<(u16, u16)>,
    /// Hardware type of its interface.
    pub(crate) hardware: u16,
    outgoing: bool,
}

impl<'a> RingFrame<'a> {
    fn parse(header: &'a [u8]) -> Option<Self> {
        let [seconds, nanoseconds, captured, wire_len, status] = [4, 8, 12, 16, 20].map(|at| u32_at(header, at));
        let (mac, net) = (usize::from(u16_at(header, 24)?), usize::from(u16_at(header, 26)?));
        let tag = (u16_at(header, 36)?, u32_at(header, 32)? as u16);
        let address = header.get(FRAME_HEADER..FRAME_HEADER + ADDRESS)?;
        let bytes = header.get(mac..)?.get(..captured? as usize)?;
        let status = status?;
        let vlan = (status & VLAN_VALID != 0).then_some(match status & VLAN_TPID_VALID != 0 {
            true => tag,
            false => (TPID_8021Q, tag.1),
        });
        Some(Self {
            ts: i64::from(seconds?) * 1_000_000_000 + i64::from(nanoseconds?),
            wire_len: wire_len?,
            bytes,
            network: net.saturating_sub(mac).min(bytes.len()),
            vlan,
            hardware: u16_at(address, 8)?,
            outgoing: address.get(10) == Some(&OUTGOING),
        })
    }

    /// Whether it is the second sight of a packet: on the loopback interface each is sent and received.
    pub(crate) fn is_repeated(&self) -> bool {
        self.outgoing && self.hardware == hardware::LOOPBACK
    }

    /// Copies the frame to a batch as a capture file would have it, `snaplen` bytes of it at most, with this time. False where its
    /// hardware type is not known.
    pub(crate) fn push(&self, ts: TimeNs, snaplen: usize, out: &mut FrameBatch) -> bool {
        let Some(link) = link_type(self.hardware) else { return false };
        let (mut bytes, mut wire_len) = (self.bytes, self.wire_len);
        if link == LinkType::RAW {
            bytes = bytes.get(self.network..).unwrap_or_default();
            wire_len = wire_len.saturating_sub(self.network as u32);
        }
        let wire_len = wire_len.max(bytes.len() as u32);
        let tagged = self.vlan.filter(|_| link == LinkType::ETHERNET).zip(bytes.split_at_checked(ADDRESSES));
        let Some(((tpid, tci), (addresses, rest))) = tagged else {
            out.push(ts, link, wire_len, bytes.get(..snaplen).unwrap_or(bytes));
            return true;
        };
        out.push(ts, link, wire_len.saturating_add(4), addresses);
        out.data.extend_from_slice(&tpid.to_be_bytes());
        out.data.extend_from_slice(&tci.to_be_bytes());
        out.data.extend_from_slice(rest);
        if let Some(frame) = out.frames.last_mut() {
            frame.cap_len = (bytes.len() + 4).min(snaplen) as u32;
            out.data.truncate(frame.offset as usize + frame.cap_len as usize);
        }
        true
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame to be put into a block.
    #[derive(Clone)]
    struct Given {
        bytes: Vec<u8>,
        wire_len: u32,
        status: u32,
        tci: u32,
        tpid: u16,
        hardware: u16,
        kind: u8,
    }

    fn given(bytes: &[u8]) -> Given {
        Given {
            bytes: bytes.to_vec(),
            wire_len: bytes.len() as u32,
            status: 1,
            tci: 0,
            tpid: 0,
            hardware: hardware::ETHER,
            kind: 0,
        }
    }

    const MAC: usize = 80;

    /// A block as the kernel writes it.
    fn block(frames: &[Given]) -> Vec<u8> {
        let mut block = vec![0; BLOCK_HEADER];
        block[12..16].copy_from_slice(&(frames.len() as u32).to_ne_bytes());
        block[16..20].copy_from_slice(&(BLOCK_HEADER as u32).to_ne_bytes());
        for (i, f) in frames.iter().enumerate() {
            let mut h = vec![0; MAC];
            let length = (MAC + f.bytes.len()).next_multiple_of(8);
            let next = if i + 1 == frames.len() { 0 } else { length as u32 };
            let words = [next, 100 + i as u32, 7, f.bytes.len() as u32, f.wire_len, f.status];
            for (i, word) in words.into_iter().enumerate() {
                h[4 * i..4 * i + 4].copy_from_slice(&word.to_ne_bytes());
            }
            h[24..26].copy_from_slice(&(MAC as u16).to_ne_bytes());
            h[26..28].copy_from_slice(&(MAC as u16 + 14).to_ne_bytes());
            h[32..36].copy_from_slice(&f.tci.to_ne_bytes());
            h[36..38].copy_from_slice(&f.tpid.to_ne_bytes());
            h[56..58].copy_from_slice(&f.hardware.to_ne_bytes());
            h[58] = f.kind;
            h.extend_from_slice(&f.bytes);
            h.resize(length, 0);
            block.append(&mut h);
        }
        block
    }

    fn read(block: &[u8], snaplen: usize) -> FrameBatch {
        let mut out = FrameBatch::new();
        let mut cursor = Cursor::new(block);
        while let Some((frame, next)) = cursor.frame(block) {
            if !frame.is_repeated() {
                frame.push(frame.ts, snaplen, &mut out);
            }
            cursor = next;
        }
        out
    }

    fn frames(batch: &FrameBatch) -> Vec<&[u8]> {
        batch.frames.iter().map(|f| batch.bytes(f)).collect()
    }

    const ETHERNET: &[u8] = &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0, 0x45, 9, 9];

    #[test]
    fn frames_come_as_they_were_captured() {
        let out = read(&block(&[given(ETHERNET), given(&ETHERNET[..14])]), usize::MAX);
        assert_eq!(frames(&out), [ETHERNET, &ETHERNET[..14]]);
        assert_eq!(out.frames[1].ts, 101_000_000_007);
    }

    #[test]
    fn a_tag_is_put_back_with_its_type_and_only_where_there_was_one() {
        let tag = |status, tci, tpid| Given { status, tci, tpid, ..given(ETHERNET) };
        let out = read(
            &block(&[
                tag(0x51, 0x401d, 0x8100),
                tag(0x51, 0, 0x8100),
                tag(0x51, 7, 0x88a8),
                tag(0x11, 5, 0),
                tag(0x01, 5, 0x8100),
            ]),
            usize::MAX,
        );
        let tags: Vec<&[u8]> = frames(&out).iter().map(|f| &f[12..f.len() - 5]).collect();
        assert_eq!(
            tags,
            [&[0x81, 0, 0x40, 0x1d][..], &[0x81, 0, 0, 0], &[0x88, 0xa8, 0, 7], &[0x81, 0, 0, 5], &[][..]]
        );
        assert!(out.frames.iter().all(|f| f.wire_len == f.cap_len));
        let cut = read(&block(&[tag(0x51, 5, 0x8100), tag(1, 0, 0)]), 15);
        assert_eq!(frames(&cut), [&[&ETHERNET[..12], &[0x81, 0, 0]].concat()[..], &ETHERNET[..15]]);
        assert_eq!(cut.frames.iter().map(|f| f.wire_len).collect::<Vec<_>>(), [21, 17]);
    }

    #[test]
    fn raw_ip_begins_with_its_header_and_loopback_shows_a_packet_once() {
        let raw = Given { hardware: hardware::NONE, ..given(ETHERNET) };
        let sent = Given { hardware: hardware::LOOPBACK, kind: 4, ..given(ETHERNET) };
        let received = Given { kind: 0, ..sent.clone() };
        let elsewhere = Given { hardware: hardware::ETHER, ..sent.clone() };
        let unknown = Given { hardware: 280, ..given(ETHERNET) };
        let out = read(&block(&[raw, sent, received, elsewhere, unknown]), usize::MAX);
        assert_eq!(frames(&out), [&ETHERNET[14..], ETHERNET, ETHERNET]);
        assert_eq!(out.frames[0].link, LinkType::RAW);
        assert_eq!(out.frames[0].wire_len, 3);
    }

    #[test]
    fn merged_frames_of_200_kb_are_read() {
        let out = read(&block(&[given(&vec![7; 200_000])]), usize::MAX);
        assert_eq!((out.frames[0].cap_len, out.frames[0].wire_len), (200_000, 200_000));
    }

    proptest! {
        /// Whatever the bytes are, the walk ends, within the block, after no more frames than it says.
        #[test]
        fn any_block_is_read_to_its_end(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            damage in prop::collection::vec((0usize..400, any::<u32>()), 0..6),
        ) {
            let mut sound = block(&[given(ETHERNET), given(ETHERNET), given(ETHERNET)]);
            for (at, word) in damage {
                if let Some(place) = sound.get_mut(at..at + 4) {
                    place.copy_from_slice(&word.to_ne_bytes());
                }
            }
            for block in [bytes, sound] {
                let mut cursor = Cursor::new(&block);
                let said = cursor.left;
                let mut seen = 0;
                let mut out = FrameBatch::new();
                while let Some((frame, next)) = cursor.frame(&block) {
                    frame.push(frame.ts, 100, &mut out);
                    prop_assert!(next.at > cursor.at || next == Cursor::default());
                    cursor = next;
                    seen += 1;
                }
                prop_assert!(seen <= said);
            }
        }
    }
}
