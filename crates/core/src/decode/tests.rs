//! Frames made by hand for every link type and tunnel, and the laws that hold for any bytes at all.

use proptest::prelude::*;

use super::*;
use crate::frame::FrameBatch;
use crate::packet::ip_proto::{TCP, UDP};
use crate::packet::{Packet, tunnel_kind};
use crate::testing::{self, cat, eth, ip4, ip4_part, ip6, udp as udp_to};

/// Every link type that there is a decoder for, and one there is none for.
fn links() -> Vec<u16> {
    let decoded = LinkType::ALL.iter().filter(|l| is_supported(**l));
    decoded.chain(&[LinkType::USER0]).map(|l| l.0).collect()
}

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

    /// Every frame is one packet or one reason.
    fn is_conserved(&self) -> bool {
        let s = &self.out.stats;
        s.frames == s.packets + s.skipped.total() && s.packets == self.out.packets.len() as u64
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
fn every_link_type_leads_to_ip() {
    let p = ip4(UDP, &udp());
    let snap = cat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p]);
    let e = eth(0x800, &p);
    let dot11 = cat(&[&[0x08, 1, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &snap]);
    let qos = cat(&[&[0x88, 3, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &[4; 6], &[0, 0], &snap]);
    let subframe = cat(&[&[1; 6], &[2; 6], &(snap.len() as u16).to_be_bytes(), &snap, &[0; 9]]);
    let amsdu = cat(&[&[0x88, 1, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &[0x80, 0], &subframe]);
    let frames: Vec<(u16, Vec<u8>)> = vec![
        (1, e.clone()),
        (1, cat(&[&e, &[0; 30]])),
        (1, eth(snap.len() as u16, &cat(&[&snap, &[9; 8]]))),
        (1, eth(0x8100, &cat(&[&[0, 5, 8, 0], &p]))),
        (1, eth(0x88e7, &cat(&[&[0; 4], &e]))),
        (1, eth(0x8847, &cat(&[&[0, 1, 0, 64, 0, 1, 1, 64], &p]))),
        (1, eth(0x8847, &cat(&[&[0, 1, 1, 64], &[0; 4], &e]))),
        (1, eth(0x8847, &cat(&[&[0, 1, 1, 64], &e]))),
        (1, eth(0x8864, &cat(&[&[0x11, 0, 0, 1, 0, p.len() as u8 + 2, 0, 0x21], &p]))),
        (1, eth(0x8864, &cat(&[&[0x11, 0, 0, 1, 0, p.len() as u8 + 1, 0x21], &p]))),
        (1, eth(0x8909, &cat(&[&[1, 1, 0, 1, 0, 2, 8, 0], &p]))),
        (1, eth(0x8926, &cat(&[&[0, 0, 0, 1, 8, 0], &p]))),
        (1, eth(0x893f, &cat(&[&[0, 0, 0, 1, 0, 0, 8, 0], &p]))),
        (1, eth(0x892f, &cat(&[&[0, 0, 0, 1, 8, 0], &p]))),
        (1, eth(0x894f, &cat(&[&[0, 2, 1, 1, 0, 0, 0, 1], &p]))),
        (0, cat(&[&[2, 0, 0, 0], &p])),
        (0, cat(&[&[0, 0, 0, 2], &p])),
        (108, cat(&[&[0, 0, 0, 2], &p])),
        (6, cat(&[&[0x10, 0x40], &[1; 6], &[0x82; 6], &[4, 0, 0, 0], &snap])),
        (8, cat(&[&[0; 16], &p])),
        (9, cat(&[&[0xff, 3, 0, 0x21], &p])),
        (9, cat(&[&[0x21], &p])),
        (10, cat(&[&[0x50], &[1; 12], &snap])),
        (12, p.clone()),
        (18, p.clone()),
        (50, cat(&[&[0xff, 3, 0, 0x21], &p])),
        (50, cat(&[&[0x0f, 0, 8, 0], &p])),
        (51, cat(&[&[0x11, 0, 0, 1, 0, p.len() as u8 + 2, 0, 0x21], &p])),
        (100, snap.clone()),
        (101, p.clone()),
        (104, cat(&[&[0x0f, 0, 8, 0], &p])),
        (105, dot11.clone()),
        (105, qos),
        (105, amsdu),
        (107, cat(&[&[0x18, 0x41, 3, 0xcc], &p])),
        (107, cat(&[&[0x18, 0x41, 8, 0], &p])),
        (113, cat(&[&[0, 0, 0, 1, 0, 6], &[0; 8], &[8, 0], &p])),
        (276, cat(&[&[8, 0], &[0; 18], &p])),
        (119, cat(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], &dot11])),
        (123, cat(&[&[2, 0, 0, 5], &snap])),
        (127, cat(&[&[0, 0, 9, 0, 2, 0, 0, 0, 0x10], &dot11, &[0xde, 0xad, 0xbe, 0xef]])),
        (138, cat(&[&[0; 16], &[8, 0], &p])),
        (163, cat(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56], &dot11])),
        (166, cat(&[&[0, 3, 0, 0x21], &p])),
        (192, cat(&[&[0, 0, 8, 0, 105, 0, 0, 0], &dot11])),
        (204, cat(&[&[1, 0xff, 3, 0, 0x21], &p])),
        (228, p.clone()),
        (239, cat(&[&[2, 0, 0, 1, 5, 0, 1, 0, 7, 0, 0, 0, p.len() as u8 + 4, 0, 9, 0], &p])),
        (239, cat(&[&[2, 0, 0, 1, 0, 5, 0, 1, 7, 0, 0, 0, 0, p.len() as u8 + 4, 0, 9], &p])),
        (274, cat(&[&[0x55; 7], &[0xd5], &e])),
    ];
    for (link, bytes) in &frames {
        let run = Run::new(&[(*link, bytes)]);
        assert!(is_hello(&run), "link {link} {bytes:02x?} {:?}", run.out.stats);
        assert_eq!((run.out.stats.ipv4_packets, run.out.stats.ip_bytes), (1, 33));
    }
    let six = ip6(UDP, &udp());
    for (link, bytes) in
        [(229, six.clone()), (101, six.clone()), (0, cat(&[&[30, 0, 0, 0], &six])), (1, eth(0x86dd, &six))]
    {
        assert!(is_hello(&Run::new(&[(link, &bytes)])));
    }
}

#[test]
fn every_tunnel_leads_to_the_inner_packet() {
    let p = ip4(UDP, &udp());
    let six = ip6(UDP, &udp());
    let e = eth(0x800, &p);
    let gre = |head: &[u8], inner: &[u8]| eth(0x800, &ip4(47, &cat(&[head, inner])));
    let vni = [0, 0, 9, 0];
    let frames = [
        eth(0x800, &ip4(4, &p)),
        eth(0x800, &ip4(41, &six)),
        eth(0x86dd, &ip6(4, &p)),
        eth(0x800, &ip4(97, &cat(&[&[0x30, 0], &e]))),
        eth(0x800, &ip4(137, &cat(&[&[0, 1, 1, 64], &p]))),
        eth(0x800, &ip4(103, &cat(&[&[0x21, 0, 0, 0, 0, 0, 0, 0], &p]))),
        gre(&[0, 0, 8, 0], &p),
        gre(&[0, 0, 0x86, 0xdd], &six),
        gre(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], &p),
        gre(&[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], &p),
        gre(&[0x20, 0, 0x65, 0x58, 0, 0, 9, 1], &e),
        gre(&[0, 0, 0x88, 0xbe], &e),
        gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &e),
        gre(&cat(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &[0; 12]]), &e),
        gre(&[0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &p),
        gre(&[0, 0, 0x88, 0x3e, 0, 0, 0, 0], &p),
        in_udp(4789, &cat(&[&[8, 0, 0, 0], &vni]), &e),
        in_udp(4790, &cat(&[&[0x0c, 0, 0, 1], &vni]), &p),
        in_udp(6081, &cat(&[&[1, 0, 0x65, 0x58], &vni, &[0; 4]]), &e),
        in_udp(2152, &[0x30, 255, 0, p.len() as u8, 0, 0, 0, 1], &p),
        in_udp(2152, &[0x34, 255, 0, p.len() as u8 + 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &p),
        in_udp(3544, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6], &six),
        in_udp(1701, &[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &p),
        in_udp(6635, &[0, 1, 1, 64], &p),
    ];
    for bytes in &frames {
        let run = Run::new(&[(1, bytes)]);
        assert!(is_hello(&run), "{bytes:02x?} {:?}", run.out.packets);
        let info = &run.out.packets[0];
        assert_eq!(info.outer_l3, 14);
        assert!(Packet { info, batch: &run.batch }.outer_addresses().is_some());
    }
    assert_eq!(one(1, &frames[16]).key.scope().tunnel_kind, tunnel_kind::VXLAN);
    assert_eq!(one(1, &frames[16]).key.scope().tunnel_id, 9);
    assert_eq!(one(1, &frames[10]).key.scope().tunnel_id, 9);
    assert_eq!(one(1, &frames[18]).key.scope().tunnel_kind, tunnel_kind::GENEVE);
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
    assert_eq!(one(1, &eth(0x8100, &cat(&[&[0, 0, 8, 0], &p]))).key.scope().vlan, 1);
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
fn a_fragment_that_waited_points_at_no_bytes() {
    let parts = fragments(false, &[5; 100], 48);
    let run = Run::new(&[(1, &parts[1]), (1, &parts[0])]);
    let kinds: Vec<_> = run.out.packets.iter().map(|p| (p.frame, p.fragment, p.ts)).collect();
    assert_eq!(kinds, [(NO_OFFSET, Fragment::Later, 0), (1, Fragment::First, 1)]);
    assert!(run.out.packets.iter().all(|p| p.key.port(p.from_lo) == Some(12345)));
    assert_eq!((run.out.packets[0].l3, run.out.packets[0].l4), (NO_OFFSET, NO_OFFSET));
    let lone = Run::new(&[(1, &parts[1])]);
    assert_eq!(lone.out.packets[0].key.port(true), None);
    assert_eq!(lone.out.packets[0].payload_len, 48);
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

fn batch_of(frames: Vec<(u16, Vec<u8>, u32)>) -> FrameBatch {
    let mut batch = FrameBatch::new();
    for (i, (link, bytes, more)) in frames.iter().enumerate() {
        batch.push(i as i64 * 7_000_000_000, LinkType(*link), bytes.len() as u32 + more, bytes);
    }
    batch
}

/// Bytes that get further than noise does: an IP header in front.
fn ip_like() -> impl Strategy<Value = Vec<u8>> {
    let protocols = prop::sample::select(vec![1, 4, 6, 17, 41, 44, 47, 51, 60, 97, 103, 132, 137, 143]);
    let ports = prop::sample::select(vec![53, 1701, 2152, 3544, 4789, 4790, 6081]);
    (any::<bool>(), protocols, ports, any::<u16>(), prop::collection::vec(any::<u8>(), 0..120)).prop_map(
        |(v6, protocol, port, field, bytes)| {
            let payload = if protocol == UDP { udp_to(9, port, &bytes) } else { bytes };
            match v6 {
                true => eth(0x86dd, &ip6(protocol, &payload)),
                false if field % 3 == 0 => {
                    eth(0x800, &ip4_part(protocol, field % 4, field & 0xf8, field & 1 == 1, &payload))
                }
                false => eth(0x800, &ip4(protocol, &payload)),
            }
        },
    )
}

proptest! {
    #[test]
    fn every_frame_is_one_packet_or_one_reason(
        frames in prop::collection::vec(
            (prop::sample::select(links()), prop::collection::vec(any::<u8>(), 0..200), 0u32..100), 0..20),
    ) {
        prop_assert!(Run::of(batch_of(frames)).is_conserved());
    }

    #[test]
    fn every_frame_with_ip_is_one_packet_or_one_reason(frames in prop::collection::vec(ip_like(), 0..20), cut in 0usize..40) {
        let frames = frames.into_iter().map(|mut f| {
            f.truncate(f.len().saturating_sub(cut).max(20));
            (1, f, cut as u32)
        });
        let run = Run::of(batch_of(frames.collect()));
        prop_assert!(run.is_conserved());
        for p in &run.out.packets {
            prop_assert!(p.payload_start <= p.payload_end && p.payload_end as usize <= run.batch.data.len());
        }
    }

    #[test]
    fn the_straight_line_and_the_walk_agree(bytes in ip_like(), cut in 0usize..60, more in 0u32..20) {
        let mut bytes = bytes;
        bytes.truncate(bytes.len().saturating_sub(cut));
        let batch = batch_of(vec![(1, bytes, more)]);
        let frame = &batch.frames[0];
        if let Some(fast) = fast::packet(&batch.data, 0, frame, [1, 2]) {
            let (mut decoder, mut out) = (Decoder::new([1, 2]), Decoded::default());
            decoder.walk(batch.data.len(), &batch.data, 0, frame, &mut out);
            prop_assert_eq!(format!("{:?}", out.packets), format!("{:?}", [fast]));
            prop_assert_eq!(out.stats.ip_bytes, u64::from(fast.ip_len));
        }
    }

    #[test]
    fn fragments_in_any_order_give_the_datagram(
        v6 in any::<bool>(),
        payload in prop::collection::vec(any::<u8>(), 1..400),
        step in (3usize..20).prop_map(|n| n * 8),
        seed in any::<u64>(),
    ) {
        let mut parts = fragments(v6, &payload, step);
        prop_assume!(parts.len() > 1);
        let mut order = seed;
        for i in (1..parts.len()).rev() {
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            parts.swap(i, (order >> 33) as usize % (i + 1));
        }
        let frames: Vec<(u16, &[u8])> = parts.iter().map(|p| (1, p.as_slice())).collect();
        let run = Run::new(&frames);
        prop_assert!(run.is_conserved());
        prop_assert_eq!(run.out.packets.len(), parts.len());
        prop_assert!(run.out.packets.iter().all(|p| p.key.port(p.from_lo) == Some(12345)));
        prop_assert_eq!(run.out.packets.iter().map(|p| p.payload_len as usize).sum::<usize>(), payload.len());
        prop_assert_eq!(run.payloads().into_iter().filter(|p| *p == payload.as_slice()).count(), 1);
        prop_assert_eq!(run.out.stats.datagrams_reassembled, 1);
    }
}
