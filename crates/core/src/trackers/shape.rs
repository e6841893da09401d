//! What distinguishes padded traffic: how many lengths there are, and how much of a burst is payload. Made of the
//! log for those who ask, apart from the summaries that most groups read.

use super::record::Record;
use crate::frame::TimeNs;

/// Lengths and bursts of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Different IP lengths.
    pub lengths: u64,
    /// Shannon entropy of the IP lengths, in bits.
    pub entropy: f64,
    /// Packets with the length of a cell of Tor in a TLS record over TCP.
    pub cells: u64,
    /// Mean share of payload in the IP bytes of a burst; none where a burst has no IP bytes.
    pub efficiency: Option<f64>,
}

/// IP lengths of a packet that bears one cell of 514 bytes: headers with and without options, records of either version.
const CELL: std::ops::RangeInclusive<u32> = 580..=600;

impl Shape {
    /// Of the lengths, each with its number of packets.
    pub(super) fn of(lengths: impl Iterator<Item = (u32, u64)>, bursts: &BurstFold) -> Self {
        let (mut shape, mut n, mut sum) = (Self { efficiency: bursts.efficiency(), ..Self::default() }, 0, 0.0);
        for (len, count) in lengths.filter(|(_, count)| *count > 0) {
            shape.lengths += 1;
            shape.cells += if CELL.contains(&len) { count } else { 0 };
            n += count;
            sum += count as f64 * (count as f64).log2();
        }
        if shape.lengths > 1 {
            // log2 n - (sum of c log2 c) / n is the entropy of the shares c / n.
            shape.entropy = (n as f64).log2() - sum / n as f64;
        }
        shape
    }
}

/// Bursts in the order of time: a gap of at least the threshold begins the next one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BurstFold {
    last: Option<TimeNs>,
    bytes: u64,
    payload: u64,
    /// Sum of the shares of the bursts before, and how many there were.
    shares: f64,
    bursts: u64,
}

impl BurstFold {
    /// Takes the next packet.
    pub fn push(&mut self, r: Record, threshold: u64) {
        // As in the gaps: a packet that comes too late to be put right has no gap of its own.
        let ts = r.ts.max(self.last.unwrap_or(r.ts));
        if self.last.is_some_and(|last| ts.abs_diff(last) >= threshold) {
            self.shares += self.share();
            self.bursts += 1;
            (self.bytes, self.payload) = (0, 0);
        }
        self.last = Some(ts);
        self.bytes += u64::from(r.ip_len());
        self.payload += u64::from(r.payload_len());
    }

    /// Share of payload in the current burst: not a number where it has no bytes.
    fn share(&self) -> f64 {
        self.payload as f64 / self.bytes as f64
    }

    fn efficiency(&self) -> Option<f64> {
        let mean = (self.shares + self.share()) / (self.bursts + 1) as f64;
        Some(mean).filter(|m| m.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Side;
    use crate::testing::packet;

    #[test]
    fn a_burst_counts_as_much_as_another() {
        let mut bursts = BurstFold::default();
        for (ts, len, payload) in [(0, 100, 50), (9, 100, 100), (19, 40, 0)] {
            bursts.push(Record::new(&packet(ts, len, payload), Side::A), 10);
        }
        assert_eq!(bursts.efficiency(), Some(0.375));
        bursts.push(Record::new(&packet(100, 0, 0), Side::A), 10);
        assert_eq!(bursts.efficiency(), None);
    }

    #[test]
    fn lengths_that_are_as_frequent_have_the_largest_entropy() {
        let of = |lengths: &[(u32, u64)]| Shape::of(lengths.iter().copied(), &BurstFold::default());
        assert_eq!((of(&[(40, 7)]).entropy, of(&[(40, 7)]).lengths), (0.0, 1));
        let even = of(&[(40, 2), (50, 2), (590, 2), (60, 0), (1500, 2)]);
        assert_eq!((even.entropy, even.lengths, even.cells), (2.0, 4, 2));
    }
}
