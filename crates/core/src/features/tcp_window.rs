//! Windows of TCP (RFC 9293 section 3.8.6, RFC 7323 section 2). Fields are as on the wire unless scaling is said.

use super::Profile::Extended;
use super::Unit::{Bytes, Count, None as NoUnit, Ratio};
use super::sides::SidesView;
use super::values::{int, ratio};
use super::{Group, f64, formula, i64};
use crate::trackers::{SideTcp, TcpOptions, TrackerMask, Windows, mean};

/// Windows with the directions told apart; none for other protocols, or where no header was captured.
type View<'a> = SidesView<'a, TcpOptions>;

/// A shift above this is taken as this (RFC 7323 section 2.3).
const MAX_SHIFT: u8 = 14;

impl View<'_> {
    /// Its windows, where there are some.
    fn windows(&self, back: usize) -> Option<&Windows> {
        Some(&self.side(back)?.windows).filter(|w| w.count > 0)
    }
    fn count(&self, back: usize, of: fn(&Windows) -> u64) -> Option<i64> {
        Some(int(of(&self.side(back)?.windows)))
    }
    fn mean(&self, back: usize) -> Option<f64> {
        let w = self.windows(back)?;
        mean(w.count, w.sum)
    }
    /// Whether windows are scaled: if both first SYNs offer it. One that does not, decides; one that was not seen may.
    fn is_scaled(&self) -> Option<bool> {
        let syns = [self.side(0)?.first_syn, self.side(1)?.first_syn];
        if syns.iter().flatten().any(|syn| !syn.has_scale) {
            return Some(false);
        }
        syns.iter().all(Option::is_some).then_some(true)
    }
    fn scaled_max(&self, back: usize) -> Option<i64> {
        let (side, windows) = (self.side(back)?, self.windows(back)?);
        let shift = if self.is_scaled()? { side.scale.unwrap_or(0).min(MAX_SHIFT) } else { 0 };
        let scaled = windows.other_max.map(|w| i64::from(w) << shift);
        scaled.max(windows.syn_max.map(i64::from))
    }
    fn zero_ratio(&self) -> Option<f64> {
        let sides = &self.known?.side;
        let sum = |of: fn(&SideTcp) -> u64| sides.iter().map(of).sum::<u64>() as f64;
        ratio(sum(|s| s.windows.zero), sum(|s| s.segments))
    }
}

// When there is no value.
const NO_SYN: &str = "not TCP, or no SYN of that side";
const NO_SCALE: &str = "not TCP, or no SYN of that side with the option";
const NO_WINDOW: &str = "not TCP, or no segment of that side without RST";
const UNKNOWN_SCALE: &str =
    "no segment of that side without RST, or whether windows are scaled is not known: a SYN is missing";

/// Windows.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_window",
    doc: "Windows of TCP.",
    source: "RFC 9293 section 3.1",
    null: "not TCP, or no TCP header was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_OPTIONS,
    needs: &[],
    view: |flow, _, _| View::of(flow, flow.tcp_options()),
    features: &[
        i64("tcp_init_win_fwd", Bytes, Extended, &|v: &View<'_>| Some(v.side(0)?.first_syn?.window.into()), "Window of the initiator's first segment with SYN (never scaled).",
            formula("SYN(fwd).window").null(NO_SYN).source("RFC 9293 section 3.1, RFC 7323 section 2.2").range(0, 65535)),
        i64("tcp_init_win_bwd", Bytes, Extended, &|v: &View<'_>| Some(v.side(1)?.first_syn?.window.into()), "Window of the responder's first segment with SYN (never scaled).",
            formula("SYN(bwd).window").null(NO_SYN).source("RFC 9293 section 3.1, RFC 7323 section 2.2").range(0, 65535)),
        i64("tcp_win_scale_fwd", NoUnit, Extended, &|v: &View<'_>| v.side(0)?.scale.map(i64::from), "Shift count of the first window scale option in a segment with SYN of the initiator, as sent.",
            formula("first window scale option in a SYN of fwd").null(NO_SCALE).source("RFC 7323 section 2.2").range(0, 255)),
        i64("tcp_win_scale_bwd", NoUnit, Extended, &|v: &View<'_>| v.side(1)?.scale.map(i64::from), "Shift count of the first window scale option in a segment with SYN of the responder, as sent.",
            formula("first window scale option in a SYN of bwd").null(NO_SCALE).source("RFC 7323 section 2.2").range(0, 255)),
        i64("tcp_win_fwd_min", Bytes, Extended, &|v: &View<'_>| Some(v.windows(0)?.min.into()), "Smallest window field of forward segments without RST.",
            formula("min(window of fwd without RST)").null(NO_WINDOW).range(0, 65535)),
        i64("tcp_win_fwd_max", Bytes, Extended, &|v: &View<'_>| Some(v.windows(0)?.max.into()), "Largest window field of forward segments without RST.",
            formula("max(window of fwd without RST)").null(NO_WINDOW).range(0, 65535)),
        f64("tcp_win_fwd_mean", Bytes, Extended, &|v: &View<'_>| v.mean(0), "Mean window field of forward segments without RST.",
            formula("mean(window of fwd without RST)").null(NO_WINDOW).range(0, 65535)),
        i64("tcp_win_fwd_zero_count", Count, Extended, &|v: &View<'_>| v.count(0, |w| w.zero), "Forward segments with window 0 and none of SYN, FIN, RST.",
            formula("count(fwd with window 0, none of SYN, FIN, RST)").source("RFC 9293 section 3.8.6.1")),
        i64("tcp_win_bwd_min", Bytes, Extended, &|v: &View<'_>| Some(v.windows(1)?.min.into()), "Smallest window field of backward segments without RST.",
            formula("min(window of bwd without RST)").null(NO_WINDOW).range(0, 65535)),
        i64("tcp_win_bwd_max", Bytes, Extended, &|v: &View<'_>| Some(v.windows(1)?.max.into()), "Largest window field of backward segments without RST.",
            formula("max(window of bwd without RST)").null(NO_WINDOW).range(0, 65535)),
        f64("tcp_win_bwd_mean", Bytes, Extended, &|v: &View<'_>| v.mean(1), "Mean window field of backward segments without RST.",
            formula("mean(window of bwd without RST)").null(NO_WINDOW).range(0, 65535)),
        i64("tcp_win_bwd_zero_count", Count, Extended, &|v: &View<'_>| v.count(1, |w| w.zero), "Backward segments with window 0 and none of SYN, FIN, RST.",
            formula("count(bwd with window 0, none of SYN, FIN, RST)").source("RFC 9293 section 3.8.6.1")),
        i64("tcp_win_fwd_up_count", Count, Extended, &|v: &View<'_>| v.count(0, |w| w.up), "Forward segments without SYN and RST whose window field is above that of the one before.",
            formula("count(fwd without SYN, RST whose window is above that of the one before)").source("own definition")),
        i64("tcp_win_fwd_down_count", Count, Extended, &|v: &View<'_>| v.count(0, |w| w.down), "Forward segments without SYN and RST whose window field is below that of the one before.",
            formula("count(fwd without SYN, RST whose window is below that of the one before)").source("own definition")),
        i64("tcp_win_fwd_change_count", Count, Extended, &|v: &View<'_>| v.count(0, |w| w.up + w.down), "tcp_win_fwd_up_count + tcp_win_fwd_down_count.",
            formula("tcp_win_fwd_up_count + tcp_win_fwd_down_count").source("own definition")),
        i64("tcp_win_bwd_up_count", Count, Extended, &|v: &View<'_>| v.count(1, |w| w.up), "Backward segments without SYN and RST whose window field is above that of the one before.",
            formula("count(bwd without SYN, RST whose window is above that of the one before)").source("own definition")),
        i64("tcp_win_bwd_down_count", Count, Extended, &|v: &View<'_>| v.count(1, |w| w.down), "Backward segments without SYN and RST whose window field is below that of the one before.",
            formula("count(bwd without SYN, RST whose window is below that of the one before)").source("own definition")),
        i64("tcp_win_bwd_change_count", Count, Extended, &|v: &View<'_>| v.count(1, |w| w.up + w.down), "tcp_win_bwd_up_count + tcp_win_bwd_down_count.",
            formula("tcp_win_bwd_up_count + tcp_win_bwd_down_count").source("own definition")),
        i64("tcp_scaled_win_fwd_max", Bytes, Extended, &|v: &View<'_>| v.scaled_max(0), "Largest window of forward segments without RST, scaled where both first SYNs offer it; that of a SYN never is.",
            formula("max(window of fwd without RST; without SYN shifted by min(14, scale) where both first SYNs offer it)").null(UNKNOWN_SCALE).source("RFC 7323 section 2.2, 2.3").range(0, 1_073_725_440)),
        i64("tcp_scaled_win_bwd_max", Bytes, Extended, &|v: &View<'_>| v.scaled_max(1), "Largest window of backward segments without RST, scaled where both first SYNs offer it; that of a SYN never is.",
            formula("max(window of bwd without RST; without SYN shifted by min(14, scale) where both first SYNs offer it)").null(UNKNOWN_SCALE).source("RFC 7323 section 2.2, 2.3").range(0, 1_073_725_440)),
        f64("tcp_zero_win_ratio", Ratio, Extended, &|v: &View<'_>| v.zero_ratio(), "Segments with a zero window (as counted above) over the TCP segments of the flow.",
            formula("(tcp_win_fwd_zero_count + tcp_win_bwd_zero_count) / count(TCP segments)").source("own definition")),
    ],
};
