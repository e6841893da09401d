//! Captures as a source that readers of Arrow may read as often as they like: each reader gets a run of its own, on a thread of its
//! own, which waits while nothing is taken and is cancelled when the reader goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use joyfuljay::{Config, Error, Pipeline, RunControl, Summary};
use joyfuljay_io::sink::ChannelSink;
use joyfuljay_io::source::{CaptureOptions, CaptureSet};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::run_error;
use crate::run::{INTERVAL, spawn};
use crate::stream::AHEAD;

/// Rows of captures for any number of readers of the Arrow C stream interface.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Scans {
    config: Config,
    schema: SchemaRef,
    paths: Vec<PathBuf>,
    failure: Failure,
}

/// Why a run behind a reader failed: the reader has no more than a text of it.
type Failure = Arc<Mutex<Option<PyErr>>>;

impl Scans {
    /// Rows of these captures.
    pub fn new(config: Config, schema: SchemaRef, paths: Vec<PathBuf>) -> Self {
        Self { config, schema, paths, failure: Failure::default() }
    }

    fn begin(&self) -> Result<Scan, Error> {
        let control = RunControl::new();
        let pipeline = Pipeline::new(self.config.clone())?.with_control(control.clone());
        let source = CaptureSet::open(&self.paths, &CaptureOptions::default())?;
        let (sink, rows) = ChannelSink::new("python", AHEAD);
        let schema = Arc::clone(&self.schema);
        let done = spawn(move || pipeline.run(Box::new(source), Box::new(sink))).map_err(|_| Error::Worker)?;
        Ok(Scan { schema, rows: Some(rows), done, control, failure: Arc::clone(&self.failure) })
    }
}

#[pymethods]
impl Scans {
    /// The Arrow C stream of a run that begins now (Arrow PyCapsule interface). ``requested_schema`` is a wish that is not granted.
    #[pyo3(signature = (requested_schema: "object | None" = None) -> "typing_extensions.CapsuleType")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let scan = py.detach(|| self.begin()).map_err(run_error);
        let scan = scan.inspect_err(|e| keep(&self.failure, e.clone_ref(py)))?;
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(scan)), c"arrow_array_stream")
    }

    /// The Arrow C schema of the rows.
    #[pyo3(signature = () -> "typing_extensions.CapsuleType")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema =
            FFI_ArrowSchema::try_from(self.schema.as_ref()).map_err(|e| PyRuntimeError::new_err(e.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// Names of the columns, in their order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.schema.fields().iter().map(|f| f.name().clone()).collect()
    }

    /// The exception that a run ended with since the last call, else None.
    #[pyo3(signature = () -> "BaseException | None")]
    fn take_failure<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failure.map(|e| e.into_value(py).into_bound(py).into_any())
    }
}

fn keep(failure: &Failure, error: PyErr) {
    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

/// One reader's run.
struct Scan {
    schema: SchemaRef,
    /// None after the end.
    rows: Option<Receiver<RecordBatch>>,
    done: Receiver<Result<Summary, Error>>,
    control: RunControl,
    failure: Failure,
}

impl Scan {
    fn end(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        self.rows = None;
        match self.done.recv().unwrap_or(Err(Error::Worker)) {
            Ok(_) => None,
            Err(error) => Some(Err(self.failed(run_error(error)))),
        }
    }

    fn failed(&self, error: PyErr) -> ArrowError {
        let text = error.to_string();
        keep(&self.failure, error);
        ArrowError::ExternalError(text.into())
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rows = self.rows.as_ref()?;
            match rows.recv_timeout(INTERVAL) {
                // Some readers take an empty batch for the end.
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => return Some(Ok(batch)),
                Err(RecvTimeoutError::Disconnected) => return self.end(),
                Err(RecvTimeoutError::Timeout) => {
                    // Where the reader is the main thread, it does not hear Ctrl-C while it waits here.
                    if let Err(error) = Python::attach(|py| py.check_signals()) {
                        self.rows = None;
                        return Some(Err(self.failed(error)));
                    }
                }
            }
        }
    }
}

impl RecordBatchReader for Scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        // In this order: a run whose rows are no longer taken must know that it was stopped.
        self.control.cancel();
        self.rows = None;
        // Nothing of it is left: the interpreter may end next.
        let _ = self.done.recv();
    }
}
