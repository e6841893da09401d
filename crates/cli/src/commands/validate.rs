//! `jj validate`: whether captures still give the rows that they gave once.
//!
//! Rows are compared in their order; where that is another one, by what says which flow a row is. So a change of the order alone is
//! told apart from a change of values.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;

use arrow_schema::{DataType, SchemaRef};
use clap::Args;
use joyfuljay::{Config, Pipeline};
use joyfuljay_core::features::OWN_COLUMNS;
use joyfuljay_io::source::{CaptureOptions, CaptureSet};
use serde_json::Value;

use crate::error::CliError;
use crate::expected::{Kept, Table};
use crate::options::{self, ConfigArgs, number};
use crate::summary::{self, plural};
use crate::{out, say};

/// Compare the rows of captures with the rows that a file says are expected.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  jj extract a.pcap -o a.csv               what is expected from now on\n  \
                        jj validate a.pcap --expected a.csv      whether it is so still\n  \
                        jj validate a.pcap --expected a.json --profile JJ-CORE -w 7\n\nA missing value equals an empty \
                        one. Rows are compared in their order, or where that is another one by addresses, ports, protocol \
                        and start. The rows of the file are held in memory.\n\nExit codes: 0 equal, 1 different, 2 wrong use or what cannot be read.")]
pub struct Validate {
    /// Captures: files, directories (with all below them), globs, or - for standard input.
    #[arg(value_name = "CAPTURE", required = true)]
    inputs: Vec<PathBuf>,
    /// The expected rows: .csv, .json (an array or one object a line), .jsonl, .ndjson or .parquet. Without options that choose
    /// features, its columns are compared.
    #[arg(long, value_name = "FILE")]
    expected: PathBuf,
    /// By how much fractions may differ: in seconds by this, else by this or by this share of the larger one. Whole numbers, truth
    /// values and texts have to be equal.
    #[arg(long, value_name = "NUMBER", default_value = "1e-9", value_parser = number)]
    tolerance: f64,
    /// Show every difference and every warning.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Differences that are shown without --verbose.
const SHOWN: usize = 20;

/// Extracted rows that are kept beyond those that are expected: enough to show some.
const MORE_ROWS: usize = 1000;

impl Validate {
    pub fn run(self) -> Result<(), CliError> {
        // 1 says that rows differ.
        self.compare().map_err(|e| match e {
            CliError::Failed(message) => CliError::Usage(message),
            other => other,
        })
    }

    fn compare(self) -> Result<(), CliError> {
        options::check_inputs(&self.inputs)?;
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(CliError::Usage("--tolerance takes a number from 0 on".into()));
        }
        let given = self.config.config()?;
        let expected = Table::read(&self.expected)?;
        let pipeline = self.pipeline(given, &expected)?;
        let set = CaptureSet::open(&self.inputs, &CaptureOptions::default())?;
        let schema = pipeline.schema();
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        let kept = Kept::new(columns, expected.rows.len().saturating_add(MORE_ROWS));
        let sink = kept.sink(pipeline.schema())?;
        let summary = pipeline.run(Box::new(set), sink)?;
        summary::print_warnings(&summary, self.verbose);
        let (found, rows) = kept.take();
        let compared = Comparison::new(&expected, &found, &schema, self.tolerance, rows);
        out::print(&compared.text(if self.verbose { usize::MAX } else { SHOWN }))?;
        if compared.is_equal() { Ok(()) } else { Err(CliError::Said(1)) }
    }

    /// The pipeline of the columns that are asked for; where none are, of those that are expected.
    fn pipeline(&self, mut config: Config, expected: &Table) -> Result<Pipeline, CliError> {
        let chosen = config.features != Config::default().features
            || config.specific_features.is_some()
            || config.profile.is_some();
        if chosen || expected.columns.is_empty() {
            return Ok(Pipeline::new(config)?);
        }
        config.include_flow_id |= expected.column("flow_id").is_some();
        config.bidirectional_split |= expected.column("direction").is_some();
        let names = expected.columns.iter().filter(|name| !OWN_COLUMNS.iter().any(|own| own.name == *name));
        config.specific_features = Some(names.cloned().collect());
        Pipeline::new(config).map_err(|e| match CliError::from(e) {
            CliError::Usage(message) => CliError::Usage(format!("{}: {message}", self.expected.display())),
            other => other,
        })
    }
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Fraction,
    /// Fractions, too; times of now are so large that a share of them would be seconds.
    Seconds,
    Truth,
    Text,
}

impl Kind {
    fn of(data_type: &DataType, unit: Option<&str>) -> Self {
        match data_type {
            DataType::Int64 => Self::Whole,
            DataType::Float64 if unit == Some("s") => Self::Seconds,
            DataType::Float64 => Self::Fraction,
            DataType::Boolean => Self::Truth,
            DataType::List(item) => Self::of(item.data_type(), unit),
            _ => Self::Text,
        }
    }

    /// Whether two values are the same.
    fn same(self, expected: &Value, found: &Value, tolerance: f64) -> bool {
        if is_missing(expected) || is_missing(found) {
            return is_missing(expected) && is_missing(found);
        }
        if let Value::Array(found) = found {
            // In CSV a list is its JSON.
            let parsed = expected.as_str().and_then(|text| serde_json::from_str(text).ok());
            let Value::Array(expected) = parsed.as_ref().unwrap_or(expected) else { return false };
            return expected.len() == found.len()
                && expected.iter().zip(found).all(|(e, f)| self.same(e, f, tolerance));
        }
        match self {
            Self::Whole => match (whole(expected), whole(found)) {
                (Some(a), Some(b)) => a == b,
                _ => fraction(expected).zip(fraction(found)).is_some_and(|(a, b)| a == b),
            },
            Self::Fraction | Self::Seconds => fraction(expected).zip(fraction(found)).is_some_and(|(a, b)| {
                let apart = (a - b).abs();
                apart <= tolerance || self == Self::Fraction && apart <= tolerance * a.abs().max(b.abs())
            }),
            Self::Truth => truth(expected).zip(truth(found)).is_some_and(|(a, b)| a == b),
            Self::Text => expected == found,
        }
    }
}

fn is_missing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(n) => n.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn fraction(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// CSV has words for truth values, and some writers numbers.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => fraction(value).and_then(|n| {
            if n == 0.0 {
                Some(false)
            } else if n == 1.0 {
                Some(true)
            } else {
                None
            }
        }),
    }
}

/// A column of both.
#[derive(Debug)]
struct Both<'a> {
    name: &'a str,
    kind: Kind,
    expected: usize,
    found: usize,
}

/// A value that is another one, or a row that only one has. Rows are counted from 1.
#[derive(Debug)]
enum Difference<'a> {
    Value {
        row: usize,
        column: &'a str,
        expected: &'a Value,
        found: &'a Value,
    },
    /// Expected, and not found.
    Missing {
        row: usize,
        what: String,
    },
    /// Found, and not expected.
    More {
        row: usize,
        what: String,
    },
}

#[derive(Debug)]
struct Comparison<'a> {
    rows_expected: usize,
    rows_found: usize,
    columns: usize,
    /// Columns that are expected and were not extracted.
    columns_missing: Vec<&'a str>,
    /// Columns that were extracted and that the file does not have.
    columns_more: usize,
    differences: Vec<Difference<'a>>,
    /// Whether rows had to be found by their flow.
    reordered: bool,
}

/// What says which flow a row is.
const KEY: [&str; 7] = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start_time", "direction"];

impl<'a> Comparison<'a> {
    /// Compares; of `rows_found` rows, `found` may hold only the first.
    fn new(expected: &'a Table, found: &'a Table, schema: &SchemaRef, tolerance: f64, rows_found: usize) -> Self {
        let both: Vec<Both<'a>> = expected
            .columns
            .iter()
            .enumerate()
            .filter_map(|(at, name)| {
                let field = schema.field_with_name(name).ok()?;
                let kind = Kind::of(field.data_type(), field.metadata().get("unit").map(String::as_str));
                Some(Both { name, kind, expected: at, found: found.column(name)? })
            })
            .collect();
        let columns_missing =
            expected.columns.iter().map(String::as_str).filter(|name| found.column(name).is_none()).collect();
        let mut comparison = Self {
            rows_expected: expected.rows.len(),
            rows_found,
            columns: both.len(),
            columns_missing,
            columns_more: found.columns.len() - both.len(),
            differences: Vec::new(),
            reordered: false,
        };
        let keys: Vec<&Both<'a>> = both.iter().filter(|column| KEY.contains(&column.name)).collect();
        // Without addresses and start no row is like no other.
        let has_keys = ["src_ip", "dst_ip", "start_time"].iter().all(|k| keys.iter().any(|column| column.name == *k));
        let same_keys = || {
            let pairs = expected.rows.iter().zip(&found.rows);
            pairs.into_iter().all(|(e, f)| keys.iter().all(|column| column.same(e, f, tolerance)))
        };
        if !has_keys || expected.rows.len() == rows_found && same_keys() {
            comparison.in_order(expected, found, &both, tolerance);
        } else {
            comparison.by_key(expected, found, &both, &keys, tolerance);
        }
        comparison
    }

    fn in_order(&mut self, expected: &'a Table, found: &'a Table, both: &[Both<'a>], tolerance: f64) {
        for (i, (e, f)) in expected.rows.iter().zip(&found.rows).enumerate() {
            self.compare(i + 1, e, f, both, tolerance);
        }
        let common = expected.rows.len().min(found.rows.len());
        let missing = (common..expected.rows.len()).map(|i| Difference::Missing { row: i + 1, what: String::new() });
        let more = (common..found.rows.len()).map(|i| Difference::More { row: i + 1, what: String::new() });
        self.differences.extend(missing.chain(more));
    }

    fn by_key(&mut self, expected: &'a Table, found: &'a Table, both: &[Both<'a>], keys: &[&Both<'a>], tolerance: f64) {
        // Rows of one key are taken in their order.
        let mut places: HashMap<Vec<String>, VecDeque<usize>> = HashMap::new();
        for (i, row) in found.rows.iter().enumerate() {
            let key = keys.iter().map(|column| column.kind.key(row.get(column.found))).collect();
            places.entry(key).or_default().push_back(i);
        }
        let (mut last, mut missing) = (None, Vec::new());
        for (i, row) in expected.rows.iter().enumerate() {
            let key: Vec<String> = keys.iter().map(|column| column.kind.key(row.get(column.expected))).collect();
            match places.get_mut(&key).and_then(VecDeque::pop_front) {
                Some(at) => {
                    self.reordered |= last.is_some_and(|last| at < last);
                    last = Some(at);
                    if let Some(other) = found.rows.get(at) {
                        self.compare(i + 1, row, other, both, tolerance);
                    }
                }
                None => missing.push((i, key)),
            }
        }
        let mut more: BTreeMap<usize, Vec<String>> =
            places.into_iter().flat_map(|(key, at)| at.into_iter().map(move |i| (i, key.clone()))).collect();
        for (i, key) in missing {
            // Two rows in one place that are like no other: one flow of which the addresses, the ports or the start are others.
            match (more.remove(&i), expected.rows.get(i), found.rows.get(i)) {
                (Some(_), Some(row), Some(other)) => self.compare(i + 1, row, other, both, tolerance),
                _ => self.differences.push(Difference::Missing { row: i + 1, what: key.join(" ") }),
            }
        }
        self.differences.extend(more.into_iter().map(|(i, key)| Difference::More { row: i + 1, what: key.join(" ") }));
        self.differences.sort_by_key(Difference::row);
    }

    fn compare(&mut self, row: usize, expected: &'a [Value], found: &'a [Value], both: &[Both<'a>], tolerance: f64) {
        for column in both.iter().filter(|column| !column.same(expected, found, tolerance)) {
            let values = expected.get(column.expected).zip(found.get(column.found));
            if let Some((expected, found)) = values {
                self.differences.push(Difference::Value { row, column: column.name, expected, found });
            }
        }
    }

    fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.columns_missing.is_empty() && self.rows_expected == self.rows_found
    }

    fn text(&self, most: usize) -> String {
        let mut text = String::new();
        let shown: Vec<_> = self.differences.iter().take(most).map(|difference| difference.cells(most)).collect();
        if !shown.is_empty() {
            let head = ["ROW", "COLUMN", "EXPECTED", "FOUND"].map(str::to_owned).to_vec();
            text.push_str(&out::table(&[vec![head], shown].concat()));
        }
        let left = self.differences.len().saturating_sub(most);
        if left > 0 {
            text.push_str(&format!("… and {} more (--verbose shows all)\n", plural(left as u64, "difference")));
        }
        if !self.columns_missing.is_empty() {
            let names = say::printable(&self.columns_missing.join(", "));
            text.push_str(&format!("expected columns that are not extracted: {names}\n"));
        }
        let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
        for difference in &self.differences {
            if let Difference::Value { column, .. } = difference {
                *columns.entry(column).or_default() += 1;
            }
        }
        if !columns.is_empty() {
            let counts: Vec<_> = columns.iter().map(|(name, n)| format!("{name} {n}")).collect();
            text.push_str(&format!("different values by column: {}\n", counts.join(", ")));
        }
        if self.reordered {
            text.push_str("note: rows are in another order than expected; they were found by their flow\n");
        }
        if self.columns_more > 0 {
            let more = plural(self.columns_more as u64, "column");
            text.push_str(&format!("note: {more} that the file does not have were not compared\n"));
        }
        let (rows, of) = (plural(self.rows_expected as u64, "row"), plural(self.columns as u64, "column"));
        if self.is_equal() {
            text.push_str(&format!("equal: {rows} of {of}\n"));
        } else {
            let values: u64 = columns.values().sum();
            let found = plural(self.rows_found as u64, "row");
            text.push_str(&format!(
                "different: {} of {of}; {rows} expected, {found} found\n",
                plural(values, "different value")
            ));
        }
        text
    }
}

impl Both<'_> {
    fn same(&self, expected: &[Value], found: &[Value], tolerance: f64) -> bool {
        let (expected, found) = (expected.get(self.expected), found.get(self.found));
        expected.zip(found).is_some_and(|(e, f)| self.kind.same(e, f, tolerance))
    }
}

impl Kind {
    /// A value as part of a key: the same text for the same value. Times are taken to the microsecond, finer than which the number of
    /// seconds since 1970 does not go.
    fn key(self, value: Option<&Value>) -> String {
        let Some(value) = value.filter(|value| !is_missing(value)) else { return "-".into() };
        let text = match self {
            Self::Whole => fraction(value).map(|n| format!("{n:.0}")),
            Self::Fraction | Self::Seconds => fraction(value).map(|n| format!("{n:.6}")),
            Self::Truth | Self::Text => None,
        };
        text.unwrap_or_else(|| cell(value, usize::MAX))
    }
}

impl Difference<'_> {
    fn row(&self) -> usize {
        match self {
            Self::Value { row, .. } | Self::Missing { row, .. } | Self::More { row, .. } => *row,
        }
    }

    fn cells(&self, most: usize) -> Vec<String> {
        /// Lists may be long.
        const WIDTH: usize = 60;
        let width = if most == usize::MAX { usize::MAX } else { WIDTH };
        match self {
            Self::Value { row, column, expected, found } => {
                vec![row.to_string(), (*column).to_owned(), cell(expected, width), cell(found, width)]
            }
            Self::Missing { row, what } => vec![row.to_string(), "(row)".into(), present(what), "no such row".into()],
            Self::More { row, what } => vec![row.to_string(), "(row)".into(), "no such row".into(), present(what)],
        }
    }
}

fn present(what: &str) -> String {
    if what.is_empty() { "a row".into() } else { say::printable(what) }
}

/// A value in a table.
fn cell(value: &Value, width: usize) -> String {
    let text = match value {
        Value::Null => "missing".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = say::printable(&text);
    match text.char_indices().nth(width) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_the_same_by_the_type_of_their_column() {
        use Kind::*;
        for (kind, expected, found, same) in [
            (Whole, json!(5), json!(5), true),
            (Whole, json!("5.0"), json!(5), true),
            (Whole, json!(10_000_000_001u64), json!(10_000_000_000u64), false),
            (Fraction, json!("0.1"), json!(0.1), true),
            (Fraction, json!(1e12), json!(1e12 + 100.0), true),
            (Fraction, json!(1.0), json!(1.00001), false),
            (Seconds, json!(1_795_370_734.5), json!(1_795_370_734.6), false),
            (Seconds, json!(1e-10), json!(2e-10), true),
            (Truth, json!("True"), json!(true), true),
            (Truth, json!(0), json!(true), false),
            (Text, Value::Null, json!(""), true),
            (Text, json!("a"), json!("b"), false),
            (Text, Value::Null, json!("b"), false),
            (Whole, json!("[1, 2]"), json!([1, 2]), true),
            (Whole, json!([1]), json!([1, 2]), false),
            (Whole, json!("x"), json!(1), false),
        ] {
            assert_eq!(kind.same(&expected, &found, 1e-9), same, "{kind:?} {expected} {found}");
        }
    }

    fn compared(expected: &[&str], found: &[&str]) -> (bool, bool, usize) {
        let config = Config {
            specific_features: Some(["src_ip", "dst_ip", "start_time", "total_packets"].map(str::to_owned).to_vec()),
            ..Config::default()
        };
        let schema = Pipeline::new(config).unwrap().schema();
        let table = |rows: &[&str]| Table {
            columns: schema.fields().iter().map(|field| field.name().clone()).collect(),
            rows: rows
                .iter()
                .map(|row| row.split(' ').map(|cell| cell.parse::<f64>().map_or(json!(cell), |n| json!(n))).collect())
                .collect(),
        };
        let (expected, found) = (table(expected), table(found));
        let c = Comparison::new(&expected, &found, &schema, 1e-9, found.rows.len());
        assert!(c.text(20).lines().count() > 0);
        (c.is_equal(), c.reordered, c.differences.len())
    }

    #[test]
    fn rows_are_found_by_their_flow_where_the_order_is_another() {
        let rows = ["a b 1.5 3", "c d 2.5 4", "c d 2.5 5"];
        assert_eq!(compared(&rows, &rows), (true, false, 0));
        assert_eq!(compared(&rows, &["c d 2.5 4", "c d 2.5 5", "a b 1.5 3"]), (true, true, 0));
        assert_eq!(compared(&rows, &["a b 1.5 3", "c d 2.5 4", "c d 2.5 6"]), (false, false, 1));
        assert_eq!(compared(&rows, &["c d 2.5 4", "c d 2.5 5"]), (false, false, 1));
        // A changed key in its place is two changed values; elsewhere it is a row that is missing and one more.
        assert_eq!(compared(&rows, &["x y 1.5 3", "c d 2.5 4", "c d 2.5 5"]), (false, false, 2));
        assert_eq!(compared(&rows, &["c d 2.5 4", "c d 2.5 5", "x b 1.5 3"]), (false, false, 2));
        assert_eq!(compared(&[], &[]), (true, false, 0));
    }
}
