//! Where frames come from. The engine pulls: one trait, batches of frames, never async; a source that has nothing to give
//! says so when the wait that it was given is over.
//!
//! [`CaptureSet`] reads files, directories, globs and standard input one after the other; [`CaptureReader`] reads one
//! capture from anything that is [`std::io::Read`].

mod compressed;
mod error;
mod expand;
mod input;
mod layer;
mod order;
mod pcap;
mod pcapng;
mod reader;
mod sequence;
mod set;
mod slice;
mod sniff;
mod step;
#[cfg(test)]
mod testing;

use joyfuljay_core::frame::{FrameBatch, LinkType, SlicePart, TimeNs};
use joyfuljay_core::metrics::{InterfaceDelta, Mode};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use compressed::Compression;
pub use error::{SourceError, SourceWarning, Trouble};
pub use layer::SourceLayer;
pub use order::{same_series, sort_by_first_packet};
pub use reader::{CaptureReader, MAX_BATCH_BYTES, MAX_RECORD_BYTES};
pub use set::{Apart, CaptureOptions, CaptureSet};
pub use slice::{Local, Mark, Resume, SlicePlan, SliceSource, Store, first_time, marks};

/// A supply of frames.
pub trait PacketSource: Send {
    /// What kind of supply this is: the `mode` label of metrics.
    fn mode(&self) -> Mode;

    /// Whether its end need not come by itself: a pipe, a device, an interface. What needs all of the input cannot be had from it.
    fn is_stream(&self) -> bool {
        self.mode() != Mode::Pcap
    }

    /// What metrics call the source: the name of the interface or the sensor; captures go by their mode.
    fn label(&self) -> &str {
        self.mode().label()
    }

    /// Replaces the contents of `out` by the next frames, [`joyfuljay_core::frame::BATCH_FRAMES`] at most.
    ///
    /// Where the frames are stored, batches are full up to the last. Where they arrive one by one, a batch is given out
    /// when it is full or `wait` after its first frame; and [`Pulled::Idle`] is said when none came within `wait`. So a
    /// call takes twice `wait` at most.
    ///
    /// A batch that comes back for reuse need not be cleared: what is left in `out.data` is memory that the source
    /// reads into, and clearing it makes the source zero it again.
    ///
    /// # Errors
    /// When no further frame can be had from what the user named. Damage within a capture is no error but a warning.
    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError>;

    /// No more input is wanted. A stream may still give what has been sent already, for a second at most; then
    /// [`PacketSource::pull`] says [`Pulled::End`].
    fn stop(&mut self);

    /// How far the input has been read.
    fn position(&self) -> Position;

    /// What the latest batch is to a run over a slice, where the source is one.
    fn slice_part(&self) -> Option<SlicePart> {
        None
    }

    /// What says the time while frames arrive one by one. `None` for stored frames, and before the first one has come.
    fn clock(&self) -> Option<Clock> {
        None
    }

    /// Frames that were lost before they could be read, since the start.
    fn drops(&self) -> Drops {
        Drops::default()
    }

    /// How long the latest frame had waited when it was read, where frames arrive as they are captured; nothing on a quiet wire.
    fn lag(&self) -> Option<Duration> {
        None
    }

    /// The interfaces that it captures from, with their counts.
    fn interfaces(&self) -> Vec<InterfaceCounts> {
        Vec::new()
    }

    /// What went wrong since the last call without ending the run.
    fn take_warnings(&mut self) -> Vec<SourceWarning>;
}

/// What a call of [`PacketSource::pull`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// At least one frame.
    Frames {
        /// Whether the batch is not full because no more frames came in time.
        waited: bool,
    },
    /// No frame came in time. The packet time by now, where the time goes on without packets (see [`Clock::Running`]).
    Idle(Option<TimeNs>),
    /// No frame, and none will come.
    End,
}

/// What says the time of a source whose frames arrive one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Its packets alone: they were captured long ago, or with another clock.
    Packets,
    /// Frames arrive when they are captured: while none comes, the time goes on, and quiet flows end.
    Running,
}

impl Clock {
    /// How far a first frame's time may be from the clock of this machine for [`Clock::Running`]: as much as buffers on
    /// the way and clocks that are not set may make, and less than the age of any capture that was kept.
    pub const TOLERANCE: Duration = Duration::from_secs(60);

    /// The clock of a source whose first frame bears this time and has just arrived.
    pub fn of_first_frame(ts: TimeNs) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let distance = u128::from(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX).abs_diff(ts));
        if distance <= Self::TOLERANCE.as_nanos() { Self::Running } else { Self::Packets }
    }

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packets => "packets",
            Self::Running => "running",
        }
    }
}

/// Frames lost before they could be read, by the place where that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// In the kernel, whose buffer was full.
    pub kernel: u64,
    /// In the interface or its driver.
    pub interface: u64,
    /// In a queue of our own.
    pub queue: u64,
}

/// What came in at one interface, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Stays the same when the name changes.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether packets can come now.
    pub up: bool,
    /// Packets that it delivered, those that the kernel lost then (`drops.kernel`) included.
    pub received: u64,
    /// Packets lost.
    pub drops: Drops,
    /// Times that the kernel's buffer became full.
    pub freezes: u64,
}

impl InterfaceCounts {
    /// What came since it was last told, if it was.
    pub fn since(&self, before: Option<&Self>) -> InterfaceDelta {
        let grown = |of: fn(&Self) -> u64| of(self).saturating_sub(before.map_or(0, of));
        InterfaceDelta {
            up: self.up,
            received: grown(|c| c.received),
            kernel: grown(|c| c.drops.kernel),
            interface: grown(|c| c.drops.interface),
            queue: grown(|c| c.drops.queue),
        }
    }
}

/// How far a source has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes of input read so far, as stored (compressed, where the input is).
    pub read: u64,
    /// Bytes of input in all; `None` where that cannot be known (standard input, pipes).
    pub total: Option<u64>,
    /// Inputs read to their end.
    pub files_done: usize,
    /// Inputs in all.
    pub files_total: usize,
    /// Name of the input being read.
    pub current: Option<String>,
}

/// What a capture says of itself. Grows as the capture is read: a pcapng file may name interfaces anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureInfo {
    /// Path, or `standard input`.
    pub name: String,
    /// File format.
    pub format: CaptureFormat,
    /// How the file is compressed.
    pub compression: Compression,
    /// Byte order of the (latest) section.
    pub big_endian: bool,
    /// Version of the format, major and minor.
    pub version: (u16, u16),
    /// Resolution of timestamps of the latest interface.
    pub resolution: Resolution,
    /// Largest number of bytes kept of a frame; 0 means no limit. The largest of all interfaces.
    pub snaplen: u32,
    /// Link types of all interfaces, in the order in which they were first named.
    pub link_types: Vec<LinkType>,
    /// Interfaces named so far, over all sections; 1 in classic pcap.
    pub interfaces: u64,
    /// Sections so far; 1 in classic pcap.
    pub sections: u64,
}

impl CaptureInfo {
    /// Takes note of an interface.
    fn interface(&mut self, link: LinkType, snaplen: u32, resolution: Resolution) {
        self.interfaces += 1;
        self.snaplen = self.snaplen.max(snaplen);
        self.resolution = resolution;
        // Link types number below 400; a hostile file may name all 65536, and no more.
        if !self.link_types.contains(&link) && self.link_types.len() < MAX_LINK_TYPES {
            self.link_types.push(link);
        }
    }
}

/// Distinct link types that [`CaptureInfo`] lists: more than any tool writes, few enough to search.
const MAX_LINK_TYPES: usize = 64;

/// A file format of captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureFormat {
    /// Nothing has been read yet.
    #[default]
    Unknown,
    /// Classic pcap.
    Pcap,
    /// Classic pcap with Kuznetzov's longer record headers (magic 0xa1b2cd34).
    PcapModified,
    /// Classic pcap as Ixia's `lcap` writes it.
    PcapIxia,
    /// pcapng.
    Pcapng,
}

impl fmt::Display for CaptureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Pcap => "pcap",
            Self::PcapModified => "pcap (modified)",
            Self::PcapIxia => "pcap (Ixia lcap)",
            Self::Pcapng => "pcapng",
        })
    }
}

/// The length of one tick of a capture's clock, as pcapng's `if_tsresol` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// 10 to the minus this many seconds.
    Decimal(u8),
    /// 2 to the minus this many seconds.
    Binary(u8),
}

impl Default for Resolution {
    fn default() -> Self {
        Self::Decimal(6)
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(0) | Self::Binary(0) => f.write_str("1 s"),
            Self::Decimal(3) => f.write_str("1 ms"),
            Self::Decimal(6) => f.write_str("1 µs"),
            Self::Decimal(9) => f.write_str("1 ns"),
            Self::Decimal(n) => write!(f, "10^-{n} s"),
            Self::Binary(n) => write!(f, "2^-{n} s"),
        }
    }
}
