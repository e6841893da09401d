"""The examples of the documentation run as they stand there."""

import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def run(script, *arguments, cwd):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_classifier_learns_from_one_capture_and_is_right_about_another(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    said = run("classify.py", "--flows", 180, "--plot", "classify.png", cwd=tmp_path)
    assert said.startswith("180 flows learnt from, 180 others told apart")
    accuracy = float(re.search(r"accuracy +([\d.]+)", said)[1])
    # Six kinds as frequent as each other: chance is 0.17. All right would mean that the kinds do not overlap.
    assert 0.8 < accuracy < 1, said
    assert (tmp_path / "classify.png").read_bytes().startswith(b"\x89PNG")


def test_the_traffic_that_is_made_depends_on_the_seed_only(tmp_path):
    made = []
    for seed in (1, 1, 2):
        run("traffic.py", "t.pcap", "--flows", 12, "--seed", seed, cwd=tmp_path)
        made.append((tmp_path / "t.pcap").read_bytes())
    assert made[0] == made[1] != made[2]
