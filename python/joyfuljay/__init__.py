"""Network captures to ML-ready flow features.

    import joyfuljay

    frame = joyfuljay.extract("capture.pcap")

``extract`` gives a pandas ``DataFrame`` where pandas is installed, else a :class:`joyfuljay.Table`, which pandas, polars
and pyarrow take without a copy. For more than one call, or for metrics, make a :class:`joyfuljay.Pipeline`.
"""

from typing import TYPE_CHECKING

from . import capture, core, extractors, monitoring, output, remote, schema, utils
from ._errors import CaptureError, JoyfulJayError, PacketsNotKeptError
from ._native import FlowKey, Packet, Progress, Summary, Table, __version__
from ._sql import QueryResult, sql
from ._warnings import CaptureWarning, ConfigWarning
from .core.config import Config, FeatureGroup
from .core.flow import Flow
from .core.pipeline import Pipeline, extract, extract_live
from .schema import FeatureMeta, describe

__all__ = [
    "CaptureError",
    "CaptureWarning",
    "Config",
    "ConfigWarning",
    "FeatureGroup",
    "FeatureMeta",
    "Flow",
    "FlowKey",
    "JoyfulJayError",
    "Packet",
    "PacketsNotKeptError",
    "Pipeline",
    "Progress",
    "QueryResult",
    "Summary",
    "Table",
    "__version__",
    "capture",
    "core",
    "describe",
    "extract",
    "extract_live",
    "extractors",
    "monitoring",
    "output",
    "remote",
    "schema",
    "sql",
    "utils",
]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from ._gone import gone_modules

    gone_modules(
        __name__,
        {
            "analysis": "features of the graph of connections come with a later version",
            "cli": "the command is native: subprocess.run(['jj', ...]) or python -m joyfuljay",
        },
    )
