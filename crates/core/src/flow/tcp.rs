//! What a flow knows of its TCP connection: enough to decide whether a SYN begins another one and whether a RST is valid.
//!
//! All of it is made of extremes (lowest and highest sequence numbers, highest acknowledgement), so that packets which
//! were stored a little out of order lead to the same answers.

use crate::frame::TimeNs;
use crate::packet::{Packet, PacketInfo, Side, tcp_flags};

/// The sequence numbers of a connection, by side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tcp {
    side: [Numbers; 2],
}

/// The sequence numbers of one side.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// The initial sequence number: that of the SYN, else one before the lowest number seen or acknowledged.
    base: u32,
    /// The end of the segments so far.
    next: u32,
    /// The highest number that this side acknowledged.
    ack: u32,
    /// The sequence number of its RST.
    rst: u32,
    /// The largest window that this side announced, unscaled.
    window: u16,
    /// The window scale that this side announced in its SYN (RFC 7323 section 2.2).
    scale: u8,
    /// Which of these are known.
    known: u8,
}

const BASE: u8 = 1;
/// `base` is from a SYN.
const SYN: u8 = 2;
const NEXT: u8 = 4;
const ACK: u8 = 8;
const RST: u8 = 16;

/// How long after the first packet of a connection that went on a SYN may come which is still its own: one that was sent again as
/// its answer was lost (after 1 s, and again after 2 s: RFC 6298 section 2), or stored out of order. It is bounded so that what a SYN
/// is can be told without all that came before: a run over a slice begins to read this much earlier.
pub const LATE_SYN: TimeNs = 4_000_000_000;

/// The largest window scale (RFC 7323 section 2.3): assumed where no SYN was seen.
const MOST_SCALE: u8 = 14;

impl Numbers {
    fn knows(&self, what: u8) -> bool {
        self.known & what != 0
    }

    /// The base is at most this.
    fn lower_base(&mut self, base: u32) {
        if !self.knows(BASE) || !self.knows(SYN) && is_before(base, self.base) {
            self.base = base;
            self.known |= BASE;
        }
    }
}

/// RFC 9293 section 3.4: numbers compare modulo 2^32.
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Tcp {
    /// Takes a segment into account.
    #[inline]
    pub(super) fn update(&mut self, packet: &Packet<'_>, side: Side) {
        let p = packet.info;
        let flags = p.tcp_flags;
        if flags & tcp_flags::RST != 0 {
            return self.reset(p.seq, side);
        }
        let [x, y] = match (&mut self.side, side) {
            ([a, b], Side::A) => [a, b],
            ([a, b], Side::B) => [b, a],
        };
        let syn = flags & tcp_flags::SYN != 0;
        if syn {
            if !x.knows(SYN) {
                (x.base, x.scale) = (p.seq, window_scale(packet));
                x.known |= BASE | SYN;
            }
        } else {
            x.lower_base(p.seq.wrapping_sub(1));
        }
        let ends = u32::from(flags & (tcp_flags::SYN | tcp_flags::FIN) != 0);
        let end = p.seq.wrapping_add(packet.shown_payload_len()).wrapping_add(ends);
        if !x.knows(NEXT) || is_before(x.next, end) {
            x.next = end;
        }
        x.known |= NEXT;
        x.window = x.window.max(p.window);
        if flags & tcp_flags::ACK != 0 {
            if !x.knows(ACK) || is_before(x.ack, p.ack) {
                x.ack = p.ack;
            }
            x.known |= ACK;
            y.lower_base(p.ack.wrapping_sub(1));
        }
    }

    /// Whether a SYN without ACK from this side may belong to the connection, which is this old: its number is the connection's
    /// own, or nothing is known that speaks against it (each connection chooses its own number, RFC 9293 section 3.4.1), and it is
    /// sent again as it was not answered, or comes late, but not after more than [`LATE_SYN`].
    pub(super) fn fits_syn(&self, p: &PacketInfo, side: Side, age: i64) -> bool {
        let x = &self.side[side as usize];
        let is_its_number = !x.knows(BASE) || x.base == p.seq;
        let sent_nothing_else = x.knows(SYN) && x.next == x.base.wrapping_add(1);
        is_its_number && (sent_nothing_else || age <= LATE_SYN)
    }

    /// Takes note of a RST: one with a number that the connection has, or may have, come to rather than any other, and of
    /// several such the one furthest ahead, in whatever order they were stored.
    #[cold]
    fn reset(&mut self, seq: u32, side: Side) {
        let x = self.side[side as usize];
        let is_own = |seq| self.is_in_window_from(x.base, seq, side);
        if !x.knows(RST) || !is_own(x.rst) || is_own(seq) && is_before(x.rst, seq) {
            let x = &mut self.side[side as usize];
            x.rst = seq;
            x.known |= RST;
        }
    }

    /// Whether the connection was reset, by what is known now: a RST from outside of the receiver's window is dropped
    /// (RFC 5961 section 3.2), and one that was overtaken, as the connection went on, was dropped as well.
    #[inline]
    pub(super) fn is_reset(&self) -> bool {
        let by = |side: Side| {
            let x = &self.side[side as usize];
            x.knows(RST) && self.is_in_window(x.rst, side)
        };
        by(Side::A) || by(Side::B)
    }

    /// Whether a sequence number of this side lies in the receiver's window, as far as it is known.
    fn is_in_window(&self, seq: u32, side: Side) -> bool {
        let (x, y) = (&self.side[side as usize], &self.side[side.other() as usize]);
        self.is_in_window_from(if y.knows(ACK) { y.ack } else { x.base }, seq, side)
    }

    /// The same for a window that begins here.
    fn is_in_window_from(&self, from: u32, seq: u32, side: Side) -> bool {
        let (x, y) = (&self.side[side as usize], &self.side[side.other() as usize]);
        if !x.knows(BASE) {
            return true;
        }
        let scale = if x.knows(SYN) && y.knows(SYN) { y.scale } else { MOST_SCALE };
        // Nothing is known of the window of an end that has sent nothing yet.
        let window = if y.knows(NEXT) { y.window } else { u16::MAX };
        let reach = u64::from(window) << scale.min(MOST_SCALE);
        // What was sent and not acknowledged yet was within the window, too.
        let sent = if x.knows(NEXT) && is_before(from, x.next) { x.next.wrapping_sub(from) } else { 0 };
        u64::from(seq.wrapping_sub(from)) <= reach + u64::from(sent)
    }
}

/// The window scale option of a SYN; 0 where there is none.
#[cold]
fn window_scale(packet: &Packet<'_>) -> u8 {
    let mut options = packet.l4_header().get(20..).unwrap_or_default();
    while let Some((&kind, rest)) = options.split_first() {
        match kind {
            0 => break,
            1 => options = rest,
            _ => {
                let Some(&length) = rest.first() else { break };
                if let (3, 3, Some(&scale)) = (kind, length, rest.get(1)) {
                    return scale;
                }
                let Some(rest) = options.get(usize::from(length).max(2)..) else { break };
                options = rest;
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::packet_in;

    fn segment(flags: u16, seq: u32, ack: u32, len: u32) -> PacketInfo {
        let mut p = packet_in(0, 40 + len, len, 6, Default::default());
        (p.tcp_flags, p.seq, p.ack, p.window) = (flags, seq, ack, 1000);
        p
    }

    fn connection(segments: &[(Side, u16, u32, u32, u32)]) -> Tcp {
        let mut tcp = Tcp::default();
        for &(side, flags, seq, ack, len) in segments {
            tcp.update(&Packet::without_bytes(&segment(flags, seq, ack, len)), side);
        }
        tcp
    }

    use Side::{A, B};
    use tcp_flags as f;

    #[test]
    fn a_syn_fits_by_its_number_alone() {
        let fits = |tcp: &Tcp, side, seq| tcp.fits_syn(&segment(f::SYN, seq, 0, 0), side, LATE_SYN);
        let syn = connection(&[(A, f::SYN, 100, 0, 0)]);
        assert!(fits(&syn, A, 100) && !fits(&syn, A, 101) && fits(&syn, B, 5));
        // Stored late: the SYN-ACK, or the first data, shows the number.
        let synack = connection(&[(B, f::SYN | f::ACK, 900, 101, 0)]);
        assert!(fits(&synack, A, 100) && !fits(&synack, A, 99));
        let data = connection(&[(A, f::ACK, 111, 901, 10), (A, f::ACK, 101, 901, 10)]);
        assert!(fits(&data, A, 100) && !fits(&data, A, 110) && fits(&data, B, 900));
        let wraps = connection(&[(A, f::ACK, 5, 0, 10), (A, f::ACK, 0, 0, 5)]);
        assert!(fits(&wraps, A, u32::MAX));
    }

    #[test]
    fn a_syn_comes_again_until_it_is_answered_and_soon_after() {
        let fits = |tcp: &Tcp, age| tcp.fits_syn(&segment(f::SYN, 100, 0, 0), A, age);
        let mut tcp =
            connection(&[(A, f::SYN, 100, 0, 0), (B, f::SYN | f::ACK, 900, 101, 0), (A, f::ACK, 101, 901, 0)]);
        assert!(fits(&tcp, 63_000_000_000));
        tcp.update(&Packet::without_bytes(&segment(f::ACK, 101, 901, 1)), A);
        assert!(fits(&tcp, LATE_SYN) && fits(&tcp, -1) && !fits(&tcp, LATE_SYN + 1));
        // Of which nothing is known by a SYN.
        let begun = connection(&[(A, f::ACK, 101, 901, 0)]);
        assert!(fits(&begun, LATE_SYN) && !fits(&begun, LATE_SYN + 1));
    }

    #[test]
    fn a_rst_outside_of_the_window_is_not_meant() {
        let segments = [
            (A, f::SYN, 100, 0, 0),
            (B, f::SYN | f::ACK, 900, 101, 0),
            (A, f::ACK, 101, 901, 50),
            (B, f::ACK, 901, 151, 0),
        ];
        let reset = |seq, side| {
            let mut tcp = connection(&segments);
            tcp.update(&Packet::without_bytes(&segment(f::RST, seq, 0, 0)), side);
            tcp.is_reset()
        };
        assert!(reset(151, A) && reset(1151, A) && reset(901, B));
        assert!(!reset(150, A) && !reset(1152, A) && !reset(0, A) && !reset(2_000_000, B));
        // A closed port answers a SYN with sequence number 0 (RFC 9293 section 3.5.2).
        assert!(connection(&[(A, f::SYN, 100, 0, 0), (B, f::RST | f::ACK, 0, 101, 0)]).is_reset());
        // One that is meant is not forgotten for a blind one, and the connection that goes on was not reset.
        let mut tcp = connection(&segments);
        for seq in [7, 151, 8] {
            tcp.update(&Packet::without_bytes(&segment(f::RST, seq, 0, 0)), A);
        }
        assert!(tcp.is_reset());
        tcp.update(&Packet::without_bytes(&segment(f::ACK, 901, 152, 0)), B);
        assert!(!tcp.is_reset());
    }

    #[test]
    fn without_a_syn_the_window_may_be_scaled() {
        let reset =
            |seq| connection(&[(A, f::ACK, 101, 901, 50), (B, f::ACK, 901, 151, 0), (A, f::RST, seq, 0, 0)]).is_reset();
        assert!(reset(151 + (1000 << 14)) && !reset(152 + (1000 << 14)));
    }
}
