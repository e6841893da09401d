//! Packets made by hand, for tests.

use crate::frame::{FrameBatch, LinkType, TimeNs};
use crate::packet::{Endpoint, FlowKey, Layer, Layers, PacketInfo, Scope};

/// A UDP packet from 10.0.0.1:1000 to 10.0.0.2:53.
pub(crate) fn packet(ts: TimeNs, ip_len: u32, payload_len: u32) -> PacketInfo {
    packet_in(ts, ip_len, payload_len, 17, Scope::default())
}

/// The same with another protocol (ports for TCP and UDP only) and scope.
pub(crate) fn packet_in(ts: TimeNs, ip_len: u32, payload_len: u32, protocol: u8, scope: Scope) -> PacketInfo {
    let ports = matches!(protocol, 6 | 17);
    let port = |p| if ports { p } else { 0 };
    let (src, dst) = (Endpoint::v4([10, 0, 0, 1], port(1000)), Endpoint::v4([10, 0, 0, 2], port(53)));
    let (key, from_lo) = FlowKey::new(false, protocol, ports, src, dst, scope);
    let mut layers = Layers::default();
    let inner = match protocol {
        6 => Layer::Tcp,
        17 => Layer::Udp,
        _ => Layer::Other,
    };
    [Layer::Eth, Layer::Ip, inner].into_iter().for_each(|l| layers.push(l));
    PacketInfo {
        hash: key.fixed_hash(),
        layers,
        ip_len,
        payload_len,
        has_tcp: protocol == 6,
        ..PacketInfo::by_hand(ts, key, from_lo)
    }
}

/// Numbers that look random (Knuth's MMIX generator, mixed).
pub(crate) struct Lcg(pub u64);

impl Lcg {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }
}

/// A packet of any shape: times jump back and forth, lengths go up to jumbograms, headers and payload are random bytes.
pub(crate) fn hostile_packet(random: &mut Lcg, i: u64) -> (PacketInfo, FrameBatch) {
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
