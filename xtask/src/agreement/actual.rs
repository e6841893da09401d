//! Our values: every feature of a capture's flows, which never time out or end by FIN or RST.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use joyfuljay::Config;

use crate::capture::{self, Key, ordered};

/// The rows of a capture.
#[derive(Default)]
pub struct Rows {
    batches: Vec<RecordBatch>,
    /// Batch and row of each flow.
    by_key: HashMap<Key, Vec<(usize, usize)>>,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

impl Rows {
    /// Reads a capture; what comes before damage is kept.
    pub fn of(path: &Path) -> Result<Self, Box<dyn Error>> {
        let config =
            Config { flow_timeout: 1e9, active_timeout: Some(1e9), terminate_on_fin_rst: false, ..Config::default() };
        let (_, batches) = capture::run(path, config)?;
        let mut by_key: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        for (at, batch) in batches.iter().enumerate() {
            for row in 0..batch.num_rows() {
                let port = |name| match value(batch, row, name) {
                    Some(Value::Int(port)) => u16::try_from(port).unwrap_or(0),
                    _ => 0,
                };
                let (Some(Value::Int(protocol)), Some(Value::Text(src)), Some(Value::Text(dst))) =
                    (value(batch, row, "protocol"), value(batch, row, "src_ip"), value(batch, row, "dst_ip"))
                else {
                    continue;
                };
                let ends = ((src.parse()?, port("src_port")), (dst.parse()?, port("dst_port")));
                by_key.entry(ordered(u8::try_from(protocol)?, ends.0, ends.1).0).or_default().push((at, row));
            }
        }
        Ok(Self { batches, by_key })
    }

    /// The values of a column in the rows of a flow; none where there is no such column.
    pub fn values<'a>(&'a self, key: &Key, column: &'a str) -> Vec<Option<Value<'a>>> {
        let rows = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        rows.iter().map(|(batch, row)| value(self.batches.get(*batch)?, *row, column)).collect()
    }
}

fn value<'a>(batch: &'a RecordBatch, row: usize, column: &str) -> Option<Value<'a>> {
    let array = batch.column_by_name(column)?;
    if array.is_null(row) {
        return Some(Value::Null);
    }
    Some(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row)),
        _ => return None,
    })
}

impl Value<'_> {
    /// Whether it is what the text of a reference says. Floating point: relative 1e-6 or absolute 1e-9, variances 1e-15.
    pub fn is(self, text: &str, column: &str) -> bool {
        let near =
            |want: f64, have: f64, least: f64| (want - have).abs() <= (1e-6 * want.abs().max(have.abs())).max(least);
        match self {
            Self::Null => text.is_empty(),
            Self::Bool(have) => text == if have { "true" } else { "false" },
            Self::Text(have) => !text.is_empty() && text == have,
            Self::Int(have) => match text.parse::<i64>() {
                Ok(want) => want == have,
                Err(_) => text.parse().is_ok_and(|want| near(want, have as f64, 1e-9)),
            },
            Self::Float(have) => {
                let least = if column.contains("variance") && text.parse::<i64>().is_err() { 1e-15 } else { 1e-9 };
                text.parse().is_ok_and(|want| near(want, have, least))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_within_the_tolerance() {
        assert!(Value::Float(0.1 + 0.2).is("0.3", "iat_mean") && !Value::Float(0.301).is("0.3", "iat_mean"));
        assert!(Value::Float(1e-10).is("0.0", "iat_mean") && !Value::Float(1e-10).is("0.0", "iat_variance"));
        assert!(Value::Int(3).is("3", "x") && !Value::Int(3).is("4", "x") && Value::Int(3).is("3.0", "x"));
        assert!(Value::Null.is("", "x") && !Value::Null.is("0", "x") && !Value::Int(0).is("", "x"));
        assert!(Value::Bool(true).is("true", "x") && !Value::Bool(true).is("1", "x") && !Value::Text("").is("", "x"));
    }
}
