//! The life of flows, one rule a test.

use super::testing::*;
use super::*;
use crate::packet::{Scope, Side};
use EndReason::{Active, EndOfInput, Evicted, Fin, Idle, Rst};

/// A connection that is opened and closed; the last packet is the last ACK, 30 ms after the first.
fn closed(port: u16, ms: i64) -> Vec<PacketInfo> {
    let steps = [(Client, SYN), (Server, SYN | ACK), (Client, ACK), (Client, FIN), (Server, FIN), (Client, ACK)];
    (0..).zip(steps).map(|(i, (from, flags))| tcp(port, from, ms + 6 * i, flags)).collect()
}

#[test]
fn two_fins_make_one_flow() {
    let mut packets = closed(1, 0);
    assert_eq!(flows(settings(), &packets), [(1, 6, Fin)]);
    packets.push(tcp(1, Server, 2_900, FIN));
    packets.push(tcp(1, Client, 2_901, ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin)], "a repeated FIN and its ACK belong to the flow");
    packets.push(tcp(1, Client, 5_902, ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin), (1, 1, EndOfInput)], "3.001 s after is another flow");
}

#[test]
fn a_fin_from_one_side_leaves_the_flow_open() {
    let half = [tcp(1, Client, 0, FIN), tcp(1, Client, 1, FIN), tcp(1, Server, 50_000, ACK)];
    assert_eq!(flows(settings(), &half), [(1, 3, EndOfInput)]);
}

#[test]
fn a_new_syn_after_close_begins_a_new_flow() {
    let mut packets = closed(1, 0);
    packets.extend(closed(1, 31));
    assert_eq!(flows(settings(), &packets), [(1, 6, Fin), (1, 6, Fin)]);
    let mut late_answer = closed(1, 0);
    late_answer.push(tcp(1, Server, 31, SYN | ACK));
    assert_eq!(flows(settings(), &late_answer), [(1, 7, Fin)], "a SYN-ACK opens nothing");
}

#[test]
fn a_syn_in_an_open_flow_is_a_packet_of_it() {
    let packets = [tcp(1, Client, 0, SYN), tcp(1, Client, 1_000, SYN), tcp(1, Server, 1_001, SYN | ACK)];
    assert_eq!(flows(settings(), &packets), [(1, 3, EndOfInput)]);
}

#[test]
fn rst_ends_at_once() {
    let packets =
        [tcp(1, Client, 0, SYN), tcp(1, Server, 1, RST | ACK), tcp(1, Client, 1, ACK), tcp(1, Server, 2, RST)];
    assert_eq!(flows(settings(), &packets), [(1, 2, Rst), (1, 2, Rst)]);
    let mut after_close = closed(1, 0);
    after_close.push(tcp(1, Client, 40, RST));
    assert_eq!(flows(settings(), &after_close), [(1, 7, Fin)], "FIN came first");
}

#[test]
fn without_termination_fin_and_rst_are_packets() {
    let mut packets = closed(1, 0);
    packets.extend([tcp(1, Client, 40, RST), tcp(1, Client, 50, SYN), tcp(1, Client, 50_000, ACK)]);
    let settings = FlowSettings { terminate_on_fin_rst: false, ..settings() };
    assert_eq!(flows(settings, &packets), [(1, 9, EndOfInput)]);
}

#[test]
fn own_gap_splits() {
    let gap = |ms| flows(settings(), &[tcp(1, Client, 0, ACK), tcp(1, Client, ms, ACK)]);
    assert_eq!(gap(60_000), [(1, 2, EndOfInput)]);
    assert_eq!(gap(60_001), [(1, 1, Idle), (1, 1, EndOfInput)]);
}

#[test]
fn gap_back_in_time_splits() {
    let gap = |ms| flows(settings(), &[tcp(1, Client, 100_000, ACK), tcp(1, Client, ms, ACK)]);
    assert_eq!(gap(40_000), [(1, 2, EndOfInput)]);
    assert_eq!(gap(39_999), [(1, 1, Idle), (1, 1, Idle)], "the second is quiet for 60.001 s when the input ends");
}

#[test]
fn times_at_the_ends_of_their_range_are_gaps() {
    let mut packets = [tcp(1, Client, 0, ACK), tcp(1, Client, 0, ACK), tcp(1, Client, 0, ACK)];
    (packets[0].ts, packets[1].ts, packets[2].ts) = (i64::MIN, i64::MAX, i64::MIN);
    let rows = flows(FlowSettings { active_timeout: Some(SECOND), ..settings() }, &packets);
    assert_eq!(rows.iter().map(|r| r.1).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn active_timeout_splits() {
    let settings = FlowSettings { active_timeout: Some(100 * SECOND), ..settings() };
    let packets: Vec<_> = [0, 50_000, 100_000, 100_001].map(|ms| tcp(1, Client, ms, ACK)).into();
    assert_eq!(flows(settings, &packets), [(1, 3, Active), (1, 1, EndOfInput)]);
}

#[test]
fn reordering_keeps_durations_non_negative() {
    let mut bench = Bench::new(settings());
    bench.push(&[50, 20, 80, 10].map(|ms| tcp(1, Client, ms, ACK)));
    bench.drain(80_000_000);
    let base = &bench.ended.bases()[0];
    assert_eq!((base.first_ts, base.last_ts, base.total_packets()), (10_000_000, 80_000_000, 4));
}

#[test]
fn the_initiator_is_who_opened() {
    let opener = |packets: &[PacketInfo]| {
        let mut bench = Bench::new(settings());
        bench.push(packets);
        bench.drain(0);
        let base = &bench.ended.bases()[0];
        assert_eq!(base.src_port() == Some(1), base.src_addr().to_string() == "10.0.0.1");
        assert_eq!([base.fwd(), base.bwd()], [base.initiator() as usize, base.initiator().other() as usize]);
        (base.src_port(), base.initiator())
    };
    let (client, server) = (Some(1), Some(443));
    assert_eq!(opener(&[tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK)]), (client, Side::A));
    assert_eq!(opener(&[tcp(1, Server, 0, SYN | ACK), tcp(1, Client, 1, SYN)]), (client, Side::B), "SYN second");
    assert_eq!(opener(&[tcp(1, Server, 0, SYN | ACK), tcp(1, Client, 1, ACK)]), (client, Side::B), "no SYN seen");
    assert_eq!(opener(&[tcp(1, Server, 0, ACK), tcp(1, Client, 1, ACK)]), (server, Side::A), "the first packet");
    let both = [tcp(1, Server, 0, SYN), tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK)];
    assert_eq!(opener(&both), (server, Side::A), "a simultaneous open: the first SYN");
    assert_eq!(opener(&[tcp(1, Server, 0, ACK), tcp(1, Client, 1, SYN), tcp(1, Server, 2, SYN)]), (client, Side::B));
}

#[test]
fn vlan_and_tunnel_are_part_of_the_key() {
    let vlan = |n| Scope { vlan: n, ..Scope::default() };
    let tunnel = Scope { tunnel_kind: 1, tunnel_id: 7, ..Scope::default() };
    let scopes = [Scope::default(), vlan(1), vlan(2), tunnel, vlan(1)];
    let packets = scopes.map(|s| tcp_in(s, 1, Client, 0, ACK));
    let counts: Vec<u64> = flows(settings(), &packets).iter().map(|r| r.1).collect();
    assert_eq!(counts, [1, 2, 1, 1]);
}

#[test]
fn the_least_recently_used_flow_is_evicted() {
    let settings = FlowSettings { max_flows: 2, ..settings() };
    let mut bench = Bench::new(settings);
    bench.push(&[tcp(1, Client, 0, ACK), tcp(2, Client, 1, ACK), tcp(1, Client, 2, ACK), tcp(3, Client, 3, ACK)]);
    assert_eq!(bench.rows(), [(2, 1, Evicted)]);
    bench.push(&[tcp(4, Client, 4, ACK)]);
    assert_eq!(bench.rows()[1..], [(1, 2, Evicted)]);
    assert_eq!(bench.table.len(), 2);
    let one = FlowSettings { max_flows: 1, ..settings };
    assert_eq!(flows(one, &[tcp(1, Client, 0, ACK), tcp(2, Client, 0, ACK)]), [(1, 1, Evicted), (2, 1, EndOfInput)]);
}

#[test]
fn the_oldest_flow_is_evicted() {
    let settings = FlowSettings { max_flows: 2, eviction: Eviction::Oldest, ..settings() };
    let mut bench = Bench::new(settings);
    bench.push(&[tcp(1, Client, 0, ACK), tcp(2, Client, 1, ACK), tcp(1, Client, 2, ACK), tcp(3, Client, 3, ACK)]);
    assert_eq!(bench.rows(), [(1, 2, Evicted)]);
    bench.push(&[tcp(1, Client, 4, ACK)]);
    assert_eq!(bench.rows()[1..], [(2, 1, Evicted)], "a flow that came again is young");
}

#[test]
fn closed_and_quiet_flows_make_room_first() {
    for eviction in [Eviction::Lru, Eviction::Oldest] {
        let settings = FlowSettings { max_flows: 2, eviction, ..settings() };
        let mut bench = Bench::new(settings);
        bench.push(&[tcp(1, Client, 0, ACK)]);
        bench.push(&closed(2, 1));
        bench.push(&[tcp(3, Client, 50, ACK)]);
        assert_eq!(bench.rows(), [(2, 6, Fin)], "{eviction:?}: closed");
        bench.push(&[tcp(1, Client, 59_000, ACK), tcp(4, Client, 60_051, ACK)]);
        assert_eq!(bench.rows()[1..], [(3, 1, Idle)], "{eviction:?}: quiet for longer than the timeout");
    }
}

#[test]
fn expire_gives_quiet_flows_out() {
    let mut bench = Bench::new(settings());
    bench.push(&[tcp(1, Client, 0, ACK), tcp(2, Client, 10_000, ACK), tcp(1, Client, 20_000, ACK)]);
    bench.push(&closed(3, 20_000));
    bench.expire(23_030);
    assert_eq!(bench.rows(), [], "due is not yet over due");
    bench.expire(23_031);
    assert_eq!(bench.rows(), [(3, 6, Fin)]);
    bench.expire(70_001);
    assert_eq!(bench.rows()[1..], [(2, 1, Idle)]);
    bench.expire(80_001);
    assert_eq!(bench.rows()[2..], [(1, 2, Idle)]);
    let stats = bench.table.take_stats();
    assert_eq!((stats.flows_created, stats.flows_ended.total(), stats.active_flows, stats.packets), (3, 3, 0, 9));
    assert!(bench.table.is_empty());
}

#[test]
fn the_queues_do_not_grow_with_flows_that_are_gone() {
    for eviction in [Eviction::Lru, Eviction::Oldest] {
        let mut bench = Bench::new(FlowSettings { idle_timeout: i64::MAX, eviction, ..settings() });
        bench.push(&[tcp(9, Client, 0, ACK)]);
        for i in 0..20_000 {
            let port = 10 + (i % 500) as u16;
            bench.push(&[tcp(port, Client, i, SYN), tcp(port, Server, i, RST)]);
            let table = &bench.table;
            assert!(table.due.len() <= 1100 && table.by_age.len() <= 1100, "{}", table.due.len());
        }
        assert_eq!((bench.table.len(), bench.table.places.len()), (1, 2));
    }
}
