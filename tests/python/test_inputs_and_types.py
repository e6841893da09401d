"""What goes in and comes out beside paths and rows: open files, numpy's numbers, types of columns, pickles."""

import gzip
import io
import multiprocessing
import os
import pathlib
import pickle
import stat
import warnings

import joyfuljay
import pytest
from conftest import GROUPS_OF_FLOWS
from joyfuljay import CaptureError, CaptureWarning, Config, ConfigWarning, Flow, Packet, Pipeline
from joyfuljay.extractors import FeatureExtractor
from joyfuljay.monitoring import DashboardBuilder, PrometheusMetrics, export_dashboard

CAPTURES = ["demo.pcap", "tunnels.pcap", "fragments.pcap", "raw_ip.pcap", "few.pcap", "empty.pcap", "demo.pcapng", "snaplen_96.pcap"]


@pytest.fixture
def no_pyarrow(monkeypatch):
    from joyfuljay import _extras

    has = _extras.has
    monkeypatch.setattr(_extras, "has", lambda module: module != "pyarrow" and has(module))


# Inputs


class OneByteAtATime:
    """No file: an object with `read`, as a response of a server is."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, size):
        return self.data.read(min(size, 7))


@pytest.mark.parametrize("kind", ["file", "unbuffered", "bytes", "read", "gzip", "PathLike"])
def test_an_open_binary_file_is_an_input(data, capture, tmp_path, kind):
    want = joyfuljay.extract(capture, "dict")
    content = pathlib.Path(capture).read_bytes()

    class Somewhere:
        def __fspath__(self):
            return capture

    def source():
        return {
            "file": lambda: open(capture, "rb"),
            "unbuffered": lambda: open(capture, "rb", buffering=0),
            "bytes": lambda: io.BytesIO(content),
            "read": lambda: OneByteAtATime(content),
            "gzip": lambda: io.BytesIO(gzip.compress(content)),
            "PathLike": Somewhere,
        }[kind]()

    pipeline = Pipeline()
    assert pipeline.process_pcap(source(), "dict") == want
    assert list(pipeline.iter_features(source())) == want
    assert len(list(pipeline.iter_flows(source()))) == len(want)
    assert pipeline.process_pcap_streaming(source(), tmp_path / "rows.csv") == len(want)
    assert (tmp_path / "rows.csv").stat().st_size > 0


def test_what_cannot_be_read_says_so(capture):
    with pytest.raises(TypeError, match=r"open the file in binary mode, open\(path, 'rb'\)"), open(capture, encoding="latin-1") as text:
        joyfuljay.extract(text)
    with pytest.raises(TypeError, match="io.BytesIO"):
        joyfuljay.extract(b"capture")
    with pytest.raises(TypeError, match="not int"):
        joyfuljay.extract(3)
    with pytest.raises(CaptureError, match="<input>"):
        joyfuljay.extract(io.BytesIO(b"no capture, but long enough to be looked at"))

    class Broken:
        def read(self, size):
            raise LookupError("the server is gone")

    with pytest.raises(LookupError, match="the server is gone"):
        joyfuljay.extract(Broken())

    class Text:
        def read(self, size):
            return "text"

    with pytest.raises(TypeError, match="not bytes"):
        joyfuljay.extract(Text())


def test_a_file_that_is_cut_short_gives_a_warning_of_the_callers_line(data):
    with (data / "cut_short.pcap").open("rb") as file, pytest.warns(CaptureWarning, match="cut_short.pcap") as seen:
        joyfuljay.extract(file, "dict")
    assert seen[0].filename == __file__
    for run in (
        lambda: Pipeline().process_pcap(data / "cut_short.pcap", "dict"),
        lambda: list(Pipeline().iter_features(data / "cut_short.pcap")),
    ):
        with pytest.warns(CaptureWarning) as seen:
            run()
        assert seen[0].filename == __file__


# Configurations


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    config = Config(
        max_concurrent_flows=numpy.int64(1000),
        num_workers=numpy.uint8(2),
        flow_timeout=numpy.float32(30),
        active_timeout=numpy.int32(120),
        terminate_on_fin_rst=numpy.bool_(False),
        features=numpy.array(["timing", "tcp"]),
    )
    assert config == Config(
        max_concurrent_flows=1000, num_workers=2, flow_timeout=30.0, active_timeout=120, terminate_on_fin_rst=False, features=config.features
    )
    config.flow_timeout = numpy.int16(5)
    assert config.to_dict()["flow_timeout"] == 5 and list(config.to_dict()["features"]) == ["timing", "tcp"]
    with pytest.raises(ValueError, match="finite"):
        Config(flow_timeout=numpy.float32("nan"))


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_salt_is_written_for_its_owner_only(tmp_path):
    for write in (Config.to_json, Config.to_yaml):
        path = tmp_path / write.__name__
        path.touch(mode=0o644)
        write(Config(anonymize_ips=True, anonymization_salt="a long secret"), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert Config.from_file(path).anonymization_salt == "a long secret"
        write(Config(), tmp_path / "plain")
        assert stat.S_IMODE((tmp_path / "plain").stat().st_mode) != 0o600


def test_the_options_are_in_the_help():
    assert all(name in Config.__doc__ for name in Config().to_dict())


def test_a_changed_configuration_holds_for_the_next_run(capture):
    pipeline = Pipeline(Config(features=["timing"]))
    first = pipeline.process_pcap(capture, "dict")
    pipeline.config.features = ["tcp"]
    assert set(first[0]).isdisjoint(pipeline.process_pcap(capture, "dict")[0])
    assert pipeline.get_feature_names() == list(pipeline.process_pcap(capture, "dict")[0])
    pipeline.config.flow_timeout = -5
    with pytest.raises(ValueError, match="flow_timeout"):
        pipeline.process_pcap(capture)


# Types of columns


@pytest.mark.parametrize("missing", ["null", "zero"])
@pytest.mark.parametrize("backend", [None, "numpy_nullable", "pyarrow"])
def test_types_of_a_data_frame_do_not_depend_on_the_capture(data, backend, missing):
    pandas = pytest.importorskip("pandas")
    pipeline = Pipeline(Config(features=["all", "tunnel"], include_flow_id=True, missing=missing))
    frames = [pipeline.process_pcap(data / name, dtype_backend=backend) for name in CAPTURES]
    for frame in frames:
        pandas.testing.assert_series_equal(frame.dtypes, frames[0].dtypes)
    types = frames[0].dtypes.astype(str)
    numbers = set(pipeline.process_pcap(data / "few.pcap", "table").numeric_columns)
    assert set(frames[0].select_dtypes(["number", "bool"]).columns) == numbers
    want = {
        (None, "null"): ("int64", "Int64", "bool", "boolean"),
        (None, "zero"): ("int64", "int64", "bool", "bool"),
        ("numpy_nullable", "null"): ("Int64", "Int64", "boolean", "boolean"),
        ("numpy_nullable", "zero"): ("Int64", "Int64", "boolean", "boolean"),
        ("pyarrow", "null"): ("int64[pyarrow]", "int64[pyarrow]", "bool[pyarrow]", "bool[pyarrow]"),
        ("pyarrow", "zero"): ("int64[pyarrow]", "int64[pyarrow]", "bool[pyarrow]", "bool[pyarrow]"),
    }[backend, missing]
    assert tuple(types[n] for n in ("total_packets", "src_port", "tcp_is_tcp", "tcp_reset_close")) == want


@pytest.mark.parametrize("backend", [None, "numpy_nullable"])
@pytest.mark.parametrize("config", [{}, {"missing": "zero"}, {"bidirectional_split": True}, {"include_splt": True}])
def test_types_and_values_are_the_same_without_pyarrow(data, monkeypatch, config, backend):
    pandas = pytest.importorskip("pandas")
    from joyfuljay import _extras

    pipeline = Pipeline(Config(**config))
    has = _extras.has
    for name in CAPTURES:
        monkeypatch.setattr(_extras, "has", has)
        with_arrow = pipeline.process_pcap(data / name, dtype_backend=backend)
        monkeypatch.setattr(_extras, "has", lambda module: module != "pyarrow" and has(module))
        pandas.testing.assert_frame_equal(with_arrow, pipeline.process_pcap(data / name, dtype_backend=backend))


def test_every_column_has_a_type_and_a_reference(capture):
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    frame = joyfuljay.extract(capture)
    assert len(frame.columns) >= 401 and len(frame) > 20
    kinds = {meta.name: meta.dtype for meta in joyfuljay.schema.all_feature_meta().values()}
    for name in frame.columns:
        number = pandas.api.types.is_numeric_dtype(frame[name]) or pandas.api.types.is_bool_dtype(frame[name])
        assert number == (kinds[name] != "string"), f"{name} is {frame[name].dtype}"
    schema = pyarrow.schema(Pipeline().process_pcap(capture, "table"))
    for field in schema:
        meta = joyfuljay.describe(field.name)
        said = {key.decode(): text.decode() for key, text in field.metadata.items()}
        assert (said["formula"], said["null"], said["range"]) == (meta.formula, meta.null_rule, meta.value_range)


def test_what_the_command_notes_is_a_warning():
    with pytest.warns(ConfigWarning, match="in clear stay .*tls_sni") as seen:
        pipeline = Pipeline(Config(anonymize_ips=True, anonymization_salt="s"))
        pipeline.get_feature_names()
    assert len(seen) == 1 and seen[0].filename == __file__


class Longest(FeatureExtractor):
    feature_names = ["longest", "never"]

    def extract(self, flow):
        return {"longest": max(p.total_len for p in flow.packets)}


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize("backend", [None, "numpy_nullable"])
def test_features_of_the_users_own_leave_the_types(capture, request, arrow, backend):
    pandas = pytest.importorskip("pandas")
    if not arrow:
        request.getfixturevalue("no_pyarrow")
    own = Pipeline(Config(features=GROUPS_OF_FLOWS), extractors=[Longest()]).process_pcap(capture, dtype_backend=backend)
    native = joyfuljay.extract(capture, features=GROUPS_OF_FLOWS, dtype_backend=backend)
    pandas.testing.assert_frame_equal(own.drop(columns=["longest", "never"]), native)
    assert own["longest"].dtype == ("int64" if backend is None else "Int64")


def test_a_backend_that_there_is_not_is_said(capture):
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="numpy_nullable or pyarrow"):
        joyfuljay.extract(capture, dtype_backend="numpy")
    with pytest.raises(ValueError, match="is of a DataFrame"):
        joyfuljay.extract(capture, "dict", dtype_backend="pyarrow")


# Pickles


def rows_of(pipeline, path):
    return pipeline.process_pcap(path, "dict")


@pytest.mark.parametrize("extractors", [(), (Longest(),)])
def test_a_pipeline_goes_to_another_process(capture, extractors):
    pipeline = Pipeline(Config(features=["timing"], flow_timeout=5), extractors=extractors)
    want = pipeline.process_pcap(capture, "dict")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(rows_of, (pipeline, capture)) == want


def test_a_pickled_pipeline_keeps_its_metrics():
    copy = pickle.loads(pickle.dumps(Pipeline(metrics=PrometheusMetrics("pickled"))))
    assert copy.metrics.namespace == "pickled" and copy.last_run is None
    client = pytest.importorskip("prometheus_client")
    with pytest.raises(TypeError, match="registry of your own"):
        pickle.dumps(Pipeline(metrics=PrometheusMetrics(registry=client.CollectorRegistry())))


# What is said of mistakes


def test_what_is_no_sink_of_metrics_is_said_at_once():
    with pytest.raises(TypeError, match="metrics: object has no observe_packet, observe_flow"):
        Pipeline(metrics=object())


def test_a_feature_that_the_extractor_does_not_have_is_said(capture):
    class Misspelt(FeatureExtractor):
        feature_names = ["packets"]

        def extract(self, flow):
            return {"pakets": flow.total_packets}

    with pytest.raises(ValueError, match="Misspelt.extract gave 'pakets', which its feature_names do not have: packets"):
        Pipeline(extractors=[Misspelt()]).process_pcap(capture)


def test_a_flow_is_shown_from_its_initiator():
    packet = Packet(0.0, "198.51.100.2", "192.0.2.1", 40000, 80, 6, 0, 60)
    flow = Flow.from_first_packet(packet)
    assert repr(flow) == "<joyfuljay.Flow 198.51.100.2:40000 -> 192.0.2.1:80 (6): 1 packets, 60 bytes>"
    six = Flow.from_first_packet(Packet(0.0, "2001:db8::2", "2001:db8::1", 40000, 443, 17, 0, 60))
    assert "[2001:db8::2]:40000 -> [2001:db8::1]:443 (17)" in repr(six)


# Dashboards


def test_a_dashboard_has_what_the_older_one_had(tmp_path):
    builder = DashboardBuilder("My Dashboard")
    assert (builder.title, builder.uid, builder.refresh, builder.panels) == ("My Dashboard", "my-dashboard", "10s", [])
    builder.add_row("Row").add_stat_panel("Packets", "joyfuljay_packets_total").add_graph_panel("Rate", "rate(joyfuljay_packets_total[1m])")
    assert [p["title"] for p in builder.panels] == ["Row", "Packets", "Rate"]
    assert builder.build()["panels"] == builder.panels and builder.build()["panels"] is not builder.panels
    builder.title, builder.uid, builder.panels[1]["title"] = "Another", "another", "All packets"
    built = builder.build()
    assert (built["title"], built["uid"], built["panels"][1]["title"]) == ("Another", "another", "All packets")
    assert DashboardBuilder("A", uid="given").uid == "given"

    path = tmp_path / "new" / "folders" / "dashboard.json"
    assert export_dashboard(path, built) == path and path.exists()


def test_a_collector_that_raises_takes_no_other_with_it():
    client = pytest.importorskip("prometheus_client")
    import urllib.request

    from joyfuljay.monitoring import prometheus, start_prometheus_server

    registry = client.CollectorRegistry()
    PrometheusMetrics(registry=registry)
    client.Counter("mine", "Mine.", registry=registry).inc(3)

    class Raises:
        def describe(self):
            return []

        def collect(self):
            raise LookupError("no")

    registry.register(Raises())
    client.Gauge("other", "Other.", registry=registry).set(4)
    prometheus._warned.discard("collector")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with start_prometheus_server(0, "127.0.0.1", registry=registry) as server:
            for _ in range(2):
                with urllib.request.urlopen(server.url + "metrics", timeout=30) as answer:
                    text = answer.read().decode()
    assert "mine_total 3.0\n" in text and "other 4.0\n" in text
    # The second scrape shows what the first counted.
    assert "joyfuljay_sink_errors_total 1\n" in text or "joyfuljay_sink_errors_total 2\n" in text
