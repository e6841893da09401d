"""Remote capture: comes with a later version, and says so."""

from typing import TYPE_CHECKING

from .server import Server

__all__ = ["Server"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone_modules
    from .discovery import ADVICE

    gone_modules(__name__, {"protocol": ADVICE})
