//! What comes with every update of a tracker: settings, counts, the account of memory, and memory to work in.

use super::TrackerSettings;
use crate::stats::StatsDelta;

/// The surroundings of the trackers of one flow table.
#[derive(Debug, Default)]
pub struct Context {
    /// What trackers need to know of the configuration.
    pub settings: TrackerSettings,
    /// Counts: what a tracker finds wrong on the wire goes here.
    pub stats: StatsDelta,
    /// Bytes that the trackers of all flows of the table hold on the heap.
    pub memory: Memory,
    /// Memory to work in, for one call: contents mean nothing, the capacity stays.
    pub scratch: Vec<u8>,
}

impl Context {
    /// The context of an empty table.
    pub fn new(settings: TrackerSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}

/// An account of heap memory. What is allocated for a flow is entered here, so that the sum over all flows is known
/// without asking each of them; a property test holds it against [`super::Tracker::heap_bytes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    heap: usize,
}

impl Memory {
    /// A tracker held `before` bytes and now holds `after`.
    pub fn changed(&mut self, before: usize, after: usize) {
        // Not below zero even if a tracker miscounts: a budget that wraps would evict everything.
        self.heap = (self.heap + after).saturating_sub(before);
    }

    /// Bytes on the heap, as they were asked for.
    pub fn heap_bytes(&self) -> usize {
        self.heap
    }

    /// What the allocator takes for them: an eighth more. Allocators round up to classes of sizes that lie a fifth apart; a million
    /// handshakes of TLS that stall were measured to take a seventh more.
    pub fn taken_bytes(&self) -> usize {
        self.heap + self.heap / 8
    }
}
