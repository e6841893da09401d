//! A run on a thread of its own, while the caller's thread looks for Ctrl-C and calls back into Python.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use joyfuljay::{Error, Pipeline, RunControl};
use joyfuljay_core::{EndReason, SkipReason, StatsDelta};
use joyfuljay_io::sink::RowSink;
use joyfuljay_io::source::PacketSource;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::run_error;
use crate::sink::UserSink;

/// How often Python handles signals and callbacks are called.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// What a run calls in Python.
pub struct Callbacks {
    pub progress: Option<Py<PyAny>>,
    pub sink: Option<Arc<UserSink>>,
}

/// Runs a source into a sink with the interpreter released. Where `stops` is true, the first Ctrl-C ends the input, as that is how a
/// live capture ends.
pub fn run(
    py: Python<'_>,
    mut pipeline: Pipeline,
    source: Box<dyn PacketSource>,
    sink: Box<dyn RowSink>,
    callbacks: &Callbacks,
    stops: bool,
) -> PyResult<Summary> {
    let control = pipeline.control();
    let latest: Latest = Arc::default();
    if callbacks.progress.is_some() {
        let latest = Arc::clone(&latest);
        pipeline = pipeline.with_progress(Box::new(move |p| {
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Progress::new(p));
        }));
    }
    let done = spawn(move || pipeline.run(source, sink))?;
    let mut result = wait(py, &done, || callbacks.call(py, &latest));
    if stops && result.as_ref().is_err_and(|e| e.is_instance_of::<PyKeyboardInterrupt>(py)) {
        control.stop();
        result = wait(py, &done, || callbacks.call(py, &latest));
    }
    match result {
        Ok(result) => {
            callbacks.call(py, &latest)?;
            result.ok_or_else(died)?.map(Summary::new).map_err(run_error)
        }
        Err(e) => {
            cancel(py, &control, &done)?;
            Err(e)
        }
    }
}

/// Waits with the interpreter released, but at every [`INTERVAL`] handles signals and calls `callbacks`. None when the other
/// end is gone.
pub fn wait<T: Send>(py: Python<'_>, from: &Receiver<T>, callbacks: impl Fn() -> PyResult<()>) -> PyResult<Option<T>> {
    loop {
        match py.detach(|| from.recv_timeout(INTERVAL)) {
            Ok(item) => return Ok(Some(item)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => py.check_signals().and_then(|()| callbacks())?,
        }
    }
}

/// Runs something on a thread; the receiver gets the result.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> PyResult<Receiver<T>> {
    let (to, done) = bounded(1);
    std::thread::Builder::new()
        .name("jj-run".into())
        .spawn(move || {
            let _ = to.send(work());
        })
        .map_err(|e| PyRuntimeError::new_err(format!("no thread could be started: {e}")))?;
    Ok(done)
}

/// Cancels a run and waits until it has ended, so that nothing of it is left afterwards: a second at most, but for an output
/// whose other end holds it up. Another Ctrl-C ends the wait.
pub fn cancel<T: Send>(py: Python<'_>, control: &RunControl, done: &Receiver<T>) -> PyResult<()> {
    control.cancel();
    wait(py, done, || Ok(())).map(drop)
}

/// The run's thread ended without a result.
pub fn died() -> PyErr {
    run_error(Error::Worker)
}

type Latest = Arc<Mutex<Option<Progress>>>;

impl Callbacks {
    fn call(&self, py: Python<'_>, latest: &Latest) -> PyResult<()> {
        if let Some(sink) = &self.sink {
            sink.deliver(py)?;
        }
        let last = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(progress), Some(last)) = (&self.progress, last) {
            progress.call1(py, (last,))?;
        }
        Ok(())
    }
}

/// How far a run has come.
#[pyclass(frozen, get_all, module = "joyfuljay")]
#[derive(Clone)]
pub struct Progress {
    /// Bytes of input read so far, as stored.
    pub bytes_read: u64,
    /// Bytes of input in all; None where that cannot be known.
    pub bytes_total: Option<u64>,
    /// Packets in flows so far.
    pub packets: u64,
    /// Flows ended so far.
    pub flows: u64,
    /// Rows written so far.
    pub rows: u64,
    /// Seconds since the start.
    pub elapsed: f64,
    /// The input being read.
    pub current: Option<String>,
}

impl Progress {
    fn new(p: &joyfuljay::Progress) -> Self {
        Self {
            bytes_read: p.position.read,
            bytes_total: p.position.total,
            packets: p.stats.packets,
            flows: p.stats.flows_ended.total(),
            rows: p.rows,
            elapsed: p.elapsed.as_secs_f64(),
            current: p.position.current.clone(),
        }
    }
}

#[pymethods]
impl Progress {
    fn __repr__(&self) -> String {
        format!("<joyfuljay.Progress: {}>", self.text())
    }

    /// What notebooks show: a bar where the size of the input is known.
    fn _repr_html_(&self) -> String {
        let bar = match self.bytes_total {
            Some(total) => format!("<progress value=\"{}\" max=\"{}\"></progress> ", self.bytes_read, total.max(1)),
            None => String::new(),
        };
        format!("{bar}{}", crate::html::escaped(&self.text()))
    }
}

impl Progress {
    fn text(&self) -> String {
        let share = match self.bytes_total {
            Some(total) => format!("{} % of {total} bytes", self.bytes_read.saturating_mul(100) / total.max(1)),
            None => format!("{} bytes", self.bytes_read),
        };
        format!("{share}, {} packets, {} flows, {:.1} s", self.packets, self.flows, self.elapsed)
    }
}

/// What a run did, in exact totals.
#[pyclass(frozen, module = "joyfuljay")]
#[derive(Clone)]
pub struct Summary {
    stats: StatsDelta,
    rows: u64,
    elapsed: Duration,
    warnings: Vec<String>,
}

impl Summary {
    pub fn new(s: joyfuljay::Summary) -> Self {
        Self { stats: s.stats, rows: s.rows, elapsed: s.elapsed, warnings: s.messages().collect() }
    }

    /// The same, with what is to be known of the run before its warnings.
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.warnings.splice(0..0, notes);
        self
    }
}

#[pymethods]
impl Summary {
    /// Frames read.
    #[getter]
    fn frames(&self) -> u64 {
        self.stats.frames
    }
    /// Packets that were put into flows.
    #[getter]
    fn packets(&self) -> u64 {
        self.stats.packets
    }
    /// Bytes of these packets (IP length).
    #[getter]
    fn bytes(&self) -> u64 {
        self.stats.bytes
    }
    /// Flows.
    #[getter]
    fn flows(&self) -> u64 {
        self.stats.flows_ended.total()
    }
    /// Rows.
    #[getter]
    fn rows(&self) -> u64 {
        self.rows
    }
    /// Seconds of wall-clock time.
    #[getter]
    fn elapsed(&self) -> f64 {
        self.elapsed.as_secs_f64()
    }
    /// Flows by the reason of their end.
    #[getter]
    fn end_reasons<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for r in EndReason::ALL {
            dict.set_item(r.name(), self.stats.flows_ended[r])?;
        }
        Ok(dict)
    }
    /// Frames that did not become packets of a flow, by reason.
    #[getter]
    fn skipped<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for r in SkipReason::ALL {
            dict.set_item(r.label(), self.stats.skipped[r])?;
        }
        Ok(dict)
    }
    /// What is to be known of the rows, and what went wrong without ending the run.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }
    fn __repr__(&self) -> String {
        format!(
            "<joyfuljay.Summary: {} packets, {} flows, {} rows in {:.3} s>",
            self.packets(),
            self.flows(),
            self.rows,
            self.elapsed()
        )
    }
}
