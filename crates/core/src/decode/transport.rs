//! Upper-layer headers: ports, the numbers of TCP and ICMP, and how much payload there is.

use crate::packet::{Known, ip_proto};

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
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    pub tcp_flags: u16,
    pub icmp: [u8; 2],
    /// Which of these are known.
    pub known: Known,
}

const UDP_HEADER: u32 = 8;
const TCP_HEADER: u32 = 20;
/// Type, code, checksum and the four bytes that follow them.
const ICMP_HEADER: u32 = 8;
/// Ports, tag, checksum; then chunks (RFC 9260 section 3.1).
const SCTP_HEADER: u32 = 12;
/// Without the upper half of a sequence number of 48 bits (RFC 4340 section 5.1).
const DCCP_HEADER: u32 = 12;

/// The longest header of TCP.
pub(super) const MAX_TCP_HEADER: u32 = 60;
/// Where the data offset of TCP stands.
pub(super) const TCP_DATA_OFFSET: u32 = 12;

/// Reads the header of `protocol` from its captured bytes; `wire_len` is the length of the upper layer on the wire.
///
/// A header that is cut, or contradicts itself, is still a packet of its flow, as far as known.
#[inline]
pub(super) fn parse(protocol: u8, bytes: &[u8], wire_len: u32) -> Transport {
    match protocol {
        ip_proto::TCP => tcp(bytes, wire_len),
        ip_proto::UDP => udp(bytes, wire_len),
        _ => other(protocol, bytes, wire_len),
    }
}

/// The length of the header of `protocol`, if it is known from the captured bytes.
pub(super) fn header_len(protocol: u8, bytes: &[u8]) -> Option<u32> {
    Some(match protocol {
        ip_proto::TCP => tcp_header_len(*bytes.get(TCP_DATA_OFFSET as usize)?),
        ip_proto::UDP | ip_proto::UDPLITE => UDP_HEADER,
        ip_proto::ICMP | ip_proto::ICMPV6 => ICMP_HEADER,
        ip_proto::SCTP => SCTP_HEADER,
        ip_proto::DCCP => u32::from(*bytes.get(4)?) * 4,
        _ => 0,
    })
}

/// By the byte that holds the data offset.
pub(super) fn tcp_header_len(byte: u8) -> u32 {
    u32::from(byte >> 4) * 4
}

#[inline(never)]
fn other(protocol: u8, bytes: &[u8], wire_len: u32) -> Transport {
    match protocol {
        ip_proto::ICMP | ip_proto::ICMPV6 => {
            let t = plain(ICMP_HEADER, wire_len);
            match bytes.first_chunk() {
                Some(icmp) => Transport { icmp: *icmp, known: t.known.with(Known::ICMP), ..t },
                None => t,
            }
        }
        ip_proto::SCTP => ports(bytes, plain(SCTP_HEADER, wire_len)),
        // The coverage of its checksum stands where UDP has a length (RFC 3828 section 3.1).
        ip_proto::UDPLITE => ports(bytes, plain(UDP_HEADER, wire_len)),
        ip_proto::DCCP => {
            let len = header_len(protocol, bytes);
            ports(bytes, with_offset(len, DCCP_HEADER, wire_len))
        }
        _ => plain(0, wire_len),
    }
}

fn plain(header_len: u32, wire_len: u32) -> Transport {
    let header_len = header_len.min(wire_len);
    Transport {
        header_len: header_len as usize,
        payload_len: wire_len - header_len,
        known: Known::PAYLOAD_LEN,
        ..Transport::default()
    }
}

/// A header that says itself where its payload begins.
fn with_offset(len: Option<u32>, least: u32, wire_len: u32) -> Transport {
    match len {
        Some(len) if (least..=wire_len).contains(&len) => plain(len, wire_len),
        // Receivers drop it (RFC 9293 section 3.1, RFC 4340 section 5.1): all header, no payload.
        Some(_) => plain(wire_len, wire_len),
        None if wire_len <= least => plain(wire_len, wire_len),
        None => Transport { header_len: least as usize, ..Transport::default() },
    }
}

#[inline]
fn tcp(bytes: &[u8], wire_len: u32) -> Transport {
    let Some(h) = bytes.first_chunk::<20>() else { return cut_tcp(bytes, wire_len) };
    let header_len = tcp_header_len(h[12]);
    // A receiver drops a segment whose data offset is below 5 or beyond its end (RFC 9293 section 3.1).
    if header_len < TCP_HEADER || header_len > wire_len {
        return ports(bytes, plain(wire_len, wire_len));
    }
    Transport {
        has_ports: true,
        src_port: u16::from_be_bytes([h[0], h[1]]),
        dst_port: u16::from_be_bytes([h[2], h[3]]),
        header_len: header_len as usize,
        payload_len: wire_len - header_len,
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        window: u16::from_be_bytes([h[14], h[15]]),
        tcp_flags: u16::from_be_bytes([h[12], h[13]]) & 0x1ff,
        icmp: [0; 2],
        known: Known::TCP_HEADER,
    }
}

/// A TCP header of which fewer than 20 bytes were captured.
#[cold]
fn cut_tcp(bytes: &[u8], wire_len: u32) -> Transport {
    let len = header_len(ip_proto::TCP, bytes);
    let mut t = ports(bytes, with_offset(len, TCP_HEADER, wire_len));
    if len.is_some_and(|len| len < TCP_HEADER || len > wire_len) {
        return t;
    }
    let number = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
    let half = |at: usize| bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u16::from_be_bytes(*b));
    let fields = (number(4), number(8), half(12), half(14));
    t.known = (t.known)
        .with(Known::SEQ.when(fields.0.is_some()))
        .with(Known::ACK.when(fields.1.is_some()))
        .with(Known::TCP_FLAGS.when(fields.2.is_some()))
        .with(Known::WINDOW.when(fields.3.is_some()));
    t.seq = fields.0.unwrap_or_default();
    t.ack = fields.1.unwrap_or_default();
    t.tcp_flags = fields.2.unwrap_or_default() & 0x1ff;
    t.window = fields.3.unwrap_or_default();
    t
}

#[inline]
fn udp(bytes: &[u8], wire_len: u32) -> Transport {
    let Some(h) = bytes.first_chunk::<8>() else {
        return ports(bytes, plain(UDP_HEADER, wire_len));
    };
    let claimed = u32::from(u16::from_be_bytes([h[4], h[5]]));
    // Length 0: a jumbogram (RFC 2675 section 4), or left to the network card.
    let len = if claimed == 0 { wire_len } else { claimed.min(wire_len) };
    Transport {
        has_ports: true,
        src_port: u16::from_be_bytes([h[0], h[1]]),
        dst_port: u16::from_be_bytes([h[2], h[3]]),
        header_len: 8,
        payload_len: len.saturating_sub(UDP_HEADER),
        known: Known::PAYLOAD_LEN,
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
        assert!(t.known.has(Known::TCP_HEADER) && t.has_ports);
    }

    #[test]
    fn an_impossible_data_offset_leaves_only_the_ports() {
        for offset in [0, 4, 7] {
            let t = parse(6, &tcp_bytes(offset), 24);
            assert!(t.has_ports && t.known == Known::PAYLOAD_LEN);
            assert_eq!((t.payload_len, t.tcp_flags), (0, 0));
        }
    }

    #[test]
    fn headers_cut_by_the_snap_length_say_what_was_captured() {
        let cut = |n: usize| parse(6, &tcp_bytes(6)[..n], 124);
        assert!(!cut(3).has_ports && cut(4).has_ports);
        assert_eq!((cut(12).known, cut(12).payload_len), (Known::SEQ.with(Known::ACK), 0));
        assert_eq!((cut(8).known, cut(8).seq), (Known::SEQ, 9));
        assert_eq!((cut(13).payload_len, cut(13).known.has(Known::TCP_FLAGS)), (100, false));
        assert_eq!((cut(14).tcp_flags, cut(14).known.has(Known::WINDOW)), (0x112, false));
        let t = cut(16);
        assert_eq!((t.window, t.header_len, t.payload_len), (256, 24, 100));
        assert!(!t.known.has(Known::TCP_HEADER));
        assert_eq!(parse(6, &tcp_bytes(3)[..16], 124).known, Known::PAYLOAD_LEN);
        // A header without options and without payload: all of it is known.
        assert_eq!((parse(6, &tcp_bytes(5)[..4], 20).known, cut(4).known), (Known::PAYLOAD_LEN, Known::NONE));
        assert!(!parse(17, &[0, 53, 1], 100).has_ports);
        assert_eq!(parse(17, &[0, 53, 1], 100).payload_len, 92);
    }

    #[test]
    fn other_protocols_with_ports() {
        let b = |offset: u8| [0, 80, 1, 2, offset, 0, 0, 0];
        for (protocol, offset, payload) in [(132, 0, 88), (136, 9, 92), (33, 4, 84), (33, 2, 0), (33, 26, 0)] {
            let t = parse(protocol, &b(offset), 100);
            assert_eq!((t.src_port, t.dst_port, t.payload_len), (80, 258, payload), "{protocol}, {offset}");
        }
        assert_eq!(parse(33, &b(4)[..4], 100).known, Known::NONE);
        assert_eq!((parse(1, &[8, 0, 1], 64).icmp, parse(58, &[129], 64).known), ([8, 0], Known::PAYLOAD_LEN));
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
