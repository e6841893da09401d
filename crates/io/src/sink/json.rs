//! JSON Lines (RFC 8259): one object per row, always valid.
//!
//! Every column is in every object: a missing value, NaN and infinity are `null`. Integers are written in full, also
//! those beyond 2^53, which readers that keep numbers as doubles will round.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::column::{Cell, Column};
use super::output::Output;
use super::text::{Buffers, TextSink, push_bool, push_double, push_float, push_integer};
use super::{Encoded, Format, RowEncoder, RowSink, SinkError, Target, check_rows};

/// Opens the target.
pub(super) fn open(target: &Target, schema: SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
    let buffers = Arc::new(Buffers::default());
    let keys = keys(&schema);
    let encoder = Arc::new(JsonEncoder { schema, keys, buffers: Arc::clone(&buffers) });
    TextSink::open(Format::Json, encoder, buffers, Output::open(target)?, b"")
}

struct JsonEncoder {
    schema: SchemaRef,
    /// `{"first":`, `,"second":`, …
    keys: Vec<Vec<u8>>,
    buffers: Arc<Buffers>,
}

impl RowEncoder for JsonEncoder {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        check_rows(Format::Json, &self.schema, &rows)?;
        let columns = Column::all(Format::Json, &rows)?;
        let mut out = self.buffers.take();
        let end: &[u8] = if columns.is_empty() { b"{}\n" } else { b"}\n" };
        for row in 0..rows.num_rows() {
            for (key, column) in self.keys.iter().zip(&columns) {
                out.extend_from_slice(key);
                push_value(&mut out, column.cell(row));
            }
            out.extend_from_slice(end);
        }
        Ok(Encoded::Bytes { rows: rows.num_rows(), bytes: out })
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
pub(super) fn push_value(out: &mut Vec<u8>, cell: Cell<'_, '_>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Int(v) => push_integer(out, v),
        Cell::Uint(v) => push_integer(out, v),
        Cell::Double(v) => push_double(out, v),
        Cell::Float(v) => push_float(out, v),
        Cell::Bool(v) => push_bool(out, v),
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
