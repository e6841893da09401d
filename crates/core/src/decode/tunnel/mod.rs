//! Tunnels: whether an IP payload holds another packet, and where.
//!
//! A port number proves nothing, so a tunnel over UDP counts only if its header is sound and a sound IP packet lies
//! inside; the walk takes the packet around it otherwise.

mod gre;
mod l2tp;
mod udp;

pub(super) use udp::{is_tunnel_port, tzsp};

use super::walk::{Next, Step, Upper, Walk};
use crate::packet::{Layer, ip_proto};

/// The step into a tunnel, or none where the packet is not one.
#[inline]
pub(super) fn enter(w: &mut Walk<'_>, upper: &Upper) -> Option<Next> {
    match upper.protocol {
        ip_proto::TCP | ip_proto::ICMP | ip_proto::ICMPV6 => None,
        ip_proto::UDP => {
            let &[a, b, c, d] = w.upper_bytes(upper).first_chunk::<4>()?;
            let kind = udp::kind_of(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))?;
            if upper.piece.is_some() { None } else { udp::enter(w, upper, kind) }
        }
        _ if upper.piece.is_some() => None,
        protocol => by_protocol(w, upper, protocol),
    }
}

#[inline(never)]
fn by_protocol(w: &mut Walk<'_>, upper: &Upper, protocol: u8) -> Option<Next> {
    let step = match protocol {
        ip_proto::IPV4 | ip_proto::IPIP => Step::Ip4,
        ip_proto::IPV6 => Step::Ip6,
        // SRv6 and others: an Ethernet frame as it is (RFC 8986).
        ip_proto::ETHERNET => Step::Ethernet,
        ip_proto::MPLS_IN_IP => Step::Mpls,
        // PIM register (RFC 7761 section 4.9.3), unless the null-register bit says that only a header follows.
        ip_proto::PIM => match *w.upper_bytes(upper).first_chunk::<8>()? {
            [0x21, _, _, _, flags, ..] if flags & 0x40 == 0 => {
                w.enter(upper);
                w.at += 8;
                return Some(Ok(Step::Ip));
            }
            _ => return None,
        },
        ip_proto::ETHERIP => {
            w.enter(upper);
            w.push(Layer::Etherip);
            w.at += 2;
            return Some(Ok(Step::Ethernet));
        }
        ip_proto::GRE => {
            w.enter(upper);
            return Some(gre::gre(w));
        }
        ip_proto::L2TP => {
            w.enter(upper);
            return Some(l2tp::v3(w));
        }
        _ => return None,
    };
    w.enter(upper);
    Some(Ok(step))
}

/// Names the tunnel by an identifier that both directions share.
fn name(w: &mut Walk<'_>, kind: u8, id: u32) {
    w.context.scope.tunnel_kind = kind;
    w.context.scope.tunnel_id = id;
}
