"""Features of the user's own, computed flow by flow in Python beside the native ones."""

from .base import FeatureExtractor

__all__ = ["FeatureExtractor"]
