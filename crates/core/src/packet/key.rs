//! The identity of a flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::hash::fold;

/// Values of [`Scope::tunnel_kind`].
pub mod tunnel_kind {
    #![allow(missing_docs)]
    pub const VXLAN: u8 = 1;
    pub const GENEVE: u8 = 2;
    pub const NVGRE: u8 = 3;
}

/// The identity of a flow, without direction: protocol, both end points in a fixed order, VLAN and tunnel.
///
/// IPv4 addresses are held as `::ffff:a.b.c.d`; `v6` distinguishes them from IPv6 addresses of that form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    lo_addr: [u64; 2],
    hi_addr: [u64; 2],
    lo_port: u16,
    hi_port: u16,
    /// IP protocol number of the upper layer (after IPv6 extension headers).
    pub protocol: u8,
    v6: bool,
    has_ports: bool,
    tunnel_kind: u8,
    vlan: u32,
    tunnel_id: u32,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    addr: [u64; 2],
    port: u16,
}

impl Endpoint {
    /// From an IPv4 address as on the wire.
    pub fn v4(addr: [u8; 4], port: u16) -> Self {
        Self { addr: [0, 0xffff_0000_0000 | u64::from(u32::from_be_bytes(addr))], port }
    }

    /// From an IPv6 address as on the wire.
    pub fn v6(addr: [u8; 16], port: u16) -> Self {
        let n = u128::from_be_bytes(addr);
        Self { addr: [(n >> 64) as u64, n as u64], port }
    }

    /// The same address with another port.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// VLAN and tunnel that a flow lies in: part of its identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// 0 without a tag; else `outer id + 1` in the low half and, for QinQ, `inner id + 1` in the high half.
    pub vlan: u32,
    /// Kind of the innermost tunnel that has an identifier common to both directions (VXLAN, Geneve, NVGRE); 0 = none.
    pub tunnel_kind: u8,
    /// Its identifier.
    pub tunnel_id: u32,
}

impl FlowKey {
    /// The key of a packet, and whether its sender is the lower end point of the key.
    pub fn new(v6: bool, protocol: u8, has_ports: bool, src: Endpoint, dst: Endpoint, scope: Scope) -> (Self, bool) {
        let from_lo = src <= dst;
        let (lo, hi) = if from_lo { (src, dst) } else { (dst, src) };
        let key = Self {
            lo_addr: lo.addr,
            hi_addr: hi.addr,
            lo_port: lo.port,
            hi_port: hi.port,
            protocol,
            v6,
            has_ports,
            tunnel_kind: scope.tunnel_kind,
            vlan: scope.vlan,
            tunnel_id: scope.tunnel_id,
        };
        (key, from_lo)
    }

    /// Whether the innermost network layer is IPv6.
    pub fn is_v6(&self) -> bool {
        self.v6
    }

    /// VLAN and tunnel of the flow.
    pub fn scope(&self) -> Scope {
        Scope { vlan: self.vlan, tunnel_kind: self.tunnel_kind, tunnel_id: self.tunnel_id }
    }

    /// Address of the lower (`true`) or higher end point.
    pub fn addr(&self, lo: bool) -> IpAddr {
        let a = if lo { self.lo_addr } else { self.hi_addr };
        if self.v6 {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(a[0]) << 64 | u128::from(a[1])))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(a[1] as u32))
        }
    }

    /// Port of the lower (`true`) or higher end point; none for a protocol without ports.
    pub fn port(&self, lo: bool) -> Option<u16> {
        self.has_ports.then_some(if lo { self.lo_port } else { self.hi_port })
    }

    fn words(&self) -> [u64; 6] {
        [
            self.lo_addr[0],
            self.lo_addr[1],
            self.hi_addr[0],
            self.hi_addr[1],
            u64::from(self.lo_port)
                | u64::from(self.hi_port) << 16
                | u64::from(self.protocol) << 32
                | u64::from(self.v6) << 40
                | u64::from(self.has_ports) << 41
                | u64::from(self.tunnel_kind) << 48,
            u64::from(self.vlan) | u64::from(self.tunnel_id) << 32,
        ]
    }

    /// A hash under a secret: what is put on the wire cannot be chosen so as to collide in the flow table.
    pub fn keyed_hash(&self, secret: [u64; 2]) -> u64 {
        // One product a pair of words. No cryptographic hash: who
        // learns hash values could find the secret, so they leave the process nowhere.
        let w = self.words();
        let mut h = fold(w[0] ^ secret[0], w[1] ^ secret[1]);
        h = fold(w[2] ^ h, w[3] ^ secret[1]);
        h = fold(w[4] ^ h, w[5] ^ secret[0]);
        fold(h ^ secret[1], 0x9e37_79b9_7f4a_7c15)
    }

    /// A hash that is the same in every run and on every machine: shares flows out, and samples them.
    pub fn fixed_hash(&self) -> u64 {
        self.keyed_hash([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(flip: bool) -> (FlowKey, bool) {
        let a = Endpoint::v4([10, 0, 0, 1], 443);
        let b = Endpoint::v4([10, 0, 0, 2], 1);
        let (s, d) = if flip { (b, a) } else { (a, b) };
        FlowKey::new(false, 6, true, s, d, Scope::default())
    }

    #[test]
    fn both_directions_have_one_key() {
        let ((k, from_lo), (back, back_lo)) = (key(false), key(true));
        assert_eq!(k, back);
        assert!(from_lo && !back_lo);
        assert_eq!(k.keyed_hash([1, 2]), back.keyed_hash([1, 2]));
        assert_ne!(k.keyed_hash([1, 2]), k.keyed_hash([1, 3]));
        assert_eq!((k.addr(true).to_string(), k.port(true)), ("10.0.0.1".into(), Some(443)));
    }
}
