//! What the charts of the live page show of the time before it was opened: once a second, the values that they draw.

use super::encoding::gzip;
use crate::exposition::labels;
use crate::snapshot::{Snapshot, Value};
use hyper::body::Bytes;
use serde_json::{Value as Json, json};
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// An hour at one a second: as many as the page keeps.
const KEPT: usize = 3600;
/// Series that are remembered; some thirty in a usual run. With [`KEPT`] this bounds the memory by 4 MB.
const MAX_SERIES: usize = 128;

/// What `history.js` reads, with no namespace in front; what ends alike comes along.
const FAMILIES: [&str; 13] = [
    "packets_total",
    "bytes_total",
    "flows_total",
    "packets_skipped_total",
    "capture_drops_total",
    "errors_total",
    "batch_duration_seconds",
    "worker_busy_seconds_total",
    "output_records_total",
    "active_flows",
    "active_runs",
    "cpu_seconds_total",
    "resident_memory_bytes",
];
/// The one that is told by its whole name: others end so too.
const START: &str = "process_start_time_seconds";

/// Values of some series, second by second.
#[derive(Debug, Default)]
pub(super) struct Past {
    series: Vec<String>,
    /// The time, and a value of each series that there was by then.
    samples: VecDeque<(f64, Vec<f64>)>,
    /// What is said until the next sample, plain and compressed. All who ask share it: an answer may have megabytes, and a thousand
    /// clients that ask and do not read would else hold one each.
    said: [Option<Bytes>; 2],
    /// When that was.
    said_at: f64,
}

/// An answer, which may have been made for another one that asked.
pub(super) struct Answer {
    pub(super) body: Bytes,
    pub(super) compressed: bool,
    /// Seconds since then: the `now` in it is so old.
    pub(super) age: f64,
}

impl Past {
    /// Takes a sample.
    pub(super) fn take(&mut self, snapshot: &Snapshot, at: f64) {
        let mut values = vec![f64::NAN; self.series.len()];
        let wanted = |name: &str| {
            name == START || FAMILIES.iter().any(|f| name.strip_suffix(f).is_some_and(|n| n.ends_with('_')))
        };
        for family in snapshot.families.iter().filter(|f| wanted(&f.name)) {
            for sample in &family.samples {
                let (suffix, value) = match &sample.value {
                    Value::Int(n) => ("", *n as f64),
                    Value::Float(x) => ("", *x),
                    Value::Histogram(h) => ("_sum", h.sum),
                };
                let labels = labels(family, sample);
                let name = match labels.is_empty() {
                    true => format!("{}{suffix}", family.name),
                    false => format!("{}{suffix}{{{labels}}}", family.name),
                };
                let place = self.series.iter().position(|known| *known == name);
                match place.and_then(|at| values.get_mut(at)) {
                    Some(slot) => *slot = value,
                    None if self.series.len() < MAX_SERIES => {
                        self.series.push(name);
                        values.push(value);
                    }
                    None => {}
                }
            }
        }
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((at, values));
        self.said = [None, None];
    }

    /// [`Past::json`] of the first time that it was asked for since the last sample.
    pub(super) fn answer(&mut self, compressed: bool, now: f64) -> Answer {
        let plain = match &self.said[0] {
            Some(said) => said.clone(),
            None => {
                self.said_at = now;
                self.said[0].insert(self.json(now).into()).clone()
            }
        };
        let age = (now - self.said_at).max(0.0);
        if compressed && self.said[1].is_none() {
            self.said[1] = gzip(&plain).map(Bytes::from);
        }
        match self.said[1].clone().filter(|_| compressed) {
            Some(body) => Answer { body, compressed: true, age },
            None => Answer { body: plain, compressed: false, age },
        }
    }

    /// `{"now": seconds, "series": [names as in /metrics], "samples": [[seconds, value or null, …], …]}`.
    fn json(&self, now: f64) -> String {
        let samples: Vec<Json> = self
            .samples
            .iter()
            .map(|(at, values)| {
                let row: Vec<Json> = std::iter::once(at).chain(values).map(|x| json!(x)).collect();
                Json::from(row)
            })
            .collect();
        json!({ "now": now, "series": self.series, "samples": samples }).to_string()
    }
}

/// Unix seconds.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrometheusMetrics, Registry};

    #[test]
    fn samples_are_as_the_metrics_were_and_the_oldest_go() {
        let registry = Registry::new();
        let metrics = PrometheusMetrics::new(&registry, "jj").unwrap();
        let mut past = Past::default();
        for second in 0..KEPT + 10 {
            if second == 5 {
                metrics.observe_flow("rst");
            }
            metrics.observe_packet(100);
            past.take(&registry.snapshot(), second as f64);
        }
        let said: Json = serde_json::from_str(&past.json(4000.0)).unwrap();
        let samples = said["samples"].as_array().unwrap();
        assert_eq!((samples.len(), &samples[0][0], &said["now"]), (KEPT, &json!(10.0), &json!(4000.0)));
        let names = said["series"].as_array().unwrap();
        let at = |name: &str| 1 + names.iter().position(|n| n == name).unwrap();
        assert_eq!(samples[0][at("jj_packets_total")], json!(11.0));
        assert_eq!(samples[3][at("jj_flows_total{reason=\"rst\"}")], json!(1.0));
        assert!(names.iter().all(|n| !n.as_str().unwrap().contains("frames_total")));
    }

    #[test]
    fn series_beyond_the_limit_are_left_out() {
        let registry = Registry::new();
        let metrics = PrometheusMetrics::new(&registry, "jj").unwrap();
        (0..500).for_each(|n| metrics.observe_flow(&format!("reason{n}")));
        let mut past = Past::default();
        past.take(&registry.snapshot(), 0.0);
        past.take(&registry.snapshot(), 1.0);
        assert!(past.series.len() <= MAX_SERIES);
        assert!(past.samples.iter().all(|(_, values)| values.len() == past.series.len()));
    }

    #[test]
    fn answers_are_shared_until_the_next_sample() {
        let registry = Registry::new();
        let mut past = Past::default();
        past.take(&registry.snapshot(), 0.0);
        let packed = past.answer(true, 0.5);
        assert!(packed.compressed && packed.body.starts_with(&[0x1f, 0x8b]) && packed.age == 0.0);
        let plain = past.answer(false, 0.75);
        assert_eq!((plain.body.as_ref(), plain.compressed, plain.age), (past.json(0.5).as_bytes(), false, 0.25));
        assert_eq!(past.answer(true, 0.8).body.as_ptr(), packed.body.as_ptr());
        assert_eq!(past.answer(false, 0.8).body.as_ptr(), plain.body.as_ptr());
        past.take(&registry.snapshot(), 1.0);
        assert_eq!(past.answer(false, 1.5).body, past.json(1.5));
        assert_ne!(past.answer(true, 1.6).body, packed.body);
    }

    #[test]
    fn all_that_the_page_draws_is_remembered() {
        let script = include_str!("../../assets/history.js");
        let calls = ["v.sum(\"", "v.by(\"", "v.has(\"", "v.process(\""];
        let names: Vec<_> = calls
            .iter()
            .flat_map(|call| script.split(call).skip(1).filter_map(|rest| rest.split('"').next()))
            .map(|name| name.strip_suffix("_sum").unwrap_or(name))
            .collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(FAMILIES.contains(&name) || START == format!("process_{name}"), "{name}");
        }
    }
}
