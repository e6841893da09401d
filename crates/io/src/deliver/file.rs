//! A file that appears under its name only when it is whole; or a device or a pipe, which is written straight into.
//!
//! A crash must never leave a file that looks whole. So a regular file is written beside its final name, in the same
//! directory and thus on the same disk, made durable and then renamed, which replaces an older file in one step.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::BytePlace;
use crate::sink::SinkError;

/// Opens the file, the device or the pipe of this name.
pub(super) fn open(path: &Path) -> Result<Box<dyn BytePlace>, SinkError> {
    let name = path.display().to_string();
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(SinkError::IsDirectory { target: name }),
        // A device or a pipe cannot be replaced, and must not be.
        Ok(meta) if !meta.is_file() => {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| SinkError::io(&name, "open", e))?;
            Ok(Box::new(Pipe { file, name }))
        }
        _ => {
            // Through a link to the file that it names, so that the link stays.
            let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            let (file, part) = Part::create(place, &name)?;
            Ok(Box::new(WholeFile { file, part, name }))
        }
    }
}

/// A device or a pipe.
struct Pipe {
    file: File,
    name: String,
}

impl BytePlace for Pipe {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_followed(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file in the making. Dropped without [`BytePlace::finish`], it removes its part file.
struct WholeFile {
    file: File,
    part: Part,
    name: String,
}

impl BytePlace for WholeFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_followed(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let Self { file, part, name } = *self;
        file.sync_all().map_err(|e| SinkError::io(&name, "make the file durable", e))?;
        part.put_into_place().map_err(|e| SinkError::io(&name, "put the file into place", e))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes the part files of every output that is open, for whoever ends the process while a run cannot be stopped: it may wait
/// for a pipe that says nothing.
pub fn remove_parts() {
    for path in std::mem::take(&mut *parts()) {
        let _ = fs::remove_file(path);
    }
}

/// Part files of this process.
fn parts() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static PARTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    PARTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file in the making. Dropped, it is removed.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    place: PathBuf,
    placed: bool,
}

impl Part {
    fn create(place: PathBuf, target: &str) -> Result<(File, Self), SinkError> {
        let directory = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        loop {
            let path = directory.join(part_name(&place));
            // The mode is 0666 less the umask, as for any file that a command creates.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    parts().insert(path.clone());
                    return Ok((file, Self { path, place, placed: false }));
                }
                // Left by a killed process that had our number: the counter moves on.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let directory = directory.display().to_string();
                    return Err(SinkError::NoDirectory { target: target.to_owned(), directory });
                }
                Err(e) => return Err(SinkError::io(target, "create the part file", e)),
            }
        }
    }

    fn put_into_place(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.place)?;
        self.placed = true;
        sync_directory(&self.place);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        parts().remove(&self.path);
        if !self.placed {
            // Nothing can be done about a failure here; the name says that the file is a part.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `.NAME.part-PID-N`: hidden, no reader's pattern for the format takes it, and two runs never share one.
fn part_name(place: &Path) -> OsString {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    /// File systems take names of 255 bytes; the rest of the part's name needs up to 40.
    const MAX_NAME: usize = 200;

    let mut name = OsString::from(".");
    match place.file_name() {
        Some(file) if file.len() <= MAX_NAME => name.push(file),
        _ => name.push("joyfuljay"),
    }
    name.push(format!(".part-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    name
}

/// Makes the new name itself durable. Best effort: some file systems refuse, and the contents are safe already.
fn sync_directory(file: &Path) {
    if let Some(directory) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
        let _ = File::open(directory).and_then(|d| d.sync_all());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Output, Target};
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn open(path: &Path) -> Result<Output, SinkError> {
        Target::File(path.to_path_buf()).open()
    }

    #[test]
    fn a_file_appears_only_when_whole_and_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        fs::write(&path, "old").unwrap();
        let mut output = open(&path).unwrap();
        output.append(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()).len(), 2);
        assert_eq!(output.finish().unwrap(), 3);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["rows.csv"]);
    }

    #[test]
    fn dropped_unfinished_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = open(&directory.path().join("rows.csv")).unwrap();
        output.append(b"half").unwrap();
        assert!(names(directory.path())[0].starts_with(".rows.csv.part-"));
        drop(output);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn two_outputs_of_one_name_do_not_meet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        let (mut a, mut b) = (open(&path).unwrap(), open(&path).unwrap());
        a.append(b"a").unwrap();
        b.append(b"bb").unwrap();
        b.finish().unwrap();
        a.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a");
    }

    #[test]
    fn wrong_places_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = open(&directory.path().join("none/rows.csv")).map(drop).unwrap_err();
        assert!(matches!(missing, SinkError::NoDirectory { .. }), "{missing}");
        assert!(missing.to_string().contains("none/rows.csv"));
        assert!(matches!(open(directory.path()).map(drop).unwrap_err(), SinkError::IsDirectory { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn a_long_name_and_a_link_work() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("{}.csv", "n".repeat(251)));
        let link = directory.path().join("link.csv");
        open(&path).unwrap().finish().unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut output = open(&link).unwrap();
        output.append(b"x").unwrap();
        output.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_is_that_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (ours, plain) = (directory.path().join("a"), directory.path().join("b"));
        open(&ours).unwrap().finish().unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_into_and_stays() {
        use std::os::unix::fs::FileTypeExt;
        let mut output = open(Path::new("/dev/null")).unwrap();
        output.append(b"gone").unwrap();
        assert_eq!(output.finish().unwrap(), 4);
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_and_the_end() {
        let mut output = open(Path::new("/dev/full")).unwrap();
        let error = output.append(b"x").unwrap_err();
        assert!(error.to_string().contains("/dev/full") && error.to_string().contains("free some space"), "{error}");
        assert!(matches!(output.finish().unwrap_err(), SinkError::Incomplete { .. }));
    }
}
