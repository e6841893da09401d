//! The configuration comes as JSON, so that names, types and ranges are judged in one place for command, file and Python.

use std::collections::HashMap;

use joyfuljay::{Config, ConfigError, config_file};
use joyfuljay_core::config::{KEYS, Key, Kind};
use joyfuljay_core::features::{self, FeatureInfo, GROUPS, Profile};
use joyfuljay_core::rows::RowPlan;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::errors::{config_error, os_error};

/// Reads and validates a configuration; names that do not exist are answered with the nearest.
pub fn read(json: &str) -> PyResult<Config> {
    let map: Map<String, Value> =
        serde_json::from_str(json).map_err(|e| PyValueError::new_err(format!("configuration: {e}")))?;
    for name in map.keys() {
        Key::require(name).map_err(|e| match joyfuljay_cli::key_of_option(name) {
            Some((option, key)) => {
                let value = if option.starts_with("no-") { "=False" } else { "" };
                PyValueError::new_err(format!(
                    "unknown option '{name}': what the command has as --{option} is {}{value} here",
                    key.name
                ))
            }
            None => config_error(&e),
        })?;
    }
    // One key at a time, so that an error names it.
    for (name, value) in &map {
        let one = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<Config>(Value::Object(one))
            .map_err(|e| PyValueError::new_err(wrong_value(name, value, &e.to_string())))?;
    }
    let config: Config =
        serde_json::from_value(Value::Object(map)).map_err(|e| PyValueError::new_err(e.to_string()))?;
    let check = |c: &Config| -> Result<(), ConfigError> {
        c.validate()?;
        RowPlan::new(c).map(drop)
    };
    check(&config).map_err(|e| config_error(&e))?;
    Ok(config)
}

/// What is wrong with a value, in the words of Python.
fn wrong_value(name: &str, value: &Value, error: &str) -> String {
    let shown = match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    };
    let said = match Key::find(name).map(|key| (key.kind, key.refusal(error))) {
        Some((Kind::Bool, _)) => "must be True or False".to_owned(),
        Some((_, said)) => said,
        None => error.to_owned(),
    };
    format!("{name} = {shown}: {said}")
}

fn to_json(config: &Config) -> PyResult<String> {
    serde_json::to_string(config).map_err(|e| PyValueError::new_err(e.to_string()))
}

/// The default configuration as JSON.
#[pyfunction]
pub fn config_defaults() -> PyResult<String> {
    to_json(&Config::default())
}

/// Checks a configuration, given as JSON: ValueError says what is wrong and what would be right.
#[pyfunction]
pub fn config_validate(json: &str) -> PyResult<()> {
    read(json).map(drop)
}

/// Every option: name, type in a configuration file, what it does.
#[pyfunction]
pub fn config_keys() -> Vec<(&'static str, String, &'static str)> {
    KEYS.iter().map(|k| (k.name, k.kind.to_string(), k.help)).collect()
}

/// Reads a configuration file (TOML, YAML or JSON) as JSON.
#[pyfunction]
pub fn config_load(path: std::path::PathBuf) -> PyResult<String> {
    if let Err(e) = std::fs::metadata(&path) {
        return Err(os_error(&e, path.display().to_string()));
    }
    to_json(&config_file::load(path).map_err(|e| config_error(&e))?)
}

/// Feature groups, in the order of their columns.
#[pyfunction]
pub fn feature_groups() -> Vec<&'static str> {
    GROUPS.iter().map(|g| g.id()).collect()
}

/// All that is said of every feature, or of the one of this name.
#[pyfunction]
#[pyo3(signature = (name=None))]
pub fn feature_table(name: Option<&str>) -> PyResult<Vec<HashMap<&'static str, String>>> {
    let said = |f: FeatureInfo| f.described().into_iter().map(|(key, text)| (key, text.into_owned())).collect();
    match name {
        Some(name) => Ok(vec![said(features::feature(name).map_err(|e| config_error(&e))?)]),
        None => Ok(features::all().map(said).collect()),
    }
}

/// Names of the profiles, from the smallest to the largest.
#[pyfunction]
pub fn profiles() -> Vec<&'static str> {
    Profile::ALL.iter().map(|p| p.name()).collect()
}
