//! PacketLog.

use super::{Tracker, TrackerSettings};
use crate::packet::{Packet, Side};

/// PacketLog.
#[derive(Clone, Debug, Default)]
pub struct PacketLog {}

impl Tracker for PacketLog {
    const MAX_BYTES: usize = 0;
    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }
    fn update(&mut self, _packet: &Packet<'_>, _side: Side, _settings: &TrackerSettings) {}
}

impl PacketLog {
    /// Bytes that the records of a flow of so many packets take on the heap, roughly.
    pub fn estimated_bytes(packets: u64) -> u64 {
        packets.min(4096) * 16
    }
}
