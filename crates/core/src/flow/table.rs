//! The flow table of one partition: finds a packet's flow, begins and ends flows, and keeps their number bounded.
//!
//! An open-addressing index (32-bit tag and 32-bit place in a slot, at most half full) over flows that lie in columns.
//! Packets come in runs; the slots and flows of some tens of packets are touched before the first of them is worked
//! on, so that cache misses overlap instead of queueing up. Measured: see docs/benchmarks.md.
//!
//! What ends a flow is its own packets: a gap, its age, FIN and RST. [`FlowTable::expire`] only decides *when* a quiet
//! flow's row comes out, never what is in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

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
    /// Which flow goes when there are that many.
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
    slots: Vec<u64>,
    places: Vec<Place>,
    free: Vec<u32>,
    store: FlowStore,
    /// The earliest time at which each flow may be due; corrected when it comes up.
    due: BinaryHeap<Reverse<Due>>,
    /// Flows by age, only for [`Eviction::Oldest`].
    by_age: BinaryHeap<Reverse<Due>>,
    live: usize,
    context: Context,
    reported_bytes: i64,
}

/// What the table knows of a place in the store.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    hash: u64,
    /// Goes up whenever older entries of the queues become void.
    generation: u32,
    live: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: i64,
    place: u32,
    generation: u32,
}

impl FlowTable {
    /// An empty table.
    pub fn new(settings: FlowSettings) -> Self {
        Self {
            settings,
            slots: vec![0; 64],
            places: Vec::new(),
            free: Vec::new(),
            store: FlowStore::new(settings.trackers),
            due: BinaryHeap::new(),
            by_age: BinaryHeap::new(),
            live: 0,
            context: Context::new(settings.tracker_settings),
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

    /// Ends the flows that have been quiet for too long at `now`.
    pub fn expire(&mut self, now: TimeNs, ended: &mut FlowStore) {
        while let Some(&Reverse(top)) = self.due.peek() {
            if top.at >= now {
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
                self.due.push(Reverse(Due { at, ..top }));
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

    /// Bytes of the index, the flows, and what their trackers hold on the heap.
    pub fn bytes(&self) -> usize {
        self.slots.len() * 8
            + self.places.len() * (size_of::<Place>() + self.store.flow_bytes())
            + self.context.memory.heap_bytes()
    }

    /// Loads what the packets of a run will need. The loads do not depend on each other, so their misses overlap.
    fn touch(&self, packets: &[PacketInfo], run: &[u32]) {
        let mask = self.slots.len() - 1;
        let mut places = [0u32; RUN];
        for (place, &i) in places.iter_mut().zip(run) {
            let hash = packets.get(i as usize).map_or(0, |p| p.hash);
            *place = self.slots.get(hash as usize & mask).map_or(0, |s| *s as u32);
        }
        let mut sum = 0u64;
        for &place in &places[..run.len()] {
            sum ^= self.store.touch((place as usize).wrapping_sub(1));
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
        if self.live >= self.settings.max_flows {
            self.evict(packet.info.ts, ended);
        }
        if (self.live + 1) * 2 > self.slots.len() {
            self.grow();
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
        insert_slot(&mut self.slots, packet.info.hash, place);
        self.enqueue(place);
        if self.settings.eviction == Eviction::Oldest {
            let generation = self.places.get(at).map_or(0, |p| p.generation);
            self.by_age.push(Reverse(Due { at: packet.info.ts, place, generation: generation & !1 }));
        }
        place
    }

    fn end(&mut self, place: u32, reason: EndReason, ended: &mut FlowStore) {
        let at = place as usize;
        let Some(p) = self.places.get_mut(at).filter(|p| p.live) else { return };
        p.live = false;
        // Flows count by two; the odd step in between is a flow that was queued a second time, see `enqueue`.
        p.generation = (p.generation | 1).wrapping_add(1);
        let hash = p.hash;
        remove_slot(&mut self.slots, hash, place, &self.places);
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

    /// Makes room for one flow at `now`: the first one due if it is closed or quiet for too long, else as the strategy
    /// says.
    fn evict(&mut self, now: TimeNs, ended: &mut FlowStore) {
        let oldest = self.settings.eviction == Eviction::Oldest;
        while let Some(Reverse(top)) = self.due.pop() {
            if !self.is_current(&top) {
                continue;
            }
            let Some(base) = self.store.base(top.place as usize) else { continue };
            let at = self.due_at(base);
            if at > top.at {
                self.due.push(Reverse(Due { at, ..top }));
                continue;
            }
            let reason = match base.closed {
                true => EndReason::Fin,
                false if at < now => EndReason::Idle,
                false => EndReason::Evicted,
            };
            if oldest && reason == EndReason::Evicted {
                self.due.push(Reverse(top));
                break;
            }
            return self.end(top.place, reason, ended);
        }
        while let Some(Reverse(top)) = self.by_age.pop() {
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
        let closed = base.closed;
        if let Some(p) = self.places.get_mut(place as usize) {
            p.generation |= u32::from(closed);
            self.due.push(Reverse(Due { at, place, generation: p.generation }));
        }
    }

    fn is_current(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.generation == due.generation)
    }

    fn is_same_flow(&self, due: &Due) -> bool {
        self.places.get(due.place as usize).is_some_and(|p| p.live && p.generation & !1 == due.generation)
    }

    /// Drops void entries when most of the queues are void: flows that end early leave theirs behind.
    fn compact(&mut self) {
        let most = 2 * self.live + 1024;
        if self.due.len() > most {
            let due = std::mem::take(&mut self.due);
            self.due = due.into_iter().filter(|d| self.is_current(&d.0)).collect();
        }
        if self.by_age.len() > most {
            let by_age = std::mem::take(&mut self.by_age);
            self.by_age = by_age.into_iter().filter(|d| self.is_same_flow(&d.0)).collect();
        }
    }

    fn find(&self, p: &PacketInfo) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let tag = p.hash >> 32;
        let mut at = p.hash as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag {
                let place = slot as u32 - 1;
                if self.store.base(place as usize).is_some_and(|b| b.key == p.key) {
                    return Some(place);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![0; self.slots.len() * 2];
        for (i, place) in self.places.iter().enumerate().filter(|(_, p)| p.live) {
            insert_slot(&mut slots, place.hash, i as u32);
        }
        self.slots = slots;
    }
}

/// A slot is 0, or the upper half of the hash over the place plus one.
fn insert_slot(slots: &mut [u64], hash: u64, place: u32) {
    let mask = slots.len() - 1;
    let mut at = hash as usize & mask;
    while let Some(slot) = slots.get_mut(at) {
        if *slot == 0 {
            *slot = hash >> 32 << 32 | u64::from(place + 1);
            return;
        }
        at = (at + 1) & mask;
    }
}

/// Empties the slot of a place and moves later ones of the same run up, so that no tombstones are needed.
fn remove_slot(slots: &mut [u64], hash: u64, place: u32, places: &[Place]) {
    let mask = slots.len() - 1;
    let mut hole = hash as usize & mask;
    while slots[hole] as u32 != place + 1 {
        if slots[hole] == 0 {
            return;
        }
        hole = (hole + 1) & mask;
    }
    let mut at = (hole + 1) & mask;
    while slots[at] != 0 {
        let home = places.get(slots[at] as u32 as usize - 1).map_or(at, |p| p.hash as usize & mask);
        // The entry may move to the hole if its home does not lie between the hole and where it is now.
        if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
            slots[hole] = slots[at];
            hole = at;
        }
        at = (at + 1) & mask;
    }
    slots[hole] = 0;
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
