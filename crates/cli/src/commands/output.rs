//! Where the rows of a run go.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use clap::builder::{StringValueParser, TypedValueParser};
use joyfuljay::{Pipeline, RunControl};
use joyfuljay_core::config::ByteSize;
use joyfuljay_core::privacy::Privacy;
use joyfuljay_io::database::{self, DatabaseOptions, DatabasePlace, DatabaseRun};
use joyfuljay_io::dataset::{self, DatasetOptions};
use joyfuljay_io::save::Rotation;
use joyfuljay_io::sink::{
    self, Compression, Ending, Format, Lasting, RowSink, SinkError, SinkOptions, Target, TopicOptions,
};

use crate::database::DatabaseArgs;
use crate::dataset::DatasetArgs;
use crate::error::CliError;
use crate::kafka::KafkaArgs;
use crate::options::{Offered, whole};
use crate::save::{MAX_SECONDS, OnError};
use crate::{out, say};

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Where rows go: a file, - for standard output, or a server as postgresql://user@host/database.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Format of the rows: csv, json (one object a line), parquet or arrow; sqlite or postgres, for the table of a database; or kafka,
    /// for messages of a topic [default: by the extension of the output, else csv].
    #[arg(short, long, value_name = "FORMAT", hide_possible_values = true,
          value_parser = Offered::new(StringValueParser::new().try_map(|name| name.parse::<Form>()), Form::names))]
    format: Option<Form>,
    /// Compression of Parquet pages: none, snappy (but for integers, which are packed) or zstd.
    #[arg(long, value_name = "NAME", default_value_t = Compression::default())]
    compression: Compression,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
}

/// Output of a run that goes on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct LastingArgs {
    /// Write rows into several files, NAME-TIME-NUMBER, and begin another one at every multiple of so many seconds, counted in UTC;
    /// a quiet one is closed all the same.
    #[arg(long, value_name = "SECONDS", value_parser = whole(1, MAX_SECONDS))]
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
    Sqlite,
    Postgres,
    Kafka,
}

impl Form {
    /// The names, for completions.
    fn names() -> Vec<&'static str> {
        Format::ALL.map(Format::name).into_iter().chain(["sqlite", "postgres", "kafka"]).collect()
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "kafka" => Ok(Self::Kafka),
            "sqlite" | "sqlite3" | "db" => Ok(Self::Sqlite),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            name => name.parse().map(Self::Bytes).map_err(|e: SinkError| {
                format!("{e}, or sqlite or postgres for the table of a database, or kafka for messages of a topic")
            }),
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
    /// A folder of Parquet files.
    Folder(PathBuf, Box<DatasetOptions>),
    /// The table of a database.
    Table {
        /// The database.
        place: DatabasePlace,
        /// The table.
        options: Box<DatabaseOptions>,
        /// The run, once it is opened.
        run: OnceLock<DatabaseRun>,
    },
    /// Messages.
    Topic(Box<TopicOptions>),
}

impl OutputArgs {
    pub(super) fn resolve(&self, lifetime: Lifetime) -> Result<Output, CliError> {
        let to_stdout = self.output.as_os_str() == "-";
        if let Some(place) = self.database(to_stdout)? {
            if self.kafka.is_named() {
                return Err(CliError::Usage("--kafka-brokers and --kafka-topic go with -f kafka".into()));
            }
            self.no_folder()?;
            return Ok(Output::Table { place, options: Box::new(self.database.options()?), run: OnceLock::new() });
        }
        let format = match self.format {
            Some(Form::Kafka) if to_stdout => {
                self.no_folder()?;
                return Ok(Output::Topic(Box::new(self.kafka.options(lifetime == Lifetime::Lasts)?)));
            }
            Some(Form::Kafka) => return Err(CliError::Usage("-f kafka writes no file: leave -o out".into())),
            _ if self.kafka.is_named() => {
                return Err(CliError::Usage("--kafka-brokers and --kafka-topic go with -f kafka".into()));
            }
            Some(Form::Bytes(format)) => Some(format),
            Some(Form::Sqlite | Form::Postgres) | None => None,
        };
        let mut options = SinkOptions::default();
        options.compression = self.compression;
        if self.dataset.is_named() {
            if to_stdout || !matches!(format, Some(Format::Parquet)) {
                self.no_folder()?;
            }
            return Ok(Output::Folder(self.output.clone(), Box::new(self.dataset.options(options))));
        }
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
            Some(format) => match Format::from_path(&path) {
                Ok(named) if named != format => {
                    let way_out = path.with_extension(format.name());
                    return Err(CliError::Usage(format!(
                        "-o {} is the name of a file of {named}, and -f is {format}: leave -f out, or write -o {}",
                        path.display(),
                        way_out.display()
                    )));
                }
                Err(_) if database::is_sqlite_path(&path) => {
                    let problem = format!(
                        "-o {} is the name of a database, and -f is {format}: leave one of them out",
                        path.display()
                    );
                    return Err(CliError::Usage(problem));
                }
                _ => format,
            },
            // A device or a pipe has no extension to tell; a file without one gets an error that asks for -f.
            None if path.extension().is_none() && path.exists() && !path.is_file() && !path.is_dir() => Format::Csv,
            None => Format::from_path(&path)
                .map_err(|e| CliError::Usage(format!("{e} (with -f, or as the extension of -o)")))?,
        };
        Ok(Output::Bytes { format, target: Target::File(path), options })
    }

    /// Refuses the options of folders where none is written.
    fn no_folder(&self) -> Result<(), CliError> {
        if self.dataset.is_named() {
            let problem = "--partition-by, --rows-per-file and --bytes-per-file go with -f parquet -o FOLDER";
            return Err(CliError::Usage(problem.into()));
        }
        Ok(())
    }

    /// The database, where rows go into one.
    fn database(&self, to_stdout: bool) -> Result<Option<DatabasePlace>, CliError> {
        let is_server = self.output.to_str().is_some_and(database::is_postgres_url) || self.database.is_named();
        match self.format {
            Some(Form::Postgres) => self.database.server(&self.output).map(Some),
            None if is_server => self.database.server(&self.output).map(Some),
            _ if is_server => Err(CliError::Usage("the address of a PostgreSQL server goes with -f postgres".into())),
            Some(Form::Sqlite) if to_stdout => Err(CliError::Usage("-f sqlite needs a file: -o FILE.sqlite".into())),
            Some(Form::Sqlite) => Ok(Some(DatabasePlace::Sqlite(self.output.clone()))),
            None if database::is_sqlite_path(&self.output) => Ok(Some(DatabasePlace::Sqlite(self.output.clone()))),
            Some(Form::Bytes(_) | Form::Kafka) | None => Ok(None),
        }
    }
}

impl Output {
    /// The format, or the kind of place that has none.
    pub(super) fn format(&self) -> &'static str {
        match self {
            Self::Bytes { format, .. } => format.name(),
            Self::Folder(..) => Format::Parquet.name(),
            Self::Table { place, .. } => place.kind(),
            Self::Topic(_) => "kafka",
        }
    }

    /// The place, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Bytes { target: Target::Stdout, .. } => "-".into(),
            Self::Bytes { target: Target::File(path), .. } | Self::Folder(path, _) => {
                path.to_string_lossy().into_owned()
            }
            Self::Table { place, options, run } => {
                let run = run.get().map_or_else(String::new, |run| format!(", run {}", run.id()));
                format!("table {} of {}{run}", options.table, place.shown())
            }
            Self::Topic(topic) => format!("topic {} at {}", topic.topic, topic.brokers),
        }
    }

    /// The file that is written, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Bytes { target: Target::File(path), .. } | Self::Table { place: DatabasePlace::Sqlite(path), .. } => {
                Some(path)
            }
            Self::Bytes { target: Target::Stdout, .. } | Self::Folder(..) | Self::Table { .. } | Self::Topic(_) => None,
        }
    }

    /// What is to be known of it after the run.
    pub(super) fn remarks(&self) -> Vec<String> {
        match self {
            Self::Table { run, .. } => run.get().map_or_else(Vec::new, DatabaseRun::remarks),
            Self::Bytes { .. } | Self::Folder(..) | Self::Topic(_) => Vec::new(),
        }
    }

    /// What a run that was broken off has left in it, and how it goes on.
    pub(super) fn left(&self) -> Option<String> {
        match self {
            Self::Table { run, .. } => run.get().map(|run| {
                let (id, rows) = (run.id(), run.rows());
                format!("{rows} rows of run {id} are in the table: over files, --db-resume {id} goes on behind them")
            }),
            Self::Bytes { .. } | Self::Folder(..) | Self::Topic(_) => None,
        }
    }

    /// A file that must not be read: a redirection may lead to one among the captures, too.
    pub(super) fn excluded(&self) -> Option<&Path> {
        match self {
            Self::Bytes { target: Target::Stdout, .. } => Some(Path::new("/dev/stdout")),
            Self::Bytes { .. } | Self::Table { .. } => self.file(),
            Self::Folder(..) | Self::Topic(_) => None,
        }
    }

    /// Opens it for the rows of a pipeline, whose metrics hear of it; `origin` is what the rows depend on, if they come from files.
    pub(super) fn open(
        &self,
        pipeline: &Pipeline,
        origin: Option<Vec<(&'static str, String)>>,
        lasting: Option<&Lasting>,
    ) -> Result<Box<dyn RowSink>, SinkError> {
        let schema = pipeline.schema();
        match (self, lasting) {
            (Self::Bytes { format, target, options }, None) => {
                sink::open_sink(*format, target.clone(), schema, options)
            }
            (Self::Bytes { format, target, options }, Some(lasting)) => {
                lasting.open(*format, target.clone(), schema, options)
            }
            (Self::Folder(folder, options), lasting) => {
                let (sink, notes) = dataset::open(folder, schema, options)?;
                for note in notes {
                    say::note(note);
                }
                Ok(around(lasting, sink))
            }
            (Self::Table { place, options, run }, lasting) => {
                let mut options = options.as_ref().clone();
                options.addresses = !Privacy::Address.is_replaced(pipeline.config());
                options.origin = origin;
                let (sink, handle) = database::open(place, schema, &options)?;
                for note in handle.notes() {
                    say::note(note);
                }
                let _ = run.set(handle);
                Ok(around(lasting, sink))
            }
            (Self::Topic(topic), lasting) => {
                let mut topic = topic.as_ref().clone();
                topic.metrics = pipeline.metrics();
                topic.ending = ending(pipeline.control());
                Ok(around(lasting, sink::open_topic(&topic, schema)?))
            }
        }
    }
}

/// The sink, seen by what lasts.
fn around(lasting: Option<&Lasting>, sink: Box<dyn RowSink>) -> Box<dyn RowSink> {
    match lasting {
        Some(lasting) => lasting.around(sink),
        None => sink,
    }
}

fn ending(control: RunControl) -> Arc<dyn Fn() -> Ending + Send + Sync> {
    Arc::new(move || match () {
        () if control.is_cancelled() => Ending::Cancel,
        () if control.is_stopped() => Ending::Stop,
        () => Ending::No,
    })
}
