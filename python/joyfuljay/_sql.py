"""SQL over captures, by DuckDB."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _native
from ._extras import need
from .core.config import Config

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

__all__ = ["QueryResult", "sql"]

_T = TypeVar("_T")
_Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def sql(query: str, flows: _Paths | None = None, /, *, sources: Mapping[str, _Paths] | None = None, **config: Any) -> QueryResult:
    """The result of a query over the rows of captures: ``sql("select count(*) from flows", "capture.pcap")``.

    The captures that follow the query (a path, a folder, a pattern, or several) are the table ``flows``; ``sources`` has more tables by
    name. Other keywords are those of :class:`joyfuljay.Config`. DuckDB (``pip install 'joyfuljay[sql]'``) plans the query and only what it
    needs is computed: two of 450 columns cost a run with these two.

    Each time the query reads a table, a run over its captures begins, and its rows stream through the query; nothing of them is stored.
    So a table may be read several times, in one query or by using the result again, with the same rows each time. What is used often is
    better written to Parquet once.

    No name is looked up in the calling code: only ``flows`` and the names in ``sources`` are tables.
    """
    duckdb = need("duckdb", "sql", "joyfuljay.sql")
    tables = dict(sources or {})
    if flows is not None:
        if "flows" in tables:
            raise ValueError("sources: 'flows' is the name of the captures behind the query; give these another name")
        tables["flows"] = flows
    if not tables:
        raise ValueError("a query needs captures: sql(query, 'capture.pcap')")
    settings = Config(**config)
    return _heard(lambda: _query(duckdb, query, settings, {name: _paths(given) for name, given in tables.items()}))


class QueryResult:
    """The result of a query: rows come when they are asked for, as often as they are asked for.

    It has the methods of DuckDB's relation: ``fetchall()``, ``df()``, ``pl()``, ``arrow()``, ``show()``, ``write_parquet(path)``… What goes
    wrong in a run behind the query is raised as by :meth:`joyfuljay.Pipeline.process_pcap`.
    """

    def __init__(
        self, connection: DuckDBPyConnection, relation: DuckDBPyRelation, scans: Mapping[str, _native.Scans]
    ) -> None:
        self._connection, self._relation, self._scans = connection, relation, scans

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._raising(lambda: getattr(self._relation, name))
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            args = tuple(a._relation if isinstance(a, QueryResult) else a for a in args)
            got = self._raising(lambda: found(*args, **kwargs))
            same_kind = isinstance(got, type(self._relation))
            return QueryResult(self._connection, got, self._scans) if same_kind else got

        call.__name__ = name
        return call

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in dir(self._relation) if not name.startswith("_"))]

    def __repr__(self) -> str:
        return str(self._raising(lambda: repr(self._relation)))

    def __str__(self) -> str:
        return str(self._raising(lambda: str(self._relation)))

    def __len__(self) -> int:
        return int(self._raising(lambda: len(self._relation)))

    def __iter__(self) -> Any:
        return iter(self.fetchall())

    def _raising(self, work: Callable[[], Any]) -> Any:
        return _heard(lambda: self._told(work))

    def _told(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except BaseException as error:
            for scan in self._scans.values():
                failure = scan.take_failure()
                if failure is not None:
                    raise failure from error
            raise


def _query(duckdb: Any, query: str, settings: Config, paths: Mapping[str, list[str]]) -> QueryResult:
    scans = {name: _scans(settings, given) for name, given in paths.items()}
    connection, relation = _bound(duckdb, query, scans)
    needed = _needed(connection, query)
    if needed is not None:
        try:
            narrow = {name: _scans(_narrowed(settings, scans[name], needed), given) for name, given in paths.items()}
            narrow_connection, narrow_relation = _bound(duckdb, query, narrow)
            if narrow_relation.columns == relation.columns and narrow_relation.types == relation.types:
                connection, relation, scans = narrow_connection, narrow_relation, narrow
        except (duckdb.Error, _CannotNarrow):
            pass
    return QueryResult(connection, relation, scans)


def _heard(work: Callable[[], _T]) -> _T:
    """What work returns. Where Ctrl-C falls into it, what its handler raised is raised, whatever DuckDB makes of that: a RuntimeError, an
    error of a table, or nothing."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        return work()
    raised: list[BaseException] = []

    def handler(number: int, frame: FrameType | None) -> Any:
        try:
            return before(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        try:
            signal.signal(signal.SIGINT, handler)
            result = work()
        finally:
            # It may be this call that the signal falls into.
            try:
                signal.signal(signal.SIGINT, before)
            except BaseException:
                signal.signal(signal.SIGINT, before)
                raise
    except BaseException as error:
        if raised and error is not raised[0]:
            raise raised.pop() from error
        raise
    if raised:
        raise raised.pop()
    return result


class _CannotNarrow(Exception):
    """All columns are computed."""


def _paths(given: _Paths) -> list[str]:
    return [os.fspath(given)] if isinstance(given, (str, os.PathLike)) else [os.fspath(path) for path in given]


def _scans(config: Config, paths: list[str]) -> _native.Scans:
    return _native.Engine(config._json(), None, True).scans(paths)


def _bound(duckdb: Any, query: str, scans: Mapping[str, _native.Scans]) -> tuple[DuckDBPyConnection, DuckDBPyRelation]:
    # A connection of its own: no table of the user's is shadowed, and none of his names is looked up.
    connection = duckdb.connect(":memory:", config={"python_enable_replacements": False})
    for name, scan in scans.items():
        connection.register(name, scan)
    relation = connection.sql(query)
    if relation is None:
        raise ValueError("the query has no result: write a SELECT")
    return connection, relation


def _needed(connection: DuckDBPyConnection, query: str) -> set[str] | None:
    """The columns that the plan of a query reads; None where that is not known."""
    # Columns that are named by their place would be others among fewer.
    if "#" in query:
        return None
    try:
        plan = json.loads(connection.execute(f"EXPLAIN (FORMAT json) {query}").fetchall()[0][1])
    except Exception:
        return None
    needed: set[str] = set()
    found = False
    waiting = list(plan)
    while waiting:
        node = waiting.pop()
        waiting.extend(node.get("children", ()))
        if "ARROW_SCAN" in node.get("name", ""):
            found = True
            columns = node.get("extra_info", {}).get("Projections", [])
            needed.update([columns] if isinstance(columns, str) else columns)
    return needed if found else None


def _narrowed(config: Config, scan: _native.Scans, needed: set[str]) -> Config:
    """The configuration with these features only."""
    features = {f["name"] for f in _native.feature_table()}
    # What stands beside the features: flow_id and direction.
    names = sorted(needed & features)
    if not names:
        # Rows are counted: the cheapest column will do.
        names = ["protocol"]
    if needed - features - {"flow_id", "direction"}:
        raise _CannotNarrow
    return dataclasses.replace(config, specific_features=names)
