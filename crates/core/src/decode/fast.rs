//! The common case in one straight line: Ethernet II, IPv4 without options or IPv6 without extensions, TCP or UDP.
//!
//! Nine frames of ten are this, and the general walk costs twice as much. Whatever is unusual in any way is left to the
//! walk; a property test holds the two together.

use super::transport::{self, Transport};
use super::tunnel;
use crate::frame::Frame;
use crate::packet::{Endpoint, FlowKey, Fragment, Known, Layer, Layers, NO_OFFSET, PacketInfo, Scope, ip_proto};

const ETHERNET: u32 = 14;

/// The packet of an ordinary frame; none where the walk must look.
#[inline]
pub(super) fn packet(bytes: &[u8], index: u32, frame: &Frame, secret: [u64; 2]) -> Option<PacketInfo> {
    let wire = frame.wire_len.max(frame.cap_len);
    let head = bytes.first_chunk::<34>()?;
    match [head[12], head[13]] {
        [0x08, 0x00] => {
            let ip_len = u32::from(u16::from_be_bytes([head[16], head[17]]));
            let is_fragment = u16::from_be_bytes([head[20], head[21]]) & 0x3fff != 0;
            if head[14] != 0x45 || is_fragment || ip_len < 20 {
                return None;
            }
            let ip = Ip {
                src: Endpoint::v4([head[26], head[27], head[28], head[29]], 0),
                dst: Endpoint::v4([head[30], head[31], head[32], head[33]], 0),
                v6: false,
                protocol: head[23],
                ttl: head[22],
                header_len: 20,
                ip_len,
            };
            finish(bytes, index, frame, secret, wire, &ip)
        }
        [0x86, 0xdd] => {
            let head = bytes.first_chunk::<54>()?;
            let claimed = u32::from(u16::from_be_bytes([head[18], head[19]]));
            if head[14] >> 4 != 6 || claimed == 0 {
                return None;
            }
            let (mut src, mut dst) = ([0; 16], [0; 16]);
            src.copy_from_slice(&head[22..38]);
            dst.copy_from_slice(&head[38..54]);
            let ip = Ip {
                src: Endpoint::v6(src, 0),
                dst: Endpoint::v6(dst, 0),
                v6: true,
                protocol: head[20],
                ttl: head[21],
                header_len: 40,
                ip_len: 40 + claimed,
            };
            finish(bytes, index, frame, secret, wire, &ip)
        }
        _ => None,
    }
}

struct Ip {
    src: Endpoint,
    dst: Endpoint,
    v6: bool,
    protocol: u8,
    ttl: u8,
    header_len: u32,
    ip_len: u32,
}

#[inline(always)]
fn finish(bytes: &[u8], index: u32, frame: &Frame, secret: [u64; 2], wire: u32, ip: &Ip) -> Option<PacketInfo> {
    let end = ETHERNET + ip.ip_len;
    if end > wire {
        return None;
    }
    let l4_at = ETHERNET + ip.header_len;
    let cap_end = end.min(bytes.len() as u32);
    let upper = bytes.get(l4_at as usize..cap_end as usize)?;
    let (t, layer) = match ip.protocol {
        ip_proto::TCP => {
            let t = transport::parse(ip_proto::TCP, upper, end - l4_at);
            if !t.known.has(Known::TCP_HEADER) {
                return None;
            }
            (t, Layer::Tcp)
        }
        ip_proto::UDP => {
            let t: Transport = transport::parse(ip_proto::UDP, upper, end - l4_at);
            if !t.has_ports || tunnel::is_tunnel_port(t.src_port, t.dst_port) {
                return None;
            }
            (t, Layer::Udp)
        }
        _ => return None,
    };
    let (src, dst) = (ip.src.with_port(t.src_port), ip.dst.with_port(t.dst_port));
    let (key, from_lo) = FlowKey::new(ip.v6, ip.protocol, true, src, dst, Scope::default());
    let layers = Layers::of([Layer::Eth, if ip.v6 { Layer::Ip6 } else { Layer::Ip }, layer]);
    let at = |n: u32| frame.offset.saturating_add(n);
    let payload_start = (l4_at + t.header_len as u32).min(cap_end);
    Some(PacketInfo {
        ts: frame.ts,
        hash: key.keyed_hash(secret),
        key,
        layers,
        frame: index,
        outer_l3: NO_OFFSET,
        l3: at(ETHERNET),
        l4: at(l4_at),
        payload_start: at(payload_start),
        payload_end: at(cap_end.min(payload_start + t.payload_len)),
        ip_len: ip.ip_len,
        payload_len: t.payload_len,
        seq: t.seq,
        ack: t.ack,
        window: t.window,
        tcp_flags: t.tcp_flags,
        icmp: [0; 2],
        ethernet: ETHERNET as u16,
        known: t.known,
        from_lo,
        ttl: ip.ttl,
        fragment: Fragment::Whole,
    })
}
