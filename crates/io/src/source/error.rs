//! What can be wrong with an input, said with its name, the place and the way out.

use std::io;
use thiserror::Error;

/// Why a source cannot give frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing was named.
    #[error("no input: name a capture file, a directory, a glob, or - for standard input")]
    NoInput,
    /// A file or directory cannot be opened.
    #[error("{path}: {error}")]
    Open {
        /// What was named.
        path: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// Reading failed midway.
    #[error("{path}: reading failed at offset {offset}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Offset in the (decompressed) capture.
        offset: u64,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The file is something else than a capture.
    #[error("{path}: not a capture ({found}); pcap and pcapng can be read, plain or as .gz, .zst or .lz4")]
    NotCapture {
        /// The file.
        path: String,
        /// What it looks like.
        found: String,
    },
    /// The file is a capture of a kind that is not read, or its header is damaged.
    #[error("{path}: {problem}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong with the header.
        problem: String,
    },
    /// A pattern that cannot be understood.
    #[error("{pattern}: not a valid pattern: {problem} (put a literal *, ? or [ into brackets, as in [*])")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A pattern that matches no file.
    #[error("{pattern}: the pattern matches no file")]
    NoMatch {
        /// The pattern as given.
        pattern: String,
    },
    /// A directory without any file.
    #[error("{path}: the directory holds no file (hidden files are not read)")]
    EmptyDirectory {
        /// The directory.
        path: String,
    },
    /// A slice of something that cannot be read twice.
    #[error(
        "{path} is a stream: slices and captures that are kept apart are files, each read from its own place; save the capture first"
    )]
    Stream {
        /// The stream.
        path: String,
    },
    /// An interface cannot be captured from.
    #[error("{name}: {problem}")]
    Interface {
        /// The interface.
        name: String,
        /// Why, and the way out.
        problem: String,
    },
    /// A remote sensor gives no frames.
    #[error("{place}: {problem}")]
    Sensor {
        /// Its host and port.
        place: String,
        /// Why, and the way out.
        problem: String,
    },
    /// The output is one of the captures.
    #[error("{path} is one of the captures: name another file for the rows")]
    IsOutput {
        /// The output as named.
        path: String,
    },
    /// Something was found, and nothing of it can be read.
    #[error("{name}: nothing in it can be read; the first: {first}")]
    NothingRead {
        /// The directory or pattern.
        name: String,
        /// Why the first cannot.
        first: String,
    },
    /// Files were found, and none is a capture.
    #[error("{name}: none of its {files} files is a capture; the first: {first}")]
    NoCapture {
        /// The directory or pattern.
        name: String,
        /// Files looked at.
        files: usize,
        /// Why the first file is none.
        first: String,
    },
}

impl SourceError {
    /// Whether the input is there and readable but is no capture that can be read.
    pub(super) fn is_no_capture(&self) -> bool {
        matches!(self, Self::NotCapture { .. } | Self::Header { .. })
    }
}

/// Something wrong with an input that did not end the run: counted as a parsing error, and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceWarning {
    /// The file.
    pub path: String,
    /// Offset in the (decompressed) capture, in bytes.
    pub offset: u64,
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// What is wrong and what was done, with path and offset in it.
    pub message: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// A capture is damaged or cut: what came before was read.
    Damaged,
    /// A file or a folder among others cannot be read, has vanished or is no capture: the others were read.
    NotRead,
    /// An interface went down, came back or is not what it seems. No error.
    Interface,
    /// Something that would be read only if it were named, or was read as it is and should be known. No error.
    PassedOver,
}

impl std::fmt::Display for SourceWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
