//! What takes all flows of a run together.

pub mod connections;
pub mod graph;
