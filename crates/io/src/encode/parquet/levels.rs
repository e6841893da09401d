//! Runs and bit-packed groups: the hybrid encoding of definition levels and of dictionary indices.

use super::bits::{pack, varint};

/// Runs of fewer bytes stay among the bit-packed: a change to a run and back takes as much.
const MIN_RUN_BYTES: usize = 3;

/// The definition levels of a page of an optional column, with their length before them. A row takes a bit, which is how Arrow has them:
/// `valid` has a bit of each row, the lowest of a byte first. What it has after the last row is changed.
pub(super) fn definition_levels(valid: &mut [u8], rows: usize, out: &mut Vec<u8>) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let valid = &mut valid[..rows.div_ceil(8)];
    // The last byte is a run's where its rows are.
    let own = u8::MAX >> (valid.len() * 8 - rows);
    if let Some(last) = valid.last_mut() {
        *last = if *last & own == own { u8::MAX } else { *last & own };
    }
    let (mut packed_from, mut at) = (0, 0);
    while let Some(value) = valid.get(at).copied() {
        let alike = valid[at..].iter().take_while(|byte| **byte == value).count();
        let end = at + alike;
        // Rows that are all alike are a run however few.
        if (value == 0 || value == u8::MAX) && (alike >= MIN_RUN_BYTES || alike == valid.len()) {
            packed_bits(&valid[packed_from..at], out);
            varint(((end * 8).min(rows) - at * 8) as u64 * 2, out);
            out.push(value & 1);
            packed_from = end;
        }
        at = end;
    }
    packed_bits(&valid[packed_from..], out);
    let length = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

fn packed_bits(bits: &[u8], out: &mut Vec<u8>) {
    if !bits.is_empty() {
        varint(bits.len() as u64 * 2 + 1, out);
        out.extend_from_slice(bits);
    }
}

/// Indices into a dictionary, each of so many bits, with that number before them.
pub(super) fn dictionary_indices(indices: &[u32], bits: u32, out: &mut Vec<u8>) {
    out.push(bits as u8);
    let (mut packed_from, mut at) = (0, 0);
    while at < indices.len() {
        let index = indices[at];
        let run = indices[at..].iter().take_while(|next| **next == index).count();
        // What is packed comes in groups of eight, so a run begins after whole groups.
        if run < 8 {
            at += 8;
            continue;
        }
        packed_indices(&indices[packed_from..at], bits, out);
        varint(run as u64 * 2, out);
        out.extend_from_slice(&index.to_le_bytes()[..bits.div_ceil(8) as usize]);
        at += run;
        packed_from = at;
    }
    packed_indices(&indices[packed_from..], bits, out);
}

fn packed_indices(indices: &[u32], bits: u32, out: &mut Vec<u8>) {
    if indices.is_empty() {
        return;
    }
    varint(indices.len().div_ceil(8) as u64 * 2 + 1, out);
    let (whole, rest) = indices.split_at(indices.len() & !7);
    pack(whole, bits, out);
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        pack(&last, bits, out);
    }
}
