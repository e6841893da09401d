"""The blocks of README.md and docs/ run as they stand, each in a folder of its own with captures of the names that they use.

A block of `python` or `sh` is run; `text` is what needs a broker, a live interface, a cluster or another machine, or is an excerpt. Commands
stand in fences, so that none is left out.
"""

import ctypes.util
import importlib.util
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "runbooks").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def blocks(*kinds):
    return list(find(kinds))


def find(kinds):
    for page in PAGES:
        text = page.read_text()
        for found in FENCE.finditer(text):
            if found[1] in kinds:
                line = text[: found.start()].count("\n") + 1
                yield pytest.param(found[2], id=f"{page.relative_to(ROOT)}:{line}")


def later(capture, seconds):
    """A capture whose packets came later: captures of a folder are those of one sensor, one after the other."""
    moved, at = bytearray(capture), 24
    while at < len(moved):
        time, length = struct.unpack_from("<I4xI", moved, at)
        struct.pack_into("<I", moved, at, time + seconds)
        at += 16 + length
    return moved


@pytest.fixture
def folder(tmp_path, jj):
    """A fresh folder with the captures that the pages speak of, and the environment of a user who has installed jj."""
    demo = ROOT / "tests" / "data" / "demo.pcap"
    for name in ("capture.pcap", "huge.pcap", "captures/a.pcap", "captures/b.pcap", "new/a.pcap", "old/a.pcap", "tests/data/demo.pcap"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(demo, tmp_path / name)
    (tmp_path / "captures/b.pcap").write_bytes(later(demo.read_bytes(), 3600))
    shutil.copy(ROOT / "tests" / "data" / "few.pcap.gz", tmp_path / "huge.pcap.gz")
    shutil.copy(ROOT / "tests" / "data" / "demo.pcapng", tmp_path / "capture.pcapng")
    toml = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.S)[1]
    (tmp_path / "config.toml").write_text(toml)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jj").symlink_to(jj)
    return tmp_path


def run(command, folder, text):
    if "9184" in text:
        port_is_free()
    environment = dict(os.environ, PATH=f"{folder / 'bin'}:{os.environ['PATH']}")
    done = subprocess.run(command, cwd=folder, env=environment, input="\n", capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    assert "arning" not in done.stderr, done.stderr


def port_is_free():
    """The port of the pages is one of the machine: another test may have it for a while."""
    until = time.monotonic() + 300
    while True:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return s.bind(("0.0.0.0", 9184))
            except OSError:
                if time.monotonic() > until:
                    pytest.skip("something has the port 9184")
        time.sleep(0.5)


@pytest.mark.parametrize("code", blocks("python"))
def test_python(code, folder):
    for module, sign in (("pandas", "frame"), ("pandas", ".groupby("), ("numpy", '"numpy"'), ("pyarrow", "pyarrow"), ("duckdb", "joyfuljay.sql")):
        if sign in code and importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    run([sys.executable, "-c", code], folder, code)


@pytest.mark.parametrize("code", blocks("sh"))
def test_shell(code, folder):
    if ctypes.util.find_library("pcap") is None:
        code = "".join(line for line in code.splitlines(keepends=True) if "--filter" not in line)
    # `head` may leave before all is said: that is no failure of the one before.
    run(["bash", "-euc", code], folder, code)


def test_there_are_blocks_and_none_is_hidden():
    assert len(blocks("python")) >= 8 and len(blocks("sh")) >= 4
    for page in PAGES:
        text = page.read_text()
        assert {found[1] for found in FENCE.finditer(text)} <= {"python", "sh", "text", "rust", "toml", "yaml", "json", "sql", "promql"}, page
        bare = FENCE.sub("", text)
        commands = re.findall(r"^    (?:sudo |zcat .*)?(?:jj|pip|python3?|import|from) .*$", bare, re.M)
        assert page.name == "benchmarks.md" or not commands, f"{page}: put this into a fence of sh, python or text: {commands[0]}"


def test_each_test_that_a_page_names_is_there():
    """As `path::function`, in the files that pytest and cargo run."""
    named = re.findall(r"`([\w/.-]+\.(?:py|rs))::(\w+)`", (ROOT / "docs" / "reported-faults.md").read_text())
    assert len(named) > 100
    texts = {path: (ROOT / path).read_text() if (ROOT / path).is_file() else "" for path in {path for path, _ in named}}
    missing = [f"{path}::{name}" for path, name in named if not re.search(rf"^\s*(?:async )?(?:def|fn) {name}\(", texts[path], re.M)]
    assert missing == []


def test_no_page_installs_the_older_product():
    """`joyfuljay` on PyPI is version 0.1: pages install the repository they stand in."""
    for page in [*PAGES, *(ROOT / "examples").glob("*.py")]:
        wrong = re.findall(r"pip install [^#`\n]*\bjoyfuljay\b.*", page.read_text())
        assert all(line.endswith("from PyPI is version 0.1, another product in pure Python.") for line in wrong), f"{page}: {wrong}"


def test_the_rust_of_the_readme_is_the_example():
    example = (ROOT / "crates" / "joyfuljay" / "examples" / "rows.rs").read_text()
    assert f"```rust\n{example}```" in (ROOT / "README.md").read_text()


def test_the_numbers_of_the_readme_are_those_of_the_product():
    from joyfuljay import Config, Pipeline

    readme = (ROOT / "README.md").read_text()
    columns = lambda groups: len(Pipeline(Config(features=groups)).get_feature_names())  # noqa: E731
    # A benchmark says what was measured then; what there is now is said beside it.
    assert f"`all` is {columns(['all'])} columns" in readme
