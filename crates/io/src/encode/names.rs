//! The names of the columns of a file of rows that has them in a schema.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::path::Path;

use arrow_ipc::reader::{FileReader, StreamReader};
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// The names of the columns of a Parquet or Arrow IPC file; None where it is neither.
pub fn column_names(path: &Path) -> io::Result<Option<Vec<String>>> {
    let mut file = File::open(path)?;
    let mut magic = Vec::new();
    (&mut file).take(6).read_to_end(&mut magic)?;
    let not_whole = |what: &str, e: &dyn std::fmt::Display| {
        io::Error::new(ErrorKind::InvalidData, format!("not a whole {what} file: {e}"))
    };
    if magic.starts_with(b"PAR1") {
        let reader = SerializedFileReader::new(file).map_err(|e| not_whole("Parquet", &e))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        return Ok(Some(schema.root_schema().get_fields().iter().map(|f| f.name().to_owned()).collect()));
    }
    let schema = if magic == b"ARROW1" {
        FileReader::try_new(file, None).map_err(|e| not_whole("Arrow", &e))?.schema()
    } else if magic.starts_with(&[0xff; 4]) {
        file.rewind()?;
        StreamReader::try_new(file, None).map_err(|e| not_whole("Arrow", &e))?.schema()
    } else {
        return Ok(None);
    };
    Ok(Some(schema.fields().iter().map(|f| f.name().clone()).collect()))
}
