//! The files of rows of a watch: one after the other, each under its name when it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use joyfuljay_io::sink::{Encoded, Format, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, open_sink};

use super::{WatchError, WatchOptions};

/// Rows on their way into files of a folder.
pub(super) struct Outputs {
    folder: PathBuf,
    format: Format,
    options: SinkOptions,
    schema: SchemaRef,
    /// The file that is being written, which has no name yet.
    current: Box<dyn RowSink>,
    place: PathBuf,
    rows: u64,
    /// Bytes of the files before it.
    bytes: u64,
}

impl Outputs {
    pub(super) fn open(options: &WatchOptions, schema: SchemaRef) -> Result<Self, crate::Error> {
        let folder = options.output.clone();
        fs::create_dir_all(&folder)
            .map_err(|error| WatchError::Output { path: folder.display().to_string(), error })?;
        Self::begin(folder, options.format, options.sink.clone(), schema)
    }

    /// Another file of the same kind, beside these.
    pub(super) fn beside(&self) -> Result<Self, crate::Error> {
        Self::begin(self.folder.clone(), self.format, self.options.clone(), self.schema.clone())
    }

    fn begin(folder: PathBuf, format: Format, options: SinkOptions, schema: SchemaRef) -> Result<Self, crate::Error> {
        let (current, place) = next(&folder, format, &options, &schema)?;
        Ok(Self { folder, format, options, schema, current, place, rows: 0, bytes: 0 })
    }

    /// Whether rows wait for their name.
    pub(super) fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// A name that no file has: that of the capture, with the format as its extension.
    pub(super) fn name_for(&self, capture: &str) -> String {
        let stem = capture.replace(['/', '\\'], "__");
        let extension = self.format.name();
        let names = (1..).map(|n| match n {
            1 => format!("{stem}.{extension}"),
            n => format!("{stem}-{n}.{extension}"),
        });
        names.into_iter().find(|name| !self.exists(name)).unwrap_or(stem)
    }

    pub(super) fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.folder.join(name)).is_ok()
    }

    /// Takes a file of rows away, that others have replaced.
    pub(super) fn remove(&self, name: &str) -> Result<(), WatchError> {
        let path = self.folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WatchError::Output { path: path.display().to_string(), error })
            }
            _ => Ok(()),
        }
    }

    /// Rows of flows that were open stay, under another name.
    pub(super) fn keep(&self, name: &str) -> Result<(), WatchError> {
        let (from, to) = (self.folder.join(name), self.folder.join(self.name_for("cut-flows")));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WatchError::Output { path: from.display().to_string(), error })
            }
            _ => Ok(()),
        }
    }

    /// The rows so far get their name, and those that come go to another file.
    pub(super) fn finish(&mut self, name: &str) -> Result<(), crate::Error> {
        let (following, place) = next(&self.folder, self.format, &self.options, &self.schema)?;
        let done = std::mem::replace(&mut self.current, following);
        let done_place = std::mem::replace(&mut self.place, place);
        self.bytes += done.finish()?.bytes;
        self.rows = 0;
        let path = self.folder.join(name);
        let failed = |error| WatchError::Output { path: path.display().to_string(), error };
        fs::rename(&done_place, &path).map_err(failed)?;
        fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(())
    }
}

/// A file that is nobody's rows yet.
fn next(
    folder: &Path,
    format: Format,
    options: &SinkOptions,
    schema: &SchemaRef,
) -> Result<(Box<dyn RowSink>, PathBuf), crate::Error> {
    let place = folder.join(format!(".jj-watch-{}.part", std::process::id()));
    Ok((open_sink(format, Target::File(place.clone()), schema.clone(), options)?, place))
}

impl RowSink for Outputs {
    fn name(&self) -> &'static str {
        self.current.name()
    }

    fn encoder(&self) -> std::sync::Arc<dyn RowEncoder> {
        self.current.encoder()
    }

    fn chunk_rows(&self) -> usize {
        self.current.chunk_rows()
    }

    fn write(&mut self, rows: Encoded) -> Result<(), SinkError> {
        self.rows += rows.rows() as u64;
        self.current.write(rows)
    }

    fn bytes_written(&self) -> u64 {
        self.bytes + self.current.bytes_written()
    }

    fn finish(self: Box<Self>) -> Result<Written, SinkError> {
        self.current.finish()
    }
}
