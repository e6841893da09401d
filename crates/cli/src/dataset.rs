//! Options of rows that go into a folder of Parquet files.

use clap::Args;
use joyfuljay_core::config::ByteSize;
use joyfuljay_io::dataset::DatasetOptions;
use joyfuljay_io::sink::SinkOptions;

use crate::options::whole;

#[derive(Debug, Args)]
#[command(next_help_heading = "Dataset (-f parquet -o FOLDER)")]
pub struct DatasetArgs {
    /// Write a folder of Parquet files with a folder for each value of these keys: date (the day of a flow's first packet in UTC),
    /// columns of whole numbers, or of names such as app_protocol. Later runs add to it.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    partition_by: Vec<String>,
    /// Rows of a file of the folder; then another is begun.
    #[arg(long, value_name = "ROWS", value_parser = whole(1, u64::MAX))]
    rows_per_file: Option<u64>,
    /// Size of a file of the folder, such as 512MB; then another is begun.
    #[arg(long, value_name = "SIZE")]
    bytes_per_file: Option<ByteSize>,
}

impl DatasetArgs {
    /// Whether a folder was asked for.
    pub fn is_named(&self) -> bool {
        !self.partition_by.is_empty() || self.rows_per_file.is_some() || self.bytes_per_file.is_some()
    }

    /// What the options say of the folder.
    pub fn options(&self, format: SinkOptions) -> DatasetOptions {
        let mut options = DatasetOptions::default();
        options.partition_by.clone_from(&self.partition_by);
        options.rows_per_file = self.rows_per_file.unwrap_or(DatasetOptions::ROWS_PER_FILE);
        options.bytes_per_file = self.bytes_per_file.as_ref().map_or(DatasetOptions::BYTES_PER_FILE, |size| size.0);
        options.format = format;
        options
    }
}
