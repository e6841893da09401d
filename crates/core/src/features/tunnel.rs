//! What a flow travels in: VLAN and tunnel. The flow itself is the innermost one.

use std::net::IpAddr;

use super::Profile::Extended;
use super::Unit::None as NoUnit;
use super::values::{address, put};
use super::{FlowView, Group, Split, formula, i64, private, split, str};
use crate::packet::{Layer, Layers, Scope, Side};
use crate::privacy::Privacy::Address;
use crate::trackers::TrackerMask;

/// VLAN, tunnel, and the outermost addresses in the flow's direction.
pub struct View {
    scope: Scope,
    layers: Layers,
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
}

impl FlowView for View {
    type Of<'a> = Self;
}

/// VLAN and tunnel.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "tunnel",
    doc: "VLAN and tunnel that a flow travels in.",
    source: "IEEE 802.1Q",
    null: "the flow is in no such tunnel",
    since: "0.2.0",
    opt_in: false,
    uses: TrackerMask::NONE,
    needs: &[],
    view: |flow, _, _| {
        let (first_src, first_dst) = flow.outer().copied().unzip();
        // They were read off the first packet, which the responder may have sent.
        let turn = flow.base.initiator() == Side::B;
        let (src, dst) = if turn { (first_dst, first_src) } else { (first_src, first_dst) };
        View { scope: flow.base.key.scope(), layers: flow.base.layers, src, dst }
    },
    features: &[
        split(Split::Both, i64("vlan_id", NoUnit, Extended, &|v: &View| tag(v.scope.vlan & 0xffff), "VLAN of the flow; of QinQ, the outer one (IEEE 802.1Q).",
            formula("VID of the outermost tag but priority tags, whose VID is 0").null("no VLAN tag but priority tags, or flow_key_vlan is false").source("IEEE 802.1Q clause 9.6").range(1, 4095))),
        split(Split::Both, i64("vlan_inner_id", NoUnit, Extended, &|v: &View| tag(v.scope.vlan >> 16), "Inner VLAN of QinQ (IEEE 802.1ad).",
            formula("VID of the second tag but priority tags, whose VID is 0").null("fewer than two VLAN tags but priority tags, or flow_key_vlan is false").source("IEEE 802.1ad").range(1, 4095))),
        str("tunnel_type", Extended, |v, o| put(o, kind(v.layers)?), "Innermost tunnel: gre, vxlan, geneve, gtp, erspan, teredo, etherip, l2tp, tzsp, capwap, lisp, gue, fou, amt, ipip, ethernet (in IP), mpls (in IP or UDP).",
            formula("innermost tunnel header of the first packet").null("the flow is in no tunnel").source("RFC 2784, RFC 7348, RFC 8926, 3GPP TS 29.281, RFC 4380, RFC 3378, RFC 2661, RFC 5415, RFC 9300, RFC 8986, RFC 7510").one_of(&["gre", "vxlan", "geneve", "gtp", "erspan", "teredo", "etherip", "l2tp", "tzsp", "capwap", "lisp", "gue", "fou", "amt", "ipip", "ethernet", "mpls"])),
        split(Split::Both, i64("tunnel_id", NoUnit, Extended, &|v: &View| (v.scope.tunnel_kind != 0).then(|| v.scope.tunnel_id.into()), "Identifier of the tunnel where both directions share it (VNI).",
            formula("VNI of VXLAN or Geneve, VSID of NVGRE").null("no such tunnel, or flow_key_tunnel is false").source("RFC 7348 section 5, RFC 8926 section 3.4, RFC 7637 section 3.2").range(0, 4_294_967_295))),
        split(Split::As(["outer_src_ip", "outer_dst_ip"]), private(Address, str("outer_src_ip", Extended, |v, o| address(v.src?, o), "Outermost address on the initiator's side of a tunnel.",
            formula("outermost IP address at the initiator's end").null("the flow is in no tunnel").source("RFC 5952 (text)").text("IPv4 or IPv6 address")))),
        split(Split::As(["outer_dst_ip", "outer_src_ip"]), private(Address, str("outer_dst_ip", Extended, |v, o| address(v.dst?, o), "Outermost address on the responder's side of a tunnel.",
            formula("outermost IP address at the responder's end").null("the flow is in no tunnel").source("RFC 5952 (text)").text("IPv4 or IPv6 address")))),
    ],
};

/// A VLAN id that is held plus one, 0 being none.
fn tag(held: u32) -> Option<i64> {
    held.checked_sub(1).map(Into::into)
}

fn kind(layers: Layers) -> Option<&'static str> {
    let mut found = None;
    let (mut before, mut inside): (Option<Layer>, bool) = (None, false);
    for layer in layers.iter() {
        let behind_ip = before.is_some_and(Layer::is_ip);
        found = match layer {
            _ if layer.tunnel().is_some() => layer.tunnel(),
            Layer::Ip | Layer::Ip6 if behind_ip => Some("ipip"),
            Layer::Eth if behind_ip => Some("ethernet"),
            Layer::Mpls if inside => Some("mpls"),
            _ => found,
        };
        inside |= layer.is_ip();
        before = Some(layer);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_tunnel_gives_its_name() {
        use Layer::*;
        let kind_of = |layers: &[Layer]| kind(layers.iter().copied().collect());
        assert_eq!(kind_of(&[Eth, Ip, Tcp]), None);
        assert_eq!(kind_of(&[Eth, Ip, Ip6, Tcp]), Some("ipip"));
        assert_eq!(kind_of(&[Eth, Ip, Gre, Ip, Tcp]), Some("gre"));
        assert_eq!(kind_of(&[Eth, Mpls, Ip, Tcp]), None);
        assert_eq!(kind_of(&[Eth, Ip, Udp, Mpls, Mpls, Ip, Tcp]), Some("mpls"));
        assert_eq!(kind_of(&[Eth, Ip, Eth, Vlan, Ip, Tcp]), Some("ethernet"));
        assert_eq!(kind_of(&[Eth, Ip, Gre, Erspan, Eth, Ip, Udp, Vxlan, Eth, Ip, Tcp]), Some("vxlan"));
    }

    #[test]
    fn vlan_ids_are_held_plus_one() {
        assert_eq!((tag(0), tag(1), tag(4096)), (None, Some(0), Some(4095)));
    }
}
