//! Flow label and traffic class of IPv6 (RFC 8200, RFC 6437), in the order of the capture.

use super::Profile::Experimental;
use super::Unit::{Count, None as NoUnit};
use super::values::int;
use super::{FlowView, Group, f64, i64};
use crate::trackers::{IpHeader, SideIpHeader, TrackerMask};

/// IP headers of a flow.
pub struct View<'a> {
    ip: Option<&'a IpHeader>,
    fwd: usize,
    packets: u64,
    v6: bool,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    /// The headers of an IPv6 flow.
    fn v6(&self) -> Option<&IpHeader> {
        self.ip.filter(|ip| self.v6 && ip.side.iter().any(|s| s.headers > 0))
    }
    /// Those of its forward packets.
    fn fwd(&self) -> Option<&SideIpHeader> {
        self.v6()?.side.get(self.fwd).filter(|s| s.headers > 0)
    }
    fn traffic_class(&self) -> Option<i64> {
        Some(self.fwd()?.ds_first.into())
    }
}

/// Flow label and traffic class.
#[rustfmt::skip] // one line a feature
pub static GROUP: Group<View<'static>> = Group {
    id: "ipv6_options",
    doc: "Flow label and traffic class of IPv6.",
    opt_in: false,
    uses: TrackerMask::IP_HEADER,
    needs: &[],
    view: |flow, _, _| View { ip: flow.ip_header, fwd: flow.base.fwd(), packets: flow.base.total_packets(), v6: flow.base.key.is_v6() },
    features: &[
        i64("ipv6_packet_count", Count, Experimental, |v| Some(if v.v6 { int(v.packets) } else { 0 }), "Packets of the flow with IPv6: all of them, or 0."),
        i64("ipv4_packet_count", Count, Experimental, |v| Some(if v.v6 { 0 } else { int(v.packets) }), "Packets of the flow with IPv4: all of them, or 0."),
        i64("ipv6_flow_label", NoUnit, Experimental, |v| Some(v.fwd()?.label_first.into()), "Flow label of the first forward packet."),
        i64("ipv6_flow_label_unique_count", Count, Experimental, |v| Some(int(v.v6()?.labels.count())), "Different flow labels, both directions; at most 1,024."),
        i64("ipv6_flow_label_changes", Count, Experimental, |v| Some(int(v.v6()?.side.iter().map(|s| s.label_changes).sum())), "Packets whose flow label is another one than that of the packet before in the same direction."),
        i64("ipv6_traffic_class", NoUnit, Experimental, |v| v.traffic_class(), "Traffic class of the first forward packet."),
        i64("ipv6_traffic_class_unique_count", Count, Experimental, |v| Some(v.v6()?.ds_values().into()), "Different traffic classes, both directions."),
        i64("ipv6_dscp", NoUnit, Experimental, |v| Some(v.traffic_class()? >> 2), "ipv6_traffic_class >> 2 (RFC 2474)."),
        i64("ipv6_ecn", NoUnit, Experimental, |v| Some(v.v6()?.ecn_max()?.into()), "Largest ECN codepoint of all packets (RFC 3168)."),
        f64("ipv6_ratio", NoUnit, Experimental, |v| Some(if v.v6 { 1.0 } else { 0.0 }), "Share of packets with IPv6: 1 or 0."),
        i64("is_ipv6_only", NoUnit, Experimental, |v| Some(v.v6.into()), "1 if all packets of the flow are IPv6, else 0."),
    ],
};
