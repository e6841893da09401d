//! What is known of a flow from elsewhere.

use std::sync::Arc;

use super::Profile::Extended;
use super::values::put;
use super::{FlowView, Group, Split, formula, split, str};
use crate::trackers::TrackerMask;

/// The label of a flow.
pub struct View(Option<Arc<str>>);

impl FlowView for View {
    type Of<'a> = Self;
}

/// The group's name.
pub const ID: &str = "labels";

/// Labels, by `labels`.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: ID,
    doc: "What a file says of flows (`labels`).",
    source: "own definition",
    null: "the file says nothing of the flow",
    since: "0.2.0",
    opt_in: true,
    uses: TrackerMask::NONE,
    needs: &[],
    view: |flow, _, settings| View(settings.labels.as_ref().and_then(|labels| labels.of(flow.base)).cloned()),
    features: &[
        split(Split::Both, str("label", Extended, |v: &View, o| put(o, v.0.as_deref()?), "Label of the flow, by end points, protocol and time.",
            formula("label of the line of `labels` that fits the flow in either direction; of several, of the one whose start_time is the last before start_time of the flow").text("text of the file"))),
    ],
};
