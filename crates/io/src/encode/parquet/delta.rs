//! `DELTA_BINARY_PACKED`: what each number is more than the one before, in as few bits as its neighbours need.

use super::bits::{pack, varint, zigzag};

/// Numbers that share a smallest difference.
const BLOCK: usize = 128;
/// Numbers that share a width.
const MINI: usize = 32;

/// Appends the numbers.
pub(super) fn delta_binary_packed(numbers: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / MINI) as u64, out);
    varint(numbers.len() as u64, out);
    let Some((first, _)) = numbers.split_first() else {
        return zigzag(0, out);
    };
    zigzag(*first, out);
    let mut deltas = [0_i64; BLOCK];
    // A block's differences are those to the numbers one place before.
    for (block, before) in numbers[1..].chunks(BLOCK).zip(numbers.chunks(BLOCK)) {
        for ((delta, number), before) in deltas.iter_mut().zip(block).zip(before) {
            *delta = number.wrapping_sub(*before);
        }
        let smallest = deltas[..block.len()].iter().copied().min().unwrap_or(0);
        // Places without a number have no bits.
        deltas[block.len()..].fill(smallest);
        let mut widths = [0; BLOCK / MINI];
        let mut packed = [[0_u64; MINI]; BLOCK / MINI];
        for ((mini, packed), width) in deltas.chunks(MINI).zip(&mut packed).zip(&mut widths) {
            let mut any = 0;
            for (value, delta) in packed.iter_mut().zip(mini) {
                *value = delta.wrapping_sub(smallest) as u64;
                any |= *value;
            }
            *width = (64 - any.leading_zeros()) as u8;
        }
        zigzag(smallest, out);
        out.extend_from_slice(&widths);
        for (values, width) in packed.iter().zip(widths) {
            pack(values, u32::from(width), out);
        }
    }
}
