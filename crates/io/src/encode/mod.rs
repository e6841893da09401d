//! Rows to the bytes of a format, whatever place they go to.
//!
//! Encoding is the larger half of a run's CPU time, so a format has two halves. A [`RowEncoder`] is pure and shared: any
//! thread encodes any batch. A [`FormatWriter`] needs order: it opens the output with the header of the format, appends
//! what was encoded and ends it. So the bytes are the same for any number of workers. A format whose rows are bytes of their
//! own has the first half without the second, too: for places that take a message for each row.

mod arrow;
mod as_is;
mod column;
mod csv;
mod format;
mod gathering;
mod json;
mod names;
mod parquet;
mod text;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

pub use self::as_is::AsIs;
pub(crate) use self::column::Cell;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use self::column::Column;
pub use self::format::{Compression, Format};
pub(crate) use self::gathering::Gathering;
pub(crate) use self::json::push_value;
pub use self::names::column_names;
pub use self::parquet::RowGroup;
pub use self::text::{Message, RowBytes};
use crate::deliver::Output;
use crate::sink::{SinkError, SinkOptions};
use crate::spill::PackedRows;

/// Turns rows into a chunk of a format. Pure: the same rows give the same chunk, on any thread and in any order.
pub trait RowEncoder: Send + Sync {
    /// Encodes a batch of the schema that the encoder was made for.
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError>;

    /// A chunk that takes its rows part by part, so that they are in the cache still when they are encoded; none where the
    /// format takes them as one.
    fn begin(&self) -> Option<Box<dyn ChunkEncoder + '_>> {
        None
    }
}

/// A chunk that is encoded part by part.
pub trait ChunkEncoder: Send {
    /// Encodes the next rows.
    fn add(&mut self, rows: RecordBatch) -> Result<(), SinkError>;

    /// The chunk.
    fn finish(self: Box<Self>) -> Result<Encoded, SinkError>;
}

/// An encoded batch, on its way from a worker to the sink.
#[derive(Debug)]
pub enum Encoded {
    /// Bytes of which each row has its own.
    Rows(RowBytes),
    /// A Parquet row group, its column chunks encoded and compressed.
    RowGroup(RowGroup),
    /// Rows as they are: the sink's own work on them is small.
    Batch(RecordBatch),
    /// Rows in a form that only their sink knows: on their way to a temporary file or a database.
    Packed(PackedRows),
}

impl Encoded {
    /// Rows in this chunk.
    pub fn rows(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.rows(),
            Self::RowGroup(group) => group.rows(),
            Self::Batch(batch) => batch.num_rows(),
            Self::Packed(packed) => packed.rows(),
        }
    }

    /// Bytes of memory that it holds, roughly.
    pub fn memory(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.bytes().len(),
            Self::RowGroup(group) => group.memory(),
            Self::Batch(batch) => batch.get_array_memory_size(),
            Self::Packed(packed) => packed.memory(),
        }
    }

    /// The rows' bytes; an error that names the sink where another encoder made the chunk.
    pub fn into_rows(self, sink: &'static str) -> Result<RowBytes, SinkError> {
        match self {
            Self::Rows(rows) => Ok(rows),
            Self::RowGroup(_) | Self::Batch(_) | Self::Packed(_) => Err(SinkError::Foreign { sink }),
        }
    }

    /// The rows as they are; an error that names the sink where another encoder made the chunk.
    pub fn into_batch(self, sink: &'static str) -> Result<RecordBatch, SinkError> {
        match self {
            Self::Batch(batch) => Ok(batch),
            Self::Rows(_) | Self::RowGroup(_) | Self::Packed(_) => Err(SinkError::Foreign { sink }),
        }
    }
}

/// The half of a format that needs order. Header and magic were written when it was made.
pub(crate) trait FormatWriter: Send {
    /// Appends a chunk of the format's encoder.
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError>;

    /// Hands what is buffered to the output, where the format allows it before its end.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Ends the format, and gives the output back.
    fn finish(self: Box<Self>) -> Result<Output, SinkError>;

    /// Bytes so far, those in buffers included.
    fn bytes_written(&self) -> u64;
}

/// A format, opened on an output.
pub(crate) struct Opened {
    pub(crate) encoder: Arc<dyn RowEncoder>,
    pub(crate) writer: Box<dyn FormatWriter>,
}

/// Opens a format on an output. The header is written at once, so even no rows make a valid file.
pub(crate) fn open(
    format: Format,
    output: Output,
    schema: SchemaRef,
    options: &SinkOptions,
) -> Result<Opened, SinkError> {
    match format {
        Format::Csv => csv::open(output, schema),
        Format::Json => json::open(output, schema),
        Format::Parquet => parquet::open(output, schema, options),
        Format::Arrow => arrow::open(output, schema),
    }
}

/// The encoder of a format whose rows are bytes of their own, with the column of this name as the key of each row.
pub(crate) fn row_encoder(
    format: Format,
    schema: SchemaRef,
    key: Option<&str>,
) -> Result<Arc<dyn RowEncoder>, SinkError> {
    match format {
        Format::Csv => csv::encoder(schema, key),
        Format::Json => json::encoder(schema, key),
        Format::Parquet | Format::Arrow => Err(SinkError::NoRowForm { format }),
    }
}

/// Refuses columns that the format has no form for at the start, not after an hour of work.
pub(crate) fn check_schema(format: Format, schema: &Schema) -> Result<(), SinkError> {
    match format {
        Format::Csv | Format::Json => column::check_text(format, schema),
        Format::Parquet | Format::Arrow => Ok(()),
    }
}

/// Rows of another schema would shift columns silently in a text format: refuse them.
fn check_rows(format: Format, expected: &SchemaRef, rows: &RecordBatch) -> Result<(), SinkError> {
    let given = rows.schema_ref();
    if Arc::ptr_eq(expected, given) {
        return Ok(());
    }
    let same = |i: &usize| match (expected.fields().get(*i), given.fields().get(*i)) {
        (Some(a), Some(b)) => a.name() == b.name() && a.data_type() == b.data_type(),
        _ => false,
    };
    match (0..expected.fields().len().max(given.fields().len())).find(|i| !same(i)) {
        Some(index) => Err(SinkError::Schema { format, index }),
        None => Ok(()),
    }
}
