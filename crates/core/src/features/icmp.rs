//! ICMP and ICMPv6. A header quoted in an error message is never counted.

use super::Profile::Experimental;
use super::Unit::{Bitmap, Count, None as NoUnit};
use super::values::{bits, int, ratio};
use super::{FlowView, Group, always, bool, f64, formula, i64};
use crate::packet::ip_proto;
use crate::trackers::{Icmp, TrackerMask};

/// The messages of a flow.
pub struct View<'a> {
    icmp: Option<&'a Icmp>,
    packets: u64,
    protocol: u8,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.icmp.is_none() && !matches!(view.protocol, ip_proto::ICMP | ip_proto::ICMPV6)
    }
}

/// The number of a type in ICMP and in ICMPv6.
type Kind = [u8; 2];

const ECHO_REQUEST: Kind = [8, 128];
const ECHO_REPLY: Kind = [0, 129];
const UNREACHABLE: Kind = [3, 1];
const TIME_EXCEEDED: Kind = [11, 3];
const REDIRECT: Kind = [5, 137];

impl View<'_> {
    fn count(&self, kind: Kind) -> Option<u64> {
        let v6 = self.protocol == ip_proto::ICMPV6;
        Some(self.icmp?.of_type(kind[usize::from(v6)]))
    }
    fn stat(&self) -> Option<i64> {
        let named = [ECHO_REQUEST, ECHO_REPLY, UNREACHABLE, TIME_EXCEEDED, REDIRECT];
        let counts = named.map(|kind| self.count(kind).unwrap_or(0));
        let others = self.icmp?.messages() - counts.iter().sum::<u64>();
        let [a, b, c, d, e] = counts.map(|n| n > 0);
        Some(bits(&[a, b, c, d, e, others > 0]))
    }
}

// When there is no value.
const NO_MESSAGE: &str = "neither ICMP nor ICMPv6, or no message whose header was captured";
const NO_ECHO: &str = "neither ICMP nor ICMPv6, or no echo message";

/// Messages of ICMP and ICMPv6.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "icmp",
    doc: "Messages of ICMP and ICMPv6.",
    source: "RFC 792, RFC 4443",
    null: "neither ICMP nor ICMPv6",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::ICMP,
    needs: &[],
    view: |flow, _, _| View { icmp: flow.icmp(), packets: flow.base.total_packets(), protocol: flow.base.key.protocol },
    features: &[
        i64("icmp_packet_count", Count, Experimental, &|v: &View<'_>| Some(int(v.icmp?.messages())), "Packets with a header of ICMP or ICMPv6 of their own; later fragments have none.",
            formula("count(packets with a header of ICMP or ICMPv6)")),
        i64("icmp_echo_request_count", Count, Experimental, &|v: &View<'_>| v.count(ECHO_REQUEST).map(int), "Messages of type 8 (ICMP) or 128 (ICMPv6).",
            formula("count(type 8; ICMPv6 128)")),
        i64("icmp_echo_reply_count", Count, Experimental, &|v: &View<'_>| v.count(ECHO_REPLY).map(int), "Messages of type 0 (ICMP) or 129 (ICMPv6).",
            formula("count(type 0; ICMPv6 129)")),
        i64("icmp_dest_unreachable_count", Count, Experimental, &|v: &View<'_>| v.count(UNREACHABLE).map(int), "Messages of type 3 (ICMP) or 1 (ICMPv6).",
            formula("count(type 3; ICMPv6 1)")),
        i64("icmp_time_exceeded_count", Count, Experimental, &|v: &View<'_>| v.count(TIME_EXCEEDED).map(int), "Messages of type 11 (ICMP) or 3 (ICMPv6).",
            formula("count(type 11; ICMPv6 3)")),
        i64("icmp_unique_type_codes", NoUnit, Experimental, &|v: &View<'_>| Some(int(v.icmp?.type_codes.count())), "Different pairs of type and code; at most 1,024.",
            formula("unique((type, code)), at most 1024").range(0, 1024)),
        i64("icmp_dominant_type", NoUnit, Experimental, &|v: &View<'_>| Some(v.icmp?.dominant()?.0.into()), "Most frequent type; of several, the one seen first.",
            formula("mode(type), of several the first").null(NO_MESSAGE).range(0, 255)),
        i64("icmp_dominant_type_count", Count, Experimental, &|v: &View<'_>| Some(int(v.icmp?.dominant()?.1)), "Messages of that type.",
            formula("count(type = icmp_dominant_type)").null(NO_MESSAGE)),
        f64("icmp_echo_success_ratio", NoUnit, Experimental, &|v: &View<'_>| ratio(v.count(ECHO_REPLY)? as f64, v.count(ECHO_REQUEST)? as f64), "Echo replies over echo requests; above 1 with duplicated replies.",
            formula("icmp_echo_reply_count / icmp_echo_request_count").null("neither ICMP nor ICMPv6, or no echo request").source("own definition").from(0)),
        i64("icmp_unique_ids", NoUnit, Experimental, &|v: &View<'_>| Some(int(v.icmp?.ids.count())), "Different identifiers of echo requests and replies; at most 1,024.",
            formula("unique(identifier of echo messages), at most 1024").range(0, 1024)),
        i64("icmp_seq_min", NoUnit, Experimental, &|v: &View<'_>| Some(v.icmp?.seq?.0.into()), "Smallest sequence number of echo requests and replies.",
            formula("min(sequence number of echo messages)").null(NO_ECHO).range(0, 65535)),
        i64("icmp_seq_max", NoUnit, Experimental, &|v: &View<'_>| Some(v.icmp?.seq?.1.into()), "Largest sequence number of echo requests and replies.",
            formula("max(sequence number of echo messages)").null(NO_ECHO).range(0, 65535)),
        i64("icmp_seq_gaps", NoUnit, Experimental, &|v: &View<'_>| Some(int(v.icmp?.seq_gaps)), "Echo requests that skip: the identifier of the one before in the same direction, and a sequence number 2 to 32767 above its, modulo 65536.",
            formula("count(echo requests with the identifier of the one before in their direction and a sequence number 2 to 32767 above its, modulo 65536)").source("own definition").from(0)),
        i64("icmp_stat", Bitmap, Experimental, &|v: &View<'_>| v.stat(), "1 echo request, 2 echo reply, 4 destination unreachable, 8 time exceeded, 16 redirect (5; ICMPv6 137), 32 any other type.",
            formula("bits(echo request, echo reply, unreachable, time exceeded, redirect, any other type)").source("own definition").range(0, 63)),
        f64("icmp_ratio", NoUnit, Experimental, &|v: &View<'_>| ratio(v.icmp?.messages() as f64, v.packets as f64), "icmp_packet_count over the packets of the flow: below 1 with fragments or headers that were cut.",
            formula("icmp_packet_count / total_packets").source("own definition").range(0, 1)),
        always(bool("is_icmp_only", Experimental, &|v: &View<'_>| Some(matches!(v.protocol, ip_proto::ICMP | ip_proto::ICMPV6)), "Whether the protocol of the flow is ICMP or ICMPv6.",
            formula("protocol = 1 or protocol = 58").source("IANA protocol numbers"))),
    ],
};
