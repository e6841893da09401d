//! Compressed captures, recognised by their first bytes: names lie, and standard input has none.

use super::input::read_full;
use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

/// How a capture is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
/// allows by default), blocks of at most 8 MiB for LZ4.
pub(super) fn decompress(mut input: impl Read + Send + 'static) -> io::Result<(Compression, Box<dyn Read + Send>)> {
    let mut magic = [0; MAGIC];
    let n = read_full(&mut input, &mut magic)?;
    let kind = detect(magic.get(..n).unwrap_or_default());
    if kind == Compression::None {
        return Ok((kind, Box::new(Cursor::new(magic).take(n as u64).chain(input))));
    }
    let input = BufReader::with_capacity(COMPRESSED_BLOCK, input);
    let input = Input { magic, given: 0, input, at_end: false };
    Ok((kind, Box::new(Members { state: State::Between(input), kind })))
}

/// Compressed bytes taken from the file at once.
const COMPRESSED_BLOCK: usize = 128 * 1024;

/// Bytes that identify the kind of a member.
const MAGIC: usize = 4;

fn detect(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
        // Parallel compressors of Zstandard open their files with one, few others do.
        _ if is_skippable(start) => Compression::Zstd,
        _ => Compression::None,
    }
}

/// Whether a frame begins that is to be stepped over, the same for Zstandard (RFC 8878, 3.1.2) and LZ4.
fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The members of a compressed file (frames, for Zstandard and LZ4) one after the other. Any of them may be empty, and zeros
/// may follow the last one: tapes and preallocated files end so, and gzip(1) passes them over.
struct Members<R: Read> {
    state: State<R>,
    /// As what begins the file, which decides what may follow.
    kind: Compression,
}

// One for each open capture: its size does not matter.
#[allow(clippy::large_enum_variant)]
enum State<R: Read> {
    Between(Input<R>),
    Gzip(flate2::bufread::GzDecoder<Input<R>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<R>>),
    Lz4(Box<lz4_flex::frame::FrameDecoder<Input<R>>>),
    End,
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = match &mut self.state {
                State::Between(_) => 0,
                State::Gzip(decoder) => decoder.read(buf)?,
                State::Zstd(decoder) => decoder.read(buf).map_err(window_too_large)?,
                State::Lz4(decoder) => match decoder.read(buf)? {
                    // The decoder takes the end of the file for that of the frame.
                    0 if decoder.get_ref().at_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => n,
                },
                State::End => return Ok(0),
            };
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            let input = match std::mem::replace(&mut self.state, State::End) {
                State::Between(input) => input,
                State::Gzip(decoder) => decoder.into_inner(),
                State::Zstd(decoder) => decoder.finish(),
                State::Lz4(decoder) => decoder.into_inner(),
                State::End => return Ok(0),
            };
            self.state = self.next(input)?;
        }
    }
}

impl<R: Read> Members<R> {
    /// What comes at the end of a member.
    fn next(&self, mut input: Input<R>) -> io::Result<State<R>> {
        if input.is_padding()? {
            return Ok(State::End);
        }
        let start = input.peek()?;
        if self.kind != Compression::Gzip && is_skippable(start) {
            input.skip_frame()?;
            return Ok(State::Between(input));
        }
        match (detect(start), self.kind) {
            (Compression::Gzip, Compression::Gzip) => Ok(State::Gzip(flate2::bufread::GzDecoder::new(input))),
            (Compression::Zstd, Compression::Zstd | Compression::Lz4) => {
                Ok(State::Zstd(zstd::stream::read::Decoder::with_buffer(input)?.single_frame()))
            }
            (Compression::Lz4, Compression::Zstd | Compression::Lz4) => {
                Ok(State::Lz4(Box::new(lz4_flex::frame::FrameDecoder::new(input))))
            }
            _ => Err(invalid("something else follows".to_owned())),
        }
    }
}

/// Compressed bytes, the first of which can be looked at before they are taken.
struct Input<R> {
    magic: [u8; MAGIC],
    /// Bytes of `magic` that were taken.
    given: usize,
    input: BufReader<R>,
    /// Whether more was asked for than there is.
    at_end: bool,
}

impl<R: Read> Input<R> {
    /// The first bytes, as many as there are of those that identify the kind of a member. They stay.
    fn peek(&mut self) -> io::Result<&[u8]> {
        let mut magic = [0; MAGIC];
        let n = read_full(self, &mut magic)?;
        // Where fewer are left they go to the end of the buffer.
        self.given = MAGIC - n;
        if let Some((to, from)) = self.magic.get_mut(MAGIC - n..).zip(magic.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at_end = false;
        Ok(self.magic.get(self.given..).unwrap_or_default())
    }

    /// Whether nothing but zeros is left; they are taken.
    fn is_padding(&mut self) -> io::Result<bool> {
        let mut padded = false;
        loop {
            let there = match self.fill_buf() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                there => there?,
            };
            match there.iter().position(|b| *b != 0) {
                None if there.is_empty() => return Ok(true),
                None => {
                    let zeros = there.len();
                    self.consume(zeros);
                    padded = true;
                }
                Some(0) if !padded => return Ok(false),
                Some(_) => return Err(invalid("something follows the zeros after their end".to_owned())),
            }
        }
    }

    /// Steps over a frame that is to be skipped.
    fn skip_frame(&mut self) -> io::Result<()> {
        let mut head = [0; 8];
        self.read_exact(&mut head)?;
        let [.., a, b, c, d] = head;
        let len = u64::from(u32::from_le_bytes([a, b, c, d]));
        match io::copy(&mut self.take(len), &mut io::sink())? {
            skipped if skipped == len => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let head = self.magic.get(self.given..).unwrap_or_default();
        if !head.is_empty() {
            let n = (&mut &*head).read(buf)?;
            self.given += n;
            return Ok(n);
        }
        let n = self.input.read(buf)?;
        self.at_end |= n == 0 && !buf.is_empty();
        Ok(n)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.magic.get(self.given..) {
            Some(head) if !head.is_empty() => Ok(head),
            _ => self.input.fill_buf(),
        }
    }

    fn consume(&mut self, n: usize) {
        if self.given < MAGIC {
            self.given = (self.given + n).min(MAGIC);
        } else {
            self.input.consume(n);
        }
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Data that want a larger window than is kept are not damaged: says so, and the way out.
fn window_too_large(error: io::Error) -> io::Error {
    /// The library has no other name for it (zstd_errors.h, `ZSTD_error_frameParameter_windowTooLarge`).
    const TEXT: &str = "requires too much memory";

    if !error.to_string().contains(TEXT) {
        return error;
    }
    let problem = "made with a window of more than the 128 MiB that are kept (--long=28 or more): decompress it first, as in \
                   `zstd -dc --long=31 FILE | jj … -`";
    io::Error::new(io::ErrorKind::Unsupported, problem)
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

    fn skippable(bytes: &[u8]) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&[0x53, 0x2a, 0x4d, 0x18], &len[..], bytes].concat()
    }

    const KINDS: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Lz4];

    #[test]
    fn empty_members_and_those_to_be_skipped_change_nothing() {
        let plain = capture(100);
        let all = frames(plain.clone());
        for kind in KINDS {
            let (one, two) = plain.split_at(20_000);
            let (one, two, none) = (compress(kind, one), compress(kind, two), compress(kind, b""));
            for whole in [vec![&none, &none, &one, &two], vec![&one, &none, &none, &two], vec![&one, &two, &none]] {
                assert_eq!(frames(whole.into_iter().flatten().copied().collect()), all, "{kind}");
            }
            let skip = skippable(&vec![7; 200_000]);
            if kind != Compression::Gzip {
                for whole in
                    [vec![&skip, &skip, &one, &two], vec![&one, &skip, &two, &skip], vec![&none, &skip, &one, &two]]
                {
                    assert_eq!(frames(whole.into_iter().flatten().copied().collect()), all, "{kind}");
                }
            }
        }
    }

    #[test]
    fn zeros_at_the_end_are_no_damage_and_anything_else_is() {
        let plain = capture(100);
        let all = frames(plain.clone());
        for kind in KINDS {
            for zeros in [1, 3, 511, 300_000] {
                let padded = [compress(kind, &plain), vec![0; zeros]].concat();
                assert_eq!(frames(padded.clone()), all, "{kind}");
                let (batches, warnings) = read_all(Cursor::new([padded, b"x".to_vec()].concat()));
                assert_eq!((batches.concat(), warnings.len()), (all.clone(), 1), "{kind}");
            }
            for garbage in [&b"g"[..], b"garbage", &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], &[0x04, 0x22]] {
                let (batches, warnings) = read_all(Cursor::new([&compress(kind, &plain)[..], garbage].concat()));
                assert_eq!((batches.concat(), warnings.len()), (all.clone(), 1), "{kind} {garbage:?}");
            }
        }
    }

    #[test]
    fn a_cut_is_seen_wherever_it_is() {
        let plain = capture(3);
        for kind in KINDS {
            let whole = compress(kind, &plain);
            for len in MAGIC..whole.len() {
                let input = Cursor::new(whole[..len].to_vec());
                let (found, mut reader) = decompress(input).unwrap();
                let mut out = Vec::new();
                let result = reader.read_to_end(&mut out);
                assert_eq!(found, kind);
                assert!(result.is_err() && plain.starts_with(&out), "{kind}: {len} of {} bytes", whole.len());
            }
        }
    }

    #[test]
    fn a_long_window_is_named_with_the_way_out() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.window_log(28).unwrap();
        encoder.write_all(&capture(10)).unwrap();
        let mut whole = compress(Compression::Zstd, b"");
        whole.append(&mut encoder.finish().unwrap());
        let (_, mut reader) = decompress(Cursor::new(whole)).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("zstd -dc --long=31"), "{error}");
    }
}
