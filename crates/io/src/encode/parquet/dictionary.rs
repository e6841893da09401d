//! Values by their place in a dictionary: `RLE_DICTIONARY`.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use super::levels::dictionary_indices;
use super::places::Places;

/// A dictionary that grows beyond this is for what went before: later pages are plain.
const MAX_BYTES: usize = 1 << 20;

/// Values of a page after which a dictionary is given up where nearly each of them is another: the rest would be as well.
const FIRST_LOOK: usize = 2048;

/// The values of a dictionary, each once, in the order in which they came.
pub(super) trait Distinct: Default + Send {
    type Value: ?Sized + Hash + PartialEq;

    fn len(&self) -> usize;

    fn get(&self, place: u32) -> &Self::Value;

    fn push(&mut self, value: &Self::Value);

    /// Bytes of all of them.
    fn bytes(&self) -> usize;

    /// Appends a value in plain encoding.
    fn plain(value: &Self::Value, out: &mut Vec<u8>);
}

/// A dictionary that data pages name by place, in plain encoding.
pub(super) struct DictionaryPage {
    pub(super) bytes: Vec<u8>,
    pub(super) values: u32,
}

/// A dictionary that grows, and the values of a page as places in it.
#[derive(Default)]
pub(super) struct Dictionary<D> {
    values: D,
    places: Places,
    hashes: RandomState,
    page: Vec<u32>,
    /// Values that there were before the page.
    before: usize,
    /// Pages use it.
    used: bool,
    /// Later pages do not.
    closed: bool,
}

/// The values of a page, as places, for which a dictionary was a waste.
pub(super) struct GivenUp<D> {
    values: D,
    page: Vec<u32>,
}

impl<D: Distinct> GivenUp<D> {
    /// The page's values, in order.
    pub(super) fn values(&self) -> impl Iterator<Item = &D::Value> {
        self.page.iter().map(|place| self.values.get(*place))
    }
}

impl<D: Distinct> Dictionary<D> {
    /// Whether it takes no more values: the page's values are plain, and all that come.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes the next values of the page. Neighbours are often alike.
    pub(super) fn append<'v>(&mut self, values: impl Iterator<Item = &'v D::Value>)
    where
        D::Value: 'v,
    {
        let Self { values: distinct, places, hashes, page, .. } = self;
        let mut last: Option<(&D::Value, u32)> = None;
        page.extend(values.map(|value| {
            let place = match last {
                Some((same, place)) if same == value => place,
                _ => {
                    let next = distinct.len() as u32;
                    let place =
                        places.find_or_insert(hashes.hash_one(value), next, |place| distinct.get(place) == value);
                    if place == next {
                        distinct.push(value);
                    }
                    place
                }
            };
            last = Some((value, place));
            place
        }));
    }

    /// Closes it where it is a waste, which the first values show: then the page's values are plain, which it gives back.
    pub(super) fn give_up(&mut self, page_is_whole: bool) -> Option<GivenUp<D>> {
        let (distinct, all) = (self.values.len(), self.page.len());
        let wasted = if page_is_whole { distinct * 3 > all * 2 } else { all >= FIRST_LOOK && distinct * 16 > all * 15 };
        if self.closed || self.before > 0 || !wasted {
            return None;
        }
        let Self { values, page, .. } =
            std::mem::replace(self, Self { used: self.used, closed: true, ..Self::default() });
        Some(GivenUp { values, page })
    }

    /// Appends the page's values by their places, and begins the next page.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>) {
        let values = self.values.len();
        dictionary_indices(&self.page, usize::BITS - values.saturating_sub(1).leading_zeros(), out);
        self.page.clear();
        (self.before, self.used) = (values, true);
        self.closed = self.values.bytes() > MAX_BYTES;
    }

    /// Its values, in order.
    pub(super) fn values(&self) -> impl Iterator<Item = &D::Value> {
        (0..self.values.len() as u32).map(|place| self.values.get(place))
    }

    /// The dictionary of the pages so far, where any has used it.
    pub(super) fn page(&self) -> Option<DictionaryPage> {
        if !self.used {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.values.bytes() + self.values.len() * 4);
        self.values().for_each(|value| D::plain(value, &mut bytes));
        Some(DictionaryPage { bytes, values: self.values.len() as u32 })
    }
}
