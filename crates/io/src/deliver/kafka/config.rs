//! The properties of librdkafka: those that lose no row silently, and behind them the user's.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::super::{OnFull, TopicOptions};
use crate::sink::SinkError;

/// Messages and bytes that may wait for acknowledgements. Full is what [`OnFull`] is for.
const QUEUE_MESSAGES: &str = "100000";
const QUEUE_KIB: &str = "65536";

/// Properties by name.
#[derive(Clone)]
pub(super) struct Properties(BTreeMap<String, String>);

impl Properties {
    pub(super) fn new(options: &TopicOptions) -> Result<Self, SinkError> {
        let usage = |message: String| Err(SinkError::KafkaConfig { message });
        for broker in options.brokers.split(',').map(str::trim) {
            let host = broker.rsplit_once("://").map_or(broker, |(_, host)| host);
            if host.is_empty() {
                return usage("a broker has no name: write HOST:PORT, separated by commas".into());
            }
            if !host.starts_with('[') && host.matches(':').count() > 1 {
                return usage(format!("{host}: an address of IPv6 stands in brackets: [::1]:9092"));
            }
        }
        let own = [
            ("bootstrap.servers", options.brokers.as_str()),
            ("client.id", "joyfuljay"),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("max.in.flight.requests.per.connection", "5"),
            // As the Java clients do, so that a key has one partition whoever writes it.
            ("partitioner", "murmur2_random"),
            ("queue.buffering.max.messages", QUEUE_MESSAGES),
            ("queue.buffering.max.kbytes", QUEUE_KIB),
            ("statistics.interval.ms", "1000"),
            // Who waits for room must not wait for ever. Where the queue is bounded otherwise, rows are kept while a broker is away.
            ("message.timeout.ms", if options.on_full == OnFull::Wait { "300000" } else { "0" }),
        ];
        let mut found: BTreeMap<String, String> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        found.insert("batch.num.messages".into(), options.batch_size.clamp(1, 1_000_000).to_string());
        found.extend(options.config.iter().cloned());
        let acks = found.get("acks").or(found.get("request.required.acks")).map(String::as_str);
        if !matches!(acks, None | Some("all" | "-1")) {
            (options.say)(
                "warning: kafka: with acks other than all, rows can be lost without a word when a broker fails",
            );
            found.entry("enable.idempotence".into()).and_modify(|value| "false".clone_into(value));
        }
        Ok(Self(found))
    }

    /// A property, unless it has a value.
    pub(super) fn set_default(&mut self, name: &str, value: String) {
        self.0.entry(name.to_owned()).or_insert(value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// As librdkafka takes them.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        self.0.iter().for_each(|(name, value)| {
            config.set(name, value);
        });
        config
    }

    /// As [`Self::client`], for one that only asks.
    pub(super) fn asking(&self) -> ClientConfig {
        let mut config = self.client();
        ["enable.idempotence", "batch.num.messages", "batch.size", "acks"].into_iter().for_each(|name| {
            config.remove(name);
        });
        config
    }

    /// Why a client could not be made.
    pub(super) fn refused(&self, error: KafkaError) -> SinkError {
        let message = match error {
            // Its own text has the value, too, which may be a password.
            KafkaError::ClientConfig(_, what, name, _) => format!("{name}: {what}"),
            KafkaError::ClientCreation(what) => what,
            other => other.to_string(),
        };
        SinkError::KafkaConfig { message: self.without_secrets(&message) }
    }

    /// A text without any of the values that nobody should read.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let secret = |name: &str| ["password", "secret", ".key"].iter().any(|part| name.contains(part));
        let secrets = self.0.iter().filter(|(name, value)| secret(name) && value.len() > 2);
        secrets.fold(text.to_owned(), |text, (_, value)| text.replace(value.as_str(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(brokers: &str, config: &[(&str, &str)]) -> Result<Properties, SinkError> {
        let mut options = TopicOptions::new(brokers, "t");
        options.config = config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Properties::new(&options)
    }

    #[test]
    fn the_users_come_last() {
        let found = properties("a:1,[::1]:2", &[("compression.type", "zstd"), ("message.timeout.ms", "7")]).unwrap();
        assert_eq!(found.get("message.timeout.ms"), Some("7"));
        assert_eq!((found.get("acks"), found.get("enable.idempotence")), (Some("all"), Some("true")));
        let weak = properties("a:1", &[("acks", "1")]).unwrap();
        assert_eq!((weak.get("acks"), weak.get("enable.idempotence")), (Some("1"), Some("false")));
    }

    #[test]
    fn brokers_that_cannot_be_meant_are_refused() {
        for brokers in ["", "a:1,", "::1:9092"] {
            assert!(matches!(properties(brokers, &[]), Err(SinkError::KafkaConfig { .. })), "{brokers}");
        }
    }

    #[test]
    fn secrets_are_in_no_message() {
        let found = properties("a:1", &[("sasl.password", "hunter2"), ("no.such.property", "hunter2")]).unwrap();
        let error = match found.client().create_native_config() {
            Err(error) => found.refused(error).to_string(),
            Ok(_) => panic!("no such property"),
        };
        assert!(error.contains("no.such.property") && !error.contains("hunter2"), "{error}");
        assert_eq!(found.without_secrets("login with hunter2 failed"), "login with *** failed");
    }
}
