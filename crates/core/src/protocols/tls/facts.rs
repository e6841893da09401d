//! What is known of a handshake, whatever carried it.

use super::certificates::{Certificates, certificates};
use super::key_exchange::{KeyExchange, server_key_exchange};
use super::{ClientHello, ServerHello, client_hello, server_hello};
use crate::packet::Side;

/// What carries a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// DTLS over UDP.
    Dtls,
    /// QUIC.
    Quic,
}

impl Transport {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Dtls => "dtls",
            Self::Quic => "quic",
        }
    }
}

/// The facts of one handshake. Messages that are read have less than [`super::MAX_MESSAGE`] bytes, and one of each kind is
/// kept at most, as facts or (of certificates: the leaf) as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What carried it.
    pub transport: Transport,
    /// The client; none while no hello was seen.
    pub client_side: Option<Side>,
    /// Whether there were records of TLS without a hello: the capture began later.
    pub records_only: bool,
    /// The first ClientHello.
    pub client: Option<ClientHello>,
    /// The first ServerHello that is no HelloRetryRequest.
    pub server: Option<ServerHello>,
    /// The HelloRetryRequest.
    pub retry: Option<ServerHello>,
    /// The server's first Certificate message, where it is in clear.
    pub certificates: Option<Certificates>,
    /// What the server said of the key exchange up to TLS 1.2.
    pub key_exchange: Option<KeyExchange>,
    /// Segments or datagrams with a byte of a handshake record.
    pub handshake_packets: u64,
    /// Records of application data.
    pub records: RecordSizes,
    next: Next,
}

/// What came behind the ServerHello up to TLS 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    /// Nothing, or nothing of use.
    #[default]
    Unknown,
    /// A message that only a full handshake has.
    Full,
    /// ChangeCipherSpec.
    ChangeCipherSpec,
}

/// Types of handshake messages (RFC 5246 section 7.4, RFC 8446 section 4).
pub(super) mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    pub const SERVER_HELLO_DONE: u8 = 14;
}

impl Facts {
    /// Of a handshake of which nothing was read.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            client_side: None,
            records_only: false,
            client: None,
            server: None,
            retry: None,
            certificates: None,
            key_exchange: None,
            handshake_packets: 0,
            records: RecordSizes::default(),
            next: Next::Unknown,
        }
    }

    /// Whether the header of a hello was seen.
    pub fn has_hello(&self) -> bool {
        self.client_side.is_some()
    }

    /// Whether TLS was seen at all.
    pub fn is_detected(&self) -> bool {
        self.has_hello() || self.records_only
    }

    /// The ServerHello, or the HelloRetryRequest that stands in for it.
    pub fn any_server_hello(&self) -> Option<&ServerHello> {
        self.server.as_ref().or(self.retry.as_ref())
    }

    /// The version: what the server chose, else the highest that the client offered.
    pub fn version(&self) -> Option<u16> {
        let chosen = self.any_server_hello().map(ServerHello::version);
        let dtls = self.transport == Transport::Dtls;
        chosen.or_else(|| self.client.as_ref().map(|hello| hello.version(dtls)))
    }

    /// The key exchange that took place.
    pub fn key_exchange(&self) -> Option<KeyExchange> {
        let server = self.server.as_ref()?;
        if server.is_13() {
            let (group, public_len) = server.key_share?;
            return Some(KeyExchange { group: Some(group), prime_bits: None, public_len });
        }
        self.key_exchange
    }

    /// Whether an earlier session was resumed.
    pub fn resumed(&self) -> Option<bool> {
        let server = self.server.as_ref()?;
        if server.is_13() {
            return Some(server.pre_shared_key);
        }
        let id = |len: u8, id: [u8; 32]| (len > 0).then_some((len, id));
        let chosen = id(server.session_id_len, server.session_id);
        let offered = self.client.as_ref().and_then(|c| id(c.session_id_len, c.session_id));
        match self.next {
            Next::Full => Some(false),
            Next::ChangeCipherSpec => Some(true),
            Next::Unknown => (chosen.is_some() && chosen == offered && self.certificates.is_none()).then_some(true),
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.client.as_ref().map_or(0, ClientHello::heap_bytes)
            + self.server.as_ref().map_or(0, ServerHello::heap_bytes)
            + self.retry.as_ref().map_or(0, ServerHello::heap_bytes)
            + self.certificates.as_ref().map_or(0, Certificates::heap_bytes)
    }

    /// Takes in a message of the client. Whether another one is wanted.
    pub(in crate::protocols) fn client_message(&mut self, kind: u8, body: &[u8]) -> bool {
        if kind == handshake::CLIENT_HELLO && self.client.is_none() {
            self.client = client_hello(body, self.transport == Transport::Dtls);
        }
        // Nothing that a client sends in clear behind its hello is wanted.
        false
    }

    /// Takes in a message of the server that is in clear. Whether another one is wanted.
    pub(in crate::protocols) fn server_message(&mut self, kind: u8, body: &[u8]) -> bool {
        match kind {
            handshake::SERVER_HELLO => match server_hello(body) {
                Some(hello) if hello.retry => {
                    self.retry.get_or_insert(hello);
                    true
                }
                Some(hello) => {
                    let more = !hello.is_13() && self.transport != Transport::Quic;
                    self.server.get_or_insert(hello);
                    more
                }
                None => false,
            },
            handshake::CERTIFICATE => {
                self.next = Next::Full;
                if self.certificates.is_none() {
                    self.certificates = certificates(body);
                }
                true
            }
            handshake::SERVER_KEY_EXCHANGE => {
                self.next = Next::Full;
                if let (None, Some(server)) = (self.key_exchange, &self.server) {
                    self.key_exchange = server_key_exchange(server.cipher, body);
                }
                true
            }
            handshake::SERVER_HELLO_DONE => {
                self.next = Next::Full;
                false
            }
            _ => true,
        }
    }

    /// The server sent ChangeCipherSpec. Whether messages in clear may follow: TLS 1.3 has such a record for the sake of
    /// middleboxes only (RFC 8446 section D.4).
    pub(in crate::protocols) fn change_cipher_spec(&mut self) -> bool {
        match &self.server {
            Some(server) if !server.is_13() => {
                if self.next == Next::Unknown {
                    self.next = Next::ChangeCipherSpec;
                }
                false
            }
            Some(_) => false,
            None => self.retry.is_some(),
        }
    }
}

/// Complete records of application data that are longer than 64 bytes, and how many of them have the length of cells of
/// Tor under each way of encryption. Which of them it is, the ServerHello says, and that may come later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSizes {
    /// All.
    pub all: u32,
    /// Content of TLS 1.3 (16 bytes of tag, one of type) is whole cells of 514 bytes.
    pub tls13: u32,
    /// Content under AES-GCM up to TLS 1.2 (8 bytes of nonce, 16 of tag) is whole cells.
    pub gcm: u32,
    /// Content under ChaCha20-Poly1305 up to TLS 1.2 (16 bytes of tag) is whole cells.
    pub chacha20: u32,
    /// One cell under AES-CBC with SHA-1 up to TLS 1.0: 544 bytes.
    pub cbc_implicit_iv: u32,
    /// The same in TLS 1.1 and 1.2, which send an initialisation vector of 16 bytes: 560.
    pub cbc: u32,
}

impl RecordSizes {
    /// Bytes of a cell (Tor specification, section 3: circuit id of 4 bytes, since link protocol 4).
    const CELL: u16 = 514;

    /// Counts a record of this length.
    pub(super) fn add(&mut self, len: u16) {
        if len <= 64 {
            return;
        }
        let cells = |overhead: u16| u32::from(len > overhead && (len - overhead).is_multiple_of(Self::CELL));
        self.all = self.all.saturating_add(1);
        for (count, one) in [
            (&mut self.tls13, cells(17)),
            (&mut self.gcm, cells(24)),
            (&mut self.chacha20, cells(16)),
            (&mut self.cbc_implicit_iv, u32::from(len == 544)),
            (&mut self.cbc, u32::from(len == 560)),
        ] {
            *count = count.saturating_add(one);
        }
    }
}
