//! How a connection opens: its SYN and SYN-ACK with all that their headers say, the times of the first exchange, and what
//! segments of SSH look like from outside.
//!
//! No group of the default build reads it: it is there for `ja4plus`, and costs nothing where that is not selected.

use super::{Concerns, Context, Tracker, TrackerSettings, Wants};
use crate::frame::TimeNs;
use crate::packet::tcp_flags::{ACK, RST, SYN};
use crate::packet::{Known, Packet, PacketInfo, Side, ip_proto, tcp_option};

/// Segments of SSH in one [`Window`].
pub const WINDOW_SEGMENTS: u16 = 200;

/// Windows of a flow that are kept: 12,800 segments say how a session is used; a file transfer goes on like that.
const MAX_WINDOWS: usize = 64;

/// Most delays of repeated SYN-ACKs.
const MAX_RESENT: usize = 10;

/// How long after a SYN-ACK another one counts as its repetition.
const RESENT_WITHIN: TimeNs = 120_000_000_000;

/// The first exchange of a flow.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The first SYN without ACK.
    pub syn: Option<SynSegment>,
    /// The first SYN-ACK of the other side.
    pub syn_ack: Option<SynSegment>,
    /// The first segment with ACK of the sender of the SYN behind that.
    pub acked: Option<TimeNs>,
    /// Delays between SYN-ACKs sent again before that, in whole seconds.
    resent: [u16; MAX_RESENT],
    resent_len: u8,
    last_syn_ack: TimeNs,
    /// Delay of a RST that ended the repetitions.
    pub reset: Option<u16>,
    /// Of datagrams.
    pub datagrams: Datagrams,
    ssh: Option<Box<Ssh>>,
    /// Sides whose first payload was looked at.
    looked: [bool; 2],
    /// Where the bytes of each side end that were seen.
    next: [Option<u32>; 2],
    /// Segments with ACK alone before SSH began.
    acks: [u16; 2],
}

/// A segment with SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynSegment {
    /// Its sender.
    pub side: Side,
    /// Its time.
    pub at: TimeNs,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Window.
    pub window: u16,
    /// MSS.
    pub mss: Option<u16>,
    /// Window scale.
    pub scale: Option<u8>,
    kinds: [u8; 40],
    kinds_len: u8,
}

impl SynSegment {
    fn of(packet: &Packet<'_>, side: Side) -> Self {
        let p = packet.info;
        let (mut mss, mut scale) = (None, None);
        let (mut kinds, mut len) = ([0; 40], 0u8);
        let mut rest = packet.l4_header().get(20..).unwrap_or_default().len();
        let mut add = |kind: u8| {
            if let Some(place) = kinds.get_mut(usize::from(len)) {
                *place = kind;
                len += 1;
            }
        };
        for option in packet.tcp_options() {
            add(option.kind);
            rest = rest.saturating_sub(if option.kind <= tcp_option::NOP { 1 } else { 2 + option.value.len() });
            match (option.kind, option.value) {
                (tcp_option::MSS, &[a, b]) => _ = mss.get_or_insert(u16::from_be_bytes([a, b])),
                (tcp_option::WINDOW_SCALE, &[shift]) => _ = scale.get_or_insert(shift),
                // Each byte of the padding behind the end counts as one more.
                (tcp_option::END, _) => (0..rest).for_each(|_| add(tcp_option::END)),
                _ => {}
            }
        }
        Self { side, at: p.ts, ttl: p.ttl, window: p.window, mss, scale, kinds, kinds_len: len }
    }

    /// Kinds of its options in order, with the padding behind the end of the list.
    pub fn kinds(&self) -> &[u8] {
        self.kinds.get(..usize::from(self.kinds_len)).unwrap_or_default()
    }
}

/// The first datagrams of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Datagrams {
    /// The first one, its sender and its TTL.
    pub first: Option<(TimeNs, Side, u8)>,
    /// The first one of the other side, and its TTL.
    pub answer: Option<(TimeNs, u8)>,
    /// The last one of the other side before `second`.
    pub last_answer: TimeNs,
    /// The first one of the first sender behind `answer`.
    pub second: Option<TimeNs>,
}

impl Datagrams {
    fn take(&mut self, p: &PacketInfo, side: Side) -> Wants {
        match (self.first, self.answer) {
            (None, _) => self.first = Some((p.ts, side, p.ttl)),
            (Some((_, sender, _)), answer) if side != sender => {
                self.answer = answer.or(Some((p.ts, p.ttl)));
                self.last_answer = p.ts;
            }
            (Some(_), None) => {}
            (Some(_), Some(_)) => {
                self.second = Some(p.ts);
                return Wants::NoMore;
            }
        }
        Wants::More
    }
}

/// Segments of SSH as seen from outside.
#[derive(Clone, Debug, Default)]
struct Ssh {
    /// Windows that are full.
    windows: Vec<Window>,
    /// The one that is not.
    open: Window,
    /// Its lengths of payload, and how often each came.
    lengths: [Vec<(u16, u16)>; 2],
}

/// So many segments of SSH, by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The most frequent length of payload, of several the smallest; 0 without a segment.
    pub mode: [u16; 2],
    /// Segments that brought payload not seen before.
    pub segments: [u16; 2],
    /// Segments with ACK alone and without payload.
    pub acks: [u16; 2],
}

impl Ssh {
    fn segment(&mut self, side: usize, len: u16) -> Wants {
        let (Some(lengths), Some(count)) = (self.lengths.get_mut(side), self.open.segments.get_mut(side)) else {
            return Wants::NoMore;
        };
        *count += 1;
        match lengths.iter_mut().find(|(l, _)| *l == len) {
            Some((_, n)) => *n += 1,
            None => lengths.push((len, 1)),
        }
        if self.open.segments.iter().sum::<u16>() >= WINDOW_SEGMENTS {
            self.windows.push(self.closed());
            self.open = Window::default();
            self.lengths.iter_mut().for_each(Vec::clear);
            if self.windows.len() >= MAX_WINDOWS {
                return Wants::NoMore;
            }
        }
        Wants::More
    }

    /// The open window with its modes.
    fn closed(&self) -> Window {
        let mode = |lengths: &Vec<(u16, u16)>| {
            lengths.iter().max_by_key(|(len, n)| (*n, u16::MAX - len)).map_or(0, |(len, _)| *len)
        };
        let [a, b] = &self.lengths;
        Window { mode: [mode(a), mode(b)], ..self.open }
    }

    fn heap_bytes(&self) -> usize {
        self.windows.capacity() * size_of::<Window>()
            + self.lengths.iter().map(|l| l.capacity() * size_of::<(u16, u16)>()).sum::<usize>()
    }
}

impl Opening {
    /// Delays between SYN-ACKs that were sent again, in whole seconds.
    pub fn resent(&self) -> &[u16] {
        self.resent.get(..usize::from(self.resent_len)).unwrap_or_default()
    }

    /// Windows of segments of SSH: the full ones, and what came behind them.
    pub fn ssh_windows(&self) -> impl Iterator<Item = Window> {
        let open = self.ssh.iter().map(|ssh| ssh.closed()).filter(|w| w.segments != [0; 2]);
        self.ssh.iter().flat_map(|ssh| ssh.windows.iter().copied()).chain(open)
    }

    fn segment(&mut self, packet: &Packet<'_>, side: Side) -> Wants {
        let p = packet.info;
        let opener = self.syn.as_ref().map(|s| s.side);
        match p.tcp_flags & (SYN | ACK | RST) {
            SYN if self.syn.is_none() => self.syn = Some(SynSegment::of(packet, side)),
            both if both == SYN | ACK && opener != Some(side) => match &self.syn_ack {
                None => {
                    self.syn_ack = Some(SynSegment::of(packet, side));
                    self.last_syn_ack = p.ts;
                }
                Some(first) if first.side == side && self.acked.is_none() => self.again(p.ts),
                Some(_) => {}
            },
            ACK if opener == Some(side) && self.syn_ack.is_some() => _ = self.acked.get_or_insert(p.ts),
            flags if flags & RST != 0 && self.acked.is_none() && self.resent_len > 0 && opener != Some(side) => {
                self.reset = self.reset.or(seconds_between(self.last_syn_ack, p.ts));
            }
            _ => {}
        }
        self.payload(packet, side)
    }

    fn again(&mut self, at: TimeNs) {
        let place = self.resent.get_mut(usize::from(self.resent_len));
        if let Some((place, delay)) = place.zip(seconds_between(self.last_syn_ack, at)) {
            *place = delay;
            self.resent_len += 1;
            self.last_syn_ack = at;
        }
    }

    /// Counts segments of SSH, which is known by what a direction begins with.
    fn payload(&mut self, packet: &Packet<'_>, side: Side) -> Wants {
        let p = packet.info;
        let at = side as usize;
        let (Some(looked), Some(next), Some(acks)) =
            (self.looked.get_mut(at), self.next.get_mut(at), self.acks.get_mut(at))
        else {
            return Wants::NoMore;
        };
        let len = packet.shown_payload_len();
        if len == 0 {
            if p.tcp_flags == ACK {
                let count = match &mut self.ssh {
                    Some(ssh) => ssh.open.acks.get_mut(at),
                    None => Some(acks),
                };
                count.into_iter().for_each(|n| *n = n.saturating_add(1));
            }
            return Wants::More;
        }
        let end = p.seq.wrapping_add(len);
        if next.is_some_and(|next| end.wrapping_sub(next) as i32 <= 0) {
            return Wants::More; // sent again
        }
        *next = Some(end);
        if !std::mem::replace(looked, true) && self.ssh.is_none() && packet.payload().starts_with(b"SSH-") {
            let open = Window { acks: self.acks, ..Window::default() };
            self.ssh = Some(Box::new(Ssh { open, ..Ssh::default() }));
        }
        match &mut self.ssh {
            Some(ssh) => ssh.segment(at, len.try_into().unwrap_or(u16::MAX)),
            None if self.looked == [true; 2] && (self.acked.is_some() || self.syn_ack.is_none()) => Wants::NoMore,
            None => Wants::More,
        }
    }
}

/// Whole seconds from one time to another; none beyond the time within which that is a repetition.
fn seconds_between(from: TimeNs, to: TimeNs) -> Option<u16> {
    let gap = to.checked_sub(from).filter(|gap| (0..=RESENT_WITHIN).contains(gap))?;
    u16::try_from((gap + 500_000_000) / 1_000_000_000).ok()
}

impl Tracker for Opening {
    const MAX_BYTES: usize = size_of::<Self>()
        + size_of::<Ssh>()
        + MAX_WINDOWS * size_of::<Window>()
        // Vectors grow by doubling: to 256 for 200 lengths.
        + 2 * 256 * size_of::<(u16, u16)>();
    const CONCERNS: Concerns = Concerns::protocols(&[ip_proto::TCP, ip_proto::UDP]);

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants {
        if packet.info.key.protocol != ip_proto::TCP {
            return self.datagrams.take(packet.info, side);
        }
        if !packet.info.known.has(Known::TCP_HEADER) {
            return Wants::More;
        }
        let before = self.heap_bytes();
        let wants = self.segment(packet, side);
        context.memory.changed(before, self.heap_bytes());
        wants
    }

    fn heap_bytes(&self) -> usize {
        self.ssh.as_ref().map_or(0, |ssh| size_of::<Ssh>() + ssh.heap_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameBatch, LinkType};
    use crate::packet::Scope;
    use crate::testing::packet_in;

    const S: TimeNs = 1_000_000_000;

    /// Takes in segments: time, whether of the client, flags, sequence number, payload.
    fn feed(segments: &[(TimeNs, bool, u16, u32, &[u8])]) -> (Opening, Wants) {
        let (mut opening, mut context, mut wants) = (Opening::default(), Context::default(), Wants::More);
        for (ts, client, flags, seq, payload) in segments {
            let mut batch = FrameBatch::new();
            batch.push(*ts, LinkType(1), payload.len() as u32, payload);
            let mut info = packet_in(*ts, 40 + payload.len() as u32, payload.len() as u32, 6, Scope::default());
            (info.tcp_flags, info.seq, info.payload_start, info.payload_end) = (*flags, *seq, 0, payload.len() as u32);
            info.known = Known::TCP_HEADER.with(Known::PAYLOAD_LEN);
            let side = if *client { Side::A } else { Side::B };
            wants = opening.update(&Packet { info: &info, batch: &batch }, side, &mut context);
            assert_eq!(context.memory.heap_bytes(), opening.heap_bytes());
        }
        (opening, wants)
    }

    #[test]
    fn the_client_acknowledges_not_the_server() {
        let (o, _) = feed(&[
            (0, true, SYN, 1, b""),
            (3_000, false, SYN | ACK, 9, b""),
            (4_000, false, ACK, 10, b"early"),
            (8_000, true, ACK, 2, b""),
            (9_000, true, ACK, 2, b""),
        ]);
        assert_eq!((o.syn.map(|s| s.at), o.syn_ack.map(|s| s.at), o.acked), (Some(0), Some(3_000), Some(8_000)));
    }

    #[test]
    fn syn_acks_sent_again_have_delays() {
        let syn_ack = |at| (at, false, SYN | ACK, 9, &b""[..]);
        let (o, _) = feed(&[
            (0, true, SYN, 1, b""),
            syn_ack(S),
            syn_ack(2 * S + 4_000_000),
            syn_ack(4 * S),
            (10 * S, false, RST, 10, b""),
        ]);
        assert_eq!((o.resent(), o.reset), (&[1, 2][..], Some(6)));
        let (o, _) = feed(&[(0, true, SYN, 1, b""), syn_ack(S), (2 * S, true, ACK, 2, b""), syn_ack(4 * S)]);
        assert_eq!((o.resent(), o.reset), (&[][..], None));
    }

    #[test]
    fn segments_of_ssh_come_in_windows() {
        let mut segments: Vec<(TimeNs, bool, u16, u32, &[u8])> =
            vec![(0, true, ACK, 0, b""), (1, true, ACK, 0, b"SSH-2.0-x\n"), (2, true, ACK, 0, b"SSH-2.0-x\n")];
        for i in 0..250u32 {
            segments.push((3, false, ACK, 10 * i, if i % 3 == 0 { b"0123456789" } else { b"01234" }));
            segments.push((4, true, ACK, 10, b""));
        }
        let (o, wants) = feed(&segments);
        let windows: Vec<_> = o.ssh_windows().collect();
        assert_eq!(windows.len(), 2);
        assert_eq!(windows[0], Window { mode: [10, 5], segments: [1, 199], acks: [199, 0] });
        assert_eq!((windows[1].segments, windows[1].acks, wants), ([0, 51], [52, 0], Wants::More));
    }

    #[test]
    fn what_is_no_ssh_is_left_alone() {
        let both = [(0, true, SYN, 1, &b""[..]), (1, true, ACK, 2, b"GET"), (2, false, ACK, 5, b"HTTP")];
        assert_eq!(feed(&both).1, Wants::NoMore);
        assert_eq!(feed(&both[..2]).1, Wants::More);
    }
}
