"""Remote capture: comes with a later version, and says so."""

from .server import Server

__all__ = ["Server"]
