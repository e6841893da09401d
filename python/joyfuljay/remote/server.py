"""The server of a remote sensor: comes with a later version, and says so."""

from __future__ import annotations

from typing import Any

__all__ = ["Server"]

_LATER = (
    "remote capture comes with a later version of joyfuljay. Until then, read what a sensor sends from a pipe: "
    "ssh sensor tcpdump -U -w - | jj extract -"
)


class Server:
    """Serves the packets of an interface to remote clients. Not in this version: making one raises NotImplementedError."""

    def __init__(
        self,
        interface: str,
        host: str = "0.0.0.0",
        port: int = 8765,
        bpf_filter: str | None = None,
        token: str | None = None,
        metrics: Any | None = None,
        **options: Any,
    ) -> None:
        raise NotImplementedError(_LATER)
