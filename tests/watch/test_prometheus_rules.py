"""Prometheus' own checks of what `jj` writes for it, and of what it serves."""

import subprocess

import pytest
import yaml
from paced import ROOT
from scraper import export
from scrapes import PATIENCE, wait_for

RULES = ROOT / "dashboards" / "joyfuljay-alerts.yml"
FIXTURES = ROOT / "dashboards" / "joyfuljay-alerts.test.yml"


@pytest.fixture
def promtool(prometheus_tools):
    def run(*arguments, **options):
        done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def alerts():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--namespace", "", "--job", 'a"b\\c'],
        ["--error-threshold", "0.5", "--packet-rate-threshold", "3", "--active-flows-ratio", "1", "--lag-threshold", "1e6"],
    ],
)
def test_exported_rules_pass_promtool(jj, promtool, tmp_path, options):
    rules = export(jj, "alerts", tmp_path / "rules.yml", *options)
    assert "20 rules found" in promtool("check", "rules", rules)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--target", "sensor1:9184", "--target", "[::1]:9184", "--scrape-interval", "1m30s", "--job", "capture: a"],
        ["--https", "--metrics-path", "/jj/metrics", "--no-rules"],
    ],
)
def test_exported_configuration_passes_promtool(jj, promtool, tmp_path, options):
    export(jj, "alerts", tmp_path / "joyfuljay-alerts.yml")
    promtool("check", "config", export(jj, "prometheus-config", tmp_path / "prometheus.yml", *options))


def test_shipped_configuration_and_rules_pass_promtool(promtool):
    promtool("check", "config", ROOT / "dashboards" / "prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", FIXTURES.name, cwd=FIXTURES.parent)


def test_every_alert_has_a_fixture_in_which_it_fires_and_one_in_which_it_resolves():
    fired, resolved = set(), set()
    for test in yaml.safe_load(FIXTURES.read_text())["tests"]:
        firing = set()
        for case in sorted(test["alert_rule_test"], key=lambda case: int(case["eval_time"].removesuffix("m"))):
            name, expected = case["alertname"], case["exp_alerts"]
            for alert in expected:
                assert alert["exp_annotations"].keys() == alerts()[name]["annotations"].keys(), name
                assert alert["exp_labels"]["severity"] == alerts()[name]["labels"]["severity"], name
            if expected:
                firing.add(name)
                fired.add(name)
            elif name in firing:
                resolved.add(name)
    assert fired == resolved == alerts().keys()


def test_metrics_pass_promtool_at_every_stage_of_a_run(promtool, paced_run, tmp_path):
    run = paced_run("-o", tmp_path / "flows.csv", rate=0)
    assert promtool("check", "metrics", input=run.scrape()) == ""
    run.pace(20_000)
    wait_for(lambda: run.packets > 10_000)
    assert promtool("check", "metrics", input=run.scrape()) == ""
    run.finish()
    assert promtool("check", "metrics", input=run.scrape()) == ""
