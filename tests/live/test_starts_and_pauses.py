"""`jj live` when it starts under traffic, is stopped for a while by its host, or has more to end than it has time for."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import HEAVY, PATIENCE, SEND
from frames import ethernet, ipv4, udp
from scrapes import wait_for
from test_outputs import Served, flows


class Flood:
    """Frames that go out from `a` until it is closed."""

    def __init__(self, wire, *arguments, frames):
        self.child = subprocess.Popen(
            ["ip", "netns", "exec", f"{wire.name}-a", sys.executable, SEND, "veth0", "--loop", "1000000", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        wire.children.append(self.child)
        self.child.stdin.write("".join(frame.hex() + "\n" for frame in frames).encode())
        self.child.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait(PATIENCE)


def test_nothing_passes_before_the_filter_stands(wire):
    """A socket takes frames of every interface from the moment that it is made, where nothing is done about it."""
    with Flood(wire, frames=flows(1, 500)):
        for _ in range(100 if HEAVY else 20):
            capture = wire.live("--features", "flow_meta", "--filter", "udp port 60000")
            summary = capture.stop()
            assert (summary["frames"], capture.rows()) == (0, []), summary
        # The same without the filter sees the flood.
        capture = Served(wire, "veth0", "-o", wire.directory / "rows.csv")
        wait_for(lambda: capture.figure("frames_total") > 0)


def test_what_is_overdue_after_a_pause_ends_at_once(wire):
    """The process stands still longer than the timeout; so it does when the host sleeps."""
    capture = wire.live("--features", "flow_meta", "--timeout", "5" if HEAVY else "1")
    wire.send(frames=flows(1, 10))
    capture.child.send_signal(signal.SIGSTOP)
    time.sleep(30 if HEAVY else 3)
    assert capture.rows() == []
    capture.child.send_signal(signal.SIGCONT)
    wait_for(lambda: len(capture.rows()) == 10, state=capture.text)
    assert {row["end_reason"] for row in capture.rows()} == {"idle"}
    capture.stop()


def test_idle_flows_leave_under_load(wire):
    """Many flows of one packet, then traffic that does not cease: they do not wait for its end."""
    count = 150_000 if HEAVY else 20_000
    capture = wire.live("--features", "flow_meta", "--timeout", "2")
    many = [
        ethernet(ipv4(udp(1 + number % 60_000, 9), source=f"10.1.{number // 60_000}.1")) for number in range(count)
    ]
    sent = wire.send("--rate", "50000", frames=many)
    with Flood(wire, "--rate", "5000", frames=flows(1, 50)):
        began = time.monotonic()
        wait_for(lambda: count_of_rows(capture.rows_file, b'"10.1.') == sent, state=capture.text)
        took = time.monotonic() - began
    if HEAVY:
        print(f"the last of {sent} rows was there {took:.2f} s after the last of their packets, with a timeout of 2 s")
        assert took < 4, took
    assert capture.stop()["dropped"] == {"kernel": 0, "interface": 0, "queue": 0}
    rows = [row for row in capture.rows() if row["src_ip"].startswith("10.1.")]
    assert {(row["end_reason"], row["total_packets"]) for row in rows} == {("idle", 1)}


def count_of_rows(path, part):
    return sum(part in line for line in path.read_bytes().splitlines()) if path.exists() else 0


def test_an_option_that_the_kernel_refuses_is_named_and_nothing_is_ready(wire, jj):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    refused = set()
    for number in range(1, 12):
        command = ["strace", "-f", "-e", "trace=setsockopt", "-e", f"inject=setsockopt:error=EINVAL:when={number}", jj, "live", "veth0"]
        done = subprocess.run(
            ["ip", "netns", "exec", f"{wire.name}-b", *command, "-d", "1", "-o", "/dev/null"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        injected = re.search(r"setsockopt\(\d+, SOL_PACKET, (\w+).*INJECTED", done.stderr)
        if not injected:
            continue
        option = injected[1]
        refused.add(option)
        if done.returncode == 0:
            # What capture can do without is said.
            assert "warning" in done.stderr or option not in ("PACKET_RX_RING", "PACKET_VERSION"), (option, done.stderr)
        else:
            assert done.returncode == 1 and "Invalid argument" in done.stderr and "capturing from" not in done.stderr, (option, done.stderr)
    if not refused:
        pytest.skip("nothing can be injected here")
    assert "PACKET_RX_RING" in refused, refused


def test_a_packet_is_in_its_flow_a_tenth_of_a_second_after_it_came(wire):
    """Also one that is alone on the wire: nothing waits for a block to be full. The time is measured in the heavy form only."""
    capture = Served(wire, "veth0", "-o", wire.directory / "rows.csv")
    lags = []
    for number in range(1, 61 if HEAVY else 4):
        before = capture.figure("packets_total")
        wire.send(frames=flows(number, 1))
        # No further packet pushes it out.
        wait_for(lambda before=before: capture.figure("packets_total") > before)
        lags.append(capture.figure("lag_seconds"))
        time.sleep(1 if HEAVY else 0)
    if HEAVY:
        # On a wire that is quiet again it is 0.
        lags = [lag for lag in lags if lag > 0]
        print(f"lag of a packet: {min(lags):.3f} to {max(lags):.3f} s")
        assert len(lags) > 30 and max(lags) < 0.15, lags


def test_a_quiet_flow_leaves_behind_a_filter_that_lets_nothing_else_pass(wire):
    """In time, as the heavy form measures: a second after its timeout at the latest."""
    idle = 5 if HEAVY else 1
    capture = wire.live("--features", "flow_meta", "--timeout", str(idle), "--filter", "udp dst port 7")
    with Flood(wire, "--rate", "2000", frames=flows(1, 500)):
        wire.send(frames=[ethernet(ipv4(udp(1, 7)))])
        sent = time.monotonic()
        (row,) = wait_for(capture.rows, state=capture.text)
        took = time.monotonic() - sent
    assert (row["dst_port"], row["end_reason"]) == (7, "idle")
    if HEAVY:
        print(f"a row left {took:.2f} s after its packet, with a timeout of {idle} s")
        assert idle - 0.5 <= took <= idle + 1, took
    capture.stop()


def test_open_flows_are_written_when_a_quiet_wire_is_left(wire):
    """Nothing comes that could wake the capture but the signal."""
    capture = wire.live("--features", "flow_meta")
    wire.send(frames=flows(1, 3))
    # They have been read: the rest of the time there is nothing.
    time.sleep(1)
    began = time.monotonic()
    capture.stop()
    if HEAVY:
        assert time.monotonic() - began < 2
    assert [(row["src_port"], row["end_reason"]) for row in capture.rows()] == [(port, "end_of_input") for port in (1, 2, 3)]


def test_a_wait_that_the_kernel_breaks_off_ends_no_capture(wire, jj):
    """A source that reads such an error as the end would leave as though it had been asked to."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    rows = wire.directory / "rows.jsonl"
    errors = ["-e", "inject=ppoll:error=EINTR:when=2", "-e", "inject=poll:error=EINTR:when=2"]
    capture = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", "strace", "-f", "-e", "trace=poll,ppoll", *errors, jj, "live", "veth0"]
        + ["-o", rows, "-f", "json", "--features", "flow_meta", "--timeout", "0.2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    wire.children.append(capture)
    said = []
    reading = threading.Thread(target=lambda: said.extend(capture.stderr), daemon=True)
    reading.start()
    until = time.monotonic() + PATIENCE
    while not any("INJECTED" in line for line in list(said)):
        assert capture.poll() is None, "".join(said)
        if time.monotonic() > until:
            pytest.skip("nothing can be injected here")
        time.sleep(0.1)
    wait_for(lambda: any("capturing from" in line for line in list(said)))
    wire.send(frames=flows(1, 5))
    wait_for(lambda: rows.exists() and len(rows.read_text().splitlines()) == 5)
    assert capture.poll() is None
    # strace hands the signal on to what it watches.
    for child in children(capture.pid):
        os.kill(child, signal.SIGTERM)
    assert capture.wait(PATIENCE) == 0


def children(pid):
    """Processes that this one has begun."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    return [int(child) for child in listed.split()]
