//! Flows one by one: `iter_flows`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use joyfuljay::Flows;
use pyo3::prelude::*;

use crate::errors::run_error;
use crate::flow::{Ended, Flow, Tracked};
use crate::sink::UserSink;

/// Batches that are worked on before Python gets a turn when no flow ends.
const BATCHES_A_TURN: usize = 16;

/// The flows of a capture as they end.
#[pyclass(module = "joyfuljay")]
pub struct FlowIterator {
    /// Behind a mutex because a source may be moved between threads, not shared.
    flows: Option<Mutex<Flows>>,
    tracked: Arc<Tracked>,
    sink: Option<Arc<UserSink>>,
    ended: Option<Arc<Ended>>,
    at: usize,
    warnings: Vec<String>,
}

impl FlowIterator {
    /// Flows that were tracked like this.
    pub fn new(flows: Flows, tracked: Arc<Tracked>, sink: Option<Arc<UserSink>>) -> Self {
        Self { flows: Some(Mutex::new(flows)), tracked, sink, ended: None, at: 0, warnings: Vec::new() }
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

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.deliver(py))
    }
}

#[pymethods]
impl FlowIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Flow>> {
        loop {
            if let Some(flow) = self.next_of_chunk() {
                return Ok(Some(flow));
            }
            let Some(flows) = &mut self.flows else { return Ok(None) };
            let flows = flows.get_mut().unwrap_or_else(PoisonError::into_inner);
            let next = py.detach(|| {
                let mut batches = 0;
                loop {
                    batches += 1;
                    match flows.advance() {
                        Some(Ok(chunk)) if chunk.is_empty() && batches < BATCHES_A_TURN => continue,
                        next => return next,
                    }
                }
            });
            self.warnings.extend(flows.take_warnings().iter().map(ToString::to_string));
            match next {
                None => {
                    self.flows = None;
                    self.tell(py)?;
                    return Ok(None);
                }
                Some(Err(e)) => {
                    self.flows = None;
                    self.tell(py)?;
                    return Err(run_error(e));
                }
                Some(Ok(chunk)) => {
                    let tracked = Arc::clone(&self.tracked);
                    self.ended = Some(Arc::new(Ended { flows: chunk, tracked, rows: OnceLock::new() }));
                    self.at = 0;
                    self.tell(py)?;
                    py.check_signals()?;
                }
            }
        }
    }

    /// What went wrong without ending the run, since the last call.
    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Gives the capture up; flows that came out stay.
    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        self.ended = None;
        if let Some(flows) = self.flows.take() {
            py.detach(|| drop(flows));
            self.tell(py)?;
        }
        Ok(())
    }
}
