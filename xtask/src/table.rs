//! CSV files by the names of their columns.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// A row of a CSV file.
pub struct Row {
    /// The file, for errors.
    pub file: String,
    /// Its line.
    pub line: u64,
    /// By column.
    pub fields: BTreeMap<String, String>,
}

/// The rows of a file.
pub fn rows(path: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let file = path.display().to_string();
    let mut reader = csv::Reader::from_path(path).map_err(|e| format!("{file}: {e}"))?;
    let mut rows = Vec::new();
    for record in reader.deserialize::<BTreeMap<String, String>>() {
        let fields = record.map_err(|e| format!("{file}: {e}"))?;
        rows.push(Row { file: file.clone(), line: rows.len() as u64 + 2, fields });
    }
    Ok(rows)
}

impl Row {
    /// The text of a column.
    pub fn text(&self, column: &str) -> Result<&str, String> {
        let missing = || format!("{}: there is no column {column}", self.file);
        self.fields.get(column).map(String::as_str).ok_or_else(missing)
    }

    /// A value; the default one where the field is empty.
    pub fn number<T: std::str::FromStr + Default>(&self, column: &str) -> Result<T, String> {
        match self.text(column)? {
            "" => Ok(T::default()),
            text => text.parse().map_err(|_| format!("{}: row {}: {column} = {text}", self.file, self.line)),
        }
    }
}
