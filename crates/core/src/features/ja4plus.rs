//! FoxIO's fingerprints beyond JA4, under a licence of their own: only in builds that asked for them, and never part of `all`.

use super::Profile::Experimental;
use super::{FlowView, Group, Need, Texts, formula, list_str, private, str};
use crate::columns::Text;
use crate::flow::FlowRef;
use crate::packet::ip_proto;
use crate::privacy::Privacy::Id;
use crate::protocols::fingerprints::{Over, ja4plus};
use crate::protocols::tls::{Transport, identifiers};
use crate::trackers::{AppWants, TrackerMask};

/// A flow; what it consists of is read column by column.
pub struct View<'a>(FlowRef<'a>);

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    fn ja4s(&self, out: &mut Text) -> Option<()> {
        let facts = self.0.app()?.handshake()?;
        let over = match facts.transport {
            Transport::Tcp => Over::Tcp,
            Transport::Dtls => Over::Dtls,
            Transport::Quic => Over::Quic,
        };
        ja4plus::ja4s(facts.any_server_hello()?, over, out).ok()
    }

    fn ja4h(&self, out: &mut Text) -> Option<()> {
        let request = self.0.app()?.stream()?.http1()?.request.as_ref()?;
        let fields = request.fields.as_ref().filter(|f| !f.cut)?;
        ja4plus::ja4h(request, fields, out).ok()
    }

    /// Of TCP, the times of the first exchange; of QUIC, those of its first datagrams.
    fn latency(&self, server: bool, out: &mut Text) -> Option<()> {
        let opening = self.0.opening()?;
        if self.0.base.key.protocol == ip_proto::TCP {
            let (syn, syn_ack) = (opening.syn.as_ref()?, opening.syn_ack.as_ref()?);
            return match server {
                true => ja4plus::ja4l(syn.at, syn_ack.at, syn_ack.ttl, out),
                false => ja4plus::ja4l(syn_ack.at, opening.acked?, syn.ttl, out),
            };
        }
        self.0.app()?.quic().filter(|q| !q.is_gquic())?;
        let datagrams = &opening.datagrams;
        let ((first, _, ttl), (answer, answer_ttl)) = (datagrams.first?, datagrams.answer?);
        match server {
            true => ja4plus::ja4l(first, answer, answer_ttl, out),
            false => ja4plus::ja4l(datagrams.last_answer, datagrams.second?, ttl, out),
        }
    }

    fn ja4x(&self, out: &mut Text) -> Option<()> {
        let certificates = self.0.app()?.handshake()?.certificates.as_ref()?;
        ja4plus::ja4x(&identifiers(certificates.leaf.as_deref()?)?, out).ok()
    }

    fn ja4ssh(&self, out: &mut Texts) -> Option<()> {
        let mut windows = self.0.opening()?.ssh_windows().peekable();
        windows.peek()?;
        for window in windows {
            let mut text = String::new();
            ja4plus::ja4ssh(&window, self.0.base.initiator() as usize, &mut text).ok()?;
            out.push(&text);
        }
        Some(())
    }
}

// When there is no value.
const NO_LATENCY: &str = "SYN, SYN-ACK or ACK not seen; QUIC: no answer, or nothing behind it";

/// The fingerprints.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "ja4plus",
    doc: "JA4S, JA4H, JA4L, JA4X, JA4SSH, JA4T, JA4TS of FoxIO, under the FoxIO License 1.1: for non-commercial purposes only.",
    source: "FoxIO JA4+ technical details",
    null: "not seen",
    since: "0.2.0",
    opt_in: true,
    uses: TrackerMask::APP.union(TrackerMask::OPENING),
    needs: &[Need::App(AppWants::TLS.union(AppWants::QUIC).union(AppWants::HTTP1).union(AppWants::HTTP1_FIELDS))],
    view: |flow, _, _| View(*flow),
    features: &[
        str("ja4s", Experimental, |v, o| v.ja4s(o), "JA4S of the ServerHello.",
            formula("JA4S of the SH").null("no ServerHello").text("JA4S")),
        private(Id, str("ja4h", Experimental, |v, o| v.ja4h(o), "JA4H of the first request of HTTP/1 in clear. Its last part is a hash of the cookies: of a person, perhaps.",
            formula("JA4H of the first request").null("no complete header section, or more than 16 KiB of names or cookies").text("JA4H"))),
        str("ja4l", Experimental, |v, o| v.latency(false, o), "JA4L of the client: half of the time from SYN-ACK to ACK (of QUIC: to the client's second flight) in microseconds, and its TTL.",
            formula("(t(ACK(fwd)) - t(SYN-ACK)) / 2, TTL of the SYN").null(NO_LATENCY).text("JA4L")),
        str("ja4ls", Experimental, |v, o| v.latency(true, o), "JA4L of the server: half of the time from SYN to SYN-ACK (of QUIC: between the first datagrams) in microseconds, and its TTL.",
            formula("(t(SYN-ACK) - t(SYN)) / 2, TTL of the SYN-ACK").null(NO_LATENCY).text("JA4L")),
        str("ja4x", Experimental, |v, o| v.ja4x(o), "JA4X of the leaf of the server's certificates.",
            formula("JA4X of the first certificate").null("no certificate in clear").text("JA4X")),
        list_str("ja4ssh", Experimental, |v, o| v.ja4ssh(o), "JA4SSH of every 200 segments of SSH, and of what came behind the last of these.",
            formula("JA4SSH of each 200 segments, and of the rest").null("no identification string").text("JA4SSH")),
        str("ja4t", Experimental, |v, o| ja4plus::ja4t(v.0.opening()?.syn.as_ref()?, o).ok(), "JA4T of the client's first SYN.",
            formula("JA4T of the first SYN").null("no SYN").text("JA4T")),
        str("ja4ts", Experimental, |v, o| ja4plus::ja4ts(v.0.opening()?, o), "JA4TS of the server's first SYN-ACK, with the delays of those sent again.",
            formula("JA4TS of the first SYN-ACK").null("no SYN-ACK").text("JA4TS")),
    ],
};
