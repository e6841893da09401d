//! The overview dashboard. Queries are made from the table of metrics, so a family cannot be renamed past them; each selects by the
//! variables `job` and `instance`, adds instances up, and says 0 rather than NaN when nothing happens.

use super::DashboardError;
use super::builder::DashboardBuilder;
use super::panel::PanelKind::{Graph, Pie, Stat};
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
    for (row, panels) in ROWS {
        b.add_row(row);
        for panel in *panels {
            panel.add(b)?;
        }
    }
    Ok(())
}

/// The legend of a query, and its expression.
type Query = (&'static str, fn() -> String);

/// A panel of the dashboard.
struct Panel {
    kind: PanelKind,
    title: &'static str,
    /// Grafana's name of the unit.
    unit: &'static str,
    description: &'static str,
    /// Legends and their expressions.
    queries: &'static [Query],
    width: Option<u32>,
    decimals: Option<u32>,
    red_from: Option<f64>,
    max: Option<f64>,
}

const fn panel(
    kind: PanelKind,
    title: &'static str,
    unit: &'static str,
    description: &'static str,
    queries: &'static [Query],
) -> Panel {
    Panel { kind, title, unit, description, queries, width: None, decimals: None, red_from: None, max: None }
}

/// A third of the width.
const THIRD: Option<u32> = Some(8);
const WHOLE_NUMBER: Option<u32> = Some(0);

const ROWS: &[(&str, &[Panel])] = &[
    (
        "Overview",
        &[
            Panel {
                decimals: WHOLE_NUMBER,
                ..panel(
                    Stat,
                    "Total Packets",
                    "short",
                    "Packets processed in the time shown.",
                    &[("", || total(Id::Packets, ""))],
                )
            },
            panel(Stat, "Total Bytes", "bytes", "Bytes processed in the time shown.", &[("", || total(Id::Bytes, ""))]),
            Panel {
                decimals: WHOLE_NUMBER,
                ..panel(
                    Stat,
                    "Total Flows",
                    "short",
                    "Flows that ended in the time shown.",
                    &[("", || total(Id::Flows, ""))],
                )
            },
            Panel {
                decimals: WHOLE_NUMBER,
                ..panel(Stat, "Active Flows", "short", "Flows open now.", &[("", || level(Id::ActiveFlows, ""))])
            },
            Panel {
                decimals: WHOLE_NUMBER,
                red_from: Some(1.0),
                ..panel(
                    Stat,
                    "Total Errors",
                    "short",
                    "Errors of any stage in the time shown.",
                    &[("", || total(Id::Errors, ""))],
                )
            },
            panel(
                Stat,
                "Packets/sec",
                "pps",
                "Packets processed per second, now.",
                &[("", || rate(Id::Packets, "", ""))],
            ),
        ],
    ),
    (
        "Throughput",
        &[
            panel(
                Graph,
                "Packet Rate",
                "pps",
                "Packets processed per second.",
                &[("packets", || rate(Id::Packets, "", ""))],
            ),
            panel(Graph, "Byte Rate", "Bps", "Bytes processed per second.", &[("bytes", || rate(Id::Bytes, "", ""))]),
            panel(
                Graph,
                "Flows per Minute",
                "short",
                "Flows that ended, per minute and reason.",
                &[("{{reason}}", || format!("60 * {}", rate(Id::Flows, "", "reason")))],
            ),
            panel(Graph, "Active Flows over time", "short", "Flows open.", &[("flows", || level(Id::ActiveFlows, ""))]),
        ],
    ),
    (
        "Latency",
        &[
            panel(
                Graph,
                "Processing Duration",
                "s",
                "How long runs took: median, 95th and 99th percentile.",
                &[
                    ("p50", || quantile(Id::ProcessingDuration, "0.50", "")),
                    ("p95", || quantile(Id::ProcessingDuration, "0.95", "")),
                    ("p99", || quantile(Id::ProcessingDuration, "0.99", "")),
                ],
            ),
            panel(
                Graph,
                "Processing Jobs by Mode",
                "short",
                "Runs that ended, by mode.",
                &[("{{mode}}", || {
                    let count = part(Id::ProcessingDuration, "_count", "");
                    format!("sum by (mode) (increase({count}[$__rate_interval]))")
                })],
            ),
        ],
    ),
    (
        "Errors",
        &[
            Panel {
                width: THIRD,
                ..panel(
                    Graph,
                    "Errors by Stage",
                    "cps",
                    "Errors per second, by stage.",
                    &[("{{stage}}", || rate(Id::Errors, "", "stage"))],
                )
            },
            Panel {
                width: THIRD,
                ..panel(
                    Pie,
                    "Flow Completion Reasons",
                    "short",
                    "Why flows ended, in the time shown.",
                    &[("{{reason}}", || format!("sum by (reason) (increase({}[$__range]))", selector(Id::Flows, "")))],
                )
            },
            Panel {
                width: THIRD,
                ..panel(
                    Pie,
                    "Error Distribution",
                    "short",
                    "Errors by stage, in the time shown.",
                    &[("{{stage}}", || format!("sum by (stage) (increase({}[$__range]))", selector(Id::Errors, "")))],
                )
            },
        ],
    ),
    (
        "Efficiency",
        &[
            panel(
                Graph,
                "Average Packet Size",
                "bytes",
                "Bytes per packet.",
                &[("bytes per packet", || {
                    format!("{} / ({} > 0) or vector(0)", per_second(Id::Bytes, ""), per_second(Id::Packets, ""))
                })],
            ),
            Panel {
                max: Some(1.0),
                ..panel(
                    Graph,
                    "Processing Success Rate",
                    "percentunit",
                    "Packets that could be parsed, of all.",
                    &[("success", || {
                        let (packets, parsing) =
                            (per_second(Id::Packets, ""), per_second(Id::Errors, "stage=\"parsing\""));
                        format!("1 - {parsing} / (({packets} + {parsing}) > 0) or vector(1)")
                    })],
                )
            },
        ],
    ),
    (
        "Engine",
        &[
            panel(
                Graph,
                "Packets Skipped",
                "pps",
                "Frames that became no packet of a flow, by reason.",
                &[("{{reason}}", || rate(Id::PacketsSkipped, "", "reason"))],
            ),
            Panel {
                max: Some(1.0),
                ..panel(
                    Graph,
                    "Flow Table Fill",
                    "percentunit",
                    "Share of the flow table in use; 0 when unbounded.",
                    &[("in use", || {
                        let capacity = selector(Id::FlowTableCapacity, "");
                        format!("{} / (sum({capacity}) > 0) or vector(0)", sum(Id::ActiveFlows, ""))
                    })],
                )
            },
            panel(
                Graph,
                "Flow Evictions",
                "cps",
                "Flows pushed out of a full table, per second.",
                &[("{{cause}}", || rate(Id::FlowEvictions, "", "cause"))],
            ),
            panel(
                Graph,
                "Flow Table Memory",
                "bytes",
                "Bytes that flow tables hold.",
                &[("bytes", || level(Id::FlowTableBytes, ""))],
            ),
            panel(
                Graph,
                "Batch Duration (p95)",
                "s",
                "Time that a batch spends in a stage, 95th percentile.",
                &[("{{stage}}", || quantile(Id::BatchDuration, "0.95", "stage"))],
            ),
            panel(
                Graph,
                "Capture Drops",
                "pps",
                "Packets lost before they were read.",
                &[("{{interface}} {{where}}", || rate(Id::CaptureDrops, "", "interface, where"))],
            ),
        ],
    ),
    (
        "Output and Runs",
        &[
            panel(
                Graph,
                "Rows Written",
                "cps",
                "Rows per second, by sink.",
                &[("{{sink}}", || rate(Id::OutputRecords, "", "sink"))],
            ),
            panel(
                Graph,
                "Bytes Written",
                "Bps",
                "Bytes of output per second, by sink.",
                &[("{{sink}}", || rate(Id::OutputBytes, "", "sink"))],
            ),
            panel(
                Graph,
                "Output Errors",
                "cps",
                "Failed writes per second.",
                &[("{{sink}} {{kind}}", || rate(Id::OutputErrors, "", "sink, kind"))],
            ),
            panel(
                Graph,
                "Active Runs",
                "short",
                "Runs going on, by mode.",
                &[("{{mode}}", || format!("sum by (mode) ({})", selector(Id::ActiveRuns, "")))],
            ),
            panel(
                Graph,
                "Runs Ended",
                "short",
                "Runs that ended, by mode and result.",
                &[("{{mode}} {{result}}", || {
                    format!("sum by (mode, result) (increase({}[$__rate_interval]))", selector(Id::Runs, ""))
                })],
            ),
            panel(
                Graph,
                "Lag",
                "s",
                "How far live and remote sources are behind.",
                &[("{{source}}", || format!("max by (source) ({}) or on() vector(0)", selector(Id::Lag, "")))],
            ),
        ],
    ),
    (
        "Process",
        &[
            Panel {
                width: THIRD,
                ..panel(
                    Graph,
                    "CPU",
                    "percentunit",
                    "Processor time per second; 100 % is one core.",
                    &[("{{instance}}", || rate(Id::ProcessCpuSeconds, "", "instance"))],
                )
            },
            Panel {
                width: THIRD,
                ..panel(
                    Graph,
                    "Resident Memory",
                    "bytes",
                    "Memory of the processes.",
                    &[("{{instance}}", || {
                        format!("sum by (instance) ({}) or on() vector(0)", selector(Id::ProcessResidentMemory, ""))
                    })],
                )
            },
            Panel {
                width: THIRD,
                ..panel(
                    Graph,
                    "Scrape Duration (p99)",
                    "s",
                    "Time to answer a scrape.",
                    &[("{{instance}}", || quantile(Id::ScrapeDuration, "0.99", "instance"))],
                )
            },
        ],
    ),
];

impl Panel {
    fn add(&self, b: &mut DashboardBuilder) -> Result<(), DashboardError> {
        let exprs: Vec<String> = self.queries.iter().map(|(_, expr)| expr()).collect();
        let exprs: Vec<&str> = exprs.iter().map(String::as_str).collect();
        let legends = self.queries.iter().map(|(legend, _)| *legend).filter(|legend| !legend.is_empty());
        let options = PanelOptions {
            width: self.width,
            unit: Some(self.unit.to_owned()),
            description: Some(self.description.to_owned()),
            legend: legends.map(str::to_owned).collect(),
            decimals: self.decimals,
            red_from: self.red_from,
            max: self.max,
            ..PanelOptions::default()
        };
        b.add_panel(self.kind, self.title, &exprs, options).map(drop)
    }
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
