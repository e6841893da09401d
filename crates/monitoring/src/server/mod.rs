//! The `/metrics` server: on a thread of its own, so that a scrape is answered whatever the pipeline or an interpreter does.
//!
//! A client may be hostile or broken: every wait has an end, connections and concurrent renderings are bounded, connections take turns,
//! and when they run out the longest idle one makes room, so that neither silent nor greedy clients keep a scraper out.

mod accept;
mod auth;
mod checks;
mod deadline;
mod encoding;
mod files;
mod http;
mod past;
mod reload;
#[cfg(feature = "tls")]
mod tls;
mod web_config;

use self::reload::Reloading;
use crate::exposition::Format;
use crate::registry::{Registry, default_registry};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Text of families that live elsewhere (a Python registry, say) and are shown by the same server.
pub trait ForeignText: Send + Sync {
    /// The families in the format, those of `names` only if there are names. Called on a thread of its own, one call at a
    /// time; an answer that comes after [`ServerOptions::foreign_timeout`] is left out of the scrape.
    fn render(&self, format: Format, names: &[String]) -> Result<String, String>;
}

/// Sets what `/readyz` says, also from another thread than that which has the server.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// 200 or 503.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Relaxed);
    }
}

/// Limits and extras of a server.
#[derive(Clone)]
pub struct ServerOptions {
    /// Connections kept at once; beyond that the longest idle one is closed. Never more than half of the process' file limit.
    pub max_connections: usize,
    /// Scrapes rendered at once; beyond that the answer is 503.
    pub max_scrapes: usize,
    /// A request's header, or a TLS handshake, must be here within this time; also how long a connection may idle.
    pub header_timeout: Duration,
    /// An answer must have left within this time once the client stops reading.
    pub write_timeout: Duration,
    /// Families from elsewhere, shown after those of the registry.
    pub foreign: Option<Arc<dyn ForeignText>>,
    /// How long a scrape waits for these.
    pub foreign_timeout: Duration,
    /// A Prometheus web configuration file: TLS and basic authentication. It and the certificates that it names are read anew when
    /// they change.
    pub web_config: Option<PathBuf>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_scrapes: 8,
            header_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            foreign: None,
            foreign_timeout: Duration::from_secs(3),
            web_config: None,
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}:{port}: {source}{}", hint(source, *port))]
    Bind {
        /// The address asked for.
        addr: String,
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The web configuration file cannot be used.
    #[error("{}: {reason}", path.display())]
    WebConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// No thread or no runtime could be made.
    #[error("cannot start the metrics server's thread: {0}")]
    Thread(#[source] io::Error),
}

impl ServerError {
    /// The system's error, where there is one: Python raises it as `OSError` with its number.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Bind { source, .. } | Self::Thread(source) => Some(source),
            Self::WebConfig { .. } => None,
        }
    }
}

/// A running server; closed by [`ServerHandle::close`] or when dropped. A fork does not copy it: the child has no server.
#[derive(Debug)]
pub struct ServerHandle {
    addr: SocketAddr,
    descriptor: Option<i32>,
    tls: bool,
    open: bool,
    ready: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Listens on `addr` (an IP address or a host name) and `port` (0 for any free one) and shows the registry there. It listens when this
/// returns.
pub fn start_server(
    addr: &str,
    port: u16,
    registry: &Registry,
    options: ServerOptions,
) -> Result<ServerHandle, ServerError> {
    let web = Arc::new(Reloading::load(options.web_config.as_deref(), registry)?);
    web.follow().map_err(ServerError::Thread)?;
    let (tls, open) = (web.current().is_tls(), web.current().is_open());
    let (stop, stopped) = watch::channel(false);
    let ready = Arc::new(AtomicBool::new(true));
    let app = Arc::new(http::App::new(registry.clone(), options, web, Arc::clone(&ready)));
    let (started, start) = mpsc::channel();
    let host = addr.to_owned();
    let run = move || accept::run(&host, port, app, stopped, &started);
    let thread = std::thread::Builder::new().name("jj-metrics".to_owned()).spawn(run).map_err(ServerError::Thread)?;
    let (addr, descriptor) =
        start.recv().unwrap_or_else(|_| Err(ServerError::Thread(io::Error::other("the thread ended"))))?;
    Ok(ServerHandle { addr, descriptor, tls, open, ready, stop, thread: Some(thread) })
}

/// Shows the default registry on every address of this machine, without TLS or authentication: [`start_server`] for more.
/// [`ServerHandle::warning`] has what that means.
pub fn start_prometheus_server(port: u16) -> Result<ServerHandle, ServerError> {
    start_server("0.0.0.0", port, default_registry(), ServerOptions::default())
}

impl ServerHandle {
    /// The port, also when any free one was asked for.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Number of the listening socket, on Unix: a process that is forked has a copy of it, and keeps the port until it closes it.
    pub fn descriptor(&self) -> Option<i32> {
        self.descriptor
    }

    /// Where to point a browser on this machine; `metrics` below it is for Prometheus.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let ip = self.addr.ip();
        let local = if ip.is_unspecified() { "localhost".to_owned() } else { ip.to_string() };
        let host = if local.contains(':') { format!("[{local}]") } else { local };
        format!("{scheme}://{host}:{}/", self.addr.port())
    }

    /// A warning for the user: the metrics can be read from other machines by anyone.
    pub fn warning(&self) -> Option<String> {
        (self.open && !self.addr.ip().is_loopback()).then(|| {
            format!(
                "metrics on {} can be read by anyone who reaches this machine; listen on 127.0.0.1, or give a web \
                 configuration file with basic_auth_users",
                self.addr
            )
        })
    }

    /// What `/readyz` says: 200 (from the start) or 503.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Relaxed);
    }

    /// What sets it from elsewhere.
    pub fn readiness(&self) -> Readiness {
        Readiness(Arc::clone(&self.ready))
    }

    /// Stops listening, lets answers under way leave (2 s at most), ends the thread.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.shut();
    }
}

fn hint(error: &io::Error, port: u16) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse if port == 9090 => {
            "; another program has the port, likely Prometheus itself, whose default it is: choose another port, or 0 for any"
        }
        io::ErrorKind::AddrInUse => "; another program has the port: choose another, or 0 for any free one",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: choose a higher one",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have the address: use 127.0.0.1, or 0.0.0.0 for all",
        _ => "",
    }
    .to_owned()
}
