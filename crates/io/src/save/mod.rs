//! Frames into capture files: pcapng, with times to the nanosecond, rotated by size or time.
//!
//! A file in the making is `NAME.part` and gets its name when it is closed, so whoever waits for a name finds a whole file;
//! but what a killed run has left is a readable capture up to its last batch. Frames stay in the order in which they came,
//! so the files of one run, read by their names' order, are the one file that it would have been without rotation.

pub(crate) mod name;
mod pcapng;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use joyfuljay_core::frame::{Frame, FrameBatch, TimeNs};
use thiserror::Error;

use name::Names;
use pcapng::Section;

/// When a file is closed and another begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before it would have more bytes than this (a single frame may be larger).
    pub bytes: Option<u64>,
    /// When a multiple of this, counted from 1970 in packet time, is reached. Seconds are what names tell apart.
    pub every: Option<Duration>,
}

/// What has been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Files begun.
    pub files: u64,
    /// Frames in them.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Frames that could not be written.
    pub lost: u64,
}

/// Why frames could not be saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The system refused.
    #[error("{path}: cannot {action} the capture: {source}{}", way_out(.source))]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file is in the making there, or one was.
    #[error(
        "{part} is there: another run writes it, or one was killed and these are its frames; move it away, or name another file"
    )]
    InTheMaking {
        /// The file.
        part: String,
    },
    /// The name cannot be that of a file.
    #[error("{path}: {problem}: name a file")]
    NoFile {
        /// The path.
        path: String,
        /// What it is.
        problem: &'static str,
    },
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, or save to another disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; name a place that may be written",
        _ => "",
    }
}

/// How long after a multiple of [`Rotation::every`] the clock alone closes a file: frames come in batches, and those from
/// before the multiple may be on their way. Twice as long as a batch waits.
const GRACE: TimeNs = 1_000_000_000;

/// Bytes that are collected before they are written, unless a batch ends.
const BUFFER: usize = 1 << 20;

/// Writes frames into capture files.
#[derive(Debug)]
pub struct CaptureWriter {
    names: Names,
    rotation: Rotation,
    open: Option<Open>,
    buffer: Vec<u8>,
    /// Frames in the buffer.
    waiting: u64,
    saved: Saved,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    file: File,
    place: PathBuf,
    /// Its name until it is closed; none where the place is no regular file (a pipe, a device).
    part: Option<PathBuf>,
    /// Bytes written, all whole blocks.
    len: u64,
    section: Section,
    /// Whether it has frames, or will have those in the buffer.
    used: bool,
    /// When its period begins.
    period: Option<TimeNs>,
}

impl CaptureWriter {
    /// Begins to write. Without rotation the file is `path`; with it, `STEM-20261128T133000Z-000001.EXT`, with the time of
    /// the file's first frame and a number among those of the same second.
    ///
    /// # Errors
    /// When the file cannot be made, or the directory is none.
    pub fn create(path: &Path, rotation: Rotation) -> Result<Self, SaveError> {
        let no_file = |problem| SaveError::NoFile { path: path.display().to_string(), problem };
        if path.file_name().is_none() || path.is_dir() {
            return Err(no_file("names a directory"));
        }
        let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !directory.is_dir() {
            return Err(no_file("its directory does not exist"));
        }
        let rotates = rotation.bytes.is_some() || rotation.every.is_some();
        let regular = fs::metadata(path).is_ok_and(|m| m.is_file()) || !path.exists();
        if rotates && !regular {
            return Err(no_file("a device or a pipe has no further files to go on in"));
        }
        let mut writer = Self {
            names: Names::new(path, rotates),
            rotation,
            open: None,
            buffer: Vec::new(),
            waiting: 0,
            saved: Saved::default(),
        };
        if !rotates {
            writer.begin(0)?;
            writer.write_out()?;
        }
        Ok(writer)
    }

    /// Appends the frames of a batch, which are with the system when it returns.
    ///
    /// # Errors
    /// When that is not possible, as the disk is full: whole frames have been written, the others of the batch are counted as
    /// lost. The next batch may be tried again.
    pub fn write_batch(&mut self, batch: &FrameBatch) -> Result<(), SaveError> {
        let before = self.saved.frames;
        let result = self.append_all(batch);
        if result.is_err() {
            self.saved.lost += batch.frames.len() as u64 - (self.saved.frames - before);
        }
        result
    }

    /// Closes the file when its time is over though no frame says so. `now` is the packet time by now.
    ///
    /// # Errors
    /// When the file cannot be closed.
    pub fn tick(&mut self, now: TimeNs) -> Result<(), SaveError> {
        if self.is_over(now.saturating_sub(GRACE)) { self.close() } else { Ok(()) }
    }

    /// What has been written so far.
    pub fn saved(&self) -> Saved {
        self.saved
    }

    /// Closes the last file.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn finish(mut self) -> Result<Saved, SaveError> {
        self.close()?;
        Ok(self.saved)
    }

    /// Removes the file that is being written. Those that are closed stay.
    pub fn discard(mut self) {
        if let Some(part) = self.open.take().and_then(|open| open.part) {
            // It is in nobody's way under the name that it has.
            let _ = fs::remove_file(part);
        }
    }

    fn append_all(&mut self, batch: &FrameBatch) -> Result<(), SaveError> {
        for frame in &batch.frames {
            self.append(frame, batch.bytes(frame))?;
        }
        self.write_out()
    }

    fn append(&mut self, frame: &Frame, bytes: &[u8]) -> Result<(), SaveError> {
        if self.is_over(frame.ts) {
            self.close()?;
        }
        let most = pcapng::most_bytes_of(bytes.len()) as u64;
        if let (Some(limit), Some(open)) = (self.rotation.bytes, &self.open)
            && open.used
            && open.len + self.buffer.len() as u64 + most > limit
        {
            self.close()?;
        }
        if self.open.is_none() {
            self.begin(frame.ts)?;
        }
        if let Some(open) = &mut self.open {
            open.section.frame(frame, bytes, &mut self.buffer);
            open.used = true;
            self.waiting += 1;
        }
        if self.buffer.len() >= BUFFER { self.write_out() } else { Ok(()) }
    }

    /// Whether a frame of this time belongs into another file. One that is a little too early does not: captures of several
    /// queues are not quite in order.
    fn is_over(&self, ts: TimeNs) -> bool {
        let Some(start) = self.open.as_ref().and_then(|open| open.period) else { return false };
        let every = self.every().unwrap_or(TimeNs::MAX);
        ts >= start.saturating_add(every) || ts < start.saturating_sub(every)
    }

    fn every(&self) -> Option<TimeNs> {
        self.rotation.every.map(|every| TimeNs::try_from(every.as_nanos()).unwrap_or(TimeNs::MAX).max(1))
    }

    fn begin(&mut self, ts: TimeNs) -> Result<(), SaveError> {
        let failed = |path: &Path, source| SaveError::Io { path: path.display().to_string(), action: "make", source };
        let (place, part, file) = loop {
            let place = self.names.next(ts);
            if fs::metadata(&place).is_ok_and(|m| !m.is_file()) {
                let file = OpenOptions::new().write(true).open(&place).map_err(|e| failed(&place, e))?;
                break (place, None, file);
            }
            let part = name::part(&place);
            if self.names.rotates() && place.exists() {
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).open(&part) {
                Ok(file) => break (place, Some(part), file),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.names.rotates() => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(SaveError::InTheMaking { part: part.display().to_string() });
                }
                Err(e) => return Err(failed(&part, e)),
            }
        };
        let period = self.every().map(|every| ts.div_euclid(every).saturating_mul(every));
        let section = Section::begin(&mut self.buffer);
        self.open = Some(Open { file, place, part, len: 0, section, used: false, period });
        self.saved.files += 1;
        Ok(())
    }

    /// Writes the buffer. After an error it is empty, and the file ends with the last block that was written whole.
    fn write_out(&mut self) -> Result<(), SaveError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match open.file.write_all(&self.buffer) {
            Ok(()) => {
                open.len += self.buffer.len() as u64;
                self.saved.bytes += self.buffer.len() as u64;
                self.saved.frames += std::mem::take(&mut self.waiting);
                self.buffer.clear();
                Ok(())
            }
            Err(source) => {
                // Pipes cannot take back what they have; files can, or stay as they are.
                let _ = open.file.set_len(open.len).and_then(|()| open.file.seek(SeekFrom::Start(open.len)));
                self.waiting = 0;
                self.buffer.clear();
                // What the lost bytes had said of interfaces is said again in another section.
                open.section = Section::begin(&mut self.buffer);
                Err(SaveError::Io { path: open.name().display().to_string(), action: "write", source })
            }
        }
    }

    fn close(&mut self) -> Result<(), SaveError> {
        let written = self.write_out();
        let Some(open) = self.open.take() else { return written };
        self.buffer.clear();
        let Some(part) = &open.part else { return written };
        // Also where its last frames could not be written: it is as whole as it will be.
        let placed = fs::rename(part, &open.place);
        written?;
        placed.map_err(|source| SaveError::Io { path: part.display().to_string(), action: "rename", source })
    }
}

impl Open {
    fn name(&self) -> &Path {
        self.part.as_deref().unwrap_or(&self.place)
    }
}

#[cfg(test)]
mod tests;
