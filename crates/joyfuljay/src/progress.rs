//! How far a run has come, while it goes on.

use std::time::{Duration, Instant};

use joyfuljay_core::StatsDelta;
use joyfuljay_io::source::{Clock, Position};

/// How far a run has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Where in the input.
    pub position: Position,
    /// What says the time where frames arrive one by one (pipes, devices) and the run has had to wait for some.
    pub clock: Option<Clock>,
    /// Totals so far. Workers may be a few batches behind the reader.
    pub stats: StatsDelta,
    /// Rows written so far.
    pub rows: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Called with a run's progress.
pub(crate) type Listener = Box<dyn FnMut(&Progress) + Send>;

/// Calls the listener now and then.
pub(crate) struct Reporter {
    listener: Option<Listener>,
    next: Instant,
}

impl Reporter {
    /// Often enough for a bar that moves smoothly.
    const EVERY: Duration = Duration::from_millis(100);

    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self { listener, next: Instant::now() }
    }

    /// Calls the listener for the last time.
    pub(crate) fn last(&mut self, progress: impl FnOnce() -> Progress) {
        if let Some(listener) = &mut self.listener {
            listener(&progress());
        }
    }

    /// Calls the listener if it is time.
    pub(crate) fn tick(&mut self, progress: impl FnOnce() -> Progress) {
        if let Some(listener) = &mut self.listener {
            let now = Instant::now();
            if now >= self.next {
                self.next = now + Self::EVERY;
                listener(&progress());
            }
        }
    }
}
