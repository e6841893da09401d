"""Live capture in network namespaces of its own (scripts/veth). Where none can be made, the tests are skipped and say why."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
DATA = ROOT / "tests/data"
VETH = ROOT / "scripts/veth"
SEND = pathlib.Path(__file__).parent / "send.py"
#: The long forms of some tests, and those that measure time, which only a quiet machine passes.
HEAVY = bool(os.environ.get("JJ_LIVE_HEAVY"))
sys.path.insert(0, str(ROOT / "tests/common"))

from binary import binary  # noqa: E402
from namespaces import missing  # noqa: E402
from scrapes import PATIENCE, wait_for  # noqa: E402


def pytest_collection_modifyitems(items):
    if reason := missing():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def jj():
    return binary()


class Wire:
    """Two namespaces with a wire between their interfaces veth0; `a` sends, `b` is captured from."""

    def __init__(self, name, jj, directory):
        self.name, self.jj, self.directory = name, jj, directory
        self.children = []

    def inside(self, side, *command, **options):
        options = {"check": True, "capture_output": True, "timeout": PATIENCE, **options}
        return subprocess.run(["ip", "netns", "exec", f"{self.name}-{side}", *map(str, command)], **options)

    def ip(self, side, *words, **options):
        return self.inside(side, "ip", *words, text=True, **options).stdout

    def send(self, *arguments, frames=None):
        """Sends a file, or frames, from `a`; gives how many went out."""
        lines = "".join(frame.hex() + "\n" for frame in frames or []).encode()
        return int(self.inside("a", sys.executable, SEND, "veth0", *arguments, input=lines).stdout)

    def promiscuity(self, side="b"):
        return json.loads(self.ip(side, "-d", "-j", "link", "show", "veth0"))[0]["promiscuity"]

    def live(self, *arguments, interfaces=("veth0",), side="b"):
        """A capture that stands."""
        return Capture(self, side, interfaces, arguments)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait(PATIENCE)
        subprocess.run([VETH, "down", self.name], capture_output=True, check=False)


class Capture:
    """`jj live` that has said that it captures."""

    def __init__(self, wire, side, interfaces, arguments):
        self.rows_file = wire.directory / f"rows-{len(wire.children)}.jsonl"
        command = ["ip", "netns", "exec", f"{wire.name}-{side}", wire.jj, "live", *interfaces, "--summary", "json"]
        command += [] if "-o" in arguments else ["-o", self.rows_file]
        self.errors = open(wire.directory / f"said-{len(wire.children)}", "w+b")
        address = str(wire.directory / f"notify-{len(wire.children)}")
        # It says when it stands, as to systemd.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(0.1)
            self.child = subprocess.Popen(
                [*command, *map(str, arguments)],
                stderr=self.errors,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": address},
            )
            wire.children.append(self.child)
            wait_for(lambda: self.is_ready(manager), state=self.text)

    def is_ready(self, manager):
        """Raises where it has ended."""
        assert self.child.poll() is None, self.text()
        try:
            return b"READY=1" in manager.recv(1000)
        except TimeoutError:
            return False

    def text(self):
        return pathlib.Path(self.errors.name).read_text()

    def rows(self):
        return [json.loads(line) for line in self.rows_file.read_text().splitlines()]

    def stop(self, number=signal.SIGTERM, code=0):
        """Ends it in good order; its summary."""
        self.child.send_signal(number)
        assert self.child.wait(PATIENCE) == code, self.text()
        return json.loads([line for line in self.text().splitlines() if line.startswith("{")][-1])


@pytest.fixture
def wire(jj, tmp_path):
    name = f"jj-{os.getpid()}-{tmp_path.name[-8:].strip('-_')}"
    subprocess.run([VETH, "up", name], check=True, capture_output=True, timeout=PATIENCE)
    wire = Wire(name, jj, tmp_path)
    try:
        yield wire
    finally:
        wire.close()


@pytest.fixture
def extract(jj):
    """The rows of a capture file."""

    def run(path, *arguments):
        done = subprocess.run([jj, "extract", path, "-f", "json", "-q", *map(str, arguments)], capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run
