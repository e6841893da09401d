//! Packets for tests. With the feature `testing`, fuzz targets use them too.

use super::Version;
pub use super::keys::From;
use super::keys::Keys;
use super::packet::ConnectionId;

/// The client's connection id of RFC 9001 appendix A.
pub const DCID: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// A connection id of at most 20 bytes.
pub fn id(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap_or_default()
}

/// What a made-up Initial packet has.
#[derive(Clone, Copy, Debug)]
pub struct Initial<'a> {
    /// Its version, a known one.
    pub version: u32,
    /// Destination connection id.
    pub dcid: &'a [u8],
    /// Source connection id.
    pub scid: &'a [u8],
    /// The connection id that keys come of.
    pub key_id: &'a [u8],
    /// Its sender.
    pub from: From,
    /// Its number.
    pub number: u32,
}

impl Default for Initial<'_> {
    fn default() -> Self {
        Self { version: 1, dcid: DCID, scid: &[7, 7], key_id: DCID, from: From::Client, number: 0 }
    }
}

impl Initial<'_> {
    /// The same, sent by the server.
    pub fn by_server(self) -> Self {
        Self { from: From::Server, ..self }
    }

    /// The packet, protected. Empty, if it cannot be made.
    pub fn packet(&self, frames: &[u8]) -> Vec<u8> {
        let version = Version(self.version);
        let kind = if version.is_v2() { 1 } else { 0 };
        let mut header = vec![0xc3 | kind << 4];
        header.extend(self.version.to_be_bytes());
        for cid in [self.dcid, self.scid] {
            header.push(cid.len() as u8);
            header.extend(cid);
        }
        header.push(0);
        header.extend((0x4000 | (4 + frames.len() + 16) as u16).to_be_bytes());
        header.extend(self.number.to_be_bytes());
        let keys = Keys::new(version, &id(self.key_id), self.from);
        keys.and_then(|keys| keys.seal(&header, self.number, frames)).unwrap_or_default()
    }
}

/// A CRYPTO frame of a part of a message.
pub fn crypto(bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
    let part = bytes.get(from..to).unwrap_or_default();
    [&[6][..], &(0x4000 | from as u16).to_be_bytes(), &(0x4000 | part.len() as u16).to_be_bytes(), part].concat()
}
