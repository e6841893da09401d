//! Errors of the engine. Packets cannot cause any: what the wire brings is counted, never returned as an error.

use thiserror::Error;

/// A configuration that cannot be used, and the way out.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside its range.
    #[error("{option} = {value}: {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// A name that does not exist, with the nearest that does.
    #[error("unknown {kind} '{name}'{}", suggestion(.nearest))]
    Unknown {
        /// "feature", "feature group", "profile", "option"…
        kind: &'static str,
        /// What was given.
        name: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// A file that is not the configuration it should be.
    #[error("{0}")]
    Syntax(String),
    /// The selection leaves no column.
    #[error("no feature is selected: name at least one group in features, or one feature in specific_features")]
    NothingSelected,
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (did you mean '{n}'?)")).unwrap_or_default()
}
