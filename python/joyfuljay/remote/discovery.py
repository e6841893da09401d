"""Finding remote sensors by multicast DNS."""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import _native

__all__ = ["SERVICE_TYPE", "DiscoveredServer", "discover_servers"]

SERVICE_TYPE = "_joyfuljay._tcp.local."


@dataclass(frozen=True)
class DiscoveredServer:
    """A sensor that announces itself. Found is not trusted: token and certificate are still needed."""

    name: str
    address: str
    port: int
    properties: dict[str, str] = field(default_factory=dict)


def discover_servers(timeout: float = 2.0) -> list[DiscoveredServer]:
    """The sensors of the local network that answer within ``timeout`` seconds."""
    return [DiscoveredServer(*found) for found in _native.discover_sensors(timeout)]
