//! Packets off the wire: live interfaces and the filters that choose packets.
//!
//! The one crate that may hold unsafe code: system calls for packet rings, and the calls into libpcap.

pub mod filter;
pub mod live;
pub mod process;
