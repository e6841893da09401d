//! The files in `dashboards/` are what the code makes, and Prometheus' own tool accepts them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use joyfuljay_monitoring::generated_files;
use std::path::PathBuf;
use std::process::Command;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs promtool in `dashboards/`; `None` where it is not installed.
fn promtool(args: &[&str]) -> Option<String> {
    let Ok(out) = Command::new("promtool").args(args).current_dir(repository().join("dashboards")).output() else {
        eprintln!("skipped: no promtool on this machine");
        return None;
    };
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "promtool {args:?}: {said}");
    Some(said)
}

/// `JJ_UPDATE=1 cargo test -p joyfuljay-monitoring --test generated` writes them anew, as `cargo xtask generate` does.
#[test]
fn the_files_are_current() {
    for (path, text) in generated_files().unwrap() {
        let file = repository().join(path);
        if std::env::var_os("JJ_UPDATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(there == text, "{path} is not what the code makes; run `cargo xtask generate`");
    }
}

#[test]
fn promtool_accepts_rules_and_configuration() {
    promtool(&["check", "rules", "joyfuljay-alerts.yml"]);
    promtool(&["check", "config", "prometheus.yml"]);
}

#[test]
fn every_alert_fires_and_resolves() {
    promtool(&["test", "rules", "joyfuljay-alerts.test.yml"]);
}

#[test]
fn no_alert_is_without_a_test() {
    let rules = std::fs::read_to_string(repository().join("dashboards/joyfuljay-alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(repository().join("dashboards/joyfuljay-alerts.test.yml")).unwrap();
    let alerts: Vec<_> =
        rules.lines().filter_map(|l| l.trim_start_matches([' ', '-']).strip_prefix("alert: ")).collect();
    assert!(alerts.len() >= 13);
    for alert in alerts {
        // One that expects annotations, one that expects nothing.
        let fired = tests.matches(&format!("alertname: {alert}\n        exp_alerts:\n")).count();
        let resolved = tests.matches(&format!("alertname: {alert}\n        exp_alerts: []\n")).count();
        assert!(fired > 0 && resolved > 0, "{alert}");
    }
}
