//! Packets as Python sees them.

use joyfuljay_core::packet::{
    FlowKey as CoreKey, IpProtocol, Known, Layer, Layers, PacketInfo, Scope, Side, ip_proto, tcp_flags,
};
use joyfuljay_core::trackers::KeptPacket;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::flow_key::key_of;
use crate::headers::Headers;

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
    /// What else the packet was made with: in a flow, it is read from the bytes of a frame that are made of it.
    pub headers: Option<Box<Headers>>,
}

impl Packet {
    /// A packet of a flow that the engine tracked.
    pub fn tracked(kept: KeptPacket, key: CoreKey) -> Self {
        Self { has_flags: kept.has_tcp, kept, key, payload: None, headers: None }
    }

    /// What the engine would have found out about the packet.
    pub fn info(&self, layers: Layers) -> PacketInfo {
        info(&self.kept, &self.key, layers, self.payload.as_deref().map_or(0, <[u8]>::len) as u32)
    }
}

/// A kept packet as the engine saw it, without its bytes but for a payload of this length at the start of its data.
pub fn info(kept: &KeptPacket, key: &CoreKey, layers: Layers, payload: u32) -> PacketInfo {
    PacketInfo {
        hash: key.fixed_hash(),
        layers,
        payload_end: payload,
        ip_len: kept.ip_len,
        payload_len: kept.payload_len,
        seq: kept.seq,
        ack: kept.ack,
        window: kept.window,
        tcp_flags: kept.tcp_flags,
        known: if kept.has_tcp { Known::TCP_HEADER } else { Known::PAYLOAD_LEN },
        ttl: kept.ttl,
        ..PacketInfo::by_hand(kept.ts, *key, kept.from_lo)
    }
}

/// The headers of a packet that was made by hand.
pub fn layers_of(key: &CoreKey) -> Layers {
    Layers::of([if key.is_v6() { Layer::Ip6 } else { Layer::Ip }, IpProtocol::layer_of(key.protocol)])
}

impl PartialEq for Packet {
    /// The same packet, on whichever side of a flow it was put.
    fn eq(&self, other: &Self) -> bool {
        let kept = KeptPacket { side: self.kept.side, ..other.kept };
        (self.kept, self.key, &self.payload, &self.headers) == (kept, other.key, &other.payload, &other.headers)
    }
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

    /// ``ip_ttl`` is 64 where it is not given; what else is not given is not known. The names and their order are those of
    /// 0.1.6, which had a field of a dataclass for each.
    #[new]
    #[pyo3(signature = (
        timestamp, src_ip, dst_ip, src_port, dst_port, protocol, payload_len, total_len, tcp_flags=None,
        raw_payload: "bytes | None" = None, src_mac=None, dst_mac=None, eth_type=None, vlan_id=None, ip_ttl=None, ip_id=None, ip_tos=None, ip_flags=None, ip_version=None, ipv6_flow_label=None, ipv6_traffic_class=None, tcp_seq=None, tcp_ack=None, tcp_window=None, tcp_options_raw: "bytes | None" = None, tcp_mss=None, tcp_window_scale=None, tcp_timestamp=None, tcp_sack_permitted=false, tcp_sack_blocks=None, icmp_type=None, icmp_code=None, icmp_id=None, icmp_seq=None
    ))]
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
        src_mac: Option<String>,
        dst_mac: Option<String>,
        eth_type: Option<u16>,
        vlan_id: Option<u16>,
        ip_ttl: Option<u8>,
        ip_id: Option<u32>,
        ip_tos: Option<u8>,
        ip_flags: Option<u8>,
        ip_version: Option<u8>,
        ipv6_flow_label: Option<u32>,
        ipv6_traffic_class: Option<u8>,
        tcp_seq: Option<u32>,
        tcp_ack: Option<u32>,
        tcp_window: Option<u16>,
        tcp_options_raw: Option<Vec<u8>>,
        tcp_mss: Option<u16>,
        tcp_window_scale: Option<u8>,
        tcp_timestamp: Option<(u32, u32)>,
        tcp_sack_permitted: bool,
        tcp_sack_blocks: Option<Vec<(u32, u32)>>,
        icmp_type: Option<u8>,
        icmp_code: Option<u8>,
        icmp_id: Option<u16>,
        icmp_seq: Option<u16>,
    ) -> PyResult<Self> {
        let scope = Scope { vlan: vlan_id.map_or(0, |v| u32::from(v) + 1), ..Scope::default() };
        let (key, from_lo) = key_of(("src_ip", src_ip, src_port), ("dst_ip", dst_ip, dst_port), protocol, scope)?;
        let version = if key.is_v6() { 6 } else { 4 };
        if ip_version.is_some_and(|v| v != version) {
            return Err(PyValueError::new_err(format!("ip_version must be {version} for {src_ip}")));
        }
        let headers = Headers {
            src_mac,
            dst_mac,
            eth_type,
            ip_id,
            ip_tos,
            ip_flags,
            ipv6_flow_label,
            ipv6_traffic_class,
            tcp_options_raw,
            tcp_mss,
            tcp_window_scale,
            tcp_timestamp,
            tcp_sack_permitted,
            tcp_sack_blocks,
            icmp_type,
            icmp_code,
            icmp_id,
            icmp_seq,
        };
        let headers = (headers != Headers::default()).then(|| Box::new(headers));
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
        Ok(Self { kept, key, payload: raw_payload, has_flags: tcp_flags.is_some(), headers })
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
    /// MAC address of the sender, where the packet was made with it.
    #[getter]
    fn src_mac(&self) -> Option<String> {
        self.headers.as_ref()?.src_mac.clone()
    }
    /// MAC address of the receiver, where the packet was made with it.
    #[getter]
    fn dst_mac(&self) -> Option<String> {
        self.headers.as_ref()?.dst_mac.clone()
    }
    /// EtherType, where the packet was made with it.
    #[getter]
    fn eth_type(&self) -> Option<u16> {
        self.headers.as_ref()?.eth_type
    }
    /// IPv4 identification, where the packet was made with it.
    #[getter]
    fn ip_id(&self) -> Option<u32> {
        self.headers.as_ref()?.ip_id
    }
    /// IPv4 type of service, where the packet was made with it.
    #[getter]
    fn ip_tos(&self) -> Option<u8> {
        self.headers.as_ref()?.ip_tos
    }
    /// IPv4 flags, where the packet was made with it.
    #[getter]
    fn ip_flags(&self) -> Option<u8> {
        self.headers.as_ref()?.ip_flags
    }
    /// IPv6 flow label, where the packet was made with it.
    #[getter]
    fn ipv6_flow_label(&self) -> Option<u32> {
        self.headers.as_ref()?.ipv6_flow_label
    }
    /// IPv6 traffic class, where the packet was made with it.
    #[getter]
    fn ipv6_traffic_class(&self) -> Option<u8> {
        self.headers.as_ref()?.ipv6_traffic_class
    }
    /// Bytes of the TCP options, where the packet was made with it.
    #[getter]
    fn tcp_options_raw(&self) -> Option<Vec<u8>> {
        self.headers.as_ref()?.tcp_options_raw.clone()
    }
    /// TCP option: maximum segment size in bytes, where the packet was made with it.
    #[getter]
    fn tcp_mss(&self) -> Option<u16> {
        self.headers.as_ref()?.tcp_mss
    }
    /// TCP option: window scale, as a shift, where the packet was made with it.
    #[getter]
    fn tcp_window_scale(&self) -> Option<u8> {
        self.headers.as_ref()?.tcp_window_scale
    }
    /// TCP option: timestamp value and echo reply, where the packet was made with it.
    #[getter]
    fn tcp_timestamp(&self) -> Option<(u32, u32)> {
        self.headers.as_ref()?.tcp_timestamp
    }
    /// TCP option: whether selective acknowledgement is permitted, where the packet was made with it.
    #[getter]
    fn tcp_sack_permitted(&self) -> bool {
        self.headers.as_ref().is_some_and(|h| h.tcp_sack_permitted)
    }
    /// TCP option: blocks of a selective acknowledgement, left and right edge, where the packet was made with it.
    #[getter]
    fn tcp_sack_blocks(&self) -> Option<Vec<(u32, u32)>> {
        self.headers.as_ref()?.tcp_sack_blocks.clone()
    }
    /// ICMP type, where the packet was made with it.
    #[getter]
    fn icmp_type(&self) -> Option<u8> {
        self.headers.as_ref()?.icmp_type
    }
    /// ICMP code, where the packet was made with it.
    #[getter]
    fn icmp_code(&self) -> Option<u8> {
        self.headers.as_ref()?.icmp_code
    }
    /// Identifier of an ICMP echo, where the packet was made with it.
    #[getter]
    fn icmp_id(&self) -> Option<u16> {
        self.headers.as_ref()?.icmp_id
    }
    /// Sequence number of an ICMP echo, where the packet was made with it.
    #[getter]
    fn icmp_seq(&self) -> Option<u16> {
        self.headers.as_ref()?.icmp_seq
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
        self == other
    }

    fn __hash__(&self) -> u64 {
        self.key.fixed_hash() ^ self.kept.ts as u64
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
