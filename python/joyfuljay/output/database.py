"""Rows as dicts into a table of SQLite or PostgreSQL.

Rows of captures go there without Python in between: ``jj extract -f sqlite`` or ``-f postgres``, or
``Pipeline.process_pcap_streaming(path, "flows.sqlite")``. This is for rows that code of your own makes or changes. The table, its types
and its runs are the same: see docs/databases.md.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from .. import _native
from .._warnings import warn

__all__ = ["DatabaseBackend", "DatabaseInfo", "DatabaseWriter", "IfExistsMode", "detect_database_backend", "to_database"]

DatabaseBackend = Literal["sqlite", "postgres"]
IfExistsMode = Literal["append", "replace", "fail"]


@dataclass(frozen=True)
class DatabaseInfo:
    """What a DSN names."""

    backend: DatabaseBackend
    dsn: str


def detect_database_backend(dsn: str) -> DatabaseInfo:
    """The kind of database that a DSN or a path names: ``postgresql://…``, ``sqlite:///file``, or a file for SQLite."""
    scheme, colon, rest = dsn.partition("://")
    if not colon:
        return DatabaseInfo("sqlite", dsn)
    if scheme in ("postgresql", "postgres"):
        return DatabaseInfo("postgres", dsn)
    if scheme == "sqlite":
        return DatabaseInfo("sqlite", rest.removeprefix("/"))
    raise ValueError(f"Unsupported database scheme: {scheme}")


class DatabaseWriter:
    """Writes rows, as dicts, into a table; ``with`` ends it in good order.

    Rows are sent ``batch_size`` at a time, each batch in one transaction. The types of columns follow from the names of features, and
    for other names from the values of the first batch: truth values, whole numbers, floats, text; lists and dicts of names that are no
    features become JSON. ``columns`` names the columns and their order; without it, they are those of the first batch, and a name that
    comes later adds its column, with which another run begins.

    A row with a value of another type than its column raises ``TypeError`` and nothing of its batch is written.
    """

    def __init__(
        self,
        dsn: str,
        table: str = "joyfuljay_features",
        if_exists: IfExistsMode = "append",
        batch_size: int = 1000,
        columns: Sequence[str] | None = None,
        *,
        alter: bool = True,
        patience: float = 30.0,
    ) -> None:
        info = detect_database_backend(dsn)
        self.backend = info.backend
        self.dsn = info.dsn
        self.table = table
        self.if_exists = if_exists
        self.batch_size = max(1, batch_size)
        self._alter, self._patience = alter, patience
        self._types: dict[str, str] = {}
        self._fixed = columns is not None
        self._buffer: list[dict[str, Any]] = []
        self._writer: _native.TableWriter | None = None
        self._before = 0
        self._closed = False
        #: Numbers of the runs of this writer in the database.
        self.run_ids: list[int] = []
        if columns is not None:
            self._types = dict.fromkeys(columns, "")

    def __enter__(self) -> DatabaseWriter:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self._abandon()

    def write(self, features: Mapping[str, Any]) -> None:
        """Takes a row."""
        if self._closed:
            raise ValueError("the writer is closed")
        self._buffer.append(dict(features))
        if len(self._buffer) >= self.batch_size:
            self.flush()

    def write_many(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Takes rows; how many are in the table by now."""
        for row in rows:
            self.write(row)
        return self.rows_written

    def flush(self) -> None:
        """Writes what waits."""
        if not self._buffer:
            return
        rows = self._buffer
        writer = self._writer_for(rows)
        converted = [{name: _value(row.get(name), of) for name, of in self._types.items()} for row in rows]
        writer.write(converted)
        self._buffer = []

    def close(self) -> None:
        """Writes what waits and ends the run."""
        if self._closed:
            return
        try:
            self.flush()
        except BaseException:
            self._abandon()
            raise
        self._closed = True
        self._end()

    @property
    def rows_written(self) -> int:
        """Rows that are in the table."""
        return self._before + (self._writer.rows_written if self._writer is not None else 0)

    def _writer_for(self, rows: list[dict[str, Any]]) -> _native.TableWriter:
        new: dict[str, None] = {}
        if not self._fixed:
            new = dict.fromkeys(name for row in rows for name in row if name not in self._types)
        if self._writer is not None and not new:
            return self._writer
        for name in [*(name for name, of in self._types.items() if not of), *new]:
            self._types[name] = _type_of(name, (row.get(name) for row in rows))
        if self._writer is not None:
            self._end()
        first = not self.run_ids
        self._writer = _native.TableWriter(
            self.dsn,
            list(self._types.items()),
            self.table,
            self.if_exists if first else "append",
            min(self.batch_size, 65_536),
            self._alter,
            self._patience,
        )
        if first:
            warn(self._writer.notes())
        self.run_ids.append(self._writer.run_id)
        return self._writer

    def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.finish()
            self._before += writer.rows_written
            warn(writer.remarks())

    def _abandon(self) -> None:
        self._closed = True
        writer, self._writer = self._writer, None
        if writer is not None:
            self._before += writer.rows_written
            writer.abandon()


def to_database(
    features: Iterable[Mapping[str, Any]],
    dsn: str,
    table: str = "joyfuljay_features",
    if_exists: IfExistsMode = "append",
    batch_size: int = 1000,
) -> int:
    """Writes rows into a table; how many."""
    with DatabaseWriter(dsn, table, if_exists, batch_size) as writer:
        writer.write_many(features)
        writer.flush()
        return writer.rows_written


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

#: Types of the reference as those of tables.
_FEATURES = {
    "bool": "bool",
    "int64": "int64",
    "float64": "float64",
    "string": "str",
    "timestamp[ns, UTC]": "timestamp",
    "list[int64]": "list_int64",
    "list[float64]": "list_float64",
    "list[string]": "list_str",
}


def _type_of(name: str, values: Iterable[Any]) -> str:
    known = _known().get(name)
    found = {_plain(value) for value in values if value is not None}
    if known == "address" and not all(_is_address(value) for value in found):
        known = "str"  # a pseudonym
    if known is not None:
        return known
    kinds = {_kind(value) for value in found}
    if not kinds:
        return "str"
    if kinds <= {"int64", "uint64"}:
        return "uint64" if "uint64" in kinds else "int64"
    if kinds <= {"int64", "uint64", "float64"}:
        return "float64"
    return kinds.pop() if len(kinds) == 1 else "str"


_types: dict[str, str] = {}


def _known() -> dict[str, str]:
    """The types of features by name."""
    if not _types:
        for feature in _native.feature_table():
            of = _FEATURES.get(feature["type"])
            if of is not None:
                _types[feature["name"]] = "address" if feature["privacy"] == "address" else of
    return _types


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str)


def _plain(value: Any) -> Any:
    """The value as Python has it: numpy's numbers become its own; what has no hash is known by its type only."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        value = item()
    return value if isinstance(value, (bool, int, float, str)) else type(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -(1 << 63) <= value < 1 << 63 else "uint64"
    if isinstance(value, float):
        return "float64"
    return "str"


def _value(value: Any, of: str) -> Any:
    """A value as its column takes it."""
    if value is None or of.startswith("list_"):
        return value.tolist() if hasattr(value, "tolist") else value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        value = item()
    if of == "timestamp" and isinstance(value, datetime.datetime):
        return (value - _EPOCH) // datetime.timedelta(microseconds=1) * 1000
    if of == "str" and not isinstance(value, str):
        if hasattr(value, "tolist"):
            value = value.tolist()
        return json.dumps(value) if isinstance(value, (list, tuple, dict, bool, int, float)) else str(value)
    return value
