#!/usr/bin/env python3
"""Rows and CPU of slices against one run, over an hour of packets.

usage: benches/slices.py JJ CAPTURE [--tasks 4 8] [--features flow_meta ...] [--seconds 3600] [--timeout 60] [--pause S] [--work FOLDER] [--keep]

The hour is CAPTURE (classic pcap, a minute or more) again and again, each copy going on after the one before, so that connections go on
all the time and every SYN comes again with the number that it had; with --pause 61 they end between two copies. It is written into the
folder --work (by default a temporary one) and removed at the end, but for --keep.

For each set of features: `jj extract` once over the whole and once for each slice, with one worker, to Parquet. Shown are the CPU of
all tasks over that of one run, how often frames were read, and what is allowed: 1.25 + (frames read besides / frames), which is
(n - 1) (lead-in + lead-out) / duration where frames are spread evenly. Then the same to CSV, and whether the rows are the same, by
the number of lines and the sum of their hashes. Each task makes the plan, a walk over all record headers; that is in its CPU. Exit code 1
where rows differ. Python 3 alone.
"""

import argparse
import hashlib
import itertools
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ORDERS = {b"\xd4\xc3\xb2\xa1": ("<", 10**6), b"\x4d\x3c\xb2\xa1": ("<", 10**9), b"\xa1\xb2\xc3\xd4": (">", 10**6), b"\xa1\xb2\x3c\x4d": (">", 10**9)}
FOUR_GROUPS = "flow_meta,timing,size,tcp"
#: CPU that tasks may take over that of one run, besides what is read twice.
ALLOWED = 1.25


def repeat(capture, out, seconds, pause):
    """Writes copies of a capture, each behind the one before, until so many seconds of packets are there; their number."""
    data = bytearray(capture.read_bytes())
    if bytes(data[:4]) not in ORDERS:
        sys.exit(f"{capture}: not a classic pcap file")
    order, unit = ORDERS[bytes(data[:4])]
    head, stamp = struct.Struct(order + "4I"), struct.Struct(order + "2I")
    records, at = [], 24
    while at + 16 <= len(data):
        whole, part, length, _ = head.unpack_from(data, at)
        if at + 16 + length > len(data):
            break
        records.append((at, whole * unit + part))
        at += 16 + length
    times = [time for _, time in records]
    first, last = min(times), max(times)
    shift = last - first + max((last - first) // len(times), int(pause * unit))
    copies = max(1, round(seconds * unit / shift))
    with open(out, "wb") as file:
        file.write(data[:24])
        for copy in range(copies):
            for place, time in records:
                stamp.pack_into(data, place, *divmod(time + copy * shift, unit))
            file.write(memoryview(data)[24:at])
    return copies


def run(jj, capture, features, timeout, out, *more):
    """CPU seconds of a run, and its summary."""
    command = [jj, "extract", capture, "--features", features, "--timeout", str(timeout), "-w", "1", "-o", out, "--summary", "json", *more]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([str(part) for part in command], stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode().splitlines()
    if child.returncode:
        sys.exit(f"slices.py: exit {child.returncode}: {lines[-1:]}")
    return usage.ru_utime + usage.ru_stime, json.loads(next(line for line in reversed(lines) if line.startswith("{")))


def lines(path):
    """How many rows a CSV file has, and the sum of their hashes."""
    count = total = 0
    with open(path, "rb") as file:
        for line in itertools.islice(file, 1, None):
            count += 1
            total += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest(), "little")
    path.unlink()
    return count, total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jj")
    parser.add_argument("capture", type=pathlib.Path)
    parser.add_argument("--tasks", type=int, nargs="*", default=[4, 8], help="none: only the hour is made")
    parser.add_argument("--features", nargs="+", default=["flow_meta", FOUR_GROUPS])
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--pause", type=float, default=0, help="seconds without a packet between two copies")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        hour = (args.work or pathlib.Path(folder)) / "hour.pcap"
        copies = repeat(args.capture, hour, args.seconds, args.pause)
        print(f"{copies} copies, {hour.stat().st_size / 1e9:.2f} GB, flow_timeout {args.timeout:g}")
        for features in args.features if args.tasks else []:
            fast, text = pathlib.Path(folder, "rows.parquet"), pathlib.Path(folder, "rows.csv")
            # One slice has the columns that several have: none of the group connection, which `all` has besides.
            one = ["--slice", "1/1"] if "all" in features.split(",") else []
            whole, summary = run(args.jj, hour, features, args.timeout, fast, *one)
            run(args.jj, hour, features, args.timeout, text, *one)
            expected = lines(text)
            print(f"{features}: one run: {whole:.2f} s of CPU, {summary['frames']} frames, {expected[0]} rows")
            for tasks in args.tasks:
                cpu, besides, count, total = 0.0, 0, 0, 0
                for i in range(1, tasks + 1):
                    took, said = run(args.jj, hour, features, args.timeout, fast, "--slice", f"{i}/{tasks}")
                    run(args.jj, hour, features, args.timeout, text, "--slice", f"{i}/{tasks}")
                    rows = lines(text)
                    cpu, besides = cpu + took, besides + said["lead_frames"]
                    count, total = count + rows[0], total + rows[1]
                read, times, same = besides / summary["frames"], cpu / whole, (count, total) == expected
                failed |= not same
                print(
                    f"{features}: {tasks} tasks: {cpu:.2f} s of CPU, {times:.2f} times one run's (allowed: {ALLOWED + read:.2f}); "
                    f"frames read {1 + read:.2f} times; rows {'equal' if same else f'DIFFER: {count} and {expected[0]}'}",
                    flush=True,
                )
        if not args.keep:
            hour.unlink()
    sys.exit(failed)


if __name__ == "__main__":
    main()
