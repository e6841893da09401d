//! Arrow IPC. A file takes the file format (Feather version 2), whose footer gives random access and memory mapping; a
//! pipe takes the stream format, which its reader can follow while it is written.

use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::SchemaRef;

use super::output::Output;
use super::text::foreign;
use super::{Encoded, Format, RowEncoder, RowSink, SinkError, Target, Written, check_rows};

/// Opens the target and writes the schema.
pub(super) fn open(target: &Target, schema: SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
    let output = Output::open(target)?;
    let name = output.target().to_owned();
    let stream = output.is_stream();
    let output = BufWriter::with_capacity(BUFFER, output);
    let writer = if stream {
        StreamWriter::try_new(output, &schema).map(Writer::Stream)
    } else {
        FileWriter::try_new(output, &schema).map(Writer::File)
    };
    let writer = writer.map_err(|e| SinkError::arrow(&name, e))?;
    Ok(Box::new(ArrowSink { encoder: Arc::new(ArrowEncoder { schema }), target: name, writer, rows: 0, failed: false }))
}

/// Columns of a usual batch pass it by; it collects messages, paddings and short columns.
const BUFFER: usize = 64 * 1024;

enum Writer {
    File(FileWriter<BufWriter<Output>>),
    Stream(StreamWriter<BufWriter<Output>>),
}

struct ArrowSink {
    encoder: Arc<ArrowEncoder>,
    target: String,
    writer: Writer,
    rows: u64,
    failed: bool,
}

impl RowSink for ArrowSink {
    fn name(&self) -> &'static str {
        Format::Arrow.name()
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        self.encoder.clone()
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let Encoded::Batch(batch) = chunk else { return Err(foreign(Format::Arrow.name())) };
        let result = match &mut self.writer {
            Writer::File(writer) => writer.write(&batch),
            // Flushed, so that a reader at the other end sees rows as they come.
            Writer::Stream(writer) => writer.write(&batch).and_then(|()| writer.flush()),
        };
        self.failed |= result.is_err();
        self.rows += batch.num_rows() as u64;
        result.map_err(|e| SinkError::arrow(&self.target, e))
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        let Self { target, writer, rows, failed, .. } = *self;
        if failed {
            return Err(SinkError::Incomplete { target });
        }
        // `into_inner` of both writes the end of the format.
        let buffered = match writer {
            Writer::File(writer) => writer.into_inner(),
            Writer::Stream(writer) => writer.into_inner(),
        };
        let buffered = buffered.map_err(|e| SinkError::arrow(&target, e))?;
        let output = buffered.into_inner().map_err(|e| SinkError::io(&target, "write", e.into_error()))?;
        Ok(Written { rows, bytes: output.finish()? })
    }

    fn bytes_written(&self) -> u64 {
        let buffered = match &self.writer {
            Writer::File(writer) => writer.get_ref(),
            Writer::Stream(writer) => writer.get_ref(),
        };
        buffered.get_ref().bytes() + buffered.buffer().len() as u64
    }
}

/// Passes rows on: writing them is a copy.
struct ArrowEncoder {
    schema: SchemaRef,
}

impl RowEncoder for ArrowEncoder {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        check_rows(Format::Arrow, &self.schema, &rows)?;
        Ok(Encoded::Batch(rows))
    }
}
