//! The web configuration in force. A sensor runs for months and certificates for weeks, so its files are read anew when they change.
//!
//! A file that is caught half written must not open the server: what cannot be used, or would take TLS or authentication away,
//! is counted as a failed reload and changes nothing.

use super::ServerError;
use super::auth::Auth;
use super::web_config::{self, Web};
use crate::registry::Registry;
use crate::table::Id;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often the files are looked at, at most.
const EVERY: Duration = Duration::from_secs(1);

/// A web configuration that follows its files.
pub(super) struct Reloading {
    path: PathBuf,
    registry: Registry,
    state: Mutex<State>,
}

/// What a connection or a request is held to.
pub(super) struct Current {
    pub(super) auth: Auth,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
    guard: Guard,
}

/// What keeps strangers out.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Guard {
    tls: bool,
    passwords: bool,
    certificates: bool,
}

struct State {
    current: Arc<Current>,
    files: Vec<PathBuf>,
    seen: Vec<Stamp>,
    next: Instant,
}

/// Enough to notice that a file was written or replaced; none for a file that is not there.
type Stamp = Option<(SystemTime, u64)>;

impl Reloading {
    /// The configuration of the file; without one, neither TLS nor authentication, for good.
    pub(super) fn load(path: Option<&Path>, registry: &Registry) -> Result<Self, ServerError> {
        let path = path.unwrap_or(Path::new("")).to_owned();
        let mut files = Vec::new();
        let mut web = Web::default();
        if !path.as_os_str().is_empty() {
            web = web_config::load(&path)?;
            files = web.files(&path);
            for result in ["success", "failure"] {
                registry.each(|s| s.touch(Id::WebConfigReloads, &[result]));
            }
        }
        let seen = stamps(&files);
        let state = State { current: Arc::new(Current::new(web)), files, seen, next: Instant::now() + EVERY };
        Ok(Self { path, registry: registry.clone(), state: Mutex::new(state) })
    }

    /// The configuration in force, read anew where its files have changed.
    pub(super) fn current(&self) -> Arc<Current> {
        let mut state = self.state();
        let now = Instant::now();
        if !state.files.is_empty() && now >= state.next {
            state.next = now + EVERY;
            // Before they are read: a file that changes meanwhile is read again.
            let seen = stamps(&state.files);
            if seen != state.seen {
                state.seen = seen;
                let done = state.reload(&self.path);
                let result = if done { "success" } else { "failure" };
                self.registry.each(|s| s.add(Id::WebConfigReloads, &[result], 1));
            }
        }
        Arc::clone(&state.current)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reload(&mut self, path: &Path) -> bool {
        let Ok(web) = web_config::load(path) else { return false };
        let files = web.files(path);
        let next = Current::new(web);
        if !next.guard.keeps(self.current.guard) {
            return false;
        }
        if files != self.files {
            self.seen = stamps(&files);
            self.files = files;
        }
        self.current = Arc::new(next);
        true
    }
}

impl Current {
    fn new(web: Web) -> Self {
        let guard = Guard { tls: web.is_tls(), passwords: !web.users.is_empty(), certificates: web.has_client_auth() };
        Self {
            auth: Auth::new(web.users),
            #[cfg(feature = "tls")]
            tls: web.tls,
            guard,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.guard.tls
    }

    /// Whether anyone may read the metrics.
    pub(super) fn is_open(&self) -> bool {
        !self.guard.passwords && !self.guard.certificates
    }
}

impl Guard {
    fn keeps(self, before: Self) -> bool {
        self.tls >= before.tls && self.passwords >= before.passwords && self.certificates >= before.certificates
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| std::fs::metadata(file).ok().and_then(|m| Some((m.modified().ok()?, m.len())));
    files.iter().map(stamp).collect()
}
