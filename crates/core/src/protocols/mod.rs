//! Parsers of application protocols: bytes in, facts out. They know nothing of flows, packets or trackers.
//!
//! Two shapes. A *message* parser is a function of one slice that answers a [`Probe`]. A *session* follows a protocol
//! over both directions of a connection: it is shown the bytes that nobody has taken yet, in order, and says how many it
//! takes ([`Taken`]); what it does not take it is shown again, with more behind it. So a session holds facts and counts,
//! never a copy of the stream, and its answer cannot depend on how the bytes were split into segments. A [`Session`] is
//! for connections, a [`DatagramSession`] for UDP.
//!
//! The recogniser of a flow's protocol is itself a session that takes nothing until it has an answer; the session of the
//! protocol that it finds is then shown the stream from the same place on.

use crate::frame::TimeNs;
use crate::packet::Side;

pub mod dns;
pub mod doh;
pub mod fingerprints;
pub mod http;
pub mod http1;
pub mod http2;
pub mod quic;
pub mod recognise;
pub mod ssh;
pub mod start_line;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
pub mod tor;
pub mod vpn;

/// What a parser says of the bytes that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<T> {
    /// It is this, whatever follows.
    Certain(T),
    /// It may be this: more bytes are needed.
    NeedMore,
    /// It is not this, whatever follows.
    NotThis,
}

impl<T> Probe<T> {
    /// Changes what was found.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Probe<U> {
        match self {
            Self::Certain(t) => Probe::Certain(f(t)),
            Self::NeedMore => Probe::NeedMore,
            Self::NotThis => Probe::NotThis,
        }
    }

    /// What was found, if it was.
    pub fn certain(self) -> Option<T> {
        match self {
            Self::Certain(t) => Some(t),
            Self::NeedMore | Self::NotThis => None,
        }
    }
}

/// What a session took of the bytes that it was shown of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// So many bytes, from the first one shown, need not be shown again. May be more than were shown: then those to come
    /// are stepped over unseen (and never buffered); `u64::MAX` steps over the rest of the stream.
    pub bytes: u64,
    /// Whether the session wants no more calls for this direction. What is buffered for it is freed.
    pub done: bool,
    /// Whether what was shown breaks the rules of the protocol. Counted.
    pub malformed: bool,
    /// Whether the other direction may go on now. It is shown again what it has not taken.
    pub wakes: bool,
}

impl Taken {
    /// Nothing: what was shown is too short. It is shown again with more behind it.
    pub const NOTHING: Self = Self { bytes: 0, done: false, malformed: false, wakes: false };

    /// So many bytes, and the session goes on.
    pub const fn bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::NOTHING }
    }

    /// No more of this direction.
    pub const DONE: Self = Self { bytes: u64::MAX, done: true, ..Self::NOTHING };

    /// No more of this direction: it does not keep to the rules of the protocol.
    pub const MALFORMED: Self = Self { malformed: true, ..Self::DONE };
}

/// A packet of a connection that brought bytes not seen before, or a part of one: bytes that came earlier may lie
/// between two parts. Parts are shown in the order of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of the packet: rises from one packet that brought new bytes to the next, over both directions.
    pub number: u64,
    /// Offset in the stream of the first byte of this part.
    pub start: u64,
    /// Offset behind its last byte.
    pub end: u64,
    /// Whether `start` is the start of the segment: this is its first part.
    pub first: bool,
    /// Time of the packet.
    pub at: TimeNs,
}

/// Bytes of one direction of a connection, in order.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Offset in the stream at which the session goes on: that of the first byte of `bytes`. Offset 0 is behind the SYN
    /// where one was seen, else at the first segment.
    pub offset: u64,
    /// All bytes that the session has not taken yet, up to the end of `segment`. Empty for a segment that the session
    /// steps over (then `offset` may be beyond the segment).
    pub bytes: &'a [u8],
    /// The segment that brought the last of them: each segment is shown once, when all bytes before it are there.
    pub segment: Segment,
}

impl<'a> Shown<'a> {
    /// The bytes from an offset of the stream on; none where that lies behind or before what is shown.
    pub fn bytes_from(&self, offset: u64) -> &'a [u8] {
        let skipped = offset.checked_sub(self.offset).and_then(|n| usize::try_from(n).ok());
        skipped.and_then(|n| self.bytes.get(n..)).unwrap_or_default()
    }
}

/// A protocol over a connection. Facts are kept by [`Side`]: who the initiator is may become known later.
///
/// Split invariance is the law: the facts may depend on the bytes and on [`Shown::segment`] where a feature counts
/// segments, on nothing else.
pub trait Session {
    /// Takes from the bytes of one direction. `scratch` is memory to work in (to join a message over records, say): it is
    /// empty when a call begins, and nobody reads it afterwards.
    fn read(&mut self, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken;

    /// No more bytes of this direction can be shown: one was lost, or the buffer's bound was reached. Not called where the
    /// flow just ends.
    fn lost(&mut self, _side: Side) {}

    /// Another connection begins in the same flow (a SYN with another initial sequence number): both streams begin anew, at offset 0. What was read
    /// of a handshake stays, counts go on, what was half read is forgotten.
    fn restart(&mut self);

    /// Bytes that the session holds on the heap.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// One UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// The payload as far as it was captured.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub wire_len: u32,
    /// Time of the packet.
    pub at: TimeNs,
}

impl Datagram<'_> {
    /// Whether all of it was captured.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() as u64 >= u64::from(self.wire_len)
    }
}

/// A protocol over datagrams. Facts are kept by [`Side`].
pub trait DatagramSession {
    /// Takes in a datagram with payload. `scratch` as in [`Session::read`]. Of the answer, `bytes` means nothing, and `done`
    /// is for both directions: the session wants no more datagrams at all.
    fn read(&mut self, side: Side, datagram: &Datagram<'_>, scratch: &mut Vec<u8>) -> Taken;

    /// Bytes that the session holds on the heap.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Counts segments that have a property, each once, though it is found out part by part ([`Segment`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCount {
    /// How many segments were counted.
    pub count: u64,
    /// Numbers of the last different ones, plus one, the latest first. One that comes again behind more others than this is counted twice.
    recent: [u64; 4],
}

impl SegmentCount {
    /// Counts this segment.
    pub fn add(&mut self, segment: &Segment) {
        let mark = segment.number.saturating_add(1);
        let known = self.recent.iter().position(|of| *of == mark);
        self.count += u64::from(known.is_none());
        let last = known.unwrap_or(self.recent.len() - 1);
        self.recent[..=last].rotate_right(1);
        self.recent[0] = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment that fills gaps before segments that came early.
    #[test]
    fn a_segment_counts_once_however_many_gaps_it_fills() {
        let mut count = SegmentCount::default();
        for early in 0..20 {
            for number in [100, early] {
                count.add(&Segment { number, start: 0, end: 1, first: false, at: 0 });
            }
        }
        assert_eq!(count.count, 21);
    }
}
