//! Flow label and traffic class of IPv6 (RFC 8200, RFC 6437), in the order of the capture.

use super::Profile::Experimental;
use super::Unit::{Count, None as NoUnit};
use super::sides::IpView;
use super::values::int;
use super::{Group, Split, always, f64, formula, i64, split};
use crate::columns::Direction;
use crate::trackers::{IpHeader, SideIpHeader, TrackerMask};

impl IpView<'_> {
    /// The headers of an IPv6 flow.
    fn v6(&self) -> Option<&IpHeader> {
        self.ip.known.filter(|ip| self.v6 && ip.side.iter().any(|s| s.headers > 0))
    }
    /// Those of its forward packets.
    fn fwd(&self) -> Option<&SideIpHeader> {
        self.ip.side(0).filter(|s| self.v6 && s.headers > 0)
    }
    fn traffic_class(&self) -> Option<i64> {
        Some(self.fwd()?.ds_first.into())
    }
}

// When there is no value.
const NO_FWD: &str = "IPv4, or no forward packet whose header was captured";

/// Flow label and traffic class.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<IpView<'static>> = Group {
    id: "ipv6_options",
    doc: "Flow label and traffic class of IPv6.",
    source: "RFC 8200 section 3",
    null: "IPv4, or no header was captured",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::IP_HEADER,
    needs: &[],
    view: |flow, _, _| IpView::of(flow),
    features: &[
        always(i64("ipv6_packet_count", Count, Experimental, &|v: &IpView<'_>| Some(if v.v6 { int(v.packets) } else { 0 }), "Packets of the flow with IPv6: all of them, or 0.",
            formula("IPv6 ? total_packets : 0"))),
        always(i64("ipv4_packet_count", Count, Experimental, &|v: &IpView<'_>| Some(if v.v6 { 0 } else { int(v.packets) }), "Packets of the flow with IPv4: all of them, or 0.",
            formula("IPv4 ? total_packets : 0").source("RFC 791"))),
        split(Split::Only(Direction::Fwd), i64("ipv6_flow_label", NoUnit, Experimental, &|v: &IpView<'_>| Some(v.fwd()?.label_first.into()), "Flow label of the first forward packet.",
            formula("IPv6.flow_label of the first of fwd").null(NO_FWD).source("RFC 6437").range(0, 1_048_575))),
        i64("ipv6_flow_label_unique_count", Count, Experimental, &|v: &IpView<'_>| Some(int(v.v6()?.labels.count())), "Different flow labels, both directions; at most 1,024.",
            formula("unique(IPv6.flow_label), at most 1024").source("RFC 6437").range(1, 1024)),
        i64("ipv6_flow_label_changes", Count, Experimental, &|v: &IpView<'_>| Some(int(v.v6()?.side.iter().map(|s| s.label_changes).sum())), "Packets whose flow label is another one than that of the packet before in the same direction.",
            formula("count(packets with another flow label than the one before in their direction)").source("RFC 6437")),
        split(Split::Only(Direction::Fwd), i64("ipv6_traffic_class", NoUnit, Experimental, &|v: &IpView<'_>| v.traffic_class(), "Traffic class of the first forward packet.",
            formula("IPv6.traffic_class of the first of fwd").null(NO_FWD).source("RFC 8200 section 7").range(0, 255))),
        i64("ipv6_traffic_class_unique_count", Count, Experimental, &|v: &IpView<'_>| Some(v.v6()?.ds_values().into()), "Different traffic classes, both directions.",
            formula("unique(IPv6.traffic_class)").source("RFC 8200 section 7").range(1, 256)),
        split(Split::Only(Direction::Fwd), i64("ipv6_dscp", NoUnit, Experimental, &|v: &IpView<'_>| Some(v.traffic_class()? >> 2), "ipv6_traffic_class >> 2 (RFC 2474).",
            formula("ipv6_traffic_class >> 2").null(NO_FWD).source("RFC 2474 section 3").range(0, 63))),
        i64("ipv6_ecn", NoUnit, Experimental, &|v: &IpView<'_>| Some(v.v6()?.ecn_max()?.into()), "Largest ECN codepoint of all packets (RFC 3168).",
            formula("max(IPv6.traffic_class & 3)").source("RFC 3168 section 5").range(0, 3)),
        always(f64("ipv6_ratio", NoUnit, Experimental, &|v: &IpView<'_>| Some(if v.v6 { 1.0 } else { 0.0 }), "Share of packets with IPv6: 1 or 0.",
            formula("ipv6_packet_count / total_packets").source("own definition").range(0, 1))),
        split(Split::Both, always(i64("is_ipv6_only", NoUnit, Experimental, &|v: &IpView<'_>| Some(v.v6.into()), "1 if all packets of the flow are IPv6, else 0.",
            formula("ipv6_packet_count = total_packets").source("own definition").range(0, 1)))),
    ],
};
