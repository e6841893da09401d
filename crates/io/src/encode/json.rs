//! JSON Lines (RFC 8259): one object per row, always valid.
//!
//! Every column is in every object: a missing value, NaN and infinity are `null`. Integers are written in full, also
//! those beyond 2^53, which readers that keep numbers as doubles will round.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::column::{Cell, Column};
use super::text::{self, TextFormat, push_bool, push_double, push_float, push_integer, push_time};
use super::{Format, Opened, RowEncoder};
use crate::deliver::Output;
use crate::sink::SinkError;

/// Opens the format on an output.
pub(super) fn open(output: Output, schema: SchemaRef) -> Result<Opened, SinkError> {
    text::open(JsonRows { keys: keys(&schema) }, output, schema)
}

/// The encoder for rows that go their own ways.
pub(super) fn encoder(schema: SchemaRef, key: Option<&str>) -> Result<Arc<dyn RowEncoder>, SinkError> {
    text::encoder(JsonRows { keys: keys(&schema) }, schema, key)
}

struct JsonRows {
    /// `{"first":`, `,"second":`, …
    keys: Vec<Vec<u8>>,
}

impl TextFormat for JsonRows {
    const FORMAT: Format = Format::Json;

    fn header(&self, _out: &mut Vec<u8>) {}

    #[inline]
    fn row(&self, out: &mut Vec<u8>, columns: &[Column<'_>], row: usize, _scratch: &mut Vec<u8>) {
        for (key, column) in self.keys.iter().zip(columns) {
            out.extend_from_slice(key);
            push_value(out, column.cell(row));
        }
        out.extend_from_slice(if columns.is_empty() { b"{}\n" } else { b"}\n" });
    }
}

fn keys(schema: &Schema) -> Vec<Vec<u8>> {
    let fields = schema.fields().iter().enumerate();
    fields
        .map(|(i, field)| {
            let mut key = vec![if i == 0 { b'{' } else { b',' }];
            push_string(&mut key, field.name());
            key.push(b':');
            key
        })
        .collect()
}

/// One JSON value.
#[inline]
pub(crate) fn push_value(out: &mut Vec<u8>, cell: Cell<'_, '_>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Int(v) => push_integer(out, v),
        Cell::Uint(v) => push_integer(out, v),
        Cell::Double(v) => push_double(out, v),
        Cell::Float(v) => push_float(out, v),
        Cell::Bool(v) => push_bool(out, v),
        Cell::Time(v) => {
            out.push(b'"');
            push_time(out, v);
            out.push(b'"');
        }
        Cell::Str(v) => push_string(out, v),
        Cell::List(elements, start, end) => push_list(out, elements, start, end),
    }
}

fn push_list(out: &mut Vec<u8>, elements: &Column<'_>, start: usize, end: usize) {
    out.push(b'[');
    for i in start..end {
        if i > start {
            out.push(b',');
        }
        push_value(out, elements.cell(i));
    }
    out.push(b']');
}

/// A string with its quotes. RFC 8259 section 7: the quote, the backslash and control characters are escaped.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| matches!(b, 0..=0x1f | b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        push_escape(out, *byte);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]),
    }
}
