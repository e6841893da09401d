//! ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2; DTLS: RFC 6347 section 4.2.1, RFC 9147 section 5.3).

use super::{extension, is_grease};
use crate::wire::Reader;

/// What a client says of itself.
///
/// It holds what features are made of and not the message: of a hello of today some 200 bytes; of any hello not more
/// than the message had ([`super::MAX_MESSAGE`]) and this struct. Fingerprints are made of it when a row asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The version in the hello itself: 0x0303 for TLS 1.2 and 1.3.
    pub legacy_version: u16,
    /// Bytes of the session id; the protocol allows 32.
    pub session_id_len: u8,
    /// The first bytes of the session id; zeros behind it.
    pub session_id: [u8; 32],
    /// All lists of numbers, one behind the other.
    numbers: Box<[u16]>,
    /// Where each list ends.
    ends: [u16; LISTS],
    /// EC point formats.
    formats: Box<[u8]>,
    server_name: Option<Box<[u8]>>,
    /// The vector of protocol names as on the wire, each behind its length.
    alpn: Option<Box<[u8]>>,
}

/// Lists of numbers in a hello.
#[derive(Clone, Copy)]
enum List {
    Ciphers,
    Extensions,
    Groups,
    SignatureAlgorithms,
    KeyShares,
    Versions,
}

const LISTS: usize = 6;

/// Reads the body of a ClientHello; none where it is not one. `dtls`: there is a cookie in it.
///
/// What the handshake needs has to be sound. Extensions are read up to the first one that does not fit into the
/// message, and an extension whose inside is damaged counts as an extension without content.
pub fn client_hello(body: &[u8], dtls: bool) -> Option<ClientHello> {
    let mut r = Reader::new(body);
    let legacy_version = r.u16()?;
    r.take(32)?; // random
    let id = r.vec8()?.rest();
    let mut session_id = [0; 32];
    session_id.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
    if dtls {
        r.vec8()?; // cookie
    }
    let ciphers = r.vec16()?;
    r.vec8()?; // compression methods
    let mut lists = [Numbers::Plain(Reader::new(&[])); LISTS];
    lists[List::Ciphers as usize] = Numbers::Plain(ciphers);
    let mut hello =
        ClientHello { legacy_version, session_id_len: id.len() as u8, session_id, ..ClientHello::default() };
    // A length of extensions that is beyond the message: what is there is read.
    if let Some(len) = r.u16() {
        let mut extensions = Reader::new(r.rest().get(..len.into()).unwrap_or(r.rest()));
        lists[List::Extensions as usize] = Numbers::Kinds(extensions);
        while let Some((kind, content)) = extension(&mut extensions) {
            hello.extension(kind, content, &mut lists);
        }
    }
    // Counted before: one allocation for all.
    let mut all = Vec::with_capacity(lists.iter().map(|list| list.iter().count()).sum());
    for (list, end) in lists.iter().zip(&mut hello.ends) {
        all.extend(list.iter());
        // A hello of less than 65,536 bytes has less than 32,768 numbers.
        *end = all.len() as u16;
    }
    hello.numbers = all.into();
    Some(hello)
}

/// A list of numbers as it stands in the hello.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    /// One behind the other.
    Plain(Reader<'a>),
    /// The kinds of extensions.
    Kinds(Reader<'a>),
    /// The groups of key shares.
    Shares(Reader<'a>),
}

impl<'a> Numbers<'a> {
    fn iter(self) -> impl Iterator<Item = u16> + use<'a> {
        let mut rest = self;
        std::iter::from_fn(move || match &mut rest {
            Self::Plain(r) => r.u16(),
            Self::Kinds(r) => extension(r).map(|(kind, _)| kind),
            Self::Shares(r) => {
                let (group, _) = (r.u16()?, r.vec16()?);
                Some(group)
            }
        })
    }
}

impl ClientHello {
    /// Cipher suites as offered.
    pub fn ciphers(&self) -> &[u16] {
        self.list(List::Ciphers)
    }

    /// Types of the extensions in their order.
    pub fn extensions(&self) -> &[u16] {
        self.list(List::Extensions)
    }

    /// Supported groups (RFC 8446 section 4.2.7).
    pub fn groups(&self) -> &[u16] {
        self.list(List::Groups)
    }

    /// Signature algorithms (RFC 8446 section 4.2.3).
    pub fn signature_algorithms(&self) -> &[u16] {
        self.list(List::SignatureAlgorithms)
    }

    /// Groups of the key shares (RFC 8446 section 4.2.8).
    pub fn key_shares(&self) -> &[u16] {
        self.list(List::KeyShares)
    }

    /// Supported versions (RFC 8446 section 4.2.1).
    pub fn versions(&self) -> &[u16] {
        self.list(List::Versions)
    }

    /// EC point formats (RFC 8422 section 5.1.2).
    pub fn point_formats(&self) -> &[u8] {
        &self.formats
    }

    /// Whether it has an extension of this type.
    pub fn has(&self, extension: u16) -> bool {
        self.extensions().contains(&extension)
    }

    /// The first host name of server_name (RFC 6066 section 3), as sent.
    pub fn server_name(&self) -> Option<&[u8]> {
        self.server_name.as_deref()
    }

    /// The protocols of ALPN (RFC 7301), as sent; none without the extension.
    pub fn alpn(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.alpn.as_deref().map(names)
    }

    /// Highest version offered: of supported_versions, else the legacy version. Drafts of TLS 1.3 are below the final
    /// version. DTLS counts downwards (RFC 6347 section 4.1), and 0x0100, from before the standard, is its oldest.
    pub fn version(&self, dtls: bool) -> u16 {
        let rank = |v: u16| match v {
            0x7f00..=0x7fff => 0x0303 << 8 | u32::from(v & 0xff),
            0x0100 if dtls => 0,
            _ if dtls => u32::from(!v) << 8,
            _ => u32::from(v) << 8,
        };
        let offered = self.versions().iter().copied().filter(|v| !is_grease(*v));
        offered.max_by_key(|v| rank(*v)).unwrap_or(self.legacy_version)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let len = |b: &Option<Box<[u8]>>| b.as_ref().map_or(0, |b| b.len());
        2 * self.numbers.len() + self.formats.len() + len(&self.server_name) + len(&self.alpn)
    }

    fn list(&self, list: List) -> &[u16] {
        let i = list as usize;
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.numbers.get(start.into()..self.ends[i].into()).unwrap_or_default()
    }

    /// Takes what is wanted of one extension. The first of a type counts.
    fn extension<'a>(&mut self, kind: u16, content: Reader<'a>, lists: &mut [Numbers<'a>; LISTS]) {
        let mut r = content;
        let list = match kind {
            ext::SUPPORTED_GROUPS => List::Groups,
            ext::SIGNATURE_ALGORITHMS => List::SignatureAlgorithms,
            ext::KEY_SHARE => List::KeyShares,
            ext::SUPPORTED_VERSIONS => List::Versions,
            ext::SERVER_NAME if self.server_name.is_none() => {
                self.server_name = host_name(r).map(Into::into);
                return;
            }
            ext::EC_POINT_FORMATS if self.formats.is_empty() => {
                self.formats = r.vec8().map(|v| v.rest().into()).unwrap_or_default();
                return;
            }
            ext::ALPN if self.alpn.is_none() => {
                self.alpn = r.vec16().map(|v| v.rest().into());
                return;
            }
            _ => return,
        };
        let Some(to) = lists.get_mut(list as usize).filter(|l| l.iter().next().is_none()) else { return };
        let numbers = match list {
            List::Versions => r.vec8().map(Numbers::Plain),
            List::KeyShares => r.vec16().map(Numbers::Shares),
            _ => r.vec16().map(Numbers::Plain),
        };
        if let Some(numbers) = numbers {
            *to = numbers;
        }
    }
}

/// Types of extensions (IANA, TLS ExtensionType Values).
#[allow(missing_docs)]
pub mod ext {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const SESSION_TICKET: u16 = 35;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const KEY_SHARE: u16 = 51;
    pub const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

fn host_name(mut r: Reader<'_>) -> Option<&[u8]> {
    let mut list = r.vec16()?;
    loop {
        let kind = list.u8()?;
        let name = list.vec16()?.rest();
        if kind == 0 {
            return Some(name);
        }
    }
}

/// The names of an ALPN vector.
pub(super) fn names(vector: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut r = Reader::new(vector);
    std::iter::from_fn(move || r.vec8().map(|name| name.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tls::testing::Hello;

    #[test]
    fn what_a_hello_says() {
        let hello = Hello {
            version: 0x0303,
            session_id: &[9; 32],
            ciphers: &[0x1301, 0xc02f],
            extensions: &[
                (0, b"\0\x0c\0\0\x09localhost"),
                (10, b"\0\x04\x11\xec\0\x1d"),
                (11, b"\x01\0"),
                (13, b"\0\x04\x04\x03\x08\x04"),
                (16, b"\0\x0c\x02h2\x08http/1.1"),
                (43, b"\x06\x7f\x1c\x03\x03\x03\x04"),
                (51, b"\0\x0a\x11\xec\0\x01\x05\0\x1d\0\x01\x06"),
            ],
        };
        let h = hello.read();
        assert_eq!((h.legacy_version, h.session_id_len, h.session_id), (0x0303, 32, [9; 32]));
        assert_eq!(
            (h.ciphers(), h.groups(), h.point_formats()),
            (&[0x1301, 0xc02f][..], &[0x11ec, 0x1d][..], &[0][..])
        );
        assert_eq!((h.signature_algorithms(), h.key_shares()), (&[0x0403, 0x0804][..], &[0x11ec, 0x1d][..]));
        assert_eq!((h.extensions(), h.server_name()), (&[0, 10, 11, 13, 16, 43, 51][..], Some(&b"localhost"[..])));
        assert_eq!(h.alpn().unwrap().collect::<Vec<_>>(), [&b"h2"[..], b"http/1.1"]);
        assert_eq!((h.versions().len(), h.version(false)), (3, 0x0304));
        assert!(h.has(43) && !h.has(42));
    }

    #[test]
    fn versions_of_dtls_count_downwards() {
        let of = |version, versions: &[u8]| {
            let extensions: &[(u16, &[u8])] = &[(43, versions)];
            Hello { version, extensions: if versions.is_empty() { &[] } else { extensions }, ..Hello::default() }
                .read()
                .version(true)
        };
        assert_eq!(of(0xfefd, b"\x04\xfe\xfd\xfe\xfc"), 0xfefc);
        assert_eq!(of(0xfefd, b"\x04\x01\x00\xfe\xff"), 0xfeff);
        assert_eq!(of(0xfeff, b""), 0xfeff);
    }

    #[test]
    fn damaged_extensions_leave_what_was_before_them() {
        let mut body = Hello {
            version: 0x0303,
            ciphers: &[1],
            extensions: &[(0, b"\0\x04\0\0\x01a"), (16, b"\0\x03\x02h2")],
            ..Hello::default()
        }
        .body();
        assert_eq!(client_hello(&body, false).unwrap().extensions(), [0, 16]);
        body.pop();
        let h = client_hello(&body, false).unwrap();
        assert_eq!((h.extensions(), h.server_name(), h.alpn().is_none()), (&[0][..], Some(&b"a"[..]), true));
        assert_eq!(client_hello(&body[..38], false), None);
    }

    proptest::proptest! {
        #[test]
        fn facts_are_never_larger_than_the_message(body: Vec<u8>, dtls: bool) {
            if let Some(h) = client_hello(&body, dtls) {
                assert!(h.heap_bytes() <= body.len());
            }
        }
    }
}
