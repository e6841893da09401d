"""The pipeline from Python: every form of rows, flows, packets, errors, Ctrl-C, and the package as it is installed."""

import csv
import dataclasses
import gzip
import inspect
import io
import json
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings

import joyfuljay
import pytest
from conftest import without_graph
from joyfuljay import CaptureError, CaptureWarning, Config, FeatureGroup, Flow, FlowKey, Packet, Pipeline
from joyfuljay.extractors import FeatureExtractor


@pytest.fixture(scope="module")
def rows(capture):
    return joyfuljay.extract(capture, "dict")


# The surface


def test_names_at_the_top():
    for name in ("Config", "FeatureGroup", "Packet", "Flow", "FlowKey", "Pipeline", "extract", "extract_live"):
        assert name in joyfuljay.__all__ and hasattr(joyfuljay, name)
    from joyfuljay.core.config import Config as config
    from joyfuljay.core.flow import Flow as flow
    from joyfuljay.core.packet import Packet as packet
    from joyfuljay.core.pipeline import Pipeline as pipeline

    assert (config, flow, packet, pipeline) == (Config, Flow, Packet, Pipeline)
    assert all(hasattr(joyfuljay, n) for n in joyfuljay.__all__)


def test_what_comes_later_says_so(capture):
    with pytest.raises(TypeError, match="backend"):
        Pipeline(backend="scapy")


def test_a_filter_chooses_packets(capture):
    try:
        pipeline = Pipeline(Config(bpf_filter="udp port 53"))
        rows = pipeline.process_pcap(capture, "dict")
    except RuntimeError as e:
        if "libpcap" not in str(e):
            raise
        pytest.skip(str(e))
    assert rows and {(row["protocol"], row["dst_port"]) for row in rows} == {(17, 53)}
    flows = list(pipeline.iter_flows(capture))
    assert len(flows) == len(rows)
    with pytest.raises(ValueError, match="filter 'udp prot 53'"):
        joyfuljay.extract(capture, "dict", bpf_filter="udp prot 53")


def test_the_keywords_are_the_options_of_the_engine():
    defaults = json.loads(joyfuljay._native.config_defaults())
    assert Config().to_dict() == defaults
    assert [f.name for f in dataclasses.fields(Config)] == [name for name, _, _ in joyfuljay._native.config_keys()]
    assert {g.value for g in FeatureGroup} - {"ja4plus"} == {"all", *joyfuljay._native.feature_groups()} - {"ja4plus"}
    assert "flow_timeout" in inspect.signature(Config).parameters


def test_the_salt_is_not_shown():
    config = Config(anonymize_ips=True, anonymization_salt="secret")
    assert "secret" not in repr(config) and "anonymize_ips=True" in repr(config)
    assert config != Config(anonymize_ips=True, anonymization_salt="other")
    assert pickle.loads(pickle.dumps(config)) == config == dataclasses.replace(config)
    assert config.to_dict()["anonymization_salt"] == "secret"


def test_configurations_are_checked_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"unknown option 'flow_timout' \(did you mean 'flow_timeout'\?\)"):
        Config(flow_timout=3)
    with pytest.raises(ValueError, match="unknown option"):
        joyfuljay.extract("x.pcap", flow_timout=3)
    with pytest.raises(ValueError, match=r"unknown option 'worker'; help\(joyfuljay.Config\) has them"):
        Config(worker=2)
    with pytest.raises(ValueError, match="a column that bidirectional_split adds$"):
        Config(specific_features=["direction"])
    with pytest.raises(ValueError, match="flow_timeout = -1"):
        Config(flow_timeout=-1)
    with pytest.raises(ValueError, match="flow_timeout = nan"):
        Config(flow_timeout=float("nan"))
    with pytest.raises(ValueError, match="flow_timeout.*must be a number"):
        Config(flow_timeout="long")
    with pytest.raises(ValueError, match="did you mean 'timing'"):
        Config(features=["timming"])
    with pytest.raises(ValueError, match="ja4plus"):
        Config(features=["ja4plus"])
    with pytest.raises(ValueError, match="num_workers"):
        Config(num_workers=-1)
    assert Config(max_concurrent_flows=0).max_concurrent_flows == 2_000_000
    config = Config(features=[FeatureGroup.TIMING, "tcp"], flow_timeout=5)
    config.to_json(tmp_path / "c.json")
    assert Config.from_file(tmp_path / "c.json") == Config.from_dict(config.to_dict())
    (tmp_path / "c.toml").write_text("flow_timeout = 5\nfeatures = ['timing', 'tcp']\n")
    assert Config.from_file(tmp_path / "c.toml").to_dict() == config.to_dict()
    with pytest.raises(FileNotFoundError):
        Config.from_file(tmp_path / "nothing.toml")


# Rows


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def same(text, value):
    """A CSV field against a value: numbers by value, as there are several ways to write one."""
    if isinstance(value, float):
        return text != "" and float(text) == value
    return text == text_of(value)


def test_rows_are_those_of_the_command(jj, capture, rows):
    done = subprocess.run([jj, "extract", capture, "-q"], capture_output=True, text=True, check=True)
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(lines) == len(rows) > 0
    for line, row in zip(lines, rows, strict=True):
        assert list(line) == list(row)
        wrong = {n: (line[n], v) for n, v in row.items() if not same(line[n], v)}
        assert wrong == {}


def test_a_data_frame(capture, rows):
    pandas = pytest.importorskip("pandas")
    frame = joyfuljay.extract(capture)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == Pipeline().get_feature_names()
    for (_, have), want in zip(frame.iterrows(), rows, strict=True):
        for name, value in want.items():
            assert (pandas.isna(have[name]) if value is None else have[name] == value), name
    assert frame["total_packets"].dtype == "int64"


def test_a_data_frame_without_pyarrow(capture):
    pandas = pytest.importorskip("pandas")
    from joyfuljay import _extras

    with_arrow = joyfuljay.extract(capture)
    has = _extras.has
    try:
        _extras.has = lambda module: module != "pyarrow" and has(module)
        without = joyfuljay.extract(capture)
    finally:
        _extras.has = has
    pandas.testing.assert_frame_equal(with_arrow, without, check_dtype=False)


def test_polars_arrow_and_numpy(capture, rows):
    pipeline = Pipeline()
    polars = pytest.importorskip("polars")
    assert pipeline.process_pcap(capture, "polars").to_dicts() == rows
    assert isinstance(pipeline.process_pcap(capture, "polars"), polars.DataFrame)
    pytest.importorskip("pyarrow")
    table = pipeline.process_pcap(capture, "arrow")
    assert table.to_pylist() == rows
    assert table.schema.field("iat_mean").metadata[b"unit"] == b"s"
    numpy = pytest.importorskip("numpy")
    matrix = pipeline.process_pcap(capture, "numpy")
    names = pipeline.process_pcap(capture, "table").numeric_columns
    want = [[float("nan") if r[n] is None else float(r[n]) for n in names] for r in rows]
    numpy.testing.assert_array_equal(matrix, numpy.array(want))
    assert matrix.dtype == numpy.float64 and matrix.flags.writeable


def test_arrow_takes_no_copy(capture):
    pyarrow = pytest.importorskip("pyarrow")
    table = Pipeline().process_pcap(capture, "table")
    one, two = pyarrow.table(table), pyarrow.table(table)
    address = lambda t: t.column("total_bytes").chunk(0).buffers()[1].address  # noqa: E731
    assert address(one) == address(two)
    del table
    assert one.equals(two)
    assert pyarrow.schema(Pipeline().process_pcap(capture, "table")) == one.schema


def test_an_unclaimed_stream_is_released(capture):
    table = Pipeline().process_pcap(capture, "table")
    for _ in range(1000):
        table.__arrow_c_stream__()
    assert len(table.to_dicts()) == len(table)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"features": ["flow_meta", "timing"]},
        {"specific_features": ["iat_mean", "src_ip"]},
        {"bidirectional_split": True},
        {"include_splt": True, "include_raw_sequences": True, "max_sequence_length": 5},
        {"missing": "zero"},
        {"include_flow_id": True, "include_ip_addresses": False},
        {"num_workers": 3},
    ],
    ids=str,
)
def test_every_way_to_the_rows_gives_the_same(capture, config, tmp_path):
    pipeline = Pipeline(Config(**config))
    rows = pipeline.process_pcap(capture, "dict")
    assert rows and list(rows[0]) == pipeline.get_feature_names()
    assert list(pipeline.iter_features(capture)) == rows
    assert list(pipeline.process_pcap_streaming(capture)) == rows
    batches = pipeline.process_pcap_streaming(capture, output_format="table")
    assert [row for table in batches for row in table] == rows
    assert pipeline.process_pcap_streaming(capture, tmp_path / "rows.json") == len(rows)
    lines = (tmp_path / "rows.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    if not config.get("bidirectional_split"):
        flow_by_flow = [pipeline.extract_features(f) for f in pipeline.iter_flows(capture)]
        assert [without_graph(row) for row in flow_by_flow] == [without_graph(row) for row in rows]
        unknown = 0 if config.get("missing") == "zero" else None
        assert all(row.get("conn_src_unique_dsts", unknown) == unknown for row in flow_by_flow)


def test_batches_of_captures_are_runs_of_their_own(capture, rows):
    pipeline = Pipeline()
    assert pipeline.process_pcaps_batch([capture, capture], "dict", capture=False) == rows + rows
    assert pipeline.process_pcaps_batch([], "dict") == []
    together = pipeline.process_pcap([capture, pathlib.Path(capture)], "dict")
    assert sum(r["total_packets"] for r in together) == 2 * sum(r["total_packets"] for r in rows)


def test_files_appear_whole(capture, tmp_path):
    pipeline = Pipeline()
    for name in ("rows.csv", "rows.parquet", "rows.arrow"):
        assert pipeline.process_pcap_streaming(capture, tmp_path / name) > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.arrow", "rows.csv", "rows.parquet"]
    pyarrow = pytest.importorskip("pyarrow.parquet")
    assert pyarrow.read_table(tmp_path / "rows.parquet").num_rows == pipeline.last_run.rows
    with pytest.raises(ValueError, match="csv, json, parquet or arrow"):
        pipeline.process_pcap_streaming(capture, tmp_path / "x", "xlsx")
    with pytest.raises(FileNotFoundError):
        pipeline.process_pcap_streaming(capture, tmp_path / "no" / "rows.csv")


def test_an_iteration_can_be_left(capture):
    for _ in range(20):
        iterator = Pipeline().iter_features(capture)
        next(iterator)
        iterator.close()
        next(Pipeline().iter_features(capture))
    assert threading.active_count() < 10


def test_threads_share_a_pipeline(capture, rows):
    pipeline = Pipeline()
    results = []

    def work():
        for _ in range(5):
            results.append(pipeline.process_pcap(capture, "dict"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 20 and all(r == rows for r in results)


# Flows and packets


def test_flows_have_their_packets(capture, rows):
    flows = list(Pipeline().iter_flows(capture))
    assert len(flows) == len(rows)
    for flow, row in zip(flows, rows, strict=True):
        packets = list(flow.packets)
        assert len(packets) == len(flow.packets) == flow.total_packets == row["total_packets"]
        assert sum(p.total_len for p in packets) == flow.total_bytes == row["total_bytes"]
        assert len(flow.initiator_packets) + len(flow.responder_packets) == len(packets)
        assert sum(p.total_len for p in flow.initiator_packets) == flow.initiator_bytes
        assert all(p.src_ip == flow.initiator_ip == row["src_ip"] for p in flow.initiator_packets)
        assert min(p.timestamp for p in packets) == flow.start_time
        assert flow.packets[-1] == packets[-1] and flow.packets[1:3] == packets[1:3]
        assert flow.end_reason == row["end_reason"]
        assert FlowKey.from_packet(packets[0]) == flow.key and hash(flow.key) == hash(FlowKey.from_packet(packets[-1]))
        assert not flow.packets.truncated
        with pytest.raises(IndexError):
            flow.packets[len(packets)]


def test_packets_that_were_not_kept_say_how_to_have_them(capture):
    flow = next(Pipeline().iter_flows(capture, keep_packets=False))
    with pytest.raises(joyfuljay.PacketsNotKeptError, match=r"iter_flows\(path, keep_packets=True\)"):
        flow.packets
    assert Pipeline().iter_flows(capture, max_packets=1)
    flows = list(Pipeline().iter_flows(capture, max_packets=2))
    long = next(f for f in flows if f.total_packets > 2)
    assert len(long.packets) == 2 and long.packets.truncated
    assert long.packets.missing == long.total_packets - 2
    with pytest.raises(ValueError, match="max_packets"):
        Pipeline().iter_flows(capture, max_packets=0)


def of_numbers(flow):
    """Features that need no bytes of packets: of packets that were kept, all others are not known."""
    return set(Pipeline(Config(features=["flow_meta", "timing", "size", "tcp"])).extract_features(flow))


def test_a_flow_built_by_hand_is_replayed_through_the_same_trackers(capture, rows):
    differ = {"num_hdrs", "hdr_desc", "end_reason"}  # not a matter of packets
    pipeline = Pipeline()
    for flow, row in zip(pipeline.iter_flows(capture), rows, strict=True):
        if row["initiator_by"] == "echo":
            continue  # types of ICMP are bytes
        packets = list(flow.packets)
        hand = Flow.from_first_packet(packets[0])
        for packet in packets[1:]:
            hand.add_packet(packet)
        features = pipeline._extract_features(hand)
        numbers = of_numbers(hand)
        assert {n: (features[n], row[n]) for n in numbers - differ if features[n] != row[n]} == {}
        assert [n for n in row.keys() - numbers if features[n] and features[n] != row[n]] == []
        assert (hand.key, hand.duration, hand.total_bytes) == (flow.key, flow.duration, flow.total_bytes)


def test_headers_and_payload_given_by_hand_are_read_as_those_of_a_capture():
    ends = {"src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "src_port": 40000, "dst_port": 80, "protocol": 6}
    macs = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02-00-00-00-00-02"}
    options = {"tcp_mss": 1460, "tcp_window_scale": 7, "tcp_sack_permitted": True, "tcp_timestamp": (5, 0)}
    syn = Packet(1.0, **ends, payload_len=0, total_len=64, tcp_flags=2, tcp_seq=9, vlan_id=7, ip_ttl=63, ip_id=7, ip_tos=184, ip_flags=2, **macs, **options)
    request = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"
    get = Packet(1.1, **ends, payload_len=len(request), total_len=40 + len(request), tcp_flags=24, tcp_seq=10, vlan_id=7, raw_payload=request)
    flow = Flow.from_first_packet(syn)
    flow.add_packet(get)
    features = Pipeline().extract_features(flow)
    expected = {
        "mac_src": "02:00:00:00:00:01",
        "mac_dst": "02:00:00:00:00:02",
        "mac_vlan_id": 7,
        "ip_dscp": 46,
        "ip_df_count": 1,
        "tcp_mss_fwd": 1460,
        "http_host": "example.com",
        "total_bytes": 104 + len(request),
        "payload_bytes_total": len(request),
        "mac_multicast_count": 0,
        "icmp_packet_count": None,
    }
    assert {name: features[name] for name in expected} == expected
    assert list(flow.packets) == [syn, get] and flow.packets[0].tcp_mss == 1460

    # What was not given is not known; lengths are those given, whatever bytes there are.
    without = Flow.from_first_packet(Packet(1.0, **ends, payload_len=5, total_len=70_000, tcp_flags=24, raw_payload=b"hello"))
    features = Pipeline().extract_features(without)
    assert [features[n] for n in ("mac_src", "ip_dscp", "tcp_mss_fwd", "total_bytes", "payload_bytes_sampled")] == [None, None, None, 70_000, 5]

    v6 = {"src_ip": "2001:db8::1", "dst_ip": "2001:db8::2", "src_port": 0, "dst_port": 0, "protocol": 58}
    reply = Packet(1.0, **v6, payload_len=8, total_len=56, icmp_type=129, icmp_id=3, icmp_seq=4, ipv6_flow_label=0xABCDE)
    ping = Flow.from_first_packet(reply)
    features = Pipeline().extract_features(ping)
    assert [features[n] for n in ("icmp_echo_reply_count", "icmp_seq_min", "ipv6_flow_label_unique_count")] == [1, 4, 1]
    # It is the reply that was captured: the other end asked.
    assert (features["initiator_by"], features["src_ip"], ping.initiator_ip) == ("echo", "2001:db8::2", "2001:db8::2")
    # A payload that would be a tunnel's is one of this flow all the same.
    inner = bytes.fromhex("0800000000000100") + bytes(12) + b"\x08\0" + bytes.fromhex("4500001c000000004011000001010101020202020001000200080000")
    tunnel = Flow.from_first_packet(Packet(1.0, "10.0.0.1", "10.0.0.2", 5000, 4789, 17, len(inner), 28 + len(inner), raw_payload=inner))
    assert Pipeline().extract_features(tunnel)["src_ip"] == "10.0.0.1"


def test_a_flow_of_one_pipeline_for_the_features_of_another(capture):
    little = Pipeline(Config(features=["flow_meta"]))
    rows = joyfuljay.extract(capture, "dict")
    for flow, row in zip(little.iter_flows(capture), rows, strict=True):
        features = Pipeline().extract_features(flow)
        numbers = of_numbers(flow)
        assert {n: (features[n], row[n]) for n in numbers if features[n] != row[n]} == {}
        assert [n for n in row.keys() - numbers if features[n] and features[n] != row[n]] == []
    flow = next(little.iter_flows(capture, keep_packets=False))
    with pytest.raises(joyfuljay.JoyfulJayError, match="extract it with the pipeline"):
        Pipeline().extract_features(flow)


def test_packets_by_hand():
    packet = Packet(1.5, "2001:db8::1", "2001:db8::2", 1, 2, 6, 10, 70, tcp_flags=0x12, raw_payload=b"0123456789")
    assert packet.timestamp_ns == 1_500_000_000 and packet.ip_version == 6
    assert packet.is_tcp and packet.is_syn_ack and not packet.is_syn and packet.has_payload
    assert packet.raw_payload == b"0123456789" and packet.tcp_flags == 0x12
    assert packet.five_tuple() == ("2001:db8::1", 1, "2001:db8::2", 2, 6)
    assert Packet(1.0, "1.1.1.1", "2.2.2.2", 1, 2, 17, 0, 28).tcp_flags is None
    with pytest.raises(ValueError, match="src_ip = 'x'"):
        Packet(1.0, "x", "2.2.2.2", 1, 2, 17, 0, 28)
    with pytest.raises(ValueError, match="different IP versions"):
        Packet(1.0, "::1", "2.2.2.2", 1, 2, 17, 0, 28)
    with pytest.raises(ValueError, match="timestamp"):
        Packet(float("nan"), "1.1.1.1", "2.2.2.2", 1, 2, 17, 0, 28)
    with pytest.raises(OverflowError):
        Packet(1.0, "1.1.1.1", "2.2.2.2", 70_000, 2, 17, 0, 28)
    flow = Flow.from_first_packet(packet)
    with pytest.raises(ValueError, match="belongs to another flow"):
        flow.add_packet(Packet(1.0, "1.1.1.1", "2.2.2.2", 1, 2, 17, 0, 28))
    seen = flow.packets
    flow.add_packet(Packet(2.5, "2001:db8::2", "2001:db8::1", 2, 1, 6, 0, 60, tcp_flags=4))
    assert (len(seen), len(flow.packets), flow.duration, flow.end_reason) == (1, 2, 1.0, "rst")


def test_a_flow_of_a_capture_takes_no_packets(capture):
    flow = next(Pipeline().iter_flows(capture))
    with pytest.raises(TypeError, match="from_first_packet"):
        flow.add_packet(flow.packets[0])


# Extractors of the user's own


class Large(FeatureExtractor):
    feature_names = ["large_packets", "never_there"]

    def extract(self, flow):
        return {"large_packets": sum(p.total_len > 1000 for p in flow.packets)}


@pytest.mark.parametrize("form", ["dict", "dataframe", "polars", "arrow", "numpy"])
def test_features_of_the_users_own(capture, rows, form):
    pipeline = Pipeline(Config(features=["flow_meta"]), extractors=[Large()])
    assert pipeline.get_feature_names()[-2:] == Large.feature_names
    if form != "dict":
        pytest.importorskip({"dataframe": "pandas", "arrow": "pyarrow"}.get(form, form))
    got = pipeline.process_pcap(capture, form)
    assert len(got) == len(rows)
    if form == "dict":
        assert sum(r["large_packets"] for r in got) > 0
        assert all(r["never_there"] is None for r in got)
        assert list(pipeline.iter_features(capture)) == got


def test_batches_have_the_features_of_the_users_own_too(capture, rows):
    pipeline = Pipeline(Config(features=["flow_meta"]), extractors=[Large()])
    batches = list(pipeline.process_pcap_streaming(capture, output_format="dict"))
    assert len(batches) == len(rows) and "large_packets" in batches[0]
    pytest.importorskip("polars")
    frames = list(pipeline.process_pcap_streaming(capture, output_format="polars"))
    assert sum(map(len, frames)) == len(rows)
    assert sum(f["large_packets"].sum() for f in frames) == sum(r["large_packets"] for r in batches)
    with pytest.raises(ValueError, match="table"):
        pipeline.process_pcap(capture, "table")


def test_the_time_of_an_extractor_of_the_users_own_is_told(capture, rows):
    registry = pytest.importorskip("prometheus_client").CollectorRegistry()
    metrics = joyfuljay.monitoring.PrometheusMetrics(registry=registry)
    Pipeline(metrics=metrics, extractors=[Large()]).process_pcap(capture, "dict")
    label = {"extractor": "Large"}
    assert registry.get_sample_value("joyfuljay_extractor_flows_total", label) == len(rows)
    assert registry.get_sample_value("joyfuljay_extractor_seconds_total", label) > 0


def test_features_of_the_users_own_do_not_go_with_rows_by_direction():
    with pytest.raises(ValueError, match="bidirectional_split"):
        Pipeline(Config(bidirectional_split=True), extractors=[Large()])


def test_a_failing_extractor_is_the_users_to_see_and_counted(capture):
    class Broken(Large):
        def extract(self, flow):
            raise KeyError("mine")

    registry = pytest.importorskip("prometheus_client").CollectorRegistry()
    metrics = joyfuljay.monitoring.PrometheusMetrics(registry=registry)
    with pytest.raises(KeyError, match="mine"):
        Pipeline(metrics=metrics, extractors=[Broken()]).process_pcap(capture, "dict")
    assert registry.get_sample_value("joyfuljay_errors_total", {"stage": "extraction"}) == 1.0

    class Clash(Large):
        feature_names = ["src_ip"]

    with pytest.raises(ValueError, match="src_ip"):
        Pipeline(extractors=[Clash()])


# Errors, warnings, progress


def test_errors_are_pythons_own(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        joyfuljay.extract(tmp_path / "nothing.pcap")
    assert caught.value.errno == 2 and caught.value.filename == str(tmp_path / "nothing.pcap")
    (tmp_path / "text.pcap").write_text("this is no capture, it is a text of some length")
    for call in (joyfuljay.extract, lambda p: list(Pipeline().iter_flows(p)), lambda p: list(Pipeline().iter_features(p))):
        with pytest.raises(CaptureError, match="not a capture"):
            call(tmp_path / "text.pcap")
    with pytest.raises(ValueError, match="output_format = 'excel'"):
        joyfuljay.extract("x.pcap", "excel")
    with pytest.raises(TypeError):
        joyfuljay.extract(3)
    with pytest.raises(FileNotFoundError):
        joyfuljay.extract(str(tmp_path / "*.pcapng"))


def test_a_capture_cut_short_gives_what_came_before_and_a_warning(data):
    for call in (
        lambda p: joyfuljay.extract(p, "dict"),
        lambda p: list(Pipeline().iter_features(p)),
        lambda p: list(Pipeline().iter_flows(p)),
    ):
        with pytest.warns(CaptureWarning, match="cut_short.pcap"):
            assert call(data / "cut_short.pcap")


def test_frames_that_none_is_of_use_of_are_told(tmp_path, capture, data):
    header = (0xA1B2C3D4).to_bytes(4, "little") + bytes([2, 0, 4, 0]) + bytes(8) + (65535).to_bytes(4, "little")
    frame = bytes(8) + (4).to_bytes(4, "little") * 2 + b"\0\1\2\3"
    (tmp_path / "usb.pcap").write_bytes(header + (220).to_bytes(4, "little") + frame * 3)
    said = r"none of the 3 frames became a packet of a flow \(\w+: 3\); link type USB_LINUX_MMAPPED \(220\) is not read"
    for call in (
        lambda p: joyfuljay.extract(p, "table"),
        lambda p: Pipeline().process_pcaps_batch([p], "dict"),
        lambda p: Pipeline().process_pcap_streaming(p, tmp_path / "rows.csv"),
    ):
        with pytest.warns(CaptureWarning, match=said) as seen:
            call(tmp_path / "usb.pcap")
        assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        joyfuljay.extract(data / "empty.pcap", "table")
        joyfuljay.extract(capture, "table")


def test_compressed_and_empty_captures(data, tmp_path, capture, rows):
    with gzip.open(tmp_path / "demo.pcap.gz", "wb") as f:
        f.write(pathlib.Path(capture).read_bytes())
    assert joyfuljay.extract(tmp_path / "demo.pcap.gz", "dict") == rows
    assert len(joyfuljay.extract(data / "empty.pcap")) == 0
    assert joyfuljay.extract(data / "empty.pcap", "numpy").shape[0] == 0


def test_an_extra_that_is_missing_is_named(run_python, capture):
    run_python(
        f"""
import sys
for module in ("pandas", "polars", "pyarrow", "numpy"):
    sys.modules[module] = None
import joyfuljay
table = joyfuljay.extract({capture!r})
assert isinstance(table, joyfuljay.Table) and len(table) > 0
assert next(iter(table))["total_packets"] > 0
for form, extra in [("dataframe", "pandas"), ("polars", "polars"), ("arrow", "arrow"), ("numpy", "numpy")]:
    try:
        joyfuljay.extract({capture!r}, form)
    except ImportError as e:
        assert f"pip install 'joyfuljay[{{extra}}]'" in str(e), e
    else:
        raise AssertionError(form)
"""
    )


@pytest.mark.parametrize("missing", ["pyspark", "pyarrow"])
def test_what_spark_needs_is_named(run_python, missing):
    run_python(f"""
import sys
sys.modules["{missing}"] = None
try:
    import joyfuljay.spark
except ImportError as e:
    assert "pip install 'joyfuljay[spark]'" in str(e), e
else:
    raise AssertionError
""")


def test_importing_takes_nothing_else(run_python):
    run_python(
        "import sys, joyfuljay, joyfuljay.monitoring\n"
        "assert not {'pandas', 'polars', 'numpy', 'pyarrow', 'prometheus_client', 'tqdm'} & set(sys.modules)"
    )


def test_progress_is_told(capture, capsys):
    states = []
    Pipeline().process_pcap([capture] * 40, "table", progress=states.append)
    assert states and states[-1].bytes_total == 40 * pathlib.Path(capture).stat().st_size
    assert 0 < states[-1].bytes_read <= states[-1].bytes_total
    Pipeline().process_pcap(capture, "table", progress=True)
    with pytest.raises(TypeError, match="progress"):
        Pipeline().process_pcap(capture, "table", progress=3)

    def fail(progress):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        Pipeline().process_pcap([capture] * 40, "table", progress=fail)


# Interruption


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("fed", [True, False], ids=["fed", "silent"])
@pytest.mark.parametrize("run", ["p.process_pcap(path)", "list(p.iter_features(path))", "list(p.iter_flows(path))"])
def test_ctrl_c_stops_a_run_at_once(tmp_path, capture, run, fed):
    """A capture without end, through a pipe that is fed for as long as it is read, or that says nothing."""
    code = f"""
import joyfuljay
p, path = joyfuljay.Pipeline(), "-"
print("ready", flush=True)
try:
    {run}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    body = pathlib.Path(capture).read_bytes()

    def feed():
        try:
            child.stdin.write(body[:24])
            while True:
                child.stdin.write(body[24:])
                child.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    assert child.stdout.readline() == b"ready\n"
    feeder = threading.Thread(target=feed if fed else int, daemon=True)
    feeder.start()
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    out, _ = child.stdout.read(), child.wait(20)
    assert out == b"interrupted\n"
    feeder.join(20)


# The package


def test_the_commands_are_installed(jj, capture):
    done = subprocess.run([jj, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"jj {joyfuljay.__version__}"
    done = subprocess.run([sys.executable, "-m", "joyfuljay", "info", capture], capture_output=True, text=True, check=True)
    assert "652" in done.stdout
    done = subprocess.run([jj, "extract", "nothing.pcap"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "nothing.pcap" in done.stderr and "Traceback" not in done.stderr
    done = subprocess.run([jj, "extrct"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "extract" in done.stderr


def test_the_shipped_dashboard_is_the_one_of_the_module():
    from joyfuljay.monitoring import get_dashboard_path, load_overview_dashboard

    assert json.loads(get_dashboard_path().read_text()) == load_overview_dashboard()


def test_types_are_shipped():
    package = pathlib.Path(joyfuljay.__file__).parent
    assert (package / "py.typed").exists() and (package / "_native.pyi").exists()


def test_labels_of_flows_come_from_a_file(capture, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("src_port,label\n53,dns\n")
    frame = joyfuljay.extract(capture, labels=file)
    asked = frame[["src_port", "dst_port"]].eq(53).any(axis=1).astype(bool)
    assert asked.any() and frame["label"].notna().equals(asked) and set(frame["label"].dropna()) == {"dns"}
    pipeline = Pipeline(Config(labels=file))
    assert [pipeline.extract_features(flow)["label"] for flow in pipeline.iter_flows(capture)] == [label if label == "dns" else None for label in frame["label"]]
    with pytest.raises(FileNotFoundError):
        joyfuljay.extract(capture, labels=tmp_path / "none.csv")
    file.write_text("src_port,label\nhttp,web\n")
    with pytest.raises(ValueError, match="line 2: 'http' is no port"):
        joyfuljay.extract(capture, labels=str(file))
