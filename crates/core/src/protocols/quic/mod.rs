//! QUIC (RFC 8999, 9000, 9001, 9368, 9369): what its headers say and its Initial packets hold.

mod keys;
mod packet;
mod session;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod version;

pub use packet::ConnectionId;
pub use session::{ClientInitial, First, QuicFinder, QuicSession, Spin};
pub use version::Version;
