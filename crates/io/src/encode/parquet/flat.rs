//! Column chunks of numbers, truth values and text, one value to a row.
//!
//! The library encodes the levels of a column value by value, which was some 8 % of the instructions of a run with all features;
//! Arrow has them as the bits that the format wants, and most columns of features have nulls. So what concerns values and levels is
//! here, while headers, metadata and the file are the library's.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, EncodingMask};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::compress::{Compressor, codec, of_column};
use super::dictionary::DictionaryPage;
use super::floats::Floats;
use super::levels::definition_levels;
use super::numbers::{Integers, Truths};
use super::text::Text;
use crate::encode::Compression;

/// Rows of a page. Not of the parts in which they come, so these make no difference.
pub(super) const PAGE_ROWS: usize = 8192;

/// More than the header of a page takes that has no statistics.
const MAX_HEADER: usize = 64;

/// The values of a column: gathered for a page, then encoded for it.
pub(super) trait Values: Send {
    /// Takes the values of the next rows of the page.
    fn append(&mut self, rows: &ArrayRef, scratch: &mut Scratch);

    /// Appends the page's values, and begins the next page.
    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding;

    /// How many of these rows the page has bytes for.
    fn room(&self, _rows: &ArrayRef) -> usize {
        usize::MAX
    }

    /// Bytes of the page's values, where they are text.
    fn page_text_bytes(&self) -> Option<i64> {
        None
    }

    /// The dictionary of the pages so far, where there is one.
    fn dictionary(&self) -> Option<DictionaryPage> {
        None
    }

    /// What can be said of all pages.
    fn statistics(&self, nulls: u64) -> Statistics;
}

/// What the columns of a row group use one after the other.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) integers: Vec<i64>,
    page: Vec<u8>,
    compressor: Compressor,
}

/// A column chunk that grows.
pub(super) struct FlatColumn {
    description: ColumnDescPtr,
    /// The file's, until the first page is there.
    compression: Compression,
    values: Box<dyn Values>,
    /// A bit for each row of the page that grows.
    valid: BooleanBufferBuilder,
    nulls: u64,
    /// Those that are whole. A dictionary comes before them in the file, and is known after them.
    pages: Vec<DataPage>,
}

struct DataPage {
    page: CompressedPage,
    text_bytes: Option<i64>,
}

/// An encoded column chunk.
pub(super) struct FlatChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

impl FlatColumn {
    /// None for a column that the library is to encode.
    pub(super) fn new(data_type: &DataType, description: &ColumnDescPtr, file: Compression) -> Option<Self> {
        let values: Box<dyn Values> = match data_type {
            DataType::Int64 => Box::new(Integers::default()),
            DataType::Float64 => Box::new(Floats::default()),
            DataType::Boolean => Box::new(Truths::default()),
            DataType::Utf8 => Box::new(Text::default()),
            _ => return None,
        };
        Some(Self {
            description: ColumnDescPtr::clone(description),
            compression: file,
            values,
            valid: BooleanBufferBuilder::new(0),
            nulls: 0,
            pages: Vec::new(),
        })
    }

    /// Takes the next rows.
    pub(super) fn write(&mut self, rows: &ArrayRef, scratch: &mut Scratch) -> Result<(), ParquetError> {
        let mut from = 0;
        while from < rows.len() {
            let most = (rows.len() - from).min(PAGE_ROWS - self.valid.len());
            let mut part = rows.slice(from, most);
            let count = match self.values.room(&part).min(most) {
                // A row that is larger than a page has one of its own.
                0 if self.valid.is_empty() => 1,
                count => count,
            };
            if count < most {
                part = part.slice(0, count);
            }
            match part.nulls() {
                Some(valid) => self.valid.append_buffer(valid.inner()),
                None => self.valid.append_n(count, true),
            }
            self.nulls += part.null_count() as u64;
            self.values.append(&part, scratch);
            from += count;
            if self.valid.len() == PAGE_ROWS || count < most {
                self.end_page(scratch)?;
            }
        }
        Ok(())
    }

    fn end_page(&mut self, scratch: &mut Scratch) -> Result<(), ParquetError> {
        let mut page = std::mem::take(&mut scratch.page);
        page.clear();
        if self.description.max_def_level() > 0 {
            let rows = self.valid.len();
            definition_levels(self.valid.as_slice_mut(), rows, &mut page);
        }
        let text_bytes = self.values.page_text_bytes();
        let encoding = self.values.encode(&mut page);
        if self.pages.is_empty() {
            self.compression = of_column(self.compression, self.description.physical_type(), encoding);
        }
        let data = Page::DataPage {
            buf: scratch.compressor.compress(self.compression, &page)?,
            num_values: self.valid.len() as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.pages.push(DataPage { page: CompressedPage::new(data, page.len()), text_bytes });
        self.valid.truncate(0);
        scratch.page = page;
        Ok(())
    }

    /// The chunk, with its last page.
    pub(super) fn close(mut self, scratch: &mut Scratch) -> Result<FlatChunk, ParquetError> {
        if !self.valid.is_empty() {
            self.end_page(scratch)?;
        }
        let dictionary = match self.values.dictionary() {
            Some(DictionaryPage { bytes, values }) => {
                let buf = scratch.compressor.compress(self.compression, &bytes)?;
                let page =
                    Page::DictionaryPage { buf, num_values: values, encoding: Encoding::PLAIN, is_sorted: false };
                Some(CompressedPage::new(page, bytes.len()))
            }
            None => None,
        };
        let pages = self.pages.iter().map(|data| &data.page).chain(&dictionary);
        let mut file = File::with_room(pages.map(|page| page.compressed_size() + MAX_HEADER).sum());
        let dictionary = dictionary.map(|page| file.add(page)).transpose()?;
        let data_from = file.bytes.bytes_written() as i64;
        let (mut index, mut rows, mut text_bytes) = (OffsetIndexBuilder::new(), 0, None);
        for DataPage { page, text_bytes: of_page } in self.pages {
            let page_rows = i64::from(page.num_values());
            let added = file.add(page)?;
            index.append_offset_and_size(added.offset as i64, added.compressed_size as i32);
            index.append_row_count(page_rows);
            index.append_unencoded_byte_array_data_bytes(of_page);
            text_bytes = of_page.map(|of_page| of_page + text_bytes.unwrap_or(0));
            rows += page_rows;
        }
        let File { bytes, uncompressed, kinds } = file;
        let bytes = bytes.into_inner()?;
        let mut encodings = vec![Encoding::RLE];
        encodings.extend(kinds.iter().map(|kind| kind.encoding));
        let levels = (self.description.max_def_level() > 0)
            .then(|| LevelHistogram::from(vec![self.nulls as i64, rows - self.nulls as i64]));
        let metadata = ColumnChunkMetaData::builder(self.description)
            .set_compression_codec(codec(self.compression)?.into())
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(kinds)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed)
            .set_num_values(rows)
            .set_data_page_offset(data_from)
            .set_dictionary_page_offset(dictionary.map(|page| page.offset as i64))
            .set_statistics(self.values.statistics(self.nulls))
            .set_unencoded_byte_array_data_bytes(text_bytes)
            .set_definition_level_histogram(levels)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok(FlatChunk { bytes: bytes.into(), close })
    }
}

/// Pages as they are in a file, and what its footer says of them.
struct File {
    bytes: TrackedWrite<Vec<u8>>,
    uncompressed: i64,
    kinds: Vec<PageEncodingStats>,
}

impl File {
    /// For so many bytes.
    fn with_room(bytes: usize) -> Self {
        Self { bytes: TrackedWrite::new(Vec::with_capacity(bytes)), uncompressed: 0, kinds: Vec::new() }
    }

    fn add(&mut self, page: CompressedPage) -> Result<PageWriteSpec, ParquetError> {
        let (page_type, encoding) = (page.page_type(), page.encoding());
        match self.kinds.last_mut() {
            Some(same) if (same.page_type, same.encoding) == (page_type, encoding) => same.count += 1,
            _ => self.kinds.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
        let added = SerializedPageWriter::new(&mut self.bytes).write_page(page)?;
        self.uncompressed += added.uncompressed_size as i64;
        Ok(added)
    }
}
