#!/usr/bin/env python3
"""What a packet costs with few and with very many flows open at a time: flow_meta to Parquet with one worker, rows included.

usage: benches/live.py JJ... [--flows 1000000] [--rounds 5]

The same number of flows of 20 packets each, once 10,000 of them open at a time and once all of them; so the difference is
that of the caches. Several binaries take turns, so that what the machine does besides meets them alike. Shown are
medians of CPU nanoseconds a packet.
"""

import argparse
import os
import statistics
import tempfile

from measure import once
from pairs import FOUR_GROUPS, made

EACH, FEW = 20, 10_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jj", nargs="+")
    parser.add_argument("--flows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    captures = {
        live: made(f"live_{args.flows}_{live}.pcap", "--flows", str(args.flows), "--live", str(live), "--each", str(EACH))
        for live in (FEW, args.flows)
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out.parquet")
        for _ in range(args.rounds):
            for live, capture in captures.items():
                for jj in args.jj:
                    options = ["-f", "parquet", "-o", target, "-w", "1", "--no-progress", "-q"]
                    cpu = once([jj, "extract", str(capture), *FOUR_GROUPS[:2], *options])["cpu_s"]
                    found.setdefault((jj, live), []).append(cpu * 1e9 / (args.flows * EACH))
    print(f"| binary | {FEW:,} open, ns a packet | {args.flows:,} open, ns a packet | step |")
    print("|---|---:|---:|---:|")
    for jj in args.jj:
        few, many = (statistics.median(found[jj, live]) for live in (FEW, args.flows))
        print(f"| {os.path.basename(jj)} | {few:.0f} | {many:.0f} | {many - few:.0f} |")


if __name__ == "__main__":
    main()
