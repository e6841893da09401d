"""The pipeline: captures in; rows, flows and features out."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from .. import _frames, _native, _own_frames
from .._frames import DtypeBackend, Times
from .._native import Flow, Summary, Table
from .._progress import ProgressLike, listener
from .._warnings import ConfigWarning, warn
from ..extractors.base import FeatureExtractor, check
from ..monitoring.base import MetricsSink
from ..monitoring.prometheus import PrometheusMetrics
from ..output.database import detect_database_backend
from .config import Config

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame
    from polars import DataFrame as PolarsFrame
    from pyarrow import Table as ArrowTable

__all__ = ["Pipeline", "extract", "extract_live"]



class SupportsRead(Protocol):
    """What a capture is read from: a file open in binary mode, io.BytesIO, a response of urllib."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


PathLike = str | os.PathLike[str]
#: Paths, a file that is open for reading in binary mode, or a slice of captures (:mod:`joyfuljay.slices`).
Input = PathLike | Iterable[PathLike] | SupportsRead | _native.Live | _native.Slice

#: What is a DataFrame where pandas is installed, else a Table.
_Pandas = Literal["dataframe", "pandas"] | None

#: Packets of one flow that ``iter_flows`` keeps: about 40 MB.
MAX_PACKETS = 1_000_000

#: For rows that are made flow by flow, with columns that need all flows of a run at once.
_NO_GRAPH = (
    "with extractors of your own rows are made flow by flow: the columns of the group connection, which need all flows, are null; "
    "take them from a pipeline without extractors"
)

#: The column that says which capture a row is from.
_CAPTURE = "capture"

#: Rows of a batch that extractors of the user's own have a part in.
_CHUNK_ROWS = 4096


class Pipeline:
    """Captures in; rows, flows and features out.

    ``metrics`` is called for every run by itself: packets, bytes, flows by reason, errors and durations. It is a
    :class:`joyfuljay.monitoring.PrometheusMetrics` or any object with the methods of
    :class:`joyfuljay.monitoring.MetricsSink`. ``extractors`` add features of the user's own, flow by flow.

    A path is a capture file, a directory, a glob, ``"-"`` for standard input, or several of these; or an object with
    ``read``, such as a file that is open in binary mode. Every run releases the interpreter, uses
    ``config.num_workers`` threads, and stops at once at Ctrl-C. A pipeline may be used from several threads, and be
    pickled for another process. Changes of ``config`` hold for the runs that begin after them.
    """

    def __init__(
        self,
        config: Config | None = None,
        backend: None = None,
        metrics: MetricsSink | Any | None = None,
        *,
        extractors: Sequence[FeatureExtractor] = (),
    ) -> None:
        if backend is not None:
            raise TypeError("backend: captures are read natively in this version; leave it out")
        if config is not None and not isinstance(config, Config):
            said = type(config).__name__
            raise TypeError(
                f"config must be a Config, not {said}: Config(flow_timeout=...), Config.from_dict({{...}}) or Config.from_file(path)"
            )
        self.config = Config() if config is None else config
        self.metrics = _checked(metrics)
        self.extractors = list(extractors)
        #: What the last finished run did: a :class:`joyfuljay.Summary`.
        self.last_run: Summary | None = None
        self._engine: _native.Engine
        self._built = ""
        self._prepare()

    def __getstate__(self) -> dict[str, Any]:
        # Another process has an engine of its own, and no run behind it.
        return {"config": self.config, "metrics": self.metrics, "extractors": self.extractors}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["config"], metrics=state["metrics"], extractors=state["extractors"])  # type: ignore[misc]

    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: _Pandas = None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
    ) -> DataFrame: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: Literal["polars"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
    ) -> PolarsFrame: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: Literal["arrow"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
    ) -> ArrowTable: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: Literal["numpy"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
    ) -> NDArray[float64]: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: Literal["dict"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
    ) -> list[dict[str, Any]]: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: Literal["table"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
    ) -> Table: ...
    @overload
    def process_pcap(
        self,
        path: Input,
        output_format: str | None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
    ) -> Any: ...
    def process_pcap(
        self,
        path: Input,
        output_format: str | None = None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
    ) -> Any:
        """The rows of a capture.

        ``output_format``: ``"dataframe"`` (pandas; the default where pandas is installed), ``"polars"``, ``"arrow"``,
        ``"numpy"`` (a matrix of the numeric columns), ``"dict"`` (a list of dicts: the slow path) or ``"table"`` (a
        :class:`joyfuljay.Table`; the default without pandas, or dicts where there are extractors of your own).
        ``progress`` is true for a bar, or a callable that takes a :class:`joyfuljay.Progress`; it has no place beside
        extractors of your own.

        Types of a DataFrame's columns do not depend on the capture: whole numbers that may be unknown are float64, truth
        values that may be ``boolean`` of pandas, and ports Int64. ``dtype_backend="numpy_nullable"`` makes all of them pandas' own nullable
        types (Int64, Float64, boolean, string), ``"pyarrow"`` Arrow's.

        ``times="datetime"`` gives ``start_time``, ``end_time`` and their kin as timestamps in UTC, ``"ns"`` as whole nanoseconds since
        the Unix epoch: both exact, which seconds as float64 are to some 200 ns. ``pad=20`` makes 20 columns ``NAME_0``…``NAME_19`` of
        each sequence, null beyond its end (0 with ``missing="zero"``), which ``"numpy"`` has too.
        """
        wanted = self._wanted(output_format, progress)
        backend = self._shape(wanted, dtype_backend, times, pad)
        if self.extractors:
            return self._joined(list(self.iter_features(path)), wanted, backend)
        engine = self._engine_with(times)
        return self._converted(self._shaped(self._table(path, progress, engine), times, pad), wanted, backend, times, pad)

    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: _Pandas = None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> DataFrame: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: Literal["polars"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> PolarsFrame: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: Literal["arrow"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> ArrowTable: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: Literal["numpy"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> NDArray[float64]: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: Literal["dict"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> list[dict[str, Any]]: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: Literal["table"],
        *,
        progress: ProgressLike = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> Table: ...
    @overload
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: str | None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> Any: ...
    def process_pcaps_batch(
        self,
        paths: PathLike | Iterable[PathLike],
        output_format: str | None = None,
        *,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
        capture: bool = True,
    ) -> Any:
        """The rows of several captures, each a run of its own: flows do not go on from one capture to the next.

        A path by itself may be a directory or a glob: each of its captures is a run, and what is none is warned of. The last column, ``capture``, says which path
        a row is from; ``capture=False`` leaves it out. The other keywords are those of :meth:`process_pcap`.
        """
        wanted = self._wanted(output_format, progress)
        backend = self._shape(wanted, dtype_backend, times, pad)
        if isinstance(paths, (str, os.PathLike)):
            names, passed_over = _native.captures_apart(os.fspath(paths))
            warn(passed_over)
        else:
            names = [os.fspath(p) for p in paths]
        if self.extractors:
            if capture and _CAPTURE in self._own_names():
                raise ValueError(f"capture: an extractor of your own has a feature '{_CAPTURE}'; choose another name, or capture=False")
            rows = [row | ({_CAPTURE: name} if capture else {}) for name in names for row in self.iter_features(name)]
            return self._joined(rows, wanted, backend, [_CAPTURE] if capture else [])
        engine = self._engine_with(times)

        def labelled(table: Table, name: str) -> Table:
            table = self._shaped(table, times, pad)
            return table.labelled(_CAPTURE, name) if capture else table

        tables = [labelled(self._table(name, progress, engine), name) for name in names]
        return self._converted(labelled(engine.empty(), "").concat(tables), wanted, backend, times, pad)

    @overload
    def process_pcap_streaming(
        self,
        path: Input,
        output_path: PathLike,
        output_format: str | None = None,
        *,
        progress: ProgressLike = None,
        table: str = "joyfuljay_features",
        if_exists: Literal["append", "replace", "fail"] = "append",
        resume: int | None = None,
    ) -> int: ...
    @overload
    def process_pcap_streaming(
        self, path: Input, output_path: None = None, output_format: Literal["dict"] | None = None
    ) -> Iterator[dict[str, Any]]: ...
    @overload
    def process_pcap_streaming(
        self, path: Input, output_path: None = None, *, output_format: str
    ) -> Iterator[Any]: ...
    def process_pcap_streaming(
        self,
        path: Input,
        output_path: PathLike | None = None,
        output_format: str | None = None,
        *,
        progress: ProgressLike = None,
        table: str = "joyfuljay_features",
        if_exists: Literal["append", "replace", "fail"] = "append",
        resume: int | None = None,
    ) -> Any:
        """The rows of a capture without having them all in memory.

        With ``output_path`` they are written to a file (``output_format``: csv, json, parquet or arrow; by default as
        ``jj`` does by the file's extension), which appears when it is whole; gives the number of rows. ``"sqlite"`` (or the
        extensions sqlite, sqlite3 and db) and ``"postgres"`` (or an address ``postgresql://user@host/database``) write them into the
        ``table`` of a database; ``resume`` takes a run up again that was broken off. Without ``output_path``, it
        iterates over batches of rows in ``output_format`` (as in :meth:`process_pcap`, by default dicts, one at a time).
        """
        if output_path is None:
            return self.iter_features(path) if output_format in (None, "dict") else self._batches(path, output_format)
        if self.extractors:
            raise ValueError("rows with features of your own are not written natively; iterate over them instead")
        target = os.fspath(output_path)
        if output_format in ("sqlite", "postgres") or (output_format is None and _is_database(target)):
            if (detect_database_backend(target).backend == "postgres") != (output_format == "postgres") and output_format is not None:
                raise ValueError(f"output_format={output_format!r}: not with {target.partition('://')[0]!r}")
            with listener(progress) as callback:
                summary, _run = self._prepare().write_database(
                    _inputs(path), target, table, if_exists, resume=resume, progress=callback
                )
            return self._finished(summary).rows
        with listener(progress) as callback:
            summary = self._prepare().write(_inputs(path), target, output_format, callback)
        return self._finished(summary).rows

    def iter_features(self, path: Input) -> Iterator[dict[str, Any]]:
        """The rows of a capture as dicts, one at a time, None for what is not known."""
        if self.extractors:
            keep = any(e.needs_packets for e in self.extractors)
            return (self.extract_features(flow) for flow in self.iter_flows(path, keep_packets=keep))
        return (row for table in self._tables(path) for row in table)

    def iter_flows(
        self, path: Input, *, keep_packets: bool = True, max_packets: int = MAX_PACKETS
    ) -> Iterator[Flow]:
        """The flows of a capture as they end, with their packets.

        ``flow.packets`` is a lazy sequence. Of a flow with more than ``max_packets`` the first are kept and
        ``flow.packets.truncated`` is true. Without ``keep_packets`` memory does not hold them, and ``flow.packets``
        raises :class:`joyfuljay.PacketsNotKeptError`.
        """
        if max_packets < 1:
            raise ValueError(f"max_packets = {max_packets}: must be 1 or more; keep_packets=False keeps none")
        flows = self._prepare().flows(_inputs(path), max_packets if keep_packets else None)
        return self._flows(flows)

    def extract_features(self, flow: Flow) -> dict[str, Any]:
        """The features of one flow, had from :meth:`iter_flows` or built by hand; None for what is not known.

        With ``bidirectional_split`` too it is one dict, of both directions.
        """
        features = self._engine.extract(flow)
        for extractor in self.extractors:
            begun = time.perf_counter()
            try:
                more: object = extractor.extract(flow)
                if not isinstance(more, Mapping):
                    raise TypeError(f"{extractor.name}.extract must give a dict of features by name, not {type(more).__name__}")
            except Exception:
                self._engine.observe_error("extraction")
                raise
            self._engine.observe_extractor(extractor.name, time.perf_counter() - begun)
            names = extractor.feature_names
            if not more.keys() <= set(names):
                self._engine.observe_error("extraction")
                foreign = ", ".join(repr(name) for name in more if name not in names)
                raise ValueError(f"{extractor.name}.extract gave {foreign}, which its feature_names do not have: {', '.join(names)}")
            for name in names:
                features[name] = more.get(name)
        return features

    _extract_features = extract_features

    def get_feature_names(self) -> list[str]:
        """Names of the columns, in their order."""
        return [*self._prepare().feature_names(), *self._own_names()]

    def get_numeric_names(self, pad: int | None = None) -> list[str]:
        """Names of the columns of ``output_format="numpy"``, in their order; those of your own extractors that hold numbers follow."""
        _frames.check_shape(None, pad, "numpy")
        return self._shaped(self._prepare().empty(), None, pad).numeric_columns

    def process_live(
        self,
        interface: str | Sequence[str],
        duration: float | None = None,
        output_format: str | None = "dataframe",
        save_pcap: PathLike | None = None,
        pid: int | None = None,
        *,
        process: str | None = None,
        promiscuous: bool = True,
        snaplen: int = 0,
        token: str | None = None,
        tls_ca: PathLike | None = None,
        tls_insecure: bool = False,
        progress: ProgressLike = None,
        dtype_backend: DtypeBackend = None,
    ) -> Any:
        """The rows of what passes network interfaces: Linux, with the capability CAP_NET_RAW. Or those of a remote sensor.

        ``interface`` is a name, several, or ``"any"``; or the address of a sensor (``jj serve``, :class:`joyfuljay.remote.Server`),
        ``"jj://HOST:PORT?tls=1"``, which wants a ``token`` (else that of JOYFULJAY_TOKEN) and whose certificate is compared with the system's authorities or those
        of ``tls_ca``; ``tls_insecure`` takes any. The capture ends after ``duration`` seconds, or by Ctrl-C: then what has
        come is finished and given (a second one gives up). ``output_format`` is one of :meth:`process_pcap`, or ``"stream"``: an
        iterator of dicts that gives rows as flows end; left early, the capture ends. With ``pid`` or ``process`` (a name, as
        ``ps -o comm`` shows it) only packets of the sockets of that process are left. ``save_pcap`` is a file that gets the packets
        (those that match ``bpf_filter``) as pcapng; not with extractors of your own.
        """
        live = _live(
            interface,
            duration,
            save_pcap,
            pid=pid,
            process=process,
            promiscuous=promiscuous,
            snaplen=snaplen,
            token=token,
            tls_ca=None if tls_ca is None else os.fspath(tls_ca),
            tls_insecure=tls_insecure,
        )
        if output_format == "stream":
            return self.iter_features(live)
        return self.process_pcap(live, output_format, progress=progress, dtype_backend=dtype_backend)

    def close(self) -> None:
        """Nothing is left open between runs: here for code that closes what it opened."""

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<joyfuljay.Pipeline of {len(self.get_feature_names())} features>"

    def _wanted(self, output_format: str | None, progress: ProgressLike = None) -> _frames.OutputFormat:
        if self.extractors and progress not in (None, False):
            raise ValueError("progress: not with extractors of your own; leave it out and count what iter_features gives")
        wanted = _frames.check(output_format)
        if self.extractors and wanted == "table":
            if output_format is not None:
                raise ValueError("output_format='table': has no place for features of your own; choose dataframe, polars, arrow or dict")
            return "dict"
        return wanted

    def _own_names(self) -> list[str]:
        return [name for extractor in self.extractors for name in extractor.feature_names]

    def _shape(
        self, wanted: _frames.OutputFormat, dtype_backend: DtypeBackend, times: Times, pad: int | None
    ) -> DtypeBackend:
        """The types of a DataFrame, when all that is asked for goes together."""
        _frames.check_shape(times, pad, wanted)
        if self.extractors and not (times is None and pad is None):
            raise ValueError("times, pad: not with extractors of your own, whose rows are made flow by flow; leave them out")
        return _frames.check_backend(dtype_backend, wanted)

    def _engine_with(self, times: Times) -> _native.Engine:
        """The engine, and where times are to be exact one that has the group timestamps too."""
        engine = self._prepare()
        names = engine.feature_names()
        if times is None:
            return engine
        if not _frames.TIME_NAMES.intersection(names):
            raise ValueError(f"times: no column of times is selected; there are {', '.join(sorted(_frames.TIME_NAMES))} in the group flow_meta")
        more = [name for name in _frames.TIMESTAMP_NAMES if name not in names]
        values = self.config.to_dict()
        if values["specific_features"] is not None:
            values["specific_features"] += more
        elif values["profile"] is None:
            values["features"] += ["timestamps"]
        else:
            # A profile may leave these out.
            known = {feature["name"] for feature in _native.feature_table()}
            values |= {"specific_features": [name for name in names if name in known] + more, "profile": None}
        return _native.Engine(json.dumps(values), self.metrics, _is_native(self.metrics)) if more else engine

    def _shaped(self, table: Table, times: Times, pad: int | None) -> Table:
        if times is not None:
            table = table.timed(times == "ns", [n for n in _frames.TIMESTAMP_NAMES if n in self._engine.feature_names()])
        return table if pad is None else table.padded(pad, self.config.missing == "zero")

    def _joined(
        self, rows: list[dict[str, Any]], wanted: _frames.OutputFormat, backend: DtypeBackend = None, more: Sequence[str] = ()
    ) -> Any:
        never_null = set(self._engine.never_null())
        return _own_frames.from_dicts(rows, self._engine.empty(), [*self._own_names(), *more], wanted, backend, never_null)

    def _converted(
        self,
        table: Table,
        wanted: _frames.OutputFormat,
        backend: DtypeBackend = None,
        times: Times = None,
        pad: int | None = None,
    ) -> Any:
        never_null = set(self._engine.never_null())
        if times == "ns":
            never_null |= _frames.TIME_NAMES
        if pad is not None and self.config.missing == "zero":
            never_null.update(table.numeric_columns)
        return _frames.convert(table, wanted, backend, never_null)

    def _table(self, path: Input, progress: ProgressLike, engine: _native.Engine) -> Table:
        with listener(progress) as callback:
            table, summary = engine.table(_inputs(path), callback)
        self._finished(summary)
        return table

    def _finished(self, summary: Summary) -> Summary:
        self.last_run = summary
        warn(summary.warnings)
        return summary

    def _prepare(self) -> _native.Engine:
        """The engine for the configuration as it is now."""
        config = self.config._json()
        if config == self._built:
            return self._engine
        if self.extractors and self.config.bidirectional_split:
            raise ValueError("bidirectional_split: extractors of your own give one row a flow; leave one of the two out")
        engine = _native.Engine(config, self.metrics, _is_native(self.metrics))
        names = engine.feature_names()
        for extractor in self.extractors:
            for name in check(extractor):
                if name in names:
                    raise ValueError(f"{extractor.name}: there is a feature '{name}' already; choose another name")
                names.append(name)
        self._engine, self._built = engine, config
        warn(engine.notes(), ConfigWarning)
        if self.extractors and any(f["group"] == "connection" and f["name"] in names for f in _native.feature_table()):
            warn([_NO_GRAPH], ConfigWarning)
        return engine

    def _tables(self, path: Input) -> Iterator[Table]:
        tables = self._prepare().stream(_inputs(path))
        return _closing(tables)

    def _batches(self, path: Input, output_format: str) -> Iterator[Any]:
        wanted = self._wanted(output_format)
        if self.extractors:
            rows = self.iter_features(path)
            chunks = iter(lambda: list(itertools.islice(rows, _CHUNK_ROWS)), [])
            return (self._joined(chunk, wanted) for chunk in chunks)
        return (self._converted(table, wanted) for table in self._tables(path))

    def _flows(self, flows: _native.FlowIterator) -> Iterator[Flow]:
        return _closing(flows)


@overload
def extract(
    path: Input,
    output_format: _Pandas = None,
    *,
    progress: ProgressLike = None,
    dtype_backend: DtypeBackend = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> DataFrame: ...
@overload
def extract(
    path: Input,
    output_format: Literal["polars"],
    *,
    progress: ProgressLike = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> PolarsFrame: ...
@overload
def extract(
    path: Input,
    output_format: Literal["arrow"],
    *,
    progress: ProgressLike = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> ArrowTable: ...
@overload
def extract(
    path: Input,
    output_format: Literal["numpy"],
    *,
    progress: ProgressLike = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> NDArray[float64]: ...
@overload
def extract(
    path: Input,
    output_format: Literal["dict"],
    *,
    progress: ProgressLike = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> list[dict[str, Any]]: ...
@overload
def extract(
    path: Input,
    output_format: Literal["table"],
    *,
    progress: ProgressLike = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> Table: ...
@overload
def extract(
    path: Input,
    output_format: str | None,
    *,
    progress: ProgressLike = None,
    dtype_backend: DtypeBackend = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> Any: ...
def extract(
    path: Input,
    output_format: str | None = None,
    *,
    progress: ProgressLike = None,
    dtype_backend: DtypeBackend = None,
    times: Times = None,
    pad: int | None = None,
    **config: Any,
) -> Any:
    """The rows of a capture: ``Pipeline(Config(**config)).process_pcap(path, output_format)``.

    Gives a pandas DataFrame where pandas is installed, else a :class:`joyfuljay.Table`.
    """
    return Pipeline(Config(**config)).process_pcap(path, output_format, progress=progress, dtype_backend=dtype_backend, times=times, pad=pad)


def extract_live(
    interface: str | Sequence[str],
    duration: float | None = None,
    output_format: str | None = "dataframe",
    *,
    save_pcap: PathLike | None = None,
    pid: int | None = None,
    process: str | None = None,
    token: str | None = None,
    tls_ca: PathLike | None = None,
    tls_insecure: bool = False,
    progress: ProgressLike = None,
    dtype_backend: DtypeBackend = None,
    **config: Any,
) -> Any:
    """The rows of what passes network interfaces: ``Pipeline(Config(**config)).process_live(interface, duration, ...)``."""
    return Pipeline(Config(**config)).process_live(
        interface,
        duration,
        output_format,
        save_pcap,
        pid,
        process=process,
        token=token,
        tls_ca=tls_ca,
        tls_insecure=tls_insecure,
        progress=progress,
        dtype_backend=dtype_backend,
    )


def _live(
    interface: str | Sequence[str], duration: float | None, save_pcap: PathLike | None, **options: Any
) -> _native.Live:
    saved = None if save_pcap is None else os.fspath(save_pcap)
    return _native.Live([interface] if isinstance(interface, str) else list(interface), duration, save_pcap=saved, **options)


def _is_native(metrics: object) -> bool:
    """Whether the counters can be fed without Python: not when a subclass has a method of its own."""
    if not isinstance(metrics, PrometheusMetrics):
        return False
    names = [n for n in dir(_native.PrometheusMetrics) if n.startswith(("observe_", "set_"))]
    return all(getattr(type(metrics), n) is getattr(_native.PrometheusMetrics, n) for n in names)


def _checked(metrics: Any) -> Any:
    """What was given as metrics, if it has the methods of a sink."""
    if metrics is not None and not _is_native(metrics):
        needed = [name for name in vars(MetricsSink) if name.startswith(("observe_", "set_"))]
        missing = [name for name in needed if not callable(getattr(metrics, name, None))]
        if "observe_packet" in missing and callable(getattr(metrics, "observe_packets", None)):
            missing.remove("observe_packet")
        if "observe_flow" in missing and callable(getattr(metrics, "observe_flows", None)):
            missing.remove("observe_flow")
        if missing:
            raise TypeError(f"metrics: {type(metrics).__name__} has no {', '.join(missing)}; make a class of joyfuljay.monitoring.MetricsSink")
    return metrics


def _is_database(target: str) -> bool:
    scheme = target.partition("://")[0]
    return scheme in ("postgresql", "postgres") or os.path.splitext(target)[1].lower() in (".sqlite", ".sqlite3", ".db")


def _inputs(path: Input) -> list[str] | SupportsRead | _native.Live | _native.Slice:
    if isinstance(path, (_native.Live, _native.Slice)):
        return path
    if isinstance(path, (str, os.PathLike)):
        return [os.fspath(path)]
    if isinstance(path, bytes):
        raise TypeError("path must be a str or os.PathLike, not bytes; io.BytesIO(capture) reads from memory")
    if isinstance(path, io.TextIOBase):
        raise TypeError("a capture is not text: open the file in binary mode, open(path, 'rb')")
    if hasattr(path, "read"):
        return path  # type: ignore[return-value]
    if not isinstance(path, Iterable):
        raise TypeError(f"path must be a str, an os.PathLike, several of these, or a file open in binary mode, not {type(path).__name__}")
    return [os.fspath(p) for p in path]


def _closing(source: Any) -> Iterator[Any]:
    """What the source gives; the run ends when nobody wants more."""
    try:
        yield from source
    finally:
        source.close()
        warn(source.take_warnings())
