//! Flows one by one: `iter_flows`.
//!
//! The engine runs on the caller's thread, an interval at a time: then Python handles its signals, and sinks of metrics are called. It goes
//! on when it is asked, so that an iteration that is left is a run that was left.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use joyfuljay::core::engine::RowChunk;
use joyfuljay::{Error, Flows};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::run_error;
use crate::flow::{Ended, Flow, Tracked};
use crate::run;
use crate::sink::UserSink;

/// The flows of a capture as they end.
#[pyclass(module = "joyfuljay")]
pub struct FlowIterator {
    /// Locked only to be shared between threads: a caller has the iterator to itself.
    flows: Mutex<Option<Flows>>,
    tracked: Arc<Tracked>,
    sink: Option<Arc<UserSink>>,
    ended: Option<Arc<Ended>>,
    at: usize,
    warnings: Vec<String>,
    /// Where the capture is read: two processes would share its place in the file.
    process: u32,
}

/// Goes on until flows have ended, and for an interval at most.
fn advance(flows: &mut Flows) -> Option<Result<RowChunk, Error>> {
    let begun = Instant::now();
    loop {
        match flows.advance() {
            Some(Ok(chunk)) if chunk.is_empty() && begun.elapsed() < run::INTERVAL => {}
            next => return next,
        }
    }
}

impl FlowIterator {
    /// Flows that were tracked like this.
    pub fn new(flows: Flows, tracked: Arc<Tracked>, sink: Option<Arc<UserSink>>) -> Self {
        Self {
            flows: Mutex::new(Some(flows)),
            tracked,
            sink,
            ended: None,
            at: 0,
            warnings: Vec::new(),
            process: std::process::id(),
        }
    }

    fn flows(&mut self) -> &mut Option<Flows> {
        self.flows.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_of_chunk(&mut self) -> Option<Flow> {
        let ended = self.ended.as_ref()?;
        if self.at >= ended.flows.len() {
            self.ended = None;
            return None;
        }
        self.at += 1;
        Some(Flow::tracked(Arc::clone(ended), self.at - 1))
    }

    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.deliver(py))
    }
}

#[pymethods]
impl FlowIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Flow>> {
        if let Some(flow) = self.next_of_chunk() {
            return Ok(Some(flow));
        }
        let process = self.process;
        loop {
            let Some(flows) = self.flows() else { return Ok(None) };
            if process != std::process::id() {
                return Err(PyRuntimeError::new_err(
                    "this iteration belongs to the process before the fork: begin one of your own in the child",
                ));
            }
            let next = py.detach(|| advance(flows));
            let warnings = flows.take_warnings();
            self.warnings.extend(warnings.iter().map(ToString::to_string));
            let end = match next {
                Some(Ok(flows)) => {
                    if let Err(e) = self.deliver(py).and_then(|()| py.check_signals()) {
                        return self.close(py).and(Err(e));
                    }
                    if flows.is_empty() {
                        continue;
                    }
                    let tracked = Arc::clone(&self.tracked);
                    self.ended = Some(Arc::new(Ended { flows, tracked, rows: OnceLock::new() }));
                    self.at = 0;
                    return Ok(self.next_of_chunk());
                }
                Some(Err(e)) => Err(run_error(e)),
                None => Ok(None),
            };
            *self.flows() = None;
            return self.deliver(py).and(end);
        }
    }

    /// What went wrong without ending the run, since the last call.
    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Gives the capture up; flows that came out stay.
    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        self.ended = None;
        let left = self.flows().take().is_some();
        if left && self.process == std::process::id() { self.deliver(py) } else { Ok(()) }
    }
}
