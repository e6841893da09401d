//! The page at `/`, for people: what runs now, drawn in the browser from `/metrics`. Its files are part of the binary and it asks
//! nobody but this server; script and style are files of their own, as the content security policy wants it.

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Path, content type and bytes of each file of the page.
const FILES: &[(&str, &str, &[u8])] = &[
    ("/", HTML, include_bytes!("../assets/live.html")),
    ("/live.css", STYLE, include_bytes!("../assets/live.css")),
    ("/live.js", SCRIPT, include_bytes!("../assets/live.js")),
    ("/run.js", SCRIPT, include_bytes!("../assets/run.js")),
    ("/charts.js", SCRIPT, include_bytes!("../assets/charts.js")),
    ("/cards.js", SCRIPT, include_bytes!("../assets/cards.js")),
    ("/history.js", SCRIPT, include_bytes!("../assets/history.js")),
    ("/metrics.js", SCRIPT, include_bytes!("../assets/metrics.js")),
    ("/format.js", SCRIPT, include_bytes!("../assets/format.js")),
    ("/vendor/uPlot.iife.min.js", SCRIPT, include_bytes!("../assets/vendor/uPlot.iife.min.js")),
    ("/vendor/uPlot.min.css", STYLE, include_bytes!("../assets/vendor/uPlot.min.css")),
    // The binary carries the licence of what is in it.
    ("/vendor/uPlot.LICENSE", "text/plain; charset=utf-8", include_bytes!("../assets/vendor/uPlot.LICENSE")),
    ("/favicon.svg", "image/svg+xml", include_bytes!("../assets/favicon.svg")),
    // Where browsers look beside /metrics, which cannot name one.
    ("/favicon.ico", "image/svg+xml", include_bytes!("../assets/favicon.svg")),
];

/// Content type and bytes of a file of the page.
pub(crate) fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    FILES.iter().find(|f| f.0 == path).map(|f| (f.1, f.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METRICS;
    use sha2::{Digest, Sha256};

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(asset(path).unwrap().1).unwrap()
    }

    fn own_scripts() -> impl Iterator<Item = &'static str> {
        FILES.iter().filter(|f| f.1 == SCRIPT && !f.0.starts_with("/vendor/")).map(|f| text(f.0))
    }

    #[test]
    fn the_page_names_only_files_that_are_there() {
        let page = text("/");
        for quoted in page.split('"').skip(1).step_by(2).filter(|q| q.contains('.') && !q.contains(' ')) {
            assert!(asset(&format!("/{quoted}")).is_some(), "{quoted}");
        }
        for script in own_scripts() {
            for module in script.split("from \"./").skip(1).map(|s| s.split('"').next().unwrap()) {
                assert!(asset(&format!("/{module}")).is_some(), "{module}");
            }
        }
        // What the policy would block anyway, and what would ask another server.
        assert!(!page.contains("style=") && !page.contains("onclick") && !page.contains("://"));
        assert!(own_scripts().all(|s| !s.contains("innerHTML") && !s.contains("://")));
    }

    #[test]
    fn the_scripts_read_only_families_of_the_table() {
        let calls =
            ["v.sum(\"", "v.all(\"", "v.by(\"", "v.has(\"", "v.histogram(\"", "v.process(\"", "total(\"", "of(\""];
        let mut seen = 0;
        for (script, call) in own_scripts().flat_map(|s| calls.map(|c| (s, c))) {
            for rest in script.split(call).skip(1) {
                let name = rest.split('"').next().unwrap();
                if ["success", "failure", "cancelled"].contains(&name) {
                    continue; // a run's result, not a family
                }
                let name = if call == "v.process(\"" { format!("process_{name}") } else { name.to_owned() };
                let family = name.strip_suffix("_sum").unwrap_or(&name);
                assert!(METRICS.iter().any(|m| m.name == family), "{name}");
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn vendored_files_are_as_they_were_published() {
        let sums = include_str!("../assets/vendor/README.md");
        for path in ["/vendor/uPlot.iife.min.js", "/vendor/uPlot.min.css"] {
            let sum: String = Sha256::digest(asset(path).unwrap().1).iter().map(|b| format!("{b:02x}")).collect();
            assert!(sums.contains(&sum), "{path}: {sum}");
        }
    }
}
