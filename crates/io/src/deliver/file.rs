//! A file that appears under its name only when it is whole; or a device or a pipe, which is written straight into.
//!
//! A crash must never leave a file that looks whole. So a regular file is written without its name, in the same directory and
//! thus on the same disk, made durable and then renamed, which replaces an older file in one step. That it can be put there is
//! looked into before the run, not after hours of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::behind::WriteBehind;
use super::part::{NotPlaced, Part};
use super::{BytePlace, access};
use crate::sink::SinkError;

/// Opens the file, the device or the pipe of this name.
pub(super) fn open(path: &Path) -> Result<Box<dyn BytePlace>, SinkError> {
    let name = path.display().to_string();
    if path.as_os_str().is_empty() {
        return Err(SinkError::NoName);
    }
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(SinkError::IsDirectory { target: name }),
        // A device or a pipe cannot be replaced, and must not be.
        Ok(meta) if !meta.is_file() => {
            let file = OpenOptions::new().write(true).open(path).map_err(|e| SinkError::io(&name, "open", e))?;
            Ok(Box::new(Pipe { file, name }))
        }
        // Through a link to the file that it names, so that the link stays.
        Ok(meta) => WholeFile::create(fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()), Some(&meta), name),
        Err(e) if e.kind() == io::ErrorKind::NotFound => WholeFile::create(behind_links(path, &name)?, None, name),
        Err(e) => Err(SinkError::io(&name, "write to this place", e)),
    }
}

/// The name that a link to nothing leads to, or the path itself.
fn behind_links(path: &Path, name: &str) -> Result<PathBuf, SinkError> {
    /// As many as Linux follows; a circle is an error of its own before.
    const MAX_LINKS: usize = 40;

    let mut place = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&place) {
            Ok(target) => place = place.parent().map_or_else(|| target.clone(), |directory| directory.join(&target)),
            Err(_) => break,
        }
    }
    // `new/` and `new/.`, of which a path holds only the last name.
    let bytes = place.as_os_str().as_encoded_bytes();
    let last = bytes.strip_suffix(b".").unwrap_or(bytes).last();
    if last.is_some_and(|b| std::path::is_separator(char::from(*b))) || place.file_name().is_none() {
        return Err(SinkError::IsDirectory { target: name.to_owned() });
    }
    Ok(place)
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

/// A file in the making. Dropped without [`BytePlace::finish`], it is gone.
struct WholeFile {
    part: Part,
    behind: WriteBehind,
    name: String,
}

impl WholeFile {
    /// A file that is to be `place`, where the file of `old` is now.
    fn create(place: PathBuf, old: Option<&fs::Metadata>, name: String) -> Result<Box<dyn BytePlace>, SinkError> {
        let directory = place.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        if let Some(reason) = old.and_then(|old| access::refusal(&place, old, &directory)) {
            return Err(SinkError::NotReplaceable { target: name, reason: reason.to_owned() });
        }
        let part = Part::create(place.clone(), old.is_some()).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                SinkError::NoDirectory { target: name.clone(), directory: directory.display().to_string() }
            }
            _ => SinkError::io(&name, "create the file", e),
        })?;
        if let Some(old) = old {
            access::keep(&place, old, part.file()).map_err(|(what, e)| SinkError::NotReplaceable {
                target: name.clone(),
                reason: format!("its {what} could not be kept: {e}"),
            })?;
        }
        Ok(Box::new(Self { part, behind: WriteBehind::default(), name }))
    }
}

impl BytePlace for WholeFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_followed(&self) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let Self { part, behind, name } = *self;
        behind
            .finish()
            .and_then(|()| part.file().sync_all())
            .map_err(|e| SinkError::io(&name, "make the file durable", e))?;
        part.put_into_place().map_err(|NotPlaced { error, kept }| match kept {
            Some(kept) => SinkError::NotPlaced { target: name, kept: kept.display().to_string(), source: error },
            None => SinkError::io(&name, "put the file into place", error),
        })
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.part.file().write(bytes)?;
        self.behind.wrote(self.part.file(), written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.file().flush()
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
        assert_eq!(output.finish().unwrap(), 3);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["rows.csv"]);
    }

    #[test]
    fn dropped_unfinished_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = open(&directory.path().join("rows.csv")).unwrap();
        output.append(b"half").unwrap();
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
        for name in ["new/", "new/."] {
            let error = open(&directory.path().join(name)).map(drop).unwrap_err();
            assert!(matches!(error, SinkError::IsDirectory { .. }), "{error}");
        }
        assert!(matches!(open(Path::new("")).map(drop).unwrap_err(), SinkError::NoName));
        fs::write(directory.path().join("file"), "").unwrap();
        for name in [format!("{}.csv", "n".repeat(252)), "file/rows.csv".into(), "file/".into()] {
            let error = open(&directory.path().join(&name)).map(drop).unwrap_err();
            assert!(matches!(error, SinkError::Io { .. }) && error.to_string().contains(&name), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_gets_its_target() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        symlink("second", at("first")).unwrap();
        symlink("sub/rows.csv", at("second")).unwrap();
        open(&at("first")).unwrap().finish().unwrap();
        assert!(at("sub/rows.csv").is_file());
        assert!(fs::symlink_metadata(at("first")).unwrap().is_symlink());
        symlink("nowhere/rows.csv", at("lost")).unwrap();
        let error = open(&at("lost")).map(drop).unwrap_err();
        assert!(matches!(error, SinkError::NoDirectory { .. }) && error.to_string().contains("nowhere"), "{error}");
        symlink("circle", at("circle")).unwrap();
        assert!(matches!(open(&at("circle")).map(drop).unwrap_err(), SinkError::Io { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode_and_owner() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        for mode in [0o600, 0o640, 0o666, 0o444] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let other_owner = chown(&path, Some(4321), Some(1234)).is_ok();
            let mut output = open(&path).unwrap();
            output.append(b"new").unwrap();
            output.finish().unwrap();
            let meta = fs::metadata(&path).unwrap();
            assert_eq!(meta.mode() & 0o777, mode);
            if other_owner {
                assert_eq!((meta.uid(), meta.gid()), (4321, 1234));
            }
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn rows_that_cannot_be_placed_are_kept_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        let mut output = open(&path).unwrap();
        output.append(b"rows").unwrap();
        fs::create_dir(&path).unwrap();
        let Err(SinkError::NotPlaced { target, kept, source }) = output.finish() else { panic!("placed") };
        assert_eq!(fs::read(&kept).unwrap(), b"rows");
        let text = SinkError::NotPlaced { target, kept: kept.clone(), source }.to_string();
        assert!(text.contains(&kept) && text.contains("rows.csv:"), "{text}");
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
