//! A folder of Parquet files, partitioned by keys: `date=2026-11-28/app_protocol=tls/RUN-00001.parquet`, as Hive lays it out.
//!
//! Names hold the run, so that a run never touches another's files, and a later one adds to the folder. A file gets its name when it is
//! whole: a run that is killed leaves none that cannot be read. What runs did stands beside the folder, in `FOLDER.runs`, one file for
//! each, not inside it: polars refuses a folder in which anything is no Parquet file.

mod keys;
mod manifest;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;

use self::keys::{Key, TIME};
use self::manifest::{FileOf, Manifest};
use crate::deliver::Target;
use crate::encode::{self, Encoded, Format, FormatWriter, Opened, RowEncoder};
use crate::sink::{RowSink, SinkError, SinkOptions, Written};

/// Rows of a row group. More are sorted and encoded at once, fewer make more of a footer than of a file.
const GROUP_ROWS: usize = 16_384;

/// Rows of all partitions that wait for their row groups; then the partition with the most writes a shorter one.
const MAX_WAITING_BYTES: usize = 256 << 20;

/// Files that are open at once, each with a descriptor and a footer in the making; then the one that was longest without rows is closed.
const MAX_OPEN: usize = 64;

/// Values of one key: more make more folders than files are worth.
const MAX_VALUES: usize = 1_000;

/// Settings of a dataset.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatasetOptions {
    /// Names of the keys, from the outside in: `date`, or columns.
    pub partition_by: Vec<String>,
    /// Rows of a file, at most; the row group that reaches it is the last.
    pub rows_per_file: u64,
    /// Bytes of a file, at most; the row group that reaches it is the last.
    pub bytes_per_file: u64,
    /// Settings of the format.
    pub format: SinkOptions,
}

impl DatasetOptions {
    /// Rows of a file.
    pub const ROWS_PER_FILE: u64 = 10_000_000;
    /// Bytes of a file: footers are some per cent of files, and this is what engines like to read.
    pub const BYTES_PER_FILE: u64 = 512 << 20;
}

impl Default for DatasetOptions {
    fn default() -> Self {
        Self {
            partition_by: Vec::new(),
            rows_per_file: Self::ROWS_PER_FILE,
            bytes_per_file: Self::BYTES_PER_FILE,
            format: SinkOptions::default(),
        }
    }
}

/// Opens a folder for the rows of a run; what is to be known of earlier runs comes with it.
///
/// # Errors
/// When the folder cannot be made, or a key cannot be one.
pub fn open(
    folder: &Path,
    schema: SchemaRef,
    options: &DatasetOptions,
) -> Result<(Box<dyn RowSink>, Vec<String>), SinkError> {
    let name = folder.display().to_string();
    if folder.as_os_str().is_empty() {
        return Err(SinkError::NoName);
    }
    let refuse = |problem: String| SinkError::Asked { place: name.clone(), problem };
    let mut keys: Vec<(String, Key)> = Vec::new();
    for key in &options.partition_by {
        if keys.iter().any(|(known, _)| known == key) {
            return Err(refuse(format!("'{key}' is named twice as a key")));
        }
        keys.push((key.clone(), Key::of(key, &schema).map_err(refuse)?));
    }
    // What the path says is not in the files as well: readers would find the column twice.
    let kept: Vec<usize> =
        (0..schema.fields().len()).filter(|index| !keys.iter().any(|(_, key)| key.column() == Some(*index))).collect();
    if kept.is_empty() {
        return Err(refuse("no column is left for the files: select more than the keys".into()));
    }
    let of_files = schema.project(&kept).map_err(|e| refuse(e.to_string()))?;
    let of_files = Arc::new(Schema::new_with_metadata(of_files.fields().clone(), schema.metadata().clone()));
    fs::create_dir_all(folder).map_err(|e| SinkError::io(&name, "make the folder", e))?;
    let notes = manifest::unfinished(folder);
    let manifest = Manifest::begin(folder, &options.partition_by, &of_files)?;
    let time = of_files.index_of(TIME).ok();
    let sink = DatasetSink {
        folder: folder.to_owned(),
        name,
        schema,
        of_files,
        kept,
        values: vec![BTreeSet::new(); keys.len()],
        keys,
        time,
        options: options.clone(),
        partitions: HashMap::new(),
        waiting_bytes: 0,
        turn: 0,
        files: 0,
        closed_bytes: 0,
        manifest,
        written: Written::default(),
        failed: false,
    };
    Ok((Box::new(sink), notes))
}

struct DatasetSink {
    folder: PathBuf,
    name: String,
    schema: SchemaRef,
    /// Without the columns that the path has.
    of_files: SchemaRef,
    kept: Vec<usize>,
    keys: Vec<(String, Key)>,
    /// Values of each key so far.
    values: Vec<BTreeSet<String>>,
    /// The column that rows are sorted by, in the files.
    time: Option<usize>,
    options: DatasetOptions,
    /// By their path within the folder.
    partitions: HashMap<PathBuf, Partition>,
    waiting_bytes: usize,
    /// Counts chunks, to know which partition was longest without rows.
    turn: u64,
    files: u64,
    closed_bytes: u64,
    manifest: Manifest,
    written: Written,
    failed: bool,
}

#[derive(Default)]
struct Partition {
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    last_turn: u64,
    file: Option<OpenFile>,
}

struct OpenFile {
    path: PathBuf,
    encoder: Arc<dyn RowEncoder>,
    writer: Box<dyn FormatWriter>,
    rows: u64,
    times: Option<(f64, f64)>,
}

impl DatasetSink {
    fn refuse(&self, problem: String) -> SinkError {
        SinkError::Dataset { folder: self.name.clone(), problem }
    }

    /// Shares rows out to their partitions.
    fn share_out(&mut self, rows: &RecordBatch) -> Result<(), SinkError> {
        self.turn += 1;
        let mut parts: HashMap<PathBuf, Vec<u32>> = HashMap::new();
        for row in 0..rows.num_rows() {
            let mut path = PathBuf::new();
            for (at, (name, key)) in self.keys.iter().enumerate() {
                let value = key.value(rows, row).map_err(|problem| self.refuse(format!("key '{name}': {problem}")))?;
                path.push(format!("{name}={value}"));
                if let Some(values) = self.values.get_mut(at).filter(|values| !values.contains(&value)) {
                    values.insert(value);
                    if values.len() > MAX_VALUES {
                        let problem = format!(
                            "the key '{name}' has {} values by now, each of which would be a folder: {MAX_VALUES} at most; leave it in the \
                             files, whose statistics let readers pass over what they do not need",
                            values.len()
                        );
                        return Err(self.refuse(problem));
                    }
                }
            }
            parts.entry(path).or_default().push(row as u32);
        }
        let projected = rows.project(&self.kept).map_err(|e| self.refuse(e.to_string()))?;
        let projected = RecordBatch::try_new(Arc::clone(&self.of_files), projected.columns().to_vec());
        let projected = projected.map_err(|e| self.refuse(e.to_string()))?;
        // In the order of their names, so that the same rows make the same files.
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort();
        for (path, rows) in parts {
            // A copy also of all rows: what waits holds on to no larger buffers.
            let part =
                take_record_batch(&projected, &UInt32Array::from(rows)).map_err(|e| self.refuse(e.to_string()))?;
            self.add(&path, part)?;
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, rows: RecordBatch) -> Result<(), SinkError> {
        let bytes = rows.get_array_memory_size();
        let partition = self.partitions.entry(path.to_owned()).or_default();
        partition.last_turn = self.turn;
        partition.waiting_rows += rows.num_rows();
        partition.waiting_bytes += bytes;
        partition.waiting.push(rows);
        self.waiting_bytes += bytes;
        if partition.waiting_rows >= GROUP_ROWS {
            self.write_group(path)?;
        }
        while self.waiting_bytes > MAX_WAITING_BYTES {
            let most = self.partitions.iter().max_by_key(|(path, p)| (p.waiting_bytes, (*path).clone()));
            let Some(most) = most.map(|(path, _)| path.clone()) else { break };
            self.write_group(&most)?;
        }
        Ok(())
    }

    /// Writes what waits in a partition as a row group, sorted by time.
    fn write_group(&mut self, path: &Path) -> Result<(), SinkError> {
        let Some(mut partition) = self.partitions.remove(path) else { return Ok(()) };
        let waiting = std::mem::take(&mut partition.waiting);
        self.waiting_bytes -= std::mem::take(&mut partition.waiting_bytes);
        partition.waiting_rows = 0;
        if !waiting.is_empty() {
            let (rows, times) = sorted(&waiting, self.time).map_err(|e| self.refuse(e.to_string()))?;
            let mut file = match partition.file.take() {
                Some(file) => file,
                None => self.open_file(path)?,
            };
            let chunk = file.encoder.encode(rows.clone())?;
            file.writer.write(chunk)?;
            file.rows += rows.num_rows() as u64;
            file.times = match (file.times, times) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
            let full =
                file.rows >= self.options.rows_per_file || file.writer.bytes_written() >= self.options.bytes_per_file;
            match full {
                true => self.close_file(file)?,
                false => partition.file = Some(file),
            }
        }
        self.partitions.insert(path.to_owned(), partition);
        Ok(())
    }

    fn open_file(&mut self, partition: &Path) -> Result<OpenFile, SinkError> {
        let open = |p: &&PathBuf, partitions: &HashMap<PathBuf, Partition>| {
            partitions.get(*p).is_some_and(|p| p.file.is_some())
        };
        while self.partitions.values().filter(|p| p.file.is_some()).count() >= MAX_OPEN {
            let oldest = self.partitions.iter().filter(|(path, _)| open(path, &self.partitions));
            let oldest = oldest.min_by_key(|(path, p)| (p.last_turn, (*path).clone())).map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            self.write_group(&oldest)?;
            if let Some(file) = self.partitions.remove(&oldest).and_then(|p| p.file) {
                self.close_file(file)?;
            }
        }
        let folder = self.folder.join(partition);
        fs::create_dir_all(&folder).map_err(|e| SinkError::io(&folder.display().to_string(), "make the folder", e))?;
        self.files += 1;
        let file = format!("{}-{:05}.parquet", self.manifest.run(), self.files);
        let output = Target::File(folder.join(&file)).open()?;
        let Opened { encoder, writer } =
            encode::open(Format::Parquet, output, Arc::clone(&self.of_files), &self.options.format)?;
        Ok(OpenFile { path: partition.join(file), encoder, writer, rows: 0, times: None })
    }

    fn close_file(&mut self, file: OpenFile) -> Result<(), SinkError> {
        let OpenFile { path, writer, rows, times, .. } = file;
        let bytes = writer.finish()?.finish()?;
        self.closed_bytes += bytes;
        self.manifest.add(FileOf { path, rows, bytes, times });
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), SinkError> {
        let mut paths: Vec<_> = self.partitions.keys().cloned().collect();
        paths.sort();
        for path in paths {
            self.write_group(&path)?;
            if let Some(file) = self.partitions.remove(&path).and_then(|p| p.file) {
                self.close_file(file)?;
            }
        }
        Ok(())
    }
}

impl RowSink for DatasetSink {
    fn name(&self) -> &'static str {
        Format::Parquet.name()
    }

    fn is_followed(&self) -> bool {
        false
    }

    fn write(&mut self, chunk: Encoded) -> Result<(), SinkError> {
        let rows = chunk.into_batch(Format::Parquet.name())?;
        if rows.num_columns() != self.schema.fields().len() {
            return Err(SinkError::Foreign { sink: Format::Parquet.name() });
        }
        self.share_out(&rows).inspect_err(|_| self.failed = true)?;
        self.written.rows += rows.num_rows() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written, SinkError> {
        if self.failed {
            return Err(SinkError::Incomplete { target: self.name });
        }
        self.close_all()?;
        self.manifest.finish()?;
        Ok(Written { rows: self.written.rows, bytes: self.closed_bytes })
    }

    fn bytes_written(&self) -> u64 {
        let open = self.partitions.values().filter_map(|p| p.file.as_ref());
        self.closed_bytes + open.map(|file| file.writer.bytes_written()).sum::<u64>()
    }
}

/// Rows as one batch, sorted by time where they have one, and the first and the last time.
fn sorted(
    batches: &[RecordBatch],
    time: Option<usize>,
) -> Result<(RecordBatch, Option<(f64, f64)>), arrow_schema::ArrowError> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (batch, rows) in batches.iter().enumerate() {
        places.extend((0..rows.num_rows()).map(|row| (batch, row)));
    }
    let mut range = None;
    if let Some(time) = time {
        let of = |(batch, row): &(usize, usize)| {
            let times = batches.get(*batch).and_then(|b| b.column(time).as_primitive_opt::<Float64Type>());
            times.filter(|times| times.is_valid(*row)).map_or(f64::INFINITY, |times| times.value(*row))
        };
        places.sort_by(|a, b| of(a).total_cmp(&of(b)));
        let known = || places.iter().map(of).filter(|time| time.is_finite());
        range = known().next().zip(known().next_back());
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok((interleave_record_batch(&batches, &places)?, range))
}

#[cfg(test)]
mod tests;
