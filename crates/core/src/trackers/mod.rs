//! Bounded per-flow state, updated packet by packet. Features read trackers; nothing else does.
//!
//! A tracker is started for a flow only when a selected feature reads it (see [`TrackerMask`]). To add one: a file
//! here, its lines in this file, and one line for each function of [`crate::flow::FlowStore`].

use crate::packet::{Packet, Side};

mod gaps;
mod keep;
mod lengths;
mod log;
mod order;
mod record;
mod sizes;
mod sketch;
mod tcp_flags;
#[cfg(test)]
pub(crate) mod testing;

pub use gaps::{GapRun, GapSummary};
pub use keep::{KeptPacket, KeptPackets};
pub use lengths::LengthSummary;
pub use log::{LogScratch, PacketLog};
pub use order::{mean, population_std};
pub use record::Record;
pub use sizes::{SideSizes, Sizes};
pub use tcp_flags::{TcpFlags, TcpTotals};

/// Most packets that sequences may be asked to hold: 1 MiB a flow.
pub const MAX_SEQUENCE_LEN: usize = 65_536;

/// Records that a flow's log holds before the older half is folded: 64 KiB, and twice the number of packets by which
/// packets may be out of order.
pub const LOG_CAP: usize = 4096;

/// Packets of a flow that [`KeptPackets`] keeps when nobody says otherwise: 40 MB of one flow.
pub const KEEP_CAP: usize = 1_000_000;

/// What trackers need to know of the configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerSettings {
    /// Gap from which on a burst ends, in nanoseconds.
    pub burst_threshold_ns: i64,
    /// How many of the first packets to keep for sequences, whatever else is folded away; at most
    /// [`MAX_SEQUENCE_LEN`].
    pub sequence_len: usize,
    /// Records that a flow's [`PacketLog`] holds at most (2 to [`LOG_CAP`]).
    pub log_cap: usize,
    /// Packets that a flow's [`KeptPackets`] holds at most.
    pub keep_cap: usize,
}

impl Default for TrackerSettings {
    /// A burst threshold of 50 ms, no sequences.
    fn default() -> Self {
        Self { burst_threshold_ns: 50_000_000, sequence_len: 0, log_cap: LOG_CAP, keep_cap: KEEP_CAP }
    }
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
    /// [`KeptPackets`]. No feature reads it: only who wants the packets themselves asks for it.
    pub const KEEP: Self = Self(8);

    /// Both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
