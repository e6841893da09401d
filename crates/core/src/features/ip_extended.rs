//! Fields of the IP headers, in the order of the capture.

use super::Profile::Extended;
use super::Unit::None as NoUnit;
use super::sides::IpView;
use super::values::{initial_ttl, int, ratio};
use super::{Group, Split, always, f64, formula, i64, split};
use crate::columns::Direction;
use crate::trackers::{IpHeader, SideIpHeader, TrackerMask, mean};

impl IpView<'_> {
    /// A direction that has packets: forward (0) or backward (1).
    fn side(&self, back: usize) -> Option<&SideIpHeader> {
        self.ip.side(back).filter(|s| s.packets > 0)
    }
    fn ttl(&self, back: usize, of: fn(&SideIpHeader) -> u8) -> Option<i64> {
        self.side(back).map(of).map(i64::from)
    }
    fn ttl_mean(&self, back: usize) -> Option<f64> {
        let s = self.side(back)?;
        mean(s.packets, s.ttl_sum)
    }
    fn initial(&self) -> Option<i64> {
        self.side(0).map(|s| initial_ttl(s.ttl_first).into())
    }
    /// DS field of the first forward packet.
    fn ds(&self) -> Option<i64> {
        self.side(0).filter(|s| s.headers > 0).map(|s| s.ds_first.into())
    }
    /// All headers, where there are some with bytes.
    fn known(&self) -> Option<&IpHeader> {
        self.ip.known.filter(|ip| ip.side.iter().any(|s| s.headers > 0))
    }
    fn v4(&self) -> Option<&IpHeader> {
        self.known().filter(|_| !self.v6)
    }
}

// When there is no value.
const NO_FWD: &str = "no forward packet";
const NO_BWD: &str = "no backward packet";
const NO_DS: &str = "no forward packet whose header was captured";

/// TTL, DS field, flags and identification.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<IpView<'static>> = Group {
    id: "ip_extended",
    doc: "Fields of the IP headers: TTL, DS field, flags, identification. In a tunnel, those of the innermost header.",
    source: "RFC 791, RFC 8200 section 3",
    null: "no header of IPv4 was captured: IPv6, or cut",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::IP_HEADER,
    needs: &[],
    view: |flow, _, _| IpView::of(flow),
    features: &[
        i64("ip_ttl_fwd_min", NoUnit, Extended, &|v: &IpView<'_>| v.ttl(0, |s| s.ttl_min), "Smallest TTL (IPv4) or hop limit (IPv6) of the forward packets.",
            formula("min(TTL of fwd)").null(NO_FWD).range(0, 255)),
        i64("ip_ttl_fwd_max", NoUnit, Extended, &|v: &IpView<'_>| v.ttl(0, |s| s.ttl_max), "Largest TTL or hop limit of the forward packets.",
            formula("max(TTL of fwd)").null(NO_FWD).range(0, 255)),
        f64("ip_ttl_fwd_mean", NoUnit, Extended, &|v: &IpView<'_>| v.ttl_mean(0), "Mean TTL or hop limit of the forward packets.",
            formula("mean(TTL of fwd)").null(NO_FWD).range(0, 255)),
        i64("ip_ttl_fwd_changes", NoUnit, Extended, &|v: &IpView<'_>| v.side(0).map(|s| int(s.ttl_changes)), "Forward packets whose TTL or hop limit is another one than that of the forward packet before.",
            formula("count(fwd with another TTL than the one before)").null(NO_FWD).source("own definition").from(0)),
        i64("ip_ttl_bwd_min", NoUnit, Extended, &|v: &IpView<'_>| v.ttl(1, |s| s.ttl_min), "Smallest TTL or hop limit of the backward packets.",
            formula("min(TTL of bwd)").null(NO_BWD).range(0, 255)),
        i64("ip_ttl_bwd_max", NoUnit, Extended, &|v: &IpView<'_>| v.ttl(1, |s| s.ttl_max), "Largest TTL or hop limit of the backward packets.",
            formula("max(TTL of bwd)").null(NO_BWD).range(0, 255)),
        f64("ip_ttl_bwd_mean", NoUnit, Extended, &|v: &IpView<'_>| v.ttl_mean(1), "Mean TTL or hop limit of the backward packets.",
            formula("mean(TTL of bwd)").null(NO_BWD).range(0, 255)),
        i64("ip_ttl_bwd_changes", NoUnit, Extended, &|v: &IpView<'_>| v.side(1).map(|s| int(s.ttl_changes)), "Backward packets whose TTL or hop limit is another one than that of the backward packet before.",
            formula("count(bwd with another TTL than the one before)").null(NO_BWD).source("own definition").from(0)),
        i64("ip_ttl_fwd_initial_est", NoUnit, Extended, &|v: &IpView<'_>| v.initial(), "Smallest of 64, 128, 255 that is not below the TTL of the first forward packet.",
            formula("smallest of 64, 128, 255 that is >= TTL of the first of fwd").null(NO_FWD).source("common initial TTLs; RFC 1700 (64)").range(64, 255)),
        i64("ip_ttl_fwd_hops_est", NoUnit, Extended, &|v: &IpView<'_>| Some(v.initial()? - v.ttl(0, |s| s.ttl_first)?), "ip_ttl_fwd_initial_est - TTL of the first forward packet.",
            formula("ip_ttl_fwd_initial_est - TTL of the first of fwd").null(NO_FWD).source("own definition").range(0, 127)),
        split(Split::Only(Direction::Fwd), i64("ip_tos_value", NoUnit, Extended, &|v: &IpView<'_>| v.ds(), "DS field (IPv4 TOS byte or IPv6 traffic class) of the first forward packet.",
            formula("DS field (IPv4.TOS, IPv6.traffic_class) of the first of fwd").null(NO_DS).source("RFC 2474 section 3").range(0, 255))),
        i64("ip_tos_unique_count", NoUnit, Extended, &|v: &IpView<'_>| Some(v.known()?.ds_values().into()), "Different values of the DS field, both directions.",
            formula("unique(DS field of all)").null("no header was captured").source("RFC 2474 section 3").range(1, 256)),
        split(Split::Only(Direction::Fwd), i64("ip_dscp", NoUnit, Extended, &|v: &IpView<'_>| Some(v.ds()? >> 2), "ip_tos_value >> 2 (RFC 2474).",
            formula("ip_tos_value >> 2").null(NO_DS).source("RFC 2474 section 3").range(0, 63))),
        i64("ip_ecn", NoUnit, Extended, &|v: &IpView<'_>| Some(v.known()?.ecn_max()?.into()), "Largest ECN codepoint of all packets: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE (RFC 3168).",
            formula("max(DS field of all & 3)").null("no header was captured").source("RFC 3168 section 5").range(0, 3)),
        i64("ip_flags", NoUnit, Extended, &|v: &IpView<'_>| Some(v.v4()?.flags.into()), "All flags of the IPv4 packets: 4 reserved, 2 DF, 1 MF.",
            formula("bitwise or of IPv4.flags of all").source("RFC 791 section 3.1").range(0, 7)),
        i64("ip_df_count", NoUnit, Extended, &|v: &IpView<'_>| Some(int(v.v4()?.df)), "IPv4 packets with DF.",
            formula("count(DF)").source("RFC 791 section 3.1").from(0)),
        f64("ip_df_ratio", NoUnit, Extended, &|v: &IpView<'_>| ratio(v.v4()?.df as f64, v.packets as f64), "ip_df_count over the packets of the flow.",
            formula("ip_df_count / total_packets").source("RFC 791 section 3.1").range(0, 1)),
        split(Split::Both, always(i64("ip_version", NoUnit, Extended, &|v: &IpView<'_>| Some(if v.v6 { 6 } else { 4 }), "Version of the IP header that the flow goes by: 4 or 6.",
            formula("version of the flow's IP header").range(4, 6)))),
        i64("ip_id_gaps", NoUnit, Extended, &|v: &IpView<'_>| Some(int(v.v4()?.side.iter().map(|s| s.id_gaps).sum())), "IPv4 packets whose identification is more than 1 above that of the packet before in the same direction, modulo 65536.",
            formula("count(IPv4.identification more than 1 above that of the packet before in its direction, modulo 65536)").source("RFC 6864").from(0)),
    ],
};
