#!/usr/bin/env python3
"""Runs a command several times and prints what the whole process tree cost: CPU (user + sys), wall, peak memory.

usage: measure.py [--runs N] -- COMMAND...
One line of JSON: medians of cpu_s and wall_s, the largest peak_mib, and every run. The peak is that of the largest
process of the tree (ru_maxrss), not the sum. Fails where a run of the command fails.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def once(command):
    with tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            err.seek(0)
            sys.stderr.buffer.write(err.read()[-2000:])
            sys.exit(f"measure.py: exit {child.returncode}: {' '.join(command)}")
    return {
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "user_s": round(usage.ru_utime, 3),
        "sys_s": round(usage.ru_stime, 3),
        "wall_s": round(wall, 3),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def measure(command, runs):
    all_runs = [once(command) for _ in range(runs)]
    return {
        "cpu_s": statistics.median(r["cpu_s"] for r in all_runs),
        "wall_s": statistics.median(r["wall_s"] for r in all_runs),
        "peak_mib": max(r["peak_mib"] for r in all_runs),
        "runs": all_runs,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    print(json.dumps(measure(command, args.runs)))
