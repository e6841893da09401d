//! Serial lines: PPP, HDLC, LLC, frame relay.

use super::lan;
use crate::decode::walk::{Next, Step, Walk};
use crate::packet::Layer;
use crate::stats::SkipReason;

/// PPPoE session (RFC 2516).
pub(in crate::decode) fn pppoe(w: &mut Walk<'_>) -> Next {
    let [_, code, _, _, len @ ..] = *w.take::<6>()?;
    w.push(Layer::Pppoe);
    if code != 0 {
        return Err(SkipReason::NonIp);
    }
    w.limit(usize::from(u16::from_be_bytes(len)));
    Ok(Step::Ppp)
}

/// PPP (RFC 1661), with or without address and control, protocol field compressed or not.
pub(in crate::decode) fn ppp(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Ppp);
    if w.rest().starts_with(&[0xff, 3]) {
        w.at += 2;
    }
    let first = w.take::<1>()?[0];
    let protocol = if first & 1 == 1 { u16::from(first) } else { u16::from_be_bytes([first, w.take::<1>()?[0]]) };
    match protocol {
        0x0021 => Ok(Step::Ip4),
        0x0057 => Ok(Step::Ip6),
        0x0281 | 0x0283 => Ok(Step::Mpls),
        0x0031 => bridged(w),
        0x003d => multilink(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// A frame of a LAN that is bridged over PPP (RFC 3518 section 4.1): flags, the type of the LAN, its number where a flag says so.
fn bridged(w: &mut Walk<'_>) -> Next {
    const HAS_CHECKSUM: u8 = 0x80;
    const HAS_LAN_ID: u8 = 0x40;
    const ETHERNET: u8 = 1;
    let [flags, lan] = *w.take::<2>()?;
    if flags & HAS_LAN_ID != 0 {
        w.at += 4;
    }
    if flags & HAS_CHECKSUM != 0 {
        w.drop_trailer(4);
    }
    if lan == ETHERNET { Ok(Step::Ethernet) } else { Err(SkipReason::NonIp) }
}

/// Multilink PPP (RFC 1990 section 3) with long sequence numbers, the default: a packet that was not cut into fragments.
fn multilink(w: &mut Walk<'_>) -> Next {
    const BEGINNING_AND_END: u8 = 0xc0;
    match w.take::<4>()?[0] {
        BEGINNING_AND_END => Ok(Step::Ppp),
        _ => Err(SkipReason::NonIp),
    }
}

/// PPP in HDLC-like framing (RFC 1662), or Cisco HDLC, by the first byte.
pub(in crate::decode) fn ppp_hdlc(w: &mut Walk<'_>) -> Next {
    match w.peek::<2>()? {
        [0x0f | 0x8f, 0] => Ok(Step::CiscoHdlc),
        _ => Ok(Step::Ppp),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(in crate::decode) fn cisco_hdlc(w: &mut Walk<'_>) -> Next {
    let [_, _, t @ ..] = *w.take::<4>()?;
    match u16::from_be_bytes(t) {
        0xfefe => osi(w),
        t => Ok(Step::EtherType(t)),
    }
}

/// LLC (IEEE 802.2), and SNAP in it.
pub(in crate::decode) fn llc(w: &mut Walk<'_>) -> Next {
    let [dsap, ssap, control] = *w.take::<3>()?;
    w.push(Layer::Llc);
    match (dsap, ssap, control) {
        (0xaa, 0xaa, 3) => snap(w, Bridged::Padded),
        (6, 6, 3) => Ok(Step::Ip4),
        (0xfe, 0xfe, 3) => osi(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// Whether bridged frames stand behind padding that aligns them, which makes 3 bytes of what is left of the frame control
/// of FDDI, and 2 before other frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bridged {
    /// With LLC, as over ATM (RFC 2684 section 5.2).
    Padded,
    /// In frame relay (RFC 2427 section 4.2), which pads before the identifier.
    Bare,
}

fn snap(w: &mut Walk<'_>, bridged: Bridged) -> Next {
    let [a, b, c, pid @ ..] = *w.take::<5>()?;
    let pid = u16::from_be_bytes(pid);
    match [a, b, c] {
        // Encapsulated Ethernet (RFC 1042), bridge tunnel (IEEE 802.1H), Cisco's own.
        [0, 0, 0] | [0, 0, 0xf8] if pid >= 0x600 => Ok(Step::EtherType(pid)),
        [0, 0x80, 0xc2] => {
            let fddi = matches!(pid, 4 | 10);
            if bridged == Bridged::Padded {
                w.at += if fddi { 3 } else { 2 };
            }
            // The first identifier of each pair says that the frame check sequence is there.
            if matches!(pid, 1 | 4) {
                w.drop_trailer(4);
            }
            match pid {
                1 | 7 => Ok(Step::Ethernet),
                _ if fddi => lan::fddi(w),
                _ => Err(SkipReason::NonIp),
            }
        }
        _ => Err(SkipReason::NonIp),
    }
}

/// By network layer protocol identifier (ISO 9577, RFC 2427).
fn osi(w: &mut Walk<'_>) -> Next {
    match w.take::<1>()?[0] {
        0xcc => Ok(Step::Ip4),
        0x8e => Ok(Step::Ip6),
        0x80 => snap(w, Bridged::Bare),
        0xcf => Ok(Step::Ppp),
        _ => Err(SkipReason::NonIp),
    }
}

/// Frame relay (Q.922, RFC 2427) or Cisco's encapsulation of it.
pub(super) fn frame_relay(w: &mut Walk<'_>) -> Next {
    let address = w.rest().iter().take(4).position(|b| b & 1 == 1);
    w.at += 1 + address.ok_or(SkipReason::Malformed)?;
    let first = w.peek::<2>()?;
    if first[0] == 3 {
        w.at += if first[1] == 0 { 2 } else { 1 };
        return osi(w);
    }
    let t = u16::from_be_bytes(*w.take::<2>()?);
    if t >= 0x600 { Ok(Step::EtherType(t)) } else { Err(SkipReason::NonIp) }
}

/// Multilink frame relay (FRF.16.1): two bytes of sequence number and flags. A later fragment says nothing alone.
pub(super) fn multilink_frame_relay(w: &mut Walk<'_>) -> Next {
    const BEGIN: u8 = 0x80;
    const CONTROL: u8 = 0x20;
    match w.take::<2>()?[0] {
        flags if flags & CONTROL == 0 && flags & BEGIN != 0 => frame_relay(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// PPP of pppd, which puts the direction where the address field was, or before it.
pub(super) fn pppd(w: &mut Walk<'_>) -> Next {
    if w.rest().get(1) == Some(&3) {
        w.at += 2;
        return Ok(Step::Ppp);
    }
    w.at += 1;
    Ok(Step::PppHdlc)
}
