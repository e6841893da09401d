#!/usr/bin/env python3
"""What metrics cost a run, and what a scrape costs its client. Python 3 alone; prints a Markdown table.

usage: metrics.py CAPTURE [--jj PATH] [--pairs N] [--scrapes N] [--write]
  --jj PATH    the binary (default: target/release/jj)
  --pairs N    runs with and without metrics (default 9; each pair is one of either, in turn)
  --scrapes N  scrapes of the endurance part (default 100000)
  --write      also put the table into docs/benchmarks.md
Exits with 1 where a bound is passed: throughput with metrics on and scraped ten times a second below 99 % of off (CPU
time, median over the pairs), the 99th percentile of a scrape under full load at 20 ms or above, memory or descriptors
that grow with the number of scrapes, 64 kB of text or more.
"""
import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from report import bounds

HERE = os.path.dirname(os.path.abspath(__file__))
MARKERS = "<!-- metrics: written by benches/metrics.py -->", "<!-- end of metrics -->"
FOUR_GROUPS = ["--features", "flow_meta", "--features", "timing", "--features", "size", "--features", "tcp"]
# What Prometheus sends.
HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}


class Served:
    """A process of `jj` that serves metrics."""

    def __init__(self, jj, *arguments):
        command = [jj, "extract", *arguments, "--no-progress", "--prometheus-port", "0"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.child.stderr:
            if found := re.search(rb"http://([0-9.]+):([0-9]+)/metrics", line):
                self.host, self.port = found[1].decode(), int(found[2])
                break
        else:
            sys.exit(f"metrics.py: {' '.join(command)} ended with {self.child.wait()}")
        threading.Thread(target=self.child.stderr.read, daemon=True).start()

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=10)

    def wait(self):
        """CPU seconds of the whole process, from the operating system."""
        _, status, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.child.returncode:
            sys.exit(f"metrics.py: jj ended with {self.child.returncode}")
        return usage.ru_utime + usage.ru_stime

    def status(self, name):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(name))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))


def scrape(connection, headers=HEADERS):
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"metrics.py: a scrape was answered with {answer.status}")
    return body


def scrape_until_gone(served, every, times):
    """Scrapes every so many seconds while the process lives; seconds of each go to `times`."""
    connection = served.connection()
    due = time.monotonic()
    while True:
        begun = time.perf_counter()
        try:
            scrape(connection)
        except (OSError, http.client.HTTPException):
            return
        times.append(time.perf_counter() - begun)
        due += every
        time.sleep(max(0.0, due - time.monotonic()))


def silent_run(jj, arguments):
    child = subprocess.Popen([jj, "extract", *arguments, "--no-progress"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"metrics.py: jj ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def scraped_run(jj, arguments, every):
    served, times = Served(jj, *arguments), []
    scraper = threading.Thread(target=scrape_until_gone, args=(served, every, times))
    scraper.start()
    cpu = served.wait()
    scraper.join()
    return cpu, times


def cost(jj, capture, folder, pairs):
    """CPU time without metrics over CPU time with them, pair by pair: throughput on / off."""
    for workers in (1, 2):
        arguments = [capture, *FOUR_GROUPS, "-f", "parquet", "-o", os.path.join(folder, "o.parquet"), "-w", str(workers)]
        silent_run(jj, arguments)
        ratios, scrapes = [], 0
        for n in range(pairs):
            # In turn which of the two comes first, as a machine may slow down over the minutes.
            if n % 2:
                on, times = scraped_run(jj, arguments, 0.1)
                off = silent_run(jj, arguments)
            else:
                off = silent_run(jj, arguments)
                on, times = scraped_run(jj, arguments, 0.1)
            ratios.append(off / on)
            scrapes += len(times)
        middle = statistics.median(ratios)
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        what = f"throughput on / off, scraped at 10 Hz, {workers} worker{'s' * (workers > 1)} ({pairs} pairs, {scrapes} scrapes)"
        yield what, f"{middle:.3f} ({spread})", "≥ 0.99", middle >= 0.99


def latency(jj, capture, folder):
    """Scrapes as fast as 50 a second of runs that keep every processor busy."""
    workers = os.cpu_count() or 1
    arguments = [capture, *FOUR_GROUPS, "-f", "csv", "-o", os.path.join(folder, "o.csv"), "-w", str(workers)]
    times = []
    while len(times) < 500:
        times += scraped_run(jj, arguments, 0.02)[1]
    times.sort()
    p99 = times[len(times) * 99 // 100] * 1000
    middle, worst = statistics.median(times) * 1000, times[-1] * 1000
    what = f"a scrape under full load ({len(times)} scrapes, {workers} workers), 99th percentile"
    yield what, f"{p99:.1f} ms (median {middle:.1f}, longest {worst:.1f})", "< 20 ms", p99 < 20


def endurance(jj, sample, folder, scrapes):
    """Scrapes of one process over kept connections and over new ones; memory and descriptors early and late."""
    served = Served(jj, sample, "-f", "csv", "-o", os.path.join(folder, "e.csv"), "--prometheus-linger", "3600")
    try:
        size = len(scrape(served.connection(), {}))
        yield "exposition of the default set after a run", f"{size / 1000:.1f} kB", "< 64 kB", size < 64_000

        def level():
            time.sleep(1)  # closed connections are gone
            return served.status("VmRSS:"), served.descriptors()

        def many(count):
            connection = served.connection()
            for n in range(count):
                if n % 100 == 99:
                    connection.close()
                    connection = served.connection()
                scrape(connection)
            connection.close()

        early_count = scrapes // 10
        many(early_count)
        early = level()
        begun, cpu = time.monotonic(), cpu_seconds(served)
        many(scrapes - early_count)
        each = (cpu_seconds(served) - cpu) / (scrapes - early_count) * 1000
        rate = (scrapes - early_count) / (time.monotonic() - begun)
        late = level()
        what = f"memory after {early_count:,} and after {scrapes:,} scrapes"
        yield what, f"{early[0]:,} and {late[0]:,} KiB", "+ 512 KiB at most", late[0] <= early[0] + 512
        yield "descriptors, likewise", f"{early[1]} and {late[1]}", "no more", late[1] <= early[1]
        yield f"CPU time of `jj` for a scrape, gzip (at {rate:,.0f} a second)", f"{each:.2f} ms", "", True
    finally:
        served.child.kill()
        served.child.wait()


def cpu_seconds(served):
    with open(f"/proc/{served.child.pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture")
    parser.add_argument("--jj", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target")), "release", "jj"))
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--scrapes", type=int, default=100_000)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    sample = os.path.join(HERE, "..", "tests", "data", "demo.pcap")
    with tempfile.TemporaryDirectory() as folder:
        parts = (
            cost(args.jj, args.capture, folder, args.pairs),
            latency(args.jj, args.capture, folder),
            endurance(args.jj, sample, folder, args.scrapes),
        )
        sys.exit(bounds(parts, MARKERS if args.write else None))


if __name__ == "__main__":
    main()
