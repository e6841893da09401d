//! The packets of a flow themselves, for readers that look at them one by one: Python's `flow.packets`, and extractors of
//! the user's own.
//!
//! What a packet said of itself is kept, its bytes are not: a capture would be in memory twice. Off unless asked for,
//! and bounded: of a longer flow the first packets are kept, and it says how many are missing.

use super::{Context, Tracker, TrackerSettings, Wants};
use crate::frame::TimeNs;
use crate::packet::{Packet, PacketInfo, Side};

/// A packet without its bytes and without what all packets of its flow have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPacket {
    /// Time of capture.
    pub ts: TimeNs,
    /// Length of the IP datagram on the wire.
    pub ip_len: u32,
    /// Length of the upper-layer payload on the wire.
    pub payload_len: u32,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
    /// TCP window as on the wire, unscaled.
    pub window: u16,
    /// TCP flags, see [`crate::packet::tcp_flags`].
    pub tcp_flags: u16,
    /// IPv4 time to live, IPv6 hop limit.
    pub ttl: u8,
    /// Whether the sender is the lower end point of the key.
    pub from_lo: bool,
    /// Whether a TCP header was there.
    pub has_tcp: bool,
    /// Who sent it.
    pub side: Side,
}

impl KeptPacket {
    /// What is kept of a packet.
    pub fn new(p: &PacketInfo, side: Side) -> Self {
        Self {
            ts: p.ts,
            ip_len: p.ip_len,
            payload_len: p.payload_len,
            seq: p.seq,
            ack: p.ack,
            window: p.window,
            tcp_flags: p.tcp_flags,
            ttl: p.ttl,
            from_lo: p.from_lo,
            has_tcp: p.has_tcp(),
            side,
        }
    }
}

/// The first packets of a flow, in the order of the capture.
#[derive(Clone, Debug, Default)]
pub struct KeptPackets {
    packets: Vec<KeptPacket>,
    missing: u64,
}

impl Tracker for KeptPackets {
    // A vector doubles, so it may hold twice what it was asked for.
    const MAX_BYTES: usize = size_of::<Self>() + 2 * super::KEEP_CAP * size_of::<KeptPacket>();

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    #[inline]
    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        if self.packets.len() < context.settings.keep_cap {
            let before = self.heap_bytes();
            self.packets.push(KeptPacket::new(packet.info, side));
            context.memory.changed(before, self.heap_bytes());
        } else {
            self.missing += 1;
        }
        Wants::More
    }

    fn heap_bytes(&self) -> usize {
        self.packets.capacity() * size_of::<KeptPacket>()
    }
}

impl KeptPackets {
    /// The packets.
    pub fn packets(&self) -> &[KeptPacket] {
        &self.packets
    }

    /// Packets that came after the limit was reached.
    pub fn missing(&self) -> u64 {
        self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::packet;

    fn keep(n: i64, cap: usize) -> KeptPackets {
        let settings = TrackerSettings { keep_cap: cap, ..TrackerSettings::default() };
        let mut kept = KeptPackets::start(&settings);
        let mut context = Context::new(settings);
        for ts in 0..n {
            let info = packet(ts, 100, 60);
            kept.update(&Packet::without_bytes(&info), Side::B, &mut context);
        }
        kept
    }

    #[test]
    fn packets_come_back_in_the_order_of_the_capture() {
        let kept = keep(3, 10);
        assert_eq!(kept.packets().iter().map(|p| p.ts).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(kept.packets()[1], KeptPacket::new(&packet(1, 100, 60), Side::B));
        assert_eq!(kept.missing(), 0);
    }

    #[test]
    fn a_flow_past_the_limit_says_what_is_missing_and_takes_no_more_memory() {
        let kept = keep(1000, 64);
        assert_eq!((kept.packets().len(), kept.missing()), (64, 936));
        assert!(kept.packets.capacity() <= 2 * 64);
        let full = keep(super::super::KEEP_CAP as i64 + 5, super::super::KEEP_CAP);
        assert_eq!(full.missing(), 5);
        assert!(size_of::<KeptPackets>() + full.packets.capacity() * size_of::<KeptPacket>() <= KeptPackets::MAX_BYTES);
    }
}
