//! What a scrape sees: every family with its samples, read once. The text formats and the Python collector both print this.

use crate::table::Kind;

/// The families of a registry at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// In the order of [`crate::METRICS`], per namespace.
    pub families: Vec<Family>,
}

/// A family and its samples; never without samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Full name, with `_total` where it is a counter.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Base unit, or empty.
    pub unit: &'static str,
    /// Help text, not escaped.
    pub help: &'static str,
    /// Names of the labels of every sample.
    pub label_names: Vec<&'static str>,
    /// The samples, documented label values first.
    pub samples: Vec<Sample>,
}

/// One labelled value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Values of the family's labels, in their order, not escaped.
    pub label_values: Vec<String>,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An exact count.
    Int(u64),
    /// Seconds, or another measure.
    Float(f64),
    /// A histogram.
    Histogram(Histogram),
}

/// A histogram's cumulative buckets. The last bound is `+Inf` and its count is the histogram's count.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bound and observations up to it.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of the observations.
    pub sum: f64,
    /// Observations.
    pub count: u64,
}

impl Snapshot {
    /// The family of this full name.
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|f| f.name == name)
    }

    /// The value of the counter or gauge with these label values; as `get_sample_value` of Python's client.
    pub fn value(&self, name: &str, label_values: &[&str]) -> Option<f64> {
        let sample = self.family(name)?.samples.iter().find(|s| s.label_values == label_values)?;
        match &sample.value {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            Value::Histogram(_) => None,
        }
    }
}
