//! Laws of putting datagrams together.

use crate::decoding::decode;
use joyfuljay_core::frame::{FrameBatch, LinkType};

/// Most fragments of a run: below the number at which a decoder may give a datagram up.
const MAX_FRAGMENTS: usize = 120;

/// The laws: a datagram that is sent in fragments, in any order and with any overlap, comes back as it was or not at
/// all; and it does come back if all of it was sent, and nothing else.
///
/// Input: version, length of the payload (2 bytes), then three bytes a fragment: where it begins, in blocks of eight
/// bytes (2), and how many blocks it has. With bit 15 of the beginning set, the fragment lies: its bytes are others.
pub fn laws(input: &[u8]) {
    let [version, high, low, script @ ..] = input else { return };
    let v6 = version & 1 == 1;
    let len = usize::from(u16::from_be_bytes([*high, *low])) % 8192;
    let datagram = udp(len);
    let blocks = datagram.len().div_ceil(8);
    let mut batch = FrameBatch::new();
    let mut seen = vec![false; blocks];
    let mut lies = false;
    for (i, step) in script.chunks_exact(3).take(MAX_FRAGMENTS).enumerate() {
        let place = usize::from(u16::from_be_bytes([step[0], step[1]]));
        let liar = place & 0x8000 != 0;
        lies |= liar;
        let start = (place & 0x7fff) % blocks;
        let end = (start + usize::from(step[2]).max(1)).min(blocks);
        let more = end < blocks;
        let mut bytes = datagram[start * 8..(end * 8).min(datagram.len())].to_vec();
        if liar {
            // The ports stay, or it would be another flow.
            bytes.iter_mut().skip(if start == 0 { 8 } else { 0 }).for_each(|b| *b ^= 0x5a);
        }
        seen[start..end].iter_mut().for_each(|s| *s = true);
        let packet = if v6 { ipv6(start, more, &bytes) } else { ipv4(start, more, &bytes) };
        batch.push(i as i64 * 1_000, LinkType::RAW, packet.len() as u32, &packet);
    }
    let (out, data) = decode(&batch);
    let mut given = 0;
    for packet in &out.packets {
        let payload = data.get(packet.payload_start as usize..packet.payload_end as usize).unwrap_or_default();
        // A first fragment shows its own bytes; only what was put together, or sent whole, is a whole payload.
        if packet.payload_end as usize > batch.data.len() || packet.payload_len as usize == len && payload.len() == len
        {
            given += 1;
            assert_eq!(payload.len(), len, "a datagram of another length came back");
            let lie = |(at, b): (usize, &u8)| *b == datagram[8 + at] || lies && *b == datagram[8 + at] ^ 0x5a;
            assert!(payload.iter().enumerate().all(lie), "another datagram came back");
        }
    }
    let covered = seen.iter().all(|s| *s);
    // A first fragment that contradicts the datagram under way begins another one: what came of it before is lost.
    assert!(!covered || given > 0 || len == 0 || lies, "all of the datagram was sent, and it did not come back");
}

/// A UDP datagram with a payload of which every part is different.
fn udp(len: usize) -> Vec<u8> {
    let mut out = vec![0x30, 0x39, 0x00, 0x35];
    out.extend(((len + 8) as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend((0..len as u32).map(|i| (i.wrapping_mul(0x9e37_79b1) >> 24) as u8));
    out
}

fn ipv4(block: usize, more: bool, bytes: &[u8]) -> Vec<u8> {
    let field = block as u16 | if more { 0x2000 } else { 0 };
    let mut out = vec![0x45, 0];
    out.extend(((bytes.len() + 20) as u16).to_be_bytes());
    out.extend([0x12, 0x34]);
    out.extend(field.to_be_bytes());
    out.extend([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    out.extend(bytes);
    out
}

fn ipv6(block: usize, more: bool, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0];
    out.extend(((bytes.len() + 8) as u16).to_be_bytes());
    out.extend([44, 64]);
    for end in [1, 2] {
        out.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
    }
    out.extend([17, 0]);
    out.extend(((block as u16) << 3 | u16::from(more)).to_be_bytes());
    out.extend([0, 0, 0x12, 0x34]);
    out.extend(bytes);
    out
}
