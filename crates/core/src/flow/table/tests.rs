//! The life of flows, one rule a test.

use super::testing::*;
use super::*;
use crate::flow::InitiatorBy;
use crate::packet::{Endpoint, FlowKey, Known, Scope, Side};
use EndReason::{Active, EndOfInput, Evicted, Fin, Idle, Reused, Rst};

/// A connection that is opened and closed; the last packet is the last ACK, 30 ms after the first.
fn closed(port: u16, ms: i64) -> Vec<PacketInfo> {
    let steps = [(Client, SYN), (Server, SYN | ACK), (Client, ACK), (Client, FIN), (Server, FIN), (Client, ACK)];
    (0..).zip(steps).map(|(i, (from, flags))| tcp(port, from, ms + 6 * i, flags)).collect()
}

#[test]
fn two_fins_make_one_flow() {
    let mut packets = closed(1, 0);
    assert_eq!(flows(settings(), &packets), [(1, 6, Fin)]);
    packets.push(tcp(1, Server, 52_900, FIN));
    packets.push(tcp(1, Client, 52_901, ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin)], "a repeated FIN and its ACK belong to the flow");
    packets.push(tcp(1, Client, 112_902, ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin), (1, 1, EndOfInput)], "60.001 s after is another flow");
}

#[test]
fn close_timeout_brings_the_row_out_sooner_and_keeps_the_direction() {
    let settings = FlowSettings { close_timeout: 3 * SECOND, ..settings() };
    let rows = |bench: &Bench| -> Vec<_> {
        bench.ended.bases().iter().map(|b| (b.total_packets(), b.end, b.src_port(), b.initiator_by())).collect()
    };
    let connection = (6, Fin, Some(1), InitiatorBy::Syn);
    let tail = [tcp(1, Server, 4_000, FIN), tcp(1, Client, 4_001, ACK)];
    let later = (2, EndOfInput, Some(1), InitiatorBy::Syn);
    for expired in [false, true] {
        let mut bench = Bench::new(settings);
        bench.push(&closed(1, 0));
        if expired {
            bench.expire(3_030);
            assert_eq!(rows(&bench), [], "3 s after the last packet is within the timeout");
            bench.expire(3_031);
            assert_eq!(rows(&bench), [connection]);
            assert_eq!(bench.table.take_stats().active_flows, 0);
        }
        bench.push(&tail);
        bench.drain(4_001);
        assert_eq!(rows(&bench), [connection, later], "expired: {expired}");
    }
    // What remains of a closed flow goes with the idle timeout, and gives no row.
    let mut bench = Bench::new(settings);
    bench.push(&closed(1, 0));
    bench.expire(3_031);
    bench.expire(60_031);
    assert!(bench.table.is_empty());
    bench.push(&[tcp(1, Server, 60_032, ACK)]);
    bench.drain(i64::MAX);
    assert_eq!(rows(&bench)[1..], [(1, Idle, Some(443), InitiatorBy::First)]);
}

#[test]
fn a_fin_from_one_side_leaves_the_flow_open() {
    let half = [tcp(1, Client, 0, FIN), tcp(1, Client, 1, FIN), tcp(1, Server, 50_000, ACK)];
    assert_eq!(flows(settings(), &half), [(1, 3, EndOfInput)]);
}

#[test]
fn a_syn_with_another_number_begins_a_new_flow() {
    let mut packets = closed(1, 0);
    packets.push(tcp(1, Client, 31, SYN));
    packets.push(tcp(1, Server, 31, SYN | ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin)], "the same number: a late copy");
    packets.push(nth(1, 1, Client, 32, SYN));
    packets.push(nth(1, 1, Server, 33, SYN | ACK));
    assert_eq!(flows(settings(), &packets), [(1, 8, Fin), (1, 2, EndOfInput)]);
    let open = [tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK), nth(1, 1, Client, 2, SYN)];
    assert_eq!(flows(settings(), &open), [(1, 2, Reused), (1, 1, EndOfInput)], "never closed");
    let other_way = [tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK), nth(1, 1, Server, 2, SYN)];
    assert_eq!(flows(settings(), &other_way), [(1, 2, Reused), (1, 1, EndOfInput)], "opened by the other end");
}

#[test]
fn a_syn_in_an_open_flow_is_a_packet_of_it() {
    let packets = [tcp(1, Client, 0, SYN), tcp(1, Client, 1_000, SYN), tcp(1, Server, 1_001, SYN | ACK)];
    assert_eq!(flows(settings(), &packets), [(1, 3, EndOfInput)]);
    let late = [tcp(1, Server, 1, SYN | ACK), tcp(1, Client, 2, ACK), tcp(1, Client, 0, SYN)];
    assert_eq!(flows(settings(), &late), [(1, 3, EndOfInput)], "stored late");
}

#[test]
fn rst_closes_and_what_follows_belongs_to_the_flow() {
    let mut packets =
        vec![tcp(1, Client, 0, SYN), tcp(1, Server, 1, RST | ACK), tcp(1, Client, 1, ACK), tcp(1, Server, 2, RST)];
    assert_eq!(flows(settings(), &packets), [(1, 4, Rst)]);
    packets.extend([tcp(1, Client, 1_000, SYN), tcp(1, Server, 1_001, RST | ACK)]);
    assert_eq!(flows(settings(), &packets), [(1, 6, Rst)], "another try with the same number");
    let mut after_close = closed(1, 0);
    after_close.push(tcp(1, Client, 40, RST));
    assert_eq!(flows(settings(), &after_close), [(1, 7, Fin)], "FIN came first");
}

#[test]
fn a_rst_outside_of_the_window_closes_nothing() {
    let blind = PacketInfo { seq: 3_000_000_000, ..tcp(1, Server, 2, RST) };
    let packets = [tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK), blind, tcp(1, Client, 3, ACK)];
    assert_eq!(flows(settings(), &packets), [(1, 4, EndOfInput)]);
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
fn rows_after_an_active_timeout_keep_the_direction() {
    let mut bench = Bench::new(FlowSettings { active_timeout: Some(10 * SECOND), ..settings() });
    bench.push(&[tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK), tcp(1, Server, 11_000, ACK)]);
    bench.push(&[tcp(1, Server, 22_000, ACK), tcp(1, Client, 22_001, ACK)]);
    bench.drain(0);
    let of = |b: &FlowBase| (b.src_port(), b.initiator_by(), b.total_packets());
    let rows: Vec<_> = bench.ended.bases().iter().map(of).collect();
    assert_eq!(rows, [2, 1, 2].map(|n| (Some(1), InitiatorBy::Syn, n)));
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
    let stored_late = [tcp(1, Server, 1, ACK), tcp(1, Client, 0, ACK)];
    assert_eq!(opener(&stored_late), (client, Side::B), "the earliest packet");
    let both = [tcp(1, Server, 0, SYN), tcp(1, Client, 0, SYN), tcp(1, Server, 1, SYN | ACK)];
    assert_eq!(opener(&both), (server, Side::A), "a simultaneous open: the first SYN");
    assert_eq!(opener(&[tcp(1, Server, 0, ACK), tcp(1, Client, 1, SYN)]), (client, Side::B));
}

#[test]
fn ports_tell_the_initiator_where_asked_and_no_syn_was_seen() {
    let rests_on = |initiator_by_port, packets: &[PacketInfo]| {
        let mut bench = Bench::new(FlowSettings { initiator_by_port, ..settings() });
        bench.push(packets);
        bench.drain(0);
        let base = &bench.ended.bases()[0];
        (base.src_port(), base.initiator_by())
    };
    let data = [tcp(50_000, Server, 0, ACK), tcp(50_000, Client, 1, ACK)];
    assert_eq!(rests_on(false, &data), (Some(443), InitiatorBy::First));
    assert_eq!(rests_on(true, &data), (Some(50_000), InitiatorBy::Port));
    assert_eq!(rests_on(true, &[tcp(50_000, Server, 0, SYN)]), (Some(443), InitiatorBy::Syn));
    assert_eq!(rests_on(true, &[tcp(22, Server, 0, ACK)]), (Some(443), InitiatorBy::First), "both are services");
}

#[test]
fn the_first_echo_message_decides() {
    let ping = |kind: u8, from: Sender, ms: i64| {
        let mut p = tcp(0, from, ms, 0);
        let ends = [Endpoint::v4([10, 0, 0, 1], 0), Endpoint::v4([10, 0, 0, 2], 0)];
        let (src, dst) = if from == Client { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        (p.key, p.from_lo) = FlowKey::new(false, 1, false, src, dst, Scope::default());
        (p.hash, p.icmp, p.known) = (p.key.fixed_hash(), [kind, 0], Known::PAYLOAD_LEN.with(Known::ICMP));
        p
    };
    let initiator = |packets: &[PacketInfo]| {
        let mut bench = Bench::new(settings());
        bench.push(packets);
        bench.drain(0);
        let base = &bench.ended.bases()[0];
        (base.src_addr().to_string(), base.initiator_by())
    };
    let client = ("10.0.0.1".to_owned(), InitiatorBy::Echo);
    assert_eq!(initiator(&[ping(8, Client, 0), ping(0, Server, 1)]), client);
    assert_eq!(initiator(&[ping(0, Server, 1), ping(8, Server, 2)]), client, "the reply's receiver");
    assert_eq!(initiator(&[ping(3, Server, 0), ping(8, Client, 1)]), client, "whatever came before");
    assert_eq!(initiator(&[ping(3, Server, 0)]), ("10.0.0.2".to_owned(), InitiatorBy::First));
}

#[test]
fn memory_stays_within_its_budget() {
    let trackers = TrackerMask::LOG.union(TrackerMask::SIZES).union(TrackerMask::TCP_FLAGS);
    for eviction in [Eviction::Lru, Eviction::Oldest] {
        let max_bytes = 300_000;
        let mut bench = Bench::new(FlowSettings { max_flows: 100_000, max_bytes, eviction, trackers, ..settings() });
        let mut sent = 0;
        for i in 0..60_000_i64 {
            let port = (i * 7_919 % 5_003) as u16;
            bench.push(&[tcp(port, if i % 3 == 0 { Server } else { Client }, i / 10, ACK)]);
            sent += 1;
            // A packet may take what one flow takes before it is noticed.
            assert!(bench.table.bytes() <= max_bytes + 2_048, "{} at {i}", bench.table.bytes());
        }
        let heap: usize = (0..bench.table.store.len())
            .filter(|at| bench.table.places[*at].live)
            .map(|at| bench.table.store.heap_bytes(at))
            .sum();
        assert_eq!(heap, bench.table.context.memory.heap_bytes(), "the account is the sum over the flows");
        let stats = bench.table.take_stats();
        assert!(stats.flows_ended[Evicted] > 100, "{}", stats.flows_ended[Evicted]);
        bench.drain(0);
        assert_eq!(bench.ended.bases().iter().map(FlowBase::total_packets).sum::<u64>(), sent);
        assert_eq!(bench.table.context.memory.heap_bytes(), 0);
    }
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
    bench.expire(70_000);
    assert_eq!(bench.rows(), [], "due is not yet over due");
    bench.expire(70_001);
    assert_eq!(bench.rows(), [(2, 1, Idle)]);
    bench.expire(80_001);
    assert_eq!(bench.rows()[1..], [(1, 2, Idle)]);
    bench.expire(80_031);
    assert_eq!(bench.rows()[2..], [(3, 6, Fin)]);
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
            bench.push(&[nth(i as u32, port, Client, i, SYN), nth(i as u32, port, Server, i, RST)]);
            let table = &bench.table;
            assert!(table.due.len() <= 2200 && table.by_age.len() <= 2200, "{}", table.due.len());
            assert!(table.closed.len() <= 2200, "{}", table.closed.len());
        }
        assert_eq!((bench.table.len(), bench.table.places.len()), (501, 501));
    }
}
