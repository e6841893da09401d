//! The `/metrics` server for Python. It is native: families of ours never wait for the interpreter.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use joyfuljay_monitoring::server::ForeignText;
use joyfuljay_monitoring::{Format, ServerError, ServerHandle, ServerOptions, start_server};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::metrics::Registry;

/// How long a scrape waits for collectors that are written in Python.
const FOREIGN_TIMEOUT: Duration = Duration::from_secs(1);

/// A running metrics server. Closed by ``close()``, by leaving a ``with`` block, or with the process.
#[pyclass(frozen, module = "joyfuljay.monitoring")]
pub struct MetricsServer {
    handle: Mutex<Option<ServerHandle>>,
    addr: String,
    port: u16,
    url: String,
    warning: Option<String>,
}

impl MetricsServer {
    fn take(&self) -> Option<ServerHandle> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl MetricsServer {
    /// Listens when it returns. ``foreign(openmetrics, names)`` gives the text of families that live in Python.
    #[new]
    #[pyo3(signature = (
        addr, port, registry, foreign: "collections.abc.Callable[[bool, list[str]], str] | None" = None, web_config=None
    ))]
    fn new(
        py: Python<'_>,
        addr: &str,
        port: u16,
        registry: &Registry,
        foreign: Option<Py<PyAny>>,
        web_config: Option<PathBuf>,
    ) -> PyResult<Self> {
        let foreign = foreign.map(|call| Arc::new(InPython(call)) as Arc<dyn ForeignText>);
        let options =
            ServerOptions { foreign, foreign_timeout: FOREIGN_TIMEOUT, web_config, ..ServerOptions::default() };
        let handle = py.detach(|| start_server(addr, port, &registry.0, options)).map_err(server_error)?;
        Ok(Self {
            addr: handle.addr().ip().to_string(),
            port: handle.port(),
            url: handle.url(),
            warning: handle.warning(),
            handle: Mutex::new(Some(handle)),
        })
    }

    /// The port, also when any free one was asked for.
    #[getter]
    fn port(&self) -> u16 {
        self.port
    }
    /// The IP address that it listens on.
    #[getter]
    fn addr(&self) -> &str {
        &self.addr
    }
    /// The live page for people; Prometheus reads ``metrics`` below it.
    #[getter]
    fn url(&self) -> &str {
        &self.url
    }
    /// What the user should know of who can read the metrics; None where there is nothing to say.
    #[getter]
    fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
    /// What ``/readyz`` says: 200 or 503.
    fn set_ready(&self, ready: bool) {
        if let Some(handle) = &*self.handle.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.set_ready(ready);
        }
    }
    /// Stops listening; answers under way leave first (2 s at most). May be called again.
    fn close(&self, py: Python<'_>) {
        if let Some(handle) = self.take() {
            py.detach(|| handle.close());
        }
    }
    /// After a fork: the child has no server thread, and forgets that the parent has one. What it is to close, lest it keep the
    /// parent's port: its copy of the listening socket.
    fn forget(&self) -> Option<i32> {
        let handle = self.take()?;
        let copy = handle.descriptor();
        std::mem::forget(handle);
        copy
    }
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }
    fn __exit__(
        &self,
        py: Python<'_>,
        exc_type: Option<Bound<'_, PyAny>>,
        exc_value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) {
        let _ = (exc_type, exc_value, traceback);
        self.close(py);
    }
    fn __repr__(&self) -> String {
        format!("<joyfuljay.monitoring.MetricsServer {}{}>", self.url, if self.closed() { " (closed)" } else { "" })
    }
}

struct InPython(Py<PyAny>);

impl ForeignText for InPython {
    fn render(&self, format: Format, names: &[String]) -> Result<String, String> {
        // None while the interpreter shuts down.
        let text = Python::try_attach(|py| {
            let args = (format == Format::OpenMetrics, names.to_vec());
            self.0.call1(py, args)?.extract::<String>(py)
        });
        match text {
            Some(Ok(text)) => Ok(text),
            Some(Err(e)) => Err(e.to_string()),
            None => Err("the interpreter is shutting down".to_owned()),
        }
    }
}

fn server_error(error: ServerError) -> PyErr {
    match (error.io().and_then(std::io::Error::raw_os_error), &error) {
        (Some(number), _) => PyOSError::new_err((number, joyfuljay::without_codes(&error.to_string()))),
        (None, ServerError::WebConfig { .. }) => PyValueError::new_err(error.to_string()),
        (None, _) => PyOSError::new_err(joyfuljay::without_codes(&error.to_string())),
    }
}
