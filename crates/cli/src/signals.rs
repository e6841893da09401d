//! Ctrl-C and its kin: the first asks the run to stop in good order, the second does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
#[cfg(unix)]
use std::time::Duration;

use joyfuljay::RunControl;

/// How long a run has to stop in good order.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(1);

/// What was asked for from outside while a run goes on.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Pulls the token at SIGINT, SIGTERM or SIGHUP; a second signal ends the process at once, and so does a run that does not stop
    /// in time because it waits for a pipe that says nothing.
    ///
    /// Where handlers cannot be installed, the signals keep their default: the process just ends.
    #[cfg(unix)]
    pub fn watch(control: RunControl) -> Self {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let interrupt = Self::default();
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return interrupt };
        let seen = Arc::clone(&interrupt.signal);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if seen.swap(signal, Ordering::Relaxed) != 0 {
                    leave(signal);
                }
                control.cancel();
                std::thread::spawn(move || {
                    std::thread::sleep(PATIENCE);
                    leave(signal);
                });
            }
        });
        interrupt
    }

    /// Signals keep their default: the process just ends.
    #[cfg(not(unix))]
    pub fn watch(_control: RunControl) -> Self {
        Self::default()
    }

    /// The signal that came, if one did.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|s| *s != 0)
    }
}

/// Ends the process as the signal would have, without leaving half a file.
#[cfg(unix)]
fn leave(signal: i32) -> ! {
    joyfuljay_io::sink::remove_parts();
    std::process::exit(128 + signal);
}
