//! Chunks on their way to the encoders, piece by piece.
//!
//! Flows that wait for a whole chunk are cold when their rows are made, and many. So the encoders take a chunk while it grows, as a
//! run on one thread does. It is always one encoder that is at a chunk; there is one chunk that grows, and encoders are at earlier
//! ones because they are behind.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use joyfuljay_core::engine::RowChunk;

use crate::recorder::lock;
use crate::run::GrowingChunk;

/// Flows that leave the writer for the encoders are at least this part of a chunk, as each time may wake a thread.
pub(crate) const LEAST_PIECE: f64 = 1.0 / 16.0;

/// The chunks that are not encoded yet.
pub(crate) struct ChunkQueue<'e> {
    state: Mutex<State<'e>>,
    /// There may be something to encode, or will never be.
    work: Condvar,
    /// There may be room, or nobody who makes it.
    room: Condvar,
    chunk_rows: usize,
    /// So many chunks' flows may wait before the writer does.
    most: usize,
}

#[derive(Default)]
struct State<'e> {
    /// In their order.
    chunks: VecDeque<Waiting<'e>>,
    /// Encoders that have nothing to do.
    idle: usize,
    /// Encoders that are there.
    encoders: usize,
    /// No more flows will come.
    closed: bool,
}

/// A chunk, and its flows that no encoder has taken.
struct Waiting<'e> {
    number: u64,
    flows: RowChunk,
    /// These are its last.
    ended: bool,
    /// What was made of the flows before.
    growing: Option<GrowingChunk<'e>>,
    /// An encoder has that, and will give it back.
    taken: bool,
}

/// The next flows of a chunk, for an encoder.
pub(crate) struct Piece<'e> {
    pub(crate) number: u64,
    pub(crate) flows: RowChunk,
    /// These are its last: the chunk is gone from the queue. Otherwise it waits for [`ChunkQueue::give_back`].
    pub(crate) ended: bool,
    pub(crate) growing: Option<GrowingChunk<'e>>,
}

/// The part of an encoder in the queue, which ends with it, also by a panic.
pub(crate) struct EncoderSeat<'q, 'e>(&'q ChunkQueue<'e>);

/// The writer's end of the queue, which closes with it.
pub(crate) struct WriterSeat<'q, 'e>(&'q ChunkQueue<'e>);

impl<'e> ChunkQueue<'e> {
    /// A queue in which as many chunks of so many rows may wait.
    pub(crate) fn new(most: usize, chunk_rows: usize) -> Self {
        let (state, work, room) = Default::default();
        Self { state, work, room, chunk_rows, most }
    }

    /// How many chunks may wait.
    pub(crate) fn capacity(&self) -> usize {
        self.most
    }

    /// How many chunks' flows wait, begun ones included.
    pub(crate) fn depth(&self) -> usize {
        (self.state().share(self.chunk_rows).ceil() as usize).min(self.most)
    }

    /// A place for an encoder, which the queue counts on from now on.
    pub(crate) fn encoder(&self) -> EncoderSeat<'_, 'e> {
        self.state().encoders += 1;
        EncoderSeat(self)
    }

    /// The place of the writer. There is one.
    pub(crate) fn writer(&self) -> WriterSeat<'_, 'e> {
        WriterSeat(self)
    }

    fn state(&self) -> MutexGuard<'_, State<'e>> {
        lock(&self.state)
    }
}

impl State<'_> {
    /// How many chunks the flows are that wait.
    fn share(&self, chunk_rows: usize) -> f64 {
        self.chunks.iter().map(|chunk| chunk.flows.share_of_chunk(chunk_rows)).sum()
    }
}

impl Waiting<'_> {
    fn can_be_taken(&self) -> bool {
        !self.taken && (self.ended || !self.flows.is_empty())
    }
}

impl WriterSeat<'_, '_> {
    /// Hands on the next flows of a chunk, its last ones with `ended`. Waits where too many flows do already.
    pub(crate) fn put(&self, number: u64, flows: RowChunk, ended: bool) {
        let queue = self.0;
        let mut state = queue.state();
        match state.chunks.back_mut().filter(|chunk| chunk.number == number) {
            Some(chunk) => {
                chunk.flows.append(flows);
                chunk.ended = ended;
            }
            None => state.chunks.push_back(Waiting { number, flows, ended, growing: None, taken: false }),
        }
        if state.idle > 0 && state.chunks.iter().any(Waiting::can_be_taken) {
            queue.work.notify_one();
        }
        // Without encoders there is no room to be had: the caller learns from what they have sent why they went.
        while state.encoders > 0 && state.share(queue.chunk_rows) > queue.most as f64 {
            state = queue.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for WriterSeat<'_, '_> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.work.notify_all();
    }
}

impl<'e> EncoderSeat<'_, 'e> {
    /// The next flows of the earliest chunk that has some and is with nobody, as soon as there are; none when there will be none.
    pub(crate) fn take(&self) -> Option<Piece<'e>> {
        let queue = self.0;
        let mut state = queue.state();
        loop {
            if let Some(at) = state.chunks.iter().position(Waiting::can_be_taken) {
                let piece = state.take(at);
                queue.room.notify_one();
                return piece;
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = queue.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Gives a chunk back that has not ended, with what was made of its flows.
    pub(crate) fn give_back(&self, number: u64, growing: Option<GrowingChunk<'e>>) {
        // Whoever gives back takes next: nobody needs to be woken for this chunk.
        if let Some(chunk) = self.0.state().chunks.iter_mut().find(|chunk| chunk.number == number) {
            chunk.growing = growing;
            chunk.taken = false;
        }
    }
}

impl Drop for EncoderSeat<'_, '_> {
    fn drop(&mut self) {
        self.0.state().encoders -= 1;
        self.0.room.notify_all();
    }
}

impl<'e> State<'e> {
    fn take(&mut self, at: usize) -> Option<Piece<'e>> {
        let chunk = self.chunks.get_mut(at)?;
        chunk.taken = true;
        let (number, ended) = (chunk.number, chunk.ended);
        let piece = Piece { number, flows: std::mem::take(&mut chunk.flows), ended, growing: chunk.growing.take() };
        if ended {
            self.chunks.remove(at);
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use joyfuljay_core::config::Config;
    use joyfuljay_core::engine::{Engine, EngineSettings, Front, PacketBatch};
    use joyfuljay_core::frame::LinkType;
    use joyfuljay_core::testing::{ip4, udp};
    use joyfuljay_core::trackers::{TrackerMask, TrackerSettings};

    use super::*;

    const ROWS: usize = 8;

    /// A piece of so many flows.
    fn flows(many: u16) -> RowChunk {
        let settings = EngineSettings::new(&Config::default(), TrackerMask::NONE, TrackerSettings::default());
        let (mut front, mut engine) = (Front::new(&settings), Engine::new(&settings));
        let mut batch = PacketBatch::default();
        for port in 1..=many {
            let frame = ip4(17, &udp(port, 53, b""));
            batch.frames.push(i64::from(port), LinkType::RAW, frame.len() as u32, &frame);
        }
        front.decode(&mut batch);
        engine.track(&batch);
        let piece = engine.finish(0).next().unwrap_or_default();
        assert_eq!(piece.len(), usize::from(many));
        piece
    }

    #[test]
    fn a_chunk_is_with_one_encoder_at_a_time_and_earlier_ones_come_first() {
        let queue = ChunkQueue::new(4, ROWS);
        let (writer, a, b) = (queue.writer(), queue.encoder(), queue.encoder());
        writer.put(0, flows(2), false);
        let first = a.take().unwrap();
        assert_eq!((first.number, first.flows.len(), first.ended), (0, 2, false));
        writer.put(0, flows(3), true);
        writer.put(1, flows(1), false);
        let second = b.take().unwrap();
        assert_eq!((second.number, second.flows.len(), second.ended), (1, 1, false), "chunk 0 is with the other");
        a.give_back(0, None);
        let third = a.take().unwrap();
        assert_eq!((third.number, third.flows.len(), third.ended), (0, 3, true));
        b.give_back(1, None);
        writer.put(1, RowChunk::default(), true);
        let last = b.take().unwrap();
        assert_eq!((last.number, last.flows.len(), last.ended), (1, 0, true), "the end alone");
        drop(writer);
        assert!(a.take().is_none() && b.take().is_none());
    }

    #[test]
    fn a_writer_that_is_ahead_waits_for_the_encoders() {
        let queue = ChunkQueue::new(2, ROWS);
        let (writer, encoder) = (queue.writer(), queue.encoder());
        writer.put(0, flows(8), true);
        writer.put(1, flows(8), true);
        assert_eq!(queue.depth(), 2);
        thread::scope(|scope| {
            let ahead = scope.spawn(|| writer.put(2, flows(4), false));
            let patience = Instant::now() + Duration::from_secs(60);
            while queue.state().chunks.len() < 3 {
                assert!(Instant::now() < patience);
                thread::yield_now();
            }
            assert!(!ahead.is_finished(), "three chunks' flows wait, two may");
            assert_eq!(encoder.take().map(|piece| piece.number), Some(0));
        });
        assert_eq!(queue.depth(), 2);
    }

    #[test]
    fn nobody_waits_for_those_who_are_gone() {
        let queue = ChunkQueue::new(1, ROWS);
        let (writer, encoder) = (queue.writer(), queue.encoder());
        thread::scope(|scope| {
            let ahead = scope.spawn(|| writer.put(0, flows(20), true));
            drop(encoder);
            ahead.join().unwrap();
        });
        let encoder = queue.encoder();
        drop(encoder.take());
        thread::scope(|scope| {
            let idle = scope.spawn(|| encoder.take().is_none());
            drop(writer);
            assert!(idle.join().unwrap());
        });
    }
}
