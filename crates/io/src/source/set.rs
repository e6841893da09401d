//! Everything that the user named, as one source: file after file, each opened when its turn comes.

use super::error::{SourceError, SourceWarning, Trouble};
use super::expand::{Group, Item, expand};
use super::input;
use super::order::{same_series, sort_by_time};
use super::reader::CaptureReader;
use super::sequence::TimeOrder;
use super::{CaptureInfo, Clock, PacketSource, Position, Pulled};
use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::metrics::Mode;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How inputs are looked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaptureOptions {
    /// Whether directories are read with all that is below them.
    pub recursive: bool,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self { recursive: true }
    }
}

/// Which captures are of one sensor, where there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Those of one folder.
    Folders,
    /// None: each is by itself.
    Files,
}

/// Captures read one after the other. A batch never holds frames of two files.
#[derive(Debug)]
pub struct CaptureSet {
    groups: VecDeque<Pending>,
    current: Option<CaptureReader>,
    last_info: CaptureInfo,
    warnings: Vec<SourceWarning>,
    order: Box<TimeOrder>,
    read: u64,
    total: Option<u64>,
    files_done: usize,
    files_total: usize,
    streams: bool,
}

/// A group with files that have not been read.
#[derive(Debug)]
struct Pending {
    name: String,
    named: bool,
    files: VecDeque<Item>,
    files_total: usize,
    captures: usize,
    first_refusal: Option<String>,
}

impl CaptureSet {
    /// Finds the files of `inputs`: each `-` (standard input), a file, a directory or a pattern.
    ///
    /// Files that are named are looked into at once, so that a slip of the pen shows before hours of work.
    ///
    /// # Errors
    /// When an input does not exist, matches nothing, or is a named file that is no capture.
    pub fn open<P: AsRef<Path>>(inputs: &[P], options: &CaptureOptions) -> Result<Self, SourceError> {
        if inputs.is_empty() {
            return Err(SourceError::NoInput);
        }
        let mut set = Self::empty();
        for input in inputs {
            let mut group = expand(input.as_ref(), options.recursive)?;
            set.warnings.append(&mut group.warnings);
            for item in &group.files {
                let size = match item {
                    Item::Stdin => input::stdin().ok().and_then(|opened| opened.size()),
                    Item::File(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|meta| meta.len()),
                };
                set.streams |= match item {
                    Item::Stdin => size.is_none(),
                    Item::File(path) => fs::metadata(path).is_ok_and(|meta| !meta.is_file()),
                };
                if let (Item::File(path), true, Some(_)) = (item, group.named, size) {
                    drop(CaptureReader::open(path)?);
                }
                set.total = set.total.zip(size).map(|(total, size)| total + size);
            }
            set.files_total += group.files.len();
            set.groups.push_back(Pending::new(group));
        }
        set.sort_series();
        Ok(set)
    }

    fn empty() -> Self {
        Self {
            groups: VecDeque::new(),
            current: None,
            last_info: CaptureInfo::default(),
            warnings: Vec::new(),
            order: Box::default(),
            read: 0,
            total: Some(0),
            files_done: 0,
            files_total: 0,
            streams: false,
        }
    }

    /// Named files of one series are put into order: it was the shell that put `x.pcap10` before `x.pcap2`. Else the order is
    /// the user's.
    fn sort_series(&mut self) {
        let mut sorted = VecDeque::with_capacity(self.groups.len());
        let mut series: Vec<Pending> = Vec::new();
        for group in std::mem::take(&mut self.groups) {
            let goes_on = match (series.last().and_then(Pending::named_file), group.named_file()) {
                (Some(last), Some(file)) => same_series(last, file),
                _ => false,
            };
            if !goes_on {
                sort_by_time(&mut series);
                sorted.extend(series.drain(..));
            }
            series.push(group);
        }
        sort_by_time(&mut series);
        sorted.extend(series);
        self.groups = sorted;
    }

    /// Takes the file that rows will go to out of what is read: in a folder lies the result of the last run.
    ///
    /// # Errors
    /// When it is a capture, or was named as one: rows written to it would take its place.
    pub fn exclude_output(&mut self, output: &Path) -> Result<(), SourceError> {
        let Ok(place) = fs::canonicalize(output) else { return Ok(()) };
        for group in &mut self.groups {
            let same = |item: &Item| match item {
                Item::Stdin => is_stdin(&place),
                Item::File(file) => fs::canonicalize(file).is_ok_and(|file| file == place),
            };
            if !group.files.iter().any(same) {
                continue;
            }
            if group.named || CaptureReader::open(&place).is_ok() {
                return Err(SourceError::IsOutput { path: output.display().to_string() });
            }
            let before = group.files.len();
            group.files.retain(|item| !same(item));
            let removed = before - group.files.len();
            group.files_total -= removed;
            self.files_total -= removed;
            let size = fs::metadata(&place).map_or(0, |meta| meta.len()) * removed as u64;
            self.total = self.total.map(|total| total.saturating_sub(size));
            if group.files.is_empty() {
                return Err(SourceError::EmptyDirectory { path: group.name.clone() });
            }
        }
        Ok(())
    }

    /// The names of all files, in the order in which they are read.
    ///
    /// # Errors
    /// When a pipe or a device is among them, which cannot be read twice.
    pub fn into_files(self) -> Result<Vec<String>, SourceError> {
        let items = self.groups.into_iter().flat_map(|group| group.files);
        let stream = |path: String| SourceError::Stream { path };
        let file = |item| match item {
            Item::File(path) if path.is_file() => Ok(path.display().to_string()),
            Item::File(path) if fs::metadata(&path).is_ok() => Err(stream(path.display().to_string())),
            Item::File(path) => Ok(path.display().to_string()),
            Item::Stdin => Err(stream("standard input".to_owned())),
        };
        items.map(file).collect()
    }

    /// The captures of different sensors, those of one sensor in the order in which they would be read. The sensors are in the order of
    /// their first captures, each with the path of its folder or file. Found files that are no captures are left out, as ever, and looked
    /// into at once.
    ///
    /// # Errors
    /// When a pipe or a device is among them, or no capture was found.
    pub fn apart(self, by: Apart) -> Result<Vec<(String, Self)>, SourceError> {
        let mut sensors: Vec<(String, Self)> = Vec::new();
        let mut folders: HashMap<PathBuf, usize> = HashMap::new();
        let mut warnings = self.warnings;
        for mut group in self.groups {
            for item in std::mem::take(&mut group.files) {
                let Item::File(path) = item else {
                    return Err(SourceError::Stream { path: "standard input".to_owned() });
                };
                let size = match fs::metadata(&path) {
                    Ok(meta) if !meta.is_file() => {
                        return Err(SourceError::Stream { path: path.display().to_string() });
                    }
                    meta => meta.map_or(0, |meta| meta.len()),
                };
                if !group.named
                    && let Err(error) = CaptureReader::open(&path)
                {
                    warnings.push(group.refused(&error, path.display().to_string()));
                    continue;
                }
                group.captures += 1;
                let new = sensors.len();
                let here = Path::new(".");
                let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(here);
                let (at, name) = match by {
                    Apart::Files => (new, path.as_path()),
                    Apart::Folders => (*folders.entry(folder.to_owned()).or_insert(new), folder),
                };
                if at == new {
                    sensors.push((name.display().to_string(), Self::empty()));
                }
                if let Some((_, sensor)) = sensors.get_mut(at) {
                    sensor.push(&group, path, size);
                }
            }
            if let Some(error) = group.verdict() {
                return Err(error);
            }
        }
        if let Some((_, first)) = sensors.first_mut() {
            first.warnings = warnings;
        }
        Ok(sensors)
    }

    /// Takes a file of a group of another set.
    fn push(&mut self, of: &Pending, path: PathBuf, size: u64) {
        let named = of.named;
        if !self.groups.back().is_some_and(|last| !last.named && !named && last.name == of.name) {
            let name = of.name.clone();
            self.groups.push_back(Pending::new(Group { name, named, files: Vec::new(), warnings: Vec::new() }));
        }
        if let Some(last) = self.groups.back_mut() {
            last.files.push_back(Item::File(path));
            last.files_total += 1;
        }
        self.files_total += 1;
        self.total = self.total.map(|total| total + size);
    }

    /// Whether a pipe or a device is among the inputs, whose end need not come by itself.
    pub fn has_streams(&self) -> bool {
        self.streams
    }

    /// What is known of the capture being read, or of the last one.
    pub fn info(&self) -> CaptureInfo {
        self.current.as_ref().map_or_else(|| self.last_info.clone(), CaptureReader::info)
    }

    /// Opens the next file that is a capture; `false` where none is left.
    fn advance(&mut self) -> Result<bool, SourceError> {
        while let Some(group) = self.groups.front_mut() {
            let Some(item) = group.files.pop_front() else {
                let error = group.verdict();
                self.groups.pop_front();
                match error {
                    Some(error) => return Err(error),
                    None => continue,
                }
            };
            let opened = match &item {
                Item::Stdin => CaptureReader::stdin(),
                Item::File(path) => CaptureReader::open(path),
            };
            match opened {
                Ok(reader) => {
                    group.captures += 1;
                    self.order.begin(reader.name(), true);
                    self.current = Some(reader);
                    return Ok(true);
                }
                Err(error) => {
                    let Item::File(path) = &item else { return Err(error) };
                    self.pass_over(error, path.display().to_string())?;
                    self.read += fs::metadata(path).map_or(0, |meta| meta.len());
                    self.files_done += 1;
                }
            }
        }
        Ok(false)
    }

    /// Warns of a file that cannot be read (it is no capture, or has vanished, or may not be read) where the user did not name
    /// it; else that is an error.
    fn pass_over(&mut self, error: SourceError, path: String) -> Result<(), SourceError> {
        let Some(group) = self.groups.front_mut().filter(|group| !group.named) else { return Err(error) };
        self.warnings.push(group.refused(&error, path));
        Ok(())
    }

    fn close_current(&mut self) {
        if let Some(mut reader) = self.current.take() {
            self.warnings.append(&mut reader.take_warnings());
            self.read += reader.position().read;
            self.last_info = reader.info();
            self.files_done += 1;
        }
    }
}

impl PacketSource for CaptureSet {
    fn is_stream(&self) -> bool {
        self.has_streams()
    }

    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        out.frames.clear();
        loop {
            if let Some(reader) = &mut self.current {
                match reader.pull(out, wait) {
                    Ok(Pulled::End) => self.close_current(),
                    Ok(pulled) => {
                        self.order.see(out);
                        return Ok(pulled);
                    }
                    Err(error) => {
                        let path = reader.name().to_owned();
                        // Of a stream it shows only now that it is no capture.
                        let was_capture = !error.is_no_capture();
                        self.pass_over(error, path)?;
                        self.close_current();
                        if let (Some(group), false) = (self.groups.front_mut(), was_capture) {
                            group.captures -= 1;
                        }
                    }
                }
            }
            if !self.advance()? {
                let said = [self.order.take_overlaps(), self.order.take_late()];
                self.warnings.extend(said.into_iter().flatten());
                return Ok(Pulled::End);
            }
        }
    }

    fn stop(&mut self) {
        self.groups.clear();
        if let Some(reader) = &mut self.current {
            reader.stop();
        }
    }

    fn position(&self) -> Position {
        let current = self.current.as_ref();
        Position {
            read: self.read + current.map_or(0, |reader| reader.position().read),
            total: self.total,
            files_done: self.files_done,
            files_total: self.files_total,
            current: current.map(|reader| reader.name().to_owned()),
        }
    }

    fn clock(&self) -> Option<Clock> {
        self.current.as_ref().and_then(CaptureReader::clock)
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let mut warnings = std::mem::take(&mut self.warnings);
        if let Some(reader) = &mut self.current {
            warnings.append(&mut reader.take_warnings());
        }
        warnings
    }
}

impl Pending {
    fn new(group: Group) -> Self {
        Self {
            name: group.name,
            named: group.named,
            files_total: group.files.len(),
            files: group.files.into(),
            captures: 0,
            first_refusal: None,
        }
    }

    /// A found file was not read: what is said of it.
    fn refused(&mut self, error: &SourceError, path: String) -> SourceWarning {
        let message = error.to_string();
        self.first_refusal.get_or_insert_with(|| message.clone());
        SourceWarning { path, offset: 0, trouble: Trouble::NotRead, message: format!("{message}; skipped") }
    }

    /// The file, where it was named itself.
    fn named_file(&self) -> Option<&Path> {
        match self.files.front() {
            Some(Item::File(path)) if self.named => Some(path),
            _ => None,
        }
    }

    /// The error of a group that is through and held no capture.
    fn verdict(&mut self) -> Option<SourceError> {
        let first = self.first_refusal.take().filter(|_| self.captures == 0)?;
        Some(SourceError::NoCapture { name: self.name.clone(), files: self.files_total, first })
    }
}

impl AsRef<Path> for Pending {
    /// The file that was named; of other groups, what they were named by.
    fn as_ref(&self) -> &Path {
        self.named_file().unwrap_or(Path::new(&self.name))
    }
}

/// Whether standard input is read from this file. Devices and pipes are not replaced by what is written to them.
#[cfg(unix)]
fn is_stdin(place: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let (Ok(stdin), Ok(file)) = (rustix::fs::fstat(std::io::stdin()), fs::metadata(place)) else { return false };
    file.is_file() && (file.dev(), file.ino()) == (stdin.st_dev, stdin.st_ino)
}

/// Not known on this system.
#[cfg(not(unix))]
fn is_stdin(_place: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::super::testing::Writer;
    use super::*;

    fn capture(dir: &Path, name: &str, frames: u32) -> String {
        let w = Writer { big: false };
        let mut file = w.pcap(0xa1b2_c3d4, (2, 4), 100, 1);
        for i in 0..frames {
            file.extend(w.record(i, 0, 1, 0, b"x"));
        }
        let path = dir.join(name);
        fs::write(&path, file).unwrap();
        path.display().to_string()
    }

    fn drain(set: &mut CaptureSet) -> Result<Vec<usize>, SourceError> {
        let (mut batch, mut sizes) = (FrameBatch::new(), Vec::new());
        while set.pull(&mut batch, Duration::ZERO)? != Pulled::End {
            sizes.push(batch.frames.len());
        }
        Ok(sizes)
    }

    #[test]
    fn files_follow_each_other_and_the_position_adds_up() {
        let dir = tempfile::tempdir().unwrap();
        let inputs = [capture(dir.path(), "b", 3), capture(dir.path(), "empty", 0), capture(dir.path(), "a", 2050)];
        let mut set = CaptureSet::open(&inputs, &CaptureOptions::default()).unwrap();
        assert!(matches!(set.exclude_output(&dir.path().join("./a")), Err(SourceError::IsOutput { .. })));
        set.exclude_output(&dir.path().join("c")).unwrap();
        assert_eq!(drain(&mut set).unwrap(), [3, 2048, 2]);
        let position = set.position();
        assert_eq!((position.files_done, position.files_total), (3, 3));
        assert_eq!(Some(position.read), position.total);
        let [warning] = &set.take_warnings()[..] else { panic!("one, of the captures that overlap") };
        assert_eq!(
            (&*warning.path, warning.message.contains(&format!(": begins 2.000 s before {} ends; ", inputs[0]))),
            (&*inputs[2], true)
        );
    }

    #[test]
    fn in_a_directory_other_files_are_skipped_with_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        capture(dir.path(), "a.pcap", 1);
        fs::write(dir.path().join("notes.txt"), "notes on a.pcap").unwrap();
        let inputs = [dir.path().display().to_string()];
        let mut set = CaptureSet::open(&inputs, &CaptureOptions::default()).unwrap();
        assert_eq!(drain(&mut set).unwrap(), [1]);
        let warnings = set.take_warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].message.contains("notes.txt: not a capture"), "{}", warnings[0]);
    }

    #[test]
    fn named_files_of_a_series_are_put_into_order_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, second: u32, frames: u32| {
            let w = Writer { big: false };
            let mut file = w.pcap(0xa1b2_c3d4, (2, 4), 100, 1);
            (0..frames).for_each(|_| file.extend(w.record(second, 0, 1, 0, b"x")));
            let path = dir.path().join(name);
            fs::write(&path, file).unwrap();
            path.display().to_string()
        };
        let series = [at("x.pcap", 10, 1), at("x.pcap10", 30, 3), at("x.pcap2", 20, 2)];
        let other = at("other.pcap", 5, 5);
        let open = |inputs: &[&String]| CaptureSet::open(inputs, &CaptureOptions::default()).unwrap();
        let [one, three, two] = &series;
        assert_eq!(drain(&mut open(&[one, three, two])).unwrap(), [1, 2, 3]);
        assert_eq!(drain(&mut open(&[three, &other, two, one])).unwrap(), [3, 5, 1, 2]);
        assert_eq!(drain(&mut open(&[one, &other])).unwrap(), [1, 5]);
    }

    #[test]
    fn what_vanishes_or_cannot_be_read_is_warned_of_and_the_rest_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        for (name, frames) in [("a.pcap", 1), ("b.pcap", 2), ("c.pcap", 3)] {
            capture(dir.path(), name, frames);
        }
        let mut set = CaptureSet::open(&[dir.path()], &CaptureOptions::default()).unwrap();
        fs::remove_file(dir.path().join("a.pcap")).unwrap();
        fs::remove_file(dir.path().join("b.pcap")).unwrap();
        fs::create_dir(dir.path().join("b.pcap")).unwrap();
        assert_eq!(drain(&mut set).unwrap(), [3]);
        let warnings = set.take_warnings();
        assert_eq!(warnings.len(), 2);
        assert!(warnings.iter().all(|w| w.trouble == Trouble::NotRead), "{warnings:?}");
        assert!(warnings[0].message.contains("a.pcap: No such file"), "{}", warnings[0]);
        // All gone, or the one that was named: that is an error.
        let mut all = CaptureSet::open(&[dir.path()], &CaptureOptions::default()).unwrap();
        let mut named = CaptureSet::open(&[dir.path().join("c.pcap")], &CaptureOptions::default()).unwrap();
        fs::remove_file(dir.path().join("c.pcap")).unwrap();
        assert!(matches!(drain(&mut all), Err(SourceError::NoCapture { .. })));
        assert!(matches!(drain(&mut named), Err(SourceError::Open { .. })));
    }

    #[test]
    fn the_output_of_the_last_run_is_no_capture() {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("flows.csv");
        fs::write(&output, "src_ip").unwrap();
        let open = || CaptureSet::open(&[dir.path()], &CaptureOptions::default()).unwrap();
        let alone = open().exclude_output(&output).unwrap_err();
        assert!(matches!(alone, SourceError::EmptyDirectory { .. }), "{alone}");
        let capture = capture(dir.path(), "a.pcap", 1);
        let mut set = open();
        set.exclude_output(&output).unwrap();
        assert_eq!(drain(&mut set).unwrap(), [1]);
        assert_eq!(set.take_warnings(), []);
        assert_eq!((Some(set.position().read), set.position().files_total), (set.position().total, 1));
        assert!(matches!(open().exclude_output(Path::new(&capture)), Err(SourceError::IsOutput { .. })));
        let mut named = CaptureSet::open(&[&capture], &CaptureOptions::default()).unwrap();
        named.exclude_output(&output).unwrap();
    }

    #[test]
    fn a_directory_without_captures_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes.txt"), "notes").unwrap();
        let mut set = CaptureSet::open(&[dir.path().display().to_string()], &CaptureOptions::default()).unwrap();
        let error = drain(&mut set).unwrap_err().to_string();
        assert!(error.contains("none of its 1 files") && error.contains("notes.txt"), "{error}");
    }

    #[test]
    fn a_named_file_that_is_no_capture_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let good = capture(dir.path(), "a.pcap", 1);
        let bad = dir.path().join("notes.txt");
        fs::write(&bad, "notes").unwrap();
        let inputs = [good, bad.display().to_string()];
        let error = CaptureSet::open(&inputs, &CaptureOptions::default()).unwrap_err();
        assert!(matches!(error, SourceError::NotCapture { .. }), "{error}");
    }
}
