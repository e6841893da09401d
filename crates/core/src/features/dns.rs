//! DNS, mDNS, LLMNR: the query of a flow, its response, and how many there are.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::{Count, None as NoUnit, Seconds};
use super::values::{earlier, int, put};
use super::{FlowView, Group, Need, bool, f64, i64, private, str};
use crate::privacy::Privacy::Name;
use crate::protocols::dns::{Response, Session, rcode_name, type_name};
use crate::trackers::{AppWants, Earlier, TrackerMask};

/// DNS of a flow; none where no message was read.
pub struct View<'a> {
    /// What earlier rows of the connection showed.
    earlier: Earlier,
    dns: Option<&'a Session>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl<'a> View<'a> {
    fn response(&self) -> Option<&'a Response> {
        self.dns?.response()
    }

    fn kind(&self) -> Option<u16> {
        Some(self.dns?.question()?.kind)
    }

    fn records(&self, section: usize) -> Option<i64> {
        self.response()?.counts.get(section).map(|n| (*n).into())
    }
}

/// A name from the registry, else the prefix and the number.
fn named(name: Option<&str>, prefix: &str, number: u16, out: &mut String) -> Option<()> {
    match name {
        Some(name) => put(out, name),
        None => write!(out, "{prefix}{number}").ok(),
    }
}

/// Query, response, counts.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "dns",
    doc: "DNS, mDNS, LLMNR over UDP and TCP: query, response, transactions.",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::DNS)],
    view: |flow, _, _| View { earlier: earlier(flow), dns: flow.app.and_then(|app| app.dns()).filter(|dns| dns.detected()) },
    features: &[
        bool("dns_detected", Extended, |v| Some(v.dns.is_some() || v.earlier.dns), "Whether a message was read."),
        private(Name, str("dns_query_name", Extended, |v, o| put(o, &v.dns?.question()?.name), "Name in the first question of the first query; without query, of the first response.")),
        i64("dns_query_type", NoUnit, Extended, |v| v.kind().map(Into::into), "Type in that question."),
        str("dns_query_type_str", Extended, |v, o| named(type_name(v.kind()?), "TYPE", v.kind()?, o), "Name of that type; TYPEn where it has none (RFC 3597)."),
        i64("dns_response_code", NoUnit, Extended, |v| Some(v.response()?.rcode.into()), "Response code of the response to the query, extended by EDNS (RFC 6891)."),
        str("dns_response_code_str", Extended, |v, o| named(rcode_name(v.response()?.rcode), "RCODE", v.response()?.rcode, o), "Name of that code."),
        i64("dns_answer_count", Count, Extended, |v| v.records(0), "Records in the answer section of the response."),
        i64("dns_authority_count", Count, Extended, |v| v.records(1), "Records in its authority section."),
        i64("dns_additional_count", Count, Extended, |v| v.records(2), "Records in its additional section."),
        i64("dns_min_ttl", Seconds, Extended, |v| Some(v.response()?.ttls?.0.into()), "Smallest TTL of its answers."),
        i64("dns_max_ttl", Seconds, Extended, |v| Some(v.response()?.ttls?.1.into()), "Largest TTL of its answers."),
        bool("dns_is_query", Extended, |v| Some(v.dns?.queries > 0), "Whether the flow has a query."),
        bool("dns_is_response", Extended, |v| Some(v.dns?.responses > 0), "Whether the flow has a response."),
        bool("dns_truncated", Extended, |v| v.dns?.truncated(), "TC of the response; without response, of the query."),
        bool("dns_recursion_desired", Extended, |v| v.dns?.recursion_desired(), "RD of the query; without query, of the response."),
        bool("dns_recursion_available", Extended, |v| v.dns?.recursion_available(), "RA of the response."),
        i64("dns_query_count", Count, Extended, |v| Some(int(v.dns?.queries)), "Queries, repeated ones included."),
        i64("dns_response_count", Count, Extended, |v| Some(int(v.dns?.responses)), "Responses, repeated ones included."),
        i64("dns_transaction_count", Count, Extended, |v| Some(int(v.dns?.transactions)), "Queries that got a response."),
        i64("dns_unique_names", Count, Extended, |v| Some(int(v.dns?.unique_names() as u64)), "Different names in first questions, case ignored; at most 1,024."),
        f64("dns_response_time", Seconds, Extended, |v| Some(v.dns?.response_time()? as f64 / 1e9), "Time from the query to its response."),
    ],
};
