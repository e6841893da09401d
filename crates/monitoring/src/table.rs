//! One entry per metric family. The registry, the exposition, the dashboard, the rules and the reference page all read this table,
//! so a name, a unit or a label value is written once.
//!
//! A family appears on `/metrics` when it has a sample: those [`Created::AtStart`] at once, with every documented label value
//! at 0 (the first error would be invisible to `rate()` otherwise), those [`Created::OnUse`] when something feeds them.

/// The namespace of the families when none is given.
pub const DEFAULT_NAMESPACE: &str = "joyfuljay";

/// What kind of family it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in cumulative buckets.
    Histogram,
}

impl Kind {
    /// The word of the `# TYPE` line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// How the values of a counter or gauge are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Exact integers.
    Int,
    /// `f64`, for seconds and timestamps.
    Float,
}

/// When the family's samples come into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// With the registry, at 0.
    AtStart,
    /// With the registry, at 0, as it is not known yet which will be used; once one is, only those that are. For histograms
    /// over modes: a process has one mode as a rule, and quantiles of the others would be NaN for ever.
    UntilUsed,
    /// With the first value.
    OnUse,
}

/// A label and the values that the documentation names for it.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The name of the label.
    pub name: &'static str,
    /// The documented values; others are allowed, up to a bound.
    pub values: &'static [&'static str],
}

/// One family.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its place in [`METRICS`].
    pub id: Id,
    /// The name without namespace, with `_total` where it is a counter.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Integers or floats.
    pub number: Number,
    /// Base unit, or empty.
    pub unit: &'static str,
    /// Labels in the order of their values.
    pub labels: &'static [Label],
    /// The `# HELP` text.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets, without `+Inf`.
    pub buckets: &'static [f64],
    /// When it appears.
    pub created: Created,
}

impl Metric {
    /// The full name in a namespace: `joyfuljay_packets_total`. Standard `process_*` families have no namespace.
    pub fn full_name(&self, namespace: &str) -> String {
        if namespace.is_empty() || self.name.starts_with("process_") {
            self.name.to_owned()
        } else {
            format!("{namespace}_{}", self.name)
        }
    }
}

/// The families, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // each variant is described by its entry in METRICS
pub enum Id {
    Packets,
    Bytes,
    Flows,
    Errors,
    ProcessingDuration,
    ActiveFlows,
    BuildInfo,
    Frames,
    CapturedBytes,
    WireBytes,
    PacketsSkipped,
    FramesFiltered,
    OddTimes,
    DatagramsReassembled,
    DatagramsEvicted,
    StreamsMalformed,
    StreamsGivenUp,
    FlowTableCapacity,
    FlowTableBytes,
    FlowsStarted,
    FlowEvictions,
    BatchDuration,
    ActiveRuns,
    Runs,
    LastRunStart,
    LastRunDuration,
    LastRunSuccess,
    InputReadBytes,
    InputSizeBytes,
    OutputRecords,
    OutputBytes,
    OutputErrors,
    OutputLost,
    OutputRetries,
    OutputQueueDepth,
    OutputLastSuccess,
    SavedFrames,
    SavedFramesLost,
    KafkaRows,
    KafkaBytes,
    KafkaRetries,
    KafkaFailures,
    KafkaQueueDepth,
    KafkaDeliveryDuration,
    KafkaLastSuccess,
    CapturePackets,
    CaptureDrops,
    CaptureUp,
    QueueDepth,
    QueueCapacity,
    ExtractorSeconds,
    ExtractorFlows,
    WorkerBusySeconds,
    Watermark,
    Lag,
    RemoteConnections,
    RemoteReconnects,
    RemoteMessages,
    RemoteBytes,
    RemoteDrops,
    RemoteAuthFailures,
    WatchCaptures,
    WatchCapturesWaiting,
    WatchLastCapture,
    WatchFlowsCut,
    Scrapes,
    ScrapeDuration,
    WebConfigReloads,
    LabelOverflow,
    SinkErrors,
    ProcessCpuSeconds,
    ProcessResidentMemory,
    ProcessVirtualMemory,
    ProcessOpenFds,
    ProcessMaxFds,
    ProcessStartTime,
}

impl Id {
    /// The entry of the table.
    pub fn metric(self) -> &'static Metric {
        &METRICS[self as usize]
    }
}

/// 1 ms to 24 h: a run lasts from an instant to a day.
const RUN_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0,
];
/// A batch of packets takes tens of microseconds; a slow sink may hold one for seconds.
const BATCH_BUCKETS: &[f64] =
    &[0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
/// A broker at hand answers within milliseconds; one that is away may take the two minutes of a restart.
const DELIVERY_BUCKETS: &[f64] = &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];
const SCRAPE_BUCKETS: &[f64] = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0];

const MODES: Label = Label { name: "mode", values: &["pcap", "live", "remote"] };
const SINK: Label = Label { name: "sink", values: &[] };
const TOPIC: Label = Label { name: "topic", values: &[] };
const DIRECTION: Label = Label { name: "direction", values: &["sent", "received"] };
const QUEUE: Label = Label { name: "queue", values: &["batches", "chunks"] };

/// Every family, in the order of the exposition and of [`Id`].
pub static METRICS: &[Metric] = &[
    // The six of the monitoring page.
    counter(Id::Packets, "packets_total", "Total number of packets processed."),
    counter(Id::Bytes, "bytes_total", "Total bytes processed, by the packets' total length.").unit("bytes"),
    counter(Id::Flows, "flows_total", "Flows completed, by reason.")
        .labels(&[Label { name: "reason", values: &["completed", "timeout", "rst", "fin", "kafka", "evicted"] }]),
    counter(Id::Errors, "errors_total", "Errors encountered, by pipeline stage.")
        .labels(&[Label { name: "stage", values: &["parsing", "extraction", "output"] }]),
    histogram(
        Id::ProcessingDuration,
        "processing_duration_seconds",
        RUN_BUCKETS,
        "Processing duration in seconds, by mode.",
    )
    .labels(&[MODES])
    .until_used(),
    gauge(Id::ActiveFlows, "active_flows", "Current number of active flows."),
    // The engine.
    gauge(Id::BuildInfo, "build_info", "Always 1; the labels say which build this is.")
        .labels(&[
            Label { name: "version", values: &[] },
            Label { name: "os", values: &[] },
            Label { name: "arch", values: &[] },
        ])
        .on_use(),
    counter(Id::Frames, "frames_total", "Frames read from the capture, packets of flows or not."),
    counter(Id::CapturedBytes, "captured_bytes_total", "Bytes of the frames that the capture holds.").unit("bytes"),
    counter(Id::WireBytes, "wire_bytes_total", "Bytes that the frames had on the wire.").unit("bytes"),
    counter(Id::PacketsSkipped, "packets_skipped_total", "Frames that did not become packets of a flow, by reason.")
        .labels(&[Label {
            name: "reason",
            values: &["non_ip", "unsupported_link_type", "truncated", "malformed", "too_deep", "fragment", "sampled"],
        }]),
    counter(Id::FramesFiltered, "frames_filtered_total", "Frames that the filter (bpf_filter) left out."),
    counter(Id::OddTimes, "odd_times_total", "Frames with a time before 1970 or after 2262."),
    counter(Id::DatagramsReassembled, "datagrams_reassembled_total", "IP datagrams put together from fragments."),
    counter(
        Id::DatagramsEvicted,
        "datagrams_evicted_total",
        "IP datagrams given up because there was no more room for fragments.",
    ),
    counter(
        Id::StreamsMalformed,
        "streams_malformed_total",
        "Directions of connections, and datagrams, that broke the rules of their application protocol.",
    ),
    counter(
        Id::StreamsGivenUp,
        "streams_given_up_total",
        "Directions of connections that were not read on because memory was short.",
    ),
    gauge(
        Id::FlowTableCapacity,
        "flow_table_capacity_flows",
        "Flows that the flow table has room for; absent when unbounded.",
    )
    .on_use(),
    gauge(Id::FlowTableBytes, "flow_table_bytes", "Bytes that the flow table holds.").unit("bytes"),
    counter(Id::FlowsStarted, "flows_started_total", "Flows begun."),
    counter(
        Id::FlowEvictions,
        "flow_evictions_total",
        "Flows pushed out of the flow table before their end, by cause.",
    )
    .labels(&[Label { name: "cause", values: &["capacity"] }]),
    histogram(
        Id::BatchDuration,
        "batch_duration_seconds",
        BATCH_BUCKETS,
        "Time that a batch of packets spent in a stage.",
    )
    .labels(&[Label { name: "stage", values: &["decode", "track", "extract", "output"] }]),
    gauge(Id::ActiveRuns, "active_runs", "Runs going on, by mode.").labels(&[MODES]),
    counter(Id::Runs, "runs_total", "Runs ended, by mode and result.")
        .labels(&[MODES, Label { name: "result", values: &["success", "failure", "cancelled"] }]),
    gauge(Id::LastRunStart, "last_run_start_timestamp_seconds", "When a run of the mode last began, Unix time.")
        .unit("seconds")
        .labels(&[MODES])
        .float()
        .on_use(),
    gauge(Id::LastRunDuration, "last_run_duration_seconds", "How long the last run of the mode took.")
        .unit("seconds")
        .labels(&[MODES])
        .float()
        .on_use(),
    gauge(
        Id::LastRunSuccess,
        "last_run_success_timestamp_seconds",
        "When a run of the mode last ended well, Unix time.",
    )
    .unit("seconds")
    .labels(&[MODES])
    .float()
    .on_use(),
    gauge(Id::InputReadBytes, "input_read_bytes", "Bytes of the present inputs read so far.").unit("bytes").on_use(),
    gauge(Id::InputSizeBytes, "input_size_bytes", "Bytes of the present inputs in all; 0 where that is not known.")
        .unit("bytes")
        .on_use(),
    counter(Id::OutputRecords, "output_records_total", "Rows handed to a sink.").labels(&[SINK]).on_use(),
    counter(Id::OutputBytes, "output_bytes_total", "Bytes written by a sink.").unit("bytes").labels(&[SINK]).on_use(),
    counter(Id::OutputErrors, "output_errors_total", "Failed writes of a sink, by kind.")
        .labels(&[SINK, Label { name: "kind", values: &["write"] }])
        .on_use(),
    counter(
        Id::OutputLost,
        "output_records_lost_total",
        "Rows that a sink could not write and that are lost, by reason.",
    )
    .labels(&[SINK, Label { name: "reason", values: &["disk_full", "write"] }])
    .on_use(),
    counter(Id::OutputRetries, "output_retries_total", "Writes that a sink tried again.").labels(&[SINK]).on_use(),
    gauge(Id::OutputQueueDepth, "output_queue_depth", "Rows that wait for a sink.").labels(&[SINK]).on_use(),
    gauge(Id::OutputLastSuccess, "output_last_success_timestamp_seconds", "When a sink last took rows, Unix time.")
        .unit("seconds")
        .labels(&[SINK])
        .float()
        .on_use(),
    counter(Id::SavedFrames, "saved_frames_total", "Frames written into saved captures.").on_use(),
    counter(Id::SavedFramesLost, "saved_frames_lost_total", "Frames that could not be written into saved captures.")
        .on_use(),
    // Kafka, by topic, of the command and of the Python package alike.
    counter(Id::KafkaRows, "kafka_rows_total", "Rows that the brokers have acknowledged.").labels(&[TOPIC]).on_use(),
    counter(Id::KafkaBytes, "kafka_bytes_total", "Bytes of the values and keys that the brokers have acknowledged.")
        .unit("bytes")
        .labels(&[TOPIC])
        .on_use(),
    counter(
        Id::KafkaRetries,
        "kafka_retries_total",
        "Requests that were sent again, and rows that a new producer sent again.",
    )
    .labels(&[TOPIC])
    .on_use(),
    counter(Id::KafkaFailures, "kafka_failures_total", "Rows that were not delivered, by reason.")
        .labels(&[TOPIC, Label { name: "reason", values: &[] }])
        .on_use(),
    gauge(Id::KafkaQueueDepth, "kafka_queue_depth", "Rows that wait for an acknowledgement.").labels(&[TOPIC]).on_use(),
    histogram(
        Id::KafkaDeliveryDuration,
        "kafka_delivery_duration_seconds",
        DELIVERY_BUCKETS,
        "Time from writing a message to its acknowledgement.",
    )
    .labels(&[TOPIC])
    .on_use(),
    gauge(
        Id::KafkaLastSuccess,
        "kafka_last_success_timestamp_seconds",
        "When the brokers last acknowledged a row, Unix time.",
    )
    .unit("seconds")
    .labels(&[TOPIC])
    .float()
    .on_use(),
    // Capture, queues, workers, remote sensors: exposed when a source or sink that has them runs.
    counter(
        Id::CapturePackets,
        "capture_packets_total",
        "Packets that an interface delivered, those included that were lost in the kernel then.",
    )
    .labels(&[Label { name: "interface", values: &[] }])
    .on_use(),
    counter(Id::CaptureDrops, "capture_drops_total", "Packets lost before they were read, by interface and place.")
        .labels(&[
            Label { name: "interface", values: &[] },
            Label { name: "where", values: &["kernel", "interface", "queue"] },
        ])
        .on_use(),
    gauge(Id::CaptureUp, "capture_up", "Whether packets can come from an interface: 0 while it is down or gone.")
        .labels(&[Label { name: "interface", values: &[] }])
        .on_use(),
    gauge(Id::QueueDepth, "queue_depth", "Entries in a queue between threads of a run.").labels(&[QUEUE]).on_use(),
    gauge(Id::QueueCapacity, "queue_capacity", "Entries that a queue between threads has room for.")
        .labels(&[QUEUE])
        .on_use(),
    counter(
        Id::ExtractorSeconds,
        "extractor_seconds_total",
        "Time spent in a feature group or an extractor of the user's own.",
    )
    .unit("seconds")
    .labels(&[Label { name: "extractor", values: &[] }])
    .float()
    .on_use(),
    counter(Id::ExtractorFlows, "extractor_flows_total", "Flows that a feature group or an extractor worked on.")
        .labels(&[Label { name: "extractor", values: &[] }])
        .on_use(),
    counter(Id::WorkerBusySeconds, "worker_busy_seconds_total", "Processor time that a thread of a run has used.")
        .unit("seconds")
        .labels(&[Label { name: "worker", values: &[] }])
        .float()
        .on_use(),
    gauge(Id::Watermark, "watermark_timestamp_seconds", "Time of the newest packet of a source, Unix time.")
        .unit("seconds")
        .labels(&[Label { name: "source", values: &[] }])
        .float()
        .on_use(),
    gauge(Id::Lag, "lag_seconds", "How far a live or remote source is behind the wall clock.")
        .unit("seconds")
        .labels(&[Label { name: "source", values: &[] }])
        .float()
        .on_use(),
    gauge(Id::RemoteConnections, "remote_connections", "Connections between a sensor and its clients that stand.").on_use(),
    counter(
        Id::RemoteReconnects,
        "remote_reconnects_total",
        "Connections between a sensor and its clients that took up where an earlier one broke off.",
    )
    .on_use(),
    counter(Id::RemoteMessages, "remote_messages_total", "Messages of the remote protocol, by direction.")
        .labels(&[DIRECTION])
        .on_use(),
    counter(Id::RemoteBytes, "remote_bytes_total", "Bytes of the messages of the remote protocol, by direction.")
        .unit("bytes")
        .labels(&[DIRECTION])
        .on_use(),
    counter(
        Id::RemoteDrops,
        "remote_drops_total",
        "Frames lost between a sensor and a client: the client was too slow (counted by the sensor), or they are missing in what came \
         (counted by the client).",
    )
    .labels(&[Label { name: "reason", values: &["slow_client", "gap"] }])
    .on_use(),
    counter(Id::RemoteAuthFailures, "remote_auth_failures_total", "Remote clients turned away for a wrong token.")
        .on_use(),
    counter(Id::WatchCaptures, "watch_captures_total", "Captures of a watched folder, by what became of them.")
        .labels(&[Label { name: "outcome", values: &["read", "failed"] }])
        .on_use(),
    gauge(
        Id::WatchCapturesWaiting,
        "watch_captures_waiting",
        "Captures of a watched folder that are still being written or wait to be read.",
    )
    .on_use(),
    gauge(
        Id::WatchLastCapture,
        "watch_last_capture_timestamp_seconds",
        "When a capture of a watched folder last had its rows, Unix time.",
    )
    .unit("seconds")
    .float()
    .on_use(),
    counter(
        Id::WatchFlowsCut,
        "watch_flows_cut_total",
        "Flows of a watched folder that were open at the end of the run and that the next one begins anew, as it does not read their \
         beginning again.",
    )
    .on_use(),
    // The monitoring itself.
    counter(Id::Scrapes, "scrapes_total", "Answers of the metrics endpoint, by HTTP status code.")
        .labels(&[Label { name: "code", values: &["200", "401", "503"] }]),
    histogram(
        Id::ScrapeDuration,
        "scrape_duration_seconds",
        SCRAPE_BUCKETS,
        "Time to render an answer of the metrics endpoint.",
    ),
    counter(
        Id::WebConfigReloads,
        "web_config_reloads_total",
        "Times that the web configuration or its certificates had changed and were read anew, by result.",
    )
    .labels(&[Label { name: "result", values: &["success", "failure"] }])
    .on_use(),
    counter(
        Id::LabelOverflow,
        "label_overflow_total",
        "Values counted as `other` because a family had too many label values.",
    ),
    counter(
        Id::SinkErrors,
        "sink_errors_total",
        "Values that a metrics sink refused, or failures of a user's own sink.",
    ),
    // The process, under the names that every Prometheus client uses.
    counter(Id::ProcessCpuSeconds, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
        .unit("seconds")
        .float()
        .on_use(),
    gauge(Id::ProcessResidentMemory, "process_resident_memory_bytes", "Resident memory size in bytes.")
        .unit("bytes")
        .on_use(),
    gauge(Id::ProcessVirtualMemory, "process_virtual_memory_bytes", "Virtual memory size in bytes.")
        .unit("bytes")
        .on_use(),
    gauge(Id::ProcessOpenFds, "process_open_fds", "Number of open file descriptors.").on_use(),
    gauge(Id::ProcessMaxFds, "process_max_fds", "Maximum number of open file descriptors.").on_use(),
    gauge(Id::ProcessStartTime, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
        .unit("seconds")
        .float()
        .on_use(),
];

const fn counter(id: Id, name: &'static str, help: &'static str) -> Metric {
    Metric {
        id,
        name,
        kind: Kind::Counter,
        number: Number::Int,
        unit: "",
        labels: &[],
        help,
        buckets: &[],
        created: Created::AtStart,
    }
}

const fn gauge(id: Id, name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(id, name, help) }
}

const fn histogram(id: Id, name: &'static str, buckets: &'static [f64], help: &'static str) -> Metric {
    Metric { kind: Kind::Histogram, number: Number::Float, unit: "seconds", buckets, ..counter(id, name, help) }
}

impl Metric {
    const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    const fn labels(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    const fn float(self) -> Self {
        Self { number: Number::Float, ..self }
    }

    const fn until_used(self) -> Self {
        Self { created: Created::UntilUsed, ..self }
    }

    const fn on_use(self) -> Self {
        Self { created: Created::OnUse, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use joyfuljay_core::metrics::{Mode, Stage};
    use joyfuljay_core::stats::{EndReason, SkipReason};
    use std::collections::BTreeSet;

    fn documented(id: Id) -> &'static [&'static str] {
        id.metric().labels[0].values
    }

    #[test]
    fn ids_are_places_in_the_table() {
        for (i, m) in METRICS.iter().enumerate() {
            assert_eq!(m.id as usize, i, "{}", m.name);
        }
        assert_eq!(METRICS.len(), Id::ProcessStartTime as usize + 1);
    }

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let names: BTreeSet<_> = METRICS.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for m in METRICS {
            assert_eq!(m.kind == Kind::Counter, m.name.ends_with("_total"), "{}", m.name);
            assert!(m.unit.is_empty() || m.name.trim_end_matches("_total").ends_with(m.unit), "{}", m.name);
            assert_eq!(m.kind == Kind::Histogram, !m.buckets.is_empty(), "{}", m.name);
            assert!(m.buckets.windows(2).all(|w| w[0] < w[1]), "{}", m.name);
            assert!(m.help.ends_with('.'), "{}", m.name);
        }
    }

    /// Clients reserve these beside a family's name: `flows_created` would be the creation time of `flows_total`.
    #[test]
    fn no_family_takes_a_name_that_another_reserves() {
        let base = |m: &Metric| m.name.trim_end_matches("_total").to_owned();
        for m in METRICS {
            for suffix in ["_created", "_sum", "_count", "_bucket", "_info", "_total", "_gsum", "_gcount"] {
                let reserved = base(m) + suffix;
                assert!(METRICS.iter().all(|other| base(other) != reserved), "{reserved}");
            }
        }
    }

    #[test]
    fn the_engines_label_values_are_documented() {
        for r in SkipReason::ALL {
            assert!(documented(Id::PacketsSkipped).contains(&r.label()));
        }
        for r in EndReason::ALL {
            assert!(documented(Id::Flows).contains(&r.label()));
        }
        for m in Mode::ALL {
            assert!(documented(Id::ProcessingDuration).contains(&m.label()));
        }
        for s in Stage::ALL {
            assert!(documented(Id::BatchDuration).contains(&s.label()));
        }
    }
}
