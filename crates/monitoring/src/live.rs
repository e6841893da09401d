//! The page at `/`, for people: what runs now, drawn in the browser from `/metrics`. Its files are part of the binary and it asks
//! nobody but this server; script and style are files of their own, as the content security policy wants it.

/// Content type and bytes of a file of the page.
pub(crate) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    Some(match path {
        "/" => ("text/html; charset=utf-8", include_bytes!("../assets/live.html")),
        "/live.js" => ("text/javascript; charset=utf-8", include_bytes!("../assets/live.js")),
        "/live.css" => ("text/css; charset=utf-8", include_bytes!("../assets/live.css")),
        "/favicon.svg" => ("image/svg+xml", include_bytes!("../assets/favicon.svg")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(asset(path).unwrap().1).unwrap()
    }

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let page = text("/");
        for quoted in page.split('"').skip(1).step_by(2).filter(|q| q.contains('.') && !q.contains(' ')) {
            assert!(asset(&format!("/{quoted}")).is_some(), "{quoted}");
        }
        // What the policy would block anyway, and what would ask another server.
        assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("://"));
    }

    #[test]
    fn the_script_reads_only_families_of_the_table() {
        let script = text("/live.js");
        let calls = ["v.sum(\"", "v.all(\"", "v.by(\"", "v.has(\"", "v.process(\"", "durations(v, \""];
        let mut seen = 0;
        for call in calls {
            for rest in script.split(call).skip(1) {
                let name = rest.split('"').next().unwrap();
                let full = if call.contains("process") { format!("process_{name}") } else { name.to_owned() };
                assert!(METRICS.iter().any(|m| m.name == full), "{name}");
                seen += 1;
            }
        }
        assert!(seen > 20);
    }
}
