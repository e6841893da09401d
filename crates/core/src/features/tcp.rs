//! TCP flags and what they say of the opening and the closing of a connection (RFC 9293).

use super::Profile::Core;
use super::Unit::{Bitmap, Count, Ratio};
use super::values::{TcpFlow, bits};
use super::{FlowView, Group, bool, f64, i64};
use crate::packet::ip_proto;
use crate::trackers::TrackerMask;

/// Flags of a TCP flow.
pub struct View {
    is_tcp: bool,
    tcp: Option<TcpFlow>,
}

impl FlowView for View {
    type Of<'a> = Self;
}

impl View {
    fn share(&self, count: fn(&TcpFlow) -> u32) -> Option<f64> {
        let t = self.tcp.as_ref()?;
        t.share(count(t))
    }
    fn fstat(&self) -> Option<i64> {
        let t = self.tcp?;
        Some(bits(&[
            t.initiator_syn(),
            t.responder_synack(),
            t.n.ack > t.n.synack,
            t.fin(0),
            t.fin(1),
            t.rst(),
            t.n.data > 0,
            t.n.anomalous > 0,
        ]))
    }
}

/// Flags, handshake and closing.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View> = Group {
    id: "tcp",
    doc: "TCP flags, and what they say of the opening and the closing of a connection.",
    opt_in: false,
    uses: TrackerMask::TCP_FLAGS,
    needs: &[],
    view: |flow, _, _| View { is_tcp: flow.base.key.protocol == ip_proto::TCP, tcp: TcpFlow::of(flow) },
    features: &[
        bool("tcp_is_tcp", Core, |v| Some(v.is_tcp), "Whether the flow is TCP."),
        i64("tcp_syn_count", Count, Core, |v| Some(v.tcp?.n.syn.into()), "Packets with SYN and without ACK."),
        i64("tcp_synack_count", Count, Core, |v| Some(v.tcp?.n.synack.into()), "Packets with SYN and ACK."),
        i64("tcp_fin_count", Count, Core, |v| Some(v.tcp?.n.fin.into()), "Packets with FIN."),
        i64("tcp_rst_count", Count, Core, |v| Some(v.tcp?.n.rst.into()), "Packets with RST."),
        i64("tcp_ack_count", Count, Core, |v| Some(v.tcp?.n.ack.into()), "Packets with ACK."),
        i64("tcp_psh_count", Count, Core, |v| Some(v.tcp?.n.psh.into()), "Packets with PSH."),
        i64("tcp_urg_count", Count, Core, |v| Some(v.tcp?.n.urg.into()), "Packets with URG."),
        i64("tcp_ece_count", Count, Core, |v| Some(v.tcp?.n.ece.into()), "Packets with ECE."),
        i64("tcp_cwr_count", Count, Core, |v| Some(v.tcp?.n.cwr.into()), "Packets with CWR."),
        bool("tcp_complete_handshake", Core, |v| Some(v.tcp?.handshake()), "Whether SYN, SYN-ACK and the initiator's ACK were seen."),
        bool("tcp_graceful_close", Core, |v| Some(v.tcp?.both_fin()), "Whether FIN was seen from both sides."),
        bool("tcp_reset_close", Core, |v| Some(v.tcp?.rst()), "Whether RST was seen."),
        f64("tcp_syn_ratio", Ratio, Core, |v| v.share(|t| t.n.syn.saturating_add(t.n.synack)), "Packets with SYN over all packets."),
        f64("tcp_fin_ratio", Ratio, Core, |v| v.share(|t| t.n.fin), "Packets with FIN over all packets."),
        f64("tcp_rst_ratio", Ratio, Core, |v| v.share(|t| t.n.rst), "Packets with RST over all packets."),
        f64("tcp_psh_ratio", Ratio, Core, |v| v.share(|t| t.n.psh), "Packets with PSH over all packets."),
        i64("tcp_data_packets", Count, Core, |v| Some(v.tcp?.n.data.into()), "Segments with payload."),
        i64("tcp_ack_only_packets", Count, Core, |v| Some(v.tcp?.n.ack_only.into()), "Segments with ACK, without payload and without SYN, FIN or RST."),
        bool("tcp_flags_anomaly", Core, |v| Some(v.tcp?.n.anomalous > 0), "Whether any segment had no flag, FIN-PSH-URG, FIN without ACK, or SYN with FIN or RST."),
        bool("tcp_initiator_syn", Core, |v| Some(v.tcp?.initiator_syn()), "Whether the initiator sent a SYN without ACK."),
        bool("tcp_responder_synack", Core, |v| Some(v.tcp?.responder_synack()), "Whether the responder sent a SYN-ACK."),
        i64("tcp_fstat", Bitmap, Core, |v| v.fstat(), "1 initiator's SYN, 2 responder's SYN-ACK, 4 ACKs beyond SYN-ACKs, 8 forward FIN, 16 backward FIN, 32 RST, 64 data, 128 anomaly."),
        i64("tcp_flags_agg", Bitmap, Core, |v| Some(v.tcp?.seen(0) | v.tcp?.seen(1)), "All flags of the flow, as on the wire."),
        i64("tcp_flags_fwd", Bitmap, Core, |v| Some(v.tcp?.seen(0)), "All flags of the forward packets."),
        i64("tcp_flags_bwd", Bitmap, Core, |v| Some(v.tcp?.seen(1)), "All flags of the backward packets."),
    ],
};
