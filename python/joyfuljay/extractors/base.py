"""What a feature extractor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .._native import Flow

__all__ = ["FeatureExtractor"]


class FeatureExtractor(ABC):
    """Features of the user's own. Give objects of it to ``Pipeline(extractors=[...])``.

    class Bursty(FeatureExtractor):
        feature_names = ["packets_over_1000"]

        def extract(self, flow):
            return {"packets_over_1000": sum(p.total_len > 1000 for p in flow.packets)}
    """

    #: Whether ``flow.packets`` is looked at; packets are only kept when an extractor says so.
    needs_packets: bool = True

    @property
    @abstractmethod
    def feature_names(self) -> list[str]:
        """Names of the columns that :meth:`extract` gives."""

    @abstractmethod
    def extract(self, flow: Flow) -> dict[str, Any]:
        """The values for one flow, by name; a name that is not there is not known (None)."""

    @property
    def name(self) -> str:
        """What the extractor is called."""
        return type(self).__name__

    @property
    def extractor_id(self) -> str:
        """A short name, the same in every version."""
        return self.name.removesuffix("Extractor").lower()

    def feature_ids(self) -> list[str]:
        """Names of the features, each with the extractor's before it."""
        return [f"{self.extractor_id}.{name}" for name in self.feature_names]

    def feature_meta(self) -> dict[str, Any]:
        """What is known of the features, by id: nothing unless an extractor says so."""
        return {}

    def validate_features(self, features: dict[str, Any]) -> bool:
        """Whether these are the values of all features, and of no others."""
        return set(features) == set(self.feature_names)
