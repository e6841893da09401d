//! One capture, read in large pieces straight into the batch.
//!
//! `read(2)` fills the memory of the batch, records are parsed there, frames point there. Only what lies behind the
//! last whole record is copied, to open the next batch. Where a batch ends depends on the capture alone, not on how
//! many bytes a read happened to bring: rows are ordered by batch, and must not differ between a file and a pipe. The
//! exception is a stream whose writer is slower than a full batch in the time that a frame may wait.

use super::compressed::{Compression, decompress};
use super::error::{SourceError, SourceWarning, Trouble};
use super::input::{self, ByteCount, Counting, Deadline, Opened, Relay};
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::slice::{Resume, ResumeState};
use super::sniff::describe;
use super::step::{Limits, Part, Step};
use super::{CaptureInfo, Clock, PacketSource, Position, Pulled};
use joyfuljay_core::frame::{BATCH_FRAMES, FrameBatch, TimeNs};
use joyfuljay_core::metrics::Mode;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of capture after which a batch ends though it has few frames: room for [`BATCH_FRAMES`] frames of full
/// Ethernet size, and a bound on the memory of captures with larger ones.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Largest record or block that is believed, in bytes. Larger ones are damage: no link has such frames.
pub const MAX_RECORD_BYTES: u32 = 16 << 20;

/// Reads one capture: pcap or pcapng, compressed or not, from a file or a stream.
pub struct CaptureReader {
    name: String,
    input: Box<dyn Read + Send>,
    count: ByteCount,
    total: Option<u64>,
    stage: Stage,
    info: CaptureInfo,
    /// Bytes read behind the end of the last batch.
    rest: Vec<u8>,
    /// Offset in the (decompressed) capture of the first byte of `rest`.
    offset: u64,
    /// Bytes to read at first for a batch: what the last one took.
    expected: usize,
    /// Room of the largest batch.
    largest: usize,
    input_ended: bool,
    done: bool,
    stream: Option<Stream>,
    /// Where a batch ends before anything else, an offset at which a record begins.
    bound: Option<u64>,
    warnings: Vec<SourceWarning>,
}

/// How far the capture has been opened. A stream may stop in any stage.
#[derive(Debug)]
enum Stage {
    /// The first bytes, which identify the compression.
    Magic,
    /// The file header, which identifies the format.
    Header,
    /// The first section header of pcapng, so that a damaged one is refused at once.
    Section(Pcapng),
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// An input that may keep its reader waiting.
#[derive(Debug)]
struct Stream {
    deadline: Deadline,
    /// How long the present call may wait.
    wait: Duration,
    clock: Option<Clock>,
    /// The latest packet time, and when that packet came.
    latest: Option<(TimeNs, Instant)>,
    /// Set when no more is wanted than has been sent already: when that ends, too.
    stop: Option<Instant>,
}

/// How long a stream that was stopped may go on with what has been sent.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A stream that was stopped has given all that was sent when it has been quiet for so long: a writer that hears the
/// same Ctrl-C writes its buffer before it ends.
const STOP_QUIET: Duration = Duration::from_millis(200);

/// What an attempt to read more brought.
enum More {
    /// So many bytes are there now.
    Filled(usize),
    /// The input is at its end.
    Ended,
    /// Nothing came in time.
    Late,
}

impl CaptureReader {
    /// Opens a file. Of a regular file the header is read at once, of a stream it is read with the first batch.
    ///
    /// # Errors
    /// When it cannot be opened or is no capture.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        match input::open(path) {
            Ok(opened) => Self::new(name, opened),
            Err(error) => Err(SourceError::Open { path: name, error }),
        }
    }

    /// Opens standard input, as [`CaptureReader::open`] does a file.
    ///
    /// # Errors
    /// When it cannot be opened or is no capture.
    pub fn stdin() -> Result<Self, SourceError> {
        let name = "standard input".to_owned();
        match input::stdin() {
            Ok(opened) => Self::new(name, opened),
            Err(error) => Err(SourceError::Open { path: name, error }),
        }
    }

    /// Reads the capture that comes out of `input`; `name` stands for it in messages. A call waits for as long as a read
    /// of `input` takes.
    ///
    /// # Errors
    /// When it is no capture.
    pub fn from_reader(name: &str, input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::stored(name.to_owned(), Box::new(input), None)
    }

    fn new(name: String, opened: Opened) -> Result<Self, SourceError> {
        match opened {
            Opened::File(file, size) => Self::stored(name, Box::new(file), Some(size)),
            Opened::Stream(input, deadline) => {
                let stream = Stream { deadline, wait: Duration::ZERO, clock: None, latest: None, stop: None };
                Ok(Self::unopened(name, input, None, Some(stream)))
            }
        }
    }

    fn stored(name: String, input: Box<dyn Read + Send>, total: Option<u64>) -> Result<Self, SourceError> {
        let mut reader = Self::unopened(name, input, total, None);
        reader.open_header()?;
        Ok(reader)
    }

    fn unopened(name: String, input: Box<dyn Read + Send>, total: Option<u64>, stream: Option<Stream>) -> Self {
        let count = ByteCount::default();
        Self {
            info: CaptureInfo { name: name.clone(), ..CaptureInfo::default() },
            name,
            input: Box::new(Counting::new(input, count.clone())),
            count,
            total,
            stage: Stage::Magic,
            rest: Vec::new(),
            offset: 0,
            expected: FIRST_READ,
            largest: 0,
            input_ended: false,
            done: false,
            stream,
            bound: None,
            warnings: Vec::new(),
        }
    }

    /// From where on the rest of a stored capture can be read by [`CaptureReader::resumed`].
    pub(super) fn resume(&self) -> Resume {
        let state = match &self.stage {
            Stage::Pcap(pcap) => Some(ResumeState::Pcap(pcap.clone())),
            Stage::Pcapng(section) => Some(ResumeState::Pcapng(section.clone())),
            Stage::Magic | Stage::Header | Stage::Section(_) => None,
        };
        Resume { offset: self.offset, state }
    }

    /// Goes on where [`CaptureReader::resume`] was asked: `input` are the bytes of the capture from there on.
    pub(super) fn resumed(mut self, resume: &Resume, input: Box<dyn Read + Send>) -> Self {
        self.input = Box::new(Counting::new(input, self.count.clone()));
        self.rest.clear();
        self.offset = resume.offset;
        self.input_ended = false;
        match &resume.state {
            Some(ResumeState::Pcap(pcap)) => self.stage = Stage::Pcap(pcap.clone()),
            Some(ResumeState::Pcapng(section)) => self.stage = Stage::Pcapng(section.clone()),
            None => {}
        }
        self
    }

    /// Lets a batch end at this offset, at which a record begins. There, [`PacketSource::pull`] says [`Pulled::End`] until the
    /// bound is another one.
    pub(super) fn set_bound(&mut self, bound: Option<u64>) {
        self.bound = bound;
    }

    fn at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.offset >= bound)
    }

    /// Reads on until the first record; `false` where a stream has not sent as much.
    fn open_header(&mut self) -> Result<bool, SourceError> {
        loop {
            let come = match &self.stage {
                Stage::Magic => self.open_compression()?,
                Stage::Header => self.open_format()?,
                Stage::Section(_) => self.open_section()?,
                Stage::Pcap(_) | Stage::Pcapng(_) => return Ok(true),
            };
            if !come {
                return Ok(false);
            }
        }
    }

    fn open_compression(&mut self) -> Result<bool, SourceError> {
        let failed = |path: &str, error| SourceError::Read { path: path.to_owned(), offset: 0, error };
        if !self.gather(MAGIC).map_err(|e| failed(&self.name, e))? {
            return Ok(false);
        }
        let magic = Cursor::new(std::mem::take(&mut self.rest));
        let raw = std::mem::replace(&mut self.input, Box::new(io::empty()));
        let (compression, mut input) = decompress(magic.chain(raw)).map_err(|e| failed(&self.name, e))?;
        if let Some(stream) = self.stream.as_mut().filter(|_| compression != Compression::None) {
            // Decoders lose bytes when a read is broken off: one that may have to wait gets a thread of its own.
            let inner = std::mem::take(&mut stream.deadline);
            inner.set(None);
            stream.deadline.set(Some(Instant::now() + stream.wait));
            let relay = Relay::start(input, inner, stream.deadline.clone()).map_err(|e| failed(&self.name, e))?;
            input = Box::new(relay);
        }
        self.input = input;
        self.input_ended = false;
        self.info.compression = compression;
        self.stage = Stage::Header;
        Ok(true)
    }

    fn open_format(&mut self) -> Result<bool, SourceError> {
        let path = self.name.clone();
        match self.gather(pcap::MAX_FILE_HEADER) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(e) if self.info.compression != Compression::None => {
                // Unsupported data are whole, and the error says what to do with them.
                let damaged = if e.kind() == io::ErrorKind::Unsupported { "" } else { "damaged " };
                let found = format!("{damaged}{} data: {e}", self.info.compression);
                return Err(SourceError::NotCapture { path, found });
            }
            Err(error) => return Err(SourceError::Read { path, offset: 0, error }),
        }
        self.stage = match self.rest.first_chunk::<4>() {
            Some(magic) if pcap::is_pcap(*magic) => {
                let (pcap, used) =
                    Pcap::open(&self.rest, &mut self.info).map_err(|problem| SourceError::Header { path, problem })?;
                self.rest.drain(..used.min(self.rest.len()));
                self.offset = used as u64;
                Stage::Pcap(pcap)
            }
            Some(&pcapng::SECTION_HEADER) => Stage::Section(Pcapng::default()),
            _ => {
                let found = describe(&self.rest, self.info.compression);
                return Err(SourceError::NotCapture { path, found });
            }
        };
        Ok(true)
    }

    fn open_section(&mut self) -> Result<bool, SourceError> {
        let mut none = Vec::new();
        loop {
            let Stage::Section(pcapng) = &mut self.stage else { return Ok(true) };
            let mut pos = 0;
            let (problem, want) =
                match pcapng.parse(&self.rest, &mut pos, Limits { frames: 1, bytes: 1 }, &mut none, &mut self.info) {
                    Step::Full => {
                        self.stage = Stage::Pcapng(std::mem::take(pcapng));
                        self.rest.drain(..pos);
                        self.offset = pos as u64;
                        return Ok(true);
                    }
                    Step::More { want, .. } if !self.input_ended => (None, want),
                    Step::More { .. } => {
                        let there = self.rest.len();
                        (Some(format!("the capture ends within its section header ({there} bytes are there)")), 0)
                    }
                    Step::Damaged(problem) => (Some(problem), 0),
                };
            if let Some(problem) = problem {
                return Err(SourceError::Header { path: self.name.clone(), problem });
            }
            let have = self.rest.len();
            match self.gather(want.min(have + SMALL_READ).max(have)) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(_) => self.input_ended = true,
            }
        }
    }

    /// Reads on until there are `len` bytes of `rest` or the input ends; `false` where a stream has not sent as many.
    fn gather(&mut self, len: usize) -> io::Result<bool> {
        let mut filled = self.rest.len();
        self.rest.resize(len.max(filled), 0);
        let mut result = Ok(true);
        while let Some(room) = self.rest.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.input.read(room) {
                Ok(0) => {
                    self.input_ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let late = e.kind() == io::ErrorKind::WouldBlock && self.stream.is_some();
                    result = if late { Ok(false) } else { Err(e) };
                    break;
                }
            }
        }
        self.rest.truncate(filled);
        result
    }

    /// The time of the first packet of a stored capture, where one stands near its beginning.
    pub(super) fn first_time(mut self) -> Option<TimeNs> {
        /// pcapng may begin with names and keys. A first record is believed up to its largest size.
        const WITHIN: usize = 1 << 20;

        let (mut pos, mut frames) = (0, Vec::new());
        let limits = Limits { frames: 1, bytes: WITHIN };
        loop {
            let step = match &mut self.stage {
                Stage::Pcap(pcap) => pcap.parse(&self.rest, &mut pos, limits, &mut frames),
                Stage::Pcapng(pcapng) => pcapng.parse(&self.rest, &mut pos, limits, &mut frames, &mut self.info),
                Stage::Magic | Stage::Header | Stage::Section(_) => return None,
            };
            if let Some(first) = frames.first() {
                return Some(first.ts);
            }
            match step {
                Step::More { want, .. } if !self.input_ended && pos + want <= WITHIN => {
                    self.gather(pos + want).ok().filter(|come| *come)?;
                }
                _ => return None,
            }
        }
    }

    /// The name under which it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the (decompressed) capture that were given out as frames or stepped over: the offset of the next
    /// record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the capture has said of itself so far.
    pub fn info(&self) -> CaptureInfo {
        self.info.clone()
    }

    /// Whether this is a pipe or a device, whose end need not come by itself.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Reads more into `data` from `filled` on.
    fn read_more(&mut self, data: &mut Vec<u8>, filled: usize, want: usize) -> Result<More, SourceError> {
        // What a record claims is believed in small steps, so that memory follows the bytes that are there.
        let target = want.max(filled + SMALL_READ).min(filled + self.expected.max(SMALL_READ));
        if data.len() < target {
            // Not doubled, as a vector does by itself: there are many batches, each as large as the ones before it, and so at once
            // as large as the largest of them.
            if data.capacity() < target {
                self.largest = self.largest.max(target + target / 8);
                data.reserve_exact(self.largest - data.len());
            }
            data.resize(target, 0);
        }
        loop {
            match self.input.read(data.get_mut(filled..target).unwrap_or_default()) {
                Ok(0) => self.input_ended = true,
                Ok(n) => return Ok(More::Filled(filled + n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.stream.is_some() => return Ok(More::Late),
                Err(e) if self.info.compression != Compression::None => {
                    let offset = self.offset + filled as u64;
                    let message = format!(
                        "{}: the {} data end or are damaged at offset {offset} of the capture ({e}); everything before it was read",
                        self.name, self.info.compression
                    );
                    self.warn(offset, message);
                    self.input_ended = true;
                }
                Err(error) => {
                    self.done = true;
                    return Err(SourceError::Read {
                        path: self.name.clone(),
                        offset: self.offset + filled as u64,
                        error,
                    });
                }
            }
            return Ok(More::Ended);
        }
    }

    fn warn(&mut self, offset: u64, message: String) {
        self.warnings.push(SourceWarning { path: self.name.clone(), offset, trouble: Trouble::Damaged, message });
    }

    /// Says where and how the capture was cut, unless broken compression has said it already.
    fn warn_cut(&mut self, at: usize, there: usize, part: &Part) {
        if !self.warnings.is_empty() {
            return;
        }
        let offset = self.offset + at as u64;
        let what = match part {
            Part::Header(n) => format!("a record header at offset {offset} ({n} bytes, {there} are there)"),
            Part::Record(n) => {
                format!("a record at offset {offset} (record claims {n} bytes, {there} are there with its header)")
            }
            Part::Block(n) => format!("a block at offset {offset} (block claims {n} bytes, {there} are there)"),
        };
        let message = format!("{}: the capture ends in the middle of {what}; everything before it was read", self.name);
        self.warn(offset, message);
    }

    /// Fills a batch. Whether it is as it is because nothing more came in time.
    fn fill(&mut self, out: &mut FrameBatch) -> Result<bool, SourceError> {
        let FrameBatch { data, frames } = out;
        let mut filled = self.rest.len();
        if data.len() < filled {
            data.resize(filled, 0);
        }
        if let Some(start) = data.get_mut(..filled) {
            start.copy_from_slice(&self.rest);
        }
        self.rest.clear();
        let mut pos = 0;
        let mut want = self.expected;
        let mut late = false;
        let mut since_first = self.stream.is_none();
        let room = self.bound.map_or(u64::MAX, |bound| bound.saturating_sub(self.offset));
        let limits =
            Limits { frames: BATCH_FRAMES, bytes: MAX_BATCH_BYTES.min(usize::try_from(room).unwrap_or(usize::MAX)) };
        loop {
            let have = data.get(..filled).unwrap_or_default();
            let step = match &mut self.stage {
                Stage::Pcap(pcap) => pcap.parse(have, &mut pos, limits, frames),
                Stage::Pcapng(pcapng) => pcapng.parse(have, &mut pos, limits, frames, &mut self.info),
                Stage::Magic | Stage::Header | Stage::Section(_) => break,
            };
            match step {
                Step::Full => break,
                Step::More { want: more, .. } if !self.input_ended => {
                    want = want.max(pos + more);
                    if !since_first && !frames.is_empty() {
                        since_first = true;
                        self.may_wait();
                    }
                    match self.read_more(data, filled, want)? {
                        More::Filled(n) => {
                            filled = n;
                            if filled >= want {
                                want = 0;
                            }
                        }
                        More::Ended => want = 0,
                        More::Late => {
                            late = true;
                            break;
                        }
                    }
                }
                Step::More { part, .. } => {
                    // Zeros are padding, as they are in whole records.
                    if data.get(pos..filled).unwrap_or_default().iter().any(|b| *b != 0) {
                        self.warn_cut(pos, filled - pos, &part);
                    }
                    self.done = true;
                    break;
                }
                Step::Damaged(problem) => {
                    let offset = self.offset + pos as u64;
                    let message = format!(
                        "{}: the capture is damaged at offset {offset}: {problem}; everything before it was read, nothing after it",
                        self.name
                    );
                    self.warn(offset, message);
                    self.done = true;
                    break;
                }
            }
        }
        if !self.done {
            self.rest.extend_from_slice(data.get(pos..filled).unwrap_or_default());
            // A batch that ended early says nothing of how large a full one is.
            if !late {
                // What is read too much is copied twice, to the start of the next batch; what is lacking comes in small reads.
                self.expected = pos - pos / 4 + 512;
            }
        }
        self.offset += pos as u64;
        data.truncate(filled);
        Ok(late)
    }

    /// Reads of a stream may wait from now on for as long as a call may.
    fn may_wait(&mut self) {
        if let Some(stream) = &self.stream {
            stream.deadline.set(Some(Instant::now() + stream.wait));
        }
    }
}

impl PacketSource for CaptureReader {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        out.frames.clear();
        if let Some(stream) = &mut self.stream {
            self.done |= stream.is_over();
            stream.wait = if stream.stop.is_some() { wait.min(STOP_QUIET) } else { wait };
        }
        self.may_wait();
        let opened = self.done || self.open_header().inspect_err(|_| self.done = true)?;
        let mut late = !opened;
        // More than once only where blocks without packets filled a batch.
        while out.frames.is_empty() && !self.done && !late && !self.at_bound() {
            late = self.fill(out)?;
        }
        if out.frames.is_empty() && !self.done && !self.at_bound() {
            return Ok(self.stream.as_mut().map_or(Pulled::End, Stream::idle));
        }
        if let Some(stream) = &mut self.stream {
            stream.arrived(out);
        }
        Ok(if out.frames.is_empty() { Pulled::End } else { Pulled::Frames { waited: late } })
    }

    fn stop(&mut self) {
        match &mut self.stream {
            Some(stream) => stream.stop = stream.stop.or_else(|| Some(Instant::now() + STOP_WITHIN)),
            None => self.done = true,
        }
    }

    fn position(&self) -> Position {
        Position {
            read: self.count.get(),
            total: self.total,
            files_done: usize::from(self.done),
            files_total: 1,
            current: Some(self.name.clone()),
        }
    }

    fn clock(&self) -> Option<Clock> {
        self.stream.as_ref()?.clock
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}

impl Stream {
    /// Takes note of the frames of a batch that has just come.
    fn arrived(&mut self, batch: &FrameBatch) {
        let Some(first) = batch.frames.first() else { return };
        self.clock.get_or_insert_with(|| Clock::of_first_frame(first.ts));
        if self.clock == Some(Clock::Running) {
            let latest = batch.frames.iter().map(|f| f.ts).max();
            self.latest = latest.map(|ts| (ts, Instant::now()));
        }
    }

    /// No frame came in time. The time has gone on from the last frame's: whatever this machine's clock says, the clocks
    /// of the two may differ, and so far behind may frames be that are still on their way.
    fn idle(&mut self) -> Pulled {
        if self.stop.is_some() {
            self.stop = Some(Instant::now());
        }
        let now = |(ts, came): (TimeNs, Instant)| {
            ts.saturating_add(i64::try_from(came.elapsed().as_nanos()).unwrap_or(i64::MAX))
        };
        Pulled::Idle(self.latest.map(now))
    }

    /// Whether a stream that was stopped has given what was sent.
    fn is_over(&self) -> bool {
        self.stop.is_some_and(|at| Instant::now() >= at)
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader")
            .field("name", &self.name)
            .field("stage", &self.stage)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// First bytes that identify the compression of a capture.
const MAGIC: usize = 4;

/// Bytes of the first read of a capture, before it is known how large its frames are.
const FIRST_READ: usize = 64 * 1024;

/// Bytes read when a batch lacks a little.
const SMALL_READ: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::super::testing::{Chunks, Owned, Writer, read_all};
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// A capture with the offset of the end of every record that holds a frame, and of every other boundary.
    fn capture(ng: bool, big: bool, sizes: &[usize]) -> (Vec<u8>, Vec<usize>, Vec<usize>) {
        let w = Writer { big };
        let mut file = if ng { w.section() } else { w.pcap(0xa1b2_c3d4, (2, 4), 65535, 1) };
        let (mut ends, mut boundaries) = (Vec::new(), vec![file.len()]);
        if ng {
            file.extend(w.interface(1, 0, &[(9, &[6])]));
            boundaries.push(file.len());
        }
        for (i, size) in sizes.iter().enumerate() {
            let bytes = vec![i as u8; *size];
            file.extend(if ng {
                w.enhanced(0, i as u64, 99, &bytes)
            } else {
                w.record(1_700_000_001, i as u32, 99, 0, &bytes)
            });
            ends.push(file.len());
        }
        boundaries.extend(&ends);
        (file, ends, boundaries)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_batches(
            ng: bool, big: bool,
            sizes in prop::collection::vec(0usize..300, 0..40),
            repeat in 1usize..120,
            chunks in prop::collection::vec(1usize..5000, 1..8),
        ) {
            let sizes = sizes.repeat(repeat);
            let (file, ends, _) = capture(ng, big, &sizes);
            let whole = read_all(Cursor::new(file.clone()));
            let pieces = read_all(Chunks { bytes: Cursor::new(file), sizes: chunks, turn: 0 });
            prop_assert_eq!(&whole, &pieces);
            let lengths: Vec<usize> = whole.0.iter().map(Vec::len).collect();
            prop_assert_eq!(lengths.iter().sum::<usize>(), ends.len());
            let full = lengths.split_last().map_or(&[][..], |(_, full)| full);
            prop_assert!(full.iter().all(|n| *n == BATCH_FRAMES));
        }

        #[test]
        fn a_cut_gives_a_prefix_and_a_warning(
            ng: bool, big: bool,
            sizes in prop::collection::vec(0usize..60, 1..12),
            at in any::<prop::sample::Index>(),
        ) {
            let (file, ends, boundaries) = capture(ng, big, &sizes);
            let at = boundaries[0] + at.index(file.len() - boundaries[0] + 1);
            let whole: Vec<Owned> = read_all(Cursor::new(file.clone())).0.concat();
            let (cut, warnings) = read_all(Cursor::new(file[..at].to_vec()));
            let kept = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(cut.concat(), &whole[..kept]);
            let start = boundaries.iter().rev().find(|b| **b < at).copied().unwrap_or(0);
            // Fewer bytes than distinguish a record from padding: the block types of big-endian pcapng begin with zeros.
            let like_padding = file[start..at].iter().all(|b| *b == 0);
            if boundaries.contains(&at) || like_padding {
                prop_assert_eq!(warnings, []);
            } else {
                prop_assert_eq!(warnings.len(), 1);
                prop_assert_eq!(warnings[0].offset, start as u64);
                prop_assert!(warnings[0].message.contains("in the middle of"));
            }
        }

        #[test]
        fn anything_ends_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), ng: bool, big: bool) {
            let (mut file, _, _) = capture(ng, big, &[5, 9]);
            file.append(&mut bytes);
            let (batches, _) = read_all(Cursor::new(file));
            prop_assert!(batches.concat().len() >= 2);
        }
    }

    #[test]
    fn batches_of_large_frames_end_by_bytes() {
        let (file, ends, _) = capture(false, false, &[60_000; 200]);
        let (batches, _) = read_all(Cursor::new(file));
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), ends.len());
        assert_eq!(batches[0].len(), MAX_BATCH_BYTES.div_ceil(60_016));
    }

    #[test]
    fn blocks_without_packets_do_not_pile_up() {
        let w = Writer { big: false };
        let (mut file, _, _) = capture(true, false, &[]);
        for _ in 0..64 {
            file.extend(w.block(5, &vec![0; 1 << 18]));
        }
        file.extend(w.enhanced(0, 1, 1, b"x"));
        let mut reader = CaptureReader::from_reader("x", Cursor::new(file)).unwrap();
        let mut batch = FrameBatch::new();
        assert_eq!(reader.pull(&mut batch, Duration::ZERO).unwrap(), Pulled::Frames { waited: false });
        assert_eq!(batch.frames.len(), 1);
        assert!(batch.data.capacity() < 3 * MAX_BATCH_BYTES, "{}", batch.data.capacity());
    }

    #[test]
    fn what_is_no_capture_is_described() {
        for (bytes, text) in [
            (&b""[..], "it is empty"),
            (b"time,length\n1,2\n", "looks like text"),
            (b"\xfd7zXZ\0 and more", "xz"),
            (b"\0\x01\x02", "00 01 02"),
        ] {
            let error = CaptureReader::from_reader("f", Cursor::new(bytes)).unwrap_err().to_string();
            assert!(error.starts_with("f: not a capture") && error.contains(text), "{error}");
        }
    }

    #[cfg(unix)]
    mod streams {
        use super::*;
        use std::fs::File;
        use std::io::{PipeWriter, Write, pipe};
        use std::os::fd::OwnedFd;
        use std::time::{SystemTime, UNIX_EPOCH};

        const SHORT: Duration = Duration::from_millis(20);

        fn open() -> (CaptureReader, PipeWriter) {
            let (reader, writer) = pipe().unwrap();
            let opened = input::opened(File::from(OwnedFd::from(reader))).unwrap();
            (CaptureReader::new("pipe".to_owned(), opened).unwrap(), writer)
        }

        fn pull(reader: &mut CaptureReader) -> (Pulled, usize) {
            let mut batch = FrameBatch::new();
            let pulled = reader.pull(&mut batch, SHORT).unwrap();
            (pulled, batch.frames.len())
        }

        fn now() -> u32 {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32
        }

        fn gzip(bytes: &[u8]) -> Vec<u8> {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).unwrap();
            out.finish().unwrap()
        }

        #[test]
        fn frames_come_as_they_are_sent_in_any_pieces() {
            for ng in [false, true] {
                let (file, ends, _) = capture(ng, false, &[5, 6, 7, 8]);
                let (mut reader, mut writer) = open();
                assert_eq!(pull(&mut reader), (Pulled::Idle(None), 0), "nothing is there");
                let mut from = 0;
                // Within the magic, the header, the first record, the second one, behind the third one.
                for (to, frames) in [(2, 0), (20, 0), (ends[0] - 3, 0), (ends[1] - 1, 1), (ends[2], 2)] {
                    writer.write_all(&file[from..to]).unwrap();
                    from = to;
                    let expected = if frames > 0 { Pulled::Frames { waited: true } } else { Pulled::Idle(None) };
                    assert_eq!(pull(&mut reader), (expected, frames), "{to} bytes were sent");
                    assert_eq!(pull(&mut reader), (Pulled::Idle(None), 0));
                }
                writer.write_all(&file[from..]).unwrap();
                drop(writer);
                assert_eq!(pull(&mut reader), (Pulled::Frames { waited: false }, 1));
                assert_eq!(pull(&mut reader), (Pulled::End, 0));
                assert_eq!(reader.clock(), Some(Clock::Packets));
                assert_eq!((reader.take_warnings(), reader.offset()), (vec![], file.len() as u64));
            }
        }

        #[test]
        fn a_compressed_stream_waits_no_longer_than_a_plain_one() {
            let (file, ..) = capture(false, false, &[5, 6]);
            let (mut reader, mut writer) = open();
            writer.write_all(&gzip(&file)).unwrap();
            while pull(&mut reader) != (Pulled::Frames { waited: true }, 2) {}
            assert_eq!(pull(&mut reader), (Pulled::Idle(None), 0));
            drop(writer);
            while pull(&mut reader) == (Pulled::Idle(None), 0) {}
            assert_eq!(pull(&mut reader), (Pulled::End, 0));
        }

        #[test]
        fn a_fast_pipe_gives_the_batches_of_a_file() {
            let sizes: Vec<usize> = (0..9_000).map(|i| i * 7 % 1500).collect();
            for ng in [false, true] {
                let (file, ..) = capture(ng, false, &sizes);
                for bytes in [file.clone(), gzip(&file)] {
                    let (mut reader, mut writer) = open();
                    let writing = std::thread::spawn(move || writer.write_all(&bytes));
                    let (mut batch, mut batches) = (FrameBatch::new(), Vec::new());
                    while reader.pull(&mut batch, Duration::from_secs(60)).unwrap() != Pulled::End {
                        let owned = |f: &joyfuljay_core::Frame| (f.ts, f.link.0, f.wire_len, batch.bytes(f).to_vec());
                        batches.push(batch.frames.iter().map(owned).collect::<Vec<Owned>>());
                    }
                    writing.join().unwrap().unwrap();
                    assert!(batches == read_all(Cursor::new(file.clone())).0);
                }
            }
        }

        #[test]
        fn the_time_goes_on_where_frames_are_as_old_as_their_way() {
            let w = Writer { big: false };
            for (age, clock) in [(0, Clock::Running), (30, Clock::Running), (3_600, Clock::Packets)] {
                let (mut reader, mut writer) = open();
                let then = now() - age;
                writer.write_all(&w.pcap(0xa1b2_c3d4, (2, 4), 100, 1)).unwrap();
                assert_eq!((pull(&mut reader).0, reader.clock()), (Pulled::Idle(None), None));
                writer.write_all(&w.record(then, 0, 1, 0, b"x")).unwrap();
                assert_eq!(pull(&mut reader), (Pulled::Frames { waited: true }, 1));
                assert_eq!(reader.clock(), Some(clock), "{age} s old");
                let start = i64::from(then) * 1_000_000_000;
                match pull(&mut reader).0 {
                    Pulled::Idle(Some(time)) => assert!(clock == Clock::Running && time > start),
                    other => assert_eq!((other, clock), (Pulled::Idle(None), Clock::Packets)),
                }
            }
        }

        #[test]
        fn a_stopped_stream_gives_what_was_sent_and_then_ends() {
            let (file, ..) = capture(false, false, &[5; 5000]);
            let (mut reader, mut writer) = open();
            let writing = std::thread::spawn(move || writer.write_all(&file).map(|()| writer));
            let first = reader.pull(&mut FrameBatch::new(), Duration::from_secs(60)).unwrap();
            assert_eq!(first, Pulled::Frames { waited: false });
            reader.stop();
            let mut frames = BATCH_FRAMES;
            while let (Pulled::Frames { .. } | Pulled::Idle(_), n) = pull(&mut reader) {
                frames += n;
            }
            assert!((BATCH_FRAMES..=5000).contains(&frames));
            drop(reader);
            drop(writing.join().unwrap());
        }

        #[test]
        fn what_is_no_capture_is_refused_when_it_shows() {
            let (mut reader, mut writer) = open();
            assert_eq!(pull(&mut reader), (Pulled::Idle(None), 0));
            writer.write_all(b"time,length and so on, no capture at all").unwrap();
            let error = reader.pull(&mut FrameBatch::new(), SHORT).unwrap_err().to_string();
            assert!(error.starts_with("pipe: not a capture"), "{error}");
            assert_eq!(pull(&mut reader), (Pulled::End, 0));
        }
    }

    #[test]
    fn a_stopped_file_has_no_more_frames() {
        let (file, ..) = capture(false, false, &[5; 5000]);
        let mut reader = CaptureReader::from_reader("x", Cursor::new(file)).unwrap();
        let mut batch = FrameBatch::new();
        assert_eq!(reader.pull(&mut batch, Duration::ZERO).unwrap(), Pulled::Frames { waited: false });
        reader.stop();
        assert_eq!(reader.pull(&mut batch, Duration::ZERO).unwrap(), Pulled::End);
    }
}
