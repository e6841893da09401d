//! The group `connection` in whole runs: rows wait for the end of the input, or have the values of a window.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::io::Cursor;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use joyfuljay::core::config::ByteSize;
use joyfuljay::core::frame::FrameBatch;
use joyfuljay::core::metrics::Mode;
use joyfuljay::core::testing::{self, Lcg};
use joyfuljay::sink::MemorySink;
use joyfuljay::source::{CaptureReader, PacketSource, Position, Pulled, SourceError, SourceWarning};
use joyfuljay::{Config, Pipeline, Summary};

/// UDP packets between so many hosts, a millisecond after one another.
fn capture(packets: u32, hosts: u32) -> Vec<u8> {
    let mut rng = Lcg(7);
    let mut pcap = Vec::new();
    [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 101].iter().for_each(|w| pcap.extend(w.to_le_bytes()));
    for i in 0..packets {
        let host = |n: u64| [10, (n >> 16) as u8, (n >> 8) as u8, n as u8];
        let (src, dst) = (host(rng.below(hosts.into())), host(rng.below(hosts.into())));
        let upper =
            testing::udp(1000 + rng.below(3) as u16, 50 + rng.below(3) as u16, &vec![1; rng.below(90) as usize]);
        let frame = testing::ip4_between(src, dst, 17, &upper);
        let head = [1000 + i / 1000, i % 1000 * 1_000_000, frame.len() as u32, frame.len() as u32];
        head.iter().for_each(|w| pcap.extend(w.to_le_bytes()));
        pcap.extend(frame);
    }
    pcap
}

fn run(config: Config, pcap: &[u8]) -> (Summary, RecordBatch) {
    let source = CaptureReader::from_reader("made", Cursor::new(pcap.to_vec())).unwrap();
    run_source(Pipeline::new(config).unwrap(), Box::new(source))
}

fn run_source(pipeline: Pipeline, source: Box<dyn PacketSource>) -> (Summary, RecordBatch) {
    let (sink, schema) = (MemorySink::new(), pipeline.schema());
    let rows = sink.rows();
    let summary = pipeline.run(source, Box::new(sink)).unwrap();
    (summary, arrow_select::concat::concat_batches(&schema, &rows.take()).unwrap())
}

fn config(features: &[&str], workers: u32) -> Config {
    Config {
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        num_workers: Some(workers),
        ..Config::default()
    }
}

fn ints(rows: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    rows.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn texts(rows: &RecordBatch, name: &str) -> Vec<String> {
    rows.column_by_name(name).unwrap().as_string::<i32>().iter().map(|s| s.unwrap().to_owned()).collect()
}

#[test]
fn rows_that_waited_have_the_counts_of_all_rows() {
    let (_, rows) = run(config(&["flow_meta", "connection"], 2), &capture(4000, 30));
    let (src, dst) = (texts(&rows, "src_ip"), texts(&rows, "dst_ip"));
    let (bytes, ports) = (ints(&rows, "total_bytes"), ints(&rows, "dst_port"));
    let n = rows.num_rows();
    assert!(n > 1000, "{n}");
    let counted = |name: &str, of: &dyn Fn(usize) -> i64| {
        let got = ints(&rows, name);
        (0..n).step_by(97).for_each(|row| assert_eq!(got[row], Some(of(row)), "{name} of row {row}"));
    };
    let all = |test: &dyn Fn(usize) -> bool| (0..n).filter(|j| test(*j)).collect::<Vec<_>>();
    counted("conn_src_total_flows", &|i| all(&|j| src[j] == src[i]).len() as i64);
    counted("conn_dst_total_flows", &|i| all(&|j| dst[j] == dst[i]).len() as i64);
    counted("conn_src_dst_flows", &|i| all(&|j| (&src[j], &dst[j]) == (&src[i], &dst[i])).len() as i64);
    counted("conn_src_port_flows", &|i| {
        all(&|j| (&src[j], &dst[j], ports[j]) == (&src[i], &dst[i], ports[i])).len() as i64
    });
    counted("conn_src_total_bytes", &|i| all(&|j| src[j] == src[i]).into_iter().map(|j| bytes[j].unwrap()).sum());
    counted("conn_src_unique_dsts", &|i| {
        all(&|j| src[j] == src[i]).into_iter().map(|j| &dst[j]).collect::<BTreeSet<_>>().len() as i64
    });
    counted("conn_dst_in_degree", &|i| {
        let initiators = all(&|j| dst[j] == dst[i] && src[j] != dst[i]).into_iter().map(|j| &src[j]);
        initiators.collect::<BTreeSet<_>>().len() as i64
    });
    assert!(
        rows.columns()
            .iter()
            .zip(rows.schema().fields())
            .all(|(c, f)| !f.name().starts_with("conn_") || c.null_count() == 0)
    );
}

#[test]
fn other_columns_are_the_same_with_and_without_the_group() {
    let pcap = capture(3000, 300);
    for split in [false, true] {
        let of = |features: &[&str], window| {
            let config = Config {
                bidirectional_split: split,
                include_flow_id: true,
                connection_window: window,
                ..config(features, 2)
            };
            run(config, &pcap).1
        };
        let without = of(&["flow_meta", "timing", "tunnel"], None);
        for window in [None, Some(0.5)] {
            let with = of(&["flow_meta", "timing", "tunnel", "connection"], window);
            assert_eq!(with.num_columns(), without.num_columns() + 20);
            let others =
                without.schema().fields().iter().map(|f| with.schema().index_of(f.name()).unwrap()).collect::<Vec<_>>();
            assert_eq!(with.project(&others).unwrap(), without);
        }
    }
}

#[test]
fn columns_come_in_the_order_that_was_asked_for() {
    let names = ["conn_dst_in_degree", "src_ip", "conn_src_dst_flows", "conn_src_betweenness"];
    let only = |names: &[&str]| {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        run(Config { specific_features: Some(names), ..Config::default() }, &capture(300, 10)).1
    };
    let rows = only(&names);
    assert_eq!(rows.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), names);
    assert!(rows.column(3).as_primitive::<Float64Type>().iter().any(|b| b > Some(0.0)));
    let alone = only(&["conn_src_dst_flows"]);
    assert_eq!(alone.column(0), rows.column(2));
}

#[test]
fn a_window_has_the_flows_that_ended_in_its_seconds() {
    const WINDOW: i64 = 700_000_000;
    let mut config = config(&["flow_meta", "timestamps", "connection"], 2);
    config.connection_window = Some(0.7);
    let (_, rows) = run(config, &capture(4000, 40));
    let src = texts(&rows, "src_ip");
    let ends = rows.column_by_name("end_timestamp").unwrap();
    let ends = ends.as_primitive::<arrow_array::types::TimestampNanosecondType>().values().to_vec();
    let got = ints(&rows, "conn_src_total_flows");
    // All flows end with the input, the earlier end first.
    for i in (0..rows.num_rows()).step_by(13) {
        let before = |j: &usize| (ends[*j], *j) <= (ends[i], i) && ends[*j] > ends[i] - WINDOW && src[*j] == src[i];
        assert_eq!(got[i], Some((0..rows.num_rows()).filter(before).count() as i64), "row {i}");
    }
    let betweenness = rows.column_by_name("conn_src_betweenness").unwrap();
    assert!(betweenness.null_count() > 0 && betweenness.null_count() < rows.num_rows());
}

#[test]
fn a_graph_that_does_not_fit_into_memory_is_given_up_and_the_rows_stay() {
    let pcap = capture(60_000, 60_000);
    for (workers, window) in [(1, None), (2, None), (2, Some(1000.0))] {
        let mut small = config(&["flow_meta", "connection"], workers);
        small.max_memory = Some(ByteSize(16 << 20));
        small.connection_window = window;
        let (summary, rows) = run(small.clone(), &pcap);
        assert!(summary.stats.graph_shortages > 0);
        assert!(summary.messages().any(|m| m.contains("max_memory")));
        let nulls = rows.column_by_name("conn_src_total_flows").unwrap().null_count();
        assert_eq!(nulls, if window.is_none() { rows.num_rows() } else { 0 });
        small.features = vec!["flow_meta".into()];
        let without = run(small, &pcap).1;
        assert_eq!(rows.project(&(0..without.num_columns()).collect::<Vec<_>>()).unwrap(), without);
    }
}

/// Frames as from an interface.
struct Live(CaptureReader);

impl PacketSource for Live {
    fn mode(&self) -> Mode {
        Mode::Live
    }
    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        self.0.pull(out, wait)
    }
    fn stop(&mut self) {
        self.0.stop();
    }
    fn position(&self) -> Position {
        self.0.position()
    }
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.0.take_warnings()
    }
}

#[test]
fn a_stream_has_no_end_to_wait_for() {
    let live = || Box::new(Live(CaptureReader::from_reader("made", Cursor::new(capture(500, 20))).unwrap()));
    let conn = |rows: &RecordBatch| rows.schema().fields().iter().filter(|f| f.name().starts_with("conn_")).count();
    let turned = |config: Config| {
        let mut pipeline = Pipeline::new(config).unwrap();
        pipeline.turn_to_stream().map(|()| pipeline)
    };
    let (_, rows) = run_source(Pipeline::new(config(&["all"], 2)).unwrap(), live());
    assert_eq!((conn(&rows), ints(&rows, "conn_src_total_flows")[0]), (20, None));
    let pipeline = turned(config(&["all"], 2)).unwrap();
    assert!(pipeline.plan().notes().iter().any(|note| note.contains("connection_window")));
    assert_eq!(conn(&run_source(pipeline, live()).1), 0);
    let error = |config| turned(config).err().unwrap().to_string();
    assert!(error(config(&["all", "Connection"], 2)).contains("connection_window"));
    let single = Config { specific_features: Some(vec!["conn_src_community".into()]), ..Config::default() };
    assert!(error(single).contains("connection_window"));
    let window = Config { connection_window: Some(60.0), ..config(&["connection"], 2) };
    let (_, rows) = run_source(turned(window).unwrap(), live());
    assert!(ints(&rows, "conn_src_total_flows").iter().all(Option::is_some));
}

#[test]
fn flows_one_by_one_have_no_graph() {
    let pipeline = Pipeline::new(config(&["connection"], 1)).unwrap();
    let source = CaptureReader::from_reader("made", Cursor::new(capture(50, 5))).unwrap();
    let chunks: Vec<_> = pipeline.flows(Box::new(source)).chunks().map(Result::unwrap).collect();
    let rows = pipeline.plan().build(&chunks[0].flows(), &mut Default::default()).unwrap();
    assert!(rows.num_rows() > 0 && rows.columns().iter().all(|c| c.null_count() == rows.num_rows()));
}
