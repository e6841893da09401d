//! Flows and their trackers in columns: one vector for the base, one for each tracker that is in use.
//!
//! A tracker that no selected feature reads has no column: it is neither allocated nor updated. Columns rather than
//! one large struct also keep the cache lines that a packet touches few, whatever is selected.

use super::FlowBase;
use crate::packet::{Packet, Side};
use crate::trackers::{KeptPackets, PacketLog, Sizes, TcpFlags, Tracker, TrackerMask, TrackerSettings};

/// A flow as features see it: its base and the trackers that were kept.
#[derive(Clone, Copy, Debug)]
pub struct FlowRef<'a> {
    /// Always there.
    pub base: &'a FlowBase,
    /// Lengths.
    pub sizes: Option<&'a Sizes>,
    /// TCP flag counts.
    pub tcp_flags: Option<&'a TcpFlags>,
    /// Per-packet records.
    pub log: Option<&'a PacketLog>,
    /// The packets themselves.
    pub kept: Option<&'a KeptPackets>,
}

/// Flows by index.
#[derive(Debug)]
pub struct FlowStore {
    base: Vec<FlowBase>,
    sizes: Column<Sizes>,
    tcp_flags: Column<TcpFlags>,
    log: Column<PacketLog>,
    kept: Column<KeptPackets>,
}

#[derive(Debug)]
struct Column<T> {
    used: bool,
    flows: Vec<T>,
}

impl<T: Tracker> Column<T> {
    fn new(used: bool) -> Self {
        Self { used, flows: Vec::new() }
    }
    fn insert(&mut self, at: usize, settings: &TrackerSettings) {
        if self.used {
            put(&mut self.flows, at, T::start(settings));
        }
    }
    #[inline]
    fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, settings: &TrackerSettings) {
        if let Some(t) = self.flows.get_mut(at) {
            t.update(packet, side, settings);
        }
    }
    fn get(&self, at: usize) -> Option<&T> {
        self.flows.get(at)
    }
    fn flow_bytes(&self) -> usize {
        if self.used { size_of::<T>() } else { 0 }
    }
    fn move_to(&mut self, at: usize, to: &mut Self, settings: &TrackerSettings) {
        if let Some(t) = self.flows.get_mut(at) {
            to.flows.push(std::mem::replace(t, T::start(settings)));
        }
    }
}

/// Writes to a place that is there or the next one after the end.
fn put<T>(v: &mut Vec<T>, at: usize, value: T) {
    match v.get_mut(at) {
        Some(place) => *place = value,
        None => v.push(value),
    }
}

impl FlowStore {
    /// An empty store that keeps these trackers.
    pub fn new(mask: TrackerMask) -> Self {
        Self {
            base: Vec::new(),
            sizes: Column::new(mask.contains(TrackerMask::SIZES)),
            tcp_flags: Column::new(mask.contains(TrackerMask::TCP_FLAGS)),
            log: Column::new(mask.contains(TrackerMask::LOG)),
            kept: Column::new(mask.contains(TrackerMask::KEEP)),
        }
    }

    /// Starts a flow at `at`: a place that was moved out, or the next one (`len`).
    pub fn insert(&mut self, at: usize, base: FlowBase, settings: &TrackerSettings) {
        put(&mut self.base, at, base);
        self.sizes.insert(at, settings);
        self.tcp_flags.insert(at, settings);
        self.log.insert(at, settings);
        self.kept.insert(at, settings);
    }

    /// Takes a packet into the flow at `at`.
    #[inline]
    pub fn update(&mut self, at: usize, packet: &Packet<'_>, side: Side, settings: &TrackerSettings) {
        if let Some(base) = self.base.get_mut(at) {
            base.update(packet.info, side);
        }
        self.sizes.update(at, packet, side, settings);
        self.tcp_flags.update(at, packet, side, settings);
        self.log.update(at, packet, side, settings);
        self.kept.update(at, packet, side, settings);
    }

    /// Moves the flow at `at` to the end of another store of the same trackers.
    pub fn move_to(&mut self, at: usize, to: &mut FlowStore, settings: &TrackerSettings) {
        let Some(base) = self.base.get_mut(at) else { return };
        let outer = base.outer.take();
        to.base.push(base.clone());
        if let Some(moved) = to.base.last_mut() {
            moved.outer = outer;
        }
        self.sizes.move_to(at, &mut to.sizes, settings);
        self.tcp_flags.move_to(at, &mut to.tcp_flags, settings);
        self.log.move_to(at, &mut to.log, settings);
        self.kept.move_to(at, &mut to.kept, settings);
    }

    /// The base of a flow.
    pub fn base(&self, at: usize) -> Option<&FlowBase> {
        self.base.get(at)
    }

    /// The base of a flow, to change it.
    pub fn base_mut(&mut self, at: usize) -> Option<&mut FlowBase> {
        self.base.get_mut(at)
    }

    /// A flow with its trackers.
    pub fn get(&self, at: usize) -> Option<FlowRef<'_>> {
        Some(FlowRef {
            base: self.base.get(at)?,
            sizes: self.sizes.get(at),
            tcp_flags: self.tcp_flags.get(at),
            log: self.log.get(at),
            kept: self.kept.get(at),
        })
    }

    /// Loads the cache lines of a flow that an update will need, and returns something made of them.
    pub fn touch(&self, at: usize) -> u64 {
        let Some(base) = self.base.get(at) else { return 0 };
        base.first_seq ^ base.bytes[0] ^ u64::from(base.closed) ^ base.key.scope().tunnel_id as u64
    }

    /// Bytes of one flow, without what lies on the heap beside it.
    pub fn flow_bytes(&self) -> usize {
        size_of::<FlowBase>()
            + self.sizes.flow_bytes()
            + self.tcp_flags.flow_bytes()
            + self.log.flow_bytes()
            + self.kept.flow_bytes()
    }

    /// The bases of all places.
    pub fn bases(&self) -> &[FlowBase] {
        &self.base
    }

    /// How many places there are, moved-out ones included.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.base.is_empty()
    }
}
