//! Why a run failed.

use joyfuljay_capture::filter::FilterError;
use joyfuljay_core::ConfigError;
use joyfuljay_io::save::SaveError;
use joyfuljay_io::sink::SinkError;
use joyfuljay_io::source::SourceError;
use thiserror::Error;

/// Why a run could not be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rows cannot be written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The filter cannot be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The filter is one, but not for any frame of the input.
    #[error("{0}; no frame of the input is of another type")]
    FilterUseless(String),
    /// The labels of flows cannot be had.
    #[error(transparent)]
    Labels(#[from] crate::labels::LabelsError),
    /// Frames cannot be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A folder cannot be watched.
    #[error(transparent)]
    Watch(#[from] crate::watch::WatchError),
    /// The input cannot be cut in this way.
    #[error("{0}")]
    Slices(String),
    /// Rows could not be made of flows.
    #[error("rows could not be built: {0}")]
    Rows(String),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}; use fewer workers, or raise the limits on threads and memory")]
    Thread(std::io::Error),
    /// A worker thread died.
    #[error("a worker thread ended unexpectedly; please report this with the capture that caused it")]
    Worker,
}

impl Error {
    /// The `stage` label under which the error is counted.
    pub fn stage(&self) -> &'static str {
        match self {
            Self::Source(_) => "parsing",
            Self::Sink(_) | Self::Save(_) | Self::Watch(_) => "output",
            Self::Config(_)
            | Self::Filter(_)
            | Self::FilterUseless(_)
            | Self::Labels(_)
            | Self::Slices(_)
            | Self::Rows(_)
            | Self::Thread(_)
            | Self::Worker => "extraction",
        }
    }
}

/// The text without what the standard library puts around the words of the system: `(os error 2)`, and that it looked up a name.
pub fn without_codes(text: &str) -> String {
    let text = text.replace("failed to lookup address information: ", "");
    let mut parts = text.split(" (os error ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((code, rest)) if code.bytes().all(|b| b.is_ascii_digit()) => out.push_str(rest),
            _ => out.extend([" (os error ", part]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_words_and_no_numbers() {
        let said = |text| without_codes(text);
        assert_eq!(said("a: No such file or directory (os error 2)"), "a: No such file or directory");
        assert_eq!(said("x (os error 13), y (os error 2) z"), "x, y z");
        assert_eq!(
            said("x: failed to lookup address information: Name or service not known"),
            "x: Name or service not known"
        );
        assert_eq!(said("(os error of mine) (os error x)"), "(os error of mine) (os error x)");
    }
}
