//! Header fields that packets made by hand may have and that no feature of this version reads.

/// As they were given. Packets of a capture have none of them: their bytes are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the protocols")]
pub struct Headers {
    pub src_mac: Option<String>,
    pub dst_mac: Option<String>,
    pub eth_type: Option<u16>,
    pub ip_id: Option<u32>,
    pub ip_tos: Option<u8>,
    pub ip_flags: Option<u8>,
    pub ipv6_flow_label: Option<u32>,
    pub ipv6_traffic_class: Option<u8>,
    pub tcp_options_raw: Option<Vec<u8>>,
    pub tcp_mss: Option<u16>,
    pub tcp_window_scale: Option<u8>,
    pub tcp_timestamp: Option<(u32, u32)>,
    pub tcp_sack_permitted: bool,
    pub tcp_sack_blocks: Option<Vec<(u32, u32)>>,
    pub icmp_type: Option<u8>,
    pub icmp_code: Option<u8>,
    pub icmp_id: Option<u16>,
    pub icmp_seq: Option<u16>,
}
