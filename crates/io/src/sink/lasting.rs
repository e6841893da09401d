//! Sinks of runs that have no end of their own: rows are in the file as they leave, the file can be moved away meanwhile or be one of
//! several, and a full disk need not be the end.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow_schema::SchemaRef;

use super::parts::Parts;
use super::{
    AsIs, Encoded, Format, RowEncoder, RowSink, SinkError, SinkOptions, Target, Written, byte_sink, open_sink,
};
use crate::deliver::{Growing, Identity, Output};
use crate::encode;
use crate::save::Rotation;

/// What the world outside says to a lasting sink, and may know of it. Clones are the same.
#[derive(Clone, Default)]
pub struct Lasting {
    asked: Arc<AtomicU64>,
    busy: Arc<AtomicBool>,
    failing: Arc<AtomicBool>,
    settings: Arc<Settings>,
}

/// Hears what people should know.
type Say = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Settings {
    rotation: Rotation,
    or_lose: bool,
    say: Option<Say>,
}

impl Lasting {
    /// A sink whose file is one of several, by `rotation`; with `or_lose`, rows that cannot be written are lost and counted, which
    /// `say` hears, and the next ones are tried again.
    pub fn new(rotation: Rotation, or_lose: bool, say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { settings: Arc::new(Settings { rotation, or_lose, say: Some(Box::new(say)) }), ..Self::default() }
    }

    /// The file may have been moved away: the next rows go to the file of the name. Where the name still is that of the file, nothing
    /// changes. May be called from a signal handler's thread.
    pub fn reopen(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the sink is at work now, so that a run that stands still waits for it.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether the last rows could not be written.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Opens a sink. Rows of text formats go to a file as they leave; it is written on where it has rows already. Columnar formats
    /// are readable when they are whole, as [`open_sink`] writes them.
    ///
    /// # Errors
    /// When the place cannot be opened, the format has no form for a column, or a place that is no file is to be several.
    pub fn open(
        &self,
        format: Format,
        target: Target,
        schema: SchemaRef,
        options: &SinkOptions,
    ) -> Result<Box<dyn RowSink>, SinkError> {
        encode::check_schema(format, &schema)?;
        let rotation = self.settings.rotation;
        let rotates = rotation.bytes.is_some() || rotation.every.is_some();
        let place = match target {
            Target::File(path) if rotates && is_file(&path) => {
                check_directory(&path)?;
                Place::Parts(Box::new(Parts::new(&path, rotation, format, schema, options)))
            }
            Target::File(path) if !rotates && format.is_text() && is_file(&path) => {
                Place::Grows(Grows::open(path, format, schema, options)?)
            }
            target if rotates => {
                let target = match target {
                    Target::Stdout => "standard output".to_owned(),
                    Target::File(path) => path.display().to_string(),
                };
                return Err(SinkError::NotSeveral { target });
            }
            target => Place::Given(open_sink(format, target, schema, options)?),
        };
        Ok(self.sink(place, format.name()))
    }

    /// A sink with a place of its own, whose work is seen by [`Lasting::is_busy`].
    pub fn around(&self, sink: Box<dyn RowSink>) -> Box<dyn RowSink> {
        let name = sink.name();
        self.sink(Place::Given(sink), name)
    }

    fn sink(&self, place: Place, name: &'static str) -> Box<dyn RowSink> {
        Box::new(LastingSink { place, name, handle: self.clone(), lost: Vec::new(), lost_in_a_row: 0 })
    }
}

impl fmt::Debug for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lasting").field("rotation", &self.settings.rotation).finish_non_exhaustive()
    }
}

/// Whether a path is that of a file, or of none yet.
fn is_file(path: &PathBuf) -> bool {
    std::fs::metadata(path).map_or(!path.as_os_str().is_empty(), |meta| meta.is_file())
}

/// The files are made when rows come: what can be known before is said before.
fn check_directory(path: &Path) -> Result<(), SinkError> {
    let target = path.display().to_string();
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.file_name().is_none() {
        return Err(SinkError::IsDirectory { target });
    }
    if !directory.is_dir() {
        return Err(SinkError::NoDirectory { target, directory: directory.display().to_string() });
    }
    let tried = tempfile::Builder::new().prefix(".jj-").tempfile_in(directory);
    tried.map(drop).map_err(|e| SinkError::io(&target, "make files in its directory", e))
}

/// Where rows go.
enum Place {
    /// To a sink that has one.
    Given(Box<dyn RowSink>),
    /// Into a file that grows.
    Grows(Grows),
    /// Into several.
    Parts(Box<Parts>),
}

/// A file that may be opened again under its name.
struct Grows {
    path: PathBuf,
    schema: SchemaRef,
    options: SinkOptions,
    format: Format,
    /// None after an error.
    sink: Option<Box<dyn RowSink>>,
    encoder: Arc<dyn RowEncoder>,
    identity: Identity,
    heard: u64,
    /// What files before this one got.
    before: Written,
}

impl Grows {
    fn open(path: PathBuf, format: Format, schema: SchemaRef, options: &SinkOptions) -> Result<Self, SinkError> {
        let options = options.clone();
        let sink = file(&path, format, &schema, &options)?;
        let identity = Identity::of(&path);
        let encoder = sink.encoder();
        let sink = Some(sink);
        Ok(Self { path, schema, options, format, sink, encoder, identity, heard: 0, before: Written::default() })
    }

    /// The sink, of another file where this was asked for.
    fn sink(&mut self, asked: u64) -> Result<&mut Box<dyn RowSink>, SinkError> {
        let moved = asked != self.heard && self.identity.has_changed(&self.path);
        if moved || self.sink.is_none() {
            // The new one first: where it cannot be opened, the old one has all rows.
            let next = file(&self.path, self.format, &self.schema, &self.options)?;
            let last = self.sink.replace(next).map(RowSink::finish).transpose()?.unwrap_or_default();
            self.identity = Identity::of(&self.path);
            self.before.rows += last.rows;
            self.before.bytes += last.bytes;
        }
        self.heard = asked;
        self.sink.as_mut().ok_or_else(|| SinkError::Incomplete { target: self.path.display().to_string() })
    }
}

fn file(path: &Path, format: Format, schema: &SchemaRef, options: &SinkOptions) -> Result<Box<dyn RowSink>, SinkError> {
    let place = Growing::open(path, format == Format::Csv)?;
    byte_sink(format, Output::new(Box::new(place)), Arc::clone(schema), options)
}

struct LastingSink {
    place: Place,
    name: &'static str,
    handle: Lasting,
    lost: Vec<(&'static str, u64)>,
    /// Rows lost since the last one that was written.
    lost_in_a_row: u64,
}

impl LastingSink {
    fn busy<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.handle.busy.store(true, Ordering::Relaxed);
        let result = work(self);
        self.handle.busy.store(false, Ordering::Relaxed);
        result
    }

    fn put(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        match &mut self.place {
            Place::Given(sink) => sink.write(chunk),
            Place::Grows(file) => file.sink(self.handle.asked.load(Ordering::Relaxed))?.write(chunk),
            Place::Parts(parts) => parts.write(chunk),
        }
    }

    /// What could not be written is lost, where that was chosen and another attempt can succeed.
    fn settle(&mut self, result: Result<(), SinkError>, rows: u64) -> Result<(), SinkError> {
        let error = match result {
            Ok(()) => {
                if rows > 0 && self.handle.failing.swap(false, Ordering::Relaxed) {
                    let lost = std::mem::take(&mut self.lost_in_a_row);
                    self.say(&format!("rows are written again; {lost} were lost"));
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let SinkError::Io { source, .. } = &error else { return Err(error) };
        let reason = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "disk_full",
            _ => "write",
        };
        if !self.handle.settings.or_lose {
            return Err(error);
        }
        let lost = match &mut self.place {
            Place::Given(_) => return Err(error),
            Place::Grows(file) => {
                file.sink = None;
                rows
            }
            Place::Parts(parts) => parts.give_up(rows),
        };
        if lost > 0 {
            self.lost.push((reason, lost));
            self.lost_in_a_row += lost;
        }
        if !self.handle.failing.swap(true, Ordering::Relaxed) {
            self.say(&format!("warning: {error}; rows are lost until they can be written again"));
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        if let Some(say) = &self.handle.settings.say {
            say(text);
        }
    }
}

impl RowSink for LastingSink {
    fn name(&self) -> &'static str {
        self.name
    }

    fn chunk_rows(&self) -> usize {
        match &self.place {
            Place::Given(sink) => sink.chunk_rows(),
            Place::Grows(_) => super::TEXT_CHUNK_ROWS,
            Place::Parts(parts) => parts.chunk_rows(),
        }
    }

    fn encoder(&self) -> Arc<dyn RowEncoder> {
        match &self.place {
            Place::Given(sink) => sink.encoder(),
            Place::Grows(file) => Arc::clone(&file.encoder),
            Place::Parts(parts) => parts.encoder().unwrap_or_else(|| Arc::new(AsIs::default())),
        }
    }

    fn is_followed(&self) -> bool {
        match &self.place {
            Place::Given(sink) => sink.is_followed(),
            // A file is closed when its time is over, also on a quiet wire.
            Place::Grows(_) | Place::Parts(_) => true,
        }
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.rows() as u64;
        self.busy(|this| {
            let result = this.put(chunk);
            this.settle(result, rows)
        })
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.busy(|this| {
            let result = match &mut this.place {
                Place::Given(sink) => sink.flush(),
                // Also without a row: a file that was moved away has a successor soon.
                Place::Grows(file) => {
                    file.sink(this.handle.asked.load(Ordering::Relaxed)).and_then(|sink| sink.flush())
                }
                Place::Parts(parts) => parts.flush(),
            };
            this.settle(result, 0)
        })
    }

    fn take_lost(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.lost)
    }

    fn finish(mut self: Box<Self>) -> Result<Written, SinkError> {
        if let Place::Grows(file) = &mut self.place
            && file.sink.is_some()
        {
            file.sink(self.handle.asked.load(Ordering::Relaxed))?;
        }
        self.handle.busy.store(true, Ordering::Relaxed);
        let written = match self.place {
            Place::Given(sink) => sink.finish(),
            Place::Grows(file) => file.sink.map(RowSink::finish).transpose().map(|last| {
                let last = last.unwrap_or_default();
                Written { rows: file.before.rows + last.rows, bytes: file.before.bytes + last.bytes }
            }),
            Place::Parts(parts) => parts.finish(),
        };
        self.handle.busy.store(false, Ordering::Relaxed);
        written
    }

    fn bytes_written(&self) -> u64 {
        match &self.place {
            Place::Given(sink) => sink.bytes_written(),
            Place::Grows(file) => file.before.bytes + file.sink.as_ref().map_or(0, |sink| sink.bytes_written()),
            Place::Parts(parts) => parts.bytes_written(),
        }
    }
}
