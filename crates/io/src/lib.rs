//! joyfuljay-io.

pub mod sink;
