//! How many flows captures have, and how many bytes.

use joyfuljay::arrow::arrow_array::{cast::AsArray, types::Int64Type};
use joyfuljay::{Config, Pipeline, sink::MemorySink, source::CaptureSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let captures: Vec<String> = std::env::args().skip(1).collect();
    let pipeline = Pipeline::new(Config { features: vec!["flow_meta".into()], ..Config::default() })?;
    let sink = MemorySink::new();
    let rows = sink.rows();
    let summary = pipeline.run(Box::new(CaptureSet::open(&captures, &Default::default())?), Box::new(sink))?;
    let batches = rows.take();
    let bytes = batches.iter().filter_map(|rows| rows.column_by_name("total_bytes"));
    let bytes: i64 = bytes.flat_map(|column| column.as_primitive::<Int64Type>().values()).sum();
    println!("{} flows, {bytes} bytes", summary.rows);
    Ok(())
}
