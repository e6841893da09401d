//! Damaged captures through the whole pipeline: what is on disk may be anything, and must never break a run.
//!
//! The fuzz targets look for inputs that break a part; this drives all parts together, threads included, from real
//! captures, on stable Rust. Every case follows from the seed and its number alone, so `--case` repeats it.

mod damage;
mod trial;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use damage::Rng;
use trial::Settings;

/// What to run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many mutations.
    pub count: u64,
    /// Where the mutations follow from.
    pub seed: u64,
    /// Only this mutation.
    pub case: Option<u64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { count: 10_000, seed: 1, case: None }
    }
}

/// No capture here takes a tenth of this.
const MOST_TIME: Duration = Duration::from_secs(10);
/// When a run is given up for lost: nothing else can end a loop in this process.
const LOST: Duration = Duration::from_secs(120);
/// Most memory of the process, in bytes.
const MOST_MEMORY: u64 = 1 << 30;
/// Captures are cut to this size before they are mutated, so that many mutations fit into a minute.
const MOST_BYTES: usize = 128 << 10;

/// Runs the captures; `false` where one of them failed.
pub fn run(folder: &Path, wanted: &Wanted) -> Result<bool, Box<dyn Error>> {
    let mut sound = captures(folder)?;
    let malformed: Vec<PathBuf> = sound.extract_if(.., |p| p.starts_with(folder.join("malformed"))).collect();
    let watch = Watch::start();
    let mut tally =
        Tally { watch, passed: 0, failed: 0, refused: 0, frames: 0, rows: 0, slowest: (Duration::ZERO, String::new()) };
    if wanted.case.is_none() {
        for path in &malformed {
            let bytes = read(path)?;
            for workers in [1, 2] {
                let settings = Settings { workers, ..Settings::default() };
                tally.run(&format!("{} with {workers} workers", path.display()), bytes.clone(), settings);
            }
        }
        println!(
            "{} malformed captures as they are: {} passed, {} failed",
            malformed.len(),
            tally.passed,
            tally.failed
        );
    }
    let mut loaded = Vec::new();
    for path in &sound {
        let mut bytes = read(path)?;
        bytes.truncate(MOST_BYTES);
        loaded.push((path, bytes));
    }
    let cases = wanted.case.map_or(0..wanted.count, |n| n..n + 1);
    for case in cases {
        let mut rng = Rng::new(wanted.seed, case);
        let Some((path, bytes)) = loaded.get(rng.below(loaded.len().max(1))) else { break };
        let mut bytes = bytes.clone();
        damage::mutate(&mut bytes, &mut rng);
        let settings = Settings::random(&mut rng);
        tally.run(&format!("--seed {} --case {case}: {} {settings:?}", wanted.seed, path.display()), bytes, settings);
    }
    if tally.passed + tally.failed == 0 {
        return Err(format!("{}: no capture to damage", folder.display()).into());
    }
    println!("{} frames, {} rows, {} were no captures", tally.frames, tally.rows, tally.refused);
    println!("slowest: {:.2?}, {}", tally.slowest.0, tally.slowest.1);
    if let Some(peak) = peak_memory() {
        println!("peak memory: {} MiB", peak >> 20);
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(tally.failed == 0)
}

struct Tally {
    watch: Watch,
    passed: u64,
    failed: u64,
    refused: u64,
    frames: u64,
    rows: u64,
    slowest: (Duration, String),
}

impl Tally {
    fn run(&mut self, name: &str, bytes: Vec<u8>, settings: Settings) {
        let memory_before = peak_memory();
        self.watch.begin(name);
        let started = Instant::now();
        let mut outcome = trial::run(bytes, settings);
        let took = started.elapsed();
        self.watch.end();
        if took > self.slowest.0 {
            self.slowest = (took, name.to_owned());
        }
        if outcome.is_ok() && took > MOST_TIME {
            outcome = Err(format!("took {took:.1?}"));
        }
        // The peak is of the process: only the run that first exceeds it is to blame.
        if let (Some(before), Some(after)) = (memory_before, peak_memory())
            && before <= MOST_MEMORY
            && after > MOST_MEMORY
        {
            outcome = outcome.and_then(|_| Err(format!("memory rose from {} to {} MiB", before >> 20, after >> 20)));
        }
        match outcome {
            Ok(None) => (self.passed, self.refused) = (self.passed + 1, self.refused + 1),
            Ok(Some((frames, rows))) => {
                self.passed += 1;
                self.frames += frames;
                self.rows += rows;
            }
            Err(why) => {
                self.failed += 1;
                println!("FAILED {name}: {why}");
            }
        }
    }
}

/// Ends the process when a run does not end.
struct Watch(Arc<Mutex<Option<(Instant, String)>>>);

impl Watch {
    fn start() -> Self {
        let current: Arc<Mutex<Option<(Instant, String)>>> = Arc::default();
        let seen = Arc::clone(&current);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                if let Some((since, name)) = &*seen.lock().unwrap_or_else(PoisonError::into_inner)
                    && since.elapsed() > LOST
                {
                    println!("FAILED {name}: does not end");
                    std::process::exit(1);
                }
            }
        });
        Self(current)
    }

    fn begin(&self, name: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), name.to_owned()));
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Most memory that this process has held, in bytes, where the system reports it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

const ENDINGS: [&str; 4] = [".pcap", ".cap", ".pcapng", ".ntar"];

/// A name without the ending of its compression.
fn plain(name: &str) -> &str {
    [".gz", ".zst", ".lz4"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// The captures below a folder, by what their names end in, in the order of their names.
fn captures(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if ENDINGS.iter().any(|end| plain(&name).ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
