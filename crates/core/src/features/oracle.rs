//! The law of all trackers: what they compute as packets come is what the plain formula gives over the list of packets.
//!
//! The formulas here are written anew, over vectors of doubles, and share no code with the trackers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::flow::{FlowBase, FlowRef, FlowStore};
use crate::packet::{Packet, PacketInfo, Scope, Side};
use crate::rows::{RowPlan, RowScratch};
use crate::testing::packet_in;
use crate::trackers::TrackerSettings;
use crate::{Config, frame::TimeNs};

/// One packet of a test flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct P {
    pub ts: TimeNs,
    pub len: u32,
    pub payload: u32,
    pub flags: u16,
    /// Whether the sender is that of the first packet.
    pub a: bool,
}

pub(crate) type Row = BTreeMap<String, Option<f64>>;

/// Puts packets through trackers and rows; strings are left out, false and true are 0 and 1.
pub(crate) fn row(packets: &[P], protocol: u8, config: &Config, log_cap: usize) -> Row {
    let plan = RowPlan::new(config).unwrap();
    let settings = TrackerSettings { log_cap, ..plan.tracker_settings() };
    let mut store = FlowStore::new(plan.trackers());
    let infos: Vec<PacketInfo> = packets.iter().map(|p| info(p, protocol)).collect();
    let mut packets = infos.iter().map(Packet::without_bytes).peekable();
    if let Some(first) = packets.peek() {
        store.replay(FlowBase::start(first, 0), packets, &settings);
    }
    let flows: Vec<FlowRef<'_>> = store.get(0).into_iter().collect();
    values(&plan.build(&flows, &mut RowScratch::default()).unwrap(), 0)
}

pub(crate) fn info(p: &P, protocol: u8) -> PacketInfo {
    let mut info = packet_in(p.ts, p.len, p.payload, protocol, Scope::default());
    info.tcp_flags = if protocol == 6 { p.flags } else { 0 };
    info.from_lo = p.a;
    info
}

/// The numbers and booleans of a row.
pub(crate) fn values(batch: &arrow_array::RecordBatch, at: usize) -> Row {
    use arrow_array::{Array, BooleanArray, Float64Array, Int64Array};
    let mut out = Row::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let any = column.as_any();
        let value = if let Some(c) = any.downcast_ref::<Float64Array>() {
            c.value(at)
        } else if let Some(c) = any.downcast_ref::<Int64Array>() {
            c.value(at) as f64
        } else if let Some(c) = any.downcast_ref::<BooleanArray>() {
            f64::from(u8::from(c.value(at)))
        } else {
            continue;
        };
        out.insert(field.name().clone(), column.is_valid(at).then_some(value));
    }
    out
}

struct Stat(Vec<f64>);

impl Stat {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut v: Vec<f64> = values.collect();
        v.sort_by(f64::total_cmp);
        Self(v)
    }
    fn min(&self) -> Option<f64> {
        self.0.first().copied()
    }
    fn max(&self) -> Option<f64> {
        self.0.last().copied()
    }
    fn sum(&self) -> Option<f64> {
        self.min().map(|_| self.0.iter().sum())
    }
    fn mean(&self) -> Option<f64> {
        Some(self.sum()? / self.0.len() as f64)
    }
    fn std(&self) -> Option<f64> {
        let m = self.mean()?;
        Some((self.0.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / self.0.len() as f64).sqrt())
    }
    fn q(&self, q: f64) -> Option<f64> {
        let h = (self.0.len().checked_sub(1)?) as f64 * q;
        let (lo, hi) = (self.0[h.floor() as usize], self.0[h.ceil() as usize]);
        Some(lo + (hi - lo) * (h - h.floor()))
    }
}

/// The plain formulas.
fn naive(packets: &[P], protocol: u8, threshold: f64) -> Row {
    let tcp = protocol == 6;
    let flag = |p: &P, f: u16| tcp && p.flags & f != 0;
    let (fin, syn, rst, psh, ack, urg) = (1u16, 2u16, 4u16, 8u16, 16u16, 32u16);
    // The first SYN decides, else the first SYN-ACK, else the first packet.
    let by_syn = packets.iter().find(|p| flag(p, syn) && !flag(p, ack)).map(|p| p.a);
    let by_synack = packets.iter().find(|p| flag(p, syn) && flag(p, ack)).map(|p| !p.a);
    let initiator = by_syn.or(by_synack).unwrap_or(packets[0].a);
    let mut sorted = packets.to_vec();
    sorted.sort_by_key(|p| p.ts);
    let fwd: Vec<P> = sorted.iter().copied().filter(|p| p.a == initiator).collect();
    let bwd: Vec<P> = sorted.iter().copied().filter(|p| p.a != initiator).collect();
    let gaps = |p: &[P]| Stat::of(p.windows(2).map(|w| (w[1].ts - w[0].ts) as f64 / 1e9));
    let lens = |p: &[P]| Stat::of(p.iter().map(|p| f64::from(p.len)));
    let payloads = |p: &[P]| Stat::of(p.iter().map(|p| f64::from(p.payload)));
    let some = |b: bool, x: f64| b.then_some(x);
    let n = |p: &[P]| p.len() as f64;
    let bytes = |p: &[P]| p.iter().map(|p| f64::from(p.len)).sum::<f64>();
    let load = |p: &[P]| p.iter().map(|p| f64::from(p.payload)).sum::<f64>();
    let mut r: Row = Row::new();
    let mut put = |k: &str, v: Option<f64>| assert!(r.insert(k.to_owned(), v).is_none(), "{k}");
    let (all, f, b) = (&sorted[..], &fwd[..], &bwd[..]);

    let (first, last) = (all[0].ts, all[all.len() - 1].ts);
    let duration = (last - first) as f64 / 1e9;
    for (k, v) in [("start_time", first), ("time_first", first), ("end_time", last), ("time_last", last)] {
        put(k, Some(v as f64 / 1e9));
    }
    put("duration", Some(duration));
    put("protocol", Some(f64::from(protocol)));
    let ports = matches!(protocol, 6 | 17);
    put("src_port", some(ports, if initiator { 1000.0 } else { 53.0 }));
    put("dst_port", some(ports, if initiator { 53.0 } else { 1000.0 }));
    put("dst_port_class_num", some(ports, 1.0));
    put("num_hdrs", Some(3.0));
    for (k, s) in [("total_packets", all), ("packets_fwd", f), ("packets_bwd", b)] {
        put(k, Some(n(s)));
    }
    for (k, s) in [("total_bytes", all), ("bytes_fwd", f), ("bytes_bwd", b)] {
        put(k, Some(bytes(s)));
    }
    for (k, l, s) in [("total", "total", all), ("fwd", "fwd", f), ("bwd", "bwd", b)] {
        put(&format!("payload_bytes_{k}"), Some(load(s)));
        put(&format!("l7_bytes_{l}"), Some(load(s)));
    }
    put("packets_ratio", some(!b.is_empty(), n(f) / n(b)));
    put("bytes_ratio", some(bytes(b) > 0.0, bytes(f) / bytes(b)));
    put("packets_per_second", some(last > first, n(all) / duration));
    put("bytes_per_second", some(last > first, bytes(all) / duration));
    put("avg_packet_size", Some(bytes(all) / n(all)));

    for (prefix, s) in [("iat", all), ("iat_fwd", f), ("iat_bwd", b)] {
        let g = gaps(s);
        for (k, v) in [("min", g.min()), ("max", g.max()), ("mean", g.mean()), ("std", g.std()), ("median", g.q(0.5))] {
            put(&format!("{prefix}_{k}"), v);
        }
        let suffix = prefix.strip_prefix("iat").unwrap();
        let moving = g.mean().filter(|m| *m > 0.0);
        put(&format!("burstiness_index{suffix}"), moving.map(|m| g.std().unwrap() / m));
    }
    let g = gaps(all);
    put("iat_sum", g.sum());
    for q in [25, 75, 90, 99] {
        put(&format!("iat_p{q}"), g.q(f64::from(q) / 100.0));
    }
    let mut bursts: Vec<Vec<P>> = vec![vec![all[0]]];
    for w in all.windows(2) {
        if ((w[1].ts - w[0].ts) as f64) < threshold {
            bursts.last_mut().unwrap().push(w[1]);
        } else {
            bursts.push(vec![w[1]]);
        }
    }
    let idle =
        Stat::of(all.windows(2).map(|w| (w[1].ts - w[0].ts) as f64).filter(|g| *g >= threshold).map(|g| g / 1e9));
    let count = bursts.len() as f64;
    put("burst_count", Some(count));
    put("avg_burst_packets", Some(bursts.iter().map(|b| n(b)).sum::<f64>() / count));
    let time = |b: &Vec<P>| (b[b.len() - 1].ts - b[0].ts) as f64 / 1e9;
    put("avg_burst_duration", Some(bursts.iter().map(time).sum::<f64>() / count));
    put("max_burst_packets", bursts.iter().map(|b| n(b)).reduce(f64::max));
    put("idle_count", Some(idle.0.len() as f64));
    put("avg_idle_duration", idle.mean());
    put("max_idle_duration", idle.max());
    put("first_response_time", b.first().map(|p| (p.ts - first) as f64 / 1e9));

    for (prefix, s) in [("pkt_len", all), ("pkt_len_fwd", f), ("pkt_len_bwd", b)] {
        let l = lens(s);
        for (k, v) in [("min", l.min()), ("max", l.max()), ("mean", l.mean()), ("std", l.std()), ("median", l.q(0.5))] {
            put(&format!("{prefix}_{k}"), v);
        }
    }
    let l = lens(all);
    for q in [25, 75, 90] {
        put(&format!("pkt_len_p{q}"), l.q(f64::from(q) / 100.0));
    }
    put("pkt_len_variance", l.std().map(|s| s * s));
    for (prefix, s) in [("payload_len", all), ("payload_len_fwd", f), ("payload_len_bwd", b)] {
        let l = payloads(s);
        put(&format!("{prefix}_mean"), l.mean());
        put(&format!("{prefix}_std"), l.std());
    }
    put("payload_len_min", payloads(all).min());
    put("payload_len_max", payloads(all).max());
    let full = |s: &[P]| Stat::of(s.iter().filter(|p| p.payload > 0).map(|p| f64::from(p.payload)));
    for (suffix, s) in [("", all), ("_fwd", f), ("_bwd", b)] {
        put(&format!("packets_with_payload{suffix}"), Some(full(s).0.len() as f64));
    }
    for (d, s) in [("fwd", f), ("bwd", b)] {
        put(&format!("l7_pkt_min_{d}"), full(s).min());
        put(&format!("l7_pkt_max_{d}"), full(s).max());
    }
    put("header_only_ratio", Some(1.0 - full(all).0.len() as f64 / n(all)));
    let times = |len: u32| all.iter().filter(|p| p.len == len).count();
    let most = all.iter().map(|p| times(p.len)).max().unwrap();
    let mode = all.iter().find(|p| times(p.len) == most).unwrap().len;
    put("dominant_pkt_size", Some(f64::from(mode)));
    put("dominant_pkt_ratio", Some(most as f64 / n(all)));
    put("pkt_asymmetry", Some((n(f) - n(b)) / n(all)));
    put("byte_asymmetry", Some((bytes(f) - bytes(b)) / bytes(all)));

    let is = |x: bool| some(tcp, f64::from(u8::from(x)));
    let count = |c: &dyn Fn(&P) -> bool| all.iter().filter(|p| c(p)).count() as f64;
    put("tcp_is_tcp", Some(f64::from(u8::from(tcp))));
    let (syns, synacks) = (count(&|p| p.flags & 18 == 2), count(&|p| p.flags & 18 == 18));
    put("tcp_syn_count", some(tcp, syns));
    put("tcp_synack_count", some(tcp, synacks));
    put("tcp_syn_ratio", some(tcp, (syns + synacks) / n(all)));
    for (k, bit) in [("fin", fin), ("rst", rst), ("psh", psh), ("ack", ack), ("urg", urg), ("ece", 64), ("cwr", 128)] {
        let c = count(&|p| p.flags & bit != 0);
        put(&format!("tcp_{k}_count"), some(tcp, c));
        if bit & (fin | rst | psh) != 0 {
            put(&format!("tcp_{k}_ratio"), some(tcp, c / n(all)));
        }
    }
    let bad = |p: &P| {
        let x = p.flags & 255;
        x == 0 || x & 41 == 41 || x & 19 == 1 || x & 3 == 3 || x & 6 == 6
    };
    let (data, anomaly) = (count(&|p| p.payload > 0), count(&bad) > 0.0);
    put("tcp_data_packets", some(tcp, data));
    put("tcp_ack_only_packets", some(tcp, count(&|p| p.flags & 16 != 0 && p.flags & 7 == 0 && p.payload == 0)));
    put("tcp_flags_anomaly", is(anomaly));
    let or = |s: &[P]| s.iter().fold(0, |o, p| o | p.flags);
    put("tcp_flags_agg", some(tcp, f64::from(or(all))));
    put("tcp_flags_fwd", some(tcp, f64::from(or(f))));
    put("tcp_flags_bwd", some(tcp, f64::from(or(b))));
    let init_syn = f.iter().any(|p| p.flags & 18 == 2);
    let resp_synack = b.iter().any(|p| p.flags & 18 == 18);
    let third = f.iter().any(|p| p.flags & 22 == 16);
    let (ffin, bfin, reset) = (or(f) & 1 != 0, or(b) & 1 != 0, or(all) & 4 != 0);
    put("tcp_initiator_syn", is(init_syn));
    put("tcp_responder_synack", is(resp_synack));
    put("tcp_complete_handshake", is(init_syn && resp_synack && third));
    put("tcp_graceful_close", is(ffin && bfin));
    put("tcp_reset_close", is(reset));
    let bit = |set: bool, v: f64| if set { v } else { 0.0 };
    let acks = count(&|p| p.flags & 16 != 0);
    let fstat = bit(init_syn, 1.0) + bit(resp_synack, 2.0) + bit(acks > synacks, 4.0) + bit(ffin, 8.0);
    let fstat = fstat + bit(bfin, 16.0) + bit(reset, 32.0) + bit(data > 0.0, 64.0) + bit(anomaly, 128.0);
    put("tcp_fstat", some(tcp, fstat));
    let stat = bit(init_syn, 1.0) + bit(resp_synack, 2.0) + bit(ffin, 4.0) + bit(bfin, 8.0) + bit(reset, 16.0);
    put("flow_stat", some(tcp, stat + bit(init_syn && resp_synack && (reset || ffin && bfin), 64.0)));
    r
}

/// Flows with gaps of all magnitudes and of zero, packets out of order by at most a few places, few or many lengths.
fn flows() -> impl Strategy<Value = Vec<P>> {
    let gap = prop_oneof![Just(0i64), 0i64..2_000, 0i64..100_000_000, 49_999_999i64..50_000_002, 0i64..10_000_000_000];
    let len = prop_oneof![Just(40u32), Just(1500), 20u32..65_576, 60u32..70];
    let flags = prop_oneof![Just(16u16), Just(24), Just(2), Just(18), Just(17), Just(4), 0u16..512];
    let one = (gap, len, any::<bool>(), flags, any::<bool>(), -3i64..4);
    prop::collection::vec(one, 1..80).prop_map(|steps| {
        let mut t = 1_700_000_000_000_000_000;
        let mut keyed: Vec<(i64, P)> = Vec::new();
        for (i, (gap, len, empty, flags, a, swap)) in steps.into_iter().enumerate() {
            t += gap;
            let payload = if empty { 0 } else { len - 20 };
            keyed.push((i as i64 * 2 + swap, P { ts: t, len, payload, flags, a }));
        }
        keyed.sort_by_key(|(k, _)| *k);
        keyed.into_iter().map(|(_, p)| p).collect()
    })
}

/// Whether two values are equal up to the rounding of doubles, or to the sketch's error where that applies.
fn close(name: &str, got: f64, want: f64, sketched: bool) -> bool {
    let quantile = name.contains("_p9") || name.contains("_p25") || name.contains("_p75") || name.contains("median");
    if sketched && name.starts_with("iat") && quantile {
        return (got - want).abs() <= want / 256.0 + 1e-15;
    }
    // The naive deviation cancels; ours does not.
    (got - want).abs()
        <= 1e-9 * want.abs() + if name.contains("std") || name.contains("burstiness") { 1e-6 } else { 1e-12 }
}

fn compare(packets: &[P], protocol: u8, log_cap: usize) -> Result<(), TestCaseError> {
    let mut got = row(packets, protocol, &Config::default(), log_cap);
    let want = naive(packets, protocol, 5e7);
    let sketched = got.remove("iat_approximate").flatten() == Some(1.0);
    prop_assert_eq!(sketched, packets.len() > log_cap);
    for (name, want) in &want {
        let got = got.remove(name);
        prop_assert!(got.is_some(), "there is no {}", name);
        match (got.flatten(), want) {
            (None, None) => {}
            (Some(g), Some(w)) if close(name, g, *w, sketched) => {}
            (g, w) => prop_assert!(false, "{}: {:?} instead of {:?}", name, g, w),
        }
    }
    let left: Vec<_> = got.keys().filter(|k| !k.starts_with("vlan") && *k != "tunnel_id").collect();
    prop_assert!(left.is_empty(), "not in the oracle: {:?}", left);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn incremental_is_naive(packets in flows(), protocol in prop_oneof![Just(6u8), Just(17), Just(47)]) {
        compare(&packets, protocol, 4096)?;
    }

    #[test]
    fn incremental_is_naive_for_flows_that_outgrow_their_log(packets in flows(), cap in 10usize..30) {
        compare(&packets, 6, cap)?;
    }

    #[test]
    fn who_is_called_side_a_does_not_matter(packets in flows()) {
        let turned: Vec<P> = packets.iter().map(|p| P { a: !p.a, ..*p }).collect();
        let mut rows = [&packets, &turned].map(|p| row(p, 6, &Config::default(), 4096));
        for r in &mut rows {
            r.remove("src_port");
            r.remove("dst_port");
        }
        prop_assert_eq!(&rows[0], &rows[1]);
    }
}

#[test]
fn sides_are_counted_from_the_first_packet() {
    let p = P { ts: 0, len: 40, payload: 0, flags: 0, a: false };
    let info = info(&p, 17);
    let base = FlowBase::start(&Packet::without_bytes(&info), 0);
    assert_eq!(base.side_of(&info), Side::A);
}
