//! What CSV and JSON Lines share: rows of text with their ends and keys, and the text of numbers.

use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::column::{Cell, Column};
use super::{Encoded, Format, FormatWriter, Opened, RowEncoder, check_rows, json};
use crate::deliver::Output;
use crate::sink::SinkError;

/// What sets one text format apart from another: how a row is written.
pub(super) trait TextFormat: Send + Sync + 'static {
    const FORMAT: Format;

    /// What a file begins with.
    fn header(&self, out: &mut Vec<u8>);

    /// Appends a row with its line end. `scratch` is empty or left over from the last row.
    fn row(&self, out: &mut Vec<u8>, columns: &[Column<'_>], row: usize, scratch: &mut Vec<u8>);
}

/// Opens a text format on an output.
pub(super) fn open<F: TextFormat>(format: F, mut output: Output, schema: SchemaRef) -> Result<Opened, SinkError> {
    let mut header = Vec::new();
    format.header(&mut header);
    output.append(&header)?;
    let encoder = TextEncoder { format, schema, key: None, buffers: Arc::default() };
    Ok(Opened { encoder: Arc::new(encoder), writer: Box::new(TextWriter { format: F::FORMAT, output }) })
}

/// The encoder for rows that go their own ways, with the column of this name as their key.
pub(super) fn encoder<F: TextFormat>(
    format: F,
    schema: SchemaRef,
    key: Option<&str>,
) -> Result<Arc<dyn RowEncoder>, SinkError> {
    let key = key.map(|name| schema.index_of(name).map_err(|_| SinkError::NoColumn { name: name.to_owned() }));
    let key = key.transpose()?;
    Ok(Arc::new(TextEncoder { format, schema, key, buffers: Arc::default() }))
}

struct TextEncoder<F> {
    format: F,
    schema: SchemaRef,
    /// The column whose values are the keys of the rows.
    key: Option<usize>,
    buffers: Arc<Buffers>,
}

impl<F: TextFormat> RowEncoder for TextEncoder<F> {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        check_rows(F::FORMAT, &self.schema, &rows)?;
        let columns = Column::all(F::FORMAT, &rows)?;
        let key = self.key.and_then(|index| columns.get(index));
        let mut out = RowBytes { format: F::FORMAT, buffer: self.buffers.take(), home: Arc::clone(&self.buffers) };
        let Buffer { bytes, ends, keys, key_ends } = &mut out.buffer;
        let mut scratch = Vec::new();
        for row in 0..rows.num_rows() {
            self.format.row(bytes, &columns, row, &mut scratch);
            ends.push(bytes.len());
            if let Some(column) = key {
                key_ends.push(push_key(keys, column.cell(row)));
            }
        }
        Ok(Encoded::Rows(out))
    }
}

/// Appends chunks of text to an output.
struct TextWriter {
    format: Format,
    output: Output,
}

impl FormatWriter for TextWriter {
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.into_rows(self.format.name())?;
        if rows.format != self.format {
            return Err(SinkError::Foreign { sink: self.format.name() });
        }
        self.output.append(rows.bytes())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.output.flush_place()
    }

    fn finish(self: Box<Self>) -> Result<Output, SinkError> {
        Ok(self.output)
    }

    fn bytes_written(&self) -> u64 {
        self.output.bytes()
    }
}

/// Rows of a format in which each has bytes of its own: one after the other they are a piece of a file, one by one they are
/// messages. The buffer goes back to the encoder when this is dropped.
pub struct RowBytes {
    format: Format,
    buffer: Buffer,
    home: Arc<Buffers>,
}

/// One row on its way to a place that takes rows one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The text of the key column, none where no column is the key or its value is missing.
    pub key: Option<&'a [u8]>,
    /// The row, without a line end.
    pub value: &'a [u8],
}

impl RowBytes {
    /// Rows.
    pub fn rows(&self) -> usize {
        self.buffer.ends.len()
    }

    /// All rows with their line ends.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.bytes
    }

    /// The rows one by one.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let Buffer { bytes, ends, keys, key_ends } = &self.buffer;
        let mut key_ends = key_ends.iter();
        let (mut start, mut key_start) = (0, 0);
        ends.iter().map(move |end| {
            let value = bytes.get(start..*end).unwrap_or_default();
            start = *end;
            let key = key_ends
                .next()
                .copied()
                .flatten()
                .and_then(|end| keys.get(std::mem::replace(&mut key_start, end)..end));
            Message { key, value: value.strip_suffix(b"\n").unwrap_or(value) }
        })
    }
}

impl fmt::Debug for RowBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowBytes").field("rows", &self.rows()).field("bytes", &self.bytes().len()).finish()
    }
}

impl Drop for RowBytes {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.buffer));
    }
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
    keys: Vec<u8>,
    /// Where the key of each row ends; none where it has none. Empty where no column is the key.
    key_ends: Vec<Option<usize>>,
}

/// Buffers that go round between the sink and the encoders: fresh memory for every chunk of some megabytes would cost more
/// in page faults than the copying of the text.
#[derive(Debug, Default)]
struct Buffers {
    free: Mutex<Vec<Buffer>>,
}

impl Buffers {
    /// More than the workers that one writer can keep up with.
    const MAX_FREE: usize = 16;

    /// An empty buffer, large if one came back.
    fn take(&self) -> Buffer {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Buffer) {
        buffer.bytes.clear();
        buffer.ends.clear();
        buffer.keys.clear();
        buffer.key_ends.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < Self::MAX_FREE {
            free.push(buffer);
        }
    }
}

/// The text of a key, and where it ends; none for a missing value. Strings are their own bytes, other types as in JSON.
fn push_key(keys: &mut Vec<u8>, cell: Cell<'_, '_>) -> Option<usize> {
    match cell {
        Cell::Null => return None,
        Cell::Str(text) => keys.extend_from_slice(text.as_bytes()),
        other => json::push_value(keys, other),
    }
    Some(keys.len())
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

/// A point in time by RFC 3339, in UTC with all nine digits: `2017-07-14T02:40:00.123456789Z`.
pub(super) fn push_time(out: &mut Vec<u8>, ns: i64) {
    let (seconds, ns) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = crate::civil::civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ns:09}Z");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_dates_in_utc() {
        let text = |ns| {
            let mut out = Vec::new();
            push_time(&mut out, ns);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text(1_500_000_000_123_456_789), "2017-07-14T02:40:00.123456789Z");
        assert_eq!(text(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(text(i64::MAX), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(text(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    }

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
