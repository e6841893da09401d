//! Remote sensors for Python: a server on threads of its own, which need no interpreter, and the search for others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joyfuljay::remote::Token;
use joyfuljay::remote::discovery::{self, Announce};
use joyfuljay::remote::server::{self, ServerError, ServerHandle, ServerOptions, ServerStats, TlsFiles};
use joyfuljay::sensor::Sensor;
use joyfuljay_capture::live::LiveOptions;
use joyfuljay_capture::process::Process;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::errors::run_error;
use crate::metrics::PrometheusMetrics;

/// A sensor that serves. It does when it is made.
#[pyclass(frozen, module = "joyfuljay.remote")]
pub struct SensorServer {
    handle: Mutex<Option<ServerHandle>>,
    address: String,
    port: u16,
    /// Counts at the end.
    last: Mutex<ServerStats>,
    /// Where its threads are: a child has none of them, and would wait for ever for their end.
    process: u32,
}

impl SensorServer {
    fn stats(&self) -> ServerStats {
        match &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(handle) => handle.stats(),
            None => *self.last.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// What is to be ended, which is the parent's where this is a child of it.
    fn take(&self) -> Option<ServerHandle> {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.process == std::process::id() {
            return handle;
        }
        std::mem::forget(handle);
        None
    }
}

impl Drop for SensorServer {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[pymethods]
impl SensorServer {
    #[new]
    #[pyo3(signature = (
        inputs, token, metrics, *, host="0.0.0.0", port=8765, bpf_filter=None, pid=None, process=None, max_clients=5, max_bandwidth=None,
        compress=true, buffer=None, tls_cert=None, tls_key=None, tls_client_ca=None, name="sensor".to_owned(), announce=false,
        announce_properties=BTreeMap::new()
    ))]
    #[allow(clippy::too_many_arguments)] // one for each option
    fn new(
        py: Python<'_>,
        inputs: Vec<String>,
        token: &str,
        metrics: &PrometheusMetrics,
        host: &str,
        port: u16,
        bpf_filter: Option<String>,
        pid: Option<u32>,
        process: Option<String>,
        max_clients: usize,
        max_bandwidth: Option<f64>,
        compress: bool,
        buffer: Option<usize>,
        tls_cert: Option<PathBuf>,
        tls_key: Option<PathBuf>,
        tls_client_ca: Option<PathBuf>,
        name: String,
        announce: bool,
        announce_properties: BTreeMap<String, String>,
    ) -> PyResult<Self> {
        let wrong = |what: &str| PyValueError::new_err(what.to_owned());
        let mut options = ServerOptions::new(Token::new(token).map_err(|e| wrong(&e))?);
        options.host = host.to_owned();
        options.port = port;
        options.max_clients = max_clients;
        options.max_bandwidth = match max_bandwidth {
            Some(rate) if rate >= 1.0 => Some(rate as u64),
            Some(_) => return Err(wrong("max_bandwidth: bytes a second, 1 or more")),
            None => None,
        };
        options.compress = compress;
        options.buffer = buffer.unwrap_or(options.buffer);
        options.tls = match (tls_cert, tls_key, tls_client_ca) {
            (Some(cert), Some(key), client_ca) => Some(TlsFiles { cert, key, client_ca }),
            (None, None, None) => None,
            _ => return Err(wrong("tls_cert and tls_key: both, or none; tls_client_ca with them")),
        };
        options.announce =
            announce.then(|| Announce { name: name.clone(), properties: announce_properties, ..Announce::default() });
        options.name = name;
        options.metrics = Arc::new(metrics.inner.clone());
        let process = match (pid, process) {
            (Some(_), Some(_)) => return Err(wrong("pid and process: one of them")),
            (pid, name) => name.map(Process::Name).or(pid.map(Process::Pid)),
        };
        let sensor = Sensor { inputs, options: LiveOptions::default(), process, filter: bpf_filter };
        let handle = py.detach(|| {
            let input = sensor.input().map_err(run_error)?;
            server::serve(input, options).map_err(server_error)
        })?;
        Ok(Self {
            address: handle.address().ip().to_string(),
            port: handle.address().port(),
            last: Mutex::default(),
            process: std::process::id(),
            handle: Mutex::new(Some(handle)),
        })
    }

    /// The IP address that it listens on.
    #[getter]
    fn address(&self) -> &str {
        &self.address
    }
    /// The port, also when any free one was asked for.
    #[getter]
    fn port(&self) -> u16 {
        self.port
    }
    /// Clients now.
    #[getter]
    fn clients(&self) -> usize {
        self.stats().clients
    }
    /// Messages sent.
    #[getter]
    fn messages_sent(&self) -> u64 {
        self.stats().messages
    }
    /// Bytes sent.
    #[getter]
    fn bytes_sent(&self) -> u64 {
        self.stats().bytes
    }
    /// Frames that clients were too slow for.
    #[getter]
    fn drops(&self) -> u64 {
        self.stats().lost
    }
    /// Clients turned away for a wrong token.
    #[getter]
    fn auth_failures(&self) -> u64 {
        self.stats().auth_failures
    }
    /// Whether it serves. It ends by itself when a pipe does.
    #[getter]
    fn running(&self) -> bool {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(ServerHandle::is_running)
    }
    /// Ends it: clients get what has come, for some seconds at most. May be called again.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let Some(handle) = self.take() else { return Ok(()) };
        handle.stop();
        let (ended, stats) = py.detach(|| {
            while handle.is_running() {
                std::thread::sleep(Duration::from_millis(10));
            }
            let stats = handle.stats();
            (handle.wait(), stats)
        });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = ServerStats { clients: 0, ..stats };
        ended.map_err(server_error)
    }
}

/// Name, address, port and properties.
type Announced = (String, String, u16, BTreeMap<String, String>);

/// Sensors of the local network: name, address, port and properties of each.
#[pyfunction]
#[pyo3(signature = (timeout) -> "list[tuple[str, str, int, dict[str, str]]]")]
pub fn discover_sensors(py: Python<'_>, timeout: f64) -> PyResult<Vec<Announced>> {
    let timeout = Duration::try_from_secs_f64(timeout)
        .ok()
        .filter(|timeout| *timeout <= LiveOptions::MAX_DURATION)
        .ok_or_else(|| PyValueError::new_err("timeout: seconds, up to a century"))?;
    let found = py.detach(|| discovery::discover(timeout)).map_err(PyOSError::new_err)?;
    Ok(found.into_iter().map(|f| (f.name, f.address.to_string(), f.port, f.properties)).collect())
}

fn server_error(error: ServerError) -> PyErr {
    match &error {
        ServerError::Bind { error: system, .. } => match system.raw_os_error() {
            Some(number) => PyOSError::new_err((number, joyfuljay::without_codes(&error.to_string()))),
            None => PyOSError::new_err(joyfuljay::without_codes(&error.to_string())),
        },
        ServerError::Tls(_) => PyValueError::new_err(error.to_string()),
        _ => PyRuntimeError::new_err(joyfuljay::without_codes(&error.to_string())),
    }
}
