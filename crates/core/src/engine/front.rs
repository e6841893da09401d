//! Decoding, and sharing packets out to partitions: the part of the work that is done in the order of the input.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};

use super::{EngineSettings, Share};
use crate::decode::{Decoded, Decoder};
use crate::flow::{FlowStore, FlowTable, Spare};
use crate::frame::{Frame, FrameBatch, FrameFilter, SlicePart, TimeNs};
use crate::packet::PacketInfo;
use crate::stats::{SkipReason, StatsDelta};

/// A batch of frames and what became of them. Reused from batch to batch, so that its memory is allocated once.
#[derive(Debug, Default)]
pub struct PacketBatch {
    /// The frames; the source fills them in.
    pub frames: FrameBatch,
    /// Counts of decoding.
    pub stats: StatsDelta,
    packets: Vec<PacketInfo>,
    parts: Vec<Vec<u32>>,
    first_seq: u64,
    /// The earliest time in the batch: the clock by which quiet flows are given up. The earliest, so that a single
    /// frame from the far future (a broken clock) cannot end every flow.
    watermark: Option<TimeNs>,
    part: SlicePart,
}

/// Most flows that room is made for ahead: more come in bursts, which are rare.
const MOST_ROOM: usize = 1024;

impl PacketBatch {
    /// Takes the packets of some partitions into their tables, then gives up quiet flows. All that ended lies in one store.
    pub fn track<'t>(
        &self,
        partitions: impl IntoIterator<Item = (usize, &'t mut FlowTable)>,
        spare: &mut Spare,
        stats: &mut StatsDelta,
    ) -> Option<FlowStore> {
        let tables: Vec<_> = partitions.into_iter().collect();
        // About as many as in the batch before: columns that grow step by step are copied again and again.
        let lately = tables.iter().map(|(_, table)| table.ended_lately()).sum::<usize>();
        let mut ended: Option<FlowStore> = None;
        for (partition, table) in tables {
            let ended = ended.get_or_insert_with(|| {
                spare.store().unwrap_or_else(|| table.ended_store()).with_room(lately.min(MOST_ROOM))
            });
            table.swap_spare(spare);
            let chosen = self.parts.get(partition).map(Vec::as_slice).unwrap_or_default();
            table.enter(self.part, self.first_seq);
            table.process(&self.packets, chosen, &self.frames, self.first_seq, ended);
            if let Some(now) = self.watermark {
                table.expire(now, ended);
            }
            table.swap_spare(spare);
            stats.add(&table.take_stats());
        }
        ended
    }

    /// The decoded packets, all partitions together.
    pub fn packets(&self) -> &[PacketInfo] {
        &self.packets
    }
}

/// Decodes, samples, and shares packets out to partitions.
#[derive(Debug)]
pub struct Front {
    filter: Option<Box<dyn FrameFilter>>,
    decoder: Decoder,
    decoded: Decoded,
    partitions: usize,
    sample_below: u64,
    sample_key: [u64; 2],
    share: Share,
    /// While what was read before is read again: when the flows began that are to go on; others are passed over.
    resuming: Option<HashMap<u64, TimeNs>>,
    part: SlicePart,
    /// Key of the hash that shares flows out: made of the first frame, so that it is the same in every run over an input,
    /// and nobody who sends packets to a sensor can choose flows that all fall to one partition.
    partition_key: Option<[u64; 2]>,
    next_seq: u64,
    first_ts: Option<TimeNs>,
    last_ts: Option<TimeNs>,
}

impl Front {
    /// At the start of an input.
    pub fn new(settings: &EngineSettings) -> Self {
        let random = RandomState::new();
        Self {
            filter: None,
            decoder: Decoder::new([random.hash_one(1u8), random.hash_one(2u8) | 1], settings.decode),
            decoded: Decoded::default(),
            partitions: settings.partitions,
            sample_below: settings.sample_below,
            sample_key: [settings.sample_seed ^ 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89],
            share: settings.share,
            resuming: None,
            part: SlicePart::Own,
            partition_key: None,
            next_seq: 0,
            first_ts: None,
            last_ts: None,
        }
    }

    /// What the next frames are to a run over a slice.
    pub fn enter(&mut self, part: SlicePart) {
        self.part = part;
    }

    /// Until the next call, packets are those of flows with these keys ([`crate::packet::FlowKey::fixed_hash`]) alone, from the time on at which each
    /// began; or all packets again.
    pub fn resume(&mut self, flows: Option<HashMap<u64, TimeNs>>) {
        self.resuming = flows;
    }

    /// Leaves out frames that do not match a filter.
    pub fn set_filter(&mut self, filter: Option<Box<dyn FrameFilter>>) {
        self.filter = filter;
    }

    /// The filter.
    pub fn filter(&mut self) -> Option<&mut (dyn FrameFilter + 'static)> {
        self.filter.as_deref_mut()
    }

    /// Decodes the frames of a batch and shares the packets out. Those that the filter leaves out are no longer in the batch
    /// then; they are counted, and say the time as others do.
    pub fn decode(&mut self, batch: &mut PacketBatch) {
        self.take_memory(batch);
        let first = batch.frames.frames.first();
        if let (None, Some(frame)) = (self.partition_key, first) {
            self.partition_key = Some(partition_key(frame, batch.frames.bytes(frame)));
        }
        let any = first.is_some();
        let mut low = TimeNs::MAX;
        let mut high = TimeNs::MIN;
        if let Some(filter) = self.filter.as_deref_mut() {
            (low, high) = leave_out(filter, &mut batch.frames, &mut self.decoded.stats);
        }
        let FrameBatch { data, frames } = &batch.frames;
        for (i, frame) in frames.iter().enumerate() {
            low = low.min(frame.ts);
            high = high.max(frame.ts);
            self.decoder.decode(data, i as u32, frame, &mut self.decoded);
        }
        batch.watermark = any.then_some(low);
        if any {
            self.first_ts = Some(self.first_ts.map_or(low, |t| t.min(low)));
            self.last_ts = Some(self.last_ts.map_or(high, |t| t.max(high)));
        }
        self.share_out(batch);
    }

    /// Makes a batch without frames, for a source that is quiet. Where the time goes on meanwhile, it is `now`: fragments
    /// and flows that have waited for too long are given up.
    pub fn idle(&mut self, now: Option<TimeNs>, batch: &mut PacketBatch) {
        batch.frames.clear();
        self.take_memory(batch);
        if let Some(now) = now {
            self.decoder.expire(batch.frames.data.len(), now, &mut self.decoded);
        }
        self.share_out(batch);
        batch.watermark = now;
    }

    /// Gives out the fragments that still wait, as a last batch without frames. Whether there were any.
    pub fn finish(&mut self, batch: &mut PacketBatch) -> bool {
        batch.frames.clear();
        batch.watermark = None;
        self.take_memory(batch);
        self.decoder.flush(batch.frames.data.len(), &mut self.decoded);
        self.share_out(batch);
        !batch.packets.is_empty() || batch.stats != StatsDelta::default()
    }

    /// The earliest time seen.
    pub fn first_ts(&self) -> Option<TimeNs> {
        self.first_ts
    }

    /// The latest time seen.
    pub fn last_ts(&self) -> Option<TimeNs> {
        self.last_ts
    }

    /// Takes the memory of the batch's packets to decode into.
    fn take_memory(&mut self, batch: &mut PacketBatch) {
        std::mem::swap(&mut self.decoded.packets, &mut batch.packets);
        self.decoded.packets.clear();
    }

    fn share_out(&mut self, batch: &mut PacketBatch) {
        batch.frames.data.extend_from_slice(&self.decoded.extra);
        self.decoded.extra.clear();
        std::mem::swap(&mut self.decoded.packets, &mut batch.packets);
        batch.stats = std::mem::take(&mut self.decoded.stats);
        // The tables count what gets into flows; sampling comes in between, and nothing is counted twice.
        (batch.stats.packets, batch.stats.bytes) = (0, 0);
        batch.part = self.part;
        // Each frame is counted once by all runs over slices together.
        if self.part != SlicePart::Own || self.share.index != 0 {
            batch.stats = StatsDelta { lead_frames: batch.stats.frames, ..StatsDelta::default() };
        }
        batch.first_seq = self.next_seq;
        self.next_seq += batch.packets.len() as u64;
        batch.parts.resize_with(self.partitions, Vec::new);
        for part in &mut batch.parts {
            part.clear();
        }
        let sampling = self.sample_below != u64::MAX;
        let partition_key = self.partition_key.unwrap_or_default();
        for (i, p) in batch.packets.iter().enumerate() {
            let goes_on =
                |flows: &HashMap<u64, TimeNs>| flows.get(&p.key.fixed_hash()).is_some_and(|from| p.ts >= *from);
            if !self.resuming.as_ref().is_none_or(goes_on) {
                continue;
            }
            if !self.share.holds(|| p.key.fixed_hash()) {
                continue;
            }
            if sampling && p.key.keyed_hash(self.sample_key) > self.sample_below {
                batch.stats.skipped[SkipReason::Sampled] += u64::from(self.part == SlicePart::Own);
                continue;
            }
            let part =
                if self.partitions == 1 { 0 } else { p.key.keyed_hash(partition_key) as usize % self.partitions };
            if let Some(list) = batch.parts.get_mut(part) {
                list.push(i as u32);
            }
        }
    }
}

/// Keeps the frames that match, and counts the others. The earliest and the latest time of all.
fn leave_out(filter: &mut dyn FrameFilter, batch: &mut FrameBatch, stats: &mut StatsDelta) -> (TimeNs, TimeNs) {
    let FrameBatch { data, frames } = batch;
    let (mut low, mut high) = (TimeNs::MAX, TimeNs::MIN);
    frames.retain(|frame| {
        low = low.min(frame.ts);
        high = high.max(frame.ts);
        let start = frame.offset as usize;
        let bytes = data.get(start..start.saturating_add(frame.cap_len as usize)).unwrap_or_default();
        let matches = filter.matches(frame.link, frame.wire_len, bytes);
        if !matches {
            stats.frames += 1;
            stats.captured_bytes += u64::from(frame.cap_len);
            stats.wire_bytes += u64::from(frame.wire_len);
            stats.filtered += 1;
        }
        matches
    });
    (low, high)
}

/// Both words depend on every byte of the frame and on its time to the nanosecond.
fn partition_key(frame: &Frame, bytes: &[u8]) -> [u64; 2] {
    // With its default keys the hash is the same everywhere.
    [1u8, 2].map(|word| BuildHasherDefault::<DefaultHasher>::default().hash_one((word, frame.ts, bytes)))
}
