//! The flow table of one partition.

/// How flows begin and end.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {}

/// Open flows by key.
#[derive(Debug)]
pub struct FlowTable {}
