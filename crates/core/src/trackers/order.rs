//! Moments and order statistics from exact integers: one formula each, for every tracker.

/// `sum / n`; none for no values.
pub fn mean(n: u64, sum: u64) -> Option<f64> {
    (n > 0).then(|| sum as f64 / n as f64)
}

/// Population standard deviation (divisor `n`) from exact sums; none for no values, or where a sum has saturated.
///
/// `n * sumsq - sum²` is taken in integers, so that equal values give 0 and nothing cancels.
pub fn population_std(n: u64, sum: u64, sumsq: u128) -> Option<f64> {
    if n == 0 || sumsq == u128::MAX {
        return None;
    }
    let square = u128::from(sum) * u128::from(sum);
    let spread = match u128::from(n).checked_mul(sumsq) {
        Some(scaled) => scaled.checked_sub(square)? as f64,
        // Beyond 128 bits (gaps of centuries): the relative error of doubles is far below the spread.
        None => (n as f64 * sumsq as f64 - square as f64).max(0.0),
    };
    Some(spread.sqrt() / n as f64)
}

/// A quantile by linear interpolation between neighbours (numpy's default, type 7 of Hyndman and Fan), from the value
/// at each rank. `n` must not be 0.
pub(super) fn quantile(n: u64, q: f64, mut at: impl FnMut(u64) -> f64) -> f64 {
    let h = n.saturating_sub(1) as f64 * q;
    let below = h.floor();
    let low = at(below as u64);
    let part = h - below;
    if part == 0.0 { low } else { low + (at(below as u64 + 1) - low) * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_is_exact_where_doubles_would_cancel() {
        // 1e15 ± 1: the sum of squares needs 100 bits.
        let (a, b) = (1_000_000_000_000_001u64, 999_999_999_999_999u64);
        let sumsq = u128::from(a) * u128::from(a) + u128::from(b) * u128::from(b);
        assert_eq!(population_std(2, a + b, sumsq), Some(1.0));
        assert_eq!(population_std(3, 21, 147), Some(0.0));
        assert_eq!(population_std(0, 0, 0), None);
        assert_eq!(population_std(9, 1, u128::MAX), None);
    }

    #[test]
    fn quantiles_interpolate_like_numpy() {
        let v = [1.0, 2.0, 4.0, 8.0];
        let q = |p| quantile(4, p, |i| v[i as usize]);
        assert_eq!((q(0.0), q(0.25), q(0.5), q(0.75), q(1.0)), (1.0, 1.75, 3.0, 5.0, 8.0));
        assert_eq!(quantile(1, 0.99, |_| 3.0), 3.0);
    }
}
