//! The values of a column of integers or of truth values, as pages want them: those that are not null.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::delta::DeltaEncoder;
use super::flat::{Scratch, Values};

/// Integers: `DELTA_BINARY_PACKED`.
pub(super) struct Integers {
    page: DeltaEncoder,
    least: i64,
    most: i64,
}

impl Default for Integers {
    fn default() -> Self {
        Self { page: DeltaEncoder::default(), least: i64::MAX, most: i64::MIN }
    }
}

impl Values for Integers {
    fn append(&mut self, rows: &ArrayRef, scratch: &mut Scratch) {
        let rows = rows.as_primitive::<Int64Type>();
        let numbers = &mut scratch.integers;
        numbers.clear();
        numbers.extend_from_slice(self.page.open());
        let from = numbers.len();
        append_valid(rows.values(), rows.nulls(), numbers);
        let (mut least, mut most) = (self.least, self.most);
        for number in &numbers[from..] {
            least = least.min(*number);
            most = most.max(*number);
        }
        (self.least, self.most) = (least, most);
        self.page.append(numbers);
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        self.page.finish(out);
        Encoding::DELTA_BINARY_PACKED
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let (least, most) = (self.least <= self.most).then_some((self.least, self.most)).unzip();
        ValueStatistics::new(least, most, None, Some(nulls), false).with_backwards_compatible_min_max(true).into()
    }
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

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        out.extend_from_slice(self.page.as_slice());
        self.page.truncate(0);
        Encoding::PLAIN
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let any = self.no || self.yes;
        ValueStatistics::new(any.then_some(!self.no), any.then_some(self.yes), None, Some(nulls), false).into()
    }
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
