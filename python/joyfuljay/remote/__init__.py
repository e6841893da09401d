"""Remote capture: a :class:`Server` gives the packets of this machine to clients elsewhere.

A client is ``jj connect``, or here ``extract_live("jj://sensor:8765?tls=1", token=...)``.
"""

from typing import TYPE_CHECKING

from .discovery import DiscoveredServer, discover_servers
from .server import Server

__all__ = ["DiscoveredServer", "Server", "discover_servers"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone_modules

    gone_modules(__name__, {"protocol": "the messages are described in docs/remote.md; Server and extract_live('jj://…') speak them"})
