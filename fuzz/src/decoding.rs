//! Laws of decoding frames.

use crate::memory::peak_of;
use joyfuljay_core::decode::{DecodeSettings, Decoded, Decoder};
use joyfuljay_core::frame::{FrameBatch, LinkType};
use joyfuljay_core::packet::{NO_OFFSET, PacketInfo};

/// Most bytes that a decoder may hold: 4 MiB of fragments by its own account, and what the account leaves out.
const MAX_DECODER_BYTES: usize = 16 << 20;

/// Takes the input apart: a link type (two bytes), a cut, then frames, each behind its length in two bytes (big-endian).
pub fn parse(data: &[u8]) -> Option<(LinkType, u8, Vec<&[u8]>)> {
    let [link_high, link_low, cut, rest @ ..] = data else { return None };
    let mut rest = rest;
    let mut frames = Vec::new();
    while let [high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (frame, after) = tail.split_at(len);
        frames.push(frame);
        rest = after;
    }
    // The registry ends well below 512: most inputs have a type that means something.
    let link = LinkType(u16::from_be_bytes([*link_high, *link_low]) % 512);
    Some((link, *cut, frames))
}

/// The laws: no panic, on whole frames and on cut ones; every frame ends as exactly one packet or one skip; offsets lie
/// within the batch; memory is bounded.
pub fn laws(data: &[u8]) {
    let Some((link, cut, frames)) = parse(data) else { return };
    for whole in [true, false] {
        let mut batch = FrameBatch::new();
        for (i, frame) in frames.iter().enumerate() {
            let kept = if whole { frame.len() } else { frame.len() * usize::from(cut) / 256 };
            batch.push(i as i64, link, frame.len() as u32, &frame[..kept]);
        }
        decode(&batch);
    }
}

/// Decodes a batch under the laws, and gives what came out with the data that offsets point into.
pub fn decode(batch: &FrameBatch) -> (Decoded, Vec<u8>) {
    let mut decoder = Decoder::new([1, 2], DecodeSettings::default());
    let (mut out, peak) = peak_of(|| {
        let mut out = Decoded::default();
        for (i, frame) in batch.frames.iter().enumerate() {
            decoder.decode(&batch.data, i as u32, frame, &mut out);
        }
        out
    });
    // A vector that grows holds its old and its new memory for a moment.
    let handed_out = 2 * (out.extra.capacity() + out.packets.capacity() * size_of::<PacketInfo>());
    assert!(peak < MAX_DECODER_BYTES + handed_out, "decoding held {peak} bytes");
    decoder.flush(batch.data.len(), &mut out);
    let frames = batch.frames.len() as u64;
    assert_eq!(out.stats.frames, frames);
    assert_eq!(out.stats.packets, out.packets.len() as u64);
    assert_eq!(
        out.stats.packets + out.stats.skipped.total(),
        frames + out.stats.subframes,
        "a frame was lost or counted twice: {:?}",
        out.stats
    );
    let mut data = batch.data.clone();
    data.extend_from_slice(&out.extra);
    for packet in &out.packets {
        let within = |offset: u32| offset == NO_OFFSET || offset as usize <= data.len();
        assert!(within(packet.outer_l3) && within(packet.l3) && within(packet.l4), "{packet:?}");
        assert!(packet.payload_start <= packet.payload_end && packet.payload_end as usize <= data.len(), "{packet:?}");
        assert!(packet.frame == NO_OFFSET || u64::from(packet.frame) < frames, "{packet:?}");
    }
    (out, data)
}
