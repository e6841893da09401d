//! QUIC in a flow: what its headers say, and the handshake in its Initial packets.

use super::keys::{From, Keys};
use super::packet::{ConnectionId, Kind, Long, MIN_SHORT, Packet, packet, varint};
use super::version::Version;
use crate::packet::Side;
use crate::protocols::tls::join::Joined;
use crate::protocols::tls::{Facts, MAX_MESSAGE, Transport};
use crate::protocols::{Datagram, DatagramSession, Taken};
use crate::wire::Reader;

/// Most trials to open an Initial packet of a flow, with keys made anew: eleven rounds of HMAC and AES over at most a
/// datagram, some 5 us. A handshake takes four to six, a post-quantum one that is repeated a few times some thirty. So a
/// million Initials with made-up connection ids in one flow cost what 64 cost; in a million flows, one trial each.
const MAX_TRIALS: u8 = 64;

/// What kind of packet a flow was recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// An Initial packet.
    Initial,
    /// Another packet with a long header.
    LongHeader,
    /// Version Negotiation.
    VersionNegotiation,
    /// A packet of Google's QUIC.
    Google,
}

/// The first Initial packet of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientInitial {
    /// Destination connection id.
    pub dcid: ConnectionId,
    /// Source connection id.
    pub scid: ConnectionId,
    /// Bytes of the packet number.
    pub number_len: u8,
}

/// The spin bit in the short header packets of one direction (RFC 9000 section 17.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spin {
    /// Packets.
    pub packets: u64,
    /// Changes of the bit from one to the next.
    pub transitions: u64,
    last: bool,
}

impl Spin {
    fn add(&mut self, first_byte: u8) {
        let bit = first_byte & 0x20 != 0;
        self.transitions += u64::from(self.packets > 0 && bit != self.last);
        self.packets += 1;
        self.last = bit;
    }
}

/// Looks for QUIC in datagrams. Holds what has to be known of those before the one by which a flow is recognised.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuicFinder {
    spin: [Spin; 2],
}

impl QuicFinder {
    /// Takes in a datagram. The session, which has read it, if the flow is QUIC.
    pub fn look(&mut self, side: Side, datagram: &Datagram<'_>, scratch: &mut Vec<u8>) -> Option<QuicSession> {
        let first_byte = *datagram.bytes.first()?;
        let found = packet(datagram.bytes, datagram.wire_len as usize);
        let (first, google) = match found {
            Some(Packet::Google(version)) => (First::Google, Some(version)),
            Some(Packet::VersionNegotiation { listed: true }) => (First::VersionNegotiation, None),
            Some(Packet::Long(long)) if long.fixed_bit => match long.kind {
                Kind::Initial => (First::Initial, None),
                _ => (First::LongHeader, None),
            },
            _ => {
                if first_byte & 0xc0 == 0x40
                    && datagram.wire_len as usize >= MIN_SHORT
                    && let Some(spin) = self.spin.get_mut(side as usize)
                {
                    spin.add(first_byte);
                }
                return None;
            }
        };
        let mut session = QuicSession::new(first, google, self.spin);
        session.read(side, datagram, scratch);
        Some(session)
    }
}

/// QUIC in one flow.
#[derive(Clone, Debug)]
pub struct QuicSession {
    facts: Facts,
    first: First,
    google: Option<Version>,
    sides: [Direction; 2],
    spin: [Spin; 2],
    /// The client, where an Initial of it was opened.
    client: Option<(Side, ClientInitial)>,
    /// The connection id that keys are made of now: that of the client's first Initial, after Retry that of the first after it.
    key_id: ConnectionId,
    /// Another one that the client has sent Initials to since its hello was read: after Retry, that of the keys.
    other_id: Option<ConnectionId>,
    trials: u8,
    initial_packets: u64,
    zero_rtt: bool,
    retry: bool,
    version_negotiation: bool,
}

#[derive(Clone, Debug, Default)]
struct Direction {
    /// Version of the first packet with a long header.
    version: Option<Version>,
    /// Version of the first Initial or Handshake packet.
    handshake_version: Option<Version>,
    /// Source connection id of the first Initial.
    initial_scid: Option<ConnectionId>,
    /// Whether this side has cleared the fixed bit of a long header (RFC 9287).
    no_fixed_bit: bool,
    /// Whether all was read that is wanted of its CRYPTO frames.
    read: bool,
    /// Its CRYPTO frames, and how much of them was read.
    crypto: Joined,
    taken: usize,
}

impl QuicSession {
    fn new(first: First, google: Option<Version>, spin: [Spin; 2]) -> Self {
        Self {
            facts: Facts::new(Transport::Quic),
            first,
            google,
            sides: Default::default(),
            spin,
            client: None,
            key_id: ConnectionId::default(),
            other_id: None,
            trials: 0,
            initial_packets: 0,
            zero_rtt: false,
            retry: false,
            version_negotiation: false,
        }
    }

    /// Most bytes on the heap besides those of [`Facts`].
    pub const MAX_HEAP: usize = 2 * (MAX_CRYPTO + Joined::MAX_RANGES_BYTES);

    /// The handshake.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What kind of packet the flow was recognised by.
    pub fn first(&self) -> First {
        self.first
    }

    /// Whether all of the handshake was read that is wanted.
    pub fn has_read_handshake(&self) -> bool {
        self.sides.iter().all(|d| d.read)
    }

    /// Whether it is Google's QUIC: then only the version is known.
    pub fn is_gquic(&self) -> bool {
        self.google.is_some()
    }

    /// The version: of the server's first Initial or Handshake packet, else of the client's first packet.
    pub fn version(&self) -> Option<Version> {
        if self.google.is_some() {
            return self.google;
        }
        let client = self.client_side();
        self.direction(client.other()).handshake_version.or(self.direction(client).version)
    }

    /// The client's first Initial packet, where it was opened.
    pub fn client_initial(&self) -> Option<&ClientInitial> {
        self.client.as_ref().map(|(_, initial)| initial)
    }

    /// Source connection id of the server's first Initial packet.
    pub fn server_scid(&self) -> Option<&ConnectionId> {
        self.direction(self.client_side().other()).initial_scid.as_ref()
    }

    /// Initial packets of both directions.
    pub fn initial_packets(&self) -> u64 {
        self.initial_packets
    }

    /// Whether a 0-RTT packet was seen.
    pub fn has_zero_rtt(&self) -> bool {
        self.zero_rtt
    }

    /// Whether a Retry packet was seen.
    pub fn has_retry(&self) -> bool {
        self.retry
    }

    /// Whether a Version Negotiation packet was seen.
    pub fn has_version_negotiation(&self) -> bool {
        self.version_negotiation
    }

    /// The spin bit of a side.
    pub fn spin(&self, side: Side) -> &Spin {
        let [a, b] = &self.spin;
        if side == Side::A { a } else { b }
    }

    /// How often it was tried to open a packet.
    #[cfg(test)]
    pub(super) fn trials(&self) -> u8 {
        self.trials
    }

    /// The flow has ended: frees what was half read.
    pub fn end(&mut self) {
        self.sides.iter_mut().for_each(|d| d.crypto = Joined::default());
    }

    /// The client: the sender of an Initial that was opened with a client's keys, else of the flow's first packet, whether that was
    /// recognised or not.
    fn client_side(&self) -> Side {
        self.client.map_or(Side::A, |(side, _)| side)
    }

    fn direction(&self, side: Side) -> &Direction {
        let [a, b] = &self.sides;
        if side == Side::A { a } else { b }
    }

    fn direction_mut(&mut self, side: Side) -> &mut Direction {
        let [a, b] = &mut self.sides;
        if side == Side::A { a } else { b }
    }

    /// Takes in the packets of a datagram.
    fn packets(&mut self, side: Side, datagram: &Datagram<'_>, scratch: &mut Vec<u8>) {
        let (mut rest, mut wire_len) = (datagram.bytes, datagram.wire_len as usize);
        while let Some(&first) = rest.first() {
            if first & 0x80 == 0 {
                let fixed_bit = first & 0x40 != 0 || self.direction(side).no_fixed_bit;
                if fixed_bit
                    && wire_len >= MIN_SHORT
                    && let Some(spin) = self.spin.get_mut(side as usize)
                {
                    spin.add(first);
                }
                return;
            }
            match packet(rest, wire_len) {
                Some(Packet::Long(long)) => {
                    self.long(side, &long, scratch);
                    rest = rest.get(long.len..).unwrap_or_default();
                    wire_len = wire_len.saturating_sub(long.len);
                }
                Some(Packet::VersionNegotiation { .. }) => {
                    self.version_negotiation = true;
                    return;
                }
                _ => return,
            }
        }
    }

    fn long(&mut self, side: Side, long: &Long<'_>, scratch: &mut Vec<u8>) {
        let d = self.direction_mut(side);
        d.no_fixed_bit |= !long.fixed_bit;
        d.version.get_or_insert(long.version);
        if matches!(long.kind, Kind::Initial | Kind::Handshake) {
            d.handshake_version.get_or_insert(long.version);
        }
        match long.kind {
            Kind::Initial => {
                d.initial_scid.get_or_insert(long.scid);
                self.initial_packets += 1;
                self.initial(side, long, scratch);
            }
            Kind::ZeroRtt => self.zero_rtt = true,
            Kind::Retry => self.retry = true,
            Kind::Handshake => {}
        }
    }

    /// Opens an Initial packet if more is wanted of its sender, and takes in its frames.
    fn initial(&mut self, side: Side, long: &Long<'_>, scratch: &mut Vec<u8>) {
        if self.direction(side).read {
            if self.client.is_some_and(|(client, _)| client == side) && long.dcid != self.key_id {
                self.other_id = Some(long.dcid);
            }
            return;
        }
        let (from, ids) = match &self.client {
            // After Retry, keys come of the connection id that the server asked for.
            Some((client, _)) if *client == side => (From::Client, [Some(self.key_id), Some(long.dcid)]),
            Some(_) => (From::Server, [Some(self.key_id), self.other_id]),
            None => (From::Client, [Some(long.dcid), None]),
        };
        for id in ids.into_iter().flatten() {
            if self.trials >= MAX_TRIALS {
                return;
            }
            self.trials += 1;
            let keys = Keys::new(long.version, &id, from);
            if let Some(opened) = keys.and_then(|keys| keys.open(long, scratch)) {
                if from == From::Client {
                    self.key_id = id;
                    let number_len = opened.number_len;
                    let first = ClientInitial { dcid: long.dcid, scid: long.scid, number_len };
                    self.client.get_or_insert((side, first));
                }
                self.frames(side, from, opened.frames);
                return;
            }
            if id == long.dcid {
                return;
            }
        }
    }

    /// Takes in the frames of an Initial packet (RFC 9000 section 19).
    fn frames(&mut self, side: Side, from: From, frames: &[u8]) {
        let mut r = Reader::new(frames);
        while let Some(kind) = varint(&mut r) {
            let read = match kind {
                // The client's packets are filled up to the least size of a datagram: most of what they hold is this.
                PADDING => {
                    r.skip_zeros();
                    Some(())
                }
                PING => Some(()),
                ACK | ACK_ECN => skip_ack(&mut r, kind == ACK_ECN),
                CRYPTO => self.crypto_frame(side, &mut r),
                CONNECTION_CLOSE => return,
                _ => None,
            };
            if read.is_none() {
                break;
            }
        }
        self.messages(side, from);
    }

    fn crypto_frame(&mut self, side: Side, r: &mut Reader<'_>) -> Option<()> {
        let (offset, len) = (varint(r)?, varint(r)?);
        let bytes = r.take(usize::try_from(len).ok()?)?;
        if let Ok(offset) = usize::try_from(offset) {
            self.direction_mut(side).crypto.add(offset, bytes, MAX_CRYPTO);
        }
        Some(())
    }

    /// Reads the messages that are whole.
    fn messages(&mut self, side: Side, from: From) {
        loop {
            let [a, b] = &mut self.sides;
            let d = if side == Side::A { a } else { b };
            let ready = d.crypto.ready().get(d.taken..).unwrap_or_default();
            let mut r = Reader::new(ready);
            let (Some(kind), Some(len)) = (r.u8(), r.u24()) else { return };
            if from == From::Client && kind == 1 {
                self.facts.client_side = Some(side);
            }
            let more = if len as usize >= MAX_MESSAGE {
                false
            } else if let Some(body) = r.take(len as usize) {
                match from {
                    From::Client => self.facts.client_message(kind, body),
                    From::Server => self.facts.server_message(kind, body),
                }
            } else {
                return;
            };
            d.taken += 4 + len as usize;
            if !more {
                (d.read, d.crypto) = (true, Joined::default());
                return;
            }
        }
    }
}

/// Most bytes of CRYPTO frames of one side that are read: a HelloRetryRequest and the longest message behind it.
const MAX_CRYPTO: usize = MAX_MESSAGE + 1024;

const PADDING: u64 = 0;
const PING: u64 = 1;
const ACK: u64 = 2;
const ACK_ECN: u64 = 3;
const CRYPTO: u64 = 6;
const CONNECTION_CLOSE: u64 = 0x1c;

fn skip_ack(r: &mut Reader<'_>, ecn: bool) -> Option<()> {
    varint(r)?; // largest acknowledged
    varint(r)?; // delay
    let ranges = varint(r)?;
    varint(r)?; // first range
    // A range has two bytes at least: no more of them are read than the packet has bytes.
    for _ in 0..ranges {
        varint(r)?;
        varint(r)?;
    }
    if ecn {
        (0..3).try_for_each(|_| varint(r).map(drop))?;
    }
    Some(())
}

impl DatagramSession for QuicSession {
    fn read(&mut self, side: Side, datagram: &Datagram<'_>, scratch: &mut Vec<u8>) -> Taken {
        match self.google {
            Some(_) => Taken::DONE,
            None => {
                self.packets(side, datagram, scratch);
                Taken::NOTHING
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        self.facts.heap_bytes() + self.sides.iter().map(|d| d.crypto.heap_bytes()).sum::<usize>()
    }
}
