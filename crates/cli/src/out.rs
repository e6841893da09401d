//! Text on standard output: in one piece, and without a panic when the reader has gone (`jj features | head`).

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::CliError;

/// Whether standard output was closed when the process began.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Remembers that standard output was closed when the process began: what is there now leads to nowhere.
pub fn close() {
    CLOSED.store(true, Ordering::Relaxed);
}

/// An error where standard output is closed.
pub fn check() -> Result<(), CliError> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(CliError::Failed(
            "standard output is closed: name a file with -o, or send it to /dev/null if it is not wanted".into(),
        ));
    }
    Ok(())
}

/// Prints text.
pub fn print(text: &str) -> Result<(), CliError> {
    check()?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a JSON value, indented, with a line end.
pub fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    print(&format!("{value:#}\n"))
}

/// Rows in aligned columns, the first one being the header; the last column is not padded.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns of standard output, where that is a terminal that says so.
pub fn terminal_width() -> Option<usize> {
    #[cfg(unix)]
    {
        let out = std::io::stdout();
        let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }
    #[cfg(not(unix))]
    None
}

/// Pairs of a name and its text; the texts are one below the other, and break between words before this width.
pub fn pairs(rows: &[(String, String)], width: usize) -> String {
    /// Narrower columns of text are harder to read than long lines.
    const LEAST: usize = 24;

    let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    let room = width.saturating_sub(names).max(LEAST);
    let mut text = String::new();
    for (name, said) in rows {
        let mut line = format!("{name}{}", " ".repeat(names.saturating_sub(name.chars().count())));
        let mut used = 0;
        for word in said.split(' ') {
            let len = word.chars().count();
            if used > 0 && used + 1 + len > room {
                text.push_str(line.trim_end());
                text.push('\n');
                line = " ".repeat(names);
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += len;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A CSV field, quoted where RFC 4180 asks for it.
pub fn csv_field(s: &str) -> String {
    if s.contains([',', '"', '\n', '\r']) { format!("\"{}\"", s.replace('"', "\"\"")) } else { s.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_not_padded() {
        let rows = [vec!["a".into(), "b".into()], vec!["long".into(), "".into()]];
        assert_eq!(table(&rows), "a     b\nlong\n");
    }

    #[test]
    fn texts_break_between_words() {
        let rows = [("a".to_owned(), "one two three four five six".to_owned()), ("long".into(), "x".repeat(40))];
        let text = pairs(&rows, 30);
        assert_eq!(text, format!("a     one two three four five\n      six\nlong  {}\n", "x".repeat(40)));
    }

    #[test]
    fn fields_are_quoted_where_needed() {
        assert_eq!(csv_field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(csv_field("plain"), "plain");
    }
}
