//! Tunnels: whether an IP payload holds another packet, and where.
//!
//! A port number proves nothing, so a tunnel over UDP counts only if its header is sound and a sound IP packet lies
//! inside; the walk takes the packet around it otherwise.

use super::walk::{Next, Step, Upper, Walk, be16};
use crate::packet::{Layer, ip_proto, tunnel_kind};
use crate::stats::SkipReason;

/// The step into a tunnel, or none where the packet is not one.
#[inline]
pub(super) fn enter(w: &mut Walk<'_>, upper: &Upper) -> Option<Next> {
    match upper.protocol {
        ip_proto::TCP | ip_proto::ICMP | ip_proto::ICMPV6 => None,
        ip_proto::UDP => {
            let &[a, b, c, d] = w.upper_bytes(upper).first_chunk::<4>()?;
            let kind = udp_kind(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))?;
            if upper.piece.is_some() { None } else { udp(w, upper, kind) }
        }
        _ if upper.piece.is_some() => None,
        protocol => by_protocol(w, upper, protocol),
    }
}

#[inline(never)]
fn by_protocol(w: &mut Walk<'_>, upper: &Upper, protocol: u8) -> Option<Next> {
    let step = match protocol {
        ip_proto::IPV4 | ip_proto::IPIP => Step::Ip4,
        ip_proto::IPV6 => Step::Ip6,
        // SRv6 and others: an Ethernet frame as it is (RFC 8986).
        ip_proto::ETHERNET => Step::Ethernet,
        ip_proto::MPLS_IN_IP => Step::Mpls,
        // PIM register (RFC 7761 section 4.9.3), unless the null-register bit says that only a header follows.
        ip_proto::PIM => match *w.upper_bytes(upper).first_chunk::<8>()? {
            [0x21, _, _, _, flags, ..] if flags & 0x40 == 0 => {
                w.enter(upper);
                w.at += 8;
                return Some(Ok(Step::Ip));
            }
            _ => return None,
        },
        ip_proto::ETHERIP => {
            w.enter(upper);
            w.push(Layer::Etherip);
            w.at += 2;
            return Some(Ok(Step::Ethernet));
        }
        ip_proto::GRE => {
            w.enter(upper);
            return Some(gre(w));
        }
        _ => return None,
    };
    w.enter(upper);
    Some(Ok(step))
}

/// GRE (RFC 2784, RFC 2890), with the routing field of RFC 1701, and PPTP's version of it (RFC 2637).
fn gre(w: &mut Walk<'_>) -> Next {
    let [flags, version, protocol @ ..] = *w.take::<4>()?;
    let protocol = u16::from_be_bytes(protocol);
    let [checksum, routing, key, sequence] = [0x80, 0x40, 0x20, 0x10].map(|bit| flags & bit != 0);
    w.push(Layer::Gre);
    if version & 7 == 1 {
        w.at += 4 + if sequence { 4 } else { 0 } + if version & 0x80 != 0 { 4 } else { 0 };
        return if protocol == 0x880b { Ok(Step::Ppp) } else { Err(SkipReason::NonIp) };
    }
    if version & 7 != 0 {
        return Err(SkipReason::NonIp);
    }
    if checksum || routing {
        w.at += 4;
    }
    if key {
        let value = u32::from_be_bytes(*w.take::<4>()?);
        if protocol == 0x6558 {
            // NVGRE (RFC 7637): 24 bits of network, 8 bits of flow entropy.
            name(w, tunnel_kind::NVGRE, value >> 8);
        }
    }
    if sequence {
        w.at += 4;
    }
    if routing {
        loop {
            let [family_hi, family_lo, _, len] = *w.take::<4>()?;
            if (family_hi, family_lo, len) == (0, 0, 0) {
                break;
            }
            w.at += usize::from(len);
        }
    }
    match protocol {
        0x88be if !sequence => erspan(w, 0),
        0x88be => erspan(w, 8),
        0x22eb => {
            let has_subheader = w.rest().get(11).is_some_and(|b| b & 1 != 0);
            erspan(w, if has_subheader { 20 } else { 12 })
        }
        // WCCP: version 2 puts a header of 4 bytes before the redirected packet.
        0x883e => {
            if w.peek::<1>()?[0] >> 4 != 4 {
                w.at += 4;
            }
            Ok(Step::Ip4)
        }
        // Access points of Aruba: 802.11 frames.
        0x8200..=0x82ff | 0x8300..=0x83ff | 0x9000 => Ok(Step::Wifi),
        other => Ok(Step::EtherType(other)),
    }
}

fn erspan(w: &mut Walk<'_>, header_len: usize) -> Next {
    w.push(Layer::Erspan);
    w.at += header_len;
    Ok(Step::Ethernet)
}

#[derive(Clone, Copy)]
enum Udp {
    Vxlan,
    VxlanGpe,
    Geneve,
    Gtp,
    GtpV0,
    Teredo,
    L2tp,
    Mpls,
}

/// Whether UDP with these ports may be a tunnel.
#[inline]
pub(super) fn is_tunnel_port(src: u16, dst: u16) -> bool {
    udp_kind(src, dst).is_some()
}

/// The tunnel that a port stands for, on either side: some senders answer from the tunnel's port.
#[inline]
fn udp_kind(src: u16, dst: u16) -> Option<Udp> {
    let kind = |port: u16| match port {
        1701 => Some(Udp::L2tp),
        2152 => Some(Udp::Gtp),
        3386 => Some(Udp::GtpV0),
        3544 => Some(Udp::Teredo),
        4789 | 8472 => Some(Udp::Vxlan),
        4790 => Some(Udp::VxlanGpe),
        6081 => Some(Udp::Geneve),
        6635 => Some(Udp::Mpls),
        _ => None,
    };
    kind(dst).or(kind(src))
}

#[cold]
#[inline(never)]
fn udp(w: &mut Walk<'_>, upper: &Upper, kind: Udp) -> Option<Next> {
    let len = usize::from(be16(w.upper_bytes(upper), 4)?);
    w.enter(upper);
    if len != 0 {
        w.limit(len);
    }
    w.at += 8;
    w.push(Layer::Udp);
    Some(match kind {
        Udp::Vxlan => vxlan(w, false),
        Udp::VxlanGpe => vxlan(w, true),
        Udp::Geneve => geneve(w),
        Udp::Gtp => gtp(w),
        Udp::GtpV0 => gtp_v0(w),
        Udp::Teredo => teredo(w),
        Udp::L2tp => l2tp(w),
        Udp::Mpls => Ok(Step::Mpls),
    })
}

fn name(w: &mut Walk<'_>, kind: u8, id: u32) {
    w.context.scope.tunnel_kind = kind;
    w.context.scope.tunnel_id = id;
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
    Ok(Step::Ip)
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

/// L2TP version 2 data messages (RFC 2661).
fn l2tp(w: &mut Walk<'_>) -> Next {
    let [flags, version] = *w.take::<2>()?;
    if flags & 0x80 != 0 || version & 15 != 2 {
        return Err(SkipReason::NonIp);
    }
    if flags & 0x40 != 0 {
        let len = usize::from(u16::from_be_bytes(*w.take::<2>()?));
        w.limit(len.saturating_sub(4));
    }
    w.at += 4 + if flags & 0x08 != 0 { 4 } else { 0 };
    if flags & 0x02 != 0 {
        w.at += usize::from(u16::from_be_bytes(*w.take::<2>()?));
    }
    w.push(Layer::L2tp);
    Ok(Step::Ppp)
}
