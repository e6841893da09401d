//! The values of a column of integers, of floating point numbers or of truth values, as pages want them: those that are not null.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, ToByteSlice};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::delta::delta_binary_packed;
use super::flat::{Scratch, Values};

/// Integers: `DELTA_BINARY_PACKED`.
pub(super) struct Integers {
    page: Vec<i64>,
    least: i64,
    most: i64,
}

impl Default for Integers {
    fn default() -> Self {
        Self { page: Vec::new(), least: i64::MAX, most: i64::MIN }
    }
}

impl Values for Integers {
    fn append(&mut self, rows: &ArrayRef, scratch: &mut Scratch) {
        let rows = rows.as_primitive::<Int64Type>();
        reuse(&mut self.page, &mut scratch.integers);
        let from = self.page.len();
        append_valid(rows.values(), rows.nulls(), &mut self.page);
        for number in &self.page[from..] {
            self.least = self.least.min(*number);
            self.most = self.most.max(*number);
        }
    }

    fn encode(&mut self, out: &mut Vec<u8>, scratch: &mut Scratch) -> Encoding {
        delta_binary_packed(&self.page, out);
        give_back(&mut self.page, &mut scratch.integers);
        Encoding::DELTA_BINARY_PACKED
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let (least, most) = (self.least <= self.most).then_some((self.least, self.most)).unzip();
        ValueStatistics::new(least, most, None, Some(nulls), false).with_backwards_compatible_min_max(true).into()
    }
}

/// Floating point numbers: `PLAIN`. A dictionary of them costs three times as much, and splitting their bytes makes larger files.
pub(super) struct Floats {
    page: Vec<f64>,
    /// Of those that are numbers, each the bound of every fourth: processors compare several at a time.
    least: [f64; 4],
    most: [f64; 4],
    not_a_number: u64,
}

impl Default for Floats {
    fn default() -> Self {
        Self { page: Vec::new(), least: [f64::INFINITY; 4], most: [f64::NEG_INFINITY; 4], not_a_number: 0 }
    }
}

impl Values for Floats {
    fn append(&mut self, rows: &ArrayRef, scratch: &mut Scratch) {
        let rows = rows.as_primitive::<Float64Type>();
        reuse(&mut self.page, &mut scratch.floats);
        let from = self.page.len();
        append_valid(rows.values(), rows.nulls(), &mut self.page);
        let (fours, rest) = self.page[from..].as_chunks::<4>();
        for four in fours {
            for ((number, least), most) in four.iter().zip(&mut self.least).zip(&mut self.most) {
                widen(*number, least, most);
            }
        }
        rest.iter().for_each(|number| widen(*number, &mut self.least[0], &mut self.most[0]));
        self.not_a_number += self.page[from..].iter().filter(|number| number.is_nan()).count() as u64;
    }

    fn encode(&mut self, out: &mut Vec<u8>, scratch: &mut Scratch) -> Encoding {
        if cfg!(target_endian = "little") {
            out.extend_from_slice(self.page.to_byte_slice());
        } else {
            out.extend(self.page.iter().flat_map(|number| number.to_le_bytes()));
        }
        give_back(&mut self.page, &mut scratch.floats);
        Encoding::PLAIN
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let least = self.least.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.most.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A bound of zero is one of both zeros, as the format says.
        let bounds =
            (least <= most).then_some((if least == 0.0 { -0.0 } else { least }, if most == 0.0 { 0.0 } else { most }));
        // Of no values it is not said how many are not numbers.
        let not_a_number = (bounds.is_some() || self.not_a_number > 0).then_some(self.not_a_number);
        let (least, most) = bounds.unzip();
        ValueStatistics::new(least, most, None, Some(nulls), false)
            .with_nan_count(not_a_number)
            .with_backwards_compatible_min_max(true)
            .into()
    }
}

/// What is not a number is neither less nor more.
fn widen(number: f64, least: &mut f64, most: &mut f64) {
    *least = if number < *least { number } else { *least };
    *most = if number > *most { number } else { *most };
}

/// Truth values: `PLAIN`, a bit for each.
pub(super) struct Truths {
    page: BooleanBufferBuilder,
    no: bool,
    yes: bool,
}

impl Default for Truths {
    fn default() -> Self {
        Self { page: BooleanBufferBuilder::new(0), no: false, yes: false }
    }
}

impl Values for Truths {
    fn append(&mut self, rows: &ArrayRef, _scratch: &mut Scratch) {
        let rows = rows.as_boolean();
        let from = self.page.len();
        match rows.nulls() {
            None => self.page.append_buffer(rows.values()),
            Some(valid) => append_valid_bits(rows.values(), valid.inner(), &mut self.page),
        }
        let yes = rows.true_count();
        self.yes |= yes > 0;
        self.no |= yes < self.page.len() - from;
    }

    fn encode(&mut self, out: &mut Vec<u8>, _scratch: &mut Scratch) -> Encoding {
        out.extend_from_slice(self.page.as_slice());
        self.page.truncate(0);
        Encoding::PLAIN
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let any = self.no || self.yes;
        ValueStatistics::new(any.then_some(!self.no), any.then_some(self.yes), None, Some(nulls), false).into()
    }
}

/// Values of a page that begins go where those of the last page were, whose column that may be: it is in the cache still.
pub(super) fn reuse<T>(page: &mut Vec<T>, spare: &mut Vec<T>) {
    if page.is_empty() {
        std::mem::swap(page, spare);
    }
}

/// A page is encoded: its memory is for the next one.
pub(super) fn give_back<T>(page: &mut Vec<T>, spare: &mut Vec<T>) {
    page.clear();
    if page.capacity() > spare.capacity() {
        std::mem::swap(page, spare);
    }
    *page = Vec::new();
}

/// Appends the values that are not null.
pub(super) fn append_valid<T: Copy + Default>(values: &[T], valid: Option<&NullBuffer>, out: &mut Vec<T>) {
    let Some(valid) = valid.filter(|valid| valid.null_count() > 0) else {
        return out.extend_from_slice(values);
    };
    for (mut word, values) in valid.inner().bit_chunks().iter_padded().zip(values.chunks(64)) {
        if word == u64::MAX {
            out.extend_from_slice(values);
            continue;
        }
        let (mut kept, mut count) = ([T::default(); 64], 0);
        while word != 0 {
            kept[count % 64] = values[word.trailing_zeros() as usize];
            count += 1;
            word &= word - 1;
        }
        out.extend_from_slice(&kept[..count]);
    }
}

/// Appends the bits that are not null.
fn append_valid_bits(bits: &BooleanBuffer, valid: &BooleanBuffer, out: &mut BooleanBufferBuilder) {
    for (bits, mut valid) in bits.bit_chunks().iter_padded().zip(valid.bit_chunks().iter_padded()) {
        let count = valid.count_ones();
        let mut kept = bits;
        if valid != u64::MAX {
            kept = 0;
            for place in 0..count {
                kept |= (bits >> valid.trailing_zeros() & 1) << place;
                valid &= valid - 1;
            }
        }
        out.append_packed_range(0..count as usize, &kept.to_le_bytes());
    }
}
