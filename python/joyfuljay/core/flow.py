"""Flows and their identity."""

from .._errors import PacketsNotKeptError
from .._native import Flow, FlowIterator, FlowKey, PacketSequence

__all__ = ["Flow", "FlowIterator", "FlowKey", "PacketSequence", "PacketsNotKeptError"]
