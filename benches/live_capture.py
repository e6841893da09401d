#!/usr/bin/env python3
"""What `jj live` keeps up with, on a pair of virtual interfaces of its own (scripts/veth). Needs root, tcpreplay and a capture of
Ethernet frames of 1,514 bytes at most.

usage: benches/live_capture.py JJ CAPTURE [--rates PPS,...] [--runs N] [--features GROUPS] [--softflowd] [--nfstream PYTHON]

1. the capture replayed: packets and rows against those of `jj extract`;
2. for each rate (0 is as fast as tcpreplay can) sent, received, lost and processor time, median run of N; beside it `jj extract`;
   with --softflowd (Debian's package) the same of softflowd, which exports NetFlow; with --nfstream, a Python that has nfstream, of that;
3. the time from a flow's idle timeout to its row at a reader of standard output, over 100 flows on a quiet wire.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
VETH = ROOT / "scripts/veth"
NAME = f"jj-bench-{os.getpid()}"


def inside(side, *command):
    return ["ip", "netns", "exec", f"{NAME}-{side}", *map(str, command)]


def cpu(child):
    """Waits for a process; its exit code and processor seconds."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage.ru_utime + usage.ru_stime


def stands(pid):
    lines = pathlib.Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
    return any(line.split()[5] == "1" for line in lines)


def live(jj, directory, features, *arguments):
    errors = open(directory / "said", "w+")
    child = subprocess.Popen(
        inside("b", jj, "live", "veth0", "--features", features, "-o", directory / "rows.csv", "--summary", "json", *arguments),
        stderr=errors,
    )
    while not stands(child.pid):
        time.sleep(0.05)
    return child, errors


def replay(capture, rate):
    speed = ["--pps", str(rate)] if rate else ["--topspeed"]
    done = subprocess.run(inside("a", "tcpreplay", "-q", "-K", "-i", "veth0", *speed, capture), capture_output=True, text=True, check=True)
    sent, seconds = re.search(r"Actual: (\d+) packets .* sent in ([0-9.]+) seconds", done.stdout).groups()
    return int(sent), float(seconds)


def run(jj, capture, features, rate):
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        child, errors = live(jj, directory, features)
        sent, seconds = replay(capture, rate)
        child.terminate()
        code, spent = cpu(child)
        errors.seek(0)
        said = errors.read()
        assert code == 0, said
        summary = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
        summary["sent"], summary["rate"], summary["cpu"] = sent, sent / seconds, spent
        return summary


def softflowd(capture, rate):
    """Sent, read, lost and processor seconds of softflowd on the same interface."""
    with tempfile.TemporaryDirectory() as directory:
        control = f"{directory}/control"
        command = inside("b", "softflowd", "-d", "-i", "veth0", "-n", "127.0.0.1:9995", "-c", control, "-p", f"{directory}/pid")
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (os.path.exists(control) and stands(child.pid)):
            time.sleep(0.05)
        sent, _ = replay(capture, rate)
        time.sleep(1)
        said = subprocess.run(["softflowctl", "-c", control, "statistics"], capture_output=True, text=True, check=True).stdout
        subprocess.run(["softflowctl", "-c", control, "shutdown"], capture_output=True, check=True)
        _, spent = cpu(child)
        read = int(re.search(r"Packets processed: (\d+)", said)[1])
        lost = re.search(r"dropped[^\d]*(\d+)", said)
        return sent, read, int(lost[1]) if lost else 0, spent


NFSTREAM = """
from nfstream import NFStreamer
for flow in NFStreamer(source="veth0", n_dissections=0, statistical_analysis=True, n_meters=1, performance_report=1):
    pass
"""


def nfstream(python, capture, rate):
    """Sent, packets that nfstream says it has processed, lost by the kernel; its processor time is that of several processes."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(inside("b", python, "-u", "-c", NFSTREAM), stdout=out, stderr=subprocess.STDOUT)
        before = time.monotonic()
        while not in_use() and time.monotonic() - before < 60:
            time.sleep(0.05)
        time.sleep(1)
        sent, _ = replay(capture, rate)
        time.sleep(4)
        child.send_signal(2)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        out.seek(0)
        # The last of its reports, one a second. What it calls dropped is what libpcap counted.
        last = json.loads([line for line in out.read().splitlines() if line.startswith("{")][-1])
        return sent, last["packets_processed"], last["packets_dropped_filtered_by_kernel"], None


def in_use():
    """Whether somebody captures in the namespace."""
    found = subprocess.run(inside("b", "cat", "/proc/net/packet"), capture_output=True, text=True, check=True).stdout
    return len(found.splitlines()) > 1


def offline(jj, capture, features):
    child = subprocess.Popen(
        [jj, "extract", capture, "--features", features, "-f", "csv", "-o", "/dev/null", "--summary", "json"], stderr=subprocess.PIPE, text=True
    )
    said = child.stderr.read()
    code, spent = cpu(child)
    assert code == 0, said
    return {**json.loads([line for line in said.splitlines() if line.startswith("{")][-1]), "cpu": spent}


def latency(jj):
    """Seconds from a flow's idle timeout to its row, for flows of one packet on a wire that is quiet otherwise."""
    timeout = 1.0
    command = inside("b", jj, "live", "veth0", "-f", "json", "-q", "--features", "flow_meta", "--timeout", timeout)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not stands(child.pid):
        time.sleep(0.05)
    script = (
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for port in range(2000, 2100): s.sendto(b'x', ('10.77.0.2', port)); time.sleep(0.037)\n"
    )
    sender = subprocess.Popen(inside("a", "python3", "-c", script))
    late = []
    for line in child.stdout:
        row = json.loads(line)
        if row["protocol"] == 17:
            late.append(time.time() - row["start_time"] - row["duration"] - timeout)
        if len(late) == 100:
            break
    sender.wait()
    child.terminate()
    child.wait()
    return late


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jj")
    parser.add_argument("capture")
    parser.add_argument("--rates", default="50000,100000,200000,0")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--features", default="flow_meta,timing,size,tcp")
    parser.add_argument("--softflowd", action="store_true")
    parser.add_argument("--nfstream", metavar="PYTHON")
    options = parser.parse_args()
    jj = os.path.abspath(options.jj)
    subprocess.run([VETH, "up", NAME], check=True)
    try:
        file = min((offline(jj, options.capture, options.features) for _ in range(options.runs)), key=lambda s: s["cpu"])
        packets = file["frames"]
        print(f"jj extract: {packets:,} frames, {file['flows']:,} flows, {file['cpu']:.2f} CPU s, {file['cpu'] / packets * 1e9:.0f} ns a packet")
        print("| offered packets/s | sent | received | lost | read | flows | CPU s | ns of CPU a packet |\n|---:|---:|---:|---:|---:|---:|---:|---:|")
        for rate in map(int, options.rates.split(",")):
            runs = sorted((run(jj, options.capture, options.features, rate) for _ in range(options.runs)), key=lambda s: s["cpu"])
            s = runs[len(runs) // 2]
            lost, received = s["dropped"]["kernel"], s["interfaces"][0]["received"]
            print(
                f"| {s['rate']:,.0f} | {s['sent']:,} | {received:,} | {lost:,} | {s['frames']:,} | {s['flows']:,} "
                f"| {s['cpu']:.2f} | {s['cpu'] / max(s['frames'], 1) * 1e9:.0f} |",
                flush=True,
            )
        peers = {"softflowd": softflowd} if options.softflowd else {}
        if options.nfstream:
            peers["nfstream"] = lambda capture, rate: nfstream(options.nfstream, capture, rate)
        for name, peer in peers.items():
            for rate in map(int, options.rates.split(",")):
                sent, read, lost, spent = peer(options.capture, rate)
                print(f"{name} at {rate or 'top'}: sent {sent:,}, read {read:,}, lost {lost:,}" + (f", {spent:.2f} CPU s" if spent else ""), flush=True)
        late = sorted(latency(jj))
        print(f"row after its timeout: median {statistics.median(late):.3f} s, 99 of 100 within {late[98]:.3f} s, most {late[-1]:.3f} s")
    finally:
        subprocess.run([VETH, "down", NAME], check=False)


main()
