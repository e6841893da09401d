//! IEEE 802.11 and the headers that captures put in front of it.

use super::link;
use super::walk::{Next, Step, Walk};
use crate::frame::LinkType;
use crate::packet::Layer;
use crate::stats::SkipReason;

/// How a capture departs from the standard's layout of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    /// Padding between header and payload up to a multiple of four bytes.
    pub padded: bool,
    /// The two bytes of frame control stand in the other order.
    pub swapped: bool,
}

/// A frame whose order of the bytes of frame control is not known: whichever gives a data frame.
pub(super) fn either_order(w: &mut Walk<'_>) -> Next {
    const DATA: u8 = 8;
    let [a, b] = *w.peek::<2>()?;
    dot11(w, Layout { swapped: a & 15 != DATA && b & 15 == DATA, ..Layout::default() })
}

/// A MAC frame: only unprotected data frames hold IP that can be read.
pub(super) fn dot11(w: &mut Walk<'_>, layout: Layout) -> Next {
    const TO_AND_FROM_DS: u8 = 3;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    let start = w.at;
    let [a, b] = *w.peek::<2>()?;
    let (control, flags) = if layout.swapped { (b, a) } else { (a, b) };
    w.push(Layer::Wifi);
    let (kind, subtype) = (control >> 2 & 3, control >> 4);
    if kind != 2 || subtype & 4 != 0 || flags & PROTECTED != 0 {
        return Err(SkipReason::NonIp);
    }
    let header = *w.take::<24>()?;
    if header[22] & 15 != 0 {
        // A later fragment of a frame.
        return Err(SkipReason::NonIp);
    }
    if flags & TO_AND_FROM_DS == TO_AND_FROM_DS {
        w.at += 6;
    }
    let mut aggregate = false;
    let mut mesh = false;
    if subtype & 8 != 0 {
        let [qos, high] = *w.take::<2>()?;
        aggregate = qos & 0x80 != 0;
        mesh = high & 1 != 0 && flags & TO_AND_FROM_DS == TO_AND_FROM_DS;
        if flags & ORDER != 0 {
            w.at += 4;
        }
    }
    if layout.padded {
        w.at = start + (w.at - start).next_multiple_of(4);
    }
    if mesh {
        let [mesh_flags, ..] = *w.take::<6>()?;
        w.at += 6 * usize::from(mesh_flags & 3);
    }
    if aggregate { Ok(Step::Subframe) } else { Ok(Step::Llc) }
}

/// A subframe of an A-MSDU (clause 9.3.2.2): addresses, length, payload; all but the last are padded to four bytes. Each is
/// a packet of its own.
pub(super) fn subframe(w: &mut Walk<'_>) -> Next {
    const HEADER: usize = 14;
    let start = w.at;
    let h = w.take::<HEADER>()?;
    let len = usize::from(u16::from_be_bytes([h[12], h[13]]));
    let next = start + (HEADER + len).next_multiple_of(4);
    if w.bytes.len() >= next + HEADER {
        w.note_further(next);
    }
    w.limit(len);
    Ok(Step::Llc)
}

/// Radiotap (<https://www.radiotap.org>): only its flags matter here.
pub(super) fn radiotap(w: &mut Walk<'_>) -> Next {
    const TSFT: u32 = 1;
    const FLAGS: u32 = 2;
    const MORE: u32 = 1 << 31;
    let [_, _, a, b, present @ ..] = *w.peek::<8>()?;
    let len = usize::from(u16::from_le_bytes([a, b]));
    let present = u32::from_le_bytes(present);
    let header = w.rest().get(..len).ok_or(SkipReason::Truncated)?;
    let mut at = 8;
    let mut word = present;
    while word & MORE != 0 {
        let Some(next) = header.get(at..).and_then(|b| b.first_chunk()) else { break };
        word = u32::from_le_bytes(*next);
        at += 4;
    }
    if present & TSFT != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = if present & FLAGS != 0 { header.get(at).copied().unwrap_or(0) } else { 0 };
    if len < 8 {
        return Err(SkipReason::Malformed);
    }
    w.at += len;
    mac(w, flags & 0x10 != 0, flags & 0x20 != 0)
}

/// Prism monitor header, or AVS under the same link type.
pub(super) fn prism(w: &mut Walk<'_>) -> Next {
    let [a, b, c, d, len @ ..] = *w.peek::<8>()?;
    if u32::from_be_bytes([a, b, c, d]) & 0xffff_f000 == 0x8021_1000 {
        return avs(w);
    }
    let code = [a, b, c, d];
    let len = match code {
        [0, 0, 0, _] => u32::from_be_bytes(len),
        _ => u32::from_le_bytes(len),
    };
    fixed(w, len)
}

/// AVS capture header: version, length.
pub(super) fn avs(w: &mut Walk<'_>) -> Next {
    let [_, _, _, _, len @ ..] = *w.peek::<8>()?;
    fixed(w, u32::from_be_bytes(len))
}

fn fixed(w: &mut Walk<'_>, len: u32) -> Next {
    if len < 8 || len as usize > w.rest().len() {
        return Err(SkipReason::Malformed);
    }
    w.at += len as usize;
    mac(w, false, false)
}

/// Per-packet information: fields, and the link type of what follows.
pub(super) fn ppi(w: &mut Walk<'_>) -> Next {
    const COMMON: u16 = 2;
    let [_, flags, a, b, link @ ..] = *w.peek::<8>()?;
    let len = usize::from(u16::from_le_bytes([a, b]));
    let header = w.rest().get(8..len).ok_or(SkipReason::Truncated)?;
    let mut fields = header;
    let mut has_fcs = false;
    while let Some(&[a, b, c, d]) = fields.first_chunk() {
        let (kind, len) = (u16::from_le_bytes([a, b]), usize::from(u16::from_le_bytes([c, d])));
        if kind == COMMON {
            has_fcs = fields.get(12).is_some_and(|f| f & 1 != 0);
        }
        let step = 4 + if flags & 1 != 0 { len.next_multiple_of(4) } else { len };
        fields = fields.get(step..).unwrap_or_default();
    }
    w.at += len;
    let link = u16::try_from(u32::from_le_bytes(link)).map_err(|_| SkipReason::NonIp)?;
    match LinkType(link) {
        LinkType::IEEE802_11 => mac(w, has_fcs, false),
        // A header within itself.
        LinkType::PPI => Err(SkipReason::NonIp),
        other => link::first_step(other).ok_or(SkipReason::NonIp),
    }
}

fn mac(w: &mut Walk<'_>, has_fcs: bool, padded: bool) -> Next {
    if has_fcs {
        w.drop_trailer(4);
    }
    dot11(w, Layout { padded, swapped: false })
}
