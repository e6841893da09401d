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
use super::sniff::describe;
use super::step::{Limits, Part, Step};
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
            file.extend(if ng { w.enhanced(0, i as u64, 99, &bytes) } else { w.record(0, i as u32, 99, 0, &bytes) });
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
            if boundaries.contains(&at) {
                prop_assert_eq!(warnings, []);
            } else {
                let start = boundaries.iter().rev().find(|b| **b < at).copied().unwrap_or(0);
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
        assert_eq!(reader.next_batch(&mut batch).unwrap(), Progress::Frames);
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
}
