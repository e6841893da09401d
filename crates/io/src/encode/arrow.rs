//! Arrow IPC. A file takes the file format (Feather version 2), whose footer gives random access and memory mapping; a
//! pipe takes the stream format, which its reader can follow while it is written.

use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, SchemaRef};

use super::gathering::Gathering;
use super::{AsIs, Encoded, Format, FormatWriter, Opened};
use crate::deliver::Output;
use crate::sink::SinkError;

/// Opens the format on an output and writes the schema.
pub(super) fn open(output: Output, schema: SchemaRef) -> Result<Opened, SinkError> {
    let name = output.name().to_owned();
    let followed = output.is_followed();
    let output = BufWriter::with_capacity(BUFFER, output);
    let writer = if followed {
        StreamWriter::try_new(output, &schema).map(Writer::Stream)
    } else {
        FileWriter::try_new(output, &schema).map(Writer::File)
    };
    let writer = writer.map_err(|e| SinkError::arrow(&name, e))?;
    let pending = Gathering::new(Arc::clone(&schema));
    let encoder = AsIs::checked(Format::Arrow, schema);
    Ok(Opened { encoder: Arc::new(encoder), writer: Box::new(ArrowWriter { name, writer, pending }) })
}

/// Columns of a usual batch pass it by; it collects messages, paddings and short columns.
const BUFFER: usize = 64 * 1024;

/// Batches of fewer rows are collected, where nobody follows: each column of a batch takes some 140 bytes of the file, whatever is in it.
const MIN_ROWS: usize = 1024;

enum Writer {
    File(FileWriter<BufWriter<Output>>),
    Stream(StreamWriter<BufWriter<Output>>),
}

struct ArrowWriter {
    name: String,
    writer: Writer,
    /// Rows for the file that are too few for a batch of their own.
    pending: Gathering,
}

impl ArrowWriter {
    fn output(&self) -> &BufWriter<Output> {
        match &self.writer {
            Writer::File(writer) => writer.get_ref(),
            Writer::Stream(writer) => writer.get_ref(),
        }
    }
}

type ToFile = FileWriter<BufWriter<Output>>;

/// Writes rows of which there are enough, and collects the others.
fn write_gathered(writer: &mut ToFile, pending: &mut Gathering, batch: RecordBatch) -> Result<(), ArrowError> {
    if batch.num_rows() < MIN_ROWS {
        pending.push(batch)?;
        return if pending.rows() >= MIN_ROWS { write_pending(writer, pending) } else { Ok(()) };
    }
    write_pending(writer, pending)?;
    writer.write(&batch)
}

fn write_pending(writer: &mut ToFile, pending: &mut Gathering) -> Result<(), ArrowError> {
    let rows = pending.joined()?;
    pending.take();
    rows.map_or(Ok(()), |rows| writer.write(&rows))
}

impl FormatWriter for ArrowWriter {
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let batch = chunk.into_batch(Format::Arrow.name())?;
        let result = match &mut self.writer {
            Writer::File(writer) => write_gathered(writer, &mut self.pending, batch),
            // Flushed, so that a reader at the other end sees rows as they come.
            Writer::Stream(writer) => writer.write(&batch).and_then(|()| writer.flush()),
        };
        result.map_err(|e| SinkError::arrow(&self.name, e))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        match &mut self.writer {
            // Nobody reads it before its footer is there.
            Writer::File(_) => Ok(()),
            Writer::Stream(writer) => writer.flush().map_err(|e| SinkError::arrow(&self.name, e)),
        }
    }

    fn finish(self: Box<Self>) -> Result<Output, SinkError> {
        let Self { name, writer, mut pending } = *self;
        // `into_inner` of both writes the end of the format.
        let buffered = match writer {
            Writer::File(mut writer) => write_pending(&mut writer, &mut pending).and_then(|()| writer.into_inner()),
            Writer::Stream(writer) => writer.into_inner(),
        };
        let buffered = buffered.map_err(|e| SinkError::arrow(&name, e))?;
        buffered.into_inner().map_err(|e| SinkError::io(&name, "write", e.into_error()))
    }

    fn bytes_written(&self) -> u64 {
        let buffered = self.output();
        buffered.get_ref().bytes() + buffered.buffer().len() as u64
    }
}
