//! Ethernet addresses and VLAN tags of a flow (IEEE 802.3, IEEE 802.1Q).

use super::{Context, Distinct, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side};

/// What the link layer says. The Ethernet header of a packet is the last one before its IP header.
#[derive(Clone, Debug, Default)]
pub struct Mac {
    /// The first packet that has an Ethernet header.
    pub first: Option<FirstFrame>,
    /// Identifier of the outermost tag of the first packet that has a tag.
    pub vlan: Option<u16>,
    /// Different identifiers of all tags.
    pub vlans: Distinct,
    /// Different addresses at the end of each [`Side`]: sources of its own packets, destinations of the other's.
    pub ends: [Distinct; 2],
    /// Packets to the broadcast address.
    pub broadcast: u64,
    /// Packets to another group address.
    pub multicast: u64,
    /// Addresses and what follows them in the last packet, so that an equal one needs no look-up.
    last: [Option<([u8; 14], Side)>; 2],
}

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstFrame {
    /// Who sent the packet.
    pub side: Side,
    /// Source address.
    pub source: [u8; 6],
    /// Destination address.
    pub destination: [u8; 6],
    /// Type or length.
    pub ether_type: u16,
}

impl Mac {
    /// Tags that are part of the flow's identity. They may stand behind another header than Ethernet, and around a tunnel with an Ethernet header
    /// of its own: then they come first.
    #[cold]
    fn tagged(&mut self, scope: u32, packet: &Packet<'_>, context: &mut Context) {
        let ids = [scope & 0xffff, scope >> 16].map(|id| id.checked_sub(1));
        let inside = |outermost| {
            packet.ethernet().is_some_and(|(header, tags)| tags_of(header, tags).any(|id| u32::from(id) == outermost))
        };
        if let [Some(outermost), _] = ids
            && self.vlan.is_none()
            && !inside(outermost)
        {
            self.vlan = Some(outermost as u16);
        }
        for id in ids.into_iter().flatten() {
            self.vlans.insert(id.into(), &mut context.memory);
        }
    }

    fn header(&mut self, header: &[u8; 14], tags: &[u8], side: Side, context: &mut Context) {
        let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = header;
        let (destination, source) = ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
        let ether_type = u16::from_be_bytes([t0, t1]);
        if self.first.is_none() {
            self.first = Some(FirstFrame { side, source, destination, ether_type });
        }
        if d0 & 1 == 1 {
            let count = if destination == [0xff; 6] { &mut self.broadcast } else { &mut self.multicast };
            *count += 1;
        }
        let seen = Some((*header, side));
        if self.last[side as usize] != seen {
            self.last[side as usize] = seen;
            self.ends[side as usize].insert(number(source), &mut context.memory);
            self.ends[side.other() as usize].insert(number(destination), &mut context.memory);
        }
        for id in tags_of(header, tags) {
            self.vlan.get_or_insert(id);
            self.vlans.insert(id.into(), &mut context.memory);
        }
    }
}

/// Identifiers of the tags behind an Ethernet header. They follow each other: the type before a tag says that it is one.
fn tags_of(header: &[u8; 14], mut rest: &[u8]) -> impl Iterator<Item = u16> {
    let mut kind = u16::from_be_bytes([header[12], header[13]]);
    std::iter::from_fn(move || {
        let (&[a, b, c, d], after) = rest.split_first_chunk().filter(|_| is_tag(kind))?;
        (kind, rest) = (u16::from_be_bytes([c, d]), after);
        Some(u16::from_be_bytes([a, b]) & 0xfff)
    })
}

/// An address as a number.
fn number(address: [u8; 6]) -> u64 {
    address.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Types of VLAN tags, those of old switches included.
fn is_tag(kind: u16) -> bool {
    matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300)
}

impl Tracker for Mac {
    const MAX_BYTES: usize = size_of::<Self>() + 3 * Distinct::MAX_HEAP;
    const READS_BYTES: bool = true;

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        let scope = packet.info.key.scope().vlan;
        if scope != 0 {
            self.tagged(scope, packet, context);
        }
        if let Some((header, tags)) = packet.ethernet() {
            self.header(header, tags, side, context);
        }
        Wants::More
    }

    fn heap_bytes(&self) -> usize {
        self.vlans.heap_bytes() + self.ends.iter().map(Distinct::heap_bytes).sum::<usize>()
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.broadcast ^ u64::from(self.last[0].is_some()) ^ u64::from(self.last[1].is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batch, decode, eth, ip4, udp};

    fn feed(frames: &[&[u8]]) -> Mac {
        let frames: Vec<_> = frames.iter().map(|f| (crate::LinkType::ETHERNET, *f)).collect();
        let mut frames = batch(&frames);
        let decoded = decode(&mut frames);
        let (mut mac, mut context) = (Mac::default(), Context::default());
        let first = decoded.packets[0].from_lo;
        for info in &decoded.packets {
            let side = if info.from_lo == first { Side::A } else { Side::B };
            mac.update(&Packet { info, batch: &frames }, side, &mut context);
        }
        assert_eq!(context.memory.heap_bytes(), mac.heap_bytes());
        mac
    }

    #[test]
    fn addresses_are_counted_by_end() {
        let there = eth(0x0800, &ip4(17, &udp(1, 2, b"x")));
        let mut back = there.clone();
        back[..6].copy_from_slice(&there[6..12]);
        back[6..12].copy_from_slice(&there[..6]);
        // Addresses of IP, too, or it would be no answer.
        back[26..30].copy_from_slice(&there[30..34]);
        back[30..34].copy_from_slice(&there[26..30]);
        back[34..38].copy_from_slice(&[0, 2, 0, 1]);
        let mut group = there.clone();
        group[0] = 1;
        let mut broadcast = there.clone();
        broadcast[..6].fill(0xff);
        let mac = feed(&[&there, &back, &there, &group, &broadcast]);
        assert_eq!(mac.ends.map(|e| e.count()), [1, 3]);
        assert_eq!((mac.broadcast, mac.multicast, mac.vlan, mac.vlans.count()), (1, 1, None, 0));
        let first = mac.first.unwrap();
        assert_eq!((first.side, first.source, first.ether_type), (Side::A, [2, 0, 0, 0, 0, 2], 0x0800));
    }

    #[test]
    fn all_tags_count() {
        let inner = ip4(17, &udp(1, 2, b"x"));
        let tagged = eth(0x88a8, &[&[0, 7, 0x81, 0, 0x20, 9, 0x81, 0, 0, 9, 8, 0][..], &inner].concat());
        let mac = feed(&[&tagged]);
        assert_eq!((mac.vlan, mac.vlans.count()), (Some(7), 2));
        // 0 is a priority tag (IEEE 802.1Q clause 9.6): no VLAN, but a tag.
        let priority = feed(&[&eth(0x8100, &[&[0xe0, 0, 8, 0][..], &inner].concat())]);
        assert_eq!((priority.vlan, priority.vlans.count()), (Some(0), 1));
        // Around a tunnel and inside it.
        let inside = eth(0x8100, &[&[0, 5, 8, 0][..], &inner].concat());
        let vxlan = ip4(17, &udp(1, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inside].concat()));
        let around = feed(&[&eth(0x8100, &[&[0, 100, 8, 0][..], &vxlan].concat())]);
        assert_eq!((around.vlan, around.vlans.count()), (Some(100), 2));
        assert_eq!(feed(&[&eth(0x800, &vxlan)]).vlan, Some(5));
    }
}
