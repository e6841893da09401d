//! Where frames come from. The engine pulls: one trait, batches of frames, blocking, never async.
//!
//! [`CaptureSet`] reads files, directories, globs and standard input one after the other; [`CaptureReader`] reads one
//! capture from anything that is [`std::io::Read`].

mod compressed;
mod error;
mod expand;
mod input;
mod pcap;
mod pcapng;
mod reader;
mod set;
mod sniff;
mod step;
#[cfg(test)]
mod testing;

use joyfuljay_core::frame::{FrameBatch, LinkType, TimeNs};
use joyfuljay_core::metrics::Mode;
use std::fmt;

pub use compressed::Compression;
pub use error::{SourceError, SourceWarning};
pub use reader::{CaptureReader, MAX_BATCH_BYTES, MAX_RECORD_BYTES};
pub use set::{CaptureOptions, CaptureSet};

/// A supply of frames.
pub trait PacketSource: Send {
    /// What kind of supply this is: the `mode` label of metrics.
    fn mode(&self) -> Mode;

    /// Replaces the contents of `out` by the next frames, [`joyfuljay_core::frame::BATCH_FRAMES`] at most.
    ///
    /// A batch that comes back for reuse need not be cleared: what is left in `out.data` is memory that the source
    /// reads into, and clearing it makes the source zero it again.
    ///
    /// # Errors
    /// When no further frame can be had from what the user named. Damage within a capture is no error but a warning.
    fn next_batch(&mut self, out: &mut FrameBatch) -> Result<Progress, SourceError>;

    /// How far the input has been read.
    fn position(&self) -> Position;

    /// What went wrong since the last call without ending the run.
    fn take_warnings(&mut self) -> Vec<SourceWarning>;

    /// What is known of the capture being read, or of the last one.
    fn info(&self) -> CaptureInfo;
}

/// What a call of [`PacketSource::next_batch`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least one frame.
    Frames,
    /// No frame, and the time is now this: live sources only.
    Idle(TimeNs),
    /// No frame, and none will come.
    End,
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
