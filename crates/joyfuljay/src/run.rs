//! What all threads of a run share: the plan, the totals, and the way to the metrics sink.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{EngineSettings, RowChunk};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::{MetricsSink, Mode, Stage};
use joyfuljay_core::rows::{RowPlan, RowScratch};
use joyfuljay_io::sink::{Encoded, RowEncoder, RowSink};
use joyfuljay_io::source::{PacketSource, SourceWarning};

use crate::progress::Reporter;
use crate::{CancelToken, Error, Progress, Summary};

/// The shared part of one run.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a RowPlan,
    pub(crate) settings: EngineSettings,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) workers: usize,
    metrics: &'a dyn MetricsSink,
    mode: Mode,
    started: Instant,
    totals: Mutex<StatsDelta>,
    warnings: Mutex<Vec<SourceWarning>>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// How the threads of a run came to their end.
pub(crate) struct Done {
    pub(crate) first_ts: Option<TimeNs>,
    pub(crate) last_ts: Option<TimeNs>,
}

impl<'a> Run<'a> {
    pub(crate) fn start(
        plan: &'a RowPlan,
        settings: EngineSettings,
        metrics: &'a dyn MetricsSink,
        cancel: &'a CancelToken,
        mode: Mode,
        workers: usize,
    ) -> Self {
        metrics.run_started(mode);
        metrics.table_capacity((settings.flow.max_flows * settings.partitions) as u64);
        Self {
            plan,
            settings,
            cancel,
            workers,
            metrics,
            mode,
            started: Instant::now(),
            totals: Mutex::default(),
            warnings: Mutex::default(),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Adds counts to the totals and tells the metrics sink.
    pub(crate) fn record(&self, delta: &StatsDelta) {
        self.metrics.record(delta);
        lock(&self.totals).add(delta);
    }

    /// Measures what a stage does to one batch.
    pub(crate) fn timed<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let from = Instant::now();
        let result = work();
        self.metrics.batch_duration(stage, from.elapsed().as_secs_f64());
        result
    }

    /// After every batch that was read: progress and warnings.
    pub(crate) fn after_read(&self, source: &mut dyn PacketSource, reporter: &mut Reporter) {
        let warnings = source.take_warnings();
        if !warnings.is_empty() {
            warnings.iter().for_each(|_| self.metrics.error("parsing"));
            lock(&self.warnings).extend(warnings);
        }
        let position = source.position();
        self.metrics.input_progress(position.read, position.total);
        reporter.tick(|| Progress {
            position,
            stats: *lock(&self.totals),
            rows: self.rows.load(Ordering::Relaxed),
            elapsed: self.started.elapsed(),
        });
    }

    /// Rows of a chunk, encoded for the sink.
    pub(crate) fn encode(
        &self,
        chunk: &RowChunk,
        encoder: &dyn RowEncoder,
        scratch: &mut RowScratch,
    ) -> Result<Encoded, Error> {
        let rows = self
            .timed(Stage::Extract, || self.plan.build(&chunk.flows(), scratch))
            .map_err(|e| Error::Rows(e.to_string()))?;
        Ok(self.timed(Stage::Output, || encoder.encode(rows))?)
    }

    /// Hands encoded rows to the sink.
    pub(crate) fn write(&self, sink: &mut dyn RowSink, encoded: Encoded) -> Result<(), Error> {
        let rows = encoded.rows() as u64;
        sink.write(encoded)?;
        self.wrote(sink.name(), rows, sink.bytes_written());
        Ok(())
    }

    /// Completes the output.
    pub(crate) fn close(&self, sink: Box<dyn RowSink>) -> Result<(), Error> {
        let name = sink.name();
        let written = sink.finish()?;
        self.wrote(name, 0, written.bytes);
        Ok(())
    }

    fn wrote(&self, sink: &str, rows: u64, bytes_in_all: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        let before = self.bytes.swap(bytes_in_all, Ordering::Relaxed);
        self.metrics.output(sink, rows, bytes_in_all.saturating_sub(before));
    }

    /// Settles the accounts.
    pub(crate) fn finish(self, done: Result<Done, Error>) -> Result<Summary, Error> {
        let stats = *lock(&self.totals);
        // A run that did not come to its end leaves flows that are no longer there.
        let gone =
            StatsDelta { active_flows: -stats.active_flows, table_bytes: -stats.table_bytes, ..StatsDelta::default() };
        self.metrics.record(&gone);
        let elapsed = self.started.elapsed();
        let cancelled = self.cancel.is_cancelled();
        if let Err(e) = &done {
            self.metrics.error(e.stage());
        }
        self.metrics.run_finished(self.mode, elapsed.as_secs_f64(), done.is_ok() && !cancelled);
        let done = done?;
        Ok(Summary {
            stats,
            rows: self.rows.into_inner(),
            output_bytes: self.bytes.into_inner(),
            elapsed,
            warnings: std::mem::take(&mut lock(&self.warnings)),
            first_ts: done.first_ts,
            last_ts: done.last_ts,
            cancelled,
            workers: self.workers,
        })
    }
}

/// Locks a mutex; a thread that died while it held it has at worst left a count short.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
