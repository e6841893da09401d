//! Prometheus metrics: the native counters, and their snapshot for `prometheus_client`.

use joyfuljay_core::metrics::{DeliveryDelta, MetricsSink};
use joyfuljay_core::{EndReason, SkipReason, StatsDelta};
use joyfuljay_monitoring as monitoring;
use joyfuljay_monitoring::{METRICS, Metric, MetricsError, Value, default_registry};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use std::collections::HashMap;

use crate::pipeline::total_len;

/// A native registry: what a metrics server shows.
#[pyclass(frozen, module = "joyfuljay.monitoring")]
pub struct Registry(pub monitoring::Registry);

#[pymethods]
impl Registry {
    /// An isolated registry.
    #[new]
    fn new() -> Self {
        Self(monitoring::Registry::new())
    }

    /// The registry that is meant when none is given.
    #[staticmethod]
    fn default() -> Self {
        Self(default_registry().clone())
    }

    /// Name, kind, unit, help and label names of every family of a namespace.
    #[staticmethod]
    fn describe(namespace: &str) -> Vec<(String, &'static str, &'static str, &'static str, Vec<&'static str>)> {
        own()
            .map(|m| {
                let labels = m.labels.iter().map(|l| l.name).collect();
                (m.full_name(namespace), m.kind.name(), m.unit, m.help, labels)
            })
            .collect()
    }

    /// Every family of a namespace that has samples: name, kind, unit, help, label names, and samples as pairs of label
    /// values and value, which for a histogram is the list of (upper bound, count up to it) and the sum.
    #[pyo3(signature = (namespace) -> "list[tuple[str, str, str, str, list[str], list[tuple[list[str], typing.Any]]]]")]
    fn collect<'py>(&self, py: Python<'py>, namespace: &str) -> PyResult<Bound<'py, PyList>> {
        let snapshot = py.detach(|| self.0.snapshot());
        let families = PyList::empty(py);
        for name in own().map(|m| m.full_name(namespace)) {
            let Some(f) = snapshot.family(&name) else { continue };
            let samples = PyList::empty(py);
            for s in &f.samples {
                let value = match &s.value {
                    Value::Int(n) => (*n as f64).into_pyobject(py)?.into_any(),
                    Value::Float(x) => x.into_pyobject(py)?.into_any(),
                    Value::Histogram(h) => {
                        let buckets: Vec<_> = h.buckets.iter().map(|(le, n)| (*le, *n as f64)).collect();
                        (buckets, h.sum).into_pyobject(py)?.into_any()
                    }
                };
                samples.append((&s.label_values, value))?;
            }
            let items = [
                (&f.name).into_pyobject(py)?.into_any(),
                f.kind.name().into_pyobject(py)?.into_any(),
                f.unit.into_pyobject(py)?.into_any(),
                f.help.into_pyobject(py)?.into_any(),
                f.label_names.clone().into_pyobject(py)?.into_any(),
                samples.into_any(),
            ];
            families.append(PyTuple::new(py, items)?)?;
        }
        Ok(families)
    }

    /// Names of every family that the registry has now, those of the process included.
    fn family_names(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.0.snapshot().families.into_iter().map(|f| f.name).collect())
    }

    /// Counts a failure of what others have put beside this registry.
    fn foreign_failed(&self) {
        self.0.foreign_failed();
    }

    /// Whether both are handles on one registry.
    fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

/// The families of a namespace: all but those that every process has.
fn own() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|m| !m.name.starts_with("process_"))
}

/// Counters of one namespace of a registry; several objects for the same are handles on the same counters.
#[pyclass(frozen, subclass, module = "joyfuljay.monitoring")]
pub struct PrometheusMetrics {
    pub inner: monitoring::PrometheusMetrics,
}

#[pymethods]
impl PrometheusMetrics {
    #[new]
    #[pyo3(signature = (namespace="joyfuljay", registry=None) -> "typing_extensions.Self")]
    fn new(namespace: &str, registry: Option<&Registry>) -> PyResult<Self> {
        let registry = registry.map_or_else(|| default_registry().clone(), |r| r.0.clone());
        let inner = monitoring::PrometheusMetrics::new(&registry, namespace).map_err(refused)?;
        Ok(Self { inner })
    }

    /// Prefix of the families.
    #[getter]
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    /// Records a processed packet: any object with ``total_len``.
    fn observe_packet(&self, packet: &Bound<'_, PyAny>) -> PyResult<()> {
        self.inner.observe_packet(total_len(packet)?);
        Ok(())
    }

    /// Records ``count`` packets of ``bytes`` bytes together.
    fn observe_packets(&self, count: &Bound<'_, PyAny>, bytes: &Bound<'_, PyAny>) -> PyResult<()> {
        self.inner.observe_packets(self::count(count, "count")?, self::count(bytes, "bytes")?);
        Ok(())
    }

    /// Records a flow that ended, for the given reason; the flow may be any object.
    fn observe_flow(&self, flow: &Bound<'_, PyAny>, reason: &str) {
        let _ = flow;
        self.inner.observe_flow(reason);
    }

    /// Records how long processing took in a mode, in seconds.
    fn observe_processing_time(&self, mode: &str, seconds: f64) -> PyResult<()> {
        self.inner.observe_processing_time(mode, seconds).map_err(refused)
    }

    /// Records an error at a stage of the pipeline.
    #[pyo3(signature = (stage, error: "Exception | None" = None))]
    fn observe_error(&self, stage: &str, error: Option<&Bound<'_, PyAny>>) {
        let _ = error;
        self.inner.observe_error(stage);
    }

    /// Records what became of rows for a Kafka topic; each failed one is an error at the stage output, too.
    #[pyo3(signature = (topic, rows=0, bytes=0, retries=0, failures=Vec::new(), waiting=0, seconds=Vec::new()))]
    #[allow(clippy::too_many_arguments)] // one for each family
    fn observe_kafka(
        &self,
        topic: &str,
        rows: u64,
        bytes: u64,
        retries: u64,
        failures: Vec<(String, u64)>,
        waiting: u64,
        seconds: Vec<f64>,
    ) {
        let failures: Vec<_> = failures.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect();
        let delta = DeliveryDelta { rows, bytes, retries, failures: &failures, waiting, seconds: &seconds };
        self.inner.delivery(topic, &delta);
    }

    /// Sets the number of flows that are open now.
    fn set_active_flows(&self, count: &Bound<'_, PyAny>) -> PyResult<()> {
        self.inner.set_active_flows(self::count(count, "count")?);
        Ok(())
    }

    /// Adds what runs elsewhere have counted: frames, packets and their bytes, flows by the reason of their end, skipped frames by
    /// reason, as a summary has them.
    fn observe_counts(
        &self,
        frames: u64,
        packets: u64,
        bytes: u64,
        reasons: HashMap<String, u64>,
        skipped: HashMap<String, u64>,
    ) -> PyResult<()> {
        let mut stats = StatsDelta { frames, packets, bytes, ..StatsDelta::default() };
        for (name, count) in reasons {
            let reason = EndReason::ALL.into_iter().find(|reason| reason.name() == name);
            stats.flows_ended[reason.ok_or_else(|| PyValueError::new_err(format!("'{name}' is no reason")))?] += count;
        }
        for (name, count) in skipped {
            let reason = SkipReason::ALL.into_iter().find(|reason| reason.label() == name);
            stats.skipped[reason.ok_or_else(|| PyValueError::new_err(format!("'{name}' is no reason")))?] += count;
        }
        stats.flows_created = stats.flows_ended.total();
        MetricsSink::record(&self.inner, &stats);
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("<joyfuljay.monitoring.PrometheusMetrics '{}'>", self.inner.namespace())
    }
}

/// A number of things: a whole number, 0 or more.
pub fn count(value: &Bound<'_, PyAny>, what: &str) -> PyResult<u64> {
    // Beyond 2^53 a counter's value is not exact for Prometheus, and a few of them would overflow ours.
    if let Ok(n) = value.extract::<u64>()
        && n <= 1 << 53
    {
        return Ok(n);
    }
    let number: f64 = value
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{what} must be a number, not {}", value.get_type())))?;
    if number.is_finite() && (0.0..=9.0e15).contains(&number) && number.fract() == 0.0 {
        return Ok(number as u64);
    }
    Err(PyValueError::new_err(format!("{what} must be a whole number, 0 or more, not {number}")))
}

/// What the registry refuses.
pub fn refused(error: MetricsError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
