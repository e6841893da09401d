//! Columns while they grow: a vector of values and a word of validity for each block of 64 rows.
//!
//! Arrow's own builders test and set a bit for each value; a block's word is set at once, and the vectors become the
//! Arrow arrays without a copy.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use crate::config::Missing;
use crate::features::{Direction, Dtype, Get};
use crate::flow::FlowRef;

/// Flows whose rows are made together: at most 64 rows, so that a word has a bit for each.
#[derive(Clone, Copy, Debug)]
pub struct Block<'b, 'a> {
    flows: &'b [FlowRef<'a>],
    split: bool,
}

impl<'b, 'a> Block<'b, 'a> {
    /// Rows in a block.
    pub const ROWS: usize = 64;

    /// A block of flows; `split` = two rows for each, forward and backward.
    pub fn new(flows: &'b [FlowRef<'a>], split: bool) -> Self {
        Self { flows, split }
    }

    /// Its flows.
    pub fn flows(&self) -> &'b [FlowRef<'a>] {
        self.flows
    }

    fn rows(&self) -> usize {
        self.flows.len() << u32::from(self.split)
    }

    /// The rows that a feature of this direction has values in.
    fn kept(&self, direction: Option<Direction>) -> u64 {
        match direction.filter(|_| self.split) {
            None => u64::MAX,
            Some(Direction::Fwd) => 0x5555_5555_5555_5555,
            Some(Direction::Bwd) => 0xaaaa_aaaa_aaaa_aaaa,
        }
    }
}

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
    ListF64(Vec<f64>, Vec<i32>),
    ListI64(Vec<i64>, Vec<i32>),
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
            Dtype::ListF64 => Values::ListF64(Vec::new(), offsets()),
            Dtype::ListI64 => Values::ListI64(Vec::new(), offsets()),
        };
        Self { values, valid: Vec::with_capacity(rows / Block::ROWS + 1), rows: 0, direction }
    }

    /// Appends a feature's values of a block, from the views of its flows. Every block but the last must be full.
    pub fn append<V>(&mut self, block: &Block<'_, '_>, views: &[V], get: &Get<V>) {
        let kept = block.kept(self.direction);
        let valid = match (&mut self.values, get) {
            (Values::F64(to), Get::F64(f)) => fixed(block, views, kept, to, |v| f(v).filter(|x| x.is_finite())),
            (Values::I64(to), Get::I64(f)) => fixed(block, views, kept, to, f),
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
            (Values::Str(to, ends), Get::Str(f)) => each(block, views, kept, |_, v| {
                let start = to.len();
                let some = v.and_then(|v| f(v, to)).is_some();
                if !some {
                    to.truncate(start);
                }
                ends.push(end(to.len()));
                some
            }),
            (Values::ListF64(to, ends), Get::ListF64(f)) => lists(block, views, kept, to, ends, *f),
            (Values::ListI64(to, ends), Get::ListI64(f)) => lists(block, views, kept, to, ends, *f),
            // A column is made from the dtype of its feature.
            _ => return,
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
        Ok(match self.values {
            Values::F64(v) => Arc::new(Float64Array::try_new(v.into(), nulls)?),
            Values::I64(v) => Arc::new(Int64Array::try_new(v.into(), nulls)?),
            Values::Bool(v) => Arc::new(BooleanArray::new(BooleanBuffer::new(Buffer::from_vec(v), 0, rows), nulls)),
            Values::Str(text, ends) => {
                Arc::new(StringArray::try_new(offsets(ends)?, Buffer::from_vec(text.into_bytes()), nulls)?)
            }
            Values::ListF64(v, ends) => Arc::new(ListArray::try_new(
                item(DataType::Float64),
                offsets(ends)?,
                Arc::new(Float64Array::from(v)),
                nulls,
            )?),
            Values::ListI64(v, ends) => Arc::new(ListArray::try_new(
                item(DataType::Int64),
                offsets(ends)?,
                Arc::new(Int64Array::from(v)),
                nulls,
            )?),
        })
    }
}

/// The Arrow type of a column.
pub fn data_type(dtype: Dtype) -> DataType {
    match dtype {
        Dtype::F64 => DataType::Float64,
        Dtype::I64 => DataType::Int64,
        Dtype::Bool => DataType::Boolean,
        Dtype::Str => DataType::Utf8,
        Dtype::ListF64 => DataType::List(item(DataType::Float64)),
        Dtype::ListI64 => DataType::List(item(DataType::Int64)),
    }
}

fn item(of: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(of, true))
}

/// Calls `put` with each row and its view, none for a row of the other direction; gives the word of those it affirmed.
#[inline]
fn each<V>(block: &Block<'_, '_>, views: &[V], kept: u64, mut put: impl FnMut(u32, Option<&V>) -> bool) -> u64 {
    let (mut valid, mut row) = (0, 0);
    let copies = 1 + u32::from(block.split);
    for view in views {
        for _ in 0..copies {
            let some = put(row, (kept >> row & 1 == 1).then_some(view));
            valid |= u64::from(some) << row;
            row += 1;
        }
    }
    valid
}

#[inline]
fn fixed<V, T: Default>(
    block: &Block<'_, '_>,
    views: &[V],
    kept: u64,
    to: &mut Vec<T>,
    get: impl Fn(&V) -> Option<T>,
) -> u64 {
    if kept != u64::MAX || block.split {
        return each(block, views, kept, |_, v| {
            let value = v.and_then(&get);
            let some = value.is_some();
            to.push(value.unwrap_or_default());
            some
        });
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
    get: fn(&V, &mut Vec<T>) -> Option<()>,
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
