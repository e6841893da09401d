"""The rules of grafana/dashboard-linter, by its names for them, as its documentation (docs/rules of its repository) states them.

The linter itself is a Go module that cannot be had everywhere; this is not its code. Queries are read with Prometheus' own
grammar (grafana_schema.parse). Stricter than the linter in this: a rule about panels is for every kind of panel but rows,
where the linter looks at some kinds only; a unit is one of those that a dashboard of ours may need.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Iterator

from grafana_schema import parse

# Units of Grafana by its own names for them: those for counts, shares, data, time, and what happens per second or minute.
UNITS = {
    "none", "short", "percent", "percentunit", "bytes", "decbytes", "bits", "decbits", "pps", "Bps", "binBps", "bps", "binbps",
    "ns", "µs", "ms", "s", "m", "h", "d", "dtdurations", "dtdurationms", "dateTimeAsIso", "dateTimeFromNow",
    "cps", "ops", "reqps", "rps", "wps", "iops", "eps", "cpm", "opm", "rpm", "wpm", "epm", "bool", "bool_yes_no",
}  # fmt: skip
# What Grafana puts in for its variables, here durations that nobody writes, to be recognised in what was parsed.
DURATIONS = {"__rate_interval": "4m3s", "__range": "7h7m", "__interval": "3m1s"}
RATES = {"rate", "irate", "increase"}
Place = tuple[str | None, int | None, str]


@dataclasses.dataclass(frozen=True)
class Finding:
    rule: str
    panel: str | None
    target: int | None
    message: str


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    check: Callable[[dict], Iterator[Place]]
    reads_queries: bool


RULES: dict[str, Rule] = {}


def rule(name, reads_queries=False):
    def add(check):
        RULES[name] = Rule(name, check, reads_queries)
        return check

    return add


def lint(dashboard, names=None):
    """What the rules (all, or those named) find."""
    found = []
    for name in names or RULES:
        found += [Finding(name, *place) for place in RULES[name].check(dashboard)]
    return found


class Exclusions:
    """The linter's `.lint` beside the dashboard: findings that are meant to be there, each with a reason. YAML, written as JSON."""

    def __init__(self, path: pathlib.Path):
        self.rules = json.loads(path.read_text())["exclusions"] if path.exists() else {}

    def covers(self, dashboard, finding):
        place = {"dashboard": dashboard["title"], "panel": finding.panel, "targetIdx": finding.target}
        return place in self.rules.get(finding.rule, {}).get("entries", [])


def charts(dashboard):
    for panel in dashboard["panels"]:
        for inner in [panel, *panel.get("panels", [])]:
            if inner["type"] != "row":
                yield inner


def queries(dashboard):
    """Panel, index, expression, and what Prometheus' grammar sees in it."""
    all_of_them = [(p["title"], i, t.get("expr", "")) for p in charts(dashboard) for i, t in enumerate(p.get("targets", []))]
    seen = parse([expand(expr) for _, _, expr in all_of_them])
    return [(*query, facts) for query, facts in zip(all_of_them, seen, strict=True)]


def expand(expr):
    for name, value in DURATIONS.items():
        expr = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value, expr)
    return expr


def variables(dashboard, **wanted):
    listed = dashboard["templating"]["list"]
    return [v for v in listed if all(v.get(key) == value for key, value in wanted.items())]


@rule("template-datasource-rule")
def template_datasource(dashboard):
    found = variables(dashboard, type="datasource")
    if len(found) != 1:
        yield None, None, f"{len(found)} variables for the datasource, want one"
    for v in found:
        if v["name"] not in ("datasource", f"{v['query']}_datasource"):
            yield None, None, f"the datasource's variable is named {v['name']!r}"
        if v.get("label") not in ("Data source", f"{v['query'].title()} data source"):
            yield None, None, f"the datasource's variable is labeled {v.get('label')!r}"
        if v["query"] not in ("prometheus", "loki"):
            yield None, None, f"a datasource of type {v['query']!r}"


def template(dashboard, name):
    found = variables(dashboard, name=name)
    if len(found) != 1:
        yield None, None, f"{len(found)} variables {name!r}, want one"
        return
    (v,) = found
    if (v.get("datasource") or {}).get("uid") not in ("$datasource", "${datasource}"):
        yield None, None, f"variable {name!r} asks {v.get('datasource')}, want $datasource"
    if v["type"] != "query":
        yield None, None, f"variable {name!r} is of type {v['type']!r}, want a query"
    if v.get("label") != name.title():
        yield None, None, f"variable {name!r} is labeled {v.get('label')!r}"
    if v.get("multi") is not True:
        yield None, None, f"variable {name!r} is not multi select"
    if v.get("allValue") != ".+":
        yield None, None, f"variable {name!r} has the value {v.get('allValue')!r} for all, want '.+'"


@rule("template-job-rule")
def template_job(dashboard):
    yield from template(dashboard, "job")


@rule("template-instance-rule")
def template_instance(dashboard):
    yield from template(dashboard, "instance")


@rule("template-label-promql-rule", reads_queries=True)
def template_label_promql(dashboard):
    for v in variables(dashboard, type="query"):
        query = v["query"]["query"] if isinstance(v["query"], dict) else v["query"]
        call = re.fullmatch(r"label_values\((?:(.+),)?\s*[a-zA-Z_]\w*\)|(?:metrics|label_names|query_result)\((.*)\)", query)
        if call is None:
            yield None, None, f"variable {v['name']!r}: {query!r} is no query of labels"
            continue
        expr = call[1] or call[2]
        if expr and parse([expand(expr)])[0]["error"] is not None:
            yield None, None, f"variable {v['name']!r}: {expr!r} is not PromQL"


@rule("template-on-time-change-reload-rule")
def template_reload(dashboard):
    for v in variables(dashboard, type="query"):
        if v.get("refresh") != 2:
            yield None, None, f"variable {v['name']!r} is not read anew when the time changes"


@rule("uneditable-dashboard-rule")
def uneditable(dashboard):
    if dashboard.get("editable", True) is not False:
        yield None, None, "the dashboard is editable"


@rule("panel-datasource-rule")
def panel_datasource(dashboard):
    names = [v["name"] for v in variables(dashboard, type="datasource")]
    allowed = {form.format(name) for name in names for form in ("${}", "${{{}}}")}
    for panel in charts(dashboard):
        for i, asks in [(None, panel), *enumerate(panel.get("targets", []))]:
            uid = (asks.get("datasource") or {}).get("uid")
            if uid not in allowed:
                yield panel["title"], i, f"asks the datasource {uid!r}, want one of {sorted(allowed)}"


@rule("panel-title-description-rule")
def panel_title_description(dashboard):
    for panel in charts(dashboard):
        for key in ("title", "description"):
            if not panel.get(key, "").strip():
                yield panel.get("title"), None, f"panel {panel.get('id')} has no {key}"


@rule("panel-units-rule")
def panel_units(dashboard):
    for panel in charts(dashboard):
        properties = [p for o in panel["fieldConfig"].get("overrides", []) for p in o["properties"] if p["id"] == "unit"]
        for unit in [panel["fieldConfig"]["defaults"].get("unit"), *(p["value"] for p in properties)]:
            if unit not in UNITS:
                yield panel["title"], None, f"the unit {unit!r} is not one of Grafana's"


@rule("panel-no-targets-rule")
def panel_no_targets(dashboard):
    for panel in charts(dashboard):
        if not panel.get("targets"):
            yield panel["title"], None, "no query"


@rule("target-promql-rule", reads_queries=True)
def target_promql(dashboard):
    for panel, i, expr, facts in queries(dashboard):
        if not expr.strip() or facts["error"] is not None:
            yield panel, i, f"not PromQL at offset {facts['error']}: {expr!r}"


@rule("target-rate-interval-rule", reads_queries=True)
def target_rate_interval(dashboard):
    for panel, i, expr, facts in queries(dashboard):
        for s in facts["selectors"]:
            if s["call"] in RATES and s["range"] != DURATIONS["__rate_interval"]:
                yield panel, i, f"{s['call']}() of another range than $__rate_interval: {expr!r}"


def target_matcher(dashboard, label):
    for panel, i, expr, facts in queries(dashboard):
        for s in facts["selectors"]:
            if [m for m in s["matchers"] if m[0] == label] != [[label, "=~", f"${label}"]]:
                yield panel, i, f'{s["metric"]} is not selected by {label}=~"${label}": {expr!r}'


@rule("target-job-rule", reads_queries=True)
def target_job(dashboard):
    yield from target_matcher(dashboard, "job")


@rule("target-instance-rule", reads_queries=True)
def target_instance(dashboard):
    yield from target_matcher(dashboard, "instance")


@rule("target-counter-agg-rule", reads_queries=True)
def target_counter_agg(dashboard):
    # The linter goes by `_total`; a histogram's parts are counters too.
    for panel, i, expr, facts in queries(dashboard):
        for s in facts["selectors"]:
            metric = s["metric"] or ""
            if metric.endswith(("_total", "_bucket", "_count", "_sum")) and (s["call"] not in RATES or s["range"] is None):
                yield panel, i, f"the counter {metric} is not in rate, irate or increase: {expr!r}"
