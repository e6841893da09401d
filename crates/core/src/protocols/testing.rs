//! For tests of sessions: the two directions of a connection as the assembler shows them, in pieces of any size.
//!
//! With the feature `testing`, fuzz targets use it too.

use super::{Segment, Session, Shown, Taken};
use crate::packet::Side;

/// Shows a session the two directions of a connection.
#[derive(Debug)]
pub struct Wire<S> {
    /// The session.
    pub session: S,
    sides: [Direction; 2],
    number: u64,
}

#[derive(Debug, Default)]
struct Direction {
    stream: Vec<u8>,
    keep_from: u64,
    done: bool,
}

impl<S: Session> Wire<S> {
    /// Before the first segment.
    pub fn new(session: S) -> Self {
        Self { session, sides: Default::default(), number: 0 }
    }

    /// One segment. Its time is its number.
    pub fn send(&mut self, side: Side, bytes: &[u8]) -> &mut Self {
        let d = &mut self.sides[side as usize];
        let start = d.stream.len() as u64;
        d.stream.extend(bytes);
        let end = d.stream.len() as u64;
        if end > start
            && self.show(side, Segment { number: self.number, start, end, first: true, at: self.number as i64 })
        {
            let other = side.other();
            let end = self.sides[other as usize].stream.len() as u64;
            if self.held(other) > 0 {
                self.show(other, Segment { number: self.number, start: end, end, first: true, at: self.number as i64 });
            }
        }
        self.number += 1;
        self
    }

    /// Shows what was not taken, up to the end of a segment. Whether the other direction may go on.
    fn show(&mut self, side: Side, segment: Segment) -> bool {
        let d = &mut self.sides[side as usize];
        if d.done {
            return false;
        }
        let offset = d.keep_from;
        let bytes = usize::try_from(offset).ok().and_then(|from| d.stream.get(from..)).unwrap_or_default();
        let taken: Taken = self.session.read(side, &Shown { offset, bytes, segment }, &mut Vec::new());
        d.keep_from = offset.saturating_add(taken.bytes);
        d.done = taken.done;
        taken.wakes
    }

    /// The same bytes in segments that end at `cuts` (in any order, also beyond the end).
    pub fn send_cut(&mut self, side: Side, bytes: &[u8], cuts: &[usize]) -> &mut Self {
        let mut ends: Vec<usize> = cuts.iter().copied().filter(|c| *c < bytes.len()).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let mut at = 0;
        for end in ends {
            self.send(side, bytes.get(at..end).unwrap_or_default());
            at = end;
        }
        self
    }

    /// Another connection begins in the flow.
    pub fn restart(&mut self) {
        self.session.restart();
        self.sides = Default::default();
    }

    /// Bytes of a direction that were shown and not taken.
    pub fn held(&self, side: Side) -> u64 {
        let d = &self.sides[side as usize];
        (d.stream.len() as u64).saturating_sub(d.keep_from)
    }

    /// Whether the session wants no more of a direction.
    pub fn is_done(&self, side: Side) -> bool {
        self.sides[side as usize].done
    }
}

/// A session that was shown one direction in pieces.
pub fn read_cut<S: Session>(session: S, bytes: &[u8], cuts: &[usize]) -> S {
    let mut wire = Wire::new(session);
    wire.send_cut(Side::A, bytes, cuts);
    wire.session
}

/// In lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
