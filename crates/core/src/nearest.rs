//! The name that a mistyped one was meant to be: every "unknown …" error ends with it.

/// The candidate nearest to `name`, where one is near enough to be worth naming.
///
/// Case and `-` for `_` cost nothing. A candidate that begins with the whole of `name` counts as near too (`iat` for
/// `iat_mean`). Among equally near ones the first wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = fold(name.get(..MAX_LEN).unwrap_or(name));
    if name.is_empty() || name.len() > MAX_LEN {
        return None;
    }
    // A third of the letters wrong is another word; two wrong letters of a short one may still be a slip.
    let limit = (name.chars().count() / 3).max(2);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let folded = fold(candidate);
        let extends = name.len() >= 3 && folded.starts_with(&name);
        let distance = distance(&name, &folded).min(if extends { limit } else { usize::MAX });
        if distance <= limit && distance < folded.chars().count() && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, c)| c)
}

/// Longer names are nobody's slip, and the distance is quadratic.
const MAX_LEN: usize = 64;

fn fold(s: &str) -> String {
    s.trim().to_ascii_lowercase().replace('-', "_")
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().take(2 * MAX_LEN).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 5] = ["flow_timeout", "active_timeout", "iat_mean", "timing", "tcp"];

    #[test]
    fn slips_find_their_name() {
        for (typed, meant) in [
            ("flow-timeout", Some("flow_timeout")),
            ("flow_timeuot", Some("flow_timeout")),
            ("TIMING", Some("timing")),
            ("iat", Some("iat_mean")),
            ("tpc", Some("tcp")),
            ("quic", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, NAMES), meant, "{typed}");
        }
    }

    #[test]
    fn a_swap_is_one_slip() {
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equal(a in "[a-c_]{0,12}", b in "[a-c_]{0,12}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }

        #[test]
        fn any_text_is_survived(name in ".*") {
            let _ = nearest(&name, NAMES);
        }
    }
}
