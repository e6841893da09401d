//! Network interfaces as the input of a run.

use std::time::Duration;

use joyfuljay_capture::live::{LiveOptions, LiveSource};
use joyfuljay_capture::process::{OfProcess, Process};
use joyfuljay_io::source::{PacketSource, SourceError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Network interfaces to capture from, where captures could be read.
#[pyclass(frozen, module = "joyfuljay")]
pub struct Live {
    interfaces: Vec<String>,
    options: LiveOptions,
    process: Option<Process>,
}

#[pymethods]
impl Live {
    /// `duration` in seconds, None for no end; of frames `snaplen` bytes are kept, 0 for all; with `pid` or `process` (a name) only
    /// packets of that process are left.
    #[new]
    #[pyo3(signature = (interfaces, duration=None, *, snaplen=0, promiscuous=true, pid=None, process=None))]
    fn new(
        interfaces: Vec<String>,
        duration: Option<f64>,
        snaplen: u32,
        promiscuous: bool,
        pid: Option<u32>,
        process: Option<String>,
    ) -> PyResult<Self> {
        let wrong = |what: &str| PyValueError::new_err(what.to_owned());
        let mut options = LiveOptions::default();
        options.snaplen = snaplen;
        options.promiscuous = promiscuous;
        options.duration = match duration {
            None => None,
            Some(seconds) => Some(
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|d| !d.is_zero() && *d <= LiveOptions::MAX_DURATION)
                    .ok_or_else(|| wrong("duration: seconds, above 0 and up to a century"))?,
            ),
        };
        let process = match (pid, process) {
            (Some(_), Some(_)) => return Err(wrong("pid and process: one of them")),
            (Some(pid), None) => Some(Process::Pid(pid)),
            (None, name) => name.map(Process::Name),
        };
        Ok(Self { interfaces, options, process })
    }
}

impl Live {
    /// Begins to capture.
    pub fn open(&self) -> Result<Box<dyn PacketSource>, SourceError> {
        let source = Box::new(LiveSource::open(&self.interfaces, &self.options)?);
        Ok(match &self.process {
            Some(process) => Box::new(OfProcess::new(source, process.clone())?),
            None => source,
        })
    }
}
