//! Vectors of RFC 9001, and packets that are made here with the keys that those vectors test.

use super::keys::{From, Keys};
use super::packet::{Packet, packet};
use super::testing::{DCID, Initial, crypto, id};
use super::*;
use crate::packet::Side::{A, B};
use crate::protocols::tls::testing::{Hello, message};
use crate::protocols::{Datagram, DatagramSession};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn long(version: u32, kind: u8, dcid: &[u8], scid: &[u8], rest: &[u8]) -> Vec<u8> {
    let ids = [&[dcid.len() as u8][..], dcid, &[scid.len() as u8], scid].concat();
    [&[0xc0 | kind << 4][..], &version.to_be_bytes(), &ids, rest].concat()
}

fn client_hello() -> Vec<u8> {
    let extensions: &[(u16, &[u8])] = &[(0, b"\0\x0c\0\0\x09localhost"), (16, b"\0\x03\x02h3"), (43, b"\x02\x03\x04")];
    Hello { version: 0x0303, ciphers: &[0x1301], extensions, ..Hello::default() }.message()
}

fn server_hello() -> Vec<u8> {
    message(2, &[&[3, 3][..], &[5; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]].concat())
}

fn whole(message: &[u8]) -> Vec<u8> {
    [crypto(message, 0, message.len()), vec![0; 40]].concat()
}

fn feed(datagrams: &[(crate::Side, Vec<u8>)]) -> Option<QuicSession> {
    let (mut finder, mut session) = (QuicFinder::default(), None::<QuicSession>);
    let mut scratch = Vec::new();
    for (side, bytes) in datagrams {
        let datagram = Datagram { bytes, wire_len: bytes.len() as u32, at: 0 };
        match &mut session {
            Some(session) => _ = session.read(*side, &datagram, &mut scratch),
            None => session = finder.look(*side, &datagram, &mut scratch),
        }
    }
    session
}

#[test]
fn the_servers_initial_of_rfc_9001_a3_opens() {
    let bytes = unhex(
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4c\
         f73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7a\
         af2f58891850abbdca3d20398c276456cbc42158407dd074ee",
    );
    let Some(Packet::Long(long)) = packet(&bytes, bytes.len()) else { panic!("an Initial") };
    let mut scratch = Vec::new();
    let opened = Keys::new(Version::V1, &id(DCID), From::Server).unwrap().open(&long, &mut scratch).unwrap();
    let frames = unhex(
        "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e0033\
         0024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304",
    );
    assert_eq!((opened.number_len, opened.frames), (2, &frames[..]));
}

#[test]
fn a_handshake_in_each_version() {
    for version in [1, 0x6b33_43cf, 0x709a_50c4, 0xff00_001d, 0xff00_0022, 0xface_b002] {
        let client = Initial { version, ..Initial::default() };
        let server = Initial { dcid: &[7, 7], scid: &[9; 5], from: From::Server, ..client };
        let s =
            feed(&[(A, client.packet(&whole(&client_hello()))), (B, server.packet(&whole(&server_hello())))]).unwrap();
        let facts = s.facts();
        assert_eq!(facts.client.as_ref().and_then(|c| c.server_name()), Some(&b"localhost"[..]), "{version:x}");
        assert_eq!((facts.version(), facts.client_side), (Some(0x0304), Some(A)));
        let first = s.client_initial().unwrap();
        assert_eq!((first.dcid, first.scid, first.number_len), (id(DCID), id(&[7, 7]), 4));
        assert_eq!(s.server_scid().map(|id| id.as_bytes()), Some(&[9; 5][..]));
        assert_eq!((s.version(), s.initial_packets(), s.first()), (Some(Version(version)), 2, First::Initial));
        assert_eq!(s.heap_bytes(), facts.heap_bytes());
    }
}

#[test]
fn without_the_clients_initial_the_first_to_speak_is_the_client() {
    let client = Initial::default().packet(&whole(&client_hello()));
    let server =
        Initial { dcid: &[7, 7], scid: &[9; 5], ..Initial::default() }.by_server().packet(&whole(&server_hello()));
    // Cut by the snap length before its length field.
    let s = feed(&[(A, client[..12].to_vec()), (B, server)]).unwrap();
    assert_eq!((s.client_initial(), s.server_scid().map(|id| id.as_bytes())), (None, Some(&[9; 5][..])));
}

#[test]
fn the_server_may_change_the_version() {
    let client = Initial::default();
    let server = Initial { version: 0x6b33_43cf, dcid: &[7, 7], scid: &[9; 5], from: From::Server, ..client };
    let s = feed(&[(A, client.packet(&whole(&client_hello()))), (B, server.packet(&whole(&server_hello())))]).unwrap();
    assert!(s.facts().server.is_some());
    assert_eq!(s.version(), Some(Version::V2));
}

#[test]
fn after_retry_keys_come_of_another_id() {
    let hello = client_hello();
    let first = Initial::default();
    let retry = long(1, 3, &[7, 7], &[9; 8], &[0x55; 40]);
    let again = Initial { dcid: &[9; 8], key_id: &[9; 8], number: 1, ..first };
    let server = Initial { dcid: &[7, 7], scid: &[4; 4], key_id: &[9; 8], from: From::Server, ..first };
    // Half of the hello before, half of it after.
    let s = feed(&[
        (A, first.packet(&[crypto(&hello, 0, 30), vec![0; 50]].concat())),
        (B, retry),
        (A, again.packet(&[crypto(&hello, 30, hello.len()), vec![0; 50]].concat())),
        (B, server.packet(&whole(&server_hello()))),
    ])
    .unwrap();
    // All of it before and again after it.
    let both = feed(&[
        (A, first.packet(&whole(&hello))),
        (B, long(1, 3, &[7, 7], &[9; 8], &[0x55; 40])),
        (A, again.packet(&whole(&hello))),
        (B, server.packet(&whole(&server_hello()))),
    ]);
    assert!(both.unwrap().facts().server.is_some());
    assert!(s.has_retry() && s.facts().client.is_some() && s.facts().server.is_some());
    assert_eq!(s.client_initial().map(|c| c.dcid), Some(id(DCID)));
}

#[test]
fn coalesced_packets_are_walked() {
    let zero_rtt = long(1, 1, DCID, &[7, 7], &[&[0x40, 40][..], &[0x33; 40]].concat());
    let handshake = long(1, 2, DCID, &[7, 7], &[&[0x40, 40][..], &[0x33; 40]].concat());
    let short = [&[0x60][..], &[0x44; 30]].concat();
    let initial = Initial::default().packet(&whole(&client_hello()));
    let s = feed(&[(A, zero_rtt.clone()), (A, [&zero_rtt[..], &initial, &handshake, &short].concat())]).unwrap();
    assert!(s.has_zero_rtt() && s.facts().client.is_some());
    assert_eq!((s.first(), s.initial_packets(), s.spin(A).packets), (First::LongHeader, 1, 1));
}

#[test]
fn the_spin_bit_is_counted_by_direction_and_from_before_the_first_long_header() {
    let short = |bit: u8| [&[0x40 | bit << 5][..], &[0x44; 30]].concat();
    let initial = Initial::default().packet(&whole(&client_hello()));
    let s = feed(&[
        (A, short(0)),
        (B, short(1)),
        (A, short(1)),
        (A, initial),
        (A, short(0)),
        (B, short(1)),
        (A, vec![0x40; 20]),
    ]);
    let s = s.unwrap();
    assert_eq!((s.spin(A).packets, s.spin(A).transitions), (3, 2));
    assert_eq!((s.spin(B).packets, s.spin(B).transitions), (2, 0));
}

#[test]
fn version_negotiation() {
    let reserved = long(0x1a2a_3a4a, 0, DCID, &[7], &[0x33; 40]);
    let negotiation = long(0, 0, &[7], DCID, &[0, 0, 0, 1, 1, 2, 3, 4]);
    let initial = Initial { scid: &[7], ..Initial::default() }.packet(&whole(&client_hello()));
    let s = feed(&[(A, reserved.clone()), (B, negotiation.clone()), (A, initial)]).unwrap();
    assert!(s.has_version_negotiation() && s.facts().client.is_some());
    assert_eq!((s.first(), s.version(), s.initial_packets()), (First::VersionNegotiation, Some(Version::V1), 1));
    // A list without a version that anybody knows is no QUIC; nor is a reserved version alone.
    assert!(feed(&[(A, reserved), (B, long(0, 0, &[7], DCID, &[1, 2, 3, 4]))]).is_none());
}

#[test]
fn google() {
    let public = [&[0x0d][..], &[1; 8], b"Q043", &[1; 30]].concat();
    let s = feed(&[(A, public.clone()), (B, vec![0; 40])]).unwrap();
    assert_eq!((s.version(), s.is_gquic(), s.facts().is_detected()), (Some(Version(0x5130_3433)), true, false));
    assert!(feed(&[(A, long(0x5430_3531, 0, DCID, &[], &[0; 40]))]).unwrap().is_gquic());
    assert!(feed(&[(A, [&[0x08][..], &public[1..]].concat())]).is_none());
}

#[test]
fn the_fixed_bit_may_be_cleared_in_a_flow_that_is_known() {
    let mut initial = Initial::default().packet(&whole(&client_hello()));
    let mut server = Initial { from: From::Server, ..Initial::default() }.packet(&whole(&server_hello()));
    server[0] &= !0x40;
    let short = [&[0x20][..], &[0x44; 30]].concat();
    let s = feed(&[(A, initial.clone()), (B, server), (B, short.clone()), (A, short)]).unwrap();
    assert_eq!((s.initial_packets(), s.spin(A).packets, s.spin(B).packets), (2, 0, 1));
    initial[0] &= !0x40;
    assert!(feed(&[(A, initial)]).is_none());
}

#[test]
fn a_length_beyond_the_datagram_is_no_quic() {
    let initial = Initial::default().packet(&whole(&client_hello()));
    let cut = |n: usize, wire_len| {
        let datagram = Datagram { bytes: &initial[..n], wire_len, at: 0 };
        QuicFinder::default().look(A, &datagram, &mut Vec::new())
    };
    assert!(cut(initial.len() - 1, initial.len() as u32 - 1).is_none());
    // The snap length is another matter: it is QUIC, and cannot be opened.
    let s = cut(100, initial.len() as u32).unwrap();
    assert!(s.client_initial().is_none() && s.initial_packets() == 1);
}

#[test]
fn trials_are_bounded() {
    let mut session =
        feed(&[(A, Initial { key_id: &[1; 8], ..Initial::default() }.packet(&whole(&client_hello())))]).unwrap();
    let mut scratch = Vec::new();
    for n in 0..100_000u32 {
        let dcid = n.to_be_bytes();
        let bytes = long(1, 0, &[dcid, dcid].concat(), &[], &[&[0, 0x40, 200][..], &[0x33; 200]].concat());
        session.read(A, &Datagram { bytes: &bytes, wire_len: bytes.len() as u32, at: 0 }, &mut scratch);
    }
    assert_eq!((session.initial_packets(), session.trials()), (100_001, 64));
    // In flows of their own, each costs one.
    for n in 0..1_000u32 {
        let dcid = n.to_be_bytes();
        let bytes = long(1, 0, &[dcid, dcid].concat(), &[], &[&[0, 0x40, 200][..], &[0x33; 200]].concat());
        let datagram = Datagram { bytes: &bytes, wire_len: bytes.len() as u32, at: 0 };
        let session = QuicFinder::default().look(A, &datagram, &mut scratch);
        assert_eq!(session.map(|s| s.trials()), Some(1));
    }
}

proptest::proptest! {
    /// However the hello was cut into frames and packets, in whatever order these came, the same is read of it.
    #[test]
    fn crypto_frames_in_any_order(
        parts in proptest::collection::vec((0..150usize, 1..60usize, 0..4usize), 0..20),
        order in proptest::prelude::any::<u64>(),
    ) {
        let hello = client_hello();
        let mut frames: Vec<(usize, Vec<u8>)> = parts
            .into_iter()
            .map(|(from, len, place)| (from.min(hello.len() - 1), len, place))
            .chain((0..hello.len()).step_by(40).enumerate().map(|(i, from)| (from, 40, (order >> (2 * i)) as usize & 3)))
            .map(|(from, len, place)| (place, crypto(&hello, from, (from + len).min(hello.len()))))
            .collect();
        frames.sort_by_key(|f| f.0 ^ (order >> 60) as usize);
        let packets: Vec<_> = frames
            .chunks(3)
            .enumerate()
            .map(|(i, frames)| {
                let all = frames.iter().flat_map(|f| f.1.clone()).chain([0; 30]).collect::<Vec<_>>();
                (A, Initial { number: i as u32, ..Initial::default() }.packet(&all))
            })
            .collect();
        let s = feed(&packets).unwrap();
        let at_once = feed(&[(A, Initial::default().packet(&whole(&hello)))]).unwrap();
        proptest::prop_assert_eq!(s.facts(), at_once.facts());
        proptest::prop_assert!(s.facts().client.is_some());
    }

    #[test]
    fn any_datagram_is_survived(bytes: Vec<u8>, kind in 0..5usize, cut: u16) {
        let mut all = match kind {
            0 => Vec::new(),
            1 => Initial::default().packet(&bytes),
            2 => Initial::default().packet(&whole(&client_hello())),
            3 => long(1, 0, DCID, &[], &[]),
            _ => long(0, 0, DCID, &[], &[]),
        };
        all.extend(&bytes);
        let _ = feed(&[(A, all.clone()), (B, all.clone()), (A, all[..all.len().min(cut.into())].to_vec())]);
    }
}
