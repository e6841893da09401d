"""Where Spark looks for data sources: modules named pyspark_*. See :mod:`joyfuljay.spark`."""

from joyfuljay.spark import FlowSource as DefaultSource

__all__ = ["DefaultSource"]
