"""What went wrong without ending a run."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class CaptureWarning(UserWarning):
    """A capture is damaged or cut short, and what came before the damage was used; or nothing in it was of use."""


class ConfigWarning(UserWarning):
    """An option has no effect, or leaves something in clear that its name may seem to replace."""


def warn(messages: Iterable[str], category: type[UserWarning] = CaptureWarning) -> None:
    """Says each message as a warning, of the line that called the package."""
    for message in messages:
        warnings.warn(message, category, stacklevel=_outside())


def _outside() -> int:
    """The ``stacklevel``, as the caller gives it to ``warnings.warn``, of the first frame that is not of this package."""
    level, frame = 0, sys._getframe(1)
    while frame is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level + 1
