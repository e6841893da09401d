//! Times as a type of their own, for readers that know it: exact to the nanosecond, which doubles are not.

use super::Profile::Extended;
use super::{FlowView, Group, always, formula, timestamp};
use crate::frame::TimeNs;
use crate::trackers::TrackerMask;

/// The earliest and the latest packet time.
pub struct View {
    first: TimeNs,
    last: TimeNs,
}

impl FlowView for View {
    type Of<'a> = Self;
}

/// Exact times.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "timestamps",
    doc: "Times of type timestamp, exact to the nanosecond.",
    source: "IANA IPFIX flowStartNanoseconds, flowEndNanoseconds",
    null: "the flow has no packet",
    since: "0.2.0",
    opt_in: true,
    uses: TrackerMask::NONE,
    needs: &[],
    view: |flow, _, _| View { first: flow.base.first_ts, last: flow.base.last_ts },
    features: &[
        always(timestamp("start_timestamp", Extended, &|v: &View| Some(v.first), "Time of the earliest packet, as start_time.",
            formula("min(t)").source("IANA IPFIX flowStartNanoseconds"))),
        always(timestamp("end_timestamp", Extended, &|v: &View| Some(v.last), "Time of the latest packet, as end_time.",
            formula("max(t)").source("IANA IPFIX flowEndNanoseconds"))),
    ],
};
