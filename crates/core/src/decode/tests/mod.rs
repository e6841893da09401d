//! What becomes of frames: lengths, scopes, fragments, reasons for skipping.

mod frames;
mod laws;

use super::*;
use crate::frame::FrameBatch;
use crate::packet::ip_proto::{TCP, UDP};
use crate::packet::{Layer, Packet, tunnel_kind};
use crate::testing::{self, cat, eth, ip4, ip4_between, ip4_part, ip6, udp as udp_to};

fn udp() -> Vec<u8> {
    udp_to(1000, 2000, b"hello")
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    testing::tcp(12345, 80, 0x18, payload)
}

fn in_udp(port: u16, tunnel: &[u8], inner: &[u8]) -> Vec<u8> {
    eth(0x800, &ip4(UDP, &udp_to(40_000, port, &cat(&[tunnel, inner]))))
}

struct Run {
    batch: FrameBatch,
    out: Decoded,
}

impl Run {
    fn new(frames: &[(u16, &[u8])]) -> Self {
        let frames: Vec<_> = frames.iter().map(|(link, bytes)| (LinkType(*link), *bytes)).collect();
        Self::of(testing::batch(&frames))
    }

    fn of(mut batch: FrameBatch) -> Self {
        let out = testing::decode(&mut batch);
        Self { batch, out }
    }

    fn payloads(&self) -> Vec<&[u8]> {
        self.out.packets.iter().map(|info| Packet { info, batch: &self.batch }.payload()).collect()
    }

    /// Every frame and every further subframe is one packet or one reason.
    fn is_conserved(&self) -> bool {
        let s = &self.out.stats;
        s.frames + s.subframes == s.packets + s.skipped.total() && s.packets == self.out.packets.len() as u64
    }
}

fn one(link: u16, bytes: &[u8]) -> PacketInfo {
    let run = Run::new(&[(link, bytes)]);
    assert_eq!(run.out.packets.len(), 1, "link {link}: {:?} {bytes:02x?}", run.out.stats);
    run.out.packets[0]
}

fn skipped(link: u16, bytes: &[u8]) -> SkipReason {
    let run = Run::new(&[(link, bytes)]);
    assert!(run.out.packets.is_empty());
    SkipReason::ALL.into_iter().find(|r| run.out.stats.skipped[*r] == 1).unwrap()
}

/// The packet that all nestings below hold: UDP 1000 to 2000 with "hello".
fn is_hello(run: &Run) -> bool {
    run.payloads() == [b"hello"]
        && run.out.packets.iter().all(|p| {
            let ports = (p.key.port(p.from_lo), p.key.port(!p.from_lo));
            ports == (Some(1000), Some(2000)) && p.payload_len == 5 && p.key.protocol == UDP
        })
}

#[test]
fn an_authentication_header_before_a_tunnel_is_one_of_its_packets() {
    let inner = ip4(17, &udp());
    let ah = |next: u8, payload: &[u8]| ip4(51, &cat(&[&[next, 1, 0, 0], &[9; 8], payload]));
    for (packet, has) in [
        (ah(4, &inner), true),
        (ah(47, &cat(&[&[0, 0, 8, 0], &inner])), true),
        (ip4(4, &ah(17, &udp())), true),
        (ip4(4, &inner), false),
    ] {
        let out = testing::decode(&mut testing::batch(&[(LinkType::ETHERNET, &eth(0x800, &packet))]));
        assert_eq!((out.packets[0].key.protocol, out.packets[0].known.has(Known::AH)), (17, has));
    }
}

#[test]
fn a_tunnel_without_ip_inside_is_a_packet_of_its_own_flow() {
    let arp = eth(0x806, &[0; 28]);
    let cut = &ip4(UDP, &udp())[..25];
    for bytes in [
        in_udp(4789, &[8, 0, 0, 0, 0, 0, 9, 0], &arp),
        in_udp(2152, &[0x30, 255, 0, 25, 0, 0, 0, 1], cut),
        in_udp(3544, &[], b"not teredo at all, just a payload of that port"),
    ] {
        let run = Run::new(&[(1, &bytes)]);
        let p = &run.out.packets[0];
        assert_eq!((p.key.port(p.from_lo), p.outer_l3, p.key.scope().tunnel_kind), (Some(40_000), NO_OFFSET, 0));
        assert_eq!(run.payloads()[0].len() as u32, p.payload_len);
    }
    let keepalive = eth(0x800, &ip4(47, &[0, 0, 0, 0]));
    assert_eq!(one(1, &keepalive).key.protocol, 47);
}

#[test]
fn tags_are_part_of_the_scope() {
    let p = ip4(UDP, &udp());
    let q = one(1, &eth(0x88a8, &cat(&[&[0x20, 7, 0x81, 0, 0, 9, 8, 0], &p])));
    assert_eq!(q.key.scope().vlan, 8 | 10 << 16);
    // A priority tag names no VLAN, wherever it stands.
    assert_eq!(one(1, &eth(0x8100, &cat(&[&[0, 0, 8, 0], &p]))).key.scope().vlan, 0);
    let inner_priority = eth(0x88a8, &cat(&[&[0, 7, 0x81, 0, 0xe0, 0, 8, 0], &p]));
    assert_eq!(one(1, &inner_priority).key.scope().vlan, 8);
    assert_eq!(one(1, &eth(0x8100, &cat(&[&[0, 0, 0x81, 0, 0, 9, 8, 0], &p]))).key.scope().vlan, 10);
}

#[test]
fn what_a_user_has_to_know_is_said() {
    let arp = eth(0x806, &[0; 28]);
    let remarks = |frames: &[(u16, &[u8])]| Run::new(frames).out.stats.remarks();
    assert_eq!(remarks(&[]), Vec::<String>::new());
    assert_eq!(remarks(&[(1, &eth(0x800, &ip4(UDP, &udp()))), (1, &arp)]), Vec::<String>::new());
    assert_eq!(
        remarks(&[(1, &arp), (1, &arp)]),
        ["none of the 2 frames became a packet of a flow (non_ip: 2); link type ETHERNET (1)"]
    );
    assert_eq!(
        remarks(&[(147, &arp), (1, &arp)]),
        [
            "none of the 2 frames became a packet of a flow (non_ip: 1, unsupported_link_type: 1); link type USER0 (147) \
             is not read"
        ]
    );
    assert_eq!(
        remarks(&[(1, &eth(0x800, &ip4(UDP, &udp()))), (147, &arp), (9999, &arp)]),
        ["2 frames are of a link type that is not read: USER0 (147), 383 or higher"]
    );
}

#[test]
fn times_that_cannot_be_are_counted() {
    let frame = eth(0x800, &ip4(UDP, &udp()));
    let odd = |ts: TimeNs| {
        let mut batch = FrameBatch::new();
        batch.push(ts, LinkType::ETHERNET, frame.len() as u32, &frame);
        testing::decode(&mut batch).stats.odd_times
    };
    assert_eq!([0, 1, TimeNs::MAX - 1].map(odd), [0, 0, 0]);
    assert_eq!([-1, TimeNs::MIN, TimeNs::MAX].map(odd), [1, 1, 1]);
}

#[test]
fn scopes_are_left_out_of_keys_on_demand() {
    let inner = eth(0x8100, &cat(&[&[0, 7, 8, 0], &ip4(UDP, &udp())]));
    let frame = in_udp(4789, &[8, 0, 0, 0, 0, 0, 9, 0], &inner);
    let scope = |settings| {
        let (mut decoder, mut out) = (Decoder::new([1, 2], settings), Decoded::default());
        let batch = testing::batch(&[(LinkType::ETHERNET, &frame)]);
        decoder.decode(&batch.data, 0, &batch.frames[0], &mut out);
        let scope = out.packets[0].key.scope();
        (scope.vlan, scope.tunnel_kind, scope.tunnel_id)
    };
    let all = DecodeSettings::default();
    assert_eq!(scope(all), (8, tunnel_kind::VXLAN, 9));
    assert_eq!(scope(DecodeSettings { key_vlan: false, ..all }), (0, tunnel_kind::VXLAN, 9));
    assert_eq!(scope(DecodeSettings { key_tunnel: false, ..all }), (8, 0, 0));
}

#[test]
fn extension_headers_lead_to_the_upper_layer() {
    let pad = [1, 4, 0, 0, 0, 0];
    let chain = cat(&[&[43, 0], &pad, &[60, 0], &pad, &[UDP, 0], &pad, &udp()]);
    assert!(is_hello(&Run::new(&[(229, &ip6(0, &chain))])));
    let ah = cat(&[&[UDP, 4, 0, 0], &[0; 20], &udp()]);
    assert!(is_hello(&Run::new(&[(229, &ip6(51, &ah))])));
    assert!(is_hello(&Run::new(&[(228, &ip4(51, &ah))])));
    let atomic = cat(&[&[UDP, 0, 0, 0, 1, 2, 3, 4], &udp()]);
    assert!(is_hello(&Run::new(&[(229, &ip6(44, &atomic))])));
    let mobility = ip6(135, &[59, 0, 5, 0, 0, 0, 0, 0]);
    assert_eq!(one(229, &mobility).key.protocol, 135);
    assert_eq!(one(229, &ip6(50, &[0; 40])).key.port(true), None);
}

#[test]
fn lengths_are_those_of_the_wire() {
    let frame = eth(0x800, &ip4(TCP, &tcp(&[7; 100])));
    let mut batch = FrameBatch::new();
    batch.push(0, LinkType(1), frame.len() as u32, &frame[..60]);
    let run = Run::of(batch);
    let p = &run.out.packets[0];
    assert_eq!((p.ip_len, p.payload_len), (140, 100));
    assert_eq!(run.payloads()[0].len(), 6);
    let mut offloaded = frame.clone();
    offloaded[16..18].copy_from_slice(&[0, 0]);
    assert_eq!((one(1, &offloaded).ip_len, one(1, &offloaded).payload_len), (140, 100));
}

/// Lengths of a packet on a frame with so many more bytes on the wire: of the IP packet and the payload, and IP bytes counted.
fn lengths(frame: &[u8], more: u32) -> (u32, u32, u64) {
    let mut batch = FrameBatch::new();
    batch.push(0, LinkType::ETHERNET, frame.len() as u32 + more, frame);
    let out = testing::decode(&mut batch);
    (out.packets[0].ip_len, out.packets[0].payload_len, out.stats.ip_bytes)
}

#[test]
fn a_length_beyond_the_frame_was_not_sent() {
    let mut four = eth(0x800, &ip4(UDP, &udp_to(1, 2, &[7; 10])));
    four[16..18].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(lengths(&four, 0), (38, 10, 38));
    let mut six = eth(0x86dd, &ip6(UDP, &udp_to(1, 2, &[7; 10])));
    six[18..20].copy_from_slice(&[0xff, 0xff]);
    assert_eq!(lengths(&six, 0), (58, 10, 58));
    assert_eq!(lengths(&six, 100).0, 158);
    // PPPoE claims less than the packet and the frame have.
    let packet = ip4(UDP, &udp_to(1, 2, &[7; 10]));
    let pppoe = eth(0x8864, &cat(&[&[0x11, 0, 0, 1, 0, 34, 0, 0x21], &packet]));
    assert_eq!(lengths(&pppoe, 0), (38, 4, 38));
}

#[test]
fn a_length_of_zero_is_told_by_option_or_frame() {
    let mut big = eth(0x86dd, &ip6(TCP, &tcp(&[7; 100])));
    big[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(lengths(&big, 70_000), (70_160, 70_100, 70_160));
    let option = |next: u8, len: u32| {
        let [a, b, c, d] = len.to_be_bytes();
        cat(&[&[next, 0, 0xc2, 4, a, b, c, d], &tcp(&[7; 100])])
    };
    let mut jumbo = eth(0x86dd, &ip6(0, &option(TCP, 128 + 70_000)));
    jumbo[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(lengths(&jumbo, 70_004), (70_168, 70_100, 70_168));
    // The option claims more than there was.
    assert_eq!(lengths(&jumbo, 0), (168, 100, 168));
    // Nobody leaves the length of others to the network card.
    let mut empty = eth(0x86dd, &ip6(58, &[0; 6]));
    empty[18..20].copy_from_slice(&[0, 0]);
    assert_eq!(lengths(&empty, 0), (40, 0, 40));
}

#[test]
fn reasons_for_skipping() {
    assert_eq!(skipped(1, &eth(0x806, &[0; 28])), SkipReason::NonIp);
    assert_eq!(skipped(147, &[0; 60]), SkipReason::UnsupportedLinkType);
    assert_eq!(skipped(1, &eth(0x800, &[0x45; 10])), SkipReason::Truncated);
    assert_eq!(skipped(1, &eth(0x800, &[0x41; 20])), SkipReason::Malformed);
    let mut nested = ip4(UDP, &udp());
    for _ in 0..20 {
        nested = ip4(4, &nested);
    }
    assert_eq!(skipped(1, &eth(0x800, &nested)), SkipReason::TooDeep);
    let protected = cat(&[&[0x08, 0x41, 0, 0], &[1; 40]]);
    assert_eq!(skipped(105, &protected), SkipReason::NonIp);
}

/// A datagram of TCP in IPv4 or IPv6, cut every `step` bytes.
fn fragments(v6: bool, payload: &[u8], step: usize) -> Vec<Vec<u8>> {
    let segment = tcp(payload);
    let n = segment.len().div_ceil(step);
    let part = |(i, bytes): (usize, &[u8])| {
        let (offset, more) = ((i * step) as u16, i + 1 < n);
        if v6 {
            let field = (offset | u16::from(more)).to_be_bytes();
            eth(0x86dd, &ip6(44, &cat(&[&[TCP, 0, field[0], field[1], 0, 0, 0, 9], bytes])))
        } else {
            eth(0x800, &ip4_part(TCP, 9, offset, more, bytes))
        }
    };
    segment.chunks(step).enumerate().map(part).collect()
}

#[test]
fn a_fragment_that_waited_has_its_headers_and_nothing_else() {
    let parts = fragments(false, &[5; 100], 48);
    let run = Run::new(&[(1, &parts[1]), (1, &parts[0])]);
    let kinds: Vec<_> = run.out.packets.iter().map(|p| (p.frame, p.fragment, p.ts)).collect();
    assert_eq!(kinds, [(NO_OFFSET, Fragment::Later, 0), (1, Fragment::First, 1)]);
    assert!(run.out.packets.iter().all(|p| p.key.port(p.from_lo) == Some(12345)));
    let lone = Run::new(&[(1, &parts[1])]);
    assert_eq!(lone.out.packets[0].key.port(true), None);
    assert_eq!(lone.out.packets[0].payload_len, 48);
    for waited in [&run, &lone] {
        let packet = Packet { info: &waited.out.packets[0], batch: &waited.batch };
        assert_eq!((packet.l3_header(), packet.l4_header(), packet.payload()), (&parts[1][14..34], &[][..], &[][..]));
    }
    // In a tunnel, also the outer addresses.
    let inner = ip4_part(UDP, 9, 8, false, &[5; 100]);
    let outer = ip4(4, &inner);
    let run = Run::new(&[(1, &eth(0x800, &outer))]);
    let packet = Packet { info: &run.out.packets[0], batch: &run.batch };
    assert_eq!((packet.l3_header(), packet.outer_addresses().is_some()), (&inner[..20], true));
}

/// What mirrors a link may cut packets, and put them into whole ones of its own.
#[test]
fn a_packet_that_was_cut_before_it_was_tunnelled_is_of_its_own_flow() {
    let (mut four, six) =
        (ip4_between([192, 0, 2, 1], [192, 0, 2, 2], TCP, &tcp(&[7; 900])), ip6(TCP, &tcp(&[7; 900])));
    let outer = |protocol, inner: &[u8]| eth(0x800, &ip4(protocol, inner));
    let vxlan = |inner: &[u8]| in_udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], inner);
    for (ether_type, protocol, whole) in [(0x800u16, 4, &four), (0x86dd, 41, &six)] {
        let cut = &whole[..100];
        let gre = cat(&[&[0, 0], &ether_type.to_be_bytes(), cut]);
        for frame in [outer(protocol, cut), outer(47, &gre), vxlan(&eth(ether_type, cut))] {
            let packet = one(1, &frame);
            assert!(packet.key.port(packet.from_lo) == Some(12345) && packet.outer_l3 != NO_OFFSET, "{packet:?}");
        }
    }
    // Without a sign that it is IP, it is none.
    four[10] ^= 1;
    let gtp = in_udp(2152, &[0x30, 255, 0, 100, 0, 0, 0, 1], &six[..100]);
    for frame in [outer(4, &four[..100]), gtp, vxlan(&eth(0x800, &four[..100]))] {
        assert_eq!(one(1, &frame).outer_l3, NO_OFFSET);
    }
}

#[test]
fn what_stands_behind_an_authentication_header_is_the_protocol_of_fragments_too() {
    let datagram = cat(&[&[TCP, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &tcp(&[7; 64])]);
    let (a, b) = datagram.split_at(48);
    let parts = [eth(0x800, &ip4_part(51, 5, 0, true, a)), eth(0x800, &ip4_part(51, 5, 48, false, b))];
    for order in [[0, 1], [1, 0]] {
        let run = Run::new(&order.map(|i| (1, parts[i].as_slice())));
        assert!(run.out.packets.iter().all(|p| (p.key.protocol, p.key.port(p.from_lo)) == (TCP, Some(12345))));
        assert_eq!(run.payloads()[1], [7; 64]);
        assert_eq!(run.out.packets.iter().map(|p| p.payload_len).sum::<u32>(), 64);
    }
}

#[test]
fn a_tunnel_in_fragments_yields_its_inner_packet() {
    let inner = ip4(UDP, &udp_to(1000, 2000, &[3; 64]));
    let (a, b) = inner.split_at(48);
    let outer = [eth(0x800, &ip4_part(4, 5, 0, true, a)), eth(0x800, &ip4_part(4, 5, 48, false, b))];
    for order in [[0, 1], [1, 0]] {
        let run = Run::new(&order.map(|i| (1, outer[i].as_slice())));
        assert!(run.is_conserved());
        let last = run.out.packets[1];
        assert_eq!((last.key.port(last.from_lo), last.outer_l3 == NO_OFFSET), (Some(1000), false));
        assert_eq!(run.payloads()[1], [3; 64]);
        assert_eq!(run.out.packets[0].key.protocol, 4);
        assert_eq!(run.out.stats.datagrams_reassembled, 1);
    }
}
