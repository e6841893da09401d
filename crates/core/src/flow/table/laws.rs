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
    closed: bool,
}

impl Model {
    fn patience(&self, flow: &Flow) -> i64 {
        if flow.closed { self.settings.idle_timeout.min(CLOSE_LINGER_NS) } else { self.settings.idle_timeout }
    }

    fn end(&mut self, key: &FlowKey, reason: EndReason) {
        if let Some(f) = self.open.remove(key) {
            let reason = if f.closed { EndReason::Fin } else { reason };
            self.done.push((f.seq, f.packets, f.first, f.last, reason));
        }
    }

    fn packet(&mut self, seq: u64, p: &PacketInfo) {
        if let Some(f) = self.open.get(&p.key).copied() {
            let syn = p.tcp_flags & (SYN | ACK) == SYN;
            let late = p.ts - f.last > self.patience(&f) || f.first - p.ts > self.settings.idle_timeout;
            if late || (f.closed && syn) {
                self.end(&p.key, EndReason::Idle);
            } else if self.settings.active_timeout.is_some_and(|most| p.ts - f.first > most) {
                self.end(&p.key, EndReason::Active);
            }
        }
        let new = Flow { seq, packets: [0; 2], first: p.ts, last: p.ts, fin: [false; 2], closed: false };
        let f = self.open.entry(p.key).or_insert(new);
        let side = usize::from(!p.from_lo);
        f.packets[side] += 1;
        (f.first, f.last) = (f.first.min(p.ts), f.last.max(p.ts));
        if !self.settings.terminate_on_fin_rst {
            return;
        }
        if p.tcp_flags & RST != 0 {
            return self.end(&p.key, EndReason::Rst);
        }
        f.fin[side] |= p.tcp_flags & tcp_flags::FIN != 0;
        f.closed = f.fin == [true; 2];
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
    /// Packets in one batch: port, sender, milliseconds since the packet before (also less than 0), flags.
    Batch(Vec<(u16, bool, i64, u16)>),
    /// Gives quiet flows out at so many milliseconds from the time of the last packet.
    Expire(i64),
}

fn packet() -> impl Strategy<Value = (u16, bool, i64, u16)> {
    let flags = prop_oneof![4 => Just(ACK), 2 => Just(SYN), 1 => Just(SYN | ACK), 4 => Just(FIN), 1 => Just(RST)];
    let pause = prop_oneof![8 => -50_i64..200, 2 => 900_i64..4_000, 1 => -15_000_i64..15_000];
    (1_u16..60, any::<bool>(), pause, flags)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(
        prop_oneof![4 => vec(packet(), 1..80).prop_map(Step::Batch), 1 => (-500_i64..5_000).prop_map(Step::Expire)],
        1..12,
    )
}

fn any_settings() -> impl Strategy<Value = FlowSettings> {
    (prop_oneof![Just(1), Just(10)], proptest::option::of(prop_oneof![Just(2), Just(20)]), any::<bool>()).prop_map(
        |(idle, active, terminate_on_fin_rst)| FlowSettings {
            idle_timeout: idle * SECOND,
            active_timeout: active.map(|s: i64| s * SECOND),
            terminate_on_fin_rst,
            ..settings()
        },
    )
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
fn batch(step: &[(u16, bool, i64, u16)], ms: &mut i64, hashes: u8) -> Vec<PacketInfo> {
    step.iter()
        .map(|&(port, client, pause, flags)| {
            *ms += pause;
            let mut p = tcp(port, if client { Client } else { Server }, *ms, flags);
            p.hash = hash(hashes, port, p.hash);
            p
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_table_makes_the_flows_of_a_map(settings in any_settings(), steps in steps(), hashes in 0_u8..4) {
        let mut bench = Bench::new(settings);
        let mut model = Model { settings, open: HashMap::new(), done: Vec::new() };
        let (mut ms, mut seq, mut latest) = (1_000_000, 0, i64::MIN);
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
            prop_assert_eq!(bench.table.len(), model.open.len());
        }
        let stats = bench.table.take_stats();
        prop_assert_eq!(stats.flows_created, stats.flows_ended.total() + stats.active_flows as u64);
        prop_assert_eq!(stats.active_flows, bench.table.len() as i64);
        prop_assert_eq!(stats.packets, seq);
        bench.drain(latest);
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
