//! Errors of the engine as Python's own where there is one that fits: `OSError` by number, `ValueError` for settings. Those of
//! joyfuljay's own are written in Python, where type checkers and `pickle` find them.

use std::io;

use joyfuljay::filter::FilterError;
use joyfuljay::{ConfigError, Error, LabelsError, without_codes};
use joyfuljay_io::sink::SinkError;
use joyfuljay_io::source::SourceError;
use pyo3::exceptions::{
    PyFileNotFoundError, PyIsADirectoryError, PyOSError, PyPermissionError, PyRuntimeError, PyValueError,
};
use pyo3::import_exception;
use pyo3::prelude::*;

import_exception!(joyfuljay._errors, CaptureError);
import_exception!(joyfuljay._errors, JoyfulJayError);
import_exception!(joyfuljay._errors, PacketsNotKeptError);

/// The error of a run.
pub fn run_error(error: Error) -> PyErr {
    match error {
        Error::Config(e) => config_error(&e),
        Error::Source(e) => source_error(e),
        Error::Sink(e) => sink_error(e),
        Error::Labels(LabelsError::Read { path, error }) if error.raw_os_error().is_some() => os_error(&error, path),
        Error::Labels(e) => PyValueError::new_err(e.to_string()),
        Error::Filter(e @ FilterError::Expression { .. }) => PyValueError::new_err(e.to_string()),
        other => PyRuntimeError::new_err(without_codes(&other.to_string())),
    }
}

/// A setting that cannot be used, in the words of Python: without what the command line has for it.
pub fn config_error(error: &ConfigError) -> PyErr {
    let mut text = error.to_string();
    if let Some((before, behind)) = text.split_once(" (on the command line:")
        && let Some((_, after)) = behind.split_once(')')
    {
        text = format!("{before}{after}");
    }
    match error {
        ConfigError::Unknown { kind: "feature", nearest: None, .. } => {
            text.push_str("; joyfuljay.schema.get_feature_ids_ordered() has them");
        }
        ConfigError::Unknown { kind: "feature group", nearest: None, .. } => {
            text.push_str("; joyfuljay.FeatureGroup has them");
        }
        ConfigError::Unknown { kind: "option", nearest: None, .. } => {
            text.push_str("; help(joyfuljay.Config) has them")
        }
        _ => {}
    }
    PyValueError::new_err(text)
}

/// An input that cannot be read.
pub fn source_error(error: SourceError) -> PyErr {
    match error {
        SourceError::Open { path, error } => raised(error).unwrap_or_else(|error| os_error(&error, path)),
        SourceError::Read { path, offset, error } => raised(error).unwrap_or_else(|error| match error.raw_os_error() {
            Some(_) => os_error(&error, path),
            None => CaptureError::new_err(format!(
                "{path}: reading failed at offset {offset}: {}",
                without_codes(&error.to_string())
            )),
        }),
        SourceError::NoMatch { .. } | SourceError::EmptyDirectory { .. } => {
            PyFileNotFoundError::new_err(error.to_string())
        }
        SourceError::NoInput | SourceError::Pattern { .. } | SourceError::IsOutput { .. } => {
            PyValueError::new_err(error.to_string())
        }
        other => CaptureError::new_err(without_codes(&other.to_string())),
    }
}

/// The exception of a Python object that a capture was read from.
fn raised(error: io::Error) -> Result<PyErr, io::Error> {
    error.downcast::<PyErr>()
}

fn sink_error(error: SinkError) -> PyErr {
    match error {
        SinkError::Io { ref source, ref target, .. } => match source.raw_os_error() {
            Some(_) => os_error(source, target.clone()),
            None => PyOSError::new_err(without_codes(&error.to_string())),
        },
        SinkError::NoDirectory { .. } => PyFileNotFoundError::new_err(error.to_string()),
        SinkError::IsDirectory { .. } => PyIsADirectoryError::new_err(error.to_string()),
        SinkError::NotReplaceable { .. } => PyPermissionError::new_err(error.to_string()),
        SinkError::NotPlaced { .. } => PyOSError::new_err(without_codes(&error.to_string())),
        SinkError::NoName
        | SinkError::UnknownFormat { .. }
        | SinkError::UnknownCompression { .. }
        | SinkError::Asked { .. } => PyValueError::new_err(error.to_string()),
        other => JoyfulJayError::new_err(without_codes(&other.to_string())),
    }
}

/// `OSError(number, text, path)`, in which Python puts the number in front, and which Python turns into `FileNotFoundError` and its kin.
pub fn os_error(error: &io::Error, path: String) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, without_codes(&error.to_string()), path)),
        None => PyOSError::new_err(format!("{path}: {error}")),
    }
}
