//! The number of workers changes nothing but the speed: same bytes, same totals, and every run comes to its end.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use joyfuljay::core::frame::{FrameBatch, FrameFilter, LinkType};
use joyfuljay::core::metrics::Mode;
use joyfuljay::core::stats::EndReason;
use joyfuljay::core::testing::{self, Lcg};
use joyfuljay::filter::{Filter, FilterError};
use joyfuljay::save::{CaptureWriter, Rotation};
use joyfuljay::sink::{
    Encoded, Format, MemorySink, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, open_sink,
};
use joyfuljay::source::{CaptureReader, CaptureSet, PacketSource, Position, Pulled, SourceError, SourceWarning};
use joyfuljay::{Config, Error, Pipeline, RunControl, Summary};

/// Everything that there is a column for.
fn config(workers: u32) -> Config {
    Config {
        include_flow_id: true,
        include_splt: true,
        include_raw_sequences: true,
        max_sequence_length: 8,
        num_workers: Some(workers),
        ..Config::default()
    }
}

/// An IPv4 packet between two of many hosts: UDP, or TCP with whatever flags.
fn packet(rng: &mut Lcg) -> Vec<u8> {
    let (flow, back, tcp) = (rng.below(6_000), rng.below(3) == 0, rng.below(4) > 0);
    let payload = vec![7; rng.below(200) as usize];
    let host = [10, 0, (flow >> 8) as u8, flow as u8];
    let (client, server) = ((host, 1_024 + flow as u16), ([10, 1, 0, 1], 443_u16));
    let (src, dst) = if back { (server, client) } else { (client, server) };
    let flags = [0x02, 0x12, 0x10, 0x18, 0x18, 0x11, 0x11, 0x04][rng.below(8) as usize];
    let (protocol, upper) = match tcp {
        true => (6, testing::tcp(src.1, dst.1, flags, &payload)),
        false => (17, testing::udp(src.1, dst.1, &payload)),
    };
    testing::ip4_between(src.0, dst.0, protocol, &upper)
}

/// A capture in memory: thousands of flows that end in every way there is, and small steps back in time.
fn busy(packets: usize) -> Vec<u8> {
    let mut rng = Lcg(1);
    let mut pcap = Vec::new();
    [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 101].iter().for_each(|w| pcap.extend(w.to_le_bytes()));
    let mut us = 1_000_000_000_u64;
    for i in 0..packets {
        us += rng.below(400);
        // Now and then the wire is quiet for longer than the idle timeout.
        us += if i % 9_000 == 8_999 { 61_000_000 } else { 0 };
        let at = us - rng.below(300);
        let frame = packet(&mut rng);
        let head = [(at / 1_000_000) as u32, (at % 1_000_000 * 1_000) as u32, frame.len() as u32, frame.len() as u32];
        head.iter().for_each(|w| pcap.extend(w.to_le_bytes()));
        pcap.extend(frame);
    }
    pcap
}

fn in_memory(pcap: Vec<u8>) -> Box<dyn PacketSource> {
    Box::new(CaptureReader::from_reader("busy", Cursor::new(pcap)).unwrap())
}

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "pcap" || e == "pcapng"));
    files.sort();
    assert!(files.len() > 5);
    files
}

fn file(path: &Path) -> Box<dyn PacketSource> {
    Box::new(CaptureSet::open(&[path.display().to_string()], &Default::default()).unwrap())
}

/// So many connections whose ClientHello stops after 1,400 bytes; all are open when the last one stalls.
fn stalled_hellos(flows: u32) -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 6, 159, 1, 0, 6, 155, 3, 3];
    hello.resize(1_400, 0);
    let mut pcap = Vec::new();
    [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 101].iter().for_each(|w| pcap.extend(w.to_le_bytes()));
    for (round, payload) in [(0u32, &[][..]), (1, &hello)] {
        for flow in 0..flows {
            let [_, a, b, c] = flow.to_be_bytes();
            let mut segment = testing::tcp(40_000, 443, if round == 0 { 0x02 } else { 0x18 }, payload);
            segment[4..8].copy_from_slice(&(1 + round).to_be_bytes());
            let frame = testing::ip4_between([10, a, b, c], [198, 18, 0, 1], 6, &segment);
            let us = (round * flows + flow) * 10;
            let head = [us / 1_000_000, us % 1_000_000 * 1_000, frame.len() as u32, frame.len() as u32];
            head.iter().for_each(|w| pcap.extend(w.to_le_bytes()));
            pcap.extend(frame);
        }
    }
    pcap
}

#[test]
fn handshakes_that_stall_are_dropped_within_the_limit_of_memory_and_counted() {
    let limited = |workers| Config {
        features: ["flow_meta", "tls"].map(str::to_owned).to_vec(),
        max_memory: Some(joyfuljay::core::config::ByteSize(16 << 20)),
        num_workers: Some(workers),
        ..Config::default()
    };
    let pcap = stalled_hellos(30_000);
    let (one, rows) = output(limited(1), Format::Csv, in_memory(pcap.clone()));
    let ended = one.stats.flows_ended;
    assert_eq!((one.stats.packets, one.rows), (60_000, ended.total()));
    // 30,000 times 1,400 bytes are more than twice the limit.
    let given_up = one.stats.streams_given_up + ended.0[EndReason::Evicted as usize];
    assert!(given_up > 10_000, "{given_up} were dropped");
    let (two, same) = output(limited(2), Format::Csv, in_memory(pcap));
    assert_eq!(two.stats, one.stats);
    assert!(rows == same);
}

/// Runs into a file of this format and reads the file.
fn output(config: Config, format: Format, source: Box<dyn PacketSource>) -> (Summary, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let pipeline = Pipeline::new(config).unwrap();
    let sink = open_sink(format, Target::File(path.clone()), pipeline.schema(), &SinkOptions::default()).unwrap();
    let summary = pipeline.run(source, sink).unwrap();
    (summary, std::fs::read(path).unwrap())
}

fn same_for_any_number(config: impl Fn(u32) -> Config, source: impl Fn() -> Box<dyn PacketSource>, name: &str) {
    for format in [Format::Csv, Format::Json, Format::Parquet, Format::Arrow] {
        let (one, expected) = output(config(1), format, source());
        assert_eq!((one.workers, one.output_bytes), (1, expected.len() as u64));
        for workers in [2, 7] {
            let (many, bytes) = output(config(workers), format, source());
            let totals = |s: &Summary| (s.stats, s.rows, s.output_bytes, s.first_ts, s.last_ts, s.warnings.len());
            assert_eq!(totals(&many), totals(&one), "{name}: totals of {workers} workers");
            assert!(bytes == expected, "{name}: {} bytes differ with {workers} workers", format.name());
        }
    }
}

#[test]
fn captures_give_the_same_bytes_for_any_number_of_workers() {
    for path in captures() {
        same_for_any_number(config, || file(&path), &path.display().to_string());
    }
}

#[test]
fn a_busy_capture_gives_the_same_bytes_for_any_number_of_workers() {
    let pcap = busy(25_000);
    let (summary, _) = output(config(2), Format::Csv, in_memory(pcap.clone()));
    assert_eq!((summary.workers, summary.stats.packets), (2, 25_000));
    for (reason, flows) in ["fin", "rst", "idle"].iter().zip(summary.stats.flows_ended.0) {
        assert!(flows > 50, "{flows} flows ended by {reason}");
    }
    same_for_any_number(config, || in_memory(pcap.clone()), "busy");
}

#[test]
fn other_settings_give_the_same_bytes_for_any_number_of_workers() {
    let pcap = busy(9_000);
    let split = |n| Config { bidirectional_split: true, sampling_rate: Some(0.5), ..config(n) };
    same_for_any_number(split, || in_memory(pcap.clone()), "split and sampled");
    let ages = |n| Config { active_timeout: Some(0.2), terminate_on_fin_rst: false, ..config(n) };
    same_for_any_number(ages, || in_memory(pcap.clone()), "active timeout");
    let window = |n| Config { connection_window: Some(0.3), connection_use_ports: true, ..config(n) };
    same_for_any_number(window, || in_memory(pcap.clone()), "connections of a window");
}

/// The frames of a capture that match a filter, as a capture.
fn matching(pcap: &[u8], filter: &mut Filter) -> Vec<u8> {
    let (head, mut rest) = pcap.split_at(24);
    let mut out = head.to_vec();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (record, behind) = rest.split_at(16 + len);
        if filter.matches(LinkType::RAW, len as u32, &record[16..]) {
            out.extend(record);
        }
        rest = behind;
    }
    out
}

#[test]
fn a_filter_gives_the_rows_of_the_frames_that_match() {
    let expression = "tcp and (src net 10.0.0.0/20 or dst net 10.0.0.0/20)";
    let mut filter = match Filter::new(expression) {
        Ok(filter) => filter,
        Err(error @ FilterError::NoCompiler { .. }) => {
            eprintln!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let pcap = busy(25_000);
    let filtered = |n| Config { bpf_filter: Some(expression.into()), ..config(n) };
    same_for_any_number(filtered, || in_memory(pcap.clone()), "filtered");

    // How a flow ended may differ: frames that do not match say the time, too.
    let columns =
        ["src_ip", "src_port", "dst_ip", "dst_port", "start_time", "end_time", "total_packets", "total_bytes"];
    let columns = Some(columns.map(String::from).to_vec());
    let rows = |filter: Option<String>, pcap: Vec<u8>| {
        let config = Config { bpf_filter: filter, specific_features: columns.clone(), ..Config::default() };
        let (summary, bytes) = output(config, Format::Csv, in_memory(pcap));
        let mut rows: Vec<_> = String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
        rows.sort();
        (summary.stats, rows)
    };
    let (stats, ours) = rows(Some(expression.into()), pcap.clone());
    let (before, theirs) = rows(None, matching(&pcap, &mut filter));
    assert!(ours == theirs && ours.len() > 1000);
    assert_eq!((stats.packets, stats.frames - stats.filtered), (before.packets, before.frames));
    assert!(stats.filtered > 1000);
}

#[test]
fn frames_that_are_saved_are_those_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rotation = Rotation { bytes: Some(200_000), every: None };
    let writer = CaptureWriter::create(&folder.path().join("a.pcapng"), rotation).unwrap();
    let pipeline = Pipeline::new(config(2)).unwrap().saving(writer, false);
    let sink = MemorySink::new();
    let rows = sink.rows();
    let summary = pipeline.run(in_memory(busy(9_000)), Box::new(sink)).unwrap();
    let saved = summary.saved.unwrap();
    assert!(saved.files > 3 && saved.frames == 9_000 && saved.lost == 0);
    let again = MemorySink::new();
    let read = again.rows();
    let source = CaptureSet::open(&[folder.path()], &Default::default()).unwrap();
    let second = Pipeline::new(config(1)).unwrap().run(Box::new(source), Box::new(again)).unwrap();
    assert_eq!((second.stats.packets, second.rows), (summary.stats.packets, summary.rows));
    let count = |batches: Vec<_>| batches.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>();
    assert_eq!(count(read.take()), count(rows.take()));
}

/// A run that is cancelled leaves neither rows nor the capture in the making.
#[test]
fn a_cancelled_run_leaves_no_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pcapng");
    let writer = CaptureWriter::create(&path, Rotation::default()).unwrap();
    let control = RunControl::new();
    control.cancel();
    let pipeline = Pipeline::new(config(2)).unwrap().with_control(control).saving(writer, false);
    assert!(pipeline.run(in_memory(busy(100)), Box::new(MemorySink::new())).unwrap().cancelled);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs something that must come to its end; a thread that waits for ever would otherwise stop the whole test run.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    let worker = std::thread::spawn(move || done.send(work()));
    match result.recv_timeout(Duration::from_secs(300)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the run does not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(worker.join().unwrap_err()),
    }
}

#[test]
fn many_small_runs_all_end() {
    let rows = ends(|| {
        let pcap = busy(40);
        let run = |workers| {
            let pipeline = Pipeline::new(config(workers)).unwrap();
            pipeline.run(in_memory(pcap.clone()), Box::new(MemorySink::new())).unwrap().rows
        };
        (0..200).map(|i| run(2 + i % 2)).collect::<Vec<_>>()
    });
    assert!(rows.iter().all(|n| *n == rows[0] && *n > 0));
}

#[test]
fn many_small_batches_all_come_back() {
    let summary = ends(|| {
        let source = Endless { batches: Arc::default(), most: 5_000, at: |_| Ok(()) };
        Pipeline::new(config(2)).unwrap().run(Box::new(source), Box::new(MemorySink::new())).unwrap()
    });
    assert_eq!(summary.stats.frames, 5_000 * Endless::<()>::FRAMES);
    assert_eq!(summary.stats.flows_created, summary.rows);
}

/// A source that goes on for as long as one lets it, in small batches.
struct Endless<F> {
    batches: Arc<AtomicU64>,
    most: u64,
    /// Called with the number of each batch.
    at: F,
}

impl Endless<()> {
    const FRAMES: u64 = 16;
}

impl<F: FnMut(u64) -> Result<(), SourceError> + Send> PacketSource for Endless<F> {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn pull(&mut self, out: &mut FrameBatch, _wait: Duration) -> Result<Pulled, SourceError> {
        let n = self.batches.fetch_add(1, Ordering::SeqCst);
        (self.at)(n)?;
        if n >= self.most {
            return Ok(Pulled::End);
        }
        out.clear();
        let mut rng = Lcg(n);
        for _ in 0..Endless::<()>::FRAMES {
            let bytes = packet(&mut rng);
            out.push(n as i64 * 1_000_000_000, LinkType::RAW, bytes.len() as u32, &bytes);
        }
        Ok(Pulled::Frames { waited: false })
    }

    fn stop(&mut self) {
        self.most = 0;
    }

    fn position(&self) -> Position {
        Position::default()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

/// A sink that takes a number of chunks and then fails, in writing or in finishing.
struct Failing {
    inner: MemorySink,
    left: u64,
}

fn disk_full() -> SinkError {
    SinkError::Io { target: "out".into(), action: "write", source: std::io::ErrorKind::StorageFull.into() }
}

impl RowSink for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn chunk_rows(&self) -> usize {
        8
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        self.inner.encoder()
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        self.left = self.left.checked_sub(1).ok_or_else(disk_full)?;
        self.inner.write(chunk)
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        Err(disk_full())
    }

    fn bytes_written(&self) -> u64 {
        self.inner.bytes_written()
    }
}

#[test]
fn a_sink_that_fails_ends_the_run_long_before_the_input() {
    for (workers, left) in [(1, 3), (2, 0), (2, 3), (2, 40), (7, 3)] {
        let batches = Arc::new(AtomicU64::new(0));
        let source = Endless { batches: Arc::clone(&batches), most: 200_000, at: |_| Ok(()) };
        let sink = Failing { inner: MemorySink::new(), left };
        // Else rows would wait for an end of the input.
        let config = Config { connection_window: Some(60.0), ..config(workers) };
        let result = ends(move || Pipeline::new(config).unwrap().run(Box::new(source), Box::new(sink)));
        assert!(matches!(result, Err(Error::Sink(SinkError::Io { .. }))), "{result:?}");
        let read = batches.load(Ordering::SeqCst);
        assert!(read < 20_000, "{workers} workers: {read} batches were read for a sink that took {left} chunks");
    }
}

#[test]
fn a_sink_that_cannot_finish_is_an_error() {
    for workers in [1, 2, 7] {
        let sink = Failing { inner: MemorySink::new(), left: u64::MAX };
        let run = move || Pipeline::new(config(workers)).unwrap().run(in_memory(busy(3_000)), Box::new(sink));
        assert!(matches!(ends(run), Err(Error::Sink(_))));
    }
}

/// Runs into a folder and returns what is in it afterwards.
fn left_behind(
    workers: u32,
    format: Format,
    control: RunControl,
    source: Box<dyn PacketSource>,
) -> (Result<Summary, Error>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline::new(config(workers)).unwrap().with_control(control);
    let target = Target::File(folder.path().join("out"));
    let sink = open_sink(format, target, pipeline.schema(), &SinkOptions::default()).unwrap();
    let result = ends(move || pipeline.run(source, sink));
    (result, std::fs::read_dir(folder.path()).unwrap().count())
}

#[test]
fn a_cancelled_run_ends_and_leaves_no_file() {
    for workers in [1, 2, 7] {
        for (at, format) in [(0, Format::Csv), (1, Format::Json), (300, Format::Parquet), (700, Format::Csv)] {
            let control = RunControl::new();
            let same = control.clone();
            let at_batch = move |n| {
                if n == at {
                    same.cancel();
                }
                Ok(())
            };
            let source = Endless { batches: Arc::default(), most: 100_000, at: at_batch };
            let (result, files) = left_behind(workers, format, control, Box::new(source));
            let summary = result.unwrap();
            assert!(summary.cancelled && summary.stats.frames <= (at + 1) * Endless::<()>::FRAMES);
            assert_eq!(files, 0);
        }
    }
}

#[test]
fn a_source_that_fails_ends_the_run_and_leaves_no_file() {
    for workers in [1, 2, 7] {
        let fail = |n| if n == 300 { Err(SourceError::NoInput) } else { Ok(()) };
        let source = Endless { batches: Arc::default(), most: 100_000, at: fail };
        let (result, files) = left_behind(workers, Format::Csv, RunControl::new(), Box::new(source));
        assert!(matches!(result, Err(Error::Source(SourceError::NoInput))));
        assert_eq!(files, 0);
    }
}
