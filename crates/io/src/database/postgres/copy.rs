//! Rows as the binary form of PostgreSQL's COPY ("COPY, Binary Format" of its manual). Done in the workers: it is the larger part of
//! the work on this side.

use std::net::IpAddr;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::super::types::{self, Element, Kind};
use super::super::{DatabaseRun, RUN_ID};
use crate::encode::{Cell, Column, Encoded, RowEncoder};
use crate::sink::SinkError;
use crate::spill::PackedRows;

/// What a stream begins with: signature, flags, length of the extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH_US: i64 = 946_684_800_000_000;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Turns rows into fields of COPY.
pub(super) struct CopyEncoder {
    pub(super) place: String,
    pub(super) schema: SchemaRef,
    pub(super) kinds: Vec<Kind>,
    pub(super) run: i64,
    pub(super) handle: DatabaseRun,
}

impl RowEncoder for CopyEncoder {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        let columns: Option<Vec<_>> = rows.columns().iter().map(|array| Column::of(array.as_ref())).collect();
        let columns = columns.filter(|columns| columns.len() == self.kinds.len());
        let Some(columns) = columns else { return Err(SinkError::Foreign { sink: super::KIND }) };
        let count = i16::try_from(columns.len() + 1).map_err(|_| SinkError::Foreign { sink: super::KIND })?;
        let mut out = Fields { bytes: Vec::with_capacity(rows.num_rows() * columns.len() * 8), replaced: 0 };
        for row in 0..rows.num_rows() {
            out.bytes.extend_from_slice(&count.to_be_bytes());
            out.field(|out| out.extend_from_slice(&self.run.to_be_bytes()));
            for ((index, column), kind) in columns.iter().enumerate().zip(&self.kinds) {
                out.push(*kind, column.cell(row)).map_err(|value| {
                    let name = self.schema.fields().get(index).map_or(RUN_ID, |field| field.name());
                    let problem = format!("column '{name}' has {value:?}, which is no address: leave the column out");
                    SinkError::database(&self.place, &problem)
                })?;
            }
        }
        self.handle.replaced(out.replaced);
        Ok(Encoded::Packed(PackedRows::new(out.bytes, rows.num_rows())))
    }
}

/// The bytes behind the first rows.
pub(super) fn behind(mut bytes: &[u8], rows: u64) -> Option<&[u8]> {
    for _ in 0..rows {
        let (count, rest) = bytes.split_first_chunk::<2>()?;
        bytes = rest;
        for _ in 0..i16::from_be_bytes(*count) {
            let (len, rest) = bytes.split_first_chunk::<4>()?;
            let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
            bytes = rest.get(len..)?;
        }
    }
    Some(bytes)
}

struct Fields {
    bytes: Vec<u8>,
    replaced: u64,
}

impl Fields {
    /// A field: its length, and what is written.
    #[inline]
    fn field(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&NULL);
        write(&mut self.bytes);
        let len = (self.bytes.len() - at - 4) as i32;
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    #[inline]
    fn null(&mut self) {
        self.bytes.extend_from_slice(&NULL);
    }

    /// Appends a value; an error with the text that is no address.
    #[inline]
    fn push(&mut self, kind: Kind, cell: Cell<'_, '_>) -> Result<(), String> {
        match (kind, cell) {
            (_, Cell::Null) => self.null(),
            (Kind::Int64, Cell::Int(v)) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
            (Kind::Float64, Cell::Double(v)) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
            (Kind::Address, Cell::Str(text)) => {
                let address: IpAddr = text.parse().map_err(|_| text.to_owned())?;
                self.field(|out| push_address(out, address));
            }
            (Kind::List(of), Cell::List(elements, start, end)) => self.push_list(of, elements, start, end),
            (Kind::Int16, cell) => self.push_element(Element::Int16, cell),
            (Kind::Int32, cell) => self.push_element(Element::Int32, cell),
            (Kind::Int64, cell) => self.push_element(Element::Int64, cell),
            (Kind::Uint64, cell) => self.push_element(Element::Uint64, cell),
            (Kind::Float32, cell) => self.push_element(Element::Float32, cell),
            (Kind::Float64, cell) => self.push_element(Element::Float64, cell),
            (Kind::Bool, cell) => self.push_element(Element::Bool, cell),
            (Kind::Text, cell) => self.push_element(Element::Text, cell),
            (Kind::Time, cell) => self.push_element(Element::Time, cell),
            (Kind::Address | Kind::List(_), _) => self.null(),
        }
        Ok(())
    }

    /// The kind follows from the type of the column, so each kind meets its own cells only.
    fn push_element(&mut self, kind: Element, cell: Cell<'_, '_>) {
        match (kind, cell) {
            (Element::Int16, cell) => match whole(&cell).and_then(|v| i16::try_from(v).ok()) {
                Some(v) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
                None => self.null(),
            },
            (Element::Int32, cell) => match whole(&cell).and_then(|v| i32::try_from(v).ok()) {
                Some(v) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
                None => self.null(),
            },
            (Element::Int64, cell) => match whole(&cell) {
                Some(v) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
                None => self.null(),
            },
            (Element::Uint64, Cell::Uint(v)) => self.field(|out| push_numeric(out, v)),
            (Element::Float32, Cell::Float(v)) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
            (Element::Float64, Cell::Double(v)) => self.field(|out| out.extend_from_slice(&v.to_be_bytes())),
            (Element::Bool, Cell::Bool(v)) => self.field(|out| out.push(u8::from(v))),
            (Element::Text, Cell::Str(text)) => {
                let (text, zeros) = types::clean(text);
                self.replaced += zeros;
                self.field(|out| out.extend_from_slice(text.as_bytes()));
            }
            (Element::Time, Cell::Time(ns)) => {
                let us = ns.div_euclid(1_000) - EPOCH_US;
                self.field(|out| out.extend_from_slice(&us.to_be_bytes()));
            }
            _ => self.null(),
        }
    }

    /// An array of one dimension that begins at 1, or of none where it is empty.
    fn push_list(&mut self, of: Element, elements: &Column<'_>, start: usize, end: usize) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&NULL);
        let nulls = (start..end).any(|i| matches!(elements.cell(i), Cell::Null));
        self.bytes.extend_from_slice(&i32::from(end > start).to_be_bytes());
        self.bytes.extend_from_slice(&i32::from(nulls).to_be_bytes());
        self.bytes.extend_from_slice(&oid(of).to_be_bytes());
        if end > start {
            self.bytes.extend_from_slice(&((end - start) as i32).to_be_bytes());
            self.bytes.extend_from_slice(&1_i32.to_be_bytes());
            for i in start..end {
                self.push_element(of, elements.cell(i));
            }
        }
        let len = (self.bytes.len() - at - 4) as i32;
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

fn whole(cell: &Cell<'_, '_>) -> Option<i64> {
    match cell {
        Cell::Int(v) => Some(*v),
        Cell::Uint(v) => i64::try_from(*v).ok(),
        _ => None,
    }
}

/// `inet`: family, bits of the mask, whether it is a network, length, bytes. A host has all bits.
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            out.extend_from_slice(&[2, 32, 0, 4]);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.extend_from_slice(&[3, 128, 0, 16]);
            out.extend_from_slice(&v6.octets());
        }
    }
}

/// `numeric`: digits of base 10,000, the first of them first.
fn push_numeric(out: &mut Vec<u8>, mut value: u64) {
    // 2^64 has 20 digits, so 5 of base 10,000.
    let (mut digits, mut count) = ([0_i16; 5], 0);
    for digit in digits.iter_mut().rev() {
        if value > 0 {
            *digit = (value % 10_000) as i16;
            value /= 10_000;
            count += 1;
        }
    }
    let weight = (count as i16 - 1).max(0);
    for n in [count as i16, weight, 0, 0] {
        out.extend_from_slice(&n.to_be_bytes());
    }
    for digit in digits.iter().skip(digits.len() - count) {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

fn oid(of: Element) -> u32 {
    match of {
        Element::Int16 => 21,
        Element::Int32 => 23,
        Element::Int64 => 20,
        Element::Uint64 => 1700,
        Element::Float32 => 700,
        Element::Float64 => 701,
        Element::Bool => 16,
        Element::Text => 25,
        Element::Time => 1184,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn numeric(value: u64) -> Vec<i16> {
        let mut out = Vec::new();
        push_numeric(&mut out, value);
        out.chunks(2).map(|b| i16::from_be_bytes([b[0], b[1]])).collect()
    }

    #[test]
    fn numerics_have_base_10000() {
        assert_eq!(numeric(0), [0, 0, 0, 0]);
        assert_eq!(numeric(7), [1, 0, 0, 0, 7]);
        assert_eq!(numeric(10_000), [2, 1, 0, 0, 1, 0]);
        assert_eq!(numeric(u64::MAX), [5, 4, 0, 0, 1844, 6744, 737, 955, 1615].map(|d: i16| d));
    }

    #[test]
    fn rows_can_be_passed_over() {
        let schema =
            Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a\0"), Some(""), None]));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![numbers, texts]).unwrap();
        let handle = DatabaseRun::default();
        let kinds = Kind::all(&schema, true).unwrap();
        let encoder = CopyEncoder { place: "db".into(), schema, kinds, run: 9, handle: handle.clone() };
        let Encoded::Packed(packed) = encoder.encode(rows.clone()).unwrap() else { panic!("not packed") };
        let bytes = packed.into_bytes();
        let Encoded::Packed(last) = encoder.encode(rows.slice(2, 1)).unwrap() else { panic!("not packed") };
        assert_eq!(behind(&bytes, 2).unwrap(), last.into_bytes());
        assert_eq!(behind(&bytes, 3).unwrap(), b"");
        assert!(behind(&bytes, 4).is_none());
        assert_eq!(handle.remarks().len(), 1, "the zero byte is counted");
    }
}
