//! Sizes. IP lengths and payload lengths as on the wire, whatever the snap length left.

use super::Profile::Core;
use super::Unit::{Bytes, BytesSquared, Count, None as NoUnit};
use super::values::{int, ratio};
use super::{FlowView, Group, Split, always, f64, formula, i64, split};
use crate::trackers::{LengthSummary, SideSizes, TrackerMask, mean, population_std};

/// Lengths of a set of packets.
struct Part {
    packets: u64,
    bytes: u64,
    /// None where it is not known of all packets.
    payload: Option<u64>,
    sizes: SideSizes,
    median: f64,
}

/// Lengths of a flow; none without its trackers.
pub struct View(Option<Known>);

struct Known {
    all: Part,
    fwd: Part,
    bwd: Part,
    lengths: LengthSummary,
}

impl FlowView for View {
    type Of<'a> = Self;
}

impl View {
    fn all(&self) -> Option<&Part> {
        self.0.as_ref().map(|k| &k.all)
    }
    fn fwd(&self) -> Option<&Part> {
        self.0.as_ref().map(|k| &k.fwd)
    }
    fn bwd(&self) -> Option<&Part> {
        self.0.as_ref().map(|k| &k.bwd)
    }
    fn lengths(&self) -> Option<&LengthSummary> {
        self.0.as_ref().map(|k| &k.lengths)
    }
    fn quantile(&self, i: usize) -> Option<f64> {
        self.all()?.some(*self.lengths()?.quantiles.get(i)?)
    }
    fn asymmetry(&self, of: fn(&Part) -> u64) -> Option<f64> {
        let (f, b) = (of(self.fwd()?) as f64, of(self.bwd()?) as f64);
        ratio(f - b, f + b)
    }
}

impl Part {
    /// The value, if there is a packet at all.
    fn some<T>(&self, value: T) -> Option<T> {
        (self.packets > 0).then_some(value)
    }
    fn min(&self) -> Option<f64> {
        self.some(f64::from(self.sizes.min))
    }
    fn max(&self) -> Option<f64> {
        self.some(f64::from(self.sizes.max))
    }
    fn mean(&self) -> Option<f64> {
        mean(self.packets, self.bytes)
    }
    fn std(&self) -> Option<f64> {
        std(self.packets, self.bytes, self.sizes.sumsq)
    }
    /// Packets with payload.
    fn with_payload(&self) -> Option<u64> {
        self.payload.map(|_| self.sizes.with_payload)
    }
    fn payload_min(&self) -> Option<f64> {
        self.payload?;
        let smallest = if self.sizes.with_payload < self.packets { 0 } else { self.sizes.payload_min()? };
        self.some(f64::from(smallest))
    }
    fn payload_max(&self) -> Option<f64> {
        self.payload?;
        self.some(f64::from(self.sizes.payload_max))
    }
    fn payload_mean(&self) -> Option<f64> {
        mean(self.packets, self.payload?)
    }
    fn payload_std(&self) -> Option<f64> {
        std(self.packets, self.payload?, self.sizes.payload_sumsq)
    }
    fn l7_min(&self) -> Option<i64> {
        self.payload?;
        self.sizes.payload_min().map(i64::from)
    }
    fn l7_max(&self) -> Option<i64> {
        (self.with_payload()? > 0).then_some(i64::from(self.sizes.payload_max))
    }
}

fn std(n: u64, sum: u64, sumsq: u64) -> Option<f64> {
    if sumsq == u64::MAX { None } else { population_std(n, sum, u128::from(sumsq)) }
}

// When there is no value.
const CUT: &str = "a snap length hid a payload of these packets";
const FWD: &str = "no forward packet";
const BWD: &str = "no backward packet";
const L7_FWD: &str = "no forward packet with payload, or a snap length hid one";
const L7_BWD: &str = "no backward packet with payload, or a snap length hid one";

/// Lengths of packets and payloads.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "size",
    doc: "Lengths of packets and payloads, as on the wire.",
    source: "Moore, Zuev, Crogan: Discriminators for use in flow-based classification (2005)",
    null: "the flow has no such packet",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::SIZES.union(TrackerMask::LOG),
    needs: &[],
    view: |flow, scratch, _| {
        let (Some(sizes), Some(lengths)) = (flow.sizes(), scratch.lengths(flow)) else { return View(None) };
        let base = flow.base;
        let [a, b] = &sizes.side;
        let part = |s: usize, sizes: &SideSizes| Part {
            packets: base.packets[s],
            bytes: base.bytes[s],
            payload: base.known_payload(s),
            sizes: *sizes,
            median: lengths.side_median[s],
        };
        let all = Part {
            packets: base.total_packets(),
            bytes: base.total_bytes(),
            payload: base.known_payload(0).zip(base.known_payload(1)).map(|(a, b)| a + b),
            sizes: a.join(b),
            median: lengths.quantiles[1],
        };
        let (a, b) = (part(0, a), part(1, b));
        let (fwd, bwd) = if base.fwd() == 0 { (a, b) } else { (b, a) };
        View(Some(Known { all, fwd, bwd, lengths }))
    },
    features: &[
        split(Split::As(["pkt_len_fwd_min", "pkt_len_bwd_min"]), always(f64("pkt_len_min", Bytes, Core, &|v: &View| v.all()?.min(), "Smallest IP length of all packets.",
            formula("min(len of all)")))),
        split(Split::As(["pkt_len_fwd_max", "pkt_len_bwd_max"]), always(f64("pkt_len_max", Bytes, Core, &|v: &View| v.all()?.max(), "Largest IP length of all packets.",
            formula("max(len of all)")))),
        split(Split::As(["pkt_len_fwd_mean", "pkt_len_bwd_mean"]), always(f64("pkt_len_mean", Bytes, Core, &|v: &View| v.all()?.mean(), "Mean IP length of all packets.",
            formula("mean(len of all)")))),
        split(Split::As(["pkt_len_fwd_std", "pkt_len_bwd_std"]), f64("pkt_len_std", Bytes, Core, &|v: &View| v.all()?.std(), "Population standard deviation of the IP lengths of all packets.",
            formula("std(len of all)").null("the sum of squares exceeds 64 bits"))),
        split(Split::As(["pkt_len_fwd_median", "pkt_len_bwd_median"]), always(f64("pkt_len_median", Bytes, Core, &|v: &View| v.all()?.some(v.all()?.median), "Median IP length of all packets.",
            formula("median(len of all)")))),
        always(f64("pkt_len_p25", Bytes, Core, &|v: &View| v.quantile(0), "25th percentile of the IP lengths of all packets.",
            formula("p25(len of all)"))),
        always(f64("pkt_len_p75", Bytes, Core, &|v: &View| v.quantile(2), "75th percentile of the IP lengths of all packets.",
            formula("p75(len of all)"))),
        always(f64("pkt_len_p90", Bytes, Core, &|v: &View| v.quantile(3), "90th percentile of the IP lengths of all packets.",
            formula("p90(len of all)"))),
        f64("pkt_len_fwd_min", Bytes, Core, &|v: &View| v.fwd()?.min(), "Smallest IP length of forward packets.",
            formula("min(len of fwd)").null(FWD)),
        f64("pkt_len_fwd_max", Bytes, Core, &|v: &View| v.fwd()?.max(), "Largest IP length of forward packets.",
            formula("max(len of fwd)").null(FWD)),
        f64("pkt_len_fwd_mean", Bytes, Core, &|v: &View| v.fwd()?.mean(), "Mean IP length of forward packets.",
            formula("mean(len of fwd)").null(FWD)),
        f64("pkt_len_fwd_std", Bytes, Core, &|v: &View| v.fwd()?.std(), "Population standard deviation of the IP lengths of forward packets.",
            formula("std(len of fwd)").null(FWD)),
        f64("pkt_len_fwd_median", Bytes, Core, &|v: &View| v.fwd()?.some(v.fwd()?.median), "Median IP length of forward packets.",
            formula("median(len of fwd)").null(FWD)),
        f64("pkt_len_bwd_min", Bytes, Core, &|v: &View| v.bwd()?.min(), "Smallest IP length of backward packets.",
            formula("min(len of bwd)").null(BWD)),
        f64("pkt_len_bwd_max", Bytes, Core, &|v: &View| v.bwd()?.max(), "Largest IP length of backward packets.",
            formula("max(len of bwd)").null(BWD)),
        f64("pkt_len_bwd_mean", Bytes, Core, &|v: &View| v.bwd()?.mean(), "Mean IP length of backward packets.",
            formula("mean(len of bwd)").null(BWD)),
        f64("pkt_len_bwd_std", Bytes, Core, &|v: &View| v.bwd()?.std(), "Population standard deviation of the IP lengths of backward packets.",
            formula("std(len of bwd)").null(BWD)),
        f64("pkt_len_bwd_median", Bytes, Core, &|v: &View| v.bwd()?.some(v.bwd()?.median), "Median IP length of backward packets.",
            formula("median(len of bwd)").null(BWD)),
        f64("payload_len_min", Bytes, Core, &|v: &View| v.all()?.payload_min(), "Smallest payload of all packets, empty ones included.",
            formula("min(payload of all)").null(CUT)),
        f64("payload_len_max", Bytes, Core, &|v: &View| v.all()?.payload_max(), "Largest payload of all packets, empty ones included.",
            formula("max(payload of all)").null(CUT)),
        split(Split::As(["payload_len_fwd_mean", "payload_len_bwd_mean"]), f64("payload_len_mean", Bytes, Core, &|v: &View| v.all()?.payload_mean(), "Mean payload of all packets, empty ones included.",
            formula("mean(payload of all)").null(CUT))),
        split(Split::As(["payload_len_fwd_std", "payload_len_bwd_std"]), f64("payload_len_std", Bytes, Core, &|v: &View| v.all()?.payload_std(), "Population standard deviation of the payloads of all packets, empty ones included.",
            formula("std(payload of all)").null(CUT))),
        f64("payload_len_fwd_mean", Bytes, Core, &|v: &View| v.fwd()?.payload_mean(), "Mean payload of forward packets, empty ones included.",
            formula("mean(payload of fwd)").null("no forward packet, or a snap length hid a payload of one")),
        f64("payload_len_fwd_std", Bytes, Core, &|v: &View| v.fwd()?.payload_std(), "Population standard deviation of the payloads of forward packets, empty ones included.",
            formula("std(payload of fwd)").null("no forward packet, or a snap length hid a payload of one")),
        f64("payload_len_bwd_mean", Bytes, Core, &|v: &View| v.bwd()?.payload_mean(), "Mean payload of backward packets, empty ones included.",
            formula("mean(payload of bwd)").null("no backward packet, or a snap length hid a payload of one")),
        f64("payload_len_bwd_std", Bytes, Core, &|v: &View| v.bwd()?.payload_std(), "Population standard deviation of the payloads of backward packets, empty ones included.",
            formula("std(payload of bwd)").null("no backward packet, or a snap length hid a payload of one")),
        split(Split::As(["packets_with_payload_fwd", "packets_with_payload_bwd"]), i64("packets_with_payload", Count, Core, &|v: &View| v.all()?.with_payload().map(int), "Packets with payload.",
            formula("count(payload > 0)").null(CUT).source("own definition"))),
        i64("packets_with_payload_fwd", Count, Core, &|v: &View| v.fwd()?.with_payload().map(int), "Forward packets with payload.",
            formula("count(fwd with payload > 0)").null(CUT).source("own definition")),
        i64("packets_with_payload_bwd", Count, Core, &|v: &View| v.bwd()?.with_payload().map(int), "Backward packets with payload.",
            formula("count(bwd with payload > 0)").null(CUT).source("own definition")),
        f64("header_only_ratio", NoUnit, Core, &|v: &View| v.all().and_then(|a| ratio((a.packets - a.with_payload()?.min(a.packets)) as f64, a.packets as f64)), "Share of packets without payload.",
            formula("count(payload = 0) / count(all)").null(CUT).source("own definition").range(0, 1)),
        f64("pkt_len_variance", BytesSquared, Core, &|v: &View| v.all()?.std().map(|s| s * s), "Population variance of the IP lengths of all packets.",
            formula("variance(len of all)").null("the sum of squares exceeds 64 bits")),
        always(i64("dominant_pkt_size", Bytes, Core, &|v: &View| v.all()?.some(i64::from(v.lengths()?.mode)), "Most frequent IP length; of several, the one seen first.",
            formula("mode(len of all)").source("own definition"))),
        always(f64("dominant_pkt_ratio", NoUnit, Core, &|v: &View| ratio(v.lengths()?.mode_count as f64, v.lengths()?.packets as f64), "Share of packets with the most frequent IP length.",
            formula("count(len = dominant_pkt_size) / count(all)").source("own definition").range(0, 1))),
        i64("l7_bytes_fwd", Bytes, Core, &|v: &View| v.fwd()?.payload.map(int), "Payload of all forward packets.",
            formula("sum(payload of fwd)").null(CUT).source("IANA IPFIX transportOctetDeltaCount")),
        i64("l7_bytes_bwd", Bytes, Core, &|v: &View| v.bwd()?.payload.map(int), "Payload of all backward packets.",
            formula("sum(payload of bwd)").null(CUT).source("IANA IPFIX transportOctetDeltaCount")),
        split(Split::As(["l7_bytes_fwd", "l7_bytes_bwd"]), i64("l7_bytes_total", Bytes, Core, &|v: &View| v.all()?.payload.map(int), "Payload of all packets.",
            formula("sum(payload of all)").null(CUT).source("IANA IPFIX transportOctetDeltaCount"))),
        i64("l7_pkt_min_fwd", Bytes, Core, &|v: &View| v.fwd()?.l7_min(), "Smallest payload of the forward packets that have one.",
            formula("min(payload of fwd where payload > 0)").null(L7_FWD)),
        i64("l7_pkt_max_fwd", Bytes, Core, &|v: &View| v.fwd()?.l7_max(), "Largest payload of the forward packets that have one.",
            formula("max(payload of fwd where payload > 0)").null(L7_FWD)),
        i64("l7_pkt_min_bwd", Bytes, Core, &|v: &View| v.bwd()?.l7_min(), "Smallest payload of the backward packets that have one.",
            formula("min(payload of bwd where payload > 0)").null(L7_BWD)),
        i64("l7_pkt_max_bwd", Bytes, Core, &|v: &View| v.bwd()?.l7_max(), "Largest payload of the backward packets that have one.",
            formula("max(payload of bwd where payload > 0)").null(L7_BWD)),
        always(f64("pkt_asymmetry", NoUnit, Core, &|v: &View| v.asymmetry(|p| p.packets), "(forward - backward) / all, in packets.",
            formula("(count(fwd) - count(bwd)) / count(all)").source("own definition").range(-1, 1))),
        f64("byte_asymmetry", NoUnit, Core, &|v: &View| v.asymmetry(|p| p.bytes), "(forward - backward) / all, in IP bytes.",
            formula("(sum(len of fwd) - sum(len of bwd)) / sum(len of all)").null("no packet has a byte").source("own definition").range(-1, 1)),
    ],
};
