//! Captures of a folder as they are finished, as one source that goes on for ever.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use joyfuljay_core::frame::{FrameBatch, TimeNs};
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::source::{
    CaptureReader, Local, PacketSource, Position, Pulled, SourceError, SourceWarning, Trouble, first_time, same_series,
};

use super::state::{Done, Identity};

/// What the loop of the watch and its source tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Events(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    finished: Option<Done>,
    failed: u64,
    waiting: u64,
}

impl Events {
    /// A capture that was read to its end since the last call: all its frames have been given out.
    pub(super) fn take_finished(&self) -> Option<Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finished.take()
    }

    /// Captures that could not be opened since the last call, and those that are not read yet.
    pub(super) fn take_counts(&self) -> (u64, u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut inner.failed), inner.waiting)
    }

    fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Which captures are read, and when they are taken for finished.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    pub(super) folder: PathBuf,
    pub(super) recursive: bool,
    /// A capture that has not changed for so long is finished. So is one that its writer has followed by another.
    pub(super) settle: Duration,
    /// End when everything that is there has been read.
    pub(super) once: bool,
    /// Folders below that hold rows.
    pub(super) except: PathBuf,
}

/// Captures of a folder, each once, in the order of their first packets.
pub(super) struct WatchSource {
    looking: Looking,
    events: Events,
    /// To be read again, before what is new.
    lead_in: VecDeque<Identity>,
    known: HashSet<Identity>,
    seen: HashMap<PathBuf, (Identity, Instant)>,
    waiting: VecDeque<Waiting>,
    reading: Option<Reading>,
    next_look: Instant,
    last_time: Option<TimeNs>,
    stopped: bool,
    read: u64,
    files_done: usize,
    warnings: Vec<SourceWarning>,
}

#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    capture: Identity,
    time: Option<TimeNs>,
}

struct Reading {
    reader: CaptureReader,
    capture: Identity,
    times: Option<(TimeNs, TimeNs)>,
}

/// How often the folder is looked into.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl WatchSource {
    pub(super) fn new(looking: Looking, events: Events, lead_in: Vec<Identity>, known: HashSet<Identity>) -> Self {
        Self {
            looking,
            events,
            lead_in: lead_in.into(),
            known,
            seen: HashMap::new(),
            waiting: VecDeque::new(),
            reading: None,
            next_look: Instant::now(),
            last_time: None,
            stopped: false,
            read: 0,
            files_done: 0,
            warnings: Vec::new(),
        }
    }

    /// The captures that are there now.
    pub(super) fn present(looking: &Looking) -> HashMap<PathBuf, Identity> {
        let mut present = HashMap::new();
        let mut folders = vec![looking.folder.clone()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                let name = entry.file_name();
                let hidden = name.as_encoded_bytes().starts_with(b".");
                let part = path.extension().is_some_and(|e| ["tmp", "part", "partial", "swp"].iter().any(|p| e == *p));
                let Ok(meta) = entry.metadata() else { continue };
                if hidden || part || path == looking.except {
                    continue;
                }
                if meta.is_dir() && looking.recursive {
                    folders.push(path);
                } else if meta.is_file() {
                    let modified = meta.modified().ok();
                    let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                    let modified = modified.map_or(0, |at| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX));
                    let name = path.strip_prefix(&looking.folder).unwrap_or(&path).to_string_lossy().into_owned();
                    present.insert(path, Identity { name, size: meta.len(), modified });
                }
            }
        }
        present
    }

    /// Looks for captures that have been finished.
    fn look(&mut self) {
        let now = Instant::now();
        self.next_look = now + LOOK_EVERY;
        let present = Self::present(&self.looking);
        self.seen.retain(|path, _| present.contains_key(path));
        let mut open = Vec::new();
        for (path, capture) in present {
            if self.known.contains(&capture) {
                continue;
            }
            let since = match self.seen.get(&path) {
                Some((same, since)) if *same == capture => *since,
                _ => now,
            };
            self.seen.insert(path.clone(), (capture.clone(), since));
            open.push((path, capture, since));
        }
        let mut found = Vec::new();
        for (path, capture, since) in &open {
            let quiet = now.duration_since(*since);
            let settled = self.looking.once || quiet >= self.looking.settle;
            // Who writes captures one after the other has closed the last one before the next begins.
            let time = || first_time(&Local, &path.display().to_string()).ok().and_then(|(time, _)| time);
            let followed = || {
                let mine = time();
                quiet >= LOOK_EVERY
                    && mine.is_some()
                    && open.iter().any(|(other, of_other, _)| {
                        other != path
                            && of_other.modified >= capture.modified
                            && same_series(path, other)
                            && first_time(&Local, &other.display().to_string()).is_ok_and(|(time, _)| time > mine)
                    })
            };
            if settled || followed() {
                found.push(Waiting { path: path.clone(), capture: capture.clone(), time: time() });
            }
        }
        found.sort_by(|a, b| a.time.cmp(&b.time).then_with(|| a.path.cmp(&b.path)));
        for waiting in found {
            self.known.insert(waiting.capture.clone());
            self.seen.remove(&waiting.path);
            self.waiting.push_back(waiting);
        }
        self.count();
    }

    /// Tells how many captures are not read yet: those that are still being written, and those that are finished.
    fn count(&self) {
        let waiting = (self.seen.len() + self.waiting.len()) as u64;
        self.events.set(|inner| inner.waiting = waiting);
    }

    /// The next capture, of those that are to be read again or of the new ones.
    fn open_next(&mut self) {
        let (path, capture) = if let Some(capture) = self.lead_in.pop_front() {
            (self.looking.folder.join(&capture.name), capture)
        } else if self.stopped {
            return;
        } else {
            if self.waiting.is_empty() && Instant::now() >= self.next_look {
                self.look();
            }
            let Some(waiting) = self.waiting.pop_front() else { return };
            self.count();
            if let (Some(time), Some(last)) = (waiting.time, self.last_time)
                && time < last.saturating_sub(LATE)
            {
                self.warn(
                    &waiting.path,
                    "it is older than captures that were read before it: its flows do not join theirs",
                );
            }
            (waiting.path, waiting.capture)
        };
        match CaptureReader::open(&path) {
            Ok(reader) => self.reading = Some(Reading { reader, capture, times: None }),
            Err(error) => {
                self.warnings.push(SourceWarning {
                    path: path.display().to_string(),
                    offset: 0,
                    trouble: Trouble::NotRead,
                    message: format!("{error}; skipped"),
                });
                self.events.set(|inner| {
                    inner.finished = Some(Done { capture, times: None });
                    inner.failed += 1;
                });
            }
        }
    }

    fn warn(&mut self, path: &Path, message: &str) {
        let path = path.display().to_string();
        let message = format!("{path}: {message}");
        self.warnings.push(SourceWarning { path, offset: 0, trouble: Trouble::PassedOver, message });
    }

    fn close(&mut self) {
        let Some(mut reading) = self.reading.take() else { return };
        self.warnings.append(&mut reading.reader.take_warnings());
        self.read += reading.reader.position().read;
        self.files_done += 1;
        self.last_time = self.last_time.max(reading.times.map(|(_, last)| last));
        let done = Done { capture: reading.capture, times: reading.times };
        self.events.set(|inner| inner.finished = Some(done));
    }
}

/// How much earlier than the last packet the next capture may begin: what clocks and buffers do.
const LATE: TimeNs = 60_000_000_000;

impl PacketSource for WatchSource {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        out.frames.clear();
        if self.reading.is_none() {
            self.open_next();
        }
        let Some(reading) = &mut self.reading else {
            let over = self.stopped || self.looking.once;
            let finished = self.events.0.lock().unwrap_or_else(PoisonError::into_inner).finished.is_some();
            if finished {
                return Ok(Pulled::Idle(None));
            }
            if over && self.lead_in.is_empty() && self.waiting.is_empty() {
                return Ok(Pulled::End);
            }
            std::thread::sleep(wait.min(self.next_look.saturating_duration_since(Instant::now())));
            return Ok(Pulled::Idle(None));
        };
        match reading.reader.pull(out, wait) {
            Ok(Pulled::End) => {
                self.close();
                Ok(Pulled::Idle(None))
            }
            Ok(pulled) => {
                for frame in &out.frames {
                    let (first, last) = reading.times.get_or_insert((frame.ts, frame.ts));
                    *first = (*first).min(frame.ts);
                    *last = (*last).max(frame.ts);
                }
                Ok(pulled)
            }
            Err(error) => {
                let path = PathBuf::from(reading.reader.name());
                self.warn(&path, &format!("{error}; the rest is left out"));
                self.close();
                Ok(Pulled::Idle(None))
            }
        }
    }

    /// The capture that is being read is read to its end, so that what is done is known by captures.
    fn stop(&mut self) {
        self.stopped = true;
        self.waiting.clear();
    }

    fn position(&self) -> Position {
        let current = self.reading.as_ref().map(|reading| &reading.reader);
        Position {
            read: self.read + current.map_or(0, |reader| reader.position().read),
            total: None,
            files_done: self.files_done,
            files_total: self.files_done + self.waiting.len() + usize::from(current.is_some()),
            current: current.map(|reader| reader.name().to_owned()),
        }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        if let Some(reading) = &mut self.reading {
            warnings.append(&mut reading.reader.take_warnings());
        }
        warnings
    }
}

/// Whether a folder can be watched.
pub(super) fn check(folder: &Path) -> Result<(), SourceError> {
    fs::read_dir(folder).map_err(|error| SourceError::Open { path: folder.display().to_string(), error })?;
    Ok(())
}
