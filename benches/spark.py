#!/usr/bin/env python3
"""Apache Spark by number of tasks: wall time, CPU in the engine, and whether the rows are those of one local run.

usage: benches/spark.py CAPTURE [--tasks 1 2 4 8] [--features flow_meta ...] [--timeout 60] [--runs 3] [--master M] [--write]

CAPTURE is a file or a folder: `benches/slices.py JJ CAPTURE --work FOLDER --keep` leaves an hour of packets. Java, and a Python that has
joyfuljay[spark]. The local run is that of one task, without Spark, in this process. CPU is that of the processes that made the rows
(engine, Arrow, what hands batches to the JVM), as `joyfuljay.spark.Counts` has it; wall time is that of a query that looks at no row, with the plan, after
one that started the executors. Both are medians. Rows are compared by their number and the sum of the hashes of all their values. --write puts the table into docs/benchmarks.md.
"""

import argparse
import hashlib
import os
import pathlib
import re
import statistics
import sys
import time

FOUR_GROUPS = "flow_meta,timing,size,tcp"
PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- spark: written by benches/spark.py -->", "<!-- /spark -->"


def digest(batches):
    """Number of rows and sum of hashes, of each batch: in any order, the same rows give the same sums."""
    import io

    import pyarrow.csv

    without = pyarrow.csv.WriteOptions(include_header=False)
    for batch in batches:
        text = io.BytesIO()
        pyarrow.csv.write_csv(batch, text, without)
        sums = [int.from_bytes(hashlib.blake2b(line, digest_size=7).digest(), "little") for line in text.getvalue().splitlines()]
        yield len(sums), sum(sums)


def digests(batches):
    import pyarrow as pa

    for rows, total in digest(batches):
        yield pa.RecordBatch.from_pydict({"rows": [rows], "high": [total >> 32], "low": [total & 0xFFFFFFFF]})


def added(parts):
    rows, total = 0, 0
    for more, part in parts:
        rows, total = rows + more, total + part
    return rows, total


def local(joyfuljay_spark, capture, options, runs):
    """Rows and hashes, and medians of wall and CPU seconds, of one run in this process."""
    chosen = joyfuljay_spark._Options({**options, "tasks": "1", "path": capture})
    schema = joyfuljay_spark._spark_schema(chosen)
    [piece] = chosen.plan()
    rows = added(digest(joyfuljay_spark._rows(piece, chosen, schema, None)))
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in joyfuljay_spark._rows(piece, chosen, schema, None):
            pass
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return rows, statistics.median(walls), statistics.median(cpus)


def measured(spark, joyfuljay_spark, capture, options, runs):
    """Medians of wall and CPU seconds, and how many tasks were counted."""
    walls, cpus, tasks = [], [], set()
    for _ in range(runs):
        counts = joyfuljay_spark.Counts(spark)
        begun = time.perf_counter()
        flows = joyfuljay_spark.read(spark, capture, counts=counts, **options)
        flows.write.format("noop").mode("overwrite").save()
        walls.append(time.perf_counter() - begun)
        total = counts.total()
        cpus.append(total["cpu_seconds"])
        tasks.add(total["tasks"])
    return statistics.median(walls), statistics.median(cpus), tasks


def machine():
    """What this runs on, and what else it has to do."""
    try:
        model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        model = "a processor of unknown kind"
    load = f", load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} processors{load}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture")
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--features", nargs="+", default=["flow_meta", FOUR_GROUPS])
    parser.add_argument("--timeout", default="60")
    parser.add_argument("--master", default="local-cluster[2,1,1024]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    on = machine()
    # The executors' Python is this one, and nothing of an installed Spark.
    os.environ.update(PYSPARK_PYTHON=sys.executable, PYSPARK_DRIVER_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    import joyfuljay.spark
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(args.master).config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    spark.range(0, 64, 1, 8).mapInArrow(lambda batches: (__import__("joyfuljay.spark"), batches)[1], "id long").count()
    lines, same = ["| features | tasks | wall | CPU in the engine | times one run's | rows |", "|---|---:|---:|---:|---:|---|"], True
    for features in args.features:
        options = {"features": features, "flow_timeout": args.timeout}
        expected, wall, cpu = local(joyfuljay.spark, args.capture, options, args.runs)
        name = features.replace(",", ", ")
        lines.append(f"| {name} | one run, no Spark | {wall:.1f} s | {cpu:.2f} s | 1 | {expected[0]:,} |")
        print(lines[-1], flush=True)
        for tasks in args.tasks:
            took, tasks_cpu, counted = measured(spark, joyfuljay.spark, args.capture, {**options, "tasks": str(tasks)}, args.runs)
            flows = spark.read.format("joyfuljay").options(tasks=str(tasks), **options).load(args.capture)
            parts = flows.mapInArrow(digests, "rows long, high long, low long").collect()
            found = added((row["rows"], (row["high"] << 32) + row["low"]) for row in parts)
            same &= found == expected and counted == {tasks}
            lines.append(
                f"| {name} | {tasks} | {took:.1f} s | {tasks_cpu:.2f} s | {tasks_cpu / cpu:.2f} | "
                f"{'equal' if found == expected else f'DIFFER: {found[0]:,}'} |"
            )
            print(lines[-1], flush=True)
    if args.write:
        page = PAGE.read_text()
        table = "\n".join([*lines, "", f"{on}; {args.master}, Spark {spark.version}, flow_timeout {args.timeout}."])
        PAGE.write_text(re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{table}\n{END}", page, flags=re.DOTALL))
    spark.stop()
    sys.exit(not same)


if __name__ == "__main__":
    main()
