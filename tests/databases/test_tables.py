"""Tables of both kinds: what is read back is what the CSV says, whatever is in the rows and whatever befalls the run."""

import csv
import json
import math
import os

import pytest
from conftest import DEMO, HEADER, PATIENCE, kill, segment, until
from joyfuljay import Pipeline
from joyfuljay.output.database import DatabaseWriter, to_database


def test_every_column_comes_back_as_in_the_csv(jj, database, tmp_path):
    options = [DEMO, "--include-sequences", "--splt", "-w", "2"]
    jj("extract", *options, *database.arguments("all"))
    jj("extract", *options, "-f", "csv", "-o", tmp_path / "all.csv")
    # A database has no order of its own.
    order = ["start_time", "end_time", "src_port", "dst_port", "src_ip"]
    number = lambda row: [float(row[n] or -1) if n != "src_ip" else row[n] for n in order]  # noqa: E731
    rows = sorted(csv.DictReader(open(tmp_path / "all.csv")), key=number)
    assert len({tuple(number(row)) for row in rows}) == len(rows)
    types = database.types("all")
    assert list(types)[0] == "run_id" and set(types) - {"run_id"} == set(rows[0])
    lists = [n for n, of in types.items() if of == "ARRAY"]
    for name, of in types.items():
        if name == "run_id":
            continue
        if of == "inet":
            read = f'host("{name}")'
        elif name in lists:
            read = f'array_to_json("{name}")::text'
        else:
            read = f'"{name}"'
        text = 'host(src_ip) collate "C"' if database.kind == "postgres" else "src_ip"
        by = ", ".join(f"coalesce({n}, -1)" for n in order[:-1]) + f", {text}"
        for (found,), row in zip(database.query(f'select {read} from "all" order by {by}'), rows, strict=True):
            said = row[name]
            if found is None:
                assert said == "", name
            elif isinstance(found, (bool, int)) and of.lower() == "boolean":
                assert bool(found) == (said == "true"), name
            elif isinstance(found, (int, float)):
                assert float(said) == found, name
            elif said.startswith("["):
                assert json.loads(said) == json.loads(found), name
            else:
                assert said == found, name


def test_a_run_is_told_and_can_be_taken_away(jj, database):
    first = jj("extract", DEMO, *database.arguments("flows"), "--db-batch-size", "10")
    jj("extract", DEMO, *database.arguments("flows"), "--db-batch-size", "10")
    runs = database.query("select run_id, table_name, batches, row_count, finished is not null from joyfuljay_runs order by run_id")
    count = runs[0][3]
    assert [(run[0], run[1], run[3], bool(run[4])) for run in runs] == [(n, "flows", count, True) for n in (1, 2)]
    assert all(run[2] >= count / 10 for run in runs)
    assert "run 1" in first.stderr
    # The same rows again are rows of another run.
    assert database.query("select run_id, count(*) from flows group by run_id order by run_id") == [(1, count), (2, count)]
    database.query("delete from flows where run_id = 1")
    database.query("delete from joyfuljay_runs where run_id = 1")
    assert database.query("select run_id, count(*) from flows group by run_id") == [(2, count)]


def test_what_to_do_where_the_table_is_there(jj, database):
    some = ["--features", "flow_meta"]
    jj("extract", DEMO, *some, *database.arguments("flows"))
    (count,) = database.query("select count(*) from flows")[0]
    refused = jj("extract", DEMO, *some, *database.arguments("flows"), "--db-if-exists", "fail", ok=False)
    assert "flows" in refused.stderr and "append" in refused.stderr
    # Columns are added, and rows that were there have nulls in them.
    refused = jj("extract", DEMO, *database.arguments("flows"), "--no-alter", ok=False)
    assert "iat_mean" in refused.stderr
    jj("extract", DEMO, *database.arguments("flows"))
    assert database.query("select run_id, count(*), count(iat_mean) > 0 from flows group by run_id order by run_id") in (
        [(1, count, False), (2, count, True)], [(1, count, 0), (2, count, 1)],
    )
    # Fewer columns than the table has.
    jj("extract", DEMO, "--feature", "src_ip", *database.arguments("flows"))
    jj("extract", DEMO, "--feature", "src_ip", *database.arguments("flows"), "--db-if-exists", "replace")
    assert set(database.types("flows")) == {"run_id", "src_ip"}
    assert database.query("select count(*) from joyfuljay_runs") == [(1,)]


@pytest.mark.parametrize(
    ("name", "column", "why"),
    [
        ("sqlite", "total_bytes REAL", "total_bytes"), ("sqlite", "src_ip INTEGER", "src_ip"),
        ("sqlite", "other TEXT NOT NULL", "other"), ("sqlite", "x, total_bytes INTEGER AS (1)", "generated"),
        ("postgres", "total_bytes double precision", "total_bytes"), ("postgres", "total_bytes timestamptz", "total_bytes"),
        ("postgres", "total_bytes integer", "total_bytes"), ("postgres", "start_time bigint", "start_time"),
        ("postgres", "src_ip text", "src_ip"), ("postgres", "app_protocol inet", "app_protocol"),
        ("postgres", "other text not null", "other"), ("postgres", "total_bytes bigint generated always as (1) stored", "generated"),
    ],
)  # fmt: skip
def test_a_table_of_other_types_is_refused_before_the_first_row(jj, request, name, column, why):
    database = request.getfixturevalue(name)
    database.query(f"create table flows ({column})")
    before = database.types("flows")
    refused = jj("extract", DEMO, *database.arguments("flows"), ok=False)
    assert why in refused.stderr and "flows" in refused.stderr
    assert database.types("flows") == before
    assert database.query("select count(*) from flows") == [(0,)]


def test_order_and_defaults_of_a_table_are_its_own(jj, database):
    kind = "bigint" if database.kind == "postgres" else "INTEGER"
    database.query(f"create table flows (bytes_bwd {kind}, note text not null default 'x', total_bytes {kind}, run_id {kind})")
    jj("extract", DEMO, "--feature", "total_bytes,bytes_bwd", *database.arguments("flows"))
    expected = sum(row["total_bytes"] for row in Pipeline().iter_features(DEMO))
    assert database.query("select sum(total_bytes), max(note) from flows") == [(expected, "x")]
    database.query("create view seen as select * from flows")
    assert "view" in jj("extract", DEMO, *database.arguments("seen"), ok=False).stderr


def test_bytes_that_no_text_has(jj, database, tmp_path):
    """A zero byte and invalid UTF-8 are U+FFFD; no row is lost for them."""
    request = b"GET /\xf0\x9f\x98\x80 HTTP/1.1\r\nHost: a\0b\xffc\r\nUser-Agent: \xf0\x9f\x98\x80\0\r\n\r\n"
    capture = tmp_path / "bytes.pcap"
    capture.write_bytes(
        HEADER + segment(1, True, 2, 1, 0) + segment(1.1, False, 18, 5, 2) + segment(1.2, True, 16, 2, 6)
        + segment(1.3, True, 24, 2, 6, request) + segment(1.4, False, 16, 6, 2 + len(request))
    )  # fmt: skip
    jj("extract", capture, "--features", "http", "-o", tmp_path / "bytes.csv")
    (row,) = csv.DictReader(open(tmp_path / "bytes.csv"))
    done = jj("extract", capture, "--features", "http", *database.arguments("flows"))
    names = [name for name in row if name in database.types("flows")]
    (found,) = database.query("select {} from flows".format(", ".join(names)))
    said = {name: value for name, value in zip(names, found, strict=True) if isinstance(value, str)}
    assert any("\ufffd" in value for value in said.values()), said
    assert "zero bytes" in done.stderr
    assert said == {name: row[name].replace("\0", "\ufffd") for name in said}

    texts = ["a\0b", "\0", "\U0001f600", "", "\ufffd", "'; drop table texts; --", '"', "\\N", "\n"]
    with pytest.warns(UserWarning, match="2 zero bytes"):
        to_database(({"text": text} for text in texts), database.dsn, "texts")
    found = sorted(text for (text,) in database.query("select text from texts"))
    assert found == sorted(t.replace("\0", "\ufffd") for t in texts)


def test_numbers_keep_their_value(database):
    """Signed and unsigned to their limits; what is no number is null."""
    values = [2**63 - 1, -(2**63), 0]
    to_database(({"n": n} for n in values), database.dsn, "signed")
    assert sorted(database.query("select n from signed")) == [(n,) for n in sorted(values)]
    large = [2**63 - 1, 2**63, 2**64 - 1]
    if database.kind == "postgres":
        to_database(({"n": n} for n in large), database.dsn, "unsigned")
        assert sorted(database.query("select n from unsigned")) == [(n,) for n in large]
        assert database.query("select sum(n) from unsigned") == [(sum(large),)]
    else:
        with pytest.raises(Exception, match="'n' has 9223372036854775808"):
            to_database(({"n": n} for n in large), database.dsn, "unsigned")
        to_database([{"n": 2**63 - 1}, {"n": 1}], database.dsn, "whole")
        assert database.query("select distinct typeof(n) from whole") == [("integer",)]
    floats = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.5, None]
    to_database(({"x": x} for x in floats), database.dsn, "floats")
    assert database.query("select count(*), count(x), max(x), min(x) from floats") == [(7, 3, 1.5, 0.0)]
    assert database.query("select avg(x) from floats") == [(0.5,)]


def test_names_are_quoted_and_checked(jj, database):
    for name in ["user", 'a"b', "Flüße", '"; drop', "x" * 63]:
        to_database([{"select": 1, 'quo"te': "x"}], database.dsn, name)
        quoted = name.replace('"', '""')
        assert database.query(f'select "select", "quo""te" from "{quoted}"') == [(1, "x")]
    for name in ["", "x" * 64, "joyfuljay_runs"]:
        assert "table" in jj("extract", DEMO, *database.arguments(name), ok=False).stderr
    for columns in [{"run_id": 1}, {"a": 1, "A": 2}, {"n" * 64: 1}]:
        with pytest.raises(Exception, match="column"):
            to_database([columns], database.dsn, "columns")
    if database.kind == "postgres":
        assert "CREATE SCHEMA" in jj("extract", DEMO, *database.arguments("x.y"), ok=False).stderr
        database.query("create schema x")
        jj("extract", DEMO, *database.arguments("x.y"))
        assert database.query("select table_name, row_count > 0 from x.joyfuljay_runs") == [("y", True)]
    # What the registry has is fit for every database.
    names = [f["name"] for f in __import__("joyfuljay")._native.feature_table()]
    assert all(len(n.encode()) <= 63 and n == n.lower() for n in names) and len(set(names)) == len(names)
    assert "run_id" not in names


def test_a_broken_off_run_is_taken_up_again(jj, database, many):
    """Killed twice, the rows are in the end those of one run, in their order."""
    options = [many, "--features", "flow_meta", "--db-batch-size", "200"]
    resume = []
    for _ in range(2):
        before = database.query("select row_count from joyfuljay_runs")[0][0] if resume else 0
        process = jj.start("extract", *options, *resume, *database.arguments("flows"))

        def moves(before=before, process=process):
            assert process.poll() is None, process.stderr.read()
            try:
                return database.query("select 1 from joyfuljay_runs where row_count > " + str(before))
            except Exception as error:
                # The table is not there yet.
                assert "joyfuljay_runs" in str(error) or "locked" in str(error), error
                return None

        until(moves)
        kill(process)
        ((run, batches, rows, finished),) = database.query("select run_id, batches, row_count, finished from joyfuljay_runs")
        assert finished is None and 0 < rows
        assert database.query("select count(*) from flows") == [(rows,)], "whole batches, all of them counted"
        resume = ["--db-resume", run]
    # Not with other options or another input, nor as another table's.
    assert "columns" in jj("extract", many, "--feature", "src_ip", *resume, *database.arguments("flows"), ok=False).stderr
    assert "input" in jj("extract", DEMO, *options[1:], *resume, *database.arguments("flows"), ok=False).stderr
    assert "configuration" in jj("extract", *options, "--timeout", "1", *resume, *database.arguments("flows"), ok=False).stderr
    assert "'flows'" in jj("extract", *options, *resume, *database.arguments("other"), ok=False).stderr
    assert "no run 99" in jj("extract", *options, "--db-resume", "99", *database.arguments("flows"), ok=False).stderr
    # Another batch size and another number of workers give the same rows.
    done = jj("extract", *options[:-1], "333", "-w", "1", *resume, *database.arguments("flows"))
    assert "passed over" in done.stderr
    jj("extract", *options, "-w", "2", *database.arguments("whole"))
    columns = "src_ip, src_port, start_time, total_bytes"
    broken, whole = (sorted(map(repr, database.query(f"select {columns} from {table}"))) for table in ("flows", "whole"))
    assert len(whole) > 0 and broken == whole
    sums = "select count(*), sum(total_bytes), sum(total_packets), min(start_time), max(end_time) from "
    assert database.query(sums + "flows") == database.query(sums + "whole")
    assert "nothing to take up" in jj("extract", *options, *resume, *database.arguments("flows"), ok=False).stderr


def test_two_runs_with_other_columns_at_once(jj, database):
    profiles = ["JJ-CORE", "JJ-EXTENDED"]
    for _ in range(5):
        both = [jj.start("extract", DEMO, "--profile", p, "--db-batch-size", "7", *database.arguments("flows")) for p in profiles]
        for process in both:
            assert process.wait(PATIENCE) == 0, process.stderr.read()
    runs = database.query("select r.run_id, row_count from joyfuljay_runs r order by r.run_id")
    assert len(runs) == 10
    assert database.query("select run_id, count(*) from flows group by run_id order by run_id") == runs


def test_rows_of_a_stream_are_there_while_it_is_quiet(jj, database, tmp_path):
    """No transaction is open while nothing comes, and such a run cannot be taken up again."""
    if database.kind == "postgres":
        database.query(f"alter database {database.name} set idle_in_transaction_session_timeout = '500ms'")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = jj.start("extract", pipe, "--features", "flow_meta", *database.arguments("flows"))
    with open(pipe, "wb", buffering=0) as stream:
        stream.write(HEADER + segment(1, True, 2, 1, 0, host=1))

        def count():
            try:
                return database.query("select count(*) from flows")[0][0]
            except Exception:
                return 0

        def after(second, host, rows):
            """Only packets say the time here, batch by batch: one is sent until it is heard in a batch of its own."""
            stream.write(segment(second, True, 2, 1, 0, host=host))
            return count() == rows

        until(lambda: after(5000, 2, 1))
        if database.kind == "postgres":
            open_ones = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"
            for _ in range(20):
                assert database.query(open_ones) == [(0,)]
            # A server that ends what is idle does no harm either.
            database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'joyfuljay'")
        until(lambda: after(9000, 3, 2))
    assert process.wait(PATIENCE) == 0, process.stderr.read()
    assert count() == 3
    refused = jj("extract", DEMO, "--features", "flow_meta", "--db-resume", "1", *database.arguments("flows"), ok=False)
    assert "run 1" in refused.stderr


def test_anonymised_addresses_are_texts(jj, database):
    jj("extract", DEMO, "--features", "flow_meta", "--anonymize-ips", "--salt", "x", *database.arguments("flows"))
    assert database.types("flows")["src_ip"].lower() == "text"
    assert database.query("select count(*) from flows where length(src_ip) <> 16") == [(0,)]


def test_the_writer_of_older_versions(database):
    """Names and behaviour of joyfuljay 0.1's DatabaseWriter."""
    import numpy as np

    with DatabaseWriter(database.dsn, table="older", batch_size=2) as writer:
        assert writer.backend == database.kind
        writer.write({"a": np.int64(1), "b": np.float64(0.5), "c": True, "d": [1, 2], "e": None, "src_ip": "10.0.0.1"})
        writer.write({"a": 2, "b": 1, "c": np.bool_(False), "d": {"x": 1}, "e": None, "src_ip": "::1"})
        assert writer.rows_written == 2
        writer.write({"a": 3, "f": "later"})
        with pytest.raises(TypeError, match="'a'"):
            writer.write({"a": "text"})
        writer._buffer.pop()
    assert writer.rows_written == 3
    rows = database.query("select a, b, d, e, f from older order by a")
    assert rows == [(1, 0.5, "[1, 2]", None, None), (2, 1.0, '{"x": 1}', None, None), (3, None, None, None, "later")]
    with pytest.raises(Exception, match="older"):
        to_database([{"a": 1}], database.dsn, "older", if_exists="fail")
    # Rows of captures have the types that the command gives them.
    rows = list(Pipeline().iter_features(DEMO))
    assert to_database(rows, database.dsn, "ours") == len(rows)
    pipeline = Pipeline()
    assert pipeline.process_pcap_streaming(DEMO, database.dsn, database.kind, table="ours") == len(rows)
    assert database.query("select run_id, count(*), sum(total_bytes) from ours group by run_id order by run_id") == [
        (n, len(rows), sum(r["total_bytes"] for r in rows)) for n in database_runs(database, "ours")
    ]


def database_runs(database, table):
    return [n for (n,) in database.query(f"select run_id from joyfuljay_runs where table_name = '{table}' order by run_id")]
