//! A dashboard as a file that Grafana imports without questions.

use super::{DashboardError, overview_dashboard};
use serde_json::Value;
use std::path::Path;

/// Writes the dashboard (the overview when none is given) as JSON; folders that are missing are made. With a datasource uid, every reference to Prometheus names it;
/// without, the dashboard asks by its variable `datasource`.
pub fn export_dashboard(
    path: impl AsRef<Path>,
    dashboard: Option<&Value>,
    datasource_uid: Option<&str>,
) -> Result<(), DashboardError> {
    let path = path.as_ref();
    let built = with_datasource(dashboard.cloned().unwrap_or_else(overview_dashboard), datasource_uid);
    let text = to_text(&built);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let written = folder.map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
    written.map_err(|source| DashboardError::Write { path: path.to_owned(), source })
}

/// The dashboard with every reference to a Prometheus datasource replaced, and without what only Grafana's sharing dialogue needs
/// (`__inputs`): a provisioned dashboard with it shows errors instead of data.
pub fn with_datasource(mut dashboard: Value, datasource_uid: Option<&str>) -> Value {
    if let Some(map) = dashboard.as_object_mut() {
        for key in ["__inputs", "__requires", "__elements"] {
            map.remove(key);
        }
    }
    if let Some(uid) = datasource_uid {
        replace(&mut dashboard, uid);
    }
    dashboard
}

/// Pretty JSON with a final line feed.
pub(crate) fn to_text(dashboard: &Value) -> String {
    // `#` prints a Value as indented JSON.
    format!("{dashboard:#}\n")
}

fn replace(value: &mut Value, uid: &str) {
    match value {
        Value::Object(map) => {
            let is_variable = map.get("type").and_then(Value::as_str) == Some("datasource");
            if is_variable && map.get("query").and_then(Value::as_str) == Some("prometheus") {
                map.insert("current".to_owned(), serde_json::json!({ "selected": true, "text": uid, "value": uid }));
            }
            for (key, inner) in map.iter_mut() {
                if key == "datasource" && is_prometheus(inner) {
                    *inner = serde_json::json!({ "type": "prometheus", "uid": uid });
                } else {
                    replace(inner, uid);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, uid)),
        _ => {}
    }
}

/// An object of the type, the old form by variable, or none at all (which is the default datasource).
fn is_prometheus(datasource: &Value) -> bool {
    match datasource {
        Value::Object(map) => map.get("type").and_then(Value::as_str).is_none_or(|t| t == "prometheus"),
        Value::String(name) => name.starts_with('$') || name.eq_ignore_ascii_case("prometheus"),
        Value::Null => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_prometheus_reference_gets_the_uid_and_others_stay() {
        let built = with_datasource(overview_dashboard(), Some("my-prometheus"));
        let text = built.to_string();
        assert!(!text.contains("${datasource}"));
        let panels = built["panels"].as_array().unwrap();
        let targets: usize = panels.iter().filter_map(|p| p["targets"].as_array()).map(Vec::len).sum();
        let charts = panels.iter().filter(|p| p["type"] != "row").count();
        // One per panel and per query, two query variables, twice in the datasource variable's current value.
        assert_eq!(text.matches("\"my-prometheus\"").count(), targets + charts + 4);

        let loki = json!({ "__inputs": [1], "panels": [{ "datasource": { "type": "loki", "uid": "l" } }, { "datasource": "${DS}" }] });
        let out = with_datasource(loki, Some("p"));
        let want = json!({ "panels": [
            { "datasource": { "type": "loki", "uid": "l" } }, { "datasource": { "type": "prometheus", "uid": "p" } }
        ] });
        assert_eq!(out, want);
    }

    #[test]
    fn the_file_is_the_dashboard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/d.json");
        export_dashboard(&path, None, None).unwrap();
        let back: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(back, overview_dashboard());
        let error = export_dashboard(path.join("no.json"), None, None).unwrap_err();
        assert!(error.to_string().contains("d.json/no.json"));
    }
}
