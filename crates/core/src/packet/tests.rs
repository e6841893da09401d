//! What a packet shows of its bytes: every header whole, wherever it came from.

use super::ip_proto::{AH, GRE, HOPOPT, ICMP, IPV6_FRAG, IPV6_OPTS, TCP, UDP};
use super::*;
use crate::testing::{self, cat, eth, ip4, ip4_part, ip6, udp};

/// What packets show: index of the frame, IP header, upper-layer header, payload.
type Shown = (u32, Vec<u8>, Vec<u8>, Vec<u8>);

fn shown(frames: &[&[u8]]) -> Vec<Shown> {
    let frames: Vec<_> = frames.iter().map(|f| (LinkType::ETHERNET, *f)).collect();
    let mut batch = testing::batch(&frames);
    let out = testing::decode(&mut batch);
    let of = |info: &PacketInfo| {
        let p = Packet { info, batch: &batch };
        if let Some((link, bytes)) = p.link() {
            assert_eq!((link, bytes), frames[info.frame as usize]);
        }
        (info.frame, p.l3_header().to_vec(), p.l4_header().to_vec(), p.payload().to_vec())
    };
    out.packets.iter().map(of).collect()
}

fn one(frame: &[u8]) -> Shown {
    let [one] = shown(&[frame]).try_into().unwrap();
    one
}

/// TCP with a timestamps option.
fn segment(payload: &[u8]) -> Vec<u8> {
    let mut bytes = cat(&[&testing::tcp(12345, 80, 0x18, &[]), &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], payload]);
    bytes[12] = 0x80;
    bytes
}

#[test]
fn headers_of_an_ordinary_packet() {
    let segment = segment(b"payload");
    for ip in [ip4(TCP, &segment), ip6(TCP, &segment)] {
        let (ether_type, len) = if ip[0] >> 4 == 4 { (0x800, 20) } else { (0x86dd, 40) };
        let whole = (0, ip[..len].to_vec(), segment[..32].to_vec(), b"payload".to_vec());
        assert_eq!(one(&eth(ether_type, &ip)), whole);
        // Padding is no payload, and tags change nothing.
        assert_eq!(one(&cat(&[&eth(ether_type, &ip), &[0; 9]])), whole);
        let [high, low] = u16::to_be_bytes(ether_type);
        assert_eq!(one(&eth(0x8100, &cat(&[&[0, 7, high, low], &ip]))), whole);
    }
}

#[test]
fn options_and_extension_headers_belong_to_the_ip_header() {
    let mut options = ip4(UDP, &udp(1, 2, b"x"));
    options.splice(20..20, [0x94, 4, 0, 0]);
    (options[0], options[3]) = (0x46, options[3] + 4);
    assert_eq!(one(&eth(0x800, &options)).1, options[..24]);
    let chain = cat(&[&[IPV6_OPTS, 0, 1, 4, 0, 0, 0, 0], &[AH, 0, 1, 4, 0, 0, 0, 0], &[UDP, 1, 0, 0], &[9; 8]]);
    let packet = ip6(HOPOPT, &cat(&[&chain, &udp(1, 2, b"x")]));
    let (_, l3, l4, payload) = one(&eth(0x86dd, &packet));
    assert_eq!((&l3[..], &l4[..], &payload[..]), (&packet[..68], &packet[68..76], &b"x"[..]));
    let kinds: Vec<_> = Extensions::of(&l3).map(|e| (e.protocol, e.len, e.bytes.len())).collect();
    assert_eq!(kinds, [(HOPOPT, 8, 8), (IPV6_OPTS, 8, 8), (AH, 12, 12)]);
    let mut batch = testing::batch(&[(LinkType::ETHERNET, &eth(0x86dd, &packet))]);
    let out = testing::decode(&mut batch);
    assert!(out.packets[0].known.has(Known::AH));
}

#[test]
fn fragments_show_the_datagram_once() {
    let segment = segment(&[7; 64]);
    let (a, b) = segment.split_at(48);
    let four = [ip4_part(TCP, 5, 0, true, a), ip4_part(TCP, 5, 48, false, b)];
    let six = [(0, 1u8, a), (48, 0, b)]
        .map(|(at, more, part)| ip6(IPV6_FRAG, &cat(&[&[TCP, 0, 0, at | more, 0, 0, 0, 9], part])));
    for (ether_type, parts, len) in [(0x800, four, 20), (0x86dd, six, 48)] {
        let frames = parts.clone().map(|p| eth(ether_type, &p));
        let headers = parts.map(|p| p[..len].to_vec());
        let whole = |n: usize| (1, headers[n].clone(), segment[..32].to_vec(), vec![7; 64]);
        let none = vec![];
        let in_order = shown(&[&frames[0], &frames[1]]);
        assert_eq!(in_order, [(0, headers[0].clone(), none.clone(), none.clone()), whole(1)]);
        // One that waited has no frame; the first one completes.
        let backwards = shown(&[&frames[1], &frames[0]]);
        assert_eq!(backwards, [(NO_OFFSET, headers[1].clone(), none.clone(), none.clone()), whole(0)]);
    }
}

#[test]
fn a_header_counts_once_for_all_fragments() {
    let frames = |step: usize, cut: usize| {
        let segment = segment(&[7; 64]);
        let n = segment.len().div_ceil(step);
        let part = |(i, bytes): (usize, &[u8])| eth(0x800, &ip4_part(TCP, 5, (i * step) as u16, i + 1 < n, bytes));
        let frames: Vec<_> = segment.chunks(step).enumerate().map(part).collect();
        let mut batch = FrameBatch::new();
        for f in &frames {
            batch.push(0, LinkType::ETHERNET, f.len() as u32, &f[..f.len() - cut.min(f.len())]);
        }
        let out = testing::decode(&mut batch);
        assert_eq!(out.packets.len(), n);
        let known = |p: &PacketInfo| p.known.has(Known::PAYLOAD_LEN);
        let with_header: Vec<_> = out.packets.iter().map(|p| u8::from(p.has_tcp())).collect();
        let sum: u32 = out.packets.iter().map(|p| p.payload_len).sum();
        (with_header, sum, out.packets.iter().all(known))
    };
    assert_eq!(frames(48, 0), (vec![0, 1], 64, true));
    // Eight bytes a fragment: the data offset comes with the second one (RFC 1858).
    assert_eq!(frames(8, 0), (vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 64, true));
    // Cut by the snap length: the datagram will not be put together.
    assert_eq!(frames(48, 10), (vec![1, 0], 64, true));
}

#[test]
fn a_tunnel_in_fragments_shows_its_inner_packet() {
    let inner = ip4(UDP, &udp(1000, 2000, &[3; 64]));
    let gre = cat(&[&[0, 0, 0x65, 0x58], &eth(0x800, &inner)]);
    let (a, b) = gre.split_at(48);
    let frames = [eth(0x800, &ip4_part(GRE, 5, 0, true, a)), eth(0x800, &ip4_part(GRE, 5, 48, false, b))];
    let last = shown(&[&frames[0], &frames[1]]).remove(1);
    assert_eq!(last, (1, inner[..20].to_vec(), inner[20..28].to_vec(), vec![3; 64]));
    let mut batch = testing::batch(&frames.each_ref().map(|f| (LinkType::ETHERNET, &f[..])));
    let out = testing::decode(&mut batch);
    let packet = Packet { info: &out.packets[1], batch: &batch };
    assert_eq!(packet.ethernet().map(|(h, between)| (h[12], between.len())), Some((8, 0)));
    assert_eq!(packet.outer_addresses().map(|(src, _)| src.to_string()), Some("10.0.0.2".into()));
}

#[test]
fn the_last_ethernet_header_before_the_ip_header() {
    let ethernet = |frame: &[u8]| {
        let mut batch = testing::batch(&[(LinkType::ETHERNET, frame)]);
        let out = testing::decode(&mut batch);
        let packet = Packet { info: &out.packets[0], batch: &batch };
        packet.ethernet().map(|(header, between)| (header[11], between.to_vec()))
    };
    let inner = eth(0x800, &ip4(UDP, &udp(1, 2, b"x")));
    assert_eq!(ethernet(&inner), Some((2, vec![])));
    let tagged = eth(0x8100, &cat(&[&[0, 7], &inner[12..]]));
    assert_eq!(ethernet(&tagged), Some((2, vec![0, 7, 8, 0])));
    let mut outer = eth(0x800, &ip4(UDP, &udp(9, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 9, 0], &inner]))));
    outer[11] = 99;
    assert_eq!(ethernet(&outer), Some((2, vec![])));
    let mut ipip = eth(0x800, &ip4(4, &inner[14..]));
    ipip[11] = 99;
    assert_eq!(ethernet(&ipip), Some((99, ipip[14..34].to_vec())));
    // However much stands between the two.
    let options = cat(&[&[41, 32, 1, 4], &[0; 260]]);
    let far = eth(0x86dd, &ip6(IPV6_OPTS, &cat(&[&options, &ip6(UDP, &udp(1, 2, b"x"))])));
    assert_eq!(ethernet(&far), Some((2, far[14..14 + 40 + 264].to_vec())));
}

#[test]
fn the_ethernet_header_of_a_tunnel_in_fragments() {
    let gre = cat(&[&[0, 0, 8, 0], &ip4(UDP, &udp(1000, 2000, &[3; 64]))]);
    let (a, b) = gre.split_at(48);
    let mut fragments = [eth(0x800, &ip4_part(GRE, 5, 0, true, a)), eth(0x800, &ip4_part(GRE, 5, 48, false, b))];
    (fragments[0][11], fragments[1][11]) = (98, 99);
    // The datagram lies behind the last frame of the batch, which may be far.
    for other in [vec![], vec![0; 40_000]] {
        let frames = [&fragments[0][..], &fragments[1], &other].map(|f| (LinkType::ETHERNET, f));
        let mut batch = testing::batch(&frames);
        let out = testing::decode(&mut batch);
        let packet = Packet { info: &out.packets[1], batch: &batch };
        assert_eq!((packet.l4_header().len(), packet.payload()), (8, &[3; 64][..]));
        let (header, behind) = packet.ethernet().unwrap();
        assert_eq!((header[11], behind.get(..20)), (99, fragments[1].get(14..34)));
    }
}

#[test]
fn what_the_snap_length_left() {
    let frame = eth(0x800, &ip4(TCP, &segment(b"payload")));
    let cut = |len: usize| {
        let mut batch = FrameBatch::new();
        batch.push(0, LinkType::ETHERNET, frame.len() as u32, &frame[..len]);
        let out = testing::decode(&mut batch);
        let info = out.packets[0];
        let p = Packet { info: &info, batch: &batch };
        (p.l3_header().len(), p.l4_header().len(), p.payload().len(), info.known, info.payload_len)
    };
    assert_eq!(cut(frame.len()), (20, 32, 7, Known::TCP_HEADER, 7));
    assert_eq!(cut(70), (20, 32, 4, Known::TCP_HEADER, 7));
    assert_eq!(cut(60), (20, 26, 0, Known::TCP_HEADER, 7));
    let flags = Known::PAYLOAD_LEN.with(Known::SEQ).with(Known::ACK).with(Known::TCP_FLAGS);
    assert_eq!(cut(48), (20, 14, 0, flags, 7));
    assert_eq!(cut(46), (20, 12, 0, Known::SEQ.with(Known::ACK), 0));
    assert_eq!(cut(34), (20, 0, 0, Known::NONE, 0));
}

#[test]
fn icmp_says_its_type_and_code() {
    let of = |ip: &[u8], link| {
        let out = testing::decode(&mut testing::batch(&[(link, ip)]));
        out.packets[0].icmp()
    };
    assert_eq!(of(&ip4(ICMP, &[8, 1, 0, 0, 0, 1, 0, 1]), LinkType::IPV4), Some((8, 1)));
    assert_eq!(of(&ip6(58, &[129, 0, 0, 0, 0, 1, 0, 1]), LinkType::IPV6), Some((129, 0)));
    assert_eq!(of(&ip4(UDP, &udp(1, 2, b"x")), LinkType::IPV4), None);
}
