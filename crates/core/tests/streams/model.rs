//! What a stream is, written down as simply as can be: one byte after the other, the first that came counts. The property
//! tests and the fuzz target hold the assembler to it.
#![allow(clippy::expect_used, clippy::panic, reason = "a law that does not hold is a failed test")]

use std::collections::BTreeMap;

use joyfuljay_core::packet::Side;
use joyfuljay_core::streams::{Arrival, Assembler, Progress, Reader, Run};

/// A segment: distance of its first byte from the base, and its bytes.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Offset of the first byte.
    pub offset: u32,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// How a reader goes on: it waits for so many bytes, then takes so many (perhaps more than it has seen).
#[derive(Clone, Copy, Debug)]
pub struct Appetite {
    /// Bytes that it has to see at once.
    pub needs: u16,
    /// Bytes that it then takes.
    pub takes: u16,
}

struct Recorder<'a> {
    appetites: &'a [Appetite],
    /// Bytes shown, by offset, with the segment that is said to have brought them and whether it starts there.
    seen: BTreeMap<u64, (u8, u64, bool)>,
    taken: u64,
    turn: usize,
    end: u64,
}

impl Reader for Recorder<'_> {
    fn read(&mut self, _side: Side, run: &Run<'_>) -> Progress {
        assert_eq!(run.offset, self.taken);
        let last = run.segments.last().expect("a run has segments");
        assert!(last.start == self.end && last.end > last.start, "segments follow each other");
        self.end = last.end;
        assert_eq!(run.bytes.len() as u64, last.end.saturating_sub(run.offset));
        for pair in run.segments.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        for (i, &byte) in run.bytes.iter().enumerate() {
            let offset = run.offset + i as u64;
            let segment =
                run.segments.iter().find(|s| (s.start..s.end).contains(&offset)).expect("a byte has a segment");
            let shown = (byte, segment.number, segment.first && segment.start == offset);
            assert_eq!(*self.seen.entry(offset).or_insert(shown), shown, "what was shown stays");
        }
        while let Some(a) = self.appetites.get(self.turn % self.appetites.len().max(1)) {
            if self.end.saturating_sub(self.taken) < u64::from(a.needs.max(1)) {
                break;
            }
            self.taken += u64::from(a.takes);
            self.turn += 1;
            if a.takes == 0 {
                break;
            }
        }
        Progress { keep_from: self.taken, done: false }
    }

    fn lost(&mut self, _side: Side) {
        panic!("nothing is lost within the bounds");
    }

    fn restart(&mut self) {
        panic!("there is one connection");
    }
}

/// Sends the segments of a stream behind a SYN to an assembler and holds what a reader sees against the model. They must
/// stay within the bounds of the assembler.
pub fn check(isn: u32, sent: &[Sent], appetites: &[Appetite]) {
    let mut reader = Recorder { appetites, seen: BTreeMap::new(), taken: 0, turn: 0, end: 0 };
    let mut assembler = Assembler::default();
    let syn = Arrival { seq: isn, syn: true, bytes: &[], number: 0, at: 0 };
    assert!(!assembler.push(&syn, Side::A, &mut reader));
    // By offset: the byte that came first, its segment, and whether it is the first new byte of that.
    let mut model: BTreeMap<u64, (u8, u64, bool)> = BTreeMap::new();
    for (number, s) in sent.iter().enumerate() {
        let number = number as u64;
        let seq = isn.wrapping_add(1).wrapping_add(s.offset);
        let brought =
            assembler.push(&Arrival { seq, syn: false, bytes: &s.bytes, number, at: 0 }, Side::A, &mut reader);
        let mut new = 0;
        for (offset, &byte) in (u64::from(s.offset)..).zip(&s.bytes) {
            model.entry(offset).or_insert_with(|| {
                new += 1;
                (byte, number, new == 1)
            });
        }
        assert_eq!(brought, new > 0);
        let contiguous = (0..).zip(model.keys()).take_while(|(a, b)| a == *b).count() as u64;
        assert_eq!(reader.end, contiguous, "everything before the first missing byte is shown");
        assert!(assembler.heap_bytes() <= Assembler::MAX_HEAP);
        if reader.taken >= contiguous && contiguous == model.len() as u64 {
            assert_eq!(assembler.heap_bytes(), 0, "nothing is kept that nobody waits for");
        }
    }
    for (offset, shown) in &reader.seen {
        assert_eq!(model.get(offset), Some(shown), "at {offset}");
    }
}
