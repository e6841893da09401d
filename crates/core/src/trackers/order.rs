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
    let spread = match product(n, sumsq) {
        Some(scaled) => double(scaled.checked_sub(square)?),
        // Beyond 128 bits (gaps of centuries): the relative error of doubles is far below the spread.
        None => (n as f64 * double(sumsq) - double(square)).max(0.0),
    };
    Some(spread.sqrt() / n as f64)
}

/// `a * b` unless it overflows. (`u128::checked_mul` takes both factors to be wide, and as long.)
fn product(a: u64, b: u128) -> Option<u128> {
    let low = u128::from(a) * u128::from(b as u64);
    let high = u128::from(a) * (b >> 64);
    if high >> 64 != 0 { None } else { low.checked_add(high << 64) }
}

/// The nearest double or its neighbour. (A cast is a call, and exact to a bit that nobody needs here.)
fn double(n: u128) -> f64 {
    match (n >> 64) as u64 {
        0 => n as u64 as f64,
        high => high as f64 * 18_446_744_073_709_551_616.0 + n as u64 as f64,
    }
}

/// A quantile by linear interpolation between neighbours (numpy's default, type 7 of Hyndman and Fan), from the value
/// at each rank. `n` must not be 0.
pub(super) fn quantile(n: u64, q: f64, mut at: impl FnMut(u64) -> f64) -> f64 {
    let h = n.saturating_sub(1) as f64 * q;
    // Ranks are not negative: the cast is the floor.
    let below = h as i64;
    let low = at(below as u64);
    let part = h - below as f64;
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
    fn wide_products_are_exact_or_refused() {
        for (a, b) in [(0, 0), (3, 5), (u64::MAX, u128::from(u64::MAX)), (7, 1 << 125), (8, 1 << 125), (1, u128::MAX)] {
            assert_eq!(product(a, b), u128::from(a).checked_mul(b), "{a} * {b}");
        }
        for n in [0, 1, 1 << 53, u128::from(u64::MAX), 1 << 64, (1 << 100) + (1 << 64), u128::MAX] {
            assert!((double(n) - n as f64).abs() <= n as f64 * f64::EPSILON, "{n}");
        }
    }

    #[test]
    fn a_deviation_beyond_128_bits_is_still_known() {
        // Two gaps of 0 and two of 2^62 ns.
        let gap = 1u64 << 62;
        let sumsq = 2 * u128::from(gap) * u128::from(gap);
        assert_eq!(population_std(4, 2 * gap, sumsq), Some(gap as f64 / 2.0));
        assert_eq!(product(1 << 4, sumsq), None);
    }

    #[test]
    fn quantiles_interpolate_like_numpy() {
        let v = [1.0, 2.0, 4.0, 8.0];
        let q = |p| quantile(4, p, |i| v[i as usize]);
        assert_eq!((q(0.0), q(0.25), q(0.5), q(0.75), q(1.0)), (1.0, 1.75, 3.0, 5.0, 8.0));
        assert_eq!(quantile(1, 0.99, |_| 3.0), 3.0);
    }
}
