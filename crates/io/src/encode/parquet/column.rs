//! The columns of a row group: most are encoded here, nested ones and rare types by the library.

use arrow_array::ArrayRef;
use arrow_schema::Field;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;

use super::flat::{FlatChunk, FlatColumn, Scratch};
use crate::deliver::Output;

/// An encoded column, or a leaf of one that is nested.
pub(super) enum Chunk {
    Flat(FlatChunk),
    Library(ArrowColumnChunk),
}

impl Chunk {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Flat(chunk) => chunk.bytes.len(),
            Self::Library(chunk) => chunk.close().bytes_written as usize,
        }
    }

    pub(super) fn append_to(self, group: &mut SerializedRowGroupWriter<'_, Output>) -> Result<(), ParquetError> {
        match self {
            Self::Flat(FlatChunk { bytes, close }) => group.append_column(&bytes, close),
            Self::Library(chunk) => chunk.append_to_row_group(group),
        }
    }
}

/// A column that grows.
pub(super) enum Column {
    Flat(Box<FlatColumn>),
    /// Its leaves.
    Library(Vec<ArrowColumnWriter>),
}

impl Column {
    pub(super) fn write(&mut self, field: &Field, rows: &ArrayRef, scratch: &mut Scratch) -> Result<(), ParquetError> {
        match self {
            Self::Flat(column) => column.write(rows, scratch),
            Self::Library(leaves) => {
                let values = compute_leaves(field, rows)?;
                leaves.iter_mut().zip(&values).try_for_each(|(leaf, values)| leaf.write(values))
            }
        }
    }

    pub(super) fn close(self, scratch: &mut Scratch, chunks: &mut Vec<Chunk>) -> Result<(), ParquetError> {
        match self {
            Self::Flat(column) => chunks.push(Chunk::Flat(column.close(scratch)?)),
            Self::Library(leaves) => {
                for leaf in leaves {
                    chunks.push(Chunk::Library(leaf.close()?));
                }
            }
        }
        Ok(())
    }
}
