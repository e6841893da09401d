//! What the tests of sessions share: a stream as the assembler shows it, in pieces of any size.

use super::{Segment, Session, Shown};
use crate::packet::Side;

/// Shows a session the two directions of a connection.
pub(crate) struct Wire<S> {
    pub session: S,
    streams: [Vec<u8>; 2],
    keep_from: [u64; 2],
    done: [bool; 2],
    number: u64,
}

impl<S: Session> Wire<S> {
    pub fn new(session: S) -> Self {
        Self { session, streams: Default::default(), keep_from: [0; 2], done: [false; 2], number: 0 }
    }

    /// One segment.
    pub fn send(&mut self, side: Side, bytes: &[u8]) -> &mut Self {
        let i = side as usize;
        let start = self.streams[i].len() as u64;
        self.streams[i].extend(bytes);
        let end = self.streams[i].len() as u64;
        if !self.done[i] && end > start {
            let segment = Segment { number: self.number, start, end, first: true, at: self.number as i64 };
            let offset = self.keep_from[i];
            let bytes = self.streams[i].get(offset as usize..).unwrap_or_default();
            let taken = self.session.read(side, &Shown { offset, bytes, segment }, &mut Vec::new());
            self.keep_from[i] = offset.saturating_add(taken.bytes);
            self.done[i] = taken.done;
        }
        self.number += 1;
        self
    }

    /// The same bytes in segments that end at `cuts` (in any order, also beyond the end).
    pub fn send_cut(&mut self, side: Side, bytes: &[u8], cuts: &[usize]) -> &mut Self {
        let mut ends: Vec<usize> = cuts.iter().copied().filter(|c| *c < bytes.len()).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let mut at = 0;
        for end in ends {
            self.send(side, &bytes[at..end]);
            at = end;
        }
        self
    }

    /// Another connection begins in the flow.
    pub fn restart(&mut self) {
        self.session.restart();
        (self.streams, self.keep_from, self.done) = Default::default();
    }

    /// Bytes of a direction that were shown and not taken.
    pub fn held(&self, side: Side) -> u64 {
        let i = side as usize;
        (self.streams[i].len() as u64).saturating_sub(self.keep_from[i])
    }

    /// Whether the session wants no more of a direction.
    pub fn is_done(&self, side: Side) -> bool {
        self.done[side as usize]
    }
}

/// A session that was shown one direction in pieces.
pub(crate) fn read_cut<S: Session>(session: S, bytes: &[u8], cuts: &[usize]) -> S {
    let mut wire = Wire::new(session);
    wire.send_cut(Side::A, bytes, cuts);
    wire.session
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
