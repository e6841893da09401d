//! Gaps between packets in time order: inter-arrival times, bursts and idle times.
//!
//! Kept as exact integers, so that a fold in two halves is the same as in one, and equal gaps have a deviation of 0.

use super::order::{mean, population_std};
use super::record::Record;
use crate::frame::TimeNs;

/// Gaps of a flow: both directions together and each side by itself. Times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct GapSummary {
    /// Over all packets.
    pub all: GapRun,
    /// Over the packets of each [`crate::Side`].
    pub side: [GapRun; 2],
    /// Gaps of at least the burst threshold.
    pub idle_count: u64,
    /// Sum of these.
    pub idle_sum: u64,
    /// Packets of the longest burst.
    pub longest_burst: u64,
    /// Quantiles of the gaps at 0.25, 0.5, 0.75, 0.9, 0.99; meaningless for fewer than two packets.
    pub quantiles: [f64; 5],
    /// Median of the gaps of each side; meaningless for fewer than two packets of the side.
    pub side_median: [f64; 2],
    /// Whether the flow outgrew its log: quantiles are within 1/256 of exact, and packets that came more than half a
    /// log late count as if they had come with the packets then newest.
    pub approximate: bool,
}

/// The ranks of [`GapSummary::quantiles`].
pub(super) const QUANTILES: [f64; 5] = [0.25, 0.5, 0.75, 0.9, 0.99];

/// Packets in time order, as far as their gaps go.
#[derive(Clone, Copy, Debug)]
pub struct GapRun {
    /// Packets.
    pub packets: u64,
    /// Time of the first.
    pub first: TimeNs,
    /// Time of the last.
    pub last: TimeNs,
    min: u64,
    max: u64,
    sumsq: u128,
}

impl GapRun {
    const EMPTY: Self = Self { packets: 0, first: 0, last: 0, min: u64::MAX, max: 0, sumsq: 0 };

    /// How many gaps there are.
    pub fn gaps(&self) -> u64 {
        self.packets.saturating_sub(1)
    }

    /// Smallest gap.
    pub fn min(&self) -> Option<u64> {
        self.some(self.min)
    }

    /// Largest gap.
    pub fn max(&self) -> Option<u64> {
        self.some(self.max)
    }

    /// Sum of the gaps, which is the time from the first to the last packet.
    pub fn sum(&self) -> Option<u64> {
        self.some(self.last.abs_diff(self.first))
    }

    /// Mean gap.
    pub fn mean(&self) -> Option<f64> {
        mean(self.gaps(), self.sum()?)
    }

    /// Population standard deviation of the gaps.
    pub fn std(&self) -> Option<f64> {
        population_std(self.gaps(), self.sum()?, self.sumsq)
    }

    /// Coefficient of variation: standard deviation over mean; none where the mean is 0.
    pub fn variation(&self) -> Option<f64> {
        let mean = self.mean()?;
        (mean > 0.0).then_some(self.std()? / mean)
    }

    /// The value, if there is a gap at all.
    pub fn some<T>(&self, value: T) -> Option<T> {
        (self.packets >= 2).then_some(value)
    }

    /// Takes the next packet; gives the gap before it.
    #[inline]
    fn push(&mut self, ts: TimeNs) -> Option<u64> {
        self.packets += 1;
        if self.packets == 1 {
            (self.first, self.last) = (ts, ts);
            return None;
        }
        // A packet later than the log can put right has no gap of its own.
        let ts = ts.max(self.last);
        let gap = ts.abs_diff(self.last);
        self.last = ts;
        self.min = self.min.min(gap);
        self.max = self.max.max(gap);
        self.sumsq = self.sumsq.saturating_add(u128::from(gap) * u128::from(gap));
        Some(gap)
    }
}

/// The running state of [`GapSummary`].
#[derive(Clone, Copy, Debug)]
pub(super) struct GapFold {
    all: GapRun,
    side: [GapRun; 2],
    idle_count: u64,
    idle_sum: u64,
    burst: u64,
    longest_burst: u64,
}

impl Default for GapFold {
    fn default() -> Self {
        Self { all: GapRun::EMPTY, side: [GapRun::EMPTY; 2], idle_count: 0, idle_sum: 0, burst: 0, longest_burst: 0 }
    }
}

impl GapFold {
    /// Takes the next packet in time order. `out` is called with each gap: 0 = over all packets, 1 and 2 = of side A and B.
    #[inline]
    pub(super) fn push(&mut self, r: Record, threshold: u64, out: &mut impl FnMut(usize, u64)) {
        if let Some(gap) = self.all.push(r.ts) {
            out(0, gap);
            if gap >= threshold {
                self.idle_count += 1;
                self.idle_sum += gap;
                self.burst = 0;
            }
        }
        self.burst += 1;
        self.longest_burst = self.longest_burst.max(self.burst);
        let side = r.side();
        if let Some(run) = self.side.get_mut(side)
            && let Some(gap) = run.push(r.ts)
        {
            out(1 + side, gap);
        }
    }

    /// The summary, with quantiles still to be filled in.
    pub(super) fn summary(&self) -> GapSummary {
        GapSummary {
            all: self.all,
            side: self.side,
            idle_count: self.idle_count,
            idle_sum: self.idle_sum,
            longest_burst: self.longest_burst,
            quantiles: [0.0; 5],
            side_median: [0.0; 2],
            approximate: false,
        }
    }
}
