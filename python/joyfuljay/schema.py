"""What the columns of rows are: name, group, type, unit, profile and meaning, as the engine has them."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import _native

__all__ = [
    "FeatureMeta",
    "all_feature_ids",
    "all_feature_meta",
    "generate_feature_schema",
    "get_all_feature_tiers",
    "get_feature_ids_ordered",
    "get_feature_tier",
    "get_profile_features",
    "list_profiles",
    "load_profile",
    "validate_profile",
    "write_schema",
]


@dataclass(frozen=True)
class FeatureMeta:
    """One feature. ``id`` is ``group.name``; ``profile`` is the smallest that has it."""

    id: str
    name: str
    group: str
    dtype: str
    units: str
    profile: str
    privacy_level: str
    description: str


def all_feature_meta() -> dict[str, FeatureMeta]:
    """Every feature of every group by its id, in the order of columns."""
    rows = (dict(zip(_FIELDS, row, strict=True)) for row in _native.feature_table())
    metas = (FeatureMeta(id=f"{row['group']}.{row['name']}", **row) for row in rows)
    return {meta.id: meta for meta in metas}


def get_feature_ids_ordered() -> list[str]:
    """The ids of all features in the order of columns."""
    return list(all_feature_meta())


def all_feature_ids() -> set[str]:
    """The ids of all features."""
    return set(all_feature_meta())


def list_profiles() -> list[str]:
    """The profiles, each with all features of those before it."""
    return _native.profiles()


def load_profile(profile: str) -> list[str]:
    """The ids of the features of a profile in the order of columns. ValueError for a profile that does not exist."""
    names = list_profiles()
    if profile not in names:
        raise ValueError(f"profile = {profile!r}: must be one of {', '.join(names)}")
    smaller = names[: names.index(profile) + 1]
    return [meta.id for meta in all_feature_meta().values() if meta.profile in smaller]


def get_profile_features(profile: str) -> set[str]:
    """The ids of the features of a profile."""
    return set(load_profile(profile))


def validate_profile(profile: str) -> None:
    """Raises ValueError for a profile that does not exist."""
    load_profile(profile)


def get_feature_tier(feature_id: str) -> str:
    """The smallest profile that has the feature. KeyError for an id that does not exist."""
    return all_feature_meta()[feature_id].profile


def get_all_feature_tiers() -> dict[str, str]:
    """The smallest profile of every feature by its id."""
    return {meta.id: meta.profile for meta in all_feature_meta().values()}


def generate_feature_schema() -> dict[str, Any]:
    """All of this as plain values."""
    metas = all_feature_meta()
    return {
        "title": "JoyfulJay features",
        "jj_version": _native.__version__,
        "total_features": len(metas),
        "profiles": {profile: len(load_profile(profile)) for profile in list_profiles()},
        "features": {meta.id: asdict(meta) for meta in metas.values()},
    }


def write_schema(output_path: str | os.PathLike[str]) -> Path:
    """Writes :func:`generate_feature_schema` as JSON; gives the path."""
    Path(output_path).write_text(json.dumps(generate_feature_schema(), indent=2) + "\n", encoding="utf-8")
    return Path(output_path)


_FIELDS = ("name", "group", "dtype", "units", "profile", "privacy_level", "description")
