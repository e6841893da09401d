//! Sections of pcapng (draft-ietf-opsawg-pcapng): header, interfaces, packets. Little-endian.

use std::collections::HashMap;

use joyfuljay_core::frame::{Frame, LinkType, TimeNs};

use crate::source::MAX_RECORD_BYTES;

/// The interfaces that a section has described: one for each link type, and a second one for its frames before 1970.
#[derive(Debug, Default)]
pub(super) struct Section {
    interfaces: HashMap<(LinkType, bool), u32>,
}

/// Captures have a few. Of hostile ones with thousands the rest goes into further sections, so that readers and we ourselves
/// need not hold them all.
const MAX_INTERFACES: usize = 1024;

/// Times are unsigned: frames before 1970 are counted from the earliest second that nanoseconds in 64 bits reach.
const EARLIEST_SECOND: i64 = TimeNs::MIN.div_euclid(1_000_000_000);

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Bytes of an enhanced packet block around the frame.
const AROUND: usize = 32;

/// Most bytes of a frame that are kept. No link has larger ones, and blocks beyond this are not read.
const MOST_BYTES: usize = MAX_RECORD_BYTES as usize - AROUND;

/// Most bytes that a frame adds, with a section and an interface of its own.
pub(super) fn most_bytes_of(len: usize) -> usize {
    const BEFORE: usize = 52 + 44;
    len.min(MOST_BYTES).next_multiple_of(4) + AROUND + BEFORE
}

impl Section {
    pub(super) fn begin(out: &mut Vec<u8>) -> Self {
        let program = concat!("JoyfulJay ", env!("CARGO_PKG_VERSION"));
        block(out, SECTION_HEADER, |out| {
            put(out, &[0x1a2b_3c4d, 1]);
            out.extend([0xff; 8]);
            option(out, 4, program.as_bytes());
            put(out, &[0]);
        });
        Self::default()
    }

    pub(super) fn frame(&mut self, frame: &Frame, bytes: &[u8], out: &mut Vec<u8>) {
        let early = frame.ts < 0;
        let id = match self.interfaces.get(&(frame.link, early)) {
            Some(id) => *id,
            None => self.interface(frame.link, early, out),
        };
        let start = if early { EARLIEST_SECOND } else { 0 };
        // The difference of a 64-bit number and one below it has 64 bits without a sign.
        let ticks = (i128::from(frame.ts) - i128::from(start) * 1_000_000_000) as u64;
        let bytes = bytes.get(..MOST_BYTES).unwrap_or(bytes);
        block(out, ENHANCED_PACKET, |out| {
            put(out, &[id, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, frame.wire_len]);
            out.extend_from_slice(bytes);
        });
    }

    fn interface(&mut self, link: LinkType, early: bool, out: &mut Vec<u8>) -> u32 {
        if self.interfaces.len() >= MAX_INTERFACES {
            *self = Self::begin(out);
        }
        let id = self.interfaces.len() as u32;
        self.interfaces.insert((link, early), id);
        block(out, INTERFACE, |out| {
            // No snap length.
            put(out, &[u32::from(link.0), 0]);
            // if_tsresol: nanoseconds.
            option(out, 9, &[9]);
            if early {
                // if_tsoffset
                option(out, 14, &EARLIEST_SECOND.to_le_bytes());
            }
            put(out, &[0]);
        });
        id
    }
}

fn put(out: &mut Vec<u8>, words: &[u32]) {
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + value.len().next_multiple_of(4) - value.len(), 0);
}

/// A block: type, length, what `body` puts, padding, length.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out, &[kind, 0]);
    body(out);
    let padded = (out.len() - start).next_multiple_of(4);
    out.resize(start + padded, 0);
    let len = (padded as u32 + 4).to_le_bytes();
    out.extend(len);
    if let Some(slot) = out.get_mut(start + 4..start + 8) {
        slot.copy_from_slice(&len);
    }
}
