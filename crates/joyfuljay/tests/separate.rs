//! Inputs that are kept apart: each has the rows that it would have alone, for any number of workers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use joyfuljay::core::frame::FrameBatch;
use joyfuljay::core::metrics::Mode;
use joyfuljay::core::testing::{self, Lcg};
use joyfuljay::filter::{Filter, FilterError};
use joyfuljay::sink::{Format, RowSink, SinkOptions, Target, open_sink};
use joyfuljay::source::{Apart, CaptureSet, PacketSource, Position, Pulled, SourceError, SourceWarning};
use joyfuljay::{CAPTURE_COLUMN, Config, Error, Pipeline, RunControl, Summary};

/// A capture of packets among a few hosts, from a time on.
fn capture(path: &Path, seed: u64, packets: usize, from_s: u32) {
    let mut rng = Lcg(seed);
    let mut pcap = Vec::new();
    [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101].iter().for_each(|w| pcap.extend(w.to_le_bytes()));
    for i in 0..packets as u32 {
        let flow = rng.below(3_000);
        let host = [10, 0, (flow >> 8) as u8, flow as u8];
        let frame = testing::ip4_between(host, [10, 1, 0, 1], 17, &testing::udp(1_024, 53, &[7; 20]));
        let head = [from_s + i / 1_000, i % 1_000 * 1_000, frame.len() as u32, frame.len() as u32];
        head.iter().for_each(|w| pcap.extend(w.to_le_bytes()));
        pcap.extend(frame);
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, pcap).unwrap();
}

/// Three sensors, of which one rotated its files; they differ much in size.
fn sensors() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed, packets, from_s) in [
        ("a/1.pcap", 1, 40_000, 100),
        ("a/2.pcap", 1, 30_000, 140),
        ("b/1.pcap", 1, 300, 120),
        ("c/1.pcap", 2, 90_000, 130),
    ] {
        capture(&folder.path().join(name), seed, packets, from_s);
    }
    folder
}

fn config(workers: u32) -> Config {
    let features = ["flow_meta", "timing", "size"].map(str::to_owned).to_vec();
    Config { features, num_workers: Some(workers), flow_timeout: 15.0, ..Config::default() }
}

fn set(inputs: &[PathBuf]) -> CaptureSet {
    CaptureSet::open(inputs, &Default::default()).unwrap()
}

fn boxed(sets: Vec<(String, CaptureSet)>) -> Vec<(String, Box<dyn PacketSource>)> {
    sets.into_iter().map(|(name, set)| (name, Box::new(set) as Box<dyn PacketSource>)).collect()
}

fn output(
    format: Format,
    pipeline: Pipeline,
    run: impl FnOnce(Pipeline, Box<dyn RowSink>) -> Result<Summary, Error>,
) -> (Summary, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let sink = open_sink(format, Target::File(path.clone()), pipeline.schema(), &SinkOptions::default()).unwrap();
    let summary = run(pipeline, sink).unwrap();
    (summary, std::fs::read(path).unwrap())
}

#[test]
fn each_input_has_the_rows_that_it_has_alone_for_any_number_of_workers() {
    let folder = sensors();
    let sets = || set(&[folder.path().to_owned()]).apart(Apart::Folders).unwrap();
    assert_eq!(sets().len(), 3);
    for format in [Format::Csv, Format::Parquet] {
        let separate = |workers| {
            let pipeline = Pipeline::new(config(workers)).unwrap();
            output(format, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets()), sink))
        };
        let (one, expected) = separate(1);
        assert_eq!((one.workers, one.stats.frames, one.stats.active_flows), (1, 160_300, 0));
        let times = (Some(100_000_000_000), Some(219_999_000_000));
        assert_eq!((one.first_ts, one.last_ts), times);
        for workers in [2, 7] {
            let (many, bytes) = separate(workers);
            let totals = |s: &Summary| (s.stats, s.rows, s.output_bytes, s.first_ts, s.last_ts);
            assert_eq!(totals(&many), totals(&one), "{workers} workers");
            assert_eq!(many.workers, workers.min(3) as usize);
            assert!(bytes == expected, "{}: bytes differ with {workers} workers", format.name());
        }
        if format == Format::Csv {
            let alone: Vec<Vec<u8>> = ["a", "b", "c"]
                .map(|name| {
                    let source = Box::new(set(&[folder.path().join(name)]));
                    output(format, Pipeline::new(config(1)).unwrap(), |pipeline, sink| pipeline.run(source, sink)).1
                })
                .into();
            let header = alone[0].iter().position(|b| *b == b'\n').unwrap() + 1;
            let rows: Vec<u8> = alone.iter().flat_map(|csv| &csv[header..]).copied().collect();
            assert!(expected[header..] == rows[..], "the rows of the inputs alone, one after the other");
        }
    }
}

#[test]
fn rows_say_which_capture_they_are_from_where_that_is_asked_for() {
    let folder = sensors();
    let rows = |by, name: bool, workers| {
        let sets = set(&[folder.path().to_owned()]).apart(by).unwrap();
        let mut pipeline = Pipeline::new(config(workers)).unwrap();
        if name {
            pipeline.name_captures();
        }
        let (_, csv) = output(Format::Csv, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets), sink));
        String::from_utf8(csv).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (by, names) in
        [(Apart::Files, &["a/1.pcap", "b/1.pcap", "c/1.pcap", "a/2.pcap"][..]), (Apart::Folders, &["a", "b", "c"])]
    {
        let plain = rows(by, false, 2);
        for workers in [1, 3] {
            let named = rows(by, true, workers);
            let (mut columns, mut seen) = (Vec::new(), Vec::new());
            for row in &named {
                let (row, name) = row.rsplit_once(',').unwrap();
                columns.push(row.to_owned());
                seen.push(name);
            }
            assert_eq!(columns, plain, "the other columns are as they were");
            assert_eq!(seen.remove(0), CAPTURE_COLUMN);
            seen.dedup();
            let paths: Vec<_> = names.iter().map(|name| folder.path().join(name).display().to_string()).collect();
            assert_eq!(seen, paths);
        }
    }
    // Formats that take a chunk part by part.
    let parquet = |name: bool| {
        let sets = set(&[folder.path().to_owned()]).apart(Apart::Files).unwrap();
        let mut pipeline = Pipeline::new(config(2)).unwrap();
        if name {
            pipeline.name_captures();
        }
        output(Format::Parquet, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets), sink)).0.rows
    };
    assert_eq!(parquet(true), parquet(false));
}

#[test]
fn flows_go_on_from_file_to_file_of_a_folder_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/1.pcap", "a/2.pcap", "b/1.pcap"] {
        capture(&folder.path().join(name), 1, 1, 100);
    }
    std::fs::write(folder.path().join("b/notes.txt"), "no capture").unwrap();
    let rows = |by| {
        let sets = set(&[folder.path().to_owned()]).apart(by).unwrap();
        let pipeline = Pipeline::new(config(2)).unwrap();
        let (summary, _) = output(Format::Csv, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets), sink));
        assert_eq!(summary.warnings.len(), 1, "{:?}", summary.warnings);
        summary.rows
    };
    assert_eq!((rows(Apart::Folders), rows(Apart::Files)), (2, 3));
    let one = set(&[folder.path().to_owned()]);
    let (summary, _) = output(Format::Csv, Pipeline::new(config(2)).unwrap(), |p, sink| p.run(Box::new(one), sink));
    assert_eq!(summary.rows, 1);
}

#[test]
fn only_no_captures_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "no capture").unwrap();
    let error = set(&[folder.path().to_owned()]).apart(Apart::Folders).unwrap_err().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[test]
fn progress_and_metrics_are_those_of_all_inputs() {
    let folder = sensors();
    let sets = set(&[folder.path().to_owned()]).apart(Apart::Files).unwrap();
    let bytes: u64 = sets.iter().map(|(_, set)| set.position().total.unwrap()).sum();
    let (to, progress) = mpsc::channel();
    let pipeline = Pipeline::new(config(2)).unwrap().with_progress(Box::new(move |p| to.send(p.clone()).unwrap()));
    let (summary, _) = output(Format::Csv, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets), sink));
    let all: Vec<_> = progress.try_iter().collect();
    let last = all.last().unwrap();
    assert_eq!((last.position.read, last.position.total), (bytes, Some(bytes)));
    assert_eq!((last.position.files_done, last.position.files_total), (4, 4));
    assert_eq!((last.rows, last.stats), (summary.rows, summary.stats));
}

#[test]
fn connection_cannot_be_had() {
    let mut named = Pipeline::new(Config { features: vec!["connection".into()], ..Config::default() }).unwrap();
    assert!(named.turn_to_separate().unwrap_err().to_string().contains("kept apart"));
    let mut all = Pipeline::new(Config::default()).unwrap();
    all.turn_to_separate().unwrap();
    assert!(all.plan().notes().iter().any(|note| note.contains("connection")));
}

/// Gives no frame until the run is cancelled, or fails after a while.
struct Odd {
    fails: bool,
    pulled: usize,
    control: RunControl,
}

impl PacketSource for Odd {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn pull(&mut self, out: &mut FrameBatch, _: Duration) -> Result<Pulled, SourceError> {
        out.clear();
        self.pulled += 1;
        if self.pulled > 20 {
            if self.fails {
                return Err(SourceError::NoInput);
            }
            self.control.cancel();
        }
        Ok(Pulled::Idle(None))
    }

    fn stop(&mut self) {}

    fn position(&self) -> Position {
        Position { files_total: 1, ..Position::default() }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

#[test]
fn a_run_that_fails_or_is_cancelled_ends_and_leaves_no_file() {
    let folder = sensors();
    for (fails, workers) in [(true, 1), (true, 2), (true, 7), (false, 1), (false, 2), (false, 7)] {
        for at in [0, 1, 3] {
            let control = RunControl::new();
            let mut inputs = boxed(set(&[folder.path().to_owned()]).apart(Apart::Folders).unwrap());
            inputs.insert(at, ("odd".into(), Box::new(Odd { fails, pulled: 0, control: control.clone() })));
            let out = tempfile::tempdir().unwrap();
            let pipeline = Pipeline::new(config(workers)).unwrap().with_control(control);
            let target = Target::File(out.path().join("out"));
            let sink = open_sink(Format::Csv, target, pipeline.schema(), &SinkOptions::default()).unwrap();
            match pipeline.run_separate(inputs, sink) {
                Err(error) => assert!(fails, "{error}"),
                Ok(summary) => assert!(!fails && summary.cancelled),
            }
            assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0, "fails: {fails}, {workers} workers, at {at}");
        }
    }
}

#[test]
fn a_run_that_is_stopped_writes_what_it_has() {
    let folder = sensors();
    let control = RunControl::new();
    control.stop();
    let sets = set(&[folder.path().to_owned()]).apart(Apart::Folders).unwrap();
    let pipeline = Pipeline::new(config(2)).unwrap().with_control(control);
    let (summary, csv) = output(Format::Csv, pipeline, |pipeline, sink| pipeline.run_separate(boxed(sets), sink));
    assert!(summary.stopped && !summary.cancelled);
    assert_eq!((summary.rows, csv.iter().filter(|b| **b == b'\n').count()), (0, 1));
}

#[test]
fn a_filter_need_not_suit_the_frames_of_every_input() {
    let expression = "udp port 53";
    if let Err(error @ FilterError::NoCompiler { .. }) = Filter::new(expression) {
        eprintln!("skipped: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    capture(&folder.path().join("a.pcap"), 1, 50, 100);
    // The same frames, said to be of a type that libpcap has no filters for (NFLOG), and none.
    let mut other = std::fs::read(folder.path().join("a.pcap")).unwrap();
    other[20] = 239;
    std::fs::write(folder.path().join("b.pcap"), &other).unwrap();
    std::fs::write(folder.path().join("c.pcap"), &other[..24]).unwrap();
    let run = |names: &[&str]| {
        let pipeline = Pipeline::new(Config { bpf_filter: Some(expression.to_owned()), ..config(2) }).unwrap();
        let inputs: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
        let sink = open_sink(
            Format::Csv,
            Target::File(folder.path().join("out.csv")),
            pipeline.schema(),
            &SinkOptions::default(),
        );
        pipeline.run_separate(boxed(set(&inputs).apart(Apart::Files).unwrap()), sink.unwrap())
    };
    for names in [["a.pcap", "b.pcap", "c.pcap"], ["b.pcap", "c.pcap", "a.pcap"]] {
        let summary = run(&names).unwrap();
        assert!(summary.rows > 0 && format!("{:?}", summary.warnings).contains("NFLOG"), "{names:?}");
    }
    std::fs::remove_file(folder.path().join("out.csv")).unwrap();
    assert!(matches!(run(&["b.pcap", "c.pcap"]), Err(Error::FilterUseless(_))));
    assert!(!folder.path().join("out.csv").exists());
}
