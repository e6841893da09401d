//! Bounded per-flow state, updated packet by packet. Features read trackers; nothing else does.
//!
//! A tracker is started for a flow only when a selected feature reads it (see [`TrackerMask`]).

use crate::packet::{Packet, Side};

mod log;
mod sizes;
mod tcp_flags;

pub use log::PacketLog;
pub use sizes::Sizes;
pub use tcp_flags::TcpFlags;

/// What trackers need to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// Gap from which on a burst ends, in nanoseconds.
    pub burst_threshold_ns: i64,
    /// How many of the first packets to keep for sequences, whatever else is folded away.
    pub sequence_len: usize,
}

/// Per-flow state of bounded size.
pub trait Tracker: Sized + Send {
    /// Most bytes that one flow's state may take, heap included. A test drives 1e6 packets against it.
    const MAX_BYTES: usize;
    /// The state before the first packet.
    fn start(settings: &TrackerSettings) -> Self;
    /// Takes in one packet; also called for the first.
    fn update(&mut self, packet: &Packet<'_>, side: Side, settings: &TrackerSettings);
}

/// A set of trackers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerMask(pub u32);

impl TrackerMask {
    /// None.
    pub const NONE: Self = Self(0);
    /// [`Sizes`].
    pub const SIZES: Self = Self(1);
    /// [`TcpFlags`].
    pub const TCP_FLAGS: Self = Self(2);
    /// [`PacketLog`].
    pub const LOG: Self = Self(4);

    /// Both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
