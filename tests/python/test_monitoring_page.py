"""Every Python block of the monitoring page, verbatim, with what it is to bring about. That of Kafka is in tests/kafka, with a broker."""

import inspect
import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

PACKET = """
from joyfuljay import Packet, Flow
packet = Packet(timestamp=1.0, src_ip="192.168.1.1", dst_ip="10.0.0.1", src_port=12345, dst_port=443, protocol=6,
                payload_len=100, total_len=140)
flow = Flow.from_first_packet(packet)
"""

SCRAPE = """
import urllib.request
text = urllib.request.urlopen("http://localhost:{port}/metrics", timeout=10).read().decode()
samples = dict(l.rsplit(" ", 1) for l in text.splitlines() if l and l[0] != "#")
value = lambda name: float(samples[name])
"""


def test_quick_start(page, run_python, on_free_port):
    block, port = on_free_port(page(0))
    run_python(
        PACKET
        + block
        + SCRAPE.format(port=port)
        + """
assert value("joyfuljay_packets_total") == 1
assert value("joyfuljay_bytes_total") == 140
assert value('joyfuljay_flows_total{reason="completed"}') == 1
assert value("joyfuljay_active_flows") == 42
assert value('joyfuljay_errors_total{stage="parsing"}') == 0
names = [l.split()[2] for l in text.splitlines() if l.startswith("# TYPE")]
assert len(names) == len(set(names)), "a family twice"
assert "process_cpu_seconds_total" in names
"""
    )


def test_with_pipeline_processing(page, run_python, on_free_port, capture):
    block, port = on_free_port(page(1))
    run_python(
        f"import os, shutil; shutil.copy({capture!r}, 'capture.pcap')\n"
        + block
        + SCRAPE.format(port=port)
        + """
import joyfuljay
rows = joyfuljay.extract("capture.pcap", "dict")
assert value("joyfuljay_packets_total") == sum(r["total_packets"] for r in rows) > 0
assert value("joyfuljay_bytes_total") == sum(r["total_bytes"] for r in rows)
assert value('joyfuljay_flows_total{reason="completed"}') == len(rows)
assert value('joyfuljay_processing_duration_seconds_count{mode="pcap"}') == 1
assert value('joyfuljay_processing_duration_seconds_bucket{mode="pcap",le="+Inf"}') == 1
assert 0 < value('joyfuljay_processing_duration_seconds_sum{mode="pcap"}') == elapsed
# Columns of the graph need all flows.
graph = {f["name"] for f in joyfuljay._native.feature_table() if f["group"] == "connection"}
assert {n: v for n, v in features.items() if n not in graph} == {n: v for n, v in rows[-1].items() if n not in graph}
"""
    )


def test_metrics_and_labels_of_the_reference(run_python):
    prometheus = pytest.importorskip("prometheus_client")
    from joyfuljay.monitoring import PrometheusMetrics

    registry = prometheus.CollectorRegistry()
    PrometheusMetrics(registry=registry)
    kinds = {m.name: m.type for m in registry.collect()}
    for name, kind in {
        "packets": "counter",
        "bytes": "counter",
        "flows": "counter",
        "errors": "counter",
        "active_flows": "gauge",
    }.items():
        assert kinds[f"joyfuljay_{name}"] == kind
    labels = {
        ("flows_total", "reason"): ["completed", "timeout", "rst", "fin", "kafka"],
        ("errors_total", "stage"): ["parsing", "extraction", "output"],
    }
    for (name, label), values in labels.items():
        for v in values:
            assert registry.get_sample_value(f"joyfuljay_{name}", {label: v}) == 0.0


def signature(source, name):
    """Parameters of a function that the page shows, as (name, default)."""
    text = re.search(rf"def {name}\((.*?)\) ->", source, re.S).group(1)
    namespace = {"CollectorRegistry": object}
    exec(f"from __future__ import annotations\ndef f({text}): ...", namespace)
    return [(p.name, p.default) for p in inspect.signature(namespace["f"]).parameters.values()]


def test_signatures_of_the_reference(page):
    from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server

    shown = signature(page(2), "__init__")[1:]
    assert [(p.name, p.default) for p in inspect.signature(PrometheusMetrics).parameters.values()] == shown
    shown = signature(page(3), "start_prometheus_server")
    ours = [(p.name, p.default) for p in inspect.signature(start_prometheus_server).parameters.values()]
    assert ours[: len(shown)] == shown


def test_methods_of_the_reference():
    from joyfuljay.monitoring import PrometheusMetrics

    def parameters(name):
        return list(inspect.signature(getattr(PrometheusMetrics, name)).parameters)[1:]

    assert parameters("observe_packet") == ["packet"]
    assert parameters("observe_flow") == ["flow", "reason"]
    assert parameters("observe_processing_time") == ["mode", "seconds"]
    assert parameters("observe_error") == ["stage", "error"]
    assert parameters("set_active_flows") == ["count"]


def test_metrics_sink_protocol(page, capture):
    from joyfuljay import Pipeline
    from joyfuljay.monitoring.base import MetricsSink

    namespace = {}
    exec(page(4), namespace)
    sink = namespace["CustomMetrics"]()
    assert isinstance(sink, MetricsSink)
    Pipeline(metrics=sink).process_pcap(capture, "table")


def test_export_dashboard(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(page(5), {})
    dashboard = json.loads((tmp_path / "joyfuljay-dashboard.json").read_text())
    rows = {
        "Overview": ["Total Packets", "Total Bytes", "Total Flows", "Active Flows", "Total Errors", "Packets/sec"],
        "Throughput": ["Packet Rate", "Byte Rate", "Flows per Minute"],
        "Latency": ["Processing Jobs by Mode"],
        "Errors": ["Errors by Stage", "Flow Completion Reasons", "Error Distribution"],
        "Efficiency": ["Average Packet Size", "Processing Success Rate"],
    }
    titles = [p["title"] for p in dashboard["panels"]]
    for row, panels in rows.items():
        assert row in titles
        for panel in panels:
            assert panel in titles, panel
    assert {"datasource", "job"} <= {v["name"] for v in dashboard["templating"]["list"]}


@pytest.mark.parametrize("uid", [None, "my-prometheus"])
def test_export_by_the_command(jj, tmp_path, uid):
    from joyfuljay.monitoring import export_dashboard

    more = [] if uid is None else ["--datasource-uid", uid]
    done = subprocess.run(
        [jj, "export-dashboard", "-o", "dashboard.json", *more], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if done.returncode == 2 and "unrecognized subcommand" in done.stderr:
        pytest.skip("this build of the command has no export-dashboard")
    assert done.returncode == 0, done.stderr
    assert export_dashboard(tmp_path / "own.json", datasource_uid=uid) == tmp_path / "own.json"
    assert (tmp_path / "dashboard.json").read_text() == (tmp_path / "own.json").read_text()


def test_custom_dashboard(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    from joyfuljay.monitoring import export_dashboard

    exec(page(6), namespace | {"export_dashboard": export_dashboard})
    dashboard = json.loads((tmp_path / "custom-dashboard.json").read_text())
    assert dashboard["title"] == "My Custom Dashboard"
    panels = {p["title"]: p for p in dashboard["panels"]}
    assert panels["Total Errors"]["gridPos"]["w"] == 4
    assert panels["Total Packets"]["targets"][0]["expr"] == "joyfuljay_packets_total"
    assert panels["Packet Rate"]["fieldConfig"]["defaults"]["unit"] == "pps"
    latency = panels["Latency Percentiles"]["targets"]
    assert [t["legendFormat"] for t in latency] == ["p50", "p95", "p99"]
    assert [t["refId"] for t in latency] == ["A", "B", "C"]
    places = [p["gridPos"] for p in dashboard["panels"]]
    for i, a in enumerate(places):
        for b in places[:i]:
            apart = a["x"] >= b["x"] + b["w"] or b["x"] >= a["x"] + a["w"]
            assert apart or a["y"] >= b["y"] + b["h"] or b["y"] >= a["y"] + a["h"]


def test_alerting_rules(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(page(7), namespace)
    written = (tmp_path / "joyfuljay-alerts.yml").read_text()
    assert capsys.readouterr().out == written + "\n"
    for alert in ("JoyfulJayHighErrorRate", "JoyfulJayNoPackets", "JoyfulJayHighActiveFlows"):
        assert f"alert: {alert}" in written
    assert "{{ $value" in written and "{{ $labels.instance }}" in written
    assert "1000" in written


def test_isolated_registries(page):
    prometheus = pytest.importorskip("prometheus_client")
    namespace = {}
    exec(page(8), namespace)
    other = {}
    exec(page(8), other)
    namespace["metrics"].observe_packets(3, 300)
    assert namespace["registry"].get_sample_value("joyfuljay_packets_total") == 3.0
    assert other["registry"].get_sample_value("joyfuljay_packets_total") == 0.0
    assert prometheus.REGISTRY is not namespace["registry"]


def test_testing(page):
    """The page's own test."""
    pytest.importorskip("prometheus_client")
    namespace = {}
    exec(page(9), namespace)
    namespace["test_metrics"]()


@pytest.fixture
def wlan0():
    """A network namespace with a wire whose ends are wlan0 and wlan1."""
    name = f"jj-wlan-{os.getpid()}"

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, timeout=60, check=False)

    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("an interface wlan0 needs root and ip")
    if (made := ip("netns", "add", name)).returncode != 0:
        pytest.skip(f"no network namespace can be made: {made.stderr.strip()}")
    try:
        if (made := ip("-n", name, "link", "add", "wlan0", "type", "veth", "peer", "name", "wlan1")).returncode != 0:
            pytest.skip(f"no wire can be made: {made.stderr.strip()}")
        for link in ("lo", "wlan0", "wlan1"):
            ip("-n", name, "link", "set", link, "up")
        yield ["ip", "netns", "exec", name]
    finally:
        ip("netns", "del", name)


def test_remote_capture_server(page, run_python, wlan0):
    """The page's server is started: what a client of it takes is seen at the page's address."""
    run_python(
        page(10)
        + SCRAPE.format(port=9090)
        + """
import socket, joyfuljay
assert (server.clients, server.bytes_sent, server.drops, server.running) == (0, 0, 0, False)
with server:
    url = server.get_connection_url()
    assert url.startswith("jj://127.0.0.1:8765?token=") and server.token not in repr(server)
    rows = joyfuljay.Pipeline(joyfuljay.Config(features=["flow_meta"], flow_timeout=1)).process_live(url, output_format="stream")
    # A frame of UDP into the other end of the wire, until its flow has ended.
    import struct, threading
    udp = struct.pack(">HHHH", 1000, 53, 12, 0) + b"abcd"
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\\x0a\\0\\0\\1", b"\\x0a\\0\\0\\2")
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("wlan1", 0))
    done = threading.Event()
    def send():
        while not done.wait(0.2):
            if server.clients:
                wire.send(bytes(12) + b"\\x08\\x00" + ip + udp)
                done.wait(2)
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    row = next(row for row in rows if row["src_port"] == 1000)
    assert row["dst_ip"] == "10.0.0.2" and server.clients == 1 and server.bytes_sent > 0
    text = urllib.request.urlopen("http://localhost:9090/metrics", timeout=10).read().decode()
    samples = dict(l.rsplit(" ", 1) for l in text.splitlines() if l and l[0] != "#")
    # Both ends are in this process, and the client counts in no registry.
    assert value("joyfuljay_remote_connections") == 1
    assert 0 < value('joyfuljay_remote_bytes_total{direction="sent"}') <= server.bytes_sent
    assert value('joyfuljay_remote_drops_total{reason="slow_client"}') == 0 == server.drops
    assert value('joyfuljay_capture_packets_total{interface="wlan0"}') > 0
    assert server.token not in text
    done.set()
    thread.join()
    rows.close()
assert not server.running and server.clients == 0
""",
        inside=wlan0,
    )


def test_the_address_of_the_page_answers(run_python):
    """The page's default address is every interface; loopback is one of them."""
    from joyfuljay.monitoring import start_prometheus_server

    with pytest.warns(RuntimeWarning) if first_open_server() else _nothing():
        server = start_prometheus_server(0)
    with server:
        assert server.addr == "0.0.0.0"
        with urllib.request.urlopen(f"http://localhost:{server.port}/", timeout=10) as page:
            assert page.headers["Content-Type"].startswith("text/html")


def first_open_server():
    from joyfuljay.monitoring import prometheus

    return "open" not in prometheus._warned


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None
