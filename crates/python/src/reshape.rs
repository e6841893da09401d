//! Rows in another shape: sequences as columns of one length, times that are exact, a column that says where a row is from.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

/// A schema and its rows.
pub type Rows = (SchemaRef, Vec<RecordBatch>);

/// Columns of times, and those of the group `timestamps` that have them to the nanosecond.
const TIMES: [(&str, &str); 4] = [
    ("start_time", "start_timestamp"),
    ("end_time", "end_timestamp"),
    ("time_first", "start_timestamp"),
    ("time_last", "end_timestamp"),
];

/// A column for rows of a schema: its field, and its values in a batch.
type Column = (Field, Box<dyn Fn(&RecordBatch) -> ArrayRef>);

/// Every sequence as `length` columns `NAME_0`, `NAME_1`…; beyond its end null, or 0 and "" where `zero`.
pub fn padded(schema: &SchemaRef, batches: &[RecordBatch], length: usize, zero: bool) -> Result<Rows, ArrowError> {
    let mut columns: Vec<Column> = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let DataType::List(item) = field.data_type() else {
            columns.push(as_it_is(at, field));
            continue;
        };
        for place in 0..length {
            let (kind, name) = (item.data_type().clone(), format!("{}_{place}", field.name()));
            let new = Field::new(name, kind.clone(), !zero).with_metadata(field.metadata().clone());
            columns.push((
                new,
                Box::new(move |batch| {
                    let list = batch.column(at).as_list::<i32>();
                    match kind {
                        DataType::Float64 => Arc::new(numbers::<Float64Type>(list, place, zero.then_some(0.0))),
                        DataType::Int64 => Arc::new(numbers::<Int64Type>(list, place, zero.then_some(0))),
                        // The schema of rows has no other lists.
                        _ => Arc::new(texts(list, place, zero.then_some(""))),
                    }
                }),
            ));
        }
    }
    made(schema, batches, &columns)
}

/// Where the item at a place of each list is.
fn items(list: &ListArray, place: usize) -> impl Iterator<Item = Option<usize>> + '_ {
    list.value_offsets().windows(2).enumerate().map(move |(row, ends)| match ends {
        [from, to] => {
            let at = usize::try_from(*from).ok()? + place;
            (list.is_valid(row) && at < usize::try_from(*to).ok()? && list.values().is_valid(at)).then_some(at)
        }
        _ => None,
    })
}

fn numbers<T: ArrowPrimitiveType>(list: &ListArray, place: usize, fill: Option<T::Native>) -> PrimitiveArray<T> {
    let values = list.values().as_primitive::<T>();
    items(list, place).map(|at| at.map(|at| values.value(at)).or(fill)).collect()
}

fn texts(list: &ListArray, place: usize, fill: Option<&str>) -> StringArray {
    let values = list.values().as_string::<i32>();
    items(list, place).map(|at| at.map(|at| values.value(at)).or(fill)).collect()
}

/// Times as timestamps in UTC, or as whole nanoseconds; of the columns that these are made of only the ones to `keep` stay.
pub fn timed(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    as_integers: bool,
    keep: &[String],
) -> Result<Rows, ArrowError> {
    let mut columns: Vec<Column> = Vec::new();
    for (at, field) in schema.fields().iter().enumerate() {
        let exact = TIMES.iter().find(|(name, _)| name == field.name()).map(|(_, exact)| schema.index_of(exact));
        match exact.transpose()? {
            Some(from) if as_integers => {
                let mut metadata = field.metadata().clone();
                metadata.insert("unit".to_owned(), "nanoseconds".to_owned());
                let new = Field::new(field.name(), DataType::Int64, field.is_nullable()).with_metadata(metadata);
                columns.push((
                    new,
                    Box::new(move |batch| {
                        let times = batch.column(from).as_primitive::<TimestampNanosecondType>();
                        Arc::new(times.iter().collect::<PrimitiveArray<Int64Type>>())
                    }),
                ));
            }
            Some(from) => {
                let mut metadata = field.metadata().clone();
                metadata.remove("unit");
                let kind = schema.field(from).data_type().clone();
                let new = Field::new(field.name(), kind, field.is_nullable()).with_metadata(metadata);
                columns.push((new, Box::new(move |batch| Arc::clone(batch.column(from)))));
            }
            None if TIMES.iter().any(|(_, exact)| exact == field.name()) && !keep.contains(field.name()) => {}
            None => columns.push(as_it_is(at, field)),
        }
    }
    made(schema, batches, &columns)
}

/// One more column, with the same text in every row.
pub fn labelled(schema: &SchemaRef, batches: &[RecordBatch], name: &str, text: &str) -> Result<Rows, ArrowError> {
    let mut columns: Vec<Column> = schema.fields().iter().enumerate().map(|(at, f)| as_it_is(at, f)).collect();
    let text = text.to_owned();
    columns.push((
        Field::new(name, DataType::Utf8, true),
        Box::new(move |batch| {
            let texts = std::iter::repeat_n(text.as_str(), batch.num_rows());
            Arc::new(StringArray::from_iter_values(texts))
        }),
    ));
    made(schema, batches, &columns)
}

fn as_it_is(at: usize, field: &Field) -> Column {
    (field.clone(), Box::new(move |batch| Arc::clone(batch.column(at))))
}

fn made(schema: &SchemaRef, batches: &[RecordBatch], columns: &[Column]) -> Result<Rows, ArrowError> {
    let fields: Vec<Field> = columns.iter().map(|(field, _)| field.clone()).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let batches = batches.iter().map(|batch| {
        let values = columns.iter().map(|(_, values)| values(batch)).collect();
        RecordBatch::try_new(Arc::clone(&schema), values)
    });
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    Ok((schema, batches))
}
