//! Frames made by hand for every link type and tunnel. tests/data/link_types.pcapng has more, checked with TShark.

use super::*;

/// A QoS data frame of 802.11 that is an aggregate.
const AMSDU: [u8; 26] = [0x88, 1, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 0, 0, 0x80, 0];

#[test]
fn every_link_type_leads_to_ip() {
    let p = ip4(UDP, &udp());
    let snap = cat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p]);
    let e = eth(0x800, &p);
    let dot11 = cat(&[&[0x08, 1, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &snap]);
    let qos = cat(&[&[0x88, 3, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &[4; 6], &[0, 0], &snap]);
    let subframe = cat(&[&[1; 6], &[2; 6], &(snap.len() as u16).to_be_bytes(), &snap, &[0; 9]]);
    let amsdu = cat(&[&AMSDU, &subframe]);
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
        (9, cat(&[&[0xff, 3, 0, 0x31, 0, 1], &eth(0x800, &p)])),
        (9, cat(&[&[0, 0x31, 0xc0, 1, 0, 0, 0, 7], &eth(0x800, &p), &[1, 2, 3, 4]])),
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
        (113, cat(&[&[0, 0, 0, 1, 0, 6], &[0; 8], &[0, 3], &eth(0x800, &p)])),
        (113, cat(&[&[0, 0, 2, 0, 0, 0], &[0; 8], &[0, 7], &[0xff, 3, 0, 0x21], &p])),
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
        (274, cat(&[&[0x55; 7], &[0xd5], &e, &[9; 4]])),
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
        in_udp(4790, &cat(&[&[0x0c, 0, 0, 5], &vni, &[0, 1, 1, 64]]), &p),
        in_udp(6081, &cat(&[&[1, 0, 0x65, 0x58], &vni, &[0; 4]]), &e),
        in_udp(2152, &[0x30, 255, 0, p.len() as u8, 0, 0, 0, 1], &p),
        in_udp(2152, &[0x34, 255, 0, p.len() as u8 + 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &p),
        in_udp(3544, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6], &six),
        in_udp(1701, &[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &p),
        in_udp(6635, &[0, 1, 1, 64], &p),
        gre(&[0x20, 1, 0x64, 0, 0, e.len() as u8, 9, 0], &e),
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
    assert_eq!(one(1, &frames[19]).key.scope().tunnel_kind, tunnel_kind::GENEVE);
}

#[test]
fn what_is_no_packet_of_its_own_is_skipped() {
    let p = ip4(UDP, &udp());
    let e = eth(0x800, &p);
    let fc = |kind: u8, count: u8| {
        cat(&[&[6; 8], &[kind, 0, 0, 0, 0, 0x20, 0, count], &[0; 24], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p])
    };
    let docsis = |control: u8, extended: &[u8]| {
        let len = (extended.len() + e.len() + 4) as u8;
        cat(&[&[control, extended.len() as u8, 0, len], extended, &[0, 0], &e, &[0; 4]])
    };
    assert!(is_hello(&Run::new(&[(224, &fc(5, 0))])) && is_hello(&Run::new(&[(143, &docsis(1, &[0x30, 0x41, 0]))])));
    let mut pktap = vec![0; 108];
    (pktap[0], pktap[8]) = (108, 12);
    let nothing = pktap.clone();
    pktap[4] = 1;
    assert!(is_hello(&Run::new(&[(258, &cat(&[&pktap, &p]))])));
    for (link, bytes) in [
        // ARCNET: a later part of a packet; ARP.
        (7, cat(&[&[1, 2, 212, 2, 0, 1], &p])),
        (7, cat(&[&[1, 2, 213, 0, 0, 1], &p])),
        // Multilink frame relay: a later fragment, a control message.
        (182, cat(&[&[0x40, 1, 0x18, 0x41, 3, 0xcc], &p])),
        (182, cat(&[&[0xe0, 1, 0x18, 0x41, 3, 0xcc], &p])),
        // Fibre Channel: SCSI, the second frame of a sequence.
        (224, fc(8, 0)),
        (224, fc(5, 1)),
        // DOCSIS: management, an enciphered payload.
        (143, docsis(0xc2, &[])),
        (143, docsis(1, &[0x43, 0x10, 0x80, 0])),
        // IEEE 802.3br: a continuation.
        (274, cat(&[&[0x55; 6], &[0x61, 0xe6], &e, &[0; 4]])),
        // PKTAP: a record without a packet.
        (258, cat(&[&nothing, &p])),
        // MACsec: encrypted.
        (1, eth(0x88e5, &cat(&[&[0x2c], &[0; 13], &[8, 0], &p]))),
        // Multilink PPP: a fragment.
        (9, cat(&[&[0xff, 3, 0, 0x3d, 0x80, 0, 0, 1, 0, 0x21], &p])),
        // ATSC: a segment.
        (289, cat(&[&[0x10, 33], &p])),
        // Junos: services without a link layer that is known.
        (136, cat(&[b"MGC\x01", &p])),
    ] {
        assert_eq!(skipped(link, &bytes), SkipReason::NonIp, "link {link} {bytes:02x?}");
    }
    assert_eq!(skipped(178, &cat(&[b"xGC\x01", &e])), SkipReason::Malformed);
}

#[test]
fn headers_with_variants() {
    let p = ip4(UDP, &udp());
    let six = ip6(UDP, &udp());
    let e = eth(0x800, &p);
    for (link, bytes) in [
        // ARCNET: RFC 1051; an exception packet; the first part; IPv6.
        (7, cat(&[&[1, 2, 240], &p])),
        (7, cat(&[&[1, 2, 212, 0xff, 0, 0, 0, 0, 0, 1], &p])),
        (7, cat(&[&[1, 2, 212, 3, 0, 1], &p])),
        (129, cat(&[&[1, 2, 0, 0, 196, 0, 0, 1], &six])),
        // Loopback with an EtherType, Cisco HDLC or PPP in its place.
        (0, cat(&[&[0, 0, 8, 0], &p])),
        (0, cat(&[&[0x0f, 0, 8, 0], &p])),
        (0, cat(&[&[0x8f, 0, 0x86, 0xdd], &six])),
        (0, cat(&[&[0xff, 3, 0, 0x21], &p])),
        (108, cat(&[&[0, 0, 8, 0], &p])),
        // With and without a global route header.
        (242, cat(&[&[8, 0, 0, 0], &p])),
        (242, cat(&[&[0x60; 40], &[0x86, 0xdd, 0, 0], &six])),
        // ERF: extension headers; IPv4; AAL5.
        (197, cat(&[&[0; 8], &[0x82, 4, 0, 0, 0, 0, 0, 0], &[0x83, 0, 0, 0, 0, 0, 0, 0], &[3; 8], &[0, 0], &e])),
        (197, cat(&[&[0; 8], &[22, 4, 0, 0, 0, 0, 0, 0], &p])),
        (197, cat(&[&[0; 8], &[4, 4, 0, 0, 0, 0, 0, 0], &[0; 4], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p])),
        (117, cat(&[&[100, 30], &[0; 98], &six])),
        (109, cat(&[&[0, 0, 0, 24], &[0; 8], &six])),
        (274, cat(&[&[0x55; 3], &[0xe6], &e, &[0; 4]])),
        (1, eth(0x88e5, &cat(&[&[0x20], &[0; 13], &[8, 0], &p, &[0; 16]]))),
        (1, eth(0x22f3, &cat(&[&[0, 0x40, 0, 1, 0, 2], &[0; 4], &e]))),
        (1, eth(0xdada, &cat(&[&[0, 0, 0xc0, 8, 0, 1, 8, 0], &p]))),
        (136, cat(&[b"MGC\x02", &[0; 4], &p])),
        // Classical IP over ATM: with and without LLC. Bridged frames: over ATM behind padding, in frame relay without.
        (106, cat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p])),
        (106, p.clone()),
        (11, cat(&[&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &e])),
        (123, cat(&[&[2, 0, 0, 5, 0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 1, 0, 0], &e, &[0; 4]])),
        (107, cat(&[&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], &e])),
        // EPON: the last six bytes of the preamble, all of it.
        (259, cat(&[&[0xd5, 0x55, 0x55, 0, 1, 9], &e])),
        (259, cat(&[&[0x55, 0x55, 0xd5, 0x55, 0x55, 0, 1, 9], &e])),
        // Frame relay in a cooked capture; a whole packet in multilink PPP; FabricPath, time stamps, a broadcast in a mesh.
        (113, cat(&[&[0, 0, 3, 2, 0, 0], &[0; 10], &[0x18, 0x41, 3, 0xcc], &p])),
        (9, cat(&[&[0xff, 3, 0, 0x3d, 0xc0, 0, 0, 1, 0, 0x21], &p])),
        (1, eth(0x8903, &cat(&[&[0, 1], &e]))),
        (1, eth(0xd28b, &cat(&[&[0, 1, 0, 0x10], &[0; 8], &[8, 0], &p]))),
        (1, eth(0xd28b, &cat(&[&[0, 1, 1, 0x20], &[0; 6], &[8, 0], &p]))),
        (1, eth(0x4305, &cat(&[&[1, 15], &[0; 12], &e]))),
    ] {
        assert!(is_hello(&Run::new(&[(link, &bytes)])), "link {link} {bytes:02x?}");
    }
}

/// UDP from 1000 to 2000 with "hello" in IPv4 with a right checksum.
fn checked() -> Vec<u8> {
    ip4_between([192, 0, 2, 1], [192, 0, 2, 2], UDP, &udp())
}

#[test]
fn pseudo_wires_are_judged_by_what_fits() {
    let p = checked();
    let with_mac = |first: u8| {
        let mut e = eth(0x800, &p);
        e[0] = first;
        e
    };
    let label = [0, 1, 1, 64];
    // Addresses that look like IPv4 and IPv6, with and without a control word.
    for first in [0x00, 0x45, 0x4c, 0x60, 0x6a, 0xd0] {
        for word in [&[][..], &[0; 4]] {
            let run = Run::new(&[(1, &eth(0x8847, &cat(&[&label, word, &with_mac(first)])))]);
            assert!(is_hello(&run), "{first:02x}, word of {} bytes: {:?}", word.len(), run.out.packets);
        }
    }
    let mut wrong = p.clone();
    wrong[10] ^= 1;
    assert!(is_hello(&Run::new(&[(1, &eth(0x8847, &cat(&[&label, &p])))])));
    assert!(is_hello(&Run::new(&[(1, &eth(0x8847, &cat(&[&label, &wrong])))])), "nothing else fits");
    assert!(is_hello(&Run::new(&[(1, &eth(0x8847, &cat(&[&label, &[0; 4], &p])))])), "an IP pseudo-wire");
    assert!(is_hello(&Run::new(&[(1, &eth(0x8847, &cat(&[&label, &[0x10, 0, 0, 0x21], &p])))])), "IP for maintenance");
    assert_eq!(skipped(1, &eth(0x8847, &cat(&[&label, &[0x10, 0, 0, 7], &p]))), SkipReason::NonIp);
    let gtp = |inner: &[u8]| in_udp(2152, &[0x30, 255, 0, inner.len() as u8, 0, 0, 0, 1], inner);
    for first in [0x02, 0x45, 0x60] {
        assert!(is_hello(&Run::new(&[(1, &gtp(&with_mac(first)))])));
    }
}

#[test]
fn newer_tunnels_lead_to_the_inner_packet() {
    let p = checked();
    let six = ip6(UDP, &udp());
    let e = eth(0x800, &p);
    let dot11 = cat(&[&[8, 1, 0, 0], &[1; 18], &[0, 0], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p]);
    let mut swapped = dot11.clone();
    swapped.swap(0, 1);
    let l2tp = |prefix: &[u8], inner: &[u8]| eth(0x800, &ip4(115, &cat(&[&[0, 0, 0, 1], prefix, inner])));
    let ppp = cat(&[&[0xff, 3, 0, 0x21], &p]);
    let gre = cat(&[&[0, 0, 8, 0], &p]);
    for (kind, frame) in [
        ("tzsp", in_udp(37008, &[1, 0, 0, 1, 1], &e)),
        ("tzsp", in_udp(37008, &[1, 1, 0, 18, 0, 10, 2, 9, 9, 1], &dot11)),
        ("capwap", in_udp(5247, &[0, 0x10, 0, 0, 0, 0, 0, 0], &e)),
        ("capwap", in_udp(5247, &[0, 0x10, 3, 0, 0, 0, 0, 0], &dot11)),
        ("capwap", in_udp(5247, &[0, 0x18, 3, 0, 0, 0, 0, 0, 9, 9, 9, 9], &swapped)),
        ("lisp", in_udp(4341, &[0x88, 0, 0, 0, 0, 0, 0, 1], &p)),
        ("lisp", in_udp(4341, &[0x0c, 0, 0, 3, 0, 0, 1, 0], &e)),
        ("amt", in_udp(2268, &[6, 0], &six)),
        ("gue", in_udp(6080, &[0, 4, 0, 0], &p)),
        ("gue", in_udp(6080, &[1, 41, 0, 0, 9, 9, 9, 9], &six)),
        ("gue", in_udp(6080, &[], &p)),
        ("fou", in_udp(5555, &[], &p)),
        ("gre", in_udp(5555, &gre, &[])),
        ("gre", in_udp(4754, &gre, &[])),
        ("l2tp", l2tp(&[], &e)),
        ("l2tp", l2tp(&[7; 8], &ppp)),
        ("l2tp", l2tp(&[7; 12], &p)),
        ("l2tp", in_udp(1701, &[0, 3, 0, 0, 0, 0, 0, 1], &e)),
    ] {
        let run = Run::new(&[(1, &frame)]);
        assert!(is_hello(&run), "{kind} {frame:02x?} {:?}", run.out);
        let layers = run.out.packets[0].layers;
        assert_eq!(layers.iter().filter_map(Layer::tunnel).last(), Some(kind));
    }
    // Control messages, keep-alives, fragments, DTLS, and payloads of these ports that are something else.
    let something = b"\x45 or something else on that port";
    for frame in [
        eth(0x800, &ip4(115, &cat(&[&[0, 0, 0, 0, 0xc8, 3], &[0; 20]]))),
        eth(0x800, &ip4(115, &cat(&[&[0, 0, 0, 1], something]))),
        in_udp(5247, &[0, 0x10, 0, 8, 0, 0, 0, 0], &e),
        in_udp(5247, &[0, 0x10, 0, 0x80, 0, 0, 0, 0], &e),
        in_udp(5247, &[1, 0, 0, 0, 0, 0, 0, 0], &e),
        in_udp(37008, &[1, 4, 0, 1, 1], &e),
        in_udp(6080, &[0x20, 4, 0, 0], &p),
        in_udp(2268, &[1, 0], &p),
        in_udp(4341, something, &[]),
        in_udp(5555, something, &[]),
    ] {
        let p = one(1, &frame);
        assert_eq!((p.outer_l3, p.payload_len > 0), (NO_OFFSET, true), "{frame:02x?}");
    }
}

#[test]
fn every_subframe_of_an_aggregate_is_a_packet() {
    let part = |port: u16, ip: bool| {
        let snap: &[u8] = if ip { &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0] } else { &[0xaa, 0xaa, 3, 0, 0, 0, 8, 6] };
        let body = cat(&[snap, &ip4(UDP, &udp_to(port, 9, b"sub"))]);
        cat(&[&[1; 6], &[2; 6], &(body.len() as u16).to_be_bytes(), &body])
    };
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let frame = cat(&[&AMSDU, &padded(part(1, true)), &padded(part(2, false)), &part(3, true), &[0; 9]]);
    let run = Run::new(&[(105, &frame)]);
    assert!(run.is_conserved());
    let ports: Vec<_> = run.out.packets.iter().map(|p| (p.frame, p.key.port(p.from_lo))).collect();
    assert_eq!(ports, [(0, Some(1)), (0, Some(3))]);
    assert_eq!((run.out.stats.frames, run.out.stats.subframes), (1, 2));
    assert_eq!(run.payloads(), [b"sub", b"sub"]);
    let endless = cat(&[&AMSDU, &[0; 16 * 1000]]);
    assert!(Run::new(&[(105, &endless)]).is_conserved());
    assert_eq!(Run::new(&[(105, &endless)]).out.stats.subframes, MAX_SUBFRAMES as u64 - 1);
}
