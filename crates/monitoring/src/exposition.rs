//! A snapshot as text: the classic Prometheus format 0.0.4 and OpenMetrics 1.0.0, and the choice between them by `Accept`.
//!
//! Bounds of buckets are printed as floats (`le="1.0"`) in both, so that a series keeps its name whichever format a scraper asks for
//! (OpenMetrics requires that form). `_created` samples are not emitted.

use crate::snapshot::{Family, Sample, Snapshot, Value};
use crate::table::Kind;
use std::fmt::Write;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that an `Accept` header prefers. OpenMetrics only when it is named, in a version that we speak; a tie is its own.
    pub fn negotiate(accept: &str) -> Self {
        let (mut text, mut open) = (0.0f32, 0.0f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut q, mut version) = (1.0f32, None);
            for (name, value) in parts.filter_map(|p| p.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => q = value.trim().parse().unwrap_or(0.0),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match media.as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                    open = open.max(q)
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => text = text.max(q),
                "text/*" | "*/*" => text = text.max(q),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// The snapshot in the format.
pub fn encode(snapshot: &Snapshot, format: Format) -> String {
    encode_named(snapshot, format, &[])
}

/// The families and samples with these names (`name[]=` of the query); all of them when there are no names.
pub fn encode_named(snapshot: &Snapshot, format: Format, names: &[String]) -> String {
    let mut out = String::with_capacity(32 * 1024);
    for family in &snapshot.families {
        write_family(&mut out, family, format, &Filter::of(family, names));
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

/// Which samples of a family are asked for: the family by name, or a histogram's parts one by one.
struct Filter {
    bucket: bool,
    sum: bool,
    count: bool,
}

impl Filter {
    fn of(family: &Family, names: &[String]) -> Self {
        let has = |suffix: &str| names.iter().any(|n| n.strip_prefix(family.name.as_str()) == Some(suffix));
        let base = family.name.strip_suffix("_total");
        let all = names.is_empty() || has("") || names.iter().any(|n| Some(n.as_str()) == base);
        let part = |suffix| all || (family.kind == Kind::Histogram && has(suffix));
        Self { bucket: part("_bucket"), sum: part("_sum"), count: part("_count") }
    }

    fn any(&self) -> bool {
        self.bucket || self.sum || self.count
    }
}

fn write_family(out: &mut String, family: &Family, format: Format, filter: &Filter) {
    if !filter.any() {
        return;
    }
    let name = family.name.as_str();
    let base = match format {
        Format::OpenMetrics if family.kind == Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {base} {}", escape(family.help, format == Format::OpenMetrics));
    let _ = writeln!(out, "# TYPE {base} {}", family.kind.name());
    if format == Format::OpenMetrics && !family.unit.is_empty() && base.ends_with(&format!("_{}", family.unit)) {
        let _ = writeln!(out, "# UNIT {base} {}", family.unit);
    }
    for sample in &family.samples {
        let labels = labels(family, sample);
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        match &sample.value {
            Value::Int(n) => {
                let _ = writeln!(out, "{name}{braced} {n}");
            }
            Value::Float(x) => {
                let _ = writeln!(out, "{name}{braced} {}", number(*x));
            }
            Value::Histogram(h) => {
                let comma = if labels.is_empty() { "" } else { "," };
                for (bound, count) in h.buckets.iter().filter(|_| filter.bucket) {
                    let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}", number(*bound));
                }
                if filter.sum {
                    let _ = writeln!(out, "{name}_sum{braced} {}", number(h.sum));
                }
                if filter.count {
                    let _ = writeln!(out, "{name}_count{braced} {}", h.count);
                }
            }
        }
    }
}

/// Labels of a sample, as they stand between the braces.
pub(crate) fn labels(family: &Family, sample: &Sample) -> String {
    let mut labels = String::new();
    for (label, value) in family.label_names.iter().zip(&sample.label_values) {
        let comma = if labels.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(labels, "{comma}{label}=\"{}\"", escape(value, true));
    }
    labels
}

/// A float that every parser reads back to the same bits.
fn number(x: f64) -> String {
    if x.is_nan() {
        "NaN".to_owned()
    } else if x.is_infinite() {
        if x > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{x:?}")
    }
}

/// Backslash and line feed always; quotes in label values, and in OpenMetrics' help.
fn escape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrometheusMetrics, Registry};
    use proptest::prelude::*;

    fn family(name: &str, kind: Kind, unit: &'static str, label: Option<(&'static str, &str)>, value: Value) -> Family {
        Family {
            name: name.to_owned(),
            kind,
            unit,
            help: "Says \"a\\b\".",
            label_names: label.iter().map(|l| l.0).collect(),
            samples: vec![Sample { label_values: label.iter().map(|l| l.1.to_owned()).collect(), value }],
        }
    }

    fn example() -> Snapshot {
        let h = crate::Histogram { buckets: vec![(0.5, 1), (10.0, 2), (f64::INFINITY, 3)], sum: 111.25, count: 3 };
        Snapshot {
            families: vec![
                family("jj_bytes_total", Kind::Counter, "bytes", None, Value::Int(u64::MAX)),
                family("jj_flows_total", Kind::Counter, "", Some(("reason", "a\"b\\c\nd")), Value::Int(1)),
                family("jj_run_seconds", Kind::Histogram, "seconds", Some(("mode", "pcap")), Value::Histogram(h)),
                family("jj_lag_seconds", Kind::Gauge, "seconds", None, Value::Float(1e-7)),
            ],
        }
    }

    #[test]
    fn classic_text_is_as_the_format_says() {
        let want = r##"# HELP jj_bytes_total Says "a\\b".
# TYPE jj_bytes_total counter
jj_bytes_total 18446744073709551615
# HELP jj_flows_total Says "a\\b".
# TYPE jj_flows_total counter
jj_flows_total{reason="a\"b\\c\nd"} 1
# HELP jj_run_seconds Says "a\\b".
# TYPE jj_run_seconds histogram
jj_run_seconds_bucket{mode="pcap",le="0.5"} 1
jj_run_seconds_bucket{mode="pcap",le="10.0"} 2
jj_run_seconds_bucket{mode="pcap",le="+Inf"} 3
jj_run_seconds_sum{mode="pcap"} 111.25
jj_run_seconds_count{mode="pcap"} 3
# HELP jj_lag_seconds Says "a\\b".
# TYPE jj_lag_seconds gauge
jj_lag_seconds 1e-7
"##;
        assert_eq!(encode(&example(), Format::Text), want);
    }

    #[test]
    fn openmetrics_names_the_family_without_total_and_ends_with_eof() {
        let want = r##"# HELP jj_bytes Says \"a\\b\".
# TYPE jj_bytes counter
# UNIT jj_bytes bytes
jj_bytes_total 18446744073709551615
# HELP jj_flows Says \"a\\b\".
# TYPE jj_flows counter
jj_flows_total{reason="a\"b\\c\nd"} 1
"##;
        let text = encode(&example(), Format::OpenMetrics);
        assert!(text.starts_with(want), "{text}");
        assert!(text.ends_with("# UNIT jj_lag_seconds seconds\njj_lag_seconds 1e-7\n# EOF\n"), "{text}");
    }

    #[test]
    fn names_choose_families_and_parts_of_histograms() {
        let only = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
            let text = encode_named(&example(), Format::Text, &names);
            text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(only(&["jj_lag_seconds"]), ["jj_lag_seconds 1e-7"]);
        assert_eq!(only(&["jj_bytes"]), only(&["jj_bytes_total"]));
        assert_eq!(only(&["jj_run_seconds_sum"]), ["jj_run_seconds_sum{mode=\"pcap\"} 111.25"]);
        assert_eq!(only(&["jj_run_seconds"]).len(), 5);
        assert_eq!(only(&["jj_run", "jj_lag_seconds_count"]).len(), 0);
    }

    #[test]
    fn the_accept_header_decides() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, want) in [
            (prometheus, Format::OpenMetrics),
            (firefox, Format::Text),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            (
                "application/openmetrics-text; version=\"1.0.0\"; escaping=allow-utf-8;q=0.2,text/plain;q=0.3",
                Format::Text,
            ),
            ("application/openmetrics-text;q=0", Format::Text),
            ("APPLICATION/OpenMetrics-Text;Q=0.5,text/plain;q=0.5", Format::OpenMetrics),
        ] {
            assert_eq!(Format::negotiate(accept), want, "{accept}");
        }
    }

    #[test]
    fn the_default_set_is_small() {
        let registry = Registry::new().with_process();
        let metrics = PrometheusMetrics::new(&registry, "joyfuljay").unwrap();
        metrics.observe_packets(u64::MAX / 2, u64::MAX / 2);
        for format in [Format::Text, Format::OpenMetrics] {
            let text = encode(&registry.snapshot(), format);
            assert!(text.len() < 64 * 1024, "{}", text.len());
            assert!(!text.contains("_created"));
        }
    }

    /// The inverse of the label escaping, written from the format's description.
    fn unescape(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('n') => out.push('\n'),
                    Some(c) => out.push(c),
                    None => panic!("a lone backslash"),
                },
                '"' | '\n' => panic!("a bare {c:?}"),
                c => out.push(c),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn label_values_survive_the_round_trip(value in "[\\\\\"\na-c\u{e9}]{0,20}|\\PC*") {
            let snapshot = Snapshot { families: vec![family("m", Kind::Gauge, "", Some(("l", &value)), Value::Int(1))] };
            let text = encode(&snapshot, Format::Text);
            let line = text.lines().nth(2).unwrap();
            let inner = line.strip_prefix("m{l=\"").unwrap().strip_suffix("\"} 1").unwrap();
            prop_assert_eq!(unescape(inner), value);
        }

        #[test]
        fn floats_survive_the_round_trip(x in any::<f64>()) {
            let back: f64 = number(x).parse().unwrap();
            prop_assert!(back == x || (back.is_nan() && x.is_nan()));
        }
    }
}
