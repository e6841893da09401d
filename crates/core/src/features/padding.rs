//! Signs of padding and of traffic that is shaped: constant lengths, constant rates, bursts full of headers.

use super::Profile::Experimental;
use super::Unit::{Bytes, BytesSquared, Count, None as NoUnit, SecondsSquared};
use super::values::{int, ratio};
use super::{FlowView, Group, always, bool, f64, formula, i64};
use crate::trackers::{GapSummary, LengthSummary, TrackerMask, mean, population_std};

/// Lengths and gaps of a flow; none without its trackers.
pub struct View(Option<Known>);

impl FlowView for View {
    type Of<'a> = Self;
}

struct Known {
    packets: u64,
    bytes: u64,
    /// None where it is not known of all packets.
    payload: Option<u64>,
    sumsq: u64,
    lengths: LengthSummary,
    gaps: GapSummary,
    burst_efficiency: Option<f64>,
}

impl View {
    fn known(&self) -> Option<&Known> {
        self.0.as_ref()
    }
}

impl Known {
    fn std(&self) -> Option<f64> {
        if self.sumsq == u64::MAX { None } else { population_std(self.packets, self.bytes, self.sumsq.into()) }
    }
    fn size_variation(&self) -> Option<f64> {
        ratio(self.std()?, mean(self.packets, self.bytes)?)
    }
    fn dominant(&self) -> Option<f64> {
        ratio(self.lengths.mode_count as f64, self.lengths.packets as f64)
    }
    fn is_constant_size(&self) -> Option<bool> {
        let dominant = self.dominant()?;
        (self.packets >= 2).then_some(dominant >= 0.95)
    }
    fn size_entropy(&self) -> f64 {
        let (packets, spread) = (self.lengths.packets, &self.lengths.spread);
        ratio(spread.entropy(packets), (spread.lengths as f64).log2()).unwrap_or(0.0)
    }
    fn is_constant_rate(&self) -> Option<bool> {
        let variation = self.gaps.all.variation()?;
        (self.packets >= 3).then_some(variation <= 0.1)
    }
    fn cells(&self) -> Option<f64> {
        ratio(self.lengths.spread.cells as f64, self.packets as f64)
    }
    fn is_tor_like(&self) -> Option<bool> {
        Some(self.cells()? >= 0.7 && self.size_variation().is_some_and(|v| v < 0.1))
    }
    fn overhead(&self) -> Option<i64> {
        Some(int(self.bytes).saturating_sub(int(self.payload?)))
    }
    fn score(&self) -> Option<f64> {
        let constant_size = self.is_constant_size()?;
        let part = |holds: bool, weight: f64| if holds { weight } else { 0.0 };
        Some(
            part(constant_size, 0.3)
                + part(self.dominant()? > 0.8, 0.2)
                + part(self.is_constant_rate() == Some(true), 0.2)
                + part(self.is_tor_like() == Some(true), 0.3),
        )
    }
}

/// Signs of padding.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "padding",
    doc: "Signs of padding and of shaped traffic.",
    source: "own definition (heuristics)",
    null: "fewer than two packets",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::SIZES.union(TrackerMask::LOG),
    needs: &[],
    view: |flow, scratch, settings| {
        let base = flow.base;
        let payload = base.known_payload(0).zip(base.known_payload(1)).map(|(a, b)| a + b);
        let mut known = || Some(Known {
            packets: base.total_packets(),
            bytes: base.total_bytes(),
            payload,
            sumsq: flow.sizes().map(|s| s.side[0].join(&s.side[1]).sumsq)?,
            lengths: scratch.lengths(flow)?,
            gaps: scratch.gaps(flow, settings)?,
            burst_efficiency: flow.log()?.burst_efficiency(scratch.log(), &settings.trackers).filter(|_| payload.is_some()),
        });
        View(known())
    },
    features: &[
        f64("pkt_size_variance", BytesSquared, Experimental, &|v: &View| v.known()?.std().map(|s| s * s), "The same as pkt_len_variance.",
            formula("variance(len of all)").null("the sum of squares exceeds 64 bits").source("Moore, Zuev, Crogan (2005)")),
        f64("pkt_size_cv", NoUnit, Experimental, &|v: &View| v.known()?.size_variation(), "Standard deviation over mean of the IP lengths.",
            formula("std(len of all) / mean(len of all)").null("no packet has a byte").source("coefficient of variation").from(0)),
        bool("is_constant_size", Experimental, &|v: &View| v.known()?.is_constant_size(), "Whether dominant_size_ratio is 0.95 or more; null for a single packet.",
            formula("dominant_size_ratio >= 0.95")),
        always(i64("dominant_size_mode", Bytes, Experimental, &|v: &View| Some(v.known()?.lengths.mode.into()), "The same as dominant_pkt_size: most frequent IP length.",
            formula("mode(len of all), of several the first in time"))),
        always(f64("dominant_size_ratio", NoUnit, Experimental, &|v: &View| v.known()?.dominant(), "The same as dominant_pkt_ratio: share of packets with it.",
            formula("count(len = dominant_size_mode) / total_packets").range(0, 1))),
        always(i64("unique_size_count", Count, Experimental, &|v: &View| Some(int(v.known()?.lengths.spread.lengths)), "Different IP lengths.",
            formula("unique(len of all)").from(1))),
        always(f64("size_entropy", NoUnit, Experimental, &|v: &View| v.known().map(Known::size_entropy), "Shannon entropy of the IP lengths over that of as many equally frequent ones; 0 for one length.",
            formula("-sum(p log2 p) / log2(unique_size_count), p = share of each len; 0 for one len").source("Shannon (1948); normalised").range(0, 1))),
        f64("iat_variance", SecondsSquared, Experimental, &|v: &View| v.known()?.gaps.all.std().map(|s| (s / 1e9).powi(2)), "Population variance of the gaps between packets.",
            formula("variance(gaps(all))").source("Moore, Zuev, Crogan (2005)")),
        f64("iat_cv", NoUnit, Experimental, &|v: &View| v.known()?.gaps.all.variation(), "Standard deviation over mean of the gaps between packets.",
            formula("std(gaps(all)) / mean(gaps(all))").null("fewer than two packets, or all at one time").source("coefficient of variation").from(0)),
        bool("is_constant_rate", Experimental, &|v: &View| v.known()?.is_constant_rate(), "Whether iat_cv is 0.1 or less; null below three packets.",
            formula("iat_cv <= 0.1").null("fewer than three packets, or all at one time")),
        always(i64("tor_cell_count", Count, Experimental, &|v: &View| Some(int(v.known()?.lengths.spread.cells)), "Packets with an IP length of 580 to 600: a cell of Tor in a TLS record over TCP. A heuristic.",
            formula("count(580 <= len <= 600)").source("Tor tor-spec (cells of 514 bytes)"))),
        always(f64("tor_cell_ratio", NoUnit, Experimental, &|v: &View| v.known()?.cells(), "tor_cell_count over the packets of the flow.",
            formula("tor_cell_count / total_packets").source("Tor tor-spec (cells of 514 bytes)").range(0, 1))),
        always(bool("is_tor_like", Experimental, &|v: &View| v.known()?.is_tor_like(), "Whether tor_cell_ratio is 0.7 or more and pkt_size_cv below 0.1. A heuristic.",
            formula("tor_cell_ratio >= 0.7 and pkt_size_cv < 0.1"))),
        f64("burst_padding_ratio", NoUnit, Experimental, &|v: &View| ratio(v.known()?.overhead()? as f64, v.known()?.bytes as f64), "Share of headers in the IP bytes.",
            formula("burst_overhead_bytes / total_bytes").null("no packet has a byte, or a snap length hid a payload").range(0, 1)),
        i64("burst_overhead_bytes", Bytes, Experimental, &|v: &View| v.known()?.overhead(), "IP bytes less payload bytes.",
            formula("sum(len - payload)").null("a snap length hid a payload")),
        f64("avg_burst_payload_efficiency", NoUnit, Experimental, &|v: &View| v.known()?.burst_efficiency, "Mean over the bursts of the share of payload in the IP bytes of a burst.",
            formula("mean over bursts of sum(payload) / sum(len)").null("a burst has no IP bytes, or a snap length hid a payload").range(0, 1)),
        f64("padding_score", NoUnit, Experimental, &|v: &View| v.known()?.score(), "0.3 for is_constant_size + 0.2 for dominant_size_ratio above 0.8 + 0.2 for is_constant_rate + 0.3 for is_tor_like; null for a single packet.",
            formula("0.3 is_constant_size + 0.2 (dominant_size_ratio > 0.8) + 0.2 is_constant_rate + 0.3 is_tor_like").range(0, 1)),
    ],
};
