//! Several inputs that have nothing to do with each other, such as the captures of different sensors, side by side.
//!
//! Each input is read, decoded and tracked by one thread, with flows of its own, so nothing is handed from processor to processor, and
//! reading is no bottleneck. There are as many threads as workers, and each takes the next input when it has come to the end
//! of one. Rows come out input by input: the input whose turn it is writes, those ahead of it keep their encoded rows, up to
//! [`MOST_WAITING`] bytes together, and wait then. What an input's rows are depends on that input alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use crossbeam_channel::{Receiver, unbounded};
use joyfuljay_core::engine::{Engine, PacketBatch, RowChunk};
use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::metrics::{Mode, Stage};
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::{ChunkEncoder, Encoded, RowEncoder, RowSink, SinkError};
use joyfuljay_io::source::{PacketSource, Position, Pulled, SourceError, SourceWarning};

use crate::Error;
use crate::drive::{Drive, Turn};
use crate::recorder::lock;
use crate::run::{Outcome, Run};

/// Inputs that are worked on at a time, at most. Each has its share of the memory for flows, whatever the number of workers is, as
/// the share decides what is evicted.
pub(crate) const MOST_AT_A_TIME: usize = 16;

/// Bytes of encoded rows of inputs whose turn it is not: as much as a few million rows of compressed columns take.
const MOST_WAITING: usize = 256 << 20;

/// Takes the inputs to their ends. `all` stands for all of them; `named` is the schema of rows that say which input they are from, and
/// the names of the inputs.
pub(crate) fn run(
    run: &Run<'_>,
    all: &mut Drive,
    inputs: Vec<Drive>,
    named: Option<(SchemaRef, Vec<String>)>,
    sink: Box<dyn RowSink>,
) -> Result<Outcome, Error> {
    let (to_workers, tasks) = unbounded();
    for task in inputs.into_iter().enumerate() {
        // The receiver is here.
        let _ = to_workers.send(task);
    }
    drop(to_workers);
    let encoder = sink.encoder();
    let rows = Rows {
        run,
        state: Mutex::new(State { sink, next: 0, waiting: BTreeMap::new(), bytes: 0, given_up: false }),
        moved: Condvar::new(),
    };
    let shared = Mutex::new(&mut *all);
    let mut outcome = thread::scope(|scope| {
        let mut working = Vec::with_capacity(run.workers);
        let mut outcome = Ok(Outcome::Written);
        for number in 0..run.workers {
            let work = Worker { run, number, rows: &rows, encoder: &*encoder, named: named.as_ref(), all: &shared };
            let tasks = tasks.clone();
            let thread = thread::Builder::new().name(format!("jj-input-{number}"));
            match thread.spawn_scoped(scope, move || work.work(&tasks)) {
                Ok(worker) => working.push(worker),
                Err(error) => {
                    rows.give_up();
                    outcome = Err(Error::Thread(error));
                    break;
                }
            }
        }
        // Joined one by one, as a scope would panic itself for a thread that did. The first error counts; others only cancel.
        for worker in working {
            let ended = worker.join().unwrap_or(Err(Error::Worker));
            outcome = match (outcome, ended) {
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
                (Ok(Outcome::Written), Ok(ended)) => Ok(ended),
                (Ok(Outcome::Cancelled), Ok(_)) => Ok(Outcome::Cancelled),
            };
        }
        outcome
    })?;
    all.read(&run.recorder);
    let state = rows.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if run.control.is_cancelled() || state.given_up {
        outcome = Outcome::Cancelled;
    }
    if outcome == Outcome::Written {
        all.verdict()?;
        run.close(state.sink)?;
    }
    Ok(outcome)
}

/// A thread that takes one input after the other.
struct Worker<'a, 'r> {
    run: &'a Run<'r>,
    number: usize,
    rows: &'a Rows<'a, 'r>,
    encoder: &'a dyn RowEncoder,
    named: Option<&'a (SchemaRef, Vec<String>)>,
    all: &'a Mutex<&'a mut Drive>,
}

impl Worker<'_, '_> {
    fn work(&self, tasks: &Receiver<(usize, Drive)>) -> Result<Outcome, Error> {
        let leaving = GiveUp(Some(self.rows));
        // Memory that goes from input to input.
        let (mut batch, mut scratch) = (PacketBatch::default(), RowScratch::default());
        for (number, mut drive) in tasks {
            if self.input(number, &mut drive, &mut batch, &mut scratch)? == Outcome::Cancelled {
                return Ok(Outcome::Cancelled);
            }
            self.rows.end(number)?;
            lock(self.all).add(&drive);
        }
        leaving.not();
        Ok(Outcome::Written)
    }

    /// Takes an input to its end: as a run on one thread does.
    fn input(
        &self,
        number: usize,
        drive: &mut Drive,
        batch: &mut PacketBatch,
        scratch: &mut RowScratch,
    ) -> Result<Outcome, Error> {
        let recorder = &self.run.recorder;
        let mut time = recorder.thread(format!("input-{}", self.number));
        let mut engine = Engine::new(&self.run.settings);
        let named = self.named.and_then(|(schema, names)| Some((schema, names.get(number)?)));
        let named = named.map(|(schema, name)| Named { schema, name, encoder: self.encoder });
        let encoder = named.as_ref().map_or(self.encoder, |named| named as &dyn RowEncoder);
        let mut emit = |chunk: RowChunk| self.rows.put(number, self.run.encode(&chunk, encoder, scratch)?);
        loop {
            let turn = drive.next(recorder, batch)?;
            if turn == Turn::Cancelled {
                return Ok(Outcome::Cancelled);
            }
            recorder.timed(Stage::Track, || engine.track(batch));
            recorder.record(&engine.take_stats());
            if !engine.ready().map_or(Ok(true), &mut emit)? {
                return Ok(Outcome::Cancelled);
            }
            time.report();
            // Whoever holds it reports.
            if let Ok(mut all) = self.all.try_lock() {
                all.report(recorder);
            }
            if turn == Turn::Last {
                break;
            }
        }
        let mut drain = engine.finish(drive.last_ts().unwrap_or_default());
        while let Some(chunk) = drain.next() {
            recorder.record(&drain.take_stats());
            if drive.is_cancelled() || !emit(chunk)? {
                return Ok(Outcome::Cancelled);
            }
            time.report();
        }
        recorder.record(&drain.take_stats());
        Ok(Outcome::Written)
    }
}

/// Encodes rows with one more column, the name of their input.
#[derive(Clone, Copy)]
struct Named<'a> {
    schema: &'a SchemaRef,
    name: &'a str,
    encoder: &'a dyn RowEncoder,
}

impl Named<'_> {
    fn with_name(&self, rows: RecordBatch) -> Result<RecordBatch, SinkError> {
        let names = StringArray::from_iter_values(std::iter::repeat_n(self.name, rows.num_rows()));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(names));
        let rows = RecordBatch::try_new(Arc::clone(self.schema), columns);
        rows.map_err(|_| SinkError::Foreign { sink: "separate" })
    }
}

impl RowEncoder for Named<'_> {
    fn encode(&self, rows: RecordBatch) -> Result<Encoded, SinkError> {
        self.encoder.encode(self.with_name(rows)?)
    }

    fn begin(&self) -> Option<Box<dyn ChunkEncoder + '_>> {
        let inner = self.encoder.begin()?;
        Some(Box::new(NamedChunk { named: *self, inner }))
    }
}

struct NamedChunk<'a> {
    named: Named<'a>,
    inner: Box<dyn ChunkEncoder + 'a>,
}

impl ChunkEncoder for NamedChunk<'_> {
    fn add(&mut self, rows: RecordBatch) -> Result<(), SinkError> {
        self.inner.add(self.named.with_name(rows)?)
    }

    fn finish(self: Box<Self>) -> Result<Encoded, SinkError> {
        self.inner.finish()
    }
}

/// Encoded rows on their way to the sink.
struct Rows<'a, 'r> {
    run: &'a Run<'r>,
    state: Mutex<State>,
    /// It is another input's turn, or nobody wants rows any more.
    moved: Condvar,
}

struct State {
    sink: Box<dyn RowSink>,
    /// The input whose turn it is.
    next: usize,
    /// Of inputs behind it.
    waiting: BTreeMap<usize, Waiting>,
    /// Bytes of all that waits.
    bytes: usize,
    given_up: bool,
}

/// What an input has while it is not its turn.
#[derive(Default)]
struct Waiting {
    chunks: VecDeque<Encoded>,
    ended: bool,
}

impl Rows<'_, '_> {
    /// Takes the next chunk of an input; whether rows are wanted at all. The input whose turn it is never waits.
    fn put(&self, input: usize, chunk: Encoded) -> Result<bool, Error> {
        let size = chunk.memory();
        let mut state = lock(&self.state);
        loop {
            if state.given_up || self.run.control.is_cancelled() {
                return Ok(false);
            }
            if state.next == input {
                self.run.write(&mut *state.sink, chunk)?;
                return Ok(true);
            }
            if state.bytes == 0 || state.bytes + size <= MOST_WAITING {
                state.bytes += size;
                state.waiting.entry(input).or_default().chunks.push_back(chunk);
                return Ok(true);
            }
            // Now and then it is looked whether the run was cancelled.
            let waited = self.moved.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An input has ended: writes what waits of those whose turn it is then.
    fn end(&self, input: usize) -> Result<(), Error> {
        let mut state = lock(&self.state);
        state.waiting.entry(input).or_default().ended = true;
        loop {
            let next = state.next;
            let Some(waiting) = state.waiting.get_mut(&next) else { return Ok(()) };
            let ended = waiting.ended;
            for chunk in std::mem::take(&mut waiting.chunks) {
                state.bytes -= chunk.memory();
                self.run.write(&mut *state.sink, chunk)?;
            }
            self.moved.notify_all();
            if !ended {
                return Ok(());
            }
            state.waiting.remove(&next);
            state.next += 1;
        }
    }

    fn give_up(&self) {
        lock(&self.state).given_up = true;
        self.moved.notify_all();
    }
}

/// Keeps other threads from waiting for one that leaves early, also by a panic.
struct GiveUp<'a, 'r>(Option<&'a Rows<'a, 'r>>);

impl GiveUp<'_, '_> {
    fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for GiveUp<'_, '_> {
    fn drop(&mut self) {
        if let Some(rows) = self.0 {
            rows.give_up();
        }
    }
}

/// The inputs, each of which says how far all of them have come, and a source that stands for them all.
pub(crate) fn together(sources: Vec<Box<dyn PacketSource>>) -> (Box<dyn PacketSource>, Vec<Box<dyn PacketSource>>) {
    let mut sum = Position { total: Some(0), ..Position::default() };
    for position in sources.iter().map(|source| source.position()) {
        sum.read += position.read;
        sum.total = sum.total.zip(position.total).map(|(sum, more)| sum + more);
        sum.files_done += position.files_done;
        sum.files_total += position.files_total;
    }
    let all = Arc::new(Mutex::new(sum));
    let input = |inner: Box<dyn PacketSource>| {
        let known = Mutex::new(inner.position());
        Box::new(Input { inner, known, all: Arc::clone(&all) }) as Box<dyn PacketSource>
    };
    let inputs = sources.into_iter().map(input).collect();
    (Box::new(All(all)), inputs)
}

/// One of several inputs.
struct Input {
    inner: Box<dyn PacketSource>,
    /// Where it was when it was last asked.
    known: Mutex<Position>,
    all: Arc<Mutex<Position>>,
}

impl PacketSource for Input {
    fn mode(&self) -> Mode {
        self.inner.mode()
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        self.inner.pull(out, wait)
    }

    fn stop(&mut self) {
        self.inner.stop();
    }

    fn position(&self) -> Position {
        let now = self.inner.position();
        let (mut known, mut all) = (lock(&self.known), lock(&self.all));
        all.read = (all.read + now.read).saturating_sub(known.read);
        all.files_done = (all.files_done + now.files_done).saturating_sub(known.files_done);
        all.current = now.current.clone().or_else(|| all.current.take());
        *known = now;
        all.clone()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.inner.take_warnings()
    }
}

/// All of them together: only says where they are.
struct All(Arc<Mutex<Position>>);

impl PacketSource for All {
    fn mode(&self) -> Mode {
        Mode::Pcap
    }

    fn pull(&mut self, out: &mut FrameBatch, _: Duration) -> Result<Pulled, SourceError> {
        out.frames.clear();
        Ok(Pulled::End)
    }

    fn stop(&mut self) {}

    fn position(&self) -> Position {
        lock(&self.0).clone()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        Vec::new()
    }
}
