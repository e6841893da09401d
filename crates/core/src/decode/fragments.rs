//! Datagrams that arrive in fragments (RFC 791, RFC 8200 section 4.5).
//!
//! Two services with different needs: the ports, which every fragment wants and only the first one has; and the whole
//! payload, which parsers want. The first works without the second (a snap length cuts every fragment), so a datagram
//! that cannot be put together is still followed until all of it was seen. All of it is bounded, because anybody can
//! send fragments that never complete.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;

use super::transport;
use crate::frame::TimeNs;
use crate::packet::{Endpoint, NO_OFFSET, PacketInfo, ip_proto};

/// How long a datagram may take: RFC 8200 says 60 s, RFC 791 15 s, Linux does 30 s.
pub const MAX_AGE: TimeNs = 30_000_000_000;
/// Most datagrams under way.
const MAX_DATAGRAMS: usize = 4096;
/// Most bytes held, counted with what describes them.
const MAX_BYTES: usize = 4 << 20;
/// Most pieces of one datagram; 64 KiB in the smallest MTU of IPv4 in use (576) are 119.
const MAX_PIECES: usize = 256;
/// How long after a datagram was whole its fragments may come once more: behind what mirrors a port twice, at once. Within
/// it an identification is hardly used again by fragments of which the first is not the first to come (RFC 6864).
const MAX_ECHO_AGE: TimeNs = 1_000_000_000;
/// Most datagrams that are remembered for it, some 100 kB.
const MAX_COMPLETED: usize = 1024;
/// Longest datagram.
const MAX_DATAGRAM: u32 = 65_535;

/// What fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DatagramKey {
    pub src: Endpoint,
    pub dst: Endpoint,
    /// VLAN and tunnel.
    pub scope: (u32, u8, u32),
    pub id: u32,
    pub protocol: Option<u8>,
}

/// What only the first fragment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub protocol: u8,
    pub has_ports: bool,
    pub src_port: u16,
    pub dst_port: u16,
    /// Where the upper-layer header begins and ends in the datagram; the end is not known where a first fragment is
    /// too small for it (RFC 1858), or was cut.
    pub header_start: u32,
    pub header_end: Option<u32>,
}

impl Identity {
    /// How much of a piece of the datagram is payload, if that can be said.
    pub fn payload_in(&self, offset: u32, len: u32) -> Option<u32> {
        let end = offset.saturating_add(len);
        match self.header_end {
            Some(header) => Some(end.saturating_sub(offset.max(header))),
            // Only TCP has a header that the first eight bytes do not measure.
            None => (offset >= self.header_start + transport::MAX_TCP_HEADER).then_some(len),
        }
    }
}

/// One fragment's part of the datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub offset: u32,
    pub more: bool,
    /// Length on the wire.
    pub wire_len: u32,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Added {
    /// It is kept until its flow is known.
    Waits,
    /// It belongs to no datagram that can be: a packet without ports.
    Loose,
    /// Its flow is known.
    Known {
        identity: Identity,
        /// Fragments that waited for it, in order of arrival.
        waiting: Vec<Waiting>,
        /// The whole datagram, if this was its last missing piece.
        datagram: Option<Vec<u8>>,
    },
}

/// A fragment whose flow was not known when it came, apart from its batch, which may be gone when it is.
#[derive(Debug)]
pub(super) struct Waiting {
    info: PacketInfo,
    /// The bytes of its frame up to the end of its IP header: what the offsets of `info` count from the start of.
    headers: Box<[u8]>,
    pub offset: u32,
    /// Length on the wire.
    pub len: u32,
}

impl Waiting {
    /// Of a piece that shows no upper-layer header; `headers` begin at `base` in the data of its batch.
    pub fn new(info: &PacketInfo, headers: &[u8], base: u32, piece: &Piece<'_>) -> Self {
        let within = |at: u32| at.checked_sub(base).filter(|at| (*at as usize) < headers.len()).unwrap_or(NO_OFFSET);
        let end = headers.len() as u32;
        let info = PacketInfo {
            frame: NO_OFFSET,
            outer_l3: within(info.outer_l3),
            l3: within(info.l3),
            payload_start: end,
            payload_end: end,
            ..*info
        };
        Self { info, headers: headers.into(), offset: piece.offset, len: piece.wire_len }
    }

    /// The fragment in the present batch, whose data have `data_len` bytes and what is in `extra`.
    pub fn give_out(&self, data_len: usize, extra: &mut Vec<u8>) -> PacketInfo {
        let base = u32::try_from(data_len + extra.len()).unwrap_or(NO_OFFSET);
        extra.extend_from_slice(&self.headers);
        let at = |at: u32| base.saturating_add(at);
        PacketInfo {
            outer_l3: at(self.info.outer_l3),
            l3: at(self.info.l3),
            payload_start: at(self.info.payload_start),
            payload_end: at(self.info.payload_end),
            ..self.info
        }
    }

    fn cost(&self) -> usize {
        size_of::<Self>() + self.headers.len()
    }
}

/// The datagrams under way.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    datagrams: HashMap<DatagramKey, Datagram>,
    /// In order of arrival; entries whose serial number is gone are stale.
    order: VecDeque<(DatagramKey, u64)>,
    serial: u64,
    bytes: usize,
    /// Time of arrival of the oldest entry.
    oldest: TimeNs,
    evicted: u64,
    completed: Completed,
}

/// The datagrams that were whole last, so that a fragment that comes once more is none of a new one.
#[derive(Debug, Default)]
struct Completed {
    datagrams: HashMap<DatagramKey, Whole>,
    /// In order of completion; a key may stand here more than once, and no longer be among `datagrams`.
    order: VecDeque<DatagramKey>,
}

#[derive(Clone, Copy, Debug)]
struct Whole {
    at: TimeNs,
    total: u32,
    identity: Identity,
}

impl Completed {
    fn remember(&mut self, key: DatagramKey, whole: Whole) {
        self.datagrams.insert(key, whole);
        self.order.push_back(key);
        if self.order.len() > MAX_COMPLETED
            && let Some(oldest) = self.order.pop_front()
        {
            self.datagrams.remove(&oldest);
        }
    }

    /// The datagram of a later fragment that fits one which was whole just before. A first fragment begins another.
    fn again(&mut self, key: &DatagramKey, ts: TimeNs, piece: &Piece<'_>, end: u32) -> Option<Identity> {
        if self.datagrams.is_empty() {
            return None;
        }
        let whole = self.datagrams.get(key)?;
        let fits = if piece.more { end < whole.total } else { end == whole.total };
        if piece.offset == 0 || !fits || ts.abs_diff(whole.at) > MAX_ECHO_AGE as u64 {
            self.datagrams.remove(key);
            return None;
        }
        Some(whole.identity)
    }
}

#[derive(Debug)]
struct Datagram {
    serial: u64,
    started: TimeNs,
    identity: Option<Identity>,
    waiting: Vec<Waiting>,
    /// What these hold.
    waiting_bytes: usize,
    /// In order of offset, without overlap.
    pieces: Vec<Held>,
    /// Length of the datagram, once the last fragment was seen.
    total: Option<u32>,
    /// Bytes are missing from the capture, or fragments contradict each other: there will be no payload.
    broken: bool,
}

#[derive(Debug)]
struct Held {
    start: u32,
    end: u32,
    bytes: Vec<u8>,
}

impl Reassembly {
    /// Whether the oldest datagram is out of time at `now` (time may jump either way).
    #[inline]
    pub fn is_due(&self, now: TimeNs) -> bool {
        !self.order.is_empty() && now.abs_diff(self.oldest) > MAX_AGE as u64
    }

    /// Datagrams given up because there was no more room, since this was last asked.
    pub fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Takes a fragment in. `identity` is known for the first one; `wait` makes what is kept of one that must wait;
    /// `give_up` gets the waiting fragments of datagrams that have to make room.
    pub fn add(
        &mut self,
        key: DatagramKey,
        ts: TimeNs,
        piece: Piece<'_>,
        identity: Option<Identity>,
        wait: impl FnOnce(&Piece<'_>) -> Waiting,
        mut give_up: impl FnMut(Waiting),
    ) -> Added {
        let end = piece.offset.saturating_add(piece.wire_len);
        if end > MAX_DATAGRAM || piece.wire_len == 0 && piece.offset == 0 {
            return Added::Loose;
        }
        if let Some(identity) = self.completed.again(&key, ts, &piece, end) {
            return Added::Known { identity, waiting: Vec::new(), datagram: None };
        }
        // A sender that uses an identification again before its time (RFC 6864): the old datagram lost a fragment and
        // will not be completed.
        if let Some(identity) = identity
            && self.datagrams.get(&key).is_some_and(|d| d.begins_otherwise(&identity, &piece))
            && let Some(old) = self.close(&key)
        {
            old.waiting.into_iter().for_each(&mut give_up);
        }
        if !self.datagrams.contains_key(&key) {
            self.open(key, ts);
        }
        let Some(d) = self.datagrams.get_mut(&key) else { return Added::Loose };
        let before = d.cost();
        d.put(&piece, end);
        d.identity = d.identity.or(identity);
        d.measure_header();
        let known = d.identity;
        let waiting = match known {
            Some(_) => {
                d.waiting_bytes = 0;
                std::mem::take(&mut d.waiting)
            }
            None => {
                let waiting = wait(&piece);
                d.waiting_bytes += waiting.cost();
                d.waiting.push(waiting);
                Vec::new()
            }
        };
        let (after, done) = (d.cost(), d.is_covered());
        self.bytes = self.bytes - before + after;
        let datagram = match done.then(|| self.close(&key)).flatten() {
            Some(d) => {
                if let (Some(identity), Some(total)) = (d.identity, d.total) {
                    self.completed.remember(key, Whole { at: ts, total, identity });
                }
                d.assemble()
            }
            None => None,
        };
        while self.bytes > MAX_BYTES || self.datagrams.len() > MAX_DATAGRAMS {
            self.evicted += 1;
            self.drop_oldest(&mut give_up);
        }
        match known {
            Some(identity) => Added::Known { identity, waiting, datagram },
            None => Added::Waits,
        }
    }

    /// Gives up what is older than its time.
    pub fn expire(&mut self, now: TimeNs, mut give_up: impl FnMut(Waiting)) {
        while self.is_due(now) {
            self.drop_oldest(&mut give_up);
        }
    }

    /// Gives up everything.
    pub fn flush(&mut self, mut give_up: impl FnMut(Waiting)) {
        while !self.order.is_empty() {
            self.drop_oldest(&mut give_up);
        }
    }

    fn open(&mut self, key: DatagramKey, ts: TimeNs) {
        self.serial += 1;
        if self.order.is_empty() {
            self.oldest = ts;
        }
        self.order.push_back((key, self.serial));
        let d = Datagram {
            serial: self.serial,
            started: ts,
            identity: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            pieces: Vec::new(),
            total: None,
            broken: false,
        };
        self.bytes += d.cost();
        self.datagrams.insert(key, d);
        if self.order.len() > 2 * MAX_DATAGRAMS {
            let live = &self.datagrams;
            self.order.retain(|(k, serial)| live.get(k).is_some_and(|d| d.serial == *serial));
        }
    }

    fn close(&mut self, key: &DatagramKey) -> Option<Datagram> {
        let d = self.datagrams.remove(key)?;
        self.bytes -= d.cost();
        self.trim();
        Some(d)
    }

    fn drop_oldest(&mut self, give_up: &mut impl FnMut(Waiting)) {
        let Some((key, serial)) = self.order.pop_front() else {
            // Nothing is left, so nothing can be held: keeps the loops above finite whatever the counts say.
            self.datagrams.clear();
            self.bytes = 0;
            return;
        };
        if self.datagrams.get(&key).is_some_and(|d| d.serial == serial)
            && let Some(d) = self.close(&key)
        {
            d.waiting.into_iter().for_each(give_up);
        }
        self.trim();
    }

    /// Takes stale entries off the front, so that `oldest` is the time of one that is there.
    fn trim(&mut self) {
        while let Some((key, serial)) = self.order.front() {
            match self.datagrams.get(key) {
                Some(d) if d.serial == *serial => {
                    self.oldest = d.started;
                    return;
                }
                _ => self.order.pop_front(),
            };
        }
    }
}

impl Datagram {
    /// Memory held, near enough.
    fn cost(&self) -> usize {
        let held: usize = self.pieces.iter().map(|p| p.bytes.len() + size_of::<Held>()).sum();
        held + self.waiting_bytes + 2 * size_of::<Self>()
    }

    /// Whether a first fragment is that of another datagram than the one under way.
    fn begins_otherwise(&self, identity: &Identity, first: &Piece<'_>) -> bool {
        let Some(known) = &self.identity else { return false };
        let name = |i: &Identity| (i.protocol, i.has_ports, i.src_port, i.dst_port);
        let held = self.pieces.first().map_or(&[][..], |p| &p.bytes);
        name(known) != name(identity) || held.iter().zip(first.bytes).any(|(a, b)| a != b)
    }

    /// Takes the length of a TCP header from whichever piece has it.
    fn measure_header(&mut self) {
        let Some(identity) = &mut self.identity else { return };
        if identity.header_end.is_some() || identity.protocol != ip_proto::TCP {
            return;
        }
        let at = identity.header_start + transport::TCP_DATA_OFFSET;
        let holds = self.pieces.iter().find(|p| p.start <= at && at < p.end);
        let byte = holds.and_then(|p| p.bytes.get((at - p.start) as usize));
        identity.header_end = byte.map(|b| identity.header_start + transport::tcp_header_len(*b));
    }

    fn put(&mut self, piece: &Piece<'_>, end: u32) {
        let last = self.pieces.last().map_or(0, |p| p.end);
        if !piece.more {
            // A second end elsewhere, or data beyond the end: a contradiction.
            self.broken |= self.total.is_some_and(|t| t != end) || last > end;
            self.total = Some(self.total.unwrap_or(end));
        }
        self.broken |= self.total.is_some_and(|t| end > t);
        self.broken |= piece.bytes.len() < piece.wire_len as usize;
        if self.pieces.len() >= MAX_PIECES {
            self.broken = true;
            return;
        }
        if self.broken {
            self.pieces.iter_mut().for_each(|p| p.bytes = Vec::new());
        }
        // What came first stays: a later copy cannot change what was already seen.
        let mut start = piece.offset;
        let mut i = self.pieces.partition_point(|p| p.end <= start);
        while start < end {
            let stop = match self.pieces.get(i) {
                Some(p) if p.start <= start => {
                    start = p.end;
                    i += 1;
                    continue;
                }
                Some(p) => p.start.min(end),
                None => end,
            };
            let range = (start - piece.offset) as usize..(stop - piece.offset) as usize;
            let bytes = if self.broken { &[][..] } else { piece.bytes.get(range).unwrap_or_default() };
            self.pieces.insert(i, Held { start, end: stop, bytes: bytes.to_vec() });
            i += 1;
            start = stop;
        }
    }

    /// Whether every byte up to the end was seen.
    fn is_covered(&self) -> bool {
        let mut next = 0;
        let gapless = self.pieces.iter().all(|p| {
            let joined = p.start == next;
            next = p.end;
            joined
        });
        gapless && self.total.is_some_and(|t| next >= t)
    }

    fn assemble(self) -> Option<Vec<u8>> {
        (!self.broken).then(|| self.pieces.into_iter().flat_map(|p| p.bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packet::{FlowKey, Fragment, Scope};

    const ID: Identity =
        Identity { protocol: 17, has_ports: true, src_port: 1, dst_port: 2, header_start: 0, header_end: Some(8) };

    fn key(id: u32) -> DatagramKey {
        let a = Endpoint::v4([1, 2, 3, 4], 0);
        DatagramKey { src: a, dst: a, scope: (0, 0, 0), id, protocol: Some(17) }
    }

    fn wait(piece: &Piece<'_>) -> Waiting {
        let a = Endpoint::v4([1, 2, 3, 4], 0);
        let (key, from_lo) = FlowKey::new(false, 17, false, a, a, Scope::default());
        let info = PacketInfo { fragment: Fragment::Later, ..PacketInfo::by_hand(0, key, from_lo) };
        Waiting::new(&info, b"", 0, piece)
    }

    fn piece(offset: u32, more: bool, bytes: &[u8]) -> Piece<'_> {
        Piece { offset, more, wire_len: bytes.len() as u32, bytes }
    }

    fn add(r: &mut Reassembly, p: Piece<'_>) -> Option<Vec<u8>> {
        match r.add(key(1), 0, p, (p.offset == 0).then_some(ID), wait, |_| ()) {
            Added::Known { datagram, .. } => datagram,
            _ => None,
        }
    }

    #[test]
    fn what_came_first_wins() {
        let mut r = Reassembly::default();
        assert_eq!(add(&mut r, piece(0, true, b"aaaaaaaa")), None);
        assert_eq!(add(&mut r, piece(16, true, b"cccccccc")), None);
        assert_eq!(add(&mut r, piece(8, true, b"bbbbbbbbXXXXXXXX")), None);
        assert_eq!(add(&mut r, piece(24, false, b"d")).unwrap(), b"aaaaaaaabbbbbbbbccccccccd");
        assert_eq!(r.bytes, 0);
    }

    #[test]
    fn an_identification_used_again_begins_anew() {
        let mut r = Reassembly::default();
        assert_eq!(add(&mut r, piece(0, true, b"aaaaaaaa")), None);
        assert_eq!(add(&mut r, piece(8, true, b"bbbbbbbb")), None);
        assert_eq!(add(&mut r, piece(0, true, b"aaaaaaaa")), None, "the same once more changes nothing");
        assert_eq!(add(&mut r, piece(0, true, b"AAAAAAAA")), None);
        assert_eq!(add(&mut r, piece(16, false, b"C")), None);
        assert_eq!(add(&mut r, piece(8, true, b"BBBBBBBB")).unwrap(), b"AAAAAAAABBBBBBBBC");
        let other = Identity { src_port: 9, ..ID };
        assert_eq!(add(&mut r, piece(0, true, b"aaaaaaaa")), None);
        r.add(key(1), 0, piece(0, true, b"aaaaaaaa"), Some(other), wait, |_| ());
        let last = r.add(key(1), 0, piece(8, false, b"x"), None, wait, |_| ());
        assert!(matches!(last, Added::Known { identity: Identity { src_port: 9, .. }, datagram: Some(_), .. }));
    }

    #[test]
    fn a_fragment_that_comes_once_more_is_of_the_same_flow() {
        let mut r = Reassembly::default();
        let mut put = |ts, p: Piece<'_>| r.add(key(1), ts, p, (p.offset == 0).then_some(ID), wait, |_| ());
        put(0, piece(0, true, b"aaaaaaaa"));
        put(0, piece(8, true, b"bbbbbbbb"));
        assert!(matches!(put(0, piece(16, false, b"c")), Added::Known { datagram: Some(_), .. }));
        for again in [piece(8, true, b"bbbbbbbb"), piece(16, false, b"c")] {
            let added = put(MAX_ECHO_AGE, again);
            assert!(matches!(added, Added::Known { identity: ID, datagram: None, .. }), "{added:?}");
        }
        // The whole datagram once more.
        put(9, piece(0, true, b"aaaaaaaa"));
        put(9, piece(8, true, b"bbbbbbbb"));
        assert!(matches!(put(9, piece(16, false, b"c")), Added::Known { datagram: Some(_), .. }));
        // Another one: it is longer, or it comes later.
        assert!(matches!(put(10, piece(24, true, b"dddddddd")), Added::Waits));
        r.flush(|_| ());
        let mut put = |ts, p: Piece<'_>| r.add(key(1), ts, p, (p.offset == 0).then_some(ID), wait, |_| ());
        put(20, piece(0, true, b"aaaaaaaa"));
        put(20, piece(8, false, b"b"));
        assert!(matches!(put(21 + MAX_ECHO_AGE, piece(8, false, b"b")), Added::Waits));
        for id in 0..5000 {
            r.add(key(id), 0, piece(0, true, b"aaaaaaaa"), Some(ID), wait, |_| ());
            r.add(key(id), 0, piece(8, false, b"b"), None, wait, |_| ());
        }
        assert!(r.completed.order.len() <= MAX_COMPLETED && r.completed.datagrams.len() <= MAX_COMPLETED);
    }

    #[test]
    fn payload_is_what_lies_behind_the_header() {
        let id = |header_end| Identity { protocol: 6, header_start: 8, header_end, ..ID };
        assert_eq!(id(Some(40)).payload_in(0, 100), Some(60));
        assert_eq!(id(Some(40)).payload_in(16, 8), Some(0));
        assert_eq!(id(Some(40)).payload_in(32, 16), Some(8));
        assert_eq!((id(None).payload_in(64, 8), id(None).payload_in(72, 8)), (None, Some(8)));
    }

    #[test]
    fn contradicting_ends_give_no_datagram() {
        let mut r = Reassembly::default();
        assert_eq!(add(&mut r, piece(8, false, b"last")), None);
        assert_eq!(add(&mut r, piece(16, false, b"last")), None);
        assert_eq!(add(&mut r, piece(0, true, b"12345678")), None);
    }

    #[test]
    fn a_fragment_cut_by_the_snap_length_still_tells_the_flow() {
        let mut r = Reassembly::default();
        let cut = Piece { wire_len: 100, ..piece(0, true, b"12345678") };
        assert_eq!(add(&mut r, cut), None);
        let last = r.add(key(1), 0, piece(100, false, b"x"), None, wait, |_| ());
        assert!(matches!(last, Added::Known { identity: ID, datagram: None, .. }));
        assert!(r.datagrams.is_empty() && r.bytes == 0);
    }

    #[test]
    fn fragments_are_given_up_after_their_time() {
        let mut r = Reassembly::default();
        let mut given_up = 0;
        assert!(matches!(r.add(key(1), 0, piece(8, false, b"x"), None, wait, |_| ()), Added::Waits));
        assert!(!r.is_due(MAX_AGE) && r.is_due(MAX_AGE + 1));
        r.expire(MAX_AGE + 1, |_| given_up += 1);
        assert_eq!((given_up, r.bytes, r.is_due(i64::MAX)), (1, 0, false));
    }

    #[test]
    fn a_flood_of_fragments_stays_within_bounds() {
        let mut r = Reassembly::default();
        let (mut given_up, body) = (0u32, [0; 1400]);
        for i in 0..20_000 {
            r.add(key(i), 0, piece(8, true, &body), None, wait, |_| given_up += 1);
            assert!(r.bytes <= MAX_BYTES && r.datagrams.len() <= MAX_DATAGRAMS);
            assert!(r.order.len() <= 2 * MAX_DATAGRAMS + 1);
        }
        // One datagram that never ends.
        for i in 0..20_000u32 {
            r.add(key(0), 0, piece(i % 8000 * 8, true, &[1; 4]), None, wait, |_| given_up += 1);
            assert!(r.bytes <= MAX_BYTES);
        }
        assert!(r.take_evicted() > 0 && r.take_evicted() == 0);
        r.flush(|_| given_up += 1);
        assert_eq!((given_up, r.bytes, r.datagrams.len()), (40_000, 0, 0));
    }

    proptest! {
        #[test]
        fn the_sum_of_costs_is_kept(
            parts in prop::collection::vec((0u32..6, 0u32..40, 0usize..60, any::<bool>(), 0u32..9), 0..200),
        ) {
            let mut r = Reassembly::default();
            let bytes = [7; 64];
            let (mut waits, mut given_up) = (0usize, 0usize);
            for (id, offset, len, more, missing) in parts {
                let p = Piece { offset: offset * 8, more, wire_len: len as u32 + missing / 8, bytes: &bytes[..len] };
                match r.add(key(id), 0, p, (offset == 0).then_some(ID), wait, |_| given_up += 1) {
                    Added::Waits => waits += 1,
                    Added::Loose => {}
                    Added::Known { waiting, .. } => waits -= waiting.len(),
                }
                prop_assert_eq!(r.bytes, r.datagrams.values().map(Datagram::cost).sum::<usize>());
            }
            r.flush(|_| given_up += 1);
            prop_assert_eq!(waits, given_up);
        }
    }
}
