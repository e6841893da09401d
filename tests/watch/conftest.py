"""Tests of what watches a run from outside: Prometheus, a browser. JJ names the binary; scripts/test sets it."""

import os

import pytest
from paced import PacedRun


@pytest.fixture(scope="session")
def jj():
    path = os.environ.get("JJ")
    if not path or not os.access(path, os.X_OK):
        pytest.exit("set JJ to the path of the jj binary (scripts/test does)", returncode=2)
    return path


@pytest.fixture
def paced_run(jj):
    """paced_run(*arguments, **options) -> PacedRun; all of them are ended with the test."""
    started = []

    def start(*arguments, **options):
        started.append(PacedRun(jj, arguments, **options))
        return started[-1]

    yield start
    for run in started:
        run.kill()
