use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(TIME, DataType::Float64, true),
        Field::new("protocol", DataType::Int64, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

/// Rows with numbers from `from` on, of so many protocols, in falling order of time.
fn rows(from: i64, count: i64, protocols: i64) -> RecordBatch {
    let numbers = from..from + count;
    let times: ArrayRef = Arc::new(Float64Array::from_iter(numbers.clone().map(|n| Some(1e9 - n as f64))));
    let of: ArrayRef = Arc::new(Int64Array::from_iter(numbers.clone().map(|n| Some(n % protocols))));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_new(schema(), vec![times, of, n]).unwrap()
}

fn options(keys: &[&str]) -> DatasetOptions {
    DatasetOptions { partition_by: keys.iter().map(|k| (*k).to_owned()).collect(), ..DatasetOptions::default() }
}

fn write(folder: &Path, options: &DatasetOptions, batches: &[RecordBatch]) -> Result<Written, SinkError> {
    let (mut sink, _) = open(folder, schema(), options)?;
    let encoder = sink.encoder();
    for batch in batches {
        sink.write(encoder.encode(batch.clone())?)?;
    }
    sink.finish()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn numbers(path: &Path) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let column = |batch: RecordBatch| {
        let column = batch.column_by_name("n").unwrap();
        column.as_primitive::<arrow_array::types::Int64Type>().values().to_vec()
    };
    reader.flat_map(|batch| column(batch.unwrap())).collect()
}

#[test]
fn later_runs_add_files() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("flows");
    for run in 1..=2 {
        assert_eq!(write(&place, &options(&["date", "protocol"]), &[rows(0, 100, 2)]).unwrap().rows, 100);
        assert_eq!(files(&place).len(), 2 * run);
    }
    let mut all: Vec<i64> = files(&place).iter().flat_map(|f| numbers(f)).collect();
    all.sort();
    assert_eq!(all, (0..100).flat_map(|n| [n, n]).collect::<Vec<_>>());
    let path = files(&place)[0].strip_prefix(&place).unwrap().to_string_lossy().into_owned();
    assert!(path.starts_with("date=2001-09-09/protocol=0/") && path.ends_with("-00001.parquet"), "{path}");
    assert_eq!(fs::read_dir(folder.path().join("flows.runs")).unwrap().count(), 2);
}

#[test]
fn row_groups_are_sorted_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let batches: Vec<_> = (0..4).map(|n| rows(n * 5_000, 5_000, 1)).collect();
    write(folder.path(), &options(&[]), &batches).unwrap();
    let files = files(folder.path());
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&files[0]).unwrap()).unwrap();
    let groups: Vec<_> = reader.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(groups, [20_000]);
    assert!(reader.metadata().row_group(0).columns().iter().all(|c| c.statistics().is_some()));
    assert_eq!(numbers(&files[0]), (0..20_000).rev().collect::<Vec<_>>());
}

#[test]
fn files_and_open_partitions_have_limits() {
    let folder = tempfile::tempdir().unwrap();
    let options = DatasetOptions { rows_per_file: 20_000, ..options(&[]) };
    let batches: Vec<_> = (0..8).map(|n| rows(n * 10_000, 10_000, 1)).collect();
    write(folder.path(), &options, &batches).unwrap();
    assert_eq!(files(folder.path()).len(), 4);

    let many = tempfile::tempdir().unwrap();
    // Each value comes in every chunk, and more of them than may be open.
    write(many.path(), &self::options(&["protocol"]), &[rows(0, 30_000, 200), rows(30_000, 30_000, 200)]).unwrap();
    let mut all: Vec<i64> = files(many.path()).iter().flat_map(|f| numbers(f)).collect();
    all.sort();
    assert_eq!(all, (0..60_000).collect::<Vec<_>>());
}

#[test]
fn a_key_of_too_many_values_is_refused_with_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(folder.path(), &options(&["protocol"]), &[rows(0, 3_000, 1_500)]).unwrap_err().to_string();
    assert!(error.contains("1001 values") && error.contains("'protocol'"), "{error}");
    write(folder.path(), &options(&["protocol"]), &[rows(0, 3_000, 1_000)]).unwrap();
}

#[test]
fn a_run_that_is_given_up_leaves_no_file_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("flows");
    {
        let (mut sink, notes) = open(&place, schema(), &options(&["protocol"])).unwrap();
        assert!(notes.is_empty());
        let encoder = sink.encoder();
        sink.write(encoder.encode(rows(0, 40_000, 2)).unwrap()).unwrap();
    }
    assert!(files(&place).iter().all(|f| f.extension().is_none_or(|e| e != "parquet")), "{:?}", files(&place));
    let (_, notes) = open(&place, schema(), &options(&["protocol"])).unwrap();
    assert_eq!(notes.len(), 1, "{notes:?}");
}
