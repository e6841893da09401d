//! Laws of putting a stream together from segments: those of the property tests, see there.

#[path = "../../crates/core/tests/streams/model.rs"]
mod model;

use model::{Appetite, Sent, check};

/// Most segments of a run, and the highest offset: far below the bounds of the assembler.
const MAX_SEGMENTS: usize = 500;
const MAX_OFFSET: u32 = 2000;

/// The laws: of the bytes at one place the first that came counts, everything before the first missing byte is shown with
/// the segment that brought it, and nothing is kept that nobody waits for.
///
/// Input: initial sequence number (4 bytes), four appetites of the reader (needs and takes, a byte each), then segments:
/// offset (2 bytes), length, and the value of its first byte; the others count up.
pub fn laws(input: &[u8]) {
    let Some((isn, input)) = input.split_first_chunk::<4>() else { return };
    let Some((appetites, script)) = input.split_first_chunk::<8>() else { return };
    let appetites: Vec<_> =
        appetites.chunks_exact(2).map(|a| Appetite { needs: u16::from(a[0]), takes: u16::from(a[1]) }).collect();
    let segment = |s: &[u8]| Sent {
        offset: u32::from(u16::from_be_bytes([s[0], s[1]])) % MAX_OFFSET,
        bytes: (0..s[2]).map(|i| s[3].wrapping_add(i)).collect(),
    };
    let sent: Vec<_> = script.chunks_exact(4).take(MAX_SEGMENTS).map(segment).collect();
    check(u32::from_be_bytes(*isn), &sent, &appetites);
}
