//! Headers that the capturing system puts in front of a frame, or in place of its link layer.

use super::{family, first_step, skip};
use crate::decode::walk::{Next, Step, Walk};
use crate::frame::LinkType;
use crate::packet::Layer;
use crate::stats::SkipReason;

/// Linux cooked capture.
pub(super) fn sll(w: &mut Walk<'_>) -> Next {
    let h = w.take::<16>()?;
    w.push(Layer::Sll);
    cooked(u16::from_be_bytes([h[2], h[3]]), u16::from_be_bytes([h[14], h[15]]))
}

/// Linux cooked capture, version 2.
pub(super) fn sll2(w: &mut Walk<'_>) -> Next {
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
        // Linux's own numbers: a frame of Ethernet, of 802.2, of PPP in HDLC's framing.
        (_, 3) => Ok(Step::Ethernet),
        (_, 4) => Ok(Step::Llc),
        (_, 7) => Ok(Step::PppHdlc),
        // ARPHRD_FRAD: Q.922 and all behind it.
        (770, _) => Ok(Step::Link(LinkType::FRELAY)),
        // Frame relay (ARPHRD_DLCI), PPP.
        (_, 9) => Ok(Step::Ppp),
        (_, t @ 0x600..) => Ok(Step::EtherType(t)),
        // ARPHRD_NONE, ARPHRD_RAWIP and the tunnels give raw IP without a protocol at times.
        (768 | 769 | 776 | 778 | 519 | 0xfffe, 0) => Ok(Step::Ip),
        _ => Err(SkipReason::NonIp),
    }
}

/// Linux netfilter log: attributes, among them the packet from its IP header on.
pub(super) fn nflog(w: &mut Walk<'_>) -> Next {
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

/// The packet filter's log of the BSDs: its length, the address family, and more that differs by system.
pub(super) fn pflog(w: &mut Walk<'_>) -> Next {
    let [len, af] = *w.peek::<2>()?;
    // OpenBSD counts up to the last field and aligns what follows; the others count the alignment too.
    w.at += usize::from(len).next_multiple_of(4);
    family(af.into())
}

/// IPsec's view of packets in OpenBSD: address family in the byte order of the machine, security parameters, flags.
pub(super) fn enc(w: &mut Walk<'_>) -> Next {
    let [a, b, c, d, ..] = *w.take::<12>()?;
    let word = [a, b, c, d];
    let le = u32::from_le_bytes(word);
    family(if le > 0xffff { u32::from_be_bytes(word) } else { le })
}

/// macOS: a header of two versions, which says the link type of what follows.
pub(super) fn pktap(w: &mut Walk<'_>) -> Next {
    const VERSION_2: u32 = 0x0008_0000;
    let h = w.peek::<40>()?;
    let word = |at: usize| u32::from_le_bytes([h[at], h[at + 1], h[at + 2], h[at + 3]]);
    let (len, link) = if word(36) & VERSION_2 != 0 {
        (u32::from(h[0]), u32::from(u16::from_le_bytes([h[6], h[7]])))
    } else if word(4) == 1 {
        (word(0), word(8))
    } else {
        return Err(SkipReason::NonIp);
    };
    if len < 40 || len as usize > w.rest().len() {
        return Err(SkipReason::Malformed);
    }
    w.at += len as usize;
    nested(link)
}

/// The first step of a link type inside another.
fn nested(link: u32) -> Next {
    match u16::try_from(link).map(LinkType) {
        // A header of this kind within itself could be as deep as the frame is long.
        Ok(LinkType::PKTAP) | Err(_) => Err(SkipReason::NonIp),
        Ok(link) => first_step(link).ok_or(SkipReason::NonIp),
    }
}

/// Records of Endace's cards: time, type, flags, lengths; then extension headers.
pub(super) fn erf(w: &mut Walk<'_>) -> Next {
    const MORE: u8 = 0x80;
    let h = w.take::<16>()?;
    let mut more = h[8] & MORE != 0;
    // Linear in the bytes captured.
    while more {
        more = w.take::<8>()?[0] & MORE != 0;
    }
    match h[8] & 0x7f {
        // HDLC; of several channels behind four bytes that name one.
        1 | 10 | 15 | 19 => Ok(Step::PppHdlc),
        5 | 17 => skip(w, 4, Step::PppHdlc),
        // Ethernet behind an offset and padding.
        2 | 11 | 16 | 20 => skip(w, 2, Step::Ethernet),
        // AAL5 behind a cell's header.
        4 => skip(w, 4, Step::Llc),
        9 => skip(w, 8, Step::Llc),
        21 => Ok(Step::Link(LinkType::INFINIBAND)),
        22 => Ok(Step::Ip4),
        23 => Ok(Step::Ip6),
        _ => Err(SkipReason::NonIp),
    }
}

/// Solaris: version, address family, and 22 bytes about the interface and zones.
pub(super) fn ipnet(w: &mut Walk<'_>) -> Next {
    let af = w.take::<24>()?[1];
    family(af.into())
}

/// Hilscher's netANALYZER: 4 bytes, then Ethernet with its checksum.
pub(super) fn netanalyzer(w: &mut Walk<'_>) -> Next {
    w.drop_trailer(4);
    skip(w, 4, Step::Ethernet)
}

/// The same with the preamble, of which a part may be missing, up to the start of frame delimiter.
pub(super) fn netanalyzer_transparent(w: &mut Walk<'_>) -> Next {
    const DELIMITER: u8 = 0xd5;
    w.take::<4>()?;
    let delimiter = w.rest().iter().take(16).position(|b| *b == DELIMITER).ok_or(SkipReason::NonIp)?;
    w.drop_trailer(4);
    skip(w, delimiter + 1, Step::Ethernet)
}

/// SITA's WAN protocols: four bytes of signals, then what follows.
pub(super) fn sita(w: &mut Walk<'_>) -> Next {
    match w.take::<5>()?[4] {
        2 => Ok(Step::Ethernet),
        7 => Ok(Step::PppHdlc),
        9 => Ok(Step::Link(LinkType::IEEE802_5)),
        18 => Ok(Step::Link(LinkType::FRELAY)),
        _ => Err(SkipReason::NonIp),
    }
}

/// Elektrobit's recorders: 32 bytes, the first of which says Ethernet.
pub(super) fn ebhscr(w: &mut Walk<'_>) -> Next {
    const ETHERNET: u8 = 0x50;
    match w.take::<32>()?[0] {
        ETHERNET => Ok(Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// What Wireshark exports of a packet's inside: tags, one of which names the protocol.
pub(super) fn exported_pdu(w: &mut Walk<'_>) -> Next {
    const END: u16 = 0;
    const PROTOCOL: u16 = 12;
    let mut name: &[u8] = &[];
    loop {
        let [a, b, c, d] = *w.take::<4>()?;
        let (tag, len) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        if tag == END {
            break;
        }
        let value = w.rest().get(..len).ok_or(SkipReason::Truncated)?;
        if tag == PROTOCOL {
            name = value.split(|b| *b == 0).next().unwrap_or_default();
        }
        w.at += len;
    }
    match name {
        b"ip" | b"ipv6" => Ok(Step::Ip),
        b"eth" | b"eth_withoutfcs" | b"eth_maybefcs" => Ok(Step::Ethernet),
        _ => Err(SkipReason::NonIp),
    }
}

/// Junos: magic number, flags, extensions; then the interface's link layer or, where a flag says that there is none,
/// four bytes and IP.
pub(super) fn juniper(w: &mut Walk<'_>, link: Option<Step>) -> Next {
    const NO_LINK_LAYER: u8 = 0x02;
    const EXTENSIONS: u8 = 0x80;
    let [0x4d, 0x47, 0x43, flags] = *w.take::<4>()? else { return Err(SkipReason::Malformed) };
    if flags & EXTENSIONS != 0 {
        w.at += usize::from(u16::from_be_bytes(*w.take::<2>()?));
    }
    if flags & NO_LINK_LAYER != 0 {
        return skip(w, 4, Step::Ip);
    }
    link.ok_or(SkipReason::NonIp)
}
