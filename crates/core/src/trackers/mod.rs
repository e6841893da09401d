//! Bounded per-flow state, updated packet by packet. Features read trackers; nothing else does.
//!
//! A tracker is started for a flow only when a selected feature reads it (see [`TrackerMask`]) and the flow concerns
//! it. To add one: a file here, and one line in `table.rs`.

use crate::packet::{FlowKey, Packet, Side};

mod app;
mod bursts;
mod concerns;
mod context;
mod distinct;
mod entropy;
mod gaps;
mod icmp;
mod ip_header;
mod keep;
mod lengths;
mod log;
mod mac;
mod opening;
mod order;
mod record;
mod sizes;
mod sketch;
mod table;
mod tcp_flags;
mod tcp_options;
mod tcp_sequence;

pub use app::{App, AppWants, Earlier};
pub use concerns::Concerns;
pub use context::{Context, Memory};
pub use distinct::{Distinct, MAX_DISTINCT};
pub use entropy::{Entropy, MAX_SAMPLE_BYTES};
pub use gaps::{GapRun, GapSummary};
pub use icmp::Icmp;
pub use ip_header::{IpHeader, SideIpHeader};
pub use keep::{KeptPacket, KeptPackets};
pub use lengths::{LengthSpread, LengthSummary};
pub use log::{LogScratch, PacketLog};
pub use mac::{FirstFrame, Mac};
pub use opening::{Opening, SynSegment, Window};
pub use order::{mean, population_std};
pub use record::Record;
pub use sizes::{SideSizes, Sizes};
pub(crate) use table::for_each_tracker;
pub use tcp_flags::{TcpFlags, TcpTotals};
pub use tcp_options::{Clock, FirstSyn, SideTcp, Syn, TcpOptions, Timestamps, Windows};
pub use tcp_sequence::{Samples, SideSequence, TcpSequence};

/// Most packets that sequences may be asked to hold: 1 MiB a flow.
pub const MAX_SEQUENCE_LEN: usize = 65_535;

/// Records that a flow's log holds before the older half is folded: 64 KiB, and twice the number of packets by which
/// packets may be out of order.
pub const LOG_CAP: usize = 4096;

/// Packets of a flow that [`KeptPackets`] keeps by default: 40 MB of one flow.
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
    /// Bytes of payload of a side that [`Entropy`] looks at (1 to [`MAX_SAMPLE_BYTES`]).
    pub sample_bytes: usize,
    /// What [`App`] looks for.
    pub app: AppWants,
}

impl Default for TrackerSettings {
    /// A burst threshold of 50 ms, no sequences, samples of 256 bytes.
    fn default() -> Self {
        Self {
            burst_threshold_ns: 50_000_000,
            sequence_len: 0,
            log_cap: LOG_CAP,
            keep_cap: KEEP_CAP,
            sample_bytes: 256,
            app: AppWants::NONE,
        }
    }
}

/// Per-flow state of bounded size.
pub trait Tracker: Sized + Send {
    /// Most bytes that one flow's state may take, heap included. A test drives 1e6 packets against it.
    const MAX_BYTES: usize;

    /// Whether [`Wants::NoMore`] holds only until a packet with SYN comes: what is read of one connection may begin again
    /// with the next one in the same flow.
    const AGAIN_AT_SYN: bool = false;

    /// Whether it reads the bytes of many packets, and not only what was decoded of them: they are then loaded ahead.
    const READS_BYTES: bool = false;

    /// Which flows have this state at all.
    const CONCERNS: Concerns = Concerns::ALL;

    /// The state before the first packet; it holds nothing on the heap where the column is `Inline`, which is filled ahead.
    fn start(settings: &TrackerSettings) -> Self;

    /// Takes in one packet; also called for the first. Every change of [`Tracker::heap_bytes`] is entered in the
    /// context's account of memory, here and in the two hooks below.
    fn update(&mut self, packet: &Packet<'_>, side: Side, context: &mut Context) -> Wants;

    /// The flow has ended: frees what its row does not need.
    fn end(&mut self, _context: &mut Context) {}

    /// Memory is short: gives back what can be done without.
    fn relieve(&mut self, _context: &mut Context) {}

    /// The row of this state goes on where that of an earlier one ended, in the same connection: what holds for the
    /// connection is taken over. `initiator` is the side of the earlier row.
    fn continue_from(&mut self, _earlier: &Self, _key: &FlowKey, _initiator: Side) {}

    /// Bytes on the heap now.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// Reads a little of what an update will need, so that it is in the cache by then.
    fn touch(&self) -> u64 {
        0
    }
}

/// Whether a tracker wants to see more packets of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Yes.
    More,
    /// No: it is not called again (but see [`Tracker::AGAIN_AT_SYN`]), and costs nothing from here on.
    NoMore,
}

/// A set of trackers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackerMask(pub u32);

macro_rules! masks {
    ($($(#[$doc:meta])* $bit:ident $name:ident: $kind:ident $tracker:ident,)*) => {
        /// Places of the trackers in the mask.
        #[allow(non_camel_case_types)]
        enum Place { $($name,)* }

        impl TrackerMask {
            $($(#[$doc])* pub const $bit: Self = Self(1 << Place::$name as u32);)*
        }
    };
}

for_each_tracker!(masks);

impl TrackerMask {
    /// None.
    pub const NONE: Self = Self(0);

    /// Those that read numbers only, no bytes of packets: what can be computed of packets whose frames are gone.
    pub const OF_NUMBERS: Self = Self::SIZES.union(Self::TCP_FLAGS).union(Self::LOG).union(Self::KEEP);

    /// Both sets.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lcg, hostile_packet};

    /// A million packets of every shape stay within the bound, and the account of memory is that of the tracker.
    fn bounded<T: Tracker>(name: &str) {
        let settings = TrackerSettings {
            sequence_len: MAX_SEQUENCE_LEN,
            sample_bytes: MAX_SAMPLE_BYTES,
            app: AppWants::ALL,
            ..TrackerSettings::default()
        };
        for seed in [7, 11] {
            let mut context = Context::new(settings);
            let mut random = Lcg(seed);
            let mut tracker = T::start(&settings);
            context.memory.changed(0, tracker.heap_bytes());
            for i in 0..500_000u64 {
                let (info, batch) = hostile_packet(&mut random, i);
                let side = if random.next() & 1 == 0 { Side::A } else { Side::B };
                let wants = tracker.update(&Packet { info: &info, batch: &batch }, side, &mut context);
                if i.is_multiple_of(4096) || i < 64 {
                    let bytes = size_of::<T>() + tracker.heap_bytes();
                    assert!(bytes <= T::MAX_BYTES, "{name}: {bytes} > {}", T::MAX_BYTES);
                    assert_eq!(context.memory.heap_bytes(), tracker.heap_bytes(), "{name}");
                }
                if i == 300_000 {
                    tracker.relieve(&mut context);
                    assert_eq!(context.memory.heap_bytes(), tracker.heap_bytes(), "{name}, relieved");
                }
                if wants == Wants::NoMore {
                    break;
                }
            }
            tracker.end(&mut context);
            assert_eq!(context.memory.heap_bytes(), tracker.heap_bytes(), "{name}, ended");
            assert!(size_of::<T>() + tracker.heap_bytes() <= T::MAX_BYTES, "{name}, ended");
        }
    }

    macro_rules! all_bounded {
        ($($(#[$doc:meta])* $bit:ident $name:ident: $kind:ident $tracker:ident,)*) => {
            $(
                #[test]
                fn $name() {
                    bounded::<$tracker>(stringify!($tracker));
                }
            )*
        };
    }

    /// One test for each tracker of the table.
    mod a_million_hostile_packets_stay_within_the_bound_of {
        use super::*;
        for_each_tracker!(all_bounded);
    }
}
