//! Sinks of runs that have no end of their own: rows are in the file as they leave, and the file can be rotated meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_schema::SchemaRef;

use super::{Encoded, Format, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, byte_sink, open_sink};
use crate::deliver::{Growing, Identity, Output};
use crate::encode;

/// What the world outside says to a lasting sink, and may know of it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Lasting {
    asked: Arc<AtomicU64>,
    busy: Arc<AtomicBool>,
}

impl Lasting {
    /// The file may have been moved away: the next rows go to the file of the name. Where the name still is that of the file, nothing
    /// changes. May be called from a signal handler's thread.
    pub fn reopen(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the sink is at work now, so that a run that stands still waits for it.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Opens a sink. Rows of text formats go to a file as they leave; it is written on where it has rows already. Columnar formats
    /// are readable when they are whole, as [`open_sink`] writes them.
    ///
    /// # Errors
    /// When the place cannot be opened, or the format has no form for a column.
    pub fn open(
        &self,
        format: Format,
        target: Target,
        schema: SchemaRef,
        options: &SinkOptions,
    ) -> Result<Box<dyn RowSink>, SinkError> {
        encode::check_schema(format, &schema)?;
        let path = match &target {
            Target::File(path) if format.is_text() && is_growing(path) => Some(path.clone()),
            _ => None,
        };
        let file = path.map(|path| Rotated { path, schema: Arc::clone(&schema), options: options.clone(), format });
        let (sink, identity) = match &file {
            Some(file) => file.open()?,
            None => (open_sink(format, target, schema, options)?, Identity::none()),
        };
        Ok(self.lasting(sink, file, identity))
    }

    /// A sink with a place of its own, whose work is seen by [`Lasting::is_busy`].
    pub fn around(&self, sink: Box<dyn RowSink>) -> Box<dyn RowSink> {
        self.lasting(sink, None, Identity::none())
    }

    fn lasting(&self, sink: Box<dyn RowSink>, file: Option<Rotated>, identity: Identity) -> Box<dyn RowSink> {
        Box::new(LastingSink {
            name: sink.name(),
            encoder: sink.encoder(),
            sink: Some(sink),
            file,
            identity,
            handle: self.clone(),
            heard: 0,
            before: Written::default(),
        })
    }
}

/// Whether a path is that of a file, or of none yet.
fn is_growing(path: &PathBuf) -> bool {
    std::fs::metadata(path).map_or(!path.as_os_str().is_empty(), |meta| meta.is_file())
}

/// A file that may be opened again under its name.
struct Rotated {
    path: PathBuf,
    schema: SchemaRef,
    options: SinkOptions,
    format: Format,
}

impl Rotated {
    fn open(&self) -> Result<(Box<dyn RowSink>, Identity), SinkError> {
        let place = Growing::open(&self.path, self.format == Format::Csv)?;
        let output = Output::new(Box::new(place));
        let sink = byte_sink(self.format, output, Arc::clone(&self.schema), &self.options)?;
        Ok((sink, Identity::of(&self.path)))
    }
}

struct LastingSink {
    /// None between two files only.
    sink: Option<Box<dyn RowSink>>,
    encoder: Arc<dyn RowEncoder>,
    file: Option<Rotated>,
    identity: Identity,
    name: &'static str,
    handle: Lasting,
    heard: u64,
    /// What files before this one got.
    before: Written,
}

impl LastingSink {
    /// The sink, of another file where this was asked for.
    fn sink(&mut self) -> Result<&mut Box<dyn RowSink>, SinkError> {
        let asked = self.handle.asked.load(Ordering::Relaxed);
        if asked != self.heard {
            self.heard = asked;
            if let Some(file) = self.file.as_ref().filter(|file| self.identity.has_changed(&file.path)) {
                // The new one first: where it cannot be opened, the old one has all rows.
                let (next, identity) = file.open()?;
                let last = self.sink.replace(next).map(RowSink::finish).transpose()?.unwrap_or_default();
                self.identity = identity;
                self.before.rows += last.rows;
                self.before.bytes += last.bytes;
            }
        }
        self.sink.as_mut().ok_or(SinkError::Incomplete { target: self.name.to_owned() })
    }

    fn busy<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.handle.busy.store(true, Ordering::Relaxed);
        let result = work(self);
        self.handle.busy.store(false, Ordering::Relaxed);
        result
    }
}

impl RowSink for LastingSink {
    fn name(&self) -> &'static str {
        self.name
    }

    fn chunk_rows(&self) -> usize {
        self.sink.as_ref().map_or(super::TEXT_CHUNK_ROWS, |sink| sink.chunk_rows())
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder)
    }

    fn is_followed(&self) -> bool {
        self.sink.as_ref().is_none_or(|sink| sink.is_followed())
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        self.busy(|this| this.sink()?.write(chunk))
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.busy(|this| this.sink()?.flush())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, SinkError> {
        self.sink()?;
        let last = self.busy(|this| this.sink.take().map(RowSink::finish)).transpose()?.unwrap_or_default();
        Ok(Written { rows: self.before.rows + last.rows, bytes: self.before.bytes + last.bytes })
    }

    fn bytes_written(&self) -> u64 {
        self.before.bytes + self.sink.as_ref().map_or(0, |sink| sink.bytes_written())
    }
}
