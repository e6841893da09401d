//! Slices of captures, for tasks on other machines: planned here, read there, wherever the captures lie.

use std::io::{self, Read};
use std::sync::Arc;

use joyfuljay::slices::{self, Local, Slice as Task, Store};
use joyfuljay_core::Config;
use joyfuljay_io::source::{Apart, CaptureOptions, CaptureSet, PacketSource, SourceError};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use std::path::PathBuf;

use crate::errors::run_error;
use crate::input::Reader;

/// The work of one task: a slice of captures, as JSON, and what opens them (None: files of this machine).
#[pyclass(frozen, module = "joyfuljay")]
pub struct Slice {
    pub task: Task,
    store: Option<Arc<Opener>>,
}

impl Slice {
    /// Where the captures lie.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.store {
            Some(opener) => Arc::clone(opener) as Arc<dyn Store>,
            None => Arc::new(Local),
        }
    }
}

#[pymethods]
impl Slice {
    #[new]
    #[pyo3(signature = (json, store: "object | None" = None))]
    fn new(json: &str, store: Option<Py<PyAny>>) -> PyResult<Self> {
        let task = serde_json::from_str(json).map_err(|e| PyValueError::new_err(format!("this is no slice: {e}")))?;
        Ok(Self { task, store: store.map(|store| Arc::new(Opener(store))) })
    }

    /// Its number, from 1 on.
    #[getter]
    fn number(&self) -> u32 {
        self.task.number
    }

    /// How many there are.
    #[getter]
    fn of(&self) -> u32 {
        self.task.of
    }
}

/// Opens captures by a Python object with ``open(name, offset)`` and ``size(name)``.
struct Opener(Py<PyAny>);

fn failed(error: PyErr) -> io::Error {
    let missing = Python::attach(|py| error.is_instance_of::<pyo3::exceptions::PyFileNotFoundError>(py));
    if missing { io::Error::new(io::ErrorKind::NotFound, error) } else { io::Error::other(error) }
}

impl Store for Opener {
    fn open(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let opened =
            Python::attach(|py| self.0.bind(py).call_method1(intern!(py, "open"), (name, offset)).map(Bound::unbind));
        Ok(Box::new(Reader::new(opened.map_err(failed)?)))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Python::attach(|py| self.0.bind(py).call_method1(intern!(py, "size"), (name,))?.extract()).map_err(failed)
    }
}

/// The files of captures on this machine, in the order in which a run reads them.
#[pyfunction]
pub fn capture_files(py: Python<'_>, inputs: Vec<PathBuf>) -> PyResult<Vec<String>> {
    py.detach(|| CaptureSet::open(&inputs, &CaptureOptions::default())?.into_files()).map_err(|e| run_error(e.into()))
}

/// The captures that an input names, to be read each by itself, and warnings of what was found there and cannot be read.
#[pyfunction]
pub fn captures_apart(py: Python<'_>, input: PathBuf) -> PyResult<(Vec<String>, Vec<String>)> {
    py.detach(|| {
        let (mut names, mut warnings) = (Vec::new(), Vec::new());
        for (_, mut capture) in CaptureSet::open(&[input], &CaptureOptions::default())?.apart(Apart::Files)? {
            warnings.extend(capture.take_warnings().into_iter().map(|w| w.message));
            names.extend(capture.into_files()?);
        }
        Ok((names, warnings))
    })
    .map_err(|e: SourceError| run_error(e.into()))
}

/// The work of ``tasks`` tasks, as JSON; with a store, the files are put into the order of their first packets.
#[pyfunction]
#[pyo3(signature = (files, tasks, config, store: "object | None" = None))]
pub fn plan_slices(
    py: Python<'_>,
    files: Vec<String>,
    tasks: u32,
    config: &str,
    store: Option<Py<PyAny>>,
) -> PyResult<Vec<String>> {
    let config: Config = crate::config::read(config)?;
    let plan = py.detach(|| match store {
        Some(store) => {
            let opener = Opener(store);
            slices::plan(&opener, &slices::in_order(&opener, files), tasks, &config)
        }
        None => slices::plan(&Local, &files, tasks, &config),
    });
    let json = |task: &Task| serde_json::to_string(task).map_err(|e| PyValueError::new_err(e.to_string()));
    plan.map_err(run_error)?.iter().map(json).collect()
}
