//! Names of capture files: unique, and in the order of the files also when they are sorted as text.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use joyfuljay_core::frame::TimeNs;

use crate::civil::civil;

/// Gives out the names of a run's files.
#[derive(Debug)]
pub(crate) struct Names {
    path: PathBuf,
    rotates: bool,
    /// The second of the last name, and its number in it.
    last: (i64, u32),
}

impl Names {
    pub(crate) fn new(path: &Path, rotates: bool) -> Self {
        Self { path: path.to_owned(), rotates, last: (0, 0) }
    }

    pub(crate) fn rotates(&self) -> bool {
        self.rotates
    }

    /// The name of the file whose first frame is of this time. Where time went back, that of the last name stays, so that
    /// names sort; years have four digits as far as times reach.
    pub(crate) fn next(&mut self, ts: TimeNs) -> PathBuf {
        if !self.rotates {
            return self.path.clone();
        }
        let (second, number) = self.last;
        let now = ts.div_euclid(1_000_000_000).max(0);
        self.last = if now > second { (now, 1) } else { (second, number + 1) };
        let (second, number) = self.last;
        let (year, month, day) = civil(second.div_euclid(86_400));
        let (h, m, s) = (second / 3600 % 24, second / 60 % 60, second % 60);
        let mut name = OsString::from(self.path.file_stem().unwrap_or_default());
        name.push(format!("-{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}Z-{number:06}"));
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }
}

/// The name of a file in the making.
pub(crate) fn part(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_though_time_goes_back() {
        let mut names = Names::new(Path::new("/x/wire.pcapng"), true);
        let times = [1_700_000_000_000_000_000, 1_700_000_000_999_999_999, -5, 1_700_000_001_000_000_000, i64::MAX, 0];
        let given: Vec<_> = times.map(|ts| names.next(ts)).to_vec();
        assert_eq!(given[0], Path::new("/x/wire-20231114T221320Z-000001.pcapng"));
        assert_eq!(given[1], Path::new("/x/wire-20231114T221320Z-000002.pcapng"));
        assert!(given.is_sorted() && given.iter().collect::<std::collections::HashSet<_>>().len() == given.len());
        assert_eq!(Names::new(Path::new("a"), false).next(0), Path::new("a"));
        assert_eq!(part(Path::new("a.pcap")), Path::new("a.pcap.part"));
    }
}
