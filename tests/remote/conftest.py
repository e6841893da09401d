"""Sensors and their clients: `jj serve` and `jj connect`, on loopback and in network namespaces (scripts/veth)."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
DATA = ROOT / "tests/data"
VETH = ROOT / "scripts/veth"
SEND = ROOT / "tests/live/send.py"
sys.path[:0] = [str(ROOT / "tests/common"), str(ROOT / "tests/live")]

from binary import binary  # noqa: E402
from namespaces import missing  # noqa: E402
from scrapes import PATIENCE, kill, scrape, total, value, wait_for  # noqa: E402

#: Nothing that is said anywhere may hold it.
TOKEN = "canary-7f3a9c51d2"
#: The long forms of some tests.
HEAVY = bool(os.environ.get("JJ_REMOTE_HEAVY"))


class Running:
    """A `jj` with its words in a file."""

    def __init__(self, command, words, **options):
        self.words = words
        self.file = open(words, "w+b")
        self.child = subprocess.Popen(list(map(str, command)), stderr=self.file, **{"stdin": subprocess.DEVNULL, **options})

    def text(self):
        return self.words.read_text(errors="replace")

    def says(self, pattern):
        """Waits until it has said so."""

        def said():
            found = re.search(pattern, self.text())
            assert found or self.child.poll() is None, self.text()
            return found

        return wait_for(said, state=self.text)

    def end(self, number=signal.SIGTERM, code=0):
        if self.child.poll() is None:
            self.child.send_signal(number)
        assert self.child.wait(PATIENCE) == code, self.text()
        return self.text()

    def scrape(self):
        return scrape(self.says(r"metrics at (http://[^/]+)/")[1])

    def peak(self):
        """The most memory that it has had, in bytes."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


class Field:
    """Where sensors and clients run; `a` and `b` are two namespaces, if there are any."""

    def __init__(self, jj, directory, namespaces=None):
        self.jj, self.directory, self.namespaces = jj, directory, namespaces
        self.running = []
        self.token = directory / "token"
        self.token.write_text(TOKEN + "\n")

    def inside(self, side, *command, **options):
        options = {"check": True, "capture_output": True, "timeout": PATIENCE, **options}
        return subprocess.run(self.prefix(side) + list(map(str, command)), **options)

    def prefix(self, side):
        return ["ip", "netns", "exec", f"{self.namespaces}-{side}"] if side else []

    def run(self, *arguments, side=None, **options):
        command = self.prefix(side) + [self.jj, *arguments]
        words = self.directory / f"said-{len(self.running)}"
        self.running.append(Running(command, words, **options))
        return self.running[-1]

    def serve(self, *arguments, side=None, port=0, **options):
        """A sensor that stands; it has its port in `port`."""
        host = [] if side or "--host" in arguments else ["--host", "127.0.0.1"]
        sensor = self.run("serve", *arguments, *host, "--port", port, "--token-file", self.token, side=side, **options)
        sensor.port = int(sensor.says(r"serving .* at \S+:(\d+)")[1])
        return sensor

    def connect(self, place, *arguments, side=None, **options):
        """A client that is under way."""
        rows = self.directory / f"rows-{len(self.running)}.jsonl"
        url = place if isinstance(place, str) else f"jj://127.0.0.1:{place.port}"
        output = [] if "-o" in arguments else ["-o", rows]
        client = self.run(
            "connect", url, "--token-file", self.token, "--summary", "json", *output, *arguments, side=side, **options
        )
        client.rows_file = rows
        client.rows = lambda: [json.loads(line) for line in rows.read_text().splitlines()] if rows.exists() else []
        client.summary = lambda: json.loads([line for line in client.text().splitlines() if line.startswith("{")][-1])
        return client

    def close(self):
        for running in self.running:
            if running.child.poll() is None:
                running.child.send_signal(signal.SIGCONT)
                kill(running.child)
        if self.namespaces:
            subprocess.run([VETH, "down", self.namespaces], capture_output=True, check=False)

    def nothing_shows_the_token(self):
        for running in self.running:
            assert TOKEN not in running.text()
        for path in self.directory.iterdir():
            if path.is_file() and path != self.token:
                assert TOKEN.encode() not in path.read_bytes(), path


@pytest.fixture(scope="session")
def jj():
    return binary()


@pytest.fixture
def field(jj, tmp_path):
    field = Field(jj, tmp_path)
    try:
        yield field
        field.nothing_shows_the_token()
    finally:
        field.close()


@pytest.fixture(scope="session")
def namespaces():
    if reason := missing():
        pytest.skip(reason)


@pytest.fixture
def wire(namespaces, jj, tmp_path):
    """Two namespaces with a wire between their interfaces veth0: 10.77.0.1 in `a`, 10.77.0.2 in `b`."""
    name = f"jj-r{os.getpid()}-{tmp_path.name[-6:].strip('-_')}"
    subprocess.run([VETH, "up", name], check=True, capture_output=True, timeout=PATIENCE)
    field = Field(jj, tmp_path, name)
    try:
        yield field
        field.nothing_shows_the_token()
    finally:
        field.close()


@pytest.fixture
def extract(jj):
    """What `jj extract` makes of a capture, written to a path; what it said."""

    def run(capture, output, *arguments):
        done = subprocess.run(
            [jj, "extract", str(capture), "-o", str(output), *map(str, arguments)], capture_output=True, text=True, check=True
        )
        return done.stderr

    return run


__all__ = ["DATA", "HEAVY", "PATIENCE", "ROOT", "SEND", "TOKEN", "scrape", "total", "value", "wait_for"]
