//! Multipath TCP (RFC 8684): connections and their subflows.

use super::Profile::Experimental;
use super::Unit::{Bitmap, Count, None as NoUnit};
use super::sides::SidesView;
use super::values::{bits, int};
use super::{Group, Split, formula, i64, split};
use crate::trackers::{SideTcp, TcpOptions, TrackerMask};

/// Options of Multipath TCP; none for other protocols, or where no header was captured.
type View<'a> = SidesView<'a, TcpOptions>;

impl View<'_> {
    fn is_capable(&self, back: usize) -> Option<bool> {
        let side = self.side(back)?;
        side.first_syn.map(|_| side.mp_capable)
    }
    fn stat(&self) -> Option<i64> {
        let [a, b] = [0, 1].map(|back| self.is_capable(back) == Some(true));
        Some(bits(&[self.known?.with_mptcp > 0, a, b, a && b]))
    }
    fn is_mptcp(&self) -> Option<i64> {
        let sides = &self.known?.side;
        if sides.iter().all(|s| s.mp_capable) || sides.iter().all(|s| s.mp_join) {
            return Some(1);
        }
        let refuses = |s: &SideTcp| s.first_syn.is_some() && !s.mp_capable && !s.mp_join;
        let known = sides.iter().any(refuses) || sides.iter().all(|s| s.first_syn.is_some());
        known.then_some(0)
    }
}

/// Multipath TCP.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tcp_mptcp",
    doc: "Multipath TCP: connections and their subflows.",
    source: "RFC 8684 sections 3.1, 3.2",
    null: "not TCP, or no TCP header was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::TCP_OPTIONS,
    needs: &[],
    view: |flow, _, _| View::of(flow, flow.tcp_options()),
    features: &[
        split(Split::Both, i64("mptcp_detected", NoUnit, Experimental, &|v: &View<'_>| Some((v.known?.with_mptcp > 0).into()), "1 if any segment has an option of Multipath TCP (kind 30), else 0.",
            formula("mptcp_option_count > 0 ? 1 : 0").range(0, 1))),
        i64("mptcp_capable_fwd", NoUnit, Experimental, &|v: &View<'_>| v.is_capable(0).map(i64::from), "1 if a segment with SYN of the initiator has MP_CAPABLE, else 0.",
            formula("MP_CAPABLE in a SYN of fwd ? 1 : 0").null("not TCP, or no SYN of that side").range(0, 1)),
        i64("mptcp_capable_bwd", NoUnit, Experimental, &|v: &View<'_>| v.is_capable(1).map(i64::from), "1 if a segment with SYN of the responder has MP_CAPABLE, else 0.",
            formula("MP_CAPABLE in a SYN of bwd ? 1 : 0").null("not TCP, or no SYN of that side").range(0, 1)),
        i64("mptcp_option_count", Count, Experimental, &|v: &View<'_>| Some(int(v.known?.with_mptcp)), "Segments with an option of Multipath TCP.",
            formula("count(segments with an option of kind 30)")),
        i64("mptcp_stat", Bitmap, Experimental, &|v: &View<'_>| v.stat(), "1 mptcp_detected, 2 mptcp_capable_fwd, 4 mptcp_capable_bwd, 8 both.",
            formula("bits(mptcp_detected, mptcp_capable_fwd, mptcp_capable_bwd, both of these)").source("own definition").range(0, 15)),
        split(Split::Both, i64("is_mptcp", NoUnit, Experimental, &|v: &View<'_>| v.is_mptcp(), "1 if the SYNs of both sides have MP_CAPABLE, or both MP_JOIN (a subflow); 0 if a side's SYNs have neither or both sides' were seen; null if the handshake does not show it.",
            formula("both sides' SYNs with MP_CAPABLE, or both with MP_JOIN ? 1 : 0").null("not TCP, or a SYN is missing and no side that was seen lacks both").range(0, 1))),
    ],
};
