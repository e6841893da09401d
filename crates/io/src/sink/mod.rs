//! Row sinks: a format and a place, put together.
//!
//! Encoding ([`crate::encode`]) is apart from delivering ([`crate::deliver`]), so that a format is written once for all places and
//! a place once for all formats. A [`RowSink`] is both together, as a run sees them: the encoder that its workers share, and the
//! end that takes encoded chunks in order.

mod error;
mod lasting;
mod parts;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use joyfuljay_core::engine::CHUNK_ROWS;

pub use self::error::SinkError;
pub use self::lasting::Lasting;
pub use crate::deliver::{
    BytePlace, ChannelSink, Discard, Ending, MemoryRows, MemorySink, MessageForm, MessagePlace, OnFull, Target,
    TopicOptions, open_topic, write_whole,
};
pub use crate::encode::{AsIs, ChunkEncoder, Compression, Encoded, Format, Message, RowBytes, RowEncoder, RowGroup};

use crate::deliver::Output;
use crate::encode::{self, FormatWriter, Opened};

/// Takes encoded chunks in their order. Dropped without [`RowSink::finish`], it leaves no file.
pub trait RowSink: Send {
    /// The format, or the place where there is none: a label of metrics.
    fn name(&self) -> &'static str;

    /// How many rows make a good chunk. Columnar formats want many; text wants few enough that a chunk is still in the cache
    /// when it is written.
    fn chunk_rows(&self) -> usize {
        CHUNK_ROWS
    }

    /// The encoder whose chunks this sink takes: rows as they are, unless it has a format.
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::new(AsIs::default())
    }

    /// Whether rows may be read while the run goes on. Then those that have ended leave on a quiet or slow wire though they
    /// make no good chunk.
    fn is_followed(&self) -> bool {
        true
    }

    /// Appends a chunk. After an error the sink is of no more use and will not put its file into place.
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError>;

    /// Sends on what is buffered, for readers that follow: on a quiet wire nobody should wait for rows that have been written.
    /// Where nobody can follow (a file that appears when it is whole), nothing has to be done.
    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Rows lost since the last call, by reason, of a sink that goes on after an error of its place.
    fn take_lost(&mut self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// Completes the output, makes it durable and puts it under its name.
    fn finish(self: Box<Self>) -> Result<Written, SinkError>;

    /// Bytes that were produced so far, those in buffers included.
    fn bytes_written(&self) -> u64;
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

impl Written {
    /// Counts rows that were taken as they are.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        self.bytes += batch.get_array_memory_size() as u64;
    }
}

/// Rows of a chunk of text: about a megabyte of 130 columns.
pub(crate) const TEXT_CHUNK_ROWS: usize = 2_048;

/// Opens a sink for rows of a schema: a format to a place that the user named.
///
/// # Errors
/// When the place cannot be opened, or the format has no form for a column.
pub fn open_sink(
    format: Format,
    target: Target,
    schema: SchemaRef,
    options: &SinkOptions,
) -> Result<Box<dyn RowSink>, SinkError> {
    encode::check_schema(format, &schema)?;
    let begun = Arc::default();
    let output = target.open()?.holding(&begun);
    sink_that_begins(format, output, schema, options, begun)
}

/// A sink for rows of a schema: a format to any place that takes bytes. The header is written at once.
///
/// # Errors
/// When the place takes no bytes, or the format has no form for a column.
pub fn sink_to_bytes(
    format: Format,
    place: Box<dyn BytePlace>,
    schema: SchemaRef,
    options: &SinkOptions,
) -> Result<Box<dyn RowSink>, SinkError> {
    encode::check_schema(format, &schema)?;
    byte_sink(format, Output::new(place), schema, options)
}

/// A sink for rows of a schema: a message for each row, with the column of this name as its key.
///
/// # Errors
/// When the format has no form for one row or for a column, or there is no such column.
pub fn sink_to_messages(
    format: Format,
    key: Option<&str>,
    place: Box<dyn MessagePlace>,
    schema: SchemaRef,
) -> Result<Box<dyn RowSink>, SinkError> {
    encode::check_schema(format, &schema)?;
    let encoder = encode::row_encoder(format, schema, key)?;
    Ok(Box::new(MessageSink { encoder, place, written: Written::default(), failed: false }))
}

fn byte_sink(
    format: Format,
    output: Output,
    schema: SchemaRef,
    options: &SinkOptions,
) -> Result<Box<dyn RowSink>, SinkError> {
    sink_that_begins(format, output, schema, options, Arc::default())
}

/// As [`byte_sink`]; `begun` is set at the first rows.
fn sink_that_begins(
    format: Format,
    output: Output,
    schema: SchemaRef,
    options: &SinkOptions,
    begun: Arc<AtomicBool>,
) -> Result<Box<dyn RowSink>, SinkError> {
    let place = output.name().to_owned();
    // Of Parquet nothing can be read before its end.
    let followed = output.is_followed() && format != Format::Parquet;
    let Opened { encoder, writer } = encode::open(format, output, schema, options)?;
    Ok(Box::new(ByteSink { format, encoder, writer, place, followed, begun, rows: 0, failed: false }))
}

/// A format to a place that takes bytes.
struct ByteSink {
    format: Format,
    encoder: Arc<dyn RowEncoder>,
    writer: Box<dyn FormatWriter>,
    place: String,
    followed: bool,
    /// Whether rows came, or a flush.
    begun: Arc<AtomicBool>,
    rows: u64,
    failed: bool,
}

impl RowSink for ByteSink {
    fn name(&self) -> &'static str {
        self.format.name()
    }

    fn chunk_rows(&self) -> usize {
        if self.format.is_text() { TEXT_CHUNK_ROWS } else { CHUNK_ROWS }
    }

    fn is_followed(&self) -> bool {
        self.followed
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder)
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.rows() as u64;
        self.begun.store(true, Ordering::Relaxed);
        self.writer.write(chunk).inspect_err(|_| self.failed = true)?;
        self.rows += rows;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.begun.store(true, Ordering::Relaxed);
        self.writer.flush().inspect_err(|_| self.failed = true)
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        if self.failed {
            return Err(SinkError::Incomplete { target: self.place });
        }
        Ok(Written { rows: self.rows, bytes: self.writer.finish()?.finish()? })
    }

    fn bytes_written(&self) -> u64 {
        self.writer.bytes_written()
    }
}

/// A format whose rows are bytes of their own to a place that takes a message for each.
struct MessageSink {
    encoder: Arc<dyn RowEncoder>,
    place: Box<dyn MessagePlace>,
    written: Written,
    failed: bool,
}

impl RowSink for MessageSink {
    fn name(&self) -> &'static str {
        self.place.name()
    }

    fn chunk_rows(&self) -> usize {
        TEXT_CHUNK_ROWS
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder)
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.into_rows(self.place.name())?;
        self.place.send(&rows).inspect_err(|_| self.failed = true)?;
        self.written.rows += rows.rows() as u64;
        self.written.bytes += rows.bytes().len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.place.flush().inspect_err(|_| self.failed = true)
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        if self.failed {
            return Err(SinkError::Incomplete { target: self.place.name().to_owned() });
        }
        self.place.finish()?;
        Ok(self.written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

#[cfg(test)]
mod tests;
