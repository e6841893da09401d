//! What a run counts: kept for its summary, and passed on to the metrics sink.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::EngineSettings;
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::{MetricsSink, Mode, RunResult, Stage};
use joyfuljay_io::source::{InterfaceCounts, PacketSource, SourceWarning, Trouble};

use crate::Error;

/// Warnings that are kept for the summary: a sensor that runs for months may come to many. They are counted all the same.
const MAX_WARNINGS: usize = 10_000;

/// What a run has counted. Open until it is closed; one that is dropped open is that of a run that panicked.
pub(crate) struct Recorder {
    metrics: Arc<dyn MetricsSink>,
    mode: Mode,
    capacity: u64,
    started: Instant,
    totals: Mutex<StatsDelta>,
    warnings: Mutex<Vec<SourceWarning>>,
    /// Interfaces as last passed on.
    interfaces: Mutex<Vec<InterfaceCounts>>,
    /// As last passed on: bytes read of the input and its size.
    read: AtomicU64,
    size: AtomicU64,
    rows: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    open: AtomicBool,
    /// Whether what is recorded was recorded by another run before.
    paused: AtomicBool,
}

impl Recorder {
    pub(crate) fn start(metrics: Arc<dyn MetricsSink>, mode: Mode, settings: &EngineSettings) -> Self {
        let capacity = (settings.flow.max_flows * settings.partitions) as u64;
        metrics.run_started(mode, capacity);
        Self {
            metrics,
            mode,
            capacity,
            started: Instant::now(),
            totals: Mutex::default(),
            warnings: Mutex::default(),
            interfaces: Mutex::default(),
            read: AtomicU64::new(0),
            size: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            open: AtomicBool::new(true),
            paused: AtomicBool::new(false),
        }
    }

    /// Where metrics go.
    pub(crate) fn metrics(&self) -> &dyn MetricsSink {
        &*self.metrics
    }

    /// Adds counts to the totals and passes them on.
    pub(crate) fn record(&self, delta: &StatsDelta) {
        if self.paused.load(Ordering::Relaxed) {
            return;
        }
        self.metrics.record(delta);
        lock(&self.totals).add(delta);
    }

    /// Leaves out what another run has counted already, while its input is read again.
    pub(crate) fn pause(&self, pause: bool) {
        self.paused.store(pause, Ordering::Relaxed);
    }

    /// Measures what a stage does to one batch.
    pub(crate) fn timed<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let from = Instant::now();
        let result = work();
        self.metrics.batch_duration(stage, from.elapsed().as_secs_f64());
        result
    }

    /// The calling thread, from now on: its processor time is reported under this name.
    pub(crate) fn thread(&self, name: impl Into<Cow<'static, str>>) -> ThreadTime<'_> {
        let mut time = ThreadTime { metrics: self.metrics(), name: name.into(), reported: thread_time() };
        time.report();
        time
    }

    /// After every pull: how far the source has come, the time reached, warnings, losses.
    pub(crate) fn read(&self, source: &mut dyn PacketSource, last_ts: Option<TimeNs>) {
        let warnings = source.take_warnings();
        if !warnings.is_empty() {
            let errors = warnings.iter().filter(|w| !matches!(w.trouble, Trouble::PassedOver | Trouble::Interface));
            errors.for_each(|_| self.metrics.error("parsing"));
            let mut kept = lock(&self.warnings);
            let room = MAX_WARNINGS.saturating_sub(kept.len());
            kept.extend(warnings.into_iter().take(room));
        }
        self.interfaces(source);
        if let Some(lag) = source.lag() {
            self.metrics.lag(source.label(), lag.as_secs_f64());
        }
        let position = source.position();
        let size = position.total.unwrap_or(0);
        let read_before = self.read.swap(position.read, Ordering::Relaxed);
        let size_before = self.size.swap(size, Ordering::Relaxed);
        let grown = |now: u64, before: u64| now.wrapping_sub(before) as i64;
        self.metrics.input_grew(grown(position.read, read_before), grown(size, size_before));
        if let Some(ts) = last_ts {
            self.metrics.watermark(source.label(), ts);
        }
    }

    /// What the user has to know, and is no error.
    pub(crate) fn warn(&self, message: String) {
        let warning = SourceWarning { path: String::new(), offset: 0, trouble: Trouble::PassedOver, message };
        lock(&self.warnings).push(warning);
    }

    /// Passes on what came in at the interfaces of a source since the last time.
    fn interfaces(&self, source: &dyn PacketSource) {
        let now = source.interfaces();
        let mut told = lock(&self.interfaces);
        for counts in &now {
            let before = told.iter().find(|told| told.id == counts.id);
            if before != Some(counts) {
                self.metrics.interface(&counts.name, &counts.since(before));
            }
        }
        // Also those that have another name now.
        let gone = |told: &&InterfaceCounts| now.iter().all(|counts| counts.name != told.name);
        told.iter().filter(gone).for_each(|told| self.metrics.interface_gone(&told.name));
        *told = now;
    }

    /// `rows` more rows went into the sink, which has written so many bytes in all.
    pub(crate) fn wrote(&self, sink: &str, rows: u64, bytes_in_all: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let before = self.bytes.swap(bytes_in_all, Ordering::Relaxed);
        self.metrics.output(sink, rows, bytes_in_all.saturating_sub(before));
    }

    /// `rows` of those that went into the sink were lost, for this reason.
    pub(crate) fn lost(&self, sink: &str, reason: &str, rows: u64) {
        self.rows.fetch_sub(rows, Ordering::Relaxed);
        self.lost.fetch_add(rows, Ordering::Relaxed);
        self.metrics.output_lost(sink, reason, rows);
        self.metrics.output_error(sink, "write");
        self.metrics.error("output");
    }

    /// Rows lost so far.
    pub(crate) fn rows_lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Totals so far.
    pub(crate) fn totals(&self) -> StatsDelta {
        *lock(&self.totals)
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Warnings since the last call.
    pub(crate) fn take_warnings(&self) -> Vec<SourceWarning> {
        std::mem::take(&mut lock(&self.warnings))
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts the error that the run ends with.
    pub(crate) fn failed(&self, error: &Error) {
        self.metrics.error(error.stage());
    }

    /// Ends the record; later calls change nothing.
    pub(crate) fn close(&self, result: RunResult) {
        if !self.open.swap(false, Ordering::Relaxed) {
            return;
        }
        // A run that did not come to its end leaves flows that are no longer there.
        let left = self.totals();
        let (active_flows, table_bytes) = (-left.active_flows, -left.table_bytes);
        self.metrics.record(&StatsDelta { active_flows, table_bytes, ..StatsDelta::default() });
        self.metrics.run_finished(self.mode, self.capacity, self.elapsed().as_secs_f64(), result);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close(RunResult::Failure);
    }
}

/// A thread at work for a run. What it waits for costs no processor time and so does not count.
pub(crate) struct ThreadTime<'a> {
    metrics: &'a dyn MetricsSink,
    name: Cow<'static, str>,
    reported: Option<Duration>,
}

impl ThreadTime<'_> {
    /// Reports the processor time since the last call.
    pub(crate) fn report(&mut self) {
        let now = thread_time();
        if let (Some(now), Some(before)) = (now, self.reported) {
            self.metrics.worker_busy(&self.name, now.saturating_sub(before).as_secs_f64());
        }
        self.reported = now;
    }
}

impl Drop for ThreadTime<'_> {
    fn drop(&mut self) {
        self.report();
    }
}

/// Processor time of the calling thread.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().ok()
}

/// Not known on this system.
#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

/// Locks a mutex; a thread that panicked while it held it has at worst left a count short.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
