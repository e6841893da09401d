//! Watching a folder: each capture once, when it is finished, also across restarts; a file of rows for each.
//!
//! The captures are those of one sensor, and one run goes on over all of them: a flow that spans rotated files is one flow. The rows
//! of the flows that ended while a capture was read get their file when it has been read, and then the state says so. A run that
//! goes on after another reads the captures of the last [`LEAD_IN`] idle timeouts again, to know the flows that were open; rows
//! that were written are not repeated.
//!
//! When a watch is ended in good order, the flows that are open have rows too. Those that the next run will know from its lead-in
//! lie in a file of their own, which it takes away when they have gone on: the state says which they are and when they began. Older
//! ones are cut there, which is said.

mod outputs;
mod source;
mod state;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{Engine, PacketBatch, RowChunk};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::{Mode, Stage, WatchDelta};
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::{Format, RowSink, SinkOptions};
use thiserror::Error as ThisError;

use crate::drive::{Drive, Turn};
use crate::progress::Reporter;
use crate::run::{Outcome, Run};
use crate::{Error, Pipeline, Summary};

use outputs::Outputs;
use source::{Events, Looking, WatchSource};
use state::{Done, Identity, Pending, State, StateFile};

/// How many idle timeouts of captures are read again after a restart.
pub const LEAD_IN: i64 = 10;

/// What is watched, and where rows go.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The folder that captures come into.
    pub folder: PathBuf,
    /// Whether folders below it are watched too.
    pub recursive: bool,
    /// The folder that gets a file of rows for each capture.
    pub output: PathBuf,
    /// Format of the rows.
    pub format: Format,
    /// How they are encoded.
    pub sink: SinkOptions,
    /// A capture that has not changed for so long is finished.
    pub settle: Duration,
    /// End when everything that is there has been read, and take all of it for finished.
    pub once: bool,
}

impl WatchOptions {
    /// Ten seconds of quiet, and no end.
    pub fn new(folder: PathBuf, output: PathBuf, format: Format) -> Self {
        Self {
            folder,
            output,
            format,
            recursive: false,
            sink: SinkOptions::default(),
            settle: Duration::from_secs(10),
            once: false,
        }
    }
}

/// What a watch needs beside captures and rows.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum WatchError {
    /// The state cannot be read or written.
    #[error("{path}: {error}")]
    State {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The state is not one of this version's.
    #[error(
        "{path} is not the state of a watch of this version: move it away to begin anew, with rows in another folder"
    )]
    StateUnknown {
        /// The file.
        path: String,
    },
    /// Another run writes there.
    #[error("{path}: another watch writes its rows there")]
    Busy {
        /// The folder of rows.
        path: String,
    },
    /// Rows cannot be written.
    #[error("{path}: {error}")]
    Output {
        /// The folder or file.
        path: String,
        /// Why.
        error: io::Error,
    },
}

impl Pipeline {
    /// Makes rows of captures as they are finished, until the run's [`crate::RunControl`] says otherwise.
    ///
    /// Stop ends it when the capture that is being read has been read; the flows that are open then have rows. Cancel leaves what has
    /// been written for whole captures.
    ///
    /// # Errors
    /// When the folders cannot be read or written, or another watch writes there.
    pub fn watch(mut self, options: &WatchOptions) -> Result<Summary, Error> {
        self.turn_to_stream()?;
        source::check(&options.folder)?;
        let mut outputs = Outputs::open(options, self.schema())?;
        let mut file = StateFile::open(&options.output)?;
        let idle = self.engine_settings().flow.idle_timeout;
        let looking = Looking {
            folder: options.folder.clone(),
            recursive: options.recursive,
            settle: options.settle,
            once: options.once,
            except: options.output.clone(),
        };
        let resumed = Resumed::from(&mut file, &outputs, &looking, idle)?;
        let known: HashSet<Identity> = file.state.done.iter().map(|done| done.capture.clone()).collect();
        let events = Events::default();
        let source = WatchSource::new(looking.clone(), events.clone(), resumed.lead_in.clone(), known);

        let reporter = Reporter::new(self.take_listener());
        let control = self.control();
        let run = Run::start(self.plan(), *self.engine_settings(), self.metrics(), &control, Mode::Pcap, &outputs, 1);
        let mut drive =
            Drive::new(Box::new(source), &run.settings, control.clone(), reporter).with_filter(self.frame_filter());
        let watch = Watch { looking, events, file, idle, resumed, told: None };
        let outcome = watch.run(&run, &mut drive, &mut outputs);
        run.finish(outcome, &mut drive)
    }
}

/// Where an earlier run has ended.
struct Resumed {
    /// The captures to be read again.
    lead_in: Vec<Identity>,
    /// The flows that go on, and when they began, where the last run ended in good order. Of one that was killed it is not known.
    flows: Option<HashMap<u64, TimeNs>>,
    /// The rows of flows that go on.
    open: Option<String>,
}

impl Resumed {
    fn from(file: &mut StateFile, outputs: &Outputs, looking: &Looking, idle: TimeNs) -> Result<Self, Error> {
        let state = &mut file.state;
        // A run that was killed between naming its rows and saying so.
        if let Some(Pending { output, done }) = state.pending.take()
            && outputs.exists(&output)
        {
            state.done.push(done);
            if let Some(open) = state.open.take() {
                outputs.remove(&open)?;
            }
            state.ended = false;
        }
        let present: HashSet<Identity> = WatchSource::present(looking).into_values().collect();
        let (lead_in, _) = lead_in(state, idle);
        let is_whole = lead_in.iter().all(|capture| present.contains(capture));
        let resumed = match (is_whole, state.ended) {
            (true, true) => {
                let flows = state.going_on.iter().copied().collect();
                Self { lead_in, flows: Some(flows), open: state.open.clone() }
            }
            (true, false) => Self { lead_in, flows: None, open: state.open.clone() },
            // What is gone cannot be read again: the rows of the open flows stay, and what comes is told apart from them.
            (false, true) => {
                if let Some(open) = state.open.take() {
                    outputs.keep(&open)?;
                }
                Self { lead_in: Vec::new(), flows: None, open: None }
            }
            (false, false) => {
                let lead_in = lead_in.into_iter().filter(|capture| present.contains(capture)).collect();
                Self { lead_in, flows: None, open: None }
            }
        };
        state.done.retain(|done| present.contains(&done.capture));
        Ok(resumed)
    }
}

/// The captures that show the flows which were open after what is done: those with packets of the last idle timeouts.
/// And when the first of them begins.
fn lead_in(state: &State, idle: TimeNs) -> (Vec<Identity>, TimeNs) {
    let last = state.done.iter().filter_map(|done| done.times).map(|(_, last)| last).max();
    let from = last.map_or(TimeNs::MAX, |last| last.saturating_sub(idle.saturating_mul(LEAD_IN)));
    let first = state.done.iter().position(|done| done.times.is_some_and(|(_, last)| last >= from));
    let tail = first.and_then(|first| state.done.get(first..)).unwrap_or_default();
    let captures = tail.iter().filter(|done| done.times.is_some()).map(|done| done.capture.clone()).collect();
    let begins = tail.iter().filter_map(|done| done.times).map(|(first, _)| first).min();
    (captures, begins.unwrap_or(TimeNs::MAX))
}

/// A watch that goes on.
struct Watch {
    looking: Looking,
    events: Events,
    file: StateFile,
    idle: TimeNs,
    resumed: Resumed,
    /// The captures that were waiting when it was last told.
    told: Option<u64>,
}

impl Watch {
    fn run(mut self, run: &Run<'_>, drive: &mut Drive, outputs: &mut Outputs) -> Result<Outcome, Error> {
        let recorder = &run.recorder;
        let mut time = recorder.thread("main");
        let mut engine = Engine::new(&run.settings);
        let (mut batch, mut scratch) = (PacketBatch::default(), RowScratch::default());
        let mut again = self.resumed.lead_in.len();
        recorder.pause(again > 0);
        drive.resume(self.resumed.flows.take().filter(|_| again > 0));
        self.file.save()?;
        loop {
            let turn = drive.next(recorder, &mut batch)?;
            if turn == Turn::Cancelled {
                return Ok(Outcome::Cancelled);
            }
            recorder.timed(Stage::Track, || engine.track(&batch));
            recorder.record(&engine.take_stats());
            let chunk = engine.ready();
            if let (Some(chunk), 0) = (&chunk, again) {
                write(run, chunk, outputs, &mut scratch)?;
            }
            if let Some(done) = self.events.take_finished() {
                let rest = engine.flush();
                if again > 0 {
                    again -= 1;
                    if again == 0 {
                        drive.resume(None);
                        lead_in_is_over(run, &mut engine);
                    }
                } else {
                    if let Some(chunk) = rest {
                        write(run, &chunk, outputs, &mut scratch)?;
                    }
                    self.commit(run, outputs, done)?;
                    self.tell(run, 1, 0);
                }
            }
            self.tell(run, 0, 0);
            time.report();
            if turn == Turn::Last {
                break;
            }
        }
        self.end(run, drive, engine, outputs, &mut scratch)
    }

    /// Tells the metrics what has become of captures, of which so many are done now, and of flows.
    fn tell(&mut self, run: &Run<'_>, done: u64, cut: u64) {
        let (failed, waiting) = self.events.take_counts();
        if done > 0 || failed > 0 || cut > 0 || self.told != Some(waiting) {
            self.told = Some(waiting);
            let read = done.saturating_sub(failed);
            run.recorder.metrics().watched(&WatchDelta { read, failed, cut, waiting });
        }
    }

    /// A capture is done: its rows get their name, then the state says so. Killed in between, the next run finds the rows.
    fn commit(&mut self, run: &Run<'_>, outputs: &mut Outputs, done: Done) -> Result<(), Error> {
        if done.times.is_none() && !outputs.has_rows() {
            self.file.state.done.push(done);
            return Ok(self.file.save()?);
        }
        let output = outputs.name_for(&done.capture.name);
        self.file.state.pending = Some(Pending { output: output.clone(), done: done.clone() });
        self.file.save()?;
        outputs.finish(&output).inspect_err(|_| run.recorder.metrics().output_error(outputs.name(), "write"))?;
        run.recorder.wrote(outputs.name(), 0, outputs.bytes_written());
        // Its flows have gone on: they are open again, or have rows now.
        if let Some(open) = self.resumed.open.take() {
            outputs.remove(&open)?;
        }
        let state = &mut self.file.state;
        // From now on a run that is killed has to be taken up where the last capture was done.
        (state.open, state.pending, state.ended) = (None, None, false);
        state.going_on.clear();
        state.done.push(done);
        self.forget_what_is_gone();
        Ok(self.file.save()?)
    }

    /// Captures that were deleted need not be known: so the state does not grow.
    fn forget_what_is_gone(&mut self) {
        const MOST: usize = 1_000;

        if self.file.state.done.len().is_multiple_of(MOST) {
            let present: HashSet<Identity> = WatchSource::present(&self.looking).into_values().collect();
            self.file.state.done.retain(|done| present.contains(&done.capture));
        }
    }

    /// The end in good order: the open flows get rows, those that the next run will know in a file that it replaces.
    fn end(
        mut self,
        run: &Run<'_>,
        drive: &mut Drive,
        engine: Engine,
        outputs: &mut Outputs,
        scratch: &mut RowScratch,
    ) -> Result<Outcome, Error> {
        run.recorder.pause(false);
        let state = &self.file.state;
        // What the next run reads again has to have all packets of a flow that is to go on.
        let (_, begins) = lead_in(state, self.idle);
        let (mut going_on, mut older_flows) = (Vec::new(), 0);
        let mut open = outputs.beside()?;
        let mut drain = engine.finish(drive.last_ts().unwrap_or_default());
        while let Some(mut chunk) = drain.next() {
            if drive.is_cancelled() {
                return Ok(Outcome::Cancelled);
            }
            run.recorder.record(&drain.take_stats());
            let older: Vec<bool> = chunk.flows().iter().map(|flow| flow.base.first_ts < begins).collect();
            let rest = chunk.take_where(&older);
            going_on.extend(chunk.flows().iter().map(|flow| (flow.base.key.fixed_hash(), flow.base.first_ts)));
            write(run, &chunk, &mut open, scratch)?;
            chunk.turn_to(rest);
            older_flows += chunk.len();
            write(run, &chunk, outputs, scratch)?;
        }
        run.recorder.record(&drain.take_stats());
        let cut = if self.looking.once { 0 } else { older_flows as u64 };
        self.tell(run, 0, cut);
        if cut > 0 {
            run.recorder.warn(format!(
                "{older_flows} open flows began before the captures that the next run reads again: they have a row now, and another \
                 one for what follows"
            ));
        }
        if let Some(old) = self.resumed.open.take() {
            outputs.remove(&old)?;
        }
        if outputs.has_rows() {
            let name = outputs.name_for("older-flows");
            outputs.finish(&name)?;
        }
        let name = open.has_rows().then(|| open.name_for("open-flows"));
        if let Some(name) = &name {
            open.finish(name)?;
        }
        run.recorder.wrote(outputs.name(), 0, outputs.bytes_written() + open.bytes_written());
        let state = &mut self.file.state;
        (state.open, state.going_on, state.ended) = (name, going_on, true);
        self.file.save()?;
        Ok(Outcome::Written)
    }
}

/// What is open now goes on, as if it had been counted.
fn lead_in_is_over(run: &Run<'_>, engine: &mut Engine) {
    let _ = engine.take_stats();
    run.recorder.pause(false);
    let active_flows = i64::try_from(engine.open_flows()).unwrap_or(i64::MAX);
    run.recorder.record(&StatsDelta { active_flows, ..StatsDelta::default() });
}

fn write(run: &Run<'_>, chunk: &RowChunk, outputs: &mut Outputs, scratch: &mut RowScratch) -> Result<(), Error> {
    if chunk.is_empty() {
        return Ok(());
    }
    let encoder = outputs.encoder();
    let encoded = run.encode(chunk, &*encoder, scratch)?;
    run.write(outputs, encoded)
}
