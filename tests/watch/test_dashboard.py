"""The overview dashboard keeps the rules of grafana/dashboard-linter, strictly, and shows what the monitoring page promises.

Which linter this is: not the program `dashboard-linter` (as a Go module it cannot be had everywhere; where it is installed, it
is run too), but its documented rules, written anew in dashboard_rules.py, each under its own name. What reads the queries is others' work: Prometheus' own grammar
from npm, and promtool. Skipped, with the reason (`pytest -rs`), only where those are out of reach.
"""

import itertools
import json
import pathlib
import re
import shutil
import subprocess

import pytest
from dashboard_rules import RULES, Exclusions, charts, expand, lint
from grafana_schema import require

ROOT = pathlib.Path(__file__).parent.parent.parent
OVERVIEW = ROOT / "dashboards" / "joyfuljay-overview.json"
EXCLUSIONS = Exclusions(ROOT / "dashboards" / ".lint")

# The sections and panels of the monitoring page, in its order.
PAGE = {
    "Overview": ["Total Packets", "Total Bytes", "Total Flows", "Active Flows", "Total Errors", "Packets/sec"],
    "Throughput": ["Packet Rate", "Byte Rate", "Flows per Minute", "Active Flows over time"],
    "Latency": ["Processing Duration", "Processing Jobs by Mode"],
    "Errors": ["Errors by Stage", "Flow Completion Reasons", "Error Distribution"],
    "Efficiency": ["Average Packet Size", "Processing Success Rate"],
}


def overview():
    return json.loads(OVERVIEW.read_text())


def panel(dashboard, title):
    return next(p for p in dashboard["panels"] if p["title"] == title)


def target(dashboard, title="Packet Rate"):
    return panel(dashboard, title)["targets"][0]


def variable(dashboard, name):
    return next(v for v in dashboard["templating"]["list"] if v["name"] == name)


def rewrite(old, new, title="Packet Rate"):
    def apply(dashboard):
        query = target(dashboard, title)
        assert old in query["expr"]
        query["expr"] = query["expr"].replace(old, new)

    return apply


@pytest.mark.parametrize("rule", RULES)
def test_the_overview_keeps_the_rule(rule):
    if RULES[rule].reads_queries:
        require()
    dashboard = overview()
    assert [f for f in lint(dashboard, [rule]) if not EXCLUSIONS.covers(dashboard, f)] == []


def test_each_exclusion_has_a_reason_and_a_panel_that_needs_it():
    require()
    dashboard = overview()
    for rule, excluded in EXCLUSIONS.rules.items():
        assert excluded["reason"] and excluded["entries"], rule
        there = {(f.panel, f.target) for f in lint(dashboard, [rule])}
        named = [(entry["panel"], entry["targetIdx"]) for entry in excluded["entries"]]
        assert sorted(named) == sorted(there)
        assert {entry["dashboard"] for entry in excluded["entries"]} == {dashboard["title"]}


# For each rule, what breaks it.
FAULTS = [
    ("template-datasource-rule", lambda d: d["templating"]["list"].pop(0)),
    ("template-datasource-rule", lambda d: d["templating"]["list"].append(variable(d, "datasource"))),
    ("template-datasource-rule", lambda d: variable(d, "datasource").update(name="prom")),
    ("template-datasource-rule", lambda d: variable(d, "datasource").update(label="Where")),
    ("template-datasource-rule", lambda d: variable(d, "datasource").update(query="influxdb")),
    *[
        (f"template-{name}-rule", lambda d, name=name, fault=fault: variable(d, name).update(fault))
        for name in ("job", "instance")
        for fault in (
            {"name": "other"},
            {"datasource": {"type": "prometheus", "uid": "abc"}},
            {"type": "custom"},
            {"label": "Which"},
            {"multi": False},
            {"allValue": ".*"},
        )
    ],
    ("template-label-promql-rule", lambda d: variable(d, "job")["query"].update(query="values(up, job)")),
    ("template-label-promql-rule", lambda d: variable(d, "job")["query"].update(query="label_values(up{, job)")),
    ("template-on-time-change-reload-rule", lambda d: variable(d, "instance").update(refresh=1)),
    ("uneditable-dashboard-rule", lambda d: d.update(editable=True)),
    ("uneditable-dashboard-rule", lambda d: d.pop("editable")),
    ("panel-datasource-rule", lambda d: panel(d, "Total Bytes").pop("datasource")),
    ("panel-datasource-rule", lambda d: target(d)["datasource"].update(uid="abc")),
    ("panel-title-description-rule", lambda d: panel(d, "Error Distribution").update(title="")),
    ("panel-title-description-rule", lambda d: panel(d, "Total Bytes").pop("description")),
    ("panel-units-rule", lambda d: panel(d, "Byte Rate")["fieldConfig"]["defaults"].update(unit="furlongs")),
    ("panel-units-rule", lambda d: panel(d, "Byte Rate")["fieldConfig"]["defaults"].pop("unit")),
    ("panel-no-targets-rule", lambda d: panel(d, "Byte Rate").update(targets=[])),
    ("target-promql-rule", lambda d: target(d).update(expr="")),
    ("target-promql-rule", rewrite("sum(", "sum((")),
    ("target-promql-rule", rewrite("$__rate_interval", "$__some_interval")),
    ("target-rate-interval-rule", rewrite("$__rate_interval", "5m")),
    ("target-rate-interval-rule", rewrite("$__rate_interval", "$__interval")),
    ("target-job-rule", rewrite('job=~"$job", ', "")),
    ("target-job-rule", rewrite('job=~"$job"', 'job="$job"')),
    ("target-job-rule", rewrite("or vector(0)", "or sum(up)")),
    ("target-instance-rule", rewrite(', instance=~"$instance"', "")),
    ("target-instance-rule", rewrite("$instance", "$job")),
    ("target-counter-agg-rule", rewrite("rate(", "max_over_time(")),
    ("target-counter-agg-rule", lambda d: target(d).update(expr="sum(joyfuljay_packets_total)")),
    ("target-counter-agg-rule", lambda d: target(d).update(expr="joyfuljay_processing_duration_seconds_count")),
]


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(FAULTS)])
def test_a_fault_is_found(rule, fault):
    if RULES[rule].reads_queries:
        require()
    dashboard = overview()
    fault(dashboard)
    assert [f for f in lint(dashboard, [rule]) if not EXCLUSIONS.covers(dashboard, f)]


def test_every_rule_has_a_fault_that_it_finds():
    assert {rule for rule, _ in FAULTS} == set(RULES)


def test_the_linter_itself_where_it_is_installed():
    linter = shutil.which("dashboard-linter")
    if linter is None:
        pytest.skip("grafana/dashboard-linter is not installed; its rules were checked by dashboard_rules.py alone")
    run = subprocess.run([linter, "lint", "--strict", OVERVIEW], capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr


def promtool_says(expressions, folder):
    """What Prometheus' own checker, which knows types and functions too, has against the expressions."""
    installer = ROOT / "scripts" / "prometheus"
    if shutil.which("promtool") is None and installer.exists():
        subprocess.run([installer], timeout=600)
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian: apt-get install prometheus")
    rules = [{"record": f"query:{i}", "expr": expr} for i, expr in enumerate(expressions)]
    # JSON is YAML.
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    return subprocess.run([promtool, "check", "rules", "rules.yml"], cwd=folder, capture_output=True, text=True, timeout=600)


def test_promtool_reads_every_query(tmp_path):
    expressions = [expand(t["expr"]) for p in charts(overview()) for t in p["targets"]]
    said = promtool_says(expressions, tmp_path)
    assert said.returncode == 0 and f"{len(expressions)} rules found" in said.stdout, said


def test_promtool_refuses_a_query_of_wrong_type(tmp_path):
    said = promtool_says(["rate(joyfuljay_packets_total)"], tmp_path)
    assert said.returncode != 0 and "expected type range vector" in said.stdout + said.stderr


def test_the_binary_carries_the_same_dashboard(jj):
    run = subprocess.run([jj, "export-dashboard"], capture_output=True, check=True, timeout=600)
    assert json.loads(run.stdout) == overview()


def test_the_sections_and_panels_of_the_page_are_there_in_its_order():
    sections = {}
    for p in overview()["panels"]:
        if p["type"] == "row":
            inside = sections.setdefault(p["title"], [])
        else:
            inside.append(p["title"])
    assert list(sections)[: len(PAGE)] == list(PAGE)
    assert {title: sections[title] for title in PAGE} == PAGE
    quantiles = panel(overview(), "Processing Duration")["targets"]
    assert [(t["legendFormat"], t["expr"][:24]) for t in quantiles] == [
        ("p50", "histogram_quantile(0.50,"),
        ("p95", "histogram_quantile(0.95,"),
        ("p99", "histogram_quantile(0.99,"),
    ]


def test_the_variables_choose_a_datasource_and_several_or_all_jobs_and_instances():
    dashboard = overview()
    assert [v["name"] for v in dashboard["templating"]["list"]] == ["datasource", "job", "instance"]
    for name in ("job", "instance"):
        v = variable(dashboard, name)
        assert v["multi"] and v["includeAll"] and v["current"] == {"selected": True, "text": ["All"], "value": ["$__all"]}
    assert 'job=~"$job"' in variable(dashboard, "instance")["query"]["query"]


def test_no_two_panels_overlap_and_no_two_share_an_id():
    panels = overview()["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    taken = set()
    for p in panels:
        at = p["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24 and not taken & cells, p["title"]
        taken |= cells


def test_every_query_adds_instances_up_or_says_which_is_which():
    # Of several instances, the sum; a lag is as bad as the worst; what is per process is shown per instance.
    for p in charts(overview()):
        for t in p["targets"]:
            assert re.search(r"\b(sum|max) ?(by|\()", t["expr"]), (p["title"], t["expr"])


def test_the_file_asks_nothing_on_import():
    assert not {"__inputs", "__requires", "__elements"} & set(overview())
