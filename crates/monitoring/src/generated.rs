//! The files of the repository that are made from the table of metrics.

use crate::dashboard::overview_dashboard;
use crate::rules::{ConfigOptions, RulesError, RulesOptions, generate_alerting_rules, generate_prometheus_config};

/// Path in the repository and text of each file; `cargo xtask generate` writes them and its `--check` compares.
pub fn generated_files() -> Result<Vec<(&'static str, String)>, RulesError> {
    let config = ConfigOptions { rule_files: vec!["joyfuljay-alerts.yml".to_owned()], ..ConfigOptions::default() };
    let overview = crate::dashboard::to_text(&overview_dashboard());
    Ok(vec![
        ("dashboards/joyfuljay-overview.json", overview.clone()),
        // The wheel carries it as a file too.
        ("python/joyfuljay/dashboards/joyfuljay-overview.json", overview),
        ("dashboards/joyfuljay-alerts.yml", generate_alerting_rules(&RulesOptions::default())?),
        ("dashboards/prometheus.yml", generate_prometheus_config(&config)?),
    ])
}
