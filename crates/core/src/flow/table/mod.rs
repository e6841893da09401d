//! The flow table of one partition: finds a packet's flow, begins and ends flows, and keeps their number and their memory
//! bounded.
//!
//! Packets come in runs; the slots and flows of some tens of packets are touched before the first of them is worked
//! on, so that cache misses overlap instead of queueing up.
//!
//! What ends a flow is its own packets: a gap, its age, FIN and RST. [`FlowTable::expire`] only decides *when* a quiet
//! flow's row comes out, never what is in it.
//!
//! Memory: everything that the flows of the table hold is counted (index, places, heap of the trackers) and held below
//! [`FlowSettings::max_bytes`], a share that no other partition can take from. What happens at the limit is decided by
//! the partition's own packets alone, so rows do not depend on the number of workers: trackers give back what they can
//! do without, then flows are evicted.

use std::hint::black_box;

use super::due::{Due, DueQueue};
use super::index::Index;
use super::{FlowBase, FlowStore};
use crate::config::Eviction;
use crate::frame::{FrameBatch, TimeNs};
use crate::packet::{Packet, PacketInfo, tcp_flags};
use crate::stats::{EndReason, StatsDelta};
use crate::trackers::{Context, TrackerMask, TrackerSettings};

/// How long a flow that FIN closed from both sides stays, for its last ACK and for repeated FINs.
///
/// A retransmitted FIN comes after one retransmission timeout, 1 s at first (RFC 6298 section 2.1), doubled once.
pub const CLOSE_LINGER_NS: i64 = 3_000_000_000;

/// Packets whose slots and flows are touched ahead.
const RUN: usize = 32;

/// How flows begin and end, and what they track.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {
    /// A gap of more than this ends a flow, in nanoseconds.
    pub idle_timeout: i64,
    /// An age of more than this ends a flow, in nanoseconds.
    pub active_timeout: Option<i64>,
    /// Most flows open at a time in this table.
    pub max_flows: usize,
    /// Most bytes that the flows of this table may take.
    pub max_bytes: usize,
    /// Which flow goes when a limit is reached.
    pub eviction: Eviction,
    /// Whether FIN and RST end flows.
    pub terminate_on_fin_rst: bool,
    /// What is tracked.
    pub trackers: TrackerMask,
    /// How it is tracked.
    pub tracker_settings: TrackerSettings,
}

/// Open flows by key.
#[derive(Debug)]
pub struct FlowTable {
    settings: FlowSettings,
    index: Index,
    places: Vec<Place>,
    free: Vec<u32>,
    store: FlowStore,
    /// The earliest time at which each flow may be due; corrected when it comes up.
    due: DueQueue,
    /// Flows by age, only for [`Eviction::Oldest`].
    by_age: DueQueue,
    live: usize,
    context: Context,
    /// Bytes on the heap up to which there is nothing to do about memory.
    most_heap: usize,
    /// Bytes on the heap from which on it is worth while to ask all trackers for memory again.
    next_relief: usize,
    reported_bytes: i64,
}

/// What the table knows of a place in the store.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    /// Which of the flows that were here this is: entries of `by_age` are void for any other.
    flow: u32,
    /// Which entry of `due` is valid: the last one made.
    stamp: u32,
    live: bool,
}

impl FlowTable {
    /// An empty table.
    pub fn new(settings: FlowSettings) -> Self {
        Self {
            settings,
            index: Index::new(),
            places: Vec::new(),
            free: Vec::new(),
            store: FlowStore::new(settings.trackers),
            due: DueQueue::new(settings.idle_timeout),
            by_age: DueQueue::new(settings.idle_timeout),
            live: 0,
            context: Context::new(settings.tracker_settings),
            most_heap: settings.max_bytes,
            next_relief: 0,
            reported_bytes: 0,
        }
    }

    /// Takes in the packets at `chosen` of a batch. `first_seq` is the number of the batch's first packet in the input.
    /// Flows that end are moved to `ended`.
    pub fn process(
        &mut self,
        packets: &[PacketInfo],
        chosen: &[u32],
        batch: &FrameBatch,
        first_seq: u64,
        ended: &mut FlowStore,
    ) {
        for run in chosen.chunks(RUN) {
            self.touch(packets, run);
            for &i in run {
                if let Some(info) = packets.get(i as usize) {
                    self.packet(&Packet { info, batch }, first_seq + u64::from(i), ended);
                }
            }
        }
    }

    /// Ends the flows that have been quiet for too long at `now`; of very many, the rest at the next call.
    pub fn expire(&mut self, now: TimeNs, ended: &mut FlowStore) {
        let most = ended.len() + MOST_EXPIRED;
        while let Some(top) = self.due.peek() {
            if top.at >= now || ended.len() >= most {
                break;
            }
            self.due.pop();
            if !self.is_current(&top) {
                continue;
            }
            let Some(base) = self.store.base(top.place as usize) else { continue };
            let at = self.due_at(base);
            if at < now {
                let reason = if base.closed { EndReason::Fin } else { EndReason::Idle };
                self.end(top.place, reason, ended);
            } else {
                self.due.push(Due { at, ..top });
            }
        }
    }

    /// The open flows as (number of the first packet, place), in the order of the former, with the reason of their
    /// end settled for an input that ends at `now`. [`FlowTable::take`] then moves them out.
    pub fn drain_order(&mut self, now: TimeNs) -> Vec<(u64, u32)> {
        let mut order = Vec::with_capacity(self.live);
        for (i, place) in self.places.iter().enumerate() {
            let Some(base) = place.live.then(|| self.store.base_mut(i)).flatten() else { continue };
            let quiet = now.saturating_sub(base.last_ts) > self.settings.idle_timeout;
            base.end = match (base.closed, quiet) {
                (true, _) => EndReason::Fin,
                (false, true) => EndReason::Idle,
                (false, false) => EndReason::EndOfInput,
            };
            order.push((base.first_seq, i as u32));
        }
        order.sort_unstable();
        order
    }

    /// Moves one open flow out, for the reason that [`FlowTable::drain_order`] settled.
    pub fn take(&mut self, place: u32, ended: &mut FlowStore) {
        if let Some(base) = self.store.base(place as usize) {
            let reason = base.end;
            self.end(place, reason, ended);
        }
    }

    /// An empty store for flows that end.
    pub fn ended_store(&self) -> FlowStore {
        FlowStore::new(self.settings.trackers)
    }

    /// What was counted since the last call.
    pub fn take_stats(&mut self) -> StatsDelta {
        let bytes = self.bytes() as i64;
        self.context.stats.table_bytes = bytes - self.reported_bytes;
        self.reported_bytes = bytes;
        std::mem::take(&mut self.context.stats)
    }

    /// How many flows are open.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no flow is open.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of the index, the queues, the flows, and what their trackers hold on the heap.
    pub fn bytes(&self) -> usize {
        self.fixed_bytes() + self.context.memory.heap_bytes()
    }

    /// Bytes but for the heap of the trackers.
    fn fixed_bytes(&self) -> usize {
        let place = size_of::<Place>() + self.store.flow_bytes();
        self.index.bytes() + self.due.bytes() + self.by_age.bytes() + self.places.len() * place
    }

    /// Loads what the packets of a run will need. The loads do not depend on each other, so their misses overlap.
    fn touch(&self, packets: &[PacketInfo], run: &[u32]) {
        let mut places = [usize::MAX; RUN];
        for (place, &i) in places.iter_mut().zip(run) {
            *place = packets.get(i as usize).and_then(|p| self.index.guess(p.hash)).unwrap_or(usize::MAX);
        }
        let mut sum = 0u64;
        for &place in &places[..run.len()] {
            sum ^= self.store.touch(place);
        }
        black_box(sum);
    }

    fn packet(&mut self, packet: &Packet<'_>, seq: u64, ended: &mut FlowStore) {
        let p = packet.info;
        self.context.stats.packets += 1;
        self.context.stats.bytes += u64::from(p.ip_len);
        let found = self.find(p);
        let place = match found {
            Some(place) => match self.boundary(place, p) {
                Some(reason) => {
                    self.end(place, reason, ended);
                    self.begin(packet, seq, ended)
                }
                None => place,
            },
            None => self.begin(packet, seq, ended),
        };
        let at = place as usize;
        let Some(side) = self.store.base(at).map(|b| b.side_of(p)) else { return };
        self.store.update(at, packet, side, &mut self.context);
        if p.tcp_flags & (tcp_flags::FIN | tcp_flags::RST) != 0 && self.settings.terminate_on_fin_rst {
            self.close(place, p.tcp_flags, ended);
        }
        if self.context.memory.heap_bytes() > self.most_heap {
            self.shed(p.ts, ended);
        }
    }

    /// Whether a packet lies beyond the end of the flow it would belong to, and why that ended. A closed flow ended by
    /// FIN, whatever comes after; [`FlowTable::expire`] would have said so too.
    fn boundary(&self, place: u32, p: &PacketInfo) -> Option<EndReason> {
        let base = self.store.base(place as usize)?;
        let idle = self.settings.idle_timeout;
        let gap = p.ts.saturating_sub(base.last_ts);
        let age = p.ts.saturating_sub(base.first_ts);
        let opens = p.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN;
        // A packet from long before the flow is as far off as one from long after it.
        let far = gap > idle || base.first_ts.saturating_sub(p.ts) > idle;
        let old = self.settings.active_timeout.is_some_and(|active| age > active);
        match base.closed {
            true => (opens || gap > CLOSE_LINGER_NS || far || old).then_some(EndReason::Fin),
            false if far => Some(EndReason::Idle),
            false => old.then_some(EndReason::Active),
        }
    }

    fn close(&mut self, place: u32, flags: u16, ended: &mut FlowStore) {
        let Some(base) = self.store.base_mut(place as usize) else { return };
        if flags & tcp_flags::RST != 0 {
            let reason = if base.closed { EndReason::Fin } else { EndReason::Rst };
            return self.end(place, reason, ended);
        }
        if base.fin == 3 && !base.closed {
            base.closed = true;
            self.enqueue(place);
        }
    }

    fn begin(&mut self, packet: &Packet<'_>, seq: u64, ended: &mut FlowStore) -> u32 {
        while self.live >= self.settings.max_flows || self.live > 0 && self.growth() > self.room() {
            self.evict(packet.info.ts, ended);
        }
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        let at = place as usize;
        self.store.insert(at, FlowBase::start(packet, seq), packet.info, &mut self.context);
        if at == self.places.len() {
            self.places.push(Place::default());
        }
        if let Some(p) = self.places.get_mut(at) {
            p.hash = packet.info.hash;
            p.live = true;
        }
        self.live += 1;
        self.context.stats.flows_created += 1;
        self.context.stats.active_flows += 1;
        let places = &self.places;
        self.index.insert(packet.info.hash, place, |at| hash_of(places, at));
        self.enqueue(place);
        if self.settings.eviction == Eviction::Oldest {
            let stamp = self.places.get(at).map_or(0, |p| p.flow);
            self.by_age.push(Due { at: packet.info.ts, place, stamp });
        }
        self.most_heap = self.settings.max_bytes.saturating_sub(self.fixed_bytes());
        place
    }

    fn end(&mut self, place: u32, reason: EndReason, ended: &mut FlowStore) {
        let at = place as usize;
        let Some(p) = self.places.get_mut(at).filter(|p| p.live) else { return };
        p.live = false;
        p.flow = p.flow.wrapping_add(1);
        p.stamp = p.stamp.wrapping_add(1);
        let hash = p.hash;
        let places = &self.places;
        self.index.remove(hash, place, |at| hash_of(places, at));
        if let Some(base) = self.store.base_mut(at) {
            base.end = reason;
        }
        self.store.move_to(at, ended, &mut self.context);
        self.free.push(place);
        self.live -= 1;
        self.context.stats.active_flows -= 1;
        self.context.stats.flows_ended[reason] += 1;
        self.compact();
    }

    /// Bytes that one more flow adds, before its trackers take any.
    fn growth(&self) -> usize {
        let place = size_of::<Place>() + self.store.flow_bytes() + size_of::<Due>();
        self.index.growth() + if self.free.is_empty() { place } else { 0 }
    }

    /// Bytes that are left of the limit.
    fn room(&self) -> usize {
        self.settings.max_bytes.saturating_sub(self.bytes())
    }

    /// Gets below the limit of memory: trackers are asked for what they can do without, then flows go.
    #[cold]
    fn shed(&mut self, now: TimeNs, ended: &mut FlowStore) {
        // Asking costs a look at every flow: worth while only when much has been allocated since the last time.
        if self.context.memory.heap_bytes() >= self.next_relief {
            for (at, _) in self.places.iter().enumerate().filter(|(_, p)| p.live) {
                self.store.relieve(at, &mut self.context);
            }
            self.next_relief = self.context.memory.heap_bytes() + self.settings.max_bytes / 8;
        }
        while self.live > 0 && self.context.memory.heap_bytes() > self.most_heap {
            self.evict(now, ended);
        }
    }

    /// Ends one flow at `now` to make room: the first one due if it is closed or quiet for too long, else as the strategy
    /// says.
    fn evict(&mut self, now: TimeNs, ended: &mut FlowStore) {
        let oldest = self.settings.eviction == Eviction::Oldest;
        while let Some(top) = self.due.pop() {
            if !self.is_current(&top) {
                continue;
            }
            let Some(base) = self.store.base(top.place as usize) else { continue };
            let at = self.due_at(base);
            if at > top.at {
                self.due.push(Due { at, ..top });
                continue;
            }
            let reason = match base.closed {
                true => EndReason::Fin,
                false if at < now => EndReason::Idle,
                false => EndReason::Evicted,
            };
            if oldest && reason == EndReason::Evicted {
                self.due.push(top);
                break;
            }
            return self.end(top.place, reason, ended);
        }
        while let Some(top) = self.by_age.pop() {
            if self.is_same_flow(&top) {
                let closed = self.store.base(top.place as usize).is_some_and(|b| b.closed);
                let reason = if closed { EndReason::Fin } else { EndReason::Evicted };
                return self.end(top.place, reason, ended);
            }
        }
    }

    /// When a flow may be given up for quiet.
    fn due_at(&self, base: &FlowBase) -> i64 {
        let idle = self.settings.idle_timeout;
        base.last_ts.saturating_add(if base.closed { CLOSE_LINGER_NS.min(idle) } else { idle })
    }

    /// Queues a flow under its present due time; an earlier entry of it becomes void.
    fn enqueue(&mut self, place: u32) {
        let Some(base) = self.store.base(place as usize) else { return };
        let at = self.due_at(base);
        if let Some(p) = self.places.get_mut(place as usize) {
            p.stamp = p.stamp.wrapping_add(1);
            self.due.push(Due { at, place, stamp: p.stamp });
        }
    }

    fn is_current(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.stamp == due.stamp)
    }

    fn is_same_flow(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.flow == due.stamp)
    }

    /// Drops void entries when most of the queues are void: flows that end early leave theirs behind.
    fn compact(&mut self) {
        let most = 2 * self.live + 1024;
        let places = &self.places;
        let place = |due: &Due| places.get(due.place as usize).filter(|p| p.live);
        if self.due.len() > most {
            self.due.retain(|d| place(d).is_some_and(|p| p.stamp == d.stamp));
        }
        if self.by_age.len() > most {
            self.by_age.retain(|d| place(d).is_some_and(|p| p.flow == d.stamp));
        }
    }

    fn find(&self, p: &PacketInfo) -> Option<u32> {
        self.index.find(p.hash, |at| self.store.base(at).is_some_and(|b| b.key == p.key))
    }
}

fn hash_of(places: &[Place], at: usize) -> u64 {
    places.get(at).map_or(0, |p| p.hash)
}

/// Most flows that one call of [`FlowTable::expire`] ends: those of a wire that fell quiet all at once come out in
/// portions, and never lie twice in memory.
const MOST_EXPIRED: usize = 16_384;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
