//! Pages, compressed.

use bytes::Bytes;
use parquet::basic::{Compression as Codec, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;

use crate::encode::Compression;

const ZSTD_LEVEL: i32 = 1;

/// How a column of a file is compressed, by how its first page is encoded.
pub(super) fn of_column(file: Compression, column: Type, first: Encoding) -> Compression {
    match (file, column, first) {
        // Counts are mostly small. Packed, they have little left to compress: Snappy took a twentieth off the file, for 3 % of
        // a run with all features. Nor have places in a dictionary of numbers: a fortieth, for 1 %.
        (Compression::Snappy, Type::INT32 | Type::INT64, _)
        | (Compression::Snappy, Type::DOUBLE, Encoding::RLE_DICTIONARY) => Compression::None,
        (file, _, _) => file,
    }
}

/// The same, as the library says it.
pub(super) fn codec(compression: Compression) -> Result<Codec, ParquetError> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
    })
}

/// The state of the compressors, made when it is used first: it is larger than many a page.
#[derive(Default)]
pub(super) struct Compressor {
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    out: Vec<u8>,
}

impl Compressor {
    /// The page's bytes as the file has them.
    pub(super) fn compress(&mut self, compression: Compression, page: &[u8]) -> Result<Bytes, ParquetError> {
        let room = match compression {
            Compression::None => return Ok(Bytes::copy_from_slice(page)),
            Compression::Snappy => snap::raw::max_compress_len(page.len()),
            Compression::Zstd => zstd::zstd_safe::compress_bound(page.len()),
        };
        self.out.resize(room.max(self.out.len()), 0);
        let length = match compression {
            Compression::None => 0,
            Compression::Snappy => {
                self.snappy.get_or_insert_with(snap::raw::Encoder::new).compress(page, &mut self.out)?
            }
            Compression::Zstd => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
                };
                zstd.compress_to_buffer(page, &mut self.out[..])?
            }
        };
        Ok(Bytes::copy_from_slice(&self.out[..length]))
    }
}
