//! Why rows could not be written, and the way out.

use std::io;

use arrow_schema::{ArrowError, DataType};
use parquet::errors::ParquetError;
use thiserror::Error;

use crate::encode::Format;

/// Why rows could not be written, and the way out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The reader of a pipe went away (`jj extract … | head`). Not a failure: the command ends quietly.
    #[error("{target}: the reader has closed the pipe")]
    Closed {
        /// The path, or "stdout".
        target: String,
    },
    /// The operating system refused.
    #[error("{target}: cannot {action}: {source}{}", way_out(.source))]
    Io {
        /// The path, or "stdout".
        target: String,
        /// "write", "create the part file"…
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The temporary file of rows that wait for the end of the input.
    #[error(
        "rows wait for the end of the input (group connection) in a temporary file in {directory}, which cannot be {action}: {source}: \
         free some space there, name another folder by TMPDIR, or leave the group connection out"
    )]
    Spill {
        /// Its directory.
        directory: String,
        /// "created", "written", "read".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The directory of the target does not exist.
    #[error("{target}: the directory {directory} does not exist: create it, or name another file")]
    NoDirectory {
        /// The path of the file.
        target: String,
        /// Its directory.
        directory: String,
    },
    /// The target is a directory, or its name is one that only a directory has.
    #[error("{target}: names a directory: name a file in it")]
    IsDirectory {
        /// The path.
        target: String,
    },
    /// An empty name.
    #[error("the output has no name: name a file")]
    NoName,
    /// The file that is there cannot be replaced.
    #[error("{target}: the file cannot be replaced: {reason}; name another file, or remove this one first")]
    NotReplaceable {
        /// The path.
        target: String,
        /// Why.
        reason: String,
    },
    /// The file is whole, but could not get its name.
    #[error("{target}: cannot put the file into place: {source}; the rows are in {kept}")]
    NotPlaced {
        /// The path.
        target: String,
        /// The file that has the rows.
        kept: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name of a format that does not exist, or a file name without one.
    #[error("{given}: no output format is known by this name: use {}", names(|_| true))]
    UnknownFormat {
        /// The name or the path.
        given: String,
    },
    /// The name of a Parquet compression that does not exist.
    #[error("{given}: no Parquet compression is known by this name: use none, snappy or zstd")]
    UnknownCompression {
        /// The name.
        given: String,
    },
    /// A column that the format has no form for.
    #[error(
        "column '{column}' of type {data_type} cannot be written as {format}: leave it out, or write parquet or arrow"
    )]
    Unsupported {
        /// The name of the column.
        column: String,
        /// Its type.
        data_type: DataType,
        /// The format.
        format: Format,
    },
    /// A format that has no form for one row alone, for a place that takes a message for each.
    #[error("{format} has no form for one row alone: send messages as {}", names(Format::is_text))]
    NoRowForm {
        /// The format.
        format: Format,
    },
    /// The key of messages is none of the columns.
    #[error("there is no column '{name}' among the rows to be the key of messages: select it, or name another")]
    NoColumn {
        /// The name.
        name: String,
    },
    /// Rows of another schema than that which the sink was opened with.
    #[error("{format}: the rows have another schema than the sink was opened with, first at column {index}")]
    Schema {
        /// The format.
        format: Format,
        /// The first column that differs, from 0.
        index: usize,
    },
    /// The encoder of the format refused.
    #[error("{format}: {message}")]
    Encode {
        /// The format.
        format: Format,
        /// What it said.
        message: String,
    },
    /// A database, or what was asked of it.
    #[error("{place}: {problem}")]
    Database {
        /// The file or the address, without a password.
        place: String,
        /// What it said, and the way out.
        problem: String,
    },
    /// A folder of partitions, or what was asked of it.
    #[error("{folder}: {problem}")]
    Dataset {
        /// The folder.
        folder: String,
        /// What, and the way out.
        problem: String,
    },
    /// What a database or a folder of partitions was asked for cannot be.
    #[error("{place}: {problem}")]
    Asked {
        /// The address without a password, or the folder.
        place: String,
        /// Why, and the way out.
        problem: String,
    },
    /// A chunk of another encoder.
    #[error("{sink}: the chunk was encoded for another format: use the encoder of this sink")]
    Foreign {
        /// The name of the sink.
        sink: &'static str,
    },
    /// One place cannot be several files.
    #[error("{target}: has no further files to go on in: name a file with -o, or leave the options for several out")]
    NotSeveral {
        /// The place.
        target: String,
    },
    /// This build has no Kafka output.
    #[error(
        "this build has no Kafka output: build it with the cargo feature kafka, `cargo build --release -p joyfuljay-cli --features kafka` \
         (which needs a C compiler, make and perl)"
    )]
    NoKafka,
    /// A property of Kafka output is wrong.
    #[error("kafka: {message}")]
    KafkaConfig {
        /// What and why.
        message: String,
    },
    /// Brokers or topic cannot be had.
    #[error("{message}")]
    Kafka {
        /// Which and why.
        message: String,
    },
    /// Rows were not acknowledged by the brokers.
    #[error("topic '{topic}': {undelivered} rows were not delivered ({reasons}); {delivered} were")]
    Undelivered {
        /// The topic.
        topic: String,
        /// How many were not.
        undelivered: u64,
        /// How many were.
        delivered: u64,
        /// How many for which reason.
        reasons: String,
    },
    /// `finish` after a write that failed: what is there is not whole.
    #[error("{target}: an earlier write failed, so the file is not put into place")]
    Incomplete {
        /// The path, or "stdout".
        target: String,
    },
}

impl SinkError {
    /// What the system said when it was asked to `action` the target; a closed pipe is seen as one.
    pub fn io(target: &str, action: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed { target: target.to_owned() },
            _ => Self::Io { target: target.to_owned(), action, source },
        }
    }

    pub(crate) fn database(place: &str, problem: &str) -> Self {
        Self::Database { place: place.to_owned(), problem: problem.to_owned() }
    }

    pub(crate) fn encode(format: Format, error: impl std::fmt::Display) -> Self {
        Self::Encode { format, message: error.to_string() }
    }

    /// The libraries wrap the system's error: take it out again, a closed pipe must be seen as one.
    pub(crate) fn parquet(target: &str, error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(source) => Self::io(target, "write", *source),
                Err(other) => Self::encode(Format::Parquet, other),
            },
            other => Self::encode(Format::Parquet, other),
        }
    }

    /// As [`SinkError::parquet`], for Arrow IPC.
    pub(crate) fn arrow(target: &str, error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => Self::io(target, "write", source),
            other => Self::encode(Format::Arrow, other),
        }
    }
}

/// The names of some formats: `csv, json or arrow`.
fn names(of: impl Fn(Format) -> bool) -> String {
    let names: Vec<_> = Format::ALL.into_iter().filter(|format| of(*format)).map(Format::name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": free some space, or write to another disk (parquet takes the least)"
        }
        io::ErrorKind::PermissionDenied => {
            ": the file is written in its directory before it gets its name, so that must be writable; name another directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": name a file on another disk",
        io::ErrorKind::InvalidFilename => ": name the file by a shorter name",
        _ => "",
    }
}
