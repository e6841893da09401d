//! What systemd is told (sd_notify(3)): that the capture stands, that it ends, and, where the unit has a watchdog, that it is
//! alive. The protocol is lines in a datagram, so no library is needed.
//!
//! Alive is a run that moves: its reader comes round several times a second, also on a quiet wire. A sink that waits for its other
//! end is no fault of ours. A thread that hangs stops the reader, as all queues are bounded, and then nothing is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use joyfuljay_io::sink::Lasting;

use crate::say;

/// Who started us, if it wants to be told.
#[derive(Clone, Debug)]
pub struct Notify(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    #[cfg(unix)]
    to: Option<std::os::unix::net::UnixDatagram>,
    begun: Instant,
    /// Milliseconds from the beginning to the last sign of life.
    moved: AtomicU64,
    stopping: AtomicBool,
    sink: Lasting,
}

impl Notify {
    /// As `NOTIFY_SOCKET` says. Where it is not set, nobody is told.
    pub fn from_environment(sink: Lasting) -> Self {
        Self(Arc::new(Inner {
            #[cfg(unix)]
            to: connect(),
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            sink,
        }))
    }

    /// Everything stands.
    pub fn ready(&self, status: &str) {
        self.0.send(&format!("READY=1\nSTATUS={status}"));
        if let Some(period) = watchdog() {
            let inner = Arc::clone(&self.0);
            let watch = move || inner.keep_alive(period);
            if let Err(e) = std::thread::Builder::new().name("jj-watchdog".into()).spawn(watch) {
                say::warning(format_args!("the watchdog will not hear of us: no thread could be started: {e}"));
            }
        }
    }

    /// A sign of life.
    pub fn progress(&self, stopping: bool) {
        self.0.moved.store(self.0.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
        if stopping {
            self.stopping();
        }
    }

    /// The end has begun.
    pub fn stopping(&self) {
        if !self.0.stopping.swap(true, Ordering::Relaxed) {
            self.0.send("STOPPING=1");
        }
    }
}

impl Inner {
    #[cfg(unix)]
    fn send(&self, state: &str) {
        if let Some(socket) = &self.to {
            // Who does not listen does not want to know.
            let _ = socket.send(state.as_bytes());
        }
    }

    #[cfg(not(unix))]
    fn send(&self, _state: &str) {}

    /// Twice within each period, as systemd recommends.
    fn keep_alive(&self, period: Duration) {
        loop {
            if self.is_alive(period) {
                self.send("WATCHDOG=1");
            }
            std::thread::sleep(period / 2);
        }
    }

    /// Whether the run has moved within a period, or waits for where its rows go.
    fn is_alive(&self, period: Duration) -> bool {
        let still = self.begun.elapsed().saturating_sub(Duration::from_millis(self.moved.load(Ordering::Relaxed)));
        still < period || self.sink.is_busy()
    }
}

/// The period of the watchdog, if there is one and it is for this process.
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    if number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|usec| *usec > 0).map(Duration::from_micros)
}

#[cfg(unix)]
fn connect() -> Option<std::os::unix::net::UnixDatagram> {
    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let socket = std::os::unix::net::UnixDatagram::unbound().ok()?;
    let connected = match name.as_encoded_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            std::os::unix::net::SocketAddr::from_abstract_name(name).and_then(|address| socket.connect_addr(&address))
        }
        _ => socket.connect(&name),
    };
    connected.ok().map(|()| socket)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use joyfuljay_io::sink::{Encoded, RowSink, SinkError, Written};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(1800);

    /// A run that began an hour ago.
    fn begun(sink: Lasting) -> Notify {
        Notify(Arc::new(Inner {
            #[cfg(unix)]
            to: None,
            begun: Instant::now().checked_sub(2 * PERIOD).unwrap(),
            moved: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            sink,
        }))
    }

    /// A place that takes a flush when it is told to.
    struct Slow(Receiver<()>);

    impl RowSink for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn write(&mut self, _chunk: Encoded) -> Result<(), SinkError> {
            Ok(())
        }

        fn flush(&mut self) -> Result<(), SinkError> {
            self.0.recv().unwrap();
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<Written, SinkError> {
            Ok(Written::default())
        }

        fn bytes_written(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_run_that_hangs_is_not_alive_and_one_that_moves_is() {
        let notify = begun(Lasting::default());
        assert!(!notify.0.is_alive(PERIOD));
        notify.progress(false);
        assert!(notify.0.is_alive(PERIOD));
    }

    #[test]
    fn a_run_that_waits_for_its_output_is_alive() {
        let lasting = Lasting::default();
        let notify = begun(lasting.clone());
        let (go_on, told) = channel();
        let mut sink = lasting.around(Box::new(Slow(told)));
        let writing = std::thread::spawn(move || sink.flush());
        while !lasting.is_busy() {
            std::thread::yield_now();
        }
        assert!(notify.0.is_alive(PERIOD));
        go_on.send(()).unwrap();
        writing.join().unwrap().unwrap();
        assert!(!notify.0.is_alive(PERIOD));
    }
}
