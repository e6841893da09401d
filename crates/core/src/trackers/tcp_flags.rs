//! How often each TCP flag was seen, by sender.
//!
//! Twelve counters for every packet would be twelve read-modify-writes. The eight flags are spread over the bytes of
//! one word instead, and the words are emptied into wide counters before a byte can overflow.

use super::{Context, Tracker, TrackerSettings, Wants};
use crate::packet::tcp_flags::{ACK, FIN, PSH, RST, SYN, URG};
use crate::packet::{Packet, Side};

/// TCP flags of a flow. Packets without a TCP header (other protocols, later fragments) do not count.
#[derive(Clone, Debug, Default)]
pub struct TcpFlags {
    /// Counts of FIN, SYN, RST, PSH, ACK, URG, ECE, CWR (bit order), a byte each, that are not in `total` yet.
    flags: u64,
    /// Likewise of the combinations in [`KINDS`], and of data packets.
    kinds: u64,
    /// Packets counted in the two words.
    pending: u8,
    /// Which openings a side has sent, see [`opening`].
    openings: [u8; 2],
    /// All flags of a side.
    seen: [u16; 2],
    totals: [u32; 16],
}

/// Counts of packets, and flags by [`Side`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TcpTotals {
    pub fin: u32,
    pub rst: u32,
    pub psh: u32,
    pub ack: u32,
    pub urg: u32,
    pub ece: u32,
    pub cwr: u32,
    /// SYN without ACK.
    pub syn: u32,
    /// SYN with ACK.
    pub synack: u32,
    /// Packets with payload.
    pub data: u32,
    /// ACK without payload and without SYN, FIN or RST.
    pub ack_only: u32,
    /// Packets whose combination of flags no sound TCP sends.
    pub anomalous: u32,
    /// All flags by side.
    pub seen: [u16; 2],
    /// Whether a side has sent a SYN without ACK.
    pub sent_syn: [bool; 2],
    /// Whether a side has sent a SYN-ACK.
    pub sent_synack: [bool; 2],
    /// Whether a side has sent an ACK without SYN and RST.
    pub sent_ack: [bool; 2],
}

impl TcpFlags {
    /// Whether any packet with a TCP header was seen.
    pub fn is_empty(&self) -> bool {
        self.pending == 0 && self.totals[SEEN] == 0
    }

    /// The counts so far; counters stay at their largest value (4e9) rather than overflow.
    pub fn totals(&self) -> TcpTotals {
        let mut all = self.clone();
        all.empty_words();
        let [fin, _, rst, psh, ack, urg, ece, cwr, syn, synack, anomalous, ack_only, data, ..] = all.totals;
        let sent = |bit: u8| self.openings.map(|o| o & bit != 0);
        TcpTotals {
            fin,
            rst,
            psh,
            ack,
            urg,
            ece,
            cwr,
            syn,
            synack,
            data,
            ack_only,
            anomalous,
            seen: self.seen,
            sent_syn: sent(OPENING_SYN),
            sent_synack: sent(OPENING_SYNACK),
            sent_ack: sent(OPENING_ACK),
        }
    }

    #[cold]
    fn empty_words(&mut self) {
        let words = u128::from(self.flags) | u128::from(self.kinds) << 64;
        for (total, n) in self.totals.iter_mut().zip(words.to_le_bytes()) {
            *total = total.saturating_add(u32::from(n));
        }
        (self.flags, self.kinds, self.pending) = (0, 0, 0);
    }
}

impl Tracker for TcpFlags {
    const MAX_BYTES: usize = size_of::<Self>();

    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }

    #[inline]
    fn update(&mut self, packet: &Packet<'_>, side: Side, _context: &mut Context) -> Wants {
        let p = packet.info;
        if !p.has_tcp() {
            return Wants::More;
        }
        if self.pending == u8::MAX {
            self.empty_words();
        }
        self.pending += 1;
        let (s, f) = (side as usize, p.tcp_flags as u8 as usize);
        // All ones if there is payload.
        let data = 0u64.wrapping_sub(u64::from(packet.shown_payload_len() > 0));
        self.flags += SPREAD[f];
        self.kinds += (KINDS[f] & !(data & ACK_ONLY)) + (data & DATA) + ONE_SEEN;
        self.seen[s] |= p.tcp_flags;
        self.openings[s] |= OPENINGS[f];
        Wants::More
    }

    #[inline]
    fn touch(&self) -> u64 {
        self.flags
    }
}

const OPENING_SYN: u8 = 1;
const OPENING_SYNACK: u8 = 2;
const OPENING_ACK: u8 = 4;

const ACK_ONLY: u64 = 1 << 24;
const DATA: u64 = 1 << 32;
const ONE_SEEN: u64 = 1 << 40;
/// Index of the total of `ONE_SEEN`.
const SEEN: usize = 13;

/// For each combination of the eight flags: flag `i` as a one in byte `i`.
static SPREAD: [u64; 256] = {
    let mut t = [0; 256];
    let mut f = 0;
    while f < 256 {
        t[f] = spread(f as u64);
        f += 1;
    }
    t
};

/// For each combination, in bytes: SYN without ACK, SYN-ACK, anomaly, ACK alone.
static KINDS: [u64; 256] = {
    let mut t = [0; 256];
    let mut f = 0;
    while f < 256 {
        t[f] = kinds(f as u16);
        f += 1;
    }
    t
};

/// For each combination: what it says of its sender's part in the opening.
static OPENINGS: [u8; 256] = {
    let mut t = [0; 256];
    let mut f = 0;
    while f < 256 {
        t[f] = opening(f as u16);
        f += 1;
    }
    t
};

const fn spread(flags: u64) -> u64 {
    let mut word = 0;
    let mut i = 0;
    while i < 8 {
        word |= (flags >> i & 1) << (8 * i);
        i += 1;
    }
    word
}

const fn kinds(f: u16) -> u64 {
    let syn = f & SYN != 0;
    let ack = f & ACK != 0;
    let alone = ack && f & (SYN | FIN | RST) == 0;
    (syn && !ack) as u64 | ((syn && ack) as u64) << 8 | (is_anomalous(f) as u64) << 16 | ((alone as u64) * ACK_ONLY)
}

const fn opening(f: u16) -> u8 {
    match (f & SYN != 0, f & ACK != 0) {
        (true, false) => OPENING_SYN,
        (true, true) => OPENING_SYNACK,
        (false, true) if f & RST == 0 => OPENING_ACK,
        _ => 0,
    }
}

/// No flag at all, FIN-PSH-URG, FIN without ACK, SYN with FIN or RST: scans and fuzzers, not RFC 9293.
const fn is_anomalous(f: u16) -> bool {
    f & 0xff == 0
        || f & (FIN | PSH | URG) == FIN | PSH | URG
        || f & FIN != 0 && f & (ACK | SYN) == 0
        || f & SYN != 0 && f & (FIN | RST) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Known;
    use crate::testing::packet;

    fn feed(t: &mut TcpFlags, flags: u16, payload: u32, side: Side) {
        let mut p = packet(0, 40 + payload, payload);
        (p.known, p.tcp_flags) = (Known::TCP_HEADER, flags);
        t.update(&Packet::without_bytes(&p), side, &mut Context::default());
    }

    #[test]
    fn counts_survive_the_emptying_of_the_words() {
        let mut t = TcpFlags::default();
        assert!(t.is_empty());
        for i in 0..1000 {
            feed(&mut t, ACK | if i % 2 == 0 { PSH } else { 0 }, u32::from(i % 2 == 0), Side::B);
            assert!(!t.is_empty());
        }
        let n = t.totals();
        assert_eq!((n.ack, n.psh, n.data, n.ack_only, n.anomalous), (1000, 500, 500, 500, 0));
        assert_eq!((n.seen, n.sent_ack), ([0, ACK | PSH], [false, true]));
    }

    #[test]
    fn kinds_of_packets_are_told_apart() {
        let mut t = TcpFlags::default();
        feed(&mut t, SYN, 0, Side::A);
        feed(&mut t, SYN | ACK, 0, Side::B);
        feed(&mut t, RST | ACK, 0, Side::A);
        let n = t.totals();
        assert_eq!((n.syn, n.synack, n.rst, n.ack, n.ack_only), (1, 1, 1, 2, 0));
        assert_eq!((n.sent_syn, n.sent_synack, n.sent_ack), ([true, false], [false, true], [false, false]));
    }

    #[test]
    fn what_no_sound_tcp_sends_is_anomalous() {
        for bad in [0, FIN | PSH | URG, FIN, SYN | FIN, SYN | RST, SYN | RST | ACK] {
            assert!(is_anomalous(bad), "{bad:#x}");
        }
        for good in [SYN, SYN | ACK, ACK, FIN | ACK, RST, RST | ACK, PSH | ACK, URG | ACK, FIN | PSH | ACK] {
            assert!(!is_anomalous(good), "{good:#x}");
        }
    }

    #[test]
    fn a_packet_without_tcp_header_does_not_count() {
        let mut t = TcpFlags::default();
        let p = packet(0, 40, 20);
        t.update(&Packet::without_bytes(&p), Side::A, &mut Context::default());
        assert!(t.is_empty());
    }

    #[test]
    fn counters_stop_at_their_largest_value() {
        let mut t = TcpFlags { totals: [u32::MAX - 1; 16], ..TcpFlags::default() };
        for _ in 0..300 {
            feed(&mut t, SYN | FIN, 0, Side::A);
        }
        assert_eq!(t.totals().fin, u32::MAX);
    }
}
