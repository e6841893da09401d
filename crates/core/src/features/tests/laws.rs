//! Laws of all groups.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::flows::random;
use super::*;
use crate::columns::Dtype;
use crate::features::{AnyGroup, FeatureInfo, NEVER, Range, Unit, all};
use crate::frame::{FrameBatch, LinkType, TimeNs};
use crate::packet::Side;
use crate::testing::{eth, ip4, tcp};

/// Names of the older version by group, in their order.
const OLDER_NAMES: &str = include_str!("names_0.1.6.txt");

#[test]
fn names_are_unique_and_every_feature_is_documented() {
    let mut names: Vec<_> = all().map(|f| f.name).collect();
    let n = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), n);
    for f in all() {
        assert!(f.doc.len() > 10 && f.doc.ends_with('.'), "{}: {:?}", f.name, f.doc);
        assert!(f.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", f.name);
    }
}

#[test]
fn the_reference_says_all_of_every_feature() {
    let older: Vec<_> = OLDER_NAMES.lines().flat_map(|l| l.split(' ').skip(1)).collect();
    for f in all() {
        let short = |text: &str| (1..=260).contains(&text.len()) && !text.ends_with('.');
        assert!([f.formula, f.source, f.null].into_iter().all(short), "{f:?}");
        let open = |c| f.formula.matches(c).count();
        assert_eq!((open('('), open('"') % 2), (open(')'), 0), "{}: {}", f.name, f.formula);
        assert_eq!(f.since, if older.contains(&f.name) { "0.1.6" } else { "0.2.0" }, "{}", f.name);
        assert_eq!(f.null == NEVER, f.always, "{}: use `always`", f.name);
        let text = matches!(f.dtype, Dtype::Str | Dtype::ListStr);
        assert_eq!(
            text,
            matches!(f.range, Range::OneOf(_) | Range::Hex(_) | Range::Text(_)),
            "{}: {}",
            f.name,
            f.range
        );
        let bare = !text && f.unit == Unit::None && f.dtype != Dtype::TimestampNs;
        assert!(!bare || f.range != Range::Any, "{}: a number without a unit needs a range", f.name);
    }
}

/// A value, or `-` for a null, is one that the reference allows.
fn allowed(f: &FeatureInfo, value: &str) -> bool {
    let list = matches!(f.dtype, Dtype::ListF64 | Dtype::ListI64 | Dtype::ListStr);
    match value {
        "-" => f.null != NEVER,
        _ if list => value.split_whitespace().all(|v| f.range.holds(v)),
        _ => f.range.holds(value),
    }
}

#[test]
fn names_of_the_older_version_are_the_first_of_their_group() {
    for line in OLDER_NAMES.lines() {
        let (id, names) = line.split_once(": ").unwrap();
        let group = GROUPS.iter().find(|g| g.id() == id).unwrap_or_else(|| panic!("{id} is not here"));
        let features = group.features();
        let first: Vec<_> = features.iter().map(|f| f.name).take(names.split(' ').count()).collect();
        assert_eq!(first, names.split(' ').collect::<Vec<_>>(), "{id}");
    }
}

#[test]
fn segments_in_ip_fragments_are_analysed_as_whole_ones() {
    let config = groups(&["tcp_sequence", "tcp_rtt", "tcp_window", "tcp_options"]);
    let whole = eventful();
    let flows = [whole.in_fragments(false), whole.in_fragments(true), whole];
    let batch = build(&config, &flows);
    assert_eq!(flows.each_ref().map(|flow| flow.packets().count()), [20, 20, 10]);
    assert_eq!([row(&batch, 0), row(&batch, 1)], [row(&batch, 2), row(&batch, 2)]);
}

#[test]
fn the_kind_of_traffic_goes_on_with_the_connection() {
    let plan = RowPlan::new(&groups(&["app", "fingerprint"])).unwrap();
    let store = |parts: &[(bool, &[u8])]| {
        let flow = talk(6, 22, parts);
        let mut store = FlowStore::new(plan.trackers());
        let first = flow.packets().next().unwrap();
        store.replay(FlowBase::start(&first, 0), flow.packets(), &plan.tracker_settings());
        store
    };
    let before = store(&[(true, b"SSH-2.0-x\r\n"), (false, b"SSH-2.0-y\r\n")]);
    let mut after = store(&[(true, &[7; 40])]);
    after.continue_from(0, &before, 0);
    for store in [before, after] {
        let row = row(&plan.build(&[store.get(0).unwrap()], &mut RowScratch::default()).unwrap(), 0);
        assert_eq!((&*row["app_protocol"], &*row["traffic_type"]), ("ssh", "encrypted"));
    }
}

#[test]
fn what_the_snap_length_hid_is_null_and_not_zero() {
    let config = groups(&["flow_meta", "tcp", "padding", "icmp"]);
    let frames = |upper: &[u8], protocol: u8, cut: usize| {
        let frame = eth(0x800, &ip4(protocol, upper));
        let mut batch = FrameBatch::new();
        (0..2).for_each(|n| batch.push(n * 1_000_000, LinkType::ETHERNET, frame.len() as u32, &frame[..cut]));
        Recorded::decoded(batch)
    };
    let segment = tcp(1, 2, 0x18, &[5; 30]);
    let (whole, no_flags) = (frames(&segment, 6, 14 + 20 + 50), frames(&segment, 6, 14 + 20 + 8));
    let batch = build(&config, &[whole, no_flags, frames(&[8, 0, 0, 0, 0, 9, 0, 1], 1, 14 + 20 + 6)]);
    let [whole, no_flags, echo] = [0, 1, 2].map(|at| row(&batch, at));
    let tcp_names = GROUPS.iter().find(|g| g.id() == "tcp").unwrap().features();
    let of_tcp = || tcp_names.iter().map(|f| f.name).filter(|name| *name != "tcp_is_tcp").chain(["flow_stat"]);
    let of_payload = ["burst_padding_ratio", "burst_overhead_bytes", "avg_burst_payload_efficiency"];
    for name in of_tcp().chain(of_payload) {
        assert_eq!((whole[name] == "-", &*no_flags[name]), (false, "-"), "{name}");
    }
    assert_eq!((&*no_flags["tcp_is_tcp"], &*whole["burst_overhead_bytes"]), ("true", "80"));
    assert_eq!((&*echo["icmp_unique_ids"], &*echo["icmp_seq_max"]), ("1", "-"));
}

#[test]
fn every_group_has_its_oracle_and_a_golden_row() {
    assert_eq!(ORACLES.len(), GROUPS.len());
    for group in GROUPS {
        assert!(!oracle(group.id()).golden.is_empty(), "{}", group.id());
    }
}

#[test]
fn golden_rows() {
    for group in GROUPS {
        for golden in oracle(group.id()).golden {
            let mut config = groups(&[group.id()]);
            (golden.options)(&mut config);
            let row = row(&build(&config, &[(golden.flow)()]), 0);
            expect(group.id(), &row, golden.row);
            for f in group.features() {
                assert!(allowed(&f, &row[f.name]), "{}: {} is not {} (null: {})", f.name, row[f.name], f.range, f.null);
            }
        }
    }
}

fn expect(group: &str, row: &BTreeMap<String, String>, golden: &str) {
    let lines: Vec<_> = golden.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    for line in &lines {
        let (name, value) = line.split_once(' ').unwrap();
        let got = row.get(name).map(String::as_str).unwrap_or("no such column");
        let same = match (got.parse::<f64>(), value.parse::<f64>()) {
            (Ok(g), Ok(v)) => (g - v).abs() <= 1e-12 * v.abs(),
            _ => got == value,
        };
        assert!(same, "{group}: {name}: {got} instead of {value}");
    }
    let named: BTreeSet<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    let missing: Vec<_> = row.keys().filter(|name| !named.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{group}: columns without a golden value: {missing:?}");
    assert_eq!(named.len(), lines.len(), "{group}: a column has two golden values");
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

/// Every column of numbers of a group is what the plain formula gives.
fn compare(group: &dyn AnyGroup, case: &Case<'_>, got: &Row) -> Result<(), TestCaseError> {
    let mut naive = Naive::default();
    (oracle(group.id()).naive)(case, &mut naive);
    let mut want = naive.0;
    for f in group.features() {
        let Some(got) = got.get(f.name) else { continue };
        prop_assert!(got.is_some() || !f.always, "{} is not always known", f.name);
        let number = got.filter(|_| f.dtype != Dtype::Bool).map(|n| n.to_string());
        prop_assert!(number.is_none_or(|n| f.range.holds(&n)), "{}: {:?} is not {}", f.name, got, f.range);
        match (*got, want.remove(f.name).flatten()) {
            (None, None) => {}
            (Some(g), Some(w)) if close(f.name, g, w, case.sketched) => {}
            (g, w) => prop_assert!(false, "{}: {:?} instead of {:?}", f.name, g, w),
        }
    }
    prop_assert!(want.is_empty(), "no columns of numbers of {}: {:?}", group.id(), want.keys());
    Ok(())
}

fn compare_all(packets: &[P], protocol: u8, log_cap: usize) -> Result<(), TestCaseError> {
    let case = Case::new(packets, protocol, log_cap);
    let ids: Vec<_> = GROUPS.iter().map(|g| g.id()).collect();
    let got = row_of(packets, protocol, &groups(&ids), log_cap);
    GROUPS.iter().try_for_each(|&g| compare(g, &case, &got))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn incremental_is_naive(packets in random(), protocol in prop_oneof![Just(6u8), Just(17), Just(47)]) {
        compare_all(&packets, protocol, 4096)?;
    }

    #[test]
    fn incremental_is_naive_for_flows_that_outgrow_their_log(packets in random(), cap in 10usize..30) {
        compare_all(&packets, 6, cap)?;
    }

    #[test]
    fn who_is_called_side_a_does_not_matter(packets in random()) {
        let turned: Vec<P> = packets.iter().map(|p| P { a: !p.a, ..*p }).collect();
        let mut rows = [&packets, &turned].map(|p| row_of(p, 6, &Config::default(), 4096));
        for r in &mut rows {
            r.remove("src_port");
            r.remove("dst_port");
        }
        prop_assert_eq!(&rows[0], &rows[1]);
    }
}

#[test]
fn sides_are_counted_from_the_first_packet() {
    const START: TimeNs = 0;
    let info = P { ts: START, len: 40, payload: 0, flags: 0, a: false, seq: 0, ack: 0, window: 0 }.info(17);
    let base = FlowBase::start(&Packet::without_bytes(&info), 0);
    assert_eq!(base.side_of(&info), Side::A);
}
