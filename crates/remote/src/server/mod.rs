//! A sensor: serves the frames of a source to clients that know its token.
//!
//! Interfaces and pipes are read once for all clients, from the first client on, into a log of messages that each of them follows at
//! its own pace ([`log`]). Stored captures are read for each client by itself, as fast as it takes them: nothing is lost.

mod attempts;
mod client;
mod feed;
mod gate;
mod listen;
mod log;
mod own;
mod session;

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use joyfuljay_core::metrics::{MetricsSink, NoMetrics, RemoteDelta};
use joyfuljay_io::source::SourceError;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::attempts::Attempts;
use self::own::Own;
use self::session::Sessions;
use crate::discovery::{Announce, Announcement};
use crate::tls::{self, TlsError};
use crate::wire::SessionId;
use crate::{DEFAULT_PORT, KEEPALIVE, Token};

pub use feed::Opened;

/// Opens what is served.
pub type Open = Arc<dyn Fn() -> Result<Opened, SourceError> + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub enum Input {
    /// Captures that lie there, all of them to each client.
    Stored {
        /// Opens them at their beginning.
        open: Open,
        /// What tells them from others, so that a client can go on after the sensor has been started anew: see [`identity`].
        identity: SessionId,
    },
    /// Interfaces, or a pipe: each client gets what comes while it is there.
    Stream {
        /// Opens it, when the first client has come.
        open: Open,
    },
}

/// How to serve.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Address or name to listen on. `::` is all addresses, of IPv4 too.
    pub host: String,
    /// Port; 0 takes any free one.
    pub port: u16,
    /// What clients must know.
    pub token: Token,
    /// What the sensor calls itself: its clients' metrics bear it.
    pub name: String,
    /// Clients at once; 0 sets no limit of its own.
    pub max_clients: usize,
    /// Bytes a second that a client gets at most.
    pub max_bandwidth: Option<u64>,
    /// Certificate and key; without, nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// Whether messages are compressed.
    pub compress: bool,
    /// Bytes of messages that are kept for clients that are slow or away.
    pub buffer: usize,
    /// See [`KEEPALIVE`].
    pub keepalive: Duration,
    /// Whether and how it is announced.
    pub announce: Option<Announce>,
    /// Where counts go.
    pub metrics: Arc<dyn MetricsSink>,
    /// Where words for people go.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
}

/// TLS of a server, PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// Authorities one of which must have signed each client's certificate.
    pub client_ca: Option<PathBuf>,
}

impl ServerOptions {
    /// 64 MiB: a minute of a busy link, and more than the largest message.
    pub const BUFFER: usize = 64 << 20;

    /// What the older version took.
    pub const MAX_CLIENTS: usize = 5;

    /// With a token.
    pub fn new(token: Token) -> Self {
        Self {
            host: "::".into(),
            port: DEFAULT_PORT,
            token,
            name: "sensor".into(),
            max_clients: Self::MAX_CLIENTS,
            max_bandwidth: None,
            tls: None,
            compress: true,
            buffer: Self::BUFFER,
            keepalive: KEEPALIVE,
            announce: None,
            metrics: Arc::new(NoMetrics),
            say: Arc::new(|_| {}),
        }
    }
}

/// Why a sensor does not serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {host} port {port}: {error}")]
    Bind {
        /// As asked for.
        host: String,
        /// As asked for.
        port: u16,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It cannot be announced.
    #[error("the sensor cannot be announced: {0}")]
    Announce(String),
    /// No thread, no runtime or no random number could be had.
    #[error("the sensor cannot be started: {0}")]
    Start(String),
    /// What is served ended with an error.
    #[error("{0}")]
    Source(String),
}

/// Counts of a server.
#[derive(Debug, Default)]
struct Counts {
    clients: AtomicUsize,
    messages: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    auth_failures: AtomicU64,
    captured: AtomicU64,
}

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Clients now.
    pub clients: usize,
    /// Messages sent.
    pub messages: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frames that clients were too slow for.
    pub lost: u64,
    /// Clients turned away for a wrong token.
    pub auth_failures: u64,
    /// Frames read from a stream, for all clients.
    pub captured: u64,
}

/// What a server is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It serves.
    #[default]
    Running,
    /// The stream has ended: clients get what there is.
    Ended,
    /// It was told to end.
    Stopped,
}

/// What all connections of a server share.
struct Shared {
    options: ServerOptions,
    tls: Option<TlsAcceptor>,
    attempts: Mutex<Attempts>,
    counts: Counts,
    own: Own,
    sessions: Sessions,
    stop: watch::Sender<Phase>,
}

impl Shared {
    fn say(&self, words: &str) {
        (self.options.say)(words);
    }

    fn tell(&self, delta: RemoteDelta) {
        self.options.metrics.remote(&delta);
    }
}

/// A running server. Stopped by [`ServerHandle::stop`] or when dropped.
pub struct ServerHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    announcement: Option<Announcement>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Serves an input. It listens when this returns; nothing is read before the first client has shown the token.
///
/// # Errors
/// When the address, the certificate or the announcement cannot be used.
pub fn serve(input: Input, options: ServerOptions) -> Result<ServerHandle, ServerError> {
    let acceptor = match &options.tls {
        Some(files) => Some(tls::acceptor(&files.cert, &files.key, files.client_ca.as_deref())?),
        None => None,
    };
    let failed = |e: &dyn fmt::Display| ServerError::Start(e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One for TLS of one client while another's is under way; most of the time is the kernel's.
        .worker_threads(2)
        .thread_name("jj-remote")
        .enable_all()
        .build()
        .map_err(|e| failed(&e))?;
    let bound = {
        let _inside = runtime.enter();
        listen::bind(&options.host, options.port).and_then(|listener| listener.local_addr().map(|a| (listener, a)))
    };
    let (listener, address) =
        bound.map_err(|error| ServerError::Bind { host: options.host.clone(), port: options.port, error })?;
    let announcement = match &options.announce {
        Some(announce) => {
            let announced = Announcement::new(announce, address, options.tls.is_some());
            Some(announced.map_err(ServerError::Announce)?)
        }
        None => None,
    };
    // Clients see at 0 what may happen to them.
    options.metrics.remote(&RemoteDelta::default());
    let (stop, _) = watch::channel(Phase::Running);
    let own = Own::new(address.port());
    let sessions = Sessions::new(input, own.clone()).map_err(|e| failed(&e))?;
    let shared = Arc::new(Shared {
        tls: acceptor,
        attempts: Mutex::default(),
        counts: Counts::default(),
        own,
        sessions,
        stop,
        options,
    });
    let serving = Arc::clone(&shared);
    let run = move || {
        runtime.block_on(gate::accept(listener, Arc::clone(&serving)));
        let ended = serving.sessions.end();
        // A capture that is being read for a client is left.
        runtime.shutdown_background();
        ended.map_or(Ok(()), |error| Err(ServerError::Source(error)))
    };
    let thread = std::thread::Builder::new().name("jj-remote".into()).spawn(run).map_err(|e| failed(&e))?;
    Ok(ServerHandle { address, shared, announcement, thread: Some(thread) })
}

impl ServerHandle {
    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn stats(&self) -> ServerStats {
        let counts = &self.shared.counts;
        ServerStats {
            clients: counts.clients.load(Relaxed),
            messages: counts.messages.load(Relaxed),
            bytes: counts.bytes.load(Relaxed),
            lost: counts.lost.load(Relaxed),
            auth_failures: counts.auth_failures.load(Relaxed),
            captured: counts.captured.load(Relaxed),
        }
    }

    /// Whether it serves. It ends by itself when a stream does.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Asks it to end: what a stream has brought is sent, for some seconds at most.
    pub fn stop(&self) {
        self.shared.stop.send_replace(Phase::Stopped);
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When what it served ended with an error.
    pub fn wait(mut self) -> Result<(), ServerError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), ServerError> {
        let ended = match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(ServerError::Start("a thread panicked".into()))),
            None => Ok(()),
        };
        if let Some(announcement) = self.announcement.take() {
            announcement.end();
        }
        ended
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stop();
        // Who wanted to know how it ended has waited.
        let _ = self.join();
    }
}

/// What tells captures from others: their names, sizes and times of change, and the filter.
pub fn identity<P: AsRef<Path>>(paths: &[P], filter: Option<&str>) -> SessionId {
    let mut hash = Sha256::new();
    for path in paths {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.as_ref().to_owned());
        hash.update(path.as_os_str().as_encoded_bytes());
        let meta = fs::metadata(&path).ok();
        let changed = meta.as_ref().and_then(|meta| meta.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        hash.update(meta.map_or(0, |meta| meta.len()).to_le_bytes());
        hash.update(changed.unwrap_or_default().as_nanos().to_le_bytes());
    }
    hash.update(filter.unwrap_or_default().as_bytes());
    let digest = hash.finalize();
    std::array::from_fn(|i| digest[i])
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
