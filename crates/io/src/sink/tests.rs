//! The laws of the sinks, over rows of every type: what is read back is what was written, by any reader.

use std::fs::{self, File};
use std::path::Path;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::builder::{Float64Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// One row of every type that rows have.
type Row = (
    (Option<i64>, Option<u64>, Option<f64>),
    Option<bool>,
    Option<String>,
    Option<Vec<Option<i64>>>,
    Option<Vec<Option<f64>>>,
);

fn batch(rows: &[Row]) -> RecordBatch {
    let mut ints = ListBuilder::new(Int64Builder::new());
    let mut doubles = ListBuilder::new(Float64Builder::new());
    for row in rows {
        ints.append_option(row.3.clone());
        doubles.append_option(row.4.clone());
    }
    let columns: [(&str, ArrayRef); 7] = [
        ("int", Arc::new(rows.iter().map(|r| r.0.0).collect::<Int64Array>())),
        ("uint", Arc::new(rows.iter().map(|r| r.0.1).collect::<UInt64Array>())),
        ("double", Arc::new(rows.iter().map(|r| r.0.2).collect::<Float64Array>())),
        ("bool", Arc::new(rows.iter().map(|r| r.1).collect::<BooleanArray>())),
        ("text, \"quoted\"", Arc::new(rows.iter().map(|r| r.2.clone()).collect::<StringArray>())),
        ("ints", Arc::new(ints.finish())),
        ("doubles", Arc::new(doubles.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let double =
        || prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::NEG_INFINITY), Just(-0.0), Just(1e300), Just(3.0)];
    let text = prop_oneof![any::<String>(), "[a\",\r\n\\\\ \u{0}\u{1f}é]{0,6}"];
    (
        (any::<Option<i64>>(), any::<Option<u64>>(), proptest::option::of(double())),
        any::<Option<bool>>(),
        proptest::option::of(text),
        proptest::option::of(proptest::collection::vec(any::<Option<i64>>(), 0..4)),
        proptest::option::of(proptest::collection::vec(proptest::option::of(double()), 0..4)),
    )
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(row(), 0..12)
}

/// Writes batches to a file and returns its bytes.
fn written(format: Format, schema: SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    write_to(&path, format, schema, batches);
    fs::read(&path).unwrap()
}

fn write_to(path: &Path, format: Format, schema: SchemaRef, batches: &[RecordBatch]) {
    let mut sink = open_sink(format, Target::File(path.into()), schema, &SinkOptions::default()).unwrap();
    assert_eq!(sink.name(), format.name());
    let encoder = sink.encoder();
    for batch in batches {
        let chunk = encoder.encode(batch.clone()).unwrap();
        assert_eq!(chunk.rows(), batch.num_rows());
        sink.write(chunk).unwrap();
    }
    let before = sink.bytes_written();
    let written = sink.finish().unwrap();
    assert_eq!(written.rows, batches.iter().map(|b| b.num_rows() as u64).sum::<u64>());
    assert!(before <= written.bytes);
    if path.is_file() {
        assert_eq!(written.bytes, fs::metadata(path).unwrap().len());
    }
}

fn one_column(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("only", array, true)]).unwrap()
}

fn csv_of(array: ArrayRef) -> String {
    let batch = one_column(array);
    String::from_utf8(written(Format::Csv, batch.schema(), &[batch])).unwrap()
}

fn json_double(value: Option<f64>) -> Value {
    value.and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
}

fn json_doubles(values: &Option<Vec<Option<f64>>>) -> Value {
    values.as_ref().map_or(Value::Null, |list| list.iter().map(|v| json_double(*v)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn json_is_valid_and_reads_back(rows in rows()) {
        let batch = batch(&rows);
        let text = String::from_utf8(written(Format::Json, batch.schema(), &[batch])).unwrap();
        prop_assert!(text.is_empty() || text.ends_with('\n'));
        prop_assert_eq!(text.lines().count(), rows.len());
        for (line, row) in text.lines().zip(&rows) {
            let value: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(value.as_object().unwrap().len(), 7);
            prop_assert_eq!(&value["int"], &serde_json::json!(row.0.0));
            prop_assert_eq!(&value["uint"], &serde_json::json!(row.0.1));
            prop_assert_eq!(&value["double"], &json_double(row.0.2));
            prop_assert_eq!(&value["bool"], &serde_json::json!(row.1));
            prop_assert_eq!(&value["text, \"quoted\""], &serde_json::json!(row.2));
            prop_assert_eq!(&value["ints"], &serde_json::json!(row.3));
            prop_assert_eq!(&value["doubles"], &json_doubles(&row.4));
        }
    }

    #[test]
    fn csv_reads_back(rows in rows()) {
        let batch = batch(&rows);
        let bytes = written(Format::Csv, batch.schema(), &[batch]);
        let mut reader = ::csv::Reader::from_reader(bytes.as_slice());
        let header: Vec<&str> = reader.headers().unwrap().iter().collect();
        prop_assert_eq!(header, ["int", "uint", "double", "bool", "text, \"quoted\"", "ints", "doubles"]);
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            prop_assert_eq!(record[0].parse().ok(), row.0.0);
            prop_assert_eq!(record[1].parse().ok(), row.0.1);
            let double = row.0.2.filter(|v| v.is_finite());
            prop_assert_eq!(record[2].parse::<f64>().ok().map(f64::to_bits), double.map(f64::to_bits));
            prop_assert_eq!(record[3].parse().ok(), row.1);
            prop_assert_eq!(&record[4], row.2.as_deref().unwrap_or_default());
            let list = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
            prop_assert_eq!(list(&record[5]), serde_json::json!(row.3));
            prop_assert_eq!(list(&record[6]), json_doubles(&row.4));
        }
    }

    /// The law that makes parallel encoding right: cutting the rows anywhere changes no byte.
    #[test]
    fn chunks_in_order_are_the_whole(rows in rows(), cut in 0..12_usize) {
        let whole = batch(&rows);
        let cut = cut.min(rows.len());
        let parts = [whole.slice(0, cut), whole.slice(cut, rows.len() - cut)];
        for format in Format::ALL.into_iter().filter(|format| format.is_text()) {
            prop_assert_eq!(
                written(format, whole.schema(), &parts),
                written(format, whole.schema(), std::slice::from_ref(&whole))
            );
        }
    }

    #[test]
    fn parquet_and_arrow_read_back(rows in rows(), cut in 0..12_usize) {
        let whole = batch(&rows);
        let cut = cut.min(rows.len());
        let parts = [whole.slice(0, cut), whole.slice(cut, rows.len() - cut)];
        for format in Format::ALL.into_iter().filter(|format| !format.is_text()) {
            let read = read(format, &written(format, whole.schema(), &parts));
            prop_assert_eq!(&rows_of(&read), &rows_of(std::slice::from_ref(&whole)));
        }
    }
}

/// Every value of the batches, compared by what is shown: NaN equals NaN, and the cuts do not matter.
fn rows_of(batches: &[RecordBatch]) -> Vec<String> {
    let cells = |b: &RecordBatch, row: usize| b.columns().iter().map(|c| format!("{:?}|", c.slice(row, 1))).collect();
    batches.iter().flat_map(|b| (0..b.num_rows()).map(|row| cells(b, row)).collect::<Vec<String>>()).collect()
}

fn read(format: Format, bytes: &[u8]) -> Vec<RecordBatch> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    fs::write(&path, bytes).unwrap();
    let file = File::open(&path).unwrap();
    match format {
        Format::Parquet => {
            ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
        }
        _ => FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect(),
    }
}

#[test]
fn csv_tells_a_missing_value_from_an_empty_string() {
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("a", Arc::new(StringArray::from(vec![Some(""), None, Some("x,\"y\"")])) as ArrayRef, true),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), true),
    ])
    .unwrap();
    let bytes = written(Format::Csv, batch.schema(), &[batch]);
    assert_eq!(String::from_utf8(bytes).unwrap(), "a,b\n\"\",true\n,false\n\"x,\"\"y\"\"\",\n");
}

#[test]
fn csv_of_one_column_has_no_empty_line() {
    assert_eq!(csv_of(Arc::new(Float64Array::from(vec![Some(1.0), None, Some(0.5)]))), "only\n1.0\n\"\"\n0.5\n");
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    let values = vec![0.1, 1e21, 5e-324, f64::MAX, -0.0, 123_456_789.0];
    let text = csv_of(Arc::new(Float64Array::from(values.clone())));
    let back: Vec<f64> = text.lines().skip(1).map(|l| l.parse().unwrap()).collect();
    assert_eq!(back, values);
    assert!(text.starts_with("only\n0.1\n"), "{text}");
    assert_eq!(csv_of(Arc::new(Float32Array::from(vec![0.1_f32]))), "only\n0.1\n");
}

#[test]
fn lesser_types_have_a_text_form() {
    assert_eq!(csv_of(Arc::new(Int32Array::from(vec![-7]))), "only\n-7\n");
    assert_eq!(csv_of(Arc::new(StringViewArray::from(vec!["view"]))), "only\nview\n");
    let list =
        arrow_array::ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), Some(vec![])]);
    assert_eq!(csv_of(Arc::new(list)), "only\n\"[1,null]\"\n\"[]\"\n");
}

#[test]
fn times_and_lists_of_strings_are_written_by_every_format() {
    let times = TimestampNanosecondArray::from(vec![Some(1_500_000_000_123_456_789), None]).with_timezone("UTC");
    // Parquet has this name for what is in a list, whatever Arrow's field is called.
    let element = Field::new("element", DataType::Utf8, true);
    let mut names = ListBuilder::new(StringBuilder::new()).with_field(element);
    names.append_value([Some("h2"), Some("a\"b")]);
    names.append_null();
    let columns: [(&str, ArrayRef); 2] = [("when", Arc::new(times)), ("names", Arc::new(names.finish()))];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(n, a)| (n, a, true))).unwrap();
    let text = |format| String::from_utf8(written(format, batch.schema(), std::slice::from_ref(&batch))).unwrap();
    let csv = "when,names\n2017-07-14T02:40:00.123456789Z,\"[\"\"h2\"\",\"\"a\\\"\"b\"\"]\"\n,\n";
    assert_eq!(text(Format::Csv), csv);
    let json = r#"{"when":"2017-07-14T02:40:00.123456789Z","names":["h2","a\"b"]}"#;
    assert_eq!(text(Format::Json), format!("{json}\n{{\"when\":null,\"names\":null}}\n"));
    for format in [Format::Parquet, Format::Arrow] {
        let read = read(format, &written(format, batch.schema(), std::slice::from_ref(&batch)));
        assert_eq!(read, std::slice::from_ref(&batch));
    }
}

#[test]
fn a_type_without_a_text_form_is_refused_at_the_start() {
    let field = Field::new("when", DataType::Timestamp(TimeUnit::Nanosecond, None), true);
    let schema: SchemaRef = Arc::new(Schema::new(vec![field]));
    for format in [Format::Csv, Format::Json] {
        let directory = tempfile::tempdir().unwrap();
        let target = Target::File(directory.path().join("rows"));
        let Err(error) = open_sink(format, target, Arc::clone(&schema), &SinkOptions::default()) else {
            panic!("{format} took a timestamp")
        };
        assert!(error.to_string().contains("'when'"), "{error}");
    }
}

#[test]
fn no_rows_make_a_valid_file_with_the_schema() {
    let schema = batch(&[]).schema();
    for batches in [vec![], vec![batch(&[])]] {
        assert_eq!(
            written(Format::Csv, Arc::clone(&schema), &batches),
            b"int,uint,double,bool,\"text, \"\"quoted\"\"\",ints,doubles\n"
        );
        assert!(written(Format::Json, Arc::clone(&schema), &batches).is_empty());
        let arrow = written(Format::Arrow, Arc::clone(&schema), &batches);
        assert_eq!(FileReader::try_new(std::io::Cursor::new(arrow), None).unwrap().schema(), schema);
        let parquet = written(Format::Parquet, Arc::clone(&schema), &batches);
        assert!(read(Format::Parquet, &parquet).is_empty());
    }
}

#[test]
fn rows_of_another_schema_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let given = one_column(Arc::new(Int64Array::from(vec![1])));
    let expected = batch(&[]).schema();
    for format in Format::ALL {
        let target = Target::File(directory.path().join("rows"));
        let sink = open_sink(format, target, Arc::clone(&expected), &SinkOptions::default()).unwrap();
        let error = sink.encoder().encode(given.clone()).unwrap_err();
        assert!(matches!(error, SinkError::Schema { index: 0, .. }), "{error}");
    }
}

#[test]
fn a_dropped_sink_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    for format in Format::ALL {
        let target = Target::File(directory.path().join("rows"));
        let mut sink = open_sink(format, target, batch(&[]).schema(), &SinkOptions::default()).unwrap();
        let chunk = sink.encoder().encode(batch(&[])).unwrap();
        sink.write(chunk).unwrap();
        drop(sink);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_chunk_of_another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let rows = large_batch(5000);
    let open = |format: Format| {
        let target = Target::File(directory.path().join(format.name()));
        open_sink(format, target, rows.schema(), &SinkOptions::default()).unwrap()
    };
    for made_by in Format::ALL {
        let chunk = || open(made_by).encoder().encode(rows.clone()).unwrap();
        for taken_by in Format::ALL.into_iter().filter(|f| *f != made_by) {
            // Arrow's chunks are rows as they are, which Parquet takes: its own small batches come so, too.
            if (made_by, taken_by) == (Format::Arrow, Format::Parquet) {
                continue;
            }
            let mut sink = open(taken_by);
            let error = sink.write(chunk()).unwrap_err();
            assert!(error.to_string().starts_with(taken_by.name()), "{made_by} to {taken_by}: {error}");
            assert!(matches!(sink.finish().unwrap_err(), SinkError::Incomplete { .. }));
        }
        let taken = MemorySink::new().write(chunk());
        assert_eq!(taken.is_ok(), made_by == Format::Arrow, "{made_by}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A place of the user's own that takes a message for each row, as described in CONTRIBUTING.
#[derive(Clone, Default)]
struct Mailbox(Arc<std::sync::Mutex<Vec<Mail>>>);

#[derive(Debug, PartialEq)]
enum Mail {
    Row(Option<String>, String),
    Flushed,
    Finished,
}

impl MessagePlace for Mailbox {
    fn name(&self) -> &'static str {
        "mailbox"
    }

    fn send(&mut self, rows: &RowBytes) -> Result<(), SinkError> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.0.lock().unwrap().extend(rows.messages().map(|m| Mail::Row(m.key.map(text), text(m.value))));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(Mail::Flushed);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(Mail::Finished);
        Ok(())
    }
}

#[test]
fn messages_are_the_lines_of_the_file_and_bear_their_key() {
    let rows = RecordBatch::try_from_iter_with_nullable([
        ("host", Arc::new(StringArray::from(vec![Some("a,\n"), None, Some(""), Some("b")])) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3, 4])), true),
    ])
    .unwrap();
    for format in [Format::Csv, Format::Json] {
        let mailbox = Mailbox::default();
        let mut sink = sink_to_messages(format, Some("host"), Box::new(mailbox.clone()), rows.schema()).unwrap();
        assert_eq!(sink.name(), "mailbox");
        // Twice, as the second chunk takes the buffers of the first.
        for _ in 0..2 {
            sink.write(sink.encoder().encode(rows.slice(0, 3)).unwrap()).unwrap();
        }
        sink.flush().unwrap();
        sink.write(sink.encoder().encode(rows.slice(3, 1)).unwrap()).unwrap();
        assert_eq!(sink.finish().unwrap().rows, 7);
        let first = match format {
            Format::Csv => ["\"a,\n\",1", ",2", "\"\",3"],
            _ => [r#"{"host":"a,\n","n":1}"#, r#"{"host":null,"n":2}"#, r#"{"host":"","n":3}"#],
        };
        let row = |key: Option<&str>, value: &str| Mail::Row(key.map(str::to_owned), value.to_owned());
        let three = || [row(Some("a,\n"), first[0]), row(None, first[1]), row(Some(""), first[2])];
        let last = if format == Format::Csv { "b,4" } else { r#"{"host":"b","n":4}"# };
        let all: Vec<Mail> = three().into_iter().chain(three()).collect();
        let end = [Mail::Flushed, row(Some("b"), last), Mail::Finished];
        assert_eq!(*mailbox.0.lock().unwrap(), all.into_iter().chain(end).collect::<Vec<_>>());
    }
}

#[test]
fn keys_are_of_any_type_and_values_are_the_lines_of_the_file() {
    let rows = large_batch(3);
    for (key, texts) in [("n", ["0", "1", "2"]), ("s", ["tcp", "udp", ""])] {
        let mailbox = Mailbox::default();
        let mut sink = sink_to_messages(Format::Json, Some(key), Box::new(mailbox.clone()), rows.schema()).unwrap();
        sink.write(sink.encoder().encode(rows.clone()).unwrap()).unwrap();
        let mail = std::mem::take(&mut *mailbox.0.lock().unwrap());
        let keys = mail.iter().map(|m| if let Mail::Row(Some(key), _) = m { key.as_str() } else { "none" });
        assert!(keys.eq(texts));
        let lines = mail.iter().map(|m| if let Mail::Row(_, value) = m { format!("{value}\n") } else { String::new() });
        let file = written(Format::Json, rows.schema(), std::slice::from_ref(&rows));
        assert_eq!(lines.collect::<String>().into_bytes(), file);
    }
}

#[test]
fn what_has_no_form_for_a_message_is_refused_at_the_start() {
    let schema = large_batch(1).schema();
    let open = |format, key| sink_to_messages(format, key, Box::new(Mailbox::default()), Arc::clone(&schema)).map(drop);
    for format in Format::ALL.into_iter().filter(|format| !format.is_text()) {
        let error = open(format, None).unwrap_err().to_string();
        let mut of_text = Format::ALL.into_iter().filter(|format| format.is_text());
        assert!(error.starts_with(format.name()) && of_text.all(|format| error.contains(format.name())), "{error}");
    }
    let error = open(Format::Json, Some("nothing")).unwrap_err().to_string();
    assert!(error.contains("'nothing'"), "{error}");
}

/// A place for bytes of the user's own: what has been flushed, and what waits.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<(Vec<u8>, Vec<u8>)>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let (seen, waiting) = &mut *self.0.lock().unwrap();
        seen.append(waiting);
        Ok(())
    }
}

impl BytePlace for Shared {
    fn name(&self) -> &str {
        "shared"
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
        std::io::Write::flush(&mut *self).map_err(|e| SinkError::io("shared", "flush", e))
    }
}

#[test]
fn a_flush_reaches_the_place_with_every_row_so_far() {
    let rows = large_batch(5);
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Parquet) {
        let place = Shared::default();
        let options = SinkOptions::default();
        let mut sink = sink_to_bytes(format, Box::new(place.clone()), rows.schema(), &options).unwrap();
        sink.write(sink.encoder().encode(rows.clone()).unwrap()).unwrap();
        sink.flush().unwrap();
        let (seen, waiting) = place.0.lock().unwrap().clone();
        assert!(waiting.is_empty() && seen.len() as u64 == sink.bytes_written(), "{format}");
        match format {
            Format::Arrow => {
                let mut stream = StreamReader::try_new(&seen[..], None).unwrap();
                assert_eq!(stream.next().unwrap().unwrap(), rows);
            }
            _ => assert_eq!(seen, written(format, rows.schema(), std::slice::from_ref(&rows))),
        }
        sink.finish().unwrap();
    }
}

/// Rows enough for row groups of their own, and odd small batches between them.
fn large_batch(rows: u64) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new((0..rows).map(Some).collect::<UInt64Array>())),
        ("x", Arc::new((0..rows).map(|i| (i % 3 > 0).then_some(i as f64 / 7.0)).collect::<Float64Array>())),
        ("s", Arc::new((0..rows).map(|i| Some(["tcp", "udp", ""][i as usize % 3])).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

#[test]
fn parquet_collects_small_batches_in_order() {
    let whole = large_batch(20_000);
    let mut at = 0;
    let parts: Vec<RecordBatch> = [10, 5000, 4096, 1, 0, 2000, 2500, 3, 6390]
        .map(|rows| {
            at += rows;
            whole.slice(at - rows, rows)
        })
        .into();
    assert_eq!(at, 20_000);
    let bytes = written(Format::Parquet, whole.schema(), &parts);
    let batches = read(Format::Parquet, &bytes);
    let ids = batches.iter().flat_map(|b| b.column(0).as_primitive::<UInt64Type>().values().to_vec());
    assert!(ids.eq(0..20_000));
    let doubles = |batches: &[RecordBatch]| -> Vec<Option<f64>> {
        batches.iter().flat_map(|b| b.column(1).as_primitive::<Float64Type>().iter().collect::<Vec<_>>()).collect()
    };
    assert_eq!(doubles(&batches), doubles(&[whole]));
}

/// A dictionary is for what comes again. Names and numbers of which each is another take a tenth more at most than they would without.
#[test]
fn parquet_of_unique_values_is_as_small_as_without_a_dictionary() {
    use ::parquet::arrow::ArrowWriter;
    use ::parquet::file::properties::WriterProperties;

    const GROUP: u64 = 16_384;
    let mix = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let unique = |from: u64| {
        let rows = from..from + GROUP;
        let columns: [(&str, ArrayRef); 3] = [
            (
                "name",
                Arc::new(
                    rows.clone().map(|n| Some(format!("host-{:x}.example.org", mix(n) >> 24))).collect::<StringArray>(),
                ),
            ),
            ("id", Arc::new(rows.clone().map(|n| Some(format!("{:016x}", mix(n)))).collect::<StringArray>())),
            ("number", Arc::new(rows.map(|n| mix(n) as i64).collect::<Int64Array>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    };
    let batches: Vec<_> = (0..8).map(|group| unique(group * GROUP)).collect();
    let of = |dictionary| {
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(dictionary)
            .set_max_row_group_row_count(Some(GROUP as usize));
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batches[0].schema(), Some(properties.build())).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
        bytes.len()
    };
    let best = of(true).min(of(false));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    let options = SinkOptions { compression: Compression::None, ..SinkOptions::default() };
    let mut sink = open_sink(Format::Parquet, Target::File(path.clone()), batches[0].schema(), &options).unwrap();
    let encoder = sink.encoder();
    for batch in &batches {
        let chunk = encoder.encode(batch.clone()).unwrap();
        // What a chunk keeps is bounded by its rows, and dictionaries with it.
        assert!(chunk.memory() < 4 << 20, "{}", chunk.memory());
        sink.write(chunk).unwrap();
    }
    sink.finish().unwrap();
    let size = fs::metadata(&path).unwrap().len() as usize;
    assert!(size * 10 <= best * 11, "{size} bytes, {best} in the better of the two encodings");
}

#[test]
fn files_of_columns_collect_rows_that_come_one_by_one() {
    let whole = large_batch(5000);
    let rows: Vec<_> = (0..5000).map(|at| whole.slice(at, 1)).collect();
    for format in [Format::Parquet, Format::Arrow] {
        let batches = read(format, &written(format, whole.schema(), &rows));
        assert_eq!(arrow_select::concat::concat_batches(&whole.schema(), &batches).unwrap(), whole, "{format:?}");
        if format == Format::Arrow {
            assert!(batches.iter().map(RecordBatch::num_rows).eq([1024, 1024, 1024, 1024, 904]));
        }
    }
}

#[test]
fn parquet_carries_the_schema_and_the_same_bytes_every_time() {
    let rows = large_batch(5000);
    let metadata = ["b", "a", "d", "c"].map(|k| (k.to_owned(), format!("value of {k}")));
    let schema =
        Arc::new(rows.schema().as_ref().clone().with_metadata(std::collections::HashMap::from(metadata.clone())));
    let bytes = written(Format::Parquet, Arc::clone(&schema), std::slice::from_ref(&rows));
    for _ in 0..4 {
        let again =
            Arc::new(rows.schema().as_ref().clone().with_metadata(std::collections::HashMap::from(metadata.clone())));
        assert_eq!(written(Format::Parquet, again, std::slice::from_ref(&rows)), bytes);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.parquet");
    fs::write(&path, &bytes).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.schema().metadata().get("c").map(String::as_str), Some("value of c"));
    let file = reader.metadata().file_metadata();
    assert!(file.created_by().unwrap().starts_with("joyfuljay version "));
    assert_eq!(reader.metadata().row_group(0).num_rows(), 5000);
}

#[test]
fn a_chunk_is_the_same_in_parts() {
    let rows = large_batch(5000);
    let mut parted = Vec::new();
    for format in Format::ALL {
        let bytes_of = |lengths: &[usize]| {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("rows");
            let mut sink =
                open_sink(format, Target::File(path.clone()), rows.schema(), &SinkOptions::default()).unwrap();
            let encoder = sink.encoder();
            let mut chunk = encoder.begin()?;
            let mut from = 0;
            for len in lengths {
                chunk.add(rows.slice(from, *len)).unwrap();
                from += len;
            }
            let chunk = chunk.finish().unwrap();
            assert_eq!(chunk.rows(), from);
            sink.write(chunk).unwrap();
            sink.finish().unwrap();
            Some(fs::read(&path).unwrap())
        };
        let Some(bytes) = bytes_of(&[5000]) else { continue };
        parted.push(format);
        assert!(bytes == written(format, rows.schema(), std::slice::from_ref(&rows)));
        assert!(Some(&bytes) == bytes_of(&[1024, 1024, 2048, 904]).as_ref());
        // Too few for a row group of their own, in parts or not at all.
        assert!(bytes_of(&[100, 28]).unwrap() == written(format, rows.schema(), &[rows.slice(0, 128)]));
        assert!(bytes_of(&[]).unwrap() == written(format, rows.schema(), &[]));
    }
    assert_eq!(parted, [Format::Parquet]);
}

#[test]
fn memory_keeps_the_batches() {
    let sink = MemorySink::new();
    let rows = sink.rows();
    let mut sink: Box<dyn RowSink> = Box::new(sink);
    let chunk = sink.encoder().encode(large_batch(7)).unwrap();
    sink.write(chunk).unwrap();
    assert_eq!(sink.finish().unwrap().rows, 7);
    assert_eq!(rows.take(), [large_batch(7)]);
    assert!(rows.take().is_empty());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_take_every_format() {
    for format in Format::ALL {
        write_to(Path::new("/dev/null"), format, large_batch(1).schema(), &[large_batch(5000)]);
        let target = Target::File("/dev/full".into());
        let sink = open_sink(format, target, large_batch(1).schema(), &SinkOptions::default());
        let result = sink.and_then(|mut sink| {
            let chunk = sink.encoder().encode(large_batch(5000))?;
            sink.write(chunk)?;
            sink.finish()
        });
        assert!(matches!(result, Err(SinkError::Io { .. })), "{format}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_gets_nothing_of_a_run_that_does_not_begin() {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    let schema = large_batch(1).schema();
    for format in Format::ALL {
        // What a reader has of a sink with which this was done.
        let read = |done: fn(Box<dyn RowSink>)| {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let path = format!("/dev/fd/{}", writer.as_raw_fd());
            fs::metadata(&path).ok()?;
            let target = Target::File(path.into());
            done(open_sink(format, target, Arc::clone(&schema), &SinkOptions::default()).unwrap());
            drop(writer);
            let mut piped = Vec::new();
            reader.read_to_end(&mut piped).unwrap();
            Some(piped)
        };
        let Some(nothing) = read(drop) else { return };
        assert!(nothing.is_empty(), "{format}");
        let without_rows = read(|sink| {
            sink.finish().unwrap();
        })
        .unwrap();
        // Of Arrow a file is another format than a stream.
        assert!(format == Format::Arrow || without_rows == written(format, Arc::clone(&schema), &[]), "{format}");
        let header = read(|mut sink| sink.flush().unwrap()).unwrap();
        assert!(without_rows.starts_with(&header), "{format}");
        // Of Parquet a flush need not give the magic.
        assert!(format == Format::Parquet || header.is_empty() == (format == Format::Json), "{format}");
    }
}

/// A pipe that is not read to its end is a closed sink, not an error; what went through is a stream of its format.
#[cfg(unix)]
#[test]
fn a_pipe_takes_every_format_until_its_reader_goes() {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    for format in Format::ALL {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        if fs::metadata(&path).is_err() {
            return;
        }
        let open =
            || open_sink(format, Target::File(path.clone().into()), large_batch(1).schema(), &SinkOptions::default());
        let mut sink = open().unwrap();
        let mut unread = open().unwrap();
        drop(writer);
        sink.write(sink.encoder().encode(large_batch(10)).unwrap()).unwrap();
        sink.finish().unwrap();
        let mut piped = vec![0; 1 << 16];
        let n = reader.read(&mut piped).unwrap();
        assert!(n > 0);
        if format == Format::Arrow {
            // The second sink on the same pipe has written nothing yet.
            assert!(StreamReader::try_new(&piped[..n], None).is_ok());
        }
        drop(reader);
        let chunk = unread.encoder().encode(large_batch(50_000)).unwrap();
        let result = unread.write(chunk).and_then(|()| unread.finish().map(drop));
        assert!(matches!(result, Err(SinkError::Closed { .. })), "{format}: {result:?}");
    }
}
