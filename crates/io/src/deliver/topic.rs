//! What a Kafka topic as a place for rows is told. Known to every build, so that one without Kafka can say what it lacks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use joyfuljay_core::metrics::{MetricsSink, NoMetrics};

/// A topic, and how rows get there.
#[derive(Clone)]
#[non_exhaustive]
pub struct TopicOptions {
    /// Brokers to begin with: `HOST:PORT`, separated by commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The column whose text is the key of a row's message.
    pub key: Option<String>,
    /// Rows of one message where a message has several; else the most messages of a request.
    pub batch_size: usize,
    /// What a message is.
    pub form: MessageForm,
    /// What becomes of rows while the queue is full.
    pub on_full: OnFull,
    /// Most bytes of the file that [`OnFull::Spool`] writes.
    pub spool_bytes: u64,
    /// How long the start looks for brokers and topic; zero does not look.
    pub start_timeout: Duration,
    /// Whether a start without brokers or topic is an error. A wrong login always is.
    pub start_needs_topic: bool,
    /// How long the end waits for acknowledgements.
    pub close_timeout: Duration,
    /// Further properties of librdkafka.
    pub config: Vec<(String, String)>,
    /// Where counts go.
    pub metrics: Arc<dyn MetricsSink>,
    /// Hears what people should know.
    pub say: Arc<dyn Fn(&str) + Send + Sync>,
    /// Says whether the run is to end: then nothing waits for longer than `close_timeout`.
    pub ending: Arc<dyn Fn() -> Ending + Send + Sync>,
}

/// Whether a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    No,
    /// It is to finish what it has.
    Stop,
    /// It is to leave everything.
    Cancel,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageForm {
    /// A row, as a JSON object.
    #[default]
    Json,
    /// Several rows, as a stream of Arrow IPC.
    Arrow,
}

/// What becomes of rows while the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// They wait, and with them the input.
    #[default]
    Wait,
    /// They are lost, and counted.
    Drop,
    /// They wait in a temporary file; when that is full, they are lost and counted.
    Spool,
}

impl TopicOptions {
    /// A topic with every setting at its default.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            key: None,
            batch_size: Self::BATCH_SIZE,
            form: MessageForm::default(),
            on_full: OnFull::default(),
            spool_bytes: Self::SPOOL_BYTES,
            start_timeout: Self::START_TIMEOUT,
            start_needs_topic: true,
            close_timeout: Self::CLOSE_TIMEOUT,
            config: Vec::new(),
            metrics: Arc::new(NoMetrics),
            say: Arc::new(|_| {}),
            ending: Arc::new(|| Ending::No),
        }
    }

    /// Default of `batch_size`.
    pub const BATCH_SIZE: usize = 1_000;
    /// Default of `spool_bytes`: an hour of a thousand rows a second, of 300 bytes each.
    pub const SPOOL_BYTES: u64 = 1 << 30;
    /// Default of `start_timeout`.
    pub const START_TIMEOUT: Duration = Duration::from_secs(10);
    /// Default of `close_timeout`.
    pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
}

/// Without properties, which may hold passwords.
impl fmt::Debug for TopicOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicOptions")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
