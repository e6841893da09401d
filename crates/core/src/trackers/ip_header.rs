//! Fields of the (innermost) IP headers of a flow: TTL, DS field, flags, identification, flow label.

use super::{Context, Distinct, Tracker, TrackerSettings, Wants};
use crate::packet::{Packet, Side};

/// IP headers of a flow.
#[derive(Clone, Debug, Default)]
pub struct IpHeader {
    /// By [`Side`].
    pub side: [SideIpHeader; 2],
    /// Which values of the DS field (IPv4 TOS, IPv6 traffic class) were seen.
    ds_seen: [u64; 4],
    /// IPv4: all flags (reserved 4, DF 2, MF 1).
    pub flags: u8,
    /// IPv4: packets with DF.
    pub df: u64,
    /// IPv6: different flow labels.
    pub labels: Distinct,
}

/// The packets of one side, in the order of the capture.
#[derive(Clone, Copy, Debug, Default)]
pub struct SideIpHeader {
    /// Packets, of which the TTL is known.
    pub packets: u64,
    /// TTL or hop limit of the first one.
    pub ttl_first: u8,
    /// Smallest.
    pub ttl_min: u8,
    /// Largest.
    pub ttl_max: u8,
    ttl_last: u8,
    /// Sum.
    pub ttl_sum: u64,
    /// Packets whose TTL is another one than that of the packet before.
    pub ttl_changes: u64,
    /// Packets of which the rest of the header is known.
    pub headers: u64,
    /// DS field of the first of these.
    pub ds_first: u8,
    /// IPv4: identification of the last one.
    id: u16,
    /// IPv4: packets whose identification is more than one above that of the packet before.
    pub id_gaps: u64,
    /// IPv6: flow label of the first one.
    pub label_first: u32,
    label_last: u32,
    /// IPv6: packets whose flow label is another one than that of the packet before.
    pub label_changes: u64,
}

impl IpHeader {
    /// How many values of the DS field were seen.
    pub fn ds_values(&self) -> u32 {
        self.ds_seen.iter().map(|w| w.count_ones()).sum()
    }

    /// The largest ECN codepoint (RFC 3168 section 5) seen.
    pub fn ecn_max(&self) -> Option<u8> {
        let seen = self.ds_seen.iter().fold(0, |all, w| all | w);
        // Every fourth value has the same codepoint.
        (0..4).rev().find(|ecn| seen & (0x1111_1111_1111_1111 << ecn) != 0)
    }
}

impl SideIpHeader {
    fn ttl(&mut self, ttl: u8) {
        if self.packets == 0 {
            (self.ttl_first, self.ttl_min, self.ttl_max) = (ttl, ttl, ttl);
        } else {
            self.ttl_min = self.ttl_min.min(ttl);
            self.ttl_max = self.ttl_max.max(ttl);
            self.ttl_changes += u64::from(ttl != self.ttl_last);
        }
        self.ttl_last = ttl;
        self.ttl_sum += u64::from(ttl);
        self.packets += 1;
    }
}

impl Tracker for IpHeader {
    const MAX_BYTES: usize = size_of::<Self>() + Distinct::MAX_HEAP;
    const READS_BYTES: bool = true;

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        let [a, b] = &mut self.side;
        let s = if side == Side::A { a } else { b };
        s.ttl(packet.info.ttl);
        let Some(&[b0, b1, b2, b3, b4, b5, b6, _]) = packet.l3_header().first_chunk() else { return Wants::More };
        let first = s.headers == 0;
        s.headers += 1;
        let v6 = b0 >> 4 == 6;
        let ds = if v6 { b0 << 4 | b1 >> 4 } else { b1 };
        if let Some(word) = self.ds_seen.get_mut(usize::from(ds >> 6)) {
            *word |= 1 << (ds & 63);
        }
        if v6 {
            let label = u32::from_be_bytes([0, b1 & 15, b2, b3]);
            if first {
                s.label_first = label;
            } else {
                s.label_changes += u64::from(label != s.label_last);
            }
            s.label_last = label;
            self.labels.insert(label.into(), &mut context.memory);
        } else {
            let id = u16::from_be_bytes([b4, b5]);
            s.id_gaps += u64::from(!first && id.wrapping_sub(s.id) > 1);
            s.id = id;
            self.flags |= b6 >> 5;
            self.df += u64::from(b6 & 0x40 != 0);
        }
        if first {
            s.ds_first = ds;
        }
        Wants::More
    }

    fn heap_bytes(&self) -> usize {
        self.labels.heap_bytes()
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.side[0].packets ^ self.side[1].packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkType;
    use crate::testing::{batch, decode, ip4, ip6, udp};

    fn feed(packets: &[Vec<u8>]) -> IpHeader {
        let frames: Vec<_> = packets.iter().map(|p| (LinkType::RAW, p.as_slice())).collect();
        let mut frames = batch(&frames);
        let decoded = decode(&mut frames);
        let (mut ip, mut context) = (IpHeader::default(), Context::default());
        for info in &decoded.packets {
            ip.update(&Packet { info, batch: &frames }, Side::B, &mut context);
        }
        assert_eq!(context.memory.heap_bytes(), ip.heap_bytes());
        ip
    }

    fn v4(tos: u8, id: u16, flags: u8, ttl: u8) -> Vec<u8> {
        let mut p = ip4(17, &udp(1, 2, b"x"));
        p[1] = tos;
        p[4..6].copy_from_slice(&id.to_be_bytes());
        (p[6], p[8]) = (flags << 5, ttl);
        p
    }

    #[test]
    fn fields_of_ipv4() {
        let ip = feed(&[v4(0, 65_535, 2, 64), v4(3, 0, 0, 63), v4(0x2e << 2, 2, 2, 64), v4(0, 2, 4, 64)]);
        let s = &ip.side[1];
        assert_eq!((s.ttl_first, s.ttl_min, s.ttl_max, s.ttl_sum, s.ttl_changes), (64, 63, 64, 255, 2));
        // 65535 → 0 is one further; 2 again is 65536 further.
        assert_eq!((s.id_gaps, ip.flags, ip.df), (1, 6, 2));
        assert_eq!((s.ds_first, ip.ds_values(), ip.ecn_max()), (0, 3, Some(3)));
        assert_eq!((ip.labels.count(), ip.side[0].packets), (0, 0));
    }

    #[test]
    fn fields_of_ipv6() {
        let v6 = |class: u8, label: u32| {
            let mut p = ip6(17, &udp(1, 2, b"x"));
            p[..4].copy_from_slice(&(6 << 28 | u32::from(class) << 20 | label).to_be_bytes());
            p
        };
        let ip = feed(&[v6(0xb9, 0xf_ffff), v6(0xb8, 0), v6(0xb8, 0xf_ffff)]);
        let s = &ip.side[1];
        assert_eq!((s.label_first, s.label_changes, ip.labels.count()), (0xf_ffff, 2, 2));
        assert_eq!((s.ds_first, ip.ds_values(), ip.ecn_max(), s.ttl_first), (0xb9, 2, Some(1), 55));
        assert_eq!(IpHeader::default().ecn_max(), None);
    }
}
