"""Slices: one run's work divided over tasks, on this machine or on a cluster.

    from joyfuljay import Config, slices

    config = Config(features=["flow_meta", "tls"])
    for piece in slices.plan("captures/*.pcap", 8, config):   # on the machine that plans
        for rows in slices.read(piece, config):               # anywhere: a piece is plain data
            ...                                               # rows: a joyfuljay.Table

The captures are those of one sensor: a sequence in the order of time. Each flow is made by the task in whose slice it begins, also
where it goes on through several, so the rows of all tasks together are those of one run over the whole. Only the group
``connection``, which needs all flows, cannot be had.

Captures are paths, folders or globs on this machine, or URLs that fsspec opens (``s3://``, ``hdfs://``, ``memory://``), which are
read where they lie, from the place where a slice begins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import unquote

from . import _native
from ._errors import CaptureError
from ._extras import need
from ._native import Table
from .core.config import Config
from .core.pipeline import Pipeline

__all__ = ["Slice", "plan", "read", "total_bytes"]


@dataclass(frozen=True)
class Slice:
    """The work of one task: plain data, so that it can be pickled and sent."""

    #: Its number, from 1 on.
    number: int
    #: How many there are.
    of: int
    #: What is read, as JSON.
    json: str
    #: Whether the captures lie somewhere that fsspec opens.
    remote: bool = False

    def open(self) -> _native.Slice:
        """What a :class:`joyfuljay.Pipeline` takes for a capture."""
        return _native.Slice(self.json, _Fsspec() if self.remote else None)


def plan(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], tasks: int, config: Config | None = None) -> list[Slice]:
    """Divides captures into the work of ``tasks`` tasks: the same for the same captures and configuration, wherever it is asked for.

    A slice is at least ten times ``flow_timeout`` long. Where that leaves fewer slices than tasks, several tasks share the flows of
    one slice, each of which reads all of it.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    names = [_known(os.fspath(path)) for path in given]
    config = Config() if config is None else config
    remote = any(_is_url(name) for name in names)
    if remote:
        store = _Fsspec()
        work = _native.plan_slices(store.find(names), tasks, config._json(), store)
    else:
        work = _native.plan_slices(_native.capture_files(names), tasks, config._json())
    return [Slice(number, len(work), json, remote) for number, json in enumerate(work, 1)]


def total_bytes(paths: Iterable[str]) -> int:
    """Bytes of captures, as they are stored."""
    names = [_known(path) for path in paths]
    if any(_is_url(name) for name in names):
        store = _Fsspec()
        return sum(store.size(name) for name in store.find(names))
    return sum(os.path.getsize(name) for name in _native.capture_files(names))


def read(piece: Slice, config: Config | None = None) -> Iterator[Table]:
    """The rows of one task, a table at a time. Closing the iterator ends the run."""
    return Pipeline(config)._tables(piece.open())


def _is_url(name: str) -> bool:
    # A letter alone is a drive.
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name) is not None and not os.path.exists(name)


def _known(name: str) -> str:
    """A name as fsspec knows it; files of this machine as paths. Hadoop has names of its own for some places."""
    if not _is_url(name):
        return name
    scheme, rest = name.split(":", 1)
    scheme = scheme.lower()
    if scheme in ("file", "local"):
        # As Hadoop and Java write it: file:/x and file:///x.
        path = "/" + rest.lstrip("/")
        return path if os.path.exists(path) or "%" not in path else unquote(path)
    return f"{ {'s3a': 's3', 's3n': 's3'}.get(scheme, scheme) }:{rest}"


class _Fsspec:
    """Opens captures by URL, and those without one on this machine."""

    def __init__(self) -> None:
        self._fsspec = need("fsspec", "spark", "reading captures by URL")

    def _at(self, name: str) -> tuple[Any, str]:
        try:
            return self._fsspec.core.url_to_fs(name)  # type: ignore[no-any-return]
        except (ValueError, ImportError) as error:
            raise CaptureError(f"{name}: {error}") from error

    def open(self, name: str, offset: int) -> BinaryIO:
        files, path = self._at(name)
        opened: BinaryIO = files.open(path, "rb")
        if offset:
            opened.seek(offset)
        return opened

    def size(self, name: str) -> int:
        files, path = self._at(name)
        return int(files.size(path) or 0)

    def find(self, names: list[str]) -> list[str]:
        """The files of folders and patterns; in the order of their names here, of their first packets later."""
        found: list[str] = []
        for name in names:
            files, path = self._at(name)
            if files.isdir(path):
                below = sorted(files.find(path), key=_natural)
            elif files.exists(path):
                below = [path]
            else:
                below = sorted((p for p in files.glob(path) if not files.isdir(p)), key=_natural)
            if not below:
                raise FileNotFoundError(f"{name}: no file there")
            found.extend(files.unstrip_protocol(p) if _is_url(name) else p for p in below)
        return found


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """x.pcap2 before x.pcap10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
