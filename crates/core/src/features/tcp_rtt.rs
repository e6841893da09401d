//! Round-trip times of TCP: one timed segment at a time (RFC 6298 section 3), by timestamps (RFC 7323 section 4) and by
//! acknowledgement.

use super::Profile::Extended;
use super::Unit::{Count, Seconds};
use super::values::{int, seconds as s};
use super::{FlowView, Group, f64, formula, i64};
use crate::trackers::{Samples, TcpSequence, TrackerMask, mean, population_std};

/// Round-trip times; none for other protocols, or where no header was captured.
pub struct View<'a>(Option<&'a TcpSequence>);

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.0.is_none()
    }
}

impl View<'_> {
    fn timestamps(&self) -> Option<&Samples> {
        Some(&self.0?.timestamp_rtt).filter(|s| s.count > 0)
    }
    fn acks(&self) -> Option<&Samples> {
        Some(&self.0?.ack_rtt).filter(|s| s.count > 0)
    }
    fn std(&self) -> Option<f64> {
        let t = self.timestamps()?;
        Some(population_std(t.count, t.sum, t.sumsq)? / 1e9)
    }
    fn jitter(&self) -> Option<f64> {
        let (count, sum) = self.timestamps()?.steps;
        Some(mean(count, sum)? / 1e9)
    }
    fn handshake(&self) -> Option<f64> {
        self.0?.handshake().and_then(|ns| u64::try_from(ns).ok()).map(s)
    }
}

fn mean_of(samples: &Samples) -> Option<f64> {
    Some(mean(samples.count, samples.sum)? / 1e9)
}

/// Round-trip times.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_rtt",
    doc: "Round-trip times of TCP, by the handshake, by timestamps and by acknowledgement.",
    source: "RFC 7323 section 4",
    null: "not TCP, or no sample",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_SEQUENCE,
    needs: &[],
    view: |flow, _, _| View(flow.tcp_sequence().filter(|t| t.side.iter().any(|s| s.segments > 0))),
    features: &[
        f64("tcp_rtt_handshake", Seconds, Extended, &|v: &View<'_>| v.handshake(), "Time from the initiator's SYN to the ACK that answers the SYN-ACK; null where a second SYN or SYN-ACK makes it ambiguous.",
            formula("t of the initiator's ACK - t of its SYN").null("not TCP, or not all three packets in order, or SYN or SYN-ACK sent again between them").source("RFC 9293 section 3.5, RFC 6298 section 3")),
        f64("tcp_rtt_min", Seconds, Extended, &|v: &View<'_>| v.timestamps().map(|t| s(t.min)), "Smallest round-trip time by timestamps, both directions.",
            formula("min(samples: t of the ACK with TSecr = TSval - t of the timed segment, below 60 s)")),
        f64("tcp_rtt_max", Seconds, Extended, &|v: &View<'_>| v.timestamps().map(|t| s(t.max)), "Largest round-trip time by timestamps, both directions.",
            formula("max(samples: t of the ACK with TSecr = TSval - t of the timed segment, below 60 s)")),
        f64("tcp_rtt_mean", Seconds, Extended, &|v: &View<'_>| mean_of(v.timestamps()?), "Mean round-trip time by timestamps, both directions.",
            formula("mean(samples: t of the ACK with TSecr = TSval - t of the timed segment, below 60 s)")),
        i64("tcp_rtt_samples", Count, Extended, &|v: &View<'_>| Some(int(v.0?.timestamp_rtt.count)), "Samples of round-trip times by timestamps, both directions.",
            formula("count(samples by timestamps)").null("not TCP, or no TCP header was captured")),
        f64("tcp_rtt_std", Seconds, Extended, &|v: &View<'_>| v.std(), "Population standard deviation of the round-trip times by timestamps.",
            formula("std(samples: t of the ACK with TSecr = TSval - t of the timed segment, below 60 s)")),
        f64("tcp_rtt_jitter_avg", Seconds, Extended, &|v: &View<'_>| v.jitter(), "Mean difference between a round-trip time by timestamps and the one before of the same direction.",
            formula("mean(abs(sample - sample before in its direction))").null("not TCP, or no direction has two samples").source("own definition, after RFC 3550 section 6.4.1")),
        f64("tcp_rtt_ack_min", Seconds, Extended, &|v: &View<'_>| v.acks().map(|a| s(a.min)), "Smallest round-trip time by acknowledgement, both directions.",
            formula("min(samples: t of the ACK - t of the timed segment, never sent again, below 60 s)").source("RFC 6298 sections 3, 4; Karn, Partridge (1987)")),
        f64("tcp_rtt_ack_max", Seconds, Extended, &|v: &View<'_>| v.acks().map(|a| s(a.max)), "Largest round-trip time by acknowledgement, both directions.",
            formula("max(samples: t of the ACK - t of the timed segment, never sent again, below 60 s)").source("RFC 6298 sections 3, 4; Karn, Partridge (1987)")),
        f64("tcp_rtt_ack_mean", Seconds, Extended, &|v: &View<'_>| mean_of(v.acks()?), "Mean round-trip time by acknowledgement, both directions.",
            formula("mean(samples: t of the ACK - t of the timed segment, never sent again, below 60 s)").source("RFC 6298 sections 3, 4; Karn, Partridge (1987)")),
    ],
};
