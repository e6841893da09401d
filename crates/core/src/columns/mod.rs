//! Columns of rows: their types, how a value gets into one, and the vectors that become Arrow arrays.

mod block;
mod column;
mod get;
mod text;

use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

pub use block::Block;
pub use column::Column;
pub use get::{Append, FlowView, Get, Numbers, Texts, Truths};
pub use text::Text;

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dtype {
    F64,
    I64,
    Bool,
    Str,
    /// A point in time: nanoseconds since the Unix epoch, UTC.
    TimestampNs,
    ListF64,
    ListI64,
    ListStr,
}

impl Dtype {
    /// As it is written in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::I64 => "int64",
            Self::Bool => "bool",
            Self::Str => "string",
            Self::TimestampNs => "timestamp[ns, UTC]",
            Self::ListF64 => "list[float64]",
            Self::ListI64 => "list[int64]",
            Self::ListStr => "list[string]",
        }
    }

    /// Every type.
    pub const ALL: [Self; 8] =
        [Self::F64, Self::I64, Self::Bool, Self::Str, Self::TimestampNs, Self::ListF64, Self::ListI64, Self::ListStr];

    /// The type whose Arrow type this is.
    pub fn of(arrow: &DataType) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.arrow() == *arrow)
    }

    /// The Arrow type.
    pub fn arrow(self) -> DataType {
        match self {
            Self::F64 => DataType::Float64,
            Self::I64 => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Str => DataType::Utf8,
            Self::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Self::ListF64 => DataType::List(item(DataType::Float64)),
            Self::ListI64 => DataType::List(item(DataType::Int64)),
            Self::ListStr => DataType::List(item(DataType::Utf8)),
        }
    }
}

/// The field of the elements of a list.
fn item(of: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(of, true))
}

/// Direction of a packet, a feature, or a row of `bidirectional_split`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Initiator to responder.
    Fwd,
    /// Responder to initiator.
    Bwd,
}

impl Direction {
    /// As in names of features and the `direction` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fwd => "fwd",
            Self::Bwd => "bwd",
        }
    }

    /// The direction that the name of a feature has in it.
    pub fn of_name(name: &str) -> Option<Self> {
        let has = |d: Self| name.split('_').any(|part| part == d.name());
        [Self::Fwd, Self::Bwd].into_iter().find(|d| has(*d))
    }
}
