"""Runs the built `jj` as a user does. JJ names the binary; scripts/test sets it."""

import json
import pathlib
import struct
import subprocess
import sys

import pytest

DATA = pathlib.Path(__file__).parent.parent / "data"
sys.path.insert(0, str(DATA.parent / "common"))

from binary import binary  # noqa: E402

#: Without a window, `all` leaves the group connection out over a pipe: with one, files and pipes have the same columns.
WINDOW = ["--set", "connection_window=60"]
FOUR_GROUPS = ["--features", "flow_meta", "--features", "timing", "--features", "size", "--features", "tcp"]


@pytest.fixture(scope="session")
def jj():
    """jj(*arguments, stdin=bytes, ok=True) -> CompletedProcess with text outputs; checks the exit code."""
    path = binary()

    def run(*arguments, ok=True, **options):
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, timeout=300, check=False, **options)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        assert "panicked" not in done.err, done.err
        if ok:
            assert done.returncode == 0, f"exit {done.returncode}: {done.err}"
        else:
            assert done.returncode > 0, f"exit {done.returncode}, expected a failure; stdout: {done.out[:500]}"
        return done

    run.path = path
    return run


@pytest.fixture(scope="session")
def rows(jj):
    """rows(*arguments) -> the rows of `jj extract … -f json -o -` as dicts; strict JSON."""

    def run(*arguments, **options):
        return parse_lines(jj("extract", *arguments, "-f", "json", "-o", "-", "--no-progress", **options).out)

    return run


def parse_lines(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def packets(found):
    return sum(r["total_packets"] for r in found)


RST, SYN = 4, 2


def pcap(*segments):
    """A capture of TCP segments without payload, given as (time in seconds, source port, flags)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for at, port, flags in segments:
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
        tcp = struct.pack(">HHIIBBHHH", port, 443, 1, 0, 0x50, flags, 1024, 0, 0)
        out.append(struct.pack("<IIII", int(at), int(at % 1 * 1e6), 40, 40) + ip + tcp)
    return b"".join(out)
