//! Builders for tests: the bytes of headers and frames, decoded packets without bytes, numbers that look random.
//!
//! With the feature `testing`, the tests of other crates use them too.

use crate::decode::{DecodeSettings, Decoded, Decoder};
use crate::frame::{FrameBatch, LinkType, TimeNs};
use crate::packet::{Endpoint, FlowKey, IpProtocol, Known, Layer, Layers, PacketInfo, Scope, ip_proto};

/// The bytes of several parts, one behind the other.
pub fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Ethernet from 02:00:00:00:00:02 to 02:00:00:00:00:01.
pub fn eth(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    cat(&[&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ether_type.to_be_bytes(), payload])
}

/// IPv4 from 10.0.0.2 to 10.0.0.1, without checksum.
pub fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip4_part(protocol, 0, 0, false, payload)
}

/// A fragment in IPv4: identification, offset in bytes, whether more follow.
pub fn ip4_part(protocol: u8, id: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let field = (offset / 8) | if more { 0x2000 } else { 0 };
    let head = ip4_head(protocol, payload.len(), [10, 0, 0, 2], [10, 0, 0, 1]);
    let (i, f) = (id.to_be_bytes(), field.to_be_bytes());
    cat(&[&head[..4], &i, &f, &head[8..], payload])
}

/// IPv4 between two addresses, with a right checksum.
pub fn ip4_between(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut head = ip4_head(protocol, payload.len(), src, dst);
    let sum: u32 = head.chunks_exact(2).map(|b| u32::from(b[0]) << 8 | u32::from(b[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !((folded & 0xffff) + (folded >> 16)) as u16;
    head[10..12].copy_from_slice(&sum.to_be_bytes());
    cat(&[&head, payload])
}

fn ip4_head(protocol: u8, payload: usize, [a, b, c, d]: [u8; 4], [e, f, g, h]: [u8; 4]) -> [u8; 20] {
    let [high, low] = (20 + payload as u16).to_be_bytes();
    [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, a, b, c, d, e, f, g, h]
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
pub fn ip6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let address = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    cat(&[&[0x60, 0, 0, 0, high, low, next_header, 55], &address(1), &address(2), payload])
}

/// UDP without checksum.
pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    cat(&[&src_port.to_be_bytes(), &dst_port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload])
}

/// TCP without options: sequence number 7, acknowledgement number 9, window 256.
pub fn tcp(src_port: u16, dst_port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let rest = [0, 0, 0, 7, 0, 0, 0, 9, 0x50, flags, 1, 0, 0, 0, 0, 0];
    cat(&[&src_port.to_be_bytes(), &dst_port.to_be_bytes(), &rest, payload])
}

/// A batch of whole frames, one nanosecond apart.
pub fn batch(frames: &[(LinkType, &[u8])]) -> FrameBatch {
    let mut batch = FrameBatch::new();
    for (i, (link, bytes)) in frames.iter().enumerate() {
        batch.push(i as TimeNs, *link, bytes.len() as u32, bytes);
    }
    batch
}

/// Decodes a batch to its end. What was put together from fragments is appended to its data.
pub fn decode(batch: &mut FrameBatch) -> Decoded {
    let (mut decoder, mut out) = (Decoder::new([1, 2], DecodeSettings::default()), Decoded::default());
    for (i, frame) in batch.frames.iter().enumerate() {
        decoder.decode(&batch.data, i as u32, frame, &mut out);
    }
    decoder.flush(batch.data.len(), &mut out);
    batch.data.extend_from_slice(&out.extra);
    out
}

/// A UDP packet from 10.0.0.1:1000 to 10.0.0.2:53.
pub fn packet(ts: TimeNs, ip_len: u32, payload_len: u32) -> PacketInfo {
    packet_in(ts, ip_len, payload_len, 17, Scope::default())
}

/// The same with another protocol (with ports where it has them) and scope.
pub fn packet_in(ts: TimeNs, ip_len: u32, payload_len: u32, protocol: u8, scope: Scope) -> PacketInfo {
    let ports = IpProtocol::find(protocol).is_some_and(|p| p.has_ports);
    let port = |p| if ports { p } else { 0 };
    let (src, dst) = (Endpoint::v4([10, 0, 0, 1], port(1000)), Endpoint::v4([10, 0, 0, 2], port(53)));
    let (key, from_lo) = FlowKey::new(false, protocol, ports, src, dst, scope);
    PacketInfo {
        hash: key.fixed_hash(),
        layers: Layers::of([Layer::Eth, Layer::Ip, IpProtocol::layer_of(protocol)]),
        ip_len,
        payload_len,
        known: if protocol == ip_proto::TCP { Known::TCP_HEADER } else { Known::PAYLOAD_LEN },
        ..PacketInfo::by_hand(ts, key, from_lo)
    }
}

/// A TCP packet between two ends, with these flags.
pub fn tcp_packet(ts: TimeNs, scope: Scope, [src, dst]: [Endpoint; 2], flags: u16) -> PacketInfo {
    let (key, from_lo) = FlowKey::new(false, ip_proto::TCP, true, src, dst, scope);
    PacketInfo { key, from_lo, hash: key.fixed_hash(), tcp_flags: flags, ..packet_in(ts, 40, 0, ip_proto::TCP, scope) }
}

/// Numbers that look random (Knuth's MMIX generator, mixed).
#[derive(Clone, Copy, Debug)]
pub struct Lcg(pub u64);

impl Lcg {
    /// The next of them.
    #[allow(clippy::should_implement_trait, reason = "it never ends, and its numbers are wanted one at a time")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }

    /// The next of them, below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 3) % n
    }
}

/// A packet of any shape: times jump back and forth, lengths go up to jumbograms, headers and payload are random bytes.
pub fn hostile_packet(random: &mut Lcg, i: u64) -> (PacketInfo, FrameBatch) {
    let ts = random.next() as i64 >> (random.next() % 64);
    let protocol = [6, 17, 1][random.next() as usize % 3];
    let mut p = packet_in(ts, random.next() as u32 >> (i % 32), random.next() as u32, protocol, Scope::default());
    (p.seq, p.ack, p.window) = (random.next() as u32, random.next() as u32, random.next() as u16);
    p.tcp_flags = if protocol == 6 { random.next() as u16 & 0x1ff } else { 0 };
    // Now and then bytes: Ethernet (14), IP (20), upper layer (20 to 60), payload (up to 96).
    let mut batch = FrameBatch::new();
    if random.next().is_multiple_of(4) {
        let (header, payload) = (20 + random.next() as u32 % 11 * 4, random.next() as u32 % 97);
        let bytes: Vec<u8> = (0..34 + header + payload).map(|_| random.next() as u8).collect();
        batch.push(ts, LinkType(1), bytes.len() as u32, &bytes);
        (p.l3, p.l4, p.payload_start, p.payload_end) = (14, 34, 34 + header, 34 + header + payload);
    }
    (p, batch)
}
