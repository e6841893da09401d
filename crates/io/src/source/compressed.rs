//! Compressed captures, told by their first bytes: names lie, and standard input has none.

use super::input::read_full;
use std::fmt;
use std::io::{self, BufReader, Cursor, Read};

/// How a capture is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, of one or several members (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// Looks at the first bytes of `input` and gives a reader of the decompressed bytes.
///
/// Memory is bounded whatever the input claims: 32 KiB of window for gzip, 128 MiB for Zstandard (what its own tool
/// allows unless told otherwise), blocks of at most 8 MiB for LZ4.
pub(super) fn decompress(mut input: impl Read + Send + 'static) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let mut magic = [0; 4];
    let n = read_full(&mut input, &mut magic)?;
    let kind = detect(&magic);
    let whole = Cursor::new(magic).take(n as u64).chain(input);
    Ok((
        kind,
        match kind {
            Compression::None => Box::new(whole),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered(whole))),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(buffered(whole))?),
            Compression::Lz4 => Box::new(Lz4Frames(lz4_flex::frame::FrameDecoder::new(buffered(whole)))),
        },
    ))
}

fn buffered<R: Read>(input: R) -> BufReader<R> {
    BufReader::with_capacity(COMPRESSED_BLOCK, input)
}

/// Compressed bytes taken from the file at once.
const COMPRESSED_BLOCK: usize = 128 * 1024;

fn detect(magic: &[u8; 4]) -> Compression {
    match magic {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // The second is a skippable frame: parallel zstd compressors open their files with one.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        [0x04, 0x22, 0x4d, 0x18] => Compression::Lz4,
        _ => Compression::None,
    }
}

/// LZ4 frames one after the other: the decoder reports an end after each of them.
struct Lz4Frames<R: Read>(lz4_flex::frame::FrameDecoder<R>);

impl<R: Read> Read for Lz4Frames<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => self.0.read(buf),
            n => Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Writer, frames, read_all};
    use super::*;
    use std::io::Write;

    fn capture(records: u32) -> Vec<u8> {
        let w = Writer { big: false };
        let mut file = w.pcap(0xa1b2_c3d4, (2, 4), 65535, 1);
        for i in 0..records {
            // Bytes that do not compress, so that a cut stream still holds frames.
            let bytes: Vec<u8> =
                (0..500u32).map(|j| (i * 500 + j).wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect();
            file.extend(w.record(i, 0, 500, 0, &bytes));
        }
        file
    }

    fn compress(kind: Compression, bytes: &[u8]) -> Vec<u8> {
        match kind {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
        }
    }

    #[test]
    fn streams_of_several_members_are_one_capture() {
        let plain = capture(100);
        for kind in [Compression::Gzip, Compression::Zstd, Compression::Lz4] {
            let (one, two) = plain.split_at(20_000);
            let whole = [compress(kind, one), compress(kind, two)].concat();
            assert_eq!(frames(whole), frames(plain.clone()), "{kind}");
        }
    }

    #[test]
    fn a_cut_stream_gives_what_came_before_and_one_warning() {
        let plain = capture(1000);
        let all = frames(plain.clone());
        for kind in [Compression::Gzip, Compression::Zstd, Compression::Lz4] {
            let whole = compress(kind, &plain);
            let (batches, warnings) = read_all(Cursor::new(whole[..whole.len() / 2].to_vec()));
            let some = batches.concat();
            assert!(some.len() > 100 && all.starts_with(&some), "{kind}: {}", some.len());
            assert_eq!(warnings.len(), 1, "{kind}: {warnings:?}");
            assert!(warnings[0].message.contains(&kind.to_string()), "{}", warnings[0]);
        }
    }
}
