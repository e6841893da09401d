//! Laws of the table: it makes the flows that a map from keys to flows would make, whatever the hashes.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::packet::FlowKey;

/// Flow assembly as one would write it down first: a map, and a search through all of it to expire.
struct Model {
    settings: FlowSettings,
    open: HashMap<FlowKey, Flow>,
    done: Vec<Done>,
}

/// First packet's number, packets by lower and higher end point, first and last time, reason.
type Done = (u64, [u64; 2], i64, i64, EndReason);

#[derive(Clone, Copy)]
struct Flow {
    seq: u64,
    packets: [u64; 2],
    first: i64,
    last: i64,
    fin: [bool; 2],
    /// The RST of each end point.
    rst: [Option<u32>; 2],
    /// By lower and higher end point: the connection's initial sequence number, and whether a SYN said so.
    isn: [Option<(u32, bool)>; 2],
    /// End of the segments and highest acknowledgement. Windows are 0 in these tests.
    next: [Option<u32>; 2],
    ack: [Option<u32>; 2],
}

impl Flow {
    fn closed(&self) -> Option<EndReason> {
        let reset = (0..2).any(|side| self.rst[side].is_some_and(|seq| self.in_window(side, seq)));
        if self.fin == [true; 2] { Some(EndReason::Fin) } else { reset.then_some(EndReason::Rst) }
    }

    fn in_window(&self, side: usize, seq: u32) -> bool {
        self.may_come_to(side, self.ack[1 - side].or(self.isn[side].map(|(isn, _)| isn)), seq)
    }

    /// Windows are 0 in these tests; that of an end which has sent nothing is not known.
    fn may_come_to(&self, side: usize, from: Option<u32>, seq: u32) -> bool {
        let (Some(from), Some(_)) = (from, self.isn[side]) else { return true };
        let reach = if self.next[1 - side].is_some() { 0 } else { 65_535 << 14 };
        let sent = self.next[side].unwrap_or(0).saturating_sub(from);
        (from..=from + sent + reach).contains(&seq)
    }

    /// Whether a SYN is the connection's own: sent again as nothing answered it, or up to four seconds late.
    fn has_syn(&self, side: usize, p: &PacketInfo) -> bool {
        let unanswered = self.isn[side].is_some_and(|(isn, syn)| syn && self.next[side] == Some(isn + 1));
        self.isn[side].is_none_or(|(isn, _)| isn == p.seq) && (unanswered || p.ts - self.first <= 4_000_000_000)
    }

    fn learn(&mut self, side: usize, isn: u32, syn: bool) {
        match self.isn[side] {
            Some((_, true)) => {}
            Some((known, false)) if !syn && known <= isn => {}
            _ => self.isn[side] = Some((isn, syn)),
        }
    }
}

impl Model {
    fn patience(&self, flow: &Flow) -> i64 {
        match flow.closed() {
            Some(_) if self.settings.terminate_on_fin_rst => {
                self.settings.idle_timeout.min(self.settings.close_timeout)
            }
            _ => self.settings.idle_timeout,
        }
    }

    fn end(&mut self, key: &FlowKey, reason: EndReason) {
        if let Some(f) = self.open.remove(key) {
            let closed = f.closed().filter(|_| self.settings.terminate_on_fin_rst);
            self.done.push((f.seq, f.packets, f.first, f.last, closed.unwrap_or(reason)));
        }
    }

    fn packet(&mut self, seq: u64, p: &PacketInfo) {
        let side = usize::from(!p.from_lo);
        if let Some(f) = self.open.get(&p.key).copied() {
            let syn = p.tcp_flags & (SYN | ACK) == SYN && self.settings.terminate_on_fin_rst;
            let late = p.ts - f.last > self.patience(&f) || f.first - p.ts > self.settings.idle_timeout;
            if late {
                self.end(&p.key, EndReason::Idle);
            } else if syn && !f.has_syn(side, p) {
                self.end(&p.key, EndReason::Reused);
            } else if self.settings.active_timeout.is_some_and(|most| p.ts - f.first > most) {
                self.end(&p.key, EndReason::Active);
            }
        }
        let new = Flow {
            seq,
            packets: [0; 2],
            first: p.ts,
            last: p.ts,
            fin: [false; 2],
            rst: [None; 2],
            isn: [None; 2],
            next: [None; 2],
            ack: [None; 2],
        };
        let f = self.open.entry(p.key).or_insert(new);
        f.packets[side] += 1;
        (f.first, f.last) = (f.first.min(p.ts), f.last.max(p.ts));
        if p.tcp_flags & RST != 0 {
            let own = |seq: &u32| f.may_come_to(side, f.isn[side].map(|(isn, _)| isn), *seq);
            let ahead = f.rst[side].filter(own).max(Some(p.seq).filter(own));
            f.rst[side] = ahead.or(Some(p.seq));
        }
        f.fin[side] |= p.tcp_flags & tcp_flags::FIN != 0;
        if p.tcp_flags & RST == 0 {
            let syn = p.tcp_flags & SYN != 0;
            let end = p.seq + u32::from(p.tcp_flags & (SYN | tcp_flags::FIN) != 0);
            f.next[side] = f.next[side].max(Some(end));
            f.learn(side, if syn { p.seq } else { p.seq - 1 }, syn);
            if p.tcp_flags & ACK != 0 {
                f.ack[side] = f.ack[side].max(Some(p.ack));
                f.learn(1 - side, p.ack - 1, false);
            }
        }
    }

    fn expire(&mut self, now: i64) {
        let over: Vec<_> =
            self.open.iter().filter(|(_, f)| f.last + self.patience(f) < now).map(|(key, _)| *key).collect();
        over.iter().for_each(|key| self.end(key, EndReason::Idle));
    }

    fn drain(mut self, now: i64) -> Vec<Done> {
        let idle = self.settings.idle_timeout;
        let keys: Vec<_> = self.open.iter().map(|(k, f)| (*k, now - f.last > idle)).collect();
        for (key, quiet) in keys {
            self.end(&key, if quiet { EndReason::Idle } else { EndReason::EndOfInput });
        }
        self.done.sort_unstable_by_key(|d| d.0);
        self.done
    }
}

fn done(ended: &FlowStore) -> Vec<Done> {
    let mut done: Vec<Done> = ended
        .bases()
        .iter()
        .map(|b| {
            let packets = if b.a_is_lo { b.packets } else { [b.packets[1], b.packets[0]] };
            (b.first_seq, packets, b.first_ts, b.last_ts, b.end)
        })
        .collect();
    done.sort_unstable_by_key(|d| d.0);
    done
}

#[derive(Clone, Debug)]
enum Step {
    /// Packets in one batch: port, sender, milliseconds since the packet before (also less than 0), flags, connection.
    Batch(Vec<Sent>),
    /// Gives quiet flows out at so many milliseconds from the time of the last packet.
    Expire(i64),
}

type Sent = (u16, bool, i64, u16, u32);

fn packet() -> impl Strategy<Value = Sent> {
    let flags = prop_oneof![4 => Just(ACK), 2 => Just(SYN), 1 => Just(SYN | ACK), 4 => Just(FIN), 1 => Just(RST)];
    let pause = prop_oneof![8 => -50_i64..200, 2 => 900_i64..4_000, 1 => -15_000_i64..15_000];
    let connection = prop_oneof![6 => Just(0), 1 => 1_u32..3];
    (1_u16..60, any::<bool>(), pause, flags, connection)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![4 => vec(packet(), 1..80).prop_map(Step::Batch), 1 => (-500_i64..5_000).prop_map(Step::Expire)],
        1..12,
    )
}

fn any_settings() -> impl Strategy<Value = FlowSettings> {
    let close = prop_oneof![Just(i64::MAX), Just(SECOND / 2), Just(3 * SECOND)];
    (prop_oneof![Just(1), Just(10)], proptest::option::of(prop_oneof![Just(2), Just(20)]), any::<bool>(), close)
        .prop_map(|(idle, active, terminate_on_fin_rst, close_timeout)| FlowSettings {
            idle_timeout: idle * SECOND,
            close_timeout,
            active_timeout: active.map(|s: i64| s * SECOND),
            terminate_on_fin_rst,
            ..settings()
        })
}

/// Hashes as an attacker, or chance, would have them: good ones, equal ones, equal places, the last places.
fn hash(kind: u8, port: u16, good: u64) -> u64 {
    match kind {
        0 => good,
        1 => 0,
        2 => u64::from(port) << 32 | 61,
        _ => u64::MAX - u64::from(port % 3),
    }
}

/// Packets made of a step, at a running time.
fn batch(step: &[Sent], ms: &mut i64, hashes: u8) -> Vec<PacketInfo> {
    step.iter()
        .map(|&(port, client, pause, flags, connection)| {
            *ms += pause;
            let mut p = nth(connection, port, if client { Client } else { Server }, *ms, flags);

            p.hash = hash(hashes, port, p.hash);
            p
        })
        .collect()
}

/// Packets from their place: the reordering of receive queues and of bonded links stays well below.
const DISPLACED: usize = 16;

/// Connections one after the other between the same two ends, each with sound sequence numbers: of each step, what
/// connection, who sends, how much, and whether with FIN or RST.
fn conversation(script: &[(u32, bool, u32, u16)]) -> Vec<PacketInfo> {
    let (mut packets, mut at, mut connection) = (Vec::new(), 0, 0);
    let mut next = [0_u32; 2];
    for &(step, client, len, kind) in script {
        at += 1;
        if step == 0 && kind < 6 || packets.is_empty() {
            connection += 1;
            next = [connection * 10_000_000 + 1, connection * 20_000_000 + 1];
            let mut syn = tcp(1, Client, at, SYN);
            let mut synack = tcp(1, Server, at + 1, SYN | ACK);
            (syn.seq, syn.window) = (next[0] - 1, 60_000);
            (synack.seq, synack.ack, synack.window) = (next[1] - 1, next[0], 60_000);
            packets.extend([syn, synack]);
            at += 2;
        }
        let flags = [ACK, FIN, RST][usize::from(kind.saturating_sub(9)).min(2)];
        let mut p = tcp(1, if client { Client } else { Server }, at, flags);
        let (own, other) = if client { (0, 1) } else { (1, 0) };
        (p.seq, p.ack, p.window) = (next[own], next[other], 60_000);
        if flags != RST {
            (p.payload_len, p.ip_len) = (len, 40 + len);
            next[own] += len + u32::from(flags == FIN);
        }
        packets.push(p);
    }
    packets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_table_makes_the_flows_of_a_map(settings in any_settings(), steps in steps(), hashes in 0_u8..4) {
        let mut bench = Bench::new(settings);
        let mut model = Model { settings, open: HashMap::new(), done: Vec::new() };
        let (mut ms, mut seq, mut latest) = (1_000_000, 0, i64::MIN);
        let (mut stats, mut open) = (StatsDelta::default(), 0);
        for step in &steps {
            match step {
                Step::Batch(step) => {
                    let packets = batch(step, &mut ms, hashes);
                    bench.push(&packets);
                    for p in &packets {
                        model.packet(seq, p);
                        seq += 1;
                        latest = latest.max(p.ts);
                    }
                }
                Step::Expire(ahead) => {
                    bench.expire(ms + ahead);
                    model.expire((ms + ahead) * (SECOND / 1000));
                }
            }
            let delta = bench.table.take_stats();
            open += delta.active_flows;
            stats.add(&delta);
            prop_assert_eq!(open, model.open.len() as i64);
        }
        prop_assert_eq!(stats.flows_created, stats.flows_ended.total() + stats.active_flows as u64);
        prop_assert_eq!(stats.packets, seq);
        bench.drain(latest);
        bench.table.expire(i64::MAX, &mut FlowStore::new(TrackerMask::NONE));
        prop_assert_eq!(done(&bench.ended), model.drain(latest));
        prop_assert!(bench.table.index.is_empty());
    }

    #[test]
    fn the_limit_holds_and_no_packet_is_lost(
        settings in any_settings(),
        steps in steps(),
        hashes in 0_u8..4,
        max_flows in 1_usize..20,
        oldest in any::<bool>(),
    ) {
        let eviction = if oldest { Eviction::Oldest } else { Eviction::Lru };
        let mut bench = Bench::new(FlowSettings { max_flows, eviction, ..settings });
        let (mut ms, mut sent) = (0, 0);
        for step in &steps {
            match step {
                Step::Batch(step) => {
                    bench.push(&batch(step, &mut ms, hashes));
                    sent += step.len() as u64;
                }
                Step::Expire(ahead) => bench.expire(ms + ahead),
            }
            prop_assert!(bench.table.len() <= max_flows);
        }
        bench.drain(0);
        let stats = bench.table.take_stats();
        prop_assert_eq!(bench.ended.bases().iter().map(FlowBase::total_packets).sum::<u64>(), sent);
        prop_assert_eq!(stats.flows_created, stats.flows_ended.total());
        prop_assert_eq!(stats.flows_ended.total(), bench.ended.len() as u64);
        prop_assert!(bench.table.places.len() <= max_flows);
    }

    /// Packets that are stored at most [`DISPLACED`] places from where they belong, none of them across a SYN, make the
    /// same flows with the same direction, times, counts and ends.
    #[test]
    fn displaced_packets_make_the_same_flows(
        script in vec((0_u32..3, any::<bool>(), 0_u32..3_000, 0_u16..12), 1..120),
        jitter in vec(0_usize..=DISPLACED, 400),
    ) {
        let rows_of = |packets: &[PacketInfo]| {
            let mut bench = Bench::new(settings());
            bench.push(packets);
            bench.drain(0);
            let mut rows: Vec<_> = bench.ended.bases().iter().map(|b| {
                let by_end = |n: [u64; 2]| if b.a_is_lo { n } else { [n[1], n[0]] };
                let counts = (by_end(b.packets), by_end(b.bytes), by_end(b.payload));
                (b.first_ts, b.last_ts, counts, b.src_port(), b.initiator_by(), b.end)
            }).collect();
            rows.sort_unstable_by_key(|r| r.0);
            rows
        };
        let packets = conversation(&script);
        let mut displaced = packets.clone();
        // Between two SYNs, each packet is put at most so many places later, and so others earlier.
        let is_syn = |p: &PacketInfo| p.tcp_flags & (SYN | ACK) == SYN;
        let mut from = 0;
        while from < displaced.len() {
            let rest = &mut displaced[from..];
            let end = rest.iter().position(is_syn).unwrap_or(rest.len());
            let mut order: Vec<_> = rest[..end].iter().copied().zip(jitter[from..].iter()).enumerate().collect();
            order.sort_by_key(|(i, (_, late))| i + **late);
            rest.iter_mut().zip(order).for_each(|(to, (_, (p, _)))| *to = p);
            from += end + 1;
        }
        prop_assert_eq!(rows_of(&displaced), rows_of(&packets));
    }

    /// Time goes on here, as it does in one capture. Flows are given out by the earliest time of what is to come.
    #[test]
    fn other_traffic_does_not_change_a_flow(
        settings in any_settings(),
        own in vec((any::<bool>(), 0_i64..1_500, 0_u16..5), 1..60),
        others in vec((2_u16..40, 0_i64..400, any::<bool>()), 0..300),
        size in 1_usize..50,
    ) {
        let flags = |n| [ACK, ACK, SYN, FIN, RST][usize::from(n)];
        let mut ms = 0;
        let own: Vec<_> = own.iter().map(|&(client, pause, n)| {
            ms += pause;
            tcp(1, if client { Client } else { Server }, ms, flags(n))
        }).collect();
        let mut ms = 0;
        let mut all: Vec<_> = others.iter().map(|&(port, pause, reset)| {
            ms += pause;
            tcp(port, Client, ms, if reset { RST } else { ACK })
        }).collect();
        all.extend(&own);
        all.sort_by_key(|p| p.ts);
        // Whether the last flow is quiet is asked of the end of the input, which is the same for both.
        let end = all.last().map_or(0, |p| p.ts);
        let rows_of = |packets: &[PacketInfo], size: usize| {
            let mut bench = Bench::new(settings);
            for packets in packets.chunks(size) {
                bench.push(packets);
                bench.table.expire(packets[0].ts, &mut bench.ended);
            }
            bench.drain(end);
            let mut own: Vec<_> = bench.ended.bases().iter().filter(|b| b.key.port(true) == Some(1)).collect();
            own.sort_by_key(|b| b.first_seq);
            own.iter().map(|b| (b.packets, b.first_ts, b.last_ts, b.initiator(), b.end)).collect::<Vec<_>>()
        };
        prop_assert_eq!(rows_of(&all, size), rows_of(&own, 1000));
    }
}
