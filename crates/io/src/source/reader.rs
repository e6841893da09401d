//! One capture, read in large pieces straight into the batch.
//!
//! `read(2)` fills the memory of the batch, records are parsed there, frames point there. Only what lies behind the
//! last whole record is copied, to open the next batch. Where a batch ends depends on the capture alone, not on how
//! many bytes a read happened to bring: rows are ordered by batch, and must not differ between a file and a pipe.

use super::compressed::{Compression, decompress};
use super::error::{SourceError, SourceWarning};
use super::input::{ByteCount, Counting, read_full};
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::{CaptureInfo, PacketSource, Position, Progress};
use joyfuljay_core::frame::{BATCH_FRAMES, FrameBatch};
use joyfuljay_core::metrics::Mode;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of capture after which a batch ends though it has few frames: room for [`BATCH_FRAMES`] frames of full
/// Ethernet size, and a bound on the memory of captures with larger ones.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Largest record or block that is believed, in bytes. Larger ones are damage: no link has such frames.
pub const MAX_RECORD_BYTES: u32 = 16 << 20;

/// Reads one capture: pcap or pcapng, compressed or not.
pub struct CaptureReader {
    name: String,
    input: Box<dyn Read + Send>,
    count: ByteCount,
    total: Option<u64>,
    format: Format,
    info: CaptureInfo,
    /// Bytes read behind the end of the last batch.
    rest: Vec<u8>,
    /// Offset in the (decompressed) capture of the first byte of `rest`.
    offset: u64,
    /// Bytes to read at first for a batch: what the last one took.
    expected: usize,
    input_ended: bool,
    done: bool,
    warnings: Vec<SourceWarning>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl CaptureReader {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened or is no capture.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let failed = |error| SourceError::Open { path: path.display().to_string(), error };
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Self::new(name, file, meta.is_file().then_some(meta.len()))
    }

    /// Reads the capture that comes out of `input`; `name` stands for it in messages.
    ///
    /// # Errors
    /// When it is no capture.
    pub fn from_reader(name: &str, input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::new(name.to_owned(), input, None)
    }

    fn new(name: String, input: impl Read + Send + 'static, total: Option<u64>) -> Result<Self, SourceError> {
        let count = ByteCount::default();
        let failed = |error| SourceError::Read { path: name.clone(), offset: 0, error };
        let (compression, mut input) = decompress(Counting::new(input, count.clone())).map_err(failed)?;
        let mut head = vec![0; pcap::MAX_FILE_HEADER];
        let got = match read_full(&mut input, &mut head) {
            Ok(got) => got,
            Err(e) if compression != Compression::None => {
                let found = format!("damaged {compression} data: {e}");
                return Err(SourceError::NotCapture { path: name, found });
            }
            Err(e) => return Err(failed(e)),
        };
        head.truncate(got);
        let mut info = CaptureInfo { name: name.clone(), compression, ..CaptureInfo::default() };
        let (format, used) = match head.first_chunk::<4>() {
            Some(magic) if pcap::is_pcap(*magic) => match Pcap::open(&head, &mut info) {
                Ok((pcap, used)) => (Format::Pcap(pcap), used),
                Err(problem) => return Err(SourceError::Header { path: name, problem }),
            },
            Some(&pcapng::SECTION_HEADER) => (Format::Pcapng(Pcapng::default()), 0),
            _ => return Err(SourceError::NotCapture { path: name, found: describe(&head, compression) }),
        };
        let mut reader = Self {
            name,
            input,
            count,
            total,
            format,
            info,
            rest: head.split_off(used.min(got)),
            offset: used as u64,
            expected: FIRST_READ,
            input_ended: false,
            done: false,
            warnings: Vec::new(),
        };
        reader.first_section()?;
        Ok(reader)
    }

    /// Reads the first section header of pcapng, so that a damaged one is refused at once.
    fn first_section(&mut self) -> Result<(), SourceError> {
        let Format::Pcapng(pcapng) = &mut self.format else { return Ok(()) };
        let (mut pos, mut none) = (0, Vec::new());
        loop {
            let (problem, want) =
                match pcapng.parse(&self.rest, &mut pos, Limits { frames: 1, bytes: 1 }, &mut none, &mut self.info) {
                    Step::Full => break,
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
            let next = want.min(have + SMALL_READ).max(have);
            self.rest.resize(next, 0);
            let room = self.rest.get_mut(have..).unwrap_or_default();
            let got = read_full(&mut self.input, room).unwrap_or(0);
            self.input_ended = have + got < next;
            self.rest.truncate(have + got);
        }
        self.rest.drain(..pos);
        self.offset = pos as u64;
        Ok(())
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

    /// Reads more into `data` from `filled` on; tells the bytes that are there then.
    fn read_more(&mut self, data: &mut Vec<u8>, filled: usize, want: usize) -> Result<usize, SourceError> {
        // What a record claims is believed in small steps, so that memory follows the bytes that are there.
        let target = want.max(filled + SMALL_READ).min(filled + self.expected.max(SMALL_READ));
        if data.len() < target {
            data.resize(target, 0);
        }
        loop {
            match self.input.read(data.get_mut(filled..target).unwrap_or_default()) {
                Ok(0) => self.input_ended = true,
                Ok(n) => return Ok(filled + n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
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
            return Ok(filled);
        }
    }

    fn warn(&mut self, offset: u64, message: String) {
        self.warnings.push(SourceWarning { path: self.name.clone(), offset, message });
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

    fn fill(&mut self, out: &mut FrameBatch) -> Result<(), SourceError> {
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
        let limits = Limits { frames: BATCH_FRAMES, bytes: MAX_BATCH_BYTES };
        loop {
            let have = data.get(..filled).unwrap_or_default();
            let step = match &mut self.format {
                Format::Pcap(pcap) => pcap.parse(have, &mut pos, limits, frames),
                Format::Pcapng(pcapng) => pcapng.parse(have, &mut pos, limits, frames, &mut self.info),
            };
            match step {
                Step::Full => break,
                Step::More { want: more, .. } if !self.input_ended => {
                    want = want.max(pos + more);
                    let before = filled;
                    filled = self.read_more(data, filled, want)?;
                    if filled >= want || filled == before {
                        want = 0;
                    }
                }
                Step::More { part, .. } => {
                    if filled > pos {
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
            self.expected = pos + pos / 64 + 512;
        }
        self.offset += pos as u64;
        data.truncate(filled);
        Ok(())
    }
}

impl PacketSource for CaptureReader {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn next_batch(&mut self, out: &mut FrameBatch) -> Result<Progress, SourceError> {
        out.frames.clear();
        // More than once only where blocks without packets filled a batch.
        while out.frames.is_empty() {
            if self.done {
                return Ok(Progress::End);
            }
            self.fill(out)?;
        }
        Ok(Progress::Frames)
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

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }

    fn info(&self) -> CaptureInfo {
        self.info.clone()
    }
}

impl std::fmt::Debug for CaptureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureReader")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Bytes of the first read of a capture, before it is known how large its frames are.
const FIRST_READ: usize = 256 * 1024;

/// Bytes read when a batch lacks a little.
const SMALL_READ: usize = 32 * 1024;

/// Where a batch ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    frames: usize,
    bytes: usize,
}

impl Limits {
    pub(super) fn reached(self, frames: usize, bytes: usize) -> bool {
        frames >= self.frames || bytes >= self.bytes
    }
}

/// Why a parser stopped.
#[derive(Debug)]
pub(super) enum Step {
    /// The batch is full.
    Full,
    /// The data end within something that is `want` bytes long from where the parser stopped.
    More { want: usize, part: Part },
    /// What follows cannot be read, for this reason.
    Damaged(String),
}

/// What the data may end in.
#[derive(Debug)]
pub(super) enum Part {
    Header(usize),
    /// By the length that it claims, without its header.
    Record(u32),
    Block(usize),
}

impl Step {
    pub(super) fn header(len: usize) -> Self {
        Self::More { want: len, part: Part::Header(len) }
    }

    pub(super) fn record(len: usize, claimed: u32) -> Self {
        Self::More { want: len, part: Part::Record(claimed) }
    }

    pub(super) fn block(len: usize) -> Self {
        Self::More { want: len, part: Part::Block(len) }
    }
}

/// What a file that is no capture looks like, and what to do with it where that is known.
fn describe(head: &[u8], compression: Compression) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"\xfd7zXZ\0", "it is xz-compressed: decompress it first, as in `xz -dc FILE | jj … -`"),
        (b"BZh", "it is bzip2-compressed: decompress it first, as in `bzip2 -dc FILE | jj … -`"),
        (b"PK\x03\x04", "it is a zip archive: unpack it first"),
        (b"snoop\0\0\0", "it is a snoop capture: convert it first, as in `editcap -F pcapng FILE OUT`"),
        (b"GMBU", "it is a Network Monitor capture: convert it first, as in `editcap -F pcapng FILE OUT`"),
        (b"PAR1", "it is a Parquet file"),
        (b"\x7fELF", "it is a program"),
    ];
    let inside = if compression == Compression::None { String::new() } else { format!("{compression} data; inside, ") };
    if head.is_empty() {
        return format!("{inside}it is empty");
    }
    if let Some((_, text)) = known.iter().find(|(magic, _)| head.starts_with(magic)) {
        return format!("{inside}{text}");
    }
    let start = head.get(..head.len().min(16)).unwrap_or_default();
    if start.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) {
        return format!("{inside}it looks like text: {:?}", String::from_utf8_lossy(start));
    }
    let hex: Vec<String> = start.iter().map(|b| format!("{b:02x}")).collect();
    format!("{inside}it begins with the bytes {}", hex.join(" "))
}
