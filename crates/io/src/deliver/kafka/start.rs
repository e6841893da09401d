//! The start: whether brokers answer, let us in and know the topic, and how large its messages may be.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use super::super::{Ending, TopicOptions};
use super::config::Properties;
use super::reason;
use crate::sink::SinkError;

/// How long one question to a broker may take; several fit into the ten seconds of a start.
const ASK: Duration = Duration::from_secs(2);

/// librdkafka's own bound of a batch, where the topic's is not lower.
const BATCH_BYTES: u64 = 1_000_000;

/// Waits until the topic is seen. Gives the bytes that a batch may have, where they are known.
pub(super) fn look(options: &TopicOptions, properties: &Properties) -> Result<Option<u64>, SinkError> {
    let failed = |message: String| SinkError::Kafka { message: properties.without_secrets(&message) };
    let seen = Seen::default();
    let asking = properties.asking();
    let client: BaseProducer<Seen> = asking.create_with_context(seen.clone()).map_err(|e| properties.refused(e))?;
    let brokers = &options.brokers;
    if options.start_timeout.is_zero() {
        return Ok(None);
    }
    let mechanism = properties.get("sasl.mechanism").or(properties.get("sasl.mechanisms")).unwrap_or("GSSAPI");
    let until = Instant::now() + options.start_timeout;
    let mut why = "no answer".to_owned();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || (options.ending)() != Ending::No {
            let message = format!("kafka at {brokers} is not ready after {:?}: {why}", options.start_timeout);
            if options.start_needs_topic {
                return Err(failed(message));
            }
            let message = properties.without_secrets(&message);
            (options.say)(&format!("warning: {message}; rows wait for it"));
            return Ok(None);
        }
        let found = client.client().fetch_metadata(Some(&options.topic), left.min(ASK).max(Duration::from_millis(100)));
        client.poll(Duration::from_millis(200));
        let mut of_topic = false;
        match found.as_ref().map(|found| found.topics().first().map(|topic| topic.error())) {
            Ok(Some(None)) => break,
            Ok(Some(Some(error))) => {
                of_topic = true;
                let error = RDKafkaErrorCode::from(error);
                let topic = &options.topic;
                why = format!("topic '{topic}': {error}; create it, or have the broker create topics");
            }
            Ok(None) => {}
            Err(error) => why = reason::text(error),
        }
        let errors = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = errors.iter().rev().find(|(error, _)| reason::is_login(error)) {
            return Err(failed(format!("kafka at {brokers} refuses the login by {mechanism}: {text}")));
        }
        // That all are away says less than why one is.
        let down = |error: &KafkaError| error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let said = errors.iter().rev().find(|(error, _)| !down(error)).or(errors.last());
        if let (Some((_, text)), false) = (said, of_topic) {
            why.clone_from(text);
        }
    }
    Ok(Some(most_bytes(options, properties).map_or(BATCH_BYTES, |most| most.min(BATCH_BYTES))))
}

/// The topic's limit of a message; none where it is not known, as not every user may read it.
fn most_bytes(options: &TopicOptions, properties: &Properties) -> Option<u64> {
    let admin: AdminClient<DefaultClientContext> = properties.asking().create().ok()?;
    let topic = [ResourceSpecifier::Topic(&options.topic)];
    let asked = admin.describe_configs(&topic, &AdminOptions::new().request_timeout(Some(ASK)));
    let found = block_on(asked, ASK * 2)?.ok()?;
    found.into_iter().next()?.ok()?.get("max.message.bytes")?.value.as_ref()?.parse().ok()
}

/// Errors that a client has told of.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(KafkaError, String)>>>);

impl ClientContext for Seen {
    fn log(&self, _level: RDKafkaLogLevel, _fac: &str, _message: &str) {}

    fn error(&self, error: KafkaError, text: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((error, text.to_owned()));
    }
}

impl ProducerContext for Seen {
    type DeliveryOpaque = ();

    fn delivery(&self, _result: &DeliveryResult<'_>, (): ()) {}
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that another thread completes.
fn block_on<T>(future: impl Future<Output = T>, most: Duration) -> Option<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let until = Instant::now() + most;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::park_timeout(left);
    }
}
