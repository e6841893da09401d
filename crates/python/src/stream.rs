//! Rows while a run goes on: `process_pcap_streaming` and `iter_features`.
//!
//! The run has a thread of its own (and workers), and waits while the rows are not taken: memory does not grow.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_channel::Receiver;
use joyfuljay::{Error, RunControl, Summary};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::run_error;
use crate::run::{Summary as Counts, cancel, wait};
use crate::sink::UserSink;
use crate::table::Table;

/// Chunks of rows that may wait for Python.
pub const AHEAD: usize = 2;

/// Tables of rows as they come, in the order of the rows.
#[pyclass(module = "joyfuljay")]
pub struct TableIterator {
    schema: SchemaRef,
    rows: Option<Receiver<RecordBatch>>,
    done: Receiver<Result<Summary, Error>>,
    control: RunControl,
    sink: Option<Arc<UserSink>>,
    warnings: Vec<String>,
    summary: Option<Py<Counts>>,
    /// Where the threads of the run are: a child has none of them.
    process: u32,
}

impl TableIterator {
    /// The other end of a run, of which so much is to be known already.
    pub fn new(
        schema: SchemaRef,
        rows: Receiver<RecordBatch>,
        done: Receiver<Result<Summary, Error>>,
        control: RunControl,
        sink: Option<Arc<UserSink>>,
        warnings: Vec<String>,
    ) -> Self {
        let process = std::process::id();
        Self { schema, rows: Some(rows), done, control, sink, warnings, summary: None, process }
    }

    fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.deliver(py))
    }

    fn end(&mut self, py: Python<'_>) -> PyResult<()> {
        self.rows = None;
        let result = py.detach(|| self.done.recv()).map_err(|_| crate::run::died())?;
        self.deliver(py)?;
        let summary = result.map_err(run_error)?;
        self.warnings.extend(summary.messages());
        self.summary = Some(Py::new(py, Counts::new(summary))?);
        Ok(())
    }
}

impl Drop for TableIterator {
    fn drop(&mut self) {
        if self.is_of_this_process() {
            self.control.cancel();
        } else {
            // A thread of the parent may have held their locks at the fork.
            std::mem::forget((self.rows.take(), std::mem::replace(&mut self.done, crossbeam_channel::never())));
        }
    }
}

#[pymethods]
impl TableIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Table>> {
        let Some(rows) = &self.rows else { return Ok(None) };
        if !self.is_of_this_process() {
            return Err(PyRuntimeError::new_err(
                "these rows belong to the process before the fork: begin a run of your own in the child",
            ));
        }
        match wait(py, rows, || self.deliver(py)) {
            Ok(Some(batch)) => {
                self.deliver(py)?;
                Ok(Some(Table::new(Arc::clone(&self.schema), vec![batch])))
            }
            Ok(None) => self.end(py).map(|()| None),
            Err(e) => self.close(py).and(Err(e)),
        }
    }

    /// What the run did; None before its end.
    #[getter]
    fn summary(&self, py: Python<'_>) -> Option<Py<Counts>> {
        self.summary.as_ref().map(|summary| summary.clone_ref(py))
    }

    /// What went wrong without ending the run, since the last call.
    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Stops the run.
    fn close(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.is_of_this_process()
            && let Some(rows) = self.rows.take()
        {
            // In this order: a run whose rows are no longer taken must know that it was stopped.
            self.control.cancel();
            drop(rows);
            cancel(py, &self.control, &self.done)?;
            self.deliver(py)?;
        }
        Ok(())
    }
}
