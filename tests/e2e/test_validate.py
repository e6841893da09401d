"""`jj validate`: rows of captures against rows of a file."""

import csv
import json

import pytest
from conftest import DATA

COLUMNS = ["--features", "flow_meta,timing,tcp"]


@pytest.fixture(scope="module")
def golden(jj, tmp_path_factory):
    """golden(extension) -> a file of the rows of demo.pcap."""
    folder = tmp_path_factory.mktemp("golden")

    def make(extension):
        path = folder / f"demo.{extension}"
        if not path.exists():
            form = {"jsonl": "json", "array.json": "json", "old.json": "json"}.get(extension, extension)
            jj("extract", DATA / "demo.pcap", *COLUMNS, "-f", form, "-o", path)
            rows = [json.loads(line) for line in path.read_text().splitlines()] if "json" in extension else []
            if extension == "array.json":
                path.write_text(json.dumps(rows))
            if extension == "old.json":
                path.write_text(json.dumps({"profile": "JJ-CORE", "flows": rows}))
        return path

    return make


def changed(path, tmp_path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    out = tmp_path / "changed.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out


@pytest.mark.parametrize("extension", ["csv", "json", "jsonl", "array.json", "old.json", "parquet"])
@pytest.mark.parametrize("tolerance", ["1e-9", "0"])
def test_what_was_extracted_is_found_again(jj, golden, extension, tolerance):
    out = jj("validate", DATA / "demo.pcap", "--expected", golden(extension), "--tolerance", tolerance, "-w", "3").out
    rows = len(golden("jsonl").read_text().splitlines())
    columns = len(json.loads(golden("jsonl").read_text().splitlines()[0]))
    assert out == f"equal: {rows} rows of {columns} columns\n"


def test_a_changed_value_is_named(jj, golden, tmp_path):
    def change(rows):
        rows[2]["total_packets"] += 1
        rows[4]["iat_mean"] = (rows[4]["iat_mean"] or 1) * 1.001

    done = jj("validate", DATA / "demo.pcap", "--expected", changed(golden("jsonl"), tmp_path, change), ok=False)
    assert done.returncode == 1
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["ROW", "COLUMN", "EXPECTED", "FOUND"]
    assert lines[1][:2] == ["3", "total_packets"] and int(lines[1][2]) == int(lines[1][3]) + 1
    assert "2 different values" in done.out


def test_tolerance_is_a_share_or_an_amount(jj, golden, tmp_path):
    def change(rows):
        for row in rows:
            row["bytes_per_second"] = row["bytes_per_second"] and row["bytes_per_second"] * (1 + 1e-7)

    expected = changed(golden("jsonl"), tmp_path, change)
    jj("validate", DATA / "demo.pcap", "--expected", expected, "--tolerance", "1e-6")
    assert jj("validate", DATA / "demo.pcap", "--expected", expected, ok=False).returncode == 1


def test_only_some_differences_are_shown(jj, golden, tmp_path):
    expected = changed(golden("jsonl"), tmp_path, lambda rows: [row.update(protocol=1000) for row in rows])
    rows = len(expected.read_text().splitlines())
    assert rows > 20
    few = jj("validate", DATA / "demo.pcap", "--expected", expected, "--set", "num_workers=1", ok=False).out
    every = jj("validate", DATA / "demo.pcap", "--expected", expected, "-v", ok=False).out
    assert "more" in few and "--verbose" in few
    assert len(every.splitlines()) > max(rows, len(few.splitlines()))


def test_another_order_is_the_same_rows(jj, golden, tmp_path):
    expected = changed(golden("jsonl"), tmp_path, lambda rows: rows.reverse())
    out = jj("validate", DATA / "demo.pcap", "--expected", expected).out
    assert "another order" in out and "equal" in out


def test_a_missing_row_and_one_more_are_told(jj, golden, tmp_path):
    def change(rows):
        del rows[1]
        rows.append({**rows[0], "src_ip": "203.0.113.99"})

    done = jj("validate", DATA / "demo.pcap", "--expected", changed(golden("jsonl"), tmp_path, change), ok=False)
    assert done.returncode == 1
    assert done.out.count("no such row") == 2 and "203.0.113.99" in done.out


def test_columns_of_the_file_are_compared_and_an_unknown_one_is_an_error(jj, golden, tmp_path):
    some = tmp_path / "some.csv"
    rows = list(csv.DictReader(golden("csv").open()))
    with some.open("w") as out:
        writer = csv.DictWriter(out, ["iat_mean", "src_ip"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    assert "of 2 columns" in jj("validate", DATA / "demo.pcap", "--expected", some).out
    some.write_text(some.read_text().replace("iat_mean", "iat_meen", 1))
    done = jj("validate", DATA / "demo.pcap", "--expected", some, ok=False)
    assert done.returncode == 2 and "iat_mean" in done.err and "some.csv" in done.err


def test_a_profile_is_compared_whole(jj, golden, tmp_path):
    done = jj("validate", DATA / "demo.pcap", "--expected", golden("csv"), "--profile", "JJ-CORE", ok=False)
    assert done.returncode == 1 and "not extracted" in done.out
    core = tmp_path / "core.csv"
    jj("extract", DATA / "demo.pcap", "--profile", "JJ-CORE", "-o", core)
    assert "equal" in jj("validate", DATA / "demo.pcap", "--expected", core, "--profile", "JJ-CORE").out


def test_split_rows_have_their_direction(jj, tmp_path):
    split = tmp_path / "split.csv"
    jj("extract", DATA / "demo.pcap", "--features", "flow_meta", "--bidir-split", "-o", split)
    assert "equal" in jj("validate", DATA / "demo.pcap", "--expected", split).out


@pytest.mark.parametrize("content, name", [("a,b\n1\n", "x.csv"), ("{\"a\": ", "x.json"), ("", "x.txt"), ("no", "x.parquet")])
def test_a_file_that_cannot_be_read_is_wrong_use(jj, tmp_path, content, name):
    (tmp_path / name).write_text(content)
    done = jj("validate", DATA / "few.pcap", "--expected", tmp_path / name, ok=False)
    assert done.returncode == 2 and name in done.err, done.err


def test_a_capture_that_cannot_be_read_is_no_difference(jj, golden, tmp_path):
    done = jj("validate", tmp_path / "none.pcap", "--expected", golden("csv"), ok=False)
    assert done.returncode == 2 and "none.pcap" in done.err, done.err


def test_no_rows_are_expected_of_no_packets(jj, tmp_path):
    (tmp_path / "none.json").write_text("[]")
    assert "equal: 0 rows" in jj("validate", DATA / "empty.pcap", "--expected", tmp_path / "none.json").out
