"""`jj live` when it starts under traffic, is stopped for a while by its host, or has more to end than it has time for."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import PATIENCE, SEND
from frames import ethernet, ipv4, udp
from scrapes import wait_for
from test_outputs import Served, flows

#: The long forms.
HEAVY = bool(os.environ.get("JJ_LIVE_HEAVY"))


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
        once = wait_for(
            lambda: len(rows) == sent
            if (rows := [row for row in capture.rows() if row["dst_port"] == 9 and row["src_ip"].startswith("10.1.")])
            else False,
            state=capture.text,
        )
        assert once
    assert capture.stop()["dropped"] == {"kernel": 0, "interface": 0, "queue": 0}
    rows = [row for row in capture.rows() if row["src_ip"].startswith("10.1.")]
    assert {(row["end_reason"], row["total_packets"]) for row in rows} == {("idle", 1)}


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
