//! Keys of Initial packets, which everybody who sees the first one can compute (RFC 9001 section 5, RFC 9369 section 3.3).

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::packet::{ConnectionId, Long};
use super::version::Version;

/// Whose packets keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Those of the client.
    Client,
    /// Those of the server.
    Server,
}

/// An Initial packet without its protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened<'a> {
    /// Bytes of the packet number.
    pub number_len: u8,
    pub frames: &'a [u8],
}

/// Length of a key that is expanded.
struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label (RFC 8446 section 7.1) with an empty context.
fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let head = [0, N as u8, 6 + label.len() as u8];
    secret.expand(&[&head, b"tls13 ", label, &[0]], Len(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// The keys of one side.
pub(super) struct Keys {
    aead: LessSafeKey,
    iv: [u8; 12],
    header: HeaderProtectionKey,
}

impl Keys {
    /// Those that follow from a connection id.
    pub fn new(version: Version, id: &ConnectionId, from: From) -> Option<Self> {
        let initial = Salt::new(HKDF_SHA256, version.salt()?).extract(id.as_bytes());
        let secret: [u8; 32] = match from {
            From::Client => expand(&initial, b"client in")?,
            From::Server => expand(&initial, b"server in")?,
        };
        let secret = Prk::new_less_safe(HKDF_SHA256, &secret);
        let [key, iv, hp]: [&[u8]; 3] = match version.is_v2() {
            true => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
            false => [b"quic key", b"quic iv", b"quic hp"],
        };
        let (key, hp): ([u8; 16], [u8; 16]) = (expand(&secret, key)?, expand(&secret, hp)?);
        Some(Self {
            aead: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv: expand(&secret, iv)?,
            header: HeaderProtectionKey::new(&AES_128, &hp).ok()?,
        })
    }

    /// Opens a packet. None where the tag is wrong, or not all was captured. `scratch` takes its content.
    pub fn open<'a>(&self, packet: &Long<'_>, scratch: &'a mut Vec<u8>) -> Option<Opened<'a>> {
        if packet.bytes.len() < packet.len {
            return None;
        }
        let mask = self.mask(packet.bytes, packet.number_at)?;
        scratch.clear();
        scratch.extend_from_slice(packet.bytes);
        let first = scratch.first_mut()?;
        // The lower four bits of a long header's first byte are protected (RFC 9001 section 5.4.1).
        *first ^= mask[0] & 0x0f;
        let number_len = (*first & 3) + 1;
        let sealed_at = packet.number_at + usize::from(number_len);
        let mut number = 0u32;
        for (byte, mask) in scratch.get_mut(packet.number_at..sealed_at)?.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            number = number << 8 | u32::from(*byte);
        }
        let (header, sealed) = scratch.split_at_mut_checked(sealed_at)?;
        let frames = self.aead.open_in_place(self.nonce(number), Aad::from(header), sealed).ok()?;
        Some(Opened { number_len, frames })
    }

    /// Numbers of Initial packets are small: what was sent of it is the number.
    fn nonce(&self, number: u32) -> Nonce {
        let mut nonce = self.iv;
        nonce.iter_mut().rev().zip(number.to_be_bytes().iter().rev()).for_each(|(n, p)| *n ^= p);
        Nonce::assume_unique_for_key(nonce)
    }

    fn mask(&self, packet: &[u8], number_at: usize) -> Option<[u8; 5]> {
        self.header.new_mask(packet.get(number_at + 4..number_at + 20)?).ok()
    }

    /// Protects a packet: a header with its number of four bytes, and frames.
    #[cfg(any(test, feature = "testing"))]
    pub fn seal(&self, header: &[u8], number: u32, frames: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = frames.to_vec();
        self.aead.seal_in_place_append_tag(self.nonce(number), Aad::from(header), &mut sealed).ok()?;
        let mut packet = [header, &sealed].concat();
        let number_at = header.len().checked_sub(4)?;
        let mask = self.mask(&packet, number_at)?;
        *packet.first_mut()? ^= mask[0] & 0x0f;
        packet.get_mut(number_at..)?.iter_mut().zip(&mask[1..]).for_each(|(b, m)| *b ^= m);
        Some(packet)
    }
}
