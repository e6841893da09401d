"""Features of the user's own beside the native ones: the types of the columns, and what is no extractor."""

import joyfuljay
import pytest
from conftest import GROUPS_OF_FLOWS
from joyfuljay import Config, Pipeline, _extras
from joyfuljay.extractors import FeatureExtractor

CONFIG = Config(features=GROUPS_OF_FLOWS, include_raw_sequences=True, include_splt=True, include_flow_id=True)
OWN = ["number", "truth", "text", "never"]


class Own(FeatureExtractor):
    feature_names = OWN

    def extract(self, flow):
        return {"number": flow.total_packets, "truth": flow.total_packets > 3, "text": flow.initiator_ip}


@pytest.fixture(params=["demo.pcap", "few.pcap", "tunnels.pcap", "empty.pcap"])
def any_capture(request, data):
    return data / request.param


@pytest.fixture
def both(any_capture):
    """both(form) -> the rows without features of the user's own, and with them."""
    pipelines = Pipeline(CONFIG), Pipeline(CONFIG, extractors=[Own()])
    return lambda form: tuple(p.process_pcap(any_capture, form) for p in pipelines)


def test_arrow_has_the_native_schema(both):
    pyarrow = pytest.importorskip("pyarrow")
    without, having = both("arrow")
    assert having.column_names == [*without.column_names, *OWN]
    assert having.select(without.column_names).schema.equals(without.schema, check_metadata=True)
    assert having.select(without.column_names).equals(without)
    assert having.schema.field("never").type == pyarrow.float64()
    assert having.schema.field("number").type == (pyarrow.int64() if len(without) else pyarrow.float64())


def test_polars_has_the_native_schema(both):
    polars = pytest.importorskip("polars")
    without, having = both("polars")
    assert having.columns == [*without.columns, *OWN]
    assert having.select(without.columns).schema == without.schema
    assert having.select(without.columns).equals(without)
    assert having.schema["never"] == polars.Float64


@pytest.mark.parametrize("missing", [[], ["pyarrow"]], ids=["all", "without pyarrow"])
def test_pandas_has_the_native_types(both, monkeypatch, missing):
    pandas = pytest.importorskip("pandas")
    has = _extras.has
    monkeypatch.setattr(_extras, "has", lambda module: module not in missing and has(module))
    without, having = both("dataframe")
    assert list(having.columns) == [*without.columns, *OWN]
    assert having["never"].dtype == "float64"
    pandas.testing.assert_frame_equal(having[list(without.columns)], without)


def test_numpy_has_every_native_number_and_then_the_users(both):
    numpy = pytest.importorskip("numpy")
    without, having = both("numpy")
    own = 3 if len(without) else 4  # text is known to be none where there is text
    assert having.shape == (len(without), without.shape[1] + own)
    numpy.testing.assert_array_equal(having[:, : without.shape[1]], without)
    if len(without):
        assert (having[:, -3] > 0).all() and set(having[:, -2]) <= {0.0, 1.0} and numpy.isnan(having[:, -1]).all()


def test_batches_have_one_schema(capture, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(joyfuljay.core.pipeline, "_CHUNK_ROWS", 1)
    native = Pipeline(CONFIG).process_pcap(capture, "arrow")
    batches = list(Pipeline(CONFIG, extractors=[Own()]).process_pcap_streaming(capture, output_format="arrow"))
    assert len(batches) == len(native) > 1
    assert len({str(batch.schema) for batch in batches}) == 1
    assert all(batch.schema.names[: len(native.column_names)] == native.column_names for batch in batches)


def test_a_column_that_arrow_has_no_type_for_is_named(capture):
    pyarrow = pytest.importorskip("pyarrow")

    class Mixed(Own):
        def extract(self, flow):
            return {"text": object()}

    with pytest.raises(pyarrow.ArrowException, match="feature 'text'"):
        Pipeline(extractors=[Mixed()]).process_pcap(capture, "arrow")
    pytest.importorskip("pandas")
    assert Pipeline(extractors=[Mixed()]).process_pcap(capture)["text"].dtype == object


# What is no extractor


def of(names):
    return type("Large", (Own,), {"feature_names": names})


@pytest.mark.parametrize(
    ("extractors", "error", "said"),
    [
        ([of("packets")()], TypeError, r"Large\.feature_names must be a list of names.*'packets'"),
        ([of([1])()], TypeError, "must be a list of names"),
        ([of(["a", "b", "a"])()], ValueError, "Large.feature_names has 'a' twice"),
        ([of(["a"])(), of(["b", "a"])()], ValueError, "there is a feature 'a' already"),
        ([of(["src_ip"])()], ValueError, "there is a feature 'src_ip' already"),
        ([of(["a"])], TypeError, r"give an object: Large\(\)"),
        (["timing"], TypeError, "'timing' is no extractor"),
    ],
)
def test_what_is_no_extractor_is_said_at_once(extractors, error, said):
    with pytest.raises(error, match=said):
        Pipeline(extractors=extractors)


@pytest.mark.parametrize("result", [None, [1], "large"])
def test_a_result_that_is_no_dict_is_said_and_counted(capture, result):
    class Large(Own):
        def extract(self, flow):
            return result

    registry = pytest.importorskip("prometheus_client").CollectorRegistry()
    metrics = joyfuljay.monitoring.PrometheusMetrics(registry=registry)
    with pytest.raises(TypeError, match=rf"Large\.extract must give a dict.*not {type(result).__name__}"):
        Pipeline(metrics=metrics, extractors=[Large()]).process_pcap(capture, "dict")
    assert registry.get_sample_value("joyfuljay_errors_total", {"stage": "extraction"}) == 1.0


def test_progress_has_no_place_beside_features_of_the_users_own(capture):
    pipeline = Pipeline(extractors=[Own()])
    for call in (pipeline.process_pcap, lambda p, f, progress: pipeline.process_pcaps_batch([p], f, progress=progress)):
        with pytest.raises(ValueError, match="progress: not with extractors of your own"):
            call(capture, "dict", progress=True)
        assert call(capture, "dict", progress=False)


@pytest.mark.parametrize("config", [{"flow_timeout": 3}, "config.toml", Config])
def test_what_is_no_config_is_said(config):
    with pytest.raises(TypeError, match=r"config must be a Config, not \w+: Config\(.*Config\.from_dict"):
        Pipeline(config)


def test_columns_that_need_all_flows_are_null_and_it_is_said(capture):
    with pytest.warns(joyfuljay.ConfigWarning, match="the group connection"):
        rows = Pipeline(Config(features=["flow_meta", "connection"]), extractors=[Own()]).process_pcap(capture, "dict")
    assert rows and all(row["conn_src_unique_dsts"] is None for row in rows)
