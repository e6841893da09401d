//! A run on one thread: every stage in turn, nothing queued.

use joyfuljay_core::engine::{Engine, PacketBatch, RowChunk};
use joyfuljay_core::metrics::Stage;
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::RowSink;

use crate::Error;
use crate::drive::{Drive, Turn};
use crate::run::{GrowingChunk, Outcome, Run};

pub(crate) fn run(run: &Run<'_>, drive: &mut Drive, mut sink: Box<dyn RowSink>) -> Result<Outcome, Error> {
    let recorder = &run.recorder;
    let mut time = recorder.thread("main");
    let mut engine = Engine::new(&run.settings);
    let mut batch = PacketBatch::default();
    let mut scratch = RowScratch::default();
    let encoder = sink.encoder();
    // Where rows do not wait, those of a chunk are made while it grows: its flows are in the cache still, and then they are gone.
    let early = run.settings.connections.is_none();
    let begin = || run.begin(&*encoder, run.settings.chunk_rows);
    let mut growing = None;
    let emit =
        |chunk: RowChunk, growing: Option<GrowingChunk<'_>>, scratch: &mut RowScratch, sink: &mut dyn RowSink| {
            let encoded = match growing {
                Some(mut growing) => {
                    run.add(&mut growing, &chunk.flows(), scratch)?;
                    run.end(growing)?
                }
                None => run.encode(&chunk, &*encoder, scratch)?,
            };
            run.write(sink, encoded)
        };
    loop {
        let turn = drive.next(recorder, &mut batch)?;
        if turn == Turn::Cancelled {
            return Ok(Outcome::Cancelled);
        }
        recorder.timed(Stage::Track, || engine.track(&batch));
        recorder.record(&engine.take_stats());
        let flush = run.flushes && turn == Turn::Batch { flush: true };
        let chunk = if flush { engine.flush() } else { engine.ready() };
        match chunk {
            Some(chunk) => emit(chunk, growing.take(), &mut scratch, &mut *sink)?,
            None if early => {
                let flows = engine.early(run.plan.block_flows());
                let made = flows.len();
                if made > 0 {
                    run.add(growing.get_or_insert_with(begin), &flows, &mut scratch)?;
                    engine.let_go(made);
                }
            }
            None => {}
        }
        if flush {
            run.flush(&mut *sink)?;
        }
        time.report();
        if turn == Turn::Last {
            break;
        }
    }
    let mut drain = engine.finish(drive.last_ts().unwrap_or_default());
    while let Some(chunk) = drain.next() {
        if drive.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        recorder.record(&drain.take_stats());
        emit(chunk, growing.take(), &mut scratch, &mut *sink)?;
        time.report();
    }
    if drive.is_cancelled() {
        return Ok(Outcome::Cancelled);
    }
    recorder.record(&drain.take_stats());
    run.counted(drain.into_counting());
    run.close(sink)?;
    Ok(Outcome::Written)
}
