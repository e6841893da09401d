//! What notebooks show.

/// Text within HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table of text: what stands above it, the heads of its columns (none for no line of them), its rows.
pub fn table(caption: &str, heads: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String], tag: &str| {
        let cells: String = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", escaped(c))).collect();
        format!("<tr>{cells}</tr>")
    };
    let head = if heads.is_empty() { String::new() } else { format!("<thead>{}</thead>", line(heads, "th")) };
    let body: String = rows.iter().map(|row| line(row, "td")).collect();
    format!("<p>{}</p><table>{head}<tbody>{body}</tbody></table>", escaped(caption))
}
