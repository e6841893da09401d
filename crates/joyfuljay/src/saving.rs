//! Frames that are saved as they go by.

use std::time::{SystemTime, UNIX_EPOCH};

use joyfuljay_core::frame::{FrameBatch, TimeNs};
use joyfuljay_io::save::{CaptureWriter, SaveError, Saved};
use joyfuljay_io::source::Clock;

use crate::Error;
use crate::recorder::Recorder;

/// A capture in the making, and what is done when it cannot be written.
pub(crate) struct Saving {
    writer: CaptureWriter,
    or_lose: bool,
    /// Whether the last batch could not be written.
    failing: bool,
}

impl Saving {
    pub(crate) fn new(writer: CaptureWriter, or_lose: bool) -> Self {
        Self { writer, or_lose, failing: false }
    }

    /// Saves a batch, which is empty where the wire was quiet, and closes the file where its time is over.
    pub(crate) fn write(
        &mut self,
        frames: &FrameBatch,
        clock: Option<Clock>,
        recorder: &Recorder,
    ) -> Result<(), Error> {
        let before = self.writer.saved();
        let written = self.writer.write_batch(frames).and_then(|()| match clock {
            Some(Clock::Running) => self.writer.tick(now()),
            _ => Ok(()),
        });
        let now = self.writer.saved();
        if !frames.frames.is_empty() {
            recorder.metrics().frames_saved(now.frames - before.frames, now.lost - before.lost);
        }
        match written {
            Err(error) if self.or_lose => {
                self.lost(&error, recorder);
                Ok(())
            }
            written => {
                // An empty batch proves nothing.
                self.failing &= frames.frames.is_empty();
                Ok(written?)
            }
        }
    }

    /// Counts the error, and says the first of a row.
    fn lost(&mut self, error: &SaveError, recorder: &Recorder) {
        recorder.metrics().error("output");
        if !std::mem::replace(&mut self.failing, true) {
            recorder.warn(format!("{error}; frames are lost until it can be written again"));
        }
    }

    pub(crate) fn finish(self) -> Result<Saved, Error> {
        let saved = self.writer.saved();
        match self.writer.finish() {
            Err(_) if self.or_lose => Ok(saved),
            finished => Ok(finished?),
        }
    }

    pub(crate) fn discard(self) {
        self.writer.discard();
    }
}

/// The time of a running clock, see [`Clock::Running`].
fn now() -> TimeNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeNs::try_from(since.as_nanos()).unwrap_or(TimeNs::MAX)
}
