"""`jj status`: a report of this jj and its machine."""

import json
import os
import sys


def test_the_report_is_that_of_this_machine(jj):
    found = json.loads(jj("status", "--json").out)
    assert found["version"] in jj("--version").out
    assert found["workers"] == len(os.sched_getaffinity(0))
    assert 0 < found["max_memory_bytes"] <= found["memory_bytes"]
    if sys.platform == "linux":
        by_name = {i["name"]: i for i in found["interfaces"]}
        assert set(by_name) == {n for n in os.listdir("/sys/class/net") if os.path.isdir(f"/sys/class/net/{n}")}
        assert (by_name["lo"]["type"], by_name["lo"]["readable"]) == ("loopback", True)


def test_text_has_80_columns_and_says_the_same(jj):
    text, found = jj("status").out, json.loads(jj("status", "--json").out)
    assert max(map(len, text.splitlines())) <= 80, text
    assert found["system"] in text
    for interface in found["interfaces"]:
        assert interface["name"] in text


def test_what_is_missing_is_told_and_is_no_failure(jj):
    env = {**os.environ, "JOYFULJAY_LIBPCAP": "/nowhere/libpcap.so"}
    found = json.loads(jj("status", "--json", env=env).out)
    assert not found["filters"]["available"]
    assert "/nowhere/libpcap.so" in found["filters"]["problem"]
    assert "JOYFULJAY_LIBPCAP" in jj("status", env=env).out
