//! In which order files are read that were not put into one by hand.
//!
//! Captures of one ring buffer (`tcpdump -C`, `dumpcap -b`) must be read in the order they were written in, or a connection
//! that goes through several of them falls to pieces. Names tell it by their numbers (`x.pcap2` before `x.pcap10`), until the
//! ring begins anew or the newest file is the one without a number: so the time of the first packet decides where it can
//! be read, and names where it cannot.

use super::reader::CaptureReader;
use joyfuljay_core::frame::TimeNs;
use std::cmp::Ordering;
use std::path::Path;

/// Puts files found together into order.
pub(super) fn sort_found<T: AsRef<Path>>(files: &mut Vec<T>) {
    files.sort_by(|a, b| natural(a.as_ref(), b.as_ref()));
    sort_by_time(files);
}

/// Puts files by their first packets, and leaves those that begin at the same time as they are. One whose time is not known
/// stays behind the one before it.
pub(super) fn sort_by_time<T: AsRef<Path>>(files: &mut Vec<T>) {
    sort_by_first_packet(files, |file| first_time(file.as_ref()));
}

/// Puts files by the times of their first packets, as `first_time` says them; otherwise as [`CaptureSet`](super::CaptureSet) does.
pub fn sort_by_first_packet<T>(files: &mut Vec<T>, first_time: impl Fn(&T) -> Option<TimeNs>) {
    if files.len() < 2 {
        return;
    }
    let mut last = TimeNs::MIN;
    let mut timed: Vec<(TimeNs, T)> = Vec::with_capacity(files.len());
    for file in files.drain(..) {
        last = first_time(&file).unwrap_or(last);
        timed.push((last, file));
    }
    timed.sort_by_key(|(time, _)| *time);
    files.extend(timed.into_iter().map(|(_, file)| file));
}

/// The time of a file's first packet. Pipes are left alone: what is read of them is gone.
fn first_time(path: &Path) -> Option<TimeNs> {
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    CaptureReader::open(path).ok()?.first_time()
}

/// Whether two files differ only in their numbers and compression: `x.pcap`, `x.pcap1`, `x.pcap02.gz`.
pub fn same_series(a: &Path, b: &Path) -> bool {
    a.parent() == b.parent() && series(a) == series(b)
}

fn series(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let plain = [&b".gz"[..], b".zst", b".lz4"].iter().find_map(|end| name.strip_suffix(*end)).unwrap_or(name);
    plain.iter().copied().filter(|b| !matches!(b, b'0'..=b'9' | b'.' | b'_' | b'-')).collect()
}

/// Compares paths name by name, and in names numbers by their value.
fn natural(a: &Path, b: &Path) -> Ordering {
    let (mut of_a, mut of_b) = (a.components(), b.components());
    loop {
        let (a, b) = match (of_a.next(), of_b.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let (a, b) = (a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes());
        // `1` and `01` have one value: the bytes decide then, so that the order is the same everywhere.
        match natural_names(a, b).then_with(|| a.cmp(b)) {
            Ordering::Equal => {}
            order => return order,
        }
    }
}

fn natural_names(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let order = match (a.first(), b.first()) {
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let (of_a, of_b) = (number(&mut a), number(&mut b));
                of_a.len().cmp(&of_b.len()).then_with(|| of_a.cmp(of_b))
            }
            (Some(x), Some(y)) => {
                (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
                x.cmp(y)
            }
            (x, y) => return x.is_some().cmp(&y.is_some()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes the digits at the start, and gives them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.get(digits.iter().position(|b| *b != b'0').unwrap_or(digits.len())..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Writer;
    use super::*;
    use std::path::PathBuf;

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut paths: Vec<PathBuf> = names.iter().map(PathBuf::from).collect();
        sort_found(&mut paths);
        paths.into_iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn numbers_count_and_not_their_digits() {
        for order in [
            &["cap.pcap", "cap.pcap1", "cap.pcap2", "cap.pcap10", "cap.pcap11"][..],
            &["a_00009_2024.pcap", "a_00010_2024.pcap", "b_1.pcap"],
            &["9-59.pcap", "10-00.pcap", "10-1.pcap"],
            &["1", "2/1", "2/10", "10/1"],
            &["x01", "x1", "x001a", "x18446744073709551617", "x99999999999999999999"],
            &["A.pcap", "a.pcap"],
        ] {
            let mut mixed = order.to_vec();
            mixed.reverse();
            assert_eq!(sorted(&mixed), order);
        }
    }

    #[test]
    fn the_first_packet_decides_where_it_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let w = Writer { big: false };
        let write = |name: &str, second: Option<u32>| {
            let mut file = w.pcap(0xa1b2_c3d4, (2, 4), 100, 1);
            file.extend(second.map(|s| w.record(s, 0, 1, 0, b"x")).unwrap_or_default());
            std::fs::write(dir.path().join(name), file).unwrap();
        };
        // A ring that has begun anew, an empty capture, one that is none, one from before, and two that begin together.
        for (name, second) in [
            ("r0", Some(50)),
            ("r1", Some(60)),
            ("r2", Some(30)),
            ("r3", None),
            ("r10", Some(40)),
            ("z", Some(10)),
            ("za", Some(10)),
        ] {
            write(name, second);
        }
        std::fs::write(dir.path().join("r4.txt"), "notes").unwrap();
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        sort_found(&mut files);
        let names: Vec<_> = files.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["z", "za", "r2", "r3", "r4.txt", "r10", "r0", "r1"]);
    }

    #[test]
    fn a_series_differs_in_numbers_only() {
        let same = |a: &str, b: &str| same_series(Path::new(a), Path::new(b));
        assert!(
            same("c/x.pcap", "c/x.pcap1") && same("x.pcap.1", "x.pcap") && same("x_1_2024.pcap.gz", "x_2_2025.pcap")
        );
        assert!(!same("c/x.pcap", "d/x.pcap1") && !same("x.pcap", "y.pcap"));
    }
}
