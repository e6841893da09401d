//! Rows in several files, one after the other, by size or time.
//!
//! Text grows under `NAME.part` and gets its name when it is closed, so that what a killed run has left is whole rows. Columnar files
//! have no name at all before they are whole; their rows are collected until they make a good chunk. A file begins with its first
//! row, and is closed at the multiple of the period whether or not rows come.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_schema::SchemaRef;
use joyfuljay_core::engine::CHUNK_ROWS;
use joyfuljay_core::frame::TimeNs;

use super::{Encoded, Format, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, byte_sink, open_sink};
use crate::deliver::{Growing, Output};
use crate::encode::Gathering;
use crate::save::Rotation;
use crate::save::name::{Names, part};

/// The files of one output.
pub(super) struct Parts {
    names: Names,
    rotation: Rotation,
    format: Format,
    schema: SchemaRef,
    options: SinkOptions,
    now: fn() -> TimeNs,
    file: Option<Part>,
    /// Rows of a columnar format that are in no file yet.
    waiting: Gathering,
    closed: Written,
    /// Rows of a columnar file that could not be completed.
    gone: u64,
}

/// The file that is being written.
struct Part {
    place: PathBuf,
    /// None after an error: it is opened again.
    sink: Option<Box<dyn RowSink>>,
    rows: u64,
    /// When its period ends.
    until: Option<TimeNs>,
}

impl Parts {
    pub(super) fn new(
        path: &Path,
        rotation: Rotation,
        format: Format,
        schema: SchemaRef,
        options: &SinkOptions,
    ) -> Self {
        let names = Names::new(path, true);
        let options = options.clone();
        let (file, waiting, closed) = (None, Gathering::new(Arc::clone(&schema)), Written::default());
        Self { names, rotation, format, schema, options, now, file, waiting, closed, gone: 0 }
    }

    pub(super) fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        if !self.format.is_text() {
            self.tick().inspect_err(|_| self.gone += chunk.rows() as u64)?;
            let rows = chunk.into_batch(self.format.name())?;
            self.waiting.push(rows).map_err(|e| SinkError::encode(self.format, e))?;
            // It exists, and has its name, from its first row on.
            self.open()?;
            return if self.waiting.rows() >= CHUNK_ROWS { self.write_waiting() } else { Ok(()) };
        }
        self.tick()?;
        let more = match &chunk {
            Encoded::Rows(rows) => rows.bytes().len() as u64,
            Encoded::RowGroup(_) | Encoded::Batch(_) | Encoded::Packed(_) => 0,
        };
        let has = self.file.as_ref().and_then(|file| file.sink.as_ref()).map_or(0, |sink| sink.bytes_written());
        if self.rotation.bytes.is_some_and(|limit| self.rows() > 0 && has + more > limit) {
            self.close()?;
        }
        self.put(chunk)
    }

    /// Closes the file whose time is over.
    pub(super) fn tick(&mut self) -> Result<(), SinkError> {
        let over = self.file.as_ref().and_then(|file| file.until).is_some_and(|until| (self.now)() >= until);
        if over { self.close() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        self.tick()?;
        match self.file.as_mut().and_then(|file| file.sink.as_mut()) {
            Some(sink) => sink.flush(),
            None => Ok(()),
        }
    }

    /// After an error in the writing of `rows` rows: how many are gone. Text that was written stays; a columnar file is lost as a
    /// whole, and those rows were part of it.
    pub(super) fn give_up(&mut self, rows: u64) -> u64 {
        if self.format.is_text() {
            if let Some(file) = &mut self.file {
                file.sink = None;
            }
            return rows;
        }
        let gone = std::mem::take(&mut self.gone) + self.rows() + self.waiting.rows() as u64;
        self.file = None;
        self.waiting.take();
        gone
    }

    pub(super) fn finish(mut self) -> Result<Written, SinkError> {
        self.close()?;
        Ok(self.closed)
    }

    pub(super) fn chunk_rows(&self) -> usize {
        if self.format.is_text() { super::TEXT_CHUNK_ROWS } else { CHUNK_ROWS }
    }

    /// That of the workers; none where rows come as they are and are encoded when a chunk of them is full.
    pub(super) fn encoder(&self) -> Option<Arc<dyn RowEncoder>> {
        // Text formats have one, whatever file it is for; columns were looked at before.
        crate::encode::row_encoder(self.format, Arc::clone(&self.schema), None).ok()
    }

    pub(super) fn bytes_written(&self) -> u64 {
        let open = self.file.as_ref().and_then(|file| file.sink.as_ref());
        self.closed.bytes + open.map_or(0, |sink| sink.bytes_written())
    }

    fn rows(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.rows)
    }

    fn put(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.rows() as u64;
        self.open()?.write(chunk)?;
        if let Some(file) = &mut self.file {
            file.rows += rows;
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> Result<(), SinkError> {
        let rows = self.waiting.joined().map_err(|e| SinkError::encode(self.format, e))?;
        let Some(rows) = rows else { return Ok(()) };
        let chunk = self.open()?.encoder().encode(rows)?;
        self.put(chunk)?;
        self.waiting.take();
        if self.rotation.bytes.is_some_and(|limit| self.open_bytes() >= limit) { self.close() } else { Ok(()) }
    }

    fn open_bytes(&self) -> u64 {
        self.file.as_ref().and_then(|file| file.sink.as_ref()).map_or(0, |sink| sink.bytes_written())
    }

    /// The sink of the present file, which is made where there is none.
    fn open(&mut self) -> Result<&mut Box<dyn RowSink>, SinkError> {
        let now = (self.now)();
        if self.file.is_none() {
            let place = loop {
                let place = self.names.next(now);
                if !place.exists() && !part(&place).exists() {
                    break place;
                }
            };
            let until = self.rotation.every.map(|every| {
                let every = TimeNs::try_from(every.as_nanos()).unwrap_or(TimeNs::MAX).max(1);
                now.div_euclid(every).saturating_add(1).saturating_mul(every)
            });
            self.file = Some(Part { place, sink: None, rows: 0, until });
        }
        let gone = || SinkError::Incomplete { target: String::new() };
        let file = self.file.as_mut().ok_or_else(gone)?;
        if file.sink.is_none() {
            let schema = Arc::clone(&self.schema);
            file.sink = Some(match self.format.is_text() {
                true => {
                    let growing = Growing::open(&part(&file.place), self.format == Format::Csv)?;
                    byte_sink(self.format, Output::new(Box::new(growing)), schema, &self.options)?
                }
                false => open_sink(self.format, Target::File(file.place.clone()), schema, &self.options)?,
            });
        }
        file.sink.as_mut().ok_or_else(gone)
    }

    /// Completes the file, which gets its name.
    fn close(&mut self) -> Result<(), SinkError> {
        self.write_waiting()?;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        match file.sink.take() {
            Some(sink) => self.closed.bytes += sink.finish().inspect_err(|_| self.gone += file.rows)?.bytes,
            // An error came before its first row.
            None if file.rows == 0 => {
                let _ = fs::remove_file(part(&file.place));
                return Ok(());
            }
            None => {}
        }
        self.closed.rows += file.rows;
        if self.format.is_text() {
            let target = file.place.display().to_string();
            fs::rename(part(&file.place), &file.place).map_err(|e| SinkError::io(&target, "rename the file", e))?;
        }
        Ok(())
    }
}

/// The time of the clock.
fn now() -> TimeNs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeNs::try_from(since.as_nanos()).unwrap_or(TimeNs::MAX)
}
