//! The values of a column of floating point numbers.

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::dictionary::{Dictionary, DictionaryPage, Distinct};
use super::flat::{PAGE_ROWS, Scratch, Values};
use super::numbers::append_valid;

/// Floating point numbers: `RLE_DICTIONARY` where they come again, else `PLAIN`. Ratios and means of flows do, and a place in a
/// dictionary takes less than what Snappy makes of the number, for less work. Splitting their bytes makes larger files.
pub(super) struct Floats {
    /// Looked up when the page is whole: a hundred dictionaries in turn, for some rows each, would be cold every time.
    page: Vec<f64>,
    dictionary: Dictionary<Bits>,
    /// Of those that are numbers, each the bound of every fourth: processors compare several at a time.
    least: [f64; 4],
    most: [f64; 4],
    not_a_number: u64,
}

impl Default for Floats {
    fn default() -> Self {
        Self {
            page: Vec::new(),
            dictionary: Dictionary::default(),
            least: [f64::INFINITY; 4],
            most: [f64::NEG_INFINITY; 4],
            not_a_number: 0,
        }
    }
}

/// Numbers by their bits: one with several is several.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Distinct for Bits {
    type Value = u64;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, place: u32) -> &u64 {
        &self.0[place as usize]
    }

    fn push(&mut self, value: &u64) {
        self.0.push(*value);
    }

    fn bytes(&self) -> usize {
        self.0.len() * 8
    }

    fn plain(value: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

impl Values for Floats {
    fn append(&mut self, rows: &ArrayRef, _scratch: &mut Scratch) {
        let rows = rows.as_primitive::<Float64Type>();
        let from = self.page.len();
        if from > 0 {
            // Room for the whole page at once: one that grows step by step is copied again and again.
            self.page.reserve_exact(PAGE_ROWS - from);
        }
        append_valid(rows.values(), rows.nulls(), &mut self.page);
        self.widen(from);
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        let mut bits = [0; 64];
        for numbers in self.page.chunks(bits.len()) {
            if self.dictionary.is_closed() {
                break;
            }
            let bits = &mut bits[..numbers.len()];
            bits.iter_mut().zip(numbers).for_each(|(bits, number)| *bits = number.to_bits());
            self.dictionary.append(bits.iter());
            self.dictionary.give_up(false);
        }
        self.dictionary.give_up(true);
        let encoding = if self.dictionary.is_closed() {
            out.reserve(self.page.len() * 8);
            self.page.iter().for_each(|number| Bits::plain(&number.to_bits(), out));
            Encoding::PLAIN
        } else {
            self.dictionary.encode(out);
            Encoding::RLE_DICTIONARY
        };
        self.page.clear();
        encoding
    }

    fn dictionary(&self) -> Option<DictionaryPage> {
        self.dictionary.page()
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

impl Floats {
    /// Takes note of the page's numbers from this one on.
    fn widen(&mut self, from: usize) {
        let numbers = &self.page[from..];
        let (fours, rest) = numbers.as_chunks::<4>();
        for four in fours {
            for ((number, least), most) in four.iter().zip(&mut self.least).zip(&mut self.most) {
                widen(*number, least, most);
            }
        }
        rest.iter().for_each(|number| widen(*number, &mut self.least[0], &mut self.most[0]));
        self.not_a_number += numbers.iter().filter(|number| number.is_nan()).count() as u64;
    }
}

/// What is not a number is neither less nor more.
fn widen(number: f64, least: &mut f64, most: &mut f64) {
    *least = if number < *least { number } else { *least };
    *most = if number > *most { number } else { *most };
}
