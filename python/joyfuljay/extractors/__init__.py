"""Features of the user's own, computed flow by flow in Python beside the native ones."""

from typing import TYPE_CHECKING

from .base import FeatureExtractor

__all__ = ["FeatureExtractor"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours
    from .._gone import gone, gone_modules
    from ..core.config import FeatureGroup

    _ADVICE = "features are computed natively; choose them with Config(features=[...])"
    __getattr__ = gone(__name__, {"*": _ADVICE})
    gone_modules(__name__, dict.fromkeys([str(group) for group in FeatureGroup if group != "all"], _ADVICE))
