//! How a command ends when it does not end well: one line on standard error, and an exit code.

use std::io;

use joyfuljay::ConfigError;
use joyfuljay_core::features::Profile;
use joyfuljay_io::save::SaveError;
use joyfuljay_io::sink::SinkError;
use joyfuljay_io::source::SourceError;

use crate::say;

/// Why the command did not do what was asked.
#[derive(Debug)]
pub enum CliError {
    /// The arguments or the configuration are wrong: nothing was begun.
    Usage(String),
    /// It failed on the way.
    Failed(String),
    /// The reader of the output went away: no message would reach it.
    Closed,
    /// A signal of this number asked for the end.
    Interrupted(i32),
    /// Already said, before something else had to be waited for; the exit code.
    Said(u8),
}

impl CliError {
    /// Says it, and gives the exit code.
    pub fn report(self) -> u8 {
        match self {
            Self::Usage(message) => fail(&message, 2),
            Self::Failed(message) => fail(&message, 1),
            Self::Closed => 0,
            Self::Interrupted(signal) => {
                say::line("interrupted: no output file was written");
                u8::try_from(128 + signal).unwrap_or(1)
            }
            Self::Said(code) => code,
        }
    }
}

fn fail(message: &str, code: u8) -> u8 {
    say::error(message);
    code
}

impl From<ConfigError> for CliError {
    fn from(e: ConfigError) -> Self {
        Self::Usage(match e {
            ConfigError::NothingSelected => {
                "no feature is selected: name at least one with --features GROUP or --feature NAME (see `jj features`)"
                    .into()
            }
            // Where no name is near, where there are some.
            ConfigError::Unknown { kind: "feature group" | "feature" | "feature or group", nearest: None, .. } => {
                format!("{e}; `jj features` lists them")
            }
            ConfigError::Unknown { kind: "option", nearest: None, .. } => {
                format!("{e}; docs/configuration.md has them")
            }
            ConfigError::Unknown { kind: "profile", nearest: None, .. } => {
                format!("{e}; there are {}", Profile::ALL.map(Profile::name).join(", "))
            }
            other => other.to_string(),
        })
    }
}

impl From<SourceError> for CliError {
    fn from(e: SourceError) -> Self {
        match e {
            SourceError::IsOutput { .. } | SourceError::Stream { .. } => Self::Usage(e.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<SinkError> for CliError {
    fn from(e: SinkError) -> Self {
        match e {
            SinkError::Closed { .. } => Self::Closed,
            SinkError::UnknownFormat { .. }
            | SinkError::NoName
            | SinkError::NoDirectory { .. }
            | SinkError::IsDirectory { .. }
            | SinkError::NotReplaceable { .. }
            | SinkError::NotSeveral { .. }
            | SinkError::NoKafka
            | SinkError::KafkaConfig { .. }
            | SinkError::NoColumn { .. }
            | SinkError::Asked { .. } => Self::Usage(e.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<SaveError> for CliError {
    fn from(e: SaveError) -> Self {
        match e {
            SaveError::NoFile { .. } | SaveError::InTheMaking { .. } => Self::Usage(e.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<joyfuljay::Error> for CliError {
    fn from(e: joyfuljay::Error) -> Self {
        match e {
            joyfuljay::Error::Config(e) => e.into(),
            joyfuljay::Error::Source(e) => e.into(),
            joyfuljay::Error::Sink(e) => e.into(),
            joyfuljay::Error::Filter(e) => Self::Usage(e.to_string()),
            joyfuljay::Error::Labels(e) => Self::Usage(e.to_string()),
            joyfuljay::Error::Save(e) => e.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<io::Error> for CliError {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(format!("standard output: {e}")),
        }
    }
}
