//! Alerts, and values worth computing once (recording rules).

use super::{Rule, RulesOptions, Watched};
use crate::Id;
use joyfuljay_core::engine::CHUNK_ROWS;
use std::collections::BTreeMap;

/// Flows in the 5 minutes below which nothing needs to have been written: rows wait until a chunk of them is full, and a quiet
/// network takes its time. The second chunk is for flows that were open when the window began.
const STALLED_FLOWS: usize = 2 * CHUNK_ROWS;

/// Names of the recorded series follow Prometheus' `level:metric:operation`.
pub(super) fn recording(o: &RulesOptions) -> Vec<Rule> {
    let ns = if o.namespace.is_empty() { "jj" } else { o.namespace.as_str() };
    RECORDS.iter().map(|r| Rule::Record { record: format!("job:{ns}_{}", r.name), expr: (r.expr)(o) }).collect()
}

/// Every alert. An instance is named in each but the one that says it is not there.
pub(super) fn alerts(o: &RulesOptions) -> Vec<Rule> {
    let chosen = ALERTS.iter().filter(|alert| o.watched == Watched::Sensor || !OF_SENSORS.contains(&alert.name));
    chosen.map(|alert| alert.rule(o)).collect()
}

/// A series that is computed once for all who look at it.
struct Record {
    name: &'static str,
    expr: fn(&RulesOptions) -> String,
}

const RECORDS: &[Record] = &[
    Record { name: "packets:rate5m", expr: |o| o.rate(Id::Packets, "job", "") },
    Record { name: "bytes:rate5m", expr: |o| o.rate(Id::Bytes, "job", "") },
    Record { name: "flows:rate5m", expr: |o| o.rate(Id::Flows, "job, reason", "") },
    Record { name: "errors:rate5m", expr: |o| o.rate(Id::Errors, "job, stage", "") },
    Record { name: "active_flows:sum", expr: |o| format!("sum by (job) ({})", o.series(Id::ActiveFlows, "")) },
    Record {
        name: "parse_success:ratio_rate5m",
        expr: |o| {
            let (packets, parsing) = (o.rate(Id::Packets, "job", ""), o.rate(Id::Errors, "job", "stage=\"parsing\""));
            format!("1 - {parsing} / (({packets} + {parsing}) > 0)")
        },
    },
    Record {
        name: "processing_duration_seconds:p95_1h",
        expr: |o| {
            let buckets = o.name(Id::ProcessingDuration) + "_bucket";
            let rates = format!("sum by (job, mode, le) (rate({buckets}{{{}}}[1h]))", o.job_matcher());
            format!("histogram_quantile(0.95, {rates}) >= 0")
        },
    },
];

/// Alerts that only a process which is to run for ever deserves: a batch run ends, begins again, and loses no packets.
const OF_SENSORS: &[&str] =
    &["JoyfulJayTargetMissing", "JoyfulJayCrashLoop", "JoyfulJayCaptureDrops", "JoyfulJayLag", "JoyfulJayNoPackets"];

/// An alert.
struct Alert {
    name: &'static str,
    /// How long it must hold before it fires.
    hold: &'static str,
    severity: &'static str,
    expr: fn(&RulesOptions) -> String,
    summary: &'static str,
    description: fn(&RulesOptions) -> String,
}

const INSTANCE: &str = "job, instance";
const ON: &str = "on (job, instance)";

const ALERTS: &[Alert] = &[
    Alert {
        name: "JoyfulJayHighErrorRate",
        hold: "5m",
        severity: "warning",
        expr: |o| format!("{} > {}", o.rate(Id::Errors, INSTANCE, ""), o.error_threshold),
        summary: "High error rate on {{ $labels.instance }}",
        description: |o| {
            format!("{{{{ $value | humanize }}}} errors per second over 5 minutes, more than {}.", o.error_threshold)
        },
    },
    // A finished or idle process has no run and no open flows; it is not stuck.
    Alert {
        name: "JoyfulJayNoPackets",
        hold: "5m",
        severity: "warning",
        expr: |o| {
            let (packets, runs, active) =
                (o.rate(Id::Packets, INSTANCE, ""), o.sum(Id::ActiveRuns), o.sum(Id::ActiveFlows));
            format!("{packets} <= {} and {ON} ({runs} + {ON} {active}) > 0", o.packet_rate_threshold)
        },
        summary: "No packets on {{ $labels.instance }}",
        description: |o| {
            format!(
                "A run is going on, and {{{{ $value | humanize }}}} packets per second came in 5 minutes (threshold {}).",
                o.packet_rate_threshold
            )
        },
    },
    Alert {
        name: "JoyfulJayHighActiveFlows",
        hold: "5m",
        severity: "warning",
        expr: |o| {
            let (active, capacity) = (o.sum(Id::ActiveFlows), o.sum(Id::FlowTableCapacity));
            format!(
                "{active} > {ON} {} * ({capacity} > 0) or {ON} ({active} > {} unless {ON} ({capacity} > 0))",
                o.active_flows_ratio, o.active_flows_threshold
            )
        },
        summary: "Many active flows on {{ $labels.instance }}",
        description: |o| {
            format!(
                "{{{{ $value | humanize }}}} flows are open: more than {} % of the table, or more than {} in an unbounded one.",
                o.active_flows_ratio * 100.0,
                o.active_flows_threshold
            )
        },
    },
    Alert {
        name: "JoyfulJayTargetMissing",
        hold: "2m",
        severity: "critical",
        expr: |o| {
            let up = format!("up{{{}}}", o.job_matcher());
            format!("{up} == 0 or absent({up})")
        },
        summary: "JoyfulJay {{ with $labels.instance }}{{ . }} cannot be scraped{{ else }}has no target{{ end }}",
        description: |_| {
            "Prometheus cannot reach job {{ $labels.job }}: the process is gone, or its metrics server is.".to_owned()
        },
    },
    Alert {
        name: "JoyfulJayCaptureDrops",
        hold: "1m",
        severity: "warning",
        expr: |o| format!("{} > 0", o.rate(Id::CaptureDrops, "job, instance, interface, where", "")),
        summary: "Packets are lost on {{ $labels.instance }}",
        description: |_| {
            "{{ $value | humanize }} packets per second are dropped at {{ $labels.interface }} ({{ $labels.where }})."
                .to_owned()
        },
    },
    Alert {
        name: "JoyfulJayFlowEvictions",
        hold: "2m",
        severity: "warning",
        expr: |o| format!("{} > 0", o.rate(Id::FlowEvictions, INSTANCE, "")),
        summary: "Flows are cut short on {{ $labels.instance }}",
        description: |_| {
            "{{ $value | humanize }} flows per second are pushed out of a full table; raise max_concurrent_flows."
                .to_owned()
        },
    },
    Alert {
        name: "JoyfulJayFlowTableNearFull",
        hold: "1m",
        severity: "critical",
        expr: |o| format!("{} / {ON} ({} > 0) > 0.95", o.sum(Id::ActiveFlows), o.sum(Id::FlowTableCapacity)),
        summary: "The flow table of {{ $labels.instance }} is nearly full",
        description: |_| "{{ $value | humanizePercentage }} of the flow table is in use.".to_owned(),
    },
    Alert {
        name: "JoyfulJayOutputStalled",
        hold: "5m",
        severity: "critical",
        expr: |o| {
            let none = format!("{} == 0 and {ON}", o.rate(Id::OutputRecords, INSTANCE, ""));
            let ended = format!("sum by ({INSTANCE}) (increase({}[5m]))", o.series(Id::Flows, ""));
            // Rows of a stream leave within a second: one flow without its row is enough, and none that waits elsewhere ends later.
            let (flows, rows) = (o.sum(Id::Flows), o.sum(Id::OutputRecords));
            let streams = format!("sum by ({INSTANCE}) ({})", o.series(Id::ActiveRuns, "mode=~\"live|remote\""));
            let (waiting, acknowledged) = (o.sum(Id::KafkaQueueDepth), o.rate(Id::KafkaRows, INSTANCE, ""));
            format!(
                "({none} {ended} > {STALLED_FLOWS}) or ({none} {flows} > {ON} {rows} and {ON} {streams} > 0) \
                 or ({waiting} > 0 and {ON} {acknowledged} == 0)"
            )
        },
        summary: "No output from {{ $labels.instance }}",
        description: |_| "Flows have ended, but for 5 minutes no row was written, or none was acknowledged.".to_owned(),
    },
    Alert {
        name: "JoyfulJayOutputFailing",
        hold: "1m",
        severity: "critical",
        expr: |o| {
            let (writes, stage) =
                (o.rate(Id::OutputErrors, INSTANCE, ""), o.rate(Id::Errors, INSTANCE, "stage=\"output\""));
            format!("{writes} > 0 or {stage} > 0")
        },
        summary: "Output of {{ $labels.instance }} fails",
        description: |_| "{{ $value | humanize }} writes per second fail.".to_owned(),
    },
    Alert {
        name: "JoyfulJayLag",
        hold: "5m",
        severity: "warning",
        expr: |o| format!("max by (job, instance, source) ({}) > {}", o.series(Id::Lag, ""), o.lag_threshold),
        summary: "{{ $labels.instance }} is behind",
        description: |_| "Source {{ $labels.source }} is {{ $value | humanizeDuration }} behind.".to_owned(),
    },
    Alert {
        name: "JoyfulJayRunFailed",
        hold: "0m",
        severity: "warning",
        expr: |o| format!("{} > 0", o.increase(Id::Runs, "job, instance, mode", "result=\"failure\"")),
        summary: "A run failed on {{ $labels.instance }}",
        description: |_| "A {{ $labels.mode }} run failed in the last 15 minutes.".to_owned(),
    },
    Alert {
        name: "JoyfulJayCrashLoop",
        hold: "0m",
        severity: "critical",
        expr: |o| format!("changes({}[15m]) > 2", o.series(Id::ProcessStartTime, "")),
        summary: "{{ $labels.instance }} starts again and again",
        description: |_| "The process was restarted {{ $value }} times in 15 minutes.".to_owned(),
    },
    Alert {
        name: "JoyfulJayMetricsIncomplete",
        hold: "0m",
        severity: "info",
        expr: |o| {
            let (labels, sinks) =
                (o.increase(Id::LabelOverflow, INSTANCE, ""), o.increase(Id::SinkErrors, INSTANCE, ""));
            format!("{labels} + {ON} {sinks} > 0")
        },
        summary: "Metrics of {{ $labels.instance }} are incomplete",
        description: |_| {
            "Too many label values, or a metrics sink that fails: some counts are under `other` or missing.".to_owned()
        },
    },
];

impl Alert {
    fn rule(&self, o: &RulesOptions) -> Rule {
        Rule::Alert {
            alert: self.name.to_owned(),
            expr: (self.expr)(o),
            hold: self.hold,
            labels: BTreeMap::from([("severity", self.severity)]),
            annotations: self.annotations(o),
        }
    }
}

impl Alert {
    fn annotations(&self, o: &RulesOptions) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([("summary", self.summary.to_owned()), ("description", (self.description)(o))]);
        if !o.runbook_url.is_empty() {
            let slash = if o.runbook_url.ends_with(['/', '=', '#']) { "" } else { "/" };
            all.insert("runbook_url", format!("{}{slash}{}.md", o.runbook_url, self.name));
        }
        all
    }
}

impl RulesOptions {
    fn name(&self, id: Id) -> String {
        id.metric().full_name(&self.namespace)
    }

    fn job_matcher(&self) -> String {
        format!("job=\"{}\"", self.job.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }

    /// The family's series of the job, and of these label values.
    fn series(&self, id: Id, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { ", " };
        format!("{}{{{}{comma}{more}}}", self.name(id), self.job_matcher())
    }

    fn sum(&self, id: Id) -> String {
        format!("sum by ({INSTANCE}) ({})", self.series(id, ""))
    }

    fn rate(&self, id: Id, by: &str, more: &str) -> String {
        format!("sum by ({by}) (rate({}[5m]))", self.series(id, more))
    }

    fn increase(&self, id: Id, by: &str, more: &str) -> String {
        format!("sum by ({by}) (increase({}[15m]))", self.series(id, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_a_page_and_every_page_an_alert() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
        let mut pages: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".md").to_owned())
            .filter(|name| name != "README")
            .collect();
        let mut names: Vec<_> = ALERTS.iter().map(|alert| alert.name.to_owned()).collect();
        pages.sort();
        names.sort();
        assert_eq!(pages, names);
    }

    #[test]
    fn runbooks_name_metrics_that_there_are() {
        let names: Vec<_> = crate::table::METRICS.iter().map(|m| m.full_name("joyfuljay")).collect();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
        let mut found = 0;
        for page in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(page.unwrap().path()).unwrap();
            for (at, _) in text.match_indices("joyfuljay_") {
                let name: String = text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                assert!(names.contains(&name), "{name} is no metric");
                found += 1;
            }
        }
        assert!(found > 10, "{found}");
    }

    #[test]
    fn a_batch_run_that_ended_pages_nobody() {
        let names = |watched| -> Vec<String> {
            let rules = alerts(&RulesOptions { watched, ..RulesOptions::default() });
            let name = |rule| match rule {
                Rule::Alert { alert, .. } => alert,
                Rule::Record { record, .. } => record,
            };
            rules.into_iter().map(name).collect()
        };
        let batch = names(Watched::Batch);
        assert!(OF_SENSORS.iter().all(|name| !batch.iter().any(|one| one == name)));
        assert_eq!(batch.len() + OF_SENSORS.len(), names(Watched::Sensor).len());
    }

    #[test]
    fn runbooks_lie_where_it_is_said() {
        let url = |base: &str| {
            let options = RulesOptions { runbook_url: base.to_owned(), ..RulesOptions::default() };
            ALERTS.first().and_then(|alert| alert.annotations(&options).get("runbook_url").cloned())
        };
        assert_eq!(url("").as_deref(), None);
        assert_eq!(url("https://wiki/x").as_deref(), Some("https://wiki/x/JoyfulJayHighErrorRate.md"));
    }
}
