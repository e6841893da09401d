//! Label values come from callers and, through them, from the network: they are cut to a length and stripped of control
//! characters before they become a time series.

use std::borrow::Cow;

/// Longest label value kept, in characters; the rest is cut off.
pub const MAX_LABEL_CHARS: usize = 128;

/// Label values per family; further ones are counted as [`OTHER`].
pub const MAX_LABEL_VALUES: usize = 100;

/// The label value of everything past [`MAX_LABEL_VALUES`].
pub const OTHER: &str = "other";

/// A value fit for a label: no control characters, not empty (Prometheus takes an empty value for no label), not too long.
pub fn clean(value: &str) -> Cow<'_, str> {
    if value.is_empty() {
        return Cow::Borrowed("unknown");
    }
    if value.len() <= MAX_LABEL_CHARS && !value.contains(is_unfit) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.chars().take(MAX_LABEL_CHARS).map(|c| if is_unfit(c) { '_' } else { c }).collect())
}

/// Whether the text is a metric name prefix: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Control characters, and the line and paragraph separators that some consumers take for line ends.
fn is_unfit(c: char) -> bool {
    c.is_control() || c == '\u{2028}' || c == '\u{2029}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usual_values_stay_as_they_are() {
        assert!(matches!(clean("completed"), Cow::Borrowed("completed")));
        assert_eq!(clean("größe \"x\" \\ y"), "größe \"x\" \\ y");
        assert_eq!(clean(""), "unknown");
        assert_eq!(clean("a\nb\u{0}c"), "a_b_c");
    }

    proptest! {
        #[test]
        fn any_value_becomes_short_and_printable(s in any::<String>()) {
            let c = clean(&s);
            prop_assert!(!c.is_empty() && c.chars().count() <= MAX_LABEL_CHARS);
            prop_assert!(!c.contains(is_unfit));
            prop_assert_eq!(clean(&c), c.as_ref());
        }
    }
}
