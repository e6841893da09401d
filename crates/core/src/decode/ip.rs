//! IPv4 and IPv6 headers.
//!
//! Lengths are those of the wire: the header's, bounded by the frame around it, never by the snap length. What a header
//! claims beyond its frame was not sent.

use super::judge;
use super::walk::{Next, Piece, Step, Upper, Walk};
use crate::packet::{Endpoint, Extension, MAX_EXTENSIONS, ip_proto};
use crate::stats::SkipReason;

/// IP of whichever version.
pub(super) fn by_version(w: &mut Walk<'_>) -> Next {
    match w.peek::<1>()?[0] >> 4 {
        4 => Ok(Step::Ip4),
        6 => Ok(Step::Ip6),
        _ => Err(SkipReason::NonIp),
    }
}

/// IPv4 (RFC 791).
#[inline]
pub(super) fn v4(w: &mut Walk<'_>) -> Next {
    let Ok(h) = w.peek::<20>() else {
        if let Some(&[0x40..=0x4f, _, a, b]) = w.rest().first_chunk() {
            w.note_unsound_ip(4, u32::from(u16::from_be_bytes([a, b])));
        }
        return Err(SkipReason::Truncated);
    };
    let header_len = usize::from(h[0] & 15) * 4;
    let ip_len = u16::from_be_bytes([h[2], h[3]]);
    let wire = w.wire_rest();
    // Total length 0 is what a capture before segmentation offload shows: then the length is that of the frame.
    let len = if ip_len == 0 { wire } else { usize::from(ip_len).min(wire) };
    if h[0] >> 4 != 4 || header_len < 20 {
        w.note_unsound_ip(4, 0);
        return Err(SkipReason::Malformed);
    }
    // What mirrors a link may cut the packets that it tunnels, and say nothing of it but in their lengths.
    if w.is_inside() && usize::from(ip_len) > wire && !judge::has_checksum(w.rest()) {
        return Err(SkipReason::Malformed);
    }
    // A link layer may claim fewer bytes than the packet and the frame have: then the packet is believed.
    let sent = if ip_len == 0 { len } else { usize::from(ip_len).min(w.whole_wire_rest()) } as u32;
    let l3 = w.note_ip(4, sent);
    if len < header_len {
        return Err(SkipReason::Malformed);
    }
    let l4 = w.at + header_len;
    let end = (w.at + len).min(w.bytes.len());
    let flags = u16::from_be_bytes([h[6], h[7]]);
    let upper = Upper {
        src: Endpoint::v4([h[12], h[13], h[14], h[15]], 0),
        dst: Endpoint::v4([h[16], h[17], h[18], h[19]], 0),
        v6: false,
        protocol: h[9],
        ttl: h[8],
        l3,
        l4: l4.min(end),
        end,
        ip_len: sent,
        l4_len: (len - header_len) as u32,
        ah: false,
        piece: None,
    };
    if flags & 0x3fff != 0 {
        let id = u32::from(u16::from_be_bytes([h[4], h[5]]));
        let piece = Piece { id, offset: u32::from(flags & 0x1fff) * 8, more: flags & 0x2000 != 0 };
        return Ok(Step::Upper(Upper { piece: Some(piece), ..upper }));
    }
    if upper.protocol == ip_proto::AH {
        return Ok(Step::Upper(skip_extensions(w, upper)));
    }
    Ok(Step::Upper(upper))
}

/// IPv6 (RFC 8200).
#[inline]
pub(super) fn v6(w: &mut Walk<'_>) -> Next {
    let Ok(h) = w.peek::<40>() else {
        if let Some(&[0x60..=0x6f, _, _, _, a, b]) = w.rest().first_chunk() {
            w.note_unsound_ip(6, 40 + u32::from(u16::from_be_bytes([a, b])));
        }
        return Err(SkipReason::Truncated);
    };
    if h[0] >> 4 != 6 {
        w.note_unsound_ip(6, 0);
        return Err(SkipReason::Malformed);
    }
    let claimed = u16::from_be_bytes([h[4], h[5]]);
    let wire = w.wire_rest();
    // As for IPv4, but there is no checksum: what led here must have said that it is IPv6.
    if w.is_inside() && 40 + usize::from(claimed) > wire && !w.is_named() {
        return Err(SkipReason::Malformed);
    }
    let len = match claimed {
        0 => jumbo_length(h[6], w.rest().get(40..).unwrap_or_default(), wire),
        _ => 40 + usize::from(claimed),
    };
    let sent = if claimed == 0 { len.min(wire) } else { len.min(w.whole_wire_rest()) } as u32;
    let len = len.min(wire);
    let l3 = w.note_ip(6, sent);
    let end = (w.at + len).min(w.bytes.len());
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    src.copy_from_slice(&h[8..24]);
    dst.copy_from_slice(&h[24..40]);
    let upper = Upper {
        src: Endpoint::v6(src, 0),
        dst: Endpoint::v6(dst, 0),
        v6: true,
        protocol: h[6],
        ttl: h[7],
        l3,
        l4: w.at + 40,
        end,
        ip_len: sent,
        l4_len: len.saturating_sub(40) as u32,
        ah: false,
        piece: None,
    };
    match h[6] {
        ip_proto::TCP | ip_proto::UDP | ip_proto::ICMPV6 => Ok(Step::Upper(upper)),
        _ => Ok(Step::Upper(skip_extensions(w, upper))),
    }
}

/// The length of an IPv6 packet that says 0: of a jumbogram (RFC 2675) by its option; of TCP and UDP before segmentation
/// offload (BIG TCP of Linux, large sends of Windows) by the frame; else there is no payload.
fn jumbo_length(next: u8, after: &[u8], wire: usize) -> usize {
    const JUMBO_PAYLOAD: u8 = 0xc2;
    const PAD_1: u8 = 0;
    match next {
        ip_proto::TCP | ip_proto::UDP => return wire,
        ip_proto::HOPOPT => {}
        _ => return 40,
    }
    let Some(options) = Extension::at(next, true, after).and_then(|e| e.bytes.get(2..)) else { return wire };
    let mut rest = options;
    while let Some((kind, after)) = rest.split_first() {
        rest = match (*kind, after) {
            (PAD_1, _) => after,
            (JUMBO_PAYLOAD, [4, a, b, c, d, ..]) => return 40 + u32::from_be_bytes([*a, *b, *c, *d]) as usize,
            (_, [len, value @ ..]) => value.get(usize::from(*len)..).unwrap_or_default(),
            (_, []) => break,
        };
    }
    wire
}

/// Walks over extension headers up to the upper layer, a fragment header (unless atomic, RFC 6946), or where the bytes
/// end; then the protocol is that of the last header reached.
pub(super) fn skip_extensions(w: &Walk<'_>, mut upper: Upper) -> Upper {
    for _ in 0..MAX_EXTENSIONS {
        let Some(header) = Extension::at(upper.protocol, upper.v6, w.upper_bytes(&upper)) else { return upper };
        if upper.protocol == ip_proto::IPV6_FRAG {
            let Some(&[_, _, a, b, i, j, k, l]) = header.bytes.first_chunk() else { return upper };
            let field = u16::from_be_bytes([a, b]);
            if field & 0xfff9 != 0 {
                let id = u32::from_be_bytes([i, j, k, l]);
                upper.piece = Some(Piece { id, offset: u32::from(field & 0xfff8), more: field & 1 != 0 });
            }
        }
        if header.len as u64 > u64::from(upper.l4_len) {
            return upper;
        }
        upper.ah |= upper.protocol == ip_proto::AH;
        // The capture may end inside the header: what follows is then known by its number only.
        upper.protocol = header.next;
        upper.l4 = (upper.l4 + header.len).min(upper.end);
        upper.l4_len -= header.len as u32;
        if upper.piece.is_some() {
            return upper;
        }
    }
    upper
}
