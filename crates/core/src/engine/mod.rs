//! The engine: batches of frames go in, chunks of finished flows come out in one fixed order.
//!
//! Work is split into a fixed number of partitions by a hash of the flow that is the same in every run. [`Front`]
//! decodes and shares out, one [`FlowTable`] per partition tracks, [`Collector`] puts what the partitions ended back
//! into one order. [`Engine`] is the second and third on one thread; a threaded driver runs the same side by side and,
//! as no partition sees another's packets, gets the same flows in the same order.

mod collect;
mod front;

pub use collect::{CHUNK_ROWS, Collector, Drain, OtherFlows, RowChunk};
pub use front::{Front, PacketBatch};

use crate::analysis::connections::{ConnectionSettings, Counting};
use crate::config::Config;
use crate::decode::DecodeSettings;
use crate::flow::{FlowSettings, FlowStore, FlowTable, Spare};
use crate::frame::TimeNs;
use crate::stats::StatsDelta;
use crate::trackers::{TrackerMask, TrackerSettings};

/// Partitions of a run whose flow table is large enough to be divided.
pub const PARTITIONS: usize = 16;

/// Below this, a limit on flows is kept by one partition alone, so that it is exact.
const LEAST_DIVIDED_LIMIT: u64 = 65_536;

/// What the engine needs to know of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct EngineSettings {
    /// How many partitions there are: a function of the configuration, never of the number of workers.
    pub partitions: usize,
    /// What belongs to the identity of a flow.
    pub decode: DecodeSettings,
    /// How flows live, per partition.
    pub flow: FlowSettings,
    /// Rows of a chunk of finished flows: a function of the sink.
    pub chunk_rows: usize,
    /// Flows whose seeded hash is above this are left out.
    pub sample_below: u64,
    /// Seed of that hash.
    pub sample_seed: u64,
    /// Which flows of the input, of those that begin in it.
    pub share: Share,
    /// Whether and how the graph of connections is made.
    pub connections: Option<ConnectionSettings>,
    /// Most bytes for flows, and for that graph beside them.
    pub max_memory: usize,
}

impl EngineSettings {
    /// The settings of a validated configuration, for flows with these trackers.
    pub fn new(config: &Config, trackers: TrackerMask, tracker_settings: TrackerSettings) -> Self {
        let partitions = if config.max_concurrent_flows < LEAST_DIVIDED_LIMIT { 1 } else { PARTITIONS };
        let max_flows = config.max_concurrent_flows.div_ceil(partitions as u64).max(1);
        let idle_timeout = nanoseconds(config.flow_timeout);
        Self {
            partitions,
            decode: DecodeSettings { key_vlan: config.flow_key_vlan, key_tunnel: config.flow_key_tunnel },
            chunk_rows: CHUNK_ROWS,
            flow: FlowSettings {
                idle_timeout,
                active_timeout: config.active_timeout.map(nanoseconds),
                max_bytes: usize::MAX,
                max_flows: usize::try_from(max_flows).unwrap_or(usize::MAX),
                eviction: config.flow_eviction_strategy,
                close_timeout: config.close_timeout.map_or(idle_timeout, nanoseconds),
                terminate_on_fin_rst: config.terminate_on_fin_rst,
                initiator_by_port: config.initiator_by_port,
                trackers,
                tracker_settings,
            },
            sample_below: config.sampling_rate.map_or(u64::MAX, |rate| (rate * u64::MAX as f64) as u64),
            sample_seed: config.sampling_seed,
            share: Share::default(),
            connections: None,
            max_memory: usize::MAX,
        }
    }

    /// The same for a share of the flows.
    #[must_use]
    pub fn with_share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// The same with a graph of connections.
    #[must_use]
    pub fn with_connections(mut self, connections: Option<ConnectionSettings>) -> Self {
        self.connections = connections;
        self
    }

    /// The same with so many bytes for the flows of all partitions together: each has a fixed share.
    #[must_use]
    pub fn with_max_memory(mut self, bytes: u64) -> Self {
        self.max_memory = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.flow.max_bytes = usize::try_from(bytes / self.partitions as u64).unwrap_or(usize::MAX);
        self
    }

    /// The collector of what they end.
    pub fn collector(&self) -> Collector {
        let counting = self.connections.map(|connections| Counting::new(connections, self.max_memory));
        Collector::new(self.chunk_rows).counting(counting)
    }

    /// Memory for new flows of these tables.
    pub fn spare(&self) -> Spare {
        Spare::new(self.flow.tracker_settings)
    }

    /// The empty tables of all partitions.
    pub fn tables(&self) -> Vec<FlowTable> {
        (0..self.partitions).map(|_| FlowTable::new(self.flow)).collect()
    }
}

/// One of several equal shares of the flows, by a hash of the flow that is the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which one: below `of`.
    pub index: u32,
    /// How many there are.
    pub of: u32,
}

impl Default for Share {
    /// All flows.
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Share {
    /// Whether a flow with this hash is one of them.
    fn holds(self, hash: impl FnOnce() -> u64) -> bool {
        self.of <= 1 || hash() % u64::from(self.of) == u64::from(self.index)
    }
}

/// Seconds as whole nanoseconds; what is out of range becomes the end of the range.
fn nanoseconds(seconds: f64) -> i64 {
    (seconds * 1e9) as i64
}

/// Tracking on one thread: the tables of all partitions, and what they ended.
#[derive(Debug)]
pub struct Engine {
    tables: Vec<FlowTable>,
    collector: Collector,
    spare: Spare,
    stats: StatsDelta,
}

impl Engine {
    /// An engine without flows.
    pub fn new(settings: &EngineSettings) -> Self {
        Self {
            tables: settings.tables(),
            collector: settings.collector(),
            spare: settings.spare(),
            stats: StatsDelta::default(),
        }
    }

    /// Takes back flows whose rows were made: their memory is for new ones.
    pub fn recycle(&mut self, spent: FlowStore) {
        self.spare.add(spent);
    }

    /// Tracks the packets of a batch that [`Front`] has decoded. Finished flows wait in the engine, see
    /// [`Engine::ready`].
    pub fn track(&mut self, batch: &PacketBatch) {
        let mut stats = StatsDelta::default();
        let ended = batch.track(self.tables.iter_mut().enumerate(), &mut self.spare, &mut stats);
        self.collector.add(ended, stats.table_bytes);
        stats.graph_shortages += self.collector.take_shortages();
        self.stats.add(&stats);
    }

    /// The finished flows that are there, of a chunk that grows: see [`Collector::piece`].
    pub fn piece(&mut self) -> Option<RowChunk> {
        self.collector.piece(0.0)
    }

    /// The next full chunk of finished flows, if there are that many.
    pub fn ready(&mut self) -> Option<RowChunk> {
        self.collector.ready()
    }

    /// The finished flows that wait for a full chunk.
    pub fn flush(&mut self) -> Option<RowChunk> {
        self.collector.flush()
    }

    /// What tracking has counted since the last call.
    pub fn take_stats(&mut self) -> StatsDelta {
        std::mem::take(&mut self.stats)
    }

    /// How many flows are open.
    pub fn open_flows(&self) -> usize {
        self.tables.iter().map(FlowTable::open_flows).sum()
    }

    /// The earliest packet time of all open flows.
    pub fn earliest_open(&self) -> Option<TimeNs> {
        self.tables.iter().filter_map(FlowTable::earliest_open).min()
    }

    /// Ends all flows, as the input has ended and the latest packet time is `now`. The rest of the rows comes from the
    /// result, in chunks.
    pub fn finish(self, now: TimeNs) -> Drain {
        Drain::new(self.tables, self.collector, now)
    }
}

#[cfg(test)]
mod tests;
