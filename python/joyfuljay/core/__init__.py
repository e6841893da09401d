"""The parts of a run: configuration, packets, flows and the pipeline."""

from .config import Config, FeatureGroup
from .flow import Flow, FlowKey
from .packet import Packet
from .pipeline import Pipeline, extract, extract_live

__all__ = ["Config", "FeatureGroup", "Flow", "FlowKey", "Packet", "Pipeline", "extract", "extract_live"]
