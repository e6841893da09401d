//! Row sinks: record batches to CSV, JSON Lines, Parquet or Arrow IPC.
//!
//! Encoding is the larger half of a run's CPU time, so it is split from writing. A [`RowEncoder`] is pure and shared:
//! any worker thread encodes any batch. The [`RowSink`] only appends what was encoded, in order, so that the bytes are
//! the same for any number of workers. A file appears under its name only when it is whole.

mod arrow;
mod column;
mod csv;
mod error;
mod format;
mod json;
mod memory;
mod output;
mod parquet;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use joyfuljay_core::engine::CHUNK_ROWS;

pub use self::error::SinkError;
pub use self::format::{Compression, Format};
pub use self::memory::{MemoryRows, MemorySink};
pub use self::output::{remove_parts, write_whole};
pub use self::parquet::RowGroup;

/// Turns rows into a chunk of a format. Pure: the same rows give the same chunk, on any thread and in any order.
pub trait RowEncoder: Send + Sync {
    /// Encodes a batch of the schema that the sink was opened with.
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError>;
}

/// Takes encoded chunks in their order. Dropped without [`RowSink::finish`], it leaves no file.
pub trait RowSink: Send {
    /// The format, or "memory": a label of metrics.
    fn name(&self) -> &'static str;

    /// How many rows make a good chunk for this format. Columnar formats want many; text wants few enough that a chunk
    /// is still in the cache when it is written.
    fn chunk_rows(&self) -> usize {
        CHUNK_ROWS
    }

    /// The encoder whose chunks this sink takes.
    fn encoder(&self) -> Arc<dyn RowEncoder>;

    /// Appends a chunk. After an error the sink is of no more use and will not put its file into place.
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError>;

    /// Completes the output, makes it durable and puts it under its name.
    fn finish(self: Box<Self>) -> Result<Written, SinkError>;

    /// Bytes that were produced so far, those in buffers included.
    fn bytes_written(&self) -> u64;
}

/// An encoded batch, on its way from a worker to the sink.
#[derive(Debug)]
pub enum Encoded {
    /// Text of whole rows.
    Bytes {
        /// Rows in the text.
        rows: usize,
        /// The text.
        bytes: Vec<u8>,
    },
    /// A Parquet row group, its column chunks encoded and compressed.
    RowGroup(RowGroup),
    /// Rows as they are: the sink's own work on them is small.
    Batch(RecordBatch),
}

impl Encoded {
    /// Rows in this chunk.
    pub fn rows(&self) -> usize {
        match self {
            Self::Bytes { rows, .. } => *rows,
            Self::RowGroup(group) => group.rows(),
            Self::Batch(batch) => batch.num_rows(),
        }
    }
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced when the new one is whole; or a device or a pipe, which is written straight into.
    File(PathBuf),
}

/// Settings of the formats.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SinkOptions {
    /// Compression of Parquet pages; other formats are not compressed.
    pub compression: Compression,
}

/// What a finished sink wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Bytes, headers and footers included.
    pub bytes: u64,
}

/// Rows of a chunk of text: about a megabyte of 130 columns.
pub(crate) const TEXT_CHUNK_ROWS: usize = 2_048;

/// Opens a sink for rows of a schema. The header is written at once, so even no rows make a valid file.
pub fn open_sink(
    format: Format,
    target: Target,
    schema: SchemaRef,
    options: &SinkOptions,
) -> Result<Box<dyn RowSink>, SinkError> {
    column::check_schema(format, &schema)?;
    match format {
        Format::Csv => csv::open(&target, schema),
        Format::Json => json::open(&target, schema),
        Format::Parquet => parquet::open(&target, schema, options),
        Format::Arrow => arrow::open(&target, schema),
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

#[cfg(test)]
mod tests;
