//! Header fields of packets that were made by hand, and the bytes that they stand for: trackers read these as they read a
//! capture's, through the same decoder.
//!
//! What was not given is not known: a header of which no field was given is not shown.

use std::net::IpAddr;

use joyfuljay_core::decode::{DecodeSettings, Decoded, Decoder};
use joyfuljay_core::frame::{FrameBatch, LinkType};
use joyfuljay_core::packet::{FlowKey, Known, NO_OFFSET, PacketInfo, ip_proto};
use joyfuljay_core::trackers::KeptPacket;

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

/// Longest options of a TCP header, whose length has four bits (RFC 9293 section 3.1).
const MAX_TCP_OPTIONS: usize = 40;

impl Headers {
    /// The packet with the bytes of what was given, and the batch that they lie in. The numbers are those of `info`, also
    /// where the lengths of `kept` fit no headers. None where the bytes are not those of one packet of the flow (a payload
    /// that is a tunnel's).
    pub fn frame(
        &self,
        info: &PacketInfo,
        kept: &KeptPacket,
        key: &FlowKey,
        payload: &[u8],
    ) -> Option<(PacketInfo, FrameBatch)> {
        let upper = self.upper_header(kept, key);
        // Payload that was not given was cut off, as by a snap length.
        let missing = (kept.payload_len as usize).saturating_sub(payload.len());
        let ip = self.ip_header(kept, key, upper.len() + payload.len() + missing);
        let ethernet = self.ethernet_header(key);
        let link = if ethernet.is_empty() { LinkType::RAW } else { LinkType::ETHERNET };
        let bytes = [&ethernet[..], &ip, &upper, payload].concat();

        let mut batch = FrameBatch::new();
        batch.push(kept.ts, link, (bytes.len() + missing) as u32, &bytes);
        let (mut decoder, mut out) = (Decoder::new([0; 2], DecodeSettings::default()), Decoded::default());
        decoder.decode(&batch.data, 0, &batch.frames[0], &mut out);
        decoder.flush(batch.data.len(), &mut out);
        batch.data.append(&mut out.extra);
        let [decoded] = out.packets[..] else { return None };
        let ends = |k: &FlowKey| (k.protocol, [true, false].map(|lo| (k.addr(lo), k.port(lo))));
        if ends(&decoded.key) != ends(key) {
            return None;
        }
        let mut shown = PacketInfo {
            ts: info.ts,
            hash: info.hash,
            key: info.key,
            layers: info.layers,
            ip_len: info.ip_len,
            payload_len: info.payload_len,
            from_lo: info.from_lo,
            known: decoded.known.with(Known::PAYLOAD_LEN),
            ..decoded
        };
        if !self.has_ip() {
            shown.l3 = NO_OFFSET;
        }
        if !self.has_upper() {
            shown.l4 = NO_OFFSET;
        }
        Some((shown, batch))
    }

    fn has_ip(&self) -> bool {
        self.ip_id.is_some()
            || self.ip_tos.is_some()
            || self.ip_flags.is_some()
            || self.ipv6_flow_label.is_some()
            || self.ipv6_traffic_class.is_some()
    }

    fn has_upper(&self) -> bool {
        self.icmp_type.is_some() || self.has_tcp_options()
    }

    fn has_tcp_options(&self) -> bool {
        self.tcp_options_raw.is_some()
            || self.tcp_mss.is_some()
            || self.tcp_window_scale.is_some()
            || self.tcp_timestamp.is_some()
            || self.tcp_sack_permitted
            || self.tcp_sack_blocks.is_some()
    }

    /// With both addresses, or not at all.
    fn ethernet_header(&self, key: &FlowKey) -> Vec<u8> {
        let address = |text: &Option<String>| mac(text.as_deref()?);
        let (Some(destination), Some(source)) = (address(&self.dst_mac), address(&self.src_mac)) else {
            return Vec::new();
        };
        let mut out = [destination, source].concat();
        if let Some(id) = (key.scope().vlan & 0xffff).checked_sub(1) {
            out.extend([0x81, 0]);
            out.extend((id as u16).to_be_bytes());
        }
        out.extend(if key.is_v6() { [0x86, 0xdd] } else { [0x08, 0] });
        out
    }

    fn ip_header(&self, kept: &KeptPacket, key: &FlowKey, payload: usize) -> Vec<u8> {
        // A length that does not fit is 0 in BIG TCP: then that of the frame holds.
        let length = |n: usize| u16::try_from(n).unwrap_or(0).to_be_bytes();
        match (key.addr(kept.from_lo), key.addr(!kept.from_lo)) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut out = vec![0x45, self.ip_tos.unwrap_or(0)];
                out.extend(length(20 + payload));
                out.extend((self.ip_id.unwrap_or(0) as u16).to_be_bytes());
                out.extend([self.ip_flags.unwrap_or(0) << 5, 0, kept.ttl, key.protocol, 0, 0]);
                out.extend(source.octets());
                out.extend(destination.octets());
                let sum: u32 = out.chunks_exact(2).map(|b| u32::from(b[0]) << 8 | u32::from(b[1])).sum();
                let folded = (sum & 0xffff) + (sum >> 16);
                let sum = !((folded & 0xffff) + (folded >> 16)) as u16;
                out[10..12].copy_from_slice(&sum.to_be_bytes());
                out
            }
            (source, destination) => {
                let class = u32::from(self.ipv6_traffic_class.unwrap_or(0)) << 20;
                let mut out = (6 << 28 | class | self.ipv6_flow_label.unwrap_or(0) & 0xf_ffff).to_be_bytes().to_vec();
                out.extend(length(payload));
                out.extend([key.protocol, kept.ttl]);
                for address in [source, destination] {
                    if let IpAddr::V6(address) = address {
                        out.extend(address.octets());
                    }
                }
                out
            }
        }
    }

    fn upper_header(&self, kept: &KeptPacket, key: &FlowKey) -> Vec<u8> {
        let port = |lo| key.port(lo).unwrap_or_default().to_be_bytes();
        let ports = [port(kept.from_lo), port(!kept.from_lo)].concat();
        match key.protocol {
            ip_proto::TCP => {
                let options = self.tcp_options();
                let words = (5 + options.len() / 4) as u16;
                let mut out = ports;
                out.extend(kept.seq.to_be_bytes());
                out.extend(kept.ack.to_be_bytes());
                out.extend((words << 12 | kept.tcp_flags & 0x1ff).to_be_bytes());
                out.extend(kept.window.to_be_bytes());
                out.extend([0; 4]);
                out.extend(options);
                out
            }
            ip_proto::UDP => {
                let length = u16::try_from(8 + kept.payload_len).unwrap_or(0).to_be_bytes();
                [&ports[..], &length, &[0; 2]].concat()
            }
            ip_proto::ICMP | ip_proto::ICMPV6 => {
                let Some(kind) = self.icmp_type else { return Vec::new() };
                let mut out = vec![kind, self.icmp_code.unwrap_or(0), 0, 0];
                out.extend(self.icmp_id.unwrap_or(0).to_be_bytes());
                out.extend(self.icmp_seq.unwrap_or(0).to_be_bytes());
                out
            }
            // Enough for the ports, which is all that is read of others.
            _ if key.port(true).is_some() => [&ports[..], &[0; 12]].concat(),
            _ => Vec::new(),
        }
    }

    /// As given, or of the fields, up to what a header can hold; filled up to whole words.
    fn tcp_options(&self) -> Vec<u8> {
        let mut out = match &self.tcp_options_raw {
            Some(raw) => raw.clone(),
            None => self.tcp_option_fields(),
        };
        out.truncate(MAX_TCP_OPTIONS);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    fn tcp_option_fields(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(mss) = self.tcp_mss {
            out.extend([2, 4]);
            out.extend(mss.to_be_bytes());
        }
        if let Some(shift) = self.tcp_window_scale {
            out.extend([1, 3, 3, shift]);
        }
        if self.tcp_sack_permitted {
            out.extend([1, 1, 4, 2]);
        }
        if let Some((value, echo)) = self.tcp_timestamp {
            out.extend([1, 1, 8, 10]);
            out.extend(value.to_be_bytes());
            out.extend(echo.to_be_bytes());
        }
        // As many blocks as there is room for, as senders do (RFC 2018 section 3).
        let room = MAX_TCP_OPTIONS.saturating_sub(out.len() + 4) / 8;
        let blocks = self.tcp_sack_blocks.iter().flatten().take(room);
        let edges: Vec<u8> =
            blocks.flat_map(|(left, right)| [left.to_be_bytes(), right.to_be_bytes()].concat()).collect();
        if !edges.is_empty() {
            out.extend([1, 1, 5, 2 + edges.len() as u8]);
            out.extend(edges);
        }
        out
    }
}

/// Six bytes in hexadecimal digits, with colons or hyphens between them.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut out = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut out {
        *byte = parts.next().filter(|p| p.len() <= 2).and_then(|p| u8::from_str_radix(p, 16).ok())?;
    }
    parts.next().is_none().then_some(out)
}
