"""Tests of what watches a run from outside: Prometheus, a browser. JJ names the binary; scripts/test sets it."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "common"))

from binary import binary
from paced import ROOT, PacedRun
from scraper import SCRIPT, UNAVAILABLE, Prometheus


@pytest.fixture(scope="session")
def jj():
    return binary()


@pytest.fixture
def paced_run(jj):
    """paced_run(*arguments, **options) -> PacedRun; all of them are ended with the test."""
    yield from paced_runs(jj)


@pytest.fixture(scope="module")
def module_run(jj):
    """As paced_run, for the length of a module."""
    yield from paced_runs(jj)


def paced_runs(jj):
    started = []

    def start(*arguments, jj=jj, **options):
        started.append(PacedRun(jj, arguments, **options))
        return started[-1]

    yield start
    for run in started:
        run.kill()


@pytest.fixture(scope="session")
def prometheus_tools():
    """Skips where there is no Prometheus and none can be installed."""
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=600)
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip().splitlines()[-2])
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def prometheus(jj, prometheus_tools, tmp_path_factory):
    """prometheus(*targets, **options) -> Prometheus; all of them are ended with the module."""
    started = []

    def start(*targets, **options):
        folder = options.pop("folder", None) or tmp_path_factory.mktemp("prometheus")
        started.append(Prometheus(jj, folder, targets, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -r tests/watch/requirements.txt")
    from browser import started

    found = subprocess.run([ROOT / "scripts" / "chromium"], capture_output=True, text=True, timeout=600)
    if found.returncode == 3:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    with api.sync_playwright() as playwright:
        chromium = started(playwright, found.stdout.strip())
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """visit(url, **context) -> Visit of the live page there, held to its promises when the test ends.

    Comes after `paced_run` among a test's arguments, so that it ends before the run does.
    """
    from browser import Visit

    visits = []

    def start(*arguments, **context):
        visits.append(Visit(browser, *arguments, **context))
        return visits[-1]

    yield start
    for v in visits:
        v.close()
