//! The cells behind the families of one namespace: atomics in fixed slots, so that counting takes no lock. A lock is held only
//! when a label value is seen for the first time.

use crate::label::{MAX_LABEL_VALUES, OTHER, clean};
use crate::snapshot::{Family, Histogram, Sample, Value};
use crate::table::{Created, Id, Kind, METRICS, Metric, Number};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The families of one namespace.
#[derive(Debug)]
pub(crate) struct Store {
    namespace: String,
    families: Vec<Slots>,
    /// Runs going on, over all modes. Held while a run begins or ends, so that what they reset is not what another adds.
    runs: Mutex<u64>,
}

/// The children of a family: filled from the front, never removed.
#[derive(Debug)]
struct Slots {
    metric: &'static Metric,
    children: Box<[OnceLock<Child>]>,
    growing: Mutex<()>,
}

#[derive(Debug)]
struct Child {
    values: Vec<String>,
    cell: Cell,
    /// Whether anybody but the table asked for it.
    used: AtomicBool,
    /// Whether what it is of has gone. It counts on where it was, should that come again.
    gone: AtomicBool,
}

#[derive(Debug)]
enum Cell {
    Count(AtomicU64),
    Level(AtomicI64),
    Float(AtomicU64),
    Histogram(Buckets),
}

#[derive(Debug)]
struct Buckets {
    /// Observations per bucket, not cumulative; the last is beyond every bound.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Store {
    pub(crate) fn new(namespace: &str) -> Self {
        let store = Self {
            namespace: namespace.to_owned(),
            families: METRICS.iter().map(Slots::new).collect(),
            runs: Mutex::default(),
        };
        let build = [env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH];
        store.set(Id::BuildInfo, &build, 1);
        store
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The number of runs going on, to be changed by who holds it.
    pub(crate) fn runs(&self) -> MutexGuard<'_, u64> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to an integer counter.
    pub(crate) fn add(&self, id: Id, values: &[&str], n: u64) {
        if let Cell::Count(c) = self.cell(id, values) {
            c.fetch_add(n, Relaxed);
        }
    }

    /// Adds to an integer gauge.
    pub(crate) fn shift(&self, id: Id, values: &[&str], n: i64) {
        if let Cell::Level(c) = self.cell(id, values) {
            c.fetch_add(n, Relaxed);
        }
    }

    /// Sets an integer gauge.
    pub(crate) fn set(&self, id: Id, values: &[&str], n: u64) {
        if let Cell::Level(c) = self.cell(id, values) {
            c.store(i64::try_from(n).unwrap_or(i64::MAX), Relaxed);
        }
    }

    /// Sets a float gauge.
    pub(crate) fn set_float(&self, id: Id, values: &[&str], x: f64) {
        if let Cell::Float(c) = self.cell(id, values) {
            c.store(x.to_bits(), Relaxed);
        }
    }

    /// Adds to a float counter.
    pub(crate) fn add_float(&self, id: Id, values: &[&str], x: f64) {
        if let Cell::Float(c) = self.cell(id, values) {
            add_f64(c, x);
        }
    }

    /// Adds an observation to a histogram.
    pub(crate) fn observe(&self, id: Id, values: &[&str], x: f64) {
        if let Cell::Histogram(h) = self.cell(id, values) {
            let bucket = id.metric().buckets.partition_point(|bound| *bound < x);
            if let Some(c) = h.counts.get(bucket) {
                c.fetch_add(1, Relaxed);
            }
            add_f64(&h.sum, x);
        }
    }

    /// Makes the sample appear, at 0.
    pub(crate) fn touch(&self, id: Id, values: &[&str]) {
        self.cell(id, values);
    }

    /// Ends the series of these label values, until they are fed again.
    pub(crate) fn end(&self, id: Id, values: &[&str]) {
        if let Some(child) = self.families[id as usize].find(values) {
            child.gone.store(true, Relaxed);
        }
    }

    /// The families that have samples.
    pub(crate) fn snapshot(&self, out: &mut Vec<Family>) {
        for slots in &self.families {
            let samples: Vec<_> = slots.shown().map(|c| c.sample(slots.metric)).collect();
            if samples.is_empty() {
                continue;
            }
            let m = slots.metric;
            out.push(Family {
                name: m.full_name(&self.namespace),
                kind: m.kind,
                unit: m.unit,
                help: m.help,
                label_names: m.labels.iter().map(|l| l.name).collect(),
                samples,
            });
        }
    }

    fn cell(&self, id: Id, values: &[&str]) -> &Cell {
        let slots = &self.families[id as usize];
        let child = slots.child(values).unwrap_or_else(|other| {
            self.add(Id::LabelOverflow, &[], 1);
            other
        });
        if slots.metric.created == Created::UntilUsed {
            child.used.store(true, Relaxed);
        }
        if child.gone.load(Relaxed) {
            child.gone.store(false, Relaxed);
        }
        &child.cell
    }
}

impl Slots {
    fn new(metric: &'static Metric) -> Self {
        let room = if metric.labels.is_empty() { 1 } else { MAX_LABEL_VALUES + 1 };
        let slots = Self { metric, children: (0..room).map(|_| OnceLock::new()).collect(), growing: Mutex::new(()) };
        if metric.created != Created::OnUse {
            let mut rows: Vec<Vec<&str>> = vec![vec![]];
            for label in metric.labels {
                rows =
                    rows.iter().flat_map(|r| label.values.iter().map(move |v| [r.as_slice(), &[v]].concat())).collect();
            }
            for row in rows {
                let _ = slots.child(&row);
            }
        }
        slots
    }

    fn filled(&self) -> impl Iterator<Item = &Child> {
        self.children.iter().map_while(OnceLock::get)
    }

    /// The children that a scrape sees.
    fn shown(&self) -> impl Iterator<Item = &Child> {
        let any_used = self.filled().any(|c| c.used.load(Relaxed));
        self.filled().filter(move |c| (!any_used || c.used.load(Relaxed)) && !c.gone.load(Relaxed))
    }

    fn find(&self, values: &[impl AsRef<str>]) -> Option<&Child> {
        self.filled().find(|c| c.values.iter().map(String::as_str).eq(values.iter().map(AsRef::as_ref)))
    }

    /// The child with these label values, made if there is room; `Err` is the child that stands for all others.
    fn child(&self, values: &[&str]) -> Result<&Child, &Child> {
        if let Some(c) = self.find(values) {
            return Ok(c);
        }
        // A caller that gives too few or too many values must not spoil the family: missing ones are `unknown`.
        let cleaned: Vec<Cow<'_, str>> =
            (0..self.metric.labels.len()).map(|i| clean(values.get(i).copied().unwrap_or(""))).collect();
        if let Some(c) = self.find(&cleaned) {
            return Ok(c);
        }
        let _guard = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(c) = self.find(&cleaned) {
            return Ok(c);
        }
        let len = self.filled().count();
        if len < self.children.len() - usize::from(!self.metric.labels.is_empty()) {
            let values = cleaned.into_iter().map(Cow::into_owned).collect();
            return Ok(self.children[len].get_or_init(|| Child::new(self.metric, values)));
        }
        let others = vec![OTHER; self.metric.labels.len()];
        let other = self.find(&others);
        let last = &self.children[self.children.len() - 1];
        let made = || Child::new(self.metric, others.iter().map(|o| (*o).to_owned()).collect());
        Err(match other {
            Some(c) => c,
            None => last.get_or_init(made),
        })
    }
}

impl Child {
    fn new(metric: &Metric, values: Vec<String>) -> Self {
        let cell = match (metric.kind, metric.number) {
            (Kind::Histogram, _) => Cell::Histogram(Buckets {
                counts: (0..=metric.buckets.len()).map(|_| AtomicU64::new(0)).collect(),
                sum: AtomicU64::new(0f64.to_bits()),
            }),
            (_, Number::Float) => Cell::Float(AtomicU64::new(0f64.to_bits())),
            (Kind::Counter, Number::Int) => Cell::Count(AtomicU64::new(0)),
            (Kind::Gauge, Number::Int) => Cell::Level(AtomicI64::new(0)),
        };
        Self { values, cell, used: AtomicBool::new(false), gone: AtomicBool::new(false) }
    }

    fn sample(&self, metric: &Metric) -> Sample {
        let value = match &self.cell {
            Cell::Count(c) => Value::Int(c.load(Relaxed)),
            // Shards report changes, so a level may pass below 0 for an instant; nobody has fewer than no flows.
            Cell::Level(c) => Value::Int(u64::try_from(c.load(Relaxed)).unwrap_or(0)),
            Cell::Float(c) => Value::Float(f64::from_bits(c.load(Relaxed))),
            Cell::Histogram(h) => Value::Histogram(h.read(metric.buckets)),
        };
        Sample { label_values: self.values.clone(), value }
    }
}

impl Buckets {
    /// The count is the sum of the buckets read, so it equals the last bucket whatever happens meanwhile.
    fn read(&self, bounds: &[f64]) -> Histogram {
        let mut count = 0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds
            .zip(&self.counts)
            .map(|(bound, c)| {
                count += c.load(Relaxed);
                (bound, count)
            })
            .collect();
        Histogram { buckets, sum: f64::from_bits(self.sum.load(Relaxed)), count }
    }
}

fn add_f64(cell: &AtomicU64, x: f64) {
    let _ = cell.fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + x).to_bits()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(store: &Store) -> crate::Snapshot {
        let mut families = vec![];
        store.snapshot(&mut families);
        crate::Snapshot { families }
    }

    #[test]
    fn documented_values_are_there_at_zero_and_unfed_families_are_not() {
        let s = snapshot(&Store::new("jj"));
        assert_eq!(s.value("jj_errors_total", &["parsing"]), Some(0.0));
        assert_eq!(s.value("jj_runs_total", &["remote", "failure"]), Some(0.0));
        assert_eq!(
            s.value("jj_build_info", &[env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH]),
            Some(1.0)
        );
        assert!(s.family("jj_capture_drops_total").is_none());
        assert!(s.family("jj_input_read_bytes").is_none());
    }

    #[test]
    fn modes_have_durations_at_zero_until_one_is_in_use() {
        let store = Store::new("jj");
        let modes = || {
            let s = snapshot(&store);
            let family = s.family("jj_processing_duration_seconds").unwrap();
            family.samples.iter().map(|s| s.label_values[0].clone()).collect::<Vec<_>>()
        };
        assert_eq!(modes(), ["pcap", "live", "remote"]);
        store.touch(Id::ProcessingDuration, &["live"]);
        assert_eq!(modes(), ["live"]);
        store.observe(Id::ProcessingDuration, &["replay"], 1.0);
        store.observe(Id::ProcessingDuration, &["pcap"], 1.0);
        assert_eq!(modes(), ["pcap", "live", "replay"]);
    }

    #[test]
    fn label_values_are_bounded_and_the_rest_is_other() {
        let store = Store::new("jj");
        for i in 0..1000 {
            store.add(Id::Errors, &[&format!("stage{i}")], 1);
        }
        let s = snapshot(&store);
        let family = s.family("jj_errors_total").unwrap();
        assert_eq!(family.samples.len(), MAX_LABEL_VALUES + 1);
        // 3 documented values take room too.
        assert_eq!(s.value("jj_errors_total", &["other"]), Some(903.0));
        assert_eq!(s.value("jj_label_overflow_total", &[]), Some(903.0));
        assert_eq!(s.value("jj_errors_total", &["stage96"]), Some(1.0));
    }

    #[test]
    fn a_series_that_ended_counts_on_when_it_comes_again() {
        let store = Store::new("jj");
        let value = || snapshot(&store).value("jj_capture_packets_total", &["eth0"]);
        store.add(Id::CapturePackets, &["eth0"], 2);
        store.add(Id::CapturePackets, &["eth1"], 9);
        store.end(Id::CapturePackets, &["eth0"]);
        store.end(Id::CapturePackets, &["never"]);
        assert_eq!(value(), None);
        store.add(Id::CapturePackets, &["eth0"], 3);
        assert_eq!(value(), Some(5.0));
        assert_eq!(snapshot(&store).value("jj_capture_packets_total", &["eth1"]), Some(9.0));
    }

    #[test]
    fn an_observation_on_a_bound_belongs_to_its_bucket() {
        let store = Store::new("jj");
        for x in [0.001, 0.0011, 86400.0, 1e9] {
            store.observe(Id::ProcessingDuration, &["pcap"], x);
        }
        let s = snapshot(&store);
        let Value::Histogram(h) = &s.family("jj_processing_duration_seconds").unwrap().samples[0].value else {
            panic!()
        };
        assert_eq!((h.buckets[0], h.buckets[1].1, h.buckets[h.buckets.len() - 2].1, h.count), ((0.001, 1), 2, 3, 4));
        assert_eq!(h.buckets.last(), Some(&(f64::INFINITY, 4)));
    }

    #[test]
    fn threads_lose_no_count_and_every_read_is_monotonic() {
        let store = Store::new("jj");
        let total = |s: &crate::Snapshot| s.value("jj_packets_total", &[]).unwrap();
        std::thread::scope(|scope| {
            for t in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for i in 0..10_000 {
                        store.add(Id::Packets, &[], 1);
                        store.add(Id::Flows, &[&format!("r{}", (i + t) % 7)], 1);
                        store.observe(Id::BatchDuration, &["decode"], 0.25);
                    }
                });
            }
            let mut last = 0.0;
            for _ in 0..200 {
                let s = snapshot(&store);
                assert!(total(&s) >= last);
                last = total(&s);
                for sample in &s.family("jj_batch_duration_seconds").unwrap().samples {
                    let Value::Histogram(h) = &sample.value else { panic!() };
                    assert_eq!(h.buckets.last().unwrap().1, h.count);
                }
            }
        });
        let s = snapshot(&store);
        assert_eq!(total(&s), 40_000.0);
        let flows: f64 = (0..7).map(|i| s.value("jj_flows_total", &[&format!("r{i}")]).unwrap()).sum();
        assert_eq!(flows, 40_000.0);
        let Value::Histogram(h) = &s.family("jj_batch_duration_seconds").unwrap().samples[0].value else { panic!() };
        assert_eq!((h.count, h.sum), (40_000, 10_000.0));
    }
}
