"""The commands beside extract."""

import json

import pytest
from conftest import DATA


def test_info_counts_frames(jj):
    found = json.loads(jj("info", DATA / "demo.pcap", "--json").out)
    assert 662 in flat(found)
    assert "662" in jj("info", DATA / "demo.pcap").out


def test_features_lists_what_extract_writes(jj, rows):
    listed = json.loads(jj("features", "-f", "json").out)
    names = {f["name"] for f in (listed if isinstance(listed, list) else listed["features"])}
    assert {"src_ip", "iat_mean", "total_packets"} <= names
    assert set(rows(DATA / "few.pcap")[0]) <= names


def test_schema_is_json(jj):
    assert "iat_mean" in json.dumps(json.loads(jj("schema", "-f", "json").out))


def test_profiles(jj):
    out = jj("profiles", "list").out
    assert all(name in out for name in ("JJ-CORE", "JJ-EXTENDED", "JJ-EXPERIMENTAL"))
    assert "iat_mean" in jj("profiles", "show", "JJ-EXPERIMENTAL").out + jj("profiles", "show", "JJ-CORE").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions(jj, shell):
    assert "extract" in jj("completions", shell).out


def test_help_and_version(jj):
    assert "--features" in jj("extract", "--help").out
    assert "0.2.0" in jj("--version").out


def test_unknown_command_says_which_there_are(jj):
    assert "extract" in jj("extrakt", ok=False).err


def flat(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for v in value for x in flat(v)]
    return [value]
