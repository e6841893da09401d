//! `jj export-dashboard`, `jj export-alerts` and `jj export-prometheus-config`: what Grafana and Prometheus need to watch
//! a run, without a copy of the repository. The same text as the files in `dashboards/`, and as the Python package makes.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use joyfuljay_io::sink::{Target, write_whole};
use joyfuljay_monitoring::dashboard::{overview_dashboard, with_datasource};
use joyfuljay_monitoring::rules::{
    ConfigOptions, RulesError, RulesOptions, Watched, generate_alerting_rules, generate_prometheus_config,
};

use crate::error::CliError;
use crate::options::number;
use crate::out;

/// Write the Grafana dashboard of JoyfulJay's metrics (JSON).
///
/// In Grafana: Dashboards, New, Import, upload the file. The dashboard asks there which Prometheus it shows, and which
/// jobs; with --datasource-uid it asks nothing, as provisioning from a directory needs it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj export-dashboard -o joyfuljay.json\n  jj export-dashboard --datasource-uid UID \\\n    -o /var/lib/grafana/dashboards/joyfuljay.json\n\nThe uid of a datasource is the last \
                  part of the address of its settings in Grafana: /connections/datasources/edit/UID."
)]
pub struct Dashboard {
    #[command(flatten)]
    output: OutputArgs,
    /// The uid of the Prometheus datasource in Grafana, for every panel and variable [default: Grafana's variable
    /// `datasource`, to be chosen on the dashboard].
    #[arg(long, value_name = "UID", value_parser = NonEmptyStringValueParser::new())]
    datasource_uid: Option<String>,
}

/// Write alerting and recording rules for Prometheus (YAML).
///
/// The alerts cover errors, runs that stand still, of flow tables that fill up, of lost packets, of targets that are
/// gone. Name the file in `rule_files` of prometheus.yml; `jj export-prometheus-config` does.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj export-alerts -o joyfuljay-alerts.yml\n  jj export-alerts --error-threshold 1 \
                        --job capture -o joyfuljay-alerts.yml\n  promtool check rules joyfuljay-alerts.yml"
)]
pub struct Alerts {
    #[command(flatten)]
    output: OutputArgs,
    /// Alert on more errors per second than this, of any stage.
    #[arg(long, value_name = "N", value_parser = number, default_value_t = RulesOptions::default().error_threshold)]
    error_threshold: f64,
    /// Alert on a run that gets no more packets per second than this.
    #[arg(long, value_name = "N", value_parser = number, default_value_t = RulesOptions::default().packet_rate_threshold)]
    packet_rate_threshold: f64,
    /// Alert on more open flows than this, where the flow table has no bound.
    #[arg(long, value_name = "N", value_parser = number, default_value_t = RulesOptions::default().active_flows_threshold)]
    active_flows_threshold: f64,
    /// Alert on a bounded flow table that is fuller than this share of it, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = number, default_value_t = RulesOptions::default().active_flows_ratio)]
    active_flows_ratio: f64,
    /// Alert on a live or remote source that is more seconds behind than this.
    #[arg(long, value_name = "SECONDS", value_parser = number, default_value_t = RulesOptions::default().lag_threshold)]
    lag_threshold: f64,
    /// The prefix of the metrics' names, as the process that is watched has it; '' for none.
    #[arg(long, value_name = "NAME", default_value_t = RulesOptions::default().namespace)]
    namespace: String,
    /// What is watched: sensor, a process that runs day and night; or batch, runs that end, for which nobody is to be paged when they did.
    #[arg(long = "for", value_name = "KIND", default_value_t = RulesOptions::default().watched,
          value_parser = PossibleValuesParser::new(Watched::ALL.map(Watched::name)).try_map(|name| name.parse::<Watched>()))]
    watched: Watched,
    /// Where the runbooks of the alerts lie: NAME.md is put behind it; '' leaves them out.
    #[arg(long, value_name = "URL", default_value_t = RulesOptions::default().runbook_url)]
    runbook_url: String,
    #[command(flatten)]
    job: JobArgs,
}

/// Write a Prometheus configuration that scrapes JoyfulJay (YAML).
///
/// It is whole: `prometheus --config.file=prometheus.yml` runs with it. Where there is a prometheus.yml already, put its
/// entry of `scrape_configs` there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  jj export-prometheus-config -o prometheus.yml\n  jj export-prometheus-config \
                        --scrape-interval 5s \\\n    --target sensor1:9184 --target sensor2:9184\n\nA target is where a run \
                        serves its metrics: `jj extract … --prometheus-port 9184` is localhost:9184. Prometheus itself \
                        has port 9090: give the run another one where both are on one host.")]
pub struct PrometheusConfig {
    #[command(flatten)]
    output: OutputArgs,
    /// The address of a JoyfulJay to scrape; give it several times for several.
    #[arg(long = "target", value_name = "HOST:PORT", value_parser = host_and_port, default_values_t = ConfigOptions::default().targets)]
    targets: Vec<String>,
    #[command(flatten)]
    job: JobArgs,
    /// How often to scrape, as Prometheus writes durations: 15s, 500ms, 1m.
    #[arg(long, value_name = "DURATION", default_value_t = ConfigOptions::default().scrape_interval)]
    scrape_interval: String,
    /// Where the targets have their metrics.
    #[arg(long, value_name = "PATH", value_parser = absolute_path, default_value_t = ConfigOptions::default().metrics_path)]
    metrics_path: String,
    /// The targets speak TLS (`jj extract --prometheus-web-config`).
    #[arg(long)]
    https: bool,
    /// A file of rules, seen from the configuration's directory, as `jj export-alerts -o` writes it; give it several
    /// times for several.
    #[arg(long = "rule-file", value_name = "FILE", value_parser = NonEmptyStringValueParser::new(), default_value = "joyfuljay-alerts.yml")]
    rule_files: Vec<String>,
    /// Load no rules.
    #[arg(long, conflicts_with = "rule_files")]
    no_rules: bool,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// The file to write, - for standard output. A file appears when it is whole, and replaces an older one.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct JobArgs {
    /// The name of the job: `job_name` of the scrape configuration, by which the rules select.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), default_value_t = RulesOptions::default().job)]
    job: String,
}

impl Dashboard {
    pub fn run(self) -> Result<(), CliError> {
        let dashboard = with_datasource(overview_dashboard(), self.datasource_uid.as_deref());
        self.output.write(&format!("{dashboard:#}\n"))
    }
}

impl Alerts {
    pub fn run(self) -> Result<(), CliError> {
        let options = RulesOptions {
            error_threshold: self.error_threshold,
            packet_rate_threshold: self.packet_rate_threshold,
            active_flows_threshold: self.active_flows_threshold,
            active_flows_ratio: self.active_flows_ratio,
            lag_threshold: self.lag_threshold,
            namespace: self.namespace,
            job: self.job.job,
            watched: self.watched,
            runbook_url: self.runbook_url,
        };
        self.output.write(&generate_alerting_rules(&options).map_err(wrong_use)?)
    }
}

impl PrometheusConfig {
    pub fn run(self) -> Result<(), CliError> {
        let options = ConfigOptions {
            targets: self.targets,
            job: self.job.job,
            scrape_interval: self.scrape_interval,
            metrics_path: self.metrics_path,
            https: self.https,
            rule_files: if self.no_rules { vec![] } else { self.rule_files },
        };
        self.output.write(&generate_prometheus_config(&options).map_err(wrong_use)?)
    }
}

impl OutputArgs {
    fn write(self, text: &str) -> Result<(), CliError> {
        let target = if self.output.as_os_str() == "-" {
            out::check()?;
            Target::Stdout
        } else {
            Target::File(self.output)
        };
        Ok(write_whole(&target, text.as_bytes())?)
    }
}

fn wrong_use(e: RulesError) -> CliError {
    match e {
        RulesError::Yaml(e) => CliError::Failed(e.to_string()),
        e => CliError::Usage(e.to_string()),
    }
}

/// A target as Prometheus takes it: it refuses a scheme or a path there, and only when it is started.
fn host_and_port(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains(|c: char| "/:@?#[]".contains(c) || c.is_whitespace()),
    };
    // u16 alone would take a plus sign.
    if good && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0) {
        return Ok(text.to_owned());
    }
    Err("give a host and a port, without http:// and path: localhost:9184 or [::1]:9184".to_owned())
}

fn absolute_path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err(format!("a path begins with /: /{text}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_hosts_with_ports() {
        for good in ["localhost:9184", "10.0.0.1:1", "sensor-1.lan:65535", "[::1]:9184"] {
            assert_eq!(host_and_port(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "localhost",
            "localhost:",
            ":9184",
            "http://a:1",
            "a:1/metrics",
            "::1:9184",
            "a:0",
            "a:65536",
            "a:+1",
            "[a]:1",
        ] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
