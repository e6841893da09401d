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
    let same = |number: &i64| *number == numbers[0];
    if numbers.iter().all(same) {
        // No differences: columns of counts that few flows have are often so.
        zigzag(0, out);
        out.extend_from_slice(&[0; BLOCK / MINI]);
    } else if numbers.iter().fold(0, |all, number| all | number) & !i64::from(i32::MAX) == 0 {
        // Most are: no sign, and 31 bits. Of these, processors take four at a time.
        let mut narrow = [0_i32; BLOCK + 1];
        narrow.iter_mut().zip(numbers).for_each(|(narrow, number)| *narrow = *number as i32);
        append_deltas(&narrow[..numbers.len()], out);
    } else {
        append_deltas(numbers, out);
    }
}

/// Numbers, and what they are more than others.
trait Number: Copy + Default + Ord + Into<i64> {
    type Bits: Copy + Default + Into<u64>;

    fn less(self, other: Self) -> Self;

    fn bits(self) -> Self::Bits;
}

impl Number for i32 {
    type Bits = u32;

    fn less(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn bits(self) -> u32 {
        self as u32
    }
}

impl Number for i64 {
    type Bits = u64;

    fn less(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn bits(self) -> u64 {
        self as u64
    }
}

fn append_deltas<N: Number>(numbers: &[N], out: &mut Vec<u8>) {
    let mut deltas = [N::default(); BLOCK];
    for (delta, (before, number)) in deltas.iter_mut().zip(numbers.iter().zip(&numbers[1..])) {
        *delta = number.less(*before);
    }
    let (known, beyond) = deltas.split_at_mut(numbers.len() - 1);
    let smallest = known.iter().copied().min().unwrap_or_default();
    // Places without a number have no bits.
    beyond.fill(smallest);
    let mut widths = [0; BLOCK / MINI];
    let mut packed = [N::Bits::default(); BLOCK];
    for ((mini, packed), width) in deltas.chunks(MINI).zip(packed.chunks_mut(MINI)).zip(&mut widths) {
        let mut any = 0;
        for (value, delta) in packed.iter_mut().zip(mini) {
            *value = delta.less(smallest).bits();
            any |= (*value).into();
        }
        *width = (64 - any.leading_zeros()) as u8;
    }
    zigzag(smallest.into(), out);
    out.extend_from_slice(&widths);
    for (values, width) in packed.chunks(MINI).zip(widths) {
        pack(values, u32::from(width), out);
    }
}
