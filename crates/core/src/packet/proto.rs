//! IP protocols that the engine knows by name: number, name, and what is known of their headers.

use super::Layer;

/// What is known of an IP protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpProtocol {
    /// The number in the IP header (IANA, "Assigned Internet Protocol Numbers").
    pub number: u8,
    /// The keyword of the registry.
    pub name: &'static str,
    /// The layer that its header is.
    pub layer: Layer,
    /// Whether its header begins with a source and a destination port.
    pub has_ports: bool,
}

macro_rules! ip_protocols {
    ($($name:ident = $number:literal, $layer:ident $(, $ports:ident)?;)*) => {
        /// IP protocol numbers.
        #[allow(missing_docs, reason = "the names are those of the registry")]
        pub mod ip_proto {
            $(pub const $name: u8 = $number;)*
        }

        impl IpProtocol {
            /// The protocols, by number.
            pub const ALL: &[Self] = &[$(Self {
                number: $number,
                name: stringify!($name),
                layer: Layer::$layer,
                has_ports: { const PORTS: &[&str] = &[$(stringify!($ports))?]; !PORTS.is_empty() },
            }),*];
        }
    };
}

// The layer of a tunnel or an extension header is noted where it is entered; as an upper layer it is `Other`.
ip_protocols! {
    HOPOPT = 0, Other;
    ICMP = 1, Icmp;
    IGMP = 2, Other;
    IPV4 = 4, Other;
    TCP = 6, Tcp, ports;
    UDP = 17, Udp, ports;
    DCCP = 33, Dccp, ports;
    IPV6 = 41, Other;
    IPV6_ROUTE = 43, Other;
    IPV6_FRAG = 44, Other;
    GRE = 47, Gre;
    ESP = 50, Other;
    AH = 51, Other;
    ICMPV6 = 58, Icmp6;
    IPV6_NONXT = 59, Other;
    IPV6_OPTS = 60, Other;
    IPIP = 94, Other;
    ETHERIP = 97, Other;
    PIM = 103, Other;
    L2TP = 115, Other;
    SCTP = 132, Sctp, ports;
    MOBILITY = 135, Other;
    UDPLITE = 136, Udplite, ports;
    MPLS_IN_IP = 137, Other;
    HIP = 139, Other;
    SHIM6 = 140, Other;
    ETHERNET = 143, Other;
}

/// Layers by protocol number: the look-up is made for each packet that the walk finds.
const LAYERS: [Layer; 256] = {
    let mut layers = [Layer::Other; 256];
    let mut i = 0;
    while i < IpProtocol::ALL.len() {
        layers[IpProtocol::ALL[i].number as usize] = IpProtocol::ALL[i].layer;
        i += 1;
    }
    layers
};

impl IpProtocol {
    /// What is known of a number.
    pub fn find(number: u8) -> Option<&'static Self> {
        Self::ALL.iter().find(|p| p.number == number)
    }

    /// The layer that the header of a protocol is.
    #[inline]
    pub fn layer_of(number: u8) -> Layer {
        LAYERS[usize::from(number)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_in_order_and_have_layers() {
        assert!(IpProtocol::ALL.is_sorted_by_key(|p| p.number));
        assert_eq!(IpProtocol::find(ip_proto::GRE).map(|p| (p.name, p.layer)), Some(("GRE", Layer::Gre)));
        assert_eq!((IpProtocol::layer_of(6), IpProtocol::layer_of(253)), (Layer::Tcp, Layer::Other));
        assert!(IpProtocol::find(6).is_some_and(|p| p.has_ports) && !IpProtocol::find(1).is_some_and(|p| p.has_ports));
    }
}
