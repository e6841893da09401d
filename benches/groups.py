#!/usr/bin/env python3
"""What each feature group costs: CPU time and peak memory of `jj extract` to Parquet with one worker, group by group.

usage: benches/groups.py JJ [--capture FILE] [--runs 3] [--write]

Each group runs together with flow_meta; shown is what it adds to flow_meta alone, in CPU seconds and as a multiple of
`tcpdump -r CAPTURE -w /dev/null` over the same capture (classic pcap). The first lines are tcpdump and flow_meta; the last ones
are `--features all` (without the groups that are opt-in) without and with `connection`, whose rows wait for the end. Groups share trackers: together they cost less
than their sum. All commands of a round run one after another, so that what the machine does besides meets them alike; shown are medians of the rounds. Exit code 1
where all groups but `connection` take more than 8 times the CPU of tcpdump, or a gigabyte of memory.
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
from pairs import made
from peers import machine
from report import put

MARKERS = "<!-- groups: written by benches/groups.py -->", "<!-- end of groups -->"
MOST_TIMES, MOST_MIB = 8.0, 1e9 / (1 << 20)
DEMO = pathlib.Path(__file__).parents[1] / "tests/data/demo.pcap"


def features(jj):
    """All features, as `jj features` tells of them."""
    return json.loads(subprocess.run([jj, "features", "-f", "json"], stdout=subprocess.PIPE, check=True).stdout)


def in_all_but_connection(jj):
    """Names of the groups that `--features all` selects (the others are opt-in), without `connection`."""
    command = [jj, "extract", DEMO, "--features", "all", "-f", "csv", "-o", "-", "-q"]
    header = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.partition("\n")[0]
    columns = set(header.split(","))
    chosen = dict.fromkeys(feature["group"] for feature in features(jj) if feature["name"] in columns)
    return [name for name in chosen if name != "connection"]


def groups(jj):
    """Names of the groups in the order of columns, and how many columns each has."""
    counts = {}
    for feature in features(jj):
        counts[feature["group"]] = counts.get(feature["group"], 0) + 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jj")
    parser.add_argument("--capture", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="also put the table into docs/benchmarks.md")
    args = parser.parse_args()
    capture = str(args.capture or made("large.pcap", "--packets", "3000000"))
    columns = groups(args.jj)
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out.parquet")

        def jj(*names):
            chosen = [word for name in names for word in ("--features", name)]
            return [args.jj, "extract", capture, *chosen, "-f", "parquet", "-o", target, "-w", "1", "--no-progress", "-q"]

        commands = {"tcpdump": ["tcpdump", "-r", capture, "-w", "/dev/null"], "flow_meta": jj("flow_meta")}
        commands |= {name: jj("flow_meta", name) for name in columns if name != "flow_meta"}
        commands["all but connection"] = jj(*in_all_but_connection(args.jj))
        commands["all"] = jj("all")
        once(commands["tcpdump"])  # the file in the page cache
        rounds = [{name: once(command) for name, command in commands.items()} for _ in range(args.runs)]
    cpu = {name: statistics.median(r[name]["cpu_s"] for r in rounds) for name in commands}
    peak = {name: max(r[name]["peak_mib"] for r in rounds) for name in commands}
    added = {name: statistics.median(r[name]["cpu_s"] - r["flow_meta"]["cpu_s"] for r in rounds) for name in columns}
    bound = cpu["tcpdump"]
    lines = ["| group | columns | adds, CPU s | adds, times tcpdump | peak MiB |", "|---|---:|---:|---:|---:|"]
    lines.append(f"| tcpdump | | {bound:.2f} | 1.00 | {peak['tcpdump']:.0f} |")
    lines.append(f"| flow_meta alone | {columns['flow_meta']} | {cpu['flow_meta']:.2f} | {cpu['flow_meta'] / bound:.2f} | {peak['flow_meta']:.0f} |")
    for name in sorted(set(columns) - {"flow_meta"}, key=lambda name: -added[name]):
        lines.append(f"| {name} | {columns[name]} | {added[name]:.2f} | {added[name] / bound:.2f} | {peak[name]:.0f} |")
    for name in ("all but connection", "all"):
        lines.append(f"| {name}, together | | {cpu[name]:.2f} in all | {cpu[name] / bound:.2f} in all | {peak[name]:.0f} |")
    facts = f"{machine()}. Capture: {os.path.getsize(capture) / 1e6:,.0f} MB. Median of {args.runs} round(s), CPU = user + sys."
    text = "\n".join([facts, "", *lines])
    print(text)
    if args.write:
        put(*MARKERS, text)
    sys.exit(cpu["all but connection"] / bound > MOST_TIMES or peak["all but connection"] > MOST_MIB)


if __name__ == "__main__":
    main()
