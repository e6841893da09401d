//! Which application protocol a flow speaks.

use super::Profile::Extended;
use super::values::{earlier, put};
use super::{FlowView, Group, Need, formula, str};
use crate::flow::FlowRef;
use crate::packet::ip_proto;
use crate::protocols::recognise::{Seen, Verdict};
use crate::trackers::{AppWants, TrackerMask};

/// What the rules that recognise protocols read.
pub const WANTS: AppWants = AppWants::RECOGNISE.union(AppWants::TLS).union(AppWants::DNS);

/// The protocol of a flow.
pub struct View {
    verdict: Option<Verdict>,
}

impl FlowView for View {
    type Of<'a> = Self;
}

/// What was seen of a flow. Flows without bytes that matter have no tracker, but a protocol number.
pub fn seen<'a>(flow: &FlowRef<'a>) -> Seen<'a> {
    let (key, initiator) = (&flow.base.key, flow.base.initiator());
    match flow.app() {
        Some(app) => app.seen(key, initiator),
        None => Seen { initiator: Some(initiator), esp: key.protocol == ip_proto::ESP, ..Seen::default() },
    }
}

/// The protocol: of an earlier row of the connection, else of this one.
pub fn verdict(flow: &FlowRef<'_>, seen: &Seen<'_>) -> Option<Verdict> {
    earlier(flow).verdict.or_else(|| seen.verdict())
}

/// The protocol, and why.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "app",
    doc: "Application protocol by bytes, and the rule that says so.",
    source: "the protocol's own RFC or specification",
    null: "no rule holds",
    since: "0.2.0",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(WANTS)],
    view: |flow, _, _| View { verdict: verdict(flow, &seen(flow)) },
    features: &[
        str("app_protocol", Extended, |v, o| put(o, v.verdict?.protocol.name()), "Application protocol, by the bytes of the flow and never by its ports alone.",
            formula("protocol of the first rule that holds").text("name of a protocol")),
        str("app_protocol_by", Extended, |v, o| put(o, v.verdict?.by), "Name of the rule that recognised it.",
            formula("name of the first rule that holds").text("name of a rule")),
    ],
};
