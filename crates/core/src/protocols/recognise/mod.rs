//! Which application protocol a flow speaks, by its bytes: the starts of both directions of a connection, or its
//! datagrams. Ports alone never decide.
//!
//! [`Stream`] and [`Datagrams`] read a flow and remember which rules held; [`Seen::verdict`] puts these into their order
//! when the row is made, as only then it is known who the initiator is.

mod datagrams;
mod start;
mod stream;
mod verdict;

pub use datagrams::Datagrams;
pub use start::Start;
pub use stream::{Follow, Stream};
pub use verdict::{AppProtocol, Seen, Verdict};
