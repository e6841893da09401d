use super::*;
use crate::source::{CaptureReader, PacketSource, Pulled};
use joyfuljay_core::frame::LinkType;
use proptest::prelude::*;
use std::process::Command;

/// Time, link type, length on the wire, bytes.
type Owned = (TimeNs, u16, u32, Vec<u8>);

fn batch(frames: &[Owned]) -> FrameBatch {
    let mut batch = FrameBatch::new();
    frames.iter().for_each(|(ts, link, wire_len, bytes)| batch.push(*ts, LinkType(*link), *wire_len, bytes));
    batch
}

fn read(path: &Path) -> Vec<Owned> {
    let mut reader = CaptureReader::open(path).unwrap();
    let (mut batch, mut all) = (FrameBatch::new(), Vec::new());
    while reader.pull(&mut batch, Duration::ZERO).unwrap() != Pulled::End {
        all.extend(batch.frames.iter().map(|f| (f.ts, f.link.0, f.wire_len, batch.bytes(f).to_vec())));
    }
    assert_eq!(reader.take_warnings(), []);
    all
}

/// The files of a directory, by name.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

fn tcp(second: i64, n: u8) -> Owned {
    (second * 1_000_000_000, 1, 60, vec![n; 60])
}

fn frame() -> impl Strategy<Value = Owned> {
    let ts = prop_oneof![any::<i64>(), 0..20_000_000_000i64, Just(i64::MIN), Just(i64::MAX), Just(-1)];
    let link = prop_oneof![Just(1u16), Just(101), Just(113), any::<u16>()];
    (ts, link, 0..=i32::MAX as u32, proptest::collection::vec(any::<u8>(), 0..90))
}

proptest! {
    /// Whatever the rotation: the files in the order of their names hold the frames, all and in order.
    #[test]
    fn the_parts_together_are_the_frames(
        batches in proptest::collection::vec(proptest::collection::vec(frame(), 0..12), 0..6),
        bytes in proptest::option::of(0u64..2000),
        every in proptest::option::of(1u64..8),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let rotation = Rotation { bytes, every: every.map(Duration::from_secs) };
        let mut writer = CaptureWriter::create(&directory.path().join("a.pcapng"), rotation).unwrap();
        for frames in &batches {
            writer.write_batch(&batch(frames)).unwrap();
        }
        let saved = writer.finish().unwrap();
        let all = batches.concat();
        let files = files(directory.path());
        let back: Vec<_> = files.iter().flat_map(|file| read(file)).collect();
        prop_assert_eq!(&back, &all);
        let size: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
        let want = Saved { files: files.len() as u64, frames: all.len() as u64, bytes: size, lost: 0 };
        prop_assert_eq!(saved, want);
        for file in &files {
            let frames = read(file);
            let size = file.metadata().unwrap().len();
            prop_assert!(bytes.is_none_or(|most| size <= most || frames.len() <= 1), "{} bytes", size);
            if let Some(every) = every {
                let every = i128::from(every) * 1_000_000_000;
                let period = i128::from(frames[0].0).div_euclid(every);
                // Of the period of its first frame, or a little too early.
                prop_assert!(frames.iter().all(|f| (period - 1..=period).contains(&i128::from(f.0).div_euclid(every))));
            }
        }
    }
}

#[test]
fn a_quiet_file_is_closed_by_the_clock() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation { every: Some(Duration::from_secs(2)), bytes: None };
    let mut writer = CaptureWriter::create(&directory.path().join("wire.pcapng"), rotation).unwrap();
    assert_eq!(files(directory.path()).len(), 0);
    writer.write_batch(&batch(&[tcp(101, 1)])).unwrap();
    let names = || files(directory.path()).iter().map(|f| f.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(), ["wire-19700101T000141Z-000001.pcapng.part"]);
    // The frame is there before the file is whole.
    assert_eq!(read(&files(directory.path())[0]).len(), 1);
    writer.tick(102_999_999_999).unwrap();
    assert!(names()[0].to_str().unwrap().ends_with(".part"));
    // A late frame of the old period is still taken.
    writer.write_batch(&batch(&[tcp(101, 2)])).unwrap();
    writer.tick(103_000_000_000).unwrap();
    assert_eq!(names(), ["wire-19700101T000141Z-000001.pcapng"]);
    for second in 104..110 {
        writer.tick(second * 1_000_000_000).unwrap();
    }
    assert_eq!(names().len(), 1, "no file without frames");
    writer.write_batch(&batch(&[tcp(110, 3), tcp(111, 4), tcp(112, 5)])).unwrap();
    let saved = writer.finish().unwrap();
    assert_eq!((saved.files, saved.frames, saved.lost), (3, 5, 0));
    assert_eq!(names()[1..], ["wire-19700101T000150Z-000001.pcapng", "wire-19700101T000152Z-000001.pcapng"]);
}

#[test]
fn names_of_an_earlier_run_are_not_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = Rotation { bytes: Some(100), every: None };
    for run in 1..=3 {
        let mut writer = CaptureWriter::create(&directory.path().join("w"), rotation).unwrap();
        writer.write_batch(&batch(&[tcp(5, run), tcp(5, run)])).unwrap();
        writer.finish().unwrap();
        let runs: Vec<_> = files(directory.path()).iter().map(|f| read(f)[0].3[0]).collect();
        assert_eq!(runs, (1..=run).flat_map(|n| [n, n]).collect::<Vec<_>>());
    }
}

#[test]
fn without_rotation_it_is_the_file_that_was_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pcapng");
    fs::write(&path, "old").unwrap();
    let mut writer = CaptureWriter::create(&path, Rotation::default()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    let again = CaptureWriter::create(&path, Rotation::default()).unwrap_err().to_string();
    assert!(again.contains("a.pcapng.part is there"), "{again}");
    writer.write_batch(&batch(&[tcp(1, 1)])).unwrap();
    writer.tick(i64::MAX).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&path), [tcp(1, 1)]);
    let discarded = CaptureWriter::create(&path, Rotation::default()).unwrap();
    discarded.discard();
    assert_eq!(files(directory.path()), [path.as_path()]);
    CaptureWriter::create(&path, Rotation::default()).unwrap().finish().unwrap();
    assert_eq!(read(&path), []);
}

#[test]
fn places_that_cannot_be_written_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |path: PathBuf, rotation| CaptureWriter::create(&path, rotation).unwrap_err().to_string();
    assert!(refused(directory.path().to_owned(), Rotation::default()).contains("names a directory"));
    assert!(refused(directory.path().join("no/a"), Rotation::default()).contains("does not exist"));
    let sized = Rotation { bytes: Some(1), every: None };
    #[cfg(unix)]
    assert!(refused("/dev/null".into(), sized).contains("a device"));
}

/// A full disk: the error says what to do, frames are counted, and when there is room again it goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let mut writer = CaptureWriter::create(Path::new("/dev/null"), Rotation::default()).unwrap();
    writer.write_batch(&batch(&[tcp(1, 1)])).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let sound = std::mem::replace(&mut writer.open.as_mut().unwrap().file, full);
    let error = writer.write_batch(&batch(&[tcp(2, 2), tcp(3, 3)])).unwrap_err().to_string();
    assert!(error.contains("cannot write the capture") && error.contains("free some space"), "{error}");
    assert_eq!((writer.saved().frames, writer.saved().lost), (1, 2));
    writer.open.as_mut().unwrap().file = sound;
    writer.write_batch(&batch(&[tcp(4, 4)])).unwrap();
    assert_eq!((writer.saved().frames, writer.saved().lost), (2, 2));
}

/// What was said of interfaces and did not reach the file is said again.
#[test]
fn behind_a_gap_the_file_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pcapng");
    let mut writer = CaptureWriter::create(&path, Rotation::default()).unwrap();
    // Opened for reading only, which no write passes.
    let unwritable = File::open(path.with_extension("pcapng.part")).unwrap();
    let writable = std::mem::replace(&mut writer.open.as_mut().unwrap().file, unwritable);
    assert!(writer.write_batch(&batch(&[tcp(2, 2)])).is_err());
    writer.open.as_mut().unwrap().file = writable;
    writer.write_batch(&batch(&[tcp(3, 3)])).unwrap();
    assert_eq!(writer.finish().unwrap().lost, 1);
    assert_eq!(read(&path), [tcp(3, 3)]);
}

/// Of Wireshark's programs, where they are installed.
#[test]
fn capinfos_reads_it() {
    if Command::new("capinfos").arg("--version").output().is_err() {
        eprintln!("skipped: no capinfos");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pcapng");
    let mut writer = CaptureWriter::create(&path, Rotation::default()).unwrap();
    writer.write_batch(&batch(&[tcp(1, 1), (1_000_000_007, 101, 1500, vec![0x45; 41])])).unwrap();
    writer.finish().unwrap();
    let out = Command::new("capinfos").args(["-M", "-T", "-r", "-c", "-d"]).arg(&path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.trim_end().ends_with("2\t1560"), "{text}");
}
