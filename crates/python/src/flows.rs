//! Flows one by one: `iter_flows`.
//!
//! The engine runs on a thread of its own, so that Ctrl-C is heard while a pipe says nothing; it goes on when it is asked,
//! so that an iteration that is left is a run that was left.

use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, bounded};
use joyfuljay::core::engine::RowChunk;
use joyfuljay::{Error, Flows, RunControl};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::run_error;
use crate::flow::{Ended, Flow, Tracked};
use crate::run;
use crate::sink::UserSink;

/// The flows of a capture as they end.
#[pyclass(module = "joyfuljay")]
pub struct FlowIterator {
    /// To ask for more, and what comes of it.
    run: Option<(Sender<()>, Receiver<News>)>,
    done: Receiver<()>,
    cancel: RunControl,
    tracked: Arc<Tracked>,
    sink: Option<Arc<UserSink>>,
    ended: Option<Arc<Ended>>,
    at: usize,
    warnings: Vec<String>,
    /// Whose thread it is: after a fork there is none.
    process: u32,
}

/// Flows that ended, or that there are no more, and what went wrong meanwhile.
struct News {
    next: Option<Result<RowChunk, Error>>,
    warnings: Vec<String>,
}

impl FlowIterator {
    /// Flows that were tracked like this. `cancel` is that of the run.
    pub fn new(
        mut flows: Flows,
        cancel: RunControl,
        tracked: Arc<Tracked>,
        sink: Option<Arc<UserSink>>,
    ) -> PyResult<Self> {
        let (ask, asked) = bounded(1);
        let (to, news) = bounded(1);
        let done = run::spawn(move || {
            while asked.recv().is_ok() {
                let next = loop {
                    match flows.advance() {
                        Some(Ok(chunk)) if chunk.is_empty() => continue,
                        next => break next,
                    }
                };
                let warnings = flows.take_warnings().iter().map(ToString::to_string).collect();
                if to.send(News { next, warnings }).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            run: Some((ask, news)),
            done,
            cancel,
            tracked,
            sink,
            ended: None,
            at: 0,
            warnings: Vec::new(),
            process: std::process::id(),
        })
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

    /// Waits until the run has closed its books.
    fn end(&mut self, py: Python<'_>) -> PyResult<()> {
        self.run = None;
        py.detach(|| self.done.recv()).map_err(|_| run::died())?;
        self.tell(py)
    }

    fn tell(&self, py: Python<'_>) -> PyResult<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.deliver(py))
    }
}

impl Drop for FlowIterator {
    fn drop(&mut self) {
        self.cancel.cancel();
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
        if self.run.is_some() && self.process != std::process::id() {
            return Err(PyRuntimeError::new_err(
                "this iteration belongs to the process before the fork: begin one of your own in the child",
            ));
        }
        let Some((ask, news)) = &self.run else { return Ok(None) };
        // Nobody to ask: the thread died, and the answer says so.
        let _ = ask.send(());
        let News { next, warnings } = match run::wait(py, news, || self.tell(py)) {
            Ok(Some(news)) => news,
            Ok(None) => {
                self.run = None;
                return Err(run::died());
            }
            Err(e) => return self.close(py).and(Err(e)),
        };
        self.warnings.extend(warnings);
        match next {
            Some(Ok(flows)) => {
                let tracked = Arc::clone(&self.tracked);
                self.ended = Some(Arc::new(Ended { flows, tracked, rows: OnceLock::new() }));
                self.at = 0;
                self.tell(py)?;
                py.check_signals()?;
                Ok(self.next_of_chunk())
            }
            None => self.end(py).map(|()| None),
            Some(Err(e)) => self.end(py).and(Err(run_error(e))),
        }
    }

    /// What went wrong without ending the run, since the last call.
    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Gives the capture up; flows that came out stay.
    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        self.ended = None;
        if self.run.take().is_some() && self.process == std::process::id() {
            run::stop(py, &self.cancel, &self.done);
            self.tell(py)?;
        }
        Ok(())
    }
}
