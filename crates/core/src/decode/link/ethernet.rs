//! Ethernet, and what stands between its addresses and the network layer: tags, labels, shims.

use super::skip;
use crate::decode::judge;
use crate::decode::walk::{Next, Step, Walk};
use crate::packet::Layer;
use crate::stats::SkipReason;

/// Ethernet II or IEEE 802.3.
#[inline]
pub(in crate::decode) fn ethernet(w: &mut Walk<'_>) -> Next {
    let at = w.offset();
    let h = w.take::<14>()?;
    w.push(Layer::Eth);
    w.context.ethernet = Some(at);
    match [h[12], h[13]] {
        [0x08, 0x00] => Ok(Step::Ip4),
        [0x86, 0xdd] => Ok(Step::Ip6),
        t => by_length(w, h, u16::from_be_bytes(t)),
    }
}

#[inline(never)]
fn by_length(w: &mut Walk<'_>, header: &[u8; 14], ether_type: u16) -> Next {
    if ether_type >= 0x600 {
        return Ok(Step::EtherType(ether_type));
    }
    // Cisco ISL: 26 bytes around an Ethernet frame and its checksum, known by the destination's first five bytes.
    if matches!(header[..5], [1 | 3, 0, 0x0c, 0, 0]) {
        w.drop_trailer(4);
        return skip(w, 12, Step::Ethernet);
    }
    w.limit(usize::from(ether_type));
    Ok(Step::Llc)
}

/// Ethernet with the tag of a switch chip between addresses and type.
pub(super) fn switch_tag(w: &mut Walk<'_>, len: usize) -> Next {
    let at = w.offset();
    w.take::<12>()?;
    w.push(Layer::Eth);
    w.context.ethernet = Some(at);
    typed(w, len)
}

/// Ethernet behind a preamble (IEEE 802.3br): an express frame, or the beginning of one that may be preempted.
pub(super) fn mpacket(w: &mut Walk<'_>) -> Next {
    const PREAMBLE: u8 = 0x55;
    const EXPRESS: u8 = 0xd5;
    let at = w.rest().iter().take(8).position(|b| *b != PREAMBLE).ok_or(SkipReason::NonIp)?;
    w.at += at;
    match w.take::<1>()?[0] {
        EXPRESS | 0xe6 | 0x4c | 0x7f | 0xb3 => {
            w.drop_trailer(4);
            Ok(Step::Ethernet)
        }
        _ => Err(SkipReason::NonIp),
    }
}

/// What follows a type field.
pub(in crate::decode) fn ether_type(w: &mut Walk<'_>, ether_type: u16) -> Next {
    match ether_type {
        0x0800 => Ok(Step::Ip4),
        0x86dd => Ok(Step::Ip6),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => vlan(w),
        0x8847 | 0x8848 => Ok(Step::Mpls),
        0x8864 => Ok(Step::Pppoe),
        0x880b => Ok(Step::Ppp),
        0x6558 => Ok(Step::Ethernet),
        // Frame relay in GRE (RFC 1701).
        0x6559 => super::serial::frame_relay(w),
        // Jumbo frames of LLC.
        0x8870 => Ok(Step::Llc),
        // Provider backbone bridges (IEEE 802.1ah): I-TAG, then the customer's frame.
        0x88e7 => skip(w, 4, Step::Ethernet),
        0x88e5 => macsec(w),
        // Cisco MetaData: version, length, option, group tag, type.
        0x8909 => {
            w.push(Layer::Cisco);
            typed(w, 6)
        }
        // VN-Tag and HSR: 4 bytes, type. E-Tag (IEEE 802.1BR) and the tag of Marvell's switches: 6 bytes, type.
        0x8926 | 0x892f => typed(w, 4),
        0x893f | 0xdada => typed(w, 6),
        0x894f => nsh(w),
        0x22f3 => trill(w),
        // FabricPath: the tag of the forwarding tree, then the frame.
        0x8903 => skip(w, 2, Step::Ethernet),
        0xd28b => arista(w),
        // B.A.T.M.A.N. advanced: type, version, TTL, and more, then Ethernet.
        0x4305 => batman(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// An EtherType after `len` other bytes.
pub(super) fn typed(w: &mut Walk<'_>, len: usize) -> Next {
    w.at += len;
    let t = u16::from_be_bytes(*w.take::<2>()?);
    type_or_length(w, t)
}

fn type_or_length(w: &mut Walk<'_>, t: u16) -> Next {
    if t >= 0x600 {
        Ok(Step::EtherType(t))
    } else {
        w.limit(usize::from(t));
        Ok(Step::Llc)
    }
}

/// A tag of IEEE 802.1Q. Identifier 0 is that of a priority tag, which names no VLAN (clause 9.6).
fn vlan(w: &mut Walk<'_>) -> Next {
    let [a, b, t @ ..] = *w.take::<4>()?;
    w.push(Layer::Vlan);
    let id = u32::from(u16::from_be_bytes([a, b]) & 0xfff);
    let scope = &mut w.context.scope;
    if id == 0 {
    } else if scope.vlan == 0 {
        scope.vlan = id + 1;
    } else if scope.vlan >> 16 == 0 {
        scope.vlan |= (id + 1) << 16;
    }
    type_or_length(w, u16::from_be_bytes(t))
}

/// MACsec (IEEE 802.1AE): readable where it protects integrity alone.
fn macsec(w: &mut Walk<'_>) -> Next {
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    const CHANNEL: u8 = 0x20;
    let control = w.peek::<1>()?[0];
    if control & ENCRYPTED_OR_CHANGED != 0 {
        return Err(SkipReason::NonIp);
    }
    typed(w, if control & CHANNEL == 0 { 6 } else { 14 })
}

/// Network service header (RFC 8300).
fn nsh(w: &mut Walk<'_>) -> Next {
    let [_, len, _, next] = *w.peek::<4>()?;
    w.at += usize::from(len & 0x3f) * 4;
    match next {
        1 => Ok(Step::Ip4),
        2 => Ok(Step::Ip6),
        3 => Ok(Step::Ethernet),
        5 => Ok(Step::Mpls),
        _ => Err(SkipReason::NonIp),
    }
}

/// TRILL (RFC 6325 section 3.1): two nicknames, options, the frame.
fn trill(w: &mut Walk<'_>) -> Next {
    let [a, b, ..] = *w.take::<6>()?;
    let options = usize::from(u16::from_be_bytes([a, b]) >> 6 & 0x1f);
    skip(w, options * 4, Step::Ethernet)
}

/// Time stamps of Arista's switches: subtype, version (which says how many bits the time has), time, type.
fn arista(w: &mut Walk<'_>) -> Next {
    const TIME_STAMP: [u8; 2] = [0, 1];
    let [a, b, _, version] = *w.take::<4>()?;
    match ([a, b], version) {
        (TIME_STAMP, 0x10) => typed(w, 8),
        (TIME_STAMP, 0x20) => typed(w, 6),
        _ => Err(SkipReason::NonIp),
    }
}

fn batman(w: &mut Walk<'_>) -> Next {
    match *w.peek::<2>()? {
        [0x40, 15] => skip(w, 10, Step::Ethernet),
        [0x42, 15] => skip(w, 20, Step::Ethernet),
        // Broadcast: with the originator.
        [0x01, 15] => skip(w, 14, Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// The label stack (RFC 3032), then IP or a pseudo-wire: labels do not say which.
pub(in crate::decode) fn mpls(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Mpls);
    // Depth: a stack cannot be longer than the frame, so this loop is linear in the bytes captured.
    while w.take::<4>()?[2] & 1 == 0 {}
    judge::pseudo_wire(w)
}
