//! `DELTA_BINARY_PACKED`: what each number is more than the one before, in as few bits as its neighbours need.

use super::bits::{pack, varint, zigzag};

/// Numbers that share a smallest difference.
const BLOCK: usize = 128;
/// Numbers that share a width.
const MINI: usize = 32;

/// The numbers of a page, encoded as they come: a page that grows holds few of them as they are.
#[derive(Debug, Default)]
pub(super) struct DeltaEncoder {
    numbers: usize,
    first: i64,
    /// The blocks that are whole.
    blocks: Vec<u8>,
    /// The last number of these, and those after it.
    open: Vec<i64>,
}

impl DeltaEncoder {
    /// What [`DeltaEncoder::append`] wants before the next numbers.
    pub(super) fn open(&self) -> &[i64] {
        &self.open
    }

    /// Takes the next numbers, behind those that are [open](DeltaEncoder::open).
    pub(super) fn append(&mut self, numbers: &[i64]) {
        if let (0, Some(first)) = (self.numbers, numbers.first()) {
            self.first = *first;
        }
        self.numbers += numbers.len() - self.open.len();
        let mut from = 0;
        while let Some(block) = numbers.get(from..=from + BLOCK) {
            append_block(block, &mut self.blocks);
            from += BLOCK;
        }
        self.open.clear();
        self.open.extend_from_slice(&numbers[from..]);
    }

    /// Appends the page's numbers, and begins the next page.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        varint(BLOCK as u64, out);
        varint((BLOCK / MINI) as u64, out);
        varint(self.numbers as u64, out);
        zigzag(self.first, out);
        out.append(&mut self.blocks);
        if self.open.len() > 1 {
            append_block(&self.open, out);
        }
        self.open.clear();
        (self.numbers, self.first) = (0, 0);
    }
}

/// Appends a block; the first of its numbers is the one before it.
fn append_block(numbers: &[i64], out: &mut Vec<u8>) {
    let mut deltas = [0_i64; BLOCK];
    let mut smallest = i64::MAX;
    for (delta, (before, number)) in deltas.iter_mut().zip(numbers.iter().zip(&numbers[1..])) {
        *delta = number.wrapping_sub(*before);
        smallest = smallest.min(*delta);
    }
    // Places without a number have no bits.
    deltas[numbers.len() - 1..].fill(smallest);
    let mut widths = [0; BLOCK / MINI];
    let mut packed = [0_u64; BLOCK];
    for ((mini, packed), width) in deltas.chunks(MINI).zip(packed.chunks_mut(MINI)).zip(&mut widths) {
        let mut any = 0;
        for (value, delta) in packed.iter_mut().zip(mini) {
            *value = delta.wrapping_sub(smallest) as u64;
            any |= *value;
        }
        *width = (64 - any.leading_zeros()) as u8;
    }
    zigzag(smallest, out);
    out.extend_from_slice(&widths);
    for (values, width) in packed.chunks(MINI).zip(widths) {
        pack(values, u32::from(width), out);
    }
}
