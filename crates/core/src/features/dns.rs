//! DNS, mDNS, LLMNR: the query of a flow, its response, and how many there are.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::{Count, None as NoUnit, Seconds};
use super::values::{detected, int, put};
use super::{FlowView, Group, Need, Split, always, bool, f64, formula, i64, private, split, str};
use crate::columns::Text;
use crate::privacy::Privacy::Name;
use crate::protocols::dns::{Response, Session, rcode_name, type_name};
use crate::trackers::{AppWants, TrackerMask};

/// DNS of a flow; none where no message was read.
pub struct View<'a> {
    /// Whether it was detected, in this row or in an earlier one.
    detected: bool,
    dns: Option<&'a Session>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.dns.is_none() && !view.detected
    }
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
fn named(name: Option<&str>, prefix: &str, number: u16, out: &mut Text) -> Option<()> {
    match name {
        Some(name) => put(out, name),
        None => write!(out, "{prefix}{number}").ok(),
    }
}

// When there is no value.
const NO_QUESTION: &str = "no DNS message was read, or it has no question";
const NO_RESPONSE: &str = "no response to the query was read";
const NO_ANSWER: &str = "no response to the query was read, or it has no answer";

/// Query, response, counts.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "dns",
    doc: "DNS, mDNS, LLMNR over UDP and TCP: query, response, transactions.",
    source: "RFC 1035 section 4.1.1",
    null: "no DNS message was read",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::DNS)],
    view: |flow, _, _| {
        let dns = flow.app().and_then(|app| app.dns()).filter(|dns| dns.detected());
        View { detected: detected(flow, dns.is_some(), |e| e.dns), dns }
    },
    features: &[
        always(bool("dns_detected", Extended, &|v: &View<'_>| Some(v.detected), "Whether a message was read.",
            formula("port 53, 5353 or 5355 and a message that parses").source("RFC 1035, RFC 6762, RFC 4795"))),
        private(Name, str("dns_query_name", Extended, |v, o| put(o, &v.dns?.question()?.name), "Name in the first question of the first query; without query, of the first response.",
            formula("QNAME of the first question of the query, else of the response").null(NO_QUESTION).source("RFC 1035 section 4.1.2, 5.1").text("domain name"))),
        split(Split::Both, i64("dns_query_type", NoUnit, Extended, &|v: &View<'_>| v.kind().map(Into::into), "Type in that question.",
            formula("QTYPE of that question").null(NO_QUESTION).source("RFC 1035 section 3.2.2").range(0, 65535))),
        str("dns_query_type_str", Extended, |v, o| named(type_name(v.kind()?), "TYPE", v.kind()?, o), "Name of that type; TYPEn where it has none (RFC 3597).",
            formula("name(dns_query_type), else TYPEn").null(NO_QUESTION).source("IANA DNS parameters, RFC 3597 section 5").text("name of a type")),
        split(Split::Both, i64("dns_response_code", NoUnit, Extended, &|v: &View<'_>| Some(v.response()?.rcode.into()), "Response code of the response to the query, extended by EDNS (RFC 6891).",
            formula("RCODE of the response + 16 * extended RCODE of its OPT record").null(NO_RESPONSE).source("RFC 1035 section 4.1.1, RFC 6891 section 6.1.3").range(0, 4095))),
        str("dns_response_code_str", Extended, |v, o| named(rcode_name(v.response()?.rcode), "RCODE", v.response()?.rcode, o), "Name of that code.",
            formula("name(dns_response_code), else RCODEn").null(NO_RESPONSE).source("IANA DNS parameters").text("name of a code")),
        i64("dns_answer_count", Count, Extended, &|v: &View<'_>| v.records(0), "Records in the answer section of the response.",
            formula("ANCOUNT of the response").null(NO_RESPONSE).range(0, 65535)),
        i64("dns_authority_count", Count, Extended, &|v: &View<'_>| v.records(1), "Records in its authority section.",
            formula("NSCOUNT of the response").null(NO_RESPONSE).range(0, 65535)),
        i64("dns_additional_count", Count, Extended, &|v: &View<'_>| v.records(2), "Records in its additional section.",
            formula("ARCOUNT of the response").null(NO_RESPONSE).range(0, 65535)),
        i64("dns_min_ttl", Seconds, Extended, &|v: &View<'_>| Some(v.response()?.ttls?.0.into()), "Smallest TTL of its answers.",
            formula("min(TTL of the answers of the response)").null(NO_ANSWER).source("RFC 1035 section 4.1.3").range(0, 4_294_967_295)),
        i64("dns_max_ttl", Seconds, Extended, &|v: &View<'_>| Some(v.response()?.ttls?.1.into()), "Largest TTL of its answers.",
            formula("max(TTL of the answers of the response)").null(NO_ANSWER).source("RFC 1035 section 4.1.3").range(0, 4_294_967_295)),
        bool("dns_is_query", Extended, &|v: &View<'_>| Some(v.dns?.queries > 0), "Whether the flow has a query.",
            formula("dns_query_count > 0")),
        bool("dns_is_response", Extended, &|v: &View<'_>| Some(v.dns?.responses > 0), "Whether the flow has a response.",
            formula("dns_response_count > 0")),
        bool("dns_truncated", Extended, &|v: &View<'_>| v.dns?.truncated(), "TC of the response; without response, of the query.",
            formula("TC of the response, else of the query")),
        bool("dns_recursion_desired", Extended, &|v: &View<'_>| v.dns?.recursion_desired(), "RD of the query; without query, of the response.",
            formula("RD of the query, else of the response")),
        bool("dns_recursion_available", Extended, &|v: &View<'_>| v.dns?.recursion_available(), "RA of the response.",
            formula("RA of the response").null(NO_RESPONSE)),
        i64("dns_query_count", Count, Extended, &|v: &View<'_>| Some(int(v.dns?.queries)), "Queries, repeated ones included.",
            formula("count(messages with QR = 0)").since("0.2.0")),
        i64("dns_response_count", Count, Extended, &|v: &View<'_>| Some(int(v.dns?.responses)), "Responses, repeated ones included.",
            formula("count(messages with QR = 1)").since("0.2.0")),
        i64("dns_transaction_count", Count, Extended, &|v: &View<'_>| Some(int(v.dns?.transactions)), "Queries that got a response.",
            formula("count(queries with a later response of the same id in the other direction)").since("0.2.0")),
        i64("dns_unique_names", Count, Extended, &|v: &View<'_>| Some(int(v.dns?.unique_names() as u64)), "Different names in first questions, case ignored; at most 1,024.",
            formula("unique(QNAME of first questions, case ignored), at most 1024").source("RFC 4343").range(0, 1024).since("0.2.0")),
        f64("dns_response_time", Seconds, Extended, &|v: &View<'_>| Some(v.dns?.response_time()? as f64 / 1e9), "Time from the query to its response.",
            formula("t of the response - t of the query").null("no query, or no response to it was read").source("own definition").any().since("0.2.0")),
    ],
};
