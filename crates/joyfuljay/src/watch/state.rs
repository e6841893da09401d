//! What a watch has done, in a small file beside its rows, so that it goes on where it was ended or killed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use joyfuljay_core::frame::TimeNs;
use serde::{Deserialize, Serialize};

use super::WatchError;

/// A capture: the same file again under its name is another one, as ring buffers write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Its path below the folder.
    pub(super) name: String,
    pub(super) size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(super) modified: i64,
}

/// A capture that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    #[serde(flatten)]
    pub(super) capture: Identity,
    /// The first and the last packet time, where it has packets; one that is no capture has none.
    pub(super) times: Option<(TimeNs, TimeNs)>,
}

/// Rows that are about to get their name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) output: String,
    pub(super) done: Done,
}

/// What is kept from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// What was read and is still there, in the order of reading.
    pub(super) done: Vec<Done>,
    /// Whether the last run ended in good order: flows that were open have rows.
    pub(super) ended: bool,
    /// The file with rows of flows that were open then and will go on: they are replaced.
    pub(super) open: Option<String>,
    pub(super) pending: Option<Pending>,
    /// The flows of that file, by key and time of their first packets.
    pub(super) going_on: Vec<(u64, TimeNs)>,
}

impl Default for State {
    fn default() -> Self {
        Self { version: VERSION, done: Vec::new(), ended: true, open: None, pending: None, going_on: Vec::new() }
    }
}

const VERSION: u32 = 1;

/// The state in its file, which one run holds at a time.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    pub(super) state: State,
    /// Held while the run goes on.
    _lock: File,
}

/// The name of the file in the folder of rows; hidden, so that nobody takes it for rows.
const NAME: &str = ".jj-watch.json";

impl StateFile {
    /// Reads the state of a folder of rows, or begins one.
    pub(super) fn open(folder: &Path) -> Result<Self, WatchError> {
        let failed = |path: &Path, error| WatchError::State { path: path.display().to_string(), error };
        let lock_path = folder.join(".jj-watch.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|e| failed(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(WatchError::Busy { path: folder.display().to_string() }),
            Err(fs::TryLockError::Error(error)) => return Err(failed(&lock_path, error)),
        }
        let path = folder.join(NAME);
        let state = match fs::read(&path) {
            Ok(bytes) => {
                let state: Result<State, _> = serde_json::from_slice(&bytes);
                state
                    .ok()
                    .filter(|state| state.version == VERSION)
                    .ok_or_else(|| WatchError::StateUnknown { path: path.display().to_string() })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(failed(&path, error)),
        };
        Ok(Self { path, state, _lock: lock })
    }

    /// Writes the state: whole, or the old one stays.
    pub(super) fn save(&self) -> Result<(), WatchError> {
        let write = || -> io::Result<()> {
            let next = self.path.with_extension("json.part");
            let mut file = File::create(&next)?;
            serde_json::to_writer(&mut file, &self.state)?;
            file.flush()?;
            file.sync_all()?;
            fs::rename(&next, &self.path)
        };
        write().map_err(|error| WatchError::State { path: self.path.display().to_string(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_and_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = StateFile::open(folder.path()).unwrap();
        let capture = Identity { name: "a.pcap".into(), size: 7, modified: -1 };
        file.state.done.push(Done { capture, times: Some((-5, 9)) });
        file.state.going_on.push((u64::MAX, -5));
        file.save().unwrap();
        assert!(matches!(StateFile::open(folder.path()), Err(WatchError::Busy { .. })));
        let kept = file.state.clone();
        drop(file);
        assert_eq!(StateFile::open(folder.path()).unwrap().state, kept);
        fs::write(folder.path().join(NAME), "{\"version\":99}").unwrap();
        let error = StateFile::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(NAME), "{error}");
    }
}
