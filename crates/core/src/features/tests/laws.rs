//! Laws of all groups.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::flows::random;
use super::*;
use crate::features::{AnyGroup, LATER_GROUPS, all};
use crate::frame::TimeNs;
use crate::packet::Side;

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
fn names_of_the_older_version_are_the_first_of_their_group() {
    for line in OLDER_NAMES.lines() {
        let (id, names) = line.split_once(": ").unwrap();
        let Some(group) = GROUPS.iter().find(|g| g.id() == id) else {
            assert!(LATER_GROUPS.contains(&id), "{id} is neither here nor still to come");
            continue;
        };
        assert!(!LATER_GROUPS.contains(&id), "{id} is both here and still to come");
        let features = group.features();
        let first: Vec<_> = features.iter().map(|f| f.name).take(names.split(' ').count()).collect();
        assert_eq!(first, names.split(' ').collect::<Vec<_>>(), "{id}");
    }
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
            expect(group.id(), &row(&build(&config, &[(golden.flow)()]), 0), golden.row);
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
    assert_eq!(row.len(), lines.len(), "{group}: a column without a golden value, or one twice");
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
