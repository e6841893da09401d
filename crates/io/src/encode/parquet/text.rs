//! The values of a column of text.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::dictionary::{Dictionary, DictionaryPage, Distinct};
use super::flat::{Scratch, Values};

/// Bytes of a page; a longer text has one of its own. With it the memory of a page and its dictionary is bounded, whatever a peer has sent.
const MAX_PAGE_BYTES: i64 = 1 << 20;
/// Longer bounds are cut.
const MAX_BOUND: usize = 64;

/// Text: `RLE_DICTIONARY` where it comes again, else `PLAIN`.
#[derive(Default)]
pub(super) struct Text {
    dictionary: Dictionary<Texts>,
    plain: Plain,
    page_bytes: i64,
}

/// Texts one after the other, and where each of them ends.
#[derive(Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Values of pages without a dictionary.
#[derive(Default)]
struct Plain {
    page: Vec<u8>,
    bounds: Option<(Vec<u8>, Vec<u8>)>,
}

impl Values for Text {
    fn append(&mut self, rows: &ArrayRef, _scratch: &mut Scratch) {
        let rows = rows.as_string::<i32>();
        let values = valid(rows).inspect(|value| self.page_bytes += value.len() as i64);
        if self.dictionary.is_closed() {
            return values.for_each(|value| self.plain.push(value));
        }
        self.dictionary.append(values);
        self.give_up(false);
    }

    fn encode(&mut self, out: &mut Vec<u8>) -> Encoding {
        self.page_bytes = 0;
        self.give_up(true);
        if self.dictionary.is_closed() {
            // The memory is for the next page.
            out.extend_from_slice(&self.plain.page);
            self.plain.page.clear();
            return Encoding::PLAIN;
        }
        self.dictionary.encode(out);
        Encoding::RLE_DICTIONARY
    }

    fn room(&self, rows: &ArrayRef) -> usize {
        let ends = rows.as_string::<i32>().value_offsets();
        let (from, left) = (i64::from(ends[0]), MAX_PAGE_BYTES - self.page_bytes);
        ends[1..].partition_point(|end| i64::from(*end) - from <= left)
    }

    fn page_text_bytes(&self) -> Option<i64> {
        Some(self.page_bytes)
    }

    fn dictionary(&self) -> Option<DictionaryPage> {
        self.dictionary.page()
    }

    fn statistics(&self, nulls: u64) -> Statistics {
        let plain = self.plain.bounds.iter().flat_map(|(least, most)| [least.as_slice(), most]);
        let (mut least, mut most) = (None, None);
        for value in self.dictionary.values().chain(plain) {
            if least.is_none_or(|least| value < least) {
                least = Some(value);
            }
            if most.is_none_or(|most| value > most) {
                most = Some(value);
            }
        }
        let lower = least.map(lower_bound);
        let upper = most.and_then(upper_bound);
        // Either without the other is no help to readers.
        let (lower, upper) = lower.zip(upper).unzip();
        let exact = (lower.is_some() && lower == least, upper.is_some() && upper.as_deref() == most);
        let (lower, upper) = (lower.map(|lower| ByteArray::from(lower.to_vec())), upper.map(ByteArray::from));
        ValueStatistics::new(lower, upper, None, Some(nulls), false)
            .with_min_is_exact(exact.0)
            .with_max_is_exact(exact.1)
            .into()
    }
}

impl Text {
    fn give_up(&mut self, page_is_whole: bool) {
        if let Some(page) = self.dictionary.give_up(page_is_whole) {
            page.values().for_each(|value| self.plain.push(value));
        }
    }
}

impl Distinct for Texts {
    type Value = [u8];

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, place: u32) -> &[u8] {
        let place = place as usize;
        &self.bytes[if place == 0 { 0 } else { self.ends[place - 1] }..self.ends[place]]
    }

    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn plain(value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
        out.extend_from_slice(value);
    }
}

impl Plain {
    fn push(&mut self, value: &[u8]) {
        Texts::plain(value, &mut self.page);
        match &mut self.bounds {
            None => self.bounds = Some((value.to_vec(), value.to_vec())),
            Some((least, most)) => {
                if value < least.as_slice() {
                    value.clone_into(least);
                }
                if value > most.as_slice() {
                    value.clone_into(most);
                }
            }
        }
    }
}

/// The values that are not null.
fn valid(rows: &StringArray) -> impl Iterator<Item = &[u8]> {
    let (bytes, ends) = (rows.value_data(), rows.value_offsets());
    let of_all = if rows.null_count() == 0 { 0..rows.len() } else { 0..0 };
    let valid = rows.nulls().filter(|_| of_all.is_empty()).map(|valid| valid.valid_indices());
    of_all.chain(valid.into_iter().flatten()).map(|row| &bytes[ends[row] as usize..ends[row + 1] as usize])
}

/// No value is less, and it is text.
fn lower_bound(least: &[u8]) -> &[u8] {
    &least[..boundary(least)]
}

/// No value is more, and it is text; none where a cut value has no character that another is next to.
fn upper_bound(most: &[u8]) -> Option<Vec<u8>> {
    let mut bound = most[..boundary(most)].to_vec();
    if bound.len() == most.len() {
        return Some(bound);
    }
    // The next of an ASCII character is one, too, but for the last.
    while bound.last().is_some_and(|last| *last >= 0x7f) {
        bound.pop();
    }
    *bound.last_mut()? += 1;
    Some(bound)
}

/// Where a bound ends: at the end of a character.
fn boundary(value: &[u8]) -> usize {
    let is_start = |at: &usize| value.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    (0..=value.len().min(MAX_BOUND)).rev().find(is_start).unwrap_or(0)
}
