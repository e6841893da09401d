"""What happens on a cluster: executors that are killed or lack the package, seams of captures, filters, zones, files that were written."""

import ast
import calendar
import collections
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys

import pytest
from conftest import HERE, OPTIONS, counted, traffic, write

COLUMNS = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start_time", "duration", "total_packets", "total_bytes", "end_reason"]
DEMO = HERE.parent / "data/demo.pcap"


def load(spark, path, **options):
    return spark.read.format("joyfuljay").options(**{**OPTIONS, **options}).load(path)


def test_a_worker_that_is_killed_is_replaced_and_the_rows_are_right(spark, capture, whole, tmp_path):
    """As the kernel does where memory is short: in the first attempt of each task, behind some of its rows."""
    marks = str(tmp_path)

    def killed(batches):
        import os
        import signal

        from pyspark import TaskContext

        task = TaskContext.get()
        for batch in batches:
            rows = batch.num_rows // 2 if task.attemptNumber() == 0 else batch.num_rows
            yield batch.slice(0, rows)
            if rows < batch.num_rows:
                open(f"{marks}/{task.partitionId()}", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)

    flows = load(spark, capture, batch_rows="7")
    assert counted(flows.mapInArrow(killed, flows.schema), COLUMNS) == whole(capture, COLUMNS)
    assert len(os.listdir(marks)) == 5


# The workers of an executor whose environment says so have no package.
PYTHON = """#!{python}
import os, sys
if os.environ.get("JJ_TEST_HAS") == "nothing":
    class Missing:
        def find_spec(self, name, *_):
            if name.split(".")[0] in ("joyfuljay", "pyspark_joyfuljay"):
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
    sys.meta_path.insert(0, Missing())
if sys.argv[1:2] == ["-m"]:
    import runpy
    module = sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
else:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


def test_an_executor_without_the_package_says_so(capture, tmp_path):
    python = tmp_path / "python"
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    program = f"""
import os
os.environ["PYSPARK_PYTHON"] = {str(python)!r}
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local-cluster[1,1,1024]").config("spark.ui.enabled", "false").config("spark.task.maxFailures", "1")
         .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
         .config("spark.executorEnv.JJ_TEST_HAS", os.environ["TELL"]).getOrCreate())
spark.sparkContext.setLogLevel("OFF")
try:
    print("rows", spark.read.format("joyfuljay").option("features", "flow_meta").load({capture!r}).count())
except Exception as error:
    print("failed", str(error))
spark.stop()
"""
    said = {}
    # Nothing of the session of the other tests.
    clean = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith(("SPARK_", "PYSPARK_"))}
    for tell in ("everything", "nothing"):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=False, env={**clean, "TELL": tell}
        )
        said[tell] = done.stdout
        if "rows" not in done.stdout and "failed" not in done.stdout:
            pytest.skip(f"there is no local cluster: {done.stderr[-500:]}")
    assert "rows" in said["everything"], said["everything"][-2000:]
    assert "failed" in said["nothing"] and "No module named 'joyfuljay'" in said["nothing"], said["nothing"][-2000:]


#: A master and two workers, each an executor of its own host: Spark makes no second copy of a task on one host.
CLUSTER = """
import os, subprocess, sys, time
os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable, PYSPARK_DRIVER_PYTHON=sys.executable)
import pyspark
command = os.path.join(os.path.dirname(pyspark.__file__), "bin", "spark-class")
folder = {folder!r}
deploy = "org.apache.spark.deploy."
def start(what, host, *more):
    environment = dict(os.environ, SPARK_LOCAL_IP=host, SPARK_WORKER_DIR=folder, SPARK_HOME=os.path.dirname(pyspark.__file__))
    log = open(os.path.join(folder, what.replace("/", "") + host), "w")
    return subprocess.Popen([command, deploy + what, "--host", host, "--webui-port", "0", *more], env=environment, stdout=log, stderr=log)
def said(name, words):
    # Minutes of patience: the machine may be busy.
    for _ in range(3000):
        line = next((line for line in open(os.path.join(folder, name)) if words in line), None)
        if line:
            return line
        time.sleep(0.1)
    sys.exit("no " + words + " in " + open(os.path.join(folder, name)).read()[-2000:])
running = [start("master.Master", "127.0.0.1", "--port", "0")]
try:
    master = said("master.Master127.0.0.1", "Starting Spark master at").split()[-1]
    hosts = ["127.0.0.1", "127.0.0.2"]
    running += [start("worker.Worker", host, "--cores", "1", "--memory", "1g", master) for host in hosts]
    for host in hosts:
        said("worker.Worker" + host, "Successfully registered with master")
    from pyspark.sql import SparkSession
    settings = dict({{
        "spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.executor.memory": "512m",
        "spark.speculation": "true", "spark.speculation.interval": "100ms", "spark.speculation.quantile": "0.1", "spark.speculation.multiplier": "1.1",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0", "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
    }})
    builder = SparkSession.builder.master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    from joyfuljay.spark import Counts, read
    counts = Counts(spark)
    flows = read(spark, {capture!r}, counts=counts, **{options!r})

    def slow(batches):
        # The first copy of a task gives some of its rows, and then waits until the second one has begun.
        import os, time
        from pyspark import TaskContext
        task = TaskContext.get()
        mark = folder + "/second-" + str(task.partitionId())
        if task.attemptNumber() > 0:
            open(mark, "w").close()
        for i, batch in enumerate(batches):
            yield batch
            while i == 0 and task.partitionId() == 3 and task.attemptNumber() == 0 and not os.path.exists(mark):
                time.sleep(0.05)

    found = flows.mapInArrow(slow, flows.schema).select({columns!r}).collect()
    print("rows", [tuple(row) for row in found])
    print("counts", counts.total())
    spark.stop()
finally:
    for process in running:
        process.terminate()
    for process in running:
        process.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs more than one address of loopback without setting them up")
def test_tasks_that_run_twice_at_once_are_counted_once(capture, whole, tmp_path):
    """With speculation on, a task that takes long is run by a second executor, too."""
    columns = ["src_ip", "dst_ip", "src_port", "dst_port", "protocol", "start_time", "end_reason"]
    options = {**OPTIONS, "batch_rows": "5"}
    program = CLUSTER.format(folder=str(tmp_path), capture=capture, options=options, columns=columns)
    clean = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith(("SPARK_", "PYSPARK_"))}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=1200, check=False, env=clean)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("rows ", "counts ")))
    assert said.keys() == {"rows", "counts"}, (done.stdout + done.stderr)[-3000:]
    assert (tmp_path / "second-3").exists(), "the task ran twice"
    assert collections.Counter(ast.literal_eval(said["rows"])) == whole(capture, columns)
    total = ast.literal_eval(said["counts"])
    expected = whole(capture, ["total_packets"])
    assert (total["tasks"], total["packets"]) == (5, sum(packets * count for (packets,), count in expected.items()))


def records(data):
    """Where the records of a capture lie."""
    at, found = 24, []
    while at < len(data):
        found.append(at)
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return [*found, len(data)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_capture_in_seven_pieces_is_one_capture(spark, whole, tmp_path, seed):
    """Cut within connections, handshakes and datagrams: the command, Python and Spark give the rows of the whole."""
    import joyfuljay
    import pyarrow as pa

    demo = DEMO.read_bytes()
    places = records(demo)
    cuts = [0, *sorted(random.Random(seed).sample(range(1, len(places) - 1), 6)), len(places) - 1]
    folder = tmp_path / "pieces"
    folder.mkdir()
    for i, (start, end) in enumerate(zip(cuts, cuts[1:], strict=False)):
        (folder / f"demo{i}.pcap").write_bytes(demo[:24] + demo[places[start] : places[end]])
    config = {"features": ["flow_meta", "tls", "dns", "quic", "app"], "flow_timeout": 2}
    columns = [*COLUMNS, "app_protocol", "tls_sni", "tls_version"]
    expected = whole(str(DEMO), columns, active_timeout=None, **config)
    assert expected

    def rows(table):
        return collections.Counter(tuple(row[name] for name in columns) for row in pa.table(table).select(columns).to_pylist())

    for workers in (1, 2, 7):
        assert rows(joyfuljay.extract(str(folder), "table", num_workers=workers, **config)) == expected
    options = {"features": ",".join(config["features"]), "flow_timeout": "2"}
    for tasks in ("1", "7"):
        flows = spark.read.format("joyfuljay").options(tasks=tasks, **options).load(str(folder))
        assert counted(flows, columns) == expected
    if jj := os.environ.get("JJ"):
        for workers in ("1", "2", "7"):
            command = [jj, "extract", folder, "-f", "json", "-w", workers, "--features", options["features"], "--timeout", "2", "-q"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
            found = (json.loads(line) for line in done.stdout.splitlines())
            assert collections.Counter(tuple(row[name] for name in columns) for row in found) == expected


PREDICATES = [
    "src_port = 443", "src_port <=> null", "not (iat_mean > 0.05)", "not (iat_mean <=> null)", "iat_mean = double('NaN')",
    "src_port in (443, null)", "src_port not in (443, 2001)", "end_reason like '%t%'", "end_reason is null or iat_mean is null",
    "tcp_window_size_mean is null and src_port > 0 or protocol = 17", "iat_mean <=> double('NaN')", "iat_std = -0.0",
]  # fmt: skip


@pytest.mark.parametrize("pushdown", ["false", "true"])
def test_filters_mean_what_they_mean_to_spark(spark, capture, pushdown):
    """Null, NaN and -0.0 in conditions: the rows are those of the same query over rows that Spark has itself."""
    names = ["src_port", "protocol", "iat_mean", "iat_std", "end_reason", "tcp_window_size_mean"]
    options = {"columns": ",".join(names)}
    known = {name for name, _ in load(spark, capture, features="all").dtypes}
    names = [name for name in names if name in known]
    options = {"columns": ",".join(names)}
    predicates = [p for p in PREDICATES if "tcp_window_size_mean" not in p or "tcp_window_size_mean" in known]
    spark.conf.set("spark.sql.python.filterPushdown.enabled", pushdown)
    try:
        flows = load(spark, capture, **options)
        kept = spark.createDataFrame(flows.collect(), flows.schema)
        assert kept.filter("iat_mean is null").count() > 0
        for predicate in predicates:
            found = load(spark, capture, **options).filter(predicate)
            assert counted(found, names) == counted(kept.filter(predicate), names), predicate
    finally:
        spark.conf.unset("spark.sql.python.filterPushdown.enabled")


def test_hours_that_come_twice_or_never_are_instants(spark, tmp_path):
    """New York set its clocks back on 5 November 2023 and forward on 10 March 2024; 0 and 2^31 - 1 are the ends of old clocks."""
    seconds = [0, calendar.timegm((2023, 11, 5, 5, 30, 0)), calendar.timegm((2023, 11, 5, 6, 30, 0)), calendar.timegm((2024, 3, 10, 7, 30, 0)), 2**31 - 1]
    frame = traffic(seconds=1)[0][1]
    path = write(tmp_path / "hours.pcap", [(second * 1_000_000 + 123_456, frame) for second in seconds])
    expected = sorted(second * 1_000_000 + 123_456 for second in seconds)
    for zone in ("America/New_York", "Asia/Kolkata", "UTC"):
        spark.conf.set("spark.sql.session.timeZone", zone)
        flows = load(spark, path, features="timestamps", tasks="1")
        assert sorted(row[0] for row in flows.selectExpr("unix_micros(start_timestamp)").collect()) == expected


def test_one_capture_of_twenty_is_none(spark, folder, whole, tmp_path):
    for name in os.listdir(folder):
        shutil.copy(f"{folder}/{name}", tmp_path / name)
    expected = whole(folder, COLUMNS)
    (tmp_path / "cap5a.pcap").write_bytes(b"")
    (tmp_path / "cap6a.pcap").write_bytes(b"\xd4\xc3\xb2\xa1 and then nothing that a capture has" * 9)
    assert counted(load(spark, str(tmp_path)), COLUMNS) == expected
    with pytest.raises(Exception, match="cap5a.pcap|cap6a.pcap"):
        load(spark, str(tmp_path), strict="true").count()


def test_files_that_jj_wrote_are_read_as_others_read_them(spark, tmp_path):
    """A file of all features, times and lists among them, and a dataset."""
    import pyarrow.parquet as pq

    jj = os.environ.get("JJ")
    if not jj:
        pytest.skip("JJ names no command")
    file, dataset = tmp_path / "flows.parquet", tmp_path / "flows"
    subprocess.run([jj, "extract", DEMO, "-o", file, "--features", "all", "--include-sequences", "-q"], check=True, timeout=600)
    subprocess.run([jj, "extract", DEMO, "-f", "parquet", "-o", dataset, "--partition-by", "date,app_protocol", "-q"], check=True, timeout=600)
    mine = pq.read_table(file)
    theirs = spark.read.parquet(str(file))
    assert theirs.columns == mine.column_names
    key = ["src_ip", "src_port", "dst_port", "start_time", "total_bytes"]
    rows = collections.Counter(tuple(row[name] for name in key) for row in mine.select(key).to_pylist())
    assert counted(theirs, key) == rows
    counts = theirs.selectExpr(*[f"count(`{name}`) as `{name}`" for name in theirs.columns]).collect()[0].asDict()
    assert counts == {name: mine.num_rows - mine[name].null_count for name in mine.column_names}
    kept = spark.read.parquet(str(dataset))
    assert dict(kept.dtypes)["date"] == "date" and kept.columns.count("app_protocol") == 1
    assert counted(kept, key) == rows
    assert pathlib.Path(f"{dataset}.runs").is_dir()
