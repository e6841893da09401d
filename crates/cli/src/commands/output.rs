//! Where the rows of a run go.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use joyfuljay::{Pipeline, RunControl};
use joyfuljay_core::config::ByteSize;
use joyfuljay_io::save::Rotation;
use joyfuljay_io::sink::{
    self, Compression, Ending, Format, Lasting, RowSink, SinkError, SinkOptions, Target, TopicOptions,
};

use crate::error::CliError;
use crate::kafka::KafkaArgs;
use crate::out;
use crate::save::{MAX_SECONDS, OnError};
use crate::say;

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Where rows go: a file, or - for standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Format of the rows: csv, json (one object a line), parquet or arrow; or kafka, for messages of a topic [default: by the
    /// extension of the output, else csv].
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<Form>,
    /// Compression of Parquet pages: none, snappy or zstd.
    #[arg(long, value_name = "NAME", default_value_t = Compression::default())]
    compression: Compression,
    #[command(flatten)]
    kafka: KafkaArgs,
}

/// Output of a run that goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct LastingArgs {
    /// Write rows into several files, NAME-TIME-NUMBER, and begin another one at every multiple of so many seconds, counted in UTC;
    /// a quiet one is closed all the same.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    output_seconds: Option<u64>,
    /// The same, before a file of text has more bytes than this (100MB, 1GiB), or when a columnar one has.
    #[arg(long, value_name = "SIZE")]
    output_size: Option<ByteSize>,
    /// What to do when rows cannot be written into files, as the disk is full: stop with an error, or lose them (counted) and go on.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnError::Stop)]
    output_error: OnError,
}

impl LastingArgs {
    /// How the output goes on.
    pub(super) fn lasting(&self) -> Lasting {
        let every = self.output_seconds.map(Duration::from_secs);
        let rotation = Rotation { bytes: self.output_size.map(|size| size.0), every };
        Lasting::new(rotation, self.output_error == OnError::Lose, |text| say::line(text))
    }
}

/// What rows become.
#[derive(Clone, Copy, Debug)]
enum Form {
    Bytes(Format),
    Kafka,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "kafka" => Ok(Self::Kafka),
            name => {
                name.parse().map(Self::Bytes).map_err(|e: SinkError| format!("{e}, or kafka for messages of a topic"))
            }
        }
    }
}

/// How long the input goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// It has an end.
    Ends,
    /// It goes on until somebody ends it.
    Lasts,
}

/// Where rows go, and as what.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// Bytes of a format.
    Bytes {
        /// The format.
        format: Format,
        /// The place.
        target: Target,
        /// Settings of the format.
        options: SinkOptions,
    },
    /// Messages.
    Topic(Box<TopicOptions>),
}

impl OutputArgs {
    pub(super) fn resolve(&self, lifetime: Lifetime) -> Result<Output, CliError> {
        let to_stdout = self.output.as_os_str() == "-";
        let format = match self.format {
            Some(Form::Kafka) if to_stdout => {
                return Ok(Output::Topic(Box::new(self.kafka.options(lifetime == Lifetime::Lasts)?)));
            }
            Some(Form::Kafka) => return Err(CliError::Usage("-f kafka writes no file: leave -o out".into())),
            _ if self.kafka.is_named() => {
                return Err(CliError::Usage("--kafka-brokers and --kafka-topic go with -f kafka".into()));
            }
            Some(Form::Bytes(format)) => Some(format),
            None => None,
        };
        let mut options = SinkOptions::default();
        options.compression = self.compression;
        if to_stdout {
            out::check()?;
            let format = format.unwrap_or(Format::Csv);
            if matches!(format, Format::Parquet | Format::Arrow) && std::io::stdout().is_terminal() {
                return Err(CliError::Usage(format!(
                    "{format} is binary and standard output is a terminal: add -o FILE.{format}, or pipe it into a program"
                )));
            }
            return Ok(Output::Bytes { format, target: Target::Stdout, options });
        }
        let path = self.output.clone();
        let format = match format {
            Some(format) => format,
            // A device or a pipe has no extension to tell; a file without one gets an error that asks for -f.
            None if path.extension().is_none() && path.exists() && !path.is_file() && !path.is_dir() => Format::Csv,
            None => Format::from_path(&path)
                .map_err(|e| CliError::Usage(format!("{e} (with -f, or as the extension of -o)")))?,
        };
        Ok(Output::Bytes { format, target: Target::File(path), options })
    }
}

impl Output {
    /// The format, or the kind of place that has none.
    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Bytes { format, .. } => format.name(),
            Self::Topic(_) => "kafka",
        }
    }

    /// The place, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Bytes { target: Target::Stdout, .. } => "-".into(),
            Self::Bytes { target: Target::File(path), .. } => path.to_string_lossy().into_owned(),
            Self::Topic(topic) => format!("topic {} at {}", topic.topic, topic.brokers),
        }
    }

    /// The file that is written, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Bytes { target: Target::File(path), .. } => Some(path),
            Self::Bytes { target: Target::Stdout, .. } | Self::Topic(_) => None,
        }
    }

    /// A file that must not be read: a redirection may lead to one among the captures, too.
    pub(super) fn excluded(&self) -> Option<&Path> {
        match self {
            Self::Bytes { target: Target::Stdout, .. } => Some(Path::new("/dev/stdout")),
            Self::Bytes { target: Target::File(path), .. } => Some(path),
            Self::Topic(_) => None,
        }
    }

    /// Opens it for the rows of a pipeline, whose metrics hear of it.
    pub(super) fn open(&self, pipeline: &Pipeline, lasting: Option<&Lasting>) -> Result<Box<dyn RowSink>, SinkError> {
        let schema = pipeline.schema();
        match (self, lasting) {
            (Self::Bytes { format, target, options }, None) => {
                sink::open_sink(*format, target.clone(), schema, options)
            }
            (Self::Bytes { format, target, options }, Some(lasting)) => {
                lasting.open(*format, target.clone(), schema, options)
            }
            (Self::Topic(topic), lasting) => {
                let mut topic = topic.as_ref().clone();
                topic.metrics = pipeline.metrics();
                topic.ending = ending(pipeline.control());
                let sink = sink::open_topic(&topic, schema)?;
                Ok(match lasting {
                    Some(lasting) => lasting.around(sink),
                    None => sink,
                })
            }
        }
    }
}

fn ending(control: RunControl) -> Arc<dyn Fn() -> Ending + Send + Sync> {
    Arc::new(move || match () {
        () if control.is_cancelled() => Ending::Cancel,
        () if control.is_stopped() => Ending::Stop,
        () => Ending::No,
    })
}
