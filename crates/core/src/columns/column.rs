//! Columns while they grow: a vector of values and a word of validity for each block of 64 rows.
//!
//! Arrow's own builders test and set a bit for each value; a block's word is set at once, and the vectors become the
//! Arrow arrays without a copy.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray, TimestampNanosecondArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};

use super::get::{first, present};
use super::{Block, Dtype, FlowView, Get, Text, Texts, item};
use crate::config::Missing;
use crate::digits::{Ascii, push_hex};
use crate::privacy::Pseudonyms;

/// A growing column.
#[derive(Debug)]
pub struct Column {
    values: Values,
    /// Validity, a word for each block.
    valid: Vec<u64>,
    rows: usize,
}

#[derive(Debug)]
enum Values {
    F64(Vec<f64>),
    I64(Vec<i64>),
    Bool(Vec<u64>),
    Str(Text, Vec<i32>),
    TimestampNs(Vec<i64>),
    ListF64(Vec<f64>, Vec<i32>),
    ListI64(Vec<i64>, Vec<i32>),
    ListStr(Texts, Vec<i32>),
}

impl Column {
    /// An empty column with room for some rows.
    pub fn new(dtype: Dtype, rows: usize) -> Self {
        let offsets = || {
            let mut o = Vec::with_capacity(rows + 1);
            o.push(0);
            o
        };
        let values = match dtype {
            Dtype::F64 => Values::F64(Vec::with_capacity(rows)),
            Dtype::I64 => Values::I64(Vec::with_capacity(rows)),
            Dtype::Bool => Values::Bool(Vec::with_capacity(rows / Block::ROWS + 1)),
            Dtype::Str => Values::Str(Text::with_capacity(16 * rows), offsets()),
            Dtype::TimestampNs => Values::TimestampNs(Vec::with_capacity(rows)),
            Dtype::ListF64 => Values::ListF64(Vec::new(), offsets()),
            Dtype::ListI64 => Values::ListI64(Vec::new(), offsets()),
            Dtype::ListStr => Values::ListStr(Texts::default(), offsets()),
        };
        Self { values, valid: Vec::with_capacity(rows / Block::ROWS + 1), rows: 0 }
    }

    /// Appends a feature's values of a block of at most 64 flows, from their views. Every block but the last must be full. `absent` has
    /// a bit for each view that is [`FlowView::is_absent`]; none need be set.
    ///
    /// With `pseudonyms`, each text is replaced by its pseudonym; what is no text is null.
    pub fn append<V: FlowView>(
        &mut self,
        views: &[V::Of<'_>],
        absent: u64,
        get: &Get<V>,
        pseudonyms: Option<&Pseudonyms>,
    ) {
        let text = matches!(get, Get::Str(_) | Get::ListStr(_));
        if pseudonyms.is_some() && !text {
            self.append_nothing(views.len());
            return;
        }
        let valid = match (&mut self.values, get) {
            (Values::F64(to), Get::F64(f)) => f.append(views, absent, to),
            (Values::I64(to), Get::I64(f)) | (Values::TimestampNs(to), Get::TimestampNs(f)) => {
                f.append(views, absent, to)
            }
            (Values::Bool(to), Get::Bool(f)) => {
                let [word, valid] = f.words(views, absent);
                to.push(word.to_le());
                valid
            }
            (Values::Str(to, ends), Get::Str(f))
                if pseudonyms.is_none()
                    && first(views, absent).is_some_and(|v| f(v, &mut Text::default()).is_none()) =>
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
            (values, get) => each(views, |_, v| values.push::<V>(v, Some(get), pseudonyms)),
        };
        self.valid.push(valid.to_le());
        self.rows += views.len();
    }

    /// Appends the values of two rows for each of at most 32 flows: each row has its own way to a value, or none.
    pub fn append_halves<V: FlowView>(
        &mut self,
        views: &[V::Of<'_>],
        halves: [Option<&Get<V>>; 2],
        pseudonyms: Option<&Pseudonyms>,
    ) {
        let (mut valid, mut row) = (0, 0);
        if let Values::Bool(words) = &mut self.values {
            words.push(0);
        }
        for view in views {
            for get in halves {
                let get = get.filter(|get| pseudonyms.is_none() || matches!(get, Get::Str(_) | Get::ListStr(_)));
                valid |= match (&mut self.values, get) {
                    (Values::Bool(words), Some(Get::Bool(f))) => {
                        let value = f.one(view);
                        if let Some(word) = words.last_mut() {
                            *word |= (u64::from(value == Some(true)) << row).to_le();
                        }
                        u64::from(value.is_some())
                    }
                    (values, get) => u64::from(values.push::<V>(view, get, pseudonyms)),
                } << row;
                row += 1;
            }
        }
        self.valid.push(valid.to_le());
        self.rows += 2 * views.len();
    }

    /// Appends a block of nulls.
    fn append_nothing(&mut self, rows: usize) {
        if let Values::Bool(words) = &mut self.values {
            words.push(0);
        }
        (0..rows).for_each(|_| self.values.push_nothing());
        self.valid.push(0);
        self.rows += rows;
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
            Values::Str(text, ends) => Ok(Arc::new(strings(text.into_bytes(), offsets(ends)?, nulls)?)),
            Values::ListF64(v, ends) => list(DataType::Float64, ends, Arc::new(Float64Array::from(v)), nulls),
            Values::ListI64(v, ends) => list(DataType::Int64, ends, Arc::new(Int64Array::from(v)), nulls),
            Values::ListStr(texts, ends) => {
                let (text, items) = texts.into_parts();
                let items = std::iter::once(0).chain(items.into_iter().map(end)).collect();
                list(DataType::Utf8, ends, Arc::new(strings(text.into_bytes(), offsets(items)?, None)?), nulls)
            }
        }
    }
}

impl Values {
    /// Appends a value, or a null, and says which. Not for truth values, which come in words.
    fn push<V: FlowView>(&mut self, view: &V::Of<'_>, get: Option<&Get<V>>, pseudonyms: Option<&Pseudonyms>) -> bool {
        match (&mut *self, get) {
            (Self::F64(to), Some(Get::F64(f))) => fixed_one(to, f.one(view)),
            (Self::I64(to), Some(Get::I64(f))) | (Self::TimestampNs(to), Some(Get::TimestampNs(f))) => {
                fixed_one(to, f.one(view))
            }
            (Self::Str(to, ends), Some(Get::Str(f))) => {
                let start = to.len();
                let some = f(view, to).is_some();
                if !some {
                    to.truncate(start);
                } else if let Some(p) = pseudonyms {
                    let pseudonym = p.of(to.since(start));
                    to.truncate(start);
                    put(pseudonym, to);
                }
                ends.push(end(to.len()));
                some
            }
            (Self::ListF64(to, ends), Some(Get::ListF64(f))) => list(view, to, ends, f),
            (Self::ListI64(to, ends), Some(Get::ListI64(f))) => list(view, to, ends, f),
            (Self::ListStr(to, ends), Some(Get::ListStr(f))) => {
                let start = to.len();
                let some = f(view, to).is_some();
                if !some {
                    to.truncate(start);
                } else if let Some(p) = pseudonyms {
                    to.replace_from(start, |text, out| put(p.of(text), out));
                }
                ends.push(end(to.len()));
                some
            }
            // None is wanted; a column is made from the dtype of its feature, which is that of its `Get`.
            _ => {
                self.push_nothing();
                false
            }
        }
    }

    fn push_nothing(&mut self) {
        match self {
            Self::F64(to) => to.push(0.0),
            Self::I64(to) | Self::TimestampNs(to) => to.push(0),
            Self::Bool(_) => {}
            Self::Str(to, ends) => ends.push(end(to.len())),
            Self::ListF64(to, ends) => ends.push(end(to.len())),
            Self::ListI64(to, ends) => ends.push(end(to.len())),
            Self::ListStr(to, ends) => ends.push(end(to.len())),
        }
    }
}

/// A pseudonym as 16 hexadecimal digits.
fn put(pseudonym: u64, out: &mut impl Ascii) {
    push_hex(&pseudonym.to_be_bytes(), out);
}

/// Calls `put` with each row and its view; gives the word of those it affirmed.
#[inline]
fn each<V>(views: &[V], mut put: impl FnMut(usize, &V) -> bool) -> u64 {
    views.iter().enumerate().fold(0, |valid, (row, view)| valid | u64::from(put(row, view)) << row)
}

fn fixed_one<T: Default>(to: &mut Vec<T>, value: Option<T>) -> bool {
    let some = value.is_some();
    to.push(value.unwrap_or_default());
    some
}

fn list<V, T>(view: &V, to: &mut Vec<T>, ends: &mut Vec<i32>, get: impl Fn(&V, &mut Vec<T>) -> Option<()>) -> bool {
    let start = to.len();
    let some = get(view, to).is_some();
    if !some {
        to.truncate(start);
    }
    ends.push(end(to.len()));
    some
}

/// Text of many rows, which Arrow checks to be UTF-8.
fn strings(text: Vec<u8>, ends: OffsetBuffer<i32>, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
    StringArray::try_new(ends, Buffer::from_vec(text), nulls)
}

/// An offset; one that does not fit is noticed by [`offsets`].
fn end(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(-1)
}

fn offsets(ends: Vec<i32>) -> Result<OffsetBuffer<i32>, ArrowError> {
    // Columns do not become shorter: where one does not fit, the last one does not.
    if ends.last().is_some_and(|end| *end < 0) {
        let message = "a column of one batch of rows exceeds 2 GiB: make batches of fewer flows or shorter sequences";
        return Err(ArrowError::InvalidArgumentError(message.into()));
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends)))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;
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
        let mut column = Column::new(Dtype::ListStr, counts.len());
        if split {
            column.append_halves(counts, [None, Some(&NAMES)], pseudonyms);
        } else {
            column.append(counts, 0, &NAMES, pseudonyms);
        }
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
        let split = lists_of(&[2], true, None);
        assert_eq!((texts(&split, 1), split.is_null(0)), (vec![String::new(), "x".into()], true));
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
        Get::F64(&|&n: &u64| (n % 3 > 0).then_some(n as f64)),
        Get::I64(&|&n: &u64| (n % 3 > 0).then_some(n as i64)),
        Get::Bool(&|&n: &u64| (n % 3 > 0).then_some(n % 2 == 0)),
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
            pseudonyms in proptest::bool::ANY,
        ) {
            let pseudonyms = pseudonyms.then(|| Pseudonyms::new("k"));
            for get in OF_EACH_TYPE {
                let column = |told: bool| {
                    let mut column = Column::new(get.dtype(), counts.len());
                    for part in counts.chunks(64) {
                        let mask = part.iter().enumerate().fold(0, |m, (i, &n)| m | u64::from(told && n == absent) << i);
                        column.append(part, mask, &get, pseudonyms.as_ref());
                    }
                    column.finish(Missing::Null).unwrap().to_data()
                };
                proptest::prop_assert_eq!(column(true), column(false));
            }
        }

        #[test]
        fn halves_are_the_rows_of_the_flows_twice(
            counts in proptest::collection::vec(0..6u64, 1..100),
            pseudonyms in proptest::bool::ANY,
        ) {
            let pseudonyms = pseudonyms.then(|| Pseudonyms::new("k"));
            let twice: Vec<u64> = counts.iter().flat_map(|&n| [n, n]).collect();
            for get in OF_EACH_TYPE {
                let (mut halves, mut whole) = (Column::new(get.dtype(), 0), Column::new(get.dtype(), 0));
                counts.chunks(32).for_each(|part| halves.append_halves(part, [Some(&get); 2], pseudonyms.as_ref()));
                twice.chunks(64).for_each(|part| whole.append(part, 0, &get, pseudonyms.as_ref()));
                let [halves, whole] = [halves, whole].map(|c| c.finish(Missing::Null).unwrap().to_data());
                proptest::prop_assert_eq!(halves, whole);
            }
        }
    }
}
