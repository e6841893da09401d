//! Rows: Arrow schema and record batches from the selected features.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::config::Config;
use crate::error::ConfigError;
use crate::flow::FlowRef;
use crate::trackers::TrackerMask;

/// The selected columns, validated.
#[derive(Clone, Debug)]
pub struct RowPlan {}

impl RowPlan {
    /// Resolves the selection of a configuration.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self {})
    }

    /// The trackers that the selected columns read.
    pub fn trackers(&self) -> TrackerMask {
        TrackerMask::NONE
    }

    /// The schema of the rows.
    pub fn schema(&self) -> SchemaRef {
        arrow_schema::Schema::empty().into()
    }

    /// One batch of rows for these flows, in their order.
    pub fn build(&self, flows: &[FlowRef<'_>]) -> RecordBatch {
        let _ = flows;
        RecordBatch::new_empty(self.schema())
    }
}
