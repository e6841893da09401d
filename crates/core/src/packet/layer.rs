//! Headers of a packet from the outside in.

/// A header that [`Layers`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "see the table of names below")]
pub enum Layer {
    Eth = 1,
    Vlan,
    Mpls,
    Pppoe,
    Ppp,
    Sll,
    Null,
    Wifi,
    Llc,
    Ip,
    Ip6,
    Gre,
    Vxlan,
    Geneve,
    Gtp,
    Erspan,
    Teredo,
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Sctp,
    Other,
    Raw,
    Etherip,
    L2tp,
    Cisco,
    Dccp,
    Udplite,
    Tzsp,
    Capwap,
    Lisp,
    Gue,
    Fou,
    Amt,
}

/// Each layer with its name in `hdr_desc`, and, of a tunnel, its name in `tunnel_type`.
const NAMES: &[(Layer, &str, Option<&str>)] = &[
    (Layer::Eth, "ETH", None),
    (Layer::Vlan, "VLAN", None),
    (Layer::Mpls, "MPLS", None),
    (Layer::Pppoe, "PPPOE", None),
    (Layer::Ppp, "PPP", None),
    (Layer::Sll, "SLL", None),
    (Layer::Null, "NULL", None),
    (Layer::Wifi, "WIFI", None),
    (Layer::Llc, "LLC", None),
    (Layer::Ip, "IP", None),
    (Layer::Ip6, "IP6", None),
    (Layer::Gre, "GRE", Some("gre")),
    (Layer::Vxlan, "VXLAN", Some("vxlan")),
    (Layer::Geneve, "GENEVE", Some("geneve")),
    (Layer::Gtp, "GTP", Some("gtp")),
    (Layer::Erspan, "ERSPAN", Some("erspan")),
    (Layer::Teredo, "TEREDO", Some("teredo")),
    (Layer::Tcp, "TCP", None),
    (Layer::Udp, "UDP", None),
    (Layer::Icmp, "ICMP", None),
    (Layer::Icmp6, "ICMP6", None),
    (Layer::Sctp, "SCTP", None),
    // Followed by the number of the protocol.
    (Layer::Other, "PROTO", None),
    // No header of its own: not shown.
    (Layer::Raw, "RAW", None),
    (Layer::Etherip, "ETHERIP", Some("etherip")),
    (Layer::L2tp, "L2TP", Some("l2tp")),
    (Layer::Cisco, "CISCO", None),
    (Layer::Dccp, "DCCP", None),
    (Layer::Udplite, "UDPLITE", None),
    (Layer::Tzsp, "TZSP", Some("tzsp")),
    (Layer::Capwap, "CAPWAP", Some("capwap")),
    (Layer::Lisp, "LISP", Some("lisp")),
    (Layer::Gue, "GUE", Some("gue")),
    (Layer::Fou, "FOU", Some("fou")),
    (Layer::Amt, "AMT", Some("amt")),
];

impl Layer {
    /// Every layer, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(layer, ..)| *layer)
    }

    /// The name in `hdr_desc`; of [`Layer::Other`] the number of the protocol follows it.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |(_, name, _)| name)
    }

    /// The name in `tunnel_type`, of a layer that begins a tunnel.
    pub fn tunnel(self) -> Option<&'static str> {
        self.entry().and_then(|(.., tunnel)| *tunnel)
    }

    /// Whether this is an IP header.
    pub fn is_ip(self) -> bool {
        matches!(self, Self::Ip | Self::Ip6)
    }

    fn entry(self) -> Option<&'static (Self, &'static str, Option<&'static str>)> {
        NAMES.get((self as usize).wrapping_sub(1))
    }

    fn of_code(code: u8) -> Option<Self> {
        NAMES.get(usize::from(code).wrapping_sub(1)).map(|(layer, ..)| *layer)
    }
}

/// Protocol layers of a packet from the outside in: up to twelve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layers([u8; Layers::MAX]);

impl Layers {
    /// Most layers that are kept; a deeper packet keeps its outermost ones.
    pub const MAX: usize = 12;

    /// From a few layers, the outermost first.
    #[inline]
    pub const fn of<const N: usize>(layers: [Layer; N]) -> Self {
        let mut codes = [0; Self::MAX];
        let mut i = 0;
        while i < N && i < Self::MAX {
            codes[i] = layers[i] as u8;
            i += 1;
        }
        Self(codes)
    }

    /// Adds an inner layer.
    #[inline]
    pub fn push(&mut self, layer: Layer) {
        let n = self.len();
        if let Some(place) = self.0.get_mut(n) {
            *place = layer as u8;
        }
    }

    /// How many layers there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.iter().take_while(|code| **code != 0).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// Whether a layer is among them.
    pub fn contains(&self, layer: Layer) -> bool {
        self.0.contains(&(layer as u8))
    }

    /// The layers from the outside in.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        self.0.into_iter().map_while(Layer::of_code)
    }
}

impl FromIterator<Layer> for Layers {
    fn from_iter<T: IntoIterator<Item = Layer>>(layers: T) -> Self {
        let mut all = Self::default();
        layers.into_iter().for_each(|l| all.push(l));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_stands_at_its_number() {
        for (i, (layer, name, _)) in NAMES.iter().enumerate() {
            assert_eq!((*layer as usize, Layer::of_code(i as u8 + 1)), (i + 1, Some(*layer)));
            assert_eq!(layer.name(), *name);
        }
        assert_eq!((Layer::of_code(0), Layer::of_code(NAMES.len() as u8 + 1)), (None, None));
        assert_eq!((Layer::Vxlan.tunnel(), Layer::Eth.tunnel()), (Some("vxlan"), None));
    }

    #[test]
    fn layers_keep_their_order_and_their_bound() {
        let mut l = Layers::default();
        assert!(l.is_empty());
        for _ in 0..20 {
            l.push(Layer::Eth);
        }
        assert_eq!((l.len(), l.iter().count()), (Layers::MAX, Layers::MAX));
        let l: Layers = [Layer::Vlan, Layer::Cisco].into_iter().collect();
        assert_eq!(l.iter().collect::<Vec<_>>(), [Layer::Vlan, Layer::Cisco]);
        assert_eq!(l, Layers::of([Layer::Vlan, Layer::Cisco]));
        assert!(l.contains(Layer::Cisco) && !l.contains(Layer::Eth));
    }
}
