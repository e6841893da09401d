//! Where counts go: the sink that a run reports to, once per batch and never per packet.

use crate::frame::TimeNs;
use crate::stats::StatsDelta;

/// Where the packets of a run come from: the `mode` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Mode {
    /// A capture file or standard input.
    Pcap,
    /// A live interface.
    Live,
    /// A remote sensor.
    Remote,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Pcap, Self::Live, Self::Remote];

    /// The value of the `mode` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Live => "live",
            Self::Remote => "remote",
        }
    }
}

/// How a run ended: the `result` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RunResult {
    /// At the end of its input.
    Success,
    /// By an error.
    Failure,
    /// By its caller, who stopped it or left it.
    Cancelled,
}

impl RunResult {
    /// The value of the `result` label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stage of the pipeline: the `stage` label of errors and of batch durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Stage {
    /// Frames to packets.
    Decode,
    /// Packets into flows.
    Track,
    /// Flows to feature rows.
    Extract,
    /// Rows to the sink.
    Output,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 4] = [Self::Decode, Self::Track, Self::Extract, Self::Output];

    /// The value of the `stage` label of batch durations.
    pub fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Track => "track",
            Self::Extract => "extract",
            Self::Output => "output",
        }
    }
}

/// What came in at an interface since it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceDelta {
    /// Whether packets can come now.
    pub up: bool,
    /// Packets that it delivered, those lost in the kernel afterwards included.
    pub received: u64,
    /// Packets lost in the kernel, whose buffer was full.
    pub kernel: u64,
    /// Packets lost in the interface or its driver.
    pub interface: u64,
    /// Packets lost in a queue of our own.
    pub queue: u64,
}

/// What became of the rows for a message topic since it was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DeliveryDelta<'a> {
    /// Rows that the brokers have acknowledged.
    pub rows: u64,
    /// Bytes of their values and keys.
    pub bytes: u64,
    /// Requests that were sent again, and rows that a new producer sent again.
    pub retries: u64,
    /// Rows that will not be delivered, by reason.
    pub failures: &'a [(&'a str, u64)],
    /// Rows that wait for an acknowledgement now.
    pub waiting: u64,
    /// Seconds from writing a message to its acknowledgement, one value for each.
    pub seconds: &'a [f64],
}

/// What one end of a connection between a remote sensor and its client has seen since it last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoteDelta {
    /// Connections begun less those ended.
    pub connections: i64,
    /// Connections that took up where an earlier one broke off.
    pub reconnects: u64,
    /// Clients turned away for a wrong token.
    pub auth_failures: u64,
    /// Messages and bytes sent.
    pub sent: (u64, u64),
    /// Messages and bytes received.
    pub received: (u64, u64),
    /// Frames that a client was too slow for, as the sensor counts them.
    pub lost_slow: u64,
    /// Frames missing in what came, as the client counts them.
    pub lost_gap: u64,
}

/// What a watch of a folder has done since it last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchDelta {
    /// Captures that were read and have their rows.
    pub read: u64,
    /// Captures that could not be opened.
    pub failed: u64,
    /// Flows that were cut at the end, as the next run will not read their beginning again.
    pub cut: u64,
    /// Captures that lie there now and are not read yet.
    pub waiting: u64,
}

/// What a run reports to its observer. Every method has a default that does nothing, so a sink names only what it
/// wants; none may block for long or panic, as they are called from the packet path (per batch).
pub trait MetricsSink: Send + Sync {
    /// Counts since the last call.
    fn record(&self, _delta: &StatsDelta) {}
    /// A batch spent `seconds` in `stage`.
    fn batch_duration(&self, _stage: Stage, _seconds: f64) {}
    /// An error at a stage of the page's vocabulary: `parsing`, `extraction`, `output` or a caller's own.
    fn error(&self, _stage: &str) {}
    /// A run began, whose flow table has room for `capacity` flows.
    fn run_started(&self, _mode: Mode, _capacity: u64) {}
    /// A run whose start was reported ended after `seconds`.
    fn run_finished(&self, _mode: Mode, _capacity: u64, _seconds: f64, _result: RunResult) {}
    /// `records` rows in `bytes` bytes left for the sink of this name (`csv`, `json`, `parquet`, `arrow`…). Not called for none when a run
    /// begins.
    fn output(&self, _sink: &str, _records: u64, _bytes: u64) {}
    /// The sink of this name failed: `write`, or a kind of its own.
    fn output_error(&self, _sink: &str, _kind: &str) {}
    /// So many rows were lost on their way to the sink of this name: `disk_full`, or `write` for any other reason.
    fn output_lost(&self, _sink: &str, _reason: &str, _records: u64) {}
    /// Of the frames that are to be kept, so many were written and so many could not be.
    fn frames_saved(&self, _written: u64, _lost: u64) {}
    /// So many more bytes of input were read, and so much larger is the input known to be. Sizes shrink, too: a file may be cut
    /// while it is read.
    fn input_grew(&self, _read: i64, _size: i64) {}
    /// The latest packet time of a source: the mode for captures, the interface or the sensor otherwise.
    fn watermark(&self, _source: &str, _latest: TimeNs) {}
    /// What became of rows for a message topic.
    fn delivery(&self, _topic: &str, _delta: &DeliveryDelta<'_>) {}
    /// How far a source of frames that arrive as they are captured is behind.
    fn lag(&self, _source: &str, _seconds: f64) {}
    /// What came in at an interface.
    fn interface(&self, _interface: &str, _delta: &InterfaceDelta) {}
    /// What a sensor or its client sent, received and lost.
    fn remote(&self, _delta: &RemoteDelta) {}
    /// What became of the captures of a folder that is watched.
    fn watched(&self, _delta: &WatchDelta) {}
    /// An interface is captured from no more.
    fn interface_gone(&self, _interface: &str) {}
    /// A thread of the run (`main`, or `reader`, `tracker-0`…) used `seconds` of processor time.
    fn worker_busy(&self, _worker: &str, _seconds: f64) {}
    /// An internal queue holds `depth` of the `capacity` entries that it has room for.
    fn queue(&self, _queue: &str, _depth: u64, _capacity: u64) {}
    /// A feature group or an extractor of the user's own took `seconds` over `flows` flows.
    fn extractor(&self, _extractor: &str, _flows: u64, _seconds: f64) {}
}

/// The sink that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMetrics;

impl MetricsSink for NoMetrics {}
