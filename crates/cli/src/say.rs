//! Lines for people on standard error.
//!
//! `eprintln!` panics where standard error cannot be written: a full log disk, a log shipper that is gone. Rows and exit code do not
//! depend on that, so what cannot be written is dropped. Names come from outside (files, interfaces, captures): control characters are
//! escaped, so that no name moves the cursor of a terminal or begins a line of its own.

use std::fmt::Display;
use std::io::Write;

/// One line of any text, control characters escaped.
pub fn line(text: impl Display) {
    text_as_is(&format!("{}\n", printable(&text.to_string())));
}

/// Text that is safe already: JSON, or lines whose names went through [`printable`].
pub fn text_as_is(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// The text with control characters, and those that turn the direction of writing, as escapes: `\u{1b}[31m`, `\n`.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped_and_letters_stay() {
        assert_eq!(
            printable("\u{1b}[31mRED\nerror: no\u{7f}\u{9b}\u{202e}"),
            "\\u{1b}[31mRED\\nerror: no\\u{7f}\\u{9b}\\u{202e}"
        );
        assert_eq!(printable("Mitschnitt größer 日本.pcap"), "Mitschnitt größer 日本.pcap");
    }
}
