//! News of a run while it goes on.

use std::time::{Duration, Instant};

use joyfuljay_core::StatsDelta;
use joyfuljay_io::source::Position;

/// How far a run has come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Where in the input.
    pub position: Position,
    /// Totals so far. Workers may be a few batches behind the reader.
    pub stats: StatsDelta,
    /// Rows written so far.
    pub rows: u64,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Whoever wants to hear of a run's progress.
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

    /// Calls the listener, as it will hear nothing more.
    pub(crate) fn last(&mut self, news: impl FnOnce() -> Progress) {
        if let Some(listener) = &mut self.listener {
            listener(&news());
        }
    }

    /// Calls the listener if it is time, with what `news` makes.
    pub(crate) fn tick(&mut self, news: impl FnOnce() -> Progress) {
        if let Some(listener) = &mut self.listener {
            let now = Instant::now();
            if now >= self.next {
                self.next = now + Self::EVERY;
                listener(&news());
            }
        }
    }
}
