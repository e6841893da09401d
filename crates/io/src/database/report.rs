//! What became of a run, for whoever began it.

use std::sync::{Arc, Mutex, PoisonError};

use super::{RUNS, types};

/// A handle on the run of a sink, which outlives the sink.
#[derive(Clone, Debug, Default)]
pub struct DatabaseRun(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    run: i64,
    notes: Vec<String>,
    rows: u64,
    passed_over: u64,
    replaced: u64,
    resent: u64,
}

impl DatabaseRun {
    pub(super) fn new(run: i64, notes: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(State { run, notes, ..State::default() })))
    }

    /// The number of the run.
    pub fn id(&self) -> i64 {
        self.lock(|s| s.run)
    }

    /// What is to be known before it begins.
    pub fn notes(&self) -> Vec<String> {
        self.lock(|s| s.notes.clone())
    }

    /// Rows that are in the table, those of an earlier start of the run left out.
    pub fn rows(&self) -> u64 {
        self.lock(|s| s.rows)
    }

    /// What is to be known of it afterwards.
    pub fn remarks(&self) -> Vec<String> {
        self.lock(|s| {
            let mut remarks = Vec::new();
            if s.passed_over > 0 {
                remarks.push(format!("{} rows were in the table already and were passed over", s.passed_over));
            }
            if s.replaced > 0 {
                let n = s.replaced;
                remarks
                    .push(format!("{n} zero bytes in texts were written as U+FFFD: databases have no form for them"));
            }
            if s.resent > 0 {
                remarks
                    .push(format!("the connection was lost and made again {} times: no row is there twice", s.resent));
            }
            remarks
        })
    }

    pub(super) fn committed(&self, rows: u64) {
        self.lock(|s| s.rows += rows);
    }

    pub(super) fn passed_over(&self, rows: u64) {
        self.lock(|s| s.passed_over += rows);
    }

    pub(super) fn replaced(&self, zero_bytes: u64) {
        if zero_bytes > 0 {
            self.lock(|s| s.replaced += zero_bytes);
        }
    }

    #[cfg(feature = "postgres")]
    pub(super) fn reconnected(&self) {
        self.lock(|s| s.resent += 1);
    }

    fn lock<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A run as its table has it.
pub(super) struct Earlier {
    pub(super) table: String,
    pub(super) finished: bool,
    pub(super) batches: i64,
    pub(super) rows: i64,
    pub(super) origin: Option<String>,
}

/// Whether a run can be taken up again: how many batches and rows it has left, or why not.
pub(super) fn may_go_on(id: i64, table: &str, run: Option<Earlier>, now: Option<&str>) -> Result<(i64, u64), String> {
    let Some(run) = run else {
        return Err(format!("there is no run {id}: see the table {RUNS}"));
    };
    if run.table != table {
        return Err(format!("run {id} is one of the table '{}': name that (--db-table)", run.table));
    }
    if run.finished {
        return Err(format!("run {id} came to its end with {} rows: there is nothing to take up", run.rows));
    }
    let Some((before, now)) = run.origin.as_deref().zip(now) else {
        return Err(format!("run {id} was one over a stream, whose rows do not come again: begin another one"));
    };
    if let Some(what) = types::difference(before, now) {
        return Err(format!(
            "run {id} was begun otherwise ({what} differs), so its rows would not go on where they ended: \
             give it the same input and options, or begin another run"
        ));
    }
    Ok((run.batches, u64::try_from(run.rows).unwrap_or(0)))
}

/// What is said of runs that have not come to their end.
pub(super) fn unfinished(runs: &[(i64, i64)]) -> Vec<String> {
    /// A table that many sensors write to has as many.
    const MOST: usize = 5;
    let said = |(id, rows): &(i64, i64)| {
        format!("run {id} of this table goes on or was broken off, with {rows} rows so far: see the table {RUNS}")
    };
    let mut notes: Vec<_> = runs.iter().take(MOST).map(said).collect();
    if runs.len() > MOST {
        notes.push(format!("and {} more runs that have no end", runs.len() - MOST));
    }
    notes
}

/// What a run that failed has left.
pub(super) fn left(id: i64, batches: i64, rows: u64) -> String {
    format!("of run {id}, {batches} batches with {rows} rows are in the table")
}
