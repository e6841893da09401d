//! Laws of reading application protocols from packets.

use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::packet::tcp_flags::{ACK, SYN};
use joyfuljay_core::packet::{Endpoint, FlowKey, Known, Packet, PacketInfo, Scope, Side};
use joyfuljay_core::protocols::tls::Facts;
use joyfuljay_core::trackers::{App, AppWants, Context, Tracker, TrackerSettings, Wants};

/// Most pieces of a stream, far below the bounds of the assembler.
const MAX_PIECES: usize = 200;

/// The beginning of a ClientHello and of a ServerHello: where TLS begins must not depend on where segments do.
const HELLOS: [[u8; 11]; 2] = [[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], [22, 3, 3, 2, 0, 2, 0, 1, 252, 3, 3]];

/// The laws: however the two streams of a connection are cut, mixed and sent again, the same is read of a handshake; what
/// is held is entered in the account of memory; at the end, no buffer is left.
///
/// Input: number of cuts, length of the client's stream (2 bytes), then four bytes a cut (where something is sent again
/// (2), how much, by how many places it comes too late), then the streams.
pub fn laws(input: &[u8]) {
    let [cuts, high, low, rest @ ..] = input else { return };
    let (cuts, streams) = rest.split_at((usize::from(*cuts).min(MAX_PIECES) * 4).min(rest.len()));
    let client = usize::from(u16::from_be_bytes([*high, *low])).min(streams.len());
    let (client, server) = streams.split_at(client);
    let streams = [[&HELLOS[0][..], client].concat(), [&HELLOS[1][..], server].concat()];
    let whole = read(&streams, |stream| vec![(0, stream.len())]);
    let mut cut = read(&streams, |stream| pieces(stream.len(), cuts));
    if let (Some(whole), Some(cut)) = (&whole, &mut cut) {
        // The one thing that is counted in segments.
        cut.handshake_packets = whole.handshake_packets;
    }
    assert_eq!(whole, cut, "what was read depends on the packets");
}

/// Parts that cover a stream, and others that are sent again.
fn pieces(len: usize, cuts: &[u8]) -> Vec<(usize, usize)> {
    let mut keyed = Vec::new();
    let mut at = 0;
    for (i, cut) in cuts.chunks_exact(4).enumerate() {
        let again = usize::from(u16::from_be_bytes([cut[0], cut[1]])) % len;
        let key = i * 4 + usize::from(cut[3]);
        keyed.push((key, (again, (again + usize::from(cut[2])).min(len))));
        let end = (at + usize::from(cut[2]) + 1).min(len);
        keyed.push((key, (at, end)));
        at = end;
    }
    keyed.push((usize::MAX, (at, len)));
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, piece)| piece).collect()
}

fn read(streams: &[Vec<u8>; 2], pieces: impl Fn(&[u8]) -> Vec<(usize, usize)>) -> Option<Facts> {
    let settings = TrackerSettings { app: AppWants::ALL, ..TrackerSettings::default() };
    let (mut app, mut context) = (App::start(&settings), Context::new(settings));
    let mut wants = Wants::More;
    let mut send = |side: Side, seq: u32, flags: u16, payload: &[u8]| {
        let (a, b) = (Endpoint::v4([10, 0, 0, 1], 1000), Endpoint::v4([10, 0, 0, 2], 443));
        let (src, dst) = if side == Side::A { (a, b) } else { (b, a) };
        let (key, from_lo) = FlowKey::new(false, 6, true, src, dst, Scope::default());
        let mut batch = FrameBatch::new();
        batch.data.extend_from_slice(payload);
        let len = payload.len() as u32;
        let info = PacketInfo {
            seq,
            tcp_flags: flags,
            l4: 0,
            payload_end: len,
            payload_len: len,
            known: Known::TCP_HEADER,
            ..PacketInfo::by_hand(0, key, from_lo)
        };
        if wants == Wants::More || flags & SYN != 0 {
            wants = app.update(&Packet { info: &info, batch: &batch }, side, &mut context);
            assert_eq!(app.heap_bytes(), context.memory.heap_bytes());
        }
    };
    for (side, stream) in [Side::A, Side::B].into_iter().zip(streams) {
        send(side, u32::MAX - 20, SYN, &[]);
        for (from, to) in pieces(stream) {
            send(side, (u32::MAX - 19).wrapping_add(from as u32), ACK, &stream[from..to]);
        }
    }
    app.end(&mut context);
    assert_eq!(app.heap_bytes(), context.memory.heap_bytes());
    assert!(app.heap_bytes() <= App::MAX_BYTES);
    app.tls().map(|tls| tls.facts().clone())
}
