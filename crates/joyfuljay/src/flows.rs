//! Flows one by one, pulled by the caller: what Python's `iter_flows` and extractors of the user's own are made of.
//!
//! The same engine as in a run, on the caller's thread. Flows come out after the batch in which they ended, so that
//! whoever looks at the first ones need not wait for the end of the capture.

use std::sync::Arc;
use std::time::Instant;

use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{Drain, Engine, PacketBatch, RowChunk};
use joyfuljay_core::metrics::{MetricsSink, Mode, Stage};
use joyfuljay_io::source::{PacketSource, Position, Progress as Step, SourceWarning};

use crate::{CancelToken, Error, Pipeline};

/// Finished flows of a source in the order of their rows, a chunk at a time. Dropped before its end, the run counts as
/// failed.
pub struct Flows {
    source: Box<dyn PacketSource>,
    stage: State,
    batch: PacketBatch,
    account: Account,
    cancel: CancelToken,
}

enum State {
    Reading(Box<Engine>),
    Draining(Box<Drain>),
    Done,
}

impl Pipeline {
    /// The flows of a source. To have their packets, make the pipeline [`Pipeline::keeping_packets`].
    pub fn flows(&self, source: Box<dyn PacketSource>) -> Flows {
        let settings = *self.engine_settings();
        let metrics = self.metrics();
        let mode = source.mode();
        metrics.run_started(mode);
        metrics.table_capacity((settings.flow.max_flows * settings.partitions) as u64);
        Flows {
            source,
            stage: State::Reading(Box::new(Engine::new(settings))),
            batch: PacketBatch::default(),
            account: Account {
                metrics,
                mode,
                started: Instant::now(),
                totals: StatsDelta::default(),
                warnings: Vec::new(),
                open: true,
            },
            cancel: self.cancel_token(),
        }
    }
}

impl Flows {
    /// Counts so far.
    pub fn stats(&self) -> StatsDelta {
        self.account.totals
    }

    /// Where in the input.
    pub fn position(&self) -> Position {
        self.source.position()
    }

    /// What went wrong since the last call without ending the run.
    pub fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.account.warnings)
    }

    /// Works on one batch of frames, for callers who have other things to look after in between. The chunk is empty
    /// where no flow ended.
    pub fn advance(&mut self) -> Option<Result<RowChunk, Error>> {
        if self.cancel.is_cancelled() {
            self.fail(None);
            return None;
        }
        match self.step() {
            Ok(chunk) => chunk.map(Ok),
            Err(e) => {
                self.fail(Some(&e));
                Some(Err(e))
            }
        }
    }

    /// One batch of frames, or one chunk of what was open at the end. None when there is nothing left.
    fn step(&mut self) -> Result<Option<RowChunk>, Error> {
        match &mut self.stage {
            State::Done => Ok(None),
            State::Draining(drain) => {
                let chunk = drain.next();
                self.account.record(&drain.take_stats());
                if chunk.is_none() {
                    self.stage = State::Done;
                    self.account.close(true);
                }
                Ok(chunk)
            }
            State::Reading(engine) => match self.source.next_batch(&mut self.batch.frames)? {
                Step::Frames => {
                    let (account, batch) = (&mut self.account, &mut self.batch);
                    account.timed(Stage::Decode, || engine.front_mut().decode(batch));
                    account.timed(Stage::Track, || engine.track(batch));
                    account.after_read(&mut *self.source, &engine.take_stats());
                    Ok(Some(engine.flush().unwrap_or_default()))
                }
                Step::Idle(now) => {
                    engine.tick(now);
                    self.account.after_read(&mut *self.source, &engine.take_stats());
                    Ok(Some(engine.flush().unwrap_or_default()))
                }
                Step::End => {
                    let State::Reading(engine) = std::mem::replace(&mut self.stage, State::Done) else {
                        return Ok(None);
                    };
                    let (stats, drain) = engine.finish(&mut self.batch);
                    self.account.after_read(&mut *self.source, &stats);
                    self.stage = State::Draining(Box::new(drain));
                    Ok(Some(RowChunk::default()))
                }
            },
        }
    }

    fn fail(&mut self, error: Option<&Error>) {
        if let Some(e) = error {
            self.account.metrics.error(e.stage());
        }
        self.stage = State::Done;
        self.account.close(false);
    }
}

impl Iterator for Flows {
    type Item = Result<RowChunk, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.advance() {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                next => return next,
            }
        }
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        self.account.close(false);
    }
}

/// What is told to the metrics sink, and kept for the caller.
struct Account {
    metrics: Arc<dyn MetricsSink>,
    mode: Mode,
    started: Instant,
    totals: StatsDelta,
    warnings: Vec<SourceWarning>,
    open: bool,
}

impl Account {
    fn record(&mut self, delta: &StatsDelta) {
        self.metrics.record(delta);
        self.totals.add(delta);
    }

    fn timed(&self, stage: Stage, work: impl FnOnce()) {
        let from = Instant::now();
        work();
        self.metrics.batch_duration(stage, from.elapsed().as_secs_f64());
    }

    fn after_read(&mut self, source: &mut dyn PacketSource, delta: &StatsDelta) {
        self.record(delta);
        let warnings = source.take_warnings();
        warnings.iter().for_each(|_| self.metrics.error("parsing"));
        self.warnings.extend(warnings);
        let position = source.position();
        self.metrics.input_progress(position.read, position.total);
    }

    fn close(&mut self, ok: bool) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        // What was open when the run was given up is no longer there.
        let (active_flows, table_bytes) = (-self.totals.active_flows, -self.totals.table_bytes);
        self.metrics.record(&StatsDelta { active_flows, table_bytes, ..StatsDelta::default() });
        self.metrics.run_finished(self.mode, self.started.elapsed().as_secs_f64(), ok);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::source::CaptureSet;

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
        for chunk in flows.by_ref() {
            for flow in chunk.unwrap().flows() {
                let kept = flow.kept.unwrap();
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
        assert!(flows.next().unwrap().unwrap().flows().iter().all(|f| f.kept.is_none()));
    }

    #[test]
    fn metrics_are_told_of_a_run_that_was_left() {
        let registry = crate::monitoring::Registry::new();
        let metrics = crate::monitoring::PrometheusMetrics::new(&registry, "jj").unwrap();
        let pipeline = pipeline().with_metrics(Arc::new(metrics));
        drop(pipeline.flows(demo()));
        let all = pipeline.flows(demo());
        assert!(all.map(|chunk| chunk.unwrap().len()).sum::<usize>() > 0);
        let s = registry.snapshot();
        assert_eq!(s.value("jj_runs_total", &["pcap", "failure"]), Some(1.0));
        assert_eq!(s.value("jj_runs_total", &["pcap", "success"]), Some(1.0));
        assert_eq!(s.value("jj_active_flows", &[]), Some(0.0));
        assert!(s.value("jj_packets_total", &[]) > Some(0.0));
    }
}
