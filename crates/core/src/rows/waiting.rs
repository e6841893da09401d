//! Rows that wait for the end of the input: without the columns of the group `connection`, which come last.
//!
//! What waits has one column more, the number of each flow's line in the graph.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::{PlannedGroup, RowPlan, RowScratch};
use crate::analysis::graph::Graph;
use crate::columns::{Block, Column};
use crate::engine::RowChunk;
use crate::features::connection::{GROUP, ID, View};

impl RowPlan {
    /// The plan of the rows that wait.
    #[must_use]
    pub fn waiting(&self) -> WaitingPlan {
        let mut plan = self.clone();
        plan.features.retain(|f| f.group != ID);
        plan.groups.retain(|g| g.group.id() != ID);
        for group in &mut plan.groups {
            *group = PlannedGroup::new(group.group, &plan.features).unwrap_or_else(|| group.clone());
        }
        plan.schema = super::schema(&plan.features, plan.flow_id, plan.split);
        let line = Arc::new(Field::new(LINE, DataType::UInt32, true));
        let fields = plan.schema.fields().iter().cloned().chain([line]);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        WaitingPlan { plan, schema }
    }

    /// The rows that have waited, whole; where there is no graph, the columns that come last are null.
    pub fn complete(&self, waited: &RecordBatch, graph: Option<&Graph>) -> Result<RecordBatch, ArrowError> {
        let mut rest = waited.columns().iter().cloned();
        let lines = waited.columns().last().and_then(|c| c.as_any().downcast_ref::<UInt32Array>());
        let lines = lines.ok_or_else(|| ArrowError::SchemaError("rows that waited have no numbers of lines".into()))?;
        let wanted: Vec<_> = self.groups.iter().filter(|g| g.group.id() == ID).flat_map(|g| &g.wanted).collect();
        let mut columns: Vec<(usize, Column)> = Vec::with_capacity(wanted.len());
        for (_, at) in &wanted {
            let info = self.features.get(*at);
            columns.extend(info.map(|f| (*at, Column::new(f.dtype, lines.len()))));
        }
        let copies = 1 + usize::from(self.split);
        let flows: Vec<_> = (0..lines.len()).step_by(copies).collect();
        for flows in flows.chunks(Block::ROWS / copies) {
            let values = flows.iter().map(|row| graph?.values(lines.is_valid(*row).then(|| lines.value(*row))?));
            let values: Vec<_> = values.collect();
            let views: Vec<_> = values.iter().map(|v| View(v.as_ref())).collect();
            for ((feature, _), (_, column)) in wanted.iter().zip(&mut columns) {
                if let Some(feature) = GROUP.features.get(*feature) {
                    if self.split {
                        column.append_halves(&views, GROUP.halves(feature), None);
                    } else {
                        column.append(&views, 0, &feature.get, None);
                    }
                }
            }
        }
        let mut columns: Vec<(usize, ArrayRef)> =
            columns.into_iter().map(|(at, c)| Ok((at, c.finish(self.missing)?))).collect::<Result<_, ArrowError>>()?;
        columns.sort_by_key(|(at, _)| *at);
        let mut columns = columns.into_iter().peekable();
        let own = self.schema.fields().len() - self.features.len();
        let mut arrays: Vec<ArrayRef> = rest.by_ref().take(own).collect();
        for at in 0..self.features.len() {
            arrays.extend(match columns.next_if(|(c, _)| *c == at) {
                Some((_, column)) => Some(column),
                None => rest.next(),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
    }
}

/// The column that is last while rows wait.
const LINE: &str = "line";

/// The columns of rows that wait.
#[derive(Clone, Debug)]
pub struct WaitingPlan {
    plan: RowPlan,
    schema: Arc<Schema>,
}

impl WaitingPlan {
    /// The schema of what waits.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.schema)
    }

    /// As [`RowPlan::build_observed`].
    pub fn build_observed(
        &self,
        chunk: &RowChunk,
        scratch: &mut RowScratch,
        ready: &mut dyn FnMut(&'static str),
    ) -> Result<RecordBatch, ArrowError> {
        let rows = self.plan.build_observed(&chunk.flows(), scratch, ready)?;
        let copies = 1 + usize::from(self.plan.split);
        let lines: UInt32Array = chunk.lines().flat_map(|line| std::iter::repeat_n(line, copies)).collect();
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(lines));
        RecordBatch::try_new(self.schema(), columns)
    }
}
