//! CPU time per value of every row format, and what the files weigh.
//!
//! `cargo run --release -p joyfuljay-io --example sink_cost [DIRECTORY]`; with a directory the files are kept there.
//! The rows look like flow features: counts that are mostly small, means and ratios with full mantissas, many zeros,
//! some columns half missing. Encoding is timed on one thread; writing goes to a file and is timed apart.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use joyfuljay_io::sink::{Compression, Format, SinkOptions, Target, open_sink};

const ROWS: usize = 16_384;
const COLUMNS: usize = 128;
const BATCHES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let batch = numeric_batch()?;
    println!("{:<16} {:>10} {:>10} {:>12}", "format", "encode ns", "write ns", "bytes/value");
    for format in Format::ALL {
        let compressions: &[Compression] =
            if format == Format::Parquet { &Compression::ALL } else { &[Compression::None] };
        for compression in compressions {
            let name = if format == Format::Parquet { format!("parquet-{compression}") } else { format.to_string() };
            let target =
                directory.as_ref().map_or_else(|| PathBuf::from("/dev/null"), |d| d.join(format!("{name}.{format}")));
            measure(&name, format, *compression, target, &batch)?;
        }
    }
    Ok(())
}

fn measure(
    name: &str,
    format: Format,
    compression: Compression,
    target: PathBuf,
    batch: &RecordBatch,
) -> Result<(), Box<dyn Error>> {
    let mut options = SinkOptions::default();
    options.compression = compression;
    let mut sink = open_sink(format, Target::File(target), batch.schema(), &options)?;
    let encoder = sink.encoder();
    sink.write(encoder.encode(batch.clone())?)?; // warm
    let (mut encoding, mut writing) = (f64::MAX, f64::MAX);
    for _ in 0..BATCHES {
        let start = Instant::now();
        let chunk = encoder.encode(batch.clone())?;
        let encoded = Instant::now();
        sink.write(chunk)?;
        encoding = encoding.min((encoded - start).as_secs_f64());
        writing = writing.min(encoded.elapsed().as_secs_f64());
    }
    let written = sink.finish()?;
    let per_value = 1e9 / (ROWS * COLUMNS) as f64;
    let bytes = written.bytes as f64 / written.rows as f64 / COLUMNS as f64;
    println!("{name:<16} {:>10.1} {:>10.1} {bytes:>12.2}", encoding * per_value, writing * per_value);
    Ok(())
}

/// Three columns of counts to five of floats; every eighth column is half missing.
fn numeric_batch() -> Result<RecordBatch, Box<dyn Error>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let columns = (0..COLUMNS).map(|c| {
        let missing = |random: &mut Random| c % 8 == 7 && random.next() & 1 == 0;
        if c % 8 < 3 {
            let spread = 4 + (c as u32 * 7) % 20;
            let values = (0..ROWS).map(|_| (!missing(&mut random)).then(|| random.heavy_tailed(spread)));
            Arc::new(values.collect::<UInt64Array>()) as ArrayRef
        } else {
            let values = (0..ROWS).map(|_| (!missing(&mut random)).then(|| random.feature(c)));
            Arc::new(values.collect::<Float64Array>()) as ArrayRef
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let field = |(i, a): (usize, &ArrayRef)| Field::new(format!("feature_{i}_mean"), a.data_type().clone(), true);
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<Field>>()));
    debug_assert!(schema.fields().iter().all(|f| matches!(f.data_type(), DataType::UInt64 | DataType::Float64)));
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// xorshift64: the rows are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Mostly small, now and then up to 2^bits.
    fn heavy_tailed(&mut self, bits: u32) -> u64 {
        let width = self.next() % u64::from(bits);
        self.next() & ((1 << width) - 1)
    }

    /// Zeros, whole numbers, times in seconds of whole microseconds, means and ratios.
    fn feature(&mut self, column: usize) -> f64 {
        if self.next() % 10 < 3 {
            return 0.0;
        }
        match column % 4 {
            0 => self.heavy_tailed(11) as f64,
            1 => self.heavy_tailed(24) as f64 / 1e6,
            _ => self.heavy_tailed(20) as f64 / (1 + self.heavy_tailed(8)) as f64,
        }
    }
}
