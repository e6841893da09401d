//! How far one session has read the two directions of a connection.

use crate::packet::Side;
use crate::protocols::{Segment, Session, Shown};
use crate::streams::Run;

/// A place in each direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    sides: [Place; 2],
}

/// What a session said of what it was shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// It breaks the rules of its protocol.
    pub malformed: bool,
    /// The other direction may go on.
    pub wakes: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes before this offset were taken.
    taken: u64,
    /// End of the last segment that was shown.
    seen: u64,
    done: bool,
}

impl Place {
    fn show(
        &mut self,
        session: &mut impl Session,
        side: Side,
        run: &Run<'_>,
        segment: Segment,
        scratch: &mut Vec<u8>,
    ) -> Told {
        let bytes = run.range(self.taken, segment.end);
        scratch.clear();
        let taken = session.read(side, &Shown { offset: self.taken, bytes, segment }, scratch);
        self.taken = self.taken.saturating_add(taken.bytes);
        self.seen = segment.end;
        self.done = taken.done;
        Told { malformed: taken.malformed, wakes: taken.wakes }
    }
}

impl Cursor {
    /// Shows a session the segments of a run that it has not seen.
    pub fn show(&mut self, session: &mut impl Session, side: Side, run: &Run<'_>, scratch: &mut Vec<u8>) -> Told {
        let mut told = Told::default();
        for segment in run.segments {
            let place = self.of(side);
            if place.done || segment.end <= place.seen {
                continue;
            }
            let Told { malformed, wakes } = place.show(session, side, run, *segment, scratch);
            told.wakes |= wakes;
            if malformed {
                return Told { malformed, ..told };
            }
        }
        told
    }

    /// Shows a session what it has seen and not taken, as the other direction lets it go on.
    pub fn show_again(&mut self, session: &mut impl Session, side: Side, run: &Run<'_>, scratch: &mut Vec<u8>) -> Told {
        let place = self.of(side);
        let waits = |segment: &&Segment| !place.done && place.taken < segment.end && segment.end <= place.seen;
        match run.segments.iter().rfind(waits) {
            Some(segment) => place.show(session, side, run, *segment, scratch),
            None => Told::default(),
        }
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
