#!/usr/bin/env python3
"""Measures `jj extract` and its peers on one capture and prints a Markdown table. Started by peers.sh, which see."""
import argparse
import os
import platform
import socket
import subprocess
import sys
import tempfile

import capture_head
from measure import measure
from report import put

HERE = os.path.dirname(os.path.abspath(__file__))
MARKERS = "<!-- peers: written by benches/peers.sh -->", "<!-- end of peers -->"
FOUR_GROUPS = ["--features", "flow_meta", "--features", "timing", "--features", "size", "--features", "tcp"]


def output(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return (done.stdout.strip().splitlines() or [""])[0]
    except FileNotFoundError:
        return ""


def read_bound(capture):
    """Reading the packets and no more: what no tool that looks at each of them goes below."""
    tcpdump = next((p for p in ("/usr/bin/tcpdump", "/usr/sbin/tcpdump") if os.path.exists(p)), None)
    if tcpdump:
        yield "tcpdump, the read bound", [tcpdump, "-r", capture, "-w", "/dev/null"], capture, None
    else:
        print("peers.py: no tcpdump: figures are not given as multiples of the read bound (apt-get install tcpdump)", file=sys.stderr)


def jj_cases(jj, capture, scratch):
    for workers in (1, 2):
        for label, groups, form in (
            ("flow_meta to Parquet", FOUR_GROUPS[:2], "parquet"),
            ("4 groups to Parquet", FOUR_GROUPS, "parquet"),
            ("4 groups to CSV", FOUR_GROUPS, "csv"),
        ):
            target = os.path.join(scratch, "out." + form)
            yield (
                f"jj, {label}, {workers} worker{'s' * (workers > 1)}",
                [jj, "extract", capture, *groups, "-f", form, "-o", target, "-w", str(workers), "--no-progress"],
                capture,
            )


def peer_cases(args, capture, head):
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # takes the NetFlow export and never reads it
    sink.bind(("127.0.0.1", 0))
    softflowd = next((p for p in ("/usr/sbin/softflowd", "/usr/bin/softflowd") if os.path.exists(p)), None)
    if softflowd:
        target = f"127.0.0.1:{sink.getsockname()[1]}"
        # -d: in the foreground: its CPU time is ours to see. -6: IPv6 too.
        command = [softflowd, "-d", "-r", capture, "-n", target, "-m", "2000000", "-6", "-p", os.path.join(args.scratch, "pid"), "-c", "none"]
        yield "softflowd, NetFlow counters", command, capture, sink
    if args.nfstream:
        script = os.path.join(HERE, "peer_nfstream.py")
        yield "nfstream, statistics", [args.nfstream, script, capture, "0", "1"], capture, sink
        yield "nfstream, statistics and nDPI", [args.nfstream, script, capture, "20", "1"], capture, sink
    if args.joyfuljay:
        command = [args.joyfuljay, "extract", head, "-f", "csv", "-o", args.scratch + "/old.csv", "--no-progress"]
        yield "joyfuljay 0.1.6.1, all", command, head, sink
        yield "joyfuljay 0.1.6.1, flow_meta", [*command, "--features", "flow_meta"], head, sink
        dpkt = [os.path.join(os.path.dirname(args.joyfuljay), "python"), os.path.join(HERE, "peer_joyfuljay.py"), head]
        yield "joyfuljay 0.1.6.1 with dpkt, all", [*dpkt, "all"], head, sink
        yield "joyfuljay 0.1.6.1 with dpkt, flow_meta", [*dpkt, "flow_meta"], head, sink



def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} processors, {platform.system()} {platform.release().split('-')[0]} {platform.machine()}"


def versions(args):
    found = {"jj": output(args.jj, "--version") if args.jj else ""}
    for name, python in (("nfstream", args.nfstream), ("joyfuljay", args.joyfuljay and os.path.join(os.path.dirname(args.joyfuljay), "python"))):
        if python:
            code = f"import importlib.metadata as m; print(m.version({name!r}))"
            found[name] = output(python, "-c", code)
    for package in ("tcpdump", "softflowd"):
        said = output("dpkg-query", "-W", "-f", "${Version}", package)
        found[package] = "" if said.startswith("dpkg-query:") else said
    return ", ".join(f"{k} {v.removeprefix(k).strip()}" for k, v in found.items() if v)


def table(args):
    capture = os.path.abspath(args.capture)
    packets = {capture: capture_head.count(capture)}
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        args.scratch = scratch
        head = capture
        if packets[capture] > args.head:
            head = os.path.join(scratch, "head.pcap")
            capture_head.copy_head(capture, head, args.head)
            packets[head] = args.head
        cases = list(read_bound(capture))
        if args.jj:
            cases += [(*case, None) for case in jj_cases(os.path.abspath(args.jj), capture, scratch)]
        if not args.only_jj:
            cases += list(peer_cases(args, capture, head))
        # Read once before, so that no run pays for the disk.
        with open(capture, "rb") as f:
            while f.read(1 << 24):
                pass
        lines = [
            "| tool and work | kpackets per CPU-second | times the read bound | kpackets per second | CPU s | peak MiB | packets |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        commands = []
        bound = None  # CPU seconds for a packet
        for label, command, file, _sink in cases:
            n = packets[file]
            try:
                m = measure(command, args.runs)
            except SystemExit as failure:  # a peer that cannot read the capture is a result too
                print(failure, file=sys.stderr)
                lines.append(f"| {label} | failed | | | | | {n:,} |")
                continue
            if label.startswith("tcpdump"):
                bound = m["cpu_s"] / n
            times = f"{m['cpu_s'] / n / bound:.2f}" if bound else ""
            print(label, m, file=sys.stderr)
            lines.append(
                f"| {label} | {n / m['cpu_s'] / 1e3:,.1f} | {times} | {n / m['wall_s'] / 1e3:,.1f} | {m['cpu_s']:.2f} | {m['peak_mib']:.0f} | {n:,} |"
            )
            shown = " ".join(os.path.basename(w) if "/" in w and i != 0 else w for i, w in enumerate(command))
            commands.append(f"{label}: `{shown.replace(command[0], os.path.basename(command[0]), 1)}`")
    facts = (
        f"{machine()}. Capture: {packets[capture]:,} packets, {os.path.getsize(capture) / 1e6:,.0f} MB"
        f" (slow peers: its first {args.head:,} packets). Median of {args.runs} run(s), CPU = user + sys of the whole process tree,"
        f" file in the page cache. {versions(args)}."
    )
    return "\n".join([facts, "", *lines, "", "Commands, with paths shortened:", "", *[f"- {c}" for c in commands]])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture")
    parser.add_argument("--jj", default="", help="path of the jj binary; without it only the peers are measured")
    parser.add_argument("--nfstream", default="", help="a Python that has nfstream")
    parser.add_argument("--joyfuljay", default="", help="the command of joyfuljay 0.1.6.1")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--head", type=int, default=20_000, help="packets for the slow peers")
    parser.add_argument("--only-jj", action="store_true")
    parser.add_argument("--scratch", default=None, help="folder for outputs")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    result = table(arguments)
    print(result)
    if arguments.write:
        put(*MARKERS, result)
