//! The engine of JoyfulJay: packets to flows to features to rows.
//!
//! Sans-IO and clock-free. Frames are pushed in, finished flows and Arrow record batches come out, and time is
//! whatever the packets say. Files, live interfaces, remote sensors and Python drive this one engine; see
//! ARCHITECTURE.md at the root of the repository for how the parts meet.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod columns;
pub mod config;
pub mod decode;
mod digits;
pub mod engine;
pub mod error;
pub mod features;
pub mod flow;
pub mod frame;
mod hash;
pub mod labels;
pub mod link_type;
pub mod metrics;
pub mod nearest;
pub mod packet;
pub mod ports;
pub mod privacy;
pub mod protocols;
pub mod rows;
pub mod stats;
pub mod streams;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trackers;
pub mod wire;

pub use config::Config;
pub use error::ConfigError;
pub use frame::{Frame, FrameBatch, LinkType};
pub use packet::{FlowKey, Packet, PacketInfo, Side};
pub use stats::{EndReason, SkipReason, StatsDelta};
