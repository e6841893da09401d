//! Network traffic to ML-ready flow features.
//!
//! A [`Pipeline`] takes packets from a source, assembles flows, computes features and hands rows to a sink, while a
//! metrics sink is called with the counts.
//!
//! ```
//! use joyfuljay::{Config, Pipeline, sink::MemorySink, source::CaptureSet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/demo.pcap").to_string();
//! let config = Config { features: vec!["flow_meta".into(), "timing".into()], ..Config::default() };
//! let pipeline = Pipeline::new(config)?;
//! let source = CaptureSet::open(&[capture], &Default::default())?;
//! let sink = MemorySink::new();
//! let rows = sink.rows();
//! let summary = pipeline.run(Box::new(source), Box::new(sink))?;
//! assert_eq!(rows.take().iter().map(|b| b.num_rows() as u64).sum::<u64>(), summary.rows);
//! # Ok(())
//! # }
//! ```
//!
//! Flow by flow, without rows:
//!
//! ```
//! use joyfuljay::{Config, Pipeline, source::CaptureSet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/demo.pcap").to_string();
//! let source = CaptureSet::open(&[capture], &Default::default())?;
//! let mut packets = 0;
//! let counts = Pipeline::new(Config::default())?.flows(Box::new(source)).each_flow(|flow| packets += flow.base.total_packets())?;
//! assert_eq!(packets, counts.packets);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

/// What rows are made of, in the versions that this crate has them.
pub mod arrow {
    pub use arrow_array;
    pub use arrow_schema;
}
pub mod config_file;
mod control;
mod drive;
mod encoding;
mod error;
mod flows;
mod labels;
mod memory;
pub mod monitoring;
mod parallel;
mod pipeline;
mod progress;
mod recorder;
mod run;
mod saving;
pub mod sensor;
mod separate;
mod serial;
pub mod slices;
mod summary;
mod waiting;
pub mod watch;

pub use control::RunControl;
pub use error::{Error, without_codes};
pub use flows::Flows;
pub use joyfuljay_capture::filter;
pub use joyfuljay_core::{self as core, Config, ConfigError};
pub use joyfuljay_io::{deliver, encode, save, sink, source};
pub use joyfuljay_remote as remote;
pub use labels::{LabelsError, labels};
pub use memory::{available_memory, default_max_memory};
pub use pipeline::{CAPTURE_COLUMN, Pipeline};
pub use progress::Progress;
pub use summary::Summary;
