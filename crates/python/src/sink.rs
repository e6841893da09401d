//! A metrics sink that the user wrote in Python, on a native run.
//!
//! The packet path only adds to numbers under a lock that is held for an instant; Python is called a few times a
//! second on the thread that started the run, and once more at its end. So a slow or failing sink cannot stop a
//! capture, and what it raises is counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use joyfuljay_core::metrics::{MetricsSink, Mode, RunResult};
use joyfuljay_core::{EndReason, StatsDelta};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

/// Counts for the user's sink until its next turn.
pub struct UserSink {
    object: Py<PyAny>,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    delta: StatsDelta,
    active: i64,
    reported_active: Option<i64>,
    errors: BTreeMap<String, u64>,
    durations: Vec<(Mode, f64)>,
    failures: u64,
}

/// Names of stages are few; a sink that is never served does not make more of them.
const MOST_STAGES: usize = 64;

impl UserSink {
    /// Calls this object.
    pub fn new(object: Py<PyAny>) -> Self {
        Self { object, pending: Mutex::default() }
    }

    /// How often the object raised.
    pub fn failures(&self) -> u64 {
        self.lock().failures
    }

    /// Calls Python with what came since the last time. Fails only for what is no `Exception`: Ctrl-C, `sys.exit`.
    pub fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        let (delta, active, errors, durations) = {
            let mut p = self.lock();
            let active = (p.reported_active != Some(p.active)).then_some(p.active);
            p.reported_active = Some(p.active);
            (std::mem::take(&mut p.delta), active, std::mem::take(&mut p.errors), std::mem::take(&mut p.durations))
        };
        let object = self.object.bind(py);
        if delta.packets > 0 {
            self.packets(object, delta.packets, delta.bytes)?;
        }
        for reason in EndReason::ALL {
            let count = delta.flows_ended[reason];
            if count > 0 {
                self.flows(object, reason.label(), count)?;
            }
        }
        for (stage, count) in errors {
            for _ in 0..count {
                self.call(py, || object.call_method1(intern!(py, "observe_error"), (&stage, py.None())).map(drop))?;
            }
        }
        if let Some(active) = active {
            self.call(py, || object.call_method1(intern!(py, "set_active_flows"), (active.max(0),)).map(drop))?;
        }
        for (mode, seconds) in durations {
            let args = (mode.label(), seconds);
            self.call(py, || object.call_method1(intern!(py, "observe_processing_time"), args).map(drop))?;
        }
        Ok(())
    }

    /// Packets at once where the sink can take them, else one by one: number and sum are exact, the single length is not.
    fn packets(&self, object: &Bound<'_, PyAny>, count: u64, bytes: u64) -> PyResult<()> {
        let py = object.py();
        if let Some(bulk) = object.getattr_opt(intern!(py, "observe_packets"))? {
            return self.call(py, || bulk.call1((count, bytes)).map(drop));
        }
        let (each, more) = (bytes / count, bytes % count);
        let usual = Bound::new(py, PacketOfBatch { total_len: each })?;
        let longer = Bound::new(py, PacketOfBatch { total_len: each + 1 })?;
        self.repeat(object, count, |n| {
            let packet = if n < more { &longer } else { &usual };
            object.call_method1(intern!(py, "observe_packet"), (packet,)).map(drop)
        })
    }

    fn flows(&self, object: &Bound<'_, PyAny>, reason: &str, count: u64) -> PyResult<()> {
        let py = object.py();
        if let Some(bulk) = object.getattr_opt(intern!(py, "observe_flows"))? {
            return self.call(py, || bulk.call1((reason, count)).map(drop));
        }
        self.repeat(object, count, |_| object.call_method1(intern!(py, "observe_flow"), (py.None(), reason)).map(drop))
    }

    /// As often as it takes, with an ear for Ctrl-C.
    fn repeat(&self, object: &Bound<'_, PyAny>, count: u64, one: impl Fn(u64) -> PyResult<()>) -> PyResult<()> {
        let py = object.py();
        for n in 0..count {
            self.call(py, || one(n))?;
            if n % 4096 == 4095 {
                py.check_signals()?;
            }
        }
        Ok(())
    }

    fn call(&self, py: Python<'_>, work: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        let Err(error) = work() else { return Ok(()) };
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        let first = {
            let mut p = self.lock();
            p.failures += 1;
            p.failures == 1
        };
        if first {
            error.write_unraisable(py, Some(self.object.bind(py)));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetricsSink for UserSink {
    fn record(&self, delta: &StatsDelta) {
        let mut p = self.lock();
        p.delta.add(delta);
        p.active += delta.active_flows;
        let errors = delta.parsing_errors();
        if errors > 0 {
            *p.errors.entry("parsing".to_owned()).or_default() += errors;
        }
    }

    fn error(&self, stage: &str) {
        let mut p = self.lock();
        if p.errors.len() < MOST_STAGES || p.errors.contains_key(stage) {
            *p.errors.entry(stage.to_owned()).or_default() += 1;
        }
    }

    fn run_finished(&self, mode: Mode, _capacity: u64, seconds: f64, _result: RunResult) {
        self.lock().durations.push((mode, seconds));
    }
}

/// Stands for one packet of a batch in a sink that takes packets one by one.
#[pyclass(frozen, get_all, module = "joyfuljay")]
struct PacketOfBatch {
    /// The batch's bytes, spread evenly over its packets.
    total_len: u64,
}
