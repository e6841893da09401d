//! Laws of the stream assembler: however a stream was cut, mixed and repeated, the reader sees the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;

mod model;

use joyfuljay_core::packet::Side;
use joyfuljay_core::streams::{Arrival, Assembler, MAX_BYTES, Progress, Reader, Run, Streams};
use model::{Appetite, Sent, check};

fn appetites() -> impl Strategy<Value = Vec<Appetite>> {
    let one = (prop_oneof![Just(1u16), 1u16..40], prop_oneof![0u16..60, Just(1u16)]);
    vec(one.prop_map(|(needs, takes)| Appetite { needs, takes }), 1..6)
}

/// Segments of arbitrary content: retransmissions may disagree with what came first.
fn any_segments() -> impl Strategy<Value = Vec<Sent>> {
    vec((0u32..120, vec(any::<u8>(), 0..30)).prop_map(|(offset, bytes)| Sent { offset, bytes }), 1..60)
}

/// One text, cut at random places, some pieces sent again, out of order.
fn cuts_of_a_text() -> impl Strategy<Value = (Vec<u8>, Vec<Sent>)> {
    let text = vec(any::<u8>(), 1..400);
    let cuts = vec((0usize..400, 0usize..40, 0u64..200), 1..80);
    (text, cuts).prop_map(|(text, cuts)| {
        let piece = |from: usize, to: usize| Sent { offset: from as u32, bytes: text[from..to].to_vec() };
        let mut keyed = Vec::new();
        for (i, (at, len, swap)) in cuts.iter().enumerate() {
            let at = at % text.len();
            keyed.push((i as u64 * 10 + swap, piece(at, (at + len).min(text.len()))));
        }
        // And all of it, so that nothing is missing in the end.
        let mut at = 0;
        for (i, (_, len, swap)) in cuts.iter().enumerate() {
            let end = (at + len + 1).min(text.len());
            keyed.push((i as u64 * 10 + swap, piece(at, end)));
            at = end;
        }
        keyed.push((u64::MAX, piece(at, text.len())));
        keyed.sort_by_key(|(k, _)| *k);
        let sent = keyed.into_iter().map(|(_, s)| s).collect();
        (text, sent)
    })
}

/// Messages of a length byte and so many bytes.
#[derive(Default)]
struct Messages {
    found: Vec<Vec<u8>>,
    lost: u32,
    restarts: u32,
}

impl Reader for Messages {
    fn read(&mut self, _side: Side, run: &Run<'_>) -> Progress {
        let mut at = 0;
        while let Some(&len) = run.bytes.get(at)
            && let Some(message) = run.bytes.get(at + 1..at + 1 + usize::from(len))
        {
            self.found.push(message.to_vec());
            at += 1 + usize::from(len);
        }
        Progress { keep_from: run.offset + at as u64, done: false }
    }

    fn lost(&mut self, _side: Side) {
        self.lost += 1;
    }

    fn restart(&mut self) {
        self.restarts += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_first_bytes_win_and_everything_before_a_gap_is_shown(
        isn in prop_oneof![any::<u32>(), Just(u32::MAX), Just(u32::MAX - 50)],
        sent in any_segments(),
        appetites in appetites(),
    ) {
        check(isn, &sent, &appetites);
    }

    #[test]
    fn messages_do_not_depend_on_segments((text, sent) in cuts_of_a_text(), isn in any::<u32>()) {
        let read = |sent: &[Sent]| {
            let (mut messages, mut a) = (Messages::default(), Assembler::default());
            a.push(&Arrival { seq: isn, syn: true, bytes: &[], number: 0, at: 0 }, Side::B, &mut messages);
            for s in sent {
                let seq = isn.wrapping_add(1).wrapping_add(s.offset);
                a.push(&arrival(seq, &s.bytes), Side::B, &mut messages);
            }
            messages.found
        };
        prop_assert_eq!(read(&sent), read(&[Sent { offset: 0, bytes: text }]));
    }

    #[test]
    fn hostile_segments_stay_within_the_bound(
        sent in vec((any::<u32>(), 0usize..3000, any::<bool>(), any::<bool>()), 1..400),
        near in any::<bool>(),
    ) {
        let mut streams = Streams::default();
        let mut reader = Messages::default();
        let bytes = [255u8; 3000];
        for (seq, len, syn, side) in sent {
            let seq = if near { seq % 400_000 } else { seq };
            let syn = syn && seq.is_multiple_of(50);
            let side = if side { Side::A } else { Side::B };
            streams.push_arrival(&Arrival { seq, syn, bytes: &bytes[..len], number: 0, at: 0 }, side, &mut reader);
            prop_assert!(streams.heap_bytes() <= 2 * Assembler::MAX_HEAP);
        }
        streams.drop_buffers(&mut reader);
        prop_assert_eq!(streams.heap_bytes(), 0);
    }
}

fn arrival(seq: u32, bytes: &[u8]) -> Arrival<'_> {
    Arrival { seq, syn: false, bytes, number: 0, at: 0 }
}

/// Takes nothing, ever.
#[derive(Default)]
struct Waiting {
    lost: u32,
}

impl Reader for Waiting {
    fn read(&mut self, _side: Side, run: &Run<'_>) -> Progress {
        Progress { keep_from: run.offset, done: false }
    }
    fn lost(&mut self, _side: Side) {
        self.lost += 1;
    }
    fn restart(&mut self) {}
}

#[test]
fn a_reader_that_never_takes_loses_the_stream_at_the_bound() {
    let (mut a, mut reader) = (Assembler::default(), Waiting::default());
    // A byte a segment: limits of segments are merged, bytes are kept.
    for i in 0..MAX_BYTES as u32 {
        a.push(&arrival(i, b"x"), Side::A, &mut reader);
        assert!(a.heap_bytes() <= Assembler::MAX_HEAP);
    }
    assert!(!a.is_closed());
    a.push(&arrival(MAX_BYTES as u32, b"x"), Side::A, &mut reader);
    assert_eq!((a.is_closed(), a.heap_bytes(), reader.lost), (true, 0, 1));
}

#[test]
fn a_gap_that_nothing_fills_ends_the_stream() {
    let (mut a, mut reader) = (Assembler::default(), Waiting::default());
    a.push(&arrival(0, b"x"), Side::A, &mut reader);
    for i in 1..5000 {
        a.push(&arrival(i * 1000, &[0; 1000]), Side::A, &mut reader);
        assert!(a.heap_bytes() <= Assembler::MAX_HEAP);
    }
    assert_eq!((a.is_closed(), a.heap_bytes(), reader.lost), (true, 0, 1));
}

#[test]
fn a_syn_with_another_number_begins_another_stream() {
    let (mut s, mut reader) = (Streams::default(), Messages::default());
    let syn = |seq| Arrival { seq, syn: true, bytes: &[], number: 0, at: 0 };
    s.push_arrival(&syn(100), Side::A, &mut reader);
    s.push_arrival(&arrival(101, b"\x02ab\x05c"), Side::A, &mut reader);
    s.push_arrival(&syn(100), Side::A, &mut reader);
    assert_eq!(reader.restarts, 0, "a retransmission");
    s.push_arrival(&syn(7000), Side::A, &mut reader);
    s.push_arrival(&arrival(7001, b"\x01z"), Side::A, &mut reader);
    assert_eq!((reader.restarts, reader.found), (1, vec![b"ab".to_vec(), b"z".to_vec()]));
}

#[test]
fn a_syn_may_come_behind_its_data() {
    let (mut s, mut reader) = (Streams::default(), Messages::default());
    s.push_arrival(&arrival(101, b"\x03b"), Side::A, &mut reader);
    s.push_arrival(&Arrival { seq: 100, syn: true, bytes: &[], number: 0, at: 0 }, Side::A, &mut reader);
    s.push_arrival(&arrival(103, b"cd"), Side::A, &mut reader);
    assert_eq!((reader.restarts, reader.found), (0, vec![b"bcd".to_vec()]));
}

#[test]
fn a_keep_alive_does_not_hide_the_first_byte_behind_it() {
    let (mut s, mut reader) = (Streams::default(), Messages::default());
    s.push_arrival(&arrival(99, b""), Side::A, &mut reader);
    s.push_arrival(&arrival(99, b""), Side::A, &mut reader);
    s.push_arrival(&arrival(100, b"\x03abc"), Side::A, &mut reader);
    s.push_arrival(&arrival(104, b"\x01d"), Side::A, &mut reader);
    assert_eq!(reader.found, vec![b"abc".to_vec(), b"d".to_vec()]);
}

#[test]
fn without_a_syn_a_stream_begins_at_its_first_segment_or_before_if_nothing_was_read() {
    let (mut s, mut reader) = (Streams::default(), Messages::default());
    // An ACK without payload, data behind it, and then what comes before both.
    s.push_arrival(&arrival(110, b""), Side::A, &mut reader);
    s.push_arrival(&arrival(112, b"yz"), Side::A, &mut reader);
    s.push_arrival(&arrival(100, b"\x0babcdefghi"), Side::A, &mut reader);
    s.push_arrival(&arrival(90, b"0123456789"), Side::A, &mut reader);
    s.push_arrival(&arrival(110, b"xx"), Side::A, &mut reader);
    assert_eq!(reader.found, vec![b"abcdefghixx".to_vec()]);
}
