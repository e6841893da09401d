//! HTTP/2 in clear (RFC 9113): the connection preface and the frames behind it. Header blocks are not decoded.

use super::{Probe, Session as StreamSession, Shown, Taken};
use crate::packet::Side;
use crate::wire::Reader;

/// What a client's stream begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length of a frame's header (RFC 9113 section 4.1).
const HEADER: usize = 9;

/// Most different streams that a flow's session knows.
const MAX_STREAMS: usize = 1024;

/// Types of frames that are counted by themselves (RFC 9113 section 6).
#[allow(missing_docs)]
pub mod frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
}

/// Whether a stream begins with the connection preface.
pub fn preface(bytes: &[u8]) -> Probe<()> {
    let n = bytes.len().min(PREFACE.len());
    match (bytes.get(..n) == PREFACE.get(..n), n == PREFACE.len()) {
        (false, _) => Probe::NotThis,
        (true, true) => Probe::Certain(()),
        (true, false) => Probe::NeedMore,
    }
}

/// Whether a stream begins as a server's does: with a SETTINGS frame (RFC 9113 section 3.4) of at most a hundred settings.
pub fn settings(bytes: &[u8]) -> Probe<()> {
    let expected = |at: usize, f: fn(u8) -> bool| bytes.get(at).is_none_or(|b| f(*b));
    let begins = expected(0, |b| b == 0)
        && expected(1, |b| b <= 2)
        && expected(3, |b| b == frame::SETTINGS)
        && expected(4, |b| b <= 1)
        && (5..HEADER).all(|i| expected(i, |b| b == 0));
    let mut r = Reader::new(bytes);
    match (begins, r.u24()) {
        (false, _) => Probe::NotThis,
        (true, Some(n)) if n % 6 != 0 => Probe::NotThis,
        (true, _) if bytes.len() < HEADER => Probe::NeedMore,
        (true, _) => Probe::Certain(()),
    }
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The preface: it is the client's.
    Preface,
    /// The header of a frame.
    #[default]
    Frames,
    /// The last byte of a frame of this type and stream: only then is it complete.
    LastByte(u8, u32),
}

/// Frames of both directions of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Whether the preface was seen.
    pub preface_seen: bool,
    /// Frames of any type.
    pub frames: u64,
    by_type: [u64; 10],
    streams: Vec<u32>,
    sides: [State; 2],
}

impl Session {
    /// Most bytes on the heap: the list of streams, which at most doubles as it grows.
    pub const MAX_HEAP: usize = 2 * MAX_STREAMS * size_of::<u32>();

    /// A direction begins with the preface.
    pub fn begins_with_preface(&mut self, side: Side) {
        self.sides[side as usize] = State::Preface;
    }

    /// Frames of a type of [`frame`].
    pub fn of_type(&self, kind: u8) -> u64 {
        self.by_type.get(usize::from(kind)).copied().unwrap_or_default()
    }

    /// Different streams, the connection itself (0) left out.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    fn count(&mut self, kind: u8, stream: u32) {
        self.frames += 1;
        if let Some(n) = self.by_type.get_mut(usize::from(kind)) {
            *n += 1;
        }
        if stream != 0
            && self.streams.len() < MAX_STREAMS
            && let Err(place) = self.streams.binary_search(&stream)
        {
            self.streams.insert(place, stream);
        }
    }
}

impl StreamSession for Session {
    fn read(&mut self, side: Side, shown: &Shown<'_>, _scratch: &mut Vec<u8>) -> Taken {
        let mut r = Reader::new(shown.bytes);
        loop {
            let at = r.position() as u64;
            match self.sides[side as usize] {
                State::Preface => match preface(r.rest()) {
                    Probe::Certain(()) => {
                        self.preface_seen = true;
                        _ = r.take(PREFACE.len());
                        self.sides[side as usize] = State::Frames;
                    }
                    Probe::NeedMore => return Taken::bytes(at),
                    Probe::NotThis => return Taken::MALFORMED,
                },
                State::Frames => {
                    let Some(mut header) = r.sub(HEADER) else { return Taken::bytes(at) };
                    let (Some(length), Some(kind), Some(_flags), Some(stream)) =
                        (header.u24(), header.u8(), header.u8(), header.u32())
                    else {
                        return Taken::bytes(at);
                    };
                    let stream = stream & 0x7fff_ffff;
                    let Some(last) = length.checked_sub(1) else {
                        self.count(kind, stream);
                        continue;
                    };
                    self.sides[side as usize] = State::LastByte(kind, stream);
                    if r.take(last as usize).is_none() {
                        return Taken::bytes(at + HEADER as u64 + u64::from(last));
                    }
                }
                State::LastByte(kind, stream) => {
                    if r.u8().is_none() {
                        return Taken::bytes(at);
                    }
                    self.count(kind, stream);
                    self.sides[side as usize] = State::Frames;
                }
            }
        }
    }

    fn restart(&mut self) {
        self.sides = Default::default();
    }

    fn heap_bytes(&self) -> usize {
        self.streams.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::{Wire, read_cut};
    use proptest::prelude::*;

    fn raw(kind: u8, stream: u32, len: usize) -> Vec<u8> {
        let header = [&(len as u32).to_be_bytes()[1..], &[kind, 0], &stream.to_be_bytes()].concat();
        [header, vec![0xab; len]].concat()
    }

    fn client() -> Session {
        let mut s = Session::default();
        s.begins_with_preface(Side::A);
        s
    }

    #[test]
    fn frames_of_both_directions_are_counted_when_they_are_whole() {
        let mut wire = Wire::new(client());
        wire.send(Side::A, &[PREFACE, &raw(4, 0, 6), &raw(1, 1, 20), &raw(0, 0x8000_0003, 0)].concat());
        wire.send(Side::B, &[raw(4, 0, 0), raw(5, 1, 8), raw(200, 2, 1)].concat());
        let cut = raw(0, 1, 30);
        wire.send(Side::B, &cut[..38]);
        let s = &wire.session;
        assert_eq!((s.preface_seen, s.frames, s.streams()), (true, 6, 3));
        assert_eq!([0, 1, 4, 5, 7, 8].map(|k| s.of_type(k)), [1, 1, 2, 1, 0, 0]);
        wire.send(Side::B, &cut[38..]);
        assert_eq!(wire.session.frames, 7);
    }

    #[test]
    fn a_preface_is_all_of_it() {
        assert_eq!(preface(b"PRI * HT"), Probe::NeedMore);
        assert_eq!(preface(b"PRI * HTTP/1.1\r\n"), Probe::NotThis);
        assert_eq!(preface(&[PREFACE, b"x"].concat()), Probe::Certain(()));
    }

    #[test]
    fn a_server_begins_with_settings() {
        assert_eq!(settings(&raw(4, 0, 18)), Probe::Certain(()));
        assert_eq!(settings(&raw(4, 0, 18)[..5]), Probe::NeedMore);
        assert_eq!(settings(&raw(4, 0, 17)), Probe::NotThis);
        assert_eq!(settings(b"HTTP/1.1 400"), Probe::NotThis);
    }

    #[test]
    fn streams_are_bounded() {
        let all: Vec<u8> = (1..3000).rev().flat_map(|i| raw(1, i, 0)).collect();
        let s = read_cut(Session::default(), &all, &[]);
        assert_eq!((s.frames, s.streams()), (2999, MAX_STREAMS));
        assert!(s.heap_bytes() <= Session::MAX_HEAP);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_facts(
            frames in prop::collection::vec((0u8..12, 0u32..5, 0usize..40), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..30),
            cuts in prop::collection::vec(0usize..500, 0..8),
        ) {
            let mut bytes = PREFACE.to_vec();
            frames.iter().for_each(|(kind, stream, len)| bytes.extend(raw(*kind, *stream, *len)));
            bytes.extend(noise);
            prop_assert_eq!(read_cut(client(), &bytes, &[]), read_cut(client(), &bytes, &cuts));
        }
    }
}
