//! What is worth waking somebody for, and what is worth computing once.

use super::{Rule, RulesOptions};
use crate::Id;
use joyfuljay_core::engine::CHUNK_ROWS;
use std::collections::BTreeMap;

/// Flows in the 5 minutes below which nothing needs to have been written: rows wait until a chunk of them is full, and a quiet
/// network takes its time. The second chunk is for flows that were open when the window began.
const STALLED_FLOWS: usize = 2 * CHUNK_ROWS;

/// Names of the recorded series follow Prometheus' `level:metric:operation`.
pub(super) fn recording(o: &RulesOptions) -> Vec<Rule> {
    let ns = if o.namespace.is_empty() { "jj" } else { o.namespace.as_str() };
    let record = |name: &str, expr: String| Rule::Record { record: format!("job:{ns}_{name}"), expr };
    let per_second = |id: Id, by: &str| format!("sum by ({by}) (rate({}[5m]))", o.series(id, ""));
    let parsing = format!("sum by (job) (rate({}[5m]))", o.series(Id::Errors, "stage=\"parsing\""));
    let packets = per_second(Id::Packets, "job");
    let buckets = o.name(Id::ProcessingDuration) + "_bucket";
    vec![
        record("packets:rate5m", packets.clone()),
        record("bytes:rate5m", per_second(Id::Bytes, "job")),
        record("flows:rate5m", per_second(Id::Flows, "job, reason")),
        record("errors:rate5m", per_second(Id::Errors, "job, stage")),
        record("active_flows:sum", format!("sum by (job) ({})", o.series(Id::ActiveFlows, ""))),
        record("parse_success:ratio_rate5m", format!("1 - {parsing} / (({packets} + {parsing}) > 0)")),
        record(
            "processing_duration_seconds:p95_1h",
            format!(
                "histogram_quantile(0.95, sum by (job, mode, le) (rate({buckets}{{{}}}[1h]))) >= 0",
                o.job_matcher()
            ),
        ),
    ]
}

/// Every alert. An instance is named in each but the one that says it is not there.
pub(super) fn alerts(o: &RulesOptions) -> Vec<Rule> {
    const INSTANCE: &str = "job, instance";
    let sum = |id: Id| format!("sum by ({INSTANCE}) ({})", o.series(id, ""));
    let rate = |id: Id, by: &str, more: &str| format!("sum by ({by}) (rate({}[5m]))", o.series(id, more));
    let increase = |id: Id, by: &str, more: &str| format!("sum by ({by}) (increase({}[15m]))", o.series(id, more));
    let on = "on (job, instance)";
    let (active, capacity) = (sum(Id::ActiveFlows), sum(Id::FlowTableCapacity));
    let up = format!("up{{{}}}", o.job_matcher());
    vec![
        alert(
            "JoyfulJayHighErrorRate",
            format!("{} > {}", rate(Id::Errors, INSTANCE, ""), o.error_threshold),
            "5m",
            "warning",
            "High error rate on {{ $labels.instance }}",
            format!("{{{{ $value | humanize }}}} errors per second over 5 minutes, more than {}.", o.error_threshold),
        ),
        // A finished or idle process has no run and no open flows; it is not stuck.
        alert(
            "JoyfulJayNoPackets",
            format!(
                "{} <= {} and {on} ({} + {on} {active}) > 0",
                rate(Id::Packets, INSTANCE, ""),
                o.packet_rate_threshold,
                sum(Id::ActiveRuns)
            ),
            "5m",
            "warning",
            "No packets on {{ $labels.instance }}",
            format!(
                "A run is going on, and {{{{ $value | humanize }}}} packets per second came in 5 minutes (threshold {}).",
                o.packet_rate_threshold
            ),
        ),
        alert(
            "JoyfulJayHighActiveFlows",
            format!(
                "{active} > {on} {} * ({capacity} > 0) or {on} ({active} > {} unless {on} ({capacity} > 0))",
                o.active_flows_ratio, o.active_flows_threshold
            ),
            "5m",
            "warning",
            "Many active flows on {{ $labels.instance }}",
            format!(
                "{{{{ $value | humanize }}}} flows are open: more than {} % of the table, or more than {} in an unbounded one.",
                o.active_flows_ratio * 100.0,
                o.active_flows_threshold
            ),
        ),
        alert(
            "JoyfulJayTargetMissing",
            format!("{up} == 0 or absent({up})"),
            "2m",
            "critical",
            "JoyfulJay {{ with $labels.instance }}{{ . }} cannot be scraped{{ else }}has no target{{ end }}",
            "Prometheus cannot reach job {{ $labels.job }}: the process is gone, or its metrics server is.".to_owned(),
        ),
        alert(
            "JoyfulJayCaptureDrops",
            format!("{} > 0", rate(Id::CaptureDrops, "job, instance, interface, where", "")),
            "1m",
            "warning",
            "Packets are lost on {{ $labels.instance }}",
            "{{ $value | humanize }} packets per second are dropped at {{ $labels.interface }} ({{ $labels.where }})."
                .to_owned(),
        ),
        alert(
            "JoyfulJayFlowEvictions",
            format!("{} > 0", rate(Id::FlowEvictions, INSTANCE, "")),
            "2m",
            "warning",
            "Flows are cut short on {{ $labels.instance }}",
            "{{ $value | humanize }} flows per second are pushed out of a full table; raise max_concurrent_flows."
                .to_owned(),
        ),
        alert(
            "JoyfulJayFlowTableNearFull",
            format!("{active} / {on} ({capacity} > 0) > 0.95"),
            "1m",
            "critical",
            "The flow table of {{ $labels.instance }} is nearly full",
            "{{ $value | humanizePercentage }} of the flow table is in use.".to_owned(),
        ),
        alert(
            "JoyfulJayOutputStalled",
            format!(
                "{} == 0 and {on} sum by ({INSTANCE}) (increase({}[5m])) > {STALLED_FLOWS}",
                rate(Id::OutputRecords, INSTANCE, ""),
                o.series(Id::Flows, "")
            ),
            "5m",
            "critical",
            "No output from {{ $labels.instance }}",
            "Flows end by the thousands, but no row was written for 5 minutes.".to_owned(),
        ),
        alert(
            "JoyfulJayOutputFailing",
            format!(
                "{} > 0 or {} > 0",
                rate(Id::OutputErrors, INSTANCE, ""),
                rate(Id::Errors, INSTANCE, "stage=\"output\"")
            ),
            "1m",
            "critical",
            "Output of {{ $labels.instance }} fails",
            "{{ $value | humanize }} writes per second fail.".to_owned(),
        ),
        alert(
            "JoyfulJayLag",
            format!("max by (job, instance, source) ({}) > {}", o.series(Id::Lag, ""), o.lag_threshold),
            "5m",
            "warning",
            "{{ $labels.instance }} is behind",
            "Source {{ $labels.source }} is {{ $value | humanizeDuration }} behind.".to_owned(),
        ),
        alert(
            "JoyfulJayRunFailed",
            format!("{} > 0", increase(Id::Runs, "job, instance, mode", "result=\"failure\"")),
            "0m",
            "warning",
            "A run failed on {{ $labels.instance }}",
            "A {{ $labels.mode }} run failed in the last 15 minutes.".to_owned(),
        ),
        alert(
            "JoyfulJayCrashLoop",
            format!("changes({}[15m]) > 2", o.series(Id::ProcessStartTime, "")),
            "0m",
            "critical",
            "{{ $labels.instance }} starts again and again",
            "The process was restarted {{ $value }} times in 15 minutes.".to_owned(),
        ),
        alert(
            "JoyfulJayMetricsIncomplete",
            format!(
                "{} + {on} {} > 0",
                increase(Id::LabelOverflow, INSTANCE, ""),
                increase(Id::SinkErrors, INSTANCE, "")
            ),
            "0m",
            "info",
            "Metrics of {{ $labels.instance }} are incomplete",
            "Too many label values, or a metrics sink that fails: some counts are under `other` or missing.".to_owned(),
        ),
    ]
}

impl RulesOptions {
    fn name(&self, id: Id) -> String {
        id.metric().full_name(&self.namespace)
    }

    fn job_matcher(&self) -> String {
        format!("job=\"{}\"", self.job.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }

    fn series(&self, id: Id, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { ", " };
        format!("{}{{{}{comma}{more}}}", self.name(id), self.job_matcher())
    }
}

fn alert(
    name: &str,
    expr: String,
    hold: &'static str,
    severity: &'static str,
    summary: &str,
    description: String,
) -> Rule {
    Rule::Alert {
        alert: name.to_owned(),
        expr,
        hold,
        labels: BTreeMap::from([("severity", severity)]),
        annotations: BTreeMap::from([("summary", summary.to_owned()), ("description", description)]),
    }
}
