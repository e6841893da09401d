//! TCP flags and what they say of the opening and the closing of a connection (RFC 9293).

use super::Profile::Core;
use super::Unit::{Bitmap, Count, Ratio};
use super::values::{TcpFlow, bits};
use super::{FlowView, Group, Split, always, bool, f64, formula, i64, split};
use crate::packet::ip_proto;
use crate::trackers::TrackerMask;

/// Flags of a TCP flow.
pub struct View {
    is_tcp: bool,
    tcp: Option<TcpFlow>,
}

impl FlowView for View {
    type Of<'a> = Self;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.tcp.is_none() && !view.is_tcp
    }
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
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "tcp",
    doc: "TCP flags, and what they say of the opening and the closing of a connection.",
    source: "RFC 9293 section 3.1",
    null: "not TCP, or no header with flags was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_FLAGS,
    needs: &[],
    view: |flow, _, _| View { is_tcp: flow.base.key.protocol == ip_proto::TCP, tcp: TcpFlow::of(flow) },
    features: &[
        always(bool("tcp_is_tcp", Core, &|v: &View| Some(v.is_tcp), "Whether the flow is TCP.",
            formula("protocol = 6").source("IANA protocol numbers"))),
        i64("tcp_syn_count", Count, Core, &|v: &View| Some(v.tcp?.n.syn.into()), "Packets with SYN and without ACK.",
            formula("count(SYN without ACK)")),
        i64("tcp_synack_count", Count, Core, &|v: &View| Some(v.tcp?.n.synack.into()), "Packets with SYN and ACK.",
            formula("count(SYN and ACK)")),
        i64("tcp_fin_count", Count, Core, &|v: &View| Some(v.tcp?.n.fin.into()), "Packets with FIN.",
            formula("count(FIN)")),
        i64("tcp_rst_count", Count, Core, &|v: &View| Some(v.tcp?.n.rst.into()), "Packets with RST.",
            formula("count(RST)")),
        i64("tcp_ack_count", Count, Core, &|v: &View| Some(v.tcp?.n.ack.into()), "Packets with ACK.",
            formula("count(ACK)")),
        i64("tcp_psh_count", Count, Core, &|v: &View| Some(v.tcp?.n.psh.into()), "Packets with PSH.",
            formula("count(PSH)")),
        i64("tcp_urg_count", Count, Core, &|v: &View| Some(v.tcp?.n.urg.into()), "Packets with URG.",
            formula("count(URG)")),
        i64("tcp_ece_count", Count, Core, &|v: &View| Some(v.tcp?.n.ece.into()), "Packets with ECE.",
            formula("count(ECE)").source("RFC 3168 section 6.1")),
        i64("tcp_cwr_count", Count, Core, &|v: &View| Some(v.tcp?.n.cwr.into()), "Packets with CWR.",
            formula("count(CWR)").source("RFC 3168 section 6.1")),
        bool("tcp_complete_handshake", Core, &|v: &View| Some(v.tcp?.handshake()), "Whether SYN, SYN-ACK and the initiator's ACK were seen.",
            formula("tcp_initiator_syn and tcp_responder_synack and ACK without RST in fwd").source("RFC 9293 section 3.5")),
        bool("tcp_graceful_close", Core, &|v: &View| Some(v.tcp?.both_fin()), "Whether FIN was seen from both sides.",
            formula("FIN in fwd and FIN in bwd").source("RFC 9293 section 3.6")),
        bool("tcp_reset_close", Core, &|v: &View| Some(v.tcp?.rst()), "Whether RST was seen.",
            formula("tcp_rst_count > 0").source("RFC 9293 section 3.10.7")),
        f64("tcp_syn_ratio", Ratio, Core, &|v: &View| v.share(|t| t.n.syn.saturating_add(t.n.synack)), "Packets with SYN over all packets.",
            formula("(tcp_syn_count + tcp_synack_count) / total_packets")),
        f64("tcp_fin_ratio", Ratio, Core, &|v: &View| v.share(|t| t.n.fin), "Packets with FIN over all packets.",
            formula("tcp_fin_count / total_packets")),
        f64("tcp_rst_ratio", Ratio, Core, &|v: &View| v.share(|t| t.n.rst), "Packets with RST over all packets.",
            formula("tcp_rst_count / total_packets")),
        f64("tcp_psh_ratio", Ratio, Core, &|v: &View| v.share(|t| t.n.psh), "Packets with PSH over all packets.",
            formula("tcp_psh_count / total_packets")),
        i64("tcp_data_packets", Count, Core, &|v: &View| Some(v.tcp?.n.data.into()), "Segments with payload.",
            formula("count(payload > 0)")),
        i64("tcp_ack_only_packets", Count, Core, &|v: &View| Some(v.tcp?.n.ack_only.into()), "Segments with ACK, without payload and without SYN, FIN or RST.",
            formula("count(ACK, payload = 0, none of SYN, FIN, RST)")),
        bool("tcp_flags_anomaly", Core, &|v: &View| Some(v.tcp?.n.anomalous > 0), "Whether any segment had no flag, FIN-PSH-URG, FIN without ACK, or SYN with FIN or RST.",
            formula("any segment: no flag; or FIN and PSH and URG; or FIN without ACK; or SYN with FIN or RST").source("Nmap's null, FIN and Xmas scans")),
        bool("tcp_initiator_syn", Core, &|v: &View| Some(v.tcp?.initiator_syn()), "Whether the initiator sent a SYN without ACK.",
            formula("SYN without ACK in fwd").source("RFC 9293 section 3.5")),
        bool("tcp_responder_synack", Core, &|v: &View| Some(v.tcp?.responder_synack()), "Whether the responder sent a SYN-ACK.",
            formula("SYN and ACK in bwd").source("RFC 9293 section 3.5")),
        i64("tcp_fstat", Bitmap, Core, &|v: &View| v.fstat(), "1 initiator's SYN, 2 responder's SYN-ACK, 4 ACKs beyond SYN-ACKs, 8 forward FIN, 16 backward FIN, 32 RST, 64 data, 128 anomaly.",
            formula("bits(tcp_initiator_syn, tcp_responder_synack, tcp_ack_count > tcp_synack_count, FIN in fwd, FIN in bwd, RST, tcp_data_packets > 0, tcp_flags_anomaly)").source("own definition").range(0, 255)),
        split(Split::As(["tcp_flags_fwd", "tcp_flags_bwd"]), i64("tcp_flags_agg", Bitmap, Core, &|v: &View| Some(v.tcp?.seen(0) | v.tcp?.seen(1)), "All flags of the flow, as on the wire.",
            formula("bitwise or of the flags of all").range(0, 511))),
        i64("tcp_flags_fwd", Bitmap, Core, &|v: &View| Some(v.tcp?.seen(0)), "All flags of the forward packets.",
            formula("bitwise or of the flags of fwd").range(0, 511)),
        i64("tcp_flags_bwd", Bitmap, Core, &|v: &View| Some(v.tcp?.seen(1)), "All flags of the backward packets.",
            formula("bitwise or of the flags of bwd").range(0, 511)),
    ],
};
