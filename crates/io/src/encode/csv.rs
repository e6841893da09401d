//! CSV by RFC 4180, with a header and LF line ends.
//!
//! A missing value is an empty field and an empty string is `""`, so the two stay apart. Booleans are `true` and
//! `false`, lists are JSON arrays in quotes: `"[1,2]"`. In a file of one column a missing value is `""` too: readers
//! skip empty lines, and the row would be lost. Floats that are not finite are missing.

use std::sync::Arc;

use arrow_schema::SchemaRef;

use super::column::{Cell, Column};
use super::text::{self, TextFormat, push_bool, push_double, push_float, push_integer, push_time};
use super::{Format, Opened, RowEncoder, json};
use crate::deliver::Output;
use crate::sink::SinkError;

/// Opens the format on an output and writes the header.
pub(super) fn open(output: Output, schema: SchemaRef) -> Result<Opened, SinkError> {
    text::open(CsvRows { schema: Arc::clone(&schema) }, output, schema)
}

/// The encoder for rows that go their own ways, without a header.
pub(super) fn encoder(schema: SchemaRef, key: Option<&str>) -> Result<Arc<dyn RowEncoder>, SinkError> {
    text::encoder(CsvRows { schema: Arc::clone(&schema) }, schema, key)
}

struct CsvRows {
    schema: SchemaRef,
}

impl TextFormat for CsvRows {
    const FORMAT: Format = Format::Csv;

    fn header(&self, out: &mut Vec<u8>) {
        for field in self.schema.fields() {
            push_str(out, field.name().as_bytes());
            out.push(b',');
        }
        end_line(out, 0);
    }

    #[inline]
    fn row(&self, out: &mut Vec<u8>, columns: &[Column<'_>], row: usize, scratch: &mut Vec<u8>) {
        let start = out.len();
        for column in columns {
            push_cell(out, column.cell(row), scratch);
            out.push(b',');
        }
        end_line(out, start);
    }
}

/// Every field ends in a comma; the last one becomes the line end.
#[inline]
fn end_line(out: &mut Vec<u8>, start: usize) {
    if out.len() == start + 1 {
        // A lone field, missing: an empty line would be skipped by readers.
        out.truncate(start);
        out.extend_from_slice(b"\"\",");
    }
    out.truncate(out.len().saturating_sub(1).max(start));
    out.push(b'\n');
}

#[inline]
fn push_cell(out: &mut Vec<u8>, cell: Cell<'_, '_>, scratch: &mut Vec<u8>) {
    match cell {
        Cell::Null => {}
        Cell::Int(v) => push_integer(out, v),
        Cell::Uint(v) => push_integer(out, v),
        Cell::Double(v) => push_double(out, v),
        Cell::Float(v) => push_float(out, v),
        Cell::Bool(v) => push_bool(out, v),
        Cell::Time(v) => push_time(out, v),
        Cell::Str(v) => push_str(out, v.as_bytes()),
        Cell::List(..) => {
            scratch.clear();
            json::push_value(scratch, cell);
            push_quoted(out, scratch);
        }
    }
}

#[inline]
fn push_str(out: &mut Vec<u8>, text: &[u8]) {
    let special = |b: &u8| matches!(b, b',' | b'"' | b'\n' | b'\r');
    if text.is_empty() || text.iter().any(special) {
        push_quoted(out, text);
    } else {
        out.extend_from_slice(text);
    }
}

fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (i, piece) in text.split(|b| *b == b'"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(piece);
    }
    out.push(b'"');
}
