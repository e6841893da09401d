//! Keys of partitions: which columns may be one, and how a value is written in a path.
//!
//! In a path every value is text, and each reader guesses its type anew: `007` comes back as 7, `1e3` as a float, `true` as a truth
//! value or not. So only such keys are offered as come back the same in pyarrow, DuckDB, polars and Spark: dates, whole numbers, and
//! columns of a closed set of names that begin with a letter.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};

/// What Hive, and every reader after it, takes for a missing value.
const MISSING: &str = "__HIVE_DEFAULT_PARTITION__";

/// The column that rows are sorted by and dates are made of.
pub(super) const TIME: &str = "start_time";

/// Larger numbers are text for some readers and numbers for others.
const MAX_NUMBER: u64 = i32::MAX as u64;

/// A key of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The day of the flow's first packet in UTC, made of the column of this number.
    Date(usize),
    /// A column of whole numbers.
    Number(usize),
    /// A column of names.
    Name(usize),
}

impl Key {
    /// The key of this name, or why it is none.
    pub(super) fn of(name: &str, schema: &Schema) -> Result<Self, String> {
        if name == "date" {
            let time = schema.index_of(TIME);
            return time.map(Self::Date).map_err(|_| {
                format!("the key date is made of the column {TIME}, which is not selected: add it (group flow_meta)")
            });
        }
        let index = schema.index_of(name).map_err(|_| {
            format!(
                "there is no column '{name}' to partition by: select it, or name another (date is the day of {TIME})"
            )
        })?;
        let field = schema.field(index);
        match field.data_type() {
            DataType::Int64 => Ok(Self::Number(index)),
            DataType::Utf8 if is_closed(field) => Ok(Self::Name(index)),
            DataType::Utf8 => Err(format!(
                "rows cannot be partitioned by '{name}': it may be any text, which readers of paths take for numbers, dates or nothing; \
                 leave it in the files, whose statistics let readers pass over what they do not need"
            )),
            other => Err(format!(
                "rows cannot be partitioned by '{name}' of type {other}: readers do not agree on what it is in a path; take date, whole \
                 numbers or names"
            )),
        }
    }

    /// The column that is in the path only.
    pub(super) fn column(&self) -> Option<usize> {
        match self {
            Self::Date(_) => None,
            Self::Number(index) | Self::Name(index) => Some(*index),
        }
    }

    /// The value of a row, as the path has it.
    pub(super) fn value(&self, rows: &RecordBatch, row: usize) -> Result<String, String> {
        let missing = || Ok(MISSING.to_owned());
        match self {
            Self::Date(index) => {
                let times = rows.column(*index).as_primitive_opt::<Float64Type>();
                match times.filter(|times| times.is_valid(row)).map(|times| times.value(row)) {
                    Some(seconds) if seconds.is_finite() => {
                        let (year, month, day) = crate::civil::civil((seconds / 86_400.0).floor() as i64);
                        Ok(format!("{year:04}-{month:02}-{day:02}"))
                    }
                    _ => missing(),
                }
            }
            Self::Number(index) => {
                let numbers = rows.column(*index).as_primitive_opt::<Int64Type>();
                match numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row)) {
                    Some(number) if number.unsigned_abs() > MAX_NUMBER => {
                        Err(format!("{number} is too large for a key that every reader reads as a number"))
                    }
                    Some(number) => Ok(number.to_string()),
                    None => missing(),
                }
            }
            Self::Name(index) => {
                let names = rows.column(*index).as_string_opt::<i32>();
                match names.filter(|names| names.is_valid(row)).map(|names| names.value(row)) {
                    Some(name) if is_name(name) => Ok(encoded(name)),
                    Some(name) => Err(format!("'{name}' is no name that every reader reads as text")),
                    None => missing(),
                }
            }
        }
    }
}

/// Whether a column of text has a closed set of names by its reference.
fn is_closed(field: &Field) -> bool {
    let range = field.metadata().get("range").map_or("", String::as_str);
    range == "name of a protocol" || range.split(", ").all(is_name)
}

/// Whether a text is text to every reader.
fn is_name(text: &str) -> bool {
    const TAKEN: [&str; 6] = ["true", "false", "null", "nan", "inf", "infinity"];
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'+');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(plain)
        && !TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(text))
}

/// Percent-encoded (RFC 3986): all readers decode it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    fn text(range: &str) -> Field {
        let metadata = HashMap::from([("range".to_owned(), range.to_owned())]);
        Field::new("x", DataType::Utf8, true).with_metadata(metadata)
    }

    #[test]
    fn only_keys_that_come_back_are_offered() {
        let of = |field: Field| Key::of("x", &Schema::new(vec![field]));
        assert_eq!(of(text("name of a protocol")), Ok(Key::Name(0)));
        assert_eq!(of(text("gre, vxlan, end_of_input")), Ok(Key::Name(0)));
        assert_eq!(of(Field::new("x", DataType::Int64, true)), Ok(Key::Number(0)));
        for range in ["host name", "", "1, 2", "true, false"] {
            assert!(of(text(range)).unwrap_err().contains("'x'"), "{range}");
        }
        for data_type in [DataType::Float64, DataType::Boolean] {
            assert!(of(Field::new("x", data_type, true)).is_err());
        }
        assert!(Key::of("date", &Schema::empty()).unwrap_err().contains(TIME));
        assert!(Key::of("y", &Schema::empty()).unwrap_err().contains("'y'"));
    }

    #[test]
    fn values_are_text_in_a_path() {
        let names: ArrayRef =
            Arc::new(StringArray::from(vec![Some("tls"), Some("a/b+c"), None, Some("007"), Some("..")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(-5), None, Some(1 << 40), Some(443)]));
        let times: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.5), None, Some(f64::NAN), Some(1.8e9)]));
        let rows = RecordBatch::try_from_iter([("names", names), ("numbers", numbers), ("times", times)]).unwrap();
        let all = |key: Key| (0..5).map(|row| key.value(&rows, row).ok()).collect::<Vec<_>>();
        let some = |values: [Option<&str>; 5]| values.map(|v| v.map(str::to_owned)).to_vec();
        assert_eq!(all(Key::Name(0)), some([Some("tls"), Some("a%2Fb%2Bc"), Some(MISSING), None, None]));
        assert_eq!(all(Key::Number(1)), some([Some("0"), Some("-5"), Some(MISSING), None, Some("443")]));
        assert_eq!(
            all(Key::Date(2)),
            some([Some("1970-01-01"), Some("1969-12-31"), Some(MISSING), Some(MISSING), Some("2027-01-15")])
        );
    }
}
