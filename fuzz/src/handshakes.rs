//! Laws of reading handshakes: TLS over a stream, DTLS and QUIC over datagrams. What is read of one does not depend on how
//! its messages were cut.
//!
//! The input is that of the other sessions ([`parts`]).

use joyfuljay_core::Side;
use joyfuljay_core::protocols::quic::testing::{Initial, crypto};
use joyfuljay_core::protocols::quic::{QuicFinder, QuicSession};
use joyfuljay_core::protocols::tls::{self, DtlsSession, Facts, TlsSession, Transport};
use joyfuljay_core::protocols::{Datagram, DatagramSession};

use crate::protocols::{Part, laws, parts};

/// Most bytes of the facts of a handshake: a message of each of the four kinds that are kept, as text of which every byte is
/// wrong (three times its length).
const MAX_FACTS: usize = 4 * 3 * tls::MAX_MESSAGE;

/// The beginning of a ClientHello and of a ServerHello, as records of TLS: where TLS begins depends on where segments do, so it
/// has to be the first of them.
const HELLOS: [&[u8]; 2] = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], &[22, 3, 3, 2, 0, 2, 0, 1, 252, 3, 3]];

/// How many segments or datagrams a handshake took depends on how it was cut, and with DTLS that without a hello it is known by
/// two datagrams of records.
fn facts(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    facts.handshake_packets = 0;
    facts.records_only &= facts.transport != Transport::Dtls;
    facts
}

/// TLS over TCP.
pub fn tls(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let to_end = first & 1 == 0;
    laws(|| TlsSession::new(to_end), |s| facts(s.facts()), MAX_FACTS, input, HELLOS);
}

fn datagram(bytes: &[u8]) -> Datagram<'_> {
    Datagram { bytes, wire_len: bytes.len() as u32, at: 0 }
}

/// DTLS. The parts are datagrams, or (first byte even) the bodies of handshake messages, each behind its type: these are sent
/// whole, and in fragments in any order.
pub fn dtls(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let parts = parts(input);
    let check = |s: &DtlsSession| {
        assert!(s.heap_bytes() <= DtlsSession::MAX_HEAP + MAX_FACTS);
        let mut ended = s.clone();
        ended.end();
        assert_eq!(DatagramSession::heap_bytes(&ended), ended.facts().heap_bytes());
    };
    let (mut whole, mut cut) = (DtlsSession::default(), DtlsSession::default());
    if first & 1 == 1 {
        for part in &parts {
            let cut_len = part.bytes.len().saturating_sub(part.cut);
            whole.read(part.side, &datagram(part.bytes), &mut Vec::new());
            // What the snap length leaves.
            let shown = Datagram { wire_len: part.bytes.len() as u32, ..datagram(&part.bytes[..cut_len]) };
            cut.read(part.side, &shown, &mut Vec::new());
            check(&whole);
            check(&cut);
        }
        return;
    }
    for (sequence, Part { side, bytes, cut: at }) in (0u16..).zip(&parts) {
        let Some((&kind, body)) = bytes.split_first() else { continue };
        let at = (*at).min(body.len());
        let fragment = |from: usize, to: usize| {
            let [_, len @ ..] = (body.len() as u32).to_be_bytes();
            let [_, offset @ ..] = (from as u32).to_be_bytes();
            let [_, count @ ..] = ((to - from) as u32).to_be_bytes();
            let message = [&[kind][..], &len, &sequence.to_be_bytes(), &offset, &count, &body[from..to]].concat();
            let length = (message.len() as u16).to_be_bytes();
            [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, &message].concat()
        };
        whole.read(*side, &datagram(&fragment(0, body.len())), &mut Vec::new());
        // The end first, overlapping with the beginning; in one datagram or in two.
        let pieces = [fragment(at, body.len()), fragment(0, (at + at / 2).min(body.len()))];
        if first & 2 == 0 {
            cut.read(*side, &datagram(&pieces.concat()), &mut Vec::new());
        } else {
            pieces.iter().for_each(|p| _ = cut.read(*side, &datagram(p), &mut Vec::new()));
        }
        check(&whole);
        check(&cut);
    }
    assert_eq!(facts(whole.facts()), facts(cut.facts()));
}

/// Versions of which an Initial can be made.
const VERSIONS: [u32; 6] = [1, 0x6b33_43cf, 0x709a_50c4, 0xff00_001d, 0xff00_0022, 0xface_b002];

/// Most parts of a run: below half the number of packets that a session tries to open.
const MAX_PARTS: usize = 12;

/// QUIC. The parts are datagrams, the frames of Initial packets, or pieces of the handshake's bytes, which are sent in one
/// packet each, and in two that come in the other order.
pub fn quic(input: &[u8]) {
    let Some((first, input)) = input.split_first() else { return };
    let version = VERSIONS[usize::from(first & 7) % VERSIONS.len()];
    let packet = |side: Side, number: u32, frames: &[u8]| {
        let client = Initial { version, number, ..Initial::default() };
        // Long enough to have a sample for the protection of its header.
        let frames = [frames, &[0; 24]].concat();
        match side {
            Side::A => client.packet(&frames),
            Side::B => Initial { dcid: &[7, 7], scid: &[9; 5], ..client }.by_server().packet(&frames),
        }
    };
    let (mut whole, mut cut) = (Flow::default(), Flow::default());
    let mut sent = [0; 2];
    for (number, part) in (0u32..).step_by(2).zip(parts(input).into_iter().take(MAX_PARTS)) {
        let Part { side, bytes, cut: at } = part;
        match first >> 3 & 3 {
            0 => whole.read(side, bytes),
            1 => whole.read(side, &packet(side, number, bytes)),
            2 => whole.read(side, &[packet(side, number, bytes), bytes.to_vec()].concat()),
            _ => {
                let from = sent[side as usize];
                let mut stream = vec![0; from];
                stream.extend_from_slice(bytes);
                sent[side as usize] = stream.len();
                let at = from + at.min(bytes.len());
                whole.read(side, &packet(side, number, &crypto(&stream, from, stream.len())));
                let pieces = [
                    packet(side, number, &crypto(&stream, at, stream.len())),
                    packet(side, number + 1, &crypto(&stream, from, at)),
                ];
                match first >> 5 & 1 {
                    0 => cut.read(side, &pieces.concat()),
                    _ => pieces.iter().for_each(|p| cut.read(side, p)),
                }
            }
        }
    }
    if first >> 3 & 3 == 3 {
        let facts = |flow: &Flow| {
            flow.session.as_ref().map(|s| (facts(s.facts()), s.version(), s.client_initial().map(|c| c.dcid)))
        };
        assert_eq!(facts(&whole), facts(&cut));
    }
}

/// A flow in which QUIC is looked for.
#[derive(Default)]
struct Flow {
    finder: QuicFinder,
    session: Option<QuicSession>,
}

impl Flow {
    fn read(&mut self, side: Side, bytes: &[u8]) {
        let (datagram, mut scratch) = (datagram(bytes), Vec::new());
        match &mut self.session {
            Some(session) => _ = session.read(side, &datagram, &mut scratch),
            None => self.session = self.finder.look(side, &datagram, &mut scratch),
        }
        if let Some(session) = &self.session {
            assert!(session.heap_bytes() <= QuicSession::MAX_HEAP + MAX_FACTS);
            let mut ended = session.clone();
            ended.end();
            assert_eq!(DatagramSession::heap_bytes(&ended), ended.facts().heap_bytes());
        }
    }
}
