"""Packets."""

from .._native import Packet

__all__ = ["Packet"]
