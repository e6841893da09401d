"""joyfuljay.sql: DuckDB over runs."""

import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time

import joyfuljay
import pytest
from conftest import DEMO, PATIENCE

duckdb = pytest.importorskip("duckdb")


@pytest.fixture(scope="module")
def rows():
    return list(joyfuljay.Pipeline().iter_features(DEMO))


def test_the_example(rows):
    totals = {}
    for row in rows:
        totals[row["dst_port"]] = totals.get(row["dst_port"], 0) + row["total_bytes"]
    found = joyfuljay.sql("select dst_port, sum(total_bytes) from flows group by 1", DEMO).fetchall()
    assert {port: int(total) for port, total in found} == totals


def test_a_table_is_read_as_often_as_it_is_asked_for(rows):
    n = len(rows)
    joined = "select count(*) from flows a join flows b on a.src_ip = b.src_ip and a.src_port is not distinct from b.src_port and a.start_time = b.start_time"
    assert joyfuljay.sql(joined, DEMO).fetchall()[0][0] >= n
    twice = "with f as (select * from flows) select (select count(*) from f), (select count(distinct start_time) from f), count(*) from f"
    assert joyfuljay.sql(twice, DEMO).fetchall() == [(n, len({r["start_time"] for r in rows}), n)]
    relation = joyfuljay.sql("select src_ip, total_bytes from flows", DEMO)
    assert "src_ip" in str(relation)
    for _ in range(3):
        assert relation.pl().height == n
    assert len(relation.fetchall()) == n and relation.filter("total_bytes > 0").count("*").fetchall() == [(n,)]
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(joyfuljay.sql("select count(*) from flows", DEMO).fetchall()[0][0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert counts == [n] * 4


def test_names_are_those_that_were_given(rows, tmp_path):
    flows = "nothing"  # noqa: F841
    other = [1, 2]  # noqa: F841
    count = [joyfuljay.sql("select count(*) from flows", path).fetchall()[0][0] for path in [DEMO]]
    assert count == [len(rows)]
    quoted = tmp_path / "it's \"one\".pcap"
    quoted.write_bytes(open(DEMO, "rb").read())
    assert joyfuljay.sql("select count(*) from flows", quoted).fetchall() == [(len(rows),)]
    both = joyfuljay.sql("select (select count(*) from a) + (select count(*) from flows)", DEMO, sources={"a": [DEMO, str(quoted)]})
    assert both.fetchall()[0][0] > len(rows)
    # Nothing of the caller's is a table.
    with pytest.raises(duckdb.Error, match="other"):
        joyfuljay.sql("select * from other", DEMO)
    duckdb.sql("create or replace table flows as select 7 as n")
    joyfuljay.sql("select count(*) from flows", DEMO).fetchall()
    assert duckdb.sql("select n from flows").fetchall() == [(7,)]
    with pytest.raises(ValueError, match="captures"):
        joyfuljay.sql("select 1")


def test_only_what_is_needed_is_computed(rows):
    wide = joyfuljay.sql("select * from flows", DEMO)
    assert wide.columns == list(rows[0])
    narrow = joyfuljay.sql("select src_ip from flows where total_packets > 2 order by start_time", DEMO)
    assert {name for scan in narrow._scans.values() for name in scan.column_names} == {"src_ip", "total_packets", "start_time"}
    expected = [r["src_ip"] for r in sorted(rows, key=lambda r: r["start_time"]) if r["total_packets"] > 2]
    assert [ip for (ip,) in narrow.fetchall()] == expected
    assert joyfuljay.sql("select * exclude (src_ip) from flows", DEMO).columns == [c for c in rows[0] if c != "src_ip"]
    assert joyfuljay.sql("select columns('^tcp_') from flows", DEMO).fetchall()
    assert joyfuljay.sql("from flows", DEMO).columns == list(rows[0])
    assert joyfuljay.sql("select count(*) from flows", DEMO, features=["tcp"], flow_timeout=5).fetchall()[0][0] >= len(rows)


@pytest.mark.parametrize("form", ["stream", "table"])
def test_every_comparison_works_on_every_column(rows, form, tmp_path):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(joyfuljay.Pipeline().process_pcap(DEMO, "arrow"))
    if form == "stream":
        relation = joyfuljay.sql("select * from flows", DEMO)
    else:
        joyfuljay.sql("select * from flows", DEMO).write_parquet(str(tmp_path / "flows.parquet"))
        relation = duckdb.sql(f"select * from '{tmp_path}/flows.parquet'")
    parts, expected = [], []
    for name in frame.columns:
        column = frame[name]
        known = column.drop_nulls()
        value = known[0] if len(known) else None
        parts += [f'count(*) filter ("{name}" is null)', f'count("{name}")']
        expected += [column.null_count(), len(known)]
        if value is None:
            continue
        literal = f"'{value}'" if isinstance(value, str) else ("true" if value is True else "false" if value is False else repr(value))
        parts += [f'count(*) filter ("{name}" {op} {literal})' for op in ("=", "<>", "<", ">=")]
        parts.append(f'count(*) filter ("{name}" in ({literal}))')
        if isinstance(value, bool):
            column, value = column.cast(polars.Int8), int(value)
        expected += [int(c.sum()) for c in (column == value, column != value, column < value, column >= value, column == value)]
        if isinstance(value, str):
            parts.append(f"count(*) filter (\"{name}\" like '%a%')")
            expected.append(int(column.str.contains("a", literal=True).sum()))
    found = []
    for at in range(0, len(parts), 200):
        found += relation.aggregate(", ".join(parts[at : at + 200])).fetchall()[0]
    assert [p for p, f, e in zip(parts, found, expected, strict=True) if f != e] == []


def test_errors_of_a_run_are_ours(tmp_path):
    with pytest.raises(FileNotFoundError):
        joyfuljay.sql("select * from flows", tmp_path / "no.pcap")
    good = tmp_path / "good.pcap"
    good.write_bytes(open(DEMO, "rb").read())
    result = joyfuljay.sql("select sum(total_bytes) from flows", [good, DEMO])
    good.unlink()
    with pytest.raises(FileNotFoundError, match="good.pcap"):
        result.fetchall()
    with pytest.raises(ValueError, match="flow_timeot"):
        joyfuljay.sql("select 1 from flows", DEMO, flow_timeot=3)
    with pytest.raises(duckdb.Error, match="nonsense"):
        joyfuljay.sql("select nonsense from flows", DEMO)


def test_batches_of_packets_that_end_no_flow_are_not_the_end(rows, tmp_path):
    """Between two hours of the demo one flow goes on alone for longer than the others wait: batch after batch without a row."""
    demo = open(DEMO, "rb").read()
    records, at = [], 24
    while at < len(demo):
        seconds, micros, length, _ = struct.unpack_from("<4I", demo, at)
        records.append((seconds * 1_000_000 + micros, demo[at + 8 : at + 16 + length]))
        at += 16 + length
    last = max(time for time, _ in records)
    frame = bytes.fromhex("02000000000202000000000108004500001c000000004011000" + "0c0000201c000020203e8003500080000")
    lone = [(last + i * 100_000, struct.pack("<2I", len(frame), len(frame)) + frame) for i in range(20_000)]
    later = [(time + 3_600_000_000, record) for time, record in records]
    quiet, one = tmp_path / "quiet.pcap", tmp_path / "one.pcap"
    quiet.write_bytes(demo[:24] + b"".join(struct.pack("<2I", *divmod(time, 1_000_000)) + rest for time, rest in records + lone + later))
    one.write_bytes(demo[:24] + b"".join(struct.pack("<2I", *divmod(time, 1_000_000)) + rest for time, rest in lone))
    expected = 2 * len(rows) + 1
    found = joyfuljay.sql("select count(*), count(*) filter (start_time > $1), max(total_packets) from flows".replace("$1", str(last / 1e6 + 2_000)), quiet)
    assert found.fetchall() == [(expected, len(rows), 20_000)]
    tables = [len(table) for table in joyfuljay.Pipeline().process_pcap_streaming(quiet, None, "table")]
    assert sum(tables) == expected and 0 not in tables
    # Of nothing, nothing: no row, and every column.
    nothing = joyfuljay.sql("select * from flows", one, bpf_filter="tcp")
    assert nothing.fetchall() == [] and nothing.columns == list(rows[0]) and nothing.pl().height == 0


def test_leaving_a_stream_unread_ends_it(many):
    threads = lambda: len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0  # noqa: E731
    joyfuljay.sql("select src_ip from flows limit 1", many).fetchall()
    before = threads()
    for _ in range(20):
        assert len(joyfuljay.sql("select src_ip from flows limit 1", many).fetchall()) == 1
    gc.collect()
    assert threads() <= before + 2
    code = f"import joyfuljay\nr = joyfuljay.sql('select src_ip from flows', {many!r})\nprint(r.limit(1).fetchall())\nk = r.fetchone() if hasattr(r, 'fetchone') else None"
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr


def test_ctrl_c_ends_a_query(many):
    code = (
        "import joyfuljay, sys\nprint('begun', flush=True)\n"
        f"while True: joyfuljay.sql('select count(*), sum(total_bytes) from flows', {many!r}).fetchall()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and "KeyboardInterrupt" in said


def test_ctrl_c_ends_a_query_wherever_it_falls():
    # DuckDB calls back while it plans, and reports what is raised there as errors of its own, or goes on.
    code = f"""
import os, random, signal, threading, time
import joyfuljay
for _ in range(2):
    began = time.monotonic()
    joyfuljay.sql('select count(*) from flows', {DEMO!r}).fetchall()
moment, ends = time.monotonic() - began, 0
for n in range(100):
    timer = threading.Timer(2 * moment * random.Random(n).random(), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        until = time.monotonic() + {PATIENCE}
        while time.monotonic() < until:
            joyfuljay.sql('select count(*) from flows', {DEMO!r}).fetchall()
    except KeyboardInterrupt:
        ends += 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print(ends)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (0, "100\n"), done.stderr
