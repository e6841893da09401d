//! Blocks of rows.

use crate::flow::FlowRef;

/// Flows whose rows are made together: at most 64 rows, so that a word has a bit for each.
#[derive(Clone, Copy, Debug)]
pub struct Block<'b, 'a> {
    flows: &'b [FlowRef<'a>],
    split: bool,
}

impl<'b, 'a> Block<'b, 'a> {
    /// Rows in a block.
    pub const ROWS: usize = 64;

    /// A block of flows; `split` = two rows for each, forward and backward.
    pub fn new(flows: &'b [FlowRef<'a>], split: bool) -> Self {
        Self { flows, split }
    }

    /// Its flows.
    pub fn flows(&self) -> &'b [FlowRef<'a>] {
        self.flows
    }

    /// Whether each flow has two rows.
    pub fn is_split(&self) -> bool {
        self.split
    }
}
