//! QUIC: what its headers say, and the hello in its Initial packets.

use std::fmt::Write;

use super::Profile::Extended;
use super::Unit::{Bytes, Count, None as NoUnit};
use super::values::{earlier, hex, int, wire_text};
use super::{FlowView, Group, Need, bool, i64, private, str};
use crate::packet::Side;
use crate::privacy::Privacy::{Id, Name};
use crate::protocols::quic::{ClientInitial, QuicSession, Spin};
use crate::protocols::tls::ClientHello;
use crate::trackers::{AppWants, Earlier, TrackerMask};

/// QUIC of a flow; none where it was not seen.
pub struct View<'a> {
    /// What earlier rows of the connection showed.
    earlier: Earlier,
    quic: Option<&'a QuicSession>,
    initiator: Side,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
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
fn id(id: &[u8], out: &mut String) -> Option<()> {
    if id.is_empty() { None } else { hex(id, out) }
}

/// Headers and hello.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "quic",
    doc: "QUIC: version, connection ids, kinds of packets, spin bit, and the hello in its Initial packets.",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::QUIC)],
    view: |flow, _, _| View { earlier: earlier(flow), quic: flow.app.and_then(|app| app.quic()), initiator: flow.base.initiator() },
    features: &[
        bool("quic_detected", Extended, |v| Some(v.quic.is_some() || v.earlier.quic), "Whether the flow is QUIC, Google's included."),
        i64("quic_version", NoUnit, Extended, |v| Some(v.quic?.version()?.0.into()), "Version of the server's first Initial or Handshake packet, else of the client's first packet."),
        str("quic_version_str", Extended, |v, o| write!(o, "{}", v.quic?.version()?).ok(), "Name of quic_version: QUIC v1, QUIC v2, QUIC draft-29, gQUIC Q043; of others, the number."),
        i64("quic_dcid_len", Bytes, Extended, |v| Some(int(v.initial()?.dcid.as_bytes().len() as u64)), "Length of the destination connection id of the client's first Initial packet."),
        i64("quic_scid_len", Bytes, Extended, |v| Some(int(v.initial()?.scid.as_bytes().len() as u64)), "Length of its source connection id."),
        i64("quic_pn_length", Bytes, Extended, |v| Some(v.initial()?.number_len.into()), "Length of its packet number."),
        i64("quic_initial_packets", Count, Extended, |v| Some(int(v.standard()?.initial_packets())), "Initial packets of both directions, coalesced ones one by one."),
        bool("quic_0rtt_detected", Extended, |v| Some(v.standard()?.has_zero_rtt()), "Whether a 0-RTT packet was seen."),
        bool("quic_retry_detected", Extended, |v| Some(v.standard()?.has_retry()), "Whether a Retry packet was seen."),
        bool("quic_spin_bit", Extended, |v| v.spins(), "Whether the spin bit changes in at least one direction."),
        str("quic_alpn", Extended, |v, o| wire_text(v.hello()?.alpn()?.next()?, o), "First application protocol that the client offers."),
        private(Name, str("quic_sni", Extended, |v, o| wire_text(v.hello()?.server_name()?, o), "First host name of server_name in the ClientHello.")),
        private(Id, str("quic_dcid", Extended, |v, o| hex(v.initial()?.dcid.as_bytes(), o), "Destination connection id of the client's first Initial packet.")),
        private(Id, str("quic_scid", Extended, |v, o| id(v.initial()?.scid.as_bytes(), o), "Source connection id of the client's first Initial packet.")),
        private(Id, str("quic_server_scid", Extended, |v, o| id(v.standard()?.server_scid()?.as_bytes(), o), "Source connection id of the server's first Initial packet.")),
        bool("quic_version_negotiation", Extended, |v| Some(v.standard()?.has_version_negotiation()), "Whether a Version Negotiation packet was seen."),
        i64("quic_spin_transitions_fwd", Count, Extended, |v| Some(int(v.spin(v.initiator)?.transitions)), "Changes of the spin bit between consecutive short header packets of the initiator."),
        i64("quic_spin_transitions_bwd", Count, Extended, |v| Some(int(v.spin(v.initiator.other())?.transitions)), "Changes of the spin bit between consecutive short header packets of the responder."),
    ],
};
