//! `jj info`: what a capture holds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use joyfuljay::{Pipeline, Summary};
use joyfuljay_core::Config;
use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::stats::SkipReason;
use joyfuljay_io::sink::Discard;
use joyfuljay_io::source::{CaptureInfo, CaptureOptions, CaptureSet, PacketSource, Pulled, SourceError, SourceLayer};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::human;
use crate::options::{self, BaseArgs, FeatureArgs, FlowArgs, RunArgs};
use crate::out;
use crate::say;
use crate::summary::{self, plural, summary_json};

/// Show what captures hold: format, interfaces, packets, flows, times, and what cannot be read.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj info capture.pcap\n  jj info --json *.pcapng | jq .flows\n\nEvery INPUT has a \
                        report of its own; that of a directory or glob sums its files up."
)]
pub struct Info {
    /// Captures: files, directories (with all below them), globs, or - for standard input.
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// One JSON object a line, one line an INPUT.
    #[arg(long)]
    json: bool,
    /// Show every warning.
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    flows: FlowArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl Info {
    pub fn run(self) -> Result<(), CliError> {
        options::check_inputs(&self.inputs)?;
        let given = options::configuration(&self.base, &FeatureArgs::default(), &self.flows, &self.run)?;
        // Flows are counted, their features are not asked for: one cheap column.
        let config = Config {
            features: vec!["flow_meta".into()],
            specific_features: Some(vec!["protocol".into()]),
            profile: None,
            ..given
        };
        for (i, input) in self.inputs.iter().enumerate() {
            let (captures, summary) = read(input, config.clone())?;
            let input = &input.display().to_string();
            summary::print_warnings(&summary, self.verbose);
            if self.json {
                out::print(&format!("{}\n", report_json(input, &captures, &summary)))?;
            } else {
                let gap = if i > 0 { "\n" } else { "" };
                out::print(&format!("{gap}{}", report_text(input, &captures, &summary, &config)))?;
            }
        }
        Ok(())
    }
}

fn read(input: &Path, config: Config) -> Result<(Vec<CaptureInfo>, Summary), CliError> {
    let set = CaptureSet::open(&[input], &CaptureOptions::default())?;
    let captures = Arc::new(Mutex::new(Vec::new()));
    let source = Watched { inner: set, captures: Arc::clone(&captures) };
    let summary = Pipeline::new(config)?.run(Box::new(source), Box::new(Discard::default()))?;
    let captures = std::mem::take(&mut *captures.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((captures, summary))
}

fn report_text(input: &str, captures: &[CaptureInfo], s: &Summary, config: &Config) -> String {
    let stats = &s.stats;
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    match captures {
        [one] => {
            row("Format", format_of(one));
            row("Byte order", byte_order(one).into());
            row("Time resolution", one.resolution.to_string());
            row("Link types", link_types(one));
            row("Interfaces", human::count(one.interfaces));
            if one.sections > 1 {
                row("Sections", human::count(one.sections));
            }
            row("Snap length", if one.snaplen == 0 { "no limit".into() } else { human::count(u64::from(one.snaplen)) });
        }
        several => {
            row("Captures", human::count(several.len() as u64));
            for capture in several {
                row("", format!("{}: {}, {}", say::printable(&capture.name), format_of(capture), link_types(capture)));
            }
        }
    }
    row("Frames", human::count(stats.frames));
    if let Some(filter) = config.bpf_filter.as_deref().filter(|f| !f.trim().is_empty()) {
        row("Matching", format!("{} ({})", human::count(stats.frames - stats.filtered), say::printable(filter)));
    }
    row(
        "Bytes",
        format!("{} captured, {} on the wire", human::count(stats.captured_bytes), human::count(stats.wire_bytes)),
    );
    row(
        "IP packets",
        format!(
            "{} (IPv4 {}, IPv6 {})",
            human::count(stats.ipv4_packets + stats.ipv6_packets),
            human::count(stats.ipv4_packets),
            human::count(stats.ipv6_packets)
        ),
    );
    row("IP bytes", human::count(stats.ip_bytes));
    if let (Some(first), Some(last)) = (s.first_ts, s.last_ts) {
        row("First packet", human::utc(first));
        row("Last packet", human::utc(last));
        row("Duration", format!("{} s", human::nanoseconds(i128::from(last) - i128::from(first))));
    }
    row("Flows", format!("{} (idle timeout {} s)", human::count(stats.flows_created), config.flow_timeout));
    let skipped = summary::list(&SkipReason::ALL.map(|r| (r.label(), stats.skipped[r])));
    row("Not in flows", skipped.unwrap_or_else(|| "none".into()));
    if !s.warnings.is_empty() {
        row("Warnings", plural(s.warnings.len() as u64, "warning"));
    }
    let lines: Vec<_> =
        rows.into_iter().map(|(n, v)| vec![if n.is_empty() { n } else { format!("  {n}:") }, v]).collect();
    format!("{}\n{}", say::printable(input), out::table(&lines))
}

fn report_json(input: &str, captures: &[CaptureInfo], s: &Summary) -> Value {
    let mut value = summary_json(s);
    if let Value::Object(map) = &mut value {
        map.insert("input".into(), json!(input));
        map.insert("captures".into(), captures.iter().map(capture_json).collect());
        let duration = s.first_ts.zip(s.last_ts).map(|(a, b)| (i128::from(b) - i128::from(a)) as f64 / 1e9);
        map.insert("duration_seconds".into(), json!(duration));
    }
    value
}

fn capture_json(c: &CaptureInfo) -> Value {
    json!({
        "name": c.name,
        "format": c.format.to_string(),
        "compression": c.compression.to_string(),
        "byte_order": byte_order(c),
        "version": format!("{}.{}", c.version.0, c.version.1),
        "resolution": c.resolution.to_string(),
        "snaplen": c.snaplen,
        "link_types": c.link_types.iter().map(|l| l.0).collect::<Vec<_>>(),
        "interfaces": c.interfaces,
        "sections": c.sections,
    })
}

fn format_of(c: &CaptureInfo) -> String {
    let compression = c.compression.to_string();
    let compressed = if compression == "none" { String::new() } else { format!(", {compression}") };
    format!("{} {}.{}{compressed}", c.format, c.version.0, c.version.1)
}

fn byte_order(c: &CaptureInfo) -> &'static str {
    if c.big_endian { "big-endian" } else { "little-endian" }
}

fn link_types(c: &CaptureInfo) -> String {
    c.link_types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A source that remembers what each capture said of itself.
#[derive(Debug)]
struct Watched {
    inner: CaptureSet,
    captures: Arc<Mutex<Vec<CaptureInfo>>>,
}

impl SourceLayer for Watched {
    type Inner = CaptureSet;

    fn inner(&self) -> &Self::Inner {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut Self::Inner {
        &mut self.inner
    }

    fn pull_inner(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        let pulled = self.inner.pull(out, wait)?;
        let info = self.inner.info();
        let mut captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        // A batch never holds frames of two captures, so each is seen while it is the current one.
        match captures.last_mut() {
            Some(last) if last.name == info.name => *last = info,
            _ => captures.push(info),
        }
        Ok(pulled)
    }
}
