//! A run on several threads.
//!
//! The caller's thread reads and decodes. Every flow worker sees every batch and tracks the partitions that it owns. The
//! writer puts what ended into order, batch by batch, and gives chunks of rows to encoders, piece by piece; when they are
//! behind, it waits. There are as many flow workers and as many encoders as workers were asked for: encoding a chunk takes
//! as long as tracking a hundred batches, so a thread that did both would keep every other flow worker waiting for the
//! batches it holds. All queues are bounded: by the number of batches in the pool, and by the chunks of a [`ChunkQueue`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select, unbounded};
use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{Drain, PacketBatch, RowChunk};
use joyfuljay_core::flow::{FlowStore, FlowTable, Spare};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::Stage;
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::{Encoded, RowEncoder, RowSink};

use crate::Error;
use crate::drive::{Drive, Turn};
use crate::encoding::{ChunkQueue, EncoderSeat, LEAST_PIECE, Piece, WriterSeat};
use crate::run::{Outcome, Run};

/// Batches that are handed on together: a reader that hands on every batch by itself wakes every flow worker, and each of them
/// the writer. With two workers that took 3 to 5 % more processor time; wall time was the same.
const TOGETHER: usize = 4;

/// Batches in the pool beyond one for each worker: what the reader may be ahead. It fills one handful while the workers are
/// at another.
const AHEAD: usize = 2 * TOGETHER;

/// Workers for each chunk whose flows may wait for an encoder: with every feature, rows are half of the work, so half of the encoders
/// are at a chunk at a time. Where more may wait they do, and memory grows: 571 MB instead of 488 MB with two workers.
const WORKERS_TO_A_CHUNK: usize = 2;

/// Names of the queues in metrics.
const BATCHES: &str = "batches";
const CHUNKS: &str = "chunks";

/// How often a reader that waits for a batch of the pool looks whether the flow workers are still there.
const LOOK_UP: Duration = Duration::from_millis(100);

pub(crate) fn run(run: &Run<'_>, drive: &mut Drive, sink: Box<dyn RowSink>) -> Result<Outcome, Error> {
    let workers = run.workers;
    let pool_size = workers + AHEAD;
    let (to_writer, events) = bounded::<Event>(pool_size * workers);
    let (encoded_out, encoded_in) = unbounded::<(u64, Result<Encoded, Error>)>();
    let (to_pool, pool) = unbounded::<PacketBatch>();
    let encoder = sink.encoder();
    let chunks = ChunkQueue::new(workers.div_ceil(WORKERS_TO_A_CHUNK), run.settings.chunk_rows);
    let chunks = &chunks;
    let mut tables: Vec<Vec<(usize, FlowTable)>> = (0..workers).map(|_| Vec::new()).collect();
    for (i, table) in run.settings.tables().into_iter().enumerate() {
        if let Some(own) = tables.get_mut(i % workers) {
            own.push((i, table));
        }
    }
    thread::scope(|scope| {
        let mut to_workers = Vec::with_capacity(workers);
        let mut working = Vec::with_capacity(2 * workers);
        let mut homes = Vec::with_capacity(workers);
        let alive = Arc::new(());
        for (number, tables) in tables.into_iter().enumerate() {
            let (to_worker, tasks) = bounded::<Task>(pool_size);
            let (home, spent) = unbounded::<FlowStore>();
            to_workers.push(to_worker);
            homes.push(home);
            let to_writer = to_writer.clone();
            let (spare, _alive) = (run.settings.spare(), Arc::clone(&alive));
            let worker = FlowWorker { run, number, tables, spent, spare, to_writer, _alive };
            working.push(spawn(scope, format!("jj-flows-{number}"), move || worker.track_all(tasks))?);
        }
        for number in 0..workers {
            let (seat, encoded, encoder) = (chunks.encoder(), encoded_out.clone(), &*encoder);
            let homes = homes.clone();
            let encode = move || encode_all(run, number, &seat, &encoded, &homes, encoder);
            working.push(spawn(scope, format!("jj-encode-{number}"), encode)?);
        }
        drop(homes);
        drop(encoded_out);
        let writer = Writer {
            run,
            sink,
            chunks,
            seat: Some(chunks.writer()),
            encoded_in,
            next_chunk: 0,
            next_write: 0,
            ready: BTreeMap::new(),
            flush_at: None,
        };
        let writing = spawn(scope, "jj-writer".to_owned(), move || writer.write_all(&events))?;
        let (free, together) = (Vec::with_capacity(pool_size), Vec::with_capacity(TOGETHER));
        let reader = Reader { run, to_workers, pool, free, unused: pool_size, to_pool, alive, together, next_task: 0 };
        let read = reader.read(drive, &to_writer);
        drop(to_writer);
        let mut written = writing.join().unwrap_or(Err(Error::Worker));
        // Joined one by one, as a scope would panic itself for a thread that did.
        for worker in working {
            written = written.and_then(|outcome| worker.join().map(|()| outcome).map_err(|_| Error::Worker));
        }
        // What is left in the queues of a run that failed is gone with it.
        run.recorder.metrics().queue(BATCHES, 0, pool_size as u64);
        run.recorder.metrics().queue(CHUNKS, 0, chunks.capacity() as u64);
        // Where both failed, the sink's error is the cause: the reader stops because the channel is closed.
        written.and_then(|outcome| read.map(|()| outcome))
    })
}

/// A thread of the run. On failure those that were started before end by themselves, as what feeds them is dropped.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: String,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Error> {
    thread::Builder::new().name(name).spawn_scoped(scope, work).map_err(Error::Thread)
}

/// A batch of the pool. It goes back when the last of its users drops it, also when that is a thread that panics.
struct Pooled {
    batch: PacketBatch,
    pool: Sender<PacketBatch>,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // Without a reader it is not needed.
        let _ = self.pool.send(std::mem::take(&mut self.batch));
    }
}

/// Batches for a flow worker, one after the other.
#[derive(Clone)]
struct Task {
    number: u64,
    /// Rows are to leave after the last of them.
    flush: bool,
    batches: Vec<Arc<Pooled>>,
}

/// A worker's part of what ended in a batch.
struct Ended {
    flows: Option<FlowStore>,
    /// By so many bytes its tables have grown.
    table_bytes: i64,
}

/// What the writer is sent.
enum Event {
    /// A worker's part of what ended in each batch of a task; `flush` is that of the task.
    Ended { task: u64, flush: bool, batches: Vec<Ended> },
    /// A worker has tracked the last batch.
    Tables(Vec<FlowTable>),
    /// The input is at its end: the latest packet time. Not sent when the run fails or is cancelled.
    End(TimeNs),
}

struct Reader<'a, 'r> {
    run: &'a Run<'r>,
    to_workers: Vec<Sender<Task>>,
    pool: Receiver<PacketBatch>,
    to_pool: Sender<PacketBatch>,
    /// Batches that have come back from the pool: the last one is filled first, as it may be in the cache still.
    free: Vec<PacketBatch>,
    /// Batches that have not been made yet.
    unused: usize,
    /// One share for each flow worker that is at work, and ours.
    alive: Arc<()>,
    /// Batches that are ready and wait for others to be handed on with.
    together: Vec<Arc<Pooled>>,
    next_task: u64,
}

impl Reader<'_, '_> {
    fn read(mut self, drive: &mut Drive, to_writer: &Sender<Event>) -> Result<(), Error> {
        let recorder = &self.run.recorder;
        let mut time = recorder.thread("reader");
        while let Some(mut batch) = self.take_batch() {
            let turn = drive.next(recorder, &mut batch)?;
            if turn == Turn::Cancelled {
                break;
            }
            self.together.push(Arc::new(Pooled { batch, pool: self.to_pool.clone() }));
            let flush = turn == Turn::Batch { flush: true };
            let now = flush || turn == Turn::Last || self.together.len() >= TOGETHER;
            if now && !self.send(flush) {
                break;
            }
            self.report_queue();
            time.report();
            if turn == Turn::Last {
                // A writer that is gone says itself why.
                let _ = to_writer.send(Event::End(drive.last_ts().unwrap_or_default()));
                break;
            }
        }
        Ok(())
    }

    /// Batches that are with the flow workers, of all in the pool.
    fn report_queue(&self) {
        let size = self.to_workers.len() + AHEAD;
        let away = size.saturating_sub(self.unused + self.free.len() + self.pool.len());
        self.run.recorder.metrics().queue(BATCHES, away as u64, size as u64);
    }

    /// A batch to fill; none when a worker is gone, as batches in the queue of a dead worker may not come back.
    fn take_batch(&mut self) -> Option<PacketBatch> {
        self.free.extend(self.pool.try_iter());
        if let Some(batch) = self.free.pop() {
            return Some(batch);
        }
        if self.unused > 0 {
            self.unused -= 1;
            return Some(PacketBatch::default());
        }
        // What waits here does not come back by itself.
        if !self.together.is_empty() && !self.send(false) {
            return None;
        }
        loop {
            match self.pool.recv_timeout(LOOK_UP) {
                Ok(batch) => return Some(batch),
                Err(RecvTimeoutError::Timeout) if Arc::strong_count(&self.alive) > self.to_workers.len() => {}
                Err(_) => return None,
            }
        }
    }

    /// Hands on what is ready. Whether all workers are there to take it: they go when the sink fails; what is read then is
    /// of no use, and there may be no end of it.
    fn send(&mut self, flush: bool) -> bool {
        let batches = std::mem::replace(&mut self.together, Vec::with_capacity(TOGETHER));
        let task = Task { number: self.next_task, flush, batches };
        let mut all = true;
        for to_worker in &self.to_workers {
            all &= to_worker.send(task.clone()).is_ok();
        }
        self.next_task += 1;
        all
    }
}

/// A thread that tracks the flows of some partitions.
struct FlowWorker<'a, 'r> {
    run: &'a Run<'r>,
    number: usize,
    tables: Vec<(usize, FlowTable)>,
    /// Its flows, when their rows were made. Memory that a thread gives back which did not take it waits in a list until the one
    /// that did walks along it: that was a tenth of a run with all features.
    spent: Receiver<FlowStore>,
    spare: Spare,
    to_writer: Sender<Event>,
    _alive: Arc<()>,
}

impl FlowWorker<'_, '_> {
    fn track_all(mut self, tasks: Receiver<Task>) {
        let recorder = &self.run.recorder;
        let mut time = recorder.thread(format!("tracker-{}", self.number));
        for Task { number, flush, batches } in tasks {
            let mut ended = Vec::with_capacity(batches.len());
            for batch in batches {
                ended.push(recorder.timed(Stage::Track, || self.track(&batch.batch)));
            }
            self.spent.try_iter().for_each(|spent| self.spare.add(spent));
            time.report();
            if self.to_writer.send(Event::Ended { task: number, flush, batches: ended }).is_err() {
                return; // the writer is gone, and says why
            }
        }
        let tables = self.tables.into_iter().map(|(_, table)| table).collect();
        let _ = self.to_writer.send(Event::Tables(tables));
    }

    fn track(&mut self, batch: &PacketBatch) -> Ended {
        let mut stats = StatsDelta::default();
        let flows = batch.track(
            self.tables.iter_mut().map(|(partition, table)| (*partition, table)),
            &mut self.spare,
            &mut stats,
        );
        self.run.recorder.record(&stats);
        let flows = flows.map(|mut flows| {
            flows.set_home(self.number);
            flows
        });
        Ended { flows, table_bytes: stats.table_bytes }
    }
}

fn encode_all<'e>(
    run: &Run<'_>,
    number: usize,
    chunks: &EncoderSeat<'_, 'e>,
    encoded: &Sender<(u64, Result<Encoded, Error>)>,
    homes: &[Sender<FlowStore>],
    encoder: &'e dyn RowEncoder,
) {
    let spent = |flows: FlowStore| {
        if let Some(home) = homes.get(flows.home()) {
            // A worker that has tracked everything is gone: then they are dropped here.
            let _ = home.send(flows);
        }
    };
    let mut time = run.recorder.thread(format!("encoder-{number}"));
    let mut scratch = RowScratch::default();
    while let Some(Piece { number, flows, ended, mut growing }) = chunks.take() {
        // Rows of a cancelled run are of no use; the writer does not wait for them.
        if run.control.is_cancelled() {
            return;
        }
        let chunk = if ended {
            Some(run.encode_last(growing, flows, encoder, &mut scratch, spent))
        } else {
            let grown = run.grow(&mut growing, flows, encoder, &mut scratch, spent);
            chunks.give_back(number, growing);
            grown.err().map(Err)
        };
        time.report();
        if chunk.is_some_and(|chunk| encoded.send((number, chunk)).is_err()) {
            return;
        }
    }
}

struct Writer<'a, 'r, 'e> {
    run: &'a Run<'r>,
    sink: Box<dyn RowSink>,
    chunks: &'a ChunkQueue<'e>,
    /// Its place in this queue, as long as there are flows to hand on.
    seat: Option<WriterSeat<'a, 'e>>,
    encoded_in: Receiver<(u64, Result<Encoded, Error>)>,
    next_chunk: u64,
    next_write: u64,
    ready: BTreeMap<u64, Encoded>,
    /// The sink is to be flushed when the chunks before this one have been written.
    flush_at: Option<u64>,
}

/// What the workers have sent of one task.
#[derive(Default)]
struct Part {
    workers: usize,
    flush: bool,
    /// For each of its batches, what every worker has of it.
    batches: Vec<(Vec<FlowStore>, i64)>,
}

impl Writer<'_, '_, '_> {
    fn write_all(mut self, events: &Receiver<Event>) -> Result<Outcome, Error> {
        let run = self.run;
        let mut time = run.recorder.thread("writer");
        let mut collector = run.settings.collector();
        let mut parts: BTreeMap<u64, Part> = BTreeMap::new();
        let mut next_task = 0;
        let mut tables = Vec::new();
        let mut end = None;
        while let Some(event) = self.next_event(events)? {
            match event {
                Event::Ended { task, flush, batches } => {
                    let part = parts.entry(task).or_default();
                    part.workers += 1;
                    part.flush = flush;
                    part.batches.resize_with(batches.len(), Default::default);
                    for ((all, bytes), Ended { flows, table_bytes }) in part.batches.iter_mut().zip(batches) {
                        all.extend(flows);
                        *bytes += table_bytes;
                    }
                }
                Event::Tables(mut more) => tables.append(&mut more),
                Event::End(now) => end = Some(now),
            }
            while let Some(part) = parts.remove(&next_task) {
                if part.workers < run.workers {
                    parts.insert(next_task, part);
                    break;
                }
                next_task += 1;
                for (flows, table_bytes) in part.batches {
                    collector.add(flows, table_bytes);
                    run.graph_shortages(collector.take_shortages());
                    if let Some(chunk) = collector.ready() {
                        self.dispatch(chunk)?;
                    } else if let Some(piece) = run.is_early().then(|| collector.piece(LEAST_PIECE)).flatten() {
                        self.put(piece, false);
                    }
                }
                if run.flushes && part.flush {
                    collector.flush().map_or(Ok(()), |chunk| self.dispatch(chunk))?;
                    self.flush_at = Some(self.next_chunk);
                }
            }
            self.take_encoded()?;
            time.report();
        }
        // Without the event of the end the run has failed or was cancelled: the sink is dropped as it is.
        let Some(now) = end.filter(|_| !run.control.is_cancelled()) else { return Ok(Outcome::Cancelled) };
        if tables.len() != run.settings.partitions {
            return Err(Error::Worker);
        }
        let mut drain = Drain::new(tables, collector, now);
        let most = if run.is_early() { (run.settings.chunk_rows as f64 * LEAST_PIECE) as usize } else { usize::MAX };
        while let Some((flows, ended)) = drain.piece(most) {
            if run.control.is_cancelled() {
                return Ok(Outcome::Cancelled);
            }
            run.recorder.record(&drain.take_stats());
            match ended {
                true => self.dispatch(flows)?,
                false => self.put(flows, false),
            }
        }
        run.recorder.record(&drain.take_stats());
        run.counted(drain.into_counting());
        self.seat = None;
        while self.next_write < self.next_chunk && !run.control.is_cancelled() {
            match self.encoded_in.recv() {
                Ok((number, encoded)) => self.write_encoded(number, encoded)?,
                Err(_) if run.control.is_cancelled() => break,
                Err(_) => return Err(Error::Worker),
            }
            self.report_queue();
        }
        if run.control.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        run.close(self.sink)?;
        Ok(Outcome::Written)
    }

    /// The next event, while chunks that are encoded meanwhile are written. None when there will be no more events.
    fn next_event(&mut self, events: &Receiver<Event>) -> Result<Option<Event>, Error> {
        loop {
            select! {
                recv(events) -> event => return Ok(event.ok()),
                recv(self.encoded_in) -> encoded => match encoded {
                    Ok((number, encoded)) => self.write_encoded(number, encoded)?,
                    // All encoders are gone: with a run that was cancelled, or by a panic.
                    Err(_) if self.run.control.is_cancelled() => return Ok(None),
                    Err(_) => return Err(Error::Worker),
                },
            }
        }
    }

    /// Hands on the last flows of a chunk.
    fn dispatch(&mut self, chunk: RowChunk) -> Result<(), Error> {
        self.put(chunk, true);
        self.next_chunk += 1;
        self.take_encoded()
    }

    /// Hands on the next flows of the chunk that grows.
    fn put(&self, flows: RowChunk, ended: bool) {
        if let Some(seat) = &self.seat {
            seat.put(self.next_chunk, flows, ended);
        }
        self.report_queue();
    }

    fn report_queue(&self) {
        self.run.recorder.metrics().queue(CHUNKS, self.chunks.depth() as u64, self.chunks.capacity() as u64);
    }

    /// Takes what has been encoded meanwhile, and writes what is next in order.
    fn take_encoded(&mut self) -> Result<(), Error> {
        while let Ok((number, encoded)) = self.encoded_in.try_recv() {
            self.ready.insert(number, encoded?);
        }
        self.write_ready()
    }

    fn write_encoded(&mut self, number: u64, encoded: Result<Encoded, Error>) -> Result<(), Error> {
        self.ready.insert(number, encoded?);
        self.write_ready()
    }

    fn write_ready(&mut self) -> Result<(), Error> {
        while let Some(encoded) = self.ready.remove(&self.next_write) {
            self.run.write(&mut *self.sink, encoded)?;
            self.next_write += 1;
        }
        if self.flush_at.is_some_and(|at| at <= self.next_write) {
            self.flush_at = None;
            self.run.flush(&mut *self.sink)?;
        }
        Ok(())
    }
}
