//! Local and access networks other than Ethernet.

use super::ethernet::typed;
use super::skip;
use crate::decode::judge;
use crate::decode::walk::{Next, Step, Walk, be16};
use crate::stats::SkipReason;

pub(super) fn fddi(w: &mut Walk<'_>) -> Next {
    match w.take::<13>()?[0] {
        0x50..=0x5f | 0xd0..=0xd7 => Ok(Step::Llc),
        _ => Err(SkipReason::NonIp),
    }
}

/// IEEE 802.5, with the routing information field that the source address announces.
pub(super) fn token_ring(w: &mut Walk<'_>) -> Next {
    let h = w.take::<14>()?;
    if h[1] & 0xc0 != 0x40 {
        return Err(SkipReason::NonIp);
    }
    if h[8] & 0x80 != 0 {
        w.at += usize::from(w.peek::<1>()?[0] & 0x1f);
    }
    Ok(Step::Llc)
}

/// ATM as SunATM gives it: direction and traffic type, VPI, VCI; then LLC or LAN emulation.
pub(super) fn sunatm(w: &mut Walk<'_>) -> Next {
    match w.take::<4>()?[0] & 15 {
        2 => Ok(Step::Llc),
        1 => skip(w, 2, Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// ARCNET: source, destination, `extra` bytes, protocol; then RFC 1051, or RFC 1201 with a split flag and a sequence
/// number.
pub(super) fn arcnet(w: &mut Walk<'_>, extra: usize) -> Next {
    const EXCEPTION: u8 = 0xff;
    w.at += 2 + extra;
    let protocol = w.take::<1>()?[0];
    let step = match protocol {
        240 => return Ok(Step::Ip4),
        212 => Step::Ip4,
        196 => Step::Ip6,
        _ => return Err(SkipReason::NonIp),
    };
    let mut split = w.take::<3>()?[0];
    // A packet too short and too long for what the hardware sends comes behind three bytes of padding.
    if split == EXCEPTION {
        w.at += 1;
        split = w.take::<3>()?[0];
    }
    // 0: whole. Odd: the first of several parts. Even: a later one.
    if split == 0 || split & 1 == 1 { Ok(step) } else { Err(SkipReason::NonIp) }
}

/// IP over InfiniBand (RFC 4391 section 6), behind a global route header in captures of Linux and Mellanox.
pub(super) fn ipoib(w: &mut Walk<'_>) -> Next {
    const GLOBAL_ROUTE_HEADER: usize = 40;
    if !matches!(w.peek::<4>()?, [0x08, 0, 0, 0] | [0x86, 0xdd, 0, 0]) {
        w.at += GLOBAL_ROUTE_HEADER;
    }
    let [a, b, ..] = *w.take::<4>()?;
    Ok(Step::EtherType(u16::from_be_bytes([a, b])))
}

/// InfiniBand from the local route header on: IP over it (RFC 4391) in datagrams and connections, or raw.
pub(super) fn infiniband(w: &mut Walk<'_>) -> Next {
    const UNRELIABLE_DATAGRAM: u8 = 3;
    let next = w.take::<8>()?[1] & 3;
    match next {
        0 => return typed(w, 2),
        1 => return Ok(Step::Ip6),
        3 => w.at += 40,
        _ => {}
    }
    let opcode = w.take::<12>()?[0];
    let (transport, operation) = (opcode >> 5, opcode & 0x1f);
    // Sends of one packet, with or without immediate data.
    if !matches!(operation, 4 | 5) {
        return Err(SkipReason::NonIp);
    }
    if transport == UNRELIABLE_DATAGRAM {
        w.at += 8;
    }
    if operation == 5 {
        w.at += 4;
    }
    // Whether this is IP, the management agreed upon elsewhere.
    match (be16(w.rest(), 0), be16(w.rest(), 2)) {
        (Some(t @ (0x0800 | 0x86dd)), Some(0)) if judge::unnamed(w, 4).is_some() => {
            w.at += 4;
            Ok(Step::EtherType(t))
        }
        _ => Err(SkipReason::NonIp),
    }
}

/// IP over Fibre Channel (RFC 4338): the network header, LLC.
pub(super) fn ip_over_fc(w: &mut Walk<'_>) -> Next {
    skip(w, 16, Step::Llc)
}

/// Fibre Channel frames: only those that carry IP, and the first of a sequence.
pub(super) fn fc_2(w: &mut Walk<'_>) -> Next {
    const IP: u8 = 5;
    let h = w.take::<24>()?;
    let first_of_sequence = h[14] == 0 && h[15] == 0;
    if h[8] != IP || !first_of_sequence {
        return Err(SkipReason::NonIp);
    }
    ip_over_fc(w)
}

/// AX.25: addresses of 7 bytes, of which the last has its low bit set; control; protocol.
pub(super) fn ax25(w: &mut Walk<'_>) -> Next {
    const MAX_ADDRESSES: usize = 10;
    const IP: u8 = 0xcc;
    const UNNUMBERED_INFORMATION: u8 = 3;
    let addresses = w.rest().chunks_exact(7).take(MAX_ADDRESSES).position(|a| a[6] & 1 == 1);
    w.at += 7 * (addresses.ok_or(SkipReason::Malformed)? + 1);
    let [control, protocol] = *w.take::<2>()?;
    let informs = control & 1 == 0 || control & 0xef == UNNUMBERED_INFORMATION;
    if informs && protocol == IP { Ok(Step::Ip4) } else { Err(SkipReason::NonIp) }
}

/// DOCSIS (MULPI section 6.2): control, parameter, length, extended header, check sequence; then Ethernet.
pub(super) fn docsis(w: &mut Walk<'_>) -> Next {
    const CHECKS: usize = 4;
    let [control, parameter, len @ ..] = *w.take::<4>()?;
    let len = usize::from(u16::from_be_bytes(len));
    // Packets, also those that older modems are to ignore; the rest is ATM and management.
    if !matches!(control >> 6, 0 | 2) || control >> 1 & 0x1f != 0 {
        return Err(SkipReason::NonIp);
    }
    let extended = if control & 1 == 1 { usize::from(parameter) } else { 0 };
    let elements = w.rest().get(..extended).ok_or(SkipReason::Truncated)?;
    if is_enciphered(elements) {
        return Err(SkipReason::NonIp);
    }
    w.at += extended + 2;
    w.limit(len.saturating_sub(extended));
    w.drop_trailer(CHECKS);
    Ok(Step::Ethernet)
}

/// Whether an extended header says that the payload is enciphered (baseline privacy).
fn is_enciphered(mut elements: &[u8]) -> bool {
    const ENABLED: u8 = 0x80;
    while let Some((head, rest)) = elements.split_first() {
        let (kind, len) = (head >> 4, usize::from(head & 15));
        if matches!(kind, 3 | 4) && rest.get(1).is_some_and(|b| b & ENABLED != 0) {
            return true;
        }
        elements = rest.get(len..).unwrap_or_default();
    }
    false
}

/// The link-layer protocol of ATSC 3.0 (A/330 section 5.1): single IPv4 packets.
pub(super) fn atsc_alp(w: &mut Walk<'_>) -> Next {
    const IPV4: u8 = 0;
    let [head, _] = *w.take::<2>()?;
    // Segments and several packets in one have the configuration bit set.
    if head >> 5 != IPV4 || head & 0x10 != 0 {
        return Err(SkipReason::NonIp);
    }
    let has_additional_header = head & 0x08 != 0;
    if has_additional_header {
        let flags = w.take::<1>()?[0];
        if flags & 2 != 0 {
            w.at += 1;
        }
        if flags & 1 != 0 {
            let len = w.take::<2>()?[1];
            w.at += usize::from(len) + 1;
        }
    }
    Ok(Step::Ip4)
}

/// Generic framing procedure (ITU-T G.7041): core header, type, perhaps an extension header.
pub(super) fn gfp(w: &mut Walk<'_>) -> Next {
    const LINEAR_EXTENSION: u8 = 1;
    let [_, _, _, _, kind, payload, _, _] = *w.take::<8>()?;
    if kind >> 5 != 0 {
        return Err(SkipReason::NonIp);
    }
    match kind & 15 {
        0 => {}
        LINEAR_EXTENSION => w.at += 4,
        _ => return Err(SkipReason::NonIp),
    }
    // The frame check sequence, if there is one.
    if kind & 0x10 != 0 {
        w.drop_trailer(4);
    }
    match payload {
        1 => Ok(Step::Ethernet),
        2 => Ok(Step::PppHdlc),
        0x0d | 0x0e => Ok(Step::Mpls),
        0x10 => Ok(Step::Ip4),
        0x11 => Ok(Step::Ip6),
        _ => Err(SkipReason::NonIp),
    }
}
