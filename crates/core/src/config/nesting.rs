//! YAML of many brackets within one another takes its parser a time that grows with the square of their number: 200 kB of `[` took a
//! minute. No configuration nests, so the text is looked at before it is parsed.

/// Deeper than any configuration of ours, where lists of names are the deepest there is; glob patterns may leave brackets open.
const MAX_OPEN: usize = 256;

/// Whether the text has more brackets open at once than a configuration has. Strings and comments are not told apart from the
/// rest: their brackets count too.
pub fn nests_deeply(text: &str) -> bool {
    let mut open = 0usize;
    text.bytes().any(|b| {
        match b {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open > MAX_OPEN
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_brackets_are_counted() {
        assert!(nests_deeply(&"[".repeat(1000)) && nests_deeply(&"a: {b: [".repeat(200)));
        assert!(
            !nests_deeply(&"a: [b, c]\n# {[\n".repeat(100)) && !nests_deeply(&"[]".repeat(1000)) && !nests_deeply("")
        );
    }
}
