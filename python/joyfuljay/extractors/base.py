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


def check(extractor: object) -> list[str]:
    """The feature names of what was given as an extractor; TypeError or ValueError where it is none."""
    if isinstance(extractor, type):
        raise TypeError(f"{extractor.__name__} is a class: give an object: {extractor.__name__}()")
    if not all(hasattr(extractor, part) for part in ("extract", "feature_names", "name", "needs_packets")):
        raise TypeError(f"{extractor!r} is no extractor: make a class of joyfuljay.extractors.FeatureExtractor")
    given: Any = extractor
    said, names = given.name, given.feature_names
    if isinstance(names, str) or not all(isinstance(n, str) for n in names):
        raise TypeError(f"{said}.feature_names must be a list of names, as ['packets']; it is {names!r}")
    names = list(names)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"{said}.feature_names has '{name}' twice")
    return names
