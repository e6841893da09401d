"""Helpers of joyfuljay 0.1. What they computed are features now, and options of Config."""

from ._gone import gone

ADVICE = "what it computed is a feature (see joyfuljay.schema) or an option of joyfuljay.Config, done natively"

__getattr__ = gone(__name__, {"*": ADVICE})
