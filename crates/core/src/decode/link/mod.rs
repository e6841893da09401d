//! Link layers: from the first byte of a frame to its network layer.
//!
//! What is looked through (tags, labels, pseudo-wires) follows what TShark looks through, so that counts agree.

mod captured;
mod ethernet;
mod lan;
mod serial;

pub(super) use ethernet::{ether_type, ethernet, mpls};
pub(super) use serial::{cisco_hdlc, llc, ppp, ppp_hdlc, pppoe};

use super::walk::{Next, Step, Walk};
use super::{ip, tunnel, wifi};
use crate::frame::LinkType;
use crate::packet::Layer;
use crate::stats::SkipReason;

/// Where the walk begins for a link type; none where there is no decoder for it.
#[inline]
pub(super) fn first_step(link: LinkType) -> Option<Step> {
    Some(match link {
        LinkType::ETHERNET => Step::Ethernet,
        LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Step::Link(LinkType::RAW),
        LinkType::ATM_CLIP_OLD | LinkType::ATM_CLIP_LINUX | LinkType::ATM_CLIP => Step::Link(LinkType::ATM_CLIP),
        LinkType::IPV4 => Step::Ip4,
        LinkType::IPV6 => Step::Ip6,
        LinkType::IEEE802_11 => Step::Wifi,
        LinkType::IEEE802_11_RADIOTAP => Step::Radiotap,
        LinkType::C_HDLC | LinkType::NETBSD_HDLC => Step::CiscoHdlc,
        LinkType::PPP | LinkType::PPP_HDLC => Step::PppHdlc,
        LinkType::PPP_ETHER => Step::Pppoe,
        LinkType::ATM_RFC1483 | LinkType::ATM_RFC1483_BSD => Step::Llc,
        LinkType::MPLS => Step::Mpls,
        _ => Step::Link(decoder_of(link).map(|_| link)?),
    })
}

/// The first header of a link type that is not simply another step.
pub(super) fn other(w: &mut Walk<'_>, link: LinkType) -> Next {
    match decoder_of(link) {
        Some(decoder) => decoder(w),
        None => Err(SkipReason::UnsupportedLinkType),
    }
}

type Decoder = fn(&mut Walk<'_>) -> Next;

fn decoder_of(link: LinkType) -> Option<Decoder> {
    Some(match link {
        LinkType::RAW => raw,
        LinkType::NULL => null,
        LinkType::LOOP => loopback,
        LinkType::IEEE802_5 => lan::token_ring,
        LinkType::ARCNET_BSD => |w| lan::arcnet(w, 0),
        LinkType::ARCNET_LINUX => |w| lan::arcnet(w, 2),
        LinkType::FDDI => lan::fddi,
        // Two addresses of 8 bytes, EtherType.
        LinkType::APPLE_IP_OVER_IEEE1394 => |w| ethernet::typed(w, 16),
        LinkType::IPOIB => lan::ipoib,
        LinkType::INFINIBAND => lan::infiniband,
        LinkType::IP_OVER_FC => lan::ip_over_fc,
        LinkType::FC_2 => lan::fc_2,
        LinkType::FC_2_WITH_FRAME_DELIMS => |w| {
            w.at += 4;
            lan::fc_2(w)
        },
        LinkType::AX25 => lan::ax25,
        LinkType::AX25_KISS => |w| {
            w.at += 1;
            lan::ax25(w)
        },
        LinkType::DOCSIS => lan::docsis,
        LinkType::ATSC_ALP => lan::atsc_alp,
        LinkType::GPF_F | LinkType::GPF_T => lan::gfp,
        LinkType::SUNATM => lan::sunatm,
        // LAN emulation: the identifier of the client.
        LinkType::LANE8023 => |w| skip(w, 2, Step::Ethernet),
        LinkType::ATM_CLIP => clip,
        LinkType::EPON => epon,
        LinkType::ETHERNET_MPACKET => ethernet::mpacket,
        // Tags of switch chips, behind the addresses but for the last.
        LinkType::DSA_TAG_BRCM | LinkType::DSA_TAG_DSA => |w| ethernet::switch_tag(w, 4),
        LinkType::DSA_TAG_EDSA => |w| ethernet::switch_tag(w, 8),
        LinkType::DSA_TAG_BRCM_PREPEND => |w| skip(w, 4, Step::Ethernet),
        // Direction, and the compressed header that was there.
        LinkType::SLIP => |w| skip(w, 16, Step::Ip),
        LinkType::FRELAY => serial::frame_relay,
        LinkType::FRELAY_WITH_DIR => |w| {
            w.at += 1;
            serial::frame_relay(w)
        },
        LinkType::MFR => serial::multilink_frame_relay,
        LinkType::C_HDLC_WITH_DIR => |w| skip(w, 1, Step::CiscoHdlc),
        LinkType::PPP_PPPD => serial::pppd,
        LinkType::PPP_WITH_DIR => |w| skip(w, 1, Step::PppHdlc),
        LinkType::IEEE802_11_PRISM => wifi::prism,
        LinkType::IEEE802_11_AVS => wifi::avs,
        LinkType::PPI => wifi::ppi,
        LinkType::TZSP => tunnel::tzsp,
        LinkType::LINUX_SLL => captured::sll,
        LinkType::LINUX_SLL2 => captured::sll2,
        LinkType::NFLOG => captured::nflog,
        LinkType::PFLOG => captured::pflog,
        LinkType::ENC | LinkType::ENC_OPENBSD => captured::enc,
        LinkType::PKTAP => captured::pktap,
        LinkType::ERF => captured::erf,
        LinkType::IPNET => captured::ipnet,
        LinkType::NETANALYZER => captured::netanalyzer,
        LinkType::NETANALYZER_TRANSPARENT => captured::netanalyzer_transparent,
        LinkType::SITA => captured::sita,
        LinkType::EBHSCR => captured::ebhscr,
        LinkType::WIRESHARK_UPPER_PDU => captured::exported_pdu,
        LinkType::JUNIPER_ETHER | LinkType::JUNIPER_PPPOE => |w| captured::juniper(w, Some(Step::Ethernet)),
        LinkType::JUNIPER_PPP => |w| captured::juniper(w, Some(Step::Ppp)),
        LinkType::JUNIPER_CHDLC => |w| captured::juniper(w, Some(Step::CiscoHdlc)),
        LinkType::JUNIPER_FRELAY => |w| captured::juniper(w, Some(Step::Link(LinkType::FRELAY))),
        LinkType::JUNIPER_MLPPP
        | LinkType::JUNIPER_MLFR
        | LinkType::JUNIPER_ES
        | LinkType::JUNIPER_GGSN
        | LinkType::JUNIPER_MFR
        | LinkType::JUNIPER_ATM1
        | LinkType::JUNIPER_ATM2
        | LinkType::JUNIPER_SERVICES
        | LinkType::JUNIPER_MONITOR
        | LinkType::JUNIPER_PPPOE_ATM
        | LinkType::JUNIPER_VP
        | LinkType::JUNIPER_ST => |w| captured::juniper(w, None),
        _ => return None,
    })
}

fn skip(w: &mut Walk<'_>, len: usize, then: Step) -> Next {
    w.at += len;
    Ok(then)
}

/// Classical IP over ATM (RFC 2225): of the two encapsulations of RFC 2684, LLC is known by its first bytes; the other has no
/// header.
fn clip(w: &mut Walk<'_>) -> Next {
    if w.rest().starts_with(&[0xaa, 0xaa, 3]) { Ok(Step::Llc) } else { raw(w) }
}

/// The preamble with the identifier of the logical link (IEEE 802.3 clause 65.1.3): its last six bytes, or all of it.
fn epon(w: &mut Walk<'_>) -> Next {
    let whole = w.rest().starts_with(&[0x55, 0x55, 0xd5]);
    skip(w, if whole { 8 } else { 6 }, Step::Ethernet)
}

fn raw(w: &mut Walk<'_>) -> Next {
    w.push(Layer::Raw);
    ip::by_version(w)
}

/// BSD loopback: the address family in the byte order of the machine that captured. Some write a PPP or Cisco HDLC header
/// into its place.
fn null(w: &mut Walk<'_>) -> Next {
    let h = *w.peek::<4>()?;
    match h {
        [0xff, 3, ..] => return Ok(Step::Ppp),
        [0x0f | 0x8f, 0, ..] => return Ok(Step::CiscoHdlc),
        _ => w.at += 4,
    }
    w.push(Layer::Null);
    let le = u32::from_le_bytes(h);
    family(if le > 0xffff { u32::from_be_bytes(h) } else { le })
}

fn loopback(w: &mut Walk<'_>) -> Next {
    let h = *w.take::<4>()?;
    w.push(Layer::Null);
    family(u32::from_be_bytes(h))
}

/// By address family, as the systems number it; or an EtherType.
fn family(family: u32) -> Next {
    match family {
        2 => Ok(Step::Ip4),
        10 | 23 | 24 | 26 | 28 | 30 => Ok(Step::Ip6),
        0x600..=0xffff => Ok(Step::EtherType(family as u16)),
        _ => Err(SkipReason::NonIp),
    }
}
