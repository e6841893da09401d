"""Optional dependencies: imported when they are needed, with an error that says which extra to install."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any


def need(module: str, extra: str, why: str) -> Any:
    """The module, or an ImportError that says how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise ImportError(
            f"{why} needs {module}, which is not installed: pip install 'joyfuljay[{extra}]'", name=module
        ) from error


def has(module: str) -> bool:
    """Whether the module can be imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
