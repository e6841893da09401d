//! Sequence analysis of TCP (RFC 9293 section 3.4): marks are those of tshark's `tcp.analysis`, but for rare cases.

use super::Profile::Extended;
use super::Unit::{Bytes, Count, None as NoUnit};
use super::values::{int, ratio};
use super::{FlowView, Group, f64, i64};
use crate::trackers::{SideSequence, TcpSequence, TrackerMask};

/// Sequence numbers with the directions told apart; none for other protocols, or where no header was captured.
pub struct View<'a> {
    known: Option<&'a TcpSequence>,
    fwd: usize,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    /// A number of the forward (0) or backward (1) direction.
    fn of(&self, back: usize, count: fn(&SideSequence) -> u64) -> Option<i64> {
        self.known?.side.get(self.fwd ^ back).map(count).map(int)
    }
    /// The same of both directions.
    fn sum(&self, count: fn(&SideSequence) -> u64) -> Option<i64> {
        Some(int(self.known?.side.iter().map(count).sum()))
    }
    fn isn(&self, back: usize) -> Option<i64> {
        self.known?.side.get(self.fwd ^ back)?.isn.map(i64::from)
    }
}

/// Retransmissions, gaps, disorder and duplicate ACKs.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_sequence",
    doc: "Sequence analysis of TCP: retransmissions, gaps, disorder, duplicate ACKs, as tshark's tcp.analysis marks them.",
    opt_in: false,
    uses: TrackerMask::TCP_SEQUENCE,
    needs: &[],
    view: |flow, _, _| View { known: flow.tcp_sequence.filter(|t| t.side.iter().any(|s| s.segments > 0)), fwd: flow.base.fwd() },
    features: &[
        i64("tcp_isn_fwd", NoUnit, Extended, |v| v.isn(0), "Sequence number of the initiator's first segment with SYN."),
        i64("tcp_isn_bwd", NoUnit, Extended, |v| v.isn(1), "Sequence number of the responder's first segment with SYN."),
        i64("tcp_seq_fwd_bytes_sent", Bytes, Extended, |v| v.of(0, |s| s.bytes), "Payload bytes of forward segments, those that were sent again once."),
        i64("tcp_seq_fwd_retrans", Count, Extended, |v| v.of(0, |s| s.retransmissions), "Forward retransmissions, fast and spurious ones included; SYN and FIN count, keep-alives do not."),
        i64("tcp_seq_fwd_gaps", Count, Extended, |v| v.of(0, |s| s.gaps), "Forward segments before which something was not captured."),
        i64("tcp_seq_fwd_ooo", Count, Extended, |v| v.of(0, |s| s.out_of_order), "Forward segments out of order."),
        i64("tcp_seq_bwd_bytes_sent", Bytes, Extended, |v| v.of(1, |s| s.bytes), "Payload bytes of backward segments, those that were sent again once."),
        i64("tcp_seq_bwd_retrans", Count, Extended, |v| v.of(1, |s| s.retransmissions), "Backward retransmissions, fast and spurious ones included; SYN and FIN count, keep-alives do not."),
        i64("tcp_seq_bwd_gaps", Count, Extended, |v| v.of(1, |s| s.gaps), "Backward segments before which something was not captured."),
        i64("tcp_seq_bwd_ooo", Count, Extended, |v| v.of(1, |s| s.out_of_order), "Backward segments out of order."),
        i64("tcp_ack_fwd_count", Count, Extended, |v| v.of(0, |s| s.acks), "Forward segments with ACK."),
        i64("tcp_ack_fwd_dup", Count, Extended, |v| v.of(0, |s| s.duplicate_acks), "Forward duplicate ACKs (RFC 5681 section 2)."),
        i64("tcp_ack_bwd_count", Count, Extended, |v| v.of(1, |s| s.acks), "Backward segments with ACK."),
        i64("tcp_ack_bwd_dup", Count, Extended, |v| v.of(1, |s| s.duplicate_acks), "Backward duplicate ACKs (RFC 5681 section 2)."),
        i64("tcp_total_retrans", Count, Extended, |v| v.sum(|s| s.retransmissions), "Retransmissions of both directions."),
        i64("tcp_total_ooo", Count, Extended, |v| v.sum(|s| s.out_of_order), "Segments out of order of both directions."),
        i64("tcp_total_dup_acks", Count, Extended, |v| v.sum(|s| s.duplicate_acks), "Duplicate ACKs of both directions."),
        f64("tcp_retrans_ratio", NoUnit, Extended, |v| ratio(v.sum(|s| s.retransmissions)? as f64, v.sum(|s| s.segments)? as f64), "tcp_total_retrans over the TCP segments of the flow."),
    ],
};
