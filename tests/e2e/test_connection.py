"""The group connection: who speaks to whom, over all flows of a run, or of the last seconds."""

import csv
import io
import os
import subprocess
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import DATA, parse_lines

DEMO = DATA / "demo.pcap"
GROUPS = ["--features", "flow_meta,connection"]


def piped(jj, *arguments):
    """The rows and the errors of a run over a pipe."""
    with subprocess.Popen(["cat", DEMO], stdout=subprocess.PIPE) as cat:
        done = subprocess.run([jj.path, "extract", "-", *arguments, "-f", "json", "--no-progress"], stdin=cat.stdout, capture_output=True, timeout=300, check=False)
    return done.returncode, parse_lines(done.stdout.decode()), done.stderr.decode()


def test_all_has_the_graph_of_a_file(rows):
    found = rows(DEMO)
    by_src, by_dst = Counter(r["src_ip"] for r in found), Counter(r["dst_ip"] for r in found)
    pairs = Counter((r["src_ip"], r["dst_ip"]) for r in found)
    for r in found:
        assert r["conn_src_total_flows"] == by_src[r["src_ip"]]
        assert r["conn_dst_total_flows"] == by_dst[r["dst_ip"]]
        assert r["conn_src_dst_flows"] == pairs[r["src_ip"], r["dst_ip"]]
        assert r["conn_src_unique_dsts"] == sum(src == r["src_ip"] for src, _ in pairs)
        assert r["conn_same_community"] is (r["conn_src_community"] == r["conn_dst_community"])


def test_standard_input_that_is_a_file_has_it(rows):
    with DEMO.open("rb") as capture:
        found = rows("-", *GROUPS, stdin=capture)
    assert found == rows(DEMO, *GROUPS)


def test_all_of_a_pipe_leaves_it_out_with_a_note(jj, rows):
    code, found, err = piped(jj)
    assert code == 0 and len(found) == len(rows(DEMO))
    assert not any(name.startswith("conn_") for name in found[0])
    assert "note: the group connection is left out" in err and "connection_window" in err


@pytest.mark.parametrize("named", [GROUPS, ["--features", "all,connection"], ["--feature", "conn_src_community"]])
def test_naming_it_for_a_pipe_is_an_error_that_says_the_way_out(jj, named):
    code, found, err = piped(jj, *named)
    assert code != 0 and not found
    assert "--set connection_window=60" in err


def test_a_window_serves_pipes(jj, rows):
    window = [*GROUPS, "--set", "connection_window=5"]
    code, found, err = piped(jj, *window)
    assert code == 0, err
    assert found == rows(DEMO, *window)
    assert all(r["conn_src_total_flows"] >= 1 for r in found)


def test_the_formats_have_the_same_values(jj, rows, tmp_path):
    expected = rows(DEMO, *GROUPS)
    names = [name for name in expected[0] if name.startswith("conn_")]
    assert len(names) == 20
    for name in ("out.parquet", "out.arrow"):
        jj("extract", DEMO, *GROUPS, "-o", tmp_path / name)
    tables = [pq.read_table(tmp_path / "out.parquet"), pa.ipc.open_file(tmp_path / "out.arrow").read_all()]
    for table in tables:
        assert table.select(names).to_pylist() == [{n: r[n] for n in names} for r in expected]
    text = jj("extract", DEMO, *GROUPS, "-f", "csv").out
    for row, want in zip(csv.DictReader(io.StringIO(text)), expected, strict=True):
        assert [row[n] for n in names if n.endswith("flows")] == [str(want[n]) if want[n] is not None else "" for n in names if n.endswith("flows")]


def test_its_keys_have_their_effect(rows):
    plain = rows(DEMO, *GROUPS)
    ports = rows(DEMO, *GROUPS, "--set", "connection_use_ports=true")
    assert sum(r["conn_src_total_flows"] for r in ports) < sum(r["conn_src_total_flows"] for r in plain)
    without = rows(DEMO, *GROUPS, "--set", "connection_include_graph_metrics=false")
    assert all(r["conn_src_out_degree"] is None and r["conn_same_community"] is None for r in without)
    assert [r["conn_src_total_flows"] for r in without] == [r["conn_src_total_flows"] for r in plain]
    for algorithm in ("greedy", "label_propagation"):
        found = rows(DEMO, *GROUPS, "--set", f"connection_community_algorithm={algorithm}")
        assert all(r["conn_src_community"] >= 0 for r in found)


def test_a_folder_for_temporary_files_that_cannot_be_written_is_an_error_before_the_run(jj, tmp_path):
    gone = tmp_path / "gone"
    err = jj("extract", DEMO, *GROUPS, "-o", tmp_path / "out.csv", ok=False, env={**os.environ, "TMPDIR": str(gone)}).err
    assert str(gone) in err and "TMPDIR" in err and "connection" in err
    assert not (tmp_path / "out.csv").exists()
    # Nothing waits in a window, or without the group.
    jj("extract", DEMO, *GROUPS, "--set", "connection_window=5", env={**os.environ, "TMPDIR": str(gone)})
