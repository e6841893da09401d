//! Rows: Arrow schema and record batches from the selected features.
//!
//! With `bidirectional_split` a flow has two rows, told apart by the column `direction`: `fwd` is what the initiator sent, `bwd` what
//! the responder sent. End points and counts are the direction's own, quantities of the whole flow are null, so that a sum over
//! rows is the sum over flows; what says which flow it is stands in both ([`Split`](crate::features::Split)).

mod selection;
mod waiting;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

pub use crate::features::Scratch as RowScratch;
pub use selection::PROFILE_NAMES;
use selection::PartialInput;
pub use waiting::WaitingPlan;

use crate::analysis::connections::ConnectionSettings;
use crate::columns::{Block, Column, Direction, Dtype};
use crate::config::{Config, Missing};
use crate::error::ConfigError;
use crate::features::{
    AnyGroup, DIRECTION, FLOW_ID, FeatureInfo, GROUPS, JA4PLUS, Need, OWN_COLUMNS, RowSettings, connection, labels,
};
use crate::flow::FlowRef;
use crate::labels::Labels;
use crate::privacy::{Privacy, Pseudonyms};
use crate::trackers::{AppWants, TrackerMask, TrackerSettings};

/// The selected columns, validated.
#[derive(Clone, Debug)]
pub struct RowPlan {
    features: Vec<FeatureInfo>,
    groups: Vec<PlannedGroup>,
    schema: SchemaRef,
    settings: RowSettings,
    flow_id: bool,
    split: bool,
    missing: Missing,
    connections: Option<ConnectionSettings>,
    notes: Vec<String>,
}

/// A group and its wanted features: their index in the group and that of their column.
#[derive(Clone)]
struct PlannedGroup {
    group: &'static dyn AnyGroup,
    wanted: Vec<(usize, usize)>,
}

impl RowPlan {
    /// Validates a configuration and resolves its selection, for runs over files.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Self::of(config, selection::select(config)?, Vec::new())
    }

    /// The same for runs over streams, whose rows cannot wait for an end: without `connection_window`, `all` leaves the group
    /// `connection` out, with a note.
    ///
    /// # Errors
    /// As [`RowPlan::new`]; and where that group was named, without a window.
    pub fn for_stream(config: &Config) -> Result<Self, ConfigError> {
        let (features, note) = selection::select_for(PartialInput::Stream, config)?;
        Self::of(config, features, note.into_iter().collect())
    }

    /// The plan for a slice of an input: the group `connection` cannot be had, whether or not it has a window.
    ///
    /// # Errors
    /// As for a stream.
    pub fn for_slice(config: &Config) -> Result<Self, ConfigError> {
        let (features, note) = selection::select_for(PartialInput::Slice, config)?;
        Self::of(config, features, note.into_iter().collect())
    }

    /// The plan for several inputs that are kept apart: the group `connection` cannot be had, whether or not it has a window.
    ///
    /// # Errors
    /// As for a stream.
    pub fn for_separate(config: &Config) -> Result<Self, ConfigError> {
        let (features, note) = selection::select_for(PartialInput::Separate, config)?;
        Self::of(config, features, note.into_iter().collect())
    }

    fn of(config: &Config, features: Vec<FeatureInfo>, more_notes: Vec<String>) -> Result<Self, ConfigError> {
        let groups: Vec<_> = GROUPS.iter().filter_map(|&g| PlannedGroup::new(g, &features)).collect();
        let needs = || groups.iter().flat_map(|g| g.group.needs());
        let sequences = needs().any(|need| *need == Need::Sequences);
        let app = needs().fold(AppWants::NONE, |all, need| match need {
            Need::App(wants) => all.union(*wants),
            Need::Sequences => all,
        });
        let settings = RowSettings {
            trackers: TrackerSettings {
                app,
                burst_threshold_ns: (config.burst_threshold_ms * 1e6).round() as i64,
                sequence_len: if sequences { config.max_sequence_length as usize } else { 0 },
                sample_bytes: config.entropy_sample_bytes as usize,
                ..TrackerSettings::default()
            },
            secret: config.anonymization_salt.as_deref().filter(|s| !s.is_empty()).map(Pseudonyms::new),
            replaced: Privacy::ALL.into_iter().filter(|class| class.is_replaced(config)).collect(),
            labels: None,
        };
        let mut notes = notes(config, &features);
        notes.extend(more_notes);
        let of_graph = features.iter().any(|f| f.group == connection::ID);
        let connections = of_graph.then(|| ConnectionSettings::new(config));
        let (flow_id, split) = (config.include_flow_id, config.bidirectional_split);
        let schema = schema(&features, flow_id, split);
        Ok(Self { features, groups, schema, settings, flow_id, split, missing: config.missing, connections, notes })
    }

    /// Takes the labels of flows, for the column `label`: what is in the file of the key `labels` is for the caller to read.
    #[must_use]
    pub fn with_labels(mut self, labels: Option<Arc<Labels>>) -> Self {
        self.settings.labels = labels;
        self
    }

    /// The labels that it was given.
    pub fn labels(&self) -> Option<Arc<Labels>> {
        self.settings.labels.clone()
    }

    /// The trackers that the selected columns read.
    pub fn trackers(&self) -> TrackerMask {
        self.groups.iter().fold(TrackerMask::NONE, |m, g| m.union(g.group.uses()))
    }

    /// The settings that these trackers must run with.
    pub fn tracker_settings(&self) -> TrackerSettings {
        self.settings.trackers
    }

    /// How the graph of connections is made, where a selected column is about it.
    pub fn connections(&self) -> Option<ConnectionSettings> {
        self.connections
    }

    /// What the user should know before a run: options without effect, and what stays in clear although addresses do not.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Names of the groups that have a selected feature.
    pub fn groups(&self) -> impl Iterator<Item = &'static str> {
        self.groups.iter().map(|g| g.group.id())
    }

    /// The selected features, in the order of columns (which `flow_id` and `direction` may precede).
    pub fn features(&self) -> &[FeatureInfo] {
        &self.features
    }

    /// Names of the columns of numbers and truth values that never have a null, whatever the packets are.
    pub fn never_null(&self) -> impl Iterator<Item = &'static str> {
        let zeros = self.missing == Missing::Zero;
        let plain = |d: Dtype| matches!(d, Dtype::F64 | Dtype::I64 | Dtype::Bool);
        let always = move |f: &&FeatureInfo| zeros || if self.split { f.always_in_rows } else { f.always };
        self.features.iter().filter(move |f| plain(f.dtype)).filter(always).map(|f| f.name)
    }

    /// The schema of the rows. Each field has metadata: what [`FeatureInfo::described`] says and the field itself does not.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// One batch of rows for these flows, in their order. Fails only where a column of strings or lists would exceed
    /// 2 GiB.
    pub fn build(&self, flows: &[FlowRef<'_>], scratch: &mut RowScratch) -> Result<RecordBatch, ArrowError> {
        self.build_observed(flows, scratch, &mut |_| {})
    }

    /// As [`RowPlan::build`], for callers who keep time: `ready` is called with a group's name whenever its features of
    /// a block of flows are made, at most once for every [`Block::ROWS`] rows and group.
    pub fn build_observed(
        &self,
        flows: &[FlowRef<'_>],
        scratch: &mut RowScratch,
        ready: &mut dyn FnMut(&'static str),
    ) -> Result<RecordBatch, ArrowError> {
        let mut rows = self.begin(flows.len());
        rows.add(self, flows, scratch, ready);
        rows.finish(self)
    }

    /// Rows that are made of flows as they come, for so many of them.
    pub fn begin(&self, flows: usize) -> GrowingRows {
        let rows = flows << u32::from(self.split);
        let columns = self.features.iter().map(|f| Column::new(f.dtype, rows)).collect();
        GrowingRows { columns, ids: Vec::new(), flows: 0 }
    }

    /// Flows whose rows are made together: all but the last flows of [`GrowingRows`] come in multiples of it.
    pub fn block_flows(&self) -> usize {
        Block::ROWS >> u32::from(self.split)
    }
}

/// Columns of rows that have not all come.
#[derive(Debug)]
pub struct GrowingRows {
    columns: Vec<Column>,
    /// Identifiers of the flows, where there is a column of them.
    ids: Vec<u64>,
    flows: usize,
}

impl GrowingRows {
    /// Adds the rows of some flows, by the plan that began them. All but the last flows come in multiples of
    /// [`RowPlan::block_flows`]. For `ready`, see [`RowPlan::build_observed`].
    pub fn add(
        &mut self,
        plan: &RowPlan,
        flows: &[FlowRef<'_>],
        scratch: &mut RowScratch,
        ready: &mut dyn FnMut(&'static str),
    ) {
        for flows in flows.chunks(plan.block_flows()) {
            // Their misses overlap: flows ended long after their last packet, and maybe on another thread.
            black_box(flows.iter().fold(0, |sum, flow| sum ^ flow.touch()));
            let block = Block::new(flows, plan.split);
            scratch.start_block();
            for g in &plan.groups {
                g.group.fill(&block, &g.wanted, &mut self.columns, scratch, &plan.settings);
                ready(g.group.id());
            }
        }
        if plan.flow_id {
            self.ids.extend(flows.iter().map(|flow| plan.settings.flow_id(flow.base, scratch)));
        }
        self.flows += flows.len();
    }

    /// How many flows they are of.
    pub fn flows(&self) -> usize {
        self.flows
    }

    /// The batch of them. Fails only where a column of strings or lists would exceed 2 GiB.
    pub fn finish(self, plan: &RowPlan) -> Result<RecordBatch, ArrowError> {
        let copies = 1 + usize::from(plan.split);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(plan.schema.fields().len());
        if plan.flow_id {
            let copied = |id: u64| std::iter::repeat_n(format!("{id:016x}"), copies);
            arrays.push(Arc::new(StringArray::from_iter_values(self.ids.into_iter().flat_map(copied))));
        }
        if plan.split {
            let both = [Direction::Fwd, Direction::Bwd].map(Direction::name);
            arrays.push(Arc::new(StringArray::from_iter_values((0..self.flows).flat_map(|_| both))));
        }
        for column in self.columns {
            arrays.push(column.finish(plan.missing)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.flows * copies));
        RecordBatch::try_new_with_options(plan.schema(), arrays, &options)
    }
}

impl PlannedGroup {
    fn new(group: &'static dyn AnyGroup, selected: &[FeatureInfo]) -> Option<Self> {
        let column = |f: &FeatureInfo| selected.iter().position(|s| s.name == f.name);
        let wanted: Vec<_> = group.features().iter().enumerate().filter_map(|(i, f)| Some((i, column(f)?))).collect();
        (!wanted.is_empty()).then_some(Self { group, wanted })
    }
}

impl std::fmt::Debug for PlannedGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedGroup").field("group", &self.group.id()).field("wanted", &self.wanted).finish()
    }
}

fn notes(config: &Config, features: &[FeatureInfo]) -> Vec<String> {
    let mut notes = config.notes();
    let would_go = |f: &&FeatureInfo| f.privacy.replaced_by().contains(&"anonymize") && !f.privacy.is_replaced(config);
    let clear: Vec<_> = features.iter().filter(would_go).map(|f| f.name).collect();
    if config.anonymize_ips && !clear.is_empty() {
        let names = clear.join(", ");
        notes.push(format!(
            "anonymize_ips replaces IP addresses only; in clear stay {names} (anonymize replaces them too)"
        ));
    }
    if config.labels.is_none() && features.iter().any(|f| f.group == labels::ID) {
        notes.push("label is null: no file says what it is (labels; on the command line: --labels FILE)".to_owned());
    }
    if features.iter().any(|f| f.group == JA4PLUS.0) {
        notes.push("JA4+ is under the FoxIO License 1.1: for non-commercial purposes only (see NOTICE)".to_owned());
    }
    notes
}

fn schema(features: &[FeatureInfo], flow_id: bool, split: bool) -> SchemaRef {
    let mut fields = Vec::with_capacity(features.len() + OWN_COLUMNS.len());
    for (own, wanted) in [(FLOW_ID, flow_id), (DIRECTION, split)] {
        if wanted {
            let meta = [("description", own.doc), ("privacy", "public")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            fields.push(Field::new(own.name, DataType::Utf8, false).with_metadata(HashMap::from(meta)));
        }
    }
    for f in features {
        let said = f.described().into_iter().filter(|(key, text)| !matches!(*key, "name" | "type") && !text.is_empty());
        let meta: HashMap<_, _> = said.map(|(key, text)| (key.to_owned(), text.into_owned())).collect();
        fields.push(Field::new(f.name, f.dtype.arrow(), true).with_metadata(meta));
    }
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests;
