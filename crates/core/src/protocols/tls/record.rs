//! Records (RFC 8446 section 5.1): where TLS begins in a stream.

use crate::protocols::Probe;
use crate::wire::Reader;

/// Longest record: 2^14 bytes and what TLS 1.2 allows for encryption (RFC 5246 section 6.2.3).
pub const MAX_RECORD: u16 = 18_432;

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 5;

/// Content types of records.
#[allow(missing_docs)]
pub mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: u8,
    pub len: u16,
}

impl Header {
    /// Reads it: any type that TLS has, version 3.x.
    pub fn read(bytes: &[u8]) -> Probe<Self> {
        let mut r = Reader::new(bytes);
        let Some(kind) = r.u8() else { return Probe::NeedMore };
        // 24: heartbeat (RFC 6520).
        if !(content::CHANGE_CIPHER_SPEC..=24).contains(&kind) {
            return Probe::NotThis;
        }
        match (r.u8(), r.u8(), r.u16()) {
            (Some(3), Some(_), Some(len)) if len <= MAX_RECORD => Probe::Certain(Self { kind, len }),
            (Some(3) | None, _, None) => Probe::NeedMore,
            _ => Probe::NotThis,
        }
    }
}

/// Which hello a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello {
    /// Sent by the client.
    Client,
    /// Sent by the server.
    Server,
}

/// Whether a stream that goes on with these bytes begins TLS here: the header of a handshake record with the header and
/// the version of a hello in it. Eleven bytes answer it, nine for a first record that is shorter than a message's header.
///
/// A hello has at least two bytes of version, 32 of random, a session id, cipher suites or one, and compression: 38.
pub fn looks_like_hello(bytes: &[u8]) -> Probe<Hello> {
    hello(bytes).unwrap_or(Probe::NeedMore)
}

/// The same; none is more needed.
fn hello(bytes: &[u8]) -> Option<Probe<Hello>> {
    let no = Some(Probe::NotThis);
    let mut r = Reader::new(bytes);
    if r.u8()? != content::HANDSHAKE || r.u8()? != 3 {
        return no;
    }
    if r.u8()? > 4 {
        return no;
    }
    let len = r.u16()?;
    if !(1..=MAX_RECORD).contains(&len) {
        return no;
    }
    // The first record may end within the header of the message; the rest of it is behind further headers.
    let mut message = Message { r, left: len };
    let kind = match message.u8()? {
        Ok(1) => Hello::Client,
        Ok(2) => Hello::Server,
        _ => return no,
    };
    let mut length = 0u32;
    for _ in 0..3 {
        match message.u8()? {
            Ok(b) => length = length << 8 | u32::from(b),
            Err(NotARecord) => return no,
        }
    }
    if !(38..super::MAX_MESSAGE as u32).contains(&length) {
        return no;
    }
    match (message.u8()?, kind) {
        (Ok(3), _) | (Ok(0x7f), Hello::Server) => Some(Probe::Certain(kind)),
        _ => no,
    }
}

struct NotARecord;

/// The bytes of a handshake message over records.
struct Message<'a> {
    r: Reader<'a>,
    left: u16,
}

impl Message<'_> {
    fn u8(&mut self) -> Option<Result<u8, NotARecord>> {
        while self.left == 0 {
            let kind = self.r.u8()?;
            let major = self.r.u8()?;
            let _minor = self.r.u8()?;
            self.left = self.r.u16()?;
            if kind != content::HANDSHAKE || major != 3 || !(1..=MAX_RECORD).contains(&self.left) {
                return Some(Err(NotARecord));
            }
        }
        let b = self.r.u8()?;
        self.left -= 1;
        Some(Ok(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tls::testing::{Hello as Made, message, record};

    #[test]
    fn eleven_bytes_of_a_hello_are_enough_and_fewer_are_not() {
        let bytes = record(22, &Made { version: 0x0303, ciphers: &[1, 2], ..Made::default() }.message());
        assert_eq!(looks_like_hello(&bytes), Probe::Certain(Hello::Client));
        // Ten: the low byte of the version is not looked at.
        assert_eq!(looks_like_hello(&bytes[..10]), Probe::Certain(Hello::Client));
        assert!((0..10).all(|n| looks_like_hello(&bytes[..n]) == Probe::NeedMore));
        let server = record(22, &message(2, &[0x7f; 70]));
        assert_eq!(looks_like_hello(&server), Probe::Certain(Hello::Server));
    }

    #[test]
    fn the_header_may_lie_in_two_records() {
        let hello = Made { version: 0x0303, ciphers: &[1, 2], ..Made::default() }.message();
        for cut in 1..8 {
            let bytes = [record(22, &hello[..cut]), record(22, &hello[cut..])].concat();
            assert_eq!(looks_like_hello(&bytes), Probe::Certain(Hello::Client), "{cut}");
        }
    }

    #[test]
    fn other_records_are_no_hello() {
        let hello = Made { version: 0x0303, ciphers: &[1, 2], ..Made::default() }.message();
        for (at, value) in [(0, 23), (1, 2), (2, 5), (3, 0x80), (5, 3), (6, 1), (9, 2)] {
            let mut bytes = record(22, &hello);
            bytes[at] = value;
            assert_eq!(looks_like_hello(&bytes), Probe::NotThis, "{at}");
        }
        assert_eq!(looks_like_hello(&record(22, &message(1, &[3; 37]))), Probe::NotThis);
        assert_eq!(looks_like_hello(b"GET / HTTP/1.1"), Probe::NotThis);
    }

    proptest::proptest! {
        /// More bytes never change an answer.
        #[test]
        fn an_answer_stays(mut bytes: Vec<u8>, starts: bool) {
            if starts {
                bytes.splice(0..0, [22, 3, 1]);
            }
            let mut before = Probe::NeedMore;
            for n in 0..=bytes.len() {
                let now = looks_like_hello(&bytes[..n]);
                assert!(before == Probe::NeedMore || before == now);
                before = now;
            }
        }
    }
}
