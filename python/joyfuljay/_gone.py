"""Names of joyfuljay 0.1 that this version does not have: an ImportError that says what to use instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn


def gone(module: str, instead: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """A ``__getattr__`` for a module: ``instead`` has what to say of a name, and under ``"*"`` of any other."""

    def missing(name: str) -> NoReturn:
        advice = instead.get(name) or (None if name.startswith("_") else instead.get("*"))
        if advice is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(f"{module}.{name} is gone since joyfuljay 0.2: {advice}", name=module)

    return missing
