//! `-f kafka`: rows as messages of a topic.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use joyfuljay_core::config::ByteSize;
use joyfuljay_io::sink::{MessageForm, OnFull, TopicOptions};

use crate::error::CliError;
use crate::options::{number, whole};
use crate::say;

/// Where messages go, and what they are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kafka (-f kafka)")]
pub struct KafkaArgs {
    /// Brokers to begin with: HOST:PORT, separated by commas.
    #[arg(long, value_name = "HOST:PORT")]
    kafka_brokers: Option<String>,
    /// The topic.
    #[arg(long, value_name = "NAME")]
    kafka_topic: Option<String>,
    /// The column whose text is the key of a row's message: rows of one key are in one partition, in their order.
    #[arg(long, value_name = "COLUMN")]
    kafka_key: Option<String>,
    /// A message is a row (json), or --kafka-batch-size rows as a stream of Arrow IPC (arrow).
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Json)]
    kafka_format: Form,
    /// Rows of a message of arrow; otherwise the most messages of a request.
    #[arg(long, value_name = "ROWS", default_value_t = TopicOptions::BATCH_SIZE as u32, value_parser = whole(1, u32::MAX))]
    kafka_batch_size: u32,
    /// A property of librdkafka, such as compression.type=zstd, security.protocol=SASL_SSL or sasl.username=…. Not for passwords, as
    /// other users see arguments.
    #[arg(long, value_name = "KEY=VALUE")]
    kafka_config: Vec<String>,
    /// A file of such properties, one a line; # begins a comment. The password may also be in JOYFULJAY_KAFKA_PASSWORD.
    #[arg(long, value_name = "FILE", env = "JOYFULJAY_KAFKA_CONFIG")]
    kafka_config_file: Option<PathBuf>,
    /// What becomes of rows while the queue (100,000 messages or 64 MiB) is full: they wait, and the input with them; they are
    /// dropped and counted; or they wait in a temporary file [default: wait; of a live capture drop].
    #[arg(long, value_enum, value_name = "WHAT")]
    kafka_on_full: Option<Full>,
    /// Most bytes of that temporary file (in TMPDIR), which ends with the run; what it has no room for is dropped and counted.
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(TopicOptions::SPOOL_BYTES))]
    kafka_spool_size: ByteSize,
    /// How long the start looks for brokers and topic. Without them jj extract fails, a live capture begins all the same; 0 does not look.
    #[arg(long, value_name = "SECONDS", default_value_t = TopicOptions::START_TIMEOUT.as_secs_f64(), value_parser = number)]
    kafka_start_timeout: f64,
    /// How long the end waits for acknowledgements. Rows without one are an error.
    #[arg(long, value_name = "SECONDS", default_value_t = TopicOptions::CLOSE_TIMEOUT.as_secs_f64(), value_parser = number)]
    kafka_close_timeout: f64,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Json,
    Arrow,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Full {
    Wait,
    Drop,
    Spool,
}

/// Where the password may be, out of sight of other users.
const PASSWORD: &str = "JOYFULJAY_KAFKA_PASSWORD";

impl KafkaArgs {
    /// Whether a topic was named.
    pub fn is_named(&self) -> bool {
        self.kafka_brokers.is_some() || self.kafka_topic.is_some()
    }

    /// The topic. `lasts`: the run has no end of its own.
    pub fn options(&self, lasts: bool) -> Result<TopicOptions, CliError> {
        let (Some(brokers), Some(topic)) = (&self.kafka_brokers, &self.kafka_topic) else {
            return Err(CliError::Usage("-f kafka needs --kafka-brokers HOST:PORT and --kafka-topic NAME".into()));
        };
        let mut options = TopicOptions::new(brokers, topic);
        options.key.clone_from(&self.kafka_key);
        options.batch_size = self.kafka_batch_size as usize;
        options.form = match self.kafka_format {
            Form::Json => MessageForm::Json,
            Form::Arrow => MessageForm::Arrow,
        };
        options.on_full = match self.kafka_on_full {
            Some(Full::Wait) => OnFull::Wait,
            Some(Full::Drop) => OnFull::Drop,
            Some(Full::Spool) => OnFull::Spool,
            None if lasts => OnFull::Drop,
            None => OnFull::Wait,
        };
        options.spool_bytes = self.kafka_spool_size.0;
        options.start_needs_topic = !lasts;
        options.start_timeout = seconds("--kafka-start-timeout", self.kafka_start_timeout)?;
        options.close_timeout = seconds("--kafka-close-timeout", self.kafka_close_timeout)?;
        if let Some(path) = &self.kafka_config_file {
            options.config = properties(path)?;
        }
        for pair in &self.kafka_config {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                CliError::Usage("--kafka-config takes KEY=VALUE, as in --kafka-config compression.type=zstd".into())
            })?;
            if name.contains("password") || name.contains("secret") {
                say::warning(format_args!(
                    "other users see {name} among the arguments: put it into --kafka-config-file, or a password into {PASSWORD}"
                ));
            }
            options.config.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        if let Ok(password) = std::env::var(PASSWORD) {
            options.config.push(("sasl.password".into(), password));
        }
        options.say = std::sync::Arc::new(|text| say::line(text));
        Ok(options)
    }
}

fn seconds(name: &str, value: f64) -> Result<Duration, CliError> {
    /// A day: more is no start and no end.
    const MOST: f64 = 86_400.0;
    match (0.0..=MOST).contains(&value) {
        true => Ok(Duration::from_secs_f64(value)),
        false => Err(CliError::Usage(format!("{name} takes 0 to {MOST} seconds"))),
    }
}

/// Lines of `key=value`.
fn properties(path: &Path) -> Result<Vec<(String, String)>, CliError> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| CliError::Usage(format!("{name}: {e}")))?;
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(n, line)| match line.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(CliError::Usage(format!("{name}: line {n} is no KEY=VALUE"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kafka.properties");
        std::fs::write(&path, "# login\nsasl.username = alice\n\nsasl.password=a=b\n").unwrap();
        let found = properties(&path).unwrap();
        let pairs: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("sasl.username", "alice"), ("sasl.password", "a=b")]);
        std::fs::write(&path, "a=b\nsecret").unwrap();
        let CliError::Usage(message) = properties(&path).unwrap_err() else { panic!() };
        assert!(message.contains("line 2") && !message.contains("secret"), "{message}");
    }
}
