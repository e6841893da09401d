use super::*;
use crate::packet::{Endpoint, Scope, ip_proto};
use crate::testing::tcp_packet;

#[test]
fn a_flow_has_the_trackers_of_its_protocol_alone() {
    let has = |protocol, known| {
        let ends = [Endpoint::v4([10, 0, 0, 1], 1), Endpoint::v4([10, 0, 0, 2], 443)];
        let mut p = tcp_packet(0, Scope::default(), ends, SYN);
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
