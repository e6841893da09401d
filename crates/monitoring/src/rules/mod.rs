//! Alerting and recording rules for Prometheus, and a configuration that scrapes JoyfulJay. Built as structures and serialised: the
//! braces of `{{ $value }}` in annotations survive, which no template with braces of its own guarantees.

mod alerts;
mod config;

pub use config::{ConfigOptions, generate_prometheus_config};

use crate::label::is_metric_name;
use crate::registry::MetricsError;
use crate::table::DEFAULT_NAMESPACE;
use serde::Serialize;
use std::collections::BTreeMap;

/// Thresholds of the alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesOptions {
    /// Errors per second, of any stage, above which an instance is alerted on.
    pub error_threshold: f64,
    /// Packets per second at or below which a running instance is alerted on.
    pub packet_rate_threshold: f64,
    /// Open flows above which an instance without a bound is alerted on.
    pub active_flows_threshold: f64,
    /// Share of a bounded flow table above which an instance is alerted on, 0 to 1.
    pub active_flows_ratio: f64,
    /// Seconds that a live or remote source may be behind.
    pub lag_threshold: f64,
    /// Prefix of the families.
    pub namespace: String,
    /// The `job_name` of the scrape configuration.
    pub job: String,
    /// What is watched.
    pub watched: Watched,
    /// Where the runbooks lie: `runbook_url` of an alert is this, the alert's name and `.md`. Empty leaves it out.
    pub runbook_url: String,
}

/// What kind of process is watched: which alerts make sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// One that runs day and night: its absence is an alert.
    #[default]
    Sensor,
    /// Runs that end: one that ended well is no longer there, and nobody is to be woken for that.
    Batch,
}

impl Watched {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Sensor, Self::Batch];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Batch => "batch",
        }
    }
}

impl std::str::FromStr for Watched {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|watched| watched.name() == name);
        found.ok_or_else(|| format!("{name:?} is neither sensor nor batch"))
    }
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for RulesOptions {
    fn default() -> Self {
        Self {
            error_threshold: 10.0,
            packet_rate_threshold: 0.0,
            active_flows_threshold: 1000.0,
            active_flows_ratio: 0.8,
            lag_threshold: 60.0,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            job: "joyfuljay".to_owned(),
            watched: Watched::default(),
            runbook_url: "docs/runbooks/".to_owned(),
        }
    }
}

/// Why rules or a configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// A threshold that no series can be compared with.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A share above 1.
    #[error("active_flows_ratio is a share of the flow table, 0 to 1, not {0}")]
    Ratio(f64),
    /// Nothing to select by.
    #[error("{0} is empty; give the job_name of the scrape configuration")]
    Empty(&'static str),
    /// Not a duration as Prometheus writes it.
    #[error("{0:?} is not a duration; write 15s, 500ms or 1m")]
    Duration(String),
    /// The structure cannot be written.
    #[error("cannot write YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// A rules file for Prometheus (YAML): the alerts, and recording rules beside them.
///
/// ```
/// use joyfuljay_monitoring::rules::{RulesOptions, generate_alerting_rules};
///
/// let rules = generate_alerting_rules(&RulesOptions { error_threshold: 5.0, ..RulesOptions::default() })?;
/// assert!(rules.contains("alert: JoyfulJayHighErrorRate"));
/// # Ok::<(), joyfuljay_monitoring::rules::RulesError>(())
/// ```
pub fn generate_alerting_rules(options: &RulesOptions) -> Result<String, RulesError> {
    check(options)?;
    let groups = [
        Group { name: "joyfuljay-recording".to_owned(), rules: alerts::recording(options) },
        Group { name: "joyfuljay-alerts".to_owned(), rules: alerts::alerts(options) },
    ];
    let file = BTreeMap::from([("groups", groups)]);
    Ok(format!(
        "# Made by `jj export-alerts`; for `rule_files` of prometheus.yml.\n{}",
        serde_yaml_ng::to_string(&file)?
    ))
}

#[derive(Serialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: String,
        expr: String,
    },
    Alert {
        alert: String,
        expr: String,
        #[serde(rename = "for")]
        hold: &'static str,
        labels: BTreeMap<&'static str, &'static str>,
        annotations: BTreeMap<&'static str, String>,
    },
}

fn check(o: &RulesOptions) -> Result<(), RulesError> {
    let numbers = [
        ("error_threshold", o.error_threshold),
        ("packet_rate_threshold", o.packet_rate_threshold),
        ("active_flows_threshold", o.active_flows_threshold),
        ("lag_threshold", o.lag_threshold),
    ];
    for (what, value) in numbers {
        if !value.is_finite() || value < 0.0 {
            return Err(MetricsError::Value { what, value }.into());
        }
    }
    if !(0.0..=1.0).contains(&o.active_flows_ratio) {
        return Err(RulesError::Ratio(o.active_flows_ratio));
    }
    if !o.namespace.is_empty() && !is_metric_name(&o.namespace) {
        return Err(MetricsError::Namespace(o.namespace.clone()).into());
    }
    if o.job.is_empty() {
        return Err(RulesError::Empty("job"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_thresholds_are_refused() {
        let with = |change: fn(&mut RulesOptions)| {
            let mut o = RulesOptions::default();
            change(&mut o);
            generate_alerting_rules(&o).map_err(|e| e.to_string())
        };
        assert!(with(|o| o.error_threshold = -1.0).unwrap_err().starts_with("error_threshold must be"));
        assert!(with(|o| o.packet_rate_threshold = f64::NAN).is_err());
        assert!(with(|o| o.active_flows_ratio = 80.0).is_err());
        assert!(with(|o| o.namespace = "a-b".into()).is_err());
        assert!(with(|o| o.job = String::new()).is_err());
    }

    #[test]
    fn namespace_job_and_thresholds_reach_the_expressions() {
        let o = RulesOptions {
            namespace: "jj".into(),
            job: "a\"b".into(),
            error_threshold: 2.5,
            active_flows_threshold: 7.0,
            ..RulesOptions::default()
        };
        let rules: serde_yaml_ng::Value = serde_yaml_ng::from_str(&generate_alerting_rules(&o).unwrap()).unwrap();
        let alerts = rules["groups"][1]["rules"].as_sequence().unwrap();
        let expr =
            |name: &str| alerts.iter().find(|a| a["alert"] == name).unwrap()["expr"].as_str().unwrap().to_owned();
        assert_eq!(
            expr("JoyfulJayHighErrorRate"),
            "sum by (job, instance) (rate(jj_errors_total{job=\"a\\\"b\"}[5m])) > 2.5"
        );
        assert!(expr("JoyfulJayHighActiveFlows").contains("> 7 "));
    }

    #[test]
    fn annotations_keep_their_braces() {
        assert!(generate_alerting_rules(&RulesOptions::default()).unwrap().contains("{{ $value | humanize }}"));
    }
}
