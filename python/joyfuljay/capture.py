"""Capture backends of joyfuljay 0.1. Captures are read natively."""

from ._gone import gone

ADVICE = "captures are read natively; leave out Pipeline(backend=...)"

__getattr__ = gone(__name__, {"*": ADVICE})
