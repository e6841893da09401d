//! Types of columns in tables, and what of a run is compared when it is taken up again.

use std::borrow::Cow;

use arrow_schema::{DataType, Field, Schema};
use joyfuljay_core::privacy::Pseudonyms;

/// A column of a table by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int16,
    Int32,
    Int64,
    /// 64 bits without a sign.
    Uint64,
    Float32,
    Float64,
    Bool,
    Text,
    Address,
    Time,
    List(Element),
}

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Int16,
    Int32,
    Int64,
    Uint64,
    Float32,
    Float64,
    Bool,
    Text,
    Time,
}

impl Kind {
    /// What a column holds; none where tables have no form for it.
    pub(super) fn of(field: &Field, addresses: bool) -> Option<Self> {
        let is_address = field.metadata().get("privacy").is_some_and(|class| class == "address");
        Some(match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if addresses && is_address => Self::Address,
            DataType::List(of) | DataType::LargeList(of) => Self::List(Element::of(of.data_type())?),
            plain => Element::of(plain)?.alone(),
        })
    }

    /// Those of all columns, with names; else the column that has no form.
    pub(super) fn all(schema: &Schema, addresses: bool) -> Result<Vec<Self>, String> {
        let kind = |field: &std::sync::Arc<Field>| {
            Self::of(field, addresses).ok_or_else(|| {
                let (name, data_type) = (field.name(), field.data_type());
                format!("column '{name}' of type {data_type} has no form in a table: leave it out")
            })
        };
        schema.fields().iter().map(kind).collect()
    }
}

impl Element {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int16,
            DataType::Int32 | DataType::UInt16 => Self::Int32,
            DataType::Int64 | DataType::UInt32 => Self::Int64,
            DataType::UInt64 => Self::Uint64,
            DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Boolean => Self::Bool,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Self::Text,
            DataType::Timestamp(arrow_schema::TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => Self::Time,
            _ => return None,
        })
    }

    fn alone(self) -> Kind {
        match self {
            Self::Int16 => Kind::Int16,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Uint64 => Kind::Uint64,
            Self::Float32 => Kind::Float32,
            Self::Float64 => Kind::Float64,
            Self::Bool => Kind::Bool,
            Self::Text => Kind::Text,
            Self::Time => Kind::Time,
        }
    }
}

/// What the rows of a run depend on, as one text: `name=value` with spaces between.
pub(super) fn origin(schema: &Schema, given: &[(&'static str, String)]) -> String {
    let mut columns = String::new();
    for field in schema.fields() {
        columns.push_str(&format!("{} {}\n", field.name(), field.data_type()));
    }
    // Keyed, as a configuration may hold a salt.
    let digest = Pseudonyms::new("joyfuljay run");
    let columns = format!("columns={:016x}", digest.of(&columns));
    let given = given.iter().map(|(name, text)| format!("{name}={:016x}", digest.of(text)));
    let version = concat!("version=", env!("CARGO_PKG_VERSION")).to_owned();
    [version, columns].into_iter().chain(given).collect::<Vec<_>>().join(" ")
}

/// What differs between the origin of a run and that of the rows that are to come.
pub(super) fn difference(before: &str, now: &str) -> Option<String> {
    if before == now {
        return None;
    }
    let parts = now.split(' ').filter(|part| !before.split(' ').any(|b| b == *part));
    let names: Vec<_> = parts.filter_map(|part| part.split_once('=')).map(|(name, _)| name).collect();
    Some(if names.is_empty() { "origin".to_owned() } else { names.join(", ") })
}

/// A text without zero bytes, which databases have no form for, and how many there were.
pub(super) fn clean(text: &str) -> (Cow<'_, str>, u64) {
    match text.bytes().filter(|b| *b == 0).count() {
        0 => (Cow::Borrowed(text), 0),
        n => (Cow::Owned(text.replace('\0', "\u{fffd}")), n as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let before = origin(&schema, &[("input", "x".into()), ("configuration", "y".into())]);
        assert_eq!(difference(&before, &before), None);
        let other = origin(&schema, &[("input", "z".into()), ("configuration", "y".into())]);
        assert_eq!(difference(&before, &other).as_deref(), Some("input"));
        let wide = Schema::new(vec![Field::new("a", DataType::Float64, true)]);
        let other = origin(&wide, &[("input", "x".into()), ("configuration", "y".into())]);
        assert_eq!(difference(&before, &other).as_deref(), Some("columns"));
    }

    #[test]
    fn unsigned_columns_get_a_type_that_holds_them() {
        let kind = |data_type| Kind::of(&Field::new("a", data_type, true), true).unwrap();
        assert_eq!(kind(DataType::UInt8), Kind::Int16);
        assert_eq!(kind(DataType::UInt16), Kind::Int32);
        assert_eq!(kind(DataType::UInt32), Kind::Int64);
        assert_eq!(kind(DataType::UInt64), Kind::Uint64);
        assert_eq!(clean("a\0b").0, "a\u{fffd}b");
    }
}
