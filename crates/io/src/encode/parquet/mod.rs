//! Parquet: whole row groups are encoded and compressed in the workers, the sink only appends them.
//!
//! Settings by measurement on wide rows of flow features (`examples/sink_cost.rs`).

mod bits;
mod column;
mod compress;
mod delta;
mod dictionary;
mod flat;
mod floats;
mod levels;
mod numbers;
mod places;
mod text;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use self::column::{Chunk, Column};
use self::compress::{codec, of_column};
use self::flat::{FlatColumn, Scratch};
use super::gathering::Gathering;
use super::{ChunkEncoder, Compression, Encoded, Format, FormatWriter, Opened, RowEncoder, check_rows};
use crate::deliver::Output;
use crate::sink::{SinkError, SinkOptions};

/// Batches of fewer rows are collected by the writer into one row group: a live capture that gives a few rows per second
/// would else spend more on the footer than on rows, and keep all of it in memory until the end.
const MIN_ROWS: usize = 4096;

/// So many rows are encoded before it is known whether there will be [`MIN_ROWS`], while they are in the cache.
const START_ROWS: usize = 512;

/// Opens the format on an output and writes the magic.
pub(super) fn open(output: Output, schema: SchemaRef, options: &SinkOptions) -> Result<Opened, SinkError> {
    let name = output.name().to_owned();
    let refused = |e| SinkError::parquet(&name, e);
    // As the format's specification names them: `list.element`, where Arrow says `item`.
    let columns = ArrowSchemaConverter::new().with_coerce_types(true).convert(&schema).map_err(refused)?;
    let compression = options.compression;
    let properties = Arc::new(properties(&schema, &columns, compression).map_err(refused)?);
    let file = SerializedFileWriter::new(output, columns.root_schema_ptr(), properties).map_err(refused)?;
    let library = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
    let encoder = Arc::new(ParquetEncoder { schema, columns: Arc::new(columns), compression, library });
    let pending = Gathering::new(Arc::clone(&encoder.schema));
    let writer = ParquetWriter { encoder: Arc::clone(&encoder), file, name, pending };
    Ok(Opened { encoder, writer: Box::new(writer) })
}

/// The encoded columns of a row group.
pub struct RowGroup {
    rows: usize,
    chunks: Vec<Chunk>,
}

impl RowGroup {
    /// Rows in the group.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of its columns.
    pub(super) fn memory(&self) -> usize {
        self.chunks.iter().map(Chunk::bytes).sum()
    }
}

impl fmt::Debug for RowGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowGroup").field("rows", &self.rows).field("columns", &self.chunks.len()).finish()
    }
}

struct ParquetEncoder {
    schema: SchemaRef,
    columns: SchemaDescPtr,
    compression: Compression,
    library: ArrowRowGroupWriterFactory,
}

impl ParquetEncoder {
    /// The columns of a row group.
    fn begin_group(&self) -> Result<Vec<Column>, ParquetError> {
        let leaves = self.columns.num_columns();
        // The library makes its writers all at once: none where it has no column.
        let mut library = None;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        let mut leaf = 0;
        for (root, field) in self.schema.fields().iter().enumerate() {
            let from = leaf;
            leaf += (from..leaves).take_while(|leaf| self.columns.get_column_root_idx(*leaf) == root).count();
            let flat = self.columns.columns().get(from).filter(|_| leaf == from + 1);
            if let Some(flat) = flat.and_then(|leaf| FlatColumn::new(field.data_type(), leaf, self.compression)) {
                columns.push(Column::Flat(Box::new(flat)));
                continue;
            }
            let library = match &mut library {
                Some(writers) => writers,
                // The number of the row group is of use to encryption only.
                none => none.insert(self.library.create_column_writers(0)?.into_iter().map(Some).collect::<Vec<_>>()),
            };
            columns.push(Column::Library(library[from..leaf].iter_mut().filter_map(Option::take).collect()));
        }
        Ok(columns)
    }

    fn row_group(&self, batches: &[RecordBatch]) -> Result<RowGroup, ParquetError> {
        let mut scratch = Scratch::default();
        let columns = self.begin_group()?;
        let mut chunks = Vec::with_capacity(columns.len());
        // One column at a time, closed before the next: its raw pages are freed early.
        for (index, (mut column, field)) in columns.into_iter().zip(self.schema.fields()).enumerate() {
            for batch in batches {
                column.write(field, batch.column(index), &mut scratch)?;
            }
            column.close(&mut scratch, &mut chunks)?;
        }
        Ok(RowGroup { rows: batches.iter().map(RecordBatch::num_rows).sum(), chunks })
    }
}

impl RowEncoder for ParquetEncoder {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        check_rows(Format::Parquet, &self.schema, &rows)?;
        if rows.num_rows() < MIN_ROWS {
            return Ok(Encoded::Batch(rows));
        }
        let group = self.row_group(&[rows]).map_err(|e| SinkError::encode(Format::Parquet, e))?;
        Ok(Encoded::RowGroup(group))
    }

    fn begin(&self) -> Option<Box<dyn ChunkEncoder + '_>> {
        Some(Box::new(GrowingGroup {
            encoder: self,
            waiting: Vec::new(),
            columns: Vec::new(),
            scratch: Scratch::default(),
            rows: 0,
        }))
    }
}

/// A row group that grows in all its columns: pages are encoded as they fill.
struct GrowingGroup<'a> {
    encoder: &'a ParquetEncoder,
    /// The rows, while they are too few for a row group of their own.
    waiting: Vec<RecordBatch>,
    /// Once there are enough rows.
    columns: Vec<Column>,
    scratch: Scratch,
    rows: usize,
}

impl GrowingGroup<'_> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let given = self.encoder.schema.fields().iter().zip(rows.columns());
        for (column, (field, rows)) in self.columns.iter_mut().zip(given) {
            column.write(field, rows, &mut self.scratch)?;
        }
        Ok(())
    }

    fn write_on(&mut self, rows: RecordBatch) -> Result<(), ParquetError> {
        let begun = !self.columns.is_empty();
        if begun {
            self.write(&rows)?;
        }
        self.waiting.push(rows);
        if !begun && self.rows >= START_ROWS {
            self.columns = self.encoder.begin_group()?;
            let waiting = std::mem::take(&mut self.waiting);
            waiting.iter().try_for_each(|rows| self.write(rows))?;
            self.waiting = waiting;
        }
        if self.rows >= MIN_ROWS {
            self.waiting.clear();
        }
        Ok(())
    }
}

impl ChunkEncoder for GrowingGroup<'_> {
    fn add(&mut self, rows: RecordBatch) -> Result<(), SinkError> {
        check_rows(Format::Parquet, &self.encoder.schema, &rows)?;
        self.rows += rows.num_rows();
        self.write_on(rows).map_err(|e| SinkError::encode(Format::Parquet, e))
    }

    fn finish(mut self: Box<Self>) -> Result<Encoded, SinkError> {
        let refused = |e| SinkError::encode(Format::Parquet, e);
        if self.rows < MIN_ROWS {
            let rows = concat_batches(&self.encoder.schema, &self.waiting).map_err(|e| refused(e.into()))?;
            return Ok(Encoded::Batch(rows));
        }
        let mut chunks = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            column.close(&mut self.scratch, &mut chunks).map_err(refused)?;
        }
        Ok(Encoded::RowGroup(RowGroup { rows: self.rows, chunks }))
    }
}

struct ParquetWriter {
    encoder: Arc<ParquetEncoder>,
    file: SerializedFileWriter<Output>,
    name: String,
    /// Batches too small for a row group of their own.
    pending: Gathering,
}

impl ParquetWriter {
    fn append(&mut self, group: RowGroup) -> Result<(), SinkError> {
        let appended = || {
            let mut writer = self.file.next_row_group()?;
            for chunk in group.chunks {
                chunk.append_to(&mut writer)?;
            }
            writer.close().map(drop)
        };
        appended().map_err(|e| SinkError::parquet(&self.name, e))
    }

    fn append_pending(&mut self) -> Result<(), SinkError> {
        let pending = self.pending.take();
        if pending.is_empty() {
            return Ok(());
        }
        let group = self.encoder.row_group(&pending).map_err(|e| SinkError::encode(Format::Parquet, e))?;
        self.append(group)
    }
}

impl FormatWriter for ParquetWriter {
    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        match chunk {
            Encoded::RowGroup(group) => {
                self.append_pending()?;
                self.append(group)
            }
            Encoded::Batch(batch) => {
                self.pending.push(batch).map_err(|e| SinkError::encode(Format::Parquet, e))?;
                if self.pending.rows() >= MIN_ROWS { self.append_pending() } else { Ok(()) }
            }
            Encoded::Rows(_) | Encoded::Packed(_) => Err(SinkError::Foreign { sink: Format::Parquet.name() }),
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        // Nobody reads it before its footer is there; row groups of few rows would only make it larger.
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Output, SinkError> {
        self.append_pending()?;
        let Self { file, name, .. } = *self;
        // `into_inner` writes the footer.
        file.into_inner().map_err(|e| SinkError::parquet(&name, e))
    }

    fn bytes_written(&self) -> u64 {
        self.file.bytes_written() as u64
    }
}

/// What the library is to know: of the file, and of the columns that it encodes.
fn properties(
    schema: &Schema,
    columns: &SchemaDescriptor,
    file: Compression,
) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("joyfuljay version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_coerce_types(true)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(None);
    for column in columns.columns() {
        let (path, of_type) = (column.path().clone(), column.physical_type());
        builder = builder.set_column_compression(path.clone(), codec(of_column(file, of_type, Encoding::PLAIN))?);
        builder = match of_type {
            Type::INT32 | Type::INT64 => builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Type::BYTE_ARRAY => builder.set_column_dictionary_enabled(path, true),
            _ => builder,
        };
    }
    let mut properties = builder.set_key_value_metadata(key_values(schema)).build();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    Ok(properties)
}

/// The schema's metadata also in the clear, for readers that do not know Arrow; sorted, for the same bytes every time.
fn key_values(schema: &Schema) -> Option<Vec<KeyValue>> {
    let mut pairs: Vec<_> = schema.metadata().iter().collect();
    pairs.sort();
    (!pairs.is_empty()).then(|| pairs.into_iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests;
