//! DTLS (RFC 6347, RFC 9147): a handshake in datagrams, its messages in fragments.

use super::facts::{Facts, Transport, handshake};
use super::join::Joined;
use super::record::{Hello, content};
use crate::packet::Side;
use crate::protocols::{Datagram, DatagramSession, Taken};
use crate::wire::Reader;

/// Messages of one side that may be incomplete at a time. A flight has five or so, and they come nearly in order.
const MAX_PARTIAL: usize = 8;

/// Most bytes of incomplete messages of one side.
const MAX_PARTIAL_BYTES: usize = super::MAX_MESSAGE;

/// Most bytes of a ServerKeyExchange that is kept for the ServerHello: one with keys of 4096 bits takes 1600.
const MAX_EARLY_BYTES: usize = 2048;

/// DTLS in a flow of datagrams, from the first hello on; datagrams of other protocols (STUN, RTP) may lie between.
#[derive(Clone, Debug)]
pub struct DtlsSession {
    facts: Facts,
    sides: [Direction; 2],
    /// Datagrams of nothing but records, up to two.
    record_datagrams: u8,
}

#[derive(Clone, Debug, Default)]
struct Direction {
    /// Whether application data has come.
    application: bool,
    /// Whether no more messages are wanted.
    read: bool,
    partial: Vec<Partial>,
    early: Early,
}

/// What came before the ServerHello that it is understood by: datagrams of a flight may overtake one another.
#[derive(Clone, Debug, Default)]
struct Early {
    key_exchange: Vec<u8>,
    change_cipher_spec: bool,
}

#[derive(Clone, Debug)]
struct Partial {
    sequence: u16,
    kind: u8,
    len: usize,
    joined: Joined,
}

/// The header of a record (RFC 6347 section 4.1).
struct Record<'a> {
    kind: u8,
    version: u16,
    epoch: u16,
    len: u16,
    /// The content as far as it is there.
    content: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(r: &mut Reader<'a>) -> Option<Self> {
        let (kind, version, epoch) = (r.u8()?, r.u16()?, r.u16()?);
        r.take(6)?; // sequence number
        let len = r.u16()?;
        if !(content::CHANGE_CIPHER_SPEC..=24).contains(&kind) || !is_version(version) {
            return None;
        }
        let content = r.take(r.len().min(len.into()))?;
        Some(Self { kind, version, epoch, len, content })
    }
}

/// Versions in records: 1.0, 1.2 (and 1.3), and 0x0100 of OpenSSL before the standard.
fn is_version(version: u16) -> bool {
    matches!(version, 0xfeff | 0xfefd | 0x0100)
}

/// Whether a datagram starts with a record of DTLS.
pub fn may_be_dtls(datagram: &[u8]) -> bool {
    Record::read(&mut Reader::new(datagram)).is_some()
}

/// Whether a datagram starts with a hello of DTLS.
pub fn looks_like_dtls_hello(datagram: &[u8]) -> Option<Hello> {
    let record = Record::read(&mut Reader::new(datagram))?;
    match (record.kind, record.epoch, record.content.first()?) {
        (content::HANDSHAKE, 0, 1) => Some(Hello::Client),
        (content::HANDSHAKE, 0, 2) => Some(Hello::Server),
        _ => None,
    }
}

/// Whether a datagram is nothing but records of DTLS.
fn is_records(datagram: &[u8]) -> bool {
    let mut r = Reader::new(datagram);
    while !r.is_empty() {
        match Record::read(&mut r) {
            Some(record)
                if record.kind <= content::APPLICATION_DATA
                    && record.version != 0x0100
                    && record.len > 0
                    && record.content.len() == usize::from(record.len) => {}
            _ => return false,
        }
    }
    !datagram.is_empty()
}

impl Default for DtlsSession {
    fn default() -> Self {
        Self { facts: Facts::new(Transport::Dtls), sides: Default::default(), record_datagrams: 0 }
    }
}

impl DtlsSession {
    /// Most bytes on the heap besides those of [`Facts`]: of each side, what may be incomplete, and one message more.
    pub const MAX_HEAP: usize = 2
        * (MAX_PARTIAL_BYTES
            + super::MAX_MESSAGE
            + MAX_PARTIAL * (size_of::<Partial>() + Joined::MAX_RANGES_BYTES)
            + MAX_EARLY_BYTES);

    /// What has been read so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, to keep.
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// The flow has ended: frees what was half read.
    pub fn end(&mut self) {
        self.sides.iter_mut().for_each(|d| (d.partial, d.early) = (Vec::new(), Early::default()));
    }

    /// Takes in the records of a datagram.
    fn records(&mut self, side: Side, datagram: &[u8]) {
        let mut r = Reader::new(datagram);
        let mut counted = false;
        while let Some(record) = Record::read(&mut r) {
            let Some(d) = self.sides.get_mut(side as usize) else { return };
            match record.kind {
                content::HANDSHAKE => {
                    if !counted && !d.application {
                        self.facts.handshake_packets += 1;
                        counted = true;
                    }
                    // Records of later epochs are encrypted.
                    if record.epoch == 0 && !d.read {
                        self.fragments(side, record.content);
                    }
                }
                content::CHANGE_CIPHER_SPEC if self.facts.client_side == Some(side.other()) => {
                    d.early.change_cipher_spec |= self.facts.server.is_none();
                    self.facts.change_cipher_spec();
                }
                content::APPLICATION_DATA => {
                    d.application = true;
                    d.end();
                }
                _ => {}
            }
        }
    }

    /// Takes in the handshake messages of a record, or fragments of them.
    fn fragments(&mut self, side: Side, content: &[u8]) {
        let server = self.facts.client_side == Some(side.other());
        let Some(d) = self.sides.get_mut(side as usize) else { return };
        let mut r = Reader::new(content);
        while let Some(f) = Fragment::read(&mut r) {
            if f.len >= super::MAX_MESSAGE || f.offset + f.bytes.len() > f.len {
                return;
            }
            let more = if f.bytes.len() == f.len {
                // What came of it in pieces, if anything did, says the same.
                d.message(&mut self.facts, server, f.kind, f.bytes)
            } else if let Some((kind, joined)) = d.join(&f) {
                d.message(&mut self.facts, server, kind, joined.ready())
            } else {
                true
            };
            if !more {
                d.end();
                return;
            }
        }
    }
}

/// A handshake message or a part of one (RFC 6347 section 4.2.2).
struct Fragment<'a> {
    kind: u8,
    len: usize,
    sequence: u16,
    offset: usize,
    bytes: &'a [u8],
}

impl<'a> Fragment<'a> {
    fn read(r: &mut Reader<'a>) -> Option<Self> {
        let (kind, len, sequence, offset) = (r.u8()?, r.u24()?, r.u16()?, r.u24()?);
        let bytes = r.vec24()?.rest();
        Some(Self { kind, len: len as usize, sequence, offset: offset as usize, bytes })
    }
}

impl Direction {
    /// Takes in a message. Whether another one is wanted.
    fn message(&mut self, facts: &mut Facts, server: bool, kind: u8, body: &[u8]) -> bool {
        if !server {
            return facts.client_message(kind, body);
        }
        let had_hello = facts.server.is_some();
        if !had_hello && kind == handshake::SERVER_KEY_EXCHANGE && body.len() <= MAX_EARLY_BYTES {
            self.early.key_exchange = body.to_vec();
        }
        let more = facts.server_message(kind, body);
        if !had_hello && facts.server.is_some() {
            let early = std::mem::take(&mut self.early);
            if !early.key_exchange.is_empty() {
                facts.server_message(handshake::SERVER_KEY_EXCHANGE, &early.key_exchange);
            }
            if early.change_cipher_spec {
                facts.change_cipher_spec();
            }
        }
        // What stands before the end of a flight may come behind it.
        more || kind == handshake::SERVER_HELLO_DONE
    }

    /// No more messages are wanted.
    fn end(&mut self) {
        (self.read, self.partial, self.early) = (true, Vec::new(), Early::default());
    }

    /// Adds a fragment to its message; gives the message when it is whole.
    fn join(&mut self, f: &Fragment<'_>) -> Option<(u8, Joined)> {
        let same = |p: &Partial| p.sequence == f.sequence && p.kind == f.kind && p.len == f.len;
        let place = match self.partial.iter().position(same) {
            Some(place) => place,
            None => {
                if self.partial.len() >= MAX_PARTIAL {
                    self.partial.remove(0);
                }
                let Fragment { sequence, kind, len, .. } = *f;
                self.partial.push(Partial { sequence, kind, len, joined: Joined::default() });
                self.partial.len() - 1
            }
        };
        let partial = self.partial.get_mut(place)?;
        partial.joined.add(f.offset, f.bytes, f.len);
        if partial.joined.ready().len() == f.len {
            let whole = self.partial.remove(place);
            if self.partial.is_empty() {
                self.partial = Vec::new();
            }
            return Some((whole.kind, whole.joined));
        }
        // The oldest ones are given up for what comes now.
        while self.heap_bytes() > MAX_PARTIAL_BYTES && self.partial.len() > 1 {
            self.partial.remove(0);
        }
        None
    }

    fn heap_bytes(&self) -> usize {
        self.partial.capacity() * size_of::<Partial>()
            + self.partial.iter().map(|p| p.joined.heap_bytes()).sum::<usize>()
            + self.early.key_exchange.capacity()
    }
}

impl DatagramSession for DtlsSession {
    fn read(&mut self, side: Side, datagram: &Datagram<'_>, _scratch: &mut Vec<u8>) -> Taken {
        if self.facts.client_side.is_none() {
            match looks_like_dtls_hello(datagram.bytes) {
                Some(Hello::Client) => self.facts.client_side = Some(side),
                Some(Hello::Server) => self.facts.client_side = Some(side.other()),
                None => {
                    if !self.facts.records_only && datagram.is_whole() && is_records(datagram.bytes) {
                        self.record_datagrams += 1;
                        self.facts.records_only = self.record_datagrams >= 2;
                    }
                    return Taken::NOTHING;
                }
            }
        }
        self.records(side, datagram.bytes);
        let done = self.sides.iter().all(|d| d.application);
        if done { Taken::DONE } else { Taken::NOTHING }
    }

    fn heap_bytes(&self) -> usize {
        self.facts.heap_bytes() + self.sides.iter().map(Direction::heap_bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tls::testing::Hello as Made;
    use Side::{A, B};

    fn record(kind: u8, epoch: u8, content: &[u8]) -> Vec<u8> {
        [&[kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 7][..], &(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn u24(n: usize) -> [u8; 3] {
        [0, (n >> 8) as u8, n as u8]
    }

    fn fragment(kind: u8, sequence: u8, body: &[u8], from: usize, to: usize) -> Vec<u8> {
        let part = &body[from..to];
        [&[kind][..], &u24(body.len()), &[0, sequence], &u24(from), &u24(part.len()), part].concat()
    }

    fn whole(kind: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
        fragment(kind, sequence, body, 0, body.len())
    }

    fn client_hello(cookie: &[u8]) -> Vec<u8> {
        let extensions: &[(u16, &[u8])] = &[(0, b"\0\x0c\0\0\x09localhost")];
        let mut body = Made { version: 0xfefd, ciphers: &[0xc02b], extensions, ..Made::default() }.body();
        body.splice(35..35, [&[cookie.len() as u8][..], cookie].concat());
        body
    }

    fn server_hello() -> Vec<u8> {
        [&[0xfe, 0xfd][..], &[5; 32], &[0, 0xc0, 0x2b, 0]].concat()
    }

    fn feed(datagrams: &[(Side, Vec<u8>)]) -> DtlsSession {
        let mut session = DtlsSession::default();
        for (side, bytes) in datagrams {
            let datagram = Datagram { bytes, wire_len: bytes.len() as u32, at: 0 };
            session.read(*side, &datagram, &mut Vec::new());
        }
        session
    }

    #[test]
    fn a_handshake_with_a_cookie() {
        let certificate = [&[0, 4, 3, 0, 4, 0][..], &[0x30; 1024]].concat();
        let s = feed(&[
            (A, record(22, 0, &whole(1, 0, &client_hello(&[])))),
            (B, record(22, 0, &whole(3, 0, &[0xfe, 0xff, 2, 1, 1]))),
            (A, record(22, 0, &whole(1, 1, &client_hello(&[1, 1])))),
            (
                B,
                [
                    record(22, 0, &whole(2, 1, &server_hello())),
                    record(22, 0, &fragment(11, 2, &certificate, 500, 1030)),
                ]
                .concat(),
            ),
            (B, record(22, 0, &fragment(11, 2, &certificate, 0, 600))),
            (B, record(22, 0, &whole(14, 3, &[]))),
            (B, [record(20, 0, &[1]), record(22, 1, &[7; 40])].concat()),
            (B, record(23, 1, &[7; 40])),
            (B, record(22, 1, &[7; 40])),
        ]);
        let facts = s.facts();
        assert_eq!((facts.client_side, facts.version(), facts.handshake_packets), (Some(A), Some(0xfefd), 7));
        assert_eq!(facts.client.as_ref().and_then(|c| c.server_name()), Some(&b"localhost"[..]));
        assert_eq!((facts.certificates.as_ref().map(|c| c.total_len), facts.resumed()), (Some(1024), Some(false)));
        assert_eq!(s.sides.iter().map(Direction::heap_bytes).sum::<usize>(), 0);
    }

    #[test]
    fn records_without_a_hello() {
        let data = record(23, 1, &[7; 40]);
        assert!(!feed(&[(A, data.clone())]).facts().is_detected());
        assert!(feed(&[(A, data.clone()), (B, data.clone())]).facts().records_only);
        let more = [&data[..], &[0]].concat();
        assert!(!feed(&[(A, more.clone()), (B, data.clone()), (B, more)]).facts().is_detected());
    }

    #[test]
    fn fragments_that_never_end_are_bounded() {
        let mut session = DtlsSession::default();
        session.facts.client_side = Some(A);
        for i in 0..50_000u32 {
            let mut content = vec![11, 0, 0xff, 0xff, 0, i as u8];
            content.extend([0, (i * 7) as u8, (i / 3) as u8, 0, 0, 9]);
            content.extend([1; 9]);
            let bytes = record(22, 0, &content);
            let datagram = Datagram { bytes: &bytes, wire_len: bytes.len() as u32, at: 0 };
            session.read(B, &datagram, &mut Vec::new());
            assert!(session.heap_bytes() <= DtlsSession::MAX_HEAP);
        }
    }

    proptest::proptest! {
        /// Datagrams of the server's flight may overtake one another.
        #[test]
        fn a_flight_in_any_order(order in proptest::strategy::Strategy::prop_shuffle(proptest::prelude::Just([0, 1, 2, 3, 4])), full: bool) {
            let certificate = [&[0, 4, 3, 0, 4, 0][..], &[0x30; 1024]].concat();
            let key_exchange = [&[3, 0, 23, 4][..], &[4; 4], &[4, 3, 0, 0]].concat();
            let hello = record(22, 0, &whole(2, 1, &server_hello()));
            let change = [record(20, 0, &[1]), record(22, 1, &[7; 40])].concat();
            let flight = if full {
                [
                    [hello, record(22, 0, &fragment(11, 2, &certificate, 0, 600))].concat(),
                    record(22, 0, &fragment(11, 2, &certificate, 600, 1030)),
                    record(22, 0, &whole(12, 3, &key_exchange)),
                    record(22, 0, &whole(14, 4, &[])),
                    record(22, 0, &whole(13, 3, &[1, 1, 0, 0])),
                ]
            } else {
                [hello, change.clone(), change.clone(), change.clone(), change]
            };
            let flight = order.map(|at| (B, flight[at].clone()));
            let s = feed(&[&[(A, record(22, 0, &whole(1, 0, &client_hello(&[]))))][..], &flight].concat());
            let facts = s.facts();
            proptest::prop_assert_eq!((facts.server.as_ref().map(|h| h.cipher), facts.resumed()), (Some(0xc02b), Some(!full)));
            proptest::prop_assert_eq!(facts.certificates.as_ref().map(|c| c.total_len), full.then_some(1024));
            proptest::prop_assert_eq!(facts.key_exchange().map(|k| (k.group, k.public_len)), full.then_some((Some(23), 4)));
        }

        /// Fragments of any size, in any order, with any repetition, give the message that they are parts of.
        #[test]
        fn fragments_in_any_order(parts in proptest::collection::vec((0..90usize, 1..40usize), 0..30)) {
            let body = client_hello(&[]);
            let cut: Vec<_> = parts
                .into_iter()
                .map(|(from, len)| (from.min(body.len() - 1), len))
                .chain((0..body.len()).step_by(30).map(|from| (from, 30)))
                .map(|(from, len)| (A, record(22, 0, &fragment(1, 0, &body, from, (from + len).min(body.len())))))
                .collect();
            let s = feed(&cut);
            let at_once = feed(&[(A, record(22, 0, &whole(1, 0, &body)))]);
            proptest::prop_assert_eq!(&s.facts().client, &at_once.facts().client);
            proptest::prop_assert!(s.facts().client.is_some());
        }
    }
}
