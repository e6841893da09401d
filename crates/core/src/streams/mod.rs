//! The byte streams of TCP connections, put together from segments (RFC 9293 section 3.4).
//!
//! Segments may come in any order, overlap and come again: of the bytes at one place, those that arrived first count. A
//! stream is read from its base up to the first byte that never came; what lies behind a gap is not read. Nothing is
//! copied while segments come in order and are taken at once, which is how most of them come: only bytes that came
//! early, or that the reader wants to see again with more behind them, are kept, at most [`MAX_BYTES`] a direction.

mod assembler;

pub use assembler::{Assembler, MAX_BYTES, MAX_PIECES};

use crate::frame::TimeNs;
use crate::packet::tcp_flags::{RST, SYN};
use crate::packet::{Packet, Side};
use crate::protocols::Segment;

/// Bytes of one direction, in order, from the first one that the reader has not discarded.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Offset in the stream of the first byte. Beyond the last segment where the reader steps over it.
    pub offset: u64,
    /// The bytes, up to the end of the last segment.
    pub bytes: &'a [u8],
    /// The segments that brought them, in the order of the stream. The last one is new since the last call.
    pub segments: &'a [Segment],
}

impl<'a> Run<'a> {
    /// The bytes between two offsets of the stream; none where they are not all there.
    pub fn range(&self, from: u64, to: u64) -> &'a [u8] {
        let within = |offset: u64| usize::try_from(offset.checked_sub(self.offset)?).ok();
        let range = within(from).zip(within(to));
        range.and_then(|(from, to)| self.bytes.get(from..to)).unwrap_or_default()
    }
}

/// How far a reader has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes before this offset are not wanted (again). May lie beyond what has come: those are then never kept.
    pub keep_from: u64,
    /// Nothing more of this direction is wanted.
    pub done: bool,
}

/// Who reads the streams of a connection.
pub trait Reader {
    /// A segment has made a run of bytes longer.
    fn read(&mut self, side: Side, run: &Run<'_>) -> Progress;

    /// The direction, if any, that may go on with what it was shown and did not take: it is shown once more.
    fn woken(&mut self) -> Option<Side> {
        None
    }

    /// A direction is shown once more.
    fn read_again(&mut self, _side: Side, run: &Run<'_>) -> Progress {
        Progress { keep_from: run.offset, done: false }
    }

    /// The direction cannot be read on: its bound was reached with bytes missing or none taken.
    fn lost(&mut self, side: Side);

    /// Another connection begins in the same flow.
    fn restart(&mut self);
}

/// A segment as it came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Sequence number.
    pub seq: u32,
    /// Whether it has SYN, which takes the first sequence number.
    pub syn: bool,
    /// The payload as far as it was captured: what was not captured never came.
    pub bytes: &'a [u8],
    /// See [`Segment::number`].
    pub number: u64,
    /// Time of the packet.
    pub at: TimeNs,
}

/// Both directions of a TCP connection, and of those that follow it in the same flow.
#[derive(Debug, Default)]
pub struct Streams {
    sides: [Assembler; 2],
    /// Number of the next segment.
    segments: u64,
}

impl Streams {
    /// Before the first segment, which gets this number.
    pub fn new(segments: u64) -> Self {
        Self { segments, ..Self::default() }
    }

    /// The number of the next segment.
    pub fn segments(&self) -> u64 {
        self.segments
    }

    /// Takes in a packet, and shows the reader what can be read now. A RST takes no part: its sequence number need not be
    /// one of the stream.
    pub fn push(&mut self, packet: &Packet<'_>, side: Side, reader: &mut impl Reader) {
        let p = packet.info;
        if !p.has_tcp() || p.tcp_flags & RST != 0 {
            return;
        }
        let arrival = Arrival {
            seq: p.seq,
            syn: p.tcp_flags & SYN != 0,
            bytes: packet.payload(),
            number: self.segments,
            at: p.ts,
        };
        self.push_arrival(&arrival, side, reader);
    }

    /// The same, of a segment. Its `number` is given here.
    pub fn push_arrival(&mut self, arrival: &Arrival<'_>, side: Side, reader: &mut impl Reader) {
        if arrival.syn && self.of(side).is_other_connection(arrival.seq) {
            self.sides = Default::default();
            reader.restart();
        }
        let arrival = Arrival { number: self.segments, ..*arrival };
        if let Some(assembler) = self.sides.get_mut(side as usize)
            && assembler.push(&arrival, side, reader)
        {
            self.segments += 1;
        }
        if let Some(side) = reader.woken()
            && let Some(assembler) = self.sides.get_mut(side as usize)
        {
            assembler.show_again(side, reader);
        }
    }

    /// Whether nothing of a direction is wanted any more.
    pub fn is_closed(&self, side: Side) -> bool {
        self.of(side).is_closed()
    }

    /// Memory is short: frees what is kept; a direction of which bytes were kept is lost. How many are lost by it.
    pub fn drop_buffers(&mut self, reader: &mut impl Reader) -> u64 {
        let mut lost = 0;
        for (assembler, side) in self.sides.iter_mut().zip([Side::A, Side::B]) {
            if assembler.heap_bytes() > 0 {
                assembler.lose(side, reader);
                lost += 1;
            }
        }
        lost
    }

    /// The sequence numbers of the first bytes.
    pub fn begins(&self) -> [Option<u32>; 2] {
        [self.of(Side::A).base(), self.of(Side::B).base()]
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.sides.iter().map(Assembler::heap_bytes).sum()
    }

    fn of(&self, side: Side) -> &Assembler {
        let [a, b] = &self.sides;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }
}
