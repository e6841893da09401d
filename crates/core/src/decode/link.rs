//! Link layers: from the first byte of a frame to its network layer.
//!
//! What is looked through (tags, labels, pseudo-wires) follows what TShark looks through, so that counts agree.

use super::walk::{Next, Step, Walk, be16};
use super::{ip, wifi};
use crate::frame::LinkType;
use crate::packet::Layer;
use crate::stats::SkipReason;

/// Where the walk begins for a link type; none where there is no decoder for it.
#[inline]
pub(super) fn first_step(link: LinkType) -> Option<Step> {
    Some(match link {
        LinkType::ETHERNET => Step::Ethernet,
        // Classical IP over ATM has no header of its own either.
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::PFSYNC_BSD
        | LinkType::ATM_CLIP_LINUX
        | LinkType::ATM_CLIP => Step::Link(LinkType::RAW),
        LinkType::IPV4 => Step::Ip4,
        LinkType::IPV6 => Step::Ip6,
        LinkType::IEEE802_11 => Step::Wifi,
        LinkType::IEEE802_11_RADIOTAP => Step::Radiotap,
        LinkType::C_HDLC => Step::CiscoHdlc,
        LinkType::PPP | LinkType::PPP_HDLC => Step::PppHdlc,
        LinkType::PPP_ETHER => Step::Pppoe,
        LinkType::ATM_RFC1483 => Step::Llc,
        LinkType::NULL
        | LinkType::IEEE802_5
        | LinkType::SLIP
        | LinkType::FDDI
        | LinkType::FRELAY
        | LinkType::LOOP
        | LinkType::LINUX_SLL
        | LinkType::IEEE802_11_PRISM
        | LinkType::SUNATM
        | LinkType::APPLE_IP_OVER_IEEE1394
        | LinkType::IEEE802_11_AVS
        | LinkType::PPP_PPPD
        | LinkType::PPI
        | LinkType::PPP_WITH_DIR
        | LinkType::NFLOG
        | LinkType::ETHERNET_MPACKET
        | LinkType::LINUX_SLL2 => Step::Link(link),
        _ => return None,
    })
}

/// The link types that are not simply another step.
pub(super) fn other(w: &mut Walk<'_>, link: LinkType) -> Next {
    match link {
        LinkType::NULL => null(w),
        LinkType::IEEE802_5 => token_ring(w),
        // Direction, and the compressed header that was there.
        LinkType::SLIP => skip(w, 16, Step::Ip),
        LinkType::FDDI => fddi(w),
        LinkType::RAW => raw(w),
        LinkType::FRELAY => frame_relay(w),
        LinkType::LOOP => loopback(w),
        LinkType::LINUX_SLL => sll(w),
        LinkType::IEEE802_11_PRISM => wifi::prism(w),
        LinkType::SUNATM => sunatm(w),
        // Two addresses of 8 bytes, EtherType.
        LinkType::APPLE_IP_OVER_IEEE1394 => typed(w, 16),
        LinkType::IEEE802_11_AVS => wifi::avs(w),
        // PPP with the direction in front; pppd puts it where the address field was.
        LinkType::PPP_PPPD if w.rest().get(1) == Some(&3) => skip(w, 2, Step::Ppp),
        LinkType::PPP_PPPD | LinkType::PPP_WITH_DIR => skip(w, 1, Step::PppHdlc),
        LinkType::PPI => wifi::ppi(w),
        LinkType::NFLOG => nflog(w),
        // Preamble and start of frame in front of Ethernet (IEEE 802.3br).
        LinkType::ETHERNET_MPACKET => skip(w, 8, Step::Ethernet),
        LinkType::LINUX_SLL2 => sll2(w),
        _ => Err(SkipReason::UnsupportedLinkType),
    }
}

/// Ethernet II or IEEE 802.3.
#[inline]
pub(super) fn ethernet(w: &mut Walk<'_>) -> Next {
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

/// What follows a type field.
pub(super) fn ether_type(w: &mut Walk<'_>, ether_type: u16) -> Next {
    match ether_type {
        0x0800 => Ok(Step::Ip4),
        0x86dd => Ok(Step::Ip6),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => vlan(w),
        0x8847 | 0x8848 => Ok(Step::Mpls),
        0x8864 => Ok(Step::Pppoe),
        0x880b => Ok(Step::Ppp),
        0x6558 => Ok(Step::Ethernet),
        // Jumbo frames of LLC.
        0x8870 => Ok(Step::Llc),
        // Provider backbone bridges (IEEE 802.1ah): I-TAG, then the customer's frame.
        0x88e7 => skip(w, 4, Step::Ethernet),
        // Cisco MetaData: version, length, option, group tag, type.
        0x8909 => {
            w.push(Layer::Cisco);
            typed(w, 6)
        }
        // VN-Tag and HSR: 4 bytes, type. E-Tag (IEEE 802.1BR): 6 bytes, type.
        0x8926 | 0x892f => typed(w, 4),
        0x893f => typed(w, 6),
        0x894f => nsh(w),
        // B.A.T.M.A.N. advanced, unicast: type, version, TTL, and more, then Ethernet.
        0x4305 => batman(w),
        _ => Err(SkipReason::NonIp),
    }
}

/// An EtherType after `len` other bytes.
fn typed(w: &mut Walk<'_>, len: usize) -> Next {
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

fn skip(w: &mut Walk<'_>, len: usize, then: Step) -> Next {
    w.at += len;
    Ok(then)
}

fn vlan(w: &mut Walk<'_>) -> Next {
    let [a, b, t @ ..] = *w.take::<4>()?;
    w.push(Layer::Vlan);
    let id = u32::from(u16::from_be_bytes([a, b]) & 0xfff) + 1;
    let scope = &mut w.context.scope;
    if scope.vlan == 0 {
        scope.vlan = id;
    } else if scope.vlan >> 16 == 0 {
        scope.vlan |= id << 16;
    }
    type_or_length(w, u16::from_be_bytes(t))
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

fn batman(w: &mut Walk<'_>) -> Next {
    match *w.peek::<2>()? {
        [0x40, 15] => skip(w, 10, Step::Ethernet),
        [0x42, 15] => skip(w, 20, Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// The label stack (RFC 3032), then IP or a pseudo-wire by the first nibble (RFC 4928, RFC 4385).
pub(super) fn mpls(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Mpls);
    // Depth: a stack cannot be longer than the frame, so this loop is linear in the bytes captured.
    while w.take::<4>()?[2] & 1 == 0 {}
    match w.peek::<1>()?[0] >> 4 {
        4 => Ok(Step::Ip4),
        6 => Ok(Step::Ip6),
        0 if is_ethernet(w.rest().get(4..).unwrap_or_default()) => skip(w, 4, Step::Ethernet),
        1 => Err(SkipReason::NonIp),
        _ if is_ethernet(w.rest()) => Ok(Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// Whether an Ethernet frame with a type that leads somewhere may begin here: pseudo-wires do not say.
fn is_ethernet(b: &[u8]) -> bool {
    matches!(be16(b, 12), Some(0x0800 | 0x86dd | 0x8100 | 0x88a8 | 0x8847 | 0x8864))
}

/// PPPoE session (RFC 2516).
pub(super) fn pppoe(w: &mut Walk<'_>) -> Next {
    let [_, code, _, _, len @ ..] = *w.take::<6>()?;
    w.push(Layer::Pppoe);
    if code != 0 {
        return Err(SkipReason::NonIp);
    }
    w.limit(usize::from(u16::from_be_bytes(len)));
    Ok(Step::Ppp)
}

/// PPP (RFC 1661), with or without address and control, protocol field compressed or not.
pub(super) fn ppp(w: &mut Walk<'_>) -> Next {
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
        _ => Err(SkipReason::NonIp),
    }
}

/// PPP in HDLC-like framing (RFC 1662), or Cisco HDLC, by the first byte.
pub(super) fn ppp_hdlc(w: &mut Walk<'_>) -> Next {
    match w.peek::<2>()? {
        [0x0f | 0x8f, 0] => Ok(Step::CiscoHdlc),
        _ => Ok(Step::Ppp),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(w: &mut Walk<'_>) -> Next {
    let [_, _, t @ ..] = *w.take::<4>()?;
    match u16::from_be_bytes(t) {
        0xfefe => osi(w),
        t => Ok(Step::EtherType(t)),
    }
}

/// LLC (IEEE 802.2), and SNAP in it.
pub(super) fn llc(w: &mut Walk<'_>) -> Next {
    let [dsap, ssap, control] = *w.take::<3>()?;
    w.push(Layer::Llc);
    match (dsap, ssap, control) {
        (0xaa, 0xaa, 3) => snap(w),
        (6, 6, 3) => Ok(Step::Ip4),
        (0xfe, 0xfe, 3) => osi(w),
        _ => Err(SkipReason::NonIp),
    }
}

fn snap(w: &mut Walk<'_>) -> Next {
    let [a, b, c, pid @ ..] = *w.take::<5>()?;
    let pid = u16::from_be_bytes(pid);
    match [a, b, c] {
        // Encapsulated Ethernet (RFC 1042), bridge tunnel (IEEE 802.1H), Cisco's own.
        [0, 0, 0] | [0, 0, 0xf8] if pid >= 0x600 => Ok(Step::EtherType(pid)),
        // Bridged frames (RFC 2427, RFC 2684).
        [0, 0x80, 0xc2] => match pid {
            1 => {
                w.drop_trailer(4);
                Ok(Step::Ethernet)
            }
            7 => Ok(Step::Ethernet),
            4 | 10 => fddi(w),
            _ => Err(SkipReason::NonIp),
        },
        _ => Err(SkipReason::NonIp),
    }
}

/// By network layer protocol identifier (ISO 9577, RFC 2427).
fn osi(w: &mut Walk<'_>) -> Next {
    match w.take::<1>()?[0] {
        0xcc => Ok(Step::Ip4),
        0x8e => Ok(Step::Ip6),
        0x80 => snap(w),
        0xcf => Ok(Step::Ppp),
        _ => Err(SkipReason::NonIp),
    }
}

/// BSD loopback: the address family in the byte order of the machine that captured.
fn null(w: &mut Walk<'_>) -> Next {
    let h = *w.take::<4>()?;
    w.push(Layer::Null);
    let le = u32::from_le_bytes(h);
    family(if le > 0xffff { u32::from_be_bytes(h) } else { le })
}

fn loopback(w: &mut Walk<'_>) -> Next {
    let h = *w.take::<4>()?;
    w.push(Layer::Null);
    family(u32::from_be_bytes(h))
}

fn family(family: u32) -> Next {
    match family {
        2 => Ok(Step::Ip4),
        10 | 23 | 24 | 26 | 28 | 30 => Ok(Step::Ip6),
        0x600..=0xffff => Ok(Step::EtherType(family as u16)),
        _ => Err(SkipReason::NonIp),
    }
}

fn raw(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Raw);
    ip::by_version(w)
}

/// Linux cooked capture.
fn sll(w: &mut Walk<'_>) -> Next {
    let h = w.take::<16>()?;
    w.push(Layer::Sll);
    cooked(u16::from_be_bytes([h[2], h[3]]), u16::from_be_bytes([h[14], h[15]]))
}

/// Linux cooked capture, version 2.
fn sll2(w: &mut Walk<'_>) -> Next {
    let h = w.take::<20>()?;
    w.push(Layer::Sll);
    cooked(u16::from_be_bytes([h[8], h[9]]), u16::from_be_bytes([h[0], h[1]]))
}

fn cooked(hardware: u16, protocol: u16) -> Next {
    match (hardware, protocol) {
        // ARPHRD_NETLINK: the protocol is netlink's family.
        (824, _) => Err(SkipReason::NonIp),
        // ARPHRD_IEEE80211, ARPHRD_IEEE80211_RADIOTAP.
        (801, p) if p < 0x600 => Ok(Step::Wifi),
        (803, p) if p < 0x600 => Ok(Step::Radiotap),
        (_, 4) => Ok(Step::Llc),
        // Frame relay (ARPHRD_DLCI), PPP.
        (_, 9) => Ok(Step::Ppp),
        (_, t @ 0x600..) => Ok(Step::EtherType(t)),
        // ARPHRD_NONE, ARPHRD_RAWIP and the tunnels give raw IP without a protocol at times.
        (768 | 769 | 776 | 778 | 519 | 0xfffe, 0) => Ok(Step::Ip),
        _ => Err(SkipReason::NonIp),
    }
}

fn fddi(w: &mut Walk<'_>) -> Next {
    match w.take::<13>()?[0] {
        0x50..=0x5f | 0xd0..=0xd7 => Ok(Step::Llc),
        _ => Err(SkipReason::NonIp),
    }
}

/// IEEE 802.5, with the routing information field that the source address announces.
fn token_ring(w: &mut Walk<'_>) -> Next {
    let h = w.take::<14>()?;
    if h[1] & 0xc0 != 0x40 {
        return Err(SkipReason::NonIp);
    }
    if h[8] & 0x80 != 0 {
        w.at += usize::from(w.peek::<1>()?[0] & 0x1f);
    }
    Ok(Step::Llc)
}

/// Frame relay (Q.922, RFC 2427) or Cisco's encapsulation of it.
fn frame_relay(w: &mut Walk<'_>) -> Next {
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

/// ATM as SunATM gives it: direction and traffic type, VPI, VCI; then LLC or LAN emulation.
fn sunatm(w: &mut Walk<'_>) -> Next {
    match w.take::<4>()?[0] & 15 {
        2 => Ok(Step::Llc),
        1 => skip(w, 2, Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// Linux netfilter log: attributes, among them the packet from its IP header on.
fn nflog(w: &mut Walk<'_>) -> Next {
    const PAYLOAD: u16 = 9;
    let [family, ..] = *w.take::<4>()?;
    loop {
        let h = *w.peek::<4>()?;
        // The kernel writes in its own byte order. A length has its low byte set, a type its high byte clear.
        let big = h[0] == 0 && h[3] != 0 && h[2] == 0 || h[1] != 0 && h[2] == 0 && h[3] == PAYLOAD as u8;
        let read = |b: [u8; 2]| if big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) };
        let (len, kind) = (usize::from(read([h[0], h[1]])), read([h[2], h[3]]));
        if len < 4 {
            return Err(SkipReason::Malformed);
        }
        if kind & 0x7fff == PAYLOAD {
            w.at += 4;
            w.limit(len - 4);
            return match family {
                2 => Ok(Step::Ip4),
                10 => Ok(Step::Ip6),
                7 | 0 => Ok(Step::Ip),
                _ => Err(SkipReason::NonIp),
            };
        }
        w.at += len.next_multiple_of(4);
    }
}
