"""Progress of a run: tqdm's bar where tqdm is installed, else one line on standard error, or a callable of the user's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import _extras
from ._native import Progress

ProgressLike = bool | Callable[[Progress], object] | None


@contextmanager
def listener(progress: ProgressLike) -> Iterator[Callable[[Progress], object] | None]:
    """What a run is to call a few times a second; None for nothing."""
    if progress is None or progress is False:
        yield None
    elif progress is not True:
        if not callable(progress):
            raise TypeError("progress must be True, False or a callable that takes a joyfuljay.Progress")
        yield progress
    else:
        bar: _Tqdm | _Line = _Tqdm() if _extras.has("tqdm") else _Line()
        try:
            yield bar
        finally:
            bar.close()


class _Tqdm:
    def __init__(self) -> None:
        from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

        self._bar: Any = tqdm(unit="B", unit_scale=True, unit_divisor=1024, leave=False)

    def __call__(self, state: Progress) -> None:
        if state.bytes_total is not None:
            self._bar.total = state.bytes_total
        self._bar.set_postfix(packets=state.packets, flows=state.flows, refresh=False)
        self._bar.update(state.bytes_read - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _Line:
    def __init__(self) -> None:
        self._shown = 0

    def __call__(self, state: Progress) -> None:
        share = f"{100 * state.bytes_read / state.bytes_total:3.0f} % " if state.bytes_total else ""
        self._write(f"{share}{state.packets:,} packets, {state.flows:,} flows, {state.elapsed:.0f} s")

    def close(self) -> None:
        if self._shown:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self._shown))
        sys.stderr.flush()
        self._shown = len(text)
