//! QUIC: what its headers say, and the hello in its Initial packets.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::{Bytes, Count, None as NoUnit};
use super::values::{detected, hex, int, wire_text};
use super::{FlowView, Group, Need, Split, always, bool, formula, i64, private, split, str};
use crate::columns::Text;
use crate::packet::Side;
use crate::privacy::Privacy::{Id, Name};
use crate::protocols::quic::{ClientInitial, QuicSession, Spin};
use crate::protocols::tls::ClientHello;
use crate::trackers::{AppWants, TrackerMask};

/// QUIC of a flow; none where it was not seen.
pub struct View<'a> {
    /// Whether it was detected, in this row or in an earlier one.
    detected: bool,
    quic: Option<&'a QuicSession>,
    initiator: Side,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.quic.is_none() && !view.detected
    }
}

impl<'a> View<'a> {
    /// Of Google's QUIC nothing but the version is known.
    fn standard(&self) -> Option<&'a QuicSession> {
        self.quic.filter(|q| !q.is_gquic())
    }

    fn initial(&self) -> Option<&'a ClientInitial> {
        self.standard()?.client_initial()
    }

    fn hello(&self) -> Option<&'a ClientHello> {
        self.standard()?.facts().client.as_ref()
    }

    /// The spin bit of a side that sent packets with one.
    fn spin(&self, side: Side) -> Option<&'a Spin> {
        Some(self.standard()?.spin(side)).filter(|s| s.packets > 0)
    }

    fn spins(&self) -> Option<bool> {
        let sides = [Side::A, Side::B].map(|s| self.spin(s).map(|spin| spin.transitions > 0));
        sides.into_iter().flatten().reduce(|a, b| a || b)
    }
}

/// A connection id; none where it is empty.
fn id(id: &[u8], out: &mut Text) -> Option<()> {
    if id.is_empty() { None } else { hex(id, out) }
}

// When there is no value.
const NO_INITIAL: &str = "no Initial packet of the client could be opened";

/// Headers and hello.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "quic",
    doc: "QUIC: version, connection ids, kinds of packets, spin bit, and the hello in its Initial packets.",
    source: "RFC 9000 section 17",
    null: "not QUIC, or Google's",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::QUIC)],
    view: |flow, _, _| {
        let quic = flow.app().and_then(|app| app.quic());
        View { detected: detected(flow, quic.is_some(), |e| e.quic), quic, initiator: flow.base.initiator() }
    },
    features: &[
        always(bool("quic_detected", Extended, &|v: &View<'_>| Some(v.detected), "Whether the flow is QUIC, Google's included.",
            formula("a long header of a known version, Version Negotiation, or gQUIC").source("RFC 8999, RFC 9000 section 17, RFC 9369"))),
        split(Split::Both, i64("quic_version", NoUnit, Extended, &|v: &View<'_>| Some(v.quic?.version()?.0.into()), "Version of the server's first Initial or Handshake packet, else of the client's first packet.",
            formula("version of the server's first Initial or Handshake packet, else of the client's first long header").null("not QUIC").source("RFC 9000 section 15, RFC 9368").range(0, 4_294_967_295))),
        str("quic_version_str", Extended, |v, o| write!(o, "{}", v.quic?.version()?).ok(), "Name of quic_version: QUIC v1, QUIC v2, QUIC draft-29, gQUIC Q043; of others, the number.",
            formula("name(quic_version), else its hexadecimal digits").null("not QUIC").source("RFC 9000, RFC 9369").text("name of a version")),
        i64("quic_dcid_len", Bytes, Extended, &|v: &View<'_>| Some(int(v.initial()?.dcid.as_bytes().len() as u64)), "Length of the destination connection id of the client's first Initial packet.",
            formula("length of Initial(client).destination_connection_id").null(NO_INITIAL).source("RFC 9000 section 17.2").range(0, 20)),
        i64("quic_scid_len", Bytes, Extended, &|v: &View<'_>| Some(int(v.initial()?.scid.as_bytes().len() as u64)), "Length of its source connection id.",
            formula("length of Initial(client).source_connection_id").null(NO_INITIAL).source("RFC 9000 section 17.2").range(0, 20)),
        i64("quic_pn_length", Bytes, Extended, &|v: &View<'_>| Some(v.initial()?.number_len.into()), "Length of its packet number.",
            formula("Initial(client).packet_number_length + 1, header protection removed").null(NO_INITIAL).source("RFC 9001 section 5.4").range(1, 4)),
        i64("quic_initial_packets", Count, Extended, &|v: &View<'_>| Some(int(v.standard()?.initial_packets())), "Initial packets of both directions, coalesced ones one by one.",
            formula("count(Initial packets)").source("RFC 9000 section 17.2.2")),
        bool("quic_0rtt_detected", Extended, &|v: &View<'_>| Some(v.standard()?.has_zero_rtt()), "Whether a 0-RTT packet was seen.",
            formula("count(0-RTT packets) > 0").source("RFC 9000 section 17.2.3")),
        bool("quic_retry_detected", Extended, &|v: &View<'_>| Some(v.standard()?.has_retry()), "Whether a Retry packet was seen.",
            formula("count(Retry packets) > 0").source("RFC 9000 section 17.2.5")),
        bool("quic_spin_bit", Extended, &|v: &View<'_>| v.spins(), "Whether the spin bit changes in at least one direction.",
            formula("quic_spin_transitions_fwd > 0 or quic_spin_transitions_bwd > 0").null("no short header packet").source("RFC 9000 section 17.4")),
        str("quic_alpn", Extended, |v, o| wire_text(v.hello()?.alpn()?.next()?, o), "First application protocol that the client offers.",
            formula("first of CH.application_layer_protocol_negotiation").null("no ClientHello was read, or it has no ALPN").source("RFC 9001 section 8.1, RFC 7301").text("ALPN protocol id")),
        private(Name, str("quic_sni", Extended, |v, o| wire_text(v.hello()?.server_name()?, o), "First host name of server_name in the ClientHello.",
            formula("first host_name of CH.server_name").null("no ClientHello was read, or it has no such name").source("RFC 9001 section 4, RFC 6066 section 3").text("host name"))),
        private(Id, str("quic_dcid", Extended, |v, o| hex(v.initial()?.dcid.as_bytes(), o), "Destination connection id of the client's first Initial packet.",
            formula("Initial(client).destination_connection_id").null(NO_INITIAL).source("RFC 9000 section 7.2").text("hexadecimal digits").since("0.2.0"))),
        private(Id, str("quic_scid", Extended, |v, o| id(v.initial()?.scid.as_bytes(), o), "Source connection id of the client's first Initial packet.",
            formula("Initial(client).source_connection_id").null("no Initial packet of the client could be opened, or the id is empty").source("RFC 9000 section 7.2").text("hexadecimal digits").since("0.2.0"))),
        private(Id, str("quic_server_scid", Extended, |v, o| id(v.standard()?.server_scid()?.as_bytes(), o), "Source connection id of the server's first Initial packet.",
            formula("Initial(server).source_connection_id").null("no Initial packet of the server, or the id is empty").source("RFC 9000 section 7.2").text("hexadecimal digits").since("0.2.0"))),
        bool("quic_version_negotiation", Extended, &|v: &View<'_>| Some(v.standard()?.has_version_negotiation()), "Whether a Version Negotiation packet was seen.",
            formula("count(Version Negotiation packets) > 0").source("RFC 9000 section 17.2.1").since("0.2.0")),
        i64("quic_spin_transitions_fwd", Count, Extended, &|v: &View<'_>| Some(int(v.spin(v.initiator)?.transitions)), "Changes of the spin bit between consecutive short header packets of the initiator.",
            formula("count(short header of fwd with another spin bit than the one before)").null("no forward short header packet").source("RFC 9000 section 17.4").since("0.2.0")),
        i64("quic_spin_transitions_bwd", Count, Extended, &|v: &View<'_>| Some(int(v.spin(v.initiator.other())?.transitions)), "Changes of the spin bit between consecutive short header packets of the responder.",
            formula("count(short header of bwd with another spin bit than the one before)").null("no backward short header packet").source("RFC 9000 section 17.4").since("0.2.0")),
    ],
};
