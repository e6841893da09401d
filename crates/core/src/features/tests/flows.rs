//! Flows to try groups on.

use proptest::prelude::*;

use crate::frame::{FrameBatch, LinkType, TimeNs};
use crate::packet::{Packet, PacketInfo, Scope};
use crate::testing::packet_in;

/// One packet of a random flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct P {
    pub ts: TimeNs,
    pub len: u32,
    pub payload: u32,
    pub flags: u16,
    /// Whether the sender is that of the first packet.
    pub a: bool,
}

impl P {
    pub fn info(&self, protocol: u8) -> PacketInfo {
        let mut info = packet_in(self.ts, self.len, self.payload, protocol, Scope::default());
        info.tcp_flags = if protocol == 6 { self.flags } else { 0 };
        info.from_lo = self.a;
        info
    }
}

/// A random flow, as plain formulas want it.
pub(crate) struct Case<'a> {
    /// The packets as they came.
    #[allow(dead_code)] // groups that go by the order of capture want it
    pub packets: &'a [P],
    /// In the order of time.
    pub all: Vec<P>,
    /// Those of the initiator.
    pub fwd: Vec<P>,
    /// Those of the responder.
    pub bwd: Vec<P>,
    /// IP protocol.
    pub protocol: u8,
    /// Whether the side of the first packet is the initiator.
    pub a_opened: bool,
    /// The burst threshold in nanoseconds.
    pub threshold: f64,
    /// Whether the flow outgrew its log.
    pub sketched: bool,
}

impl<'a> Case<'a> {
    pub fn new(packets: &'a [P], protocol: u8, log_cap: usize) -> Self {
        // The first SYN decides, else the first SYN-ACK, else the earliest packet.
        let with = |bits: u16| packets.iter().find(|p| protocol == 6 && p.flags & 0x12 == bits);
        let mut all = packets.to_vec();
        all.sort_by_key(|p| p.ts);
        let a_opened = with(0x02).map(|p| p.a).or(with(0x12).map(|p| !p.a)).unwrap_or(all[0].a);
        let of = |a: bool| all.iter().copied().filter(|p| p.a == a).collect();
        let (fwd, bwd) = (of(a_opened), of(!a_opened));
        Self { packets, fwd, bwd, all, protocol, a_opened, threshold: 5e7, sketched: packets.len() > log_cap }
    }

    pub fn is_tcp(&self) -> bool {
        self.protocol == 6
    }
}

/// Packets that are there as a whole, with their bytes where they have some.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    infos: Vec<PacketInfo>,
    batch: FrameBatch,
}

impl From<Vec<PacketInfo>> for Recorded {
    fn from(infos: Vec<PacketInfo>) -> Self {
        Self { infos, batch: FrameBatch::new() }
    }
}

impl Recorded {
    /// The packets of frames on Ethernet: time, bytes.
    #[allow(dead_code)] // groups that read bytes want it
    pub fn frames(frames: &[(TimeNs, Vec<u8>)]) -> Self {
        let mut batch = FrameBatch::new();
        for (ts, bytes) in frames {
            batch.push(*ts, LinkType(1), bytes.len() as u32, bytes);
        }
        let out = crate::testing::decode(&mut batch);
        Self { infos: out.packets, batch }
    }

    pub fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.infos.iter().map(|info| Packet { info, batch: &self.batch })
    }
}

/// A TCP connection: SYN, SYN-ACK, ACK, 100 bytes, 500 bytes 200 ms later, FIN and FIN; captured in order.
pub(crate) fn connection() -> Vec<PacketInfo> {
    const MS: i64 = 1_000_000;
    let steps = [
        (0, 0x02, 0, true),
        (10, 0x12, 0, false),
        (20, 0x10, 0, true),
        (20, 0x18, 100, true),
        (220, 0x18, 500, false),
        (230, 0x11, 0, true),
        (240, 0x11, 0, false),
    ];
    let step = |(ms, flags, payload, fwd): (i64, u16, u32, bool)| {
        let mut p = packet_in(1_000_000_000_000 + ms * MS, 40 + payload, payload, 6, Scope::default());
        (p.tcp_flags, p.from_lo) = (flags, fwd);
        p
    };
    steps.map(step).to_vec()
}

/// Flows with gaps of all magnitudes and of zero, packets out of order by at most a few places, few or many lengths.
pub(super) fn random() -> impl Strategy<Value = Vec<P>> {
    let gap = prop_oneof![Just(0i64), 0i64..2_000, 0i64..100_000_000, 49_999_999i64..50_000_002, 0i64..10_000_000_000];
    let len = prop_oneof![Just(40u32), Just(1500), 20u32..65_576, 60u32..70];
    let flags = prop_oneof![Just(16u16), Just(24), Just(2), Just(18), Just(17), Just(4), 0u16..512];
    let one = (gap, len, any::<bool>(), flags, any::<bool>(), -3i64..4);
    prop::collection::vec(one, 1..80).prop_map(|steps| {
        let mut t = 1_700_000_000_000_000_000;
        let mut keyed: Vec<(i64, P)> = Vec::new();
        for (i, (gap, len, empty, flags, a, swap)) in steps.into_iter().enumerate() {
            t += gap;
            let payload = if empty { 0 } else { len - 20 };
            keyed.push((i as i64 * 2 + swap, P { ts: t, len, payload, flags, a }));
        }
        keyed.sort_by_key(|(k, _)| *k);
        keyed.into_iter().map(|(_, p)| p).collect()
    })
}

/// A sorted sample and its plain statistics.
pub(crate) struct Stat(Vec<f64>);

impl Stat {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut v: Vec<f64> = values.collect();
        v.sort_by(f64::total_cmp);
        Self(v)
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn min(&self) -> Option<f64> {
        self.0.first().copied()
    }
    pub fn max(&self) -> Option<f64> {
        self.0.last().copied()
    }
    pub fn sum(&self) -> Option<f64> {
        self.min().map(|_| self.0.iter().sum())
    }
    pub fn mean(&self) -> Option<f64> {
        Some(self.sum()? / self.0.len() as f64)
    }
    pub fn std(&self) -> Option<f64> {
        let m = self.mean()?;
        Some((self.0.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / self.0.len() as f64).sqrt())
    }
    pub fn q(&self, q: f64) -> Option<f64> {
        let h = (self.0.len().checked_sub(1)?) as f64 * q;
        let (lo, hi) = (self.0[h.floor() as usize], self.0[h.ceil() as usize]);
        Some(lo + (hi - lo) * (h - h.floor()))
    }
}
