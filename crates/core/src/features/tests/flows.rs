//! Flows to try groups on.

use proptest::prelude::*;

use crate::frame::{FrameBatch, LinkType, TimeNs};
use crate::packet::{Packet, PacketInfo, Scope};
use crate::testing::{eth, ip4_between, packet_in, tcp, udp};

/// One packet of a random flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct P {
    pub ts: TimeNs,
    pub len: u32,
    pub payload: u32,
    pub flags: u16,
    /// Whether the sender is that of the first packet.
    pub a: bool,
    /// Numbers of a TCP header.
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
}

impl P {
    pub fn info(&self, protocol: u8) -> PacketInfo {
        let mut info = packet_in(self.ts, self.len, self.payload, protocol, Scope::default());
        info.tcp_flags = if protocol == 6 { self.flags } else { 0 };
        info.from_lo = self.a;
        (info.seq, info.ack, info.window) = (self.seq, self.ack, self.window);
        info
    }
}

/// A random flow, as plain formulas want it.
pub(crate) struct Case<'a> {
    /// The packets as they came.
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
    pub fn frames(frames: &[(TimeNs, Vec<u8>)]) -> Self {
        let mut batch = FrameBatch::new();
        for (ts, bytes) in frames {
            batch.push(*ts, LinkType(1), bytes.len() as u32, bytes);
        }
        Self::decoded(batch)
    }

    /// The packets of a batch.
    pub fn decoded(mut batch: FrameBatch) -> Self {
        let out = crate::testing::decode(&mut batch);
        Self { infos: out.packets, batch }
    }

    /// The same datagrams (IPv4 without options), each in two fragments of the same time, the second of which is as short as can be.
    pub fn in_fragments(&self, last_first: bool) -> Self {
        let mut frames = Vec::new();
        for (i, frame) in self.batch.frames.iter().enumerate() {
            let (head, upper) = self.batch.bytes(frame).split_at(34);
            let cut = (upper.len() - 1) / 8 * 8;
            let part = |from: usize, more: u8, bytes: &[u8]| {
                let mut head = head.to_vec();
                head[16..18].copy_from_slice(&(20 + bytes.len() as u16).to_be_bytes());
                (head[19], head[20], head[21]) = (i as u8, more, from as u8 / 8);
                (frame.ts, [&head, bytes].concat())
            };
            let parts = [part(0, 0x20, &upper[..cut]), part(cut, 0, &upper[cut..])];
            frames.extend(parts);
            if last_first {
                let len = frames.len();
                frames.swap(len - 2, len - 1);
            }
        }
        Self::frames(&frames)
    }

    pub fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.infos.iter().map(|info| Packet { info, batch: &self.batch })
    }
}

/// What a client (`true`) and a server say, a packet each, 1 ms apart, from time 0 on.
pub(crate) fn talk(protocol: u8, server_port: u16, parts: &[(bool, &[u8])]) -> Recorded {
    let (client, server) = (([10, 0, 0, 2], 40_000), ([10, 0, 0, 1], server_port));
    let mut seq = [1_000u32, 2_000];
    let mut frames = Vec::new();
    for (i, (from_client, bytes)) in parts.iter().enumerate() {
        let (src, dst) = if *from_client { (client, server) } else { (server, client) };
        let upper = if protocol == 6 {
            let mut segment = tcp(src.1, dst.1, 0x18, bytes);
            let seq = &mut seq[usize::from(*from_client)];
            segment[4..8].copy_from_slice(&seq.to_be_bytes());
            *seq += bytes.len() as u32;
            segment
        } else if protocol == 17 {
            udp(src.1, dst.1, bytes)
        } else {
            bytes.to_vec()
        };
        frames.push((i as i64 * 1_000_000, eth(0x0800, &ip4_between(src.0, dst.0, protocol, &upper))));
    }
    Recorded::frames(&frames)
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

/// A segment of a connection from 10.0.0.1:1000 to 10.0.0.2:443 on Ethernet: who sends it, sequence and acknowledgement
/// number, flags, window, options (whole words), payload.
pub(crate) type Segment<'a> = (bool, u32, u32, u8, u16, &'a [u8], &'a [u8]);

/// Segments a millisecond apart. The initiator has TTL 64 and counts its packets, the responder is five hops away.
pub(crate) fn segments(segments: &[Segment<'_>]) -> Recorded {
    let frame = |(i, segment): (usize, &Segment<'_>)| {
        let &(fwd, seq, ack, flags, window, options, payload) = segment;
        let ports = if fwd { (1000, 443) } else { (443, 1000) };
        let mut header = tcp(ports.0, ports.1, flags, &[options, payload].concat());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        header[12] = ((20 + options.len()) as u8 / 4) << 4;
        header[14..16].copy_from_slice(&window.to_be_bytes());
        let ends = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (src, dst) = if fwd { ends } else { (ends.1, ends.0) };
        let mut ip = ip4_between(src, dst, 6, &header);
        if fwd {
            (ip[5], ip[6]) = (i as u8, 0x40);
        } else {
            (ip[1], ip[8]) = (2, 59);
        }
        let mut bytes = eth(0x0800, &ip);
        if !fwd {
            bytes.copy_within(0..5, 6);
            (bytes[5], bytes[11]) = (2, 1);
        }
        (i as TimeNs * 1_000_000, bytes)
    };
    Recorded::frames(&segments.iter().enumerate().map(frame).collect::<Vec<_>>())
}

/// A connection in which most things happen: options of a SYN, a segment sent again and one that comes too early, data
/// in both directions.
pub(crate) fn eventful() -> Recorded {
    const SYN_OPTIONS: &[u8] = &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 3, 3, 7];
    const SYNACK_OPTIONS: &[u8] = &[2, 4, 5, 0x78, 1, 3, 3, 9, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 100];
    let ts = |value: u8, echo: u8| [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, echo];
    segments(&[
        (true, 99, 0, 0x02, 64_240, SYN_OPTIONS, b""),
        (false, 499, 100, 0x12, 65_160, SYNACK_OPTIONS, b""),
        (true, 100, 500, 0x10, 502, &ts(102, 7), b""),
        (true, 100, 500, 0x18, 502, &ts(103, 7), b"0123456789"),
        // The answer: its end comes first, then its beginning, as late as a round trip.
        (false, 510, 110, 0x18, 509, &ts(9, 103), b"\xff\xfe\0\0"),
        (false, 500, 110, 0x18, 509, &ts(9, 103), b"aaaaaaaaaa"),
        (true, 110, 514, 0x10, 0, &ts(106, 9), b""),
        (true, 100, 514, 0x18, 502, &ts(107, 9), b"0123456789"),
        (false, 514, 110, 0x11, 509, &ts(12, 107), b""),
        (true, 110, 515, 0x11, 502, &ts(109, 12), b""),
    ])
}

/// Flows with gaps of all magnitudes and of zero, packets out of order by at most a few places, few or many lengths.
pub(super) fn random() -> impl Strategy<Value = Vec<P>> {
    let gap = prop_oneof![Just(0i64), 0i64..2_000, 0i64..100_000_000, 49_999_999i64..50_000_002, 0i64..10_000_000_000];
    let len = prop_oneof![Just(40u32), Just(1500), 20u32..65_576, 60u32..70];
    let flags = prop_oneof![Just(16u16), Just(24), Just(2), Just(18), Just(17), Just(4), 0u16..512];
    // Mostly where the stream goes on, or somewhere near.
    let place = prop_oneof![6 => Just(0i32), 1 => Just(-1), 2 => -3000i32..3000];
    let window = prop_oneof![Just(0u16), Just(500), any::<u16>()];
    let one = (gap, len, any::<bool>(), flags, any::<bool>(), -3i64..4, (place.clone(), place, window));
    prop::collection::vec(one, 1..80).prop_map(|steps| {
        let mut t = 1_700_000_000_000_000_000;
        let mut keyed: Vec<(i64, P)> = Vec::new();
        // Where the stream of each side goes on: one of them wraps.
        let mut next = [u32::MAX - 100_000, 1000];
        for (i, (gap, len, empty, flags, a, swap, (seq, ack, window))) in steps.into_iter().enumerate() {
            t += gap;
            let payload = if empty { 0 } else { len - 20 };
            let seq = next[usize::from(!a)].wrapping_add_signed(seq);
            let ack = next[usize::from(a)].wrapping_add_signed(ack);
            next[usize::from(!a)] = seq.wrapping_add(payload + u32::from(flags & 3 != 0));
            keyed.push((i as i64 * 2 + swap, P { ts: t, len, payload, flags, a, seq, ack, window }));
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
