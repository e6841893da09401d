//! A run whose rows wait for the end of the input, as some of their columns need all of it (group `connection`).
//!
//! First the run goes as any other, serial or parallel, but its rows go to a temporary file, without these columns. Then the
//! graph is made, and the rows come back in their order: chunks are completed and encoded by the workers side by side, and written by
//! the caller's thread. Chunks are those that the sink asked for, so its bytes do not depend on the number of workers.

use std::collections::BTreeMap;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, unbounded};
use joyfuljay_core::rows::WaitingPlan;
use joyfuljay_io::sink::{Encoded, RowSink};
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
        let graph = counting.finish(run.workers, &|| !run.control.is_cancelled());
        run.graph_shortages(counting.take_shortages());
        graph
    });
    let encoder = sink.encoder();
    let Some(mut rows) = spilled.take() else { return Err(Error::Worker) };
    let (control, unpack) = (run.control, rows.unpacking());
    let complete = |packed: &[u8]| run.complete(&unpack.rows(packed)?, graph.as_ref(), &*encoder);
    let mut write = |encoded| {
        run.write(&mut *sink, encoded)?;
        drive.report(&run.recorder);
        Ok(())
    };
    match run.workers {
        1 => {
            while let Some(packed) = rows.next_packed()?.filter(|_| !control.is_cancelled()) {
                write(complete(&packed)?)?;
            }
        }
        _ => complete_all(run, &mut rows, &complete, &mut write)?,
    }
    if control.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    run.close(sink)?;
    Ok(Outcome::Written)
}

/// Chunks that are on their way beyond one for each worker: one is at hand when a worker is done.
const AHEAD: u64 = 1;

/// How often it is looked whether the workers are still there.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Completes and encodes chunks side by side, and writes them in their order.
fn complete_all(
    run: &Run<'_>,
    rows: &mut SpillReader,
    complete: &(dyn Fn(&[u8]) -> Result<Encoded, Error> + Sync),
    write: &mut dyn FnMut(Encoded) -> Result<(), Error>,
) -> Result<(), Error> {
    let most = run.workers as u64 + AHEAD;
    thread::scope(|scope| {
        let (to_complete, tasks) = unbounded::<(u64, Vec<u8>)>();
        let (encoded_out, encoded_in) = unbounded();
        let mut working = Vec::with_capacity(run.workers);
        for number in 0..run.workers {
            let (tasks, encoded) = (tasks.clone(), encoded_out.clone());
            let work = move || {
                let mut time = run.recorder.thread(format!("encoder-{number}"));
                for (number, packed) in tasks {
                    if run.control.is_cancelled() || encoded.send((number, complete(&packed))).is_err() {
                        return;
                    }
                    time.report();
                }
            };
            let thread = thread::Builder::new().name(format!("jj-encode-{number}"));
            working.push(thread.spawn_scoped(scope, work).map_err(Error::Thread)?);
        }
        drop((tasks, encoded_out));
        let mut order = || {
            let (mut read, mut written, mut ended) = (0, 0, false);
            let mut ready = BTreeMap::new();
            while !run.control.is_cancelled() {
                while !ended && read - written < most {
                    match rows.next_packed()? {
                        Some(packed) => {
                            // Nobody takes it where all have panicked, which shows below.
                            let _ = to_complete.send((read, packed));
                            read += 1;
                        }
                        None => ended = true,
                    }
                }
                if read == written {
                    break;
                }
                match encoded_in.recv_timeout(LOOK_UP) {
                    Ok((number, encoded)) => ready.insert(number, encoded?),
                    Err(_) if run.control.is_cancelled() => break,
                    Err(RecvTimeoutError::Timeout) if !working.iter().any(ScopedJoinHandle::is_finished) => continue,
                    Err(_) => return Err(Error::Worker),
                };
                while let Some(encoded) = ready.remove(&written) {
                    write(encoded)?;
                    written += 1;
                }
            }
            Ok(())
        };
        let mut result = order();
        drop(to_complete);
        // Joined one by one, as a scope would panic itself for a thread that did.
        for worker in working {
            result = result.and_then(|()| worker.join().map_err(|_| Error::Worker));
        }
        result
    })
}
