//! What CSV and JSON Lines share: chunks of text, appended as they come, and the text of numbers.

use std::sync::{Arc, Mutex, PoisonError};

use super::output::Output;
use super::{Encoded, Format, RowEncoder, RowSink, SinkError, TEXT_CHUNK_ROWS, Written};

/// Appends text chunks to an output.
pub(super) struct TextSink {
    format: Format,
    encoder: Arc<dyn RowEncoder>,
    buffers: Arc<Buffers>,
    output: Output,
    rows: u64,
}

impl TextSink {
    /// A sink that begins with a header, which may be empty.
    pub(super) fn open(
        format: Format,
        encoder: Arc<dyn RowEncoder>,
        buffers: Arc<Buffers>,
        mut output: Output,
        header: &[u8],
    ) -> Result<Box<dyn RowSink>, SinkError> {
        output.append(header)?;
        Ok(Box::new(Self { format, encoder, buffers, output, rows: 0 }))
    }
}

impl RowSink for TextSink {
    fn name(&self) -> &'static str {
        self.format.name()
    }

    fn chunk_rows(&self) -> usize {
        TEXT_CHUNK_ROWS
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder)
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        match chunk {
            Encoded::Bytes { rows, bytes } => {
                self.output.append(&bytes)?;
                self.rows += rows as u64;
                self.buffers.give(bytes);
                Ok(())
            }
            Encoded::Batch(batch) => {
                let chunk = self.encoder.encode(batch)?;
                match chunk {
                    Encoded::Bytes { .. } => self.write(chunk),
                    _ => Err(foreign(self.format.name())),
                }
            }
            Encoded::RowGroup(_) => Err(foreign(self.format.name())),
        }
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        Ok(Written { rows: self.rows, bytes: self.output.finish()? })
    }

    fn bytes_written(&self) -> u64 {
        self.output.bytes()
    }
}

/// A chunk of another format's encoder came: the caller's fault, but not worth a crash.
pub(super) fn foreign(sink: &'static str) -> SinkError {
    SinkError::Foreign { sink }
}

/// Text buffers that go round between the sink and the encoders: fresh memory for every chunk of some megabytes would
/// cost more in page faults than the copying of the text.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// More than the workers that one writer can keep up with.
    const MAX_FREE: usize = 16;

    /// An empty buffer, large if one came back.
    pub(super) fn take(&self) -> Vec<u8> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < Self::MAX_FREE {
            free.push(buffer);
        }
    }
}

#[inline]
pub(super) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// As [`push_float`], with a shorter way for whole values: counts, zeros and modes are a large part of the floats.
#[inline]
pub(super) fn push_double(out: &mut Vec<u8>, value: f64) {
    /// Below it the shortest text of a whole value is all its digits, not an exponent.
    const LARGEST: u64 = 1_000_000_000_000_000;

    let whole = value as i64;
    let is_whole = whole as f64 == value && whole.unsigned_abs() < LARGEST;
    if is_whole && (whole != 0 || value.is_sign_positive()) {
        push_integer(out, whole);
        out.extend_from_slice(b".0");
    } else {
        push_float(out, value);
    }
}

/// The shortest text that reads back as the same finite value; `1.0` for whole values.
#[inline]
pub(super) fn push_float(out: &mut Vec<u8>, value: impl zmij::Float) {
    out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
}

#[inline]
pub(super) fn push_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_gives_the_same_text(any in any::<f64>(), whole in any::<i64>(), shift in 0..64_u32) {
            let edges = [0.0, -0.0, 1e15, -1e15, 999_999_999_999_999.0, 1e16, i64::MAX as f64, i64::MIN as f64];
            for value in edges.into_iter().chain([any, (whole >> shift) as f64]).filter(|v| v.is_finite()) {
                let (mut short, mut long) = (Vec::new(), Vec::new());
                push_double(&mut short, value);
                push_float(&mut long, value);
                prop_assert_eq!(short, long);
            }
        }
    }
}
