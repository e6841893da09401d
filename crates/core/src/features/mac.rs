//! Link layer. Addresses are told apart by end, not by field: a reply's source is the responder's address.

use super::Profile::Experimental;
use super::Unit::{Bitmap, Count, None as NoUnit};
use super::values::{bits, int};
use super::{FlowView, Group, Split, formula, i64, private, split, str};
use crate::columns::Text;
use crate::digits::push_mac;
use crate::packet::Side;
use crate::privacy::Privacy;
use crate::trackers::{FirstFrame, Mac, TrackerMask};

/// The link layer of a flow.
pub struct View<'a> {
    mac: Option<&'a Mac>,
    initiator: Side,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;
}

impl View<'_> {
    /// What is known of flows with Ethernet headers only.
    fn frames(&self) -> Option<(&Mac, &FirstFrame)> {
        let mac = self.mac?;
        Some((mac, mac.first.as_ref()?))
    }

    fn address(&self, end: Side, out: &mut Text) -> Option<()> {
        let (_, first) = self.frames()?;
        let address = if first.side == end { first.source } else { first.destination };
        push_mac(address, out);
        Some(())
    }

    fn at_end(&self, end: Side) -> Option<u64> {
        Some(self.frames()?.0.ends.get(end as usize)?.count())
    }

    fn ether_type(&self) -> Option<i64> {
        // Below 1536, the field is a length (IEEE 802.3 clause 3.2.6).
        self.frames().map(|(_, first)| first.ether_type).filter(|t| *t >= 1536).map(i64::from)
    }

    fn stat(&self) -> Option<i64> {
        let (mac, _) = self.frames()?;
        let many = |end| self.at_end(end).is_some_and(|n| n > 1);
        Some(bits(&[true, true, many(self.initiator), many(self.initiator.other()), mac.vlans.count() > 0]))
    }
}

/// MAC addresses and VLAN tags.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "mac",
    doc: "MAC addresses and VLAN tags. The Ethernet header of a packet is the last one before its IP header.",
    source: "IEEE 802.3 clause 3.2",
    null: "no packet has an Ethernet header",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::MAC,
    needs: &[],
    view: |flow, _, _| View { mac: flow.mac(), initiator: flow.base.initiator() },
    features: &[
        split(Split::As(["mac_src", "mac_dst"]), private(Privacy::Mac, str("mac_src", Experimental, |v, out| v.address(v.initiator, out), "MAC address at the initiator's end, in the first packet that has an Ethernet header.",
            formula("fwd ? Ethernet.source : Ethernet.destination, of the first packet with the header").text("MAC address, six pairs of hexadecimal digits")))),
        split(Split::As(["mac_dst", "mac_src"]), private(Privacy::Mac, str("mac_dst", Experimental, |v, out| v.address(v.initiator.other(), out), "MAC address at the responder's end, in the first packet that has an Ethernet header.",
            formula("fwd ? Ethernet.destination : Ethernet.source, of the first packet with the header").text("MAC address, six pairs of hexadecimal digits")))),
        split(Split::Both, i64("mac_eth_type", NoUnit, Experimental, &|v: &View<'_>| v.ether_type(), "Type field of the Ethernet header of the first packet that has one; null where the field is a length.",
            formula("Ethernet.type of the first packet with the header").null("no packet has an Ethernet header, or the field is a length (below 1536)").source("IEEE 802.3 clause 3.2.6").range(1536, 65535))),
        split(Split::Both, i64("mac_vlan_id", NoUnit, Experimental, &|v: &View<'_>| v.mac?.vlan.map(i64::from), "VLAN identifier of the outermost tag of the first packet that has a tag; 0 is a priority tag.",
            formula("VID of the outermost tag of the first packet with a tag").null("no packet has a VLAN tag").source("IEEE 802.1Q clause 9.6").range(0, 4095))),
        i64("mac_vlan_count", Count, Experimental, &|v: &View<'_>| Some(int(v.frames()?.0.vlans.count())), "Different VLAN identifiers of all tags, outer and inner.",
            formula("unique(VID of all tags)").source("IEEE 802.1Q clause 9.6").range(0, 4096)),
        i64("mac_unique_src_count", Count, Experimental, &|v: &View<'_>| v.at_end(v.initiator).map(int), "Different MAC addresses at the initiator's end: sources of forward and destinations of backward packets; at most 1,024.",
            formula("unique(Ethernet.source of fwd, Ethernet.destination of bwd), at most 1024").range(1, 1024)),
        i64("mac_unique_dst_count", Count, Experimental, &|v: &View<'_>| v.at_end(v.initiator.other()).map(int), "Different MAC addresses at the responder's end: destinations of forward and sources of backward packets; at most 1,024.",
            formula("unique(Ethernet.destination of fwd, Ethernet.source of bwd), at most 1024").range(1, 1024)),
        i64("mac_stat", Bitmap, Experimental, &|v: &View<'_>| v.stat(), "1 mac_src is known, 2 mac_dst is known, 4 mac_unique_src_count above 1, 8 mac_unique_dst_count above 1, 16 mac_vlan_count above 0.",
            formula("bits(mac_src known, mac_dst known, mac_unique_src_count > 1, mac_unique_dst_count > 1, mac_vlan_count > 0)").source("own definition").range(0, 31)),
        i64("mac_broadcast_count", Count, Experimental, &|v: &View<'_>| Some(int(v.frames()?.0.broadcast)), "Packets to the MAC address ff:ff:ff:ff:ff:ff.",
            formula("count(Ethernet.destination = ff:ff:ff:ff:ff:ff)").source("IEEE 802 clause 8.2")),
        i64("mac_multicast_count", Count, Experimental, &|v: &View<'_>| Some(int(v.frames()?.0.multicast)), "Packets to another group address.",
            formula("count(group bit of Ethernet.destination, no broadcast)").source("IEEE 802 clause 8.2")),
    ],
};
