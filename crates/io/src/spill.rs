//! Rows that wait for the end of the input, in a temporary file.
//!
//! The file has no name (where the system has such files) and lies in the folder for temporary files, which `TMPDIR` names; it
//! is gone with the process. Each chunk is an Arrow IPC stream, compressed with LZ4 by the thread that made the rows.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};

use crate::encode::{Encoded, RowEncoder};
use crate::sink::{RowSink, SinkError, Written};

/// The name of the sink.
pub const SPILL: &str = "spill";

/// Chunks are some megabytes; this collects the short ones.
const BUFFER: usize = 1 << 20;

/// A chunk of rows in a form that only its sink knows.
#[derive(Debug)]
pub struct PackedRows {
    bytes: Vec<u8>,
    rows: usize,
}

impl PackedRows {
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn new(bytes: Vec<u8>, rows: usize) -> Self {
        Self { bytes, rows }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Rows in it.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// The sink of rows that wait. `schema` is theirs.
///
/// # Errors
/// When there is no folder for temporary files, or it cannot be written to.
pub fn open(schema: SchemaRef) -> Result<(SpillSink, Spilled), SinkError> {
    let directory = std::env::temp_dir();
    let file = tempfile::tempfile_in(&directory).map_err(|e| spill_error(&directory, "created", e))?;
    let place = Arc::new(Mutex::new(None));
    let spilled = Spilled { place: Arc::clone(&place) };
    let plain = plain(&schema);
    let encoder = Arc::new(Packer { plain });
    let file = BufWriter::with_capacity(BUFFER, file);
    Ok((SpillSink { schema, encoder, directory, file, written: Written::default(), place }, spilled))
}

fn spill_error(directory: &std::path::Path, action: &'static str, source: io::Error) -> SinkError {
    SinkError::Spill { directory: directory.display().to_string(), action, source }
}

/// The types alone: names and metadata of several hundred columns would be in each chunk.
fn plain(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| Field::new("", f.data_type().clone(), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Takes rows that wait.
#[derive(Debug)]
pub struct SpillSink {
    schema: SchemaRef,
    encoder: Arc<Packer>,
    directory: PathBuf,
    file: BufWriter<File>,
    written: Written,
    place: Arc<Mutex<Option<SpillReader>>>,
}

impl RowSink for SpillSink {
    fn name(&self) -> &'static str {
        SPILL
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as Arc<dyn RowEncoder>
    }

    fn is_followed(&self) -> bool {
        false
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let Encoded::Packed(packed) = chunk else { return Err(SinkError::Foreign { sink: self.name() }) };
        let len = (packed.bytes.len() as u64).to_le_bytes();
        let written = self.file.write_all(&len).and_then(|()| self.file.write_all(&packed.bytes));
        written.map_err(|e| spill_error(&self.directory, "written", e))?;
        self.written.rows += packed.rows as u64;
        self.written.bytes += (len.len() + packed.bytes.len()) as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        let Self { directory, file, written, place, schema, .. } = *self;
        let file = file.into_inner().map_err(|e| spill_error(&directory, "written", e.into_error()));
        let mut file = file?;
        file.seek(SeekFrom::Start(0)).map_err(|e| spill_error(&directory, "read", e))?;
        let reader =
            SpillReader { file: BufReader::with_capacity(BUFFER, file), left: written.bytes, directory, schema };
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        Ok(written)
    }

    fn bytes_written(&self) -> u64 {
        self.written.bytes
    }
}

/// Where the rows are when their sink is finished.
#[derive(Debug)]
pub struct Spilled {
    place: Arc<Mutex<Option<SpillReader>>>,
}

impl Spilled {
    /// The rows; none before the sink was finished.
    pub fn take(self) -> Option<SpillReader> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Gives the rows back, chunk by chunk, in their order.
#[derive(Debug)]
pub struct SpillReader {
    file: BufReader<File>,
    left: u64,
    directory: PathBuf,
    schema: SchemaRef,
}

impl SpillReader {
    /// The next chunk, still packed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_packed(&mut self) -> Result<Option<Vec<u8>>, SinkError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut len = [0; 8];
        let mut bytes = Vec::new();
        let read = self.file.read_exact(&mut len).and_then(|()| {
            let len = u64::from_le_bytes(len);
            // Not allocated by a number that a disk may have lost.
            let got = (&mut self.file).take(len).read_to_end(&mut bytes)?;
            if got as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
        });
        read.map_err(|e| spill_error(&self.directory, "read", e))?;
        self.left = self.left.saturating_sub((len.len() + bytes.len()) as u64);
        Ok(Some(bytes))
    }

    /// What unpacks chunks, on any thread.
    pub fn unpacking(&self) -> Unpacking {
        Unpacking { directory: self.directory.clone(), schema: Arc::clone(&self.schema) }
    }
}

/// Unpacks chunks.
#[derive(Debug)]
pub struct Unpacking {
    directory: PathBuf,
    schema: SchemaRef,
}

impl Unpacking {
    /// The rows of a packed chunk.
    ///
    /// # Errors
    /// When the chunk is not what was written.
    pub fn rows(&self, packed: &[u8]) -> Result<RecordBatch, SinkError> {
        let broken = |e: String| spill_error(&self.directory, "read", io::Error::new(io::ErrorKind::InvalidData, e));
        let stream = unpacked(packed).map_err(&broken)?;
        let mut batches = StreamReader::try_new(Cursor::new(stream), None).map_err(|e| broken(e.to_string()))?;
        let batch = batches.next().ok_or_else(|| broken("no rows".into()))?;
        let rows = batch.and_then(|batch| RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec()));
        rows.map_err(|e| broken(e.to_string()))
    }
}

/// Packs rows.
#[derive(Debug)]
struct Packer {
    plain: SchemaRef,
}

impl RowEncoder for Packer {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        let n = rows.num_rows();
        let stream = self.stream(&rows).map_err(|e| SinkError::encode(crate::encode::Format::Arrow, e))?;
        Ok(Encoded::Packed(PackedRows { bytes: packed(&stream), rows: n }))
    }
}

impl Packer {
    fn stream(&self, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let rows = RecordBatch::try_new(Arc::clone(&self.plain), rows.columns().to_vec())?;
        let mut writer = StreamWriter::try_new(Vec::new(), &self.plain)?;
        writer.write(&rows)?;
        writer.finish()?;
        writer.into_inner()
    }
}

/// Blocks of LZ4 say their length in 32 bits: pieces of this length are compressed by themselves.
const PIECE: usize = 16 << 20;

fn packed(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in stream.chunks(PIECE) {
        let packed = lz4_flex::block::compress_prepend_size(piece);
        out.extend_from_slice(&(packed.len() as u64).to_le_bytes());
        out.extend_from_slice(&packed);
    }
    out
}

fn unpacked(mut packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    while let Some((len, rest)) = packed.split_first_chunk::<8>() {
        let piece = usize::try_from(u64::from_le_bytes(*len)).ok().and_then(|len| rest.split_at_checked(len));
        let (piece, rest) = piece.ok_or("a piece is cut")?;
        // The first four bytes are the length that is about to be allocated.
        let plain = piece.first_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len) as usize);
        if plain > PIECE {
            return Err("a piece is too long".into());
        }
        out.extend(lz4_flex::block::decompress_size_prepended(piece).map_err(|e| e.to_string())?);
        packed = rest;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow_array::{ArrayRef, Float64Array, StringArray};
    use arrow_schema::DataType;

    use super::*;

    fn rows(from: i32, n: i32) -> RecordBatch {
        let meta = HashMap::from([("unit".to_owned(), "s".to_owned())]);
        let fields = vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("seconds", DataType::Float64, true).with_metadata(meta),
        ];
        let names: ArrayRef =
            Arc::new(StringArray::from_iter((from..from + n).map(|i| (i % 3 > 0).then(|| i.to_string()))));
        let seconds: ArrayRef =
            Arc::new(Float64Array::from_iter((from..from + n).map(|i| (i % 5 > 0).then(|| f64::from(i)))));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![names, seconds]).unwrap()
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let chunks = [rows(0, 1000), rows(1000, 1), rows(1001, 0), rows(1001, 300)];
        let (mut sink, spilled) = open(chunks[0].schema()).unwrap();
        let encoder = sink.encoder();
        for chunk in &chunks {
            sink.write(encoder.encode(chunk.clone()).unwrap()).unwrap();
        }
        let written = Box::new(sink).finish().unwrap();
        assert_eq!(written.rows, 1301);
        let mut reader = spilled.take().unwrap();
        for chunk in &chunks {
            let packed = reader.next_packed().unwrap().unwrap();
            assert_eq!(&reader.unpacking().rows(&packed).unwrap(), chunk);
        }
        assert!(reader.next_packed().unwrap().is_none());
    }

    #[test]
    fn what_the_disk_lost_is_an_error() {
        let (sink, spilled) = open(rows(0, 0).schema()).unwrap();
        let Encoded::Packed(packed) = sink.encoder().encode(rows(0, 500)).unwrap() else { panic!("not packed") };
        Box::new(sink).finish().unwrap();
        let reader = spilled.take().unwrap();
        assert!(reader.unpacking().rows(&packed.bytes).is_ok());
        for cut in [0, 4, 8, 13, packed.bytes.len() / 2, packed.bytes.len() - 1] {
            let error = reader.unpacking().rows(&packed.bytes[..cut]).unwrap_err().to_string();
            assert!(error.contains("TMPDIR"), "{error}");
        }
    }

    #[test]
    fn long_streams_are_packed_in_pieces() {
        let stream: Vec<u8> = (0..PIECE + 100).map(|i| (i % 251) as u8).collect();
        assert_eq!(unpacked(&packed(&stream)).unwrap(), stream);
    }
}
