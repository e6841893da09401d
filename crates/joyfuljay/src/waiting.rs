//! A run whose rows wait for the end of the input, as some of their columns need all of it (group `connection`).
//!
//! First the run goes as any other, serial or parallel, but its rows go to a temporary file, without these columns. Then the
//! graph is made, and the rows come back in their order: as many chunks at a time as there are workers, each completed and encoded
//! by a thread, then written. Chunks are those that the sink asked for, so its bytes do not depend on the number of workers.

use std::thread;

use joyfuljay_core::analysis::graph::Graph;
use joyfuljay_core::rows::WaitingPlan;
use joyfuljay_io::sink::{Encoded, RowEncoder, RowSink};
use joyfuljay_io::spill::{self, SpillReader};

use crate::Error;
use crate::drive::Drive;
use crate::pipeline::work;
use crate::run::{Outcome, Run};

pub(crate) fn run(
    run: &Run<'_>,
    drive: &mut Drive,
    waiting: &WaitingPlan,
    mut sink: Box<dyn RowSink>,
) -> Result<Outcome, Error> {
    let (to, spilled) = spill::open(waiting.schema())?;
    if work(run, drive, Box::new(to))? == Outcome::Cancelled {
        return Ok(Outcome::Cancelled);
    }
    // The threads of the first half have ended; their names go on.
    let _time = run.recorder.thread(if run.workers > 1 { "writer" } else { "main" });
    let graph = run.take_counted().and_then(|mut counting| {
        let graph = counting.finish(&|| !run.control.is_cancelled());
        run.graph_shortages(counting.take_shortages());
        graph
    });
    let encoder = sink.encoder();
    let mut rows = spilled.take();
    while let Some(rows) = &mut rows {
        if run.control.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        let packed = next(rows, run.workers)?;
        if packed.is_empty() {
            break;
        }
        for encoded in complete_all(run, rows, &packed, graph.as_ref(), &*encoder)? {
            run.write(&mut *sink, encoded)?;
        }
        drive.report(&run.recorder);
    }
    if run.control.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    run.close(sink)?;
    Ok(Outcome::Written)
}

/// The next chunks, as many as there are workers.
fn next(rows: &mut SpillReader, most: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut packed = Vec::with_capacity(most);
    while packed.len() < most {
        match rows.next_packed()? {
            Some(chunk) => packed.push(chunk),
            None => break,
        }
    }
    Ok(packed)
}

/// Completes and encodes chunks side by side, the first on the caller's thread.
fn complete_all(
    run: &Run<'_>,
    rows: &SpillReader,
    packed: &[Vec<u8>],
    graph: Option<&Graph>,
    encoder: &dyn RowEncoder,
) -> Result<Vec<Encoded>, Error> {
    let complete = |packed: &[u8]| run.complete(&rows.unpack(packed)?, graph, encoder);
    let Some((first, others)) = packed.split_first() else { return Ok(Vec::new()) };
    thread::scope(|scope| {
        let mut working = Vec::with_capacity(others.len());
        for (number, chunk) in others.iter().enumerate() {
            let work = move || {
                let _time = run.recorder.thread(format!("encoder-{number}"));
                complete(chunk)
            };
            let thread = thread::Builder::new().name(format!("jj-encode-{number}"));
            working.push(thread.spawn_scoped(scope, work).map_err(Error::Thread)?);
        }
        let mut encoded = vec![complete(first)?];
        for worker in working {
            encoded.push(worker.join().map_err(|_| Error::Worker)??);
        }
        Ok(encoded)
    })
}
