"""What the tests of the Python package share. They run against the installed package, as users have it."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import joyfuljay
import pytest

DATA = pathlib.Path(__file__).parent.parent / "data"
PAGE = pathlib.Path(__file__).parent / "monitoring-page.md"


@pytest.fixture(scope="session")
def capture():
    return str(DATA / "demo.pcap")


#: Groups of `all` whose values a flow has by itself; those of the graph need the whole run.
GROUPS_OF_FLOWS = [g for g in joyfuljay._native.feature_groups() if g not in ("connection", "timestamps", "labels", "ja4plus")]


def without_graph(row):
    """A row without the columns that need the whole run."""
    graph = {f["name"] for f in joyfuljay._native.feature_table() if f["group"] == "connection"}
    return {name: value for name, value in row.items() if name not in graph}


@pytest.fixture(scope="session")
def data():
    return DATA


@pytest.fixture(scope="session")
def page():
    """page(n) -> the text of the n-th Python block of the monitoring page."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(blocks) == 12
    return blocks.__getitem__


@pytest.fixture
def run_python(tmp_path):
    """run_python(code, **options) -> CompletedProcess of a fresh interpreter in an empty folder; checks the exit code."""

    def run(code, ok=True, inside=(), **options):
        done = subprocess.run(
            [*inside, sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False, **options
        )
        assert not ok or done.returncode == 0, f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def on_free_port():
    """The block as it is when the page's port is free; when something else has it, the block with another port."""

    def change(block):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("0.0.0.0", 9090))
                    return block, 9090
                except OSError:
                    time.sleep(0.2)
        with socket.socket() as s:
            s.bind(("0.0.0.0", 0))
            port = s.getsockname()[1]
        return block.replace("9090", str(port)), port

    return change


@pytest.fixture(scope="session")
def jj():
    """Path of the command `jj`: the installed one, else the one that JJ names."""
    beside = pathlib.Path(sys.executable).parent / "jj"
    return str(beside) if beside.exists() else os.environ["JJ"]
