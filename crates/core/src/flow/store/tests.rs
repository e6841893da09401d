use super::*;
use crate::packet::{Endpoint, Scope, ip_proto};
use crate::testing::tcp_packet;

const TRACKERS: TrackerMask = TrackerMask::SIZES
    .union(TrackerMask::TCP_FLAGS)
    .union(TrackerMask::LOG)
    .union(TrackerMask::IP_HEADER)
    .union(TrackerMask::ICMP)
    .union(TrackerMask::TCP_SEQUENCE)
    .union(TrackerMask::APP);

/// The `n`th flow: of one to three packets, of TCP or, each fifth, of UDP.
fn flow(n: u32) -> Vec<PacketInfo> {
    let ends = [Endpoint::v4([10, 0, 0, 1], n as u16), Endpoint::v4([10, 0, 0, 2], 443)];
    let packet = |i: u32| {
        let mut p = tcp_packet(i64::from(n * 10 + i), Scope::default(), ends, if i == 0 { SYN } else { 0x10 });
        p.ip_len = 40 + n + i;
        if n.is_multiple_of(5) {
            (p.key.protocol, p.known, p.tcp_flags) = (ip_proto::UDP, Known::NONE, 0);
        }
        p
    };
    (0..=n % 3).map(packet).collect()
}

fn track(store: &mut FlowStore, at: usize, packets: &[PacketInfo], context: &mut Context, spare: &mut Spare) {
    let packets: Vec<_> = packets.iter().map(Packet::without_bytes).collect();
    store.insert(at, FlowBase::start(&packets[0], 0), &packets[0], context, spare);
    for packet in &packets {
        store.update(at, packet, context);
    }
}

/// All that trackers have of a flow.
fn seen(flow: &FlowRef<'_>) -> String {
    let inline = (flow.sizes(), flow.tcp_flags(), flow.log(), flow.ip_header());
    format!("{:?} {inline:?} {:?} {:?} {:?}", flow.base, flow.icmp(), flow.tcp_sequence(), flow.app())
}

fn alone(n: u32) -> String {
    let (mut context, mut spare) = (Context::default(), Spare::default());
    let mut store = FlowStore::new(TRACKERS);
    track(&mut store, 0, &flow(n), &mut context, &mut spare);
    let mut ended = FlowStore::new(TRACKERS);
    store.move_to(0, &mut ended, &mut context);
    seen(&ended.get(0).unwrap())
}

#[test]
fn a_flow_is_as_if_alone_whatever_was_in_its_place_and_store() {
    let (mut context, mut spare) = (Context::default(), Spare::default());
    let mut store = FlowStore::new(TRACKERS);
    let mut ended = FlowStore::new(TRACKERS);
    let (mut places, mut next) = (Vec::new(), 0);
    // More flows than are prepared at a time; of three that are open two end, and others take their places.
    for round in 0..6 {
        for at in 0..200 {
            if round > 0 && at % 3 == 0 {
                continue;
            }
            track(&mut store, at, &flow(next), &mut context, &mut spare);
            if places.len() <= at {
                places.push(next);
            } else {
                places[at] = next;
            }
            next += 1;
        }
        let leaves: Vec<usize> = (0..200).filter(|at| at % 3 != 0).collect();
        for &at in &leaves {
            store.move_to(at, &mut ended, &mut context);
        }
        for (row, &at) in leaves.iter().enumerate() {
            assert_eq!(seen(&ended.get(row).unwrap()), alone(places[at]), "round {round}, place {at}");
        }
        spare.add(ended);
        ended = spare.store().unwrap();
    }
    for at in (0..200).step_by(3) {
        store.move_to(at, &mut ended, &mut context);
        assert_eq!(seen(&ended.get(at / 3).unwrap()), alone(places[at]));
    }
    assert_eq!(context.memory.heap_bytes(), 0);
}

#[test]
fn a_flow_has_the_trackers_of_its_protocol_alone() {
    let has = |protocol, known| {
        let mut p = flow(1).remove(0);
        (p.key.protocol, p.known) = (protocol, known);
        concerned(&p)
    };
    let (tcp, udp) = (has(ip_proto::TCP, Known::TCP_HEADER), has(ip_proto::UDP, Known::NONE));
    let (icmp, esp) = (has(ip_proto::ICMP, Known::ICMP), has(ip_proto::ESP, Known::NONE));
    for all in [tcp, udp, icmp, esp] {
        assert!(all.contains(TrackerMask::SIZES.union(TrackerMask::KEEP)));
    }
    let of_ports = TrackerMask::APP.union(TrackerMask::OPENING).union(TrackerMask::ENTROPY);
    let of_tcp = TrackerMask::TCP_OPTIONS.union(TrackerMask::TCP_SEQUENCE);
    assert_eq!(tcp.without(udp), of_tcp);
    assert_eq!(udp.without(esp), of_ports);
    assert_eq!(icmp.without(esp), TrackerMask::ICMP);
    // An authentication header is what one of them looks for in any flow.
    assert_eq!(has(ip_proto::ESP, Known::AH).without(esp), TrackerMask::APP);
}
