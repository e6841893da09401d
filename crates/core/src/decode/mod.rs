//! Frames to packets.
//!
//! The outermost IP header is what an operator counts (bytes on the link), the innermost one is whose flow it is. So the
//! walk goes through every link layer and tunnel it can prove, notes the first IP header on the way, and falls back to
//! the last sound IP packet where the inside turns out not to be IP. Every frame (of an aggregate of 802.11, every
//! subframe) ends as exactly one packet or one [`SkipReason`]; a fragment may do so later than its frame.

mod fast;
mod fragments;
mod ip;
mod judge;
mod link;
mod transport;
mod tunnel;
mod walk;
mod wifi;

#[cfg(test)]
mod tests;

use crate::frame::{Frame, LinkType, TimeNs};
use crate::packet::{FlowKey, Fragment, IpProtocol, Known, NO_OFFSET, PacketInfo, Scope, ip_proto};
use crate::stats::{SkipReason, StatsDelta};
pub use fragments::MAX_AGE as FRAGMENTS_WAIT;
use fragments::{Added, DatagramKey, Identity, Piece, Reassembly, Waiting};
use transport::Transport;
use walk::{Upper, Walk};

/// Most subframes of a frame that are looked at. An A-MSDU has at most 11,454 bytes, and a subframe with an IP header at
/// least 44.
const MAX_SUBFRAMES: usize = 256;

/// Turns frames into packets: link layers, tunnels, IP, fragments, TCP/UDP/ICMP headers.
///
/// Holds the only state that decoding needs, the datagrams that are being put together.
///
/// Fragments are packets of their own. The ports come from the first fragment; later ones that come before it wait (at
/// most 30 s of packet time, in bounded memory) and are given out when it comes, or without ports when it does not.
/// Their frame may lie in an earlier batch then: `frame` is [`NO_OFFSET`], and their headers, up to that of IP, are in
/// [`Decoded::extra`]. The fragment that completes a datagram carries the whole upper-layer header and payload, in
/// [`Decoded::extra`]; where fragments overlap, the bytes that came first win. If a completed datagram holds a tunnel,
/// its inner packet takes the place of the completing fragment, the others stay packets of the outer flow.
#[derive(Debug)]
pub struct Decoder {
    secret: [u64; 2],
    settings: DecodeSettings,
    reassembly: Reassembly,
}

/// What belongs to the identity of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeSettings {
    /// Whether VLAN identifiers do. They do not where each direction has its own.
    pub key_vlan: bool,
    /// Whether the identifier of a tunnel does.
    pub key_tunnel: bool,
}

impl Default for DecodeSettings {
    fn default() -> Self {
        Self { key_vlan: true, key_tunnel: true }
    }
}

impl DecodeSettings {
    fn scope(self, found: Scope) -> Scope {
        let Scope { vlan, tunnel_kind, tunnel_id } = found;
        let (tunnel_kind, tunnel_id) = if self.key_tunnel { (tunnel_kind, tunnel_id) } else { (0, 0) };
        Scope { vlan: if self.key_vlan { vlan } else { 0 }, tunnel_kind, tunnel_id }
    }
}

/// Where the decoder puts what it finds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Packets in the order in which their flow became known (a fragment may wait for its first sibling).
    pub packets: Vec<PacketInfo>,
    /// Bytes of reassembled datagrams, and of the headers of fragments that have waited. The owner appends them to the data of the batch: offsets in `packets` count
    /// from the end of that data on.
    pub extra: Vec<u8>,
    /// Counts of this batch.
    pub stats: StatsDelta,
}

/// Whether there is a decoder for a link type.
pub fn is_supported(link: LinkType) -> bool {
    link::first_step(link).is_some()
}

impl Decoder {
    /// A decoder that hashes keys under `secret`.
    pub fn new(secret: [u64; 2], settings: DecodeSettings) -> Self {
        Self { secret, settings, reassembly: Reassembly::default() }
    }

    /// Decodes one frame, which lies in `data` (the data of its batch).
    pub fn decode(&mut self, data: &[u8], index: u32, frame: &Frame, out: &mut Decoded) {
        let start = frame.offset as usize;
        let bytes = data.get(start..start.saturating_add(frame.cap_len as usize)).unwrap_or_default();
        out.stats.frames += 1;
        out.stats.captured_bytes += u64::from(frame.cap_len);
        out.stats.wire_bytes += u64::from(frame.wire_len);
        // Negative, or the largest there is, which stands for all beyond: sources saturate.
        out.stats.odd_times += u64::from(frame.ts as u64 >= TimeNs::MAX as u64);
        if self.reassembly.is_due(frame.ts) {
            self.expire(data.len(), frame.ts, out);
        }
        if frame.link == LinkType::ETHERNET
            && let Some(info) = fast::packet(bytes, index, frame, self.secret)
        {
            let is_v6 = u64::from(info.key.is_v6());
            out.stats.ipv6_packets += is_v6;
            out.stats.ipv4_packets += 1 - is_v6;
            out.stats.ip_bytes += u64::from(info.ip_len);
            push(out, info);
            return;
        }
        self.walk(data.len(), bytes, index, frame, out);
    }

    #[inline(never)]
    fn walk(&mut self, data_len: usize, bytes: &[u8], index: u32, frame: &Frame, out: &mut Decoded) {
        let Some(step) = link::first_step(frame.link) else {
            skip(out, frame.link, SkipReason::UnsupportedLinkType);
            return;
        };
        let mut walk = Walk::new(bytes, frame.offset, frame.wire_len as usize);
        self.follow(data_len, step, index, frame, &mut walk, out);
        for _ in 1..MAX_SUBFRAMES {
            let Some(further) = walk.further.take() else { return };
            walk = Walk::at_further(frame.offset, further);
            out.stats.subframes += 1;
            self.follow(data_len, walk::Step::Subframe, index, frame, &mut walk, out);
        }
    }

    /// Follows the headers of a frame, or of one of its subframes, to a packet or a reason.
    fn follow(
        &mut self,
        data_len: usize,
        step: walk::Step,
        index: u32,
        frame: &Frame,
        walk: &mut Walk<'_>,
        out: &mut Decoded,
    ) {
        let found = walk.run(step);
        match walk.outermost {
            4 => out.stats.ipv4_packets += 1,
            6 => out.stats.ipv6_packets += 1,
            _ => {}
        }
        out.stats.ip_bytes += u64::from(walk.outermost_len);
        match found {
            Ok(upper) if upper.piece.is_none() => {
                let l4 = transport::parse(upper.protocol, walk.upper_bytes(&upper), upper.l4_len);
                let info = self.info(frame.ts, index, walk, &upper, &l4);
                push(out, info);
            }
            Ok(upper) => self.fragment(data_len, frame.ts, index, walk, &upper, out),
            Err(reason) => skip(out, frame.link, reason),
        }
    }

    /// Gives out the fragments that still wait for their first sibling, as packets without ports of a batch with `data_len` bytes.
    pub fn flush(&mut self, data_len: usize, out: &mut Decoded) {
        self.reassembly.flush(|waiting| release(out, data_len, &waiting));
    }

    /// The same of the fragments whose first sibling has not come in time at `now`.
    #[cold]
    pub fn expire(&mut self, data_len: usize, now: TimeNs, out: &mut Decoded) {
        self.reassembly.expire(now, |waiting| release(out, data_len, &waiting));
    }

    fn info(&self, ts: TimeNs, frame: u32, walk: &mut Walk<'_>, upper: &Upper, l4: &Transport) -> PacketInfo {
        let (src, dst) = (upper.src.with_port(l4.src_port), upper.dst.with_port(l4.dst_port));
        let scope = self.settings.scope(walk.context.scope);
        let (key, from_lo) = FlowKey::new(upper.v6, upper.protocol, l4.has_ports, src, dst, scope);
        // Of a host that pings itself only the type distinguishes the directions.
        let echo_reply = l4.known.has(Known::ICMP)
            && matches!((upper.protocol, l4.icmp[0]), (ip_proto::ICMP, 0) | (ip_proto::ICMPV6, 129));
        let from_lo = from_lo && !(src == dst && echo_reply);
        walk.context.layers.push(IpProtocol::layer_of(upper.protocol));
        let at = |n: usize| walk.base.saturating_add(n as u32);
        let payload_start = (upper.l4 + l4.header_len).min(upper.end);
        PacketInfo {
            ts,
            hash: key.keyed_hash(self.secret),
            key,
            layers: walk.context.layers,
            frame,
            outer_l3: walk.context.outer_l3,
            l3: upper.l3,
            l4: at(upper.l4),
            payload_start: at(payload_start),
            payload_end: at(upper.end.min(payload_start.saturating_add(l4.payload_len as usize))),
            ip_len: upper.ip_len,
            payload_len: l4.payload_len,
            seq: l4.seq,
            ack: l4.ack,
            window: l4.window,
            tcp_flags: l4.tcp_flags,
            icmp: l4.icmp,
            ethernet: walk.ethernet(upper.l3),
            known: l4.known.with(Known::AH.when(upper.ah || walk.context.ah)),
            from_lo,
            ttl: upper.ttl,
            fragment: Fragment::Whole,
        }
    }

    #[cold]
    #[inline(never)]
    fn fragment(
        &mut self,
        data_len: usize,
        ts: TimeNs,
        index: u32,
        walk: &mut Walk<'_>,
        upper: &Upper,
        out: &mut Decoded,
    ) {
        let Some(piece) = upper.piece else { return };
        let bytes = walk.upper_bytes(upper);
        let outer = walk.context;
        let first = piece.offset == 0;
        // The fragmentable part of IPv6 may begin with more extension headers (RFC 8200 section 4.5).
        let whole = Upper { piece: None, ..*upper };
        let inner = if first && has_extensions(upper) { ip::skip_extensions(walk, whole) } else { whole };
        let l4 = match first {
            true => transport::parse(inner.protocol, walk.upper_bytes(&inner), inner.l4_len),
            false => Transport { payload_len: upper.l4_len, known: Known::PAYLOAD_LEN, ..Transport::default() },
        };
        let identity = first.then(|| {
            let header_start = (inner.l4 - upper.l4) as u32;
            let header_len = transport::header_len(inner.protocol, walk.upper_bytes(&inner));
            Identity {
                protocol: inner.protocol,
                has_ports: l4.has_ports,
                src_port: l4.src_port,
                dst_port: l4.dst_port,
                header_start,
                header_end: header_len.map(|len| header_start + len),
            }
        });
        // A datagram of which bytes are missing is never put together: then this is all there will be of its header.
        let shows = first && bytes.len() < upper.l4_len as usize;
        let shown = if shows { l4 } else { without_header(&l4) };
        let mut info = self.info(ts, index, walk, &inner, &shown);
        info.fragment = if first { Fragment::First } else { Fragment::Later };
        if !first {
            info.layers = outer.layers;
        }
        if !shows {
            info.l4 = NO_OFFSET;
            (info.payload_start, info.payload_end) = (0, 0);
        }
        let datagram = DatagramKey {
            src: upper.src,
            dst: upper.dst,
            scope: (outer.scope.vlan, outer.scope.tunnel_kind, outer.scope.tunnel_id),
            id: piece.id,
            // IPv6 fragments of one datagram may differ in their next header; only the first one's counts.
            protocol: if upper.v6 { None } else { Some(upper.protocol) },
        };
        let (secret, scope) = (self.secret, self.settings.scope(outer.scope));
        let name = |mut p: PacketInfo, id: &Identity, offset: u32, len: u32| {
            let (src, dst) = (upper.src.with_port(id.src_port), upper.dst.with_port(id.dst_port));
            (p.key, p.from_lo) = FlowKey::new(upper.v6, id.protocol, id.has_ports, src, dst, scope);
            p.hash = p.key.keyed_hash(secret);
            if p.fragment == Fragment::Later {
                // The datagram's headers, so that a flow's do not depend on which fragment came first.
                p.layers.push(IpProtocol::layer_of(id.protocol));
                let payload = id.payload_in(offset, len);
                p.payload_len = payload.unwrap_or(0);
                p.known = p.known.without(Known::PAYLOAD_LEN).with(Known::PAYLOAD_LEN.when(payload.is_some()));
            }
            p
        };
        let part = Piece { offset: piece.offset, more: piece.more, wire_len: upper.l4_len, bytes };
        let headers = walk.bytes.get(..upper.l4).unwrap_or_default();
        let wait = |part: &Piece<'_>| Waiting::new(&info, headers, walk.base, part);
        let added = self.reassembly.add(datagram, ts, part, identity, wait, |w| release(out, data_len, &w));
        out.stats.datagrams_evicted += self.reassembly.take_evicted();
        match added {
            Added::Waits => {}
            Added::Loose => push(out, info),
            Added::Known { identity, waiting, datagram } => {
                for w in waiting {
                    let info = w.give_out(data_len, &mut out.extra);
                    push(out, name(info, &identity, w.offset, w.len));
                }
                let info = name(info, &identity, piece.offset, upper.l4_len);
                match datagram {
                    None => push(out, info),
                    Some(bytes) => self.complete(data_len, info, outer, &whole, &bytes, walk, out),
                }
            }
        }
    }

    /// The packet of the frame that completed a datagram: what the datagram tunnels, or the fragment with the header and
    /// the payload of the whole.
    #[allow(clippy::too_many_arguments)]
    fn complete(
        &mut self,
        data_len: usize,
        info: PacketInfo,
        context: walk::Context,
        upper: &Upper,
        bytes: &[u8],
        walk: &Walk<'_>,
        out: &mut Decoded,
    ) {
        out.stats.datagrams_reassembled += 1;
        let base = u32::try_from(data_len + out.extra.len()).unwrap_or(NO_OFFSET);
        out.extra.extend_from_slice(bytes);
        let mut inner = Walk::new(bytes, base, bytes.len());
        inner.resume(walk, context);
        let datagram =
            Upper { l4: 0, end: bytes.len(), l4_len: bytes.len() as u32, protocol: upper.protocol, ..*upper };
        let datagram = if has_extensions(upper) { ip::skip_extensions(&inner, datagram) } else { datagram };
        let found = inner.run(walk::Step::Upper(datagram));
        if inner.context.ip_headers > context.ip_headers {
            match found {
                Ok(u) if u.piece.is_some() => return self.fragment(data_len, info.ts, info.frame, &mut inner, &u, out),
                Ok(u) => {
                    let l4 = transport::parse(u.protocol, inner.upper_bytes(&u), u.l4_len);
                    let info = self.info(info.ts, info.frame, &mut inner, &u, &l4);
                    return push(out, info);
                }
                Err(reason) => return out.stats.skipped[reason] += 1,
            }
        }
        let l4 = transport::parse(datagram.protocol, inner.upper_bytes(&datagram), datagram.l4_len);
        inner.context = context;
        let whole = self.info(info.ts, info.frame, &mut inner, &datagram, &l4);
        push(
            out,
            PacketInfo {
                l4: whole.l4,
                payload_start: whole.payload_start,
                payload_end: whole.payload_end,
                seq: whole.seq,
                ack: whole.ack,
                window: whole.window,
                tcp_flags: whole.tcp_flags,
                icmp: whole.icmp,
                known: whole.known.without(Known::PAYLOAD_LEN).with(info.known),
                ..info
            },
        );
    }
}

/// Whether more headers of IP may stand before the upper layer of a datagram: of IPv4, an authentication header.
fn has_extensions(upper: &Upper) -> bool {
    upper.v6 || upper.protocol == ip_proto::AH
}

/// What a fragment that shows no upper-layer header says: the flow, and its share of the payload.
fn without_header(l4: &Transport) -> Transport {
    Transport {
        has_ports: l4.has_ports,
        src_port: l4.src_port,
        dst_port: l4.dst_port,
        payload_len: l4.payload_len,
        known: if l4.known.has(Known::PAYLOAD_LEN) { Known::PAYLOAD_LEN } else { Known::NONE },
        ..Transport::default()
    }
}

fn skip(out: &mut Decoded, link: LinkType, reason: SkipReason) {
    out.stats.skipped[reason] += 1;
    out.stats.skipped_links.insert(link);
}

/// A fragment of which the first sibling has not come.
fn release(out: &mut Decoded, data_len: usize, waiting: &Waiting) {
    let info = waiting.give_out(data_len, &mut out.extra);
    push(out, info);
}

#[inline]
fn push(out: &mut Decoded, info: PacketInfo) {
    out.stats.packets += 1;
    out.stats.bytes += u64::from(info.ip_len);
    out.packets.push(info);
}
