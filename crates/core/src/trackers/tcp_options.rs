//! Options and windows of TCP segments (RFC 9293 section 3.2, RFC 7323, RFC 2018, RFC 8684), and the SYNs as they were.
//!
//! Read by the groups tcp_options, tcp_mptcp, tcp_window and tcp_fingerprint: the options of a header are walked once.

use super::{Concerns, Context, Tracker, TrackerSettings, Wants};
use crate::frame::TimeNs;
use crate::packet::tcp_flags::{ACK, FIN, RST, SYN};
use crate::packet::{Known, Packet, Side, ip_proto, tcp_option};

/// Segments of a flow whose TCP header was captured, without regard to its options.
#[derive(Clone, Debug, Default)]
pub struct TcpOptions {
    /// By [`Side`].
    pub side: [SideTcp; 2],
    /// Segments with an option other than End of Option List and No-Operation.
    pub with_options: u64,
    /// Segments with an option of Multipath TCP.
    pub with_mptcp: u64,
    /// Blocks of all SACK options.
    pub sack_blocks: u64,
    /// Well-formed options seen: 1 MSS, 2 window scale, 4 SACK-permitted, 8 timestamps.
    pub seen: u8,
}

/// The segments of one side, in the order of the capture.
#[derive(Clone, Debug, Default)]
pub struct SideTcp {
    /// All.
    pub segments: u64,
    /// Its first segment with SYN, whether with ACK or without.
    pub first_syn: Option<FirstSyn>,
    /// Of the segments with SYN: the first MSS.
    pub mss: Option<u16>,
    /// The first shift of a window scale.
    pub scale: Option<u8>,
    /// Whether one has SACK-permitted.
    pub sack_permitted: bool,
    /// Whether one has MP_CAPABLE (RFC 8684 section 3.1).
    pub mp_capable: bool,
    /// Whether one has MP_JOIN (RFC 8684 section 3.2).
    pub mp_join: bool,
    /// The first segment with SYN and without ACK, and the first with both.
    pub syns: [Option<Syn>; 2],
    /// Windows of the segments without RST.
    pub windows: Windows,
    /// Timestamps.
    pub timestamps: Timestamps,
}

/// What decides on scaling (RFC 7323 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstSyn {
    /// Its window.
    pub window: u16,
    /// Whether it has a window scale option.
    pub has_scale: bool,
}

/// A segment with SYN, as far as it characterises the stack that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syn {
    /// Window.
    pub window: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// MSS.
    pub mss: Option<u16>,
    /// Window scale.
    pub scale: Option<u8>,
    /// Kinds of its options in order: there is room for 40 of one byte.
    kinds: [u8; 40],
    len: u8,
}

impl Syn {
    /// Kinds of its options in order, up to and including the first End of Option List.
    pub fn kinds(&self) -> &[u8] {
        self.kinds.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Window fields, as on the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Windows {
    /// Segments without RST.
    pub count: u64,
    /// Smallest.
    pub min: u16,
    /// Largest.
    pub max: u16,
    /// Sum.
    pub sum: u64,
    /// Segments with window 0 and none of SYN, FIN, RST.
    pub zero: u64,
    /// Largest of a segment with SYN.
    pub syn_max: Option<u16>,
    /// Largest of a segment without.
    pub other_max: Option<u16>,
    last: Option<u16>,
    /// Segments without SYN and RST with a larger window than the one before.
    pub up: u64,
    /// Those with a smaller one.
    pub down: u64,
}

/// Timestamps options.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamps {
    /// TSval of the first and of the last segment that has one.
    pub values: Option<(u32, u32)>,
    /// TSecr of the first segment with ACK that has one.
    pub echo_first: Option<u32>,
    /// Samples of the sender's clock.
    pub clock: Clock,
}

/// Samples of a clock of timestamps: segments that go back, in their value or in their time, are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// How many.
    pub samples: u64,
    /// The first one.
    pub first: (u32, TimeNs),
    /// The last one, which is also the largest.
    pub last: (u32, TimeNs),
}

impl Windows {
    fn take(&mut self, window: u16, flags: u16) {
        if flags & RST != 0 {
            return;
        }
        self.min = if self.count == 0 { window } else { self.min.min(window) };
        self.max = self.max.max(window);
        self.count += 1;
        self.sum += u64::from(window);
        self.zero += u64::from(window == 0 && flags & (SYN | FIN) == 0);
        if flags & SYN != 0 {
            self.syn_max = self.syn_max.max(Some(window));
            return;
        }
        self.other_max = self.other_max.max(Some(window));
        if let Some(last) = self.last.replace(window) {
            self.up += u64::from(window > last);
            self.down += u64::from(window < last);
        }
    }
}

impl Timestamps {
    fn take(&mut self, value: u32, echo: u32, flags: u16, ts: TimeNs) {
        self.values = Some((self.values.map_or(value, |(first, _)| first), value));
        if flags & ACK != 0 {
            self.echo_first.get_or_insert(echo);
        }
        let clock = &mut self.clock;
        if clock.samples == 0 {
            clock.first = (value, ts);
        } else if (value.wrapping_sub(clock.last.0) as i32) < 0 || ts < clock.last.1 {
            return;
        }
        clock.last = (value, ts);
        clock.samples += 1;
    }
}

/// What the options of one segment say.
#[derive(Default)]
struct Seen {
    any: bool,
    mptcp: bool,
    mss: Option<u16>,
    scale: Option<u8>,
    sack_permitted: bool,
    sack_blocks: u64,
    timestamps: Option<(u32, u32)>,
    mp_capable: bool,
    mp_join: bool,
}

impl Seen {
    fn of(packet: &Packet<'_>) -> Self {
        let mut seen = Self::default();
        for option in packet.tcp_options() {
            let value = option.value;
            seen.any |= !matches!(option.kind, tcp_option::END | tcp_option::NOP);
            match (option.kind, value.len()) {
                (tcp_option::MSS, 2) => seen.mss = seen.mss.or(value.first_chunk().map(|b| u16::from_be_bytes(*b))),
                (tcp_option::WINDOW_SCALE, 1) => seen.scale = seen.scale.or(value.first().copied()),
                (tcp_option::SACK_PERMITTED, 0) => seen.sack_permitted = true,
                (tcp_option::SACK, len) if len >= 8 && len.is_multiple_of(8) => seen.sack_blocks += len as u64 / 8,
                (tcp_option::TIMESTAMPS, _) => seen.timestamps = seen.timestamps.or(option.timestamps()),
                (tcp_option::MPTCP, _) => {
                    seen.mptcp = true;
                    seen.mp_capable |= option.mptcp_subtype() == Some(0);
                    seen.mp_join |= option.mptcp_subtype() == Some(1);
                }
                _ => {}
            }
        }
        seen
    }
}

impl SideTcp {
    fn syn(&mut self, packet: &Packet<'_>, seen: &Seen) {
        let p = packet.info;
        let has_scale = seen.scale.is_some();
        self.first_syn.get_or_insert(FirstSyn { window: p.window, has_scale });
        self.mss = self.mss.or(seen.mss);
        self.scale = self.scale.or(seen.scale);
        self.sack_permitted |= seen.sack_permitted;
        self.mp_capable |= seen.mp_capable;
        self.mp_join |= seen.mp_join;
        let [syn, syn_ack] = &mut self.syns;
        let place = if p.tcp_flags & ACK == 0 { syn } else { syn_ack };
        if place.is_none() {
            let mut kinds = [0; 40];
            let mut len = 0;
            for (to, option) in kinds.iter_mut().zip(packet.tcp_options()) {
                *to = option.kind;
                len += 1;
            }
            *place = Some(Syn { window: p.window, ttl: p.ttl, mss: seen.mss, scale: seen.scale, kinds, len });
        }
    }
}

impl Tracker for TcpOptions {
    const MAX_BYTES: usize = size_of::<Self>();
    const READS_BYTES: bool = true;
    const CONCERNS: Concerns = Concerns::protocols(&[ip_proto::TCP]);

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, _context: &mut Context) -> Wants {
        let p = packet.info;
        if !p.known.has(Known::TCP_HEADER) {
            return Wants::More;
        }
        let [a, b] = &mut self.side;
        let s = if side == Side::A { a } else { b };
        s.segments += 1;
        s.windows.take(p.window, p.tcp_flags);
        let seen = Seen::of(packet);
        if let Some((value, echo)) = seen.timestamps {
            s.timestamps.take(value, echo, p.tcp_flags, p.ts);
        }
        if p.tcp_flags & SYN != 0 {
            s.syn(packet, &seen);
        }
        self.with_options += u64::from(seen.any);
        self.with_mptcp += u64::from(seen.mptcp);
        self.sack_blocks += seen.sack_blocks;
        self.seen |= u8::from(seen.mss.is_some())
            | u8::from(seen.scale.is_some()) << 1
            | u8::from(seen.sack_permitted) << 2
            | u8::from(seen.timestamps.is_some()) << 3;
        Wants::More
    }

    #[inline]
    fn touch(&self) -> u64 {
        let side = |s: &SideTcp| s.segments ^ s.windows.sum ^ s.timestamps.clock.samples;
        side(&self.side[0]) ^ side(&self.side[1]) ^ self.with_options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkType;
    use crate::testing::{batch, decode, ip4, tcp};

    /// Segments of one side: flags, window, options (whole words).
    fn feed(segments: &[(u16, u16, &[u8])]) -> TcpOptions {
        let packets: Vec<_> = segments
            .iter()
            .map(|(flags, window, options)| {
                let mut segment = tcp(1, 2, *flags as u8, options);
                segment[12] = ((20 + options.len()) as u8 / 4) << 4;
                segment[14..16].copy_from_slice(&window.to_be_bytes());
                ip4(6, &segment)
            })
            .collect();
        let frames: Vec<_> = packets.iter().map(|p| (LinkType::RAW, p.as_slice())).collect();
        let mut frames = batch(&frames);
        let decoded = decode(&mut frames);
        let (mut t, mut context) = (TcpOptions::default(), Context::default());
        for info in &decoded.packets {
            t.update(&Packet { info, batch: &frames }, Side::A, &mut context);
        }
        assert_eq!(context.memory.heap_bytes(), t.heap_bytes());
        t
    }

    #[test]
    fn values_of_a_syn_count_in_a_syn_only() {
        let t = feed(&[
            (ACK, 9, &[2, 4, 1, 0, 3, 3, 5, 1, 4, 2, 1, 1]),
            (SYN, 500, &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7]),
            (SYN, 600, &[2, 4, 1, 1, 3, 3, 8, 0]),
        ]);
        let s = &t.side[0];
        assert_eq!((s.mss, s.scale, s.sack_permitted), (Some(1460), Some(7), true));
        assert_eq!(s.first_syn, Some(FirstSyn { window: 500, has_scale: true }));
        let syn = s.syns[0].as_ref().unwrap();
        assert_eq!((syn.kinds(), syn.window, syn.mss), (&[2, 4, 8, 1, 3][..], 500, Some(1460)));
        assert!(s.syns[1].is_none());
        assert_eq!((t.seen, t.with_options, s.segments), (15, 3, 3));
        // A SYN without ACK has no echo.
        assert_eq!((s.timestamps.values, s.timestamps.echo_first), (Some((9, 9)), None));
    }

    #[test]
    fn windows_of_resets_say_nothing_and_those_of_syns_do_not_compare() {
        let t = feed(&[(SYN, 9, &[]), (ACK, 5, &[]), (RST, 0, &[]), (ACK, 7, &[]), (ACK, 0, &[]), (ACK | FIN, 0, &[])]);
        let w = &t.side[0].windows;
        assert_eq!((w.count, w.min, w.max, w.sum, w.zero), (5, 0, 9, 21, 1));
        assert_eq!((w.up, w.down, w.syn_max, w.other_max), (1, 1, Some(9), Some(7)));
    }

    #[test]
    fn options_of_a_wrong_length_are_options_and_nothing_more() {
        let t = feed(&[
            (ACK, 0, &[8, 4, 0, 0]),
            (ACK, 0, &[5, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]),
            (ACK, 0, &[1, 1, 1, 0]),
            (ACK, 0, &[30, 2, 1, 1]),
        ]);
        assert_eq!((t.seen, t.with_options, t.sack_blocks, t.with_mptcp), (0, 3, 1, 1));
        assert_eq!(t.side[0].timestamps.values, None);
    }

    #[test]
    fn a_clock_does_not_go_back() {
        let mut t = Timestamps::default();
        for (value, ts) in [(u32::MAX, 5), (3, 6), (2, 7), (9, 5), (4, 8)] {
            t.take(value, 0, ACK, ts);
        }
        assert_eq!((t.clock.samples, t.clock.first, t.clock.last), (3, (u32::MAX, 5), (4, 8)));
        assert_eq!(t.values, Some((u32::MAX, 4)));
    }
}
