//! Sources whose frames arrive one by one: rows leave while the wire is quiet or slow, runs are stopped and cancelled.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use joyfuljay::core::frame::{FrameBatch, LinkType};
use joyfuljay::core::metrics::Mode;
use joyfuljay::sink::{
    Encoded, Format, MemorySink, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, open_sink,
};
use joyfuljay::source::{Clock, PacketSource, Position, Pulled, SourceError, SourceWarning};
use joyfuljay::{Config, Error, Pipeline, RunControl, Summary};

const RAW_IP: LinkType = LinkType(101);
const SECOND: i64 = 1_000_000_000;

/// Long after anything that is waited for has come, however busy the machine is.
const TOO_LONG: Duration = Duration::from_secs(120);

/// A TCP packet of flow `n`.
fn tcp(n: u16, flags: u8) -> Vec<u8> {
    let [x, y] = n.to_be_bytes();
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, x, y, 10, 1, 0, 1];
    packet.extend([0x30, 0x39, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
    packet
}

const SYN: u8 = 2;

/// A source that does what the test says at each pull, by its number.
struct Scripted<F> {
    pulls: u64,
    stopped: bool,
    clock: Option<Clock>,
    script: F,
}

impl<F> Scripted<F> {
    fn boxed(clock: Option<Clock>, script: F) -> Box<Self> {
        Box::new(Self { pulls: 0, stopped: false, clock, script })
    }
}

impl<F: FnMut(u64, &mut FrameBatch) -> Pulled + Send> PacketSource for Scripted<F> {
    fn mode(&self) -> Mode {
        Mode::Live
    }

    fn label(&self) -> &str {
        "eth7"
    }

    fn pull(&mut self, out: &mut FrameBatch, _wait: Duration) -> Result<Pulled, SourceError> {
        if self.stopped {
            return Ok(Pulled::End);
        }
        out.clear();
        self.pulls += 1;
        Ok((self.script)(self.pulls - 1, out))
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn position(&self) -> Position {
        Position::default()
    }

    fn clock(&self) -> Option<Clock> {
        self.clock
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}

/// A sink that calls a function with the number of rows of each chunk.
struct Watched<F> {
    inner: Box<dyn RowSink>,
    wrote: F,
}

impl<F: FnMut(usize) + Send> RowSink for Watched<F> {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn chunk_rows(&self) -> usize {
        100
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        self.inner.encoder()
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.rows();
        self.inner.write(chunk)?;
        (self.wrote)(rows);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        self.inner.finish()
    }

    fn bytes_written(&self) -> u64 {
        self.inner.bytes_written()
    }
}

fn pipeline(workers: u32) -> Pipeline {
    Pipeline::new(Config { num_workers: Some(workers), ..Config::default() }).unwrap()
}

/// Runs a source that goes on until its first row has come out. Rows that came out while it did.
fn rows_while_it_goes_on<F>(workers: u32, clock: Option<Clock>, mut script: F) -> u64
where
    F: FnMut(u64, &mut FrameBatch) -> Pulled + Send + 'static,
{
    let came = Arc::new(AtomicBool::new(false));
    let (seen, live) = (Arc::clone(&came), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&live);
    let begun = Instant::now();
    let source = Scripted::boxed(clock, move |n, out: &mut FrameBatch| {
        if came.load(Ordering::SeqCst) || begun.elapsed() > TOO_LONG {
            return Pulled::End;
        }
        script(n, out)
    });
    let wrote = move |rows| {
        if !seen.swap(true, Ordering::SeqCst) && begun.elapsed() < TOO_LONG {
            count.store(rows as u64, Ordering::SeqCst);
        }
    };
    let sink = Box::new(Watched { inner: Box::new(MemorySink::new()), wrote });
    pipeline(workers).run(source, sink).unwrap();
    live.load(Ordering::SeqCst)
}

/// A packet of a flow that has ended by the second packet, which belongs to one that goes on.
fn one_flow_that_ends(n: u64, out: &mut FrameBatch) {
    let (ts, flow) = if n == 0 { (0, 1) } else { (100 * SECOND + n as i64, 2) };
    out.push(ts, RAW_IP, 40, &tcp(flow, SYN));
}

fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

#[test]
fn a_quiet_flow_ends_by_the_clock_and_its_row_comes_while_the_wire_is_quiet() {
    for workers in [1, 2, 7] {
        let rows = rows_while_it_goes_on(workers, Some(Clock::Running), |n, out| {
            if n == 0 {
                out.push(0, RAW_IP, 40, &tcp(1, SYN));
                return Pulled::Frames { waited: true };
            }
            pause();
            Pulled::Idle(Some(n as i64 * 30 * SECOND))
        });
        assert_eq!(rows, 1, "{workers} workers");
    }
}

#[test]
fn a_row_that_has_ended_comes_while_a_pipe_of_old_packets_is_quiet() {
    for workers in [1, 2, 7] {
        let rows = rows_while_it_goes_on(workers, Some(Clock::Packets), |n, out| {
            if n > 0 {
                pause();
                return Pulled::Idle(None);
            }
            out.push(0, RAW_IP, 40, &tcp(1, SYN));
            // After a gap: the flow before it has ended, the one that begins is open.
            out.push(100 * SECOND, RAW_IP, 40, &tcp(1, SYN));
            Pulled::Frames { waited: false }
        });
        assert_eq!(rows, 1, "{workers} workers: the flow that ended, and not the one that is open");
    }
}

#[test]
fn rows_come_from_a_slow_wire_that_is_never_quiet() {
    for workers in [1, 2, 7] {
        let rows = rows_while_it_goes_on(workers, None, |n, out| {
            pause();
            one_flow_that_ends(n, out);
            Pulled::Frames { waited: true }
        });
        assert_eq!(rows, 1, "{workers} workers");
    }
}

#[test]
fn rows_come_by_the_clock_from_a_live_wire_whose_batches_are_full() {
    for workers in [1, 2] {
        let rows = rows_while_it_goes_on(workers, Some(Clock::Running), |n, out| {
            pause();
            one_flow_that_ends(n, out);
            Pulled::Frames { waited: false }
        });
        assert_eq!(rows, 1, "{workers} workers");
    }
}

/// Runs into a folder; the summary, the bytes written, and how many files are there afterwards.
fn into_a_folder(
    workers: u32,
    control: &RunControl,
    source: Box<dyn PacketSource>,
    wrote: impl FnMut(usize) + Send + 'static,
) -> (Result<Summary, Error>, String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let pipeline = pipeline(workers).with_control(control.clone());
    let target = Target::File(path.clone());
    let inner = open_sink(Format::Csv, target, pipeline.schema(), &SinkOptions::default()).unwrap();
    let (done, result) = mpsc::channel();
    let run = std::thread::spawn(move || done.send(pipeline.run(source, Box::new(Watched { inner, wrote }))).is_ok());
    let result = result.recv_timeout(TOO_LONG).unwrap();
    assert!(run.join().unwrap());
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    (result, std::fs::read_to_string(path).unwrap_or_default(), files)
}

#[test]
fn a_run_that_is_stopped_finishes_what_it_has_read() {
    for workers in [1, 2, 7] {
        let control = RunControl::new();
        let same = control.clone();
        let source = Scripted::boxed(None, move |n, out: &mut FrameBatch| {
            if n == 299 {
                same.stop();
            }
            out.push(n as i64, RAW_IP, 40, &tcp(n as u16, SYN));
            Pulled::Frames { waited: false }
        });
        let (result, rows, files) = into_a_folder(workers, &control, source, |_| {});
        let summary = result.unwrap();
        assert!(summary.stopped && !summary.cancelled);
        assert_eq!((summary.stats.frames, summary.rows, files), (300, 300, 1), "{workers} workers");
        assert_eq!(rows.lines().count(), 301);
    }
}

#[test]
fn a_run_that_is_cancelled_while_rows_come_out_leaves_no_file() {
    for workers in [1, 2, 7] {
        let control = RunControl::new();
        let same = control.clone();
        let source = Scripted::boxed(None, |n, out: &mut FrameBatch| {
            (0..1000).for_each(|i| out.push(n as i64, RAW_IP, 40, &tcp((n * 1000 + i) as u16, SYN)));
            if n == 60 { Pulled::End } else { Pulled::Frames { waited: false } }
        });
        let (result, _, files) = into_a_folder(workers, &control, source, move |_| same.cancel());
        let summary = result.unwrap();
        assert!(summary.cancelled && summary.rows < 60_000 / 2, "{} rows with {workers} workers", summary.rows);
        assert_eq!(files, 0);
    }
}

#[test]
fn a_run_that_is_cancelled_after_it_was_stopped_leaves_no_file() {
    for workers in [1, 2] {
        let control = RunControl::new();
        let same = control.clone();
        let source = Scripted::boxed(None, move |n, out: &mut FrameBatch| {
            if n == 9 {
                same.stop();
                same.cancel();
            }
            out.push(n as i64, RAW_IP, 40, &tcp(n as u16, SYN));
            Pulled::Frames { waited: false }
        });
        let (result, _, files) = into_a_folder(workers, &control, source, |_| {});
        assert!(result.unwrap().cancelled && files == 0);
    }
}
