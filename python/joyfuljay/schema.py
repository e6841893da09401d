"""What the columns of rows are: name, type, unit, meaning, formula, range, null rule, source, as the engine has them."""

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
    "describe",
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
    """One feature. ``id`` is ``group.name``; ``profile`` is the smallest that has it; ``null_rule`` says when there is no value,
    ``since`` the version that it came with. docs/features.md has the words of formulas."""

    id: str
    name: str
    group: str
    dtype: str
    units: str
    profile: str
    privacy_level: str
    description: str
    formula: str
    value_range: str
    null_rule: str
    source: str
    since: str

    def __str__(self) -> str:
        said = ((field, getattr(self, field)) for field in list(self.__dataclass_fields__)[2:])
        return "\n".join([self.name, *(f"  {field:14}{text}" for field, text in said if text)])


def all_feature_meta() -> dict[str, FeatureMeta]:
    """Every feature of every group by its id, in the order of columns."""
    return {meta.id: meta for meta in map(_meta, _native.feature_table())}


def describe(name: str) -> FeatureMeta:
    """All that is said of the feature of this name or id. ValueError with the nearest name where there is none.

    >>> print(joyfuljay.describe("tls_version").formula)
    """
    group, dot, bare = name.partition(".")
    meta = _meta(_native.feature_table(bare if dot else name)[0])
    if dot and meta.group != group:
        raise ValueError(f"unknown feature {name!r} (did you mean {meta.id!r}?)")
    return meta


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


def _meta(said: dict[str, str]) -> FeatureMeta:
    values = {field: said[key] for field, key in _FIELDS.items()}
    return FeatureMeta(id=f"{said['group']}.{said['name']}", **values)


#: Fields that the older version had under other names than the metadata of files.
_OTHER_NAMES = {"dtype": "type", "units": "unit", "privacy_level": "privacy", "value_range": "range", "null_rule": "null"}
_FIELDS = {field: _OTHER_NAMES.get(field, field) for field in list(FeatureMeta.__dataclass_fields__)[1:]}
