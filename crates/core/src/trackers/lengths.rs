//! Order statistics, mode and spread of IP lengths, exact for flows of any length: there are only so many lengths.

use super::order::quantile;
use super::record::Record;
use crate::frame::TimeNs;

/// Quantiles, mode and spread of the IP lengths of a flow, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LengthSummary {
    /// Packets.
    pub packets: u64,
    /// Packets by [`crate::Side`].
    pub side_packets: [u64; 2],
    /// Quantiles at 0.25, 0.5, 0.75, 0.9; meaningless for no packets.
    pub quantiles: [f64; 4],
    /// Median of each side; meaningless for no packets of the side.
    pub side_median: [f64; 2],
    /// The most frequent length; of several, the one seen first.
    pub mode: u32,
    /// How often it was seen.
    pub mode_count: u64,
    /// How far they are spread.
    pub spread: LengthSpread,
}

/// How far the IP lengths of a flow are spread: padded traffic has few.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LengthSpread {
    /// Different lengths.
    pub lengths: u64,
    /// Packets with the length of a cell of Tor in a TLS record over TCP.
    pub cells: u64,
    /// Sum of c log2 c over the numbers of packets of each length.
    weighted: f64,
}

/// IP lengths of a packet that bears one cell of 514 bytes: headers with and without options, records of either version.
const CELL: std::ops::RangeInclusive<u32> = 580..=600;

impl LengthSpread {
    /// Takes a length that `count` packets have, of which there is one.
    #[inline]
    fn add(&mut self, len: u32, count: u64) {
        self.lengths += 1;
        self.cells += if CELL.contains(&len) { count } else { 0 };
        if count > 1 {
            self.weighted += count as f64 * (count as f64).log2();
        }
    }

    /// Shannon entropy of the lengths of so many packets, in bits.
    pub fn entropy(&self, packets: u64) -> f64 {
        if self.lengths < 2 {
            return 0.0;
        }
        // log2 n - (sum of c log2 c) / n is the entropy of the shares c / n.
        (packets as f64).log2() - self.weighted / packets as f64
    }
}

/// The ranks of [`LengthSummary::quantiles`].
const QUANTILES: [f64; 4] = [0.25, 0.5, 0.75, 0.9];

/// Lengths that have a counter of their own: up to an IPv6 datagram with 65,535 bytes behind its header. Jumbograms
/// share the last one, once a flow has outgrown its log.
const SLOTS: usize = 65_577;

/// Counts by length of the packets that have left the log.
#[derive(Clone, Debug, Default)]
pub(super) struct LengthCounts {
    slots: Vec<Slot>,
    seen: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    count: [u32; 2],
    /// Number of the first packet of this length in time order, from 1 on.
    first: u32,
}

impl LengthCounts {
    /// Most bytes on the heap.
    pub(super) const MAX_BYTES: usize = SLOTS * size_of::<Slot>();

    /// Counts a packet.
    pub(super) fn push(&mut self, r: Record) {
        let at = (r.ip_len() as usize).min(SLOTS - 1);
        if at >= self.slots.len() {
            // Doubling, but never past the last slot.
            let len = (at + 1).max(2 * self.slots.len()).min(SLOTS);
            self.slots.reserve_exact(len - self.slots.len());
            self.slots.resize(len, Slot::default());
        }
        self.seen = self.seen.saturating_add(1);
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.first == 0 {
            slot.first = self.seen;
        }
        if let Some(c) = slot.count.get_mut(r.side()) {
            *c = c.saturating_add(1);
        }
    }

    /// Copies other counts and keeps this one's memory.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.slots.clone_from(&other.slots);
        self.seen = other.seen;
    }

    /// What was counted.
    pub(super) fn summary(&self) -> LengthSummary {
        let mut s = LengthSummary::default();
        let mut first = u32::MAX;
        for (len, slot) in self.slots.iter().enumerate() {
            let count = slot.both();
            if count == 0 {
                continue;
            }
            s.packets += count;
            s.spread.add(len as u32, count);
            for (sum, c) in s.side_packets.iter_mut().zip(slot.count) {
                *sum += u64::from(c);
            }
            if count > s.mode_count || (count == s.mode_count && slot.first < first) {
                (s.mode, s.mode_count, first) = (len as u32, count, slot.first);
            }
        }
        for (to, q) in s.quantiles.iter_mut().zip(QUANTILES) {
            *to = quantile(s.packets, q, |rank| self.at(rank, Slot::both));
        }
        let (a, b) = (|s: &Slot| u64::from(s.count[0]), |s: &Slot| u64::from(s.count[1]));
        s.side_median[0] = quantile(s.side_packets[0], 0.5, |rank| self.at(rank, a));
        s.side_median[1] = quantile(s.side_packets[1], 0.5, |rank| self.at(rank, b));
        s
    }

    fn at(&self, rank: u64, count: impl Fn(&Slot) -> u64) -> f64 {
        let mut seen = 0;
        let len = self.slots.iter().position(|slot| {
            seen += count(slot);
            seen > rank
        });
        len.unwrap_or_default() as f64
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

impl Slot {
    fn both(&self) -> u64 {
        u64::from(self.count[0]) + u64::from(self.count[1])
    }
}

/// Memory for [`summary_of`], reused from flow to flow.
#[derive(Debug, Default)]
pub(super) struct LengthScratch {
    keys: Vec<u32>,
    side: [Vec<u32>; 2],
}

/// The summary of a flow whose packets are all in its log, in any order.
pub(super) fn summary_of(records: &[Record], scratch: &mut LengthScratch) -> LengthSummary {
    let LengthScratch { keys, side } = scratch;
    // Length and side in one number: one sort serves all three sets.
    keys.clear();
    keys.extend(records.iter().map(|r| r.ip_len() << 1 | r.side() as u32));
    keys.sort_unstable();
    let [a, b] = side;
    a.clear();
    b.clear();
    let mut s = LengthSummary { packets: records.len() as u64, ..LengthSummary::default() };
    let mut tied = false;
    for run in keys.chunk_by(|a, b| a >> 1 == b >> 1) {
        let len = rank_of(run, 0) >> 1;
        let count = run.len() as u64;
        let of_a = run.iter().filter(|&key| key & 1 == 0).count();
        a.extend(std::iter::repeat_n(len, of_a));
        b.extend(std::iter::repeat_n(len, run.len() - of_a));
        s.spread.add(len, count);
        if count > s.mode_count {
            (s.mode, s.mode_count, tied) = (len, count, false);
        } else if count == s.mode_count {
            tied = true;
        }
    }
    if tied {
        s.mode = first_of_the_most_frequent(records, keys, s.mode_count).unwrap_or(s.mode);
    }
    for (to, q) in s.quantiles.iter_mut().zip(QUANTILES) {
        *to = quantile(s.packets, q, |rank| f64::from(rank_of(keys, rank) >> 1));
    }
    for ((median, count), lens) in s.side_median.iter_mut().zip(&mut s.side_packets).zip([a, b]) {
        *count = lens.len() as u64;
        *median = quantile(*count, 0.5, |rank| f64::from(rank_of(lens, rank)));
    }
    s
}

fn rank_of(sorted: &[u32], rank: u64) -> u32 {
    sorted.get(rank as usize).copied().unwrap_or_default()
}

/// Of the lengths that occur `count` times, the one with the earliest packet.
fn first_of_the_most_frequent(records: &[Record], sorted_keys: &[u32], count: u64) -> Option<u32> {
    let mut best: Option<(TimeNs, u32)> = None;
    for r in records {
        let len = r.ip_len();
        if best.is_some_and(|(ts, _)| r.ts >= ts) {
            continue;
        }
        let from = sorted_keys.partition_point(|&k| k >> 1 < len);
        if sorted_keys.get(from + count as usize - 1).is_some_and(|&k| k >> 1 == len) {
            best = Some((r.ts, len));
        }
    }
    best.map(|(_, len)| len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Side;
    use crate::testing::packet;

    #[test]
    fn lengths_that_are_as_frequent_have_the_largest_entropy() {
        let of = |lengths: &[(u32, u64)]| {
            let packets = lengths.iter().flat_map(|(len, count)| (0..*count).map(|_| packet(0, *len, 0)));
            let records: Vec<_> = packets.map(|p| Record::new(&p, Side::A)).collect();
            let s = summary_of(&records, &mut LengthScratch::default());
            // Counted, there are lengths that no packet has.
            let mut counts = LengthCounts::default();
            records.iter().for_each(|r| counts.push(*r));
            assert_eq!(counts.summary().spread, s.spread);
            (s.spread.entropy(s.packets), s.spread.lengths, s.spread.cells)
        };
        assert_eq!(of(&[(40, 7)]), (0.0, 1, 0));
        assert_eq!(of(&[(40, 2), (50, 2), (590, 2), (60, 0), (1500, 2)]), (2.0, 4, 2));
        assert_eq!(of(&[(40, 1), (50, 1)]), (1.0, 2, 0));
    }
}
