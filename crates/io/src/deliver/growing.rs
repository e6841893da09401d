//! A file that grows under its name, for runs that have no end: rows can be read as they come, a run that begins anew goes on
//! behind the rows that are there, and whoever rotates the file moves it away and says so ([`crate::sink::Lasting`]).
//!
//! It holds whole rows only. A piece that could not be written whole (a full disk) is taken back; what a crash has left of a row
//! is cut off when the file is opened again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::BytePlace;
use crate::sink::SinkError;

/// The file of a sink that grows.
pub(crate) struct Growing {
    file: File,
    name: String,
    /// The header that the file has already, up to what the writer has repeated of it.
    header: Vec<u8>,
}

/// Longer than the header of all columns by far, and than any row.
const MAX_ROW: u64 = 16 << 20;

impl Growing {
    /// Opens the file to write behind what is in it. `header` says whether its first line names columns, which then have to be
    /// those of the rows that come.
    pub(crate) fn open(path: &Path, header: bool) -> Result<Self, SinkError> {
        let name = path.display().to_string();
        let open = || -> io::Result<(File, Vec<u8>)> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
            cut_to_whole_rows(&mut file)?;
            let first = if header { first_line(&mut file)? } else { Vec::new() };
            Ok((file, first))
        };
        match open() {
            Ok((file, header)) => Ok(Self { file, name, header }),
            Err(e) => Err(SinkError::io(&name, "open the file to append to it", e)),
        }
    }

    /// Of the bytes those that the file does not begin with.
    fn behind_header<'a>(&mut self, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        let same = self.header.len().min(bytes.len());
        let ((have, rest), (given, left)) = (self.header.split_at(same), bytes.split_at(same));
        if have != given {
            return Err(io::Error::other(
                "the rows in it have other columns: name another file, or select the same features",
            ));
        }
        self.header = rest.to_vec();
        Ok(left)
    }
}

/// Cuts off what follows the last line end.
fn cut_to_whole_rows(file: &mut File) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let from = end.saturating_sub(MAX_ROW);
    let mut last = [b'\n'];
    if end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
    }
    if last == [b'\n'] {
        return Ok(());
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(MAX_ROW).read_to_end(&mut tail)?;
    match tail.iter().rposition(|b| *b == b'\n') {
        Some(at) => file.set_len(from + at as u64 + 1),
        None if from == 0 => file.set_len(0),
        None => Err(io::Error::other("it is no file of rows: there is no line end in its last 16 MiB")),
    }
}

fn first_line(file: &mut File) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    io::BufRead::read_until(&mut io::BufReader::new(file.take(MAX_ROW)), b'\n', &mut line)?;
    Ok(line)
}

/// Whether the file of this name is another one by now, or none.
pub(crate) struct Identity(Option<(u64, u64)>);

impl Identity {
    pub(crate) fn of(path: &Path) -> Self {
        Self(numbers(path))
    }

    pub(crate) fn has_changed(&self, path: &Path) -> bool {
        numbers(path) != self.0
    }
}

#[cfg(unix)]
fn numbers(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Files that are open cannot be moved here.
#[cfg(not(unix))]
fn numbers(_path: &Path) -> Option<(u64, u64)> {
    None
}

impl BytePlace for Growing {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        self.file.sync_all().map_err(|e| SinkError::io(&self.name, "make the file durable", e))
    }
}

impl Write for Growing {
    /// All or nothing: formats give whole rows.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rows = match self.header.is_empty() {
            true => bytes,
            false => self.behind_header(bytes)?,
        };
        let before = self.file.metadata()?.len();
        if let Err(e) = self.file.write_all(rows) {
            self.file.set_len(before)?;
            return Err(e);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn append(path: &Path, header: bool, pieces: &[&str]) -> io::Result<()> {
        let mut file = Growing::open(path, header).unwrap();
        pieces.iter().try_for_each(|piece| file.write_all(piece.as_bytes()))
    }

    #[test]
    fn a_run_goes_on_behind_whole_rows_and_under_the_same_header() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        append(&path, true, &["a,b\n", "1,2\n"]).unwrap();
        append(&path, true, &["a,b\n", "3,4\n"]).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "5,").unwrap();
        append(&path, true, &["a,", "b\n6,7\n"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n1,2\n3,4\n6,7\n");
        let other = append(&path, true, &["a,c\n"]).unwrap_err();
        assert!(other.to_string().contains("other columns"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,b\n1,2\n3,4\n6,7\n");
    }

    #[test]
    fn without_a_header_lines_follow_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        fs::write(&path, "half").unwrap();
        append(&path, false, &["{}\n"]).unwrap();
        append(&path, false, &["{}\n"]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n{}\n");
    }
}
