//! Timing. Gaps are taken in the order of time, not of capture: a packet that was captured late is not a negative gap.

use super::Profile::{Core, Extended};
use super::Unit::{Count, None as NoUnit, Seconds};
use super::values::{int, seconds as s};
use super::{FlowView, Group, Split, always, bool, f64, formula, i64, split};
use crate::columns::Get;
use crate::trackers::{GapRun, GapSummary, TrackerMask};

/// Gaps with the directions told apart; none without a log.
pub struct View {
    gaps: Option<GapSummary>,
    fwd: usize,
}

impl FlowView for View {
    type Of<'a> = Self;
}

impl View {
    fn all(&self) -> Option<&GapRun> {
        Some(&self.gaps.as_ref()?.all)
    }
    fn fwd(&self) -> Option<&GapRun> {
        self.gaps.as_ref()?.side.get(self.fwd)
    }
    fn bwd(&self) -> Option<&GapRun> {
        self.gaps.as_ref()?.side.get(1 - self.fwd)
    }
    fn quantile(&self, i: usize) -> Option<f64> {
        let g = self.gaps.as_ref()?;
        g.all.some(g.quantiles.get(i)? / 1e9)
    }
    fn median(&self, side: usize) -> Option<f64> {
        let g = self.gaps.as_ref()?;
        g.side.get(side)?.some(g.side_median.get(side)? / 1e9)
    }
    /// A burst ends at each gap that is not shorter than the threshold, and the last one with the flow.
    fn bursts(&self) -> Option<u64> {
        let g = self.gaps.as_ref()?;
        (g.all.packets > 0).then_some(g.idle_count + 1)
    }
    /// Time inside of bursts: that which is not between them.
    fn burst_time(&self) -> Option<u64> {
        let g = self.gaps.as_ref()?;
        Some(g.all.sum().unwrap_or(0).saturating_sub(g.idle_sum))
    }
    fn idle<T>(&self, value: fn(&GapSummary) -> Option<T>) -> Option<T> {
        let g = self.gaps.as_ref()?;
        if g.idle_count > 0 { value(g) } else { None }
    }
    fn first_response(&self) -> Option<f64> {
        let (all, bwd) = (self.all()?, self.bwd()?);
        (bwd.packets > 0).then(|| s(bwd.first.abs_diff(all.first)))
    }
}

// What the direction's own is, where no other feature says it.
const GAPS: Split<View> =
    Split::Own([Get::F64(&|v: &View| v.fwd()?.sum().map(s)), Get::F64(&|v: &View| v.bwd()?.sum().map(s))]);

// When there is no value.
const FWD: &str = "fewer than two forward packets";
const BWD: &str = "fewer than two backward packets";
const IDLE: &str = "no gap of burst_threshold_ms or more";

/// Inter-arrival times, bursts, idle times.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "timing",
    doc: "Inter-arrival times, bursts and idle times.",
    source: "Moore, Zuev, Crogan: Discriminators for use in flow-based classification (2005)",
    null: "fewer than two packets",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::LOG,
    needs: &[],
    view: |flow, scratch, settings| View { gaps: scratch.gaps(flow, settings), fwd: flow.base.fwd() },
    features: &[
        split(Split::As(["iat_fwd_min", "iat_bwd_min"]), f64("iat_min", Seconds, Core, &|v: &View| v.all()?.min().map(s), "Smallest gap between consecutive packets.",
            formula("min(gaps(all))"))),
        split(Split::As(["iat_fwd_max", "iat_bwd_max"]), f64("iat_max", Seconds, Core, &|v: &View| v.all()?.max().map(s), "Largest gap between consecutive packets.",
            formula("max(gaps(all))"))),
        split(Split::As(["iat_fwd_mean", "iat_bwd_mean"]), f64("iat_mean", Seconds, Core, &|v: &View| Some(v.all()?.mean()? / 1e9), "Mean gap between consecutive packets.",
            formula("mean(gaps(all))"))),
        split(Split::As(["iat_fwd_std", "iat_bwd_std"]), f64("iat_std", Seconds, Core, &|v: &View| Some(v.all()?.std()? / 1e9), "Population standard deviation of the gaps between packets.",
            formula("std(gaps(all))"))),
        split(Split::As(["iat_fwd_median", "iat_bwd_median"]), f64("iat_median", Seconds, Core, &|v: &View| v.quantile(1), "Median gap between consecutive packets.",
            formula("median(gaps(all))"))),
        split(GAPS, f64("iat_sum", Seconds, Core, &|v: &View| v.all()?.sum().map(s), "Sum of the gaps between consecutive packets.",
            formula("sum(gaps(all))"))),
        f64("iat_p25", Seconds, Core, &|v: &View| v.quantile(0), "25th percentile of the gaps between packets.",
            formula("p25(gaps(all))")),
        f64("iat_p75", Seconds, Core, &|v: &View| v.quantile(2), "75th percentile of the gaps between packets.",
            formula("p75(gaps(all))")),
        f64("iat_p90", Seconds, Core, &|v: &View| v.quantile(3), "90th percentile of the gaps between packets.",
            formula("p90(gaps(all))")),
        f64("iat_p99", Seconds, Core, &|v: &View| v.quantile(4), "99th percentile of the gaps between packets.",
            formula("p99(gaps(all))")),
        f64("iat_fwd_min", Seconds, Core, &|v: &View| v.fwd()?.min().map(s), "Smallest gap between consecutive forward packets.",
            formula("min(gaps(fwd))").null(FWD)),
        f64("iat_fwd_max", Seconds, Core, &|v: &View| v.fwd()?.max().map(s), "Largest gap between consecutive forward packets.",
            formula("max(gaps(fwd))").null(FWD)),
        f64("iat_fwd_mean", Seconds, Core, &|v: &View| Some(v.fwd()?.mean()? / 1e9), "Mean gap between consecutive forward packets.",
            formula("mean(gaps(fwd))").null(FWD)),
        f64("iat_fwd_std", Seconds, Core, &|v: &View| Some(v.fwd()?.std()? / 1e9), "Population standard deviation of the gaps between forward packets.",
            formula("std(gaps(fwd))").null(FWD)),
        f64("iat_fwd_median", Seconds, Core, &|v: &View| v.median(v.fwd), "Median gap between consecutive forward packets.",
            formula("median(gaps(fwd))").null(FWD)),
        f64("iat_bwd_min", Seconds, Core, &|v: &View| v.bwd()?.min().map(s), "Smallest gap between consecutive backward packets.",
            formula("min(gaps(bwd))").null(BWD)),
        f64("iat_bwd_max", Seconds, Core, &|v: &View| v.bwd()?.max().map(s), "Largest gap between consecutive backward packets.",
            formula("max(gaps(bwd))").null(BWD)),
        f64("iat_bwd_mean", Seconds, Core, &|v: &View| Some(v.bwd()?.mean()? / 1e9), "Mean gap between consecutive backward packets.",
            formula("mean(gaps(bwd))").null(BWD)),
        f64("iat_bwd_std", Seconds, Core, &|v: &View| Some(v.bwd()?.std()? / 1e9), "Population standard deviation of the gaps between backward packets.",
            formula("std(gaps(bwd))").null(BWD)),
        f64("iat_bwd_median", Seconds, Core, &|v: &View| v.median(1 - v.fwd), "Median gap between consecutive backward packets.",
            formula("median(gaps(bwd))").null(BWD)),
        split(Split::As(["burstiness_index_fwd", "burstiness_index_bwd"]), f64("burstiness_index", NoUnit, Core, &|v: &View| v.all()?.variation(), "Standard deviation over mean of the gaps between packets.",
            formula("std(gaps(all)) / mean(gaps(all))").null("fewer than two packets, or all at one time").source("coefficient of variation").from(0))),
        f64("burstiness_index_fwd", NoUnit, Core, &|v: &View| v.fwd()?.variation(), "Standard deviation over mean of the gaps between forward packets.",
            formula("std(gaps(fwd)) / mean(gaps(fwd))").null("fewer than two forward packets, or all at one time").source("coefficient of variation").from(0)),
        f64("burstiness_index_bwd", NoUnit, Core, &|v: &View| v.bwd()?.variation(), "Standard deviation over mean of the gaps between backward packets.",
            formula("std(gaps(bwd)) / mean(gaps(bwd))").null("fewer than two backward packets, or all at one time").source("coefficient of variation").from(0)),
        always(i64("burst_count", Count, Core, &|v: &View| v.bursts().map(int), "Bursts: runs of packets with gaps below `burst_threshold_ms`.",
            formula("idle_count + 1").source("own definition").from(1))),
        always(f64("avg_burst_packets", Count, Core, &|v: &View| Some(v.all()?.packets as f64 / v.bursts()? as f64), "Mean number of packets in a burst.",
            formula("total_packets / burst_count").source("own definition").from(1))),
        always(f64("avg_burst_duration", Seconds, Core, &|v: &View| Some(s(v.burst_time()?) / v.bursts()? as f64), "Mean time from first to last packet of a burst.",
            formula("(sum(gaps(all)) - sum(idle)) / burst_count").source("own definition"))),
        always(i64("max_burst_packets", Count, Core, &|v: &View| v.bursts().and(v.gaps).map(|g| int(g.longest_burst)), "Packets of the longest burst.",
            formula("max over bursts of their packets").source("own definition").from(1))),
        always(i64("idle_count", Count, Core, &|v: &View| Some(int(v.gaps?.idle_count)), "Gaps of at least `burst_threshold_ms`.",
            formula("count(gaps(all) >= burst_threshold_ms)").source("own definition"))),
        f64("avg_idle_duration", Seconds, Core, &|v: &View| v.idle(|g| Some(s(g.idle_sum) / g.idle_count as f64)), "Mean of these gaps.",
            formula("sum(idle) / idle_count").null(IDLE).source("own definition")),
        f64("max_idle_duration", Seconds, Core, &|v: &View| v.idle(|g| g.all.max().map(s)), "Largest of these gaps.",
            formula("max(idle)").null(IDLE).source("own definition")),
        f64("first_response_time", Seconds, Core, &|v: &View| v.first_response(), "Time from the first packet to the first backward one.",
            formula("min(t of bwd) - min(t of all)").null("no backward packet").source("own definition")),
        always(bool("iat_approximate", Extended, &|v: &View| Some(v.gaps?.approximate), "Whether the flow was too long for exact quantiles of gaps: they are within 1/256.",
            formula("total_packets > 4096").source("own definition").since("0.2.0"))),
    ],
};
