//! Lines for people on standard error.
//!
//! `eprintln!` panics where standard error cannot be written: a full log disk, a log shipper that is gone. Rows and exit code do not
//! depend on that, so what cannot be written is dropped. Names come from outside (files, interfaces, captures): control characters are
//! escaped, so that no name moves the cursor of a terminal or begins a line of its own.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
pub use joyfuljay::without_codes;

/// One line of any text, control characters escaped.
pub fn line(text: impl Display) {
    text_as_is(&format!("{}\n", printable(&text.to_string())));
}

/// Why something was not done.
pub fn error(text: impl Display) {
    labelled("error:", AnsiColor::Red.on_default().bold(), text);
}

/// What went another way than it should.
pub fn warning(text: impl Display) {
    labelled("warning:", AnsiColor::Yellow.on_default().bold(), text);
}

/// What is good to know.
pub fn note(text: impl Display) {
    labelled("note:", Style::new().bold(), text);
}

/// A line with a label in front, which a terminal shows as clap's own errors have it.
fn labelled(label: &str, style: Style, text: impl Display) {
    let text = printable(&without_codes(&text.to_string()));
    if is_coloured() {
        text_as_is(&format!("{style}{label}{style:#} {text}\n"));
    } else {
        text_as_is(&format!("{label} {text}\n"));
    }
}

/// Whether colours are wanted on standard error: by the rules that clap goes by (no-color.org, bixense.com/clicolors).
fn is_coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let is = |name: &str, value: &str| set(name).is_some_and(|found| found == value);
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    std::io::stderr().is_terminal()
        && !is("CLICOLOR", "0")
        && !is("TERM", "dumb")
        && (cfg!(windows) || set("TERM").is_some())
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
