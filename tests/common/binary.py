"""The `jj` under test. JJ names it; scripts/test sets it."""

import os

import pytest


def binary():
    """Its path; ends the tests where there is none."""
    path = os.environ.get("JJ")
    if not path or not os.access(path, os.X_OK):
        pytest.exit("set JJ to the path of the jj binary (scripts/test does)", returncode=2)
    return path
