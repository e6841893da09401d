"""The parts of a run: configuration, packets, flows and the pipeline."""

from typing import TYPE_CHECKING

from .config import Config, FeatureGroup
from .flow import Flow, FlowKey
from .packet import Packet
from .pipeline import Pipeline, extract, extract_live

__all__ = ["Config", "FeatureGroup", "Flow", "FlowKey", "Packet", "Pipeline", "extract", "extract_live"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .flow import __getattr__  # noqa: F401
