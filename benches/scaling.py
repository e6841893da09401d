#!/usr/bin/env python3
"""What a second worker brings: wall time with one and two workers, and of two one-worker processes side by side.

usage: benches/scaling.py JJ [--capture FILE] [--rounds 9]

Cases: flow_meta, four groups, and all groups but connection to Parquet over the capture (by default a generated one of 3 M packets). In each round all three
run one after another, so that what the machine does besides meets them alike. Two processes side by side share nothing but the
machine: what they do together in the same time is what two processors have to give. Shown are medians: of the wall seconds, of
the speed of two workers over that of one, and over that of the two processes. Exit code 1 where the former is below its
bound (1.5 for flow_meta, 1.7 for the others) and the latter below 0.85.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from groups import in_all_but_connection
from pairs import FOUR_GROUPS, made

OF_TWO_PROCESSES = 0.85


def cases(jj):
    """What is asked of each run, and how many times faster two workers are to be."""
    yield "flow_meta to Parquet", FOUR_GROUPS[:2], 1.5
    yield "4 groups to Parquet", FOUR_GROUPS, 1.7
    named = [word for name in in_all_but_connection(jj) for word in ("--features", name)]
    yield "all groups but connection", named, 1.7


def wall(commands):
    """Seconds until all of them have ended."""
    start = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    for child in running:
        if child.wait():
            sys.exit(f"scaling.py: exit {child.returncode}: {' '.join(child.args)}")
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jj")
    parser.add_argument("--capture", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    capture = args.capture or made("large.pcap", "--packets", "3000000")
    failed = False
    print("| case | 1 worker s | 2 workers s | 2 processes s | 2 workers / 1 worker | 2 workers / 2 processes | |")
    print("|---|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for label, features, bound in cases(args.jj):

            def jj(workers, number=0):
                target = os.path.join(folder, f"out{number}.parquet")
                options = ["-f", "parquet", "-o", target, "-w", str(workers), "--no-progress", "-q"]
                return [args.jj, "extract", str(capture), *features, *options]  # noqa: B023

            wall([jj(1)])  # the file in the page cache
            rounds = [(wall([jj(1)]), wall([jj(2)]), wall([jj(1), jj(1, 1)])) for _ in range(args.rounds)]
            speed = statistics.median(one / two for one, two, _ in rounds)
            share = statistics.median(pair / (2 * two) for _, two, pair in rounds)
            good = speed >= bound or share >= OF_TWO_PROCESSES
            failed |= not good
            seconds = " | ".join(f"{statistics.median(each):.2f}" for each in zip(*rounds, strict=True))
            print(f"| {label} | {seconds} | {speed:.2f} | {share:.2f} | {'ok' if good else 'TOO SLOW'} |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
