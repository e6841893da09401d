//! The values of a column of text.

use std::hash::BuildHasher;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::flat::{DictionaryPage, Scratch, Values};
use super::levels::dictionary_indices;
use super::numbers::{give_back, reuse};

/// A dictionary that grows beyond this is for what went before: later pages are plain.
const MAX_DICTIONARY: usize = 1 << 20;
/// Longer bounds are cut.
const MAX_BOUND: usize = 64;

/// Text: `RLE_DICTIONARY`, or `PLAIN` where most of a first page is said once, and from where there is too much to remember.
#[derive(Default)]
pub(super) struct Text {
    dictionary: Dictionary,
    /// The page's values, as places in the dictionary.
    page: Vec<u32>,
    /// Values that the dictionary had before it.
    before: usize,
    plain: Plain,
    page_bytes: i64,
}

/// Values that pages name by their place.
#[derive(Default)]
struct Dictionary {
    places: HashTable<u32>,
    hashes: DefaultHashBuilder,
    /// The values one after the other.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// Pages use it.
    used: bool,
    /// Later pages do not.
    full: bool,
}

/// Values of pages without a dictionary.
#[derive(Default)]
struct Plain {
    page: Vec<u8>,
    bounds: Option<(Vec<u8>, Vec<u8>)>,
}

impl Values for Text {
    fn append(&mut self, rows: &ArrayRef, scratch: &mut Scratch) {
        let rows = rows.as_string::<i32>();
        if self.dictionary.full {
            return each_valid(rows, |value| {
                self.page_bytes += value.len() as i64;
                self.plain.push(value);
            });
        }
        reuse(&mut self.page, &mut scratch.places);
        // Neighbours are often alike.
        let mut last: Option<(&[u8], u32)> = None;
        each_valid(rows, |value| {
            self.page_bytes += value.len() as i64;
            let place = match last {
                Some((same, place)) if same == value => place,
                _ => self.dictionary.place(value),
            };
            last = Some((value, place));
            self.page.push(place);
        });
    }

    fn encode(&mut self, out: &mut Vec<u8>, scratch: &mut Scratch) -> Encoding {
        self.page_bytes = 0;
        let values = self.dictionary.ends.len();
        if self.dictionary.full {
            out.append(&mut self.plain.page);
            return Encoding::PLAIN;
        }
        if self.before == 0 && values * 4 > self.page.len() * 3 {
            for place in &self.page {
                self.plain.push(self.dictionary.value(*place));
            }
            self.dictionary = Dictionary { full: true, used: self.dictionary.used, ..Dictionary::default() };
            give_back(&mut self.page, &mut scratch.places);
            out.append(&mut self.plain.page);
            return Encoding::PLAIN;
        }
        dictionary_indices(&self.page, usize::BITS - values.saturating_sub(1).leading_zeros(), out);
        give_back(&mut self.page, &mut scratch.places);
        (self.before, self.dictionary.used) = (values, true);
        self.dictionary.full = self.dictionary.bytes.len() > MAX_DICTIONARY;
        Encoding::RLE_DICTIONARY
    }

    fn page_text_bytes(&self) -> Option<i64> {
        Some(self.page_bytes)
    }

    fn dictionary(&self) -> Option<DictionaryPage> {
        self.dictionary.used.then(|| self.dictionary.page())
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

impl Dictionary {
    fn place(&mut self, value: &[u8]) -> u32 {
        let (bytes, ends, hashes) = (&self.bytes, &self.ends, &self.hashes);
        let of = |place: &u32| nth(bytes, ends, *place);
        let hash = hashes.hash_one(value);
        let entry = self.places.entry(hash, |place| of(place) == value, |place| hashes.hash_one(of(place)));
        let new = self.ends.len() as u32;
        let place = *entry.or_insert(new).get();
        if place == new {
            self.bytes.extend_from_slice(value);
            self.ends.push(self.bytes.len());
        }
        place
    }

    fn value(&self, place: u32) -> &[u8] {
        nth(&self.bytes, &self.ends, place)
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|place| self.value(place))
    }

    fn page(&self) -> DictionaryPage {
        let mut bytes = Vec::with_capacity(self.bytes.len() + self.ends.len() * 4);
        self.values().for_each(|value| plain(value, &mut bytes));
        DictionaryPage { bytes, values: self.ends.len() as u32 }
    }
}

fn nth<'a>(bytes: &'a [u8], ends: &[usize], place: u32) -> &'a [u8] {
    let place = place as usize;
    &bytes[if place == 0 { 0 } else { ends[place - 1] }..ends[place]]
}

impl Plain {
    fn push(&mut self, value: &[u8]) {
        plain(value, &mut self.page);
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

fn plain(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

fn each_valid<'a>(rows: &'a StringArray, mut value: impl FnMut(&'a [u8])) {
    let (bytes, ends) = (rows.value_data(), rows.value_offsets());
    let mut row = |row: usize| value(&bytes[ends[row] as usize..ends[row + 1] as usize]);
    match rows.nulls() {
        None => (0..rows.len()).for_each(row),
        Some(valid) => valid.valid_indices().for_each(&mut row),
    }
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
