//! The loop over a source: pull, decode, say when rows must leave. There is no other; serial and parallel runs and
//! [`crate::Flows`] differ in what they do with a decoded batch.
//!
//! Rows leave in chunks, and nobody should wait for a full chunk on a quiet wire. Full chunks depend on the input alone,
//! as the bytes of some formats depend on them; so a chunk is cut short only where the source itself was slower than a
//! batch, or where frames arrive as they are captured, which no second run can repeat.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use joyfuljay_core::engine::{EngineSettings, Front, PacketBatch};
use joyfuljay_core::frame::{FrameFilter, SlicePart, TimeNs};
use joyfuljay_core::metrics::{Mode, Stage};
use joyfuljay_io::save::Saved;
use joyfuljay_io::source::{Clock, PacketSource, Pulled};

use crate::progress::Reporter;
use crate::recorder::Recorder;
use crate::saving::Saving;
use crate::{Error, Progress, RunControl};

/// How long a source may wait for frames: the time within which a run hears that it is to end, and half of the time that
/// rows wait on a slow wire.
const PULL_WAIT: Duration = Duration::from_millis(500);

/// How often rows leave while frames arrive as they are captured, however many there are.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What is to be done with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Track it.
    Batch {
        /// Then hand on the rows that have ended, though they make no full chunk.
        flush: bool,
    },
    /// Track it, it holds what had waited. Then all flows end, as the input has.
    Last,
    /// Nothing: the run was cancelled.
    Cancelled,
}

/// A source on its way through a run.
pub(crate) struct Drive {
    source: Box<dyn PacketSource>,
    front: Front,
    control: RunControl,
    reporter: Reporter,
    flushed: Instant,
    stopped: bool,
    clock: Option<Clock>,
    saving: Option<Saving>,
    /// The earliest and the latest time of others, for which it stands.
    others: [Option<TimeNs>; 2],
    /// Whether a filter that says nothing of its frames is no error yet, as others may have frames of another type.
    one_of_several: bool,
    /// Why no frame could be judged, where there were some and that is so.
    useless: Option<String>,
    /// Whether there were others whose frames were judged.
    others_judged: bool,
}

impl Drive {
    pub(crate) fn new(
        source: Box<dyn PacketSource>,
        settings: &EngineSettings,
        control: RunControl,
        reporter: Reporter,
    ) -> Self {
        let front = Front::new(settings);
        Self {
            source,
            front,
            control,
            reporter,
            flushed: Instant::now(),
            stopped: false,
            clock: None,
            saving: None,
            others: [None; 2],
            one_of_several: false,
            useless: None,
            others_judged: false,
        }
    }

    /// Takes it for one of several, which are judged together: see [`Drive::verdict`].
    pub(crate) fn one_of_several(mut self) -> Self {
        self.one_of_several = true;
        self
    }

    pub(crate) fn with_filter(mut self, filter: Option<Box<dyn FrameFilter>>) -> Self {
        self.front.set_filter(filter);
        self
    }

    pub(crate) fn saving(mut self, saving: Option<Saving>) -> Self {
        self.saving = saving;
        self
    }

    /// As [`Front::resume`].
    pub(crate) fn resume(&mut self, flows: Option<HashMap<u64, TimeNs>>) {
        self.front.resume(flows);
    }

    /// Makes the next batch, in the memory of an old one.
    pub(crate) fn next(&mut self, recorder: &Recorder, batch: &mut PacketBatch) -> Result<Turn, Error> {
        if self.control.is_cancelled() {
            return Ok(Turn::Cancelled);
        }
        if self.control.is_stopped() && !self.stopped {
            self.stopped = true;
            self.source.stop();
        }
        // Behind a slice nothing is wanted but the rest of its flows.
        if self.source.slice_part() == Some(SlicePart::LeadOut) && recorder.totals().active_flows == 0 {
            self.source.stop();
        }
        let pulled = self.source.pull(&mut batch.frames, PULL_WAIT)?;
        self.front.enter(self.source.slice_part().unwrap_or_default());
        let turn = match pulled {
            Pulled::Frames { waited } => {
                recorder.timed(Stage::Decode, || self.front.decode(batch));
                if let Some(saving) = &mut self.saving {
                    saving.write(&batch.frames, self.source.clock(), recorder)?;
                }
                Turn::Batch { flush: self.flush_is_due(waited) }
            }
            Pulled::Idle(now) => {
                self.front.idle(now, batch);
                if let Some(saving) = &mut self.saving {
                    saving.write(&batch.frames, self.source.clock(), recorder)?;
                }
                Turn::Batch { flush: self.flush_is_due(true) }
            }
            Pulled::End => {
                self.useless = self.front.filter().and_then(|filter| filter.useless());
                if !self.one_of_several {
                    self.verdict()?;
                }
                self.front.finish(batch);
                Turn::Last
            }
        };
        if let Some(filter) = self.front.filter() {
            filter.take_warnings().into_iter().for_each(|warning| recorder.warn(warning));
        }
        recorder.record(&batch.stats);
        recorder.read(&mut *self.source, self.front.last_ts());
        self.reporter.tick(|| progress(&*self.source, self.clock, recorder));
        Ok(turn)
    }

    /// Whether rows must leave after a batch, which may be short because no more frames came in time.
    fn flush_is_due(&mut self, waited: bool) -> bool {
        let clock = self.source.clock();
        // That a source brings old packets matters to nobody before it has kept a run waiting.
        if waited || clock == Some(Clock::Running) {
            self.clock = clock.or(self.clock);
        }
        let due = waited || (clock == Some(Clock::Running) && self.flushed.elapsed() >= FLUSH_EVERY);
        if due {
            self.flushed = Instant::now();
        }
        due
    }

    /// Adds what another one saw, which has come to its end.
    pub(crate) fn add(&mut self, other: &Self) {
        let [first, last] = &mut self.others;
        *first = (*first).into_iter().chain(other.first_ts()).min();
        *last = (*last).max(other.last_ts());
        self.stopped |= other.stopped;
        self.others_judged |= other.useless.is_none() && other.first_ts().is_some();
        if self.useless.is_none() {
            self.useless.clone_from(&other.useless);
        }
    }

    /// An error where the filter suits no frame, of its own and of the others that it stands for.
    pub(crate) fn verdict(&self) -> Result<(), Error> {
        match &self.useless {
            Some(reason) if !self.others_judged => Err(Error::FilterUseless(reason.clone())),
            _ => Ok(()),
        }
    }

    /// Passes on how far the source has come.
    pub(crate) fn read(&mut self, recorder: &Recorder) {
        let last = self.last_ts();
        recorder.read(&mut *self.source, last);
    }

    /// Calls the progress callback while rows that have waited come out, if it is time.
    pub(crate) fn report(&mut self, recorder: &Recorder) {
        self.reporter.tick(|| progress(&*self.source, self.clock, recorder));
    }

    /// Calls the progress callback a last time, when everything is done.
    pub(crate) fn report_end(&mut self, recorder: &Recorder) {
        self.reporter.last(|| progress(&*self.source, self.clock, recorder));
    }

    /// Closes the capture that was saved.
    pub(crate) fn finish_saving(&mut self) -> Result<Option<Saved>, Error> {
        self.saving.take().map(Saving::finish).transpose()
    }

    /// The source.
    pub(crate) fn source(&self) -> &dyn PacketSource {
        &*self.source
    }

    /// Whether the run was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.control.is_cancelled()
    }

    /// Whether the input was ended by [`RunControl::stop`].
    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// What says the time where frames arrive one by one and the run has had to wait for some.
    pub(crate) fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// The earliest packet time.
    pub(crate) fn first_ts(&self) -> Option<TimeNs> {
        self.others[0].into_iter().chain(self.front.first_ts()).min()
    }

    /// The latest packet time.
    pub(crate) fn last_ts(&self) -> Option<TimeNs> {
        self.others[1].max(self.front.last_ts())
    }
}

fn progress(source: &dyn PacketSource, clock: Option<Clock>, recorder: &Recorder) -> Progress {
    Progress {
        position: source.position(),
        clock,
        stats: recorder.totals(),
        rows: recorder.rows(),
        elapsed: recorder.elapsed(),
    }
}

impl Drop for Drive {
    /// A run over files that did not come to its end leaves no output. What was captured cannot be captured again.
    fn drop(&mut self) {
        if let Some(saving) = self.saving.take() {
            match self.source.mode() {
                Mode::Pcap => saving.discard(),
                // Nobody is left to be told.
                _ => drop(saving.finish()),
            }
        }
    }
}
