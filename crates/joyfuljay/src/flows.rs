//! Flows one by one, pulled by the caller: what Python's `iter_flows` and extractors of the user's own are made of.
//!
//! The same engine as in a run, on the caller's thread. Flows come out after the batch in which they ended, so that
//! a reader of the first ones need not wait for the end of the capture.

use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{Drain, Engine, PacketBatch, RowChunk};
use joyfuljay_core::flow::FlowRef;
use joyfuljay_core::metrics::{RunResult, Stage};
use joyfuljay_io::source::{PacketSource, Position, SourceWarning};

use crate::drive::{Drive, Turn};
use crate::progress::Reporter;
use crate::recorder::Recorder;
use crate::{Error, Pipeline};

/// Finished flows of a source in the order of their rows: one by one ([`Flows::each_flow`]), or in chunks ([`Flows::chunks`]). Dropped
/// before its end, the run counts as cancelled.
pub struct Flows {
    drive: Drive,
    state: State,
    batch: PacketBatch,
    recorder: Recorder,
}

enum State {
    Reading(Box<Engine>),
    Draining(Box<Drain>),
    Done,
}

impl Pipeline {
    /// The flows of a source. To have their packets, make the pipeline [`Pipeline::keeping_packets`].
    pub fn flows(&self, source: Box<dyn PacketSource>) -> Flows {
        // Flows that are given one by one have no graph: the columns of the group connection are null.
        let settings = self.engine_settings().with_connections(None);
        let recorder = Recorder::start(self.metrics(), source.mode(), &settings);
        Flows {
            drive: Drive::new(source, &settings, self.control(), Reporter::new(None)).with_filter(self.frame_filter()),
            state: State::Reading(Box::new(Engine::new(&settings))),
            batch: PacketBatch::default(),
            recorder,
        }
    }
}

impl Flows {
    /// Counts so far.
    pub fn stats(&self) -> StatsDelta {
        self.recorder.totals()
    }

    /// Shows each flow that is left, in the order of rows, and gives the counts of the whole.
    pub fn each_flow(mut self, mut look: impl FnMut(FlowRef<'_>)) -> Result<StatsDelta, Error> {
        for chunk in self.chunks() {
            chunk?.flows().into_iter().for_each(&mut look);
        }
        Ok(self.stats())
    }

    /// The flows that are left, in chunks: for callers who keep them for a while, or leave in between.
    pub fn chunks(&mut self) -> impl Iterator<Item = Result<RowChunk, Error>> {
        std::iter::from_fn(|| {
            loop {
                match self.advance() {
                    Some(Ok(chunk)) if chunk.is_empty() => continue,
                    next => return next,
                }
            }
        })
    }

    /// Where in the input.
    pub fn position(&self) -> Position {
        self.drive.source().position()
    }

    /// What went wrong since the last call without ending the run.
    pub fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.recorder.take_warnings()
    }

    /// Works on one batch of frames, for callers who have other things to look after in between: a call takes a second at
    /// most. The chunk is empty where no flow ended.
    pub fn advance(&mut self) -> Option<Result<RowChunk, Error>> {
        if self.drive.is_cancelled() {
            self.end(RunResult::Cancelled);
            return None;
        }
        match self.step() {
            Ok(chunk) => chunk.map(Ok),
            Err(e) => {
                self.recorder.failed(&e);
                self.end(RunResult::Failure);
                Some(Err(e))
            }
        }
    }

    /// One batch of frames, or one chunk of what was open at the end. None when there is nothing left.
    fn step(&mut self) -> Result<Option<RowChunk>, Error> {
        let recorder = &self.recorder;
        let _time = recorder.thread("main");
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => Ok(None),
            State::Draining(mut drain) => {
                let chunk = drain.next();
                recorder.record(&drain.take_stats());
                match chunk {
                    Some(_) => self.state = State::Draining(drain),
                    None => recorder.close(RunResult::Success),
                }
                Ok(chunk)
            }
            State::Reading(mut engine) => {
                let turn = self.drive.next(recorder, &mut self.batch)?;
                if turn == Turn::Cancelled {
                    recorder.close(RunResult::Cancelled);
                    return Ok(None);
                }
                recorder.timed(Stage::Track, || engine.track(&self.batch));
                recorder.record(&engine.take_stats());
                if turn == Turn::Last {
                    let drain = engine.finish(self.drive.last_ts().unwrap_or_default());
                    self.state = State::Draining(Box::new(drain));
                    return Ok(Some(RowChunk::default()));
                }
                let chunk = engine.flush().unwrap_or_default();
                self.state = State::Reading(engine);
                Ok(Some(chunk))
            }
        }
    }

    fn end(&mut self, result: RunResult) {
        self.state = State::Done;
        self.recorder.close(result);
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        // A panic is no decision to leave.
        if !std::thread::panicking() {
            self.recorder.close(RunResult::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::source::CaptureSet;
    use std::sync::Arc;

    fn demo() -> Box<CaptureSet> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/demo.pcap").to_string();
        Box::new(CaptureSet::open(&[path], &Default::default()).unwrap())
    }

    fn pipeline() -> Pipeline {
        Pipeline::new(Config::default()).unwrap()
    }

    #[test]
    fn kept_packets_are_the_packets_that_were_counted() {
        let mut flows = pipeline().keeping_packets(usize::MAX).flows(demo());
        let mut packets = 0;
        let mut seen = 0;
        for chunk in flows.chunks() {
            for flow in chunk.unwrap().flows() {
                let kept = flow.kept().unwrap();
                assert_eq!(kept.packets().len() as u64, flow.base.total_packets());
                let bytes: u64 = kept.packets().iter().map(|p| u64::from(p.ip_len)).sum();
                assert_eq!(bytes, flow.base.total_bytes());
                packets += kept.packets().len() as u64;
                seen += 1;
            }
        }
        assert_eq!(packets, flows.stats().packets);
        assert_eq!(seen, flows.stats().flows_ended.total());
        assert!(packets > 0);
    }

    #[test]
    fn a_pipeline_that_keeps_nothing_has_no_packets() {
        let mut flows = pipeline().flows(demo());
        assert!(flows.chunks().next().unwrap().unwrap().flows().iter().all(|f| f.kept().is_none()));
    }

    #[test]
    fn a_run_that_was_left_is_counted_as_cancelled() {
        let registry = crate::monitoring::Registry::new();
        let metrics = crate::monitoring::PrometheusMetrics::new(&registry, "jj").unwrap();
        let pipeline = pipeline().with_metrics(Arc::new(metrics));
        drop(pipeline.flows(demo()));
        let mut all = pipeline.flows(demo());
        assert!(all.chunks().map(|chunk| chunk.unwrap().len()).sum::<usize>() > 0);
        let s = registry.snapshot();
        assert_eq!(s.value("jj_runs_total", &["pcap", "cancelled"]), Some(1.0));
        assert_eq!(s.value("jj_runs_total", &["pcap", "success"]), Some(1.0));
        assert_eq!(s.value("jj_active_flows", &[]), Some(0.0));
        assert!(s.value("jj_packets_total", &[]) > Some(0.0));
    }
}
