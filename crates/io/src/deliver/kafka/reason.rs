//! Names of errors, as librdkafka writes them: label values of metrics, the same as those of the Python package.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Rows that were not acknowledged when the end came.
pub(super) const NOT_ACKNOWLEDGED: &str = "not_acknowledged";
/// Rows that came while the queue was full.
pub(super) const QUEUE_FULL: &str = "queue_full";

/// The short name of an error.
pub(super) fn of(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => name(code),
        None => "other".into(),
    }
}

fn name(code: RDKafkaErrorCode) -> String {
    match code {
        RDKafkaErrorCode::MessageTimedOut => "_MSG_TIMED_OUT".into(),
        RDKafkaErrorCode::MessageSizeTooLarge => "MSG_SIZE_TOO_LARGE".into(),
        RDKafkaErrorCode::UnknownTopicOrPartition => "UNKNOWN_TOPIC_OR_PART".into(),
        RDKafkaErrorCode::BrokerTransportFailure => "_TRANSPORT".into(),
        code => {
            // Errors of the client itself have numbers below 0 and names with an underscore before them.
            let own = if (code as i32) < -1 { "_" } else { "" };
            let words = format!("{code:?}").chars().fold(String::new(), |mut name, c| {
                if c.is_uppercase() && name.chars().last().is_some_and(char::is_lowercase) {
                    name.push('_');
                }
                name.push(c);
                name
            });
            format!("{own}{}", words.to_uppercase())
        }
    }
}

/// What an error says, for people.
pub(super) fn text(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

/// Whether a producer can do nothing more after this error: its sequence is broken.
pub(super) fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::OutOfOrderSequenceNumber
                | RDKafkaErrorCode::UnknownProducerId
                | RDKafkaErrorCode::InvalidProducerEpoch
        )
    )
}

/// Whether a message was thrown out of the queue, rather than refused.
pub(super) fn was_purged(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
}

/// Whether the login was refused.
pub(super) fn is_login(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_librdkafka() {
        let name = |code| of(&KafkaError::MessageProduction(code));
        assert_eq!(name(RDKafkaErrorCode::MessageTimedOut), "_MSG_TIMED_OUT");
        assert_eq!(name(RDKafkaErrorCode::TopicAuthorizationFailed), "TOPIC_AUTHORIZATION_FAILED");
        assert_eq!(name(RDKafkaErrorCode::UnknownTopic), "_UNKNOWN_TOPIC");
        assert_eq!(of(&KafkaError::Canceled), "other");
    }
}
