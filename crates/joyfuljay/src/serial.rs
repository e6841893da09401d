//! A run on one thread: every stage in turn, nothing queued.

use joyfuljay_core::engine::{Engine, PacketBatch, RowChunk};
use joyfuljay_core::metrics::Stage;
use joyfuljay_core::rows::RowScratch;
use joyfuljay_io::sink::RowSink;
use joyfuljay_io::source::{PacketSource, Progress as Step};

use crate::Error;
use crate::progress::Reporter;
use crate::run::{Done, Run};

pub(crate) fn run(
    run: &Run<'_>,
    mut source: Box<dyn PacketSource>,
    mut sink: Box<dyn RowSink>,
    mut reporter: Reporter,
) -> Result<Done, Error> {
    let account = &run.account;
    let mut worker = account.worker("main");
    let mut engine = Engine::new(run.settings);
    let mut batch = PacketBatch::default();
    let mut scratch = RowScratch::default();
    let encoder = sink.encoder();
    let mut emit = |chunk: RowChunk, sink: &mut dyn RowSink| {
        let encoded = run.encode(&chunk, &*encoder, &mut scratch)?;
        run.write(sink, encoded)
    };
    while !run.cancel.is_cancelled() {
        match source.next_batch(&mut batch.frames)? {
            Step::Frames => {
                account.timed(Stage::Decode, || engine.front_mut().decode(&mut batch));
                account.timed(Stage::Track, || engine.track(&batch));
            }
            Step::Idle(now) => {
                engine.tick(now);
                // On a quiet wire nobody should have to wait for a full chunk.
                engine.flush().map_or(Ok(()), |chunk| emit(chunk, &mut *sink))?;
                run.flush(&mut *sink)?;
            }
            Step::End => break,
        }
        account.record(&engine.take_stats());
        run.after_read(&mut *source, engine.front_mut().last_ts(), &mut reporter);
        engine.ready().map_or(Ok(()), |chunk| emit(chunk, &mut *sink))?;
        worker.settle();
    }
    let (first_ts, last_ts) = (engine.front_mut().first_ts(), engine.front_mut().last_ts());
    run.after_read(&mut *source, last_ts, &mut reporter);
    let done = Done { first_ts, last_ts, cancelled: run.cancel.is_cancelled() };
    if done.cancelled {
        return Ok(done);
    }
    let (stats, mut drain) = engine.finish(&mut batch);
    account.record(&stats);
    while let Some(chunk) = drain.next() {
        account.record(&drain.take_stats());
        emit(chunk, &mut *sink)?;
        worker.settle();
    }
    run.close(sink)?;
    reporter.last(|| run.progress(source.position()));
    Ok(done)
}
