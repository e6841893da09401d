//! Packets and flow keys as Python sees them.

use std::net::IpAddr;

use joyfuljay_core::packet::{
    Endpoint, FlowKey as CoreKey, Fragment, Layer, Layers, NO_OFFSET, PacketInfo, Scope, Side, ip_proto, tcp_flags,
};
use joyfuljay_core::trackers::KeptPacket;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// One packet: what its headers say. Made by hand for tests and hand-built flows, or had from ``flow.packets``.
///
/// ``timestamp`` is in seconds since the Unix epoch (``timestamp_ns`` is exact), ``total_len`` is the length of the IP
/// datagram on the wire and ``payload_len`` that of the upper-layer payload, both in bytes.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Packet {
    pub kept: KeptPacket,
    pub key: CoreKey,
    pub payload: Option<Vec<u8>>,
    /// Whether TCP flags are known: given, or had from a capture.
    pub has_flags: bool,
}

impl Packet {
    /// A packet of a flow that the engine tracked.
    pub fn tracked(kept: KeptPacket, key: CoreKey) -> Self {
        Self { has_flags: kept.has_tcp, kept, key, payload: None }
    }

    /// What the engine would have found out about the packet.
    pub fn info(&self, layers: Layers) -> PacketInfo {
        info(&self.kept, &self.key, layers, self.payload.as_deref().map_or(0, <[u8]>::len) as u32)
    }
}

/// A kept packet as the engine saw it, without its bytes but for a payload of this length at the start of its data.
pub fn info(kept: &KeptPacket, key: &CoreKey, layers: Layers, payload: u32) -> PacketInfo {
    PacketInfo {
        ts: kept.ts,
        hash: key.fixed_hash(),
        key: *key,
        layers,
        frame: 0,
        outer_l3: NO_OFFSET,
        l3: NO_OFFSET,
        l4: NO_OFFSET,
        payload_start: 0,
        payload_end: payload,
        ip_len: kept.ip_len,
        payload_len: kept.payload_len,
        seq: kept.seq,
        ack: kept.ack,
        window: kept.window,
        tcp_flags: kept.tcp_flags,
        from_lo: kept.from_lo,
        has_tcp: kept.has_tcp,
        ttl: kept.ttl,
        fragment: Fragment::Whole,
    }
}

/// The headers of a packet that was made by hand.
pub fn layers_of(key: &CoreKey) -> Layers {
    let mut layers = Layers::default();
    layers.push(if key.is_v6() { Layer::Ip6 } else { Layer::Ip });
    layers.push(match key.protocol {
        ip_proto::TCP => Layer::Tcp,
        ip_proto::UDP => Layer::Udp,
        ip_proto::ICMP => Layer::Icmp,
        ip_proto::ICMPV6 => Layer::Icmp6,
        132 => Layer::Sctp,
        _ => Layer::Other,
    });
    layers
}

#[pymethods]
impl Packet {
    #[classattr]
    const PROTO_ICMP: u8 = ip_proto::ICMP;
    #[classattr]
    const PROTO_TCP: u8 = ip_proto::TCP;
    #[classattr]
    const PROTO_UDP: u8 = ip_proto::UDP;
    #[classattr]
    const TCP_FIN: u16 = tcp_flags::FIN;
    #[classattr]
    const TCP_SYN: u16 = tcp_flags::SYN;
    #[classattr]
    const TCP_RST: u16 = tcp_flags::RST;
    #[classattr]
    const TCP_PSH: u16 = tcp_flags::PSH;
    #[classattr]
    const TCP_ACK: u16 = tcp_flags::ACK;
    #[classattr]
    const TCP_URG: u16 = tcp_flags::URG;

    #[new]
    #[pyo3(signature = (timestamp, src_ip, dst_ip, src_port, dst_port, protocol, payload_len, total_len, tcp_flags=None,
        raw_payload: "bytes | None" = None, ip_ttl=None, tcp_seq=None, tcp_ack=None, tcp_window=None, vlan_id=None))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        timestamp: f64,
        src_ip: &str,
        dst_ip: &str,
        src_port: u16,
        dst_port: u16,
        protocol: u8,
        payload_len: u32,
        total_len: u32,
        tcp_flags: Option<u16>,
        raw_payload: Option<Vec<u8>>,
        ip_ttl: Option<u8>,
        tcp_seq: Option<u32>,
        tcp_ack: Option<u32>,
        tcp_window: Option<u16>,
        vlan_id: Option<u16>,
    ) -> PyResult<Self> {
        let (src, dst) = (address("src_ip", src_ip)?, address("dst_ip", dst_ip)?);
        if src.is_ipv4() != dst.is_ipv4() {
            return Err(PyValueError::new_err(format!("src_ip {src} and dst_ip {dst} are of different IP versions")));
        }
        let scope = Scope { vlan: vlan_id.map_or(0, |v| u32::from(v) + 1), ..Scope::default() };
        let has_ports = matches!(protocol, ip_proto::TCP | ip_proto::UDP | 132 | 136) || src_port != 0 || dst_port != 0;
        let (from, to) = (endpoint(src, src_port), endpoint(dst, dst_port));
        let (key, from_lo) = CoreKey::new(src.is_ipv6(), protocol, has_ports, from, to, scope);
        let kept = KeptPacket {
            ts: nanoseconds(timestamp)?,
            ip_len: total_len,
            payload_len,
            seq: tcp_seq.unwrap_or_default(),
            ack: tcp_ack.unwrap_or_default(),
            window: tcp_window.unwrap_or_default(),
            tcp_flags: tcp_flags.unwrap_or_default(),
            ttl: ip_ttl.unwrap_or(64),
            from_lo,
            has_tcp: protocol == ip_proto::TCP,
            side: Side::A,
        };
        Ok(Self { kept, key, payload: raw_payload, has_flags: tcp_flags.is_some() })
    }

    /// Time of capture in seconds since the Unix epoch.
    #[getter]
    fn timestamp(&self) -> f64 {
        seconds(self.kept.ts)
    }
    /// Time of capture in nanoseconds since the Unix epoch.
    #[getter]
    fn timestamp_ns(&self) -> i64 {
        self.kept.ts
    }
    #[getter]
    fn src_ip(&self) -> String {
        self.key.addr(self.kept.from_lo).to_string()
    }
    #[getter]
    fn dst_ip(&self) -> String {
        self.key.addr(!self.kept.from_lo).to_string()
    }
    /// Source port; 0 for a protocol without ports.
    #[getter]
    fn src_port(&self) -> u16 {
        self.key.port(self.kept.from_lo).unwrap_or_default()
    }
    /// Destination port; 0 for a protocol without ports.
    #[getter]
    fn dst_port(&self) -> u16 {
        self.key.port(!self.kept.from_lo).unwrap_or_default()
    }
    /// IP protocol number of the upper layer.
    #[getter]
    fn protocol(&self) -> u8 {
        self.key.protocol
    }
    /// Upper-layer payload in bytes, as on the wire.
    #[getter]
    fn payload_len(&self) -> u32 {
        self.kept.payload_len
    }
    /// Length of the IP datagram in bytes, as on the wire.
    #[getter]
    fn total_len(&self) -> u32 {
        self.kept.ip_len
    }
    /// TCP flags as on the wire; None where they are not known.
    #[getter]
    fn tcp_flags(&self) -> Option<u16> {
        self.has_flags.then_some(self.kept.tcp_flags)
    }
    /// The payload that the packet was made with; None for packets of a capture, whose bytes are not kept.
    #[getter]
    fn raw_payload<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.payload.as_deref().map(|p| PyBytes::new(py, p))
    }
    /// IPv4 time to live, IPv6 hop limit.
    #[getter]
    fn ip_ttl(&self) -> u8 {
        self.kept.ttl
    }
    /// 4 or 6.
    #[getter]
    fn ip_version(&self) -> u8 {
        if self.key.is_v6() { 6 } else { 4 }
    }
    #[getter]
    fn tcp_seq(&self) -> Option<u32> {
        self.kept.has_tcp.then_some(self.kept.seq)
    }
    #[getter]
    fn tcp_ack(&self) -> Option<u32> {
        self.kept.has_tcp.then_some(self.kept.ack)
    }
    #[getter]
    fn tcp_window(&self) -> Option<u16> {
        self.kept.has_tcp.then_some(self.kept.window)
    }
    /// Outer VLAN id; None without a tag.
    #[getter]
    fn vlan_id(&self) -> Option<u32> {
        (self.key.scope().vlan & 0xffff).checked_sub(1)
    }
    #[getter]
    fn is_tcp(&self) -> bool {
        self.key.protocol == ip_proto::TCP
    }
    #[getter]
    fn is_udp(&self) -> bool {
        self.key.protocol == ip_proto::UDP
    }
    #[getter]
    fn is_icmp(&self) -> bool {
        matches!(self.key.protocol, ip_proto::ICMP | ip_proto::ICMPV6)
    }
    #[getter]
    fn has_payload(&self) -> bool {
        self.kept.payload_len > 0
    }
    /// Whether all bits of ``flag`` are set.
    fn has_tcp_flag(&self, flag: u16) -> bool {
        self.is_tcp() && self.kept.tcp_flags & flag == flag
    }
    #[getter]
    fn is_syn(&self) -> bool {
        self.kept.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN
    }
    #[getter]
    fn is_syn_ack(&self) -> bool {
        self.has_tcp_flag(tcp_flags::SYN | tcp_flags::ACK)
    }
    #[getter]
    fn is_fin(&self) -> bool {
        self.has_tcp_flag(tcp_flags::FIN)
    }
    #[getter]
    fn is_rst(&self) -> bool {
        self.has_tcp_flag(tcp_flags::RST)
    }
    /// Source address and port, destination address and port, protocol.
    fn five_tuple(&self) -> (String, u16, String, u16, u8) {
        (self.src_ip(), self.src_port(), self.dst_ip(), self.dst_port(), self.protocol())
    }

    fn __repr__(&self) -> String {
        format!(
            "Packet(timestamp={}, src_ip='{}', dst_ip='{}', src_port={}, dst_port={}, protocol={}, payload_len={}, \
             total_len={})",
            self.timestamp(),
            self.src_ip(),
            self.dst_ip(),
            self.src_port(),
            self.dst_port(),
            self.protocol(),
            self.payload_len(),
            self.total_len()
        )
    }

    fn __eq__(&self, other: &Self) -> bool {
        (self.kept.ts, self.kept.ip_len, self.kept.payload_len, self.kept.tcp_flags, self.kept.from_lo, self.key)
            == (
                other.kept.ts,
                other.kept.ip_len,
                other.kept.payload_len,
                other.kept.tcp_flags,
                other.kept.from_lo,
                other.key,
            )
            && (self.kept.seq, self.kept.ack, self.kept.window, self.kept.ttl, &self.payload)
                == (other.kept.seq, other.kept.ack, other.kept.window, other.kept.ttl, &other.payload)
    }

    fn __hash__(&self) -> u64 {
        self.key.fixed_hash() ^ self.kept.ts as u64
    }
}

/// The identity of a flow, the same for both directions: the two end points in a fixed order, and the protocol.
#[pyclass(frozen, eq, hash, module = "joyfuljay")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey(pub CoreKey);

#[pymethods]
impl FlowKey {
    #[new]
    fn new(ip_a: &str, port_a: u16, ip_b: &str, port_b: u16, protocol: u8) -> PyResult<Self> {
        let packet =
            Packet::new(0.0, ip_a, ip_b, port_a, port_b, protocol, 0, 0, None, None, None, None, None, None, None)?;
        Ok(Self(packet.key))
    }
    /// The key of the flow that a packet belongs to.
    #[staticmethod]
    fn from_packet(packet: &Packet) -> Self {
        Self(packet.key)
    }
    #[getter]
    fn ip_a(&self) -> String {
        self.0.addr(true).to_string()
    }
    #[getter]
    fn port_a(&self) -> u16 {
        self.0.port(true).unwrap_or_default()
    }
    #[getter]
    fn ip_b(&self) -> String {
        self.0.addr(false).to_string()
    }
    #[getter]
    fn port_b(&self) -> u16 {
        self.0.port(false).unwrap_or_default()
    }
    #[getter]
    fn protocol(&self) -> u8 {
        self.0.protocol
    }
    #[pyo3(name = "to_tuple")]
    fn ends(&self) -> (String, u16, String, u16, u8) {
        (self.ip_a(), self.port_a(), self.ip_b(), self.port_b(), self.protocol())
    }
    fn __repr__(&self) -> String {
        let (a, pa, b, pb, proto) = self.ends();
        format!("FlowKey(ip_a='{a}', port_a={pa}, ip_b='{b}', port_b={pb}, protocol={proto})")
    }
}

/// Nanoseconds as seconds.
pub fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

fn nanoseconds(timestamp: f64) -> PyResult<i64> {
    let ns = (timestamp * 1e9).round();
    if !(-9.2e18..=9.2e18).contains(&ns) {
        return Err(PyValueError::new_err(format!("timestamp = {timestamp}: must be seconds since the Unix epoch")));
    }
    Ok(ns as i64)
}

fn address(what: &str, text: &str) -> PyResult<IpAddr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("{what} = '{text}': not an IPv4 or IPv6 address")))
}

fn endpoint(addr: IpAddr, port: u16) -> Endpoint {
    match addr {
        IpAddr::V4(a) => Endpoint::v4(a.octets(), port),
        IpAddr::V6(a) => Endpoint::v6(a.octets(), port),
    }
}
