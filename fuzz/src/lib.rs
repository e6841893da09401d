//! Laws that hold for any input. A fuzz target is one call into this crate.

pub mod app;
pub mod captures;
pub mod decoding;
pub mod filter;
pub mod fragments;
pub mod handshakes;
pub mod memory;
pub mod protocols;
pub mod streams;
pub mod wire;
