//! Where JoyfulJay meets files: captures in, rows out.
//!
//! Everything that does I/O for the engine lives here, so that `joyfuljay-core` needs neither files nor codecs.
#![forbid(unsafe_code)]

mod civil;
#[cfg(feature = "sinks")]
#[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code, reason = "what both databases share"))]
pub mod database;
#[cfg(feature = "sinks")]
pub mod dataset;
#[cfg(feature = "sinks")]
pub mod deliver;
#[cfg(feature = "sinks")]
pub mod encode;
pub mod save;
#[cfg(feature = "sinks")]
pub mod sink;
pub mod source;
#[cfg(feature = "sinks")]
pub mod spill;
#[cfg(feature = "tls")]
pub mod tls;
