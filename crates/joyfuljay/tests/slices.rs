//! Slices: the rows of all tasks together are those of one run over the whole, however the captures are cut.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use joyfuljay::core::testing::{self, Lcg};
use joyfuljay::filter::{Filter, FilterError};
use joyfuljay::sink::{Format, SinkOptions, Target, open_sink};
use joyfuljay::slices::{self, Local, Slice, Store};
use joyfuljay::source::{CaptureSet, PacketSource};
use joyfuljay::{Config, Pipeline, Summary};

/// A frame and its time in microseconds.
type Timed = (u64, Vec<u8>);

/// Connections that begin, go on for long, end in every way, come again with the same ports, and pause for longer than the idle
/// timeout of two seconds; fragments; small steps back in time.
fn traffic(seconds: u64, seed: u64) -> Vec<Timed> {
    let mut rng = Lcg(seed);
    let (mut us, mut frames, mut id) = (1_000_000_000u64, Vec::new(), 0u16);
    let end = us + seconds * 1_000_000;
    while us < end {
        us += rng.below(60_000);
        if rng.below(2_000) == 0 {
            us += 2_500_000;
        }
        // A window over the flows that wanders: some are seen for seconds, some for minutes.
        let flow = if rng.below(4) == 0 { rng.below(6) } else { 6 + (us / 5_000_000) % 300 + rng.below(12) };
        let at = us - rng.below(20_000);
        let client = ([10, 0, (flow >> 8) as u8, flow as u8], 1_024 + flow as u16);
        let server = ([10, 1, 0, 1], 443);
        let (src, dst) = if rng.below(3) == 0 { (server, client) } else { (client, server) };
        let payload = vec![7; rng.below(60) as usize];
        if flow % 5 == 0 {
            let datagram = testing::udp(src.1, dst.1, &payload);
            if rng.below(3) == 0 {
                id = id.wrapping_add(1);
                let long = testing::udp(src.1, dst.1, &[9; 64]);
                let (head, tail) = long.split_at(40);
                let mut parts = [testing::ip4_part(17, id, 0, true, head), testing::ip4_part(17, id, 5, false, tail)];
                for part in &mut parts {
                    part[12..16].copy_from_slice(&src.0);
                    part[16..20].copy_from_slice(&dst.0);
                }
                let later = at + rng.below(1_500_000);
                frames.extend(parts.into_iter().zip([at, later]).map(|(part, at)| (at, part)));
                continue;
            }
            frames.push((at, testing::ip4_between(src.0, dst.0, 17, &datagram)));
            continue;
        }
        let flags = match rng.below(60) {
            0 => 0x04,
            1 | 2 => 0x11,
            3 => 0x02,
            4 => 0x12,
            _ => 0x18,
        };
        let mut segment = testing::tcp(src.1, dst.1, flags, &payload);
        // Numbers go on with the time; a SYN begins somewhere else.
        let number = if flags == 0x02 { rng.below(1 << 32) as u32 } else { (us / 10) as u32 };
        segment[4..8].copy_from_slice(&number.to_be_bytes());
        frames.push((at, testing::ip4_between(src.0, dst.0, 6, &segment)));
    }
    // As they were captured: nearly in order.
    frames.sort_by_key(|(at, _)| at / 100_000);
    frames
}

fn pcap(frames: &[Timed]) -> Vec<u8> {
    let mut pcap = Vec::new();
    [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101].iter().for_each(|w| pcap.extend(w.to_le_bytes()));
    for (at, frame) in frames {
        let head = [(at / 1_000_000) as u32, (at % 1_000_000) as u32, frame.len() as u32, frame.len() as u32];
        head.iter().for_each(|w| pcap.extend(w.to_le_bytes()));
        pcap.extend(frame);
    }
    pcap
}

/// Sections of both byte orders, interfaces with other clocks that are described between packets.
fn pcapng(frames: &[Timed]) -> Vec<u8> {
    let mut out = Vec::new();
    for (section, frames) in frames.chunks(frames.len() / 3 + 1).enumerate() {
        let big = section % 2 == 1;
        let w32 = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let w16 = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut block = |kind: u32, body: &[u8]| {
            let len = 12 + body.len().next_multiple_of(4);
            out.extend(w32(kind));
            out.extend(w32(len as u32));
            out.extend(body);
            out.resize(out.len().next_multiple_of(4), 0);
            out.extend(w32(len as u32));
        };
        let version = [w16(1), w16(0)].concat();
        block(0x0a0d_0d0a, &[&w32(0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat());
        let interface = |exponent: u8| {
            [&w16(101)[..], &w16(0), &w32(0), &w16(9), &w16(1), &[exponent, 0, 0, 0], &w16(0), &w16(0)].concat()
        };
        block(1, &interface(6));
        for (i, (at, frame)) in frames.iter().enumerate() {
            if i == 10 {
                block(1, &interface(9));
            }
            let nanos = i > 10 && i % 2 == 0;
            let ticks = if nanos { at * 1_000 } else { *at };
            let words = [u32::from(nanos), (ticks >> 32) as u32, ticks as u32, frame.len() as u32, frame.len() as u32];
            block(6, &[&words.map(w32).concat()[..], frame].concat());
        }
    }
    out
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config { flow_timeout: 2.0, include_flow_id: true, num_workers: Some(1), ..Config::default() };
    config.features = ["flow_meta", "timing", "size", "tcp", "ip_extended", "app"].map(str::to_owned).to_vec();
    change(&mut config);
    config
}

fn run(pipeline: Pipeline, source: Box<dyn PacketSource>) -> (Summary, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let sink = open_sink(Format::Csv, Target::File(path.clone()), pipeline.schema(), &SinkOptions::default()).unwrap();
    let summary = pipeline.run(source, sink).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    (summary, text.lines().skip(1).map(str::to_owned).collect())
}

fn whole(files: &[String], config: &Config) -> (Summary, Vec<String>) {
    let mut pipeline = Pipeline::new(config.clone()).unwrap();
    pipeline.turn_to_slice().unwrap();
    let (summary, mut rows) = run(pipeline, Box::new(CaptureSet::open(files, &Default::default()).unwrap()));
    rows.sort();
    (summary, rows)
}

fn sliced(slices: &[Slice], config: &Config) -> (Vec<Summary>, Vec<String>) {
    let (mut summaries, mut rows) = (Vec::new(), Vec::new());
    for slice in slices {
        // As it comes to another machine.
        let slice: Slice = serde_json::from_str(&serde_json::to_string(slice).unwrap()).unwrap();
        let mut pipeline = Pipeline::new(config.clone()).unwrap();
        pipeline.turn_to_slice().unwrap();
        pipeline.share(slice.share());
        let source = slice.open(Arc::new(Local), &pipeline).unwrap();
        let (summary, more) = run(pipeline, Box::new(source));
        assert_eq!(summary.rows, more.len() as u64);
        summaries.push(summary);
        rows.extend(more);
    }
    rows.sort();
    (summaries, rows)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// Rows, and every count of the input, are those of the whole.
fn assert_same(files: &[String], config: &Config, tasks: u32) -> Vec<Slice> {
    let (one, expected) = whole(files, config);
    let slices = slices::plan(&Local, files, tasks, config).unwrap();
    assert_eq!(slices.len(), tasks as usize);
    let (many, rows) = sliced(&slices, config);
    let missing = expected.iter().filter(|row| rows.binary_search(row).is_err()).count();
    let extra = rows.iter().find(|row| expected.binary_search(row).is_err());
    assert!(rows == expected, "{tasks} tasks: {missing} of {} rows missing; extra: {extra:?}", expected.len());
    let sum = |of: fn(&Summary) -> u64| many.iter().map(of).sum::<u64>();
    assert_eq!(sum(|s| s.stats.frames), one.stats.frames);
    assert_eq!(sum(|s| s.stats.packets), one.stats.packets);
    assert_eq!(sum(|s| s.stats.bytes), one.stats.bytes);
    assert_eq!(sum(|s| s.stats.datagrams_reassembled), one.stats.datagrams_reassembled);
    assert_eq!(sum(|s| s.stats.flows_created), one.stats.flows_created);
    assert_eq!(sum(|s| s.stats.flows_ended.total()), one.stats.flows_ended.total());
    slices
}

#[test]
fn any_number_of_slices_of_one_capture_gives_the_rows_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let frames = traffic(900, 1);
    let files = [write(folder.path(), "a.pcap", &pcap(&frames))];
    for tasks in [1, 2, 3, 7, 17, 40] {
        let slices = assert_same(&files, &config(|_| ()), tasks);
        let mut places: Vec<_> =
            slices.iter().map(|slice| serde_json::to_value(slice).unwrap()["start"][1].as_u64().unwrap()).collect();
        places.dedup();
        // 900 s hold at most 45 slices of ten idle timeouts, and this capture has places for about 15.
        assert!(places.len() >= tasks.min(10) as usize, "cut by time and not by a hash: {places:?}");
    }
}

#[test]
fn sections_and_interfaces_are_those_of_the_place_where_a_slice_begins() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.pcapng", &pcapng(&traffic(400, 2)))];
    for tasks in [2, 5, 8] {
        assert_same(&files, &config(|_| ()), tasks);
    }
}

#[test]
fn a_sequence_of_captures_is_cut_at_files_and_within_them() {
    let folder = tempfile::tempdir().unwrap();
    let frames = traffic(900, 3);
    let mut files: Vec<_> = frames
        .chunks(frames.len() / 7 + 1)
        .enumerate()
        .map(|(i, frames)| match i {
            3 => write(folder.path(), "x_3.pcapng", &pcapng(frames)),
            _ => write(folder.path(), &format!("x_{i}.pcap"), &pcap(frames)),
        })
        .collect();
    files.insert(2, write(folder.path(), "x_2a.txt", b"notes"));
    files.insert(5, write(folder.path(), "x_5a.pcap", &pcap(&[])));
    let found = CaptureSet::open(&[folder.path()], &Default::default()).unwrap().into_files().unwrap();
    assert_eq!(found.len(), files.len());
    for tasks in [2, 4, 7, 12] {
        let (one, expected) = whole(&[folder.path().display().to_string()], &config(|_| ()));
        let (many, rows) = sliced(&slices::plan(&Local, &found, tasks, &config(|_| ())).unwrap(), &config(|_| ()));
        let missing = expected.iter().find(|row| rows.binary_search(row).is_err());
        let extra = rows.iter().find(|row| expected.binary_search(row).is_err());
        assert!(rows == expected, "{tasks} tasks: missing {missing:?} extra {extra:?}");
        let said = |summaries: &[Summary], what: &str| -> Vec<String> {
            let warnings = summaries.iter().flat_map(|s| &s.warnings).map(|warning| warning.message.clone());
            warnings.filter(|message| message.contains(what)).collect()
        };
        let one = std::slice::from_ref(&one);
        assert_eq!((said(&many, "skipped").len(), said(one, "skipped").len()), (1, 1), "the file that is no capture");
        // Frames are out of order by up to a tenth of a second here, so captures overlap by that.
        let [all] = &said(one, " ends (")[..] else { panic!("{:?}", said(one, "")) };
        let overlaps = said(&many, " ends");
        let begins = |message: &str| message.split(" ends").next().map(str::to_owned);
        assert!(overlaps.iter().any(|message| begins(message) == begins(all)), "{overlaps:?} {all}");
    }
}

/// Connections that go on all the time, and whose SYNs come again with the number that they had: in a capture that is replayed again and
/// again, each time behind itself, and a few seconds late, as where an answer was lost.
#[test]
fn a_syn_that_comes_again_is_told_from_what_is_near_whatever_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rng, mut frames) = (Lcg(9), Vec::new());
    for flow in 0..12u16 {
        let (mut at, mut sent, mut syn) = (1_000_000_000 + u64::from(flow) * 31_000, 0u32, 0);
        while at < 1_700_000_000 {
            at += 1_000 + rng.below(900_000);
            let is_again = at >= syn;
            if is_again {
                // Until it is answered, soon after, once more while the connection goes on, and much later.
                syn = at + [500_000, 1_000_000, 3_000_000, 6_000_000, 50_000_000][rng.below(5) as usize];
            } else {
                sent += 7;
            }
            let (flags, number, payload) = if is_again { (0x02, 0, &[][..]) } else { (0x18, 1 + sent, &[1; 7][..]) };
            let mut segment = testing::tcp(2_000 + flow, 443, flags, payload);
            segment[4..8].copy_from_slice(&(u32::from(flow) * 1_000_000 + number).to_be_bytes());
            frames.push((at, testing::ip4_between([10, 0, 0, flow as u8], [10, 1, 0, 1], 6, &segment)));
        }
    }
    frames.sort_by_key(|(at, _)| *at);
    let files = [write(folder.path(), "a.pcap", &pcap(&frames))];
    for tasks in [2, 5, 16, 34] {
        assert_same(&files, &config(|_| ()), tasks);
        assert_same(&files, &config(|c| c.active_timeout = Some(25.0)), tasks);
    }
    let (one, _) = whole(&files, &config(|_| ()));
    let reused = one.stats.flows_ended[joyfuljay::core::stats::EndReason::Reused];
    assert!(reused > 12 && reused < 12 * 700 / 20, "{reused}");
}

#[test]
fn active_and_close_timeouts_are_those_of_connections_that_began_before_the_lead_in() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.pcap", &pcap(&traffic(600, 4)))];
    for (active, close) in [(Some(3.0), None), (Some(45.0), None), (None, Some(0.3)), (Some(10.0), Some(0.5))] {
        let config = config(|c| (c.active_timeout, c.close_timeout) = (active, close));
        assert_same(&files, &config, 6);
    }
}

#[test]
fn options_hold_for_slices_as_for_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.pcap", &pcap(&traffic(300, 5)))];
    assert_same(&files, &config(|c| c.terminate_on_fin_rst = false), 4);
    assert_same(&files, &config(|c| c.bidirectional_split = true), 4);
    assert_same(&files, &config(|c| c.flow_timeout = 0.2), 5);
    // One slice, by a hash.
    let slices = assert_same(&files, &config(|c| c.flow_timeout = 60.0), 5);
    assert!(slices.iter().all(|slice| slice.share().of == 5));
    let (one, expected) = whole(&files, &config(|c| c.sampling_rate = Some(0.5)));
    let sampled = config(|c| c.sampling_rate = Some(0.5));
    let (many, rows) = sliced(&slices::plan(&Local, &files, 4, &sampled).unwrap(), &sampled);
    assert!(rows == expected && !rows.is_empty());
    assert_eq!(many.iter().map(|s| s.stats.packets).sum::<u64>(), one.stats.packets);
}

#[test]
fn a_capture_that_is_cut_short_gives_what_is_whole_and_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = pcap(&traffic(200, 6));
    let files = [write(folder.path(), "a.pcap", &bytes[..bytes.len() - 7])];
    let (_, expected) = whole(&files, &config(|_| ()));
    let (many, rows) = sliced(&slices::plan(&Local, &files, 5, &config(|_| ())).unwrap(), &config(|_| ()));
    assert!(rows == expected);
    assert_eq!(many.iter().map(|s| s.warnings.len()).sum::<usize>(), 1);
}

#[test]
fn what_cannot_be_cut_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.pcap", &pcap(&traffic(60, 7)))];
    let error =
        |files: &[String], number, of| slices::nth(&Local, files, number, of, &config(|_| ())).unwrap_err().to_string();
    assert!(error(&files, 0, 4).contains("numbered from 1 to 4"));
    assert!(error(&files, 5, 4).contains("no slice 5 of 4"));
    assert!(error(&files, 1, 0).contains("0 slices"));
    assert!(error(&[], 1, 1).contains("no capture"));
    assert!(error(&[write(folder.path(), "n.txt", b"notes")], 1, 1).contains("not a capture"));
    let notes = ["a.txt", "b.txt"].map(|name| write(folder.path(), name, b"notes"));
    assert!(error(&notes, 1, 2).contains("none of its 2 files is a capture"));
    let mut named = Pipeline::new(config(|c| c.features.push("connection".into()))).unwrap();
    assert!(named.turn_to_slice().unwrap_err().to_string().contains("a slice has only its own"));
}

#[test]
fn a_filter_need_not_suit_the_captures_of_every_slice() {
    let expression = "udp port 443";
    if let Err(error @ FilterError::NoCompiler { .. }) = Filter::new(expression) {
        eprintln!("skipped: {error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let frames = traffic(600, 8);
    let files: Vec<_> = frames
        .chunks(frames.len() / 5 + 1)
        .enumerate()
        .map(|(i, frames)| {
            let mut bytes = pcap(frames);
            if i == 0 || i == 3 {
                // The same frames, said to be of a type that libpcap has no filters for (NFLOG).
                bytes[20] = 239;
            }
            write(folder.path(), &format!("x_{i}.pcap"), &bytes)
        })
        .collect();
    let filtered = |c: &mut Config| c.bpf_filter = Some(expression.to_owned());
    for tasks in [2, 5, 9] {
        assert_same(&files, &config(filtered), tasks);
    }
    let active = config(|c| (c.bpf_filter, c.active_timeout) = (Some(expression.to_owned()), Some(20.0)));
    assert_same(&files, &active, 5);
    // Where it suits nothing, no task can know that of the others: each says so.
    let (many, rows) = sliced(&slices::plan(&Local, &files[3..4], 2, &config(filtered)).unwrap(), &config(filtered));
    assert!(rows.is_empty());
    assert!(many.iter().all(|summary| format!("{:?}", summary.warnings).contains("NFLOG")), "{many:?}");
}

/// A store that breaks off: in the middle of a file, or before it.
struct Failing {
    name: &'static str,
    after: Option<u64>,
}

impl Store for Failing {
    fn open(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let file = Local.open(name, offset)?;
        match self.after {
            _ if !name.ends_with(self.name) => Ok(file),
            None => Err(io::Error::other("the network is gone")),
            Some(after) => Ok(Box::new(file.take(after).chain(Broken))),
        }
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Local.size(name)
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the network is gone"))
    }
}

/// Where something was read for the plan and cannot be read by the task, rows would be missing: the task fails, and can be run again.
#[test]
fn a_store_that_fails_is_an_error_of_the_task_and_no_damage_of_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    let few = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/few.pcap.gz")).unwrap();
    let files = [
        write(folder.path(), "a.pcap", &pcap(&traffic(100, 9))),
        write(folder.path(), "b.pcap", &pcap(&traffic(100, 9))),
        write(folder.path(), "c.pcap.gz", &few),
    ];
    let config = config(|_| ());
    for (name, after) in [("b.pcap", None), ("b.pcap", Some(2_000)), ("c.pcap.gz", None), ("c.pcap.gz", Some(100))] {
        let [slice] = &slices::plan(&Local, &files, 1, &config).unwrap()[..] else { panic!("one slice") };
        let mut pipeline = Pipeline::new(config.clone()).unwrap();
        pipeline.turn_to_slice().unwrap();
        let source = slice.open(Arc::new(Failing { name, after }), &pipeline).unwrap();
        let sink = open_sink(
            Format::Csv,
            Target::File(folder.path().join("rows")),
            pipeline.schema(),
            &SinkOptions::default(),
        );
        let error = pipeline.run(Box::new(source), sink.unwrap()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("the network is gone"), "{error}");
        assert!(!folder.path().join("rows").exists());
    }
}

/// Records within payloads look like records: cuts are where a reader came to, and nowhere else.
#[test]
fn captures_within_payloads_are_not_taken_for_places() {
    let folder = tempfile::tempdir().unwrap();
    let outer = traffic(400, 10);
    let inner = pcap(&outer);
    let sent = inner.chunks(1_300).cycle().zip(outer).map(|(payload, (at, mut frame))| {
        if frame[9] == 17 {
            frame = testing::ip4_between(
                [10, 0, 9, 9],
                [10, 1, 0, 1],
                17,
                &testing::udp(20, 1_024 + (at / 9_000_000 % 50) as u16, payload),
            );
        }
        (at, frame)
    });
    let files = [write(folder.path(), "a.pcap", &pcap(&sent.collect::<Vec<_>>()))];
    for tasks in 1..=9 {
        assert_same(&files, &config(|_| ()), tasks);
    }
}

/// Byte orders, clocks and compression of the captures that other tools wrote.
#[test]
fn every_kind_of_capture_can_be_divided() {
    let data = |name: &str| format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let names = [
        "big_endian_ns.pcap",
        "demo.pcap",
        "demo.pcapng",
        "few.pcap.gz",
        "few.pcap.zst",
        "few.pcap.lz4",
        "link_types.pcapng",
        "fragments.pcap",
    ];
    for name in names {
        for (tasks, timeout) in [(2, 0.001), (3, 0.05), (17, 1.0)] {
            assert_same(&[data(name)], &config(|c| c.flow_timeout = timeout), tasks);
        }
    }
}
