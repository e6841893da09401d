//! Rows passed on as they are, for formats and places that take Arrow: no worker can save them anything.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::{Encoded, Format, RowEncoder, check_rows};
use crate::sink::SinkError;

/// Passes rows on.
#[derive(Clone, Debug, Default)]
pub struct AsIs {
    expected: Option<(Format, SchemaRef)>,
}

impl AsIs {
    /// Passes rows of this schema on and refuses others.
    pub(super) fn checked(format: Format, schema: SchemaRef) -> Self {
        Self { expected: Some((format, schema)) }
    }
}

impl RowEncoder for AsIs {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        if let Some((format, schema)) = &self.expected {
            check_rows(*format, schema, &rows)?;
        }
        Ok(Encoded::Batch(rows))
    }
}
