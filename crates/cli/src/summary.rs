//! What a run did, for people and for machines, on standard error.

use joyfuljay::Summary;
use joyfuljay_core::stats::{EndReason, SkipReason};
use joyfuljay_io::source::{Clock, InterfaceCounts};
use serde_json::{Map, Value, json};

use crate::{human, say};

/// A run and where its rows went.
pub struct Report<'a> {
    /// Totals.
    pub summary: &'a Summary,
    /// The output as named by the user, `-` for standard output.
    pub output: &'a str,
    /// Name of the format.
    pub format: &'a str,
}

impl Report<'_> {
    /// Packets a second of wall-clock time.
    fn rate(&self) -> f64 {
        self.summary.stats.frames as f64 / self.summary.elapsed.as_secs_f64().max(1e-9)
    }

    /// A few lines.
    pub fn text(&self) -> String {
        let (s, stats) = (self.summary, &self.summary.stats);
        let mut out = format!(
            "{} packets ({}) in {} with {}: {} packets/s\n",
            human::count(stats.frames),
            human::bytes(stats.captured_bytes),
            human::seconds(s.elapsed.as_secs_f64()),
            plural(s.workers as u64, "worker"),
            human::scaled(self.rate()),
        );
        out.push_str(&plural(stats.flows_created, "flow"));
        let ended = EndReason::ALL.map(|r| (r.name(), stats.flows_ended[r]));
        if let Some(list) = list(&ended) {
            out.push_str(&format!(" ({list})"));
        }
        out.push_str(&format!(", {}", plural(s.rows, "row")));
        if s.rows_lost > 0 {
            out.push_str(&format!(" (lost {}, as they could not be written)", human::count(s.rows_lost)));
        }
        out.push('\n');
        if let Some(list) = list(&SkipReason::ALL.map(|r| (r.label(), stats.skipped[r]))) {
            out.push_str(&format!("skipped {} packets: {list}\n", human::count(stats.skipped.total())));
        }
        if stats.filtered > 0 {
            out.push_str(&format!("left out by the filter: {}\n", plural(stats.filtered, "packet")));
        }
        if let Some(saved) = s.saved {
            let files = plural(saved.files, "file");
            out.push_str(&format!(
                "saved {} in {files} ({})",
                plural(saved.frames, "packet"),
                human::bytes(saved.bytes)
            ));
            if saved.lost > 0 {
                out.push_str(&format!(", lost {}", human::count(saved.lost)));
            }
            out.push('\n');
        }
        if let Some(list) = list(&dropped(s)) {
            out.push_str(&format!("lost before they could be read: {list}\n"));
        }
        if s.files_not_read() > 0 {
            out.push_str(&format!("not read: {}\n", plural(s.files_not_read(), "file")));
        }
        if s.stopped {
            out.push_str("stopped by a signal: these are the flows of what had been sent until then\n");
        }
        let output = if self.output == "-" { "standard output".to_owned() } else { say::printable(self.output) };
        out.push_str(&format!("{output}: {} of {}\n", human::bytes(s.output_bytes), self.format));
        out
    }

    /// One JSON object.
    pub fn json(&self) -> Value {
        let mut value = summary_json(self.summary);
        if let Value::Object(map) = &mut value {
            map.insert("rows".into(), json!(self.summary.rows));
            map.insert("rows_lost".into(), json!(self.summary.rows_lost));
            map.insert("output".into(), json!(self.output));
            map.insert("format".into(), json!(self.format));
            map.insert("output_bytes".into(), json!(self.summary.output_bytes));
            map.insert("workers".into(), json!(self.summary.workers));
            map.insert("packets_per_second".into(), json!(self.rate()));
        }
        value
    }
}

/// Counts of a run, by the names that metrics and rows use.
pub fn summary_json(s: &Summary) -> Value {
    let stats = &s.stats;
    json!({
        "frames": stats.frames,
        "lead_frames": stats.lead_frames,
        "frames_filtered": stats.filtered,
        "frames_saved": s.saved.map(|saved| saved.frames),
        "frames_not_saved": s.saved.map(|saved| saved.lost),
        "subframes": stats.subframes,
        "captured_bytes": stats.captured_bytes,
        "wire_bytes": stats.wire_bytes,
        "ip_packets": stats.ipv4_packets + stats.ipv6_packets,
        "ipv4_packets": stats.ipv4_packets,
        "ipv6_packets": stats.ipv6_packets,
        "ip_bytes": stats.ip_bytes,
        "flow_packets": stats.packets,
        "flow_bytes": stats.bytes,
        "datagrams_reassembled": stats.datagrams_reassembled,
        "datagrams_evicted": stats.datagrams_evicted,
        "streams_malformed": stats.malformed_streams,
        "streams_given_up": stats.streams_given_up,
        "flows": stats.flows_created,
        "flows_ended": counts(&EndReason::ALL.map(|r| (r.name(), stats.flows_ended[r]))),
        "skipped": counts(&SkipReason::ALL.map(|r| (r.label(), stats.skipped[r]))),
        "first_time": s.first_ts.map(human::utc),
        "last_time": s.last_ts.map(human::utc),
        "clock": s.clock.map(Clock::name),
        "stopped": s.stopped,
        "elapsed_seconds": s.elapsed.as_secs_f64(),
        "frames_with_odd_times": stats.odd_times,
        "dropped": counts(&dropped(s)),
        "interfaces": s.interfaces.iter().map(interface_json).collect::<Vec<_>>(),
        "warnings": s.messages().collect::<Vec<_>>(),
        "files_not_read": s.files_not_read(),
    })
}

/// Packets that were lost, by place.
fn dropped(s: &Summary) -> [(&'static str, u64); 3] {
    [("kernel", s.drops.kernel), ("interface", s.drops.interface), ("queue", s.drops.queue)]
}

fn interface_json(counts: &InterfaceCounts) -> Value {
    json!({
        "name": counts.name,
        "up": counts.up,
        "received": counts.received,
        "dropped_kernel": counts.drops.kernel,
        "dropped_interface": counts.drops.interface,
        "ring_full": counts.freezes,
    })
}

/// Those that are not 0: `3 fin, 1 rst`; none where all are.
pub fn list(counts: &[(&str, u64)]) -> Option<String> {
    let parts: Vec<_> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!("{} {}", human::count(*n), name.replace('_', " ")))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// 1 flow, 2 flows.
pub fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", human::count(n), if n == 1 { "" } else { "s" })
}

/// Says what went wrong without ending the run: the first few, or all.
pub fn print_warnings(s: &Summary, all: bool) {
    const FEW: usize = 5;
    // What concerns all rows comes first, and always.
    let shown = if all { usize::MAX } else { FEW + s.stats.remarks().len() };
    for warning in s.messages().take(shown) {
        say::warning(warning);
    }
    if s.warnings.len() > FEW && !all {
        say::warning(format_args!("{} more (-v shows all)", s.warnings.len() - FEW));
    }
}

fn counts(counts: &[(&str, u64)]) -> Value {
    counts.iter().map(|(name, n)| ((*name).to_owned(), Value::from(*n))).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use joyfuljay_core::StatsDelta;
    use std::time::Duration;

    #[test]
    fn a_report_has_the_numbers_that_matter() {
        let mut stats = StatsDelta { frames: 2_000_000, flows_created: 1, ..StatsDelta::default() };
        stats.skipped[SkipReason::NonIp] = 7;
        stats.flows_ended[EndReason::EndOfInput] = 1;
        let mut summary = Summary::default();
        (summary.stats, summary.rows, summary.output_bytes) = (stats, 1, 1500);
        (summary.elapsed, summary.workers) = (Duration::from_secs(2), 1);
        let report = Report { summary: &summary, output: "-", format: "csv" };
        assert_eq!(
            report.text(),
            "2,000,000 packets (0 B) in 2.00 s with 1 worker: 1.0 M packets/s\n1 flow (1 end of input), 1 row\nskipped 7 \
             packets: 7 non ip\nstandard output: 1.5 kB of csv\n"
        );
        assert_eq!(report.json()["skipped"]["non_ip"], 7);
        assert_eq!(report.json()["first_time"], Value::Null);
    }
}
