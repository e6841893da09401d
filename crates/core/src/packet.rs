//! A decoded packet: plain numbers and offsets into the batch that it came from.
//!
//! [`PacketInfo`] is `Copy` and free of lifetimes, so that it crosses threads beside its batch; [`Packet`] joins the
//! two again for whoever wants bytes. Lengths are wire lengths, never what the snap length left of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::frame::{Frame, FrameBatch, LinkType, TimeNs};

/// TCP flag bits as on the wire (RFC 9293 section 3.1, RFC 3168, RFC 3540).
pub mod tcp_flags {
    #![allow(missing_docs)]
    pub const FIN: u16 = 0x001;
    pub const SYN: u16 = 0x002;
    pub const RST: u16 = 0x004;
    pub const PSH: u16 = 0x008;
    pub const ACK: u16 = 0x010;
    pub const URG: u16 = 0x020;
    pub const ECE: u16 = 0x040;
    pub const CWR: u16 = 0x080;
    /// AE of RFC 9768, formerly the nonce sum of RFC 3540.
    pub const AE: u16 = 0x100;
}

/// IP protocol numbers that the engine treats by name.
pub mod ip_proto {
    #![allow(missing_docs)]
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// Values of [`Scope::tunnel_kind`].
pub mod tunnel_kind {
    #![allow(missing_docs)]
    pub const VXLAN: u8 = 1;
    pub const GENEVE: u8 = 2;
    pub const NVGRE: u8 = 3;
}

/// "There is no such header in this packet", where an offset is expected.
pub const NO_OFFSET: u32 = u32::MAX;

/// Which end of a flow sent a packet, counted from the flow's first packet.
///
/// Trackers count by side, because who the initiator is may become known late (a SYN seen after its SYN-ACK). Features
/// turn sides into forward and backward when the row is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// The sender of the flow's first packet.
    A = 0,
    /// The other end.
    B = 1,
}

impl Side {
    /// The other end.
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// A packet's part in a fragmented datagram (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fragment {
    /// A whole datagram.
    #[default]
    Whole,
    /// The fragment at offset 0, with more to come.
    First,
    /// Any later fragment.
    Later,
}

/// The identity of a flow, without direction: protocol, both end points in a fixed order, VLAN and tunnel.
///
/// IPv4 addresses are held as `::ffff:a.b.c.d`; `v6` tells them from IPv6 addresses of that form.
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
        // Folded multiplication, as in wyhash and foldhash: one 64x64->128 product a pair of words.
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

fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    p as u64 ^ (p >> 64) as u64
}

/// Protocol layers of a packet from the outside in: up to twelve, five bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layers(u64);

/// A header that [`Layers`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Layer {
    Eth = 1,
    Vlan,
    Mpls,
    Pppoe,
    Ppp,
    Sll,
    Null,
    Wifi,
    Llc,
    Ip,
    Ip6,
    Gre,
    Vxlan,
    Geneve,
    Gtp,
    Erspan,
    Teredo,
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Sctp,
    Other,
    Raw,
    Etherip,
    L2tp,
    Cisco,
}

impl Layers {
    /// Most layers that are kept; a deeper packet keeps its outermost ones.
    pub const MAX: usize = 12;

    /// Adds an inner layer.
    pub fn push(&mut self, layer: Layer) {
        let n = self.len();
        if n < Self::MAX {
            self.0 |= u64::from(layer as u8) << (5 * n);
        }
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        (64 - self.0.leading_zeros()).div_ceil(5) as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The layers from the outside in, as their numbers.
    pub fn codes(self) -> impl Iterator<Item = u8> {
        (0..self.len()).map(move |i| (self.0 >> (5 * i) & 31) as u8)
    }
}

/// What decoding found out about one packet. Offsets are into the data of the batch.
#[derive(Clone, Copy, Debug)]
pub struct PacketInfo {
    /// Time of capture.
    pub ts: TimeNs,
    /// [`FlowKey::keyed_hash`] of `key` under the engine's secret.
    pub hash: u64,
    /// The flow.
    pub key: FlowKey,
    /// Headers from the outside in.
    pub layers: Layers,
    /// Index of the frame in the batch.
    pub frame: u32,
    /// Start of the outermost IP header where the packet is tunnelled, else [`NO_OFFSET`].
    pub outer_l3: u32,
    /// Start of the innermost IP header, or [`NO_OFFSET`] for a packet that was made by hand.
    pub l3: u32,
    /// Start of the upper-layer header (TCP, UDP, ICMP…), or [`NO_OFFSET`] (a later fragment).
    pub l4: u32,
    /// Start of the captured upper-layer payload.
    pub payload_start: u32,
    /// End of the captured upper-layer payload.
    pub payload_end: u32,
    /// Length of the IP datagram on the wire, header included: IPv4 total length, or 40 + IPv6 payload length.
    pub ip_len: u32,
    /// Length of the upper-layer payload on the wire.
    pub payload_len: u32,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
    /// TCP window as on the wire, unscaled.
    pub window: u16,
    /// TCP flags, see [`tcp_flags`]; 0 for other protocols.
    pub tcp_flags: u16,
    /// Whether the sender is the lower end point of the key.
    pub from_lo: bool,
    /// Whether a TCP header was there (a later fragment has none).
    pub has_tcp: bool,
    /// IPv4 time to live, IPv6 hop limit.
    pub ttl: u8,
    /// Part in a fragmented datagram.
    pub fragment: Fragment,
}

impl PacketInfo {
    /// A packet that was made by hand: a flow and a time, and otherwise nothing, to be filled in by `..` syntax.
    pub fn by_hand(ts: TimeNs, key: FlowKey, from_lo: bool) -> Self {
        Self {
            ts,
            hash: 0,
            key,
            layers: Layers::default(),
            frame: 0,
            outer_l3: NO_OFFSET,
            l3: NO_OFFSET,
            l4: NO_OFFSET,
            payload_start: 0,
            payload_end: 0,
            ip_len: 0,
            payload_len: 0,
            seq: 0,
            ack: 0,
            window: 0,
            tcp_flags: 0,
            from_lo,
            has_tcp: false,
            ttl: 64,
            fragment: Fragment::Whole,
        }
    }
}

/// A decoded packet together with the batch that it came in: everything that can be known of it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The numbers.
    pub info: &'a PacketInfo,
    /// The batch that `info` points into; an empty one for a packet that was made by hand.
    pub batch: &'a FrameBatch,
}

/// The batch of packets that have no bytes.
static NO_BATCH: FrameBatch = FrameBatch { data: Vec::new(), frames: Vec::new() };

impl<'a> Packet<'a> {
    /// A packet without bytes: made by hand, or a fragment whose frame is gone.
    pub fn without_bytes(info: &'a PacketInfo) -> Self {
        Self { info, batch: &NO_BATCH }
    }

    /// The frame; none for a packet without bytes. Of a datagram put together from fragments, the frame of the fragment
    /// that completed it.
    pub fn frame(&self) -> Option<&'a Frame> {
        self.batch.frames.get(self.info.frame as usize)
    }

    /// The link type of the frame, and its bytes as captured.
    pub fn link(&self) -> Option<(LinkType, &'a [u8])> {
        let frame = self.frame()?;
        Some((frame.link, self.batch.bytes(frame)))
    }

    /// The innermost IP header with its options or extension headers, as far as it was captured. Of a later fragment,
    /// which has no upper-layer header, all that follows the start of the IP header in its frame.
    pub fn l3_header(&self) -> &'a [u8] {
        if self.info.l3 == NO_OFFSET {
            return &[];
        }
        let l4_in_frame = self.info.l4 != NO_OFFSET && self.info.l4 >= self.info.l3;
        let end = match self.frame() {
            // The upper layer of a reassembled datagram lies behind the frames of the batch.
            Some(f) if !l4_in_frame || self.info.l4 > f.offset + f.cap_len => f.offset + f.cap_len,
            _ if l4_in_frame => self.info.l4,
            _ => return &[],
        };
        self.range(self.info.l3, end)
    }

    /// The captured part of the upper-layer payload; for the packet that completes a fragmented datagram, the whole
    /// reassembled payload; for other fragments, nothing.
    pub fn payload(&self) -> &'a [u8] {
        self.range(self.info.payload_start, self.info.payload_end)
    }

    /// The upper-layer header as far as it was captured (for TCP, with its options).
    pub fn l4_header(&self) -> &'a [u8] {
        self.range(self.info.l4, self.info.payload_start)
    }

    /// Source and destination in the outermost IP header, where the packet is tunnelled.
    pub fn outer_addresses(&self) -> Option<(IpAddr, IpAddr)> {
        let ip = self.batch.data.get(self.info.outer_l3 as usize..)?;
        match ip.first()? >> 4 {
            4 => Some((
                <[u8; 4]>::try_from(ip.get(12..16)?).ok()?.into(),
                <[u8; 4]>::try_from(ip.get(16..20)?).ok()?.into(),
            )),
            6 => Some((
                <[u8; 16]>::try_from(ip.get(8..24)?).ok()?.into(),
                <[u8; 16]>::try_from(ip.get(24..40)?).ok()?.into(),
            )),
            _ => None,
        }
    }

    fn range(&self, start: u32, end: u32) -> &'a [u8] {
        self.batch.data.get(start as usize..end as usize).unwrap_or_default()
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

    #[test]
    fn layers_keep_their_order_and_their_bound() {
        let mut l = Layers::default();
        assert!(l.is_empty());
        for _ in 0..20 {
            l.push(Layer::Eth);
        }
        assert_eq!(l.len(), Layers::MAX);
        let mut l = Layers::default();
        l.push(Layer::Vlan);
        l.push(Layer::Cisco);
        assert_eq!(l.codes().collect::<Vec<_>>(), [Layer::Vlan as u8, Layer::Cisco as u8]);
    }
}
