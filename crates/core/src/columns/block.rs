//! Blocks of rows.

use super::Direction;
use crate::flow::FlowRef;

/// Flows whose rows are made together: at most 64 rows, so that a word has a bit for each.
#[derive(Clone, Copy, Debug)]
pub struct Block<'b, 'a> {
    flows: &'b [FlowRef<'a>],
    len: usize,
    split: bool,
}

impl<'b, 'a> Block<'b, 'a> {
    /// Rows in a block.
    pub const ROWS: usize = 64;

    /// A block of flows; `split` = two rows for each, forward and backward.
    pub fn new(flows: &'b [FlowRef<'a>], split: bool) -> Self {
        Self { flows, len: flows.len(), split }
    }

    /// A block of so many flows that are gone, for columns whose views are made of something else.
    pub fn of_len(len: usize, split: bool) -> Self {
        Self { flows: &[], len, split }
    }

    /// Its flows.
    pub fn flows(&self) -> &'b [FlowRef<'a>] {
        self.flows
    }

    pub(super) fn rows(&self) -> usize {
        self.len << u32::from(self.split)
    }

    /// Rows of each flow.
    pub(super) fn copies(&self) -> usize {
        1 + usize::from(self.split)
    }

    /// The rows that a feature of this direction has values in.
    pub(super) fn kept(&self, direction: Option<Direction>) -> u64 {
        match direction.filter(|_| self.split) {
            None => u64::MAX,
            Some(Direction::Fwd) => 0x5555_5555_5555_5555,
            Some(Direction::Bwd) => 0xaaaa_aaaa_aaaa_aaaa,
        }
    }
}
