"""What code that was written for joyfuljay 0.1 finds: its names and keywords, or an error that says what to use instead."""

import collections.abc
import dataclasses
import importlib
import inspect
import json

import pytest

import joyfuljay
from joyfuljay import Config, FeatureGroup, Flow, FlowKey, Packet, Pipeline
from joyfuljay.extractors import FeatureExtractor

NAMES = {
    "joyfuljay": "Config FeatureGroup Flow FlowKey Packet Pipeline extract extract_live capture core extractors monitoring "
    "output remote utils",
    "joyfuljay.core": "Config FeatureGroup Flow FlowKey Packet Pipeline extract extract_live",
    "joyfuljay.monitoring": "MetricsSink PrometheusMetrics start_prometheus_server DashboardBuilder export_dashboard "
    "generate_alerting_rules generate_prometheus_config get_dashboard_path load_overview_dashboard",
    "joyfuljay.output": "KafkaWriter is_kafka_available to_kafka",
    "joyfuljay.schema": "FeatureMeta all_feature_ids all_feature_meta get_feature_ids_ordered list_profiles load_profile "
    "validate_profile get_profile_features get_feature_tier get_all_feature_tiers generate_feature_schema write_schema",
    "joyfuljay.remote": "Server",
}

GONE = {
    "joyfuljay.capture": ("ScapyBackend", "read natively"),
    "joyfuljay.core": ("FlowTable", "iter_flows"),
    "joyfuljay.core.flow": ("FlowTable", "iter_flows"),
    "joyfuljay.extractors": ("TLSExtractor", "Config"),
    "joyfuljay.output": ("to_csv", "process_pcap_streaming"),
    "joyfuljay.utils": ("byte_entropy", "feature"),
    "joyfuljay.analysis": ("anything", "later version"),
    "joyfuljay.cli": ("main", "python -m joyfuljay"),
    "joyfuljay.extractors.tls": ("TLSExtractor", "Config"),
    "joyfuljay.extractors.flow_meta": ("FlowMetaExtractor", "Config"),
    "joyfuljay.output.formats": ("to_csv", "process_pcap_streaming"),
    "joyfuljay.output.schema": ("anything", "joyfuljay.schema"),
    "joyfuljay.remote.protocol": ("anything", "docs/remote.md"),
}

METHODS = {
    Config: "should_extract burst_threshold_seconds should_include_feature filter_features to_dict to_json to_yaml from_dict "
    "from_json from_yaml from_file",
    Flow: "key start_time last_seen initiator_ip initiator_port packets initiator_packets responder_packets "
    "tls_client_hello tls_server_hello terminated from_first_packet add_packet duration total_packets total_bytes "
    "initiator_bytes responder_bytes responder_ip responder_port",
    FlowKey: "ip_a port_a ip_b port_b protocol from_packet to_tuple",
    Pipeline: "close process_pcap process_live get_feature_names process_pcap_streaming iter_features process_pcaps_batch "
    "_extract_features",
    FeatureExtractor: "extract feature_names extractor_id feature_meta name feature_ids validate_features",
}

#: Every field of a packet, in the order of its constructor.
PACKET = {
    "timestamp": 1.5,
    "src_ip": "10.0.0.1",
    "dst_ip": "10.0.0.2",
    "src_port": 1000,
    "dst_port": 443,
    "protocol": 6,
    "payload_len": 3,
    "total_len": 55,
    "tcp_flags": 24,
    "raw_payload": b"abc",
    "src_mac": "02:00:00:00:00:01",
    "dst_mac": "02:00:00:00:00:02",
    "eth_type": 0x800,
    "vlan_id": 7,
    "ip_ttl": 63,
    "ip_id": 65535,
    "ip_tos": 184,
    "ip_flags": 2,
    "ip_version": 4,
    "ipv6_flow_label": 0xFFFFF,
    "ipv6_traffic_class": 1,
    "tcp_seq": 4_294_967_295,
    "tcp_ack": 5,
    "tcp_window": 65535,
    "tcp_options_raw": b"\x02\x04\x05\xb4",
    "tcp_mss": 1460,
    "tcp_window_scale": 7,
    "tcp_timestamp": (1, 2),
    "tcp_sack_permitted": True,
    "tcp_sack_blocks": [(1, 2), (3, 4)],
    "icmp_type": 8,
    "icmp_code": 0,
    "icmp_id": 1,
    "icmp_seq": 2,
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_there(module):
    found = importlib.import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


@pytest.mark.parametrize("module", GONE)
def test_names_that_are_gone_say_what_to_use_instead(module):
    name, advice = GONE[module]
    with pytest.raises(ImportError, match=f"{name} is gone since joyfuljay 0.2: .*{advice}"):
        exec(f"from {module} import {name}", {})
    with pytest.raises(AttributeError, match="has no attribute '_nothing'"):
        importlib.import_module(module)._nothing


def test_modules_that_are_gone_are_found_from_the_package(run_python):
    run_python(
        "import joyfuljay.extractors.dns, joyfuljay.cli, joyfuljay.output.formats, inspect, sys\n"
        "assert [joyfuljay.extractors.dns.__name__, joyfuljay.cli.__name__] == ['joyfuljay.extractors.dns', 'joyfuljay.cli']\n"
        "inspect.getmodule(inspect.currentframe())\n"
        "assert all(getattr(m, '__file__', None) is not m for m in list(sys.modules.values()))\n"
        "try: import joyfuljay.extractors.nothing\n"
        "except ModuleNotFoundError: pass\n"
        "else: raise AssertionError\n"
    )


@pytest.mark.parametrize("of", METHODS, ids=lambda c: c.__name__)
def test_methods_and_properties_are_there(of):
    assert [name for name in METHODS[of].split() if name not in dir(of)] == []


def test_live_capture_takes_its_keywords():
    assert list(inspect.signature(Pipeline.process_live).parameters)[:6] == [
        "self", "interface", "duration", "output_format", "save_pcap", "pid",
    ]  # fmt: skip
    with pytest.raises(joyfuljay.CaptureError, match="nosuch0: "):
        Pipeline().process_live("nosuch0", duration=1)
    with pytest.raises(ValueError, match="duration"):
        Pipeline().process_live("lo", duration=-1)


def test_every_field_of_a_packet():
    packet = Packet(**PACKET)
    assert {name: getattr(packet, name) for name in PACKET} == PACKET
    assert packet == Packet(*PACKET.values()) and hash(packet) == hash(Packet(**PACKET))
    for name, other in {"tcp_mss": 1400, "src_mac": None, "ip_ttl": 1, "tcp_flags": 16, "raw_payload": None}.items():
        assert packet != Packet(**{**PACKET, name: other}), name
    with pytest.raises(ValueError, match="ip_version must be 4"):
        Packet(**{**PACKET, "ip_version": 6})


def test_what_a_packet_of_a_capture_does_not_keep_is_none(capture):
    packet = next(Pipeline().iter_flows(capture)).packets[0]
    assert packet.src_mac is None and packet.tcp_sack_blocks is None and packet.tcp_sack_permitted is False


def test_the_packets_of_a_flow_are_a_sequence():
    packets = [Packet(float(n), "10.0.0.1", "10.0.0.2", 1, 2, 17, 0, 28) for n in (0, 1, 1, 2)]
    flow = Flow.from_first_packet(packets[0])
    for packet in packets[1:]:
        flow.add_packet(packet)
    found = flow.packets
    assert isinstance(found, collections.abc.Sequence) and list(reversed(found)) == packets[::-1]
    assert found.count(packets[1]) == 2 and found.count("packet") == 0 and packets[3] in found
    assert found.index(packets[1]) == 1 and found.index(packets[1], 2) == 2 and found.index(packets[1], -2) == 2
    for search in [(packets[1], 3), (packets[3], 0, -1), ("packet",)]:
        with pytest.raises(ValueError, match="not among"):
            found.index(*search)
    with pytest.raises(NotImplementedError, match="later version"):
        flow.tls_client_hello


def test_configurations_say_what_they_select(tmp_path):
    config = Config(features=[FeatureGroup.TIMING], specific_features=["iat_mean"], flow_timeout=5, anonymization_salt="a: b")
    assert FeatureGroup.BURST is FeatureGroup.TIMING
    assert config.should_extract("timing") and config.should_extract(FeatureGroup.BURST) and not config.should_extract("tcp")
    assert Config().should_extract("tcp") and Config().should_include_feature("x")
    assert config.should_include_feature("iat_mean") and not config.should_include_feature("iat_max")
    assert config.filter_features({"iat_mean": 1, "iat_max": 2, "src_ip": "x"}) == {"iat_mean": 1}
    config.to_yaml(tmp_path / "c.yaml")
    assert Config.from_yaml(tmp_path / "c.yaml").to_dict() == config.to_dict()
    config.to_json(tmp_path / "c.json")
    assert Config.from_json(tmp_path / "c.json") == config
    assert dataclasses.replace(config, flow_timeout=6).flow_timeout == 6


def test_extractors_of_the_users_own_have_ids():
    class TalkExtractor(FeatureExtractor):
        feature_names = ["loud", "soft"]

        def extract(self, flow):
            return {}

    talk = TalkExtractor()
    assert (talk.name, talk.extractor_id, talk.feature_meta()) == ("TalkExtractor", "talk", {})
    assert talk.feature_ids() == ["talk.loud", "talk.soft"]
    assert talk.validate_features({"soft": 1, "loud": 2}) and not talk.validate_features({"loud": 2})


def test_the_schema_is_that_of_the_rows(tmp_path):
    from joyfuljay import schema

    metas = schema.all_feature_meta()
    # Every group by its name: `all` leaves some out.
    groups = joyfuljay._native.feature_groups()
    columns = Pipeline(Config(features=groups)).get_feature_names()
    assert [m.name for m in metas.values()] == columns
    assert schema.get_feature_ids_ordered() == list(metas) and schema.all_feature_ids() == set(metas)
    assert all(m.id == f"{m.group}.{m.name}" and m.description for m in metas.values())
    assert metas["timing.iat_mean"].dtype == "float64" and metas["flow_meta.src_ip"].privacy_level == "address"
    for meta in metas.values():
        said = (meta.formula, meta.value_range, meta.null_rule, meta.source, meta.since)
        assert all(said) and joyfuljay.describe(meta.name) == joyfuljay.describe(meta.id) == meta
    assert "formula       std(gaps(all))" in str(joyfuljay.describe("iat_std"))
    with pytest.raises(ValueError, match="did you mean 'iat_std'"):
        joyfuljay.describe("iat_sdt")
    with pytest.raises(ValueError, match="did you mean 'timing.iat_std'"):
        joyfuljay.describe("size.iat_std")
    core, extended, experimental = (schema.get_profile_features(p) for p in schema.list_profiles())
    assert core < extended <= experimental <= set(metas)
    small = Pipeline(Config(profile="JJ-CORE")).get_feature_names()
    assert {metas[i].name for i in core} == set(small)
    assert schema.get_all_feature_tiers()["timing.iat_mean"] == schema.get_feature_tier("timing.iat_mean")
    with pytest.raises(ValueError, match="JJ-CORE, JJ-EXTENDED"):
        schema.validate_profile("JJ-CORES")
    path = schema.write_schema(tmp_path / "s.json")
    assert json.loads(path.read_text()) == schema.generate_feature_schema()
    assert schema.generate_feature_schema()["jj_version"] == joyfuljay.__version__


def test_json_lines_by_their_old_name(capture, tmp_path):
    rows = Pipeline().process_pcap_streaming(capture, str(tmp_path / "x"), "jsonl")
    assert rows == len((tmp_path / "x").read_text().splitlines()) > 0
