//! Laws of reading captures.

use crate::memory::peak_of;
use joyfuljay_core::frame::{BATCH_FRAMES, FrameBatch};
use joyfuljay_io::source::{
    CaptureReader, Compression, MAX_BATCH_BYTES, PacketSource, Pulled, SourceError, SourceWarning,
};
use std::io::{self, Cursor, Read};
use std::time::Duration;

/// What reading a capture brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// Time, link type, length on the wire and bytes of every frame, batch by batch.
    pub batches: Vec<Vec<(i64, u16, u32, Vec<u8>)>>,
    pub warnings: Vec<SourceWarning>,
    /// Offset behind the last whole record.
    pub consumed: u64,
    pub compression: Compression,
}

/// Reads everything.
pub fn read(input: impl Read + Send + 'static) -> Result<Reading, SourceError> {
    let mut reader = CaptureReader::from_reader("fuzz", input)?;
    let (mut batch, mut batches) = (FrameBatch::new(), Vec::new());
    while reader.pull(&mut batch, Duration::ZERO)? != Pulled::End {
        let frames = batch.frames.iter().map(|f| {
            let bytes = batch.bytes(f);
            assert_eq!(bytes.len(), f.cap_len as usize, "a frame points outside of its batch");
            (f.ts, f.link.0, f.wire_len, bytes.to_vec())
        });
        batches.push(frames.collect::<Vec<_>>());
        assert!((1..=BATCH_FRAMES).contains(&batch.frames.len()));
    }
    assert_eq!(reader.pull(&mut batch, Duration::ZERO)?, Pulled::End, "the end is final");
    Ok(Reading {
        batches,
        warnings: reader.take_warnings(),
        consumed: reader.offset(),
        compression: reader.info().compression,
    })
}

/// The laws: no panic; memory is bounded by the input; any chunking gives the same; what was consumed is a sound
/// capture by itself, and what remains is what the warning speaks of.
pub fn laws(data: &[u8]) {
    if is_compressed(data) {
        return;
    }
    let (whole, peak) = peak_of(|| read(Cursor::new(data.to_vec())));
    // The frames are copied out, each with its own allocation, and a vector may have twice the room it needs.
    let bound = 64 * data.len() + 2 * MAX_BATCH_BYTES;
    assert!(peak < bound, "{peak} bytes held for {} of input", data.len());
    let sizes = chunk_sizes(data);
    let pieces = read(Pieces { bytes: Cursor::new(data.to_vec()), sizes, turn: 0 });
    let (whole, pieces) = match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => (whole, pieces),
        (Err(a), Err(b)) => return assert_eq!(a.to_string(), b.to_string()),
        (a, b) => panic!("whole and in pieces differ: {a:?} {b:?}"),
    };
    assert_eq!(whole, pieces);
    let consumed = usize::try_from(whole.consumed).expect("fits");
    assert!(consumed <= data.len());
    match whole.warnings.as_slice() {
        // Zeros behind the last packet are the padding of tapes and of files that were allocated before they were written.
        [] => assert!(data[consumed..].iter().all(|b| *b == 0)),
        [warning] => assert_eq!(warning.offset, whole.consumed),
        more => panic!("{more:?}"),
    }
    let prefix = read(Cursor::new(data[..consumed].to_vec())).expect("what was read is a capture");
    assert_eq!(prefix.batches, whole.batches);
    assert_eq!(prefix.warnings, []);
}

/// A few bytes may decompress to gigabytes: within bounds of memory, but not of a fuzzer's patience.
fn is_compressed(data: &[u8]) -> bool {
    matches!(data, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x04 | 0x50..=0x5f, _, 0x4d, 0x18, ..])
}

/// Sizes that depend on the data, so that the fuzzer can choose them too.
fn chunk_sizes(data: &[u8]) -> Vec<usize> {
    let mut sizes: Vec<usize> = data.iter().rev().take(5).map(|b| usize::from(*b) + 1).collect();
    sizes.push(4096);
    sizes
}

struct Pieces {
    bytes: Cursor<Vec<u8>>,
    sizes: Vec<usize>,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()].min(buf.len());
        self.turn += 1;
        self.bytes.read(&mut buf[..size])
    }
}
