//! What runs did to a dataset: a file for each, beside the folder. It is there from the start of the run, and is complete when it has
//! an end.

use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_schema::Schema;

use crate::civil::civil;
use crate::deliver::{Target, write_whole};
use crate::encode::{Cell, push_value};
use crate::sink::SinkError;

/// A file of the run.
pub(super) struct FileOf {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Of its rows, the first time and the last.
    pub(super) times: Option<(f64, f64)>,
}

/// What a run did.
pub(super) struct Manifest {
    place: PathBuf,
    run: String,
    partition_by: Vec<String>,
    columns: Vec<String>,
    started: String,
    files: Vec<FileOf>,
}

impl Manifest {
    /// Begins a run.
    pub(super) fn begin(folder: &Path, partition_by: &[String], schema: &Schema) -> Result<Self, SinkError> {
        let beside = beside(folder);
        fs::create_dir_all(&beside).map_err(|e| SinkError::io(&beside.display().to_string(), "make the folder", e))?;
        let started = now();
        // Random bits, so that runs that begin at the same second are two.
        let run = format!("{}-{:08x}", started.replace([':', '-'], ""), RandomState::new().hash_one(0_u8) as u32);
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        let place = beside.join(format!("{run}.json"));
        let manifest = Self { place, run, partition_by: partition_by.to_vec(), columns, started, files: Vec::new() };
        manifest.write(None)?;
        Ok(manifest)
    }

    /// The name of the run.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn add(&mut self, file: FileOf) {
        self.files.push(file);
    }

    /// Enters the end.
    pub(super) fn finish(&self) -> Result<(), SinkError> {
        self.write(Some(now()))
    }

    fn write(&self, finished: Option<String>) -> Result<(), SinkError> {
        let mut out = Vec::new();
        let text = |out: &mut Vec<u8>, name: &str, value: &str| {
            out.extend_from_slice(format!("\"{name}\": ").as_bytes());
            push_value(out, Cell::Str(value));
        };
        let texts = |out: &mut Vec<u8>, name: &str, values: &[String]| {
            out.extend_from_slice(format!("\"{name}\": [").as_bytes());
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                push_value(out, Cell::Str(value));
            }
            out.push(b']');
        };
        out.extend_from_slice(b"{\n  ");
        text(&mut out, "run", &self.run);
        out.extend_from_slice(b",\n  ");
        text(&mut out, "version", env!("CARGO_PKG_VERSION"));
        out.extend_from_slice(b",\n  ");
        text(&mut out, "started", &self.started);
        out.extend_from_slice(b",\n  ");
        match &finished {
            Some(finished) => text(&mut out, "finished", finished),
            None => out.extend_from_slice(b"\"finished\": null"),
        }
        out.extend_from_slice(b",\n  ");
        texts(&mut out, "partition_by", &self.partition_by);
        out.extend_from_slice(b",\n  ");
        texts(&mut out, "columns", &self.columns);
        let rows: u64 = self.files.iter().map(|file| file.rows).sum();
        out.extend_from_slice(format!(",\n  \"rows\": {rows},\n  \"files\": [").as_bytes());
        for (at, file) in self.files.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",\n    {" } else { b"\n    {" });
            text(&mut out, "path", &file.path.to_string_lossy());
            out.extend_from_slice(format!(", \"rows\": {}, \"bytes\": {}", file.rows, file.bytes).as_bytes());
            for (name, time) in [("first", file.times.map(|t| t.0)), ("last", file.times.map(|t| t.1))] {
                out.extend_from_slice(format!(", \"{name}\": ").as_bytes());
                push_value(&mut out, time.map_or(Cell::Null, Cell::Double));
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]\n}\n");
        write_whole(&Target::File(self.place.clone()), &out)
    }
}

/// What is to be said of runs without an end.
pub(super) fn unfinished(folder: &Path) -> Vec<String> {
    /// A folder that many sensors write to has as many.
    const MOST: usize = 5;
    let Ok(entries) = fs::read_dir(beside(folder)) else { return Vec::new() };
    let open = |path: &PathBuf| {
        path.extension().is_some_and(|e| e == "json")
            && fs::read_to_string(path).is_ok_and(|text| text.contains("\n  \"finished\": null,\n"))
    };
    let mut runs: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(open).collect();
    runs.sort();
    let said = |path: &PathBuf| {
        let run = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        format!("run {run} of this folder goes on or was broken off: its whole files are there, named {run}-*.parquet")
    };
    let mut notes: Vec<_> = runs.iter().take(MOST).map(said).collect();
    if runs.len() > MOST {
        notes.push(format!("and {} more runs that have no end", runs.len() - MOST));
    }
    notes
}

/// The folder of runs, beside that of rows.
fn beside(folder: &Path) -> PathBuf {
    // The name behind a link or a final stroke; the name as it is, where the folder is not there yet.
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut name = folder.file_name().map_or_else(|| OsString::from("dataset"), OsString::from);
    name.push(".runs");
    folder.with_file_name(name)
}

/// The time of the clock, RFC 3339.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil((seconds / 86_400) as i64);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
