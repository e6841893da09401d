//! TcpFlags.

use super::{Tracker, TrackerSettings};
use crate::packet::{Packet, Side};

/// TcpFlags.
#[derive(Clone, Debug, Default)]
pub struct TcpFlags {}

impl Tracker for TcpFlags {
    const MAX_BYTES: usize = 0;
    fn start(_settings: &TrackerSettings) -> Self {
        Self::default()
    }
    fn update(&mut self, _packet: &Packet<'_>, _side: Side, _settings: &TrackerSettings) {}
}
