//! Messages on their way: what is sent, what came of it, and a new producer where the old one can do nothing more.
//!
//! librdkafka sends and retries on threads of its own and keeps every message until its fate is known. We keep only counts: a message
//! that a producer gives back is in its report. One thread of ours takes the reports, several times a second also when no row comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use joyfuljay_core::metrics::DeliveryDelta;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, config::FromClientConfigAndContext};

use super::super::{Ending, OnFull, TopicOptions};
use super::config::Properties;
use super::reason::{self, NOT_ACKNOWLEDGED, QUEUE_FULL};
use super::spool::Spool;
use crate::sink::SinkError;

/// Reports are taken at least so often.
const POLL: Duration = Duration::from_millis(100);
/// And so often while messages wait in a file for room.
const POLL_SPOOLED: Duration = Duration::from_millis(10);
/// New producers in a row without one acknowledgement between them: then the fault is not the producer's state.
const MOST_REBUILDS: u32 = 3;
/// How long an old producer has to give back what it has.
const PURGE: Duration = Duration::from_secs(5);

/// Sends messages.
pub(super) struct Courier {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// When nothing waits any more, once the run is to end.
    until: Option<Instant>,
}

struct Shared {
    options: TopicOptions,
    properties: Properties,
    begun: Instant,
    out: Mutex<Out>,
    ledger: Arc<Ledger>,
    closed: AtomicBool,
}

/// What messages are handed to. Held for the call that hands one over, so that none gets between those of an old producer.
struct Out {
    producer: Arc<BaseProducer<Reports>>,
    spool: Option<Spool>,
    next: u64,
}

/// What goes with a message and comes back with its report.
struct Parcel {
    number: u64,
    rows: u64,
    written: Instant,
}

/// A message that its producer gave back.
struct GivenBack {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    parcel: Box<Parcel>,
}

/// Hears what a producer reports.
struct Reports {
    generation: u32,
    ledger: Arc<Ledger>,
}

/// The fates of rows.
struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
    topic: String,
    properties: Properties,
    say: Arc<dyn Fn(&str) + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: u64,
    delivered: u64,
    failed: BTreeMap<String, u64>,
    again: u64,
    /// Producers made so far, less one: what an older one says of itself is past.
    generation: u32,
    rebuilds: u32,
    /// Why the present producer is to be replaced.
    fatal: Option<String>,
    given_back: Vec<GivenBack>,
    said: BTreeSet<String>,
    said_of_brokers: BTreeSet<String>,
    requests_again: u64,
    news: News,
}

/// What metrics have not been told yet.
#[derive(Default)]
struct News {
    rows: u64,
    bytes: u64,
    retries: u64,
    failures: BTreeMap<String, u64>,
    seconds: Vec<f64>,
}

/// What became of a message that was handed over.
enum Handed {
    Over,
    /// There is no room.
    Full,
    /// The producer is to be replaced first.
    Later,
    Refused(KafkaError),
}

impl Courier {
    pub(super) fn start(options: &TopicOptions, properties: Properties) -> Result<Self, SinkError> {
        let ledger = Arc::new(Ledger {
            state: Mutex::default(),
            changed: Condvar::new(),
            topic: options.topic.clone(),
            properties: properties.clone(),
            say: Arc::clone(&options.say),
        });
        let producer = open(&properties, &ledger, 0).map_err(|e| properties.refused(e))?;
        let spool = match options.on_full {
            OnFull::Spool => Some(Spool::create(options.spool_bytes).map_err(spool_failed)?),
            OnFull::Wait | OnFull::Drop => None,
        };
        let out = Mutex::new(Out { producer: Arc::new(producer), spool, next: 0 });
        let shared = Arc::new(Shared {
            options: options.clone(),
            properties,
            begun: Instant::now(),
            out,
            ledger,
            closed: AtomicBool::new(false),
        });
        // From here on `rate()` sees the first row.
        shared.report();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("jj-kafka".into()).spawn(move || serving.serve());
        let thread =
            thread.map_err(|e| SinkError::Kafka { message: format!("kafka: a thread could not be started: {e}") })?;
        Ok(Self { shared, thread: Some(thread), until: None })
    }

    /// Takes a message. Where the queue is full, what was chosen for that happens.
    pub(super) fn send(&mut self, key: Option<&[u8]>, value: &[u8], rows: u64) -> Result<(), SinkError> {
        let Self { shared, until, .. } = self;
        let ledger = &shared.ledger;
        let written = Instant::now();
        ledger.lock().waiting += rows;
        loop {
            let mut out = lock(&shared.out);
            if out.spool.as_ref().is_some_and(|spool| !spool.is_empty()) {
                shared.spool(&mut out, key, value, rows);
                return Ok(());
            }
            let number = out.next;
            match out.hand_over(&shared.options.topic, key, value, Box::new(Parcel { number, rows, written }), ledger) {
                Handed::Over => return Ok(()),
                Handed::Refused(error) => {
                    ledger.fail(&reason::of(&error), rows, value.len(), Some(&error));
                    return Ok(());
                }
                Handed::Full if shared.options.on_full == OnFull::Spool => {
                    shared.spool(&mut out, key, value, rows);
                    return Ok(());
                }
                Handed::Full if shared.options.on_full == OnFull::Drop => {
                    ledger.fail(QUEUE_FULL, rows, value.len(), None);
                    return Ok(());
                }
                Handed::Full | Handed::Later => {}
            }
            drop(out);
            match (shared.options.ending)() {
                Ending::No => {}
                Ending::Cancel => return Err(SinkError::Closed { target: super::NAME.into() }),
                Ending::Stop => {
                    if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + shared.options.close_timeout) {
                        ledger.fail(NOT_ACKNOWLEDGED, rows, value.len(), None);
                        return Ok(());
                    }
                }
            }
            ledger.wait();
        }
    }

    /// Returns when every row is acknowledged; an error says how many are not.
    pub(super) fn finish(mut self) -> Result<(), SinkError> {
        let shared = Arc::clone(&self.shared);
        let until = *self.until.get_or_insert_with(|| Instant::now() + shared.options.close_timeout);
        while shared.ledger.lock().waiting > 0 && Instant::now() < until && (shared.options.ending)() != Ending::Cancel
        {
            shared.ledger.wait();
        }
        self.end();
        let state = shared.ledger.lock();
        let undelivered: u64 = state.failed.values().sum();
        if undelivered == 0 {
            return Ok(());
        }
        let each: Vec<_> = state.failed.iter().map(|(reason, rows)| format!("{reason}: {rows}")).collect();
        let (topic, delivered) = (shared.options.topic.clone(), state.delivered);
        Err(SinkError::Undelivered { topic, undelivered, delivered, reasons: each.join(", ") })
    }

    /// Ends thread and producer; what they still have counts as not acknowledged.
    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.closed.store(true, Ordering::Relaxed);
        // It ends by itself, within a poll or a purge.
        let _ = thread.join();
        let shared = &self.shared;
        shared.purge(&lock(&shared.out).producer);
        // What was given back by a producer for which there is no successor, and what is in the file.
        let left = {
            let mut state = shared.ledger.lock();
            state.given_back.clear();
            state.waiting
        };
        if left > 0 {
            shared.ledger.fail(NOT_ACKNOWLEDGED, left, 0, None);
        }
        shared.report();
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn serve(&self) {
        while !self.closed.load(Ordering::Relaxed) {
            let (producer, spooled) = {
                let out = lock(&self.out);
                (Arc::clone(&out.producer), out.spool.as_ref().is_some_and(|spool| !spool.is_empty()))
            };
            producer.poll(if spooled { POLL_SPOOLED } else { POLL });
            drop(producer);
            let fatal = self.ledger.lock().fatal.take();
            if let Some(why) = fatal {
                self.rebuild(&why);
            }
            if spooled {
                self.unspool();
            }
            self.report();
        }
    }

    /// Has a producer give back what it has.
    fn purge(&self, producer: &BaseProducer<Reports>) {
        producer.purge(PurgeConfig::default().queue().inflight());
        let until = Instant::now() + PURGE;
        while producer.in_flight_count() > 0 && Instant::now() < until {
            producer.poll(Duration::from_millis(10));
        }
    }

    /// A new producer for one that can do nothing more; it is given every message that is not acknowledged, in order.
    fn rebuild(&self, why: &str) {
        let (topic, ledger) = (&self.options.topic, &self.ledger);
        (self.options.say)(&format!(
            "warning: topic {topic}: the producer failed ({why}) and is replaced; what it had not delivered is sent again"
        ));
        let mut out = lock(&self.out);
        // Reports that come now are of messages that go to the new one.
        ledger.lock().fatal = Some(why.to_owned());
        self.purge(&out.producer);
        let generation = {
            let mut state = ledger.lock();
            state.fatal = None;
            state.rebuilds += 1;
            state.requests_again = 0;
            state.generation += 1;
            state.generation
        };
        match open(&self.properties, ledger, generation) {
            Ok(producer) => out.producer = Arc::new(producer),
            Err(error) => (self.options.say)(&format!(
                "warning: topic {topic}: no new producer: {}",
                self.properties.refused(error)
            )),
        }
        let mut again = {
            let mut state = ledger.lock();
            let again = std::mem::take(&mut state.given_back);
            let rows: u64 = again.iter().map(|message| message.parcel.rows).sum();
            state.again += rows;
            state.news.retries += rows;
            again
        };
        again.sort_by_key(|message| message.parcel.number);
        for GivenBack { key, value, parcel } in again {
            let rows = parcel.rows;
            // The old one had room for them.
            match out.hand_over(topic, key.as_deref(), &value, parcel, ledger) {
                Handed::Over => {}
                Handed::Refused(error) => ledger.fail(&reason::of(&error), rows, value.len(), Some(&error)),
                Handed::Full | Handed::Later => ledger.fail(QUEUE_FULL, rows, value.len(), None),
            }
        }
    }

    /// Puts a message into the file; where that has no room, it is lost.
    fn spool(&self, out: &mut Out, key: Option<&[u8]>, value: &[u8], rows: u64) {
        let pushed = out.spool.as_mut().map(|spool| spool.push(key, value, rows, self.begun.elapsed()));
        match pushed {
            Some(Ok(true)) => {}
            Some(Err(error)) => {
                self.ledger.say_once("spool", || format!("rows cannot be kept in the temporary file: {error}"));
                self.ledger.fail(QUEUE_FULL, rows, value.len(), None);
            }
            _ => self.ledger.fail(QUEUE_FULL, rows, value.len(), None),
        }
    }

    /// Hands messages of the file over while there is room.
    fn unspool(&self) {
        let mut out = lock(&self.out);
        let Out { producer, spool: Some(spool), next } = &mut *out else { return };
        // A message that cannot go back into the file must have room for certain.
        let room = |producer: &BaseProducer<Reports>| {
            let most = self.properties.get("queue.buffering.max.messages").and_then(|n| n.parse::<i32>().ok());
            producer.in_flight_count() < most.unwrap_or(i32::MAX) / 2
        };
        while room(producer) {
            let message = match spool.pop() {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(error) => {
                    self.ledger.say_once("spool", || format!("rows in the temporary file cannot be read: {error}"));
                    return;
                }
            };
            let parcel = Box::new(Parcel { number: *next, rows: message.rows, written: self.begun + message.at });
            match hand_over(
                producer,
                next,
                &self.options.topic,
                message.key.as_deref(),
                &message.value,
                parcel,
                &self.ledger,
            ) {
                Handed::Over => {}
                Handed::Refused(error) => {
                    self.ledger.fail(&reason::of(&error), message.rows, message.value.len(), Some(&error));
                }
                // Bytes have a bound of their own.
                Handed::Full | Handed::Later => {
                    spool.put_back(&message);
                    return;
                }
            }
        }
    }

    fn report(&self) {
        let (news, waiting) = {
            let mut state = self.ledger.lock();
            (std::mem::take(&mut state.news), state.waiting)
        };
        let failures: Vec<_> = news.failures.iter().map(|(reason, rows)| (reason.as_str(), *rows)).collect();
        let News { rows, bytes, retries, ref seconds, .. } = news;
        let delta = DeliveryDelta { rows, bytes, retries, failures: &failures, waiting, seconds };
        self.options.metrics.delivery(&self.options.topic, &delta);
    }
}

impl Out {
    fn hand_over(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        parcel: Box<Parcel>,
        ledger: &Ledger,
    ) -> Handed {
        hand_over(&self.producer, &mut self.next, topic, key, value, parcel, ledger)
    }
}

fn hand_over(
    producer: &BaseProducer<Reports>,
    next: &mut u64,
    topic: &str,
    key: Option<&[u8]>,
    value: &[u8],
    mut parcel: Box<Parcel>,
    ledger: &Ledger,
) -> Handed {
    parcel.number = *next;
    let mut record = BaseRecord::with_opaque_to(topic, parcel).payload(value);
    record.key = key;
    match producer.send(record) {
        Ok(()) => {
            *next += 1;
            Handed::Over
        }
        Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => Handed::Full,
        Err((error, _)) if reason::is_fatal(&error) && ledger.is_to_be_replaced(&error) => Handed::Later,
        Err((error, _)) => Handed::Refused(error),
    }
}

fn open(properties: &Properties, ledger: &Arc<Ledger>, generation: u32) -> Result<BaseProducer<Reports>, KafkaError> {
    let reports = Reports { generation, ledger: Arc::clone(ledger) };
    BaseProducer::from_config_and_context(&properties.client(), reports)
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Until something has changed, or for a moment.
    fn wait(&self) {
        let state = self.lock();
        drop(self.changed.wait_timeout(state, POLL / 2));
    }

    /// Whether a new producer helps; then one is made soon.
    fn is_to_be_replaced(&self, error: &KafkaError) -> bool {
        let mut state = self.lock();
        let helps = state.rebuilds < MOST_REBUILDS;
        if helps {
            state.fatal.get_or_insert_with(|| reason::text(error));
        }
        helps
    }

    fn fail(&self, reason: &str, rows: u64, size: usize, error: Option<&KafkaError>) {
        {
            let mut state = self.lock();
            state.waiting = state.waiting.saturating_sub(rows);
            *state.failed.entry(reason.to_owned()).or_default() += rows;
            *state.news.failures.entry(reason.to_owned()).or_default() += rows;
        }
        self.changed.notify_all();
        if let Some(error) = error {
            let text = reason::text(error);
            self.say_once(reason, || {
                format!("a message of {size} bytes was not delivered ({reason}): {text}; further ones are counted only")
            });
        } else if reason == QUEUE_FULL {
            self.say_once(reason, || "the queue is full and rows are lost; they are counted".into());
        }
    }

    /// Once for each kind.
    fn say_once(&self, about: &str, message: impl FnOnce() -> String) {
        if self.lock().said.insert(about.to_owned()) {
            let message = self.properties.without_secrets(&message());
            (self.say)(&format!("warning: topic {}: {message}", self.topic));
        }
    }
}

impl ClientContext for Reports {
    fn log(&self, _level: RDKafkaLogLevel, _fac: &str, _message: &str) {}

    fn stats(&self, statistics: Statistics) {
        let now = statistics.brokers.values().map(|broker| broker.txretries).sum::<u64>();
        let mut state = self.ledger.lock();
        if self.generation == state.generation {
            let more = now.saturating_sub(state.requests_again);
            state.requests_again = now;
            state.news.retries += more;
        }
    }

    fn error(&self, error: KafkaError, text: &str) {
        let ledger = &self.ledger;
        if ledger.lock().generation != self.generation || (reason::is_fatal(&error) && ledger.is_to_be_replaced(&error))
        {
            return;
        }
        // Once for each kind, until rows are delivered again: while a broker is away there are several a second.
        if ledger.lock().said_of_brokers.insert(reason::of(&error)) {
            let text = ledger.properties.without_secrets(text);
            (ledger.say)(&format!("warning: topic {}: {text}", ledger.topic));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Parcel>;

    fn delivery(&self, result: &DeliveryResult<'_>, parcel: Box<Parcel>) {
        let ledger = &self.ledger;
        let (error, message) = match result {
            Ok(message) => (None, message),
            Err((error, message)) => (Some(error), message),
        };
        let size = message.payload_len() + message.key_len();
        let Some(error) = error else {
            let mut state = ledger.lock();
            state.waiting = state.waiting.saturating_sub(parcel.rows);
            state.delivered += parcel.rows;
            state.rebuilds = 0;
            state.news.rows += parcel.rows;
            state.news.bytes += size as u64;
            state.news.seconds.push(parcel.written.elapsed().as_secs_f64());
            let back = !std::mem::take(&mut state.said_of_brokers).is_empty();
            drop(state);
            ledger.changed.notify_all();
            if back {
                (ledger.say)(&format!("topic {}: rows are acknowledged again", ledger.topic));
            }
            return;
        };
        let replaced = {
            let state = ledger.lock();
            state.generation == self.generation && state.fatal.is_some()
        };
        if replaced || (reason::is_fatal(error) && ledger.is_to_be_replaced(error)) {
            let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().unwrap_or_default().to_vec());
            ledger.lock().given_back.push(GivenBack { key, value, parcel });
        } else if reason::was_purged(error) {
            ledger.fail(NOT_ACKNOWLEDGED, parcel.rows, size, None);
        } else {
            ledger.fail(&reason::of(error), parcel.rows, size, Some(error));
        }
    }
}

fn spool_failed(error: std::io::Error) -> SinkError {
    SinkError::Kafka {
        message: format!(
            "kafka: no temporary file for rows can be made in {}: {error}",
            std::env::temp_dir().display()
        ),
    }
}

/// Locks a mutex; a thread that panicked while it held it has at worst left a count short.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
