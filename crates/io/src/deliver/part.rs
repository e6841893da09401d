//! A file in the making, on the disk of its final name.
//!
//! Where the system has files without a name (`O_TMPFILE`), the file gets one when it is whole: a process that is killed
//! leaves nothing. Elsewhere it is `.NAME.part-PID-N` beside its final name, locked as long as somebody writes it; one that a
//! killed process left is removed by the next run that writes to the same name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file in the making. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    place: PathBuf,
    how: How,
}

#[derive(Debug)]
enum How {
    #[cfg(target_os = "linux")]
    Unnamed(unnamed::Directory),
    Named(Named),
}

/// Why a whole file could not get its name, and where it is now.
#[derive(Debug)]
pub(super) struct NotPlaced {
    pub(super) error: io::Error,
    /// None where it is lost.
    pub(super) kept: Option<PathBuf>,
}

impl Part {
    /// A file that becomes `place`. A private one is readable by its owner alone, until its mode is set.
    pub(super) fn create(place: PathBuf, private: bool) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Ok((file, directory)) = unnamed::create(&place, private) {
            return Ok(Self { file, place, how: How::Unnamed(directory) });
        }
        Self::named(place, private)
    }

    fn named(place: PathBuf, private: bool) -> io::Result<Self> {
        let (file, named) = Named::create(&place, private)?;
        Ok(Self { file, place, how: How::Named(named) })
    }

    /// What to write to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the whole file its name, in place of an older one. Where that fails the file is kept under another.
    pub(super) fn put_into_place(self) -> Result<(), NotPlaced> {
        match self.how {
            #[cfg(target_os = "linux")]
            How::Unnamed(directory) => directory.put_into_place(&self.file, &self.place),
            How::Named(named) => named.put_into_place(&self.place),
        }
    }
}

/// The directory of a file.
fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.NAME.part-PID-N`: hidden, no reader's pattern for the format takes it, and two runs never share one.
fn part_name(place: &Path) -> OsString {
    static NEXT: AtomicU64 = AtomicU64::new(0);

    let mut name = part_stem(place);
    name.push(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    name
}

/// What the names of all parts of a file begin with.
fn part_stem(place: &Path) -> OsString {
    /// File systems take names of 255 bytes; the rest of the part's name needs up to 40.
    const MAX_NAME: usize = 200;

    let mut name = OsString::from(".");
    match place.file_name() {
        Some(file) if file.len() <= MAX_NAME => name.push(file),
        _ => name.push("joyfuljay"),
    }
    name.push(".part-");
    name
}

/// The name under which a file is kept that could not get its own: not hidden, and no part that a later run would remove.
fn kept_name(part: &Path) -> Option<PathBuf> {
    let name = part.file_name()?.to_str()?;
    Some(part.with_file_name(name.strip_prefix('.')?))
}

/// Makes the new name itself durable. Best effort: some file systems refuse, and the contents are safe already.
fn sync_directory(file: &Path) {
    let _ = File::open(directory_of(file)).and_then(|d| d.sync_all());
}

/// A file with a name of its own. Dropped, it is removed.
#[derive(Debug)]
struct Named {
    path: PathBuf,
    placed: bool,
}

impl Named {
    fn create(place: &Path, private: bool) -> io::Result<(File, Self)> {
        /// Each failed try is another process that has our number or takes our file for one that was left.
        const TRIES: usize = 100;

        remove_left(place);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o666 });
        #[cfg(not(unix))]
        let _ = private;
        for _ in 0..TRIES {
            let path = directory_of(place).join(part_name(place));
            match options.open(&path) {
                Ok(file) => {
                    // Where files cannot be locked, nobody takes this one for left behind either.
                    let _ = file.try_lock();
                    if path.try_exists()? {
                        return Ok((file, Self { path, placed: false }));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn put_into_place(mut self, place: &Path) -> Result<(), NotPlaced> {
        self.placed = true;
        match fs::rename(&self.path, place) {
            Ok(()) => {
                sync_directory(place);
                Ok(())
            }
            Err(error) => {
                let visible = kept_name(&self.path).filter(|kept| fs::rename(&self.path, kept).is_ok());
                Err(NotPlaced { error, kept: Some(visible.unwrap_or_else(|| self.path.clone())) })
            }
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing can be done about a failure here; the name says that the file is a part.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes parts of this file that nobody writes any more: their process was killed. One of which that is not known is left.
fn remove_left(place: &Path) {
    let stem = part_stem(place);
    let Ok(entries) = fs::read_dir(directory_of(place)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(stem.as_encoded_bytes()) {
            continue;
        }
        let left = OpenOptions::new().write(true).open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if left {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(target_os = "linux")]
mod unnamed {
    //! Files without a name, open(2) `O_TMPFILE`. They get one by a link from `/proc/self/fd`, as only the superuser may link a
    //! descriptor itself.

    use std::fs::File;
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open, openat, renameat, unlinkat};

    use super::{NotPlaced, directory_of, kept_name, part_name, sync_directory};

    /// The directory in which the file gets its name, wherever it is moved to meanwhile.
    #[derive(Debug)]
    pub(super) struct Directory(OwnedFd);

    /// A file without a name. Fails where the system has none, or has them and cannot name them: that is tried with another one
    /// first, as a file can be named only once, and when there are rows in it is too late.
    pub(super) fn create(place: &Path, private: bool) -> io::Result<(File, Directory)> {
        let directory =
            Directory(open(directory_of(place), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        let trial = part_name(place);
        directory.link(&directory.file(true)?, Path::new(&trial))?;
        unlinkat(&directory.0, &trial, AtFlags::empty())?;
        Ok((directory.file(private)?, directory))
    }

    impl Directory {
        fn file(&self, private: bool) -> io::Result<File> {
            let mode = if private { Mode::RUSR | Mode::WUSR } else { Mode::from_raw_mode(0o666) };
            Ok(File::from(openat(&self.0, ".", OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, mode)?))
        }

        fn link(&self, file: &File, name: &Path) -> io::Result<()> {
            let descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(linkat(CWD, descriptor, &self.0, name, AtFlags::SYMLINK_FOLLOW)?)
        }

        /// A link never replaces a file, so the file gets a name of its own first and is renamed then.
        pub(super) fn put_into_place(&self, file: &File, place: &Path) -> Result<(), NotPlaced> {
            let lost = |error| NotPlaced { error, kept: None };
            let part = directory_of(place).join(part_name(place));
            let name = |path: &Path| path.file_name().map(ToOwned::to_owned).unwrap_or_default();
            let rename = |to: &Path| renameat(&self.0, name(&part), &self.0, name(to));
            self.link(file, Path::new(&name(&part))).map_err(lost)?;
            match rename(place) {
                Ok(()) => {
                    sync_directory(place);
                    Ok(())
                }
                Err(error) => {
                    let visible = kept_name(&part).filter(|kept| rename(kept).is_ok());
                    Err(NotPlaced { error: error.into(), kept: Some(visible.unwrap_or(part)) })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    type Create = fn(PathBuf, bool) -> io::Result<Part>;
    const WAYS: [Create; 2] = [Part::create, Part::named];

    #[test]
    fn a_whole_file_replaces_the_old_one_and_a_dropped_one_is_gone() {
        for create in WAYS {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path().join("rows.csv");
            for text in ["old", "new"] {
                let part = create(place.clone(), false).unwrap();
                part.file().write_all(text.as_bytes()).unwrap();
                part.put_into_place().unwrap();
                assert_eq!(fs::read_to_string(&place).unwrap(), text);
                drop(create(place.clone(), false).unwrap());
                assert_eq!(names(directory.path()), ["rows.csv"]);
            }
        }
    }

    #[test]
    fn a_file_that_cannot_get_its_name_is_kept_and_found() {
        for create in WAYS {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path().join("rows.csv");
            let part = create(place.clone(), false).unwrap();
            part.file().write_all(b"rows").unwrap();
            // Meanwhile somebody made a directory of this name.
            fs::create_dir(&place).unwrap();
            let kept = part.put_into_place().unwrap_err().kept.unwrap();
            assert_eq!(fs::read(&kept).unwrap(), b"rows");
            assert!(kept.file_name().unwrap().to_str().unwrap().starts_with("rows.csv.part-"), "{kept:?}");
            // A later run leaves it alone.
            drop(Part::named(place, false).unwrap());
            assert!(kept.exists());
        }
    }

    #[test]
    fn parts_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("rows.csv");
        let left = directory.path().join(".rows.csv.part-4000000-0");
        let other = directory.path().join(".rows.csv2.part-4000000-0");
        fs::write(&left, "half").unwrap();
        fs::write(&other, "half").unwrap();
        let living = Part::named(place.clone(), false).unwrap();
        let second = Part::named(place, false).unwrap();
        assert!(!left.exists() && other.exists());
        let How::Named(named) = &living.how else { panic!("named") };
        assert!(named.path.exists());
        drop(second);
        living.put_into_place().unwrap();
        assert_eq!(names(directory.path()), [".rows.csv2.part-4000000-0", "rows.csv"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_that_is_moved_takes_its_file_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::create_dir(&old).unwrap();
        let part = Part::create(old.join("rows.csv"), false).unwrap();
        if matches!(part.how, How::Named(_)) {
            return; // this file system has no files without a name
        }
        fs::rename(&old, &new).unwrap();
        part.put_into_place().unwrap();
        assert_eq!(names(&new), ["rows.csv"]);
    }
}
