//! A `prometheus.yml` that scrapes JoyfulJay.

use super::RulesError;
use serde::Serialize;

/// What to scrape, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigOptions {
    /// `host:port` of each JoyfulJay.
    pub targets: Vec<String>,
    /// Name of the job; the rules select by it.
    pub job: String,
    /// How often, as Prometheus writes durations.
    pub scrape_interval: String,
    /// Path of the metrics.
    pub metrics_path: String,
    /// Whether the server speaks TLS.
    pub https: bool,
    /// Files of rules to load.
    pub rule_files: Vec<String>,
}

impl Default for ConfigOptions {
    fn default() -> Self {
        Self {
            targets: vec!["localhost:9184".to_owned()],
            job: "joyfuljay".to_owned(),
            scrape_interval: "15s".to_owned(),
            metrics_path: "/metrics".to_owned(),
            https: false,
            rule_files: vec![],
        }
    }
}

/// The configuration as YAML.
pub fn generate_prometheus_config(options: &ConfigOptions) -> Result<String, RulesError> {
    if options.job.is_empty() {
        return Err(RulesError::Empty("job"));
    }
    if options.targets.is_empty() || options.targets.iter().any(String::is_empty) {
        return Err(RulesError::Empty("targets"));
    }
    if !is_duration(&options.scrape_interval) {
        return Err(RulesError::Duration(options.scrape_interval.clone()));
    }
    let file = File {
        global: Global { scrape_interval: &options.scrape_interval },
        rule_files: &options.rule_files,
        scrape_configs: [Scrape {
            job_name: &options.job,
            metrics_path: &options.metrics_path,
            scheme: options.https.then_some("https"),
            static_configs: [Targets { targets: &options.targets }],
        }],
    };
    Ok(format!("# Made by `jj export-prometheus-config`.\n{}", serde_yaml_ng::to_string(&file)?))
}

#[derive(Serialize)]
struct File<'a> {
    global: Global<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    rule_files: &'a [String],
    scrape_configs: [Scrape<'a>; 1],
}

#[derive(Serialize)]
struct Global<'a> {
    scrape_interval: &'a str,
}

#[derive(Serialize)]
struct Scrape<'a> {
    job_name: &'a str,
    metrics_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    static_configs: [Targets<'a>; 1],
}

#[derive(Serialize)]
struct Targets<'a> {
    targets: &'a [String],
}

/// `1h30m`, `500ms`, not zero.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    for unit in ["y", "w", "d", "h", "m", "s", "ms"] {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        if let Some(after) = tail.strip_prefix(unit)
            && !number.is_empty()
            && !(unit == "m" && after.starts_with('s'))
        {
            rest = after;
        }
    }
    rest.is_empty() && text.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_prometheus_durations() {
        for good in ["15s", "500ms", "1m", "1h30m", "2d", "1m5s"] {
            assert!(is_duration(good), "{good}");
        }
        for bad in ["", "15", "s", "0s", "1s1m", "15 s", "-1s", "1.5s"] {
            assert!(!is_duration(bad), "{bad}");
        }
    }

    #[test]
    fn the_default_is_the_pages() {
        let text = generate_prometheus_config(&ConfigOptions::default()).unwrap();
        let yaml: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
        let page = "global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: 'joyfuljay'\n    static_configs:\n      \
                    - targets: ['localhost:9184']\n    metrics_path: /metrics\n";
        assert_eq!(yaml, serde_yaml_ng::from_str::<serde_yaml_ng::Value>(page).unwrap());
    }

    #[test]
    fn what_cannot_be_scraped_is_refused() {
        let o = ConfigOptions::default;
        assert!(generate_prometheus_config(&ConfigOptions { targets: vec![], ..o() }).is_err());
        assert!(generate_prometheus_config(&ConfigOptions { job: String::new(), ..o() }).is_err());
        assert!(generate_prometheus_config(&ConfigOptions { scrape_interval: "soon".into(), ..o() }).is_err());
    }
}
