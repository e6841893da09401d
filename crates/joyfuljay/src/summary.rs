//! What a run did.

use std::time::Duration;

use joyfuljay_core::StatsDelta;
use joyfuljay_core::frame::TimeNs;
use joyfuljay_io::save::Saved;
use joyfuljay_io::source::{Clock, Drops, InterfaceCounts, SourceWarning, Trouble};

/// What a run did, in exact totals.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Counts.
    pub stats: StatsDelta,
    /// Rows written.
    pub rows: u64,
    /// Rows that could not be written, where the run was to go on without them.
    pub rows_lost: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Wall-clock time of the run.
    pub elapsed: Duration,
    /// What went wrong without ending the run.
    pub warnings: Vec<SourceWarning>,
    /// Earliest packet time.
    pub first_ts: Option<TimeNs>,
    /// Latest packet time.
    pub last_ts: Option<TimeNs>,
    /// What said the time where frames arrived one by one (pipes, devices) and the run had to wait for some.
    pub clock: Option<Clock>,
    /// Whether the input was ended by [`crate::RunControl::stop`]: the output is that of what was read until then.
    pub stopped: bool,
    /// Whether the run was cancelled: there is no output.
    pub cancelled: bool,
    /// What was saved of the frames, where that was asked for.
    pub saved: Option<Saved>,
    /// Packets that were lost before they could be read.
    pub drops: Drops,
    /// The interfaces that were captured from.
    pub interfaces: Vec<InterfaceCounts>,
    /// Worker threads.
    pub workers: usize,
}

impl Summary {
    /// What is to be known of the rows, then what went wrong without ending the run.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        self.stats.remarks().into_iter().chain(self.warnings.iter().map(ToString::to_string))
    }

    /// Files and folders among others that could not be read, as they vanished, may not be read or are no captures.
    pub fn files_not_read(&self) -> u64 {
        self.warnings.iter().filter(|warning| warning.trouble == Trouble::NotRead).count() as u64
    }
}
