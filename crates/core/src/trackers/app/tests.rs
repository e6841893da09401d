use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::frame::{FrameBatch, LinkType};
use crate::packet::Scope;
use crate::packet::tcp_flags::{ACK, RST};
use crate::protocols::tls::testing::{Hello, record};
use crate::testing::packet_in;

/// A flow, and the tracker of it.
struct Flow {
    app: App,
    context: Context,
    protocol: u8,
    packets: usize,
    wants: Wants,
}

impl Flow {
    fn new(protocol: u8, app: AppWants) -> Self {
        let settings = TrackerSettings { app, ..TrackerSettings::default() };
        let (app, context) = (App::start(&settings), Context::new(settings));
        Self { app, context, protocol, packets: 0, wants: Wants::More }
    }

    fn packet(&mut self, side: Side, seq: u32, flags: u16, payload: &[u8]) {
        // As the flow store does it.
        if self.wants == Wants::NoMore && flags & SYN == 0 {
            return;
        }
        let mut batch = FrameBatch::new();
        batch.push(0, LinkType(1), payload.len() as u32, payload);
        let mut p = packet_in(0, 40 + payload.len() as u32, payload.len() as u32, self.protocol, Scope::default());
        (p.seq, p.tcp_flags) = (seq, flags);
        (p.l4, p.payload_start, p.payload_end) = (0, 0, payload.len() as u32);
        self.wants = self.app.update(&Packet { info: &p, batch: &batch }, side, &mut self.context);
        self.packets += 1;
        assert_eq!(self.context.memory.heap_bytes(), self.app.heap_bytes());
    }

    fn ended(mut self) -> Self {
        self.app.end(&mut self.context);
        self
    }

    fn server_name(&self) -> Option<&[u8]> {
        self.app.tls()?.facts().client.as_ref()?.server_name()
    }
}

fn tcp() -> Flow {
    Flow::new(6, AppWants::TLS)
}

fn hello() -> Vec<u8> {
    let extensions: &[(u16, &[u8])] = &[(0, b"\0\x0c\0\0\x09localhost"), (43, b"\x02\x03\x04"), (16, b"\0\x03\x02h2")];
    let message = Hello { version: 0x0303, session_id: &[9; 32], ciphers: &[0x1301, 0xc02f], extensions }.message();
    record(22, &message)
}

#[test]
fn a_hello_in_one_segment_is_read_without_a_copy() {
    let mut f = tcp();
    f.packet(Side::A, 99, SYN, &[]);
    f.packet(Side::A, 100, ACK, &hello());
    assert_eq!(f.server_name(), Some(&b"localhost"[..]));
    let Work::Connection(c) = &f.app.work else { panic!("the server's side is still wanted") };
    assert_eq!(c.heap_bytes(), 0);
}

#[test]
fn what_is_half_read_is_freed_at_the_end() {
    let mut f = tcp();
    f.packet(Side::A, 100, ACK, &hello()[..60]);
    let held = f.app.heap_bytes();
    assert!(held > size_of::<Connection>() + 60);
    let f = f.ended();
    // A hello was seen, but not read.
    assert!(f.app.tls().is_some_and(|t| t.facts().is_detected()) && f.server_name().is_none());
    assert!(f.app.heap_bytes() < held - size_of::<Connection>());
}

#[test]
fn a_flow_that_is_no_tls_has_no_state_of_it_and_is_left_alone_behind_64_kib() {
    let mut f = tcp();
    for i in 0..300u32 {
        for side in [Side::A, Side::B] {
            f.packet(side, 1000 * i, ACK, &[b'x'; 1000]);
        }
        assert!(f.app.tls().is_none());
    }
    assert_eq!((f.wants, f.packets), (Wants::NoMore, 132));
    assert_eq!(f.app.heap_bytes(), 0);
}

#[test]
fn behind_the_handshake_nothing_is_wanted_until_a_syn_begins_another_connection() {
    let mut f = tcp();
    let server_hello = [&[2, 0, 0, 50, 3, 3][..], &[0; 48]].concat();
    let server = [record(22, &server_hello), record(23, &[7; 60])].concat();
    for round in 0..2u32 {
        f.packet(Side::A, 1000 * round, SYN, &[]);
        f.packet(Side::B, 500 + round, SYN | ACK, &[]);
        assert_eq!(f.wants, Wants::More);
        f.packet(Side::A, 1000 * round + 1, ACK, &[hello(), record(23, &[7; 60])].concat());
        f.packet(Side::B, 501 + round, ACK, &server);
        assert_eq!(f.wants, Wants::NoMore);
        // A retransmission is no other connection.
        f.packet(Side::A, 1000 * round, SYN, &[]);
        assert_eq!(f.wants, Wants::NoMore);
        f.packet(Side::A, 1000 * round + 900, ACK, b"more");
    }
    assert_eq!(f.app.tls().map(|t| t.facts().handshake_packets), Some(4));
    assert_eq!(f.packets, 10);
}

#[test]
fn memory_that_is_short_costs_the_streams_that_wait() {
    let mut f = tcp();
    f.packet(Side::A, 100, ACK, &hello()[..60]);
    f.app.relieve(&mut f.context);
    assert_eq!(f.context.stats.streams_given_up, 1);
    f.packet(Side::A, 160, ACK, &hello()[60..]);
    assert_eq!(f.server_name(), None);
    f.packet(Side::A, 100, RST, &[]);
    assert_eq!(f.context.memory.heap_bytes(), f.app.heap_bytes());
}

#[test]
fn nothing_is_done_where_nothing_is_wanted() {
    for protocol in [6, 17] {
        let mut f = Flow::new(protocol, AppWants::NONE);
        f.packet(Side::A, 100, ACK, &hello());
        assert_eq!((f.wants, f.app.heap_bytes()), (Wants::NoMore, 0));
    }
}

#[test]
fn dns_is_read_from_datagrams_and_from_streams() {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(b"\x07example\x03com\0\0\x01\0\x01");
    let mut f = Flow::new(17, AppWants::DNS);
    f.packet(Side::A, 0, 0, &query);
    let mut g = Flow::new(6, AppWants::DNS);
    let stream = [&[0, query.len() as u8][..], &query].concat();
    for (i, byte) in (0..).zip(&stream) {
        g.packet(Side::A, i, ACK, &[*byte]);
    }
    for f in [f.ended(), g.ended()] {
        assert_eq!(f.app.dns().and_then(|d| d.question()).map(|q| &*q.name), Some("example.com"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// However the packets of a hello were cut, mixed and repeated, the same is read of it.
    #[test]
    fn a_hello_is_read_the_same_from_any_packets(
        cuts in vec((0usize..300, 0usize..80, 0u64..60), 0..30),
        isn in prop_oneof![any::<u32>(), Just(u32::MAX - 60)],
        syn_late in any::<bool>(),
    ) {
        let bytes = hello();
        let mut parts: Vec<(u64, usize, usize)> = Vec::new();
        let mut at = 0;
        for (i, (from, len, swap)) in cuts.iter().enumerate() {
            let from = from % bytes.len();
            // Something sent again, and the next part.
            parts.push((i as u64 * 10 + swap, from, (from + len).min(bytes.len())));
            let end = (at + len + 1).min(bytes.len());
            parts.push((i as u64 * 10 + swap, at, end));
            at = end;
        }
        parts.push((u64::MAX, at, bytes.len()));
        parts.sort_by_key(|p| p.0);
        let mut f = tcp();
        if !syn_late || parts.first().is_some_and(|p| p.1 != 0) {
            f.packet(Side::A, isn, SYN, &[]);
        }
        for (_, from, to) in parts {
            f.packet(Side::A, isn.wrapping_add(1 + from as u32), ACK, &bytes[from..to]);
        }
        f.packet(Side::A, isn, SYN, &[]);
        let f = f.ended();
        prop_assert_eq!(f.server_name(), Some(&b"localhost"[..]));
    }
}
