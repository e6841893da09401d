//! HTTP/1 in clear: the first request, its response, and how many there are.

use super::Profile::Extended;
use super::Unit::{Count, None as NoUnit};
use super::values::{earlier, int, put};
use super::{FlowView, Group, Need, bool, i64, private, str};
use crate::privacy::Privacy::{Id, Name};
use crate::protocols::http1::{Request, Session};
use crate::trackers::{AppWants, Earlier, TrackerMask};

/// HTTP/1 of a flow; none where it was not seen.
pub struct View<'a> {
    /// What earlier rows of the connection showed.
    earlier: Earlier,
    http: Option<&'a Session>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl<'a> View<'a> {
    fn request(&self) -> Option<&'a Request> {
        self.http?.request.as_deref()
    }
}

/// A field that is not empty.
fn field(value: Option<&str>, out: &mut String) -> Option<()> {
    put(out, value.filter(|v| !v.is_empty())?)
}

/// Requests and responses.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "http",
    doc: "HTTP/1 in clear: first request and its response, counts of messages.",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::HTTP1)],
    view: |flow, _, _| View { earlier: earlier(flow), http: flow.app.and_then(|app| app.stream()?.http1()).filter(|http| http.detected()) },
    features: &[
        bool("http_detected", Extended, |v| Some(v.http.is_some() || v.earlier.http), "Whether a direction begins with a start line of HTTP/1."),
        str("http_method", Extended, |v, o| put(o, &v.request()?.method), "Method of the first request."),
        private(Name, str("http_host", Extended, |v, o| field(v.request()?.host.as_deref(), o), "Its first field Host.")),
        private(Id, str("http_user_agent", Extended, |v, o| field(v.request()?.user_agent.as_deref(), o), "Its first field User-Agent.")),
        i64("http_status", NoUnit, Extended, |v| Some(v.http?.response.as_ref()?.status.into()), "Status of the first final response (200 or above); where there is none, of the first response."),
        str("http_content_type", Extended, |v, o| field(v.http?.response.as_ref()?.content_type.as_deref(), o), "First field Content-Type of that response."),
        i64("http_request_count", Count, Extended, |v| Some(int(v.http?.requests)), "Requests in the flow."),
        i64("http_response_count", Count, Extended, |v| Some(int(v.http?.responses)), "Responses, 1xx included."),
    ],
};
