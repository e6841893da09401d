//! Remote capture: a sensor serves the frames of its interfaces or captures ([`server`]), a client makes rows of them ([`client`]).
//!
//! What passes between them is whole frames in the batches that the sensor's source gave ([`wire`]), over a WebSocket, so a run at the
//! client differs from one at the sensor in nothing but the place. docs/remote.md describes it for users and for other implementations.
#![forbid(unsafe_code)]

#[cfg(feature = "net")]
pub mod client;
#[cfg(feature = "net")]
pub mod discovery;
#[cfg(feature = "net")]
mod heard;
#[cfg(feature = "net")]
pub mod server;
#[cfg(feature = "net")]
mod tls;
#[cfg(feature = "net")]
mod token;
pub mod url;
pub mod wire;

#[cfg(feature = "net")]
pub use tls::{TlsError, Trust, client_config, server_name};
#[cfg(feature = "net")]
pub use token::Token;

use std::time::Duration;

/// The port of a sensor where none is named.
pub const DEFAULT_PORT: u16 = 8765;

/// How often both ends say that they are there. One that was not heard for [`MISSED`] times as long is taken for gone: within a minute.
pub const KEEPALIVE: Duration = Duration::from_secs(15);

/// See [`KEEPALIVE`].
pub const MISSED: u32 = 2;

/// The header that the token is in. It is never part of an address, which proxies and logs keep.
#[cfg(feature = "net")]
const BEARER: &str = "Bearer ";

/// The header in which a sensor says why it turns a client away.
#[cfg(feature = "net")]
const REASON: &str = "joyfuljay-reason";
