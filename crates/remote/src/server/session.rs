//! Where the messages of a client come from: the log of a stream that is read for all of them, or a capture read for it alone.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use joyfuljay_core::metrics::{MetricsSink, Mode};
use joyfuljay_io::source::{InterfaceCounts, PacketSource};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::feed::Feed;
use super::log::{Entry, Log};
use super::own::Own;
use super::{Input, Open, Phase, Shared};
use crate::token::random;
use crate::wire::{Encoder, Resume, SessionId};

/// How long interfaces are captured from when the last client has gone: it may come back and go on where it was.
const LINGER: Duration = Duration::from_secs(300);

/// Messages of a capture that wait for a client.
const AHEAD: usize = 2;

/// What is served, and what of it is open.
pub(super) struct Sessions {
    input: Input,
    own: Own,
    stream: Mutex<Option<Stream>>,
    /// Why the stream ended, if it has come to its end.
    ended: std::sync::Mutex<Option<Option<String>>>,
}

/// A stream that is being read.
#[derive(Clone)]
struct Stream {
    id: SessionId,
    log: Arc<Log>,
    /// Set when it has been left, as nobody wanted it any more.
    left: Arc<AtomicBool>,
}

/// What a client gets.
pub(super) struct Supply {
    pub(super) session: SessionId,
    /// Number of the next message.
    pub(super) seq: u64,
    /// Number of the next frame.
    pub(super) frame: u64,
    pub(super) stored: bool,
    /// Frames that the client wants and that are no longer there.
    pub(super) lost: u64,
    from: From,
}

enum From {
    Log(Arc<Log>),
    Reader(mpsc::Receiver<Entry>),
}

impl Supply {
    /// The next message; none where its reader is gone.
    pub(super) async fn next(&mut self) -> Option<Entry> {
        let entry = match &mut self.from {
            From::Log(log) => log.get(self.seq).await,
            From::Reader(reader) => reader.recv().await?,
        };
        self.seq = entry.seq + 1;
        Some(entry)
    }
}

impl Sessions {
    pub(super) fn new(input: Input, own: Own) -> Result<Self, String> {
        Ok(Self { input, own, stream: Mutex::new(None), ended: std::sync::Mutex::new(None) })
    }

    /// Why a stream ended before its time, if it did.
    pub(super) fn end(&self) -> Option<String> {
        super::lock(&self.ended).clone().flatten()
    }

    /// What a client gets, from where it wants to go on. Opens what is not open.
    pub(super) async fn supply(&self, shared: &Arc<Shared>, resume: Option<Resume>) -> Result<Supply, String> {
        match &self.input {
            Input::Stored { open, identity } => {
                let from = resume.filter(|resume| resume.session == *identity).map_or(0, |resume| resume.seq);
                stored(shared, open, *identity, from).await
            }
            Input::Stream { open } => {
                let stream = self.stream(shared, open).await?;
                let resume = resume.filter(|resume| resume.session == stream.id);
                let (seq, frame) = match resume {
                    Some(resume) => stream.log.first_from(resume.seq),
                    None => stream.log.next(),
                };
                let lost = resume.map_or(0, |resume| frame.saturating_sub(resume.frame));
                Ok(Supply { session: stream.id, seq, frame, stored: false, lost, from: From::Log(stream.log) })
            }
        }
    }

    async fn stream(&self, shared: &Arc<Shared>, open: &Open) -> Result<Stream, String> {
        let mut present = self.stream.lock().await;
        if let Some(stream) = present.as_ref().filter(|stream| !stream.left.load(Relaxed)) {
            return Ok(stream.clone());
        }
        let stream = Stream { id: random()?, log: Arc::new(Log::new(shared.options.buffer)), left: Arc::default() };
        let (opened, is_open) = oneshot::channel();
        let (reading, open, own) = (stream.clone(), Arc::clone(open), self.own.clone());
        let shared = Arc::clone(shared);
        let read = move || {
            let encoder = Encoder::new(shared.options.compress).map_err(|e| e.to_string());
            match encoder.and_then(|encoder| Ok((encoder, open().map_err(|e| e.to_string())?))) {
                Ok((encoder, source)) => {
                    let feed = Feed::new(source, Some(own.exclusion()), encoder);
                    let _ = opened.send(Ok(()));
                    let ended = follow(&shared, &reading, feed);
                    if let Some(why) = ended {
                        *super::lock(&shared.sessions.ended) = Some(why);
                        shared.stop.send_if_modified(|phase| {
                            std::mem::replace(phase, (*phase).max(Phase::Ended)) == Phase::Running
                        });
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        };
        std::thread::Builder::new().name("jj-capture".into()).spawn(read).map_err(|e| e.to_string())?;
        is_open.await.unwrap_or_else(|_| Err("its thread ended".into()))?;
        *present = Some(stream.clone());
        Ok(stream)
    }
}

/// Reads a stream into its log, until it ends, the server does, or nobody wants it any more. Why it ended; none if it was left.
fn follow(shared: &Shared, stream: &Stream, mut feed: Feed) -> Option<Option<String>> {
    let stop = shared.stop.subscribe();
    let lingers = feed.source().mode() == Mode::Live;
    let (mut wanted, mut stopped) = (Instant::now(), false);
    let mut told = Vec::new();
    loop {
        if *stop.borrow() == Phase::Stopped && !stopped {
            stopped = true;
            feed.stop();
        }
        if shared.counts.clients.load(Relaxed) > 0 {
            wanted = Instant::now();
        } else if lingers && !stopped && wanted.elapsed() >= LINGER {
            stream.left.store(true, Relaxed);
            return None;
        }
        let entry = feed.next(true)?;
        tell(&*shared.options.metrics, feed.source(), &mut told);
        shared.counts.captured.fetch_add(entry.frames, Relaxed);
        let last = entry.last;
        stream.log.push(entry);
        if last {
            return Some(feed.error());
        }
    }
}

/// Tells the metrics what came in at the interfaces.
fn tell(metrics: &dyn MetricsSink, source: &dyn PacketSource, told: &mut Vec<InterfaceCounts>) {
    let now = source.interfaces();
    for counts in &now {
        let before = told.iter().find(|before| before.id == counts.id);
        if before != Some(counts) {
            metrics.interface(&counts.name, &counts.since(before));
        }
    }
    if let Some(lag) = source.lag() {
        metrics.lag(source.label(), lag.as_secs_f64());
    }
    *told = now;
}

/// Reads captures for one client, from a message on.
async fn stored(shared: &Arc<Shared>, open: &Open, session: SessionId, from: u64) -> Result<Supply, String> {
    let (open, compress) = (Arc::clone(open), shared.options.compress);
    let (entries, reader) = mpsc::channel(AHEAD);
    let frame = Arc::new(AtomicU64::new(0));
    let (ready, is_ready) = oneshot::channel();
    let first = Arc::clone(&frame);
    let read = move || {
        let encoder = Encoder::new(compress).map_err(|e| e.to_string());
        let mut feed = match encoder.and_then(|encoder| Ok((encoder, open().map_err(|e| e.to_string())?))) {
            Ok((encoder, source)) => Feed::new(source, None, encoder),
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        // The same reader over the same files gives the same messages: those that the client has are read and left.
        let mut next = 0;
        while next < from {
            let Some(entry) = feed.next(false) else { break };
            next = entry.seq + 1;
            first.store(entry.frame + entry.frames, Relaxed);
            if entry.last {
                // There is nothing more than the client has but the end.
                let _ = ready.send(Ok(entry.seq));
                let _ = entries.blocking_send(entry);
                return;
            }
        }
        if ready.send(Ok(next)).is_err() {
            return;
        }
        while let Some(entry) = feed.next(true) {
            if entries.blocking_send(entry).is_err() {
                return;
            }
        }
    };
    tokio::task::spawn_blocking(read);
    let seq = is_ready.await.unwrap_or_else(|_| Err("its thread ended".into()))?;
    Ok(Supply { session, seq, frame: frame.load(Relaxed), stored: true, lost: 0, from: From::Reader(reader) })
}
