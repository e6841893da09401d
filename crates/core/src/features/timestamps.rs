//! Times as a type of their own, for readers that know it: exact to the nanosecond, which doubles are not.

use super::Profile::Extended;
use super::{FlowView, Group, timestamp};
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
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View> = Group {
    id: "timestamps",
    doc: "Times of type timestamp, exact to the nanosecond.",
    opt_in: true,
    uses: TrackerMask::NONE,
    needs: &[],
    view: |flow, _, _| View { first: flow.base.first_ts, last: flow.base.last_ts },
    features: &[
        timestamp("start_timestamp", Extended, |v| Some(v.first), "Time of the earliest packet, as start_time."),
        timestamp("end_timestamp", Extended, |v| Some(v.last), "Time of the latest packet, as end_time."),
    ],
};
