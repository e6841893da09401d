//! Columns as the text formats read them: typed once per batch, so that a cell costs one match and no downcast.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, LargeStringArray, RecordBatch, StringArray, StringViewArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Schema, TimeUnit};

use super::Format;
use crate::sink::SinkError;

/// A column of a batch, or the elements of a list column.
pub(crate) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Null,
    Int(Cow<'a, [i64]>),
    Uint(Cow<'a, [u64]>),
    Double(&'a [f64]),
    Float(&'a [f32]),
    Bool(&'a BooleanBuffer),
    /// Nanoseconds since the Unix epoch, UTC.
    Time(&'a [i64]),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    List(&'a [i32], Box<Column<'a>>),
    LargeList(&'a [i64], Box<Column<'a>>),
}

/// One value of a column.
pub(crate) enum Cell<'c, 'a> {
    /// Missing; also a float that is not a number or not finite, which text formats have no form for.
    Null,
    Int(i64),
    Uint(u64),
    Double(f64),
    Float(f32),
    Bool(bool),
    /// Nanoseconds since the Unix epoch, UTC.
    Time(i64),
    Str(&'c str),
    /// The elements from one index up to another of the column of elements.
    List(&'c Column<'a>, usize, usize),
}

impl<'a> Column<'a> {
    /// The columns of a batch; an error for a type that [`check_text`] does not let pass.
    pub(super) fn all(format: Format, rows: &'a RecordBatch) -> Result<Vec<Self>, SinkError> {
        let fields = rows.schema_ref().fields().iter();
        fields
            .zip(rows.columns())
            .map(|(field, array)| {
                Self::of(array.as_ref()).ok_or_else(|| SinkError::Unsupported {
                    column: field.name().clone(),
                    data_type: field.data_type().clone(),
                    format,
                })
            })
            .collect()
    }

    /// A column by itself; none for a type that is no text.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Int64 => Values::Int(Cow::Borrowed(array.as_primitive::<Int64Type>().values())),
            DataType::Int32 => Values::Int(widen::<Int32Type, _>(array)),
            DataType::Int16 => Values::Int(widen::<Int16Type, _>(array)),
            DataType::Int8 => Values::Int(widen::<Int8Type, _>(array)),
            DataType::UInt64 => Values::Uint(Cow::Borrowed(array.as_primitive::<UInt64Type>().values())),
            DataType::UInt32 => Values::Uint(widen::<UInt32Type, _>(array)),
            DataType::UInt16 => Values::Uint(widen::<UInt16Type, _>(array)),
            DataType::UInt8 => Values::Uint(widen::<UInt8Type, _>(array)),
            DataType::Float64 => Values::Double(array.as_primitive::<Float64Type>().values()),
            DataType::Float32 => Values::Float(array.as_primitive::<Float32Type>().values()),
            DataType::Boolean => Values::Bool(array.as_boolean().values()),
            time if is_time(time) => Values::Time(array.as_primitive::<TimestampNanosecondType>().values()),
            DataType::Utf8 => Values::Utf8(array.as_string()),
            DataType::LargeUtf8 => Values::LargeUtf8(array.as_string()),
            DataType::Utf8View => Values::Utf8View(array.as_string_view()),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Values::List(list.value_offsets(), Box::new(Self::of(list.values().as_ref())?))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Values::LargeList(list.value_offsets(), Box::new(Self::of(list.values().as_ref())?))
            }
            _ => return None,
        };
        Some(Self { nulls: array.nulls().filter(|n| n.null_count() > 0), values })
    }

    /// The value in a row of the batch.
    ///
    /// Always inlined: its match and that of the caller, who writes the value, then become one.
    #[inline(always)]
    pub(crate) fn cell(&self, row: usize) -> Cell<'_, 'a> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Cell::Null;
        }
        match &self.values {
            Values::Null => Cell::Null,
            Values::Int(values) => values.get(row).map_or(Cell::Null, |v| Cell::Int(*v)),
            Values::Uint(values) => values.get(row).map_or(Cell::Null, |v| Cell::Uint(*v)),
            Values::Double(values) => match values.get(row) {
                Some(v) if v.is_finite() => Cell::Double(*v),
                _ => Cell::Null,
            },
            Values::Float(values) => match values.get(row) {
                Some(v) if v.is_finite() => Cell::Float(*v),
                _ => Cell::Null,
            },
            Values::Bool(values) => Cell::Bool(values.value(row)),
            Values::Time(values) => values.get(row).map_or(Cell::Null, |v| Cell::Time(*v)),
            Values::Utf8(values) => Cell::Str(values.value(row)),
            Values::LargeUtf8(values) => Cell::Str(values.value(row)),
            Values::Utf8View(values) => Cell::Str(values.value(row)),
            Values::List(offsets, elements) => match (offsets.get(row), offsets.get(row + 1)) {
                (Some(start), Some(end)) => Cell::List(elements, *start as usize, *end as usize),
                _ => Cell::Null,
            },
            Values::LargeList(offsets, elements) => match (offsets.get(row), offsets.get(row + 1)) {
                (Some(start), Some(end)) => Cell::List(elements, *start as usize, *end as usize),
                _ => Cell::Null,
            },
        }
    }
}

/// Refuses columns that a text format has no form for.
pub(super) fn check_text(format: Format, schema: &Schema) -> Result<(), SinkError> {
    match schema.fields().iter().find(|field| !is_text(field.data_type())) {
        Some(field) => {
            Err(SinkError::Unsupported { column: field.name().clone(), data_type: field.data_type().clone(), format })
        }
        None => Ok(()),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(element) | DataType::LargeList(element) => is_text(element.data_type()),
        DataType::Float16 => false,
        DataType::Null | DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        other => other.is_integer() || other.is_floating() || is_time(other),
    }
}

/// The one type of time that rows have.
fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC")
}

fn widen<T, W>(array: &dyn Array) -> Cow<'_, [W]>
where
    T: ArrowPrimitiveType,
    W: Clone + From<T::Native>,
{
    array.as_primitive::<T>().values().iter().map(|v| W::from(*v)).collect::<Vec<W>>().into()
}
