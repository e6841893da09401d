//! The first packets of a flow, one list entry each, in the order of time. Lists are as long as the flow, up to
//! `max_sequence_length`; they are not padded.

use std::borrow::Cow;

use super::Profile::Extended;
use super::Unit::{Bitmap, Bytes, Milliseconds, None as NoUnit, Seconds};
use super::{FlowView, Group, Need, RowSettings, Scratch, Split, always, formula, list_f64, list_i64, split};
use crate::columns::Direction::{self, Bwd, Fwd};
use crate::columns::Get;
use crate::flow::FlowRef;
use crate::trackers::{Record, TrackerMask};

/// The first packets, borrowed from the log where they lie there in order.
pub struct View<'a> {
    packets: Cow<'a, [Record]>,
    fwd: usize,
}

/// Both directions, or one.
type Of = Option<Direction>;

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

fn view<'a>(flow: &FlowRef<'a>, scratch: &mut Scratch, settings: &RowSettings) -> View<'a> {
    let packets = flow.log().map(|log| log.first_packets(scratch.log(), &settings.trackers));
    View { packets: packets.unwrap_or_default(), fwd: flow.base.fwd() }
}

impl View<'_> {
    /// The packets of the flow, or of one direction.
    fn packets(&self, of: Of) -> impl Iterator<Item = &Record> {
        self.packets.iter().filter(move |r| of.is_none_or(|of| of == if r.side() == self.fwd { Fwd } else { Bwd }))
    }

    /// Time since the packet before; 0 for the first.
    fn gaps(&self, of: Of, unit_ns: f64, out: &mut Vec<f64>) -> Option<()> {
        let before = self.packets(of).take(1).chain(self.packets(of));
        out.extend(self.packets(of).zip(before).map(|(p, b)| p.ts.abs_diff(b.ts) as f64 / unit_ns));
        Some(())
    }

    fn each(&self, of: Of, out: &mut Vec<i64>, value: impl Fn(&Record) -> i64) -> Option<()> {
        out.extend(self.packets(of).map(value));
        Some(())
    }

    /// 0 = forward, 1 = backward.
    fn direction(&self, r: &Record) -> i64 {
        i64::from(r.side() != self.fwd)
    }
}

// Of the first packets of the flow, those of each direction.
const IAT_SEQUENCE: Split<View> =
    Split::Own([Get::ListF64(|v, o| v.gaps(Some(Fwd), 1e9, o)), Get::ListF64(|v, o| v.gaps(Some(Bwd), 1e9, o))]);
const SIZE_SEQUENCE: Split<View> = Split::Own([
    Get::ListI64(|v, o| v.each(Some(Fwd), o, |r| r.ip_len().into())),
    Get::ListI64(|v, o| v.each(Some(Bwd), o, |r| r.ip_len().into())),
]);
const PAYLOAD_SEQUENCE: Split<View> = Split::Own([
    Get::ListI64(|v, o| v.each(Some(Fwd), o, |r| r.payload_len().into())),
    Get::ListI64(|v, o| v.each(Some(Bwd), o, |r| r.payload_len().into())),
]);
const DIRECTION_SEQUENCE: Split<View> = Split::Own([
    Get::ListI64(|v, o| v.each(Some(Fwd), o, |r| v.direction(r))),
    Get::ListI64(|v, o| v.each(Some(Bwd), o, |r| v.direction(r))),
]);
const FLAGS_SEQUENCE: Split<View> = Split::Own([
    Get::ListI64(|v, o| v.each(Some(Fwd), o, |r| r.tcp_flags().into())),
    Get::ListI64(|v, o| v.each(Some(Bwd), o, |r| r.tcp_flags().into())),
]);
const SPLT_PIAT_MS: Split<View> =
    Split::Own([Get::ListF64(|v, o| v.gaps(Some(Fwd), 1e6, o)), Get::ListF64(|v, o| v.gaps(Some(Bwd), 1e6, o))]);

/// Raw sequences, by `include_raw_sequences`.
#[rustfmt::skip] // a feature: what it is, and how
pub static RAW: Group<View> = Group {
    id: "sequences",
    doc: "Raw sequences of the first packets (`include_raw_sequences`).",
    source: "McGrew, Anderson: Enhanced telemetry for encrypted threat analytics (2016)",
    null: "no packet is kept",
    since: "0.1.6",
    opt_in: true,
    uses: TrackerMask::LOG,
    needs: &[Need::Sequences],
    view,
    features: &[
        split(IAT_SEQUENCE, always(list_f64("iat_sequence", Seconds, Extended, |v, o| v.gaps(None, 1e9, o), "Time since the packet before; 0 for the first.",
            formula("t - t of the packet before, in time; 0 for the first").since("0.2.0")))),
        split(SIZE_SEQUENCE, always(list_i64("size_sequence", Bytes, Extended, |v, o| v.each(None, o, |r| r.ip_len().into()), "IP length of each packet.",
            formula("len").since("0.2.0")))),
        split(PAYLOAD_SEQUENCE, always(list_i64("payload_sequence", Bytes, Extended, |v, o| v.each(None, o, |r| r.payload_len().into()), "Upper-layer payload of each packet.",
            formula("payload").since("0.2.0")))),
        split(DIRECTION_SEQUENCE, always(list_i64("direction_sequence", NoUnit, Extended, |v, o| v.each(None, o, |r| v.direction(r)), "Direction of each packet: 0 forward, 1 backward.",
            formula("fwd ? 0 : 1").range(0, 1).since("0.2.0")))),
        split(FLAGS_SEQUENCE, always(list_i64("flags_sequence", Bitmap, Extended, |v, o| v.each(None, o, |r| r.tcp_flags().into()), "TCP flags of each packet.",
            formula("flags of the TCP header; 0 for other protocols").source("RFC 9293 section 3.1").range(0, 511).since("0.2.0")))),
    ],
};

/// Sequence of packet lengths and times, by `include_splt`.
#[rustfmt::skip] // a feature: what it is, and how
pub static SPLT: Group<View> = Group {
    id: "splt",
    doc: "Sequence of packet lengths and times (`include_splt`).",
    source: "McGrew, Anderson: Enhanced telemetry for encrypted threat analytics (2016)",
    null: "no packet is kept",
    since: "0.1.6",
    opt_in: true,
    uses: TrackerMask::LOG,
    needs: &[Need::Sequences],
    view,
    features: &[
        split(DIRECTION_SEQUENCE, always(list_i64("splt_direction", NoUnit, Extended, |v, o| v.each(None, o, |r| v.direction(r)), "Direction of each packet: 0 forward, 1 backward.",
            formula("fwd ? 0 : 1").range(0, 1).since("0.2.0")))),
        split(SIZE_SEQUENCE, always(list_i64("splt_ps", Bytes, Extended, |v, o| v.each(None, o, |r| r.ip_len().into()), "IP length of each packet.",
            formula("len").since("0.2.0")))),
        split(SPLT_PIAT_MS, always(list_f64("splt_piat_ms", Milliseconds, Extended, |v, o| v.gaps(None, 1e6, o), "Time since the packet before; 0 for the first.",
            formula("1000 (t - t of the packet before, in time); 0 for the first").since("0.2.0")))),
    ],
};
