//! Ending a run from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Ends the runs that it was given to: in good order, or at once. Clones are the same control.
///
/// - [`RunControl::stop`]: no more input. What was read is finished, the output is written, the run is a success. This is
///   how a live capture ends.
/// - [`RunControl::cancel`]: the work is thrown away, also while rows are written already. No output file is left, as what
///   it would hold is not whole.
///
/// A run hears of it at its next batch; a source that is quiet is asked again within a second.
#[derive(Clone, Debug, Default)]
pub struct RunControl(Arc<AtomicU8>);

const STOPPED: u8 = 1;
const CANCELLED: u8 = 2;

impl RunControl {
    /// A control that lets runs go on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the run to take no more input and to finish. May be called from a signal handler's thread, any number of
    /// times.
    pub fn stop(&self) {
        self.0.fetch_max(STOPPED, Ordering::Relaxed);
    }

    /// Asks the run to leave everything as it is, also after [`RunControl::stop`]. May be called from a signal handler's
    /// thread, any number of times.
    pub fn cancel(&self) {
        self.0.fetch_max(CANCELLED, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop or was cancelled.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= STOPPED
    }

    /// Whether the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) == CANCELLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_outdoes_stopping() {
        let control = RunControl::new();
        let same = control.clone();
        assert!(!control.is_stopped());
        same.stop();
        assert!(control.is_stopped() && !control.is_cancelled());
        same.cancel();
        same.stop();
        assert!(control.is_stopped() && control.is_cancelled());
    }
}
