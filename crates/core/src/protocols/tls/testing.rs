//! Hellos for tests.

use super::{ClientHello, client_hello};

/// What a made-up ClientHello has.
#[derive(Clone, Copy, Default)]
pub(crate) struct Hello<'a> {
    pub version: u16,
    pub session_id: &'a [u8],
    pub ciphers: &'a [u16],
    pub extensions: &'a [(u16, &'a [u8])],
}

impl Hello<'_> {
    /// The body of the message.
    pub fn body(&self) -> Vec<u8> {
        let mut b = self.version.to_be_bytes().to_vec();
        b.extend([7; 32]);
        b.push(self.session_id.len() as u8);
        b.extend(self.session_id);
        b.extend((2 * self.ciphers.len() as u16).to_be_bytes());
        b.extend(self.ciphers.iter().flat_map(|c| c.to_be_bytes()));
        b.extend([1, 0]);
        if !self.extensions.is_empty() {
            let all: Vec<u8> = self
                .extensions
                .iter()
                .flat_map(|(kind, content)| {
                    [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
                })
                .collect();
            b.extend((all.len() as u16).to_be_bytes());
            b.extend(all);
        }
        b
    }

    /// What is read of it.
    pub fn read(&self) -> ClientHello {
        client_hello(&self.body(), false).unwrap()
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        message(1, &self.body())
    }
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

/// A record.
pub(crate) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &(content.len() as u16).to_be_bytes(), content].concat()
}
