//! HTTP/2 in clear, by its frames; HTTP/2 over TLS and HTTP/3, by what the handshake says.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::Count;
use super::values::{earlier, int, put};
use super::{FlowView, Group, Need, bool, formula, i64, str};
use crate::columns::Text;
use crate::protocols::http::Http;
use crate::protocols::http2::frame;
use crate::trackers::{App, AppWants, Earlier, TrackerMask};

/// What a flow says of HTTP.
pub struct View<'a> {
    http: Http<'a>,
    /// What earlier rows of the connection showed.
    earlier: Earlier,
    /// HTTP/1.x in clear: x.
    minor: Option<u8>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        let Http { frames, tls, quic } = view.http;
        let earlier = view.earlier.http2.or(view.earlier.http3);
        frames.is_none() && tls.is_none() && !quic && view.minor.is_none() && earlier.is_none()
    }
}

impl View<'_> {
    fn version(&self, out: &mut Text) -> Option<()> {
        if self.http.http2(None) == Some(Some(true)) {
            return put(out, "h2");
        }
        if self.http.http3(None) == Some(Some(true)) {
            return put(out, "h3");
        }
        match (self.http.chosen(), self.minor) {
            (Some(b"http/1.1"), _) => put(out, "http/1.1"),
            (Some(b"http/1.0"), _) => put(out, "http/1.0"),
            (_, minor) => write!(out, "http/1.{}", minor?).ok(),
        }
    }

    fn frames(&self, kind: u8) -> Option<i64> {
        Some(int(self.http.frames?.of_type(kind)))
    }
}

/// Frames and versions.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "http2",
    doc: "HTTP/2 in clear by its frames; HTTP/2 and HTTP/3 by what the handshake says.",
    source: "RFC 9113",
    null: "no HTTP/2 in clear",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::TLS.union(AppWants::HTTP1).union(AppWants::HTTP2))],
    view: |flow, _, _| View {
        http: flow.app().map(App::http).unwrap_or_default(),
        earlier: earlier(flow),
        minor: flow.app().and_then(|app| app.stream()?.http1()?.minor()),
    },
    features: &[
        bool("http2_detected", Extended, &|v: &View<'_>| v.http.http2(v.earlier.http2).unwrap_or(Some(false)), "Whether HTTP/2 is spoken in clear, or was chosen by ALPN; null where that cannot be seen.",
            formula("frames in clear, or ALPN chose h2").null("TLS offers h2, or its ClientHello was not read, and the choice is not visible").source("RFC 9113 section 3, RFC 7301")),
        bool("http3_detected", Extended, &|v: &View<'_>| v.http.http3(v.earlier.http3).unwrap_or(Some(false)), "Whether the client of QUIC offers HTTP/3 only; null where it offers others too, or its hello was not read.",
            formula("QUIC and every ALPN of the CH is h3 or h3-NN").null("QUIC whose ClientHello was not read, or offers h3 among others").source("RFC 9114 section 3.1, RFC 9001 section 8.1")),
        bool("http2_preface_seen", Extended, &|v: &View<'_>| Some(v.http.frames?.preface_seen), "Whether the connection preface was seen.",
            formula("client's stream has the connection preface").source("RFC 9113 section 3.4")),
        i64("http2_frame_count", Count, Extended, &|v: &View<'_>| Some(int(v.http.frames?.frames)), "Frames in clear, of both directions.",
            formula("count(frames)").source("RFC 9113 section 4")),
        i64("http2_data_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::DATA), "DATA frames.",
            formula("count(DATA frames)").source("RFC 9113 section 6")),
        i64("http2_headers_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::HEADERS), "HEADERS frames.",
            formula("count(HEADERS frames)").source("RFC 9113 section 6")),
        i64("http2_settings_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::SETTINGS), "SETTINGS frames, acknowledgements included.",
            formula("count(SETTINGS frames)").source("RFC 9113 section 6")),
        i64("http2_push_promise_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::PUSH_PROMISE), "PUSH_PROMISE frames.",
            formula("count(PUSH_PROMISE frames)").source("RFC 9113 section 6")),
        i64("http2_goaway_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::GOAWAY), "GOAWAY frames.",
            formula("count(GOAWAY frames)").source("RFC 9113 section 6")),
        i64("http2_window_update_frames", Count, Extended, &|v: &View<'_>| v.frames(frame::WINDOW_UPDATE), "WINDOW_UPDATE frames.",
            formula("count(WINDOW_UPDATE frames)").source("RFC 9113 section 6")),
        i64("http2_streams_estimate", Count, Extended, &|v: &View<'_>| Some(int(v.http.frames?.streams() as u64)), "Different streams, the connection itself (0) left out; at most 1,024.",
            formula("unique(stream identifier of frames, without 0), at most 1024").source("RFC 9113 section 5.1").range(0, 1024)),
        bool("http2_server_push", Extended, &|v: &View<'_>| v.frames(frame::PUSH_PROMISE).map(|n| n > 0), "Whether a PUSH_PROMISE frame was seen.",
            formula("http2_push_promise_frames > 0").source("RFC 9113 section 8.4")),
        bool("http2_multiplexed", Extended, &|v: &View<'_>| Some(v.http.frames?.streams() > 1), "Whether there is more than one stream.",
            formula("http2_streams_estimate > 1").source("RFC 9113 section 5")),
        str("http_version", Extended, |v, o| v.version(o), "h2, h3, http/1.1, http/1.0: what is spoken in clear, or what the handshake says.",
            formula("http2_detected ? h2 : http3_detected ? h3 : ALPN chosen, else version of the start line").null("none of these is known").source("IANA ALPN protocol ids, RFC 9112 section 2.3").one_of(&["h2", "h3", "http/1.0", "http/1.1"])),
    ],
};
