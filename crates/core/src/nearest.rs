//! Names as people type them: how they are looked up, and which one a mistyped one was meant to be.

use crate::error::ConfigError;

/// Whether two spellings are of one name: blanks around it and case do not matter, and `-` is `_`.
pub fn same(a: &str, b: &str) -> bool {
    let fold = |c: u8| if c == b'-' { b'_' } else { c.to_ascii_lowercase() };
    a.trim().bytes().map(fold).eq(b.trim().bytes().map(fold))
}

/// The item of this name, or an error that names the nearest one.
pub fn find<T>(
    kind: &'static str,
    name: &str,
    items: impl IntoIterator<Item = T> + Clone,
    name_of: impl Fn(&T) -> &'static str,
) -> Result<T, ConfigError> {
    let found = items.clone().into_iter().find(|item| same(name_of(item), name));
    found.ok_or_else(|| unknown(kind, name, items.into_iter().map(|item| name_of(&item))))
}

/// The error for a name that does not exist.
pub fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> ConfigError {
    let name = name.trim();
    ConfigError::Unknown { kind, name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
}

/// The candidate nearest to `name`, where one is near enough to be worth naming.
///
/// Case and `-` for `_` cost nothing. A candidate that begins with the whole of `name` counts as near too (`iat` for
/// `iat_mean`). Among equally near ones the first wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = fold(name);
    let letters = name.chars().count();
    if name.is_empty() || letters > MAX_LEN {
        return None;
    }
    // A third of the letters wrong is another word; two wrong letters of a short one may still be a slip.
    let limit = (letters / 3).max(2);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let folded = fold(candidate);
        let extends = letters >= 3 && folded.starts_with(&name);
        // Neighbours that are swapped are the most frequent slip, and one edit in this distance.
        let distance = strsim::osa_distance(&name, &folded).min(if extends { limit } else { usize::MAX });
        if distance <= limit && distance < folded.chars().count() && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, c)| c)
}

/// Longer names are no slips, and the distance is quadratic.
const MAX_LEN: usize = 64;

fn fold(s: &str) -> String {
    s.trim().to_ascii_lowercase().replace('-', "_")
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
        assert_eq!(nearest(&"a".repeat(100_000), NAMES), None);
    }

    #[test]
    fn one_spelling_rule() {
        let found = |name| find("name", name, NAMES, |n| n).map_err(|e| e.to_string());
        assert_eq!([found("Flow-Timeout"), found(" tcp ")], [Ok("flow_timeout"), Ok("tcp")]);
        assert_eq!(found(" tpc"), Err("unknown name 'tpc' (did you mean 'tcp'?)".into()));
        assert!(!same("tcp", "tcp_"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(name in ".*") {
            let _ = nearest(&name, NAMES);
            prop_assert!(same(&name, &name));
        }
    }
}
