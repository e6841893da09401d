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

mod expiry;
mod limits;

use std::collections::VecDeque;
use std::hint::black_box;

use super::base::Initiator;
use super::due::{Due, DueQueue};
use super::index::Index;
use super::store::READS_BYTES;
use super::{FlowBase, FlowStore, Spare};
use crate::config::Eviction;
use crate::frame::{FrameBatch, SlicePart, TimeNs};
use crate::packet::{Packet, PacketInfo, tcp_flags};
use crate::stats::{EndReason, StatsDelta};
use crate::trackers::{Context, TrackerMask, TrackerSettings};

/// Packets whose slots and flows are touched ahead.
const RUN: usize = 32;

/// How flows begin and end, and what they track.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {
    /// A gap of more than this ends a flow, in nanoseconds.
    pub idle_timeout: i64,
    /// A gap of more than this ends a flow that FIN or RST closed, in nanoseconds; what comes later, within the idle
    /// timeout, is another row of the same connection.
    pub close_timeout: i64,
    /// An age of more than this ends a flow, in nanoseconds.
    pub active_timeout: Option<i64>,
    /// Most flows open at a time in this table.
    pub max_flows: usize,
    /// Most bytes that the flows of this table may take.
    pub max_bytes: usize,
    /// Which flow goes when a limit is reached.
    pub eviction: Eviction,
    /// Whether SYN, FIN and RST begin and end flows.
    pub terminate_on_fin_rst: bool,
    /// Whether ports decide the initiator where no SYN does.
    pub initiator_by_port: bool,
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
    /// Memory for entries of it that have come up.
    expiring: Vec<Due>,
    /// Flows by age, only for [`Eviction::Oldest`].
    by_age: DueQueue,
    /// Flows that are closed, and remnants of them, in the order of their closing: they make room first.
    closed: VecDeque<Due>,
    /// Open flows and remnants.
    live: usize,
    context: Context,
    /// Bytes on the heap up to which there is nothing to do about memory.
    most_heap: usize,
    /// Bytes on the heap from which on it is worth while to ask all trackers for memory again.
    next_relief: usize,
    reported_bytes: i64,
    ended_lately: usize,
    /// Up to this gap, and this age, a flow goes on whatever else is known of it.
    plain_gap: i64,
    plain_age: i64,
    part: SlicePart,
    /// Flows whose first packet has this number or a higher one are the run's own: all, but in a run over a slice.
    own_from: u64,
    /// The flow that was last ended, where it was not the run's own: the next row of its connection may take over from it.
    ended_elsewhere: Option<FlowStore>,
    /// Memory for new flows, while it is here.
    spare: Spare,
    /// Whether a tracker reads the bytes of packets.
    reads_bytes: bool,
}

/// What the table knows of a place in the store.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Where its slot of the index is to be found: the lower half of the flow's hash.
    hash: u32,
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
            expiring: Vec::new(),
            by_age: DueQueue::new(settings.idle_timeout),
            closed: VecDeque::new(),
            live: 0,
            context: Context::new(settings.tracker_settings),
            most_heap: settings.max_bytes,
            next_relief: 0,
            reported_bytes: 0,
            ended_lately: 0,
            plain_gap: settings.idle_timeout.min(settings.close_timeout),
            plain_age: settings.active_timeout.unwrap_or(i64::MAX),
            part: SlicePart::Own,
            own_from: 0,
            ended_elsewhere: None,
            spare: Spare::default(),
            reads_bytes: settings.trackers.and(READS_BYTES) != TrackerMask::NONE,
        }
    }

    /// What the next packets are to a run over a slice; the first of them has the number `first_seq`.
    pub fn enter(&mut self, part: SlicePart, first_seq: u64) {
        match part {
            SlicePart::LeadIn => self.own_from = u64::MAX,
            SlicePart::Own => self.own_from = self.own_from.min(first_seq),
            SlicePart::LeadOut => {}
        }
        self.part = part;
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
        let mut bytes = 0;
        for run in chosen.chunks(RUN) {
            self.touch(packets, run, batch);
            for &i in run {
                if let Some(info) = packets.get(i as usize) {
                    bytes += u64::from(info.ip_len);
                    self.packet(&Packet { info, batch }, first_seq + u64::from(i), ended);
                }
            }
        }
        if self.part == SlicePart::Own {
            self.context.stats.packets += chosen.len() as u64;
            self.context.stats.bytes += bytes;
        }
    }

    /// There will be no more packets: frees what finds flows and what says when they are due. What is left is
    /// [`FlowTable::drain_order`] and [`FlowTable::take`], which then need not take every flow out of the index.
    pub fn close(&mut self) {
        self.index = Index::new();
        self.due = DueQueue::new(self.settings.idle_timeout);
        self.by_age = DueQueue::new(self.settings.idle_timeout);
        self.closed = VecDeque::new();
    }

    /// The open flows as (number of the first packet, place), in the order of the former, with the reason of their
    /// end decided for an input that ends at `now`. [`FlowTable::take`] then moves them out.
    pub fn drain_order(&mut self, now: TimeNs) -> Vec<(u64, u32)> {
        let mut order = Vec::with_capacity(self.live);
        for (i, place) in self.places.iter().enumerate() {
            let Some(base) = place.live.then(|| self.store.base_mut(i)).flatten() else { continue };
            if base.remnant || base.first_seq < self.own_from {
                continue;
            }
            let quiet = now.saturating_sub(base.last_ts) > self.settings.idle_timeout;
            base.end = if quiet { EndReason::Idle } else { EndReason::EndOfInput };
            order.push((base.first_seq, i as u32));
        }
        order.sort_unstable();
        order
    }

    /// An open flow.
    pub fn base(&self, place: u32) -> Option<&FlowBase> {
        self.store.base(place as usize)
    }

    /// Loads what moving out an open flow will need, and returns something made of it.
    pub fn touch_open(&self, place: u32) -> u64 {
        self.store.get(place as usize).map_or(0, |flow| flow.touch())
    }

    /// Moves one open flow out, for the reason that [`FlowTable::drain_order`] decided.
    pub fn take(&mut self, place: u32, ended: &mut FlowStore) {
        if let Some(base) = self.store.base(place as usize) {
            let reason = base.end;
            self.end(place, reason, ended);
        }
    }

    /// Changes its memory for new flows: one [`Spare`] goes from table to table.
    pub fn swap_spare(&mut self, spare: &mut Spare) {
        std::mem::swap(&mut self.spare, spare);
    }

    /// An empty store for flows that end.
    pub fn ended_store(&self) -> FlowStore {
        FlowStore::new(self.settings.trackers)
    }

    /// How many flows ended before the last call of [`FlowTable::take_stats`], since the one before it.
    pub fn ended_lately(&self) -> usize {
        self.ended_lately
    }

    /// What was counted since the last call.
    pub fn take_stats(&mut self) -> StatsDelta {
        self.ended_lately = self.context.stats.flows_ended.total() as usize;
        let bytes = self.bytes() as i64;
        self.context.stats.table_bytes = bytes - self.reported_bytes;
        self.reported_bytes = bytes;
        std::mem::take(&mut self.context.stats)
    }

    /// How many flows are open; remnants of closed ones count.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no flow is open.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Bytes of the index, the queues, the flows, and what their trackers hold on the heap.
    pub fn bytes(&self) -> usize {
        self.fixed_bytes() + self.context.memory.taken_bytes()
    }

    /// Bytes but for the heap of the trackers.
    fn fixed_bytes(&self) -> usize {
        let place = size_of::<Place>() + self.store.flow_bytes();
        let queues = self.due.bytes() + self.by_age.bytes() + self.closed.capacity() * size_of::<Due>();
        self.index.bytes() + queues + self.places.len() * place
    }

    /// Loads what the packets of a run will need. The loads do not depend on each other, so their misses overlap: of packets that
    /// another thread has decoded, too.
    fn touch(&self, packets: &[PacketInfo], run: &[u32], batch: &FrameBatch) {
        let mut places = [usize::MAX; RUN];
        let mut sum = 0u64;
        for (place, &i) in places.iter_mut().zip(run) {
            let Some(p) = packets.get(i as usize) else { continue };
            *place = self.index.guess(p.hash).unwrap_or(usize::MAX);
            // The second of a packet's two lines; of a SYN, the options are read too.
            sum ^= u64::from(p.ip_len);
            let byte = |at: u32| batch.data.get(at as usize).map_or(0, |byte| u64::from(*byte));
            if self.reads_bytes {
                sum ^= byte(p.l3) ^ byte(p.payload_start);
            } else if p.tcp_flags & tcp_flags::SYN != 0 {
                sum ^= byte(p.l4);
            }
        }
        for &place in &places[..run.len()] {
            sum ^= self.store.touch(place);
        }
        black_box(sum);
    }

    fn packet(&mut self, packet: &Packet<'_>, seq: u64, ended: &mut FlowStore) {
        let found = self.find(packet.info);
        if self.part == SlicePart::LeadOut && !self.goes_on(found, packet.info, ended) {
            return;
        }
        let place = match found {
            Some(place) if self.plainly_goes_on(place, packet.info) => place,
            found => self.place_of(found, packet, seq, ended),
        };
        let closing = self.store.update(place as usize, packet, &mut self.context);
        if closing && self.settings.terminate_on_fin_rst {
            self.note_closed(place);
        }
        if self.context.memory.taken_bytes() > self.most_heap {
            self.shed(packet.info.ts, ended);
        }
    }

    /// Whether a packet is one of those, nearly all, that can be told at a glance to belong to the flow.
    #[inline]
    fn plainly_goes_on(&self, place: u32, p: &PacketInfo) -> bool {
        let Some(base) = self.store.base(place as usize) else { return false };
        let opens = p.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN;
        let gap = p.ts.saturating_sub(base.last_ts);
        let age = p.ts.saturating_sub(base.first_ts);
        !opens && !base.remnant && gap <= self.plain_gap && (0..=self.plain_age).contains(&age)
    }

    /// Behind a slice: whether a packet belongs to one of its flows. One that begins another flow ends that of the slice.
    #[cold]
    fn goes_on(&mut self, found: Option<u32>, p: &PacketInfo, ended: &mut FlowStore) -> bool {
        let Some(place) = found.filter(|place| self.is_own(*place)) else { return false };
        let Some(Boundary { reason, .. }) = self.boundary(place, p) else { return true };
        self.end_or_forget(place, reason, ended);
        false
    }

    /// Whether a flow began in the slice that the run is over.
    fn is_own(&self, place: u32) -> bool {
        self.store.base(place as usize).is_some_and(|base| base.first_seq >= self.own_from)
    }

    /// How many flows are open, without remnants.
    pub fn open_flows(&self) -> usize {
        let live = self.places.iter().enumerate().filter(|(_, place)| place.live);
        live.filter(|(at, _)| self.store.base(*at).is_some_and(|base| !base.remnant)).count()
    }

    /// The earliest packet time of the open flows and remnants.
    pub fn earliest_open(&self) -> Option<TimeNs> {
        let live = self.places.iter().enumerate().filter(|(_, place)| place.live);
        live.filter_map(|(at, _)| self.store.base(at)).map(|base| base.first_ts).min()
    }

    /// The place of a packet's flow: the one that was found, unless the flow has ended, or that of a new flow.
    #[inline(never)]
    fn place_of(&mut self, found: Option<u32>, packet: &Packet<'_>, seq: u64, ended: &mut FlowStore) -> u32 {
        let Some(place) = found else { return self.begin(packet, seq, None, ended) };
        let Some(Boundary { reason, carried }) = self.boundary(place, packet.info) else { return place };
        let before = ended.len();
        self.end_or_forget(place, reason, ended);
        let earlier = carried.and_then(|_| (ended.len() > before).then_some(before));
        let elsewhere = self.ended_elsewhere.take().filter(|_| carried.is_some());
        let place = self.begin(packet, seq, carried, ended);
        if let Some(earlier) = earlier {
            self.store.continue_from(place as usize, ended, earlier);
        } else if let Some(elsewhere) = elsewhere {
            self.store.continue_from(place as usize, &elsewhere, 0);
        }
        place
    }

    /// Whether a packet lies beyond the end of the flow it would belong to, and why that ended.
    fn boundary(&self, place: u32, p: &PacketInfo) -> Option<Boundary> {
        let base = self.store.base(place as usize)?;
        let idle = self.settings.idle_timeout;
        let gap = p.ts.saturating_sub(base.last_ts);
        let ends = |reason, carried| Some(Boundary { reason, carried });
        // A packet from long before the flow is as far off as one from long after it.
        if gap > idle || base.first_ts.saturating_sub(p.ts) > idle {
            return ends(EndReason::Idle, None);
        }
        let same_connection = || Some(base.initiator_to_carry());
        if self.settings.terminate_on_fin_rst {
            let opens = p.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN;
            if opens && !base.fits_syn(p) {
                return ends(EndReason::Reused, None);
            }
            if base.remnant || gap > self.settings.close_timeout && base.closed().is_some() {
                return ends(EndReason::Idle, same_connection());
            }
        }
        let age = p.ts.saturating_sub(base.first_ts);
        match self.settings.active_timeout {
            Some(active) if age > active => ends(EndReason::Active, same_connection()),
            _ => None,
        }
    }

    /// Takes note of a flow that its last packet closed, or that has outlived what had closed it.
    fn note_closed(&mut self, place: u32) {
        let Some(base) = self.store.base_mut(place as usize) else { return };
        if base.closed().is_none() {
            base.due_as_closed = false;
            return;
        }
        let (is_new, is_due) = (!base.in_closed_queue, base.due_as_closed);
        (base.in_closed_queue, base.due_as_closed) = (true, true);
        if is_new {
            let stamp = self.places.get(place as usize).map_or(0, |p| p.flow);
            self.closed.push_back(Due { at: 0, place, stamp });
        }
        if !is_due && self.settings.close_timeout < self.settings.idle_timeout {
            self.enqueue(place);
        }
    }

    fn begin(&mut self, packet: &Packet<'_>, seq: u64, carried: Option<Initiator>, ended: &mut FlowStore) -> u32 {
        while self.live >= self.settings.max_flows || self.live > 0 && self.growth() > self.room() {
            self.evict(packet.info.ts, ended);
        }
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        let at = place as usize;
        let mut base = FlowBase::start(packet, seq);
        match carried {
            Some(initiator) => base.continue_from(&initiator),
            None if self.settings.initiator_by_port => base.guess_by_port(),
            None => {}
        }
        self.store.insert(at, base, packet, &mut self.context, &mut self.spare);
        if at == self.places.len() {
            self.places.push(Place::default());
        }
        if let Some(p) = self.places.get_mut(at) {
            p.hash = packet.info.hash as u32;
            p.live = true;
        }
        self.live += 1;
        if self.part == SlicePart::Own {
            self.context.stats.flows_created += 1;
            self.context.stats.active_flows += 1;
        }
        self.index.insert(packet.info.hash, place);
        self.enqueue(place);
        if self.settings.eviction == Eviction::Oldest {
            let stamp = self.places.get(at).map_or(0, |p| p.flow);
            self.by_age.push(Due { at: packet.info.ts, place, stamp });
        }
        self.most_heap = self.settings.max_bytes.saturating_sub(self.fixed_bytes());
        place
    }

    /// Ends a flow: for the reason that its connection was closed, or else for this one.
    fn end(&mut self, place: u32, reason: EndReason, ended: &mut FlowStore) {
        self.give_out(place, reason, ended);
        self.forget(place);
    }

    /// Ends a closed flow before its idle timeout: its direction is kept for what may still come.
    fn end_but_remember(&mut self, place: u32, ended: &mut FlowStore) {
        self.give_out(place, EndReason::Idle, ended);
        if let Some(base) = self.store.base_mut(place as usize) {
            base.remnant = true;
            base.trackers = TrackerMask::NONE;
            base.wanting = TrackerMask::NONE;
        }
        self.enqueue(place);
    }

    fn give_out(&mut self, place: u32, reason: EndReason, ended: &mut FlowStore) {
        let at = place as usize;
        let Some(base) = self.store.base_mut(at) else { return };
        let closed = base.closed().filter(|_| self.settings.terminate_on_fin_rst);
        base.end = closed.unwrap_or(reason);
        if base.first_seq < self.own_from {
            let mut elsewhere = self.ended_store();
            self.store.move_to(at, &mut elsewhere, &mut self.context);
            self.ended_elsewhere = Some(elsewhere);
            return;
        }
        self.context.stats.active_flows -= 1;
        self.context.stats.flows_ended[base.end] += 1;
        self.store.move_to(at, ended, &mut self.context);
    }

    /// Frees a place whose row has gone out.
    fn forget(&mut self, place: u32) {
        let Some(p) = self.places.get_mut(place as usize).filter(|p| p.live) else { return };
        p.live = false;
        p.flow = p.flow.wrapping_add(1);
        p.stamp = p.stamp.wrapping_add(1);
        let hash = p.hash;
        self.index.remove(hash, place);
        self.free.push(place);
        self.live -= 1;
        self.compact();
    }

    fn end_or_forget(&mut self, place: u32, reason: EndReason, ended: &mut FlowStore) {
        match self.store.base(place as usize) {
            Some(base) if base.remnant => self.forget(place),
            _ => self.end(place, reason, ended),
        }
    }

    fn find(&self, p: &PacketInfo) -> Option<u32> {
        self.index.find(p.hash, |at| self.store.base(at).is_some_and(|b| b.key == p.key))
    }
}

/// Where a flow ends and another begins.
struct Boundary {
    /// Why the flow ended, unless its connection was closed.
    reason: EndReason,
    /// Who the initiator of the next flow is, where it is the same connection.
    carried: Option<Initiator>,
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
