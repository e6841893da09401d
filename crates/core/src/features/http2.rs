//! HTTP/2 in clear, by its frames; HTTP/2 over TLS and HTTP/3, by what the handshake says.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::Count;
use super::values::{int, put};
use super::{FlowView, Group, Need, bool, i64, str};
use crate::protocols::http2::{Session, frame};
use crate::protocols::tls::{Facts, Transport};
use crate::trackers::{AppWants, TrackerMask};

/// What a flow says of HTTP.
pub struct View<'a> {
    /// Frames in clear.
    frames: Option<&'a Session>,
    /// HTTP/1.x in clear: x.
    minor: Option<u8>,
    /// A handshake of TLS, whatever carried it.
    tls: Option<&'a Facts>,
    /// Whether the flow is QUIC, but not Google's.
    quic: bool,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    /// TLS over TCP.
    fn over_tcp(&self) -> Option<&Facts> {
        self.tls.filter(|t| t.transport == Transport::Tcp)
    }

    fn offers(&self, wanted: impl Fn(&[u8]) -> bool) -> Option<bool> {
        Some(self.tls?.client.as_ref()?.alpn().is_some_and(|mut offered| offered.any(wanted)))
    }

    /// The protocol that the server chose, where it says so in clear.
    fn chosen(&self) -> Option<&[u8]> {
        self.over_tcp()?.server.as_ref()?.alpn()
    }

    fn http2(&self) -> Option<bool> {
        let Some(tls) = self.over_tcp().filter(|_| self.frames.is_none()) else {
            return Some(self.frames.is_some());
        };
        if self.chosen() == Some(b"h2") {
            return Some(true);
        }
        // Since TLS 1.3 the choice is encrypted.
        let shown = tls.server.as_ref().is_some_and(|s| !s.is_13());
        (shown || !self.offers(|p| p == b"h2")?).then_some(false)
    }

    fn http3(&self) -> Option<bool> {
        if !self.quic {
            return Some(false);
        }
        let http3 = |p: &[u8]| p == b"h3" || p.starts_with(b"h3-");
        match (self.offers(http3)?, self.offers(|p| !http3(p))?) {
            (true, true) => None,
            (offers, _) => Some(offers),
        }
    }

    fn version(&self, out: &mut String) -> Option<()> {
        if self.http2() == Some(true) {
            return put(out, "h2");
        }
        if self.http3() == Some(true) {
            return put(out, "h3");
        }
        match (self.chosen(), self.minor) {
            (Some(b"http/1.1"), _) => put(out, "http/1.1"),
            (Some(b"http/1.0"), _) => put(out, "http/1.0"),
            (_, minor) => write!(out, "http/1.{}", minor?).ok(),
        }
    }

    fn frames(&self, kind: u8) -> Option<i64> {
        Some(int(self.frames?.of_type(kind)))
    }
}

/// Frames and versions.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "http2",
    doc: "HTTP/2 in clear by its frames; HTTP/2 and HTTP/3 by what the handshake says.",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::TLS.union(AppWants::HTTP1).union(AppWants::HTTP2))],
    view: |flow, _, _| View {
        frames: flow.app.and_then(|app| app.stream()?.http2()),
        minor: flow.app.and_then(|app| app.stream()?.http1()?.minor()),
        tls: flow.app.and_then(|app| app.handshake()),
        quic: flow.app.and_then(|app| app.quic()).is_some_and(|q| !q.is_gquic()),
    },
    features: &[
        bool("http2_detected", Extended, |v| v.http2(), "Whether HTTP/2 is spoken in clear, or was chosen by ALPN; null where that cannot be seen."),
        bool("http3_detected", Extended, |v| v.http3(), "Whether the client of QUIC offers HTTP/3 only; null where it offers others too, or its hello was not read."),
        bool("http2_preface_seen", Extended, |v| Some(v.frames?.preface_seen), "Whether the connection preface was seen."),
        i64("http2_frame_count", Count, Extended, |v| Some(int(v.frames?.frames)), "Frames in clear, of both directions."),
        i64("http2_data_frames", Count, Extended, |v| v.frames(frame::DATA), "DATA frames."),
        i64("http2_headers_frames", Count, Extended, |v| v.frames(frame::HEADERS), "HEADERS frames."),
        i64("http2_settings_frames", Count, Extended, |v| v.frames(frame::SETTINGS), "SETTINGS frames, acknowledgements included."),
        i64("http2_push_promise_frames", Count, Extended, |v| v.frames(frame::PUSH_PROMISE), "PUSH_PROMISE frames."),
        i64("http2_goaway_frames", Count, Extended, |v| v.frames(frame::GOAWAY), "GOAWAY frames."),
        i64("http2_window_update_frames", Count, Extended, |v| v.frames(frame::WINDOW_UPDATE), "WINDOW_UPDATE frames."),
        i64("http2_streams_estimate", Count, Extended, |v| Some(int(v.frames?.streams() as u64)), "Different streams, the connection itself (0) left out; at most 1,024."),
        bool("http2_server_push", Extended, |v| v.frames(frame::PUSH_PROMISE).map(|n| n > 0), "Whether a PUSH_PROMISE frame was seen."),
        bool("http2_multiplexed", Extended, |v| Some(v.frames?.streams() > 1), "Whether there is more than one stream."),
        str("http_version", Extended, |v, o| v.version(o), "h2, h3, http/1.1, http/1.0: what is spoken in clear, or what the handshake says."),
    ],
};
