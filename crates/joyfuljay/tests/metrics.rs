//! What a run reports to its metrics sink, whatever it was asked for.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use joyfuljay::monitoring::{PrometheusMetrics, Registry, Snapshot, Value};
use joyfuljay::sink::MemorySink;
use joyfuljay::source::CaptureSet;
use joyfuljay::{Config, Pipeline, Summary};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/demo.pcap");

fn run(config: Config) -> (Summary, Snapshot) {
    let registry = Registry::new();
    let metrics = Arc::new(PrometheusMetrics::new(&registry, "jj").unwrap());
    let source = CaptureSet::open(&[DEMO.to_owned()], &Default::default()).unwrap();
    let pipeline = Pipeline::new(config).unwrap().with_metrics(metrics);
    let summary = pipeline.run(Box::new(source), Box::new(MemorySink::new())).unwrap();
    (summary, registry.snapshot())
}

fn workers(n: u32, features: &[&str]) -> Config {
    Config { num_workers: Some(n), features: features.iter().map(|f| (*f).to_owned()).collect(), ..Config::default() }
}

/// Label values of a family, each with its value.
fn samples(snapshot: &Snapshot, family: &str) -> Vec<(String, f64)> {
    let Some(family) = snapshot.family(family) else { return vec![] };
    let value = |v: &Value| match v {
        Value::Int(n) => *n as f64,
        Value::Float(x) => *x,
        Value::Histogram(h) => h.count as f64,
    };
    family.samples.iter().map(|s| (s.label_values.join(","), value(&s.value))).collect()
}

#[test]
fn every_number_of_workers_and_every_group_counts_the_same() {
    for (n, features) in [(1, &["all"][..]), (2, &["all"]), (3, &["size"]), (1, &["flow_meta", "timing"])] {
        let (summary, s) = run(workers(n, features));
        let value = |name: &str| s.value(name, &[]).unwrap();
        assert_eq!(value("jj_packets_total"), 652.0, "{n} workers, {features:?}");
        assert_eq!(value("jj_packets_total"), summary.stats.packets as f64);
        assert_eq!(value("jj_bytes_total"), summary.stats.bytes as f64);
        assert_eq!(value("jj_frames_total"), 662.0);
        assert_eq!(samples(&s, "jj_flows_total").iter().map(|(_, n)| n).sum::<f64>(), summary.rows as f64);
        assert_eq!(s.value("jj_output_records_total", &["memory"]), Some(summary.rows as f64));
        assert_eq!((value("jj_active_flows"), value("jj_flow_table_bytes")), (0.0, 0.0));
        assert_eq!(value("jj_input_read_bytes"), value("jj_input_size_bytes"));
        let last = summary.last_ts.unwrap() as f64 / 1e9;
        assert_eq!(s.value("jj_watermark_timestamp_seconds", &["pcap"]), Some(last));
    }
}

#[test]
fn each_feature_group_has_its_time_and_its_flows() {
    for n in [1, 2] {
        let (summary, s) = run(workers(n, &["size", "timing"]));
        let mut flows = samples(&s, "jj_extractor_flows_total");
        flows.sort_by(|a, b| a.0.cmp(&b.0));
        let each = summary.rows as f64;
        assert_eq!(flows, [("size".to_owned(), each), ("timing".to_owned(), each)]);
        assert!(samples(&s, "jj_extractor_seconds_total").iter().all(|(_, seconds)| *seconds > 0.0));
    }
}

#[test]
fn the_threads_of_a_run_have_names_and_work() {
    let names = |n| {
        let (_, s) = run(workers(n, &["all"]));
        let busy = samples(&s, "jj_worker_busy_seconds_total");
        assert!(!cfg!(unix) || busy.iter().map(|(_, seconds)| seconds).sum::<f64>() > 0.0);
        let mut names: Vec<_> = busy.into_iter().map(|(name, _)| name).collect();
        names.sort();
        (names, s)
    };
    let (alone, s) = names(1);
    assert!(!cfg!(unix) || alone == ["main"]);
    assert!(s.family("jj_queue_depth").is_none(), "one thread has no queue");
    let (all, s) = names(2);
    assert!(!cfg!(unix) || all == ["encoder-0", "encoder-1", "reader", "tracker-0", "tracker-1", "writer"]);
    for queue in ["batches", "chunks"] {
        let [depth, room] = ["jj_queue_depth", "jj_queue_capacity"].map(|f| s.value(f, &[queue]).unwrap());
        assert!(depth == 0.0 && room > 0.0, "{queue}: {depth} of {room} after the run");
    }
}
