//! What all threads of a run share: the plan, the account, and the steps that serial and parallel runs have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use joyfuljay_core::engine::{EngineSettings, RowChunk};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::{MetricsSink, Mode, RunResult, Stage};
use joyfuljay_core::rows::{RowPlan, RowScratch};
use joyfuljay_io::sink::{Encoded, RowEncoder, RowSink, SinkError};
use joyfuljay_io::source::{PacketSource, Position};

use crate::account::Account;
use crate::progress::Reporter;
use crate::{CancelToken, Error, Progress, Summary};

/// The shared part of one run.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a RowPlan,
    pub(crate) settings: EngineSettings,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) workers: usize,
    pub(crate) account: Account,
}

/// How the threads of a run came to their end.
pub(crate) struct Done {
    pub(crate) first_ts: Option<TimeNs>,
    pub(crate) last_ts: Option<TimeNs>,
    /// Whether it was told to stop before the end of the input. Later it is too late: the output is written.
    pub(crate) cancelled: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn start(
        plan: &'a RowPlan,
        settings: EngineSettings,
        metrics: Arc<dyn MetricsSink>,
        cancel: &'a CancelToken,
        mode: Mode,
        workers: usize,
    ) -> Self {
        let account = Account::open(metrics, mode, &settings);
        Self { plan, settings, cancel, workers, account }
    }

    /// Makes the counters of what the run is about to do appear: `rate()` does not see what a counter begins with.
    pub(crate) fn announce(&self, sink: &str) {
        let metrics = self.account.metrics();
        metrics.output(sink, 0, 0);
        self.plan.groups().for_each(|group| metrics.extractor(group, 0, 0.0));
    }

    /// After every batch that was read: progress and warnings.
    pub(crate) fn after_read(&self, source: &mut dyn PacketSource, last_ts: Option<TimeNs>, reporter: &mut Reporter) {
        let account = &self.account;
        let position = account.after_read(source, last_ts);
        reporter.tick(|| self.progress(position));
    }

    /// Where the run is now.
    pub(crate) fn progress(&self, position: Position) -> Progress {
        let account = &self.account;
        Progress { position, stats: account.totals(), rows: account.rows(), elapsed: account.elapsed() }
    }

    /// Rows of a chunk, encoded for the sink.
    pub(crate) fn encode(
        &self,
        chunk: &RowChunk,
        encoder: &dyn RowEncoder,
        scratch: &mut RowScratch,
    ) -> Result<Encoded, Error> {
        let rows = self.account.timed(Stage::Extract, || {
            let mut groups = GroupTimes::default();
            let rows = self.plan.build_observed(&chunk.flows(), scratch, &mut |group| groups.after(group));
            groups.tell(self.account.metrics(), chunk.len() as u64);
            rows
        });
        let rows = rows.map_err(|e| Error::Rows(e.to_string()))?;
        Ok(self.account.timed(Stage::Output, || encoder.encode(rows))?)
    }

    /// Hands encoded rows to the sink.
    pub(crate) fn write(&self, sink: &mut dyn RowSink, encoded: Encoded) -> Result<(), Error> {
        let rows = encoded.rows() as u64;
        match sink.write(encoded) {
            // Whoever took the rows has stopped the run before they left: it is about to end.
            Err(SinkError::Closed { .. }) if self.cancel.is_cancelled() => return Ok(()),
            written => written.inspect_err(|_| self.account.metrics().output_error(sink.name(), "write"))?,
        }
        self.account.wrote(sink.name(), rows, sink.bytes_written());
        Ok(())
    }

    /// Sends on what the sink has buffered: who follows a quiet wire sees its rows.
    pub(crate) fn flush(&self, sink: &mut dyn RowSink) -> Result<(), Error> {
        sink.flush().inspect_err(|_| self.account.metrics().output_error(sink.name(), "write"))?;
        Ok(())
    }

    /// Completes the output.
    pub(crate) fn close(&self, sink: Box<dyn RowSink>) -> Result<(), Error> {
        let name = sink.name();
        let written = sink.finish().inspect_err(|_| self.account.metrics().output_error(name, "write"))?;
        self.account.wrote(name, 0, written.bytes);
        Ok(())
    }

    /// Settles the account.
    pub(crate) fn finish(self, done: Result<Done, Error>) -> Result<Summary, Error> {
        let account = &self.account;
        if let Err(e) = &done {
            account.failed(e);
        }
        account.close(match &done {
            Err(_) => RunResult::Failure,
            Ok(done) if done.cancelled => RunResult::Cancelled,
            Ok(_) => RunResult::Success,
        });
        let done = done?;
        Ok(Summary {
            stats: account.totals(),
            rows: account.rows(),
            output_bytes: account.bytes(),
            elapsed: account.elapsed(),
            warnings: account.take_warnings(),
            first_ts: done.first_ts,
            last_ts: done.last_ts,
            cancelled: done.cancelled,
            workers: self.workers,
        })
    }
}

/// How long each feature group took over a chunk of rows.
struct GroupTimes {
    last: Instant,
    spent: Vec<(&'static str, Duration)>,
}

impl Default for GroupTimes {
    fn default() -> Self {
        Self { last: Instant::now(), spent: Vec::new() }
    }
}

impl GroupTimes {
    /// The group is ready with a block of flows: the time since the one before it is its own.
    fn after(&mut self, group: &'static str) {
        let now = Instant::now();
        let spent = now - std::mem::replace(&mut self.last, now);
        match self.spent.iter_mut().find(|(name, _)| *name == group) {
            Some((_, sum)) => *sum += spent,
            None => self.spent.push((group, spent)),
        }
    }

    fn tell(self, metrics: &dyn MetricsSink, flows: u64) {
        for (group, spent) in self.spent {
            metrics.extractor(group, flows, spent.as_secs_f64());
        }
    }
}
