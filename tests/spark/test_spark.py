"""Captures read by a real Spark are those of one local run; what goes wrong on an executor is said by name.

The letters are those of the faults that users of such sources report: retried tasks, unsigned numbers, zones, pruning, pickling.
"""

import os
import pickle
import subprocess
import sys

import pytest
from conftest import OPTIONS, counted

COLUMNS = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start_time", "duration", "total_packets", "total_bytes", "end_reason", "iat_mean"]


def load(spark, path, **options):
    return spark.read.format("joyfuljay").options(**{**OPTIONS, **options}).load(path)


@pytest.mark.parametrize("tasks", [1, 3, 8])
def test_rows_are_those_of_a_local_run(spark, capture, whole, tasks):
    flows = load(spark, capture, tasks=str(tasks))
    assert flows.rdd.getNumPartitions() == tasks
    assert counted(flows, COLUMNS) == whole(capture, COLUMNS)


def test_a_folder_of_rotated_captures_is_one_sequence(spark, folder, whole):
    expected = whole(folder, COLUMNS)
    assert counted(load(spark, folder), COLUMNS) == expected
    assert counted(load(spark, folder + "/*.pcap"), COLUMNS) == expected
    several = spark.read.format("joyfuljay").options(**OPTIONS).load(sorted(str(p) for p in os.scandir(folder) and [e.path for e in os.scandir(folder)]))
    assert counted(several, COLUMNS) == expected


def test_all_columns_and_types(spark, capture):
    import joyfuljay
    import pyarrow as pa
    from joyfuljay.spark import _spark_type

    flows = load(spark, capture, features="all", include_flow_id="true", include_splt="true")
    table = pa.table(joyfuljay.extract(capture, "table", features=["all"], include_flow_id=True, include_splt=True, flow_timeout=4, active_timeout=90))
    mine = [name for name in table.column_names if not name.startswith("conn_")]
    assert flows.columns == mine
    # Unsigned numbers keep their values: none is negative, none a float (a3).
    unsigned = [field.name for field in table.schema if pa.types.is_unsigned_integer(field.type) and field.name in mine]
    lows = flows.selectExpr(*[f"min({name}) as {name}" for name in unsigned]).collect()[0].asDict()
    highs = flows.selectExpr(*[f"max({name}) as {name}" for name in unsigned]).collect()[0].asDict()
    for name in unsigned:
        values = [value for value in table[name].to_pylist() if value is not None]
        assert (lows[name], highs[name]) == ((min(values), max(values)) if values else (None, None)), name
    wider = [(pa.uint8(), "smallint"), (pa.uint16(), "int"), (pa.uint32(), "bigint"), (pa.uint64(), "decimal(20,0)")]
    assert all(_spark_type(kind).simpleString() == name for kind, name in wider)
    assert all(field.nullable for field in flows.schema.fields)
    # What a feature means goes with its column.
    assert "doc" in flows.schema["total_bytes"].metadata or "unit" in flows.schema["total_bytes"].metadata


def test_the_default_configuration_and_pushdown_give_the_same(spark, capture):
    query = load(spark, capture).filter("dst_port = 443 and total_packets > 3")
    before = counted(query, COLUMNS)
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    try:
        assert counted(load(spark, capture).filter("dst_port = 443 and total_packets > 3"), COLUMNS) == before
    finally:
        spark.conf.unset("spark.sql.python.filterPushdown.enabled")


def test_a_schema_or_columns_narrow_what_is_computed(spark, capture, whole):
    asked = spark.read.format("joyfuljay").options(**OPTIONS).schema("total_bytes decimal(20,0), src_ip string").load(capture)
    types = dict(load(spark, capture).dtypes)
    if types["total_bytes"] != "decimal(20,0)":
        asked = spark.read.format("joyfuljay").options(**OPTIONS).schema(f"total_bytes {types['total_bytes']}, src_ip string").load(capture)
    assert asked.columns == ["total_bytes", "src_ip"]
    assert counted(asked, asked.columns) == whole(capture, ["total_bytes", "src_ip"])
    named = load(spark, capture, columns="dst_port, src_ip")
    assert named.columns == ["dst_port", "src_ip"]
    assert counted(named, named.columns) == whole(capture, ["dst_port", "src_ip"])


@pytest.mark.parametrize(
    ("schema", "says"),
    [("src_ipp string", "did you mean 'src_ip'"), ("src_ip int", "not int"), ("nothing string", "there is no column 'nothing'")],
)
def test_a_schema_that_is_not_ours_is_refused(spark, capture, schema, says):
    with pytest.raises(Exception, match=says):
        spark.read.format("joyfuljay").options(**OPTIONS).schema(schema).load(capture).count()


def test_options_that_are_not_known_are_refused(spark, capture):
    with pytest.raises(Exception, match="did you mean flow_timeout"):
        load(spark, capture, flow_timout="3").count()
    with pytest.raises(Exception, match="whole number"):
        load(spark, capture, tasks="none").count()


def test_a_task_that_fails_is_run_again_and_the_rows_are_right(spark, capture, whole, tmp_path):
    import pyarrow as pa
    import pyarrow.compute

    marks = str(tmp_path)

    def fragile(batches):
        from pyspark import TaskContext

        task = TaskContext.get()
        for i, batch in enumerate(batches):
            if task.attemptNumber() == 0 and i == task.partitionId() % 2:
                open(f"{marks}/{task.partitionId()}", "w").close()
                raise RuntimeError("killed by the test")
            yield batch

    flows = load(spark, capture, batch_rows="3")
    assert counted(flows.mapInArrow(fragile, flows.schema), COLUMNS) == whole(capture, COLUMNS)
    assert len(os.listdir(marks)) >= 3, "tasks were killed"


def test_rows_do_not_depend_on_the_size_of_batches(spark, capture, whole):
    for rows in ("1", "7", "100000"):
        assert counted(load(spark, capture, batch_rows=rows), COLUMNS) == whole(capture, COLUMNS)


def test_times_are_instants_whatever_the_zone(spark, capture, monkeypatch):
    flows = load(spark, capture, features="flow_meta,timestamps")
    zones = []
    for zone in ("America/New_York", "Asia/Kolkata", "UTC"):
        spark.conf.set("spark.sql.session.timeZone", zone)
        zones.append(sorted(row[0] for row in flows.selectExpr("unix_micros(start_timestamp)").collect()))
    assert zones[0] == zones[1] == zones[2]
    assert zones[0][0] // 1_000_000 == 1_700_000_000


def test_limit_ends_the_run_and_leaves_workers_usable(spark, capture, whole):
    for _ in range(20):
        assert len(load(spark, capture, batch_rows="5").limit(1).collect()) == 1
    assert counted(load(spark, capture), COLUMNS) == whole(capture, COLUMNS)


def test_what_is_sent_to_executors_is_plain_and_schema_opens_nothing(capture, monkeypatch):
    from joyfuljay.spark import FlowSource

    source = FlowSource({**OPTIONS, "path": capture})
    schema = source.schema()
    missing = FlowSource({**OPTIONS, "path": capture + ".not-there"})
    assert missing.schema() == schema, "no capture was opened"
    reader = source.reader(schema)
    again = pickle.loads(pickle.dumps(reader))
    tasks = [pickle.loads(pickle.dumps(task)) for task in reader.partitions()]
    assert len(tasks) == 5
    rows = [sum(batch.num_rows for batch in again.read(task)) for task in tasks]
    assert rows == [sum(batch.num_rows for batch in again.read(task)) for task in tasks]
    assert all(batch.schema == next(again.read(tasks[0])).schema for task in tasks for batch in again.read(task))
    assert list(again.read(None)) == []
    tasks[0].version = "0.0.1"
    with pytest.raises(RuntimeError, match=r"the executor has joyfuljay .*, the driver 0\.0\.1"):
        next(again.read(tasks[0]))


def test_what_is_not_there_is_said_by_name(spark, tmp_path, capture):
    with pytest.raises(Exception, match="not-there"):
        load(spark, str(tmp_path / "not-there.pcap")).count()
    with pytest.raises(Exception, match="holds no file"):
        load(spark, str(tmp_path)).count()
    with pytest.raises(Exception, match="ftpx"):
        load(spark, "ftpx://host/x.pcap").count()


def test_damage_is_left_out_or_with_strict_fails(spark, capture, tmp_path, whole):
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(open(capture, "rb").read()[:-5])
    assert counted(load(spark, str(broken)), COLUMNS) == whole(str(broken), COLUMNS)
    with pytest.raises(Exception, match="ends in the middle of a record"):
        load(spark, str(broken), strict="true").count()


def test_urls_of_files_and_names_with_odd_letters(spark, capture, whole):
    expected = whole(capture, COLUMNS)
    assert counted(load(spark, "file://" + capture.replace(" ", "%20").replace("#", "%23")), COLUMNS) == expected
    assert counted(load(spark, "file:" + capture), COLUMNS) == expected
    assert counted(load(spark, capture), COLUMNS) == expected


def test_captures_in_an_object_store_are_streamed_from_the_place_of_the_slice(capture):
    """memory:// stands for one; its files are seen by one process only, so the tasks are run here."""
    import fsspec
    import pyarrow as pa
    from joyfuljay import Config, Pipeline, slices

    memory = fsspec.filesystem("memory")
    with open(capture, "rb") as source, memory.open("/lake/cap 1.pcap", "wb") as copy:
        copy.write(source.read())
    config = Config(features=["flow_meta"], flow_timeout=4)
    tasks = slices.plan("memory:///lake/*.pcap", 4, config)
    assert [task.remote for task in tasks] == [True] * 4
    rows = sum(pa.table(table).num_rows for task in tasks for table in slices.read(task, config))
    assert rows == len(Pipeline(config).process_pcap(capture, "table"))
    assert slices.total_bytes(["memory:///lake/"]) == os.path.getsize(capture)
    with pytest.raises(FileNotFoundError, match="nothing"):
        slices.plan("memory:///nothing/*.pcap", 2, config)


def test_counts_of_the_tasks_reach_the_metrics_of_the_driver(spark, capture):
    from joyfuljay import Config, Pipeline
    from joyfuljay.monitoring import PrometheusMetrics
    from joyfuljay.spark import Counts, read
    from prometheus_client import CollectorRegistry, generate_latest

    counts = Counts(spark)
    flows = read(spark, capture, counts=counts, **OPTIONS)
    number = flows.count()
    assert flows.count() == number
    pipeline = Pipeline(Config(features=["flow_meta"], flow_timeout=4, active_timeout=90))
    pipeline.process_pcap(capture, "table")
    local = pipeline.last_run
    total = counts.total()
    assert (total["tasks"], total["frames"], total["packets"], total["bytes"], total["flows"]) == (
        5, local.frames, local.packets, local.bytes, local.flows,
    )  # fmt: skip
    assert total["cpu_seconds"] > 0
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)
    counts.tell(metrics)
    counts.tell(metrics)
    text = generate_latest(registry).decode()
    assert f"joyfuljay_packets_processed_total {float(local.packets)}" in text or str(local.packets) in text


def test_a_fresh_session_finds_the_format_without_being_told(capture):
    program = f"""
import os, sys
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
         .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
print("rows", spark.read.format("joyfuljay").option("features", "flow_meta").load({capture!r}).count())
spark.stop()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False)
    assert "rows " in done.stdout, done.stderr[-3000:]
