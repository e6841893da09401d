//! What is encoded here is what the library's own writer would say: the same rows, and the same of each column.

use std::fs;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::{Statistics, ValueStatistics};
use proptest::prelude::*;

use super::*;
use crate::deliver::Target;
use crate::encode::{Compression, Format};
use crate::sink::{SinkOptions, open_sink};

fn encoded(batches: &[RecordBatch], compression: Compression) -> Bytes {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows");
    let options = SinkOptions { compression, ..SinkOptions::default() };
    let mut sink = open_sink(Format::Parquet, Target::File(path.clone()), batches[0].schema(), &options).unwrap();
    let encoder = sink.encoder();
    let mut chunk = encoder.begin().unwrap();
    batches.iter().for_each(|rows| chunk.add(rows.clone()).unwrap());
    sink.write(chunk.finish().unwrap()).unwrap();
    sink.finish().unwrap();
    fs::read(&path).unwrap().into()
}

fn read(file: &Bytes) -> (RecordBatch, Arc<ParquetMetaData>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let (schema, metadata) = (Arc::clone(reader.schema()), Arc::clone(reader.metadata()));
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), metadata)
}

/// As the library would write it.
fn by_library(rows: &RecordBatch) -> Arc<ParquetMetaData> {
    let properties =
        WriterProperties::builder().set_coerce_types(true).set_statistics_enabled(EnabledStatistics::Chunk).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    read(&file.into()).1
}

/// Floating point bounds of zero may be of either sign.
fn plus_zero(statistics: &Statistics) -> Statistics {
    let Statistics::Double(doubles) = statistics else { return statistics.clone() };
    let plus = |number: Option<&f64>| number.map(|number| number + 0.0);
    let nulls = doubles.null_count_opt();
    Statistics::Double(
        ValueStatistics::new(plus(doubles.min_opt()), plus(doubles.max_opt()), None, nulls, false)
            .with_nan_count(doubles.nan_count_opt())
            .with_backwards_compatible_min_max(true),
    )
}

fn check(rows: &RecordBatch, part: usize, compression: Compression) {
    let parts: Vec<_> =
        (0..rows.num_rows()).step_by(part).map(|at| rows.slice(at, part.min(rows.num_rows() - at))).collect();
    let (back, metadata) = read(&encoded(&parts, compression));
    // NaN is not equal to itself, the text of it is.
    assert!(&back == rows || format!("{back:?}") == format!("{rows:?}"));
    let library = by_library(rows);
    let (ours, theirs) = (metadata.row_group(0), library.row_group(0));
    assert_eq!(ours.num_rows(), rows.num_rows() as i64);
    for (ours, theirs) in ours.columns().iter().zip(theirs.columns()) {
        let said = |column: &ColumnChunkMetaData| column.statistics().map(plus_zero);
        assert_eq!(said(ours), said(theirs), "{}", ours.column_path());
        assert_eq!(ours.num_values(), theirs.num_values());
        assert_eq!(ours.definition_level_histogram(), theirs.definition_level_histogram());
        assert_eq!(ours.unencoded_byte_array_data_bytes(), theirs.unencoded_byte_array_data_bytes());
    }
}

fn table(columns: Vec<ArrayRef>) -> RecordBatch {
    let names = (0..columns.len()).map(|at| format!("c{at}"));
    RecordBatch::try_from_iter_with_nullable(names.zip(columns).map(|(name, column)| (name, column, true))).unwrap()
}

/// Rows of which some are null: each of them by a pattern of its own, in runs of one to a thousand rows.
fn nulls(seed: u64, rows: usize) -> Vec<bool> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let longest = [1, 7, 24, 100, 1000][(seed % 5) as usize];
    let mut valid = Vec::new();
    while valid.len() < rows {
        let run = 1 + next() % longest;
        let value = next() % 2 == 0;
        valid.extend((0..run).map(|_| value));
    }
    valid.truncate(rows);
    valid
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_and_what_is_said_of_them_are_those_of_the_library(
        seeds in any::<[u64; 4]>(),
        rows in prop_oneof![4096_usize..4200, 8190_usize..8195, 16_000_usize..20_000],
        part in prop_oneof![1000_usize..1100, 8190_usize..8194, Just(30_000_usize)],
        scale in 0_u32..64,
        compression in prop_oneof![Just(Compression::None), Just(Compression::Snappy), Just(Compression::Zstd)],
    ) {
        let mix = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seeds[3];
        let special = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY];
        let number = |at: usize| match mix(at) % 50 {
            pick @ 0..5 if seeds[1] % 2 == 0 => special[pick as usize],
            _ => (mix(at) as i64 >> scale) as f64 / 7.0,
        };
        let of = |column: usize| nulls(seeds[column], rows).into_iter().enumerate();
        check(
            &table(vec![
                Arc::new(of(0).map(|(at, valid)| valid.then(|| mix(at) as i64 >> scale)).collect::<Int64Array>()),
                Arc::new(of(1).map(|(at, valid)| valid.then(|| number(at))).collect::<Float64Array>()),
                Arc::new(of(2).map(|(at, valid)| valid.then(|| mix(at) % 3 == 0)).collect::<BooleanArray>()),
                Arc::new(of(3).map(|(at, valid)| valid.then(|| format!("{:x}", mix(at) >> scale))).collect::<StringArray>()),
            ]),
            part,
            compression,
        );
    }
}

#[test]
fn columns_of_nothing_of_one_value_and_of_all_values_read_back() {
    let rows = 10_000;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![None; rows])),
        Arc::new(Int64Array::from(vec![7; rows])),
        Arc::new((0..rows as i64).map(|at| [i64::MIN, i64::MAX, 0][at as usize % 3]).collect::<Int64Array>()),
        Arc::new(Float64Array::from(vec![None; rows])),
        Arc::new(Float64Array::from(vec![0.5; rows])),
        Arc::new(BooleanArray::from(vec![None; rows])),
        Arc::new(BooleanArray::from(vec![true; rows])),
        Arc::new(BooleanArray::from(vec![Some(false); rows])),
        Arc::new(StringArray::from(vec![None::<&str>; rows])),
        Arc::new(StringArray::from(vec![""; rows])),
    ];
    let mut last = vec![None; rows - 1];
    last.push(Some("the last"));
    let last: ArrayRef = Arc::new(StringArray::from(last));
    check(&table([columns, vec![last]].concat()), rows, Compression::Snappy);
}

#[test]
fn columns_without_nulls_have_no_levels() {
    let column: ArrayRef = Arc::new((0..9000).collect::<Int64Array>());
    let rows = RecordBatch::try_from_iter_with_nullable([("n", column, false)]).unwrap();
    check(&rows, 9000, Compression::Snappy);
}

#[test]
fn there_is_a_dictionary_while_it_pays() {
    let rows = 40_000;
    let encodings_of = |column: ArrayRef| {
        let rows = table(vec![column]);
        check(&rows, 1024, Compression::Snappy);
        let reader = SerializedFileReader::new(encoded(&[rows], Compression::Snappy)).unwrap();
        let mut pages: Vec<(Encoding, usize)> = Vec::new();
        for page in reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap() {
            let encoding = page.unwrap().encoding();
            match pages.last_mut() {
                Some((same, count)) if *same == encoding => *count += 1,
                _ => pages.push((encoding, 1)),
            }
        }
        pages
    };
    let encodings =
        |text: &dyn Fn(usize) -> Option<String>| encodings_of(Arc::new((0..rows).map(text).collect::<StringArray>()));
    let (plain, places) = (Encoding::PLAIN, Encoding::RLE_DICTIONARY);
    assert_eq!(encodings(&|at| Some(format!("{}", at % 300))), [(plain, 1), (places, 5)]);
    assert_eq!(encodings(&|at| Some(format!("{at}"))), [(plain, 5)]);
    // Nothing in the first page, and then each once.
    assert_eq!(encodings(&|at| (at >= 8192).then(|| format!("{at}"))), [(plain, 1), (places, 1), (plain, 4)]);
    // A dictionary that is too large after three pages, each of 1 MiB of text.
    assert_eq!(encodings(&|at| Some(format!("{:0200}", at / 2))), [(plain, 1), (places, 3), (plain, 5)]);
    let encodings =
        |number: &dyn Fn(usize) -> Option<f64>| encodings_of(Arc::new((0..rows).map(number).collect::<Float64Array>()));
    assert_eq!(encodings(&|at| (at % 3 > 0).then_some((at % 2000) as f64 / 7.0)), [(plain, 1), (places, 5)]);
    // Zeros, infinities and what is no number are values as others are.
    assert_eq!(encodings(&|at| Some([0.0, -0.0, f64::NAN, f64::INFINITY][at % 4])), [(plain, 1), (places, 5)]);
    // The first values show that each is another; or all of the first page do.
    assert_eq!(encodings(&|at| Some(at as f64 / 7.0)), [(plain, 5)]);
    assert_eq!(encodings(&|at| Some((at % 6000) as f64 / 7.0)), [(plain, 5)]);
}

#[test]
fn pages_of_long_text_are_bounded_whatever_the_parts() {
    let text = |at: usize| format!("{at:05}").repeat(at % 300);
    let long = "x".repeat(3 << 20);
    let column: StringArray =
        (0..6000).map(|at| if at == 4500 { Some(long.clone()) } else { (at % 7 > 0).then(|| text(at)) }).collect();
    let rows = table(vec![Arc::new(column)]);
    for part in [6000, 1024, 1] {
        check(&rows, part, Compression::None);
    }
    let parts: Vec<_> = (0..6).map(|at| rows.slice(at * 1000, 1000)).collect();
    let file = encoded(&[rows], Compression::None);
    assert!(file == encoded(&parts, Compression::None));
    let reader = SerializedFileReader::new(file).unwrap();
    let pages = reader.get_row_group(0).unwrap().get_column_page_reader(0).unwrap();
    let sizes: Vec<_> = pages.map(|page| page.unwrap().buffer().len()).collect();
    // 4 MB of text, and the long one alone.
    assert_eq!(sizes.iter().filter(|size| **size > 3 << 20).count(), 1);
    assert!(sizes.iter().all(|size| *size < (1 << 20) + (1 << 15) || *size < (3 << 20) + 64), "{sizes:?}");
    assert_eq!(sizes.len(), 5, "{sizes:?}");
}

#[test]
fn bounds_of_long_text_are_cut_to_text_that_is_a_bound() {
    let cut = |least: &str, most: &str| {
        let mut texts = vec!["m"; 5000];
        (texts[17], texts[4000]) = (least, most);
        let (_, metadata) = read(&encoded(&[table(vec![Arc::new(StringArray::from(texts))])], Compression::Snappy));
        let Some(Statistics::ByteArray(bounds)) = metadata.row_group(0).column(0).statistics().cloned() else {
            panic!("no bounds")
        };
        let text = |bound: Option<&ByteArray>| bound.map(|bound| bound.as_utf8().unwrap().to_owned());
        let (lower, upper) = (text(bounds.min_opt()), text(bounds.max_opt()));
        assert!(lower.as_deref().is_none_or(|lower| lower <= least));
        assert!(upper.as_deref().is_none_or(|upper| upper >= most));
        (lower, bounds.min_is_exact(), upper, bounds.max_is_exact())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(cut("a", "z"), (some("a"), true, some("z"), true));
    let (a, z) = ("a".repeat(65), "z".repeat(65));
    assert_eq!(cut(&a, &z), (some(&a[..64]), false, some(&format!("{}{{", &z[..63])), false));
    // A character of two bytes is not cut in two; it has no next one that is as short.
    let (e, z) = (format!("a{}", "é".repeat(40)), format!("z{}", "é".repeat(40)));
    assert_eq!(cut(&e, &z), (some(&e[..63]), false, some("{"), false));
    assert_eq!(cut("a", &"é".repeat(40)), (None, false, None, false));
}
