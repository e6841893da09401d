//! Quantiles of a flow that is too long to keep: a log-linear histogram (as in HdrHistogram).
//!
//! 128 buckets for every power of two: a value is at most half a bucket from its bucket's middle, hence the relative
//! error of any order statistic is at most 1/256. Counts are exact, and histograms may be added.

use super::order::quantile;

/// Counts of `u64` values by magnitude; as long as its largest value needs, 29 KiB at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    counts: Vec<u32>,
    total: u64,
}

/// Buckets in one power of two, as a power of two.
const SUB_BITS: u32 = 7;
const SUB: usize = 1 << SUB_BITS;
/// Buckets in all: values below 128 exactly, then 57 powers of two.
const BUCKETS: usize = SUB * (1 + (64 - SUB_BITS) as usize);

impl Sketch {
    /// Most bytes on the heap.
    pub(super) const MAX_BYTES: usize = BUCKETS * size_of::<u32>();

    /// Counts a value.
    pub(super) fn add(&mut self, value: u64) {
        let b = bucket(value);
        if b >= self.counts.len() {
            self.grow(b);
        }
        if let Some(c) = self.counts.get_mut(b) {
            *c = c.saturating_add(1);
        }
        self.total += 1;
    }

    /// The quantile `q` (0 to 1) of the values; none for no values.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        (self.total > 0).then(|| quantile(self.total, q, |rank| self.at(rank)))
    }

    /// The value at a rank, to within 1/256.
    fn at(&self, rank: u64) -> f64 {
        let mut seen = 0u64;
        for (b, &c) in self.counts.iter().enumerate() {
            seen += u64::from(c);
            if seen > rank {
                return middle(b);
            }
        }
        middle(self.counts.len().saturating_sub(1))
    }

    #[cold]
    fn grow(&mut self, b: usize) {
        // Whole powers of two, so that growing is rare.
        let len = (b / SUB + 1) * SUB;
        self.counts.reserve_exact(len - self.counts.len());
        self.counts.resize(len, 0);
    }

    /// Copies another sketch and keeps this one's memory.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.counts.clone_from(&other.counts);
        self.total = other.total;
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u32>()
    }
}

fn bucket(value: u64) -> usize {
    let power = 63 - (value | 1).leading_zeros();
    if power < SUB_BITS {
        return value as usize;
    }
    let shift = power - SUB_BITS;
    // The top bits after the leading one, behind the buckets of all smaller powers.
    (shift as usize + 1) * SUB + ((value >> shift) as usize & (SUB - 1))
}

fn middle(bucket: usize) -> f64 {
    if bucket < SUB {
        return bucket as f64;
    }
    let shift = bucket / SUB - 1;
    let low = (SUB + bucket % SUB) as f64;
    let width = (shift as f64).exp2();
    // A bucket of width 1 holds one integer; wider ones are stood for by their middle.
    low * width + (width - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_cover_every_value_in_order() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(127), 127);
        assert_eq!(bucket(128), 128);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut s = Sketch::default();
        for i in 0..64 {
            s.add(1 << i);
        }
        s.add(u64::MAX);
        assert!(s.heap_bytes() <= Sketch::MAX_BYTES, "{}", s.heap_bytes());
    }

    proptest! {
        #[test]
        fn an_order_statistic_is_within_one_part_in_256(v in any::<u64>(), shift in 0u32..64) {
            let v = v >> shift;
            let mut s = Sketch::default();
            s.add(v);
            let got = s.quantile(0.5).unwrap();
            prop_assert!((got - v as f64).abs() <= v as f64 / 256.0, "{} for {}", got, v);
        }

        #[test]
        fn buckets_keep_order(a in any::<u64>(), b in any::<u64>(), s in 0u32..64, t in 0u32..64) {
            let (a, b) = ((a >> s).min(b >> t), (a >> s).max(b >> t));
            prop_assert!(bucket(a) <= bucket(b));
        }
    }
}
