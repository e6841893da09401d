//! The web configuration in force. A sensor runs for months and certificates for weeks, so its files are read anew when they change,
//! by a thread of its own: files may be on a network that hangs, and scrapes go on.
//!
//! A file that is caught half written must not open the server: what cannot be used, or would take TLS or authentication away,
//! is counted as a failed reload and changes nothing.

use super::ServerError;
use super::auth::{Passwords, Users};
use super::web_config::{self, Web};
use crate::registry::Registry;
use crate::table::Id;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// A web configuration that follows its files.
pub(super) struct Reloading {
    path: PathBuf,
    registry: Registry,
    pub(super) passwords: Passwords,
    current: Mutex<Arc<Current>>,
}

/// What a connection or a request is held to.
pub(super) struct Current {
    pub(super) users: Users,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
    guard: Guard,
    /// Every file that it was made of; none where there is no web configuration.
    files: Vec<PathBuf>,
}

/// What keeps strangers out.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Guard {
    tls: bool,
    passwords: bool,
    certificates: bool,
}

/// Enough to notice that a file was written or replaced; none for a file that is not there.
type Stamp = Option<(SystemTime, u64)>;

impl Reloading {
    /// The configuration of the file; without one, neither TLS nor authentication, for good.
    pub(super) fn load(path: Option<&Path>, registry: &Registry) -> Result<Self, ServerError> {
        let path = path.unwrap_or(Path::new("")).to_owned();
        let mut current = Current::new(Web::default(), vec![]);
        if !path.as_os_str().is_empty() {
            let web = web_config::load(&path)?;
            let files = web.files(&path);
            current = Current::new(web, files);
            for result in ["success", "failure"] {
                registry.each(|s| s.touch(Id::WebConfigReloads, &[result]));
            }
        }
        Ok(Self {
            path,
            registry: registry.clone(),
            passwords: Passwords::new(),
            current: Mutex::new(Arc::new(current)),
        })
    }

    /// Follows the files, where there are any, for as long as somebody else has this configuration.
    pub(super) fn follow(self: &Arc<Self>) -> io::Result<()> {
        let files = &self.current().files;
        if files.is_empty() {
            return Ok(());
        }
        let mut seen = stamps(files);
        let this = Arc::downgrade(self);
        let follow = move || {
            loop {
                std::thread::sleep(EVERY);
                let Some(this) = this.upgrade() else { return };
                this.look(&mut seen);
            }
        };
        std::thread::Builder::new().name("jj-web-config".to_owned()).spawn(follow).map(drop)
    }

    /// Reads the configuration anew where its files have changed.
    fn look(&self, seen: &mut Vec<Stamp>) {
        let files = &self.current().files;
        // Before they are read: a file that changes meanwhile is read again.
        let found = stamps(files);
        if found == *seen {
            return;
        }
        *seen = found;
        let next = self.reload();
        let result = if next.is_some() { "success" } else { "failure" };
        if let Some(next) = next {
            if next.files != *files {
                *seen = stamps(&next.files);
            }
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        self.registry.each(|s| s.add(Id::WebConfigReloads, &[result], 1));
    }

    fn reload(&self) -> Option<Current> {
        let web = web_config::load(&self.path).ok()?;
        let files = web.files(&self.path);
        let next = Current::new(web, files);
        next.guard.keeps(self.current().guard).then_some(next)
    }

    /// The configuration in force.
    pub(super) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Current {
    fn new(web: Web, files: Vec<PathBuf>) -> Self {
        let guard = Guard { tls: web.is_tls(), passwords: !web.users.is_empty(), certificates: web.has_client_auth() };
        Self {
            users: web.users,
            #[cfg(feature = "tls")]
            tls: web.tls,
            guard,
            files,
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
