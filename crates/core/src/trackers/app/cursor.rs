//! How far one session has read the two directions of a connection.

use crate::packet::Side;
use crate::protocols::{Session, Shown};
use crate::streams::Run;

/// A place in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    sides: [Place; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes before this offset were taken.
    taken: u64,
    /// End of the last segment that was shown.
    seen: u64,
    done: bool,
}

impl Cursor {
    /// Shows a session the segments of a run that it has not seen. Whether it broke the rules of its protocol.
    pub fn show(&mut self, session: &mut impl Session, side: Side, run: &Run<'_>, scratch: &mut Vec<u8>) -> bool {
        let [a, b] = &mut self.sides;
        let place = if side == Side::A { a } else { b };
        for segment in run.segments {
            if place.done || segment.end <= place.seen {
                continue;
            }
            let bytes = run.range(place.taken, segment.end);
            scratch.clear();
            let taken = session.read(side, &Shown { offset: place.taken, bytes, segment: *segment }, scratch);
            place.taken = place.taken.saturating_add(taken.bytes);
            place.seen = segment.end;
            place.done = taken.done;
            if taken.malformed {
                return true;
            }
        }
        false
    }

    /// Steps over the bytes before this offset, unseen.
    pub fn skip_to(&mut self, side: Side, offset: u64) {
        let place = self.of(side);
        place.taken = place.taken.max(offset);
        place.seen = place.seen.max(offset);
    }

    /// Where the bytes begin that were not taken.
    pub fn taken(&self, side: Side) -> u64 {
        let [a, b] = &self.sides;
        if side == Side::A { a.taken } else { b.taken }
    }

    /// Nothing more of a direction is wanted.
    pub fn finish(&mut self, side: Side) {
        self.of(side).done = true;
    }

    /// Whether nothing more of a direction is wanted.
    pub fn is_done(&self, side: Side) -> bool {
        let [a, b] = &self.sides;
        if side == Side::A { a.done } else { b.done }
    }

    fn of(&mut self, side: Side) -> &mut Place {
        let [a, b] = &mut self.sides;
        if side == Side::A { a } else { b }
    }
}
