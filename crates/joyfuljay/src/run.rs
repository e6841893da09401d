//! What all threads of a run share: the plan, the record of the run, and the steps that serial and parallel runs have in common.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use joyfuljay_core::StatsDelta;
use joyfuljay_core::analysis::connections::Counting;
use joyfuljay_core::analysis::graph::Graph;
use joyfuljay_core::engine::{EngineSettings, RowChunk};
use joyfuljay_core::flow::{FlowRef, FlowStore};
use joyfuljay_core::metrics::{MetricsSink, Mode, RunResult, Stage};
use joyfuljay_core::rows::{GrowingRows, RowPlan, RowScratch, WaitingPlan};
use joyfuljay_io::sink::{ChunkEncoder, Encoded, RowEncoder, RowSink, SinkError};
use joyfuljay_io::spill::SPILL;

use crate::drive::Drive;
use crate::recorder::Recorder;
use crate::{Error, RunControl, Summary};

/// The shared part of one run.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a RowPlan,
    pub(crate) settings: EngineSettings,
    pub(crate) control: &'a RunControl,
    pub(crate) workers: usize,
    /// Whether rows are to leave the run before they make a full chunk, where the source is slow.
    pub(crate) flushes: bool,
    pub(crate) recorder: Recorder,
    /// Where rows wait for the end of the input: what they are until then.
    waiting: Option<WaitingPlan>,
    /// The graph that all flows were counted into.
    counted: Mutex<Option<Counting>>,
}

/// How the threads of a run came to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The output is whole.
    Written,
    /// The run was cancelled before that.
    Cancelled,
}

impl<'a> Run<'a> {
    pub(crate) fn start(
        plan: &'a RowPlan,
        settings: EngineSettings,
        metrics: Arc<dyn MetricsSink>,
        control: &'a RunControl,
        mode: Mode,
        sink: &dyn RowSink,
        workers: usize,
    ) -> Self {
        let settings = EngineSettings { chunk_rows: sink.chunk_rows(), ..settings };
        let recorder = Recorder::start(metrics, mode, &settings);
        // Makes the counters of what the run is about to do appear: `rate()` does not see what a counter begins with.
        recorder.metrics().output(sink.name(), 0, 0);
        plan.groups().for_each(|group| recorder.metrics().extractor(group, 0, 0.0));
        let waits = settings.connections.is_some_and(|connections| connections.waits());
        let waiting = waits.then(|| plan.waiting());
        // Nobody follows rows that wait.
        let flushes = sink.is_followed() && !waits;
        Self { plan, settings, control, workers, flushes, recorder, waiting, counted: Mutex::default() }
    }

    /// What rows are while they wait for the end of the input, if they do.
    pub(crate) fn waiting(&self) -> Option<&WaitingPlan> {
        self.waiting.as_ref()
    }

    /// All flows have been counted into this graph.
    pub(crate) fn counted(&self, counting: Option<Counting>) {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = counting;
    }

    /// The graph that all flows were counted into.
    pub(crate) fn take_counted(&self) -> Option<Counting> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// There was no memory for that graph so many times.
    pub(crate) fn graph_shortages(&self, graph_shortages: u64) {
        if graph_shortages > 0 {
            self.recorder.record(&StatsDelta { graph_shortages, ..StatsDelta::default() });
        }
    }

    /// Whether rows can be made of a chunk while it grows: where none wait for what comes after them.
    pub(crate) fn is_early(&self) -> bool {
        self.settings.connections.is_none()
    }

    /// Rows of a chunk, encoded for the sink.
    pub(crate) fn encode(
        &self,
        chunk: &RowChunk,
        encoder: &dyn RowEncoder,
        scratch: &mut RowScratch,
    ) -> Result<Encoded, Error> {
        let Some(plan) = &self.waiting else {
            let mut growing = self.begin(encoder, chunk.len());
            self.add(&mut growing, &chunk.flows(), scratch)?;
            return self.end(growing);
        };
        let rows = self.recorder.timed(Stage::Extract, || {
            let mut groups = GroupTimes::default();
            let rows = plan.build_observed(chunk, scratch, &mut |group| groups.after(group));
            groups.report(self.recorder.metrics(), chunk.len() as u64);
            rows
        });
        let rows = rows.map_err(|e| Error::Rows(e.to_string()))?;
        Ok(self.recorder.timed(Stage::Output, || encoder.encode(rows))?)
    }

    /// Adds the next flows of a chunk that grows, and makes the rows that can be made before it is whole. Stores of which nothing is
    /// needed any more go to `spent`.
    pub(crate) fn grow<'e>(
        &self,
        growing: &mut Option<GrowingChunk<'e>>,
        next: RowChunk,
        encoder: &'e dyn RowEncoder,
        scratch: &mut RowScratch,
        spent: impl FnMut(FlowStore),
    ) -> Result<(), Error> {
        let growing = growing.get_or_insert_with(|| self.begin(encoder, self.settings.chunk_rows));
        growing.waiting.append(next);
        let waiting = std::mem::take(&mut growing.waiting);
        let flows = waiting.next_flows(AT_ONCE);
        let made = flows.len();
        self.add(growing, &flows, scratch)?;
        growing.waiting = waiting;
        growing.waiting.let_go(made).for_each(spent);
        Ok(())
    }

    /// The chunk with its last flows, encoded for the sink. Their stores go to `spent`.
    pub(crate) fn encode_last(
        &self,
        growing: Option<GrowingChunk<'_>>,
        last: RowChunk,
        encoder: &dyn RowEncoder,
        scratch: &mut RowScratch,
        spent: impl FnMut(FlowStore),
    ) -> Result<Encoded, Error> {
        let Some(mut growing) = growing else {
            let encoded = self.encode(&last, encoder, scratch);
            last.into_stores().for_each(spent);
            return encoded;
        };
        let mut waiting = std::mem::take(&mut growing.waiting);
        waiting.append(last);
        self.add(&mut growing, &waiting.flows(), scratch)?;
        waiting.into_stores().for_each(spent);
        self.end(growing)
    }

    /// A chunk of rows that grows with the flows of [`Run::add`], so many at most. Rows do not wait.
    fn begin<'e>(&self, encoder: &'e dyn RowEncoder, flows: usize) -> GrowingChunk<'e> {
        let parts = encoder.begin();
        let part_flows = match parts {
            Some(_) => PART_FLOWS,
            None => usize::MAX,
        };
        let rows = self.plan.begin(flows.min(part_flows));
        GrowingChunk { encoder, parts, part_flows, flows, rows, waiting: RowChunk::default() }
    }

    /// Adds the rows of flows to a chunk; all but the last flows come in multiples of [`RowPlan::block_flows`].
    fn add(
        &self,
        chunk: &mut GrowingChunk<'_>,
        mut flows: &[FlowRef<'_>],
        scratch: &mut RowScratch,
    ) -> Result<(), Error> {
        while !flows.is_empty() {
            // As they are parted, so are pages: by the flows of the chunk alone, whoever makes it.
            let room = chunk.part_flows.saturating_sub(chunk.rows.flows());
            let (part, rest) = flows.split_at(room.min(flows.len()));
            flows = rest;
            self.recorder.timed(Stage::Extract, || {
                let mut groups = GroupTimes::default();
                chunk.rows.add(self.plan, part, scratch, &mut |group| groups.after(group));
                groups.report(self.recorder.metrics(), part.len() as u64);
            });
            if let Some(parts) = chunk.parts.as_mut().filter(|_| chunk.rows.flows() >= chunk.part_flows) {
                chunk.flows = chunk.flows.saturating_sub(chunk.part_flows);
                let rows = std::mem::replace(&mut chunk.rows, self.plan.begin(chunk.flows.min(chunk.part_flows)));
                let rows = self.batch(rows)?;
                self.recorder.timed(Stage::Output, || parts.add(rows))?;
            }
        }
        Ok(())
    }

    /// The chunk, encoded for the sink.
    fn end(&self, chunk: GrowingChunk<'_>) -> Result<Encoded, Error> {
        let GrowingChunk { encoder, parts, rows, .. } = chunk;
        let Some(mut parts) = parts else {
            let rows = self.batch(rows)?;
            return Ok(self.recorder.timed(Stage::Output, || encoder.encode(rows))?);
        };
        let last = if rows.flows() > 0 { Some(self.batch(rows)?) } else { None };
        Ok(self.recorder.timed(Stage::Output, || {
            last.map_or(Ok(()), |rows| parts.add(rows))?;
            parts.finish()
        })?)
    }

    fn batch(&self, rows: GrowingRows) -> Result<RecordBatch, Error> {
        self.recorder.timed(Stage::Extract, || rows.finish(self.plan)).map_err(|e| Error::Rows(e.to_string()))
    }

    /// Rows that have waited, whole and encoded for the sink.
    pub(crate) fn complete(
        &self,
        waited: &RecordBatch,
        graph: Option<&Graph>,
        encoder: &dyn RowEncoder,
    ) -> Result<Encoded, Error> {
        let rows = self.recorder.timed(Stage::Extract, || {
            let from = Instant::now();
            let rows = self.plan.complete(waited, graph);
            self.recorder.metrics().extractor("connection", waited.num_rows() as u64, from.elapsed().as_secs_f64());
            rows
        });
        let rows = rows.map_err(|e| Error::Rows(e.to_string()))?;
        Ok(self.recorder.timed(Stage::Output, || encoder.encode(rows))?)
    }

    /// Hands encoded rows to the sink, or those that are to wait to the temporary file, which is no output.
    pub(crate) fn write(&self, sink: &mut dyn RowSink, encoded: Encoded) -> Result<(), Error> {
        let rows = encoded.rows() as u64;
        if sink.name() == SPILL {
            return Ok(sink.write(encoded)?);
        }
        match sink.write(encoded) {
            // The reader of the rows has cancelled the run before they left: it is about to end.
            Err(SinkError::Closed { .. }) if self.control.is_cancelled() => return Ok(()),
            written => written.inspect_err(|_| self.recorder.metrics().output_error(sink.name(), "write"))?,
        }
        self.recorder.wrote(sink.name(), rows, sink.bytes_written());
        self.lost(sink);
        Ok(())
    }

    /// Sends on what the sink has buffered.
    pub(crate) fn flush(&self, sink: &mut dyn RowSink) -> Result<(), Error> {
        sink.flush().inspect_err(|_| self.recorder.metrics().output_error(sink.name(), "write"))?;
        self.lost(sink);
        Ok(())
    }

    /// Counts what a sink that goes on after errors has lost.
    fn lost(&self, sink: &mut dyn RowSink) {
        let name = sink.name();
        for (reason, rows) in sink.take_lost() {
            self.recorder.lost(name, reason, rows);
        }
    }

    /// Completes the output.
    pub(crate) fn close(&self, sink: Box<dyn RowSink>) -> Result<(), Error> {
        let name = sink.name();
        if name == SPILL {
            sink.finish()?;
            return Ok(());
        }
        let written = sink.finish().inspect_err(|_| self.recorder.metrics().output_error(name, "write"))?;
        self.recorder.wrote(name, 0, written.bytes);
        Ok(())
    }

    /// Ends the record of the run.
    pub(crate) fn finish(self, outcome: Result<Outcome, Error>, drive: &mut Drive) -> Result<Summary, Error> {
        let recorder = &self.recorder;
        let mut saved = None;
        let outcome = outcome.and_then(|outcome| {
            if outcome == Outcome::Written {
                saved = drive.finish_saving()?;
            }
            Ok(outcome)
        });
        if let Err(e) = &outcome {
            recorder.failed(e);
        }
        if matches!(outcome, Ok(Outcome::Written)) {
            drive.report_end(recorder);
        }
        recorder.close(match &outcome {
            Err(_) => RunResult::Failure,
            Ok(Outcome::Cancelled) => RunResult::Cancelled,
            Ok(Outcome::Written) => RunResult::Success,
        });
        let outcome = outcome?;
        Ok(Summary {
            stats: recorder.totals(),
            rows: recorder.rows(),
            rows_lost: recorder.rows_lost(),
            output_bytes: recorder.bytes(),
            elapsed: recorder.elapsed(),
            warnings: recorder.take_warnings(),
            first_ts: drive.first_ts(),
            last_ts: drive.last_ts(),
            clock: drive.clock(),
            stopped: drive.was_stopped() && outcome == Outcome::Written,
            cancelled: outcome == Outcome::Cancelled,
            saved,
            drops: drive.source().drops(),
            interfaces: drive.source().interfaces(),
            workers: self.workers,
        })
    }
}

/// A chunk of rows that is not whole.
pub(crate) struct GrowingChunk<'e> {
    encoder: &'e dyn RowEncoder,
    /// What was encoded, where the format takes a chunk part by part.
    parts: Option<Box<dyn ChunkEncoder + 'e>>,
    /// Flows of a part.
    part_flows: usize,
    /// How many flows are to be expected yet.
    flows: usize,
    /// The part that comes next.
    rows: GrowingRows,
    /// Flows whose rows cannot be made yet: they are not a whole block.
    waiting: RowChunk,
}

/// Flows of a part: their rows, some 4 MB with all features, are encoded while they are in the cache. With half or twice as many a run
/// takes as long, with a quarter or eight times it takes longer. Encoders take the pieces of a chunk in the same size.
const PART_FLOWS: usize = 1024;

/// Flows whose rows are made at once while a chunk grows, in multiples of [`RowPlan::block_flows`]. The code of all features and that of
/// tracking push each other out of the second-level cache: with the rows of each batch's 90 flows made by themselves, twice as much of it
/// was loaded again (cachegrind, 2 MB), for 3 % of a run.
const AT_ONCE: usize = PART_FLOWS;

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

    fn report(self, metrics: &dyn MetricsSink, flows: u64) {
        for (group, spent) in self.spent {
            metrics.extractor(group, flows, spent.as_secs_f64());
        }
    }
}
