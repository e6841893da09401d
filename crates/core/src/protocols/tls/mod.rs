//! TLS and DTLS: handshakes that anybody can read (RFC 8446, 5246, 9147, 6347).

mod certificates;
mod client_hello;
mod dtls;
mod facts;
pub(in crate::protocols) mod join;
mod key_exchange;
mod names;
mod proxy;
mod record;
mod server_hello;
mod session;
mod start;
#[cfg(test)]
pub(crate) mod testing;
mod x509;

pub use certificates::{Certificates, certificates};
pub use client_hello::{ClientHello, client_hello, ext};
pub use dtls::{DtlsSession, looks_like_dtls_hello, may_be_dtls};
pub use facts::{Facts, RecordSizes, Transport};
pub use key_exchange::{KeyExchange, server_key_exchange};
pub use names::{group_name, is_post_quantum, write_version};
pub use proxy::header as proxy_header;
pub use record::{Hello, MAX_RECORD, RECORD_HEADER, content, looks_like_hello};
pub use server_hello::{ServerHello, server_hello};
pub use session::TlsSession;
pub use start::SEARCHED;
pub use x509::{Identifiers, Leaf, identifiers, leaf};

use crate::wire::Reader;

/// Handshake messages of this length or more are not read. A ClientHello or a chain of certificates that is longer than
/// 64 KiB is none that a peer would take; without a bound, a length of three bytes would have 16 MiB wait for it.
pub const MAX_MESSAGE: usize = 65_536;

/// Whether a value is one that clients send to see that it is ignored (GREASE, RFC 8701).
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Reads one extension: type and content.
fn extension<'a>(r: &mut Reader<'a>) -> Option<(u16, Reader<'a>)> {
    Some((r.u16()?, r.vec16()?))
}
