#!/usr/bin/env python3
"""What the Python package costs over the command: captures to pandas, and a packet observed from Python.

usage: python.py CAPTURE [--jj PATH] [--pairs N] [--write]
  --jj PATH    the binary (default: target/release/jj)
  --pairs N    runs of the command and of joyfuljay.extract, in turn (default 5)
  --write      also put the table into docs/benchmarks.md
Needs the package built in the release profile (`pip install '.[pandas,monitoring]'`) in the environment that runs this.
Exits with 1 where a bound is passed: extract to pandas below 90 % of the command's speed (wall time, median over the
pairs, the second of two runs in a row; the command writes Parquet, all features), observe_packet more than 150 ns above
an empty method.
"""
import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit

from report import bounds

HERE = os.path.dirname(os.path.abspath(__file__))
MARKERS = "<!-- python: written by benches/python.py -->", "<!-- end of python -->"
# In a process of its own, as a user's script is; the imports are the user's, not the extraction's.
EXTRACT = """
import json, sys, time
import pandas, pyarrow, joyfuljay
wall, cpu = time.perf_counter(), time.process_time()
frame = joyfuljay.extract(sys.argv[1])
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, *frame.shape]))
"""


def command(jj, capture, folder):
    wall = time.perf_counter()
    child = subprocess.Popen([jj, "extract", capture, "-o", os.path.join(folder, "o.parquet"), "--no-progress"], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"python.py: jj ended with {child.returncode}")
    return time.perf_counter() - wall, usage.ru_utime + usage.ru_stime


def package(capture):
    return json.loads(subprocess.run([sys.executable, "-c", EXTRACT, capture], stdout=subprocess.PIPE, check=True).stdout)


def to_pandas(jj, capture, pairs):
    """Each twice in a row: a DataFrame needs a gigabyte of fresh memory, which a virtual machine may have to fetch first."""
    ratios = {("fresh", "wall"): [], ("fresh", "cpu"): [], ("warm", "wall"): [], ("warm", "cpu"): []}
    with tempfile.TemporaryDirectory() as folder:
        command(jj, capture, folder)  # the capture is in the page cache from now on
        for _ in range(pairs):
            theirs = [command(jj, capture, folder) for _ in range(2)]
            own = [package(capture) for _ in range(2)]
            for n, when in enumerate(("fresh", "warm")):
                ratios[when, "wall"].append(theirs[n][0] / own[n][0])
                ratios[when, "cpu"].append(theirs[n][1] / own[n][1])
    shape = f"{own[0][2]:,} rows, {own[0][3]} columns, {pairs} pairs"
    for when, bound in (("warm", "≥ 0.90"), ("fresh", "")):
        walls, cpus = ratios[when, "wall"], ratios[when, "cpu"]
        middle = statistics.median(walls)
        measured = f"{middle:.2f} ({min(walls):.2f} to {max(walls):.2f}); by CPU time {statistics.median(cpus):.2f}"
        what = f"speed of `extract` to pandas / of `jj extract` to Parquet, {when} memory ({shape})"
        yield what, measured, bound, not bound or middle >= 0.9


def dicts(capture):
    import joyfuljay

    rows, begun = 0, time.perf_counter()
    for _ in itertools.islice(joyfuljay.Pipeline().iter_features(capture), 20_000):
        rows += 1
    rate = rows / (time.perf_counter() - begun)
    yield f"rows as dicts, the slow path: `iter_features` (the first {rows:,} rows)", f"{rate:,.0f} rows per second", "", True


class Empty:
    def observe_packet(self, packet):
        pass


def observed():
    from joyfuljay import Packet
    from joyfuljay.monitoring import PrometheusMetrics

    packet = Packet(timestamp=1.0, src_ip="192.0.2.1", dst_ip="192.0.2.2", src_port=1, dst_port=2, protocol=6, payload_len=100, total_len=140)
    each = {}
    for name, sink in (("empty", Empty()), ("metrics", PrometheusMetrics()), ("empty", Empty()), ("metrics", PrometheusMetrics())):
        best = min(timeit.repeat("sink.observe_packet(packet)", globals={"sink": sink, "packet": packet}, number=200_000, repeat=7))
        each[name] = min(best / 200_000 * 1e9, each.get(name, 1e9))
    more = each["metrics"] - each["empty"]
    yield "`observe_packet` from Python above an empty method", f"{more:.0f} ns ({each['metrics']:.0f} against {each['empty']:.0f})", "≤ 150 ns", more <= 150


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture")
    parser.add_argument("--jj", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target")), "release", "jj"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    parts = to_pandas(args.jj, args.capture, args.pairs), dicts(args.capture), observed()
    sys.exit(bounds(parts, MARKERS if args.write else None))


if __name__ == "__main__":
    main()
