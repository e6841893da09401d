//! Packets made by hand, for tests.

use crate::frame::TimeNs;
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
