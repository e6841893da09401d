//! Columns while they grow: a vector of values and a word of validity for each block of 64 rows.
//!
//! Arrow's own builders test and set a bit for each value; a block's word is set at once, and the vectors become the
//! Arrow arrays without a copy.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, TimestampNanosecondArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::{Block, Direction, Dtype, FlowView, Get, Texts, item};
use crate::config::Missing;
use crate::privacy::Pseudonyms;

/// A growing column.
#[derive(Debug)]
pub struct Column {
    values: Values,
    /// Validity, a word for each block.
    valid: Vec<u64>,
    rows: usize,
    direction: Option<Direction>,
}

#[derive(Debug)]
enum Values {
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u64>),
    Str(String, Vec<i32>),
    TimestampNs(Vec<i64>),
    ListF64(Vec<f64>, Vec<i32>),
    ListI64(Vec<i64>, Vec<i32>),
    ListStr(Texts, Vec<i32>),
}

impl Column {
    /// An empty column with room for some rows.
    pub fn new(dtype: Dtype, direction: Option<Direction>, rows: usize) -> Self {
        let offsets = || {
            let mut o = Vec::with_capacity(rows + 1);
            o.push(0);
            o
        };
        let values = match dtype {
            Dtype::F64 => Values::F64(Vec::with_capacity(rows)),
            Dtype::I64 => Values::I64(Vec::with_capacity(rows)),
            Dtype::Bool => Values::Bool(Vec::with_capacity(rows / Block::ROWS + 1)),
            Dtype::Str => Values::Str(String::with_capacity(16 * rows), offsets()),
            Dtype::TimestampNs => Values::TimestampNs(Vec::with_capacity(rows)),
            Dtype::ListF64 => Values::ListF64(Vec::new(), offsets()),
            Dtype::ListI64 => Values::ListI64(Vec::new(), offsets()),
            Dtype::ListStr => Values::ListStr(Texts::default(), offsets()),
        };
        Self { values, valid: Vec::with_capacity(rows / Block::ROWS + 1), rows: 0, direction }
    }

    /// Appends a feature's values of a block, from the views of its flows. Every block but the last must be full. `absent` has
    /// a bit for each view that is [`FlowView::is_absent`]; none need be set.
    ///
    /// With `pseudonyms`, each text is replaced by its pseudonym; what is no text is null.
    pub fn append<V: FlowView>(
        &mut self,
        block: &Block<'_, '_>,
        views: &[V::Of<'_>],
        absent: u64,
        get: &Get<V>,
        pseudonyms: Option<&Pseudonyms>,
    ) {
        let text = matches!(get, Get::Str(_) | Get::ListStr(_));
        let kept = if pseudonyms.is_some() && !text { 0 } else { block.kept(self.direction) };
        let absent = if kept == u64::MAX && block.copies() == 1 { absent } else { 0 };
        let first_absent = || views.get(absent.trailing_zeros() as usize);
        let valid = match (&mut self.values, get) {
            (Values::F64(to), Get::F64(f)) => fixed(block, views, absent, kept, to, |v| f(v).filter(|x| x.is_finite())),
            (Values::I64(to), Get::I64(f)) | (Values::TimestampNs(to), Get::TimestampNs(f)) => {
                fixed(block, views, absent, kept, to, f)
            }
            (Values::Bool(to), Get::Bool(f)) if absent != 0 => {
                let common = first_absent().and_then(f);
                let mut word = if common == Some(true) { absent } else { 0 };
                let mut valid = if common.is_some() { absent } else { 0 };
                for (row, view) in present(views, absent) {
                    let value = f(view);
                    word |= u64::from(value == Some(true)) << row;
                    valid |= u64::from(value.is_some()) << row;
                }
                to.push(word.to_le());
                valid
            }
            (Values::Bool(to), Get::Bool(f)) => {
                let mut word = 0;
                let valid = each(block, views, kept, |row, v| {
                    let value = v.and_then(f);
                    word |= u64::from(value == Some(true)) << row;
                    value.is_some()
                });
                to.push(word.to_le());
                valid
            }
            (Values::Str(to, ends), Get::Str(f))
                if pseudonyms.is_none() && first_absent().is_some_and(|v| f(v, &mut String::new()).is_none()) =>
            {
                let (from, mut valid) = (ends.len(), 0);
                for (row, view) in present(views, absent) {
                    let start = to.len();
                    ends.resize(from + row, end(start));
                    let some = f(view, to).is_some();
                    if !some {
                        to.truncate(start);
                    }
                    ends.push(end(to.len()));
                    valid |= u64::from(some) << row;
                }
                ends.resize(from + views.len(), end(to.len()));
                valid
            }
            (Values::Str(to, ends), Get::Str(f)) => each(block, views, kept, |_, v| {
                let start = to.len();
                let some = v.and_then(|v| f(v, to)).is_some();
                if !some {
                    to.truncate(start);
                } else if let Some(p) = pseudonyms {
                    let pseudonym = p.of(to.get(start..).unwrap_or_default());
                    to.truncate(start);
                    put(pseudonym, to);
                }
                ends.push(end(to.len()));
                some
            }),
            (Values::ListF64(to, ends), Get::ListF64(f)) => lists(block, views, kept, to, ends, f),
            (Values::ListI64(to, ends), Get::ListI64(f)) => lists(block, views, kept, to, ends, f),
            (Values::ListStr(to, ends), Get::ListStr(f)) => each(block, views, kept, |_, v| {
                let start = to.len();
                let some = v.and_then(|v| f(v, to)).is_some();
                if !some {
                    to.truncate(start);
                } else if let Some(p) = pseudonyms {
                    to.replace_from(start, |text, out| put(p.of(text), out));
                }
                ends.push(end(to.len()));
                some
            }),
            // A column is made from the dtype of its feature, which is that of its `Get`.
            _ => each(block, views, 0, |_, _| false),
        };
        self.valid.push(valid.to_le());
        self.rows += block.rows();
    }

    /// The Arrow array; with [`Missing::Zero`] what is not known is 0, false or empty.
    pub fn finish(self, missing: Missing) -> Result<ArrayRef, ArrowError> {
        let rows = self.rows;
        let nulls = match missing {
            Missing::Zero => None,
            Missing::Null => {
                let bits = BooleanBuffer::new(Buffer::from_vec(self.valid), 0, rows);
                Some(NullBuffer::new(bits)).filter(|n| n.null_count() > 0)
            }
        };
        let list = |of: DataType, ends: Vec<i32>, values: ArrayRef, nulls: Option<NullBuffer>| {
            ListArray::try_new(item(of), offsets(ends)?, values, nulls).map(|a| Arc::new(a) as ArrayRef)
        };
        match self.values {
            Values::F64(v) => Ok(Arc::new(Float64Array::try_new(v.into(), nulls)?)),
            Values::I64(v) => Ok(Arc::new(Int64Array::try_new(v.into(), nulls)?)),
            Values::TimestampNs(v) => {
                Ok(Arc::new(TimestampNanosecondArray::try_new(v.into(), nulls)?.with_timezone("UTC")))
            }
            Values::Bool(v) => Ok(Arc::new(BooleanArray::new(BooleanBuffer::new(Buffer::from_vec(v), 0, rows), nulls))),
            Values::Str(text, ends) => Ok(Arc::new(strings(text, offsets(ends)?, nulls)?)),
            Values::ListF64(v, ends) => list(DataType::Float64, ends, Arc::new(Float64Array::from(v)), nulls),
            Values::ListI64(v, ends) => list(DataType::Int64, ends, Arc::new(Int64Array::from(v)), nulls),
            Values::ListStr(texts, ends) => {
                let (text, items) = texts.into_parts();
                let items = std::iter::once(0).chain(items.into_iter().map(end)).collect();
                list(DataType::Utf8, ends, Arc::new(strings(text, offsets(items)?, None)?), nulls)
            }
        }
    }
}

/// A pseudonym as 16 hexadecimal digits.
fn put(pseudonym: u64, out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{pseudonym:016x}");
}

/// Calls `put` with each row and its view, none for a row of the other direction; gives the word of those it affirmed.
#[inline]
fn each<V>(block: &Block<'_, '_>, views: &[V], kept: u64, mut put: impl FnMut(u32, Option<&V>) -> bool) -> u64 {
    let (mut valid, mut row) = (0, 0);
    let copies = block.copies();
    for view in views {
        for _ in 0..copies {
            let some = put(row, (kept >> row & 1 == 1).then_some(view));
            valid |= u64::from(some) << row;
            row += 1;
        }
    }
    valid
}

/// The views that are not absent, each with its row.
fn present<V>(views: &[V], absent: u64) -> impl Iterator<Item = (usize, &V)> {
    let rows = u64::MAX.checked_shr(64 - views.len() as u32).unwrap_or(0);
    let mut left = rows & !absent;
    std::iter::from_fn(move || {
        let row = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        Some((row, views.get(row)?))
    })
}

#[inline]
fn fixed<V, T: Clone + Default>(
    block: &Block<'_, '_>,
    views: &[V],
    absent: u64,
    kept: u64,
    to: &mut Vec<T>,
    get: impl Fn(&V) -> Option<T>,
) -> u64 {
    if kept != u64::MAX || block.copies() > 1 {
        return each(block, views, kept, |_, v| {
            let value = v.and_then(&get);
            let some = value.is_some();
            to.push(value.unwrap_or_default());
            some
        });
    }
    if absent != 0 {
        let common = views.get(absent.trailing_zeros() as usize).and_then(&get);
        let mut valid = if common.is_some() { absent } else { 0 };
        let from = to.len();
        to.resize(from + views.len(), common.unwrap_or_default());
        for (row, view) in present(views, absent) {
            let value = get(view);
            valid |= u64::from(value.is_some()) << row;
            if let Some(place) = to.get_mut(from + row) {
                *place = value.unwrap_or_default();
            }
        }
        return valid;
    }
    let mut valid = 0;
    to.extend(views.iter().enumerate().map(|(row, v)| {
        let value = get(v);
        valid |= u64::from(value.is_some()) << row;
        value.unwrap_or_default()
    }));
    valid
}

fn lists<V, T>(
    block: &Block<'_, '_>,
    views: &[V],
    kept: u64,
    to: &mut Vec<T>,
    ends: &mut Vec<i32>,
    get: impl Fn(&V, &mut Vec<T>) -> Option<()>,
) -> u64 {
    each(block, views, kept, |_, v| {
        let start = to.len();
        let some = v.and_then(|v| get(v, to)).is_some();
        if !some {
            to.truncate(start);
        }
        ends.push(end(to.len()));
        some
    })
}

/// The text is made of whole strings, so Arrow has nothing to check.
fn strings(text: String, ends: OffsetBuffer<i32>, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
    StringArray::try_new(ends, Buffer::from_vec(text.into_bytes()), nulls)
}

/// An offset; one that does not fit is noticed by [`offsets`].
fn end(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(-1)
}

fn offsets(ends: Vec<i32>) -> Result<OffsetBuffer<i32>, ArrowError> {
    if ends.iter().any(|&e| e < 0) {
        let message = "a column of one batch of rows exceeds 2 GiB: make batches of fewer flows or shorter sequences";
        return Err(ArrowError::InvalidArgumentError(message.into()));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends)))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;
    use crate::flow::{FlowBase, FlowRef, FlowStore};
    use crate::packet::Packet;
    use crate::testing::packet;
    use crate::trackers::TrackerMask;

    /// As many words as the flow has bytes.
    struct Words;
    impl FlowView for Words {
        type Of<'a> = u64;
    }

    const NAMES: Get<Words> = Get::ListStr(|&n, out| {
        (0..n).for_each(|i| out.push(&"x".repeat(i as usize)));
        (n != 3).then_some(())
    });

    fn lists_of(counts: &[u64], split: bool, pseudonyms: Option<&Pseudonyms>) -> ListArray {
        let mut store = FlowStore::new(TrackerMask::NONE);
        for (at, _) in counts.iter().enumerate() {
            let packets = [packet(0, 40, 0)];
            let base = FlowBase::start(&Packet::without_bytes(&packets[0]), at as u64);
            store.replay(base, packets.iter().map(Packet::without_bytes), &Default::default());
        }
        let flows: Vec<FlowRef<'_>> = (0..counts.len()).filter_map(|i| store.get(i)).collect();
        let mut column = Column::new(Dtype::ListStr, None, counts.len());
        column.append(&Block::new(&flows, split), counts, 0, &NAMES, pseudonyms);
        column.finish(Missing::Null).unwrap().as_any().downcast_ref::<ListArray>().unwrap().clone()
    }

    fn texts(list: &ListArray, row: usize) -> Vec<String> {
        let items = list.value(row);
        let items = items.as_any().downcast_ref::<StringArray>().unwrap();
        items.iter().map(|s| s.unwrap().to_owned()).collect()
    }

    #[test]
    fn lists_of_strings_hold_what_was_pushed() {
        let list = lists_of(&[2, 0, 3, 1], false, None);
        assert_eq!(list.null_count(), 1);
        assert!(list.is_null(2));
        assert_eq!([0, 1, 3].map(|r| texts(&list, r)), [vec!["".to_owned(), "x".into()], vec![], vec!["".into()]]);
        assert_eq!(texts(&lists_of(&[2], true, None), 1), ["", "x"]);
    }

    #[test]
    fn each_string_of_a_list_has_its_pseudonym() {
        let p = Pseudonyms::new("k");
        let list = lists_of(&[2, 3, 2], false, Some(&p));
        let want = ["", "x"].map(|s| format!("{:016x}", p.of(s)));
        assert_eq!([texts(&list, 0), texts(&list, 2)], [want.to_vec(), want.to_vec()]);
        assert!(list.is_null(1));
    }

    /// Every third of them is null.
    const OF_EACH_TYPE: [Get<Words>; 5] = [
        Get::F64(|&n| (n % 3 > 0).then_some(n as f64)),
        Get::I64(|&n| (n % 3 > 0).then_some(n as i64)),
        Get::Bool(|&n| (n % 3 > 0).then_some(n % 2 == 0)),
        Get::Str(|&n, out| {
            out.push_str(&"x".repeat(n as usize));
            (n % 3 > 0).then_some(())
        }),
        Get::ListI64(|&n, out| {
            out.extend(0..n as i64);
            (n % 3 > 0).then_some(())
        }),
    ];

    proptest::proptest! {
        #[test]
        fn what_absent_flows_have_in_common_is_what_each_of_them_has(
            counts in proptest::collection::vec(0..6u64, 1..150),
            absent in 0..6u64,
            split in proptest::bool::ANY,
            pseudonyms in proptest::bool::ANY,
        ) {
            let pseudonyms = pseudonyms.then(|| Pseudonyms::new("k"));
            for get in OF_EACH_TYPE {
                let column = |told: bool| {
                    let mut column = Column::new(get.dtype(), None, counts.len());
                    for part in counts.chunks(if split { 32 } else { 64 }) {
                        let mask = part.iter().enumerate().fold(0, |m, (i, &n)| m | u64::from(told && n == absent) << i);
                        column.append(&Block::of_len(part.len(), split), part, mask, &get, pseudonyms.as_ref());
                    }
                    column.finish(Missing::Null).unwrap().to_data()
                };
                proptest::prop_assert_eq!(column(true), column(false));
            }
        }
    }
}
