//! The messages between a sensor and its client, and nothing else: bytes in, values out. docs/remote.md describes them.
//!
//! A [`Pull`] is what one call of [`joyfuljay_io::source::PacketSource::pull`] brought at the sensor, so that the client's engine gets
//! the same batches that it would get there: rows depend on them. Numbers are little-endian. Every length is compared with a bound
//! before anything is made of it.

use std::time::Duration;

use joyfuljay_core::frame::{BATCH_FRAMES, Frame, FrameBatch, LinkType, TimeNs};
use joyfuljay_io::source::{
    Clock, Drops, InterfaceCounts, MAX_BATCH_BYTES, MAX_RECORD_BYTES, Position, SourceWarning, Trouble,
};
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};

/// Version of these messages. Another one has another [`SUBPROTOCOL`] too, so that it is turned away before anything is sent.
pub const VERSION: u16 = 1;

/// What both ends name in the WebSocket handshake.
pub const SUBPROTOCOL: &str = "joyfuljay.v1";

/// Frames of a message: those of a batch.
pub const MAX_FRAMES: usize = BATCH_FRAMES;

/// Bytes of the frames of a message: a batch is full behind the record that reaches its limit.
pub const MAX_DATA: usize = MAX_BATCH_BYTES + MAX_RECORD_BYTES as usize;

/// Interfaces that a message tells of: more than any machine captures from.
pub const MAX_INTERFACES: usize = 1024;

/// Warnings of one message; what is more goes with the next.
pub const MAX_WARNINGS: usize = 64;

/// Bytes of a text: the longest path, and a sentence around it.
pub const MAX_TEXT: usize = 6 * 1024;

/// What a message says besides frames, at most.
const MAX_HEADER: usize = 1024 + MAX_INTERFACES * (MAX_TEXT + 64) + MAX_WARNINGS * 2 * (MAX_TEXT + 16);

/// Bytes of a message before it is compressed.
pub const MAX_BODY: usize = MAX_DATA + MAX_FRAMES * FRAME_BYTES + MAX_HEADER;

/// Bytes of a message. What cannot be compressed grows by less than a part in 128.
pub const MAX_MESSAGE: usize = MAX_BODY + MAX_BODY / 128 + 1024;

/// Bytes of a message of a client: it has little to say.
pub const MAX_CLIENT_MESSAGE: usize = 64;

/// Time, two lengths, link type.
const FRAME_BYTES: usize = 8 + 4 + 4 + 2;

/// How hard to compress: the level at which it costs less than sending.
const LEVEL: i32 = 1;

/// A capture, or one time that an interface was opened. What both ends count, they count within it.
pub type SessionId = [u8; 16];

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// It ends in the middle.
    #[error("a message is cut short")]
    Short,
    /// There is more behind its end.
    #[error("a message goes on behind its end")]
    Long,
    /// A number of things is beyond its bound.
    #[error("a message has more than it may")]
    TooMany,
    /// A kind, or a value of one, that is not known.
    #[error("a message of an unknown kind")]
    Unknown,
    /// A text is not UTF-8.
    #[error("a message with text that is none")]
    Text,
    /// It does not decompress to what it says.
    #[error("a message that does not decompress")]
    Compression,
    /// It could not be compressed.
    #[error("a message could not be compressed")]
    NotCompressed,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// The first message.
    Hello(ClientHello),
    /// Everything up to the message of this number was taken.
    Ack(u64),
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// [`VERSION`].
    pub version: u16,
    /// Bytes of messages that it has room for. The sensor sends while less than that is not acknowledged, so it may exceed it by one
    /// message.
    pub window: u32,
    /// Where to go on.
    pub resume: Option<Resume>,
}

/// Where a client wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The session that it had.
    pub session: SessionId,
    /// The first message that it does not have.
    pub seq: u64,
    /// The first frame that it does not have.
    pub frame: u64,
}

/// What a sensor says.
#[derive(Debug, PartialEq, Eq)]
pub enum FromServer {
    /// The first message.
    Hello(ServerHello),
    /// What came.
    Pull(Box<Pull>),
    /// The last message.
    End(End),
}

/// What a sensor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// [`VERSION`].
    pub version: u16,
    /// The session: that of the client's [`Resume`], if it goes on.
    pub session: SessionId,
    /// Number of the next message. Above that of the client's [`Resume`], if what was in between is no longer there.
    pub seq: u64,
    /// Number of the next frame.
    pub frame: u64,
    /// Whether the frames are those of capture files, which are all given to each client.
    pub stored: bool,
    /// What the sensor is called.
    pub name: String,
}

/// What one pull of the source brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pull {
    /// Number of the message in the session; the first is 0.
    pub seq: u64,
    /// Number of its first frame in the session. What a client misses are the numbers in between.
    pub frame: u64,
    /// The frames.
    pub batch: FrameBatch,
    /// Without frames, the packet time by now; with frames, whether they were given out because no more came in time.
    pub waited: bool,
    /// The packet time by now, where it goes on without packets.
    pub now: Option<TimeNs>,
    /// What says the time.
    pub clock: Option<Clock>,
    /// How far the source is behind.
    pub lag: Option<Duration>,
    /// What the source has lost.
    pub drops: Drops,
    /// How far it has come. What is read at present is not told.
    pub position: Position,
    /// Interfaces with their counts.
    pub interfaces: Vec<InterfaceCounts>,
    /// What went wrong.
    pub warnings: Vec<SourceWarning>,
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Number of the message in the session.
    pub seq: u64,
    /// Frames of the session.
    pub frames: u64,
    /// Why it ended before its time.
    pub error: Option<String>,
}

const CLIENT_HELLO: u8 = 1;
const ACK: u8 = 2;
const SERVER_HELLO: u8 = 0x81;
const PULL: u8 = 0x82;
const END: u8 = 0x83;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

impl FromClient {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hello(hello) => {
                out.push(CLIENT_HELLO);
                out.extend(hello.version.to_le_bytes());
                out.extend(hello.window.to_le_bytes());
                out.push(hello.resume.is_some().into());
                if let Some(resume) = &hello.resume {
                    out.extend(resume.session);
                    out.extend(resume.seq.to_le_bytes());
                    out.extend(resume.frame.to_le_bytes());
                }
            }
            Self::Ack(seq) => {
                out.push(ACK);
                out.extend(seq.to_le_bytes());
            }
        }
        out
    }

    /// Out of bytes.
    ///
    /// # Errors
    /// When they are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader(bytes);
        let message = match r.u8()? {
            CLIENT_HELLO => Self::Hello(ClientHello {
                version: r.u16()?,
                window: r.u32()?,
                resume: match r.bool()? {
                    true => Some(Resume { session: r.array()?, seq: r.u64()?, frame: r.u64()? }),
                    false => None,
                },
            }),
            ACK => Self::Ack(r.u64()?),
            _ => return Err(WireError::Unknown),
        };
        r.end(message)
    }
}

/// Makes messages of a sensor.
pub struct Encoder {
    compressor: Option<Compressor<'static>>,
}

impl Encoder {
    /// With or without compression.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub fn new(compress: bool) -> Result<Self, WireError> {
        let compressor = compress.then(|| Compressor::new(LEVEL)).transpose().map_err(|_| WireError::NotCompressed)?;
        Ok(Self { compressor })
    }

    /// As bytes.
    ///
    /// # Errors
    /// When it has more frames or bytes than a message may, or the compressor fails.
    pub fn pull(&mut self, pull: &Pull) -> Result<Vec<u8>, WireError> {
        let body = body(pull)?;
        let mut out = vec![PULL];
        out.extend(pull.seq.to_le_bytes());
        out.extend(pull.frame.to_le_bytes());
        out.extend((pull.batch.frames.len() as u16).to_le_bytes());
        out.extend((body.len() as u32).to_le_bytes());
        match &mut self.compressor {
            Some(compressor) => {
                out.push(ZSTD);
                out.extend(compressor.compress(&body).map_err(|_| WireError::NotCompressed)?);
            }
            None => {
                out.push(PLAIN);
                out.extend(body);
            }
        }
        Ok(out)
    }
}

impl ServerHello {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![SERVER_HELLO];
        out.extend(self.version.to_le_bytes());
        out.extend(self.session);
        out.extend(self.seq.to_le_bytes());
        out.extend(self.frame.to_le_bytes());
        out.push(self.stored.into());
        text(&mut out, &self.name);
        out
    }
}

impl End {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![END];
        out.extend(self.seq.to_le_bytes());
        out.extend(self.frames.to_le_bytes());
        out.push(self.error.is_some().into());
        if let Some(error) = &self.error {
            text(&mut out, error);
        }
        out
    }
}

impl FromServer {
    /// The number of a message of a session and that of the next frame behind it, which can be told before it is decompressed.
    pub fn numbers(bytes: &[u8]) -> Option<(u64, u64)> {
        let mut r = Reader(bytes);
        let kind = r.u8().ok()?;
        let (seq, frame) = (r.u64().ok()?, r.u64().ok()?);
        match kind {
            PULL => Some((seq, frame.saturating_add(r.u16().ok()?.into()))),
            END => Some((seq, frame)),
            _ => None,
        }
    }

    /// Whether it is the last message of a session.
    pub fn is_end(bytes: &[u8]) -> bool {
        bytes.first() == Some(&END)
    }

    /// Out of bytes. At most [`MAX_BODY`] bytes are allocated for what is compressed, and about as many for what is in it.
    ///
    /// # Errors
    /// When they are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader(bytes);
        match r.u8()? {
            SERVER_HELLO => {
                let hello = ServerHello {
                    version: r.u16()?,
                    session: r.array()?,
                    seq: r.u64()?,
                    frame: r.u64()?,
                    stored: r.bool()?,
                    name: r.text()?,
                };
                r.end(Self::Hello(hello))
            }
            PULL => {
                let (seq, frame, frames, length) = (r.u64()?, r.u64()?, r.count(MAX_FRAMES)?, r.u32()? as usize);
                if length > MAX_BODY {
                    return Err(WireError::TooMany);
                }
                let pull = match r.u8()? {
                    PLAIN if r.0.len() == length => read_body(r.0, seq, frame)?,
                    PLAIN => return Err(WireError::Short),
                    ZSTD => {
                        let failed = |_| WireError::Compression;
                        let body = Decompressor::new().and_then(|mut d| d.decompress(r.0, length)).map_err(failed)?;
                        if body.len() != length {
                            return Err(WireError::Compression);
                        }
                        read_body(&body, seq, frame)?
                    }
                    _ => return Err(WireError::Unknown),
                };
                if pull.batch.frames.len() == frames { Ok(Self::Pull(Box::new(pull))) } else { Err(WireError::TooMany) }
            }
            END => {
                let (seq, frames) = (r.u64()?, r.u64()?);
                let error = if r.bool()? { Some(r.text()?) } else { None };
                r.end(Self::End(End { seq, frames, error }))
            }
            _ => Err(WireError::Unknown),
        }
    }
}

/// What is compressed: everything but numbers. Columns of like things compress better than rows.
fn body(pull: &Pull) -> Result<Vec<u8>, WireError> {
    let frames = &pull.batch.frames;
    let data = frames.iter().map(|frame| frame.cap_len as usize).sum::<usize>();
    if frames.len() > MAX_FRAMES
        || data > MAX_DATA
        || pull.interfaces.len() > MAX_INTERFACES
        || pull.warnings.len() > MAX_WARNINGS
    {
        return Err(WireError::TooMany);
    }
    let mut out = Vec::with_capacity(data + frames.len() * FRAME_BYTES + 256);
    out.push(pull.waited.into());
    option(&mut out, pull.now.map(TimeNs::cast_unsigned));
    out.push(match pull.clock {
        None => 0,
        Some(Clock::Packets) => 1,
        Some(Clock::Running) => 2,
    });
    option(&mut out, pull.lag.map(|lag| u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX)));
    drops(&mut out, pull.drops);
    out.extend(pull.position.read.to_le_bytes());
    option(&mut out, pull.position.total);
    for files in [pull.position.files_done, pull.position.files_total] {
        out.extend((files as u64).to_le_bytes());
    }
    out.extend((pull.interfaces.len() as u16).to_le_bytes());
    for interface in &pull.interfaces {
        out.extend(interface.id.to_le_bytes());
        text(&mut out, &interface.name);
        out.push(interface.up.into());
        out.extend(interface.received.to_le_bytes());
        drops(&mut out, interface.drops);
        out.extend(interface.freezes.to_le_bytes());
    }
    out.extend((pull.warnings.len() as u16).to_le_bytes());
    for warning in &pull.warnings {
        text(&mut out, &warning.path);
        out.extend(warning.offset.to_le_bytes());
        out.push(match warning.trouble {
            Trouble::Damaged => 0,
            Trouble::NotRead => 1,
            Trouble::Interface => 2,
            Trouble::PassedOver => 3,
        });
        text(&mut out, &warning.message);
    }
    out.extend((frames.len() as u16).to_le_bytes());
    frames.iter().for_each(|frame| out.extend(frame.ts.to_le_bytes()));
    frames.iter().for_each(|frame| out.extend(frame.cap_len.to_le_bytes()));
    frames.iter().for_each(|frame| out.extend(frame.wire_len.to_le_bytes()));
    frames.iter().for_each(|frame| out.extend(frame.link.0.to_le_bytes()));
    frames.iter().for_each(|frame| out.extend_from_slice(pull.batch.bytes(frame)));
    Ok(out)
}

fn read_body(bytes: &[u8], seq: u64, frame: u64) -> Result<Pull, WireError> {
    let mut r = Reader(bytes);
    let waited = r.bool()?;
    let now = r.option()?.map(u64::cast_signed);
    let clock = match r.u8()? {
        0 => None,
        1 => Some(Clock::Packets),
        2 => Some(Clock::Running),
        _ => return Err(WireError::Unknown),
    };
    let lag = r.option()?.map(Duration::from_nanos);
    let drops = r.drops()?;
    let (read, total) = (r.u64()?, r.option()?);
    let (files_done, files_total) = (r.u64()? as usize, r.u64()? as usize);
    let position = Position { read, total, files_done, files_total, current: None };
    let count = r.count(MAX_INTERFACES)?;
    let mut interfaces = Vec::new();
    for _ in 0..count {
        interfaces.push(InterfaceCounts {
            id: r.u64()?,
            name: r.text()?,
            up: r.bool()?,
            received: r.u64()?,
            drops: r.drops()?,
            freezes: r.u64()?,
        });
    }
    let count = r.count(MAX_WARNINGS)?;
    let mut warnings = Vec::new();
    for _ in 0..count {
        warnings.push(SourceWarning {
            path: r.text()?,
            offset: r.u64()?,
            trouble: match r.u8()? {
                0 => Trouble::Damaged,
                1 => Trouble::NotRead,
                2 => Trouble::Interface,
                3 => Trouble::PassedOver,
                _ => return Err(WireError::Unknown),
            },
            message: r.text()?,
        });
    }
    let count = r.count(MAX_FRAMES)?;
    let (times, caps, wires, links) =
        (r.columns::<8>(count)?, r.columns::<4>(count)?, r.columns::<4>(count)?, r.columns::<2>(count)?);
    let mut batch = FrameBatch::new();
    batch.frames.reserve_exact(count);
    let mut offset = 0_usize;
    for (((ts, cap), wire), link) in times.iter().zip(caps).zip(wires).zip(links) {
        let cap_len = u32::from_le_bytes(*cap);
        batch.frames.push(Frame {
            ts: i64::from_le_bytes(*ts),
            offset: u32::try_from(offset).map_err(|_| WireError::TooMany)?,
            cap_len,
            wire_len: u32::from_le_bytes(*wire),
            link: LinkType(u16::from_le_bytes(*link)),
        });
        offset += cap_len as usize;
        if offset > MAX_DATA {
            return Err(WireError::TooMany);
        }
    }
    batch.data = r.take(offset)?.to_vec();
    r.end(Pull { seq, frame, batch, waited, now, clock, lag, drops, position, interfaces, warnings })
}

/// As much of a text as so many bytes hold, and no broken character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    (0..=most.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// A text, cut to what may be.
fn text(out: &mut Vec<u8>, text: &str) {
    let text = cut(text, MAX_TEXT);
    out.extend((text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn option(out: &mut Vec<u8>, value: Option<u64>) {
    out.push(value.is_some().into());
    out.extend(value.map(u64::to_le_bytes).into_iter().flatten());
}

fn drops(out: &mut Vec<u8>, drops: Drops) {
    [drops.kernel, drops.interface, drops.queue].iter().for_each(|n| out.extend(n.to_le_bytes()));
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    fn bool(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Unknown),
        }
    }

    fn option(&mut self) -> Result<Option<u64>, WireError> {
        Ok(if self.bool()? { Some(self.u64()?) } else { None })
    }

    fn drops(&mut self) -> Result<Drops, WireError> {
        Ok(Drops { kernel: self.u64()?, interface: self.u64()?, queue: self.u64()? })
    }

    fn count(&mut self, most: usize) -> Result<usize, WireError> {
        let count = self.u16()?.into();
        if count > most { Err(WireError::TooMany) } else { Ok(count) }
    }

    fn text(&mut self) -> Result<String, WireError> {
        let length = self.count(MAX_TEXT)?;
        std::str::from_utf8(self.take(length)?).map(str::to_owned).map_err(|_| WireError::Text)
    }

    /// A column of as many values of `N` bytes.
    fn columns<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], WireError> {
        Ok(self.take(count * N)?.as_chunks().0)
    }

    fn end<T>(self, value: T) -> Result<T, WireError> {
        if self.0.is_empty() { Ok(value) } else { Err(WireError::Long) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = FrameBatch> {
        let frame = (any::<i64>(), any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..100));
        prop::collection::vec(frame, 0..20).prop_map(|frames| {
            let mut batch = FrameBatch::new();
            frames.iter().for_each(|(ts, link, wire, bytes)| batch.push(*ts, LinkType(*link), *wire, bytes));
            batch
        })
    }

    prop_compose! {
        fn pulls()(
            batch in frames(),
            (seq, frame, read, waited) in any::<(u64, u64, u64, bool)>(),
            (now, lag, total) in any::<(Option<i64>, Option<u64>, Option<u64>)>(),
            clock in prop_oneof![Just(None), Just(Some(Clock::Packets)), Just(Some(Clock::Running))],
            name in ".{0,20}",
            n in any::<[u32; 6]>(),
        ) -> Pull {
            let drops = Drops { kernel: n[0].into(), interface: n[1].into(), queue: n[2].into() };
            Pull {
                seq, frame, batch, waited, now, clock, drops,
                lag: lag.map(Duration::from_nanos),
                position: Position { read, total, files_done: n[3] as usize, files_total: n[4] as usize, current: None },
                interfaces: vec![InterfaceCounts { id: 7, name: name.clone(), up: waited, received: n[5].into(), drops, freezes: 3 }],
                warnings: vec![SourceWarning { path: name.clone(), offset: read, trouble: Trouble::Damaged, message: name }],
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_said_is_heard(pull in pulls(), compress in any::<bool>()) {
            let bytes = Encoder::new(compress).unwrap().pull(&pull).unwrap();
            let next = pull.frame.saturating_add(pull.batch.frames.len() as u64);
            prop_assert_eq!(FromServer::numbers(&bytes), Some((pull.seq, next)));
            for cut in 0..bytes.len() {
                prop_assert!(FromServer::decode(&bytes[..cut]).is_err());
            }
            prop_assert_eq!(FromServer::decode(&bytes).unwrap(), FromServer::Pull(Box::new(pull)));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..5_usize) {
            if let Some(first) = bytes.first_mut() {
                *first = [CLIENT_HELLO, ACK, SERVER_HELLO, PULL, END][kind];
            }
            if let Ok(message) = FromClient::decode(&bytes) {
                prop_assert_eq!(message.encode(), bytes.clone());
            }
            let _ = FromServer::decode(&bytes);
        }
    }

    #[test]
    fn hellos_and_ends_are_heard() {
        let resume = Some(Resume { session: [7; 16], seq: 9, frame: 10 });
        for message in [
            FromClient::Hello(ClientHello { version: 1, window: 5, resume }),
            FromClient::Hello(ClientHello { version: 1, window: 5, resume: None }),
            FromClient::Ack(u64::MAX),
        ] {
            assert!(message.encode().len() <= MAX_CLIENT_MESSAGE);
            assert_eq!(FromClient::decode(&message.encode()), Ok(message));
        }
        let hello =
            ServerHello { version: 1, session: [1; 16], seq: 2, frame: 3, stored: true, name: "größe".into() };
        assert_eq!(FromServer::decode(&hello.encode()), Ok(FromServer::Hello(hello)));
        let end = End { seq: 4, frames: 5, error: Some("gone".into()) };
        assert_eq!(FromServer::decode(&end.encode()), Ok(FromServer::End(end)));
    }

    #[test]
    fn what_is_too_much_is_refused_before_it_is_made() {
        // It says that it becomes 4 GiB.
        let mut bytes = vec![PULL];
        bytes.extend([0; 18]);
        bytes.extend(u32::MAX.to_le_bytes());
        bytes.push(ZSTD);
        assert_eq!(FromServer::decode(&bytes), Err(WireError::TooMany));
        // It becomes more than it says.
        let bomb = zstd::bulk::compress(&vec![0; 10 << 20], 1).unwrap();
        let mut bytes = vec![PULL];
        bytes.extend([0; 18]);
        bytes.extend(1000_u32.to_le_bytes());
        bytes.push(ZSTD);
        bytes.extend(bomb);
        assert_eq!(FromServer::decode(&bytes), Err(WireError::Compression));
        let mut batch = FrameBatch::new();
        (0..=MAX_FRAMES).for_each(|_| batch.push(0, LinkType::ETHERNET, 0, b""));
        let pull = Pull { batch, ..Pull::default() };
        assert_eq!(Encoder::new(true).unwrap().pull(&pull), Err(WireError::TooMany));
        // A long text is cut at a character.
        let end = End { seq: 0, frames: 0, error: Some("ü".repeat(MAX_TEXT)) };
        let Ok(FromServer::End(cut)) = FromServer::decode(&end.encode()) else { panic!() };
        assert_eq!(cut.error.unwrap(), "ü".repeat(MAX_TEXT / 2));
    }

    #[test]
    fn the_largest_message_fits() {
        let mut batch = FrameBatch::new();
        batch.push(0, LinkType::ETHERNET, 0, &vec![7; MAX_DATA]);
        let pull = Pull { batch, ..Pull::default() };
        let bytes = Encoder::new(false).unwrap().pull(&pull).unwrap();
        assert!(bytes.len() <= MAX_MESSAGE);
        assert!(FromServer::decode(&bytes).is_ok());
    }
}
