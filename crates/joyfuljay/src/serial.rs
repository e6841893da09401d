//! A run on one thread: every stage in turn, nothing queued.

use joyfuljay_core::engine::{Engine, PacketBatch};
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
    // Rows are made while their chunk grows: its flows are in the cache still, and then they are gone.
    let mut growing: Option<GrowingChunk<'_>> = None;
    loop {
        let turn = drive.next(recorder, &mut batch)?;
        if turn == Turn::Cancelled {
            return Ok(Outcome::Cancelled);
        }
        recorder.timed(Stage::Track, || engine.track(&batch));
        recorder.record(&engine.take_stats());
        let flush = run.flushes && turn == Turn::Batch { flush: true };
        let chunk = if flush { engine.flush() } else { engine.ready() };
        if let Some(chunk) = chunk {
            let recycle = |spent| engine.recycle(spent);
            let encoded = run.encode_last(growing.take(), chunk, &*encoder, &mut scratch, recycle)?;
            run.write(&mut *sink, encoded)?;
        } else if let Some(piece) = run.is_early().then(|| engine.piece()).flatten() {
            run.grow(&mut growing, piece, &*encoder, &mut scratch, |spent| engine.recycle(spent))?;
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
        let encoded = run.encode_last(growing.take(), chunk, &*encoder, &mut scratch, drop)?;
        run.write(&mut *sink, encoded)?;
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
