//! One capture's answers against the reference.

use std::collections::{BTreeMap, BTreeSet};

use super::actual::{Answer, Row};
use super::expected::{Capture, Flow};
use super::false_positives;
use crate::capture::{Key, ordered};

/// Equal and compared by kind, and what differs.
#[derive(Debug, Default)]
pub struct Verdicts {
    pub counts: BTreeMap<&'static str, (u64, u64)>,
    pub differences: Vec<String>,
}

impl Verdicts {
    /// The run itself failed.
    pub fn failed(error: &str) -> Self {
        let mut v = Self::default();
        v.judge("run", false, || error.to_owned());
        v
    }

    pub fn judge(&mut self, kind: &'static str, equal: bool, difference: impl FnOnce() -> String) {
        let count = self.counts.entry(kind).or_default();
        *count = (count.0 + u64::from(equal), count.1 + 1);
        if !equal {
            self.differences.push(format!("{kind}: {}", difference()));
        }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, kind: &'static str, what: &str, want: T, have: T) {
        self.judge(kind, want == have, || format!("{what} want {want:?} have {have:?}"));
    }
}

/// Compares everything that the reference knows.
pub fn compare(file: &str, want: &Capture, have: &Answer) -> Verdicts {
    let mut v = Verdicts::default();
    for row in &have.rows {
        let ports = [row.flow.src.1, row.flow.dst.1];
        false_positives::judge(&mut v, file, row.flow.protocol, ports, &row.seen);
    }
    if want.readable {
        let s = &have.summary.stats;
        v.judge("run", true, String::new);
        v.same("frames", "", want.frames, s.frames);
        v.same("ip_packets", "", want.ip_packets, s.ipv4_packets + s.ipv6_packets);
        v.same("ip_bytes", "", want.ip_bytes, s.ip_bytes);
        if let Some(times) = want.times {
            v.same("times", "", Some(times), have.summary.first_ts.zip(have.summary.last_ts));
        }
    }
    // Protocols and address pairs with fragments are compared by addresses alone.
    let merged: BTreeSet<Key> = want.fragments.iter().map(|f| addresses_only(f).0).collect();
    let key_of = |f: &Flow| {
        let pair = addresses_only(f);
        if merged.contains(&pair.0) { pair } else { ordered(f.protocol, f.src, f.dst) }
    };
    let mut wanted: BTreeMap<Key, Vec<(Flow, bool)>> = BTreeMap::new();
    for flow in want.flows.iter().chain(&want.fragments) {
        let (key, forward) = key_of(flow);
        wanted.entry(key).or_default().push((flow.clone(), forward));
    }
    let mut found: BTreeMap<Key, Vec<(Row, bool)>> = BTreeMap::new();
    for row in &have.rows {
        let (key, forward) = key_of(&row.flow);
        found.entry(key).or_default().push((row.clone(), forward));
    }
    for (key, flows) in &wanted {
        let rows = found.get(key).map(Vec::as_slice).unwrap_or_default();
        compare_flow(&mut v, key, flows, rows, merged.contains(key));
    }
    if want.readable && want.tunnelled == 0 {
        for key in found.keys() {
            v.judge("no_other_flow", wanted.contains_key(key), || format!("{key:?} is not in the reference"));
        }
    }
    v
}

fn compare_flow(v: &mut Verdicts, key: &Key, flows: &[(Flow, bool)], rows: &[(Row, bool)], merged: bool) {
    let what = format!("{} {:?} {:?}", key.0, key.1, key.2);
    // Between an end point and itself there is no telling the directions apart.
    let one_way = key.1 == key.2;
    let sum = |side: fn(&Flow) -> [u64; 2]| {
        let want = total(flows.iter().map(|(f, fwd)| (side(f), *fwd)), one_way);
        let have = total(rows.iter().map(|(r, fwd)| (side(&r.flow), *fwd)), one_way);
        (want, have)
    };
    let (want, have) = sum(|f| f.packets);
    v.same("flow_packets", &what, want, have);
    let (want, have) = sum(|f| f.bytes);
    v.same("flow_bytes", &what, want, have);
    if merged {
        return;
    }
    let (want, have) = sum(|f| f.payload);
    v.same("flow_payload", &what, want, have);
    if let ([(want, _)], [(row, _)]) = (flows, rows) {
        let have = row.flow.duration;
        v.judge("flow_duration", close(want.duration, have, 1e-9), || {
            format!("{what} want {} have {have}", want.duration)
        });
        let sizes = want.sizes.iter().zip(row.flow.sizes).all(|(a, b)| close(*a, b, 0.000_51));
        v.judge("flow_sizes", sizes, || format!("{what} want {:?} have {:?}", want.sizes, row.flow.sizes));
    } else if let ([(want, _)], [_, ..]) = (flows, rows) {
        // One flow of the reference, several of ours (VLANs): their span. Epoch seconds in f64 are good to 0.24 us.
        let start = rows.iter().map(|(r, _)| r.start).fold(f64::INFINITY, f64::min);
        let end = rows.iter().map(|(r, _)| r.end).fold(f64::NEG_INFINITY, f64::max);
        v.judge("flow_duration", close(want.duration, end - start, 1e-6), || {
            format!("{what} want {} have {} over {} rows", want.duration, end - start, rows.len())
        });
    }
}

/// The sum by end point of the key.
fn total(parts: impl Iterator<Item = ([u64; 2], bool)>, one_way: bool) -> [u64; 2] {
    let [a, b] = parts.fold([0, 0], |sum, (part, forward)| {
        let part = if forward { part } else { [part[1], part[0]] };
        [sum[0] + part[0], sum[1] + part[1]]
    });
    if one_way { [a + b, 0] } else { [a, b] }
}

fn addresses_only(f: &Flow) -> (Key, bool) {
    ordered(f.protocol, (f.src.0, 0), (f.dst.0, 0))
}

fn close(a: f64, b: f64, by: f64) -> bool {
    (a - b).abs() <= by.max(a.abs() * 1e-12)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use joyfuljay::Summary;

    fn flow(sport: u16, dport: u16, packets: [u64; 2]) -> Flow {
        let ip = |n| IpAddr::from([10, 0, 0, n]);
        Flow {
            protocol: 17,
            src: (ip(1), sport),
            dst: (ip(2), dport),
            packets,
            bytes: packets.map(|p| p * 100),
            payload: packets,
            duration: 1.0,
            sizes: [0.0; 4],
        }
    }

    fn answer(flows: &[Flow]) -> Answer {
        let rows =
            flows.iter().map(|f| Row { flow: f.clone(), start: 0.0, end: 1.0, seen: Default::default() }).collect();
        Answer { summary: Summary::default(), rows }
    }

    fn reversed(f: &Flow) -> Flow {
        let swap = |[a, b]: [u64; 2]| [b, a];
        Flow {
            src: f.dst,
            dst: f.src,
            packets: swap(f.packets),
            bytes: swap(f.bytes),
            payload: swap(f.payload),
            ..f.clone()
        }
    }

    #[test]
    fn directions_are_compared_by_end_point() {
        let f = flow(5, 53, [3, 2]);
        let want = Capture { flows: vec![f.clone()], ..Capture::default() };
        assert!(compare("", &want, &answer(&[reversed(&f)])).differences.is_empty());
        let turned = Flow { packets: [2, 3], ..f };
        assert_eq!(compare("", &want, &answer(&[turned])).differences.len(), 1);
    }

    #[test]
    fn fragments_are_added_to_their_pair() {
        let want =
            Capture { flows: vec![flow(5, 53, [3, 2])], fragments: vec![flow(0, 0, [4, 0])], ..Capture::default() };
        assert!(compare("", &want, &answer(&[flow(5, 53, [7, 2])])).differences.is_empty());
        assert!(!compare("", &want, &answer(&[flow(5, 53, [3, 2])])).differences.is_empty());
    }

    #[test]
    fn a_missing_and_a_surplus_flow_differ() {
        let want = Capture { readable: true, flows: vec![flow(5, 53, [1, 1])], ..Capture::default() };
        let v = compare("", &want, &answer(&[flow(6, 53, [1, 1])]));
        assert_eq!(v.counts.get("no_other_flow"), Some(&(0, 1)));
        assert_eq!(v.counts.get("flow_packets"), Some(&(0, 1)));
    }
}
