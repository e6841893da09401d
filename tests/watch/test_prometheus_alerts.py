"""Real faults, and the alerts that tell of them: each fires, names what is broken, and is over when it is repaired.

The rules are those of `jj export-alerts` with shorter times, as nobody can wait for `for: 5m`; promtool tests the times as they are.
"""

import re
import signal
import threading
from types import SimpleNamespace

import pytest
import yaml
from scraper import export
from scrapes import PATIENCE, value, wait_for

# What a run over a pipe cannot be made to do: test_sensor_alerts.py has a capture that loses packets, and one whose rows nobody takes. To
# be behind an interface for long, or to have a hundred values of a label, have fixtures in dashboards/joyfuljay-alerts.test.yml only.
ONLY_FIXTURES = {"JoyfulJayCaptureDrops", "JoyfulJayLag", "JoyfulJayOutputStalled", "JoyfulJayMetricsIncomplete"}
FAULTS = {
    "JoyfulJayTargetMissing": "killed",
    "JoyfulJayCrashLoop": "killed",
    "JoyfulJayHighErrorRate": "damaged",
    "JoyfulJayNoPackets": "paused",
    "JoyfulJayFlowEvictions": "small",
    "JoyfulJayFlowTableNearFull": "small",
    "JoyfulJayHighActiveFlows": "small",
    "JoyfulJayOutputFailing": "full",
    "JoyfulJayRunFailed": "full",
}
# A machine that is busy may keep packets, or scrapes, from the others as well.
STARVED = {"JoyfulJayNoPackets", "JoyfulJayTargetMissing"}
# With room for several scrapes, and for three starts of a process, on a machine that is busy.
SHORTER = {"[5m]": "[15s]", "[15m]": "[60s]"}


def shortened(path):
    rules = yaml.safe_load(path.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        for window, shorter in SHORTER.items():
            rule["expr"] = rule["expr"].replace(window, shorter)
        if rule.get("for", "0m") != "0m":
            rule["for"] = "2s"
    path.write_text(yaml.safe_dump(rules))
    return path


class Damage:
    """Every second record gets an IP header of version 0."""

    def __init__(self):
        self.seen = 0

    def __call__(self, record):
        self.seen += 1
        return record if self.seen % 2 else record[:30] + bytes([record[30] & 15]) + record[31:]


def on_a_full_disk(jj, folder):
    """`jj` that may write files of 100 kB: what comes after is an error, as on a disk that is full."""
    path = folder / "jj-on-a-full-disk"
    path.write_text(f"""#!/bin/bash
trap '' XFSZ
ulimit -f 100
exec '{jj}' "$@"
""")
    path.chmod(0o755)
    return str(path)


def wait_until_seen(server, run):
    """Until Prometheus has a sample of this process, and no longer of the one before it."""
    started = value(run.scrape(), "process_start_time_seconds")
    wait_for(lambda: server.one(f'process_start_time_seconds{{instance="{run.address}"}}') == started)


@pytest.fixture(scope="module")
def faults(jj, module_run, prometheus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")

    def start(name, *arguments, **options):
        return module_run("-o", folder / f"{name}.csv", *arguments, rate=3000, packets=2_000_000, **options)

    runs = {
        "killed": start("killed"),
        "damaged": start("damaged"),
        "paused": start("paused"),
        "small": start("small", "--max-flows", 100),
        "full": start("full", jj=on_a_full_disk(jj, folder)),
    }
    rules = shortened(export(jj, "alerts", folder / "joyfuljay-alerts.yml"))
    server = prometheus(*(run.address for run in runs.values()), rules=rules, folder=folder)
    seen, told = {}, threading.Event()

    def collect():
        """An alert on what happened once is over by itself: somebody has to look all the time."""
        while not told.wait(0.2):
            for name, alerts in server.alerts().items():
                seen.setdefault(name, []).extend(alerts)

    collector = threading.Thread(target=collect, daemon=True)

    def firing():
        """Alerts that told of their fault, and not only of what a busy machine does to others."""
        broken = {name: runs[FAULTS[name]].address for name in list(seen) if name in FAULTS}
        return {name for name, address in broken.items() if any(alert.get("instance") == address for alert in seen[name])}

    def up(run):
        return server.one(f'up{{instance="{run.address}"}}')

    wait_for(lambda: all(value == 1 for _, value in server.query("up")) and len(server.query("up")) == len(runs))
    # Until the first scrapes there was no target at all, which TargetMissing says without an instance.
    wait_for(lambda: "JoyfulJayTargetMissing" not in server.alerts())
    collector.start()
    runs["damaged"].spoil = Damage()
    # Some hundred rows come out at the end of the input.
    wait_for(lambda: runs["full"].packets > 4000)
    runs["full"].stop_feeding()
    runs["killed"].kill()
    wait_for(lambda: value(runs["paused"].scrape(), "joyfuljay_active_flows") > 0)
    runs["paused"].pace(0)
    wait_for(lambda: "JoyfulJayTargetMissing" in firing())
    port = runs["killed"].address.rsplit(":", 1)[1]
    for _ in range(30):
        runs["killed"].kill()
        runs["killed"] = start("killed", port=port)
        wait_until_seen(server, runs["killed"])
        if "JoyfulJayCrashLoop" in firing():
            break
    wait_for(lambda: firing() >= FAULTS.keys(), state=lambda: f"silent: {FAULTS.keys() - firing()}; {server.api('alerts')}")
    told.set()
    collector.join()
    fired = {name: list(alerts) for name, alerts in seen.items()}

    runs["damaged"].spoil = None
    runs["paused"].pace(3000)
    runs["small"].finish()

    def over():
        """Whether no fault is told of any more; what keeps other runs from their packets is the machine's."""
        alerts = [(name, alert.get("instance")) for name, found in server.alerts().items() for alert in found]
        return all(name in STARVED and instance != runs[FAULTS[name]].address for name, instance in alerts)

    wait_for(lambda: over() and up(runs["killed"]) == 1, state=server.alerts)
    runs["damaged"].finish()
    return SimpleNamespace(runs=runs, server=server, fired=fired, rules=yaml.safe_load(rules.read_text()))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_fires_its_alert_on_the_instance_that_has_it(faults, name):
    broken = faults.runs[FAULTS[name]].address
    instances = {alert["instance"] for alert in faults.fired[name]}
    assert broken in instances if name in STARVED else instances == {broken}
    for alert in faults.fired[name]:
        assert alert["instance"] in alert["summary"]
        assert not re.search(r"\{\{|<no value>|NaN|error expanding", alert["summary"] + alert["description"]), alert


def test_no_other_alert_fires(faults):
    assert faults.fired.keys() == FAULTS.keys()


def test_every_alert_is_driven_here_or_known_to_be_left_to_its_fixture(faults):
    alerts = {rule["alert"] for group in faults.rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts == FAULTS.keys() | ONLY_FIXTURES


def test_undecodable_frames_are_errors_and_no_packets(faults):
    run = faults.runs["damaged"]
    text = run.scrape()
    assert run.spoiled > 0
    assert value(text, "joyfuljay_errors_total", 'stage="parsing"') == run.spoiled
    assert value(text, "joyfuljay_packets_total") == run.packets
    assert value(text, "joyfuljay_frames_total") == run.packets + run.spoiled


def test_a_run_that_failed_says_so_on_its_standard_error_before_it_lingers(faults):
    run = faults.runs["full"]
    assert run.child.poll() is None
    assert any(b"cannot write" in line for line in run.stderr)
    assert value(run.scrape(), "joyfuljay_output_errors_total", 'kind="write"') == 1
    run.child.send_signal(signal.SIGINT)
    assert run.child.wait(PATIENCE) == 1
