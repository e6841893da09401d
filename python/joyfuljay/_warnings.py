"""What went wrong without ending a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable


class CaptureWarning(UserWarning):
    """A capture is damaged or cut short, and what came before the damage was used; or nothing in it was of use."""


def warn(messages: Iterable[str], stacklevel: int = 3) -> None:
    """Says each message as a :class:`CaptureWarning`."""
    for message in messages:
        warnings.warn(message, CaptureWarning, stacklevel=stacklevel + 1)
