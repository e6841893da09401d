//! HTTP/1 in clear: the first request, its response, and how many there are.

use super::Profile::Extended;
use super::Unit::{Count, None as NoUnit};
use super::values::{detected, int, put};
use super::{FlowView, Group, Need, Split, always, bool, formula, i64, private, split, str};
use crate::columns::Text;
use crate::privacy::Privacy::{Id, Name};
use crate::protocols::http1::{Request, Session};
use crate::trackers::{AppWants, TrackerMask};

/// HTTP/1 of a flow; none where it was not seen.
pub struct View<'a> {
    /// Whether it was detected, in this row or in an earlier one.
    detected: bool,
    http: Option<&'a Session>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.http.is_none() && !view.detected
    }
}

impl<'a> View<'a> {
    fn request(&self) -> Option<&'a Request> {
        self.http?.request.as_deref()
    }
}

/// A field that is not empty.
fn field(value: Option<&str>, out: &mut Text) -> Option<()> {
    put(out, value.filter(|v| !v.is_empty())?)
}

/// Requests and responses.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "http",
    doc: "HTTP/1 in clear: first request and its response, counts of messages.",
    source: "RFC 9112",
    null: "no HTTP/1 in clear",
    since: "0.2.0",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::HTTP1)],
    view: |flow, _, _| {
        let http = flow.app().and_then(|app| app.stream()?.http1()).filter(|http| http.detected());
        View { detected: detected(flow, http.is_some(), |e| e.http), http }
    },
    features: &[
        always(bool("http_detected", Extended, &|v: &View<'_>| Some(v.detected), "Whether a direction begins with a start line of HTTP/1.",
            formula("a direction begins with a start line of HTTP/1").source("RFC 9112 section 2.1"))),
        str("http_method", Extended, |v, o| put(o, &v.request()?.method), "Method of the first request.",
            formula("method of the first request").null("no HTTP/1 in clear, or no request").source("RFC 9110 section 9").text("name of a method")),
        private(Name, str("http_host", Extended, |v, o| field(v.request()?.host.as_deref(), o), "Its first field Host.",
            formula("first field Host of the first request").null("no request, or its fields were not read to the end, or Host is empty or not there").source("RFC 9110 section 7.2").text("host, with port where it is said"))),
        private(Id, str("http_user_agent", Extended, |v, o| field(v.request()?.user_agent.as_deref(), o), "Its first field User-Agent.",
            formula("first field User-Agent of the first request").null("no request, or its fields were not read to the end, or User-Agent is empty or not there").source("RFC 9110 section 10.1.5"))),
        split(Split::Both, i64("http_status", NoUnit, Extended, &|v: &View<'_>| Some(v.http?.response.as_ref()?.status.into()), "Status of the first final response (200 or above); where there is none, of the first response.",
            formula("status of the first response >= 200, else of the first response").null("no HTTP/1 in clear, or no response").source("RFC 9110 section 15").range(0, 999))),
        str("http_content_type", Extended, |v, o| field(v.http?.response.as_ref()?.content_type.as_deref(), o), "First field Content-Type of that response.",
            formula("first field Content-Type of that response").null("no response, or its fields were not read to the end, or Content-Type is empty or not there").source("RFC 9110 section 8.3").text("media type")),
        i64("http_request_count", Count, Extended, &|v: &View<'_>| Some(int(v.http?.requests)), "Requests in the flow.",
            formula("count(complete request lines, each behind the end of the message before)").source("RFC 9112 section 3, 6.3")),
        i64("http_response_count", Count, Extended, &|v: &View<'_>| Some(int(v.http?.responses)), "Responses, 1xx included.",
            formula("count(complete status lines, each behind the end of the message before)").source("RFC 9112 section 4, 6.3")),
    ],
};
