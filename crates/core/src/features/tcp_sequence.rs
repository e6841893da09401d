//! Sequence analysis of TCP (RFC 9293 section 3.4): marks are those of tshark's `tcp.analysis`, but for rare cases.

use super::Profile::Extended;
use super::Unit::{Bytes, Count, None as NoUnit};
use super::sides::SidesView;
use super::values::{int, ratio};
use super::{Group, Split, f64, formula, i64, split};
use crate::trackers::{SideSequence, TcpSequence, TrackerMask};

/// Sequence numbers with the directions told apart; none for other protocols, or where no header was captured.
type View<'a> = SidesView<'a, TcpSequence>;

impl View<'_> {
    /// A number of the forward (0) or backward (1) direction.
    fn number(&self, back: usize, count: fn(&SideSequence) -> u64) -> Option<i64> {
        self.side(back).map(count).map(int)
    }
    /// The same of both directions.
    fn sum(&self, count: fn(&SideSequence) -> u64) -> Option<i64> {
        Some(int(self.known?.side.iter().map(count).sum()))
    }
    fn isn(&self, back: usize) -> Option<i64> {
        self.side(back)?.isn.map(i64::from)
    }
}

/// Retransmissions, gaps, disorder and duplicate ACKs.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_sequence",
    doc: "Sequence analysis of TCP: retransmissions, gaps, disorder, duplicate ACKs, as tshark's tcp.analysis marks them.",
    source: "RFC 9293 section 3.4; tshark tcp.analysis",
    null: "not TCP, or no TCP header was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_SEQUENCE,
    needs: &[],
    view: |flow, _, _| View::of(flow, flow.tcp_sequence()),
    features: &[
        i64("tcp_isn_fwd", NoUnit, Extended, &|v: &View<'_>| v.isn(0), "Sequence number of the initiator's first segment with SYN.",
            formula("SYN(fwd).seq").null("not TCP, or no SYN of that side").source("RFC 9293 section 3.4.1").range(0, 4_294_967_295)),
        i64("tcp_isn_bwd", NoUnit, Extended, &|v: &View<'_>| v.isn(1), "Sequence number of the responder's first segment with SYN.",
            formula("SYN(bwd).seq").null("not TCP, or no SYN of that side").source("RFC 9293 section 3.4.1").range(0, 4_294_967_295)),
        i64("tcp_seq_fwd_bytes_sent", Bytes, Extended, &|v: &View<'_>| v.number(0, |s| s.bytes), "Payload bytes of forward segments, those that were sent again once.",
            formula("sum(payload of fwd), each byte that was sent again once").source("RFC 9293 section 3.4")),
        i64("tcp_seq_fwd_retrans", Count, Extended, &|v: &View<'_>| v.number(0, |s| s.retransmissions), "Forward retransmissions, fast and spurious ones included; SYN and FIN count, keep-alives do not.",
            formula("count(fwd that repeat sequence numbers: retransmission, fast, spurious)")),
        i64("tcp_seq_fwd_gaps", Count, Extended, &|v: &View<'_>| v.number(0, |s| s.gaps), "Forward segments before which something was not captured.",
            formula("count(fwd with seq above the next expected)")),
        i64("tcp_seq_fwd_ooo", Count, Extended, &|v: &View<'_>| v.number(0, |s| s.out_of_order), "Forward segments out of order.",
            formula("count(fwd behind the next expected within the handshake's time, or 3 ms, of the segment that moved it)")),
        i64("tcp_seq_bwd_bytes_sent", Bytes, Extended, &|v: &View<'_>| v.number(1, |s| s.bytes), "Payload bytes of backward segments, those that were sent again once.",
            formula("sum(payload of bwd), each byte that was sent again once").source("RFC 9293 section 3.4")),
        i64("tcp_seq_bwd_retrans", Count, Extended, &|v: &View<'_>| v.number(1, |s| s.retransmissions), "Backward retransmissions, fast and spurious ones included; SYN and FIN count, keep-alives do not.",
            formula("count(bwd that repeat sequence numbers: retransmission, fast, spurious)")),
        i64("tcp_seq_bwd_gaps", Count, Extended, &|v: &View<'_>| v.number(1, |s| s.gaps), "Backward segments before which something was not captured.",
            formula("count(bwd with seq above the next expected)")),
        i64("tcp_seq_bwd_ooo", Count, Extended, &|v: &View<'_>| v.number(1, |s| s.out_of_order), "Backward segments out of order.",
            formula("count(bwd behind the next expected within the handshake's time, or 3 ms, of the segment that moved it)")),
        i64("tcp_ack_fwd_count", Count, Extended, &|v: &View<'_>| v.number(0, |s| s.acks), "Forward segments with ACK.",
            formula("count(fwd with ACK)").source("RFC 9293 section 3.1")),
        i64("tcp_ack_fwd_dup", Count, Extended, &|v: &View<'_>| v.number(0, |s| s.duplicate_acks), "Forward duplicate ACKs (RFC 5681 section 2).",
            formula("count(fwd without data, SYN, FIN that repeat ACK number and window at the next expected seq)").source("RFC 5681 section 2, RFC 8684 section 4")),
        i64("tcp_ack_bwd_count", Count, Extended, &|v: &View<'_>| v.number(1, |s| s.acks), "Backward segments with ACK.",
            formula("count(bwd with ACK)").source("RFC 9293 section 3.1")),
        i64("tcp_ack_bwd_dup", Count, Extended, &|v: &View<'_>| v.number(1, |s| s.duplicate_acks), "Backward duplicate ACKs (RFC 5681 section 2).",
            formula("count(bwd without data, SYN, FIN that repeat ACK number and window at the next expected seq)").source("RFC 5681 section 2, RFC 8684 section 4")),
        split(Split::As(["tcp_seq_fwd_retrans", "tcp_seq_bwd_retrans"]), i64("tcp_total_retrans", Count, Extended, &|v: &View<'_>| v.sum(|s| s.retransmissions), "Retransmissions of both directions.",
            formula("tcp_seq_fwd_retrans + tcp_seq_bwd_retrans"))),
        split(Split::As(["tcp_seq_fwd_ooo", "tcp_seq_bwd_ooo"]), i64("tcp_total_ooo", Count, Extended, &|v: &View<'_>| v.sum(|s| s.out_of_order), "Segments out of order of both directions.",
            formula("tcp_seq_fwd_ooo + tcp_seq_bwd_ooo"))),
        split(Split::As(["tcp_ack_fwd_dup", "tcp_ack_bwd_dup"]), i64("tcp_total_dup_acks", Count, Extended, &|v: &View<'_>| v.sum(|s| s.duplicate_acks), "Duplicate ACKs of both directions.",
            formula("tcp_ack_fwd_dup + tcp_ack_bwd_dup").source("RFC 5681 section 2"))),
        f64("tcp_retrans_ratio", NoUnit, Extended, &|v: &View<'_>| ratio(v.sum(|s| s.retransmissions)? as f64, v.sum(|s| s.segments)? as f64), "tcp_total_retrans over the TCP segments of the flow.",
            formula("tcp_total_retrans / count(TCP segments)").range(0, 1)),
    ],
};
