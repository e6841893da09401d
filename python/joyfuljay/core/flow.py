"""Flows and their identity."""

from .._native import Flow, FlowIterator, FlowKey, PacketSequence, PacketsNotKeptError

__all__ = ["Flow", "FlowIterator", "FlowKey", "PacketSequence", "PacketsNotKeptError"]
