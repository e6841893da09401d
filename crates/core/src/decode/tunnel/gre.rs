//! GRE and what is told apart by its protocol field.

use super::name;
use crate::decode::walk::{Next, Step, Walk};
use crate::packet::{Layer, tunnel_kind};
use crate::stats::SkipReason;

/// GRE (RFC 2784, RFC 2890), with the routing field of RFC 1701, and PPTP's version of it (RFC 2637).
pub(super) fn gre(w: &mut Walk<'_>) -> Next {
    let [flags, version, protocol @ ..] = *w.take::<4>()?;
    let protocol = u16::from_be_bytes(protocol);
    let [checksum, routing, key, sequence] = [0x80, 0x40, 0x20, 0x10].map(|bit| flags & bit != 0);
    w.push(Layer::Gre);
    if (flags, version, protocol) == (0x20, 1, 0x6400) {
        // EoIP of MikroTik: the length of the frame and the number of the tunnel, which is in little-endian order.
        let [len @ .., _, _] = *w.take::<4>()?;
        w.limit(u16::from_be_bytes(len).into());
        return Ok(Step::Ethernet);
    }
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
