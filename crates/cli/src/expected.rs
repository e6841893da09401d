//! Rows that a file says are expected: CSV, JSON Lines, an array of JSON objects (also under `flows`, as the older version wrote
//! them) or Parquet. What an input says is held in JSON's types; those of the columns are asked when values are compared.

use std::fs::File;
use std::path::Path;

use joyfuljay_io::sink::{Format, MessagePlace, RowBytes, RowSink, SinkError, sink_to_messages};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CliError;

/// Rows, each with a value for each column.
#[derive(Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// Reads a file, whose extension says what it is.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let wrong = |problem: String| CliError::Usage(format!("{}: {problem}", path.display()));
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let text = || std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()));
        match extension.as_str() {
            "csv" => csv(&text()?).map_err(wrong),
            "json" | "jsonl" | "ndjson" => json(&text()?).map_err(wrong),
            "parquet" | "pq" => {
                let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
                parquet(file).map_err(wrong)
            }
            _ => Err(wrong("expected rows are in a file named .csv, .json, .jsonl, .ndjson or .parquet".into())),
        }
    }

    /// Where a column is.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// CSV by RFC 4180. An empty field is a missing value.
fn csv(text: &str) -> Result<Table, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = Records { rest: text, line: 1 };
    let Some(header) = records.next().transpose()? else { return Ok(Table::default()) };
    let columns: Vec<String> = header.fields;
    if let Some(twice) = columns.iter().enumerate().find(|(i, name)| columns.iter().take(*i).any(|n| n == *name)) {
        return Err(format!("the column '{}' is there twice", twice.1));
    }
    let mut rows = Vec::new();
    for record in records {
        let Record { fields, line } = record?;
        // Readers skip empty lines.
        if columns.len() > 1 && fields.iter().all(String::is_empty) && fields.len() == 1 {
            continue;
        }
        if fields.len() != columns.len() {
            return Err(format!("line {line} has {} fields, the header {}", fields.len(), columns.len()));
        }
        rows.push(fields.into_iter().map(|f| if f.is_empty() { Value::Null } else { Value::String(f) }).collect());
    }
    Ok(Table { columns, rows })
}

/// A record of CSV, and the line that it begins on.
struct Record {
    fields: Vec<String>,
    line: usize,
}

struct Records<'t> {
    rest: &'t str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<Record, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let line = self.line;
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = self.rest.chars().peekable();
        let mut used = 0;
        let mut ended = false;
        while let Some(c) = chars.next() {
            used += c.len_utf8();
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    used += 1;
                    field.push('"');
                }
                '"' if quoted => quoted = false,
                '"' if field.is_empty() => quoted = true,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {}
                '\n' => {
                    self.line += 1;
                    if !quoted {
                        ended = true;
                        break;
                    }
                    field.push(c);
                }
                c => field.push(c),
            }
        }
        self.rest = self.rest.get(used..).unwrap_or_default();
        if quoted && !ended {
            return Some(Err(format!("the quote of the record that begins in line {line} does not end")));
        }
        fields.push(field);
        Some(Ok(Record { fields, line }))
    }
}

fn json(text: &str) -> Result<Table, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let mut values = values.map_err(|e| format!("is no JSON: {e}"))?;
    if let [only] = values.as_mut_slice() {
        let rows = match only {
            Value::Array(rows) => Some(std::mem::take(rows)),
            Value::Object(object) => match object.get_mut("flows") {
                Some(Value::Array(rows)) => Some(std::mem::take(rows)),
                _ => None,
            },
            _ => None,
        };
        values = rows.unwrap_or(values);
    }
    let mut objects: Vec<Map<String, Value>> = Vec::with_capacity(values.len());
    for (i, value) in values.into_iter().enumerate() {
        match value {
            Value::Object(object) => objects.push(object),
            _ => return Err(format!("row {} is no JSON object", i + 1)),
        }
    }
    Ok(table(objects))
}

/// Objects may lack keys: what is not said is missing.
fn table(objects: Vec<Map<String, Value>>) -> Table {
    let mut names = std::collections::BTreeSet::new();
    names.extend(objects.iter().flat_map(|object| object.keys().cloned()));
    let columns: Vec<String> = names.into_iter().collect();
    let row = |mut object: Map<String, Value>| columns.iter().map(|c| object.remove(c).unwrap_or_default()).collect();
    let rows = objects.into_iter().map(row).collect();
    Table { columns, rows }
}

fn parquet(file: File) -> Result<Table, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let schema = Arc::clone(builder.schema());
    let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
    let reader = builder.build().map_err(|e| e.to_string())?;
    let kept = Kept::new(columns, usize::MAX);
    let mut sink = kept.sink(schema).map_err(|e| e.to_string())?;
    let encoder = sink.encoder();
    for batch in reader {
        // The metadata of the file's schema is no part of the batches.
        let batch = batch.map_err(|e| e.to_string())?;
        encoder.encode(batch).and_then(|chunk| sink.write(chunk)).map_err(|e| e.to_string())?;
    }
    Ok(kept.take().0)
}

/// Rows as they come out of a run, or of a Parquet file.
#[derive(Clone, Debug)]
pub struct Kept(Arc<Mutex<(Table, usize)>>, usize);

impl Kept {
    /// Of these columns; of more than `most` rows, those that come later are only counted.
    pub fn new(columns: Vec<String>, most: usize) -> Self {
        Self(Arc::new(Mutex::new((Table { columns, rows: Vec::new() }, 0))), most)
    }

    /// A sink that keeps them.
    pub fn sink(&self, schema: arrow_schema::SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
        sink_to_messages(Format::Json, None, Box::new(self.clone()), schema)
    }

    /// The rows, and how many came in all.
    pub fn take(&self) -> (Table, usize) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl MessagePlace for Kept {
    fn name(&self) -> &'static str {
        "validate"
    }

    fn send(&mut self, rows: &RowBytes) -> Result<(), SinkError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (table, came) = &mut *kept;
        for message in rows.messages() {
            *came += 1;
            if table.rows.len() >= self.1 {
                continue;
            }
            let object = serde_json::from_slice::<Map<String, Value>>(message.value);
            let mut object = object.map_err(|e| SinkError::io("rows", "read back", e.into()))?;
            table.rows.push(table.columns.iter().map(|c| object.remove(c).unwrap_or_default()).collect());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn csv_has_quotes_and_missing_values() {
        let found = csv("\u{feff}a,b\r\n1,\"x, \"\"y\"\"\nz\"\n,\"\"\n\n2,end").unwrap();
        assert_eq!(found.columns, ["a", "b"]);
        assert_eq!(
            found.rows,
            [[json!("1"), json!("x, \"y\"\nz")], [Value::Null, Value::Null], [json!("2"), json!("end")]]
        );
        assert_eq!(csv("").unwrap(), Table::default());
        assert_eq!(csv("a\n\"\"\n").unwrap().rows, [[Value::Null]]);
    }

    #[test]
    fn damaged_csv_says_where() {
        assert_eq!(csv("a,b\n1,2\n3\n").unwrap_err(), "line 3 has 1 fields, the header 2");
        assert!(csv("a,b\n\"1,2\n").unwrap_err().contains("line 2"));
        assert!(csv("a,a\n").unwrap_err().contains("twice"));
    }

    #[test]
    fn json_comes_in_three_forms() {
        let want = json(r#"[{"a": 1, "b": null}, {"a": 2}]"#).unwrap();
        assert_eq!(want.rows, [[json!(1), Value::Null], [json!(2), Value::Null]]);
        assert_eq!(json("{\"a\": 1, \"b\": null}\n{\"a\": 2}\n").unwrap(), want);
        assert_eq!(json(r#"{"flows": [{"a": 1, "b": null}, {"a": 2}]}"#).unwrap(), want);
        assert_eq!(json("[]").unwrap(), Table::default());
        assert!(json("[1]").unwrap_err().contains("row 1"));
        assert!(json("{\"a\": 1}\n{\"a\": ").unwrap_err().contains("line 2"));
    }
}
