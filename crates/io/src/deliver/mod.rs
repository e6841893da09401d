//! Rows to their places, whatever format they have.
//!
//! There are three kinds of places. One that takes a stream of bytes (a file, standard output) is a [`BytePlace`]; every format
//! can be written to it. One that takes a message for each row is a [`MessagePlace`]; formats whose rows are bytes of their
//! own can. One that takes rows as they are (memory, a channel) is a [`RowSink`](crate::sink::RowSink) itself and has no format.

mod access;
mod behind;
mod channel;
mod discard;
mod file;
mod growing;
#[cfg(all(feature = "kafka", unix))]
mod kafka;
mod memory;
mod part;
mod stdout;
mod topic;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_schema::SchemaRef;

pub use self::channel::ChannelSink;
pub use self::discard::Discard;
pub(crate) use self::growing::{Growing, Identity};
pub use self::memory::{MemoryRows, MemorySink};
pub use self::topic::{Ending, MessageForm, OnFull, TopicOptions};
use crate::encode::RowBytes;
use crate::sink::{RowSink, SinkError};

/// A place that takes bytes one after the other. Dropped without [`BytePlace::finish`], it leaves nothing that looks whole.
pub trait BytePlace: Write + Send {
    /// How errors name it: the path, or "stdout".
    fn name(&self) -> &str;

    /// Whether its reader, if any, follows while it is written: standard output, a pipe or a device.
    fn is_followed(&self) -> bool;

    /// Completes it: bytes are where they have to be, and durable, when this returns.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}

/// A place that takes a message for each row, in the order of the rows.
pub trait MessagePlace: Send {
    /// The name of the place: a label of metrics.
    fn name(&self) -> &'static str;

    /// Takes the rows of a chunk. May wait for room; returns before the messages have arrived.
    fn send(&mut self, rows: &RowBytes) -> Result<(), SinkError>;

    /// Sends what waits to be sent in one piece with rows to come.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// Returns when every message has arrived, or an error that says how many have not.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}

/// A place for bytes, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, replaced when the new one is whole; or a device or a pipe, which is written straight into.
    File(PathBuf),
}

impl Target {
    /// Opens the place.
    pub(crate) fn open(&self) -> Result<Output, SinkError> {
        let place: Box<dyn BytePlace> = match self {
            Self::Stdout => Box::new(stdout::Stdout::open()?),
            Self::File(path) if stdout::is_name_of(path) => Box::new(stdout::Stdout::open()?),
            Self::File(path) => file::open(path)?,
        };
        Ok(Output::new(place))
    }
}

/// Opens a Kafka topic for rows of a schema.
///
/// # Errors
/// When a property is not known, the login is refused, or brokers or topic are not there; and always in a build without the cargo
/// feature `kafka`.
#[cfg(all(feature = "kafka", unix))]
pub fn open_topic(options: &TopicOptions, schema: SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
    kafka::open(options, schema)
}

/// As the other, of a build without it.
#[cfg(not(all(feature = "kafka", unix)))]
pub fn open_topic(_options: &TopicOptions, _schema: SchemaRef) -> Result<Box<dyn RowSink>, SinkError> {
    Err(SinkError::NoKafka)
}

/// Writes bytes made elsewhere (a page, a configuration) as rows are written: a file appears when it is whole, and replaces
/// an older one; a pipe or a device is written to.
pub fn write_whole(target: &Target, bytes: &[u8]) -> Result<(), SinkError> {
    let mut output = target.open()?;
    output.append(bytes)?;
    output.finish().map(drop)
}

/// A place for bytes with what formats need of it: bytes are counted, and no output is completed after a write that failed.
pub(crate) struct Output {
    place: Box<dyn BytePlace>,
    bytes: u64,
    failed: bool,
    held: Option<Held>,
}

/// What a format begins with, while it is not known whether the run begins.
struct Held {
    begun: Arc<AtomicBool>,
    bytes: Vec<u8>,
}

impl Output {
    pub(crate) fn new(place: Box<dyn BytePlace>) -> Self {
        Self { place, bytes: 0, failed: false, held: None }
    }

    /// Has what is written wait until `begun` is set, where a reader follows: a run whose input cannot be read gives it nothing.
    pub(crate) fn holding(mut self, begun: &Arc<AtomicBool>) -> Self {
        if self.is_followed() {
            self.held = Some(Held { begun: Arc::clone(begun), bytes: Vec::new() });
        }
        self
    }

    /// Hands on what was held.
    fn release(&mut self) -> io::Result<()> {
        let Some(held) = self.held.take() else { return Ok(()) };
        self.place.write_all(&held.bytes).inspect_err(|_| self.failed = true)
    }

    /// How errors name the place.
    pub(crate) fn name(&self) -> &str {
        self.place.name()
    }

    /// Whether its reader follows while it is written.
    pub(crate) fn is_followed(&self) -> bool {
        self.place.is_followed()
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes all, naming the place in the error.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.write_all(bytes).map_err(|e| SinkError::io(self.place.name(), "write", e))
    }

    /// Flushes the place, naming it in the error.
    pub(crate) fn flush_place(&mut self) -> Result<(), SinkError> {
        self.flush().map_err(|e| SinkError::io(self.place.name(), "write", e))
    }

    /// Completes the place. Bytes written in all.
    pub(crate) fn finish(mut self) -> Result<u64, SinkError> {
        self.release().map_err(|e| SinkError::io(self.place.name(), "write", e))?;
        if self.failed {
            return Err(SinkError::Incomplete { target: self.place.name().to_owned() });
        }
        self.place.finish()?;
        Ok(self.bytes)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(held) = self.held.as_mut().filter(|held| !held.begun.load(Ordering::Relaxed)) {
            held.bytes.extend_from_slice(bytes);
            self.bytes += bytes.len() as u64;
            return Ok(bytes.len());
        }
        self.release()?;
        let result = self.place.write(bytes);
        match &result {
            Ok(n) => self.bytes += *n as u64,
            Err(e) => self.failed |= e.kind() != io::ErrorKind::Interrupted,
        }
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.as_ref().is_some_and(|held| !held.begun.load(Ordering::Relaxed)) {
            return Ok(());
        }
        self.release()?;
        let result = self.place.flush();
        self.failed |= result.is_err();
        result
    }
}
