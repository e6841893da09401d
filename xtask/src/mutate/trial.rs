//! One capture through the pipeline, and what must be true of it.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use joyfuljay::sink::Discard;
use joyfuljay::source::CaptureReader;
use joyfuljay::{Config, Error, Pipeline, Summary};
use joyfuljay_core::features::GROUPS;

use super::damage::Rng;

/// What a case varies besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Worker threads.
    pub workers: u32,
    /// Most flows at a time.
    pub flows: u64,
    /// Whether rows are split by direction.
    pub split: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { workers: 1, flows: 2_000_000, split: false }
    }
}

impl Settings {
    /// Mostly the usual, sometimes two workers, a small table, split rows.
    pub fn random(rng: &mut Rng) -> Self {
        let usual = Self::default();
        let flows = if rng.below(8) == 0 { 1 + rng.below(8) as u64 } else { usual.flows };
        Self { workers: 1 + u32::from(rng.below(4) == 0), flows, split: rng.below(4) == 0 }
    }
}

/// Runs a capture with all features: its frames and rows, or none where the bytes are no capture.
///
/// # Errors
/// Where the run panics, fails for another reason than that the bytes are no capture, or does not add up.
pub fn run(bytes: Vec<u8>, settings: Settings) -> Result<Option<(u64, u64)>, String> {
    match catch_unwind(AssertUnwindSafe(|| pipeline(bytes, settings))) {
        Ok(Ok(summary)) => check(&summary, settings).map(|()| Some((summary.stats.frames, summary.rows))),
        Ok(Err(Error::Source(_))) => Ok(None),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err("panicked".into()),
    }
}

fn pipeline(bytes: Vec<u8>, settings: Settings) -> Result<Summary, Error> {
    // All, and what `all` leaves out.
    let opt_in = GROUPS.iter().filter(|g| g.opt_in()).map(|g| g.id().to_owned());
    let config = Config {
        features: std::iter::once("all".to_owned()).chain(opt_in).collect(),
        num_workers: Some(settings.workers),
        max_concurrent_flows: settings.flows,
        bidirectional_split: settings.split,
        include_flow_id: true,
        include_splt: true,
        include_raw_sequences: true,
        ..Config::default()
    };
    let source = CaptureReader::from_reader("damaged capture", Cursor::new(bytes))?;
    Pipeline::new(config)?.run(Box::new(source), Box::new(Discard::default()))
}

fn check(summary: &Summary, settings: Settings) -> Result<(), String> {
    let s = &summary.stats;
    if s.frames + s.subframes != s.packets + s.skipped.total() {
        return Err(format!(
            "{} frames, {} further subframes, {} packets, {} skipped",
            s.frames,
            s.subframes,
            s.packets,
            s.skipped.total()
        ));
    }
    let ended = s.flows_ended.total();
    if s.flows_created != ended || s.active_flows != 0 {
        return Err(format!("{} flows begun, {ended} ended, {} open", s.flows_created, s.active_flows));
    }
    if !settings.split && summary.rows != ended {
        return Err(format!("{ended} flows, {} rows", summary.rows));
    }
    Ok(())
}
