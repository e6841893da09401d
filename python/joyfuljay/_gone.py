"""Names of joyfuljay 0.1 that this version does not have: an ImportError that says what to use instead."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NoReturn


def gone(module: str, instead: Mapping[str, str]) -> Callable[[str], NoReturn]:
    """A ``__getattr__`` for a module: ``instead`` has what to say of a name, and under ``"*"`` of any other."""

    def missing(name: str) -> NoReturn:
        advice = instead.get(name) or (None if name.startswith("_") else instead.get("*"))
        if advice is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(f"{module}.{name} is gone since joyfuljay 0.2: {advice}", name=module)

    return missing


def gone_modules(package: str, advice: Mapping[str, str]) -> None:
    """Has modules of a package found that have no file any more, so that an import of a name says what to use instead."""
    for name, instead in advice.items():
        module = ModuleType(f"{package}.{name}", f"Of joyfuljay 0.1: {instead}")
        module.__dict__["__getattr__"] = gone(module.__name__, {"*": instead})
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], name, module)
