"""A real Prometheus against two extractions: every query of the monitoring page and of the dashboard, and the totals at the end.

One life is watched: before the first packet, under load, a pause with flows open, after the end. Prometheus keeps what it saw, so
every test asks for the moment that it is about, in whatever order tests run.
"""

import csv
import json
import re
import time
from types import SimpleNamespace

import pytest
from paced import ROOT
from scraper import RATE_INTERVAL, export, finite, interpolated, panels
from scrapes import wait_for

PAGE = ROOT / "tests" / "python" / "monitoring-page.md"
# A run has a duration when it is over; until then, its percentiles are NaN by the definition of histogram_quantile.
AT_THE_END = "processing_duration_seconds"


def page_queries():
    block = re.search(r"^```promql$(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
    return [line for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def life(jj, module_run, prometheus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("life")
    runs = [module_run("-o", folder / "a.csv", rate=0), module_run("-o", folder / "b.jsonl", rate=0)]
    server = prometheus(*(run.address for run in runs))
    began = server.now()
    at = SimpleNamespace()

    def seen(expr, want, also=lambda moment: True):
        """The first moment at which Prometheus has it of each of the two, and enough scrapes of them for a rate, however busy
        the machine is."""

        def both(expr, want, moment):
            return len([v for _, v in server.query(expr, moment) if want(v)]) == 2

        def found():
            moment = server.now()
            scraped = both(f"count_over_time(up[{RATE_INTERVAL}])", lambda n: n >= 5, moment)
            return scraped and both(expr, want, moment) and also(moment) and moment

        return wait_for(found)

    def steady(moment):
        """Whether every query of the page has a figure at each point of the seconds before."""
        series = [server.query_range(expr, moment - 2, moment) for expr in page_queries() if AT_THE_END not in expr]
        return all(found and all(len(values) == 5 and finite(enumerate(values)) for _, values in found) for found in series)

    at.unfed = seen("up", lambda up: up == 1)
    runs[0].pace(20_000)
    runs[1].pace(10_000)
    wait_for(lambda: sum(v for _, v in server.query("joyfuljay_output_records_total")) > 0)
    at.running = seen(f"rate(joyfuljay_packets_total[{RATE_INTERVAL}])", lambda rate: rate > 0, also=steady)
    for run in runs:
        run.pace(0)
    at.paused = seen(f"rate(joyfuljay_packets_total[{RATE_INTERVAL}])", lambda rate: rate == 0)
    for run in runs:
        run.finish()
    at.ended = seen('joyfuljay_runs_total{mode="pcap", result="success"}', lambda n: n == 1)
    at.quiet = seen(f"sum by (instance) (increase(joyfuljay_runs_total[{RATE_INTERVAL}]))", lambda n: n == 0)
    dashboard = json.loads(export(jj, "dashboard", folder / "dashboard.json").read_text())
    return SimpleNamespace(folder=folder, runs=runs, server=server, began=began, at=at, dashboard=dashboard)


def test_every_query_of_the_monitoring_page_has_an_answer(life):
    assert len(page_queries()) == 6
    for expr in page_queries():
        found = life.server.query(expr, life.at.ended if AT_THE_END in expr else life.at.running)
        if AT_THE_END in expr:
            # Each mode is there from the start; those that no run was of have no percentile.
            found = [(labels, v) for labels, v in found if labels["mode"] == "pcap"]
        assert found and finite(found), f"{expr}: {found}"
        if "errors" not in expr:
            assert sum(v for _, v in found) > 0, f"{expr}: {found}"


def test_queries_of_the_monitoring_page_over_time(life):
    for expr in page_queries():
        if AT_THE_END in expr:
            continue
        series = life.server.query_range(expr, life.at.running - 2, life.at.running)
        assert series and all(len(values) == 5 for _, values in series), expr
        assert all(finite(enumerate(values)) for _, values in series), expr


def test_percentiles_are_those_of_the_two_runs(life):
    expr = next(query for query in page_queries() if AT_THE_END in query)
    lasted = life.server.query('joyfuljay_last_run_duration_seconds{mode="pcap"}', life.at.ended)
    for labels, seconds in lasted:
        percentile = life.server.one(expr.replace("_bucket", f'_bucket{{mode="pcap", instance="{labels["instance"]}"}}'), life.at.ended)
        bounds = (0, 0.001, 1, 2.5, 5, 10, 30, 60, 120)
        below, above = max(b for b in bounds if b < seconds), min(b for b in bounds if b >= seconds)
        assert below <= percentile <= above


@pytest.mark.parametrize("moment", ["unfed", "running", "paused", "ended", "quiet"])
def test_every_panel_of_the_dashboard_has_data_at_any_moment(life, moment):
    queries = panels(life.dashboard)
    assert len(queries) > 30
    for title, expr in queries:
        found = life.server.query(expr, getattr(life.at, moment))
        assert found and finite(found), f"{title}: {expr}: {found}"


def test_panels_show_what_the_runs_did(life):
    def shown(title, moment):
        return sum(v for expr in exprs[title] for _, v in life.server.query(expr, getattr(life.at, moment)))

    exprs = {}
    for title, expr in panels(life.dashboard):
        exprs.setdefault(title, []).append(expr)
    busy = ["Packets/sec", "Packet Rate", "Byte Rate", "Flows per Minute", "Active Flows", "Average Packet Size", "Flow Table Fill"]
    for title in [*busy, "Flow Table Memory", "Batch Duration (p95)", "CPU", "Resident Memory", "Scrape Duration (p99)", "Active Runs"]:
        assert shown(title, "running") > 0, title
    # The first rows count as well: their counters are there at 0 before.
    assert shown("Rows Written", "running") > 0 and shown("Bytes Written", "running") > 0
    for title in ["Total Packets", "Total Bytes", "Total Flows", "Flow Completion Reasons", "Processing Duration", "Runs Ended"]:
        assert shown(title, "ended") > 0, title
    for title in ["Total Errors", "Errors by Stage", "Error Distribution", "Packets Skipped", "Flow Evictions", "Capture Drops"]:
        assert shown(title, "ended") == 0, title
    assert shown("Processing Success Rate", "running") == 1
    assert shown("Active Runs", "paused") == 2 and shown("Active Runs", "quiet") == 0
    assert shown("Packet Rate", "unfed") == shown("Packet Rate", "paused") == shown("Packet Rate", "quiet") == 0
    assert shown("Active Flows", "paused") > 0 and shown("Active Flows", "ended") == 0


def test_panels_of_all_instances_are_the_sum_of_each(life):
    titles = ["Packet Rate", "Byte Rate", "Active Flows", "Flow Table Memory", "Total Packets", "Total Flows", "Flows per Minute"]
    for title in [*titles, "Active Runs"]:
        expr = next(panel for panel in life.dashboard["panels"] if panel["title"] == title)["targets"][0]["expr"]

        def shown(**chosen):
            return life.server.query(interpolated(life.dashboard, expr, **chosen), life.at.running)  # noqa: B023

        each = [shown(instance=run.address) for run in life.runs]
        for labels, total in shown():
            parts = [v for part in each for found, v in part if found == labels]
            assert len(parts) == 2 and sum(parts) == pytest.approx(total, rel=1e-9), title


def test_variables_of_the_dashboard_have_values(life):
    for variable in life.dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        text = interpolated(life.dashboard, variable["query"]["query"])
        family, label = re.fullmatch(r"label_values\((.+), (\w+)\)", text).groups()
        values = life.server.api(f"label/{label}/values", **{"match[]": family})
        assert set(values) == {"job": {"joyfuljay"}, "instance": {run.address for run in life.runs}}[variable["name"]]


def test_totals_at_the_end_are_exact(life):
    with open(life.folder / "a.csv", newline="") as rows, open(life.folder / "b.jsonl") as lines:
        written = [sum(1 for _ in csv.DictReader(rows)), sum(1 for _ in lines)]
    for run, rows in zip(life.runs, written, strict=True):
        where = f'{{instance="{run.address}"}}'
        last = {
            name: life.server.one(f"sum(joyfuljay_{name}{where})", life.at.quiet)
            for name in ["packets_total", "bytes_total", "frames_total", "flows_total", "flows_started_total", "output_records_total"]
            + ["active_flows", "errors_total", "packets_skipped_total", "processing_duration_seconds_count"]
        }
        assert rows > 1000
        assert last == {
            "packets_total": run.packets,
            "bytes_total": run.bytes,
            "frames_total": run.packets,
            "flows_total": rows,
            "flows_started_total": rows,
            "output_records_total": rows,
            "active_flows": 0,
            "errors_total": 0,
            "packets_skipped_total": 0,
            "processing_duration_seconds_count": 1,
        }


def test_prometheus_has_seen_no_counter_go_down_and_took_every_sample(life):
    since = f"[{int(life.at.quiet - life.began) + 1}s]"
    families = life.server.api("label/__name__/values", **{"match[]": '{job="joyfuljay"}'})
    counters = [name for name in families if re.search("_(total|count|bucket|sum)$", name)]
    assert len(counters) > 20
    for name in counters:
        assert life.server.one(f"max(resets({name}{since}))", life.at.quiet) == 0, name
    # Samples that it could not take, as they are twice there or out of order, are warnings; so is what a busy machine brings about.
    bad = "level=(warn|error).*(sample|ingest|append|out.of.order|duplicate|parse|invalid)"
    assert [line for line in life.server.log if re.search(bad, line, re.IGNORECASE)] == []


def test_rules_are_healthy_record_their_series_and_leave_a_good_run_alone(life):
    groups = life.server.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 15
    assert [(rule["name"], rule["health"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    for rule in rules:
        if rule["type"] == "recording":
            found = life.server.query(rule["name"], life.at.quiet)
            assert found and finite(found), rule["name"]
    assert life.server.query('ALERTS{alertstate="firing"}', life.at.quiet) == []
    # The two instances in one: what the rule says, not of one of them.
    at = life.at.paused
    assert life.server.one("job:joyfuljay_active_flows:sum", at) == life.server.one("sum(joyfuljay_active_flows)", at) > 0


def test_every_scrape_of_a_running_extraction_is_consistent(paced_run, tmp_path):
    run = paced_run("-o", tmp_path / "flows.csv", rate=20_000)
    before, scrapes = {}, 0
    while scrapes < 200 or before["joyfuljay_packets_total"] == 0:
        counters, buckets = parsed(run.scrape())
        scrapes += 1
        assert {name: (value, before[name]) for name, value in counters.items() if value < before.get(name, 0)} == {}
        assert before.keys() <= counters.keys()
        for name, counts in buckets.items():
            assert counts == sorted(counts), name
            assert counts[-1] == counters[name.replace("_bucket", "_count", 1)], name
        before = counters
        time.sleep(0.01)
    run.finish()
    counters, _ = parsed(run.scrape())
    assert (counters["joyfuljay_packets_total"], counters["joyfuljay_bytes_total"]) == (run.packets, run.bytes)


def parsed(text):
    """({sample: value} of counters and histograms, {series of buckets: [count, …, that of +Inf]})."""
    counters, buckets, kind = {}, {}, ""
    for line in text.splitlines():
        if line.startswith("# TYPE"):
            kind = line.rsplit(" ", 1)[1]
        elif not line.startswith("#") and kind in ("counter", "histogram"):
            name, number = line.rsplit(" ", 1)
            counters[name] = float(number)
            if found := re.fullmatch(r'(\w+_bucket)\{(.*?),?le="[^"]+"\}', name):
                counts = buckets.setdefault(found[1] + (f"{{{found[2]}}}" if found[2] else ""), [])
                counts.append(float(number))
    return counters, buckets
