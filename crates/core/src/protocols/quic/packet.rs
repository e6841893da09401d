//! Headers of packets (RFC 8999, RFC 9000 section 17, RFC 9369 section 3.2; Google's QUIC before it).

use super::version::Version;
use crate::wire::Reader;

/// A connection id: up to 20 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; 20],
}

impl ConnectionId {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }

    pub(super) fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; 20];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: id.len() as u8, bytes })
    }
}

/// Types of packets with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// A packet at the start of what is left of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Long(Long<'a>),
    /// Version Negotiation. `listed`: whether a version is in it that is known, reserved or Google's.
    VersionNegotiation {
        listed: bool,
    },
    /// A long header of a version that is not known.
    Other,
    Google(Version),
}

/// A packet with a long header of a known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Long<'a> {
    pub version: Version,
    pub kind: Kind,
    /// Whether the fixed bit is set.
    pub fixed_bit: bool,
    pub dcid: ConnectionId,
    pub scid: ConnectionId,
    /// The packet from its first byte on, as far as it was captured.
    pub bytes: &'a [u8],
    /// Where its packet number begins.
    pub number_at: usize,
    /// Its bytes on the wire.
    pub len: usize,
}

/// A variable-length integer (RFC 9000 section 16).
pub(super) fn varint(r: &mut Reader<'_>) -> Option<u64> {
    let first = *r.rest().first()?;
    Some(match first >> 6 {
        0 => r.u8()?.into(),
        1 => (r.u16()? & 0x3fff).into(),
        2 => (r.u32()? & 0x3fff_ffff).into(),
        _ => r.u64()? & 0x3fff_ffff_ffff_ffff,
    })
}

/// Bytes at least that an encrypted packet has from its packet number on: four of these, or of sealed content, in front of a
/// sample of 16 (RFC 9001 section 5.4.2).
const MIN_PROTECTED: u64 = 20;

/// Bytes of a short header packet at least.
pub(super) const MIN_SHORT: usize = 21;

/// Bytes of the tag at the end of a Retry packet (RFC 9001 section 5.8).
const RETRY_TAG: usize = 16;

/// Reads a packet with a long header, or one of Google's QUIC. `wire_len`: length of what is left of the datagram on the wire,
/// where `bytes` may have been cut.
pub(super) fn packet<'a>(bytes: &'a [u8], wire_len: usize) -> Option<Packet<'a>> {
    let first = *bytes.first()?;
    let mut r = Reader::new(bytes);
    r.u8()?;
    if first & 0x80 == 0 {
        // Google's public header with a version and a connection id of eight bytes.
        r.take(8)?;
        let version = Version(r.u32()?);
        return (first & 0x09 == 0x09 && version.is_gquic()).then_some(Packet::Google(version));
    }
    let version = Version(r.u32()?);
    if version.is_gquic() {
        return Some(Packet::Google(version));
    }
    if version.0 == 0 {
        r.vec8()?;
        r.vec8()?;
        let mut listed = None;
        while let Some(v) = r.u32().map(Version) {
            let is = v.is_known() || v.is_grease() || v.is_gquic();
            listed = Some(listed.unwrap_or(false) || is);
        }
        return listed.map(|listed| Packet::VersionNegotiation { listed });
    }
    if !version.is_known() {
        return Some(Packet::Other);
    }
    let (dcid, scid) = if version.has_nibbles() {
        let lens = r.u8()?;
        let len = |nibble: u8| if nibble == 0 { 0 } else { usize::from(nibble) + 3 };
        (r.take(len(lens >> 4))?, r.take(len(lens & 15))?)
    } else {
        (r.vec8()?.rest(), r.vec8()?.rest())
    };
    let (dcid, scid) = (ConnectionId::new(dcid)?, ConnectionId::new(scid)?);
    let kind = match (first >> 4 & 3, version.is_v2()) {
        (0, false) | (1, true) => Kind::Initial,
        (1, false) | (2, true) => Kind::ZeroRtt,
        (2, false) | (3, true) => Kind::Handshake,
        _ => Kind::Retry,
    };
    if kind == Kind::Initial {
        let token = varint(&mut r)?;
        r.take(usize::try_from(token).ok()?)?;
    }
    let number_at;
    let len = if kind == Kind::Retry {
        number_at = r.position();
        (wire_len >= number_at + RETRY_TAG).then_some(wire_len)?
    } else {
        let protected = varint(&mut r)?;
        number_at = r.position();
        let fits = protected >= MIN_PROTECTED && protected <= wire_len.saturating_sub(number_at) as u64;
        number_at + fits.then_some(protected as usize)?
    };
    let bytes = bytes.get(..len).unwrap_or(bytes);
    Some(Packet::Long(Long { version, kind, fixed_bit: first & 0x40 != 0, dcid, scid, bytes, number_at, len }))
}
