//! From the ended flows of many partitions to chunks of rows in one order.
//!
//! Order: by the batch in which a flow ended; within a batch, and at the end of the input, by the flow's first packet.
//! Neither depends on how many workers there are.

use crate::flow::{FlowRef, FlowStore, FlowTable};
use crate::frame::TimeNs;
use crate::stats::StatsDelta;

/// Rows of a chunk, unless the sink wants another number; a chunk becomes one record batch and, in Parquet, one row
/// group.
pub const CHUNK_ROWS: usize = 16_384;

/// Most bytes that the flows of a chunk hold on the heap, so that a few thousand long flows do not fill the memory.
const CHUNK_HEAP_BYTES: usize = 32 << 20;

/// Finished flows in the order of their rows.
#[derive(Debug, Default)]
pub struct RowChunk {
    stores: Vec<FlowStore>,
    order: Vec<Entry>,
    heap_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    first_seq: u64,
    store: u32,
    at: u32,
}

impl RowChunk {
    /// The flows.
    pub fn flows(&self) -> Vec<FlowRef<'_>> {
        self.order.iter().filter_map(|e| self.stores.get(e.store as usize)?.get(e.at as usize)).collect()
    }

    /// One of the flows.
    pub fn get(&self, at: usize) -> Option<FlowRef<'_>> {
        let entry = self.order.get(at)?;
        self.stores.get(entry.store as usize)?.get(entry.at as usize)
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn is_full(&self, rows: usize) -> bool {
        self.order.len() >= rows || self.heap_bytes >= CHUNK_HEAP_BYTES
    }

    fn add(&mut self, stores: impl IntoIterator<Item = FlowStore>) {
        let from = self.order.len();
        for flows in stores.into_iter().filter(|s| !s.is_empty()) {
            let store = self.stores.len() as u32;
            for (at, base) in flows.bases().iter().enumerate() {
                self.heap_bytes += flows.heap_bytes(at);
                self.order.push(Entry { first_seq: base.first_seq, store, at: at as u32 });
            }
            self.stores.push(flows);
        }
        if let Some(new) = self.order.get_mut(from..) {
            new.sort_unstable();
        }
    }
}

/// Gathers what batches ended until there is a chunk of it.
#[derive(Debug)]
pub struct Collector {
    pending: RowChunk,
    chunk_rows: usize,
}

impl Collector {
    /// Gathers chunks of so many rows, or of as much memory as a chunk may hold.
    pub fn new(chunk_rows: usize) -> Self {
        Self { pending: RowChunk::default(), chunk_rows }
    }

    /// Adds the flows that ended in one batch, of all partitions.
    pub fn add(&mut self, ended: Vec<FlowStore>) {
        self.pending.add(ended);
    }

    /// A chunk, if there is enough for one.
    pub fn ready(&mut self) -> Option<RowChunk> {
        self.pending.is_full(self.chunk_rows).then(|| std::mem::take(&mut self.pending))
    }

    /// What there is.
    pub fn flush(&mut self) -> Option<RowChunk> {
        (!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending))
    }
}

/// The flows that were open when the input ended, chunk by chunk: they are not copied all at once.
#[derive(Debug)]
pub struct Drain {
    tables: Vec<FlowTable>,
    order: std::vec::IntoIter<Entry>,
    collector: Collector,
    stats: StatsDelta,
}

impl Drain {
    /// Drains the tables of all partitions; `collector` holds what ended before.
    pub fn new(mut tables: Vec<FlowTable>, collector: Collector, now: TimeNs) -> Self {
        let mut order = Vec::with_capacity(tables.iter().map(FlowTable::len).sum());
        for (i, table) in tables.iter_mut().enumerate() {
            let flows = table.drain_order(now).into_iter();
            order.extend(flows.map(|(first_seq, at)| Entry { first_seq, store: i as u32, at }));
        }
        order.sort_unstable();
        Self { tables, order: order.into_iter(), collector, stats: StatsDelta::default() }
    }

    /// What was counted since the last call.
    pub fn take_stats(&mut self) -> StatsDelta {
        std::mem::take(&mut self.stats)
    }
}

impl Iterator for Drain {
    type Item = RowChunk;

    fn next(&mut self) -> Option<RowChunk> {
        let mut chunk = self.collector.flush().unwrap_or_default();
        let mut out: Option<FlowStore> = None;
        let mut room = self.collector.chunk_rows.saturating_sub(chunk.len());
        let mut bytes = chunk.heap_bytes;
        while room > 0 && bytes < CHUNK_HEAP_BYTES {
            let Some(entry) = self.order.next() else { break };
            let Some(table) = self.tables.get_mut(entry.store as usize) else { continue };
            let to = out.get_or_insert_with(|| table.ended_store());
            table.take(entry.at, to);
            bytes += to.heap_bytes(to.len().saturating_sub(1));
            room -= 1;
        }
        for table in &mut self.tables {
            self.stats.add(&table.take_stats());
        }
        chunk.add(out);
        (!chunk.is_empty()).then_some(chunk)
    }
}
