//! The exports as their users run them: the text is that of the repository's files, and the options reach it.

#![allow(clippy::unwrap_used)] // a test's helpers may fail it

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn jj(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jj")).args(args).output().unwrap()
}

fn out(o: &Output) -> String {
    assert!(o.status.success(), "{}", err(o));
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn err(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

fn generated(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboards").join(name)).unwrap()
}

#[test]
fn by_default_they_are_the_files_of_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    for (command, name) in [
        ("export-dashboard", "joyfuljay-overview.json"),
        ("export-alerts", "joyfuljay-alerts.yml"),
        ("export-prometheus-config", "prometheus.yml"),
    ] {
        assert_eq!(out(&jj(&[command])), generated(name));
        assert_eq!(out(&jj(&[command, "-o", "-"])), generated(name));
        let path = dir.path().join(name);
        fs::write(&path, "older, and to be replaced").unwrap();
        assert_eq!(out(&jj(&[command, "-o", path.to_str().unwrap()])), "");
        assert_eq!(fs::read_to_string(&path).unwrap(), generated(name));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "parts are left");
}

#[test]
fn the_dashboard_names_the_datasource_everywhere() {
    let text = out(&jj(&["export-dashboard", "--datasource-uid", "my \"own\""]));
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert!(dashboard.get("__inputs").is_none() && !text.contains("${datasource}"));
    let panels = dashboard["panels"].as_array().unwrap();
    let charts: Vec<_> = panels.iter().filter(|p| p["type"] != "row").collect();
    assert!(charts.len() > 10);
    for chart in charts {
        let targets = chart["targets"].as_array().unwrap();
        for place in targets.iter().chain([chart]) {
            assert_eq!(place["datasource"]["uid"], "my \"own\"", "{}", chart["title"]);
        }
    }
}

#[test]
fn thresholds_and_names_reach_the_rules() {
    let text = out(&jj(&[
        "export-alerts",
        "--error-threshold=2.5",
        "--packet-rate-threshold=3",
        "--active-flows-threshold=4",
        "--active-flows-ratio=0.75",
        "--lag-threshold=6",
        "--namespace=own",
        "--job=sensors",
    ]));
    assert!(!text.contains("joyfuljay_") && !text.contains("job=\"joyfuljay\""));
    let expr = |alert: &str| {
        let rule = text.split("- alert: ").find(|r| r.starts_with(alert)).unwrap();
        rule.split("for:").next().unwrap().to_owned()
    };
    assert!(expr("JoyfulJayHighErrorRate").contains("own_errors_total{job=\"sensors\"}[5m])) > 2.5"));
    assert!(expr("JoyfulJayNoPackets").contains("<= 3 "));
    let active = expr("JoyfulJayHighActiveFlows");
    assert!(active.contains("> 4 ") && active.contains("0.75 *"), "{active}");
    assert_ne!(text, out(&jj(&["export-alerts", "--namespace=own", "--job=sensors"])));
    assert!(text.contains("> 6\n"), "{text}");
}

#[test]
fn targets_and_paths_reach_the_configuration() {
    let text = out(&jj(&[
        "export-prometheus-config",
        "--target=a:1",
        "--target=[::1]:2",
        "--job=own",
        "--scrape-interval=500ms",
        "--metrics-path=/m",
        "--https",
        "--rule-file=r.yml",
    ]));
    assert_eq!(
        text.lines().skip(1).collect::<Vec<_>>().join("\n"),
        "global:\n  scrape_interval: 500ms\nrule_files:\n- r.yml\nscrape_configs:\n- job_name: own\n  metrics_path: /m\n  \
         scheme: https\n  static_configs:\n  - targets:\n    - a:1\n    - '[::1]:2'"
    );
    assert!(!out(&jj(&["export-prometheus-config", "--no-rules"])).contains("rule_files"));
}

#[test]
fn errors_name_the_thing_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    let nowhere = format!("{here}/no/d.json");
    for (args, says) in [
        (vec!["export-dashboard", "-o", &nowhere], "no/d.json: the directory"),
        (vec!["export-alerts", "-o", here], "names a directory: name a file in it"),
        (vec!["export-dashboard", "--datasource-uid", ""], "--datasource-uid"),
        (vec!["export-alerts", "--error-threshold", "-1"], "error_threshold must be"),
        (vec!["export-alerts", "--lag-threshold", "nan"], "lag_threshold must be"),
        (vec!["export-alerts", "--active-flows-ratio", "80"], "0 to 1, not 80"),
        (vec!["export-alerts", "--namespace", "a-b"], "a-b"),
        (vec!["export-alerts", "--job", ""], "--job"),
        (vec!["export-prometheus-config", "--target", "http://a:1/metrics"], "without http:// and path"),
        (vec!["export-prometheus-config", "--scrape-interval", "soon"], "write 15s, 500ms or 1m"),
        (vec!["export-prometheus-config", "--metrics-path", "m"], "/m"),
    ] {
        let o = jj(&args);
        assert_eq!(o.status.code(), Some(2), "{args:?}: {}", err(&o));
        assert!(o.stdout.is_empty() && err(&o).contains(says), "{args:?}: {}", err(&o));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
