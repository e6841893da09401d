//! Tunnels over UDP, by port.

use super::{gre, l2tp, name};
use crate::decode::judge;
use crate::decode::walk::{Next, Step, Upper, Walk, be16};
use crate::frame::LinkType;
use crate::packet::{Layer, ip_proto, tunnel_kind};
use crate::stats::SkipReason;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Vxlan,
    VxlanGpe,
    Geneve,
    Gtp,
    GtpV0,
    Teredo,
    L2tp,
    Mpls,
    Amt,
    Lisp,
    Gre,
    Capwap,
    /// The port of Linux's documentation; there is none by any registry.
    Fou,
    Gue,
    Tzsp,
}

/// Whether UDP with these ports may be a tunnel.
#[inline]
pub(in crate::decode) fn is_tunnel_port(src: u16, dst: u16) -> bool {
    kind_of(src, dst).is_some()
}

/// The tunnel that a port stands for, on either side: some senders answer from the tunnel's port.
#[inline]
pub(super) fn kind_of(src: u16, dst: u16) -> Option<Kind> {
    let kind = |port: u16| match port {
        1701 => Some(Kind::L2tp),
        2152 => Some(Kind::Gtp),
        2268 => Some(Kind::Amt),
        3386 => Some(Kind::GtpV0),
        3544 => Some(Kind::Teredo),
        4341 => Some(Kind::Lisp),
        4754 => Some(Kind::Gre),
        4789 | 8472 => Some(Kind::Vxlan),
        4790 => Some(Kind::VxlanGpe),
        5247 => Some(Kind::Capwap),
        5555 => Some(Kind::Fou),
        6080 => Some(Kind::Gue),
        6081 => Some(Kind::Geneve),
        6635 => Some(Kind::Mpls),
        37008 => Some(Kind::Tzsp),
        _ => None,
    };
    kind(dst).or(kind(src))
}

/// The step into the tunnel.
#[cold]
#[inline(never)]
pub(super) fn enter(w: &mut Walk<'_>, upper: &Upper, kind: Kind) -> Option<Next> {
    let len = usize::from(be16(w.upper_bytes(upper), 4)?);
    w.enter(upper);
    if len != 0 {
        w.limit(len);
    }
    w.at += 8;
    w.push(Layer::Udp);
    Some(match kind {
        Kind::Vxlan => vxlan(w, false),
        Kind::VxlanGpe => vxlan(w, true),
        Kind::Geneve => geneve(w),
        Kind::Gtp => gtp(w),
        Kind::GtpV0 => gtp_v0(w),
        Kind::Teredo => teredo(w),
        Kind::L2tp => l2tp::over_udp(w),
        Kind::Mpls => Ok(Step::Mpls),
        Kind::Amt => amt(w),
        Kind::Lisp => lisp(w),
        Kind::Gre => gre::gre(w),
        Kind::Capwap => capwap(w),
        Kind::Fou => fou(w),
        Kind::Gue => gue(w),
        Kind::Tzsp => tzsp(w),
    })
}

/// VXLAN (RFC 7348) and its generic protocol extension.
fn vxlan(w: &mut Walk<'_>, generic: bool) -> Next {
    let [flags, _, _, next, a, b, c, _] = *w.take::<8>()?;
    if flags & 0x08 == 0 {
        return Err(SkipReason::Malformed);
    }
    w.push(Layer::Vxlan);
    name(w, tunnel_kind::VXLAN, u32::from_be_bytes([0, a, b, c]));
    match next {
        // Senders forget the P bit; on the port of the extension the next protocol is meant all the same.
        0 if flags & 0x04 == 0 => Ok(Step::Ethernet),
        _ if !generic => Ok(Step::Ethernet),
        1 => Ok(Step::Ip4),
        2 => Ok(Step::Ip6),
        3 => Ok(Step::Ethernet),
        4 => Ok(Step::EtherType(0x894f)),
        5 => Ok(Step::Mpls),
        _ => Err(SkipReason::NonIp),
    }
}

/// Geneve (RFC 8926).
fn geneve(w: &mut Walk<'_>) -> Next {
    let [version, _, p, q, a, b, c, _] = *w.take::<8>()?;
    if version >> 6 != 0 {
        return Err(SkipReason::Malformed);
    }
    w.push(Layer::Geneve);
    name(w, tunnel_kind::GENEVE, u32::from_be_bytes([0, a, b, c]));
    w.at += usize::from(version & 0x3f) * 4;
    Ok(Step::EtherType(u16::from_be_bytes([p, q])))
}

/// GTP-U version 1 (3GPP TS 29.281). Its tunnel identifiers differ by direction, so they name no flow.
fn gtp(w: &mut Walk<'_>) -> Next {
    const G_PDU: u8 = 255;
    let [flags, kind, len @ ..] = *w.take::<4>()?;
    if flags & 0xf0 != 0x30 || kind != G_PDU {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Gtp);
    w.at += 4;
    w.limit(usize::from(u16::from_be_bytes(len)));
    if flags & 7 != 0 {
        let mut next = w.take::<4>()?[3];
        if flags & 4 == 0 {
            next = 0;
        }
        while next != 0 {
            let len = usize::from(w.peek::<1>()?[0]) * 4;
            if len == 0 {
                return Err(SkipReason::Malformed);
            }
            next = *w.rest().get(len - 1).ok_or(SkipReason::Truncated)?;
            w.at += len;
        }
    }
    // IP, or Ethernet in sessions of that type (TS 23.501 section 5.6.10.2).
    judge::ip_or_ethernet(w)
}

/// GTP version 0 (GSM 09.60).
fn gtp_v0(w: &mut Walk<'_>) -> Next {
    let [flags, kind, ..] = *w.take::<20>()?;
    if flags & 0xf0 != 0x10 || kind != 255 {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Gtp);
    Ok(Step::Ip)
}

/// Teredo (RFC 4380): authentication and origin indications, then IPv6.
fn teredo(w: &mut Walk<'_>) -> Next {
    if w.rest().starts_with(&[0, 1]) {
        let [_, _, id, value] = *w.take::<4>()?;
        w.at += usize::from(id) + usize::from(value) + 9;
    }
    if w.rest().starts_with(&[0, 0]) {
        w.at += 8;
    }
    if w.peek::<1>()?[0] >> 4 != 6 {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Teredo);
    Ok(Step::Ip6)
}

/// Automatic multicast tunneling (RFC 7450 section 5.1.6).
fn amt(w: &mut Walk<'_>) -> Next {
    const MULTICAST_DATA: u8 = 6;
    if w.take::<2>()?[0] != MULTICAST_DATA {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Amt);
    Ok(Step::Ip)
}

/// LISP (RFC 9300 section 5.1) and its generic protocol extension (RFC 9305).
fn lisp(w: &mut Walk<'_>) -> Next {
    const NEXT_PROTOCOL: u8 = 0x04;
    let [flags, _, _, next, ..] = *w.take::<8>()?;
    w.push(Layer::Lisp);
    match next {
        _ if flags & NEXT_PROTOCOL == 0 => Ok(Step::Ip),
        1 => Ok(Step::Ip4),
        2 => Ok(Step::Ip6),
        3 => Ok(Step::Ethernet),
        4 => Ok(Step::EtherType(0x894f)),
        _ => Err(SkipReason::NonIp),
    }
}

/// CAPWAP data (RFC 5415 section 4.3): an Ethernet frame, or one of 802.11. Fragments are not put together.
fn capwap(w: &mut Walk<'_>) -> Next {
    const IEEE_802_11: u8 = 1;
    const FRAGMENT_OR_KEEP_ALIVE: u8 = 0x88;
    let [preamble, a, b, flags, ..] = *w.peek::<8>()?;
    let header_len = usize::from(a >> 3) * 4;
    if preamble != 0 || header_len < 8 || flags & FRAGMENT_OR_KEEP_ALIVE != 0 {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Capwap);
    w.at += header_len;
    let (binding, is_native) = (b >> 1 & 0x1f, b & 1 == 1);
    match binding {
        _ if !is_native => Ok(Step::Ethernet),
        // Cisco's access points swap the two bytes of frame control.
        IEEE_802_11 => Ok(Step::WifiEitherOrder),
        _ => Err(SkipReason::NonIp),
    }
}

/// Foo over UDP: IP or GRE, as both ends agreed.
fn fou(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Fou);
    match judge::unnamed(w, 0) {
        Some(Step::Ip) => Ok(Step::Ip),
        // GRE: no flags but those of RFC 2890, version 0.
        _ if w.peek::<2>()?[0] & 0x4f == 0 && w.rest().get(1) == Some(&0) => gre::gre(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// Generic UDP encapsulation (draft-ietf-intarea-gue), versions 0 and 1.
fn gue(w: &mut Walk<'_>) -> Next {
    const CONTROL: u8 = 0x20;
    let [head, protocol, ..] = *w.peek::<4>()?;
    w.push(Layer::Gue);
    if head >> 6 == 1 {
        // The version is that of IP.
        return Ok(Step::Ip);
    }
    if head >> 6 != 0 || head & CONTROL != 0 {
        return Err(SkipReason::NonIp);
    }
    w.at += 4 + usize::from(head & 0x1f) * 4;
    match protocol {
        ip_proto::IPV4 => Ok(Step::Ip4),
        ip_proto::IPV6 => Ok(Step::Ip6),
        ip_proto::GRE => gre::gre(w),
        ip_proto::ETHERNET => Ok(Step::Ethernet),
        ip_proto::MPLS_IN_IP => Ok(Step::Mpls),
        ip_proto::ETHERIP => {
            w.push(Layer::Etherip);
            w.at += 2;
            Ok(Step::Ethernet)
        }
        _ => Err(SkipReason::NonIp),
    }
}

/// TaZmen sniffer protocol: version, type, what is encapsulated, tags; then a frame.
pub(in crate::decode) fn tzsp(w: &mut Walk<'_>) -> Next {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let [version, kind, a, b] = *w.take::<4>()?;
    // Received, or to be sent.
    if version != 1 || kind > 1 {
        return Err(SkipReason::NonIp);
    }
    w.push(Layer::Tzsp);
    // Linear in the bytes captured.
    loop {
        match w.take::<1>()?[0] {
            END => break,
            PADDING => {}
            _ => w.at += usize::from(w.take::<1>()?[0]),
        }
    }
    match u16::from_be_bytes([a, b]) {
        1 => Ok(Step::Ethernet),
        18 => Ok(Step::Wifi),
        119 => Ok(Step::Link(LinkType::IEEE802_11_PRISM)),
        127 => Ok(Step::Link(LinkType::IEEE802_11_AVS)),
        _ => Err(SkipReason::NonIp),
    }
}
