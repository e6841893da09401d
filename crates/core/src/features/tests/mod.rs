//! What every group is held to, group by group: plain formulas over random flows, and rows worked out by hand.
//!
//! Each group has a file here with its [`Oracle`]; the laws are loops over [`GROUPS`].

mod flows;
mod laws;

use std::collections::BTreeMap;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampNanosecondArray,
};

use super::GROUPS;
use crate::Config;
use crate::flow::{FlowBase, FlowStore};
use crate::packet::Packet;
use crate::rows::{RowPlan, RowScratch};
use crate::trackers::TrackerSettings;
pub(crate) use flows::{Case, P, Recorded, Stat, connection, eventful, talk};

/// The file of each group, which has the group's name.
macro_rules! oracles {
    ($($(#[$built_with:meta])? $group:ident)+) => {
        $($(#[$built_with])? mod $group;)+
        static ORACLES: &[(&str, &Oracle)] = &[$($(#[$built_with])? (stringify!($group), &$group::ORACLE)),+];
    };
}

oracles! {
    flow_meta timing size tcp tls quic ssh dns entropy padding fingerprint connection mac ip_extended ipv6_options icmp tcp_sequence
    tcp_window tcp_options tcp_mptcp tcp_rtt tcp_fingerprint http2 http app tunnel sequences splt timestamps labels
    #[cfg(feature = "ja4plus")] ja4plus
}

/// What a group is held to.
pub(crate) struct Oracle {
    /// Plain formulas over the packets of a flow, written anew: they share no code with trackers or features. A column
    /// of numbers or booleans that is not put is null. Random flows have no bytes.
    pub naive: fn(&Case<'_>, &mut Naive),
    /// Flows with all their columns.
    pub golden: &'static [Golden],
}

/// A flow worked out by hand.
pub(crate) struct Golden {
    /// The packets.
    pub flow: fn() -> Recorded,
    /// Options beside the selection of the group.
    pub options: fn(&mut Config),
    /// A line for each column: name, value. `-` is null, elements of lists are separated by blanks.
    pub row: &'static str,
}

/// The columns that plain formulas give.
#[derive(Default)]
pub(crate) struct Naive(Row);

/// Numbers and booleans of a row; false and true are 0 and 1.
pub(crate) type Row = BTreeMap<String, Option<f64>>;

impl Naive {
    /// A value, or that it is not known.
    pub fn put(&mut self, name: &str, value: impl Into<Option<f64>>) {
        assert!(self.0.insert(name.to_owned(), value.into()).is_none(), "{name} is put twice");
    }

    /// A value that is known under a condition only.
    pub fn put_if(&mut self, known: bool, name: &str, value: f64) {
        self.put(name, known.then_some(value));
    }
}

fn oracle(group: &str) -> &'static Oracle {
    ORACLES.iter().find(|(id, _)| *id == group).unwrap_or_else(|| panic!("{group} has no oracle")).1
}

/// The rows of flows, one for each list of packets.
pub(crate) fn build(config: &Config, flows: &[Recorded]) -> RecordBatch {
    build_with(config, flows, |_| {})
}

/// The same, with other settings of trackers.
pub(crate) fn build_with(
    config: &Config,
    flows: &[Recorded],
    change: impl FnOnce(&mut TrackerSettings),
) -> RecordBatch {
    let plan = RowPlan::new(config).unwrap();
    let mut settings = plan.tracker_settings();
    change(&mut settings);
    let mut store = FlowStore::new(plan.trackers());
    for (at, flow) in flows.iter().enumerate() {
        let first = flow.packets().next().unwrap();
        store.replay(FlowBase::start(&first, at as u64), flow.packets(), &settings);
    }
    let flows: Vec<_> = (0..flows.len()).filter_map(|i| store.get(i)).collect();
    plan.build(&flows, &mut RowScratch::default()).unwrap()
}

/// The row of one flow whose log holds so many packets.
fn row_of(packets: &[P], protocol: u8, config: &Config, log_cap: usize) -> Row {
    let flow: Vec<_> = packets.iter().map(|p| p.info(protocol)).collect();
    numbers(&build_with(config, &[flow.into()], |settings| settings.log_cap = log_cap), 0)
}

fn numbers(batch: &RecordBatch, at: usize) -> Row {
    let mut out = Row::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let any = column.as_any();
        let value = if let Some(c) = any.downcast_ref::<Float64Array>() {
            c.value(at)
        } else if let Some(c) = any.downcast_ref::<Int64Array>() {
            c.value(at) as f64
        } else if let Some(c) = any.downcast_ref::<BooleanArray>() {
            f64::from(u8::from(c.value(at)))
        } else {
            continue;
        };
        out.insert(field.name().clone(), column.is_valid(at).then_some(value));
    }
    out
}

/// A value as text; `-` is null.
pub(crate) fn text(column: &ArrayRef, at: usize) -> String {
    let any = column.as_any();
    if column.is_null(at) {
        "-".into()
    } else if let Some(c) = any.downcast_ref::<Float64Array>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<Int64Array>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<BooleanArray>() {
        c.value(at).to_string()
    } else if let Some(c) = any.downcast_ref::<StringArray>() {
        c.value(at).to_owned()
    } else if let Some(c) = any.downcast_ref::<TimestampNanosecondArray>() {
        c.value(at).to_string()
    } else {
        let list = any.downcast_ref::<ListArray>().unwrap().value(at);
        (0..list.len()).map(|i| text(&list, i)).collect::<Vec<_>>().join(" ")
    }
}

/// A row as texts by name of column.
pub(crate) fn row(batch: &RecordBatch, at: usize) -> BTreeMap<String, String> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|f| f.name().clone());
    names.zip(batch.columns().iter().map(|c| text(c, at))).collect()
}

/// Selects groups.
pub(crate) fn groups(names: &[&str]) -> Config {
    Config { features: names.iter().map(|s| (*s).to_owned()).collect(), ..Config::default() }
}
