"""The short form of scripts/soak: a minute of live capture under traffic, its rows in Kafka, every counter exact."""

import os
import subprocess
import sys

import pytest
from binary import binary
from conftest import PATIENCE, ROOT


def test_a_minute_of_a_sensor():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    tried = subprocess.run([ROOT / "scripts/veth", "up", f"jj-try-{os.getpid()}"], capture_output=True, text=True, check=False)
    subprocess.run([ROOT / "scripts/veth", "down", f"jj-try-{os.getpid()}"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no namespace can be made: {tried.stderr.strip()}")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/soak", "--minutes", "1"],
        env={**os.environ, "JJ": binary()},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
