"""The dashboards are what Grafana's own types say: @grafana/schema from npm, checked by TypeScript.

Everything is checked strictly: every panel by its own kind's options and field configuration, every enum by its values, and
nothing that the types do not know. Skipped, with the reason (`pytest -rs`), only where npm or its registry is out of reach.
"""

import json
import pathlib
import subprocess

import pytest
from grafana_schema import require, type_errors

ROOT = pathlib.Path(__file__).parent.parent.parent
OVERVIEW = ROOT / "dashboards" / "joyfuljay-overview.json"
# Every kind of panel that the builder makes, plain and with every option; a test of the monitoring crate keeps it current.
KINDS = pathlib.Path(__file__).parent / "panel-kinds.json"


@pytest.mark.parametrize("file", [OVERVIEW, KINDS], ids=lambda file: file.stem)
def test_a_dashboard_is_what_grafanas_types_say(file, tmp_path):
    assert type_errors(json.loads(file.read_text()), tmp_path) == []


def test_every_kind_of_panel_is_checked():
    kinds = {panel["type"] for panel in json.loads(KINDS.read_text())["panels"]}
    assert kinds == {"row", "stat", "timeseries", "gauge", "bargauge", "piechart", "table"}


def test_a_dashboard_for_a_given_datasource_is_too(jj, tmp_path):
    command = [jj, "export-dashboard", "--datasource-uid", "my-prometheus"]
    made = subprocess.run(command, capture_output=True, check=True, timeout=600).stdout
    assert type_errors(json.loads(made), tmp_path) == []


def test_a_dashboard_built_in_python_is_too(tmp_path):
    monitoring = pytest.importorskip("joyfuljay.monitoring", reason="the wheel is not installed")
    builder = monitoring.DashboardBuilder("Mine", refresh="30s")
    builder.add_row("Overview").add_stat_panel("Errors", "sum(joyfuljay_errors_total)", width=5)
    builder.add_graph_panel("Rates", ["a", "b"], unit="pps", legend_format=["x", "y"], description="Two.")
    assert type_errors(builder.build(), tmp_path) == []


def change(*path, to):
    def apply(dashboard):
        *way, last = path
        for key in way:
            dashboard = dashboard[key]
        dashboard[last] = to

    return apply


def first(kind):
    panels = json.loads(KINDS.read_text())["panels"]
    return next(i for i, panel in enumerate(panels) if panel["type"] == kind)


def no_value(text):
    return f"Type '\"{text}\"' is not assignable"


def missing(name):
    return f"Property '{name}' is missing"


def unknown(name):
    return f"'\"{name}\"' does not exist in type"


def other_type(given, wanted):
    return f"Type '{given}' is not assignable to type '{wanted}'"


# What is broken, and what tsc must say.
FAULTS = {
    "refresh is a number": (change("refresh", to=10), other_type("number", "string")),
    "no schema version": (lambda dashboard: dashboard.pop("schemaVersion"), missing("schemaVersion")),
    "an unknown field of the dashboard": (change("style", to="dark"), unknown("style")),
    "a cursor that is none": (change("graphTooltip", to=7), "Type '7' is not assignable"),
    "a type of variable that is none": (change("templating", "list", 1, "type", to="choice"), no_value("choice")),
    "a refresh of a variable that is none": (change("templating", "list", 1, "refresh", to=4), "Type '4' is not assignable"),
    "half a value of a variable": (change("templating", "list", 1, "current", to={}), "missing the following properties"),
    "a kind of panel that is none": (change("panels", first("stat"), "type", to="number"), "Property 'number' does not exist"),
    "a panel without a query": (lambda dashboard: dashboard["panels"][first("table")].pop("targets"), missing("targets")),
    "a query of another datasource": (
        change("panels", first("stat"), "targets", 0, "datasource", "type", to="loki"),
        no_value("loki"),
    ),
    "a row that is open and shut": (change("panels", first("row"), "collapsed", to="no"), other_type("string", "boolean")),
    "a width in text": (change("panels", first("gauge"), "gridPos", "w", to="6"), other_type("string", "number")),
    "a color mode that is none": (
        change("panels", first("stat"), "fieldConfig", "defaults", "color", "mode", to="rainbow"),
        no_value("rainbow"),
    ),
    "a stat with a wrong enum": (change("panels", first("stat"), "options", "graphMode", to="bars"), no_value("bars")),
    "a stat with another kind's option": (change("panels", first("stat"), "options", "pieType", to="pie"), unknown("pieType")),
    "a graph with a wrong enum": (
        change("panels", first("timeseries"), "fieldConfig", "defaults", "custom", "drawStyle", to="curve"),
        no_value("curve"),
    ),
    "a graph with an unknown field option": (
        change("panels", first("timeseries"), "fieldConfig", "defaults", "custom", "lineColour", to="red"),
        unknown("lineColour"),
    ),
    "a gauge without its sizing": (
        lambda dashboard: dashboard["panels"][first("gauge")]["options"].pop("sizing"),
        missing("sizing"),
    ),
    "a bar with a wrong enum": (change("panels", first("bargauge"), "options", "valueMode", to="big"), no_value("big")),
    "a pie with a wrong enum": (change("panels", first("piechart"), "options", "pieType", to="cake"), no_value("cake")),
    "a table with a wrong enum": (change("panels", first("table"), "options", "cellHeight", to="xl"), no_value("xl")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault, tmp_path):
    require()
    dashboard = json.loads(KINDS.read_text())
    apply, said = FAULTS[fault]
    apply(dashboard)
    found = type_errors(dashboard, tmp_path)
    assert any(said in line for line in found), found
