//! Everything that needs order or a distribution, from one small record a packet.
//!
//! Most flows have a few packets: taking one in is a push, and all the work is done once, when the flow ends. A flow
//! that outgrows its log has the older half folded into sums and histograms, in time order; the half that stays is the
//! window in which packets that come late are still put right.

use std::borrow::Cow;

use super::bursts::BurstFold;
use super::gaps::{GapFold, GapSummary, QUANTILES};
use super::lengths::{self, LengthCounts, LengthScratch, LengthSummary};
use super::order::quantile;
use super::record::Record;
use super::sketch::Sketch;
use super::{Context, LOG_CAP, MAX_SEQUENCE_LEN, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side};

/// The records of a flow's packets, or of its latest ones and a summary of the rest.
#[derive(Clone, Debug, Default)]
pub struct PacketLog {
    records: Vec<Record>,
    folded: Option<Box<Folded>>,
}

/// What has left the log.
#[derive(Clone, Debug, Default)]
struct Folded {
    gaps: GapFold,
    sketches: [Sketch; 3],
    lengths: LengthCounts,
    bursts: BurstFold,
    /// The first packets, for sequences.
    head: Vec<Record>,
}

/// Memory for the summaries, reused from flow to flow.
#[derive(Debug, Default)]
pub struct LogScratch {
    records: Vec<Record>,
    gaps: [Vec<u64>; 3],
    lengths: LengthScratch,
    folded_gaps: [Sketch; 3],
    folded_lengths: LengthCounts,
}

impl Tracker for PacketLog {
    const MAX_BYTES: usize = size_of::<Self>()
        + LOG_CAP * size_of::<Record>()
        + size_of::<Folded>()
        + 3 * Sketch::MAX_BYTES
        + LengthCounts::MAX_BYTES
        + MAX_SEQUENCE_LEN * size_of::<Record>();

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    #[inline]
    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        if self.records.len() == self.records.capacity() {
            let before = self.heap_bytes();
            self.make_room(&context.settings);
            context.memory.changed(before, self.heap_bytes());
        }
        self.records.push(Record::new(packet.info, side));
        Wants::More
    }

    /// A summary takes as much as a full log (64 KiB), so a log is not folded before it is full. What can go is the room
    /// for records to come and, of a flow that has a summary already, all but a short window for late packets.
    fn relieve(&mut self, context: &mut Context) {
        let before = self.heap_bytes();
        if self.folded.is_some() && self.records.len() > SHORT_WINDOW {
            sort(&mut self.records);
            self.fold(self.records.len() - SHORT_WINDOW, &context.settings);
        }
        self.records.shrink_to(if self.folded.is_some() { SHORT_WINDOW } else { 0 });
        context.memory.changed(before, self.heap_bytes());
    }

    fn heap_bytes(&self) -> usize {
        let folded = self.folded.as_ref().map_or(0, |f| {
            size_of::<Folded>()
                + f.sketches.iter().map(Sketch::heap_bytes).sum::<usize>()
                + f.lengths.heap_bytes()
                + f.head.capacity() * size_of::<Record>()
        });
        self.records.capacity() * size_of::<Record>() + folded
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.records.last().map_or(0, |r| r.ts as u64)
    }
}

impl PacketLog {
    /// Inter-arrival times, bursts and idle times.
    pub fn gaps(&self, scratch: &mut LogScratch, settings: &TrackerSettings) -> GapSummary {
        let threshold = threshold(settings);
        let rest = in_time_order(&self.records, &mut scratch.records);
        match self.folded.as_deref() {
            None => exact_gaps(rest, threshold, &mut scratch.gaps),
            Some(folded) => {
                let sketches = &mut scratch.folded_gaps;
                for (to, from) in sketches.iter_mut().zip(&folded.sketches) {
                    to.copy_from(from);
                }
                let mut fold = folded.gaps;
                fold_gaps(&mut fold, rest, threshold, sketches);
                sketched(&fold, sketches)
            }
        }
    }

    /// Quantiles and mode of the IP lengths.
    pub fn lengths(&self, scratch: &mut LogScratch) -> LengthSummary {
        let Some(folded) = self.folded.as_deref() else {
            return lengths::summary_of(&self.records, &mut scratch.lengths);
        };
        scratch.folded_lengths.copy_from(&folded.lengths);
        for &r in in_time_order(&self.records, &mut scratch.records) {
            scratch.folded_lengths.push(r);
        }
        scratch.folded_lengths.summary()
    }

    /// Mean share of payload in the IP bytes of a burst; none where a burst has no IP bytes.
    pub fn burst_efficiency(&self, scratch: &mut LogScratch, settings: &TrackerSettings) -> Option<f64> {
        let threshold = threshold(settings);
        let rest = in_time_order(&self.records, &mut scratch.records);
        let mut bursts = self.folded.as_deref().map(|f| f.bursts).unwrap_or_default();
        rest.iter().for_each(|r| bursts.push(*r, threshold));
        bursts.efficiency()
    }

    /// The first packets in time order, at most `sequence_len` of them.
    pub fn first_packets(&self, scratch: &mut LogScratch, settings: &TrackerSettings) -> Cow<'_, [Record]> {
        let head = self.folded.as_deref().map(|f| f.head.as_slice()).unwrap_or_default();
        let room = settings.sequence_len.saturating_sub(head.len());
        if head.is_empty() && is_sorted(&self.records) {
            return Cow::Borrowed(self.records.get(..room).unwrap_or(&self.records));
        }
        let mut first = head.to_vec();
        first.extend(in_time_order(&self.records, &mut scratch.records).iter().take(room));
        Cow::Owned(first)
    }

    #[cold]
    fn make_room(&mut self, settings: &TrackerSettings) {
        let cap = settings.log_cap.clamp(2, LOG_CAP);
        let held = self.records.len();
        if held < cap {
            // 4, 16, 64, then doubling: few reallocations for short flows, little waste for long ones.
            let next = if held == 0 {
                4
            } else if held < 64 {
                held * 4
            } else {
                held * 2
            };
            self.records.reserve_exact(next.min(cap) - held);
            return;
        }
        sort(&mut self.records);
        self.fold(held / 2, settings);
    }

    /// Moves the first `n` records, which are in the order of time, into the summary.
    fn fold(&mut self, n: usize, settings: &TrackerSettings) {
        let old = self.records.drain(..n);
        let folded = self.folded.get_or_insert_default();
        fold_gaps(&mut folded.gaps, old.as_slice(), threshold(settings), &mut folded.sketches);
        let sequence_len = settings.sequence_len.min(MAX_SEQUENCE_LEN);
        for r in old {
            folded.lengths.push(r);
            folded.bursts.push(r, threshold(settings));
            if folded.head.len() < sequence_len {
                if folded.head.is_empty() {
                    folded.head.reserve_exact(sequence_len);
                }
                folded.head.push(r);
            }
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.heap_bytes()
    }
}

/// Records that a flow with a summary keeps when memory is short: packets late by fewer are still put right.
const SHORT_WINDOW: usize = 64;

fn threshold(settings: &TrackerSettings) -> u64 {
    u64::try_from(settings.burst_threshold_ns).unwrap_or(0)
}

/// The records by time; those of equal times in the order in which they came.
fn in_time_order<'a>(records: &'a [Record], copy: &'a mut Vec<Record>) -> &'a [Record] {
    if is_sorted(records) {
        return records;
    }
    copy.clear();
    copy.extend_from_slice(records);
    sort(copy);
    copy
}

fn is_sorted(records: &[Record]) -> bool {
    records.is_sorted_by_key(|r| r.ts)
}

fn sort(records: &mut [Record]) {
    if !is_sorted(records) {
        records.sort_by_key(|r| r.ts);
    }
}

fn fold_gaps(fold: &mut GapFold, records: &[Record], threshold: u64, sketches: &mut [Sketch; 3]) {
    for &r in records {
        fold.push(r, threshold, &mut |set, gap| {
            if let Some(s) = sketches.get_mut(set) {
                s.add(gap);
            }
        });
    }
}

fn exact_gaps(records: &[Record], threshold: u64, gaps: &mut [Vec<u64>; 3]) -> GapSummary {
    let mut fold = GapFold::default();
    gaps.iter_mut().for_each(Vec::clear);
    for &r in records {
        fold.push(r, threshold, &mut |set, gap| {
            if let Some(g) = gaps.get_mut(set) {
                g.push(gap);
            }
        });
    }
    gaps.iter_mut().for_each(|g| g.sort_unstable());
    let of =
        |g: &[u64], q| quantile(g.len() as u64, q, |rank| g.get(rank as usize).copied().unwrap_or_default() as f64);
    let [all, a, b] = gaps;
    GapSummary { quantiles: QUANTILES.map(|q| of(all, q)), side_median: [of(a, 0.5), of(b, 0.5)], ..fold.summary() }
}

fn sketched(fold: &GapFold, sketches: &[Sketch; 3]) -> GapSummary {
    let [all, a, b] = sketches;
    // The middle of a bucket may lie just outside of what was seen.
    let s = fold.summary();
    let of = |sketch: &Sketch, q: f64, within: &super::GapRun| {
        let value = sketch.quantile(q).unwrap_or_default();
        value.clamp(within.min().unwrap_or_default() as f64, within.max().unwrap_or(u64::MAX) as f64)
    };
    GapSummary {
        quantiles: QUANTILES.map(|q| of(all, q, &s.all)),
        side_median: [of(a, 0.5, &s.side[0]), of(b, 0.5, &s.side[1])],
        approximate: true,
        ..s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lcg, packet};

    fn feed(log: &mut PacketLog, settings: &TrackerSettings, p: &crate::PacketInfo, side: Side) {
        log.update(&Packet::without_bytes(p), side, &mut Context::new(*settings));
    }

    #[test]
    fn a_million_hostile_packets_stay_within_the_bound() {
        let settings = TrackerSettings { sequence_len: MAX_SEQUENCE_LEN, ..TrackerSettings::default() };
        let mut log = PacketLog::start(&settings);
        let mut random = Lcg(7);
        for i in 0..1_000_000u64 {
            // Times jump anywhere, back and forth; lengths up to jumbograms.
            let ts = random.next() as i64 >> (random.next() % 64);
            let p = packet(ts, random.next() as u32 >> (i % 32), random.next() as u32);
            feed(&mut log, &settings, &p, if random.next() & 1 == 0 { Side::A } else { Side::B });
        }
        assert!(log.bytes() <= PacketLog::MAX_BYTES, "{} > {}", log.bytes(), PacketLog::MAX_BYTES);
        let mut scratch = LogScratch::default();
        let gaps = log.gaps(&mut scratch, &settings);
        assert_eq!(gaps.all.packets, 1_000_000);
        assert!(gaps.approximate && gaps.quantiles.is_sorted());
        assert_eq!(log.lengths(&mut scratch).packets, 1_000_000);
        assert_eq!(log.first_packets(&mut scratch, &settings).len(), MAX_SEQUENCE_LEN);
    }

    #[test]
    fn a_flow_of_ten_million_packets_does_not_grow() {
        let settings = TrackerSettings::default();
        let mut log = PacketLog::start(&settings);
        let (mut early, mut ts) = (0, 0);
        for i in 0..10_000_000u32 {
            ts += i64::from(i % 1000) * 1000;
            feed(&mut log, &settings, &packet(ts, 40 + i % 1460, i % 1460), Side::A);
            if i == 20_000 {
                early = log.bytes();
            }
        }
        assert_eq!(log.bytes(), early);
        assert!(early < 128 << 10, "{early}");
    }

    #[test]
    fn short_flows_take_little() {
        let settings = TrackerSettings::default();
        let mut log = PacketLog::start(&settings);
        feed(&mut log, &settings, &packet(0, 40, 0), Side::A);
        assert!(log.bytes() <= 96, "{}", log.bytes());
        for _ in 0..15 {
            feed(&mut log, &settings, &packet(0, 40, 0), Side::A);
        }
        assert!(log.bytes() <= 32 + 16 * 16, "{}", log.bytes());
    }

    #[test]
    fn packets_late_by_less_than_half_a_log_are_put_right() {
        let settings = TrackerSettings { log_cap: 8, sequence_len: 6, ..TrackerSettings::default() };
        let mut log = PacketLog::start(&settings);
        for ts in [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10] {
            feed(&mut log, &settings, &packet(ts, 40, 0), Side::A);
        }
        let mut scratch = LogScratch::default();
        let gaps = log.gaps(&mut scratch, &settings);
        assert_eq!((gaps.all.min(), gaps.all.max(), gaps.all.sum()), (Some(1), Some(1), Some(11)));
        let first = log.first_packets(&mut scratch, &settings);
        assert_eq!(first.iter().map(|r| r.ts).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }
}
