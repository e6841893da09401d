//! What bytes are that no header names: pseudo-wires, and tunnels whose kind was agreed elsewhere.
//!
//! A first nibble proves little: MAC addresses begin with 4 and 6 too (RFC 8469 section 3). A checksum and lengths that fit
//! prove much.

use super::walk::{Next, Step, Walk, be16};
use crate::stats::SkipReason;

/// How well bytes fit a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    /// It may be one.
    Loose,
    /// Lengths fit, but for padding.
    Likely,
    /// Chance alone does not give this.
    Sure,
}

/// Ethernet pads what is shorter.
const LEAST_PAYLOAD: usize = 46;
/// Most VLAN tags that are looked behind.
const MAX_TAGS: usize = 4;

/// The payload of an MPLS pseudo-wire or label: IP, or Ethernet, with or without a control word (RFC 4385).
pub(super) fn pseudo_wire(w: &mut Walk<'_>) -> Next {
    let (b, wire) = (w.rest(), w.wire_rest());
    let after_word = b.get(4..).unwrap_or_default();
    let wire_after_word = wire.saturating_sub(4);
    match w.peek::<1>()?[0] >> 4 {
        4 | 6 => ip_or_ethernet(w),
        // The associated channel: operation and maintenance (RFC 5586), some of which is IP (RFC 4385 section 6).
        1 => match *w.peek::<4>()? {
            [_, _, 0, 0x21] => behind_word(w, Step::Ip4),
            [_, _, 0, 0x57] => behind_word(w, Step::Ip6),
            _ => Err(SkipReason::NonIp),
        },
        0 if ethernet(after_word, wire_after_word) >= Fit::Likely => behind_word(w, Step::Ethernet),
        0 if ethernet(b, wire) >= Fit::Likely => Ok(Step::Ethernet),
        0 if ip(after_word, wire_after_word) >= Fit::Likely => behind_word(w, Step::Ip),
        0 if ethernet(after_word, wire_after_word) == Fit::Loose => behind_word(w, Step::Ethernet),
        _ if ethernet(b, wire) >= Fit::Loose => Ok(Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

fn behind_word(w: &mut Walk<'_>, step: Step) -> Next {
    w.at += 4;
    Ok(step)
}

/// IP or Ethernet, whichever fits.
pub(super) fn ip_or_ethernet(w: &Walk<'_>) -> Next {
    let (b, wire) = (w.rest(), w.wire_rest());
    let version = w.peek::<1>()?[0] >> 4;
    match (ip(b, wire), ethernet(b, wire)) {
        (Fit::Sure, _) => Ok(Step::Ip),
        (_, Fit::Sure) => Ok(Step::Ethernet),
        (Fit::Likely, _) => Ok(Step::Ip),
        (_, Fit::Likely) => Ok(Step::Ethernet),
        _ if version == 4 || version == 6 => Ok(Step::Ip),
        (_, Fit::Loose) => Ok(Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// The same, where nothing else says that there is anything.
pub(super) fn unnamed(w: &Walk<'_>, at: usize) -> Option<Step> {
    let b = w.rest().get(at..)?;
    let wire = w.wire_rest().saturating_sub(at);
    match (ip(b, wire), ethernet(b, wire)) {
        (Fit::Sure, _) => Some(Step::Ip),
        (_, Fit::Sure) => Some(Step::Ethernet),
        (Fit::Likely, _) => Some(Step::Ip),
        (_, Fit::Likely) => Some(Step::Ethernet),
        _ => None,
    }
}

/// IP behind PPP or Cisco HDLC, where nothing else says that there is anything.
pub(super) fn unnamed_in_hdlc(w: &Walk<'_>, at: usize) -> Option<Step> {
    let b = w.rest().get(at..)?;
    let (step, len) = match b {
        [0xff, 3, 0, 0x21 | 0x57, ..] => (Step::Ppp, 4),
        [0, 0x21 | 0x57, ..] => (Step::Ppp, 2),
        [0x0f | 0x8f, 0, 8, 0, ..] | [0x0f | 0x8f, 0, 0x86, 0xdd, ..] => (Step::CiscoHdlc, 4),
        _ => return None,
    };
    (ip(b.get(len..)?, w.wire_rest().saturating_sub(at + len)) >= Fit::Likely).then_some(step)
}

fn ip(b: &[u8], wire: usize) -> Fit {
    match b.first() {
        Some(0x45..=0x4f) => ip4(b, wire),
        Some(0x60..=0x6f) => ip6(b, wire),
        _ => Fit::No,
    }
}

fn ip4(b: &[u8], wire: usize) -> Fit {
    let Some(total) = be16(b, 2).map(usize::from) else { return Fit::No };
    let header = usize::from(b[0] & 15) * 4;
    // Length 0: left to the network card. One that is too long: cut by what mirrors a link.
    match total {
        1.. if total < header => Fit::No,
        _ if has_checksum(b) => Fit::Sure,
        _ if total > wire => Fit::No,
        _ => Fit::Loose,
    }
}

/// Whether the checksum of an IPv4 header is right.
pub(super) fn has_checksum(ip: &[u8]) -> bool {
    let header = ip.first().map_or(0, |b| usize::from(b & 15) * 4);
    ip.get(..header.max(20)).is_some_and(|header| checksum(header) == 0xffff)
}

/// The one's complement sum of RFC 1071.
fn checksum(bytes: &[u8]) -> u32 {
    let sum: u32 = bytes.chunks(2).map(|b| u32::from(b[0]) << 8 | b.get(1).map_or(0, |b| u32::from(*b))).sum();
    // At most 30 words: two folds are enough.
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16)
}

fn ip6(b: &[u8], wire: usize) -> Fit {
    let Some(len) = be16(b, 4).map(|n| 40 + usize::from(n)) else { return Fit::No };
    match wire.checked_sub(len) {
        None => Fit::No,
        Some(0) => Fit::Sure,
        Some(_) if wire <= LEAST_PAYLOAD => Fit::Likely,
        Some(_) => Fit::Loose,
    }
}

/// An Ethernet frame whose type leads somewhere.
fn ethernet(frame: &[u8], wire: usize) -> Fit {
    let mut at = 12;
    for _ in 0..=MAX_TAGS {
        let (rest, wire) = (frame.get(at + 2..).unwrap_or_default(), wire.saturating_sub(at + 2));
        match be16(frame, at) {
            Some(0x0800) if rest.is_empty() => return Fit::Loose,
            Some(0x0800) => return if rest[0] >> 4 == 4 { ip4(rest, wire).max(Fit::Loose) } else { Fit::No },
            Some(0x86dd) if rest.is_empty() => return Fit::Loose,
            Some(0x86dd) => return if rest[0] >> 4 == 6 { ip6(rest, wire).max(Fit::Loose) } else { Fit::No },
            // ARP for IPv4 over Ethernet.
            Some(0x0806) => return if rest.starts_with(&[0, 1, 8, 0, 6, 4]) { Fit::Sure } else { Fit::No },
            Some(0x8847 | 0x8848 | 0x8864) => return Fit::Loose,
            Some(0x8100 | 0x88a8) => at += 4,
            _ => return Fit::No,
        }
    }
    Fit::No
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cat, eth, ip4_between, ip6 as v6, udp};

    #[test]
    fn lengths_and_checksum_tell_ip_from_ethernet() {
        let packet = ip4_between([192, 0, 2, 1], [192, 0, 2, 2], 17, &udp(1, 2, b"x"));
        let six = v6(17, &udp(1, 2, b"x"));
        assert_eq!([29, 60, 28].map(|wire| ip(&packet, wire)), [Fit::Sure; 3]);
        assert_eq!((ip(&six, 49), ip(&six, 48), ip(&six, 1000)), (Fit::Sure, Fit::No, Fit::Loose));
        let mut wrong = packet.clone();
        wrong[10] ^= 1;
        assert_eq!((ip(&wrong, 29), ip(&wrong, 28)), (Fit::Loose, Fit::No));
        for inner in [&packet, &six] {
            let t = if inner[0] == 0x45 { 0x800 } else { 0x86dd };
            let frame = eth(t, inner);
            assert_eq!(ethernet(&frame, frame.len()), Fit::Sure);
            let [high, low] = u16::to_be_bytes(t);
            let tagged = eth(0x8100, &cat(&[&[0, 1, high, low], inner]));
            assert_eq!(ethernet(&tagged, tagged.len()), Fit::Sure);
            assert_eq!((ethernet(&frame[..14], 99), ethernet(inner, inner.len())), (Fit::Loose, Fit::No));
        }
        assert_eq!(ethernet(&eth(0x806, &[0; 28]), 42), Fit::No);
    }
}
