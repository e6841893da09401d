//! The names of formats and compressions, as users write them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::sink::SinkError;

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// RFC 4180 with a header and LF line ends.
    Csv,
    /// JSON Lines: one object per row.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC: the file format (Feather version 2) in files, the stream format on standard output.
    Arrow,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Csv, Self::Json, Self::Parquet, Self::Arrow];

    /// The name, as it is written on the command line and in metrics.
    pub fn name(self) -> &'static str {
        self.names().first().copied().unwrap_or_default()
    }

    /// Every name and file extension of the format, the preferred one first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Json => &["json", "jsonl", "ndjson"],
            Self::Parquet => &["parquet", "pq"],
            Self::Arrow => &["arrow", "ipc", "feather"],
        }
    }

    /// Whether it is text, in which each row has bytes of its own.
    pub fn is_text(self) -> bool {
        match self {
            Self::Csv | Self::Json => true,
            Self::Parquet | Self::Arrow => false,
        }
    }

    /// The format by the extension of a file.
    pub fn from_path(path: &Path) -> Result<Self, SinkError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Self::find(extension).ok_or_else(|| SinkError::UnknownFormat { given: path.display().to_string() })
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.names().iter().any(|known| known.eq_ignore_ascii_case(name)))
    }
}

impl FromStr for Format {
    type Err = SinkError;

    fn from_str(name: &str) -> Result<Self, SinkError> {
        Self::find(name).ok_or_else(|| SinkError::UnknownFormat { given: name.to_owned() })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Compression of Parquet pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// None.
    None,
    /// Snappy: read everywhere, cheap to write.
    #[default]
    Snappy,
    /// Zstandard, level 1: smaller files, slower to write.
    Zstd,
}

impl Compression {
    /// Every compression.
    pub const ALL: [Self; 3] = [Self::None, Self::Snappy, Self::Zstd];

    /// The name, as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

impl FromStr for Compression {
    type Err = SinkError;

    fn from_str(name: &str) -> Result<Self, SinkError> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| SinkError::UnknownCompression { given: name.to_owned() })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name_and_by_extension() {
        assert_eq!("NDJSON".parse::<Format>().unwrap(), Format::Json);
        assert_eq!(Format::from_path(Path::new("a.b/flows.PQ")).unwrap(), Format::Parquet);
        assert_eq!(Format::from_path(Path::new("x.feather")).unwrap(), Format::Arrow);
        for name in ["flows", ".csv", "flows.csv.gz", "csv"] {
            let error = Format::from_path(Path::new(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("parquet"), "{error}");
        }
        assert!("".parse::<Format>().is_err());
    }

    #[test]
    fn names_parse_back() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse::<Compression>().unwrap(), compression);
        }
    }
}
