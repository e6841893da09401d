//! A slice of a sequence of captures: the flows that begin between two places, for a task of its own.
//!
//! A place in a capture is the start of a record that a reader came to from the beginning of the file, together with what the
//! reader knew there (byte order, interfaces). So no place is guessed: what looks like a record may be payload.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joyfuljay_core::frame::{FrameBatch, SlicePart, TimeNs};
use joyfuljay_core::metrics::Mode;
use serde::{Deserialize, Serialize};

use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::sequence::TimeOrder;
use super::{CaptureReader, Compression, PacketSource, Position, Pulled, SourceError, SourceWarning, Trouble};

/// Where captures lie: a file system, or whatever a caller can open at an offset.
pub trait Store: Send + Sync {
    /// Opens a file to read it from an offset on.
    ///
    /// # Errors
    /// When that cannot be done.
    fn open(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// When that is not known.
    fn size(&self, name: &str) -> io::Result<u64>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Store for Local {
    fn open(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(name)?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(Box::new(file))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(name)?.len())
    }
}

/// From where on the rest of a capture can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub(super) offset: u64,
    pub(super) state: Option<ResumeState>,
}

/// What a reader knows behind the headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResumeState {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Resume {
    /// Offset in the (decompressed) capture; 0 is its beginning.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// A place in a capture, and the time of the first frame behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The place.
    pub at: Resume,
    /// The time.
    pub ts: TimeNs,
}

/// Walks over the records of a capture and gives a place about every so many bytes, the first one behind the headers. None where
/// the capture is compressed: it can be read from its beginning only. Damage ends the walk as it ends the reading.
///
/// # Errors
/// When the file cannot be read or is no capture.
pub fn marks(store: &dyn Store, name: &str, every: u64) -> Result<Option<Vec<Mark>>, SourceError> {
    let mut reader = open(store, name, None)?;
    if reader.info().compression != Compression::None {
        return Ok(None);
    }
    let (mut marks, mut batch) = (Vec::<Mark>::new(), FrameBatch::new());
    loop {
        let at = reader.resume();
        match reader.pull(&mut batch, Duration::ZERO)? {
            Pulled::Frames { .. } => {}
            Pulled::Idle(_) | Pulled::End => return Ok(Some(marks)),
        }
        let is_due = marks.last().is_none_or(|last| at.offset - last.at.offset >= every);
        if let (true, Some(first)) = (is_due, batch.frames.first()) {
            marks.push(Mark { at, ts: first.ts });
        }
    }
}

/// The time of the first frame of a capture, where one stands near its beginning, and whether it is compressed.
///
/// # Errors
/// When the file cannot be read or is no capture.
pub fn first_time(store: &dyn Store, name: &str) -> Result<(Option<TimeNs>, bool), SourceError> {
    let reader = open(store, name, None)?;
    let compressed = reader.info().compression != Compression::None;
    Ok((reader.first_time(), compressed))
}

fn open(store: &dyn Store, name: &str, from: Option<&Resume>) -> Result<CaptureReader, SourceError> {
    let file = |offset| store.open(name, offset).map_err(|error| SourceError::Open { path: name.to_owned(), error });
    let reader = CaptureReader::from_reader(name, file(0)?)?;
    match from {
        Some(resume) if resume.offset > 0 => Ok(reader.resumed(resume, file(resume.offset)?)),
        _ => Ok(reader),
    }
}

/// Link types as their numbers, in the plan of a slice.
pub(super) mod link_number {
    use joyfuljay_core::frame::LinkType;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(link: &LinkType, to: S) -> Result<S::Ok, S::Error> {
        link.0.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LinkType, D::Error> {
        u16::deserialize(from).map(LinkType)
    }
}

/// What a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlicePlan {
    /// The captures, from the one in which the lead-in begins to the last of the sequence.
    pub files: Vec<String>,
    /// Where reading begins, in the first of these files.
    pub lead_in: Resume,
    /// Frames before the slice that are older than this say nothing of its flows.
    pub not_before: TimeNs,
    /// Where the slice begins: which of the files, and where in it.
    pub start: (usize, u64),
    /// Where it ends and the next one begins; `None` is the end of the sequence.
    pub end: Option<(usize, u64)>,
    /// Whether what is wrong with the captures is told: by one task of those that share a slice.
    pub warns: bool,
    /// Files that could not be read when the plan was made: they are left out. One that could be and cannot be now is an error.
    #[serde(default)]
    pub unread: Vec<usize>,
}

/// The frames of a slice, and those before and behind it that its flows need.
pub struct SliceSource {
    plan: SlicePlan,
    store: Arc<dyn Store>,
    /// Which file is read, or comes next.
    at: usize,
    reader: Option<CaptureReader>,
    part: SlicePart,
    read: u64,
    /// Frames of the slice that are older than its first one, by more than frames may be out of order.
    disordered: u64,
    first: Option<TimeNs>,
    order: Box<TimeOrder>,
    warnings: Vec<SourceWarning>,
    /// What the store said when reading failed.
    failed: Failure,
}

/// An error of a store, which is none of the capture: what is read next would be without what was not.
type Failure = Arc<Mutex<Option<io::Error>>>;

/// A store whose failures are remembered. Of compressed captures they look like damage otherwise.
struct Watched<'a> {
    store: &'a dyn Store,
    failed: &'a Failure,
}

impl Store for Watched<'_> {
    fn open(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(WatchedFile { file: self.store.open(name, offset)?, failed: Arc::clone(self.failed) }))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.store.size(name)
    }
}

struct WatchedFile {
    file: Box<dyn Read + Send>,
    failed: Failure,
}

impl Read for WatchedFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into).map_err(|error| {
            let kind = error.kind();
            if kind == io::ErrorKind::Interrupted {
                return error;
            }
            let told = io::Error::new(kind, error.to_string());
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }
}

/// What the store said since this was last asked.
fn failure(of: &Failure, name: &str, offset: u64) -> Option<SourceError> {
    let error = of.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(SourceError::Read { path: name.to_owned(), offset, error })
}

impl SliceSource {
    /// How far frames may be out of order at the border of a slice.
    pub const DISORDER: TimeNs = 1_000_000_000;

    /// Reads a slice out of captures that lie in `store`.
    pub fn new(plan: SlicePlan, store: Arc<dyn Store>) -> Self {
        let part = if plan.start == (0, plan.lead_in.offset) { SlicePart::Own } else { SlicePart::LeadIn };
        Self {
            plan,
            store,
            at: 0,
            reader: None,
            part,
            read: 0,
            disordered: 0,
            first: None,
            order: Box::default(),
            warnings: Vec::new(),
            failed: Failure::default(),
        }
    }

    /// What the frames from here on are.
    fn part_at(&self, offset: u64) -> SlicePart {
        let here = (self.at, offset);
        match self.plan.end {
            Some(end) if here >= end => SlicePart::LeadOut,
            _ if here >= self.plan.start => SlicePart::Own,
            _ => SlicePart::LeadIn,
        }
    }

    /// The next border within the file that is read.
    fn bound(&self) -> Option<u64> {
        let border = match self.part {
            SlicePart::LeadIn => Some(self.plan.start),
            SlicePart::Own => self.plan.end,
            SlicePart::LeadOut => None,
        };
        border.filter(|(file, _)| *file == self.at).map(|(_, offset)| offset)
    }

    /// Opens the file whose turn it is. What could not be read when the plan was made is left out with a warning, as in a folder.
    fn open_next(&mut self) -> Result<bool, SourceError> {
        while let Some(name) = self.plan.files.get(self.at) {
            let from = (self.at == 0).then_some(&self.plan.lead_in);
            match open(&Watched { store: &*self.store, failed: &self.failed }, name, from) {
                Ok(reader) => {
                    self.part = self.part_at(reader.resume().offset.min(from.map_or(0, |from| from.offset)));
                    self.order.begin(name, self.plan.warns && self.part == SlicePart::Own);
                    self.reader = Some(reader);
                    return Ok(true);
                }
                // Other tasks have read it, or will: without it, rows would be missing and nobody know.
                Err(error) if !self.plan.unread.contains(&self.at) => {
                    return Err(failure(&self.failed, name, 0).unwrap_or(error));
                }
                Err(error) => {
                    self.part = self.part_at(0);
                    failure(&self.failed, name, 0);
                    let message = format!("{error}; skipped");
                    self.warn(SourceWarning { path: name.clone(), offset: 0, trouble: Trouble::NotRead, message });
                    self.at += 1;
                }
            }
        }
        Ok(false)
    }

    /// Each warning is told once by all tasks together.
    fn warn(&mut self, warning: SourceWarning) {
        if self.plan.warns && self.part == SlicePart::Own {
            self.warnings.push(warning);
        }
    }

    fn close(&mut self) {
        if let Some(mut reader) = self.reader.take() {
            reader.take_warnings().into_iter().for_each(|warning| self.warn(warning));
            self.read += reader.position().read;
            self.at += 1;
        }
    }

    /// Takes note of frames that are far out of order: a task for them may have read too little of what was before.
    fn check_order(&mut self, batch: &FrameBatch) {
        let Some(first) = batch.frames.first() else { return };
        let from = *self.first.get_or_insert(first.ts);
        let early = batch.frames.iter().filter(|frame| frame.ts < from.saturating_sub(Self::DISORDER)).count();
        self.disordered += early as u64;
    }
}

impl PacketSource for SliceSource {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn slice_part(&self) -> Option<SlicePart> {
        Some(self.part)
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        loop {
            out.frames.clear();
            if self.reader.is_none() && !self.open_next()? {
                return Ok(Pulled::End);
            }
            let bound = self.bound();
            let Some(reader) = &mut self.reader else { continue };
            reader.set_bound(bound);
            let pulled = reader.pull(out, wait);
            if let Some(error) = failure(&self.failed, reader.name(), reader.resume().offset) {
                return Err(error);
            }
            match pulled? {
                Pulled::End => {
                    let offset = reader.resume().offset;
                    match bound {
                        Some(bound) if offset >= bound => self.part = self.part_at(bound),
                        _ => self.close(),
                    }
                }
                pulled => {
                    self.order.see(out);
                    match self.part {
                        SlicePart::LeadIn => out.frames.retain(|frame| frame.ts >= self.plan.not_before),
                        SlicePart::Own => self.check_order(out),
                        SlicePart::LeadOut => {}
                    }
                    if !out.frames.is_empty() {
                        return Ok(pulled);
                    }
                }
            }
        }
    }

    fn stop(&mut self) {
        self.plan.files.truncate(self.at + usize::from(self.reader.is_some()));
        if let Some(reader) = &mut self.reader {
            reader.stop();
        }
    }

    fn position(&self) -> Position {
        let reader = self.reader.as_ref();
        Position {
            read: self.read + reader.map_or(0, |reader| reader.position().read),
            total: None,
            files_done: self.at,
            files_total: self.plan.files.len(),
            current: reader.map(|reader| reader.name().to_owned()),
        }
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let inner = self.reader.as_mut().map(CaptureReader::take_warnings).unwrap_or_default();
        inner.into_iter().for_each(|warning| self.warn(warning));
        self.warnings.extend(self.order.take_overlaps());
        if self.plan.warns && self.disordered > 0 && self.part != SlicePart::Own {
            let message = format!(
                "{} frames of the slice are more than a second older than its first one: flows that were open at its border may be \
                 told apart otherwise than in a run over the whole",
                std::mem::take(&mut self.disordered)
            );
            self.warnings.push(SourceWarning { path: String::new(), offset: 0, trouble: Trouble::PassedOver, message });
        }
        std::mem::take(&mut self.warnings)
    }
}

impl fmt::Debug for SliceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceSource").field("at", &self.at).field("part", &self.part).finish_non_exhaustive()
    }
}
