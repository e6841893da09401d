//! Ctrl-C and its kin: the first asks the run to stop in good order, the second does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use joyfuljay::CancelToken;

/// What was asked for from outside while a run goes on.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Pulls the token at SIGINT, SIGTERM or SIGHUP; a second signal ends the process at once.
    ///
    /// Where handlers cannot be installed, the signals keep their default: the process just ends.
    #[cfg(unix)]
    pub fn watch(cancel: CancelToken) -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let interrupt = Self::default();
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return interrupt };
        let seen = Arc::clone(&interrupt.signal);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if seen.swap(signal, Ordering::Relaxed) != 0 {
                    std::process::exit(128 + signal);
                }
                cancel.cancel();
            }
        });
        interrupt
    }

    /// Signals keep their default: the process just ends.
    #[cfg(not(unix))]
    pub fn watch(_cancel: CancelToken) -> Self {
        Self::default()
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|s| *s != 0)
    }
}
