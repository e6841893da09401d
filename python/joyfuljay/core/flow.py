"""Flows and their identity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._errors import PacketsNotKeptError
from .._native import Flow, FlowIterator, FlowKey, PacketSequence

__all__ = ["Flow", "FlowIterator", "FlowKey", "PacketSequence", "PacketsNotKeptError"]

Sequence.register(PacketSequence)

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone

    __getattr__ = gone(__name__, {"FlowTable": "flows are tracked natively; take them from Pipeline.iter_flows(path)"})
