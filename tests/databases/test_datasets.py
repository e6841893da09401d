"""Folders of Parquet files: what runs wrote, by the readers that people have, with their default options."""

import json
import pathlib
import random
import time

import joyfuljay
import pytest
from conftest import DEMO, HEADER, PATIENCE, kill, segment

duckdb = pytest.importorskip("duckdb")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")
import pyarrow.dataset  # noqa: E402
import pyarrow.parquet  # noqa: E402

KEYS = ["--partition-by", "date,app_protocol"]


def as_text(value):
    return None if value is None else str(value)


def readers(folder, columns):
    """The rows of a folder by each reader, as sorted texts: dates are dates for some and texts for others."""
    selected = ", ".join(columns)
    found = {
        "pyarrow": [tuple(r[c] for c in columns) for r in pyarrow.dataset.dataset(folder, partitioning="hive").to_table().to_pylist()],
        "polars": polars.scan_parquet(f"{folder}/").select(columns).collect().rows(),
        "polars, pattern": polars.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True).select(columns).collect().rows(),
        "duckdb": duckdb.sql(f"select {selected} from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)").fetchall(),
    }
    return {name: sorted([tuple(map(as_text, row)) for row in rows], key=repr) for name, rows in found.items()}


def same(folder, columns):
    """Those rows, which are the same for all readers."""
    found = readers(folder, columns)
    for rows in found.values():
        assert rows == found["pyarrow"]
    return found["pyarrow"]


def parquets(folder):
    return sorted(pathlib.Path(folder).rglob("*.parquet"))


def runs(folder):
    beside = pathlib.Path(f"{folder}.runs")
    return [json.loads(path.read_text()) for path in sorted(beside.iterdir())] if beside.exists() else []


def test_four_readers_agree(jj, tmp_path):
    folder = tmp_path / "flows"
    jj("extract", DEMO, "-f", "parquet", "-o", folder, *KEYS)
    expected = sorted(
        (tuple(map(as_text, (r["src_ip"], r["app_protocol"], r["total_bytes"]))) for r in joyfuljay.Pipeline().iter_features(DEMO)), key=repr
    )
    assert same(folder, ["src_ip", "app_protocol", "total_bytes"]) == expected
    assert any(name is None for _, name, _ in expected) and any(name for _, name, _ in expected)
    days = {date for (date,) in same(folder, ["date"])}
    assert days == {p.parts[-3].removeprefix("date=") for p in parquets(folder)}
    # Each key is there once, and not in the files.
    schema = pyarrow.dataset.dataset(folder, partitioning="hive").schema
    assert schema.names.count("app_protocol") == 1
    for path in parquets(folder):
        file = pyarrow.parquet.ParquetFile(path)
        assert "app_protocol" not in file.schema_arrow.names
        assert not any(pyarrow.types.is_null(field.type) for field in file.schema_arrow)
        assert file.schema_arrow.field("duration").metadata[b"unit"] == b"s"
        times = file.read(["start_time"])["start_time"].to_pylist()
        assert times == sorted(times)


def test_numbers_are_keys_too(jj, tmp_path):
    folder = tmp_path / "flows"
    jj("extract", DEMO, "-f", "parquet", "-o", folder, "--partition-by", "protocol,end_reason", "--features", "flow_meta")
    rows = list(joyfuljay.Pipeline().iter_features(DEMO))
    expected = sorted((tuple(map(as_text, (r["protocol"], r["end_reason"], r["src_port"]))) for r in rows), key=repr)
    assert same(folder, ["protocol", "end_reason", "src_port"]) == expected


def test_later_runs_add_to_the_folder(jj, tmp_path):
    """The same command twice, and two at once: all rows are there as often."""
    folder = tmp_path / "flows"
    command = ["extract", DEMO, "-f", "parquet", "-o", folder, *KEYS, "--features", "flow_meta,app"]
    jj(*command)
    first = {path: path.read_bytes() for path in parquets(folder)}
    jj(*command)
    both = [jj.start(*command) for _ in range(2)]
    for process in both:
        assert process.wait(300) == 0, process.stderr.read()
    assert all(path.read_bytes() == content for path, content in first.items())
    rows = len(list(joyfuljay.Pipeline().iter_features(DEMO)))
    assert len(same(folder, ["src_ip"])) == 4 * rows
    said = runs(folder)
    assert len({run["run"] for run in said}) == 4
    assert all(run["rows"] == rows and run["finished"] and run["partition_by"] == ["date", "app_protocol"] for run in said)
    names = {file["path"] for run in said for file in run["files"]}
    assert names == {str(path.relative_to(folder)) for path in parquets(folder)}
    for run in said:
        for file in run["files"]:
            table = pyarrow.parquet.ParquetFile(folder / file["path"])
            assert file["rows"] == table.metadata.num_rows and file["bytes"] == (folder / file["path"]).stat().st_size


def test_a_killed_run_leaves_nothing_that_cannot_be_read(jj, tmp_path, many):
    folder = tmp_path / "flows"
    command = ["--features", "flow_meta,app", "-f", "parquet", "-o", folder, *KEYS, "--rows-per-file", "1000"]
    jj("extract", DEMO, *command)
    rng = random.Random(1)
    for _ in range(10):
        process = jj.start("extract", many, *command)
        time.sleep(rng.random() * 0.3)
        kill(process)
        # Whole files, whose rows all readers have.
        whole = sum(pyarrow.parquet.ParquetFile(path).metadata.num_rows for path in parquets(folder))
        assert len(same(folder, ["src_ip"])) == whole
    open_runs = [run["run"] for run in runs(folder) if run["finished"] is None]
    said = jj("extract", DEMO, *command).stderr
    assert all(run in said for run in open_runs[:5])


def test_a_full_disk_leaves_whole_files(jj, small_disk, many):
    folder = small_disk / "flows"
    command = ["--features", "flow_meta,app", "-f", "parquet", "-o", folder, "--partition-by", "date", "--rows-per-file", "5000"]
    jj("extract", DEMO, *command)
    for _ in range(200):
        process = jj.start("extract", many, *command)
        said = process.communicate(timeout=PATIENCE)[1]
        if process.returncode:
            break
    assert process.returncode == 1 and "space" in said, said
    whole = sum(pyarrow.parquet.ParquetFile(path).metadata.num_rows for path in parquets(folder))
    assert len(same(folder, ["src_ip"])) == whole > 0
    # The file that did not fit is gone, and what it took is free.
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".parquet"}


def test_columns_of_later_runs_are_there_for_union_readers(jj, tmp_path):
    folder = tmp_path / "flows"
    for features in ("flow_meta,app", "flow_meta,app,tls"):
        jj("extract", DEMO, "-f", "parquet", "-o", folder, *KEYS, "--features", features)
    union = duckdb.sql(f"select count(*), count(tls_version) from read_parquet('{folder}/**/*.parquet', union_by_name = true)").fetchall()
    assert union[0][0] > union[0][1] > 0
    schema = pyarrow.unify_schemas([pyarrow.parquet.read_schema(path) for path in parquets(folder)])
    assert pyarrow.dataset.dataset(folder, schema=schema, partitioning="hive").to_table().num_rows == union[0][0]
    frame = polars.scan_parquet(f"{folder}/", missing_columns="insert", extra_columns="ignore", schema=polars.scan_parquet(parquets(folder)[-1]).collect_schema())
    assert frame.collect().height == union[0][0]


def test_pruning_by_statistics_loses_no_row(jj, tmp_path, many):
    folder = tmp_path / "flows"
    jj("extract", many, "--features", "flow_meta", "-f", "parquet", "-o", folder, "--partition-by", "date")
    table = pyarrow.dataset.dataset(folder, partitioning="hive").to_table()
    for name in ("start_time", "total_bytes", "src_port", "bytes_ratio"):
        values = sorted(v for v in table[name].to_pylist() if v is not None)
        for at in range(10):
            bound = values[at * (len(values) - 1) // 9]
            expected = sum(v >= bound for v in values)
            assert pyarrow.dataset.dataset(folder, partitioning="hive").to_table(filter=pyarrow.dataset.field(name) >= bound).num_rows == expected
            assert polars.scan_parquet(f"{folder}/").filter(polars.col(name) >= bound).collect().height == expected
            query = f"select count(*) from read_parquet('{folder}/**/*.parquet') where {name} >= {bound!r}"
            assert duckdb.sql(query).fetchall() == [(expected,)]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--partition-by", "tls_sni"], "tls_sni"), (["--partition-by", "src_ip"], "any text"), (["--partition-by", "duration"], "Float64"),
        (["--partition-by", "nothing"], "nothing"), (["--partition-by", "date,date"], "twice"),
        (["--partition-by", "date", "--feature", "src_ip"], "start_time"),
        (["--partition-by", "protocol", "--feature", "protocol"], "no column is left"),
    ],
)  # fmt: skip
def test_keys_that_do_not_come_back_are_refused(jj, tmp_path, arguments, why):
    refused = jj("extract", DEMO, "-f", "parquet", "-o", tmp_path / "flows", *arguments, ok=False)
    assert why in refused.stderr
    assert not (tmp_path / "flows").exists()


def test_a_key_of_many_values_is_refused(jj, tmp_path):
    capture = tmp_path / "ports.pcap"
    capture.write_bytes(HEADER + b"".join(segment(n, True, 2, 1, 0, port=1024 + n) for n in range(1100)))
    refused = jj("extract", capture, "-f", "parquet", "-o", tmp_path / "flows", "--partition-by", "src_port", ok=False)
    assert "1001 values" in refused.stderr and "'src_port'" in refused.stderr
    assert "-f parquet" in jj("extract", DEMO, "-f", "csv", "-o", tmp_path / "x", "--partition-by", "date", ok=False).stderr


def test_lists_are_named_as_the_format_names_them(jj, tmp_path):
    """`list.element`; what they are and mean does not hang on the schema of Arrow that lies in the file."""
    whole, bare = tmp_path / "whole.parquet", tmp_path / "bare.parquet"
    jj("extract", DEMO, "-o", whole, "--include-sequences")
    schema = str(pyarrow.parquet.ParquetFile(whole).schema)
    assert "element" in schema and " item" not in schema
    data = whole.read_bytes()
    assert data.count(b"ARROW:schema") == 1
    # Under another name nobody knows it.
    bare.write_bytes(data.replace(b"ARROW:schema", b"ARROW_schema"))
    rows = pyarrow.parquet.read_table(whole)
    without = pyarrow.parquet.read_table(bare)
    assert without.to_pylist() == rows.to_pylist() and without.schema.names == rows.schema.names
    assert polars.read_parquet(bare).rows() == polars.read_parquet(whole).rows()
    query = "select sum(len(size_sequence)), sum(size_sequence[1]) from read_parquet('{}')"
    assert duckdb.sql(query.format(bare)).fetchall() == duckdb.sql(query.format(whole)).fetchall()
