"""What is SQLite's own: locks, the log, one file in the end, limits."""

import contextlib
import os
import sqlite3
import time

import pytest
from conftest import DEMO, PATIENCE, kill, until
from joyfuljay.output.database import to_database


def test_one_file_is_left(jj, sqlite, tmp_path):
    jj("extract", DEMO, "-o", sqlite.path)
    assert os.listdir(tmp_path) == [sqlite.path.name]
    assert sqlite.query("pragma journal_mode") == [("delete",)]
    assert sqlite.query("pragma integrity_check") == [("ok",)]
    assert sqlite.query("select count(*) > 0 from joyfuljay_features") == [(1,)]


@pytest.mark.parametrize("extension", ["sqlite", "sqlite3", "db"])
def test_the_extension_names_the_format(jj, tmp_path, extension):
    jj("extract", DEMO, "--feature", "src_ip", "-o", tmp_path / f"x.{extension}")
    assert (tmp_path / f"x.{extension}").read_bytes()[:15] == b"SQLite format 3"


def test_what_is_no_database_is_refused(jj, tmp_path):
    (tmp_path / "text.sqlite").write_text("something else entirely, and long enough to be read as a header of some kind" * 10)
    assert "something else" in jj("extract", DEMO, "-o", tmp_path / "text.sqlite", ok=False).stderr
    assert "does not exist" in jj("extract", DEMO, "-o", tmp_path / "no/x.sqlite", ok=False).stderr
    assert "directory" in jj("extract", DEMO, "-f", "sqlite", "-o", tmp_path, ok=False).stderr
    assert "-o FILE.sqlite" in jj("extract", DEMO, "-f", "sqlite", ok=False).stderr
    assert (tmp_path / "text.sqlite").read_text().startswith("something else")


def test_others_who_write_are_waited_for(jj, sqlite):
    jj("extract", DEMO, "--feature", "src_ip", "-o", sqlite.path)
    with contextlib.closing(sqlite3.connect(sqlite.path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("begin immediate")
        done = jj("extract", DEMO, "--feature", "src_ip", "-o", sqlite.path, "--db-timeout", "0.2", ok=False)
        assert "--db-timeout" in done.stderr
        process = jj.start("extract", DEMO, "--feature", "src_ip", "-o", sqlite.path, "--db-timeout", str(PATIENCE))
        time.sleep(0.5)
        assert process.poll() is None, process.stderr.read()
        other.execute("rollback")
        assert process.wait(PATIENCE) == 0, process.stderr.read()
    runs = sqlite.query("select row_count from joyfuljay_runs")
    assert len(runs) == 2 and sqlite.query("select count(*) from joyfuljay_features") == [(sum(n for (n,) in runs),)]


def test_a_reader_goes_on_and_holds_nobody_up(jj, sqlite, many):
    jj("extract", DEMO, "--feature", "src_ip", "-o", sqlite.path)
    # The log of the run is seen by a reader that came before it.
    with contextlib.closing(sqlite3.connect(sqlite.path, isolation_level=None)) as reader:
        process = jj.start("extract", many, "--feature", "src_ip", "--db-batch-size", "100", "-o", sqlite.path)
        before = None
        while process.poll() is None:
            (count,) = reader.execute("select count(*) from joyfuljay_features").fetchone()
            assert before is None or count >= before
            before = count
        assert process.returncode == 0, process.stderr.read()
    assert sqlite.query("pragma integrity_check") == [("ok",)]


def test_the_file_is_whole_however_a_run_ends(jj, sqlite, many):
    for n in range(8):
        process = jj.start("extract", many, "--features", "flow_meta", "--db-batch-size", "50", "-o", sqlite.path)

        def writes(n=n, process=process):
            assert process.poll() is None, process.stderr.read()
            try:
                return len(sqlite.query("select 1 from joyfuljay_runs where row_count > 0")) > n
            except sqlite3.OperationalError:
                return False

        until(writes)
        kill(process)
        assert sqlite.query("pragma integrity_check") == [("ok",)]
        assert sqlite.query("select count(*) from joyfuljay_features") == sqlite.query("select sum(row_count) from joyfuljay_runs")
    said = jj("extract", DEMO, "--feature", "src_ip", "-o", sqlite.path).stderr
    assert "run 1 of this table goes on or was broken off" in said and "3 more" in said


def test_columns_have_a_limit(sqlite):
    to_database([{f"c{n}": n for n in range(1999)}], sqlite.dsn, "most")
    assert sqlite.query("select c0, c1998 from most") == [(0, 1998)]
    with pytest.raises(Exception, match="2001 columns"):
        to_database([{f"c{n}": n for n in range(2000)}], sqlite.dsn, "more")
    with pytest.raises(Exception, match="2001 columns"):
        to_database([{"one_more": 1}], sqlite.dsn, "most")


def test_two_runs_at_once(jj, sqlite, many):
    both = [jj.start("extract", many, "--feature", "src_ip", "--db-batch-size", "100", "-o", sqlite.path) for _ in range(2)]
    for process in both:
        assert process.wait(PATIENCE) == 0, process.stderr.read()
    assert sqlite.query("select run_id, count(*) from joyfuljay_features group by run_id") == sqlite.query(
        "select run_id, row_count from joyfuljay_runs order by run_id"
    )


def test_a_full_disk_leaves_whole_batches(jj, small_disk, many):
    from conftest import Sqlite

    full = Sqlite(small_disk / "flows.sqlite")
    command = ["extract", many, "--features", "flow_meta", "--db-batch-size", "500", "-o", full.path]
    for _ in range(100):
        process = jj.start(*command)
        said = process.communicate(timeout=PATIENCE)[1]
        if process.returncode:
            break
    assert process.returncode == 1 and "full" in said, said
    runs = full.query("select run_id, row_count from joyfuljay_runs where row_count > 0 order by run_id")
    assert full.query("select run_id, count(*) from joyfuljay_features group by run_id order by run_id") == runs
    assert full.query("pragma integrity_check") == [("ok",)]
