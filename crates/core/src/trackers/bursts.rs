//! How much of a burst is payload: what distinguishes padded traffic, made of the log for those who ask.

use super::record::Record;
use crate::frame::TimeNs;

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

    /// Mean share of payload in the IP bytes of a burst; none where a burst has no IP bytes.
    pub fn efficiency(&self) -> Option<f64> {
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
}
