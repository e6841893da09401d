#!/usr/bin/env python3
"""Two binaries of jj side by side, in alternating pairs: whether a change costs processor time.

usage: benches/pairs.py OLD NEW [--capture FILE] [--pairs 9] [--bound 1.03] [--workers 1]

Cases: flow_meta to Parquet, four groups to Parquet and to CSV over the capture (by default a generated one of 3 M packets), and
flow_meta over a million open flows. In each pair OLD, NEW and OLD run one after another, so that what the machine does
besides meets them alike. Shown are medians: of the CPU seconds (user + sys of the process tree), of NEW/OLD, and of the second
OLD over the first, whose spread (the half of the pairs in the middle) says what the machine adds. Exit code 1 where a median of
NEW/OLD is above the bound and that spread.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from measure import once

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("BENCH_CACHE", HERE.parent / ".bench"))
FOUR_GROUPS = [word for group in ("flow_meta", "timing", "size", "tcp") for word in ("--features", group)]


def made(name, *arguments):
    """A capture of the generator, made once."""
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, HERE / "make_capture.py", part, *arguments], check=True)
        part.rename(path)
    return path


def cases(capture):
    open_flows = made("flows_1m.pcap", "--flows", "1000000")
    yield "flow_meta to Parquet", capture, FOUR_GROUPS[:2], "parquet"
    yield "4 groups to Parquet", capture, FOUR_GROUPS, "parquet"
    yield "4 groups to CSV", capture, FOUR_GROUPS, "csv"
    yield "a million open flows, flow_meta", open_flows, FOUR_GROUPS[:2], "parquet"


def spread(ratios):
    """The distance of the quartiles: robust against one pair that something came between."""
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return high - low


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--capture", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--bound", type=float, default=1.03)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="every run, for another program")
    args = parser.parse_args()
    if args.pairs < 2:
        parser.error("--pairs: 2 or more, for there to be a spread")
    capture = args.capture or made("large.pcap", "--packets", "3000000")
    found, failed = {}, False
    print("| case | old CPU s | new CPU s | new/old | old/old | spread of old/old | |")
    print("|---|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory(dir=CACHE if CACHE.exists() else None) as folder:
        for label, file, groups, form in cases(capture):

            def cpu(jj):
                target = os.path.join(folder, f"out.{form}")  # noqa: B023
                options = ["-f", form, "-o", target, "-w", str(args.workers), "--no-progress", "-q"]  # noqa: B023
                return once([jj, "extract", str(file), *groups, *options])["cpu_s"]  # noqa: B023

            cpu(args.old), cpu(args.new)  # files in the page cache
            runs = [(cpu(args.old), cpu(args.new), cpu(args.old)) for _ in range(args.pairs)]
            # NEW stands between the two OLDs: their mean is the one at its time.
            ratios = [2 * new / (before + after) for before, new, after in runs]
            same = [after / before for before, _, after in runs]
            ratio, noise = statistics.median(ratios), spread(same)
            good = ratio <= args.bound + noise
            failed |= not good
            old = statistics.median(before for before, _, _ in runs)
            new = statistics.median(new for _, new, _ in runs)
            verdict = "ok" if good else "SLOWER"
            print(f"| {label} | {old:.2f} | {new:.2f} | {ratio:.3f} | {statistics.median(same):.3f} | {noise:.3f} | {verdict} |", flush=True)
            found[label] = runs
    if args.json:
        print(json.dumps(found))
    sys.exit(failed)


if __name__ == "__main__":
    main()
