//! The overview dashboard. Queries are made from the table of metrics, so a family cannot be renamed past them; each selects by the
//! variables `job` and `instance`, adds instances up, and says 0 rather than NaN when nothing happens.

use super::DashboardError;
use super::builder::DashboardBuilder;
use super::panel::{PanelKind, PanelOptions};
use crate::Id;
use crate::table::DEFAULT_NAMESPACE;
use serde_json::Value;

/// The dashboard that ships with JoyfulJay, as Grafana's JSON.
pub fn overview_dashboard() -> Value {
    let mut b = DashboardBuilder::new("JoyfulJay Overview");
    b.uid("joyfuljay-overview")
        .editable(false)
        .description("Packets, flows, errors, durations and output of JoyfulJay.");
    // The sizes and legends below are constants that the test has seen: nothing here can be refused.
    let _ = fill(&mut b);
    b.build()
}

fn fill(b: &mut DashboardBuilder) -> Result<(), DashboardError> {
    b.add_row("Overview");
    stat(b, "Total Packets", &total(Id::Packets, ""), "short", "Packets processed in the time shown.")?;
    stat(b, "Total Bytes", &total(Id::Bytes, ""), "bytes", "Bytes processed in the time shown.")?;
    stat(b, "Total Flows", &total(Id::Flows, ""), "short", "Flows that ended in the time shown.")?;
    stat(b, "Active Flows", &level(Id::ActiveFlows, ""), "short", "Flows open now.")?;
    let errors =
        PanelOptions { red_from: Some(1.0), ..options("short", "Errors of any stage in the time shown.", &[]) };
    b.add_stat_panel("Total Errors", &total(Id::Errors, ""), PanelOptions { decimals: Some(0), ..errors })?;
    stat(b, "Packets/sec", &rate(Id::Packets, "", ""), "pps", "Packets processed per second, now.")?;

    b.add_row("Throughput");
    graph(b, "Packet Rate", &[&rate(Id::Packets, "", "")], "pps", "Packets processed per second.", &["packets"])?;
    graph(b, "Byte Rate", &[&rate(Id::Bytes, "", "")], "Bps", "Bytes processed per second.", &["bytes"])?;
    let per_minute = format!("60 * {}", rate(Id::Flows, "", "reason"));
    graph(b, "Flows per Minute", &[&per_minute], "short", "Flows that ended, per minute and reason.", &["{{reason}}"])?;
    graph(b, "Active Flows over time", &[&level(Id::ActiveFlows, "")], "short", "Flows open.", &["flows"])?;

    b.add_row("Latency");
    let quantiles = ["0.50", "0.95", "0.99"].map(|q| quantile(Id::ProcessingDuration, q, ""));
    let quantiles = quantiles.each_ref().map(String::as_str);
    let legend = ["p50", "p95", "p99"];
    graph(b, "Processing Duration", &quantiles, "s", "How long runs took: median, 95th and 99th percentile.", &legend)?;
    let jobs = format!("sum by (mode) (increase({}[$__rate_interval]))", part(Id::ProcessingDuration, "_count", ""));
    graph(b, "Processing Jobs by Mode", &[&jobs], "short", "Runs that ended, by mode.", &["{{mode}}"])?;

    b.add_row("Errors");
    let by_stage = rate(Id::Errors, "", "stage");
    sized(b, PanelKind::Graph, "Errors by Stage", &by_stage, "cps", "Errors per second, by stage.", "{{stage}}", 8)?;
    let reasons = format!("sum by (reason) (increase({}[$__range]))", selector(Id::Flows, ""));
    sized(
        b,
        PanelKind::Pie,
        "Flow Completion Reasons",
        &reasons,
        "short",
        "Why flows ended, in the time shown.",
        "{{reason}}",
        8,
    )?;
    let stages = format!("sum by (stage) (increase({}[$__range]))", selector(Id::Errors, ""));
    sized(
        b,
        PanelKind::Pie,
        "Error Distribution",
        &stages,
        "short",
        "Errors by stage, in the time shown.",
        "{{stage}}",
        8,
    )?;

    b.add_row("Efficiency");
    let packets = per_second(Id::Packets, "");
    let size = format!("{} / ({packets} > 0) or vector(0)", per_second(Id::Bytes, ""));
    graph(b, "Average Packet Size", &[&size], "bytes", "Bytes per packet.", &["bytes per packet"])?;
    let parsing = per_second(Id::Errors, "stage=\"parsing\"");
    let success = format!("1 - {parsing} / (({packets} + {parsing}) > 0) or vector(1)");
    let whole = PanelOptions {
        max: Some(1.0),
        ..options("percentunit", "Packets that could be parsed, of all.", &["success"])
    };
    b.add_graph_panel("Processing Success Rate", &[&success], whole)?;

    b.add_row("Engine");
    let skipped = rate(Id::PacketsSkipped, "", "reason");
    graph(
        b,
        "Packets Skipped",
        &[&skipped],
        "pps",
        "Frames that became no packet of a flow, by reason.",
        &["{{reason}}"],
    )?;
    let fill =
        format!("{} / (sum({}) > 0) or vector(0)", sum(Id::ActiveFlows, ""), selector(Id::FlowTableCapacity, ""));
    let dial = PanelOptions {
        max: Some(1.0),
        ..options("percentunit", "Share of the flow table in use; 0 when unbounded.", &["in use"])
    };
    b.add_graph_panel("Flow Table Fill", &[&fill], dial)?;
    let evictions = rate(Id::FlowEvictions, "", "cause");
    graph(b, "Flow Evictions", &[&evictions], "cps", "Flows pushed out of a full table, per second.", &["{{cause}}"])?;
    graph(
        b,
        "Flow Table Memory",
        &[&level(Id::FlowTableBytes, "")],
        "bytes",
        "Bytes that flow tables hold.",
        &["bytes"],
    )?;
    let stage = quantile(Id::BatchDuration, "0.95", "stage");
    graph(
        b,
        "Batch Duration (p95)",
        &[&stage],
        "s",
        "Time that a batch spends in a stage, 95th percentile.",
        &["{{stage}}"],
    )?;
    let drops = rate(Id::CaptureDrops, "", "interface, where");
    let legend = ["{{interface}} {{where}}"];
    graph(b, "Capture Drops", &[&drops], "pps", "Packets lost before they were read.", &legend)?;

    b.add_row("Output and Runs");
    let records = rate(Id::OutputRecords, "", "sink");
    graph(b, "Rows Written", &[&records], "cps", "Rows per second, by sink.", &["{{sink}}"])?;
    let bytes = rate(Id::OutputBytes, "", "sink");
    graph(b, "Bytes Written", &[&bytes], "Bps", "Bytes of output per second, by sink.", &["{{sink}}"])?;
    let failures = rate(Id::OutputErrors, "", "sink, kind");
    graph(b, "Output Errors", &[&failures], "cps", "Failed writes per second.", &["{{sink}} {{kind}}"])?;
    let active = format!("sum by (mode) ({})", selector(Id::ActiveRuns, ""));
    graph(b, "Active Runs", &[&active], "short", "Runs going on, by mode.", &["{{mode}}"])?;
    let runs = format!("sum by (mode, result) (increase({}[$__rate_interval]))", selector(Id::Runs, ""));
    graph(b, "Runs Ended", &[&runs], "short", "Runs that ended, by mode and result.", &["{{mode}} {{result}}"])?;
    let lag = format!("max by (source) ({}) or on() vector(0)", selector(Id::Lag, ""));
    graph(b, "Lag", &[&lag], "s", "How far live and remote sources are behind.", &["{{source}}"])?;

    b.add_row("Process");
    let cpu = rate(Id::ProcessCpuSeconds, "", "instance");
    sized(
        b,
        PanelKind::Graph,
        "CPU",
        &cpu,
        "percentunit",
        "Processor time per second; 100 % is one core.",
        "{{instance}}",
        8,
    )?;
    let memory = format!("sum by (instance) ({}) or on() vector(0)", selector(Id::ProcessResidentMemory, ""));
    sized(b, PanelKind::Graph, "Resident Memory", &memory, "bytes", "Memory of the processes.", "{{instance}}", 8)?;
    let scrapes = quantile(Id::ScrapeDuration, "0.99", "instance");
    sized(b, PanelKind::Graph, "Scrape Duration (p99)", &scrapes, "s", "Time to answer a scrape.", "{{instance}}", 8)?;
    Ok(())
}

fn options(unit: &str, description: &str, legend: &[&str]) -> PanelOptions {
    PanelOptions {
        unit: Some(unit.to_owned()),
        description: Some(description.to_owned()),
        legend: legend.iter().map(|l| (*l).to_owned()).collect(),
        ..PanelOptions::default()
    }
}

fn stat(
    b: &mut DashboardBuilder,
    title: &str,
    expr: &str,
    unit: &str,
    description: &str,
) -> Result<(), DashboardError> {
    let decimals = (unit == "short").then_some(0);
    b.add_stat_panel(title, expr, PanelOptions { decimals, ..options(unit, description, &[]) })?;
    Ok(())
}

fn graph(
    b: &mut DashboardBuilder,
    title: &str,
    exprs: &[&str],
    unit: &str,
    description: &str,
    legend: &[&str],
) -> Result<(), DashboardError> {
    b.add_graph_panel(title, exprs, options(unit, description, legend))?;
    Ok(())
}

#[allow(clippy::too_many_arguments)] // a row of a table, not a call to remember
fn sized(
    b: &mut DashboardBuilder,
    kind: PanelKind,
    title: &str,
    expr: &str,
    unit: &str,
    description: &str,
    legend: &str,
    width: u32,
) -> Result<(), DashboardError> {
    b.add_panel(kind, title, &[expr], PanelOptions { width: Some(width), ..options(unit, description, &[legend]) })?;
    Ok(())
}

/// The family's series of the chosen jobs and instances.
fn selector(id: Id, more: &str) -> String {
    part(id, "", more)
}

fn part(id: Id, suffix: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    let name = id.metric().full_name(DEFAULT_NAMESPACE);
    format!("{name}{suffix}{{job=~\"$job\", instance=~\"$instance\"{comma}{more}}}")
}

fn sum(id: Id, more: &str) -> String {
    format!("sum({})", selector(id, more))
}

fn level(id: Id, more: &str) -> String {
    format!("{} or vector(0)", sum(id, more))
}

fn total(id: Id, more: &str) -> String {
    format!("sum(increase({}[$__range])) or vector(0)", selector(id, more))
}

fn per_second(id: Id, more: &str) -> String {
    format!("sum(rate({}[$__rate_interval]))", selector(id, more))
}

/// Per second, by labels if any are given; 0 while there is no series at all.
fn rate(id: Id, more: &str, by: &str) -> String {
    if by.is_empty() {
        return format!("{} or vector(0)", per_second(id, more));
    }
    format!("(sum by ({by}) (rate({}[$__rate_interval])) or on() vector(0))", selector(id, more))
}

/// A quantile is NaN while nothing was observed; NaN is not >= 0.
fn quantile(id: Id, q: &str, by: &str) -> String {
    let comma = if by.is_empty() { "" } else { ", " };
    let buckets = format!("sum by (le{comma}{by}) (rate({}[$__rate_interval]))", part(id, "_bucket", ""));
    format!("histogram_quantile({q}, {buckets}) >= 0 or on() vector(0)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;

    /// Section and panels, as the monitoring page lists them.
    const PAGE: &[(&str, &[&str])] = &[
        ("Overview", &["Total Packets", "Total Bytes", "Total Flows", "Active Flows", "Total Errors", "Packets/sec"]),
        ("Throughput", &["Packet Rate", "Byte Rate", "Flows per Minute", "Active Flows over time"]),
        ("Latency", &["Processing Duration", "Processing Jobs by Mode"]),
        ("Errors", &["Errors by Stage", "Flow Completion Reasons", "Error Distribution"]),
        ("Efficiency", &["Average Packet Size", "Processing Success Rate"]),
    ];

    fn expressions() -> Vec<(String, String)> {
        let built = overview_dashboard();
        let panels = built["panels"].as_array().unwrap().clone();
        let targets = |p: &Value| p["targets"].as_array().cloned().unwrap_or_default();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        panels.iter().flat_map(|p| targets(p).into_iter().map(move |t| (text(&p["title"]), text(&t["expr"])))).collect()
    }

    #[test]
    fn every_section_and_panel_of_the_page_is_there_in_its_order() {
        let mut b = DashboardBuilder::new("t");
        fill(&mut b).unwrap();
        let built = overview_dashboard();
        let titles: Vec<_> = built["panels"].as_array().unwrap().iter().map(|p| p["title"].as_str().unwrap()).collect();
        let want: Vec<_> =
            PAGE.iter().flat_map(|(row, panels)| [*row].into_iter().chain(panels.iter().copied())).collect();
        assert_eq!(titles[..want.len()], want);
    }

    #[test]
    fn queries_select_by_job_and_instance_and_name_only_known_families() {
        for (title, expr) in expressions() {
            let selectors: Vec<_> = expr.split('{').collect();
            assert!(selectors.len() > 1, "{title}");
            for (before, after) in selectors.iter().zip(&selectors[1..]) {
                assert!(after.starts_with("job=~\"$job\", instance=~\"$instance\""), "{title}: {expr}");
                let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                let known = METRICS.iter().any(|m| {
                    let full = m.full_name(DEFAULT_NAMESPACE);
                    name.strip_prefix(full.as_str()).is_some_and(|s| ["", "_bucket", "_count", "_sum"].contains(&s))
                });
                assert!(known, "{title}: {name}");
                if name.ends_with("_total") || name.ends_with("_bucket") || name.ends_with("_count") {
                    let call = before.strip_suffix(name).unwrap();
                    assert!(
                        call.ends_with("rate(") || call.ends_with("increase("),
                        "{title}: a bare counter in {expr}"
                    );
                }
            }
        }
    }
}
