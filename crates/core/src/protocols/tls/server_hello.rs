//! ServerHello and HelloRetryRequest (RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3).

use super::{ext, extension};
use crate::wire::Reader;

/// What a server chose. At most as large as the message was ([`super::MAX_MESSAGE`]) and this struct.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version in the hello itself: 0x0303 for TLS 1.3.
    pub legacy_version: u16,
    /// That of supported_versions, which only TLS 1.3 has.
    pub selected_version: Option<u16>,
    /// Whether it is a HelloRetryRequest.
    pub retry: bool,
    /// Bytes of the session id.
    pub session_id_len: u8,
    /// The first bytes of the session id; zeros behind it.
    pub session_id: [u8; 32],
    /// The cipher suite.
    pub cipher: u16,
    /// Whether a pre-shared key was taken (extension 41).
    pub pre_shared_key: bool,
    /// Group of the key share, and bytes of its value.
    pub key_share: Option<(u16, u16)>,
    extensions: Box<[u16]>,
    alpn: Option<Box<[u8]>>,
}

/// The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest".
pub(super) const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Reads the body of a ServerHello; none where it is not one. Extensions as in a ClientHello.
pub fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut r = Reader::new(body);
    let legacy_version = r.u16()?;
    let retry = r.array::<32>()? == RETRY;
    let mut hello = ServerHello { legacy_version, retry, ..ServerHello::default() };
    // Drafts of TLS 1.3 before 22 have neither session id nor compression.
    let early_draft = (0x7f00..0x7f16).contains(&legacy_version);
    if !early_draft {
        let id = r.vec8()?.rest();
        hello.session_id_len = id.len() as u8;
        hello.session_id.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    }
    hello.cipher = r.u16()?;
    if !early_draft {
        r.u8()?; // compression method
    }
    let mut kinds = Vec::new();
    if let Some(len) = r.u16() {
        let mut extensions = Reader::new(r.rest().get(..len.into()).unwrap_or(r.rest()));
        while let Some((kind, content)) = extension(&mut extensions) {
            kinds.push(kind);
            hello.extension(kind, content);
        }
    }
    hello.extensions = kinds.into();
    Some(hello)
}

impl ServerHello {
    /// The version that both will speak.
    pub fn version(&self) -> u16 {
        self.selected_version.unwrap_or(self.legacy_version)
    }

    /// Whether that is TLS 1.3 or DTLS 1.3, or a draft of it.
    pub fn is_13(&self) -> bool {
        matches!(self.version(), 0x0304 | 0xfefc | 0x7f00..=0x7fff)
    }

    /// Types of the extensions in their order.
    pub fn extensions(&self) -> &[u16] {
        &self.extensions
    }

    /// The protocol that the server chose (RFC 7301), where its hello shows it.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        2 * self.extensions.len() + self.alpn.as_ref().map_or(0, |b| b.len())
    }

    fn extension(&mut self, kind: u16, mut content: Reader<'_>) {
        match kind {
            ext::SUPPORTED_VERSIONS if self.selected_version.is_none() => self.selected_version = content.u16(),
            ext::PRE_SHARED_KEY => self.pre_shared_key = true,
            ext::KEY_SHARE if self.key_share.is_none() => {
                // A HelloRetryRequest names the group only.
                let group = content.u16();
                let len = content.vec16().map_or(0, |value| value.len() as u16);
                self.key_share = group.map(|g| (g, len));
            }
            ext::ALPN if self.alpn.is_none() => {
                let first = content.vec16().and_then(|mut names| names.vec8());
                self.alpn = first.map(|name| name.rest().into());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u16, random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
        let mut b = version.to_be_bytes().to_vec();
        b.extend(random);
        b.extend([2, 7, 8, 0x13, 1, 0]);
        b.extend((extensions.len() as u16).to_be_bytes());
        b.extend(extensions);
        b
    }

    #[test]
    fn tls_13_says_its_version_in_an_extension() {
        let body = hello(0x0303, [1; 32], &[0, 43, 0, 2, 3, 4, 0, 51, 0, 6, 0, 29, 0, 2, 9, 9]);
        let h = server_hello(&body).unwrap();
        assert_eq!((h.version(), h.is_13(), h.cipher, h.key_share), (0x0304, true, 0x1301, Some((29, 2))));
        assert_eq!((h.extensions(), h.retry, h.session_id_len), (&[43, 51][..], false, 2));
    }

    #[test]
    fn a_retry_is_known_by_its_random() {
        assert!(server_hello(&hello(0x0303, RETRY, &[])).unwrap().retry);
    }

    #[test]
    fn early_drafts_have_no_session_id() {
        let mut body = vec![0x7f, 0x12];
        body.extend([3; 32]);
        body.extend([0x13, 2, 0, 4, 0, 41, 0, 0]);
        let h = server_hello(&body).unwrap();
        assert_eq!((h.cipher, h.pre_shared_key, h.is_13()), (0x1302, true, true));
    }

    #[test]
    fn the_protocol_that_was_chosen() {
        let h = server_hello(&hello(0x0303, [1; 32], &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'])).unwrap();
        assert_eq!(h.alpn(), Some(&b"h2"[..]));
    }
}
