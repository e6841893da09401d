"""Rows in another shape: exact times, sequences of one length, the capture that a row is from; and what notebooks and errors show."""

import datetime
import html.parser
import shutil

import joyfuljay
import pytest
from joyfuljay import Config, Pipeline
from joyfuljay.extractors import FeatureExtractor

TIMES = ("start_time", "end_time", "time_first", "time_last")


def without_pyarrow(monkeypatch):
    from joyfuljay import _extras

    has = _extras.has
    monkeypatch.setattr(_extras, "has", lambda module: module != "pyarrow" and has(module))


# Times


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"profile": "JJ-CORE"},
        {"specific_features": ["end_time", "src_ip", "start_time"]},
        {"features": ["flow_meta", "timestamps"]},
        {"include_flow_id": True, "bidirectional_split": True},
    ],
)
def test_times_are_exact_and_the_columns_are_the_same(capture, config):
    pipeline = Pipeline(Config(**config))
    seconds, ns = pipeline.process_pcap(capture, "dict"), pipeline.process_pcap(capture, "dict", times="ns")
    stamps = pipeline.process_pcap(capture, "dict", times="datetime")
    assert list(seconds[0]) == list(ns[0]) == list(stamps[0]) == pipeline.get_feature_names()
    assert len(seconds) == len(ns) > 20
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    for s, n, d in zip(seconds, ns, stamps, strict=True):
        for name in set(TIMES).intersection(s):
            # The capture has microseconds.
            assert isinstance(n[name], int) and n[name] % 1000 == 0
            assert abs(n[name] - s[name] * 1e9) < 1000
            assert d[name] == epoch + datetime.timedelta(microseconds=n[name] // 1000)
        assert all(s[name] == n[name] == d[name] for name in s if name not in TIMES)


@pytest.mark.parametrize("arrow", [True, False])
def test_times_of_a_data_frame(capture, monkeypatch, arrow):
    pandas = pytest.importorskip("pandas")
    if not arrow:
        without_pyarrow(monkeypatch)
    frame = joyfuljay.extract(capture, times="datetime")
    assert {str(frame[name].dtype) for name in TIMES} == {"datetime64[ns, UTC]"}
    assert (frame["start_time"].dt.nanosecond == 0).all() and (frame["start_time"] <= frame["end_time"]).all()
    ns = joyfuljay.extract(capture, times="ns")
    assert {str(ns[name].dtype) for name in TIMES} == {"int64"}
    pandas.testing.assert_series_equal(pandas.to_datetime(ns["start_time"], utc=True), frame["start_time"])


def test_times_that_cannot_be_had(capture):
    with pytest.raises(ValueError, match="datetime or ns"):
        joyfuljay.extract(capture, times="seconds")
    with pytest.raises(ValueError, match="matrix of float64"):
        joyfuljay.extract(capture, "numpy", times="ns")
    with pytest.raises(ValueError, match="no column of times is selected"):
        joyfuljay.extract(capture, features=["tcp"], times="ns")


# Sequences of one length


def test_padded_sequences_are_columns_of_numbers(capture):
    numpy = pytest.importorskip("numpy")
    pipeline = Pipeline(Config(features=["flow_meta", "splt"]))
    lists = pipeline.process_pcap(capture, "dict")
    padded = pipeline.process_pcap(capture, "dict", pad=5)
    sequences = [name for name, value in lists[0].items() if isinstance(value, list)]
    assert sequences and len(padded[0]) == len(lists[0]) + 4 * len(sequences)
    for row, wide in zip(lists, padded, strict=True):
        for name in sequences:
            values = [wide[f"{name}_{i}"] for i in range(5)]
            assert values == ((row[name] or []) + [None] * 5)[:5]
    names = pipeline.get_numeric_names(pad=5)
    matrix = pipeline.process_pcap(capture, "numpy", pad=5)
    assert matrix.shape == (len(lists), len(names)) and set(pipeline.get_numeric_names()) < set(names)
    at = names.index(f"{sequences[0]}_0")
    assert numpy.array_equal(matrix[:, at], [numpy.nan if r[f"{sequences[0]}_0"] is None else r[f"{sequences[0]}_0"] for r in padded], True)


def test_padding_has_zeros_where_nulls_are_not_wanted(capture):
    pytest.importorskip("pandas")
    frame = joyfuljay.extract(capture, features=["splt"], missing="zero", pad=3)
    assert not frame.isna().any().any() and frame.shape[1] % 3 == 0
    for pad in (0, -1, 1.5, True, 70_000):
        with pytest.raises(ValueError, match=f"pad = {pad}"):
            joyfuljay.extract(capture, pad=pad)


# The capture of a row


def test_a_row_of_a_batch_says_which_capture_it_is_from(data, tmp_path):
    pandas = pytest.importorskip("pandas")
    for name in ("few.pcap", "demo.pcap"):
        shutil.copy(data / name, tmp_path)
    pipeline = Pipeline(Config(features=["size"]))
    paths = [str(tmp_path / "few.pcap"), str(tmp_path / "demo.pcap")]
    frame = pipeline.process_pcaps_batch(paths)
    assert list(frame.columns) == [*pipeline.get_feature_names(), "capture"]
    counts = {path: len(pipeline.process_pcap(path, "table")) for path in paths}
    assert frame["capture"].value_counts().to_dict() == counts
    pandas.testing.assert_frame_equal(frame.drop(columns="capture"), pipeline.process_pcaps_batch(paths, capture=False))
    folder = pipeline.process_pcaps_batch(tmp_path, "dict")
    assert {row["capture"] for row in folder} == set(paths)
    assert len(pipeline.process_pcaps_batch([], "table").column_names) == len(frame.columns)


def test_a_batch_of_a_folder_passes_over_what_is_no_capture(data, tmp_path):
    shutil.copy(data / "few.pcap", tmp_path)
    (tmp_path / "README.txt").write_text("not packets")
    pipeline = Pipeline(Config(features=["size"]))
    with pytest.warns(joyfuljay.CaptureWarning, match="README.txt: not a capture") as warned:
        rows = pipeline.process_pcaps_batch(tmp_path, "dict")
    assert len(warned) == 1 and warned[0].filename == __file__
    assert {row["capture"] for row in rows} == {str(tmp_path / "few.pcap")}
    with pytest.raises(joyfuljay.CaptureError, match="README.txt: not a capture"):
        pipeline.process_pcaps_batch([tmp_path / "README.txt"], "dict")


class Packets(FeatureExtractor):
    feature_names = ["packets"]

    def extract(self, flow):
        return {"packets": flow.total_packets}


class Capture(Packets):
    feature_names = ["capture"]


def test_so_does_one_with_features_of_the_users_own(data):
    paths = [str(data / "few.pcap"), str(data / "demo.pcap")]
    rows = Pipeline(Config(features=["size"]), extractors=[Packets()]).process_pcaps_batch(paths, "dict")
    assert {row["capture"] for row in rows} == set(paths) and all(row["packets"] for row in rows)
    with pytest.raises(ValueError, match="has a feature 'capture'"):
        Pipeline(extractors=[Capture()]).process_pcaps_batch(paths, "dict")
    with pytest.raises(ValueError, match="not with extractors"):
        Pipeline(extractors=[Packets()]).process_pcap(paths[0], "dict", pad=3)


# Spellings and errors


def test_names_may_be_separated_by_commas():
    assert Config(features="timing, tcp").features == ["timing", "tcp"]
    assert Config(specific_features="iat_mean,src_ip").specific_features == ["iat_mean", "src_ip"]
    assert Pipeline(Config(specific_features=["timing.iat_mean"])).get_feature_names() == ["iat_mean"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 30}, "unknown option 'timeout': what the command has as --timeout is flow_timeout here"),
        ({"bidir_split": True}, "--bidir-split is bidirectional_split here"),
        ({"no_ips": True}, "--no-ips is include_ip_addresses=False here"),
        ({"workers": 2}, "--workers is num_workers here"),
        ({"flow_timout": 30}, "did you mean 'flow_timeout'"),
        ({"features": ["iat_mean"]}, "one feature and no group: name it in specific_features"),
        ({"specific_features": ["timing"]}, "a group of features: name it in features"),
        ({"features": []}, "no feature is selected: name at least one group in features"),
        ({"flow_timeout": "30"}, 'flow_timeout = "30": must be a number'),
        ({"flow_timeout": None}, "flow_timeout = None: must be a number"),
        ({"num_workers": -1}, "num_workers = -1: must be a whole number, and not negative"),
        ({"include_ports": "yes"}, 'include_ports = "yes": must be True or False'),
        ({"include_ports": 1}, "include_ports = 1: must be True or False"),
        ({"missing": True}, "missing = True: must be null or zero"),
        ({"max_memory": "2XB"}, "such as 2GB"),
        ({"features": ["zebra"]}, "joyfuljay.FeatureGroup has them"),
        ({"specific_features": ["zebra"]}, "joyfuljay.schema.get_feature_ids_ordered() has them"),
        ({"anonymize": True}, "needs a secret anonymization_salt that is not empty, because"),
    ],
)
def test_errors_speak_python(options, says):
    with pytest.raises(ValueError) as error:
        Config(**options)
    assert says in str(error.value)
    for foreign in ("f64", "u32", "expected", "`", "invalid type", "command line"):
        assert foreign not in str(error.value)


def test_every_key_is_told_in_the_docstring():
    for name, _, text in joyfuljay._native.config_keys():
        assert f"``{name}``" in Config.__doc__ and text.split(".")[0].split("\n")[0] in " ".join(Config.__doc__.split())


# Notebooks


class Cells(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.cells = [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells.append(data)


def test_what_notebooks_show(capture):
    table = Pipeline(Config(features=["flow_meta"])).process_pcap(capture, "table")
    cells = Cells(table._repr_html_()).cells
    assert cells[0] == f"joyfuljay.Table of {len(table)} rows and {table.num_columns} columns"
    assert cells[1:4] == table.column_names[:3] and str(next(iter(table))["src_ip"]) in cells
    flow = next(Pipeline().iter_flows(capture))
    cells = Cells(flow._repr_html_()).cells
    assert f"{flow.initiator_ip}:{flow.initiator_port}" in cells or flow.initiator_ip in cells
    assert cells.index("initiator") < cells.index("responder")
    before, after = repr(flow).split(" -> ")
    assert flow.initiator_ip in before and flow.responder_ip in after
    seen = []
    joyfuljay.extract(capture, "table", progress=seen.append)
    assert repr(seen[-1]).startswith("<joyfuljay.Progress: 100 % of ") and "<progress value=" in seen[-1]._repr_html_()


def test_text_of_the_wire_is_no_html():
    table = Pipeline(Config(specific_features=["src_ip"])).process_pcaps_batch([], "table").labelled("<b>", "x")
    assert "<b>" not in table._repr_html_() and "&lt;b&gt;" in table._repr_html_()
