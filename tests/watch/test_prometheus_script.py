"""`scripts/prometheus` where there is no Prometheus: it says so, or installs it."""

import os
import shutil
import subprocess

import pytest
from scraper import SCRIPT, UNAVAILABLE


@pytest.fixture
def machine(tmp_path):
    """machine(**commands) -> runs the script with a PATH of nothing but these, given as shell, and what the script cannot do without."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for needed in ["bash", "sed", "mkdir", "chmod", "rm", "touch"]:
        (commands / needed).symlink_to(shutil.which(needed))

    def run(*arguments, **scripts):
        for name, script in scripts.items():
            path = commands / name.replace("_", "-")
            path.write_text(f"#!/bin/bash\n{script}\n")
            path.chmod(0o755)
        return subprocess.run([SCRIPT, *arguments], env={"PATH": str(commands), "BIN": str(commands)}, capture_output=True, text=True, timeout=600)

    return run


@pytest.mark.parametrize(
    ("scripts", "why"),
    [
        ({}, "no apt-get"),
        ({"prometheus": "true"}, "no apt-get"),
        ({"apt_get": "true", "id": "echo 1000"}, "only root"),
        ({"apt_get": "exit 100", "id": "echo 0"}, "apt-get could not"),
        ({"apt_get": "true", "id": "echo 0"}, "did not bring"),
    ],
)
def test_without_prometheus_it_says_why_and_gives_its_own_exit_code(machine, scripts, why):
    for arguments in [(), ("run", os.devnull, "data", "0"), ("watch", "localhost:1")]:
        done = machine(*arguments, **scripts)
        assert done.returncode == UNAVAILABLE, done.stderr
        assert why in done.stderr.splitlines()[-2] and "https://prometheus.io/download" in done.stderr


def test_root_on_debian_gets_the_package(machine, tmp_path):
    made = 'for tool in prometheus promtool; do echo "#!/bin/bash" >"$BIN/$tool"; chmod +x "$BIN/$tool"; done'
    done = machine(apt_get=f'echo "$*" >>"$BIN/log"; [ "$1" = update ] || {made}', id="echo 0")
    assert done.returncode == 0 and done.stdout == "", done.stderr
    log = (tmp_path / "bin" / "log").read_text().splitlines()
    assert log == ["update -q", "install -q -y --no-install-recommends prometheus"]
    # It is there now: nothing is installed again.
    assert machine().returncode == 0
    assert (tmp_path / "bin" / "log").read_text().splitlines() == log


def test_wrong_use_is_told_the_right_one(machine):
    assert machine("run", "only-a-file").returncode == 2
    assert "usage: scripts/prometheus" in machine("start").stderr
    assert "usage: scripts/prometheus" in machine("--help").stdout
