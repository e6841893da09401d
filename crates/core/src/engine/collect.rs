//! From the ended flows of many partitions to chunks of rows in one order.
//!
//! Order: by the batch in which a flow ended; within a batch, and at the end of the input, by the flow's first packet.
//! Neither depends on how many workers there are.

use std::hint::black_box;

use crate::analysis::connections::{Counting, Tag};
use crate::flow::{FlowRef, FlowStore, FlowTable};
use crate::frame::TimeNs;
use crate::stats::StatsDelta;
use crate::trackers::TrackerMask;

/// Rows of a chunk, unless the sink wants another number; a chunk becomes one record batch and, in Parquet, one row
/// group.
pub const CHUNK_ROWS: usize = 16_384;

/// Most bytes that the flows of a chunk hold on the heap, so that a few thousand long flows do not fill the memory.
const CHUNK_HEAP_BYTES: usize = 32 << 20;

/// Flows of the end whose memory is loaded before they are moved out.
const LOOK_AHEAD: usize = 32;

/// Finished flows in the order of their rows: those of a chunk, or the next ones of a chunk that grows.
#[derive(Debug, Default)]
pub struct RowChunk {
    /// What was handed on of the same chunk before.
    before: Size,
    stores: Vec<FlowStore>,
    order: Vec<Entry>,
    /// What the graph of connections gave each flow, if there is one.
    tags: Vec<Tag>,
    /// What the flows hold on the heap, those included that were let go.
    heap_bytes: usize,
    /// Flows from the first one on whose rows were made while the chunk grew.
    made: usize,
    /// Stores from the first one on of which nothing is needed any more.
    freed: usize,
}

/// How many flows, and what they hold on the heap.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    flows: usize,
    heap_bytes: usize,
}

/// Flows of a chunk that it does not show.
#[derive(Debug, Default)]
pub struct OtherFlows {
    order: Vec<Entry>,
    tags: Vec<Tag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    first_seq: u64,
    store: u32,
    at: u32,
}

impl RowChunk {
    /// The flows, but for those whose rows were made already.
    pub fn flows(&self) -> Vec<FlowRef<'_>> {
        self.next_flows(1)
    }

    /// The next flows whose rows can be made, in multiples of so many. [`RowChunk::let_go`] gives their memory back.
    pub fn next_flows(&self, multiple: usize) -> Vec<FlowRef<'_>> {
        let waiting = self.order.len() - self.made;
        let until = self.made + (waiting - waiting % multiple.max(1));
        (self.made..until).filter_map(|at| self.get(at)).collect()
    }

    /// Adds the next flows of the same chunk.
    pub fn append(&mut self, next: RowChunk) {
        let offset = self.stores.len() as u32;
        self.order.extend(next.order.into_iter().map(|entry| Entry { store: entry.store + offset, ..entry }));
        self.stores.extend(next.stores);
        self.tags.extend(next.tags);
        self.heap_bytes += next.heap_bytes;
    }

    /// What part of a full chunk of so many rows these flows are.
    pub fn share_of_chunk(&self, rows: usize) -> f64 {
        let size = Size { flows: self.order.len(), heap_bytes: self.heap_bytes };
        size.share_of_chunk(rows)
    }

    /// The rows of the next flows, so many, were made: the stores that only they lie in are given back.
    pub fn let_go(&mut self, flows: usize) -> impl Iterator<Item = FlowStore> {
        self.made += flows;
        let left = self.order.get(self.made..).unwrap_or_default();
        // Numbers of stores rise from batch to batch, and less than a batch is left.
        let needed = left.iter().map(|entry| entry.store as usize).min().unwrap_or(self.stores.len());
        let from = self.freed;
        self.freed = from.max(needed);
        let spent = self.stores.iter_mut().take(needed).skip(from);
        spent.map(|store| std::mem::replace(store, FlowStore::new(TrackerMask::NONE)))
    }

    /// The stores of the flows that are left, when all rows were made.
    pub fn into_stores(self) -> impl Iterator<Item = FlowStore> {
        self.stores.into_iter().skip(self.freed)
    }

    /// One of the flows.
    pub fn get(&self, at: usize) -> Option<FlowRef<'_>> {
        let entry = self.order.get(at)?;
        let mut flow = self.stores.get(entry.store as usize)?.get(entry.at as usize)?;
        if let Some(Tag::Values(values)) = self.tags.get(at) {
            flow.connection = Some(values);
        }
        Some(flow)
    }

    /// Takes the flows at the marked places out of the chunk, to be shown by [`RowChunk::turn_to`] instead of the others.
    pub fn take_where(&mut self, marked: &[bool]) -> OtherFlows {
        let is_marked = |at: usize| marked.get(at).copied().unwrap_or(false);
        let mut other = OtherFlows::default();
        let (order, tags) = (std::mem::take(&mut self.order), std::mem::take(&mut self.tags));
        for (at, entry) in order.into_iter().enumerate() {
            let (to, to_tags) = match is_marked(at) {
                true => (&mut other.order, &mut other.tags),
                false => (&mut self.order, &mut self.tags),
            };
            to.push(entry);
            // There are as many as flows, or none.
            to_tags.extend(tags.get(at).copied());
        }
        other
    }

    /// Shows the flows that were taken out, and no longer those that were left.
    pub fn turn_to(&mut self, other: OtherFlows) {
        (self.order, self.tags) = (other.order, other.tags);
    }

    /// The numbers of the flows' lines in the graph of connections, for values that are known when the input has ended.
    pub fn lines(&self) -> impl Iterator<Item = Option<u32>> {
        (0..self.order.len()).map(|at| match self.tags.get(at) {
            Some(Tag::Line(line)) => Some(*line),
            _ => None,
        })
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The size of the chunk up to here.
    fn size(&self) -> Size {
        let Size { flows, heap_bytes } = self.before;
        Size { flows: flows + self.order.len(), heap_bytes: heap_bytes + self.heap_bytes }
    }

    /// Adds flows; they lie behind the place that is given back.
    fn add(&mut self, stores: impl IntoIterator<Item = FlowStore>) -> usize {
        let from = self.order.len();
        for flows in stores.into_iter().filter(|s| !s.is_empty()) {
            let store = self.stores.len() as u32;
            self.heap_bytes += flows.moved_bytes();
            for (at, base) in flows.bases().iter().enumerate() {
                self.order.push(Entry { first_seq: base.first_seq, store, at: at as u32 });
            }
            self.stores.push(flows);
        }
        if let Some(new) = self.order.get_mut(from..) {
            new.sort_unstable();
        }
        from
    }

    /// Counts the flows from this place on into the graph.
    fn count(&mut self, from: usize, counting: &mut Counting) {
        let new = self.order.get(from..).unwrap_or_default();
        let bases = new.iter().filter_map(|e| self.stores.get(e.store as usize)?.base(e.at as usize));
        counting.add(bases, &mut self.tags);
    }
}

impl Size {
    fn share_of_chunk(self, rows: usize) -> f64 {
        let of_rows = self.flows as f64 / rows.max(1) as f64;
        of_rows.max(self.heap_bytes as f64 / CHUNK_HEAP_BYTES as f64)
    }
}

/// Gathers what batches ended until there is a chunk of it.
#[derive(Debug)]
pub struct Collector {
    pending: RowChunk,
    chunk_rows: usize,
    counting: Option<Counting>,
}

impl Collector {
    /// Gathers chunks of so many rows, or of as much memory as a chunk may hold.
    pub fn new(chunk_rows: usize) -> Self {
        Self { pending: RowChunk::default(), chunk_rows, counting: None }
    }

    /// Counts all flows into a graph, too.
    #[must_use]
    pub fn counting(self, counting: Option<Counting>) -> Self {
        Self { counting, ..self }
    }

    /// Adds the flows that ended in one batch, of all partitions; their tables have grown by so many bytes.
    pub fn add(&mut self, ended: impl IntoIterator<Item = FlowStore>, table_bytes: i64) {
        let from = self.pending.add(ended);
        if let Some(counting) = &mut self.counting {
            self.pending.count(from, counting);
            counting.tables_grew(table_bytes);
        }
    }

    /// The next flows of the chunk that grows, if they are at least this share of a full one: whoever takes them can make their rows
    /// while they are in the cache still. The last ones of the chunk, which may be none, come by [`Collector::ready`] or
    /// [`Collector::flush`].
    pub fn piece(&mut self, least: f64) -> Option<RowChunk> {
        let enough = !self.pending.is_empty() && self.pending.share_of_chunk(self.chunk_rows) >= least;
        let rest = RowChunk { before: self.pending.size(), ..RowChunk::default() };
        enough.then(|| std::mem::replace(&mut self.pending, rest))
    }

    /// How often there was no memory for the graph since the last call.
    pub fn take_shortages(&mut self) -> u64 {
        self.counting.as_mut().map_or(0, Counting::take_shortages)
    }

    /// A chunk, if there is enough for one.
    pub fn ready(&mut self) -> Option<RowChunk> {
        let full = self.pending.size().share_of_chunk(self.chunk_rows) >= 1.0;
        full.then(|| std::mem::take(&mut self.pending))
    }

    /// What there is.
    pub fn flush(&mut self) -> Option<RowChunk> {
        (self.pending.size().flows > 0).then(|| std::mem::take(&mut self.pending))
    }
}

/// The flows that were open when the input ended, chunk by chunk: they are not copied all at once.
#[derive(Debug)]
pub struct Drain {
    tables: Vec<FlowTable>,
    order: std::vec::IntoIter<Entry>,
    /// Where a window is open, the tags of these flows: the ones that ended first come first, whatever chunk they are in.
    tags: Option<std::vec::IntoIter<Tag>>,
    collector: Collector,
    /// What was handed on of the chunk that is not whole.
    before: Size,
    stats: StatsDelta,
}

impl Drain {
    /// Drains the tables of all partitions; `collector` holds what ended before.
    pub fn new(mut tables: Vec<FlowTable>, mut collector: Collector, now: TimeNs) -> Self {
        let mut order = Vec::with_capacity(tables.iter().map(FlowTable::len).sum());
        for (i, table) in tables.iter_mut().enumerate() {
            table.close();
            let flows = table.drain_order(now).into_iter();
            order.extend(flows.map(|(first_seq, at)| Entry { first_seq, store: i as u32, at }));
        }
        order.sort_unstable();
        let counting = collector.counting.as_mut().filter(|counting| !counting.waits());
        let tags = counting.map(|counting| {
            let mut tags = Vec::with_capacity(order.len());
            let bases = order.iter().filter_map(|e| tables.get(e.store as usize)?.base(e.at));
            counting.add(bases, &mut tags);
            tags.into_iter()
        });
        Self {
            tables,
            order: order.into_iter(),
            tags,
            collector,
            before: Size::default(),
            stats: StatsDelta::default(),
        }
    }

    /// The graph that all flows were counted into, when they have been taken.
    pub fn into_counting(self) -> Option<Counting> {
        self.collector.counting
    }

    /// What was counted since the last call.
    pub fn take_stats(&mut self) -> StatsDelta {
        self.stats.graph_shortages += self.collector.take_shortages();
        std::mem::take(&mut self.stats)
    }
}

impl Drain {
    /// Loads what moving out the next flows will need: their misses overlap.
    fn touch_next(&self) {
        let next = self.order.as_slice().iter().take(LOOK_AHEAD);
        let touch = |entry: &Entry| self.tables.get(entry.store as usize).map_or(0, |table| table.touch_open(entry.at));
        black_box(next.fold(0, |sum, entry| sum ^ touch(entry)));
    }

    /// The next flows of a chunk, some so many at most, and whether they are its last: who makes their rows need not wait for all of it.
    pub fn piece(&mut self, most: usize) -> Option<(RowChunk, bool)> {
        let begun = || RowChunk { before: self.before, ..RowChunk::default() };
        let mut chunk = self.collector.flush().unwrap_or_else(begun);
        let mut out: Option<FlowStore> = None;
        let Size { flows, heap_bytes: mut bytes } = chunk.size();
        let mut room = self.collector.chunk_rows.saturating_sub(flows);
        let expected = room.min(most).min(self.order.as_slice().len()).min(CHUNK_ROWS);
        for taken in 0..most.max(1) {
            if room == 0 || bytes >= CHUNK_HEAP_BYTES {
                break;
            }
            if taken.is_multiple_of(LOOK_AHEAD) {
                self.touch_next();
            }
            let Some(entry) = self.order.next() else { break };
            let Some(table) = self.tables.get_mut(entry.store as usize) else { continue };
            // Columns that grow step by step are copied again and again.
            let to = out.get_or_insert_with(|| table.ended_store().with_room(expected));
            let before = to.moved_bytes();
            table.take(entry.at, to);
            bytes += to.moved_bytes() - before;
            room -= 1;
        }
        let mut table_bytes = 0;
        for table in &mut self.tables {
            let stats = table.take_stats();
            table_bytes += stats.table_bytes;
            self.stats.add(&stats);
        }
        let from = chunk.add(out);
        match (&mut self.tags, &mut self.collector.counting) {
            (Some(tags), _) => {
                let taken = chunk.order.len() - from;
                chunk.tags.extend(tags.take(taken));
            }
            (None, Some(counting)) => {
                chunk.count(from, counting);
                counting.tables_grew(table_bytes);
            }
            (None, None) => {}
        }
        let size = chunk.size();
        let ended = room == 0 || bytes >= CHUNK_HEAP_BYTES || self.order.as_slice().is_empty();
        self.before = if ended { Size::default() } else { size };
        (size.flows > 0).then_some((chunk, ended))
    }
}

impl Iterator for Drain {
    type Item = RowChunk;

    fn next(&mut self) -> Option<RowChunk> {
        self.piece(usize::MAX).map(|(chunk, _)| chunk)
    }
}
