//! Slices of a sequence of captures, for many tasks on one machine or on many: each flow is made by the task in whose slice it
//! begins, so the rows of all tasks together are those of one run over the whole.
//!
//! The captures of one sensor, in the order of time, are a sequence. It is cut at records. A task reads a lead-in, which shows the
//! flows that are open already, its slice, and a lead-out until its own flows have ended. A slice is at least ten idle timeouts
//! long, so that lead-in and lead-out are the smaller part of the work; where that leaves fewer slices than tasks, several
//! tasks share the flows of one slice by a hash.
//!
//! A lead-in of one idle timeout is enough to know which flows are open: what was quiet for longer has ended. With
//! `active_timeout` or `close_timeout` it also matters when a flow began. Then a task goes back four times as far, again and
//! again, until it has seen all open flows begin, or to the beginning of the sequence.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use joyfuljay_core::Config;
use joyfuljay_core::decode::FRAGMENTS_WAIT;
use joyfuljay_core::engine::{Engine, EngineSettings, Front, PacketBatch, Share};
use joyfuljay_core::flow::LATE_SYN;
use joyfuljay_core::frame::{SlicePart, TimeNs};
use joyfuljay_core::trackers::{TrackerMask, TrackerSettings};
pub use joyfuljay_io::source::{Local, Store};
use joyfuljay_io::source::{
    Mark, PacketSource, Pulled, Resume, SlicePlan, SliceSource, SourceError, first_time, marks, sort_by_first_packet,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Pipeline};

/// A slice is this many idle timeouts long, or longer.
pub const LEAST_IDLE_TIMEOUTS: i64 = 10;

/// What is read before a slice besides an idle timeout: frames may be out of order, and whether a SYN belongs to a connection is told by
/// how old that is.
const BESIDES: TimeNs = SliceSource::DISORDER + LATE_SYN;

/// How much farther a lead-in goes back when it was too short.
const FARTHER: i64 = 4;

/// Most tasks of a plan: more than any cluster runs at a time.
pub const MOST_TASKS: u32 = 100_000;

/// The work of one task. It can be sent to where the task runs as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slice {
    /// Its number, from 1 on.
    pub number: u32,
    /// How many tasks there are.
    pub of: u32,
    files: Vec<String>,
    /// Those of them that cannot be read: with a warning they are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unread: Vec<usize>,
    /// Where reading may begin, from the nearest to the farthest.
    lead_ins: Vec<LeadIn>,
    start: (usize, u64),
    end: Option<(usize, u64)>,
    /// Which of the flows: index, and how many tasks share the slice.
    share: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LeadIn {
    file: usize,
    at: Resume,
    not_before: TimeNs,
}

/// Divides a sequence of captures, given in the order of time, into the work of `tasks` tasks. The same for the same files and
/// configuration, wherever it is asked for.
///
/// The header of each capture is read; of captures that are to be cut in the middle, the headers of all records are.
///
/// # Errors
/// When there is no task or no file, or none of the files is a capture that can be opened.
pub fn plan(store: &dyn Store, files: &[String], tasks: u32, config: &Config) -> Result<Vec<Slice>, Error> {
    if files.is_empty() {
        return Err(Error::Slices("there is no capture to be cut".to_owned()));
    }
    if !(1..=MOST_TASKS).contains(&tasks) {
        return Err(Error::Slices(format!("{tasks} slices cannot be made; 1 to {MOST_TASKS} can")));
    }
    let sequence = Sequence::new(store, files)?;
    let settings = settings(config);
    let mut planner = Planner { store, sequence, marks: HashMap::new(), settings };
    let cuts = planner.cuts(tasks)?;
    Ok(planner.slices(&cuts, tasks))
}

/// Files in the order of their first packets; those without stay behind the one before them.
pub fn in_order(store: &dyn Store, mut files: Vec<String>) -> Vec<String> {
    sort_by_first_packet(&mut files, |file| first_time(store, file).ok().and_then(|(time, _)| time));
    files
}

/// One of the tasks of a plan.
///
/// # Errors
/// As [`plan`], and when there is no task of that number.
pub fn nth(store: &dyn Store, files: &[String], number: u32, of: u32, config: &Config) -> Result<Slice, Error> {
    let slice = (number > 0).then(|| plan(store, files, of, config)).transpose()?;
    let slice = slice.and_then(|slices| slices.into_iter().nth(number as usize - 1));
    slice.ok_or_else(|| Error::Slices(format!("there is no slice {number} of {of}; they are numbered from 1 to {of}")))
}

impl Slice {
    /// The share of the flows that is this task's, for [`Pipeline::share`].
    pub fn share(&self) -> Share {
        Share { index: self.share.0, of: self.share.1 }
    }

    /// The frames of this task. With `active_timeout` or `close_timeout`, looks for a lead-in that is long enough.
    ///
    /// # Errors
    /// When a capture in the lead-in cannot be read.
    pub fn open(&self, store: Arc<dyn Store>, pipeline: &Pipeline) -> Result<SliceSource, Error> {
        let last = self.lead_ins.len().saturating_sub(1);
        for lead_in in self.lead_ins.get(..last).unwrap_or_default() {
            if self.shows_beginnings(lead_in, &store, pipeline)? {
                return Ok(SliceSource::new(self.from(lead_in), store));
            }
        }
        let lead_in = self.lead_ins.last().ok_or_else(|| Error::Slices("a slice without a beginning".to_owned()))?;
        Ok(SliceSource::new(self.from(lead_in), store))
    }

    /// What is read with this lead-in.
    fn from(&self, lead_in: &LeadIn) -> SlicePlan {
        let from = lead_in.file;
        let place = |(file, offset): (usize, u64)| (file.saturating_sub(from), offset);
        SlicePlan {
            files: self.files.get(from..).unwrap_or_default().to_vec(),
            lead_in: lead_in.at.clone(),
            not_before: lead_in.not_before,
            start: place(self.start),
            end: self.end.map(place),
            warns: self.share.0 == 0,
            unread: self.unread.iter().filter_map(|file| file.checked_sub(from)).collect(),
        }
    }

    /// Whether a lead-in shows the first packet of every flow that is open where the slice begins: of what was there within
    /// an idle timeout from its own beginning, that is not known.
    fn shows_beginnings(&self, lead_in: &LeadIn, store: &Arc<dyn Store>, pipeline: &Pipeline) -> Result<bool, Error> {
        let mut settings = EngineSettings { share: self.share(), connections: None, ..*pipeline.engine_settings() };
        let idle = settings.flow.idle_timeout;
        settings.flow.active_timeout = None;
        settings.flow.close_timeout = idle;
        settings.flow.trackers = TrackerMask::NONE;
        settings.flow.tracker_settings = TrackerSettings::default();
        let mut front = Front::new(&settings);
        front.set_filter(pipeline.frame_filter());
        let (mut engine, mut batch) = (Engine::new(&settings), PacketBatch::default());
        let mut source = SliceSource::new(self.from(lead_in), Arc::clone(store));
        while matches!(source.pull(&mut batch.frames, Duration::ZERO)?, Pulled::Frames { .. })
            && source.slice_part() == Some(SlicePart::LeadIn)
        {
            front.enter(SlicePart::LeadIn);
            front.decode(&mut batch);
            engine.track(&batch);
            engine.flush();
        }
        let unknown_until = lead_in.not_before.saturating_add(idle).saturating_add(BESIDES);
        Ok(engine.earliest_open().is_none_or(|first| first >= unknown_until))
    }
}

/// How long flows may be quiet, and whether it matters when they began.
struct Settings {
    idle: TimeNs,
    beginnings: bool,
}

fn settings(config: &Config) -> Settings {
    let flow = EngineSettings::new(config, TrackerMask::NONE, TrackerSettings::default()).flow;
    let beginnings = flow.active_timeout.is_some() || flow.close_timeout < flow.idle_timeout;
    Settings { idle: flow.idle_timeout, beginnings }
}

/// The files of a sequence, and what is known of them without reading on.
struct Sequence {
    files: Vec<String>,
    /// The first time of each, where it has one.
    times: Vec<Option<TimeNs>>,
    compressed: Vec<bool>,
    /// What is no capture, or cannot be opened.
    unread: Vec<usize>,
    /// How much work each is, in bytes of an uncompressed capture.
    weights: Vec<u64>,
}

/// How many bytes of a capture one byte of a compressed one is taken for.
const COMPRESSED_WEIGHT: u64 = 3;

impl Sequence {
    fn new(store: &dyn Store, files: &[String]) -> Result<Self, Error> {
        let mut sequence = Self {
            files: files.to_vec(),
            times: Vec::new(),
            compressed: Vec::new(),
            unread: Vec::new(),
            weights: Vec::new(),
        };
        let mut first = None;
        for (at, file) in files.iter().enumerate() {
            // What is no capture is left out with a warning by the task that comes to it; where nothing else is there, it is an error.
            let (time, compressed) = match first_time(store, file) {
                Ok(known) => known,
                Err(error) if files.len() == 1 => return Err(error.into()),
                Err(error) => {
                    sequence.unread.push(at);
                    first.get_or_insert(error);
                    (None, true)
                }
            };
            let size = store.size(file).unwrap_or(0);
            sequence.times.push(time);
            sequence.compressed.push(compressed);
            sequence.weights.push(if compressed { size.saturating_mul(COMPRESSED_WEIGHT) } else { size });
        }
        if let (Some(first), true) = (first, sequence.unread.len() == files.len()) {
            let name = files.first().cloned().unwrap_or_default() + ", …";
            return Err(SourceError::NoCapture { name, files: files.len(), first: first.to_string() }.into());
        }
        Ok(sequence)
    }

    /// The first time of a file, or of the last one before it that has one.
    fn time(&self, file: usize) -> TimeNs {
        self.times.iter().take(file + 1).rev().find_map(|time| *time).unwrap_or(TimeNs::MIN)
    }

    /// Whether a file begins at this time or earlier. Of a file without a first frame that is not known.
    fn begins_by(&self, file: usize, limit: TimeNs) -> bool {
        self.times.get(file).copied().flatten().is_some_and(|time| time <= limit)
    }
}

/// Where a slice begins.
#[derive(Clone, Debug)]
struct Cut {
    file: usize,
    at: Resume,
    ts: TimeNs,
    /// Bytes before it, in weights.
    before: u64,
}

struct Planner<'a> {
    store: &'a dyn Store,
    sequence: Sequence,
    marks: HashMap<usize, Vec<Mark>>,
    settings: Settings,
}

impl Planner<'_> {
    /// Where slices begin; the first one is the beginning of the sequence.
    fn cuts(&mut self, tasks: u32) -> Result<Vec<Cut>, Error> {
        let total: u64 = self.sequence.weights.iter().sum();
        let slice = (total / u64::from(tasks)).max(1);
        let first = Cut { file: 0, at: Resume::default(), ts: self.sequence.time(0), before: 0 };
        let least = self.settings.idle.saturating_mul(LEAST_IDLE_TIMEOUTS);
        let mut cuts = vec![first];
        for k in 1..tasks {
            let target = (u128::from(total) * u128::from(k) / u128::from(tasks)) as u64;
            let Some(cut) = self.cut_near(target, slice)? else { continue };
            let long_enough = |last: &Cut| cut.ts.saturating_sub(last.ts) >= least && cut.before > last.before;
            if cuts.last().is_some_and(long_enough) {
                cuts.push(cut);
            }
        }
        // The last slice too, as far as its end is known: that of a file which was not cut is not.
        let last_file = self.sequence.files.len() - 1;
        let end = self.marks.get(&last_file).and_then(|marks| marks.last()).map(|mark| mark.ts);
        while let [_, .., last] = cuts.as_slice() {
            let end = end.or_else(|| (last.file < last_file).then(|| self.sequence.time(last_file)));
            if end.is_none_or(|end| end.saturating_sub(last.ts) >= least) {
                break;
            }
            cuts.pop();
        }
        Ok(cuts)
    }

    /// A place about so many bytes into the sequence: the beginning of a file, where that is near, else a record within it.
    fn cut_near(&mut self, target: u64, slice: u64) -> Result<Option<Cut>, Error> {
        let (mut file, mut before) = (0, 0u64);
        while let Some(weight) = self.sequence.weights.get(file) {
            if before + weight > target {
                break;
            }
            before += weight;
            file += 1;
        }
        let Some(&weight) = self.sequence.weights.get(file) else { return Ok(None) };
        let into = target - before;
        let at_start = |planner: &Self, file: usize, before: u64| {
            let known = file > 0 && file < planner.sequence.files.len();
            known.then(|| Cut { file, at: Resume::default(), ts: planner.sequence.time(file), before })
        };
        let near = slice / 4;
        let is_whole = self.sequence.compressed.get(file).copied().unwrap_or(true);
        if is_whole || into <= near || weight - into <= near {
            return Ok(match into <= weight / 2 {
                true => at_start(self, file, before),
                false => at_start(self, file + 1, before + weight),
            });
        }
        let marks = self.marks_of(file, slice)?;
        let mark = marks.iter().min_by_key(|mark| mark.at.offset().abs_diff(into));
        Ok(mark.map(|mark| Cut { file, at: mark.at.clone(), ts: mark.ts, before: before + mark.at.offset() }))
    }

    /// Places in a capture, close enough for cuts and lead-ins. That of its headers is the beginning of the file.
    fn marks_of(&mut self, file: usize, slice: u64) -> Result<&[Mark], Error> {
        /// Places are at most this far apart.
        const EVERY: u64 = 4 << 20;

        if !self.marks.contains_key(&file) {
            let name = self.sequence.files.get(file).map_or("", String::as_str);
            let mut found = marks(self.store, name, EVERY.min(slice / 16))?.unwrap_or_default();
            if let Some(first) = found.first_mut() {
                first.at = Resume::default();
            }
            self.marks.insert(file, found);
        }
        Ok(self.marks.get(&file).map(Vec::as_slice).unwrap_or_default())
    }

    fn slices(&self, cuts: &[Cut], tasks: u32) -> Vec<Slice> {
        let shares = shares(cuts, self.sequence.weights.iter().sum(), tasks);
        let mut slices = Vec::with_capacity(tasks as usize);
        for (i, (cut, of)) in cuts.iter().zip(shares).enumerate() {
            let lead_ins = self.lead_ins(cut);
            let base = lead_ins.iter().map(|lead_in| lead_in.file).min().unwrap_or(cut.file);
            let place = |cut: &Cut| (cut.file - base, cut.at.offset());
            let whole = Slice {
                number: 0,
                of: tasks,
                files: self.sequence.files.get(base..).unwrap_or_default().to_vec(),
                unread: self.sequence.unread.iter().filter_map(|file| file.checked_sub(base)).collect(),
                lead_ins: lead_ins.into_iter().map(|l| LeadIn { file: l.file - base, ..l }).collect(),
                start: place(cut),
                end: cuts.get(i + 1).map(place),
                share: (0, of),
            };
            for index in 0..of {
                slices.push(Slice { number: slices.len() as u32 + 1, share: (index, of), ..whole.clone() });
            }
        }
        slices
    }

    /// Where a task may begin to read: from one idle timeout before its slice on, and if it has to know when flows began, from
    /// ever farther back.
    fn lead_ins(&self, cut: &Cut) -> Vec<LeadIn> {
        let beginning = || LeadIn { file: 0, at: Resume::default(), not_before: TimeNs::MIN };
        if cut.file == 0 && cut.at.offset() == 0 {
            return vec![beginning()];
        }
        let mut lead = self.settings.idle.max(FRAGMENTS_WAIT).saturating_add(BESIDES);
        let mut lead_ins = Vec::new();
        loop {
            let not_before = cut.ts.saturating_sub(lead);
            let Some((file, at)) = self.place_before(cut, not_before) else {
                // The times that come are compared with the beginning of the sequence only where it matters when flows began.
                lead_ins.push(if self.settings.beginnings {
                    beginning()
                } else {
                    LeadIn { not_before, ..beginning() }
                });
                return lead_ins;
            };
            lead_ins.push(LeadIn { file, at, not_before });
            if !self.settings.beginnings {
                return lead_ins;
            }
            lead = lead.saturating_mul(FARTHER);
        }
    }

    /// The last known place before a cut at which the time is not after this one.
    fn place_before(&self, cut: &Cut, limit: TimeNs) -> Option<(usize, Resume)> {
        for file in (0..=cut.file).rev() {
            let marks = self.marks.get(&file).map(Vec::as_slice).unwrap_or_default();
            let before_cut = |mark: &&Mark| file < cut.file || mark.at.offset() < cut.at.offset();
            if let Some(mark) = marks.iter().filter(before_cut).rev().find(|mark| mark.ts <= limit) {
                return Some((file, mark.at.clone()));
            }
            let is_before = file > 0 && (file < cut.file || cut.at.offset() > 0);
            if is_before && self.sequence.begins_by(file, limit) {
                return Some((file, Resume::default()));
            }
        }
        None
    }
}

/// How many tasks work on each slice: one at least, the others where there is most to do.
fn shares(cuts: &[Cut], total: u64, tasks: u32) -> Vec<u32> {
    let ends = cuts.iter().skip(1).map(|cut| cut.before).chain([total]);
    let weights: Vec<u64> = cuts.iter().zip(ends).map(|(cut, end)| end.saturating_sub(cut.before).max(1)).collect();
    let mut shares = vec![1u32; cuts.len()];
    for _ in cuts.len()..tasks as usize {
        let heaviest = (0..shares.len()).max_by_key(|&i| {
            let (weight, share) = (weights.get(i).copied().unwrap_or(0), shares.get(i).copied().unwrap_or(1));
            // The first of equal ones, so that the plan is the same everywhere.
            (weight / u64::from(share), std::cmp::Reverse(i))
        });
        if let Some(share) = heaviest.and_then(|i| shares.get_mut(i)) {
            *share += 1;
        }
    }
    shares
}
