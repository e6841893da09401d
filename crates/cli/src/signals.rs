//! Ctrl-C and its kin. A run over files is cancelled by the first signal; a run over a pipe is stopped by it, as that is how
//! a live capture ends, and cancelled by the second. One more ends the process: something holds the run up that only its
//! other end can release, such as a pipe for rows that nobody reads.

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use joyfuljay::RunControl;
use joyfuljay_io::sink::Lasting;

/// What the process is at, which decides what a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Inputs and outputs are being opened: the signal ends the process.
    Opening,
    /// A run over stored captures.
    Files,
    /// A run over a named pipe from which nothing has come yet: there is nothing to finish.
    Waiting,
    /// A run over a pipe or a device, whose end need not come by itself.
    Stream,
    /// The run is over, its metrics are still served: the signal ends that.
    Over,
}

/// What was asked for from outside.
#[derive(Clone, Debug)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
    phase: Arc<AtomicU8>,
    reopens: Arc<OnceLock<Lasting>>,
}

impl Interrupt {
    /// Watches for SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// When handlers cannot be installed, or the thread that waits for signals cannot be started.
    pub fn watch(control: RunControl) -> io::Result<Self> {
        let interrupt = Self {
            signal: Arc::new(AtomicI32::new(0)),
            phase: Arc::new(AtomicU8::new(Phase::Opening as u8)),
            reopens: Arc::default(),
        };
        interrupt.install(control)?;
        Ok(interrupt)
    }

    #[cfg(unix)]
    fn install(&self, control: RunControl) -> io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let this = self.clone();
        let watch = move || {
            for signal in signals.forever() {
                if let (SIGHUP, Some(lasting)) = (signal, this.reopens.get()) {
                    lasting.reopen();
                    continue;
                }
                this.signal.store(signal, Ordering::Relaxed);
                let phase = this.phase.load(Ordering::Relaxed);
                if phase == Phase::Over as u8 {
                    continue;
                }
                if phase == Phase::Opening as u8 || control.is_cancelled() {
                    // Does not fail for these three; if it did, the next signal would try again.
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                } else if phase == Phase::Stream as u8 && !control.is_stopped() {
                    control.stop();
                } else {
                    control.cancel();
                }
            }
        };
        std::thread::Builder::new().name("jj-signals".into()).spawn(watch).map(drop)
    }

    /// Signals keep their default: the process just ends.
    #[cfg(not(unix))]
    fn install(&self, _control: RunControl) -> io::Result<()> {
        Ok(())
    }

    /// From now on SIGHUP ends nothing: it has a lasting output look whether its file was moved away.
    pub fn reopens(&self, lasting: Lasting) {
        // It is set once.
        let _ = self.reopens.set(lasting);
    }

    /// The named pipe that the run waited for has begun to give frames.
    pub fn begin(&self) {
        let [from, to] = [Phase::Waiting, Phase::Stream].map(|phase| phase as u8);
        // In any other phase it stays as it is.
        let _ = self.phase.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// From now on signals do what is right in this phase; those of the last one are forgotten.
    pub fn enter(&self, phase: Phase) {
        self.signal.store(0, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The signal that came in this phase, if one did.
    pub fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|s| *s != 0)
    }
}
