//! The sink that Prometheus scrapes: what a pipeline or a caller observes goes into the atomic counters of a registry.

use crate::registry::{MetricsError, Registry, default_registry};
use crate::store::Store;
use crate::table::{DEFAULT_NAMESPACE, Id, Kind, Number};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::{
    DeliveryDelta, InterfaceDelta, MetricsSink, Mode, RemoteDelta, RunResult, Stage, WatchDelta,
};
use joyfuljay_core::stats::{EndReason, SkipReason, StatsDelta};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Counters of one namespace of a registry. Clones, and others made for the same registry and namespace, are handles on the
/// same counters. Counting takes no lock (only a label value never seen before does, once) and may be done from any thread.
///
/// ```
/// use joyfuljay_monitoring::{PrometheusMetrics, Registry};
///
/// let registry = Registry::new();
/// let metrics = PrometheusMetrics::new(&registry, "joyfuljay")?;
/// metrics.observe_packet(140);
/// metrics.observe_flow("completed");
/// metrics.set_active_flows(42);
/// assert_eq!(registry.snapshot().value("joyfuljay_bytes_total", &[]), Some(140.0));
/// # Ok::<(), joyfuljay_monitoring::MetricsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrometheusMetrics {
    store: Arc<Store>,
    registry: Registry,
}

impl Default for PrometheusMetrics {
    /// On the default registry, in the namespace `joyfuljay`; isolated, should that registry refuse.
    fn default() -> Self {
        Self::new(default_registry(), DEFAULT_NAMESPACE)
            .unwrap_or_else(|_| Self { store: Arc::new(Store::new(DEFAULT_NAMESPACE)), registry: Registry::new() })
    }
}

impl PrometheusMetrics {
    /// A handle on the counters `namespace_…` of the registry.
    pub fn new(registry: &Registry, namespace: &str) -> Result<Self, MetricsError> {
        Ok(Self { store: registry.store(namespace)?, registry: registry.clone() })
    }

    /// The registry that it counts in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The prefix of its families.
    pub fn namespace(&self) -> &str {
        self.store.namespace()
    }

    /// A packet of `bytes` bytes in all.
    pub fn observe_packet(&self, bytes: u64) {
        self.observe_packets(1, bytes);
    }

    /// `count` packets of `bytes` bytes together.
    pub fn observe_packets(&self, count: u64, bytes: u64) {
        self.store.add(Id::Packets, &[], count);
        self.store.add(Id::Bytes, &[], bytes);
    }

    /// A flow that ended: `completed`, `timeout`, `rst`, `fin`, `kafka`, `evicted` or a reason of the caller's own.
    pub fn observe_flow(&self, reason: &str) {
        self.store.add(Id::Flows, &[reason], 1);
    }

    /// A run of `pcap`, `live`, `remote` or the caller's own mode took `seconds`.
    pub fn observe_processing_time(&self, mode: &str, seconds: f64) -> Result<(), MetricsError> {
        self.observe(Id::ProcessingDuration, &[mode], seconds)
    }

    /// An error in `parsing`, `extraction`, `output` or the caller's own stage.
    pub fn observe_error(&self, stage: &str) {
        self.store.add(Id::Errors, &[stage], 1);
    }

    /// Flows open now.
    pub fn set_active_flows(&self, count: u64) {
        self.store.set(Id::ActiveFlows, &[], count);
    }

    /// Adds `n` to a counter of the table, for sources and sinks with families of their own.
    pub fn add(&self, id: Id, labels: &[&str], n: u64) {
        match (id.metric().kind, id.metric().number) {
            (Kind::Counter, Number::Int) => self.store.add(id, labels, n),
            (Kind::Counter, Number::Float) => self.store.add_float(id, labels, n as f64),
            _ => self.refused(),
        }
    }

    /// Adds seconds to a counter of seconds of the table.
    pub fn add_seconds(&self, id: Id, labels: &[&str], seconds: f64) -> Result<(), MetricsError> {
        check(id.metric().name, seconds)?;
        match (id.metric().kind, id.metric().number) {
            (Kind::Counter, Number::Float) => self.store.add_float(id, labels, seconds),
            _ => self.refused(),
        }
        Ok(())
    }

    /// Sets a gauge of the table.
    pub fn set(&self, id: Id, labels: &[&str], value: f64) -> Result<(), MetricsError> {
        check(id.metric().name, value)?;
        match (id.metric().kind, id.metric().number) {
            (Kind::Gauge, Number::Int) => self.store.set(id, labels, value as u64),
            (Kind::Gauge, Number::Float) => self.store.set_float(id, labels, value),
            _ => self.refused(),
        }
        Ok(())
    }

    /// Adds an observation to a histogram of the table.
    pub fn observe(&self, id: Id, labels: &[&str], value: f64) -> Result<(), MetricsError> {
        check(id.metric().name, value)?;
        match id.metric().kind {
            Kind::Histogram => self.store.observe(id, labels, value),
            _ => self.refused(),
        }
        Ok(())
    }

    /// Makes a sample appear at 0, so that its first increase is not missed by `rate()`.
    pub fn touch(&self, id: Id, labels: &[&str]) {
        self.store.touch(id, labels);
    }

    /// A metrics sink of the user's own failed, or a value was refused where no error can be returned.
    pub fn sink_error(&self) {
        self.refused();
    }

    fn refused(&self) {
        self.store.add(Id::SinkErrors, &[], 1);
    }
}

/// The engine's frames that should have been decodable are counted as errors of stage `parsing` by [`Self::record`]; the engine
/// calls [`Self::error`] only for what is not in a [`StatsDelta`].
impl MetricsSink for PrometheusMetrics {
    fn record(&self, d: &StatsDelta) {
        let s = &self.store;
        let add = |id: Id, labels: &[&str], n: u64| {
            if n > 0 {
                s.add(id, labels, n);
            }
        };
        add(Id::Packets, &[], d.packets);
        add(Id::Bytes, &[], d.bytes);
        add(Id::Frames, &[], d.frames);
        add(Id::CapturedBytes, &[], d.captured_bytes);
        add(Id::WireBytes, &[], d.wire_bytes);
        add(Id::FramesFiltered, &[], d.filtered);
        add(Id::OddTimes, &[], d.odd_times);
        add(Id::DatagramsReassembled, &[], d.datagrams_reassembled);
        add(Id::DatagramsEvicted, &[], d.datagrams_evicted);
        add(Id::StreamsMalformed, &[], d.malformed_streams);
        add(Id::StreamsGivenUp, &[], d.streams_given_up);
        add(Id::FlowsStarted, &[], d.flows_created);
        add(Id::Errors, &["parsing"], d.parsing_errors());
        add(Id::FlowEvictions, &["capacity"], d.flows_ended[EndReason::Evicted]);
        for r in SkipReason::ALL {
            add(Id::PacketsSkipped, &[r.label()], d.skipped[r]);
        }
        for r in EndReason::ALL {
            add(Id::Flows, &[r.label()], d.flows_ended[r]);
        }
        if d.active_flows != 0 {
            s.shift(Id::ActiveFlows, &[], d.active_flows);
        }
        if d.table_bytes != 0 {
            s.shift(Id::FlowTableBytes, &[], d.table_bytes);
        }
    }

    fn batch_duration(&self, stage: Stage, seconds: f64) {
        if self.observe(Id::BatchDuration, &[stage.label()], seconds).is_err() {
            self.refused();
        }
    }

    fn error(&self, stage: &str) {
        self.observe_error(stage);
    }

    fn run_started(&self, mode: Mode, capacity: u64) {
        let s = &self.store;
        let mut runs = s.runs();
        // Levels of runs that go on at once add up. Those of the last run stay to be seen until another begins.
        if *runs == 0 {
            s.set(Id::InputReadBytes, &[], 0);
            s.set(Id::InputSizeBytes, &[], 0);
            s.set(Id::FlowTableCapacity, &[], 0);
        }
        *runs += 1;
        s.shift(Id::FlowTableCapacity, &[], level(capacity));
        s.shift(Id::ActiveRuns, &[mode.label()], 1);
        // At 0 from here on, so that `rate()` sees the run's duration when it comes.
        s.touch(Id::ProcessingDuration, &[mode.label()]);
        s.set_float(Id::LastRunStart, &[mode.label()], unix_now());
    }

    fn run_finished(&self, mode: Mode, capacity: u64, seconds: f64, result: RunResult) {
        let s = &self.store;
        let mut runs = s.runs();
        *runs = runs.saturating_sub(1);
        if *runs > 0 {
            s.shift(Id::FlowTableCapacity, &[], -level(capacity));
        }
        let mode = [mode.label()];
        s.shift(Id::ActiveRuns, &mode, -1);
        s.add(Id::Runs, &[mode[0], result.label()], 1);
        if self.observe(Id::ProcessingDuration, &mode, seconds).is_err() {
            self.refused();
        } else {
            s.set_float(Id::LastRunDuration, &mode, seconds);
        }
        if result == RunResult::Success {
            s.set_float(Id::LastRunSuccess, &mode, unix_now());
        }
    }

    fn output(&self, sink: &str, records: u64, bytes: u64) {
        self.store.add(Id::OutputRecords, &[sink], records);
        self.store.add(Id::OutputBytes, &[sink], bytes);
        self.store.touch(Id::OutputErrors, &[sink, "write"]);
        if records > 0 || bytes > 0 {
            self.store.set_float(Id::OutputLastSuccess, &[sink], unix_now());
        }
    }

    fn output_error(&self, sink: &str, kind: &str) {
        self.store.add(Id::OutputErrors, &[sink, kind], 1);
    }

    fn output_lost(&self, sink: &str, reason: &str, records: u64) {
        self.store.add(Id::OutputLost, &[sink, reason], records);
    }

    fn frames_saved(&self, written: u64, lost: u64) {
        self.store.add(Id::SavedFrames, &[], written);
        self.store.add(Id::SavedFramesLost, &[], lost);
    }

    fn delivery(&self, topic: &str, d: &DeliveryDelta<'_>) {
        let s = &self.store;
        s.add(Id::KafkaRows, &[topic], d.rows);
        s.add(Id::KafkaBytes, &[topic], d.bytes);
        s.add(Id::KafkaRetries, &[topic], d.retries);
        s.set(Id::KafkaQueueDepth, &[topic], d.waiting);
        for (reason, rows) in d.failures {
            s.add(Id::KafkaFailures, &[topic, reason], *rows);
            s.add(Id::Errors, &["output"], *rows);
        }
        for seconds in d.seconds {
            if self.observe(Id::KafkaDeliveryDuration, &[topic], *seconds).is_err() {
                self.refused();
            }
        }
        if d.rows > 0 {
            s.set_float(Id::KafkaLastSuccess, &[topic], unix_now());
        }
    }

    fn input_grew(&self, read: i64, size: i64) {
        self.store.shift(Id::InputReadBytes, &[], read);
        self.store.shift(Id::InputSizeBytes, &[], size);
    }

    fn watermark(&self, source: &str, latest: TimeNs) {
        self.store.set_float(Id::Watermark, &[source], latest as f64 / 1e9);
    }

    fn lag(&self, source: &str, seconds: f64) {
        self.store.set_float(Id::Lag, &[source], seconds);
    }

    fn interface(&self, interface: &str, d: &InterfaceDelta) {
        let s = &self.store;
        s.set(Id::CaptureUp, &[interface], u64::from(d.up));
        s.add(Id::CapturePackets, &[interface], d.received);
        for (place, lost) in [("kernel", d.kernel), ("interface", d.interface), ("queue", d.queue)] {
            s.add(Id::CaptureDrops, &[interface, place], lost);
        }
    }

    fn remote(&self, d: &RemoteDelta) {
        let s = &self.store;
        s.shift(Id::RemoteConnections, &[], d.connections);
        s.add(Id::RemoteReconnects, &[], d.reconnects);
        s.add(Id::RemoteAuthFailures, &[], d.auth_failures);
        for (direction, (messages, bytes)) in [("sent", d.sent), ("received", d.received)] {
            s.add(Id::RemoteMessages, &[direction], messages);
            s.add(Id::RemoteBytes, &[direction], bytes);
        }
        for (reason, lost) in [("slow_client", d.lost_slow), ("gap", d.lost_gap)] {
            s.add(Id::RemoteDrops, &[reason], lost);
        }
    }

    fn watched(&self, d: &WatchDelta) {
        let s = &self.store;
        for (outcome, captures) in [("read", d.read), ("failed", d.failed)] {
            s.add(Id::WatchCaptures, &[outcome], captures);
        }
        s.add(Id::WatchFlowsCut, &[], d.cut);
        s.set(Id::WatchCapturesWaiting, &[], d.waiting);
        if d.read > 0 {
            s.set_float(Id::WatchLastCapture, &[], unix_now());
        }
    }

    fn interface_gone(&self, interface: &str) {
        let s = &self.store;
        s.end(Id::CaptureUp, &[interface]);
        s.end(Id::CapturePackets, &[interface]);
        for place in ["kernel", "interface", "queue"] {
            s.end(Id::CaptureDrops, &[interface, place]);
        }
    }

    fn worker_busy(&self, worker: &str, seconds: f64) {
        if self.add_seconds(Id::WorkerBusySeconds, &[worker], seconds).is_err() {
            self.refused();
        }
    }

    fn queue(&self, queue: &str, depth: u64, capacity: u64) {
        self.store.set(Id::QueueDepth, &[queue], depth);
        self.store.set(Id::QueueCapacity, &[queue], capacity);
    }

    fn extractor(&self, extractor: &str, flows: u64, seconds: f64) {
        if self.add_seconds(Id::ExtractorSeconds, &[extractor], seconds).is_err() {
            self.refused();
        }
        self.store.add(Id::ExtractorFlows, &[extractor], flows);
    }
}

fn level(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn check(what: &'static str, value: f64) -> Result<(), MetricsError> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { Err(MetricsError::Value { what, value }) }
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn metrics() -> PrometheusMetrics {
        PrometheusMetrics::new(&Registry::new(), DEFAULT_NAMESPACE).unwrap()
    }

    fn value(m: &PrometheusMetrics, name: &str, labels: &[&str]) -> f64 {
        m.registry().snapshot().value(name, labels).unwrap()
    }

    #[test]
    fn a_second_handle_counts_in_the_same_cells() {
        let a = metrics();
        let b = PrometheusMetrics::new(a.registry(), DEFAULT_NAMESPACE).unwrap();
        a.observe_packet(140);
        b.observe_packets(2, 60);
        assert_eq!(value(&a, "joyfuljay_packets_total", &[]), 3.0);
        assert_eq!(value(&b, "joyfuljay_bytes_total", &[]), 200.0);
    }

    #[test]
    fn negative_nan_and_infinite_durations_are_refused_and_change_nothing() {
        let m = metrics();
        let before = m.registry().snapshot();
        for bad in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::MIN_POSITIVE] {
            assert!(matches!(m.observe_processing_time("pcap", bad), Err(MetricsError::Value { .. })));
        }
        assert_eq!(m.registry().snapshot(), before);
        m.observe_processing_time("pcap", 0.0).unwrap();
    }

    #[test]
    fn a_delta_reaches_its_families() {
        let m = metrics();
        let mut d = StatsDelta {
            packets: 5,
            bytes: 500,
            frames: 9,
            flows_created: 3,
            active_flows: 2,
            ..StatsDelta::default()
        };
        d.flows_ended[EndReason::Idle] = 1;
        d.flows_ended[EndReason::Active] = 1;
        d.flows_ended[EndReason::Evicted] = 4;
        d.skipped[SkipReason::Malformed] = 2;
        d.skipped[SkipReason::NonIp] = 3;
        m.record(&d);
        m.record(&StatsDelta { active_flows: -1, ..StatsDelta::default() });
        let v = |name: &str, labels: &[&str]| value(&m, name, labels);
        assert_eq!(v("joyfuljay_packets_total", &[]), 5.0);
        assert_eq!(v("joyfuljay_flows_total", &["timeout"]), 2.0);
        assert_eq!(v("joyfuljay_flows_total", &["evicted"]), 4.0);
        assert_eq!(v("joyfuljay_flow_evictions_total", &["capacity"]), 4.0);
        assert_eq!(v("joyfuljay_errors_total", &["parsing"]), 2.0);
        assert_eq!(v("joyfuljay_packets_skipped_total", &["non_ip"]), 3.0);
        assert_eq!(v("joyfuljay_active_flows", &[]), 1.0);
    }

    #[test]
    fn a_run_is_active_then_counted() {
        let m = metrics();
        m.run_started(Mode::Pcap, 100);
        assert_eq!(value(&m, "joyfuljay_active_runs", &["pcap"]), 1.0);
        assert!(value(&m, "joyfuljay_last_run_start_timestamp_seconds", &["pcap"]) > 1.7e9);
        m.output("csv", 0, 0);
        assert_eq!(value(&m, "joyfuljay_output_records_total", &["csv"]), 0.0);
        assert!(m.registry().snapshot().family("joyfuljay_output_last_success_timestamp_seconds").is_none());
        m.output("csv", 10, 1000);
        assert!(value(&m, "joyfuljay_output_last_success_timestamp_seconds", &["csv"]) > 1.7e9);
        m.run_finished(Mode::Pcap, 100, 2.5, RunResult::Success);
        assert_eq!(value(&m, "joyfuljay_active_runs", &["pcap"]), 0.0);
        assert_eq!(value(&m, "joyfuljay_runs_total", &["pcap", "success"]), 1.0);
        assert_eq!(value(&m, "joyfuljay_last_run_duration_seconds", &["pcap"]), 2.5);
        assert!(value(&m, "joyfuljay_last_run_success_timestamp_seconds", &["pcap"]) > 1.7e9);
        assert_eq!(value(&m, "joyfuljay_output_errors_total", &["csv", "write"]), 0.0);
        let s = m.registry().snapshot();
        let Value::Histogram(h) = &s.family("joyfuljay_processing_duration_seconds").unwrap().samples[0].value else {
            panic!()
        };
        assert_eq!((h.count, h.sum), (1, 2.5));
    }

    #[test]
    fn levels_of_runs_at_once_add_up_and_the_last_ones_stay() {
        let m = metrics();
        let levels = || {
            ["flow_table_capacity_flows", "input_read_bytes", "input_size_bytes"]
                .map(|name| value(&m, &format!("joyfuljay_{name}"), &[]))
        };
        m.run_started(Mode::Pcap, 100);
        m.input_grew(10, 1000);
        m.run_started(Mode::Live, 40);
        m.input_grew(5, 0);
        m.input_grew(7, 20);
        assert_eq!(levels(), [140.0, 22.0, 1020.0]);
        m.run_finished(Mode::Pcap, 100, 1.0, RunResult::Success);
        assert_eq!(levels(), [40.0, 22.0, 1020.0]);
        m.run_finished(Mode::Live, 40, 1.0, RunResult::Failure);
        assert_eq!(levels(), [40.0, 22.0, 1020.0]);
        m.run_started(Mode::Pcap, 7);
        assert_eq!(levels(), [7.0, 0.0, 0.0]);
    }
}
