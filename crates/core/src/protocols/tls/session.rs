//! TLS over a stream: its records, and the handshake messages that are in clear.

use super::facts::{Facts, Transport};
use super::record::{Header, Hello, RECORD_HEADER, content};
use super::start::{Finder, Finding};
use crate::packet::Side;
use crate::protocols::{Probe, SegmentCount, Session, Shown, Taken};
use crate::wire::Reader;

/// Most bytes that one handshake message may take in the stream, headers of its records included. A message that is cut
/// into records of a byte or two would have six times its length wait for its end; none that is meant to be read is.
const MAX_SPAN: u64 = 96 << 10;

/// Bytes of the header of a handshake message.
const MESSAGE_HEADER: u32 = 4;

/// TLS over one connection. A hello is looked for at the starts of segments; from there on records are followed.
#[derive(Clone, Debug)]
pub struct TlsSession {
    facts: Facts,
    sides: [Direction; 2],
    /// The client of this connection.
    client: Option<Side>,
    /// The handshake was that of an earlier connection: only counts go on.
    frozen: bool,
    /// Whether application data is followed to its end.
    to_end: bool,
    packets: SegmentCount,
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Seeking(Finder),
    Following(Follower),
    Done,
}

/// One direction from its hello on.
#[derive(Clone, Copy, Debug)]
struct Follower {
    /// How far records were followed.
    place: Place,
    /// Type and length of the record.
    record: Header,
    /// Whether a record of application data has come.
    application: bool,
    /// Whether handshake messages are read.
    clear: bool,
    /// Where the message begins that is being read, if a byte of it is there.
    message: Place,
    /// Bytes of messages from there to `place`.
    available: u32,
    /// Bytes that it takes to go on: those of a message's header, then those of the message.
    need: u32,
}

impl TlsSession {
    /// Before the first byte. `to_end`: records of application data are counted to the end of the connection; without it,
    /// a direction is done when its application data begins.
    pub fn new(to_end: bool) -> Self {
        Self {
            facts: Facts::new(Transport::Tcp),
            sides: [Direction::Seeking(Finder::default()); 2],
            client: None,
            frozen: false,
            to_end,
            packets: SegmentCount::default(),
        }
    }

    /// What has been read so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, to keep.
    pub fn into_facts(self) -> Facts {
        self.facts
    }

    /// Whether nothing more of either direction is wanted.
    pub fn is_done(&self) -> bool {
        self.sides.iter().all(|d| matches!(d, Direction::Done))
    }

    /// Follows records as far as the bytes go.
    fn follow(&mut self, f: &mut Follower, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken {
        if let Some(stepped) = shown.offset.checked_sub(f.place.at) {
            // Application data that was stepped over.
            f.place.at += stepped;
            f.place.left = f.place.left.saturating_sub(stepped.try_into().unwrap_or(u32::MAX));
        }
        let server = self.client == Some(side.other());
        loop {
            let rest = shown.bytes_from(f.place.at);
            let Some(&first) = rest.first() else { break };
            let handshake = if f.place.left == 0 { first } else { f.record.kind } == content::HANDSHAKE;
            if handshake && !f.application {
                self.packets.add(&shown.segment);
            }
            if f.place.left == 0 {
                match Header::read(rest) {
                    Probe::Certain(header) => f.record = header,
                    Probe::NeedMore => break,
                    Probe::NotThis => return Taken::MALFORMED,
                }
                f.place.at += RECORD_HEADER as u64;
                f.place.left = f.record.len.into();
                match f.record.kind {
                    content::CHANGE_CIPHER_SPEC if f.clear => f.clear = server && self.facts.change_cipher_spec(),
                    content::APPLICATION_DATA => {
                        (f.clear, f.application) = (false, true);
                        if !self.to_end {
                            return Taken::DONE;
                        }
                    }
                    _ => {}
                }
                continue;
            }
            if handshake && f.available == 0 {
                f.message = f.place;
            }
            let n = f.place.left.min(rest.len().try_into().unwrap_or(u32::MAX));
            f.place.at += u64::from(n);
            f.place.left -= n;
            if handshake && f.clear {
                f.available += n;
                self.messages(f, server, shown, scratch);
            } else if f.record.kind == content::APPLICATION_DATA && f.place.left == 0 {
                self.facts.records.add(f.record.len);
            }
        }
        let keep = match f.record.kind {
            _ if f.clear && f.available > 0 => f.message.at,
            // The last byte has to be shown: only then is the record complete.
            content::APPLICATION_DATA => f.place.at + u64::from(f.place.left.saturating_sub(1)),
            _ => f.place.at,
        };
        Taken::bytes(keep.saturating_sub(shown.offset))
    }

    /// Reads the handshake messages that are complete.
    fn messages(&mut self, f: &mut Follower, server: bool, shown: &Shown<'_>, scratch: &mut Vec<u8>) {
        while f.clear && f.available >= f.need {
            let mut header = Reader::new(f.message.bytes(shown, MESSAGE_HEADER as usize, scratch));
            let (kind, len) = (header.u8().unwrap_or_default(), header.u24().unwrap_or_default());
            if len as usize >= super::MAX_MESSAGE {
                f.clear = false;
                break;
            }
            f.need = MESSAGE_HEADER + len;
            if f.available < f.need {
                break;
            }
            let message = f.message.bytes(shown, f.need as usize, scratch);
            let body = message.get(MESSAGE_HEADER as usize..).unwrap_or_default();
            f.clear = match server {
                true => self.facts.server_message(kind, body),
                false => self.facts.client_message(kind, body),
            };
            f.message.step(shown, f.need);
            f.available -= f.need;
            f.need = MESSAGE_HEADER;
        }
        if f.place.at.saturating_sub(f.message.at) > MAX_SPAN {
            f.clear = false;
        }
    }
}

impl Session for TlsSession {
    fn read(&mut self, side: Side, shown: &Shown<'_>, scratch: &mut Vec<u8>) -> Taken {
        let Some(direction) = self.sides.get(side as usize).copied() else { return Taken::DONE };
        let mut follower = match direction {
            Direction::Done => return Taken::DONE,
            Direction::Following(follower) => follower,
            Direction::Seeking(mut finder) => {
                let client = self.client;
                let finding = finder.look(shown, |hello| match hello {
                    Hello::Client => client.is_none_or(|c| c == side),
                    Hello::Server => client != Some(side),
                });
                match finding {
                    Finding::Begins { at, hello, segments } => {
                        self.client = Some(if hello == Hello::Client { side } else { side.other() });
                        self.packets.count += u64::from(segments);
                        if !self.frozen {
                            self.facts.client_side = self.client;
                        }
                        Follower::at(at, !self.frozen)
                    }
                    Finding::Keep { from, records } => {
                        self.facts.records_only |= records;
                        self.sides[side as usize] = Direction::Seeking(finder);
                        return Taken::bytes(from - shown.offset);
                    }
                    Finding::Nothing => {
                        self.sides[side as usize] = Direction::Done;
                        return Taken::DONE;
                    }
                }
            }
        };
        let taken = self.follow(&mut follower, side, shown, scratch);
        let now = if taken.done { Direction::Done } else { Direction::Following(follower) };
        self.sides[side as usize] = now;
        self.facts.handshake_packets = self.packets.count;
        taken
    }

    fn restart(&mut self) {
        self.frozen = self.facts.has_hello();
        self.client = None;
        self.sides = [Direction::Seeking(Finder::default()); 2];
    }

    fn heap_bytes(&self) -> usize {
        self.facts.heap_bytes()
    }
}

impl Follower {
    fn at(at: u64, clear: bool) -> Self {
        let place = Place { at, left: 0 };
        let record = Header { kind: content::HANDSHAKE, len: 0 };
        Self { place, record, application: false, clear, message: place, available: 0, need: MESSAGE_HEADER }
    }
}

/// A place within the records of a stream.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u64,
    /// Bytes of the record that are left there; 0: a header comes.
    left: u32,
}

impl Place {
    /// The next `n` bytes of handshake records, joined in `scratch` where they lie in several. Fewer, where fewer are shown.
    fn bytes<'a>(mut self, shown: &Shown<'a>, n: usize, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if self.left as usize >= n {
            return shown.bytes_from(self.at).get(..n).unwrap_or_default();
        }
        scratch.clear();
        self.walk(shown, n as u32, |part| scratch.extend_from_slice(part));
        scratch
    }

    /// Steps over `n` bytes of handshake records.
    fn step(&mut self, shown: &Shown<'_>, n: u32) {
        self.walk(shown, n, |_| {});
    }

    /// Gives the next `n` bytes of handshake records part by part. Other records between them are stepped over.
    fn walk(&mut self, shown: &Shown<'_>, mut n: u32, mut part: impl FnMut(&[u8])) {
        while n > 0 {
            if self.left == 0 {
                let Probe::Certain(header) = Header::read(shown.bytes_from(self.at)) else { return };
                self.at += RECORD_HEADER as u64;
                if header.kind == content::HANDSHAKE {
                    self.left = header.len.into();
                } else {
                    self.at += u64::from(header.len);
                }
                continue;
            }
            let Some(bytes) = shown.bytes_from(self.at).get(..n.min(self.left) as usize) else { return };
            part(bytes);
            let len = bytes.len() as u32;
            self.at += u64::from(len);
            self.left -= len;
            n -= len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::testing::Wire;
    use crate::protocols::tls::testing::{Hello, message, record};
    use Side::{A, B};

    fn client_hello() -> Vec<u8> {
        let extensions: &[(u16, &[u8])] = &[(0, b"\0\x0c\0\0\x09localhost"), (43, b"\x02\x03\x04")];
        Hello { version: 0x0303, session_id: &[9; 32], ciphers: &[0x1301, 0xc02f], extensions }.message()
    }

    fn server_hello(version: u16, retry: bool, session_id: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        match retry {
            true => body.extend(super::super::server_hello::RETRY),
            false => body.extend([5; 32]),
        }
        body.push(session_id.len() as u8);
        body.extend(session_id);
        body.extend([0xc0, 0x2f, 0]);
        if version == 0x0304 {
            body.extend([0, 6, 0, 43, 0, 2, 3, 4]);
        }
        message(2, &body)
    }

    fn certificate() -> Vec<u8> {
        message(11, &[&[0, 8, 3, 0, 8, 0][..], &[0x30; 2048]].concat())
    }

    /// A full handshake of TLS 1.2 in both directions.
    fn full_12() -> [Vec<u8>; 2] {
        let key_exchange = message(12, &[&[3, 0, 29, 32][..], &[9; 32], &[4, 1, 0, 0]].concat());
        let flight = [server_hello(0x0303, false, &[]), certificate(), key_exchange, message(14, &[])].concat();
        let client = [
            record(22, &client_hello()),
            record(22, &message(16, &[1; 33])),
            record(20, &[1]),
            record(22, &[0xaa; 40]),
            record(23, &[0xbb; 538]),
        ];
        // Three records, cut where no message ends.
        let server = [
            record(22, &flight[..50]),
            record(22, &flight[50..1000]),
            record(22, &flight[1000..]),
            record(20, &[1]),
            record(22, &[0xcc; 40]),
            record(23, &[0xdd; 538]),
        ];
        [client.concat(), server.concat()]
    }

    fn session(feed: impl FnOnce(&mut Wire<TlsSession>)) -> Facts {
        let mut f = Wire::new(TlsSession::new(true));
        feed(&mut f);
        f.session.into_facts()
    }

    #[test]
    fn a_full_handshake() {
        let [client, server] = full_12();
        let facts = session(|f| {
            f.send(A, &client);
            f.send(B, &server);
        });
        assert_eq!((facts.client_side, facts.version(), facts.handshake_packets), (Some(A), Some(0x0303), 2));
        assert_eq!(facts.client.as_ref().and_then(|c| c.server_name()), Some(&b"localhost"[..]));
        let chain = facts.certificates.as_ref().unwrap();
        assert_eq!((chain.count, chain.total_len), (1, 2048));
        assert_eq!(facts.key_exchange().unwrap().group, Some(29));
        assert_eq!((facts.resumed(), facts.records.all, facts.records.gcm), (Some(false), 2, 2));
    }

    #[test]
    fn resumption_by_its_messages() {
        let go = |server: &[u8]| {
            session(|f| {
                f.send(A, &record(22, &client_hello()));
                f.send(B, server);
            })
            .resumed()
        };
        let ccs = record(20, &[1]);
        assert_eq!(go(&record(22, &server_hello(0x0303, false, &[9; 32]))), Some(true));
        assert_eq!(go(&record(22, &server_hello(0x0303, false, &[8; 32]))), None);
        assert_eq!(go(&[record(22, &server_hello(0x0303, false, &[8; 32])), ccs.clone()].concat()), Some(true));
        let ticket = [record(22, &server_hello(0x0303, false, &[])), record(22, &message(4, &[0; 9])), ccs].concat();
        assert_eq!(go(&ticket), Some(true));
        assert_eq!(go(&record(22, &server_hello(0x0304, false, &[9; 32]))), Some(false));
    }

    #[test]
    fn behind_a_retry_comes_another_hello() {
        let facts = session(|f| {
            f.send(A, &record(22, &client_hello()));
            f.send(B, &[record(22, &server_hello(0x0304, true, &[9; 32])), record(20, &[1])].concat());
            f.send(B, &record(22, &server_hello(0x0304, false, &[9; 32])));
            f.send(B, &record(23, &[0; 9]));
            f.send(B, &record(22, &[0; 9]));
        });
        assert!(facts.retry.is_some() && facts.server.as_ref().is_some_and(|s| !s.retry && s.is_13()));
        assert_eq!(facts.handshake_packets, 3);
    }

    #[test]
    fn tls_may_begin_late_at_the_start_of_a_segment() {
        let facts = session(|f| {
            f.send(B, b"220 mail.example ESMTP\r\n");
            f.send(A, b"STARTTLS\r\n");
            f.send(B, b"220 go\r\n");
            f.send(A, &record(22, &client_hello()));
        });
        assert!(facts.client.is_some());
        let facts = session(|f| _ = f.send(A, &[b"STARTTLS\r\n".to_vec(), record(22, &client_hello())].concat()));
        assert!(!facts.is_detected());
        let facts = session(|f| {
            (0..66).for_each(|_| _ = f.send(A, &[b'x'; 1000]));
            f.send(A, &record(22, &client_hello()));
        });
        assert!(!facts.is_detected());
    }

    #[test]
    fn behind_a_proxy_header_it_may_begin_in_the_same_segment() {
        let proxy = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
        let bytes = [&proxy[..], &record(22, &client_hello())].concat();
        for cut in 0..bytes.len() {
            let facts = session(|f| {
                f.send(A, &bytes[..cut]);
                f.send(A, &bytes[cut..]);
            });
            assert!(facts.client.is_some(), "{cut}");
            assert_eq!(facts.handshake_packets, if cut > proxy.len() { 2 } else { 1 }, "{cut}");
        }
    }

    #[test]
    fn records_without_a_hello() {
        let records = [record(23, &[1; 100]), record(23, &[2; 50])].concat();
        for cut in 0..records.len() {
            let facts = session(|f| {
                f.send(A, &records[..cut]);
                assert!(!f.session.facts().is_detected());
                f.send(A, &records[cut..]);
            });
            assert!(facts.records_only && !facts.has_hello(), "{cut}");
        }
        let facts = session(|f| {
            f.send(A, b"x");
            f.send(A, &records);
        });
        assert!(!facts.is_detected());
    }

    #[test]
    fn a_second_connection_adds_to_the_counts_only() {
        let [client, server] = full_12();
        let facts = session(|f| {
            f.send(A, &record(22, &client_hello()[..20]));
            f.restart();
            f.send(A, &client);
            f.send(B, &server);
        });
        assert!(facts.client.is_none() && facts.server.is_none());
        assert_eq!(facts.handshake_packets, 3);
    }

    #[test]
    fn a_message_that_is_too_long_is_not_waited_for() {
        let facts = session(|f| {
            f.send(A, &record(22, &client_hello()));
            f.send(B, &record(22, &server_hello(0x0303, false, &[])));
            f.send(B, &record(22, &[11, 1, 0, 0, 0, 0]));
            assert!(f.held(B) == 0);
        });
        assert!(facts.certificates.is_none());
    }

    proptest::proptest! {
        /// The facts are those of the bytes, however they come; only the number of segments differs.
        #[test]
        fn any_split_gives_the_same_facts(
            cuts in proptest::collection::vec(0..3000usize, 0..40),
            bytes_at: Vec<(proptest::sample::Index, u8)>,
        ) {
            let mut streams = full_12();
            for (i, (at, b)) in bytes_at.into_iter().enumerate().take(4) {
                let stream = &mut streams[i % 2];
                let at = at.index(stream.len());
                stream[at] = b;
            }
            let [client, server] = &streams;
            let whole = session(|f| {
                f.send(A, client);
                f.send(B, server);
            });
            let mut split = session(|f| _ = f.send_cut(A, client, &cuts).send_cut(B, server, &cuts));
            proptest::prop_assert!(split.handshake_packets >= whole.handshake_packets);
            split.handshake_packets = whole.handshake_packets;
            proptest::prop_assert_eq!(split, whole);
        }
    }
}
