//! Upper-layer headers: ports, TCP's numbers, and how much payload there is.

use crate::packet::{Layer, ip_proto};

/// What an upper-layer header says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transport {
    pub has_ports: bool,
    pub src_port: u16,
    pub dst_port: u16,
    /// Bytes before the payload.
    pub header_len: usize,
    /// Payload bytes on the wire.
    pub payload_len: u32,
    pub has_tcp: bool,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub tcp_flags: u16,
}

/// The layer that an IP protocol number stands for.
#[inline]
pub(super) fn layer(protocol: u8) -> Layer {
    match protocol {
        ip_proto::TCP => Layer::Tcp,
        ip_proto::UDP => Layer::Udp,
        ip_proto::ICMP => Layer::Icmp,
        ip_proto::ICMPV6 => Layer::Icmp6,
        47 => Layer::Gre,
        132 => Layer::Sctp,
        _ => Layer::Other,
    }
}

/// Reads the header of `protocol` from its captured bytes; `wire_len` is the length of the upper layer on the wire.
///
/// A header that is cut before its ports, or contradicts itself, is still a packet of its flow, as far as known.
#[inline]
pub(super) fn parse(protocol: u8, bytes: &[u8], wire_len: u32) -> Transport {
    match protocol {
        ip_proto::TCP => tcp(bytes, wire_len),
        ip_proto::UDP => udp(bytes, wire_len),
        // ICMP and ICMPv6: type, code, checksum and the four bytes that follow them.
        ip_proto::ICMP | ip_proto::ICMPV6 => plain(8, wire_len),
        // SCTP: ports, tag, checksum; then chunks.
        132 => plain(12, wire_len),
        _ => plain(0, wire_len),
    }
}

fn plain(header_len: u32, wire_len: u32) -> Transport {
    let header_len = header_len.min(wire_len);
    Transport { header_len: header_len as usize, payload_len: wire_len - header_len, ..Transport::default() }
}

#[inline]
fn tcp(bytes: &[u8], wire_len: u32) -> Transport {
    let Some(h) = bytes.first_chunk::<20>() else {
        let t = plain(20, wire_len);
        return ports(bytes, t);
    };
    let header_len = u32::from(h[12] >> 4) * 4;
    // A receiver drops a segment whose data offset is below 5 or beyond its end (RFC 9293 section 3.1).
    let sound = header_len >= 20 && header_len <= wire_len;
    let t = Transport {
        has_ports: true,
        src_port: u16::from_be_bytes([h[0], h[1]]),
        dst_port: u16::from_be_bytes([h[2], h[3]]),
        header_len: header_len as usize,
        payload_len: wire_len.wrapping_sub(header_len),
        has_tcp: true,
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        window: u16::from_be_bytes([h[14], h[15]]),
        tcp_flags: u16::from_be_bytes([h[12], h[13]]) & 0x1ff,
    };
    if sound { t } else { ports(bytes, Transport { header_len: wire_len as usize, ..Transport::default() }) }
}

#[inline]
fn udp(bytes: &[u8], wire_len: u32) -> Transport {
    let Some(h) = bytes.first_chunk::<8>() else {
        return ports(bytes, plain(8, wire_len));
    };
    let claimed = u32::from(u16::from_be_bytes([h[4], h[5]]));
    // Length 0: a jumbogram (RFC 2675 section 4), or left to the network card.
    let len = if claimed == 0 { wire_len } else { claimed.min(wire_len) };
    Transport {
        has_ports: true,
        src_port: u16::from_be_bytes([h[0], h[1]]),
        dst_port: u16::from_be_bytes([h[2], h[3]]),
        header_len: 8,
        payload_len: len.saturating_sub(8),
        ..Transport::default()
    }
}

fn ports(bytes: &[u8], t: Transport) -> Transport {
    match bytes.first_chunk::<4>() {
        Some(&[a, b, c, d]) => Transport {
            has_ports: true,
            src_port: u16::from_be_bytes([a, b]),
            dst_port: u16::from_be_bytes([c, d]),
            ..t
        },
        None => t,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp_bytes(offset: u8) -> [u8; 24] {
        let mut b = [0; 24];
        b[..4].copy_from_slice(&[0, 80, 1, 2]);
        b[7] = 9;
        b[12] = offset << 4 | 1;
        b[13] = 0x12;
        b[14] = 1;
        b
    }

    #[test]
    fn tcp_numbers() {
        let t = parse(6, &tcp_bytes(6), 124);
        assert_eq!((t.src_port, t.dst_port, t.seq, t.window), (80, 258, 9, 256));
        assert_eq!((t.header_len, t.payload_len, t.tcp_flags), (24, 100, 0x112));
        assert!(t.has_tcp && t.has_ports);
    }

    #[test]
    fn an_impossible_data_offset_leaves_only_the_ports() {
        for offset in [0, 4, 7] {
            let t = parse(6, &tcp_bytes(offset), 24);
            assert!(t.has_ports && !t.has_tcp);
            assert_eq!((t.payload_len, t.tcp_flags), (0, 0));
        }
    }

    #[test]
    fn headers_cut_by_the_snap_length() {
        assert!(parse(6, &tcp_bytes(5)[..10], 100).has_ports);
        assert_eq!(parse(6, &tcp_bytes(5)[..10], 100).payload_len, 80);
        assert!(!parse(17, &[0, 53, 1], 100).has_ports);
        assert_eq!(parse(17, &[0, 53, 1], 100).payload_len, 92);
    }

    #[test]
    fn udp_length_is_bounded_by_ip() {
        let b = |len: u8| [0, 1, 0, 2, 0, len, 0, 0];
        assert_eq!(parse(17, &b(28), 100).payload_len, 20);
        assert_eq!(parse(17, &b(200), 100).payload_len, 92);
        assert_eq!(parse(17, &b(0), 70_000).payload_len, 69_992);
        assert_eq!(parse(17, &b(3), 100).payload_len, 0);
    }
}
