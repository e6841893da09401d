//! `--save-pcap`: the frames of a run, kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use joyfuljay_core::config::ByteSize;
use joyfuljay_io::save::{CaptureWriter, Rotation, SaveError};

use crate::options::whole;

/// The writer of frames that are kept, if any are, and whether it may lose some.
pub type Saving = Option<(CaptureWriter, bool)>;

/// Where frames are kept, and in how many files.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Saved packets")]
pub struct SaveArgs {
    /// Write the packets that are read (and match the filter) into this pcapng file. With one of the next two options into
    /// several, NAME-TIME-NUMBER, each under NAME.part until it is whole.
    #[arg(long, value_name = "FILE")]
    pub save_pcap: Option<PathBuf>,
    /// Begin another file before one has more bytes than this: 100MB, 1GiB.
    #[arg(long, value_name = "SIZE", requires = "save_pcap")]
    pub save_pcap_size: Option<ByteSize>,
    /// Begin another file at every multiple of so many seconds, counted in UTC; a quiet one is closed all the same.
    #[arg(long, value_name = "SECONDS", requires = "save_pcap", value_parser = whole(1, MAX_SECONDS))]
    pub save_pcap_seconds: Option<u64>,
    /// What to do when packets cannot be written, as the disk is full: stop with an error, or lose them (counted) and go on.
    #[arg(long, value_enum, value_name = "WHAT", requires = "save_pcap", default_value_t = OnError::Stop)]
    pub save_pcap_error: OnError,
}

/// A year: nobody rotates less often.
pub const MAX_SECONDS: u64 = 366 * 86_400;

/// What to do when packets cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// End the run.
    #[default]
    Stop,
    /// Count them as lost, and try again with the next ones.
    Lose,
}

impl SaveArgs {
    /// The writer that was asked for, and whether frames may be lost.
    pub fn open(&self) -> Result<Saving, SaveError> {
        let Some(path) = &self.save_pcap else { return Ok(None) };
        let rotation = Rotation {
            bytes: self.save_pcap_size.map(|size| size.0),
            every: self.save_pcap_seconds.map(Duration::from_secs),
        };
        Ok(Some((CaptureWriter::create(path, rotation)?, self.save_pcap_error == OnError::Lose)))
    }
}
