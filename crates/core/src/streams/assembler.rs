//! One direction of a connection: segments in, runs of bytes out.

use std::collections::VecDeque;

use super::{Arrival, Progress, Reader, Run};
use crate::packet::Side;
use crate::protocols::Segment;

/// Most bytes of one direction that are kept, those that came early included. A TLS handshake message has less than
/// 64 KiB here, with the headers of its records as much again at the very most in practice, and TLS is looked for in the
/// first 64 KiB. Bytes beyond are treated as if they had never come.
pub const MAX_BYTES: usize = 128 << 10;

/// Most segments of one direction whose limits are kept, of those in order and of those that came early: a full window of
/// 1 MiB in flight, of ordinary segments.
pub const MAX_PIECES: usize = 1024;

/// Segments dropped for want of room after which nobody waits any longer for the missing byte: it would have been sent
/// again by now.
const MAX_DROPPED: u32 = 1024;

/// A direction of a connection.
#[derive(Debug, Default)]
pub struct Assembler {
    /// Sequence number of offset 0.
    base: Option<u32>,
    /// Whether the base comes from a SYN.
    has_syn: bool,
    /// Whether the base comes from a segment without payload, and nothing else has come.
    is_guess: bool,
    closed: bool,
    dropped: u32,
    /// All bytes before this offset have come.
    next: u64,
    /// Bytes before this offset are not wanted again. May be beyond `next`.
    keep_from: u64,
    /// The bytes from `keep_from` to `next`, behind `front` that are discarded.
    buffer: Vec<u8>,
    front: usize,
    /// The segments that brought the bytes of the buffer.
    ready: Vec<Segment>,
    /// What came early: by offset, without overlap.
    early: VecDeque<Piece>,
    /// Bytes in `early`.
    early_bytes: usize,
}

/// Bytes that came before those in front of them.
#[derive(Debug)]
struct Piece {
    segment: Segment,
    /// The last bytes of the segment, from where they are wanted on.
    bytes: Box<[u8]>,
}

impl Assembler {
    /// Most bytes on the heap. The buffer may be twice what it holds; what came early may be as much as it was allowed
    /// and, after a change of the base, what was in the buffer.
    pub const MAX_HEAP: usize = 4 * MAX_BYTES + MAX_PIECES * size_of::<Segment>() + 2 * MAX_PIECES * size_of::<Piece>();

    /// Takes in a segment, and shows the reader what can be read now. Whether it brought bytes not seen before.
    pub fn push(&mut self, arrival: &Arrival<'_>, side: Side, reader: &mut impl Reader) -> bool {
        if self.closed {
            return false;
        }
        let seq = arrival.seq.wrapping_add(u32::from(arrival.syn));
        self.is_guess |= self.base.is_none() && arrival.bytes.is_empty() && !arrival.syn;
        let mut offset = self.offset_of(seq);
        if self.is_guess && (arrival.syn || !arrival.bytes.is_empty()) {
            self.is_guess = false;
            if offset == 1 {
                // It was a keep-alive, which has the number of a byte that was acknowledged (RFC 9293 section 3.8.4).
                self.base = Some(seq);
                offset = 0;
            }
        }
        let fixed = self.has_syn;
        self.has_syn |= arrival.syn;
        if offset < 0 && !fixed && self.can_rebase(offset) {
            self.rebase(offset.unsigned_abs());
            offset = 0;
        }
        // Bytes before the base are none of the stream.
        let skipped = usize::try_from(offset.min(0).unsigned_abs()).unwrap_or(usize::MAX);
        let Some(bytes) = arrival.bytes.get(skipped..) else { return false };
        let start = offset.max(0).unsigned_abs();
        let end = start + bytes.len() as u64;
        if end <= self.next || bytes.is_empty() {
            return false;
        }
        self.place(Segment { number: arrival.number, start, end, first: true, at: arrival.at }, bytes, side, reader)
    }

    /// Whether a SYN with this sequence number begins another connection than the one that is followed.
    pub fn is_other_connection(&self, isn: u32) -> bool {
        let Some(base) = self.base else { return false };
        let before = base.wrapping_sub(isn.wrapping_add(1));
        // A SYN may come late, behind the data that follow it.
        before != 0 && (self.has_syn || !self.can_rebase(-i64::from(before)))
    }

    /// Sequence number of the first byte.
    pub fn base(&self) -> Option<u32> {
        self.base
    }

    /// Whether nothing of it is wanted any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Gives up the rest of the stream.
    pub fn lose(&mut self, side: Side, reader: &mut impl Reader) {
        self.close();
        reader.lost(side);
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buffer.capacity()
            + self.ready.capacity() * size_of::<Segment>()
            + self.early.capacity() * size_of::<Piece>()
            + self.early_bytes
    }

    /// Offset of a sequence number, as the one nearest to what is awaited. The first one seen is the base.
    fn offset_of(&mut self, seq: u32) -> i64 {
        let base = *self.base.get_or_insert(seq);
        let awaited = base.wrapping_add(self.next as u32);
        self.next as i64 + i64::from(seq.wrapping_sub(awaited) as i32)
    }

    /// Whether the stream may begin at this offset below 0 instead: only while no byte of it was shown.
    fn can_rebase(&self, offset: i64) -> bool {
        self.next == 0 && offset.unsigned_abs() <= MAX_BYTES as u64
    }

    /// The stream begins `before` bytes earlier.
    fn rebase(&mut self, before: u64) {
        self.base = self.base.map(|b| b.wrapping_sub(before as u32));
        for Piece { segment, .. } in &mut self.early {
            (segment.start, segment.end) = (segment.start + before, segment.end + before);
        }
    }

    /// Puts the new bytes of a segment that ends behind `next` in their places. Whether there were any.
    fn place(&mut self, segment: Segment, bytes: &[u8], side: Side, reader: &mut impl Reader) -> bool {
        let mut at = segment.start.max(self.next);
        let mut first = true;
        while at < segment.end && !self.closed {
            let i = self.early.partition_point(|p| p.segment.end <= at);
            let (had_from, had_to) = self.early.get(i).map_or((u64::MAX, 0), |p| (p.segment.start, p.segment.end));
            if had_from <= at {
                at = had_to;
                continue;
            }
            let part = Segment { start: at, end: had_from.min(segment.end), first, ..segment };
            let range = (part.start - segment.start) as usize..(part.end - segment.start) as usize;
            let part_bytes = bytes.get(range).unwrap_or_default();
            first = false;
            if at == self.next {
                self.accept(part, part_bytes, side, reader);
                self.catch_up(side, reader);
            } else {
                self.keep_early(i, part, part_bytes, side, reader);
            }
            at = part.end.max(self.next);
        }
        !first
    }

    /// Shows what came early and is next now.
    fn catch_up(&mut self, side: Side, reader: &mut impl Reader) {
        while self.early.front().is_some_and(|p| p.segment.start == self.next) {
            let Some(piece) = self.early.pop_front() else { break };
            self.early_bytes -= piece.bytes.len();
            self.accept(piece.segment, &piece.bytes, side, reader);
        }
        if self.early.is_empty() {
            self.early = VecDeque::new();
        }
    }

    /// Takes in the bytes that come next: the last ones of a segment, or all.
    fn accept(&mut self, segment: Segment, bytes: &[u8], side: Side, reader: &mut impl Reader) {
        self.next = segment.end;
        let bytes = wanted(bytes, segment.end, self.keep_from);
        if !self.ready.is_empty() && self.keep_from < segment.end {
            if !self.append(segment, bytes) {
                return self.lose(side, reader);
            }
            let bytes = self.buffer.get(self.front..).unwrap_or_default();
            let progress = reader.read(side, &Run { offset: self.keep_from, bytes, segments: &self.ready });
            return self.advance(progress);
        }
        let progress = reader.read(side, &Run { offset: self.keep_from, bytes, segments: &[segment] });
        self.advance(progress);
        if !self.closed && self.keep_from < segment.end {
            self.append(segment, wanted(bytes, segment.end, self.keep_from));
        }
    }

    /// Shows the reader once more what it has not taken.
    pub fn show_again(&mut self, side: Side, reader: &mut impl Reader) {
        if !self.ready.is_empty() {
            let bytes = self.buffer.get(self.front..).unwrap_or_default();
            let progress = reader.read_again(side, &Run { offset: self.keep_from, bytes, segments: &self.ready });
            self.advance(progress);
        }
    }

    /// Bytes in the buffer.
    fn held(&self) -> usize {
        self.buffer.len() - self.front
    }

    /// Adds to the buffer. Not if it is full.
    fn append(&mut self, segment: Segment, bytes: &[u8]) -> bool {
        if self.held() + bytes.len() > MAX_BYTES {
            return false;
        }
        let len = self.buffer.len() + bytes.len();
        if len > self.buffer.capacity() {
            if self.front >= self.held() {
                self.buffer.drain(..self.front);
                self.front = 0;
            } else {
                // Doubled, so that a byte is moved only so often; `front` is below `held`.
                let capacity = (2 * self.buffer.capacity()).clamp(len, (2 * MAX_BYTES).max(len));
                self.buffer.reserve_exact(capacity - self.buffer.len());
            }
        }
        self.buffer.extend_from_slice(bytes);
        if self.ready.len() >= MAX_PIECES {
            merge_pairs(&mut self.ready);
        }
        self.ready.push(segment);
        true
    }

    /// Discards what the reader does not want.
    fn advance(&mut self, progress: Progress) {
        if progress.done {
            return self.close();
        }
        if progress.keep_from <= self.keep_from {
            return;
        }
        if progress.keep_from >= self.next {
            (self.buffer, self.front, self.ready) = (Vec::new(), 0, Vec::new());
            for piece in self.early.iter_mut().take_while(|p| p.segment.end <= progress.keep_from) {
                self.early_bytes -= piece.bytes.len();
                piece.bytes = Box::default();
            }
        } else if !self.ready.is_empty() {
            self.front += (progress.keep_from - self.keep_from) as usize;
            let gone = self.ready.iter().take_while(|s| s.end <= progress.keep_from).count();
            self.ready.drain(..gone);
        }
        self.keep_from = progress.keep_from;
    }

    /// Keeps bytes before which others are missing.
    fn keep_early(&mut self, at: usize, segment: Segment, bytes: &[u8], side: Side, reader: &mut impl Reader) {
        let bytes = wanted(bytes, segment.end, self.keep_from);
        if self.early.len() >= MAX_PIECES || self.early_bytes + self.held() + bytes.len() > MAX_BYTES {
            self.dropped += 1;
            if self.dropped > MAX_DROPPED {
                self.lose(side, reader);
            }
            return;
        }
        self.early_bytes += bytes.len();
        self.early.insert(at, Piece { segment, bytes: bytes.into() });
    }

    fn close(&mut self) {
        self.closed = true;
        (self.buffer, self.front, self.ready) = (Vec::new(), 0, Vec::new());
        (self.early, self.early_bytes) = (VecDeque::new(), 0);
    }
}

/// Of bytes that end at `end`, those from `from` on.
fn wanted(bytes: &[u8], end: u64, from: u64) -> &[u8] {
    let start = end - bytes.len() as u64;
    let skip = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
    bytes.get(skip..).unwrap_or_default()
}

/// Makes one segment of every two: starts and numbers of the second ones are forgotten.
fn merge_pairs(segments: &mut Vec<Segment>) {
    let merged = segments.chunks(2).filter_map(|pair| Some(Segment { end: pair.last()?.end, ..*pair.first()? }));
    *segments = merged.collect();
}
