//! Sequence analysis of TCP (RFC 9293 section 3.4): retransmissions, gaps, disorder, duplicate ACKs, round-trip times.
//!
//! A state machine over the numbers of the headers, as tshark's `tcp.analysis` has it; docs/features.md says where it
//! differs. Round-trip times are those of one timed segment at a time (RFC 6298 section 3), so that the state is of
//! a fixed size. Sequence and acknowledgement numbers, and timestamps, compare modulo 2^32.

use super::{Concerns, Context, Tracker, TrackerSettings, Wants};
use crate::frame::TimeNs;
use crate::packet::tcp_flags::{ACK, FIN, RST, SYN};
use crate::packet::{Known, Packet, Side, ip_proto, tcp_option};

/// A segment that comes again so soon after two duplicate ACKs was asked for by them: half a retransmission timeout at
/// the least, as in tshark.
const FAST_RETRANSMISSION_NS: i64 = 20_000_000;

/// How late a segment may be to be out of order rather than sent again, where no handshake says how long a round trip is.
const OUT_OF_ORDER_NS: i64 = 3_000_000;

/// A sample of this length or more is none: the answer was to something else.
const MAX_SAMPLE_NS: i64 = 60_000_000_000;

/// The sequence numbers of a flow.
#[derive(Clone, Debug, Default)]
pub struct TcpSequence {
    /// By [`Side`].
    pub side: [SideSequence; 2],
    /// Round-trip times by timestamps (RFC 7323 section 4).
    pub timestamp_rtt: Samples,
    /// Round-trip times by acknowledgement (RFC 6298).
    pub ack_rtt: Samples,
    /// The opening of the flow.
    opening: Opening,
    /// The opening of the connection: how late a segment may be.
    handshake: Handshake,
    states: [State; 2],
}

/// Counts of one side.
#[derive(Clone, Copy, Debug, Default)]
pub struct SideSequence {
    /// Segments, those with RST included.
    pub segments: u64,
    /// Sequence number of the first segment with SYN.
    pub isn: Option<u32>,
    /// Payload bytes, those that were sent again once.
    pub bytes: u64,
    /// Retransmissions, fast and spurious ones included.
    pub retransmissions: u64,
    /// Segments before which something is missing.
    pub gaps: u64,
    /// Segments out of order.
    pub out_of_order: u64,
    /// Segments with ACK.
    pub acks: u64,
    /// Duplicate ACKs.
    pub duplicate_acks: u64,
}

/// Samples of a time in nanoseconds, of both sides together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Samples {
    /// How many.
    pub count: u64,
    /// Smallest.
    pub min: u64,
    /// Largest.
    pub max: u64,
    /// Sum.
    pub sum: u64,
    /// Sum of squares.
    pub sumsq: u128,
    /// Differences to the sample before of the same side: how many, and the sum of their sizes.
    pub steps: (u64, u64),
    last: [Option<u64>; 2],
}

impl Samples {
    fn add(&mut self, duration: i64, side: usize) {
        let Some(sample) = u64::try_from(duration).ok().filter(|_| duration < MAX_SAMPLE_NS) else { return };
        self.min = if self.count == 0 { sample } else { self.min.min(sample) };
        self.max = self.max.max(sample);
        self.count += 1;
        self.sum = self.sum.saturating_add(sample);
        self.sumsq = self.sumsq.saturating_add(u128::from(sample) * u128::from(sample));
        if let Some(before) = self.last.get_mut(side).and_then(|last| last.replace(sample)) {
            self.steps.0 += 1;
            self.steps.1 = self.steps.1.saturating_add(sample.abs_diff(before));
        }
    }
}

/// What is known of one side of the connection.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Base of its sequence numbers.
    base: Option<u32>,
    /// Whether the base comes from its own segments.
    has_sent: bool,
    /// Next sequence number expected, and the time of the segment that moved it.
    next: Option<(u32, TimeNs)>,
    /// Acknowledgement number of its latest segment with ACK.
    ack: Option<u32>,
    /// Time and window of its latest segment.
    latest: Option<(TimeNs, u16)>,
    /// Duplicate ACKs in a row.
    duplicates: u32,
    /// Whether its latest segment was a keep-alive.
    keep_alive: bool,
    /// The segment timed by acknowledgement: its end, and its time.
    timed: Option<(u32, TimeNs)>,
    /// The segment timed by its timestamp: its end, TSval, and time.
    stamped: Option<(u32, u32, TimeNs)>,
}

/// The opening of a connection, for the time between SYN and ACK.
#[derive(Clone, Copy, Debug, Default)]
struct Handshake {
    /// The latest SYN before the SYN-ACK, and its sender.
    syn: Option<(Side, TimeNs)>,
    syn_ack: bool,
    duration: Option<i64>,
}

/// SYN, SYN-ACK and ACK of the flow's first connection, in this order and without a second SYN or SYN-ACK.
#[derive(Clone, Copy, Debug, Default)]
enum Opening {
    #[default]
    Nothing,
    Syn {
        side: Side,
        seq: u32,
        /// What a SYN-ACK acknowledges at most.
        end: u32,
        ts: TimeNs,
        ambiguous: bool,
    },
    SynAck {
        side: Side,
        seq: u32,
        ts: TimeNs,
        ambiguous: bool,
    },
    Done(Option<i64>),
}

/// One segment without RST.
#[derive(Clone, Copy)]
struct Segment {
    side: Side,
    seq: u32,
    /// Payload bytes.
    len: u32,
    flags: u16,
    /// Acknowledgement number, if it has one.
    ack: Option<u32>,
    window: u16,
    ts: TimeNs,
    timestamps: Option<(u32, u32)>,
    /// Whether it has an option of Multipath TCP that is no DSS.
    mptcp_signal: bool,
}

/// Which kind of retransmission a segment is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Sent,
    OutOfOrder,
}

/// Whether `a` is before `b` in sequence space.
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Segment {
    fn of(packet: &Packet<'_>, side: Side) -> Self {
        let p = packet.info;
        let (mut timestamps, mut mptcp_signal) = (None, false);
        for option in packet.tcp_options() {
            timestamps = timestamps.or(option.timestamps());
            mptcp_signal |= option.kind == tcp_option::MPTCP && option.mptcp_subtype().is_some_and(|s| s != 2);
        }
        Self {
            side,
            seq: p.seq,
            len: packet.shown_payload_len(),
            flags: p.tcp_flags,
            ack: (p.tcp_flags & ACK != 0).then_some(p.ack),
            window: p.window,
            ts: p.ts,
            timestamps,
            mptcp_signal,
        }
    }

    fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Behind its payload.
    fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len)
    }

    /// Behind all that takes a sequence number.
    fn next(&self) -> u32 {
        self.end().wrapping_add(u32::from(self.has(SYN | FIN)))
    }

    fn is_keep_alive(&self, x: &State) -> bool {
        self.len <= 1 && !self.has(SYN | FIN) && x.next.is_some_and(|(n, _)| self.seq == n.wrapping_sub(1))
    }

    fn is_duplicate_ack(&self, x: &State, y: &State) -> bool {
        self.len == 0
            && !self.has(SYN | FIN)
            && self.window != 0
            && x.latest.is_some_and(|(_, window)| window == self.window)
            && x.next.is_some_and(|(n, _)| n == self.seq)
            && self.ack.is_some()
            && self.ack == x.ack
            && !y.keep_alive
            && !self.mptcp_signal
    }

    /// Whether it was sent before, and how that shows. `late`: how late it may be to be out of order.
    fn again(&self, x: &State, y: &State, late: i64) -> Again {
        if self.len > 0 && y.ack.is_some_and(|ack| !before(ack, self.end())) {
            return Again::Sent;
        }
        let Some((next, moved)) = x.next else { return Again::No };
        // The byte of a window probe, sent again with more behind it, does not go back.
        let is_back = before(self.seq, next) && !(self.len > 1 && self.seq == next.wrapping_sub(1));
        if !is_back {
            return Again::No;
        }
        let soon = |since: TimeNs, limit: i64| (0..limit).contains(&self.ts.saturating_sub(since));
        let asked_for = y.duplicates >= 2
            && y.ack == Some(self.seq)
            && y.latest.is_some_and(|(ts, _)| soon(ts, FAST_RETRANSMISSION_NS));
        if !asked_for && soon(moved, late) && self.next() != next { Again::OutOfOrder } else { Again::Sent }
    }
}

impl TcpSequence {
    /// Time from SYN to ACK of the flow's opening.
    pub fn handshake(&self) -> Option<i64> {
        match self.opening {
            Opening::Done(duration) => duration,
            _ => None,
        }
    }

    fn segment(&mut self, s: &Segment) {
        let (side, [a, b]) = (s.side, &mut self.states);
        let (x, y) = if side == Side::A { (a, b) } else { (b, a) };
        if s.has(SYN) && !s.has(ACK) && x.base.is_some_and(|base| base != s.seq) {
            (*x, *y, self.handshake) = (State::default(), State::default(), Handshake::default());
        }
        if !x.has_sent {
            x.base = Some(if s.has(SYN) { s.seq } else { s.seq.wrapping_sub(1) });
            x.has_sent = true;
        }
        if let (Some(ack), None) = (s.ack, y.base) {
            y.base = Some(ack.wrapping_sub(1));
        }
        let [count_a, count_b] = &mut self.side;
        let counts = if side == Side::A { count_a } else { count_b };
        counts.gaps += u64::from(x.next.is_some_and(|(next, _)| before(next, s.seq)));
        let keep_alive = s.is_keep_alive(x);
        if s.is_duplicate_ack(x, y) {
            counts.duplicate_acks += 1;
            x.duplicates = x.duplicates.saturating_add(1);
        }
        if s.ack.is_some() && s.ack != x.ack {
            x.duplicates = 0;
        }
        let late = self.handshake.duration.filter(|d| *d > 0).unwrap_or(OUT_OF_ORDER_NS);
        let takes = s.len > 0 || s.has(SYN | FIN);
        let again = if takes && !keep_alive { s.again(x, y, late) } else { Again::No };
        counts.retransmissions += u64::from(again == Again::Sent);
        counts.out_of_order += u64::from(again == Again::OutOfOrder);
        counts.bytes += new_bytes(s, x, again);
        self.handshake.take(s);
        time(s, x, y, &mut self.ack_rtt, &mut self.timestamp_rtt);
        // What was seen of this side now.
        if x.next.is_none_or(|(next, _)| before(next, s.next())) {
            x.next = Some((s.next(), s.ts));
        }
        x.ack = s.ack.or(x.ack);
        x.latest = Some((s.ts, s.window));
        x.keep_alive = keep_alive;
    }
}

/// Payload bytes of a segment that were not sent before.
fn new_bytes(s: &Segment, x: &State, again: Again) -> u64 {
    let first = s.seq.wrapping_add(u32::from(s.has(SYN)));
    match x.next {
        Some((next, _)) if before(first, next) && again != Again::OutOfOrder => {
            let behind = first.wrapping_add(s.len).wrapping_sub(next) as i32;
            u64::try_from(behind).unwrap_or(0).min(s.len.into())
        }
        _ => s.len.into(),
    }
}

/// Ends the timing of the other side's segment, and begins that of this one.
fn time(s: &Segment, x: &mut State, y: &mut State, by_ack: &mut Samples, by_timestamp: &mut Samples) {
    if let Some(ack) = s.ack {
        // The sample is of the side that waited.
        let other = s.side.other() as usize;
        if let Some((_, sent)) = y.timed.take_if(|(end, _)| !before(ack, *end)) {
            by_ack.add(s.ts.saturating_sub(sent), other);
        }
        if let Some((_, value, sent)) = y.stamped.take_if(|(end, ..)| !before(ack, *end))
            && s.timestamps.is_some_and(|(_, echo)| echo == value)
        {
            by_timestamp.add(s.ts.saturating_sub(sent), other);
        }
    }
    if s.len > 0 {
        if x.next.is_some_and(|(next, _)| before(s.seq, next)) {
            // An acknowledgement would not say which of the two it is for (Karn's algorithm).
            x.timed = None;
        } else if x.timed.is_none() {
            x.timed = Some((s.end(), s.ts));
        }
    }
    if let Some((value, _)) = s.timestamps
        && x.stamped.is_none()
        && (s.len > 0 || s.has(SYN | FIN))
    {
        x.stamped = Some((s.next(), value, s.ts));
    }
}

impl Handshake {
    fn take(&mut self, s: &Segment) {
        match (self.syn, s.has(SYN), s.has(ACK)) {
            (_, true, false) if !self.syn_ack => self.syn = Some((s.side, s.ts)),
            (Some((side, _)), true, true) if s.side != side => self.syn_ack = true,
            (Some((side, ts)), false, true) if self.syn_ack && s.side == side && self.duration.is_none() => {
                self.duration = Some(s.ts.saturating_sub(ts));
            }
            _ => {}
        }
    }
}

impl Opening {
    fn take(&mut self, s: &Segment) {
        let (syn, ack) = (s.has(SYN), s.has(ACK));
        match self {
            Self::Nothing if syn && !ack => {
                let end = s.seq.wrapping_add(1).wrapping_add(s.len);
                *self = Self::Syn { side: s.side, seq: s.seq, end, ts: s.ts, ambiguous: false };
            }
            Self::Syn { side, ambiguous, .. } if s.side == *side => *ambiguous |= syn && !ack,
            Self::Syn { side, seq, end, ts, ambiguous } if syn && ack => {
                let least = seq.wrapping_add(1);
                if s.ack.is_some_and(|a| a.wrapping_sub(least) <= end.wrapping_sub(least)) {
                    *self = Self::SynAck { side: *side, seq: s.seq, ts: *ts, ambiguous: *ambiguous };
                }
            }
            Self::SynAck { side, ambiguous, .. } if s.side != *side => *ambiguous |= syn && ack,
            Self::SynAck { ambiguous, .. } if syn && !ack => *ambiguous = true,
            Self::SynAck { seq, ts, ambiguous, .. }
                if !syn && s.ack.is_some_and(|a| !before(a, seq.wrapping_add(1))) =>
            {
                let duration = s.ts.saturating_sub(*ts);
                *self = Self::Done((!*ambiguous && duration >= 0).then_some(duration));
            }
            _ => {}
        }
    }
}

impl Tracker for TcpSequence {
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
        let counts = if side == Side::A { a } else { b };
        counts.segments += 1;
        counts.acks += u64::from(p.tcp_flags & ACK != 0);
        if p.tcp_flags & SYN != 0 {
            counts.isn.get_or_insert(p.seq);
        }
        // A reset takes no part: one that refuses a SYN has sequence number 0.
        if p.tcp_flags & RST == 0 {
            let segment = Segment::of(packet, side);
            self.opening.take(&segment);
            self.segment(&segment);
        }
        Wants::More
    }

    #[inline]
    fn touch(&self) -> u64 {
        let state = |s: &State| u64::from(s.duplicates) ^ u64::from(s.has_sent);
        let samples = self.timestamp_rtt.count ^ self.ack_rtt.count;
        self.side[0].segments ^ self.side[1].segments ^ samples ^ state(&self.states[0]) ^ state(&self.states[1])
    }
}
