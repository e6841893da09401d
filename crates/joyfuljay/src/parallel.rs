//! A run on several threads.
//!
//! The caller's thread reads and decodes. Every tracker sees every batch and tracks the partitions that it owns. The
//! writer puts what ended into order, batch by batch, and gives chunks of rows to encoders; when they are behind, it
//! encodes itself. There are as many trackers and as many encoders as workers were asked for: encoding a chunk takes
//! as long as tracking a hundred batches, so a thread that did both would keep every other tracker waiting for the
//! batches it holds. All queues are bounded: by the number of batches in circulation, and by [`Writer::MOST_ENCODING`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use joyfuljay_core::StatsDelta;
use joyfuljay_core::engine::{Collector, Drain, Front, PacketBatch, RowChunk};
use joyfuljay_core::flow::{FlowStore, FlowTable};
use joyfuljay_core::frame::TimeNs;
use joyfuljay_core::metrics::Stage;
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::{Encoded, RowEncoder, RowSink};
use joyfuljay_io::source::{PacketSource, Progress as Step};

use crate::Error;
use crate::progress::Reporter;
use crate::run::{Done, Run};

/// Batches in circulation beyond one for each worker: what the reader may be ahead.
const AHEAD: usize = 4;

/// Names of the queues in metrics.
const BATCHES: &str = "batches";
const CHUNKS: &str = "chunks";

/// How often a reader that waits for a batch looks whether there is anybody to wait for.
const LOOK_UP: Duration = Duration::from_millis(100);

pub(crate) fn run(
    run: &Run<'_>,
    mut source: Box<dyn PacketSource>,
    sink: Box<dyn RowSink>,
    mut reporter: Reporter,
) -> Result<Done, Error> {
    let workers = run.workers;
    let circulating = workers + AHEAD;
    let (to_writer, from_all) = bounded::<News>(circulating * workers);
    let (to_encode, encode_tasks) = unbounded::<(u64, RowChunk)>();
    let (encoded_out, encoded_in) = unbounded::<(u64, Result<Encoded, Error>)>();
    let (give_back, recycled) = unbounded::<PacketBatch>();
    let encoder = sink.encoder();
    let mut tables: Vec<Vec<(usize, FlowTable)>> = (0..workers).map(|_| Vec::new()).collect();
    for (i, table) in run.settings.tables().into_iter().enumerate() {
        if let Some(own) = tables.get_mut(i % workers) {
            own.push((i, table));
        }
    }
    thread::scope(|scope| {
        let mut to_workers = Vec::with_capacity(workers);
        let mut working = Vec::with_capacity(workers);
        let alive = Arc::new(());
        for (number, tables) in tables.into_iter().enumerate() {
            let (to_worker, batches) = bounded::<(u64, Arc<Loan>)>(circulating);
            to_workers.push(to_worker);
            let tracker = Tracker { run, number, tables, to_writer: to_writer.clone(), _alive: Arc::clone(&alive) };
            working.push(scope.spawn(move || tracker.track_all(batches)));
            let (tasks, encoded, encoder) = (encode_tasks.clone(), encoded_out.clone(), Arc::clone(&encoder));
            working.push(scope.spawn(move || encode_all(run, number, &tasks, &encoded, &*encoder)));
        }
        drop((encoded_out, encode_tasks));
        let writer = Writer {
            run,
            sink,
            encoder,
            to_encode: Some(to_encode),
            encoded_in,
            next_chunk: 0,
            next_write: 0,
            ready: BTreeMap::new(),
            scratch: RowScratch::default(),
        };
        let writing = scope.spawn(move || writer.write_all(from_all));
        let reader = Reader { run, to_workers, recycled, room: circulating, home: give_back, alive, next_batch: 0 };
        let read = reader.read(&mut *source, &mut reporter, &to_writer);
        drop(to_writer);
        let mut written = writing.join().unwrap_or(Err(Error::Worker));
        // Joined one by one, as a scope would panic itself for a worker that did.
        for worker in working {
            written = written.and(worker.join().map_err(|_| Error::Worker));
        }
        // What is left in the queues of a run that failed is gone with it.
        run.account.metrics().queue(BATCHES, 0, circulating as u64);
        run.account.metrics().queue(CHUNKS, 0, Writer::MOST_ENCODING * workers as u64);
        reporter.last(|| run.progress(source.position()));
        // Where both failed, the sink's error is the cause: the reader stops because nobody listens any more.
        written.and(read)
    })
}

/// A batch on loan from the reader. Whoever lets go of it last sends it home, also when that is a thread that dies.
struct Loan {
    batch: PacketBatch,
    home: Sender<PacketBatch>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Without a reader nobody needs it.
        let _ = self.home.send(std::mem::take(&mut self.batch));
    }
}

/// What the writer hears.
enum News {
    /// A worker's part of what ended in a batch.
    Ended { batch: u64, flows: Vec<FlowStore> },
    /// A worker has tracked the last batch.
    Tables(Vec<FlowTable>),
    /// The input is at its end: the latest packet time. Not said when the run fails or is cancelled.
    End(TimeNs),
}

struct Reader<'a, 'r> {
    run: &'a Run<'r>,
    to_workers: Vec<Sender<(u64, Arc<Loan>)>>,
    recycled: Receiver<PacketBatch>,
    room: usize,
    home: Sender<PacketBatch>,
    /// One share for each tracker that is at work, and ours.
    alive: Arc<()>,
    next_batch: u64,
}

impl Reader<'_, '_> {
    fn read(
        mut self,
        source: &mut dyn PacketSource,
        reporter: &mut Reporter,
        to_writer: &Sender<News>,
    ) -> Result<Done, Error> {
        let run = self.run;
        let account = &run.account;
        let mut worker = account.worker("reader");
        let mut front = Front::new(&run.settings);
        let mut whole = true;
        while !run.cancel.is_cancelled() {
            let Some(mut batch) = self.blank() else {
                whole = false;
                break;
            };
            match source.next_batch(&mut batch.frames)? {
                Step::Frames => account.timed(Stage::Decode, || front.decode(&mut batch)),
                Step::Idle(now) => front.idle(now, &mut batch),
                Step::End => {
                    if front.finish(&mut batch) {
                        account.record(&batch.stats);
                        self.send(batch);
                    }
                    break;
                }
            }
            account.record(&batch.stats);
            if !self.send(batch) {
                whole = false;
                break;
            }
            run.after_read(source, front.last_ts(), reporter);
            self.tell_queue();
            worker.settle();
        }
        run.after_read(source, front.last_ts(), reporter);
        let cancelled = run.cancel.is_cancelled();
        if whole && !cancelled {
            // A writer that is gone says itself why.
            let _ = to_writer.send(News::End(front.last_ts().unwrap_or_default()));
        }
        Ok(Done { first_ts: front.first_ts(), last_ts: front.last_ts(), cancelled })
    }

    /// Batches that are with the trackers, of all that circulate.
    fn tell_queue(&self) {
        let capacity = self.to_workers.len() + AHEAD;
        let away = capacity.saturating_sub(self.room + self.recycled.len());
        self.run.account.metrics().queue(BATCHES, away as u64, capacity as u64);
    }

    /// A batch to fill; none when a worker is gone, as batches in the queue of a dead worker may not come home.
    fn blank(&mut self) -> Option<PacketBatch> {
        if let Ok(batch) = self.recycled.try_recv() {
            return Some(batch);
        }
        if self.room > 0 {
            self.room -= 1;
            return Some(PacketBatch::default());
        }
        loop {
            match self.recycled.recv_timeout(LOOK_UP) {
                Ok(batch) => return Some(batch),
                Err(RecvTimeoutError::Timeout) if Arc::strong_count(&self.alive) > self.to_workers.len() => {}
                Err(_) => return None,
            }
        }
    }

    /// Whether all workers are there to take the batch. They go when the sink fails; what is read then is of no use,
    /// and there may be no end of it.
    fn send(&mut self, batch: PacketBatch) -> bool {
        let batch = Arc::new(Loan { batch, home: self.home.clone() });
        let mut all = true;
        for to_worker in &self.to_workers {
            all &= to_worker.send((self.next_batch, Arc::clone(&batch))).is_ok();
        }
        self.next_batch += 1;
        all
    }
}

struct Tracker<'a, 'r> {
    run: &'a Run<'r>,
    number: usize,
    tables: Vec<(usize, FlowTable)>,
    to_writer: Sender<News>,
    _alive: Arc<()>,
}

impl Tracker<'_, '_> {
    fn track_all(mut self, batches: Receiver<(u64, Arc<Loan>)>) {
        let account = &self.run.account;
        let mut worker = account.worker(format!("tracker-{}", self.number));
        for (number, batch) in batches {
            let flows = account.timed(Stage::Track, || self.track(&batch.batch));
            drop(batch);
            worker.settle();
            if self.to_writer.send(News::Ended { batch: number, flows }).is_err() {
                return; // the writer is gone, and says why
            }
        }
        let tables = self.tables.into_iter().map(|(_, table)| table).collect();
        let _ = self.to_writer.send(News::Tables(tables));
    }

    fn track(&mut self, batch: &PacketBatch) -> Vec<FlowStore> {
        let mut stats = StatsDelta::default();
        let mut flows = Vec::with_capacity(self.tables.len());
        for (partition, table) in &mut self.tables {
            let mut out = table.ended_store();
            batch.track(*partition, table, &mut out);
            stats.add(&table.take_stats());
            flows.push(out);
        }
        self.run.account.record(&stats);
        flows
    }
}

fn encode_all(
    run: &Run<'_>,
    number: usize,
    tasks: &Receiver<(u64, RowChunk)>,
    encoded: &Sender<(u64, Result<Encoded, Error>)>,
    encoder: &dyn RowEncoder,
) {
    let mut worker = run.account.worker(format!("encoder-{number}"));
    let mut scratch = RowScratch::default();
    for (number, chunk) in tasks {
        if encoded.send((number, run.encode(&chunk, encoder, &mut scratch))).is_err() {
            return;
        }
        worker.settle();
    }
}

struct Writer<'a, 'r> {
    run: &'a Run<'r>,
    sink: Box<dyn RowSink>,
    encoder: Arc<dyn RowEncoder>,
    to_encode: Option<Sender<(u64, RowChunk)>>,
    encoded_in: Receiver<(u64, Result<Encoded, Error>)>,
    next_chunk: u64,
    next_write: u64,
    ready: BTreeMap<u64, Encoded>,
    scratch: RowScratch,
}

impl Writer<'_, '_> {
    /// Chunks that may be with each encoder before the writer encodes the next one itself.
    const MOST_ENCODING: u64 = 2;

    fn write_all(mut self, news: Receiver<News>) -> Result<(), Error> {
        let run = self.run;
        let mut worker = run.account.worker("writer");
        let mut collector = Collector::new(self.run.settings.chunk_rows);
        let mut partial: BTreeMap<u64, (usize, Vec<FlowStore>)> = BTreeMap::new();
        let mut next_batch = 0;
        let mut tables = Vec::new();
        let mut end = None;
        for item in news {
            match item {
                News::Ended { batch, mut flows } => {
                    let entry = partial.entry(batch).or_default();
                    entry.0 += 1;
                    entry.1.append(&mut flows);
                }
                News::Tables(mut more) => tables.append(&mut more),
                News::End(now) => end = Some(now),
            }
            while partial.get(&next_batch).is_some_and(|(parts, _)| *parts == self.run.workers) {
                collector.add(partial.remove(&next_batch).unwrap_or_default().1);
                next_batch += 1;
                if let Some(chunk) = collector.ready() {
                    self.dispatch(chunk)?;
                }
            }
            self.collect_encoded(false)?;
            worker.settle();
        }
        // Without the news of the end the run has failed or was cancelled: the sink is dropped as it is.
        let Some(now) = end else { return Ok(()) };
        if tables.len() != self.run.settings.partitions {
            return Err(Error::Worker);
        }
        let mut drain = Drain::new(tables, collector, now);
        while let Some(chunk) = drain.next() {
            self.run.account.record(&drain.take_stats());
            self.dispatch(chunk)?;
        }
        self.to_encode = None;
        while self.next_write < self.next_chunk {
            self.collect_encoded(true)?;
            self.tell_queue();
        }
        self.run.close(self.sink)
    }

    fn dispatch(&mut self, chunk: RowChunk) -> Result<(), Error> {
        let number = self.next_chunk;
        self.next_chunk += 1;
        let waiting = number - self.next_write;
        match &self.to_encode {
            Some(to_encode) if waiting < self.most_encoding() => {
                let _ = to_encode.send((number, chunk));
            }
            _ => {
                let encoded = self.run.encode(&chunk, &*self.encoder, &mut self.scratch)?;
                self.ready.insert(number, encoded);
            }
        }
        self.tell_queue();
        self.collect_encoded(false)
    }

    fn most_encoding(&self) -> u64 {
        Self::MOST_ENCODING * self.run.workers as u64
    }

    fn tell_queue(&self) {
        let waiting = (self.next_chunk - self.next_write).min(self.most_encoding());
        self.run.account.metrics().queue(CHUNKS, waiting, self.most_encoding());
    }

    /// Takes what workers have encoded and writes what is next in order. `wait` for one more if need be.
    fn collect_encoded(&mut self, wait: bool) -> Result<(), Error> {
        if wait && !self.ready.contains_key(&self.next_write) {
            let (number, encoded) = self.encoded_in.recv().map_err(|_| Error::Worker)?;
            self.ready.insert(number, encoded?);
        }
        for (number, encoded) in self.encoded_in.try_iter() {
            self.ready.insert(number, encoded?);
        }
        while let Some(encoded) = self.ready.remove(&self.next_write) {
            self.run.write(&mut *self.sink, encoded)?;
            self.next_write += 1;
        }
        Ok(())
    }
}
