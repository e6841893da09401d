//! What views of flows depend on besides the flow, and the memory that they share.

use std::fmt::Write as _;
use std::sync::Arc;

use super::entropy::Logs;
use super::ja4_lists::Ja4Lists;
use super::leaves::Leaves;
use crate::flow::{FlowBase, FlowRef};
use crate::labels::Labels;
use crate::privacy::{Privacy, Pseudonyms};
use crate::trackers::{GapSummary, LengthSummary, LogScratch, TrackerSettings};

/// Settings of a run that the values of rows depend on.
#[derive(Clone, Debug)]
pub struct RowSettings {
    /// The settings that trackers ran with.
    pub trackers: TrackerSettings,
    /// The secret that pseudonyms and flow ids are made with, if any.
    pub secret: Option<Pseudonyms>,
    /// Classes of columns whose text is replaced by pseudonyms.
    pub replaced: Vec<Privacy>,
    /// What is known of flows from elsewhere.
    pub labels: Option<Arc<Labels>>,
}

/// Memory that views use, reused from flow to flow, and the summaries that several groups read: each is made once for
/// a flow, by the first group that asks.
#[derive(Debug, Default)]
pub struct Scratch {
    log: LogScratch,
    logs: Logs,
    leaves: Leaves,
    ja4_lists: Ja4Lists,
    text: String,
    /// The flow of the block that a view is made of.
    at: usize,
    /// By the flow's place in the block.
    gaps: Vec<Option<GapSummary>>,
    lengths: Vec<Option<LengthSummary>>,
}

impl Scratch {
    /// Inter-arrival times, bursts and idle times of the flow; none without a log.
    pub fn gaps(&mut self, flow: &FlowRef<'_>, settings: &RowSettings) -> Option<GapSummary> {
        let log = flow.log()?;
        once(&mut self.gaps, self.at, || log.gaps(&mut self.log, &settings.trackers))
    }

    /// Quantiles and mode of the IP lengths of the flow; none without a log.
    pub fn lengths(&mut self, flow: &FlowRef<'_>) -> Option<LengthSummary> {
        let log = flow.log()?;
        once(&mut self.lengths, self.at, || log.lengths(&mut self.log))
    }

    /// Memory for [`crate::trackers::PacketLog`].
    pub fn log(&mut self) -> &mut LogScratch {
        &mut self.log
    }

    /// Logarithms for entropies.
    pub(super) fn logs(&mut self) -> &mut Logs {
        &mut self.logs
    }

    /// Certificates that were read.
    pub(super) fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// Lists of JA4 that were made.
    pub(super) fn ja4_lists(&self) -> &Ja4Lists {
        &self.ja4_lists
    }

    /// Forgets the flows of the block before.
    pub(crate) fn start_block(&mut self) {
        self.gaps.clear();
        self.lengths.clear();
    }

    /// The memory for a view of this flow of the block.
    pub(super) fn of_flow(&mut self, at: usize) -> &mut Self {
        self.at = at;
        self
    }
}

fn once<T: Copy>(made: &mut Vec<Option<T>>, at: usize, make: impl FnOnce() -> T) -> Option<T> {
    if made.len() <= at {
        made.resize(at + 1, None);
    }
    let place = made.get_mut(at)?;
    Some(*place.get_or_insert_with(make))
}

impl RowSettings {
    /// The pseudonyms that replace the text of a column of this class, if they do.
    pub(super) fn pseudonyms_for(&self, class: Privacy) -> Option<&Pseudonyms> {
        self.secret.as_ref().filter(|_| self.replaced.contains(&class))
    }

    /// A flow's identifier: the same in every run, whatever else is in the capture.
    ///
    /// Under a secret where there is one, since addresses could be found by trying all of them otherwise.
    pub fn flow_id(&self, base: &FlowBase, scratch: &mut Scratch) -> u64 {
        let Some(secret) = &self.secret else {
            return base.key.keyed_hash([0x4528_21e6_38d0_1377 ^ base.first_ts as u64, 0xbe54_66cf_34e9_0c6c]);
        };
        let key = &base.key;
        let scope = key.scope();
        scratch.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            scratch.text,
            "flow {} {} {:?} {:?} {} {} {} {} {}",
            key.addr(true),
            key.addr(false),
            key.port(true),
            key.port(false),
            key.protocol,
            scope.vlan,
            scope.tunnel_kind,
            scope.tunnel_id,
            base.first_ts,
        );
        secret.of(&scratch.text)
    }
}
