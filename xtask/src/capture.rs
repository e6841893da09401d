//! A capture's rows as we make them, and how a flow is found in them: by protocol and end points.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use arrow_array::RecordBatch;
use joyfuljay::sink::MemorySink;
use joyfuljay::source::CaptureSet;
use joyfuljay::{Config, Pipeline, Summary};

/// An address and a port; one that is not there is 0.
pub type End = (IpAddr, u16);

/// Protocol and unordered end points.
pub type Key = (u8, End, End);

/// The key without direction, and whether `src` is its first end point.
pub fn ordered(protocol: u8, src: End, dst: End) -> (Key, bool) {
    if src <= dst { ((protocol, src, dst), true) } else { ((protocol, dst, src), false) }
}

/// Runs one capture, with one worker; what comes before damage is kept.
pub fn run(path: &Path, config: Config) -> Result<(Summary, Vec<RecordBatch>), Box<dyn Error>> {
    // Names of captures may hold characters that a pattern gives a meaning; a path is only ever a path here.
    let source = CaptureSet::open(&[path.display().to_string()], &Default::default())?;
    let sink = MemorySink::new();
    let batches = sink.rows();
    let config = Config { num_workers: Some(1), ..config };
    let summary = Pipeline::new(config)?.run(Box::new(source), Box::new(sink))?;
    Ok((summary, batches.take()))
}
