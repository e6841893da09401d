"""Metrics from Python: registries, values, servers, sinks of the user's own."""

import gc
import os
import socket
import threading
import urllib.error
import urllib.request

import joyfuljay
import pytest
from joyfuljay import Config, Packet, Pipeline
from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server

prometheus = pytest.importorskip("prometheus_client")


def packet(total_len=140):
    return Packet(
        timestamp=1.0,
        src_ip="192.168.1.1",
        dst_ip="10.0.0.1",
        src_port=12345,
        dst_port=443,
        protocol=6,
        payload_len=100,
        total_len=total_len,
    )


@pytest.fixture
def registry():
    return prometheus.CollectorRegistry()


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def test_a_second_object_is_a_second_handle(registry):
    a, b = PrometheusMetrics(registry=registry), PrometheusMetrics(registry=registry)
    a.observe_packet(packet())
    b.observe_packet(packet(60))
    assert registry.get_sample_value("joyfuljay_packets_total") == 2.0
    assert registry.get_sample_value("joyfuljay_bytes_total") == 200.0
    assert a.registry is b.registry is registry


def test_the_default_registries_meet():
    metrics = PrometheusMetrics()
    before = prometheus.REGISTRY.get_sample_value("joyfuljay_packets_total")
    metrics.observe_packet(packet())
    assert prometheus.REGISTRY.get_sample_value("joyfuljay_packets_total") == before + 1
    assert metrics.registry is prometheus.REGISTRY


def test_a_falsy_registry_is_a_registry():
    class Falsy(prometheus.CollectorRegistry):
        def __bool__(self):
            return False

    registry = Falsy()
    PrometheusMetrics(registry=registry).observe_packet(packet())
    assert registry.get_sample_value("joyfuljay_packets_total") == 1.0


def test_namespaces_share_a_registry(registry):
    PrometheusMetrics("one", registry).observe_packet(packet())
    PrometheusMetrics("two", registry)
    assert registry.get_sample_value("one_packets_total") == 1.0
    assert registry.get_sample_value("two_packets_total") == 0.0


def test_a_foreign_clash_raises_and_leaves_no_trace(registry):
    prometheus.Counter("joyfuljay_packets", "Somebody else's.", registry=registry)
    with pytest.raises(ValueError, match="(?i)duplicated"):
        PrometheusMetrics(registry=registry)
    assert "joyfuljay_bytes_total" not in prometheus.generate_latest(registry).decode()
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        PrometheusMetrics("9 lives", registry)


def test_a_foreign_collector_after_us_is_refused(registry):
    PrometheusMetrics(registry=registry)
    with pytest.raises(ValueError, match="(?i)duplicated"):
        prometheus.Counter("joyfuljay_packets", "Somebody else's.", registry=registry)


def test_an_unregistered_collector_comes_back(registry):
    metrics = PrometheusMetrics(registry=registry)
    metrics.observe_packet(packet())
    for collector in list(registry._collector_to_names):
        registry.unregister(collector)
    assert prometheus.generate_latest(registry) == b""
    PrometheusMetrics(registry=registry)
    assert registry.get_sample_value("joyfuljay_packets_total") == 1.0


def test_texts_of_prometheus_client(registry):
    metrics = PrometheusMetrics(registry=registry)
    metrics.observe_processing_time("pcap", 0.02)
    text = prometheus.generate_latest(registry).decode()
    assert "joyfuljay_packets_total 0.0\n" in text
    assert "_created" not in text
    assert 'joyfuljay_processing_duration_seconds_bucket{le="0.025",mode="pcap"} 1.0' in text
    assert 'joyfuljay_processing_duration_seconds_bucket{le="0.01",mode="pcap"} 0.0' in text
    assert 'joyfuljay_processing_duration_seconds_bucket{le="86400.0",mode="pcap"} 1.0' in text
    assert 'joyfuljay_processing_duration_seconds_bucket{le="+Inf",mode="pcap"} 1.0' in text
    assert 'joyfuljay_processing_duration_seconds_count{mode="pcap"} 1.0' in text
    from prometheus_client.openmetrics.exposition import generate_latest
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    parsed = {m.name: m for m in text_string_to_metric_families(generate_latest(registry).decode())}
    assert parsed["joyfuljay_packets"].type == "counter"


def test_restricted_registries(registry):
    PrometheusMetrics(registry=registry).observe_packet(packet())
    text = prometheus.generate_latest(registry.restricted_registry(["joyfuljay_packets_total"])).decode()
    assert [line for line in text.splitlines() if line[0] != "#"] == ["joyfuljay_packets_total 1.0"]


def test_the_server_of_prometheus_client(registry):
    PrometheusMetrics(registry=registry).observe_packet(packet())
    started = prometheus.start_http_server(0, "127.0.0.1", registry=registry)
    if started is None:
        pytest.skip("this prometheus_client does not give its port")
    server, thread = started
    try:
        text = get(f"http://127.0.0.1:{server.server_port}/metrics?name[]=joyfuljay_packets_total")
        assert "joyfuljay_packets_total 1.0" in text and "bytes" not in text
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("bad", [-1, -0.5, float("nan"), float("inf"), float("-inf")])
def test_values_that_would_spoil_a_counter_are_refused(registry, bad):
    metrics = PrometheusMetrics(registry=registry)
    before = prometheus.generate_latest(registry)

    class Odd:
        total_len = bad

    for call in (
        lambda: metrics.observe_packet(Odd()),
        lambda: metrics.observe_packets(1, bad),
        lambda: metrics.observe_packets(bad, 1),
        lambda: metrics.observe_processing_time("pcap", bad),
        lambda: metrics.set_active_flows(bad),
    ):
        with pytest.raises(ValueError):
            call()
    assert prometheus.generate_latest(registry) == before


def test_packets_and_flows_of_any_type(registry):
    metrics = PrometheusMetrics(registry=registry)

    class Theirs:
        total_len = 60.0

    metrics.observe_packet(Theirs())
    metrics.observe_flow(None, "mine")
    metrics.observe_error("mine", ValueError("x"))
    metrics.observe_error("mine")
    metrics.observe_processing_time("batch", 1)
    assert registry.get_sample_value("joyfuljay_bytes_total") == 60.0
    assert registry.get_sample_value("joyfuljay_flows_total", {"reason": "mine"}) == 1.0
    assert registry.get_sample_value("joyfuljay_errors_total", {"stage": "mine"}) == 2.0
    with pytest.raises(AttributeError, match="total_len"):
        metrics.observe_packet(object())
    with pytest.raises(TypeError):
        metrics.observe_packets("many", 1)


def test_threads_lose_no_count(registry):
    metrics = PrometheusMetrics(registry=registry)
    one = packet()

    def count():
        for _ in range(10_000):
            metrics.observe_packet(one)

    threads = [threading.Thread(target=count) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert registry.get_sample_value("joyfuljay_packets_total") == 40_000.0


@pytest.mark.parametrize("features", [["all"], ["flow_meta"], ["timing"], ["tcp", "size"]])
@pytest.mark.parametrize("mode", ["table", "dict", "batch", "stream", "batches", "file", "flows", "flows without packets"])
def test_every_mode_counts_by_itself(registry, capture, tmp_path, features, mode):
    metrics = PrometheusMetrics(registry=registry)
    pipeline = Pipeline(Config(features=features), metrics=metrics)
    {
        "table": lambda: pipeline.process_pcap(capture, "table"),
        "dict": lambda: pipeline.process_pcap(capture, "dict"),
        "batch": lambda: pipeline.process_pcaps_batch([capture], "table"),
        "stream": lambda: list(pipeline.iter_features(capture)),
        "batches": lambda: list(pipeline.process_pcap_streaming(capture, output_format="table")),
        "file": lambda: pipeline.process_pcap_streaming(capture, tmp_path / "rows.csv"),
        "flows": lambda: list(pipeline.iter_flows(capture)),
        "flows without packets": lambda: list(pipeline.iter_flows(capture, keep_packets=False)),
    }[mode]()
    rows = joyfuljay.extract(capture, "dict")
    value = registry.get_sample_value
    assert value("joyfuljay_packets_total") == sum(r["total_packets"] for r in rows)
    assert value("joyfuljay_bytes_total") == sum(r["total_bytes"] for r in rows)
    label = {"end_of_input": "completed", "idle": "timeout", "active": "timeout"}
    for reason in ("fin", "rst", "timeout", "completed", "evicted"):
        ended = [r for r in rows if label.get(r["end_reason"], r["end_reason"]) == reason]
        assert value("joyfuljay_flows_total", {"reason": reason}) == len(ended), reason
    assert value("joyfuljay_processing_duration_seconds_count", {"mode": "pcap"}) == 1.0
    assert value("joyfuljay_runs_total", {"mode": "pcap", "result": "success"}) == 1.0
    assert value("joyfuljay_active_flows") == 0.0
    assert value("joyfuljay_errors_total", {"stage": "parsing"}) == 0.0


def test_errors_of_a_run_are_counted(registry, data, tmp_path):
    pipeline = Pipeline(metrics=PrometheusMetrics(registry=registry))
    with pytest.warns(joyfuljay.CaptureWarning, match="cut_short"):
        pipeline.process_pcap(data / "cut_short.pcap", "table")
    assert registry.get_sample_value("joyfuljay_errors_total", {"stage": "parsing"}) == 1.0


def test_runs_that_cannot_begin_are_counted(registry, capture, tmp_path):
    def value(name, **labels):
        return registry.get_sample_value(name, labels)

    (tmp_path / "notes.txt").write_text("notes")
    pipeline = Pipeline(metrics=PrometheusMetrics(registry=registry))
    for attempt in (
        lambda: pipeline.process_pcap(tmp_path / "none.pcap", "table"),
        lambda: pipeline.process_pcap(tmp_path / "notes.txt", "table"),
        lambda: next(pipeline.iter_flows(tmp_path / "none.pcap")),
        lambda: next(iter(pipeline.iter_features(tmp_path / "none.pcap"))),
    ):
        with pytest.raises((OSError, joyfuljay.CaptureError)):
            attempt()
    assert value("joyfuljay_errors_total", stage="parsing") == 4.0
    with pytest.raises(OSError):
        pipeline.process_pcap_streaming(capture, tmp_path / "none" / "o.csv")
    assert value("joyfuljay_errors_total", stage="output") == 1.0
    assert value("joyfuljay_runs_total", mode="pcap", result="failure") == 5.0
    with pytest.raises(ValueError, match="one of the captures"):
        pipeline.process_pcap_streaming(capture, capture, "csv")


def test_an_iteration_that_is_left_is_a_cancelled_run(registry, capture):
    pipeline = Pipeline(metrics=PrometheusMetrics(registry=registry))
    flows = pipeline.iter_flows(capture)
    next(flows)
    flows.close()
    results = {r: registry.get_sample_value("joyfuljay_runs_total", {"mode": "pcap", "result": r}) for r in ("failure", "cancelled")}
    assert results == {"failure": 0.0, "cancelled": 1.0}
    assert registry.get_sample_value("joyfuljay_active_flows") == 0.0


class Counting:
    """A sink of the user's own, with the five methods."""

    def __init__(self):
        self.packets = self.bytes = self.active = 0
        self.flows, self.errors, self.seconds = {}, {}, []

    def observe_packet(self, packet):
        self.packets += 1
        self.bytes += packet.total_len

    def observe_flow(self, flow, reason):
        self.flows[reason] = self.flows.get(reason, 0) + 1

    def observe_processing_time(self, mode, seconds):
        self.seconds.append((mode, seconds))

    def observe_error(self, stage, error=None):
        self.errors[stage] = self.errors.get(stage, 0) + 1

    def set_active_flows(self, count):
        self.active = count


class Bulk(Counting):
    def observe_packets(self, count, bytes):
        self.packets += count
        self.bytes += bytes

    def observe_flows(self, reason, count):
        self.flows[reason] = self.flows.get(reason, 0) + count


@pytest.mark.parametrize("kind", [Counting, Bulk])
@pytest.mark.parametrize("mode", ["table", "stream", "flows"])
def test_a_sink_of_the_users_own(capture, kind, mode):
    sink = kind()
    pipeline = Pipeline(metrics=sink)
    {
        "table": lambda: pipeline.process_pcap(capture, "table"),
        "stream": lambda: list(pipeline.iter_features(capture)),
        "flows": lambda: list(pipeline.iter_flows(capture)),
    }[mode]()
    rows = joyfuljay.extract(capture, "dict")
    assert sink.packets == sum(r["total_packets"] for r in rows)
    assert sink.bytes == sum(r["total_bytes"] for r in rows)
    assert sum(sink.flows.values()) == len(rows)
    assert sink.active == 0 and sink.errors == {}
    assert [mode for mode, _ in sink.seconds] == ["pcap"]


def test_a_subclass_with_a_method_of_its_own_is_asked(registry, capture):
    class Mine(PrometheusMetrics):
        seen = 0

        def observe_flow(self, flow, reason):
            Mine.seen += 1
            super().observe_flow(flow, reason)

    Pipeline(metrics=Mine(registry=registry)).process_pcap(capture, "table")
    rows = joyfuljay.extract(capture, "dict")
    assert Mine.seen == len(rows)
    assert registry.get_sample_value("joyfuljay_packets_total") == sum(r["total_packets"] for r in rows)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_failing_sink_stops_nothing_and_is_counted(capture):
    class Broken(Bulk):
        def observe_packets(self, count, bytes):
            raise RuntimeError("full disk")

        observe_flows = observe_packets

    pipeline = Pipeline(metrics=Broken())
    table = pipeline.process_pcap(capture, "table")
    assert len(table) == len(joyfuljay.extract(capture, "dict"))
    assert pipeline._engine.sink_errors() >= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_loses_one_call_of_a_sink(capture):
    class First:
        seen = 0

        def observe_packet(self, packet):
            self.seen += 1
            if self.seen == 1:
                raise RuntimeError("not yet")

        def __getattr__(self, name):
            if name in ("observe_packets", "observe_flows"):
                raise AttributeError(name)
            return lambda *_: None

    sink = First()
    pipeline = Pipeline(metrics=sink)
    pipeline.process_pcap(capture, "table")
    assert sink.seen == pipeline.last_run.packets
    assert pipeline._engine.sink_errors() == 1


def test_a_scrape_does_not_wait_for_python_where_nothing_of_pythons_is(registry):
    metrics = PrometheusMetrics(registry=registry)
    waited = threading.Event()
    with start_prometheus_server(0, "127.0.0.1", registry) as server:
        assert "joyfuljay_packets_total 0\n" in get(server.url + "metrics")
        metrics.observe_packet(packet())

        class Holds:
            """Blocks callers of Python, as code that does not release the interpreter does."""

            def collect(self):
                waited.wait(20)
                return []

        registry.register(Holds())
        waited.clear()
        assert "joyfuljay_packets_total 1\n" in get(server.url + "metrics"), "without what is late"
        waited.set()


def test_the_server_shows_foreign_collectors_once(registry):
    metrics = PrometheusMetrics(registry=registry)
    metrics.observe_packet(packet())
    prometheus.Counter("theirs", "Somebody else's.", ["a"], registry=registry).labels('x"\n').inc(3)
    with start_prometheus_server(0, "127.0.0.1", registry) as server:
        text = get(server.url + "metrics")
        assert "joyfuljay_packets_total 1\n" in text
        assert 'theirs_total{a="x\\"\\n"} 3.0' in text
        assert text.count("# TYPE joyfuljay_packets_total ") == 1
        openmetrics = get(server.url + "metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert openmetrics.endswith("# EOF\n") and openmetrics.count("# EOF") == 1
        assert "theirs_total" in openmetrics
        from prometheus_client.openmetrics.parser import text_string_to_metric_families

        assert {"theirs", "joyfuljay_packets"} <= {m.name for m in text_string_to_metric_families(openmetrics)}
        one = get(server.url + "metrics?name[]=theirs_total")
        assert "theirs_total" in one and "joyfuljay" not in one


def test_a_foreign_collector_that_raises_or_hangs_does_not_take_ours(registry):
    metrics = PrometheusMetrics(registry=registry)
    hang = threading.Event()

    class Slow:
        def collect(self):
            hang.wait(20)
            raise RuntimeError("no")

    registry.register(Slow())
    with start_prometheus_server(0, "127.0.0.1", registry) as server:
        metrics.observe_packet(packet())
        assert "joyfuljay_packets_total 1" in get(server.url + "metrics")
        hang.set()
        assert "joyfuljay_packets_total 1" in get(server.url + "metrics")


def test_a_taken_port_is_an_os_error_that_says_why():
    with start_prometheus_server(0, "127.0.0.1") as server:
        with pytest.raises(OSError, match="another program has the port") as caught:
            start_prometheus_server(server.port, "127.0.0.1")
    assert caught.value.errno is not None
    assert server.closed
    with pytest.raises(urllib.error.URLError):
        get(server.url)
    with start_prometheus_server(server.port, "127.0.0.1"):
        pass
    with pytest.raises(OverflowError):
        start_prometheus_server(70_000)


def test_a_server_outlives_its_handle():
    port = start_prometheus_server(0, "127.0.0.1").port
    gc.collect()
    assert "joyfuljay" in get(f"http://127.0.0.1:{port}/metrics")
    from joyfuljay.monitoring import prometheus as module

    [s.close() for s in module._servers if s.port == port]
    module._servers.clear()


def test_basic_authentication_by_web_config(tmp_path):
    config = tmp_path / "web.yml"
    # The password is "secret".
    config.write_text("basic_auth_users:\n  me: $2b$04$1mqmUwDEeiPKoTCgMqWVs.Qk0GgZlQ7nMaVRl7EKW.nMqvIDmIJfe\n")
    with start_prometheus_server(0, "127.0.0.1", web_config=config) as server:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(server.url + "metrics")
        assert server.warning is None
    config.write_text("basic_auth: x\n")
    with pytest.raises(ValueError, match="web.yml"):
        start_prometheus_server(0, "127.0.0.1", web_config=config)


def test_native_families_do_not_wait_for_the_interpreter(run_python):
    """A thread that never gives up the interpreter lock does not keep native families from being shown."""
    run_python(
        """
import socket, sys, threading, time
from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server
sys.modules["prometheus_client"] = None  # as if it were not installed
metrics = PrometheusMetrics()
assert metrics.registry is None
server = start_prometheus_server(0, "127.0.0.1")
metrics.observe_packets(7, 700)
s = socket.create_connection(("127.0.0.1", server.port))
sys.setswitchinterval(1000)
s.sendall(b"GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
until = time.monotonic() + 0.5
while time.monotonic() < until:  # holds the lock
    pass
s.setblocking(False)
answer = s.recv(1 << 20)
assert b"joyfuljay_packets_total 7" in answer, answer
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_no_server_and_ends_well(run_python):
    run_python(
        """
import os, urllib.request
from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server
metrics = PrometheusMetrics()
server = start_prometheus_server(0, "127.0.0.1")
child = os.fork()
if child == 0:
    assert server.closed
    metrics.observe_packets(5, 5)
    with start_prometheus_server(0, "127.0.0.1") as own:
        assert b"joyfuljay_packets_total 5" in urllib.request.urlopen(own.url + "metrics").read()
    raise SystemExit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert b"joyfuljay_packets_total 0" in urllib.request.urlopen(server.url + "metrics").read()
server.close()
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_keep_the_port(run_python):
    run_python(
        """
import os, signal, socket
from joyfuljay.monitoring import start_prometheus_server
server = start_prometheus_server(0, "127.0.0.1")
ready, told = os.pipe()
child = os.fork()
if child == 0:
    os.write(told, b"x")
    signal.pause()
os.read(ready, 1)
server.close()
try:
    with start_prometheus_server(server.port, "127.0.0.1"):
        pass
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""
    )


def test_the_warning_for_an_open_address_comes_once(run_python):
    done = run_python(
        "from joyfuljay.monitoring import *\n"
        "start_prometheus_server(0)\nstart_prometheus_server(0)\nstart_prometheus_server(0, '127.0.0.1')"
    )
    assert done.stderr.count("can be read by anyone") == 1


def test_half_open_connections_do_not_stop_a_scrape(registry):
    PrometheusMetrics(registry=registry)
    with start_prometheus_server(0, "127.0.0.1", registry) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        assert "joyfuljay_packets_total" in get(server.url + "metrics")
        [s.close() for s in silent]
