//! Live capture from network interfaces.
//!
//! Linux only: a memory-mapped packet ring (`AF_PACKET`, `TPACKET_V3`) for each interface, without libpcap. The kernel closes a
//! block of frames when it is full or [`linux::RETIRE`] old, so a frame waits that long at most. All that can be decided over plain
//! bytes is decided there: the walk over a block ([`block`]), the sizes of a ring ([`geometry`]), what netlink says of interfaces
//! ([`links`]) and what the clock does ([`timeline`]).

mod block;
mod geometry;
mod links;
mod timeline;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::{LiveSource, check, interfaces};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{LiveSource, check, interfaces};

use std::time::Duration;

pub use links::Link;

use crate::filter::Filter;

/// The name that stands for all interfaces.
pub const ANY: &str = "any";

/// How to capture.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LiveOptions {
    /// Bytes kept of each frame; 0 keeps all.
    pub snaplen: u32,
    /// Whether frames for other stations are seen too. The kernel takes this back when the capture ends, however it ends.
    pub promiscuous: bool,
    /// Bytes of the ring of each interface. Where memory is short it becomes smaller, and says so.
    pub ring_bytes: u64,
    /// Ends the capture by itself.
    pub duration: Option<Duration>,
    /// Whether an interface that does not exist yet is waited for.
    pub wait_for_interface: bool,
    /// A filter that the kernel applies before a frame takes room in the ring. It lets frames pass whose VLAN tag was taken off, and
    /// those of link types that it has no program for: whoever reads asks it again.
    pub filter: Option<Filter>,
}

impl LiveOptions {
    /// 64 MiB: at a million frames of 60 bytes a second, half a second in which nobody reads.
    pub const RING_BYTES: u64 = 64 << 20;

    /// A century: clocks can add it to any time.
    pub const MAX_DURATION: Duration = Duration::from_secs(100 * 366 * 86_400);
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            snaplen: 0,
            promiscuous: true,
            ring_bytes: Self::RING_BYTES,
            duration: None,
            wait_for_interface: false,
            filter: None,
        }
    }
}

/// One thing that live capture needs, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub what: String,
    /// What was found; else what is missing, with the remedy.
    pub found: Result<String, String>,
}
