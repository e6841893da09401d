//! A source as messages: what each of its pulls brought, less what the filter and the sensor's own connections leave out.

use std::time::Duration;

use joyfuljay_core::frame::FrameFilter;
use joyfuljay_io::source::{PacketSource, Pulled, SourceError, SourceWarning, Trouble};

use super::log::Entry;
use super::own::Exclusion;
use crate::wire::{Encoder, End, MAX_INTERFACES, MAX_WARNINGS, Pull};

/// How long a source may wait for frames: the time within which it is heard that nobody wants any more.
const WAIT: Duration = Duration::from_millis(500);

/// A source that was opened.
pub struct Opened {
    /// The source.
    pub source: Box<dyn PacketSource>,
    /// Which of its frames are served.
    pub filter: Option<Box<dyn FrameFilter>>,
}

/// Makes messages of an open source.
pub(super) struct Feed {
    source: Box<dyn PacketSource>,
    filter: Option<Box<dyn FrameFilter>>,
    own: Option<Exclusion>,
    encoder: Encoder,
    pull: Pull,
    warnings: Vec<SourceWarning>,
    /// Why it ended, once it has.
    ended: Option<Option<String>>,
}

impl Feed {
    pub(super) fn new(opened: Opened, own: Option<Exclusion>, encoder: Encoder) -> Self {
        let Opened { source, filter } = opened;
        Self { source, filter, own, encoder, pull: Pull::default(), warnings: Vec::new(), ended: None }
    }

    pub(super) fn source(&self) -> &dyn PacketSource {
        &*self.source
    }

    /// No more input is wanted.
    pub(super) fn stop(&mut self) {
        self.source.stop();
    }

    /// Why it ended before its time, if it did.
    pub(super) fn error(&self) -> Option<String> {
        self.ended.clone().flatten()
    }

    /// The next message; none behind the last one. Where it is not to be sent, it is not made.
    pub(super) fn next(&mut self, encode: bool) -> Option<Entry> {
        if self.ended.is_some() {
            return None;
        }
        match self.pull() {
            Ok(true) => {}
            Ok(false) if self.warnings.is_empty() => {
                let useless = self.filter.as_ref().and_then(|filter| filter.useless());
                return Some(self.end(useless));
            }
            // Its last words go before its end.
            Ok(false) => {}
            Err(error) => return Some(self.end(Some(error.to_string()))),
        }
        let rest = self.warnings.split_off(MAX_WARNINGS.min(self.warnings.len()));
        self.pull.warnings = std::mem::replace(&mut self.warnings, rest);
        let bytes = match encode.then(|| self.encoder.pull(&self.pull)) {
            None => Vec::new(),
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Some(self.end(Some(error.to_string()))),
        };
        let frames = self.pull.batch.frames.len() as u64;
        let entry = Entry { bytes: bytes.into(), seq: self.pull.seq, frame: self.pull.frame, frames, last: false };
        self.pull.seq += 1;
        self.pull.frame += frames;
        Some(entry)
    }

    /// Pulls once. Whether there was something to pull.
    fn pull(&mut self) -> Result<bool, SourceError> {
        let pull = &mut self.pull;
        let pulled = self.source.pull(&mut pull.batch, WAIT);
        self.warnings.append(&mut self.source.take_warnings());
        match pulled? {
            Pulled::Frames { waited } => {
                (pull.waited, pull.now) = (waited, None);
                let earliest = pull.batch.frames.iter().map(|frame| frame.ts).min();
                if let Some(own) = &mut self.own {
                    own.apply(&mut pull.batch);
                }
                if let Some(filter) = &mut self.filter {
                    let batch = &mut pull.batch;
                    let data = std::mem::take(&mut batch.data);
                    batch.frames.retain(|frame| {
                        let bytes = data.get(frame.offset as usize..).and_then(|b| b.get(..frame.cap_len as usize));
                        filter.matches(frame.link, frame.wire_len, bytes.unwrap_or_default())
                    });
                    batch.data = data;
                    let said = filter.take_warnings().into_iter();
                    self.warnings.extend(said.map(|message| SourceWarning {
                        path: String::new(),
                        offset: 0,
                        trouble: Trouble::PassedOver,
                        message,
                    }));
                }
                // What is left out tells the time all the same.
                if pull.batch.frames.is_empty() {
                    pull.now = earliest;
                }
            }
            Pulled::Idle(now) => (pull.waited, pull.now) = (true, now),
            Pulled::End => {
                pull.batch.clear();
                (pull.waited, pull.now) = (false, None);
                return Ok(false);
            }
        }
        pull.clock = self.source.clock();
        pull.lag = self.source.lag();
        pull.drops = self.source.drops();
        pull.position = self.source.position();
        pull.interfaces = self.source.interfaces();
        pull.interfaces.truncate(MAX_INTERFACES);
        Ok(true)
    }

    fn end(&mut self, error: Option<String>) -> Entry {
        self.ended = Some(error.clone());
        let end = End { seq: self.pull.seq, frames: self.pull.frame, error };
        let (seq, frame) = (end.seq, end.frames);
        Entry { bytes: end.encode().into(), seq, frame, frames: 0, last: true }
    }
}
