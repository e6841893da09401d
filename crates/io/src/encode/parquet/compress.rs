//! Pages, compressed.

use bytes::Bytes;
use parquet::basic::{Compression as Setting, CompressionCodec, Type, ZstdLevel};
use parquet::errors::ParquetError;

use crate::encode::Compression;

const ZSTD_LEVEL: i32 = 1;

/// How the pages of a column are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Zstd,
}

impl Codec {
    /// That of a column, in a file of this one.
    pub(super) fn of(self, column: Type) -> Self {
        match (self, column) {
            // Counts are mostly small. Packed, they have little left to compress: Snappy took a twentieth off the file, for 3 % of
            // a run with all features.
            (Self::Snappy, Type::INT32 | Type::INT64) => Self::None,
            (codec, _) => codec,
        }
    }

    /// As the library's settings have it.
    pub(super) fn setting(self) -> Result<Setting, ParquetError> {
        Ok(match self {
            Self::None => Setting::UNCOMPRESSED,
            Self::Snappy => Setting::SNAPPY,
            Self::Zstd => Setting::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
        })
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Snappy => Self::Snappy,
            Compression::Zstd => Self::Zstd,
        }
    }
}

impl From<Codec> for CompressionCodec {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::None => Self::UNCOMPRESSED,
            Codec::Snappy => Self::SNAPPY,
            Codec::Zstd => Self::ZSTD,
        }
    }
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
    pub(super) fn compress(&mut self, codec: Codec, page: &[u8]) -> Result<Bytes, ParquetError> {
        let room = match codec {
            Codec::None => return Ok(Bytes::copy_from_slice(page)),
            Codec::Snappy => snap::raw::max_compress_len(page.len()),
            Codec::Zstd => zstd::zstd_safe::compress_bound(page.len()),
        };
        self.out.resize(room.max(self.out.len()), 0);
        let length = match codec {
            Codec::None => 0,
            Codec::Snappy => self.snappy.get_or_insert_with(snap::raw::Encoder::new).compress(page, &mut self.out)?,
            Codec::Zstd => {
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
