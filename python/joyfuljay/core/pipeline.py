"""The pipeline: captures in; rows, flows and features out."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from .. import _frames, _native, _own_frames
from .._native import Flow, Summary, Table
from .._progress import ProgressLike, listener
from .._warnings import warn
from ..extractors.base import FeatureExtractor, check
from ..monitoring.base import MetricsSink
from ..monitoring.prometheus import PrometheusMetrics
from .config import Config

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame
    from polars import DataFrame as PolarsFrame
    from pyarrow import Table as ArrowTable

__all__ = ["Pipeline", "extract", "extract_live"]

PathLike = str | os.PathLike[str]
Input = PathLike | Iterable[PathLike]

#: What is a DataFrame where pandas is installed, else a Table.
_Pandas = Literal["dataframe", "pandas"] | None

#: Packets of one flow that ``iter_flows`` keeps: about 40 MB.
MAX_PACKETS = 1_000_000

#: Rows of a batch that extractors of the user's own have a part in.
_CHUNK_ROWS = 4096


class Pipeline:
    """Captures in; rows, flows and features out.

    ``metrics`` is told of every run by itself: packets, bytes, flows by reason, errors and durations. It is a
    :class:`joyfuljay.monitoring.PrometheusMetrics` or any object with the methods of
    :class:`joyfuljay.monitoring.MetricsSink`. ``extractors`` add features of the user's own, flow by flow.

    A path is a capture file, a directory, a glob, ``"-"`` for standard input, or several of these. Every run releases
    the interpreter, uses ``config.num_workers`` threads, and stops at once at Ctrl-C. A pipeline may be used from
    several threads.
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
        self.metrics = metrics
        self.extractors = list(extractors)
        if self.extractors and self.config.bidirectional_split:
            raise ValueError("bidirectional_split: extractors of your own give one row a flow; leave one of the two out")
        #: What the last finished run did: a :class:`joyfuljay.Summary`.
        self.last_run: Summary | None = None
        self._engine = _native.Engine(self.config._json(), metrics, _is_native(metrics))
        own = self._engine.feature_names()
        for extractor in self.extractors:
            for name in check(extractor):
                if name in own:
                    raise ValueError(f"{extractor.name}: there is a feature '{name}' already; choose another name")
                own.append(name)

    @overload
    def process_pcap(
        self, path: Input, output_format: _Pandas = None, *, progress: ProgressLike = None
    ) -> DataFrame: ...
    @overload
    def process_pcap(
        self, path: Input, output_format: Literal["polars"], *, progress: ProgressLike = None
    ) -> PolarsFrame: ...
    @overload
    def process_pcap(self, path: Input, output_format: Literal["arrow"], *, progress: ProgressLike = None) -> ArrowTable: ...
    @overload
    def process_pcap(
        self, path: Input, output_format: Literal["numpy"], *, progress: ProgressLike = None
    ) -> NDArray[float64]: ...
    @overload
    def process_pcap(
        self, path: Input, output_format: Literal["dict"], *, progress: ProgressLike = None
    ) -> list[dict[str, Any]]: ...
    @overload
    def process_pcap(self, path: Input, output_format: Literal["table"], *, progress: ProgressLike = None) -> Table: ...
    @overload
    def process_pcap(self, path: Input, output_format: str | None, *, progress: ProgressLike = None) -> Any: ...
    def process_pcap(self, path: Input, output_format: str | None = None, *, progress: ProgressLike = None) -> Any:
        """The rows of a capture.

        ``output_format``: ``"dataframe"`` (pandas; the default where pandas is installed), ``"polars"``, ``"arrow"``,
        ``"numpy"`` (a matrix of the numeric columns), ``"dict"`` (a list of dicts: the slow path) or ``"table"`` (a
        :class:`joyfuljay.Table`; the default without pandas, or dicts where there are extractors of your own).
        ``progress`` is true for a bar, or a callable that takes a :class:`joyfuljay.Progress`; it has no place beside
        extractors of your own.
        """
        wanted = self._wanted(output_format, progress)
        if self.extractors:
            return self._joined(list(self.iter_features(path)), wanted)
        return _frames.convert(self._table(path, progress), wanted)

    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: _Pandas = None, *, progress: ProgressLike = None
    ) -> DataFrame: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: Literal["polars"], *, progress: ProgressLike = None
    ) -> PolarsFrame: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: Literal["arrow"], *, progress: ProgressLike = None
    ) -> ArrowTable: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: Literal["numpy"], *, progress: ProgressLike = None
    ) -> NDArray[float64]: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: Literal["dict"], *, progress: ProgressLike = None
    ) -> list[dict[str, Any]]: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: Literal["table"], *, progress: ProgressLike = None
    ) -> Table: ...
    @overload
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: str | None, *, progress: ProgressLike = None
    ) -> Any: ...
    def process_pcaps_batch(
        self, paths: Iterable[PathLike], output_format: str | None = None, *, progress: ProgressLike = None
    ) -> Any:
        """The rows of several captures, each a run of its own: flows do not go on from one capture to the next."""
        wanted = self._wanted(output_format, progress)
        paths = [os.fspath(p) for p in paths]
        if self.extractors:
            rows = [row for path in paths for row in self.iter_features(path)]
            return self._joined(rows, wanted)
        tables = [self._table(path, progress) for path in paths]
        return _frames.convert(self._engine.empty().concat(tables), wanted)

    @overload
    def process_pcap_streaming(
        self, path: Input, output_path: PathLike, output_format: str | None = None, *, progress: ProgressLike = None
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
    ) -> Any:
        """The rows of a capture without having them all in memory.

        With ``output_path`` they are written to a file (``output_format``: csv, json, parquet or arrow; by default as
        ``jj`` does by the file's extension), which appears when it is whole; gives the number of rows. Without, it iterates
        over batches of rows in ``output_format`` (as in :meth:`process_pcap`, by default dicts, one at a time).
        """
        if output_path is None:
            return self.iter_features(path) if output_format in (None, "dict") else self._batches(path, output_format)
        if self.extractors:
            raise ValueError("rows with features of your own are not written natively; iterate over them instead")
        target = os.fspath(output_path)
        with listener(progress) as news:
            summary = self._engine.write(_inputs(path), target, output_format, news)
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
        flows = self._engine.flows(_inputs(path), max_packets if keep_packets else None)
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
            for name in extractor.feature_names:
                features[name] = more.get(name)
        return features

    _extract_features = extract_features

    def get_feature_names(self) -> list[str]:
        """Names of the columns, in their order."""
        return [*self._engine.feature_names(), *self._own_names()]

    def process_live(
        self,
        interface: str,
        duration: float | None = None,
        output_format: str = "dataframe",
        save_pcap: PathLike | None = None,
        pid: int | None = None,
    ) -> NoReturn:
        """Live capture comes with a later version: raises NotImplementedError."""
        raise NotImplementedError(_LIVE)

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

    def _joined(self, rows: list[dict[str, Any]], wanted: _frames.OutputFormat) -> Any:
        return _own_frames.from_dicts(rows, self._engine.empty(), self._own_names(), wanted)

    def _table(self, path: Input, progress: ProgressLike) -> Table:
        with listener(progress) as news:
            table, summary = self._engine.table(_inputs(path), news)
        self._finished(summary, stacklevel=4)
        return table

    def _finished(self, summary: Summary, stacklevel: int = 3) -> Summary:
        self.last_run = summary
        warn(summary.warnings, stacklevel)
        return summary

    def _tables(self, path: Input) -> Iterator[Table]:
        tables = self._engine.stream(_inputs(path))
        return _closing(tables)

    def _batches(self, path: Input, output_format: str) -> Iterator[Any]:
        wanted = self._wanted(output_format)
        if self.extractors:
            rows = self.iter_features(path)
            chunks = iter(lambda: list(itertools.islice(rows, _CHUNK_ROWS)), [])
            return (self._joined(chunk, wanted) for chunk in chunks)
        return (_frames.convert(table, wanted) for table in self._tables(path))

    def _flows(self, flows: _native.FlowIterator) -> Iterator[Flow]:
        return _closing(flows)


@overload
def extract(
    path: Input, output_format: _Pandas = None, *, progress: ProgressLike = None, **config: Any
) -> DataFrame: ...
@overload
def extract(
    path: Input, output_format: Literal["polars"], *, progress: ProgressLike = None, **config: Any
) -> PolarsFrame: ...
@overload
def extract(path: Input, output_format: Literal["arrow"], *, progress: ProgressLike = None, **config: Any) -> ArrowTable: ...
@overload
def extract(
    path: Input, output_format: Literal["numpy"], *, progress: ProgressLike = None, **config: Any
) -> NDArray[float64]: ...
@overload
def extract(
    path: Input, output_format: Literal["dict"], *, progress: ProgressLike = None, **config: Any
) -> list[dict[str, Any]]: ...
@overload
def extract(path: Input, output_format: Literal["table"], *, progress: ProgressLike = None, **config: Any) -> Table: ...
@overload
def extract(path: Input, output_format: str | None, *, progress: ProgressLike = None, **config: Any) -> Any: ...
def extract(path: Input, output_format: str | None = None, *, progress: ProgressLike = None, **config: Any) -> Any:
    """The rows of a capture: ``Pipeline(Config(**config)).process_pcap(path, output_format)``.

    Gives a pandas DataFrame where pandas is installed, else a :class:`joyfuljay.Table`.
    """
    return Pipeline(Config(**config)).process_pcap(path, output_format, progress=progress)


def extract_live(interface: str, duration: float | None = None, output_format: str = "dataframe", **config: Any) -> NoReturn:
    """Live capture comes with a later version: raises NotImplementedError."""
    raise NotImplementedError(_LIVE)


_LIVE = (
    "live capture comes with a later version of joyfuljay. Until then: tcpdump -w - | jj extract -, or "
    "tcpdump -w capture.pcap and joyfuljay.extract('capture.pcap')"
)


def _is_native(metrics: object) -> bool:
    """Whether the counters can be fed without Python: not when a subclass has a method of its own."""
    if not isinstance(metrics, PrometheusMetrics):
        return False
    names = [n for n in dir(_native.PrometheusMetrics) if n.startswith(("observe_", "set_"))]
    return all(getattr(type(metrics), n) is getattr(_native.PrometheusMetrics, n) for n in names)


def _inputs(path: Input) -> list[str]:
    if isinstance(path, (str, os.PathLike)):
        return [os.fspath(path)]
    if isinstance(path, bytes):
        raise TypeError("path must be a str or os.PathLike, not bytes")
    return [os.fspath(p) for p in path]


def _closing(source: Any) -> Iterator[Any]:
    """What the source gives; the run ends when nobody wants more."""
    try:
        yield from source
    finally:
        source.close()
        warn(source.take_warnings())
