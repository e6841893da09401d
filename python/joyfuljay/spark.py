"""Apache Spark: captures as a DataFrame of flows.

    flows = spark.read.format("joyfuljay").option("features", "flow_meta,tls").load("captures/*.pcap")

Options: every key of :class:`joyfuljay.Config` (lists separated by commas), and

- ``columns``: only these columns, in this order; so does ``.schema("src_ip string, dst_port int")``
- ``tasks``: into how many tasks the work is divided; by default one for each 128 MB of captures
- ``batch_rows``: most rows of an Arrow batch, 4096 by default; a batch has 32 MB at most, too
- ``strict``: ``true`` fails a task whose captures are damaged, overlap or cannot be read; else that is a warning in the log of the
  executor, as ``jj extract`` has it, and what cannot be read is left out

The captures are those of one sensor; see :mod:`joyfuljay.slices` for how they are divided. Executors open them by the same paths
or URLs, and need this package. A task reads the same rows in the same order whenever it is run again, and writes nothing.

:func:`read` is the same for those who want the counts of the executors on the driver, and in its metrics (:class:`Counts`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _extras, _native, slices
from .core.config import Config

# Where they are missing this says how to get them, and not the name of a module alone.
_extras.need("pyspark", "spark", "joyfuljay.spark")
_extras.need("pyarrow", "spark", "joyfuljay.spark")

import pyarrow as pa  # noqa: E402
from pyspark.accumulators import AccumulatorParam  # noqa: E402
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition  # noqa: E402
from pyspark.sql.pandas.types import to_arrow_schema  # noqa: E402
from pyspark.sql.types import (  # noqa: E402
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Counts", "FlowSource", "read", "register"]

#: Bytes of captures that one task reads where nobody says otherwise: as much as Spark's own sources.
TASK_BYTES = 128 << 20

#: Most tasks that are made without being asked for.
MOST_TASKS = 10_000

BATCH_ROWS = 4096

#: Bytes of an Arrow batch: far below what the JVM can hold in one buffer.
BATCH_BYTES = 32 << 20

_OWN = ("path", "paths", "columns", "tasks", "batch_rows", "strict")


class FlowSource(DataSource):
    """The data source ``joyfuljay``."""

    @classmethod
    def name(cls) -> str:
        return "joyfuljay"

    def schema(self) -> StructType:
        return _spark_schema(_Options(self.options))

    def reader(self, schema: StructType) -> FlowReader:
        return FlowReader(_Options(self.options), schema)


def register(spark: SparkSession) -> None:
    """Makes ``format("joyfuljay")`` known to a session that began before this package was installed."""
    spark.dataSource.register(FlowSource)


class FlowReader(DataSourceReader):
    """What is sent to executors: plain values."""

    def __init__(self, options: _Options, schema: StructType) -> None:
        self.options = options
        self.schema = schema
        _check(schema, options)

    def partitions(self) -> Sequence[InputPartition]:
        return [_Task(piece, _native.__version__) for piece in self.options.plan()]

    def read(self, partition: Any) -> Iterator[pa.RecordBatch]:
        # What Spark asks for where there is no partition.
        if partition is None:
            return
        if partition.version != _native.__version__:
            raise RuntimeError(
                f"{socket.gethostname()}: the executor has joyfuljay {_native.__version__}, the driver {partition.version}; "
                "install the same version on both"
            )
        yield from _rows(partition.piece, self.options, self.schema, None)


class _Task(InputPartition):
    def __init__(self, piece: slices.Slice, version: str) -> None:
        super().__init__(piece.number)
        self.piece = piece
        self.version = version


class _Options:
    """The options of a read, as plain values. Spark gives names without regard to case."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {name.lower(): value for name, value in options.items()}
        keys = {key.name.lower(): key.name for key in dataclasses.fields(Config)}
        unknown = [name for name in given if name not in keys and name not in _OWN]
        if unknown:
            near = difflib.get_close_matches(unknown[0], [*keys, *_OWN], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"option {unknown[0]!r} is not known{hint}")
        self.paths: list[str] = json.loads(given["paths"]) if given.get("paths") else []
        if given.get("path"):
            self.paths.append(str(given["path"]))
        self.columns = _names(given["columns"]) if given.get("columns") else None
        self.tasks = _count("tasks", given.get("tasks"))
        self.batch_rows = _count("batch_rows", given.get("batch_rows")) or BATCH_ROWS
        self.strict = str(given.get("strict", "false")).lower() == "true"
        self.config = {keys[name]: _value(keys[name], value) for name, value in given.items() if name in keys}

    def configuration(self, columns: Sequence[str] | None = None) -> Config:
        """The configuration, for these columns alone."""
        columns = self.columns if columns is None else columns
        values = dict(self.config, num_workers=1)
        if columns is not None:
            values["include_flow_id"] = "flow_id" in columns
            values["specific_features"] = [name for name in columns if name not in ("flow_id", "direction")]
            values["features"] = ["all"]
        return Config.from_dict(values)

    def plan(self) -> list[slices.Slice]:
        if not self.paths:
            raise ValueError("no captures: load(path), or option('path', ...)")
        return slices.plan(self.paths, self.tasks or self._tasks(), self.configuration())

    def _tasks(self) -> int:
        total = slices.total_bytes(self.paths)
        return max(1, min(MOST_TASKS, -(-total // TASK_BYTES)))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(name: str, text: Any) -> int:
    if text is None:
        return 0
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"option {name} = {text!r}: must be a whole number from 1 on")
    return number


def _value(key: str, text: Any) -> Any:
    """The value of a key of the configuration, as options have them: text."""
    default = getattr(Config(), key)
    if not isinstance(text, str) or isinstance(default, str):
        return text
    if isinstance(default, list) or key == "specific_features":
        return _names(text)
    if text.lower() in ("true", "false", "null", "none"):
        return {"true": True, "false": False}.get(text.lower())
    with contextlib.suppress(ValueError):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)
    return text


def _arrow_schema(options: _Options, columns: Sequence[str] | None = None) -> pa.Schema:
    """The columns that the engine gives, in the order asked for."""
    table = _native.Engine(options.configuration(columns)._json()).empty_slice()
    schema = pa.schema(pa.table(table).schema)
    wanted = options.columns if columns is None else columns
    if wanted is None:
        return schema
    return pa.schema([schema.field(name) for name in wanted])


def _spark_type(kind: pa.DataType) -> DataType:
    """The Spark type that holds every value of an Arrow type. Spark has no unsigned ones."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return ArrayType(_spark_type(kind.value_type), True)
    if pa.types.is_dictionary(kind):
        return _spark_type(kind.value_type)
    simple: list[tuple[Callable[[pa.DataType], bool], DataType]] = [
        (pa.types.is_boolean, BooleanType()),
        (pa.types.is_int8, ByteType()),
        (pa.types.is_int16, ShortType()),
        (pa.types.is_uint8, ShortType()),
        (pa.types.is_int32, IntegerType()),
        (pa.types.is_uint16, IntegerType()),
        (pa.types.is_int64, LongType()),
        (pa.types.is_uint32, LongType()),
        (pa.types.is_uint64, DecimalType(20, 0)),
        (pa.types.is_float32, FloatType()),
        (pa.types.is_float64, DoubleType()),
        (pa.types.is_string, StringType()),
        (pa.types.is_large_string, StringType()),
        (pa.types.is_binary, BinaryType()),
        (pa.types.is_timestamp, TimestampType()),
    ]
    for is_it, spark in simple:
        if is_it(kind):
            return spark
    raise TypeError(f"there is no Spark type for {kind}")


def _spark_schema(options: _Options) -> StructType:
    fields = []
    for field in _arrow_schema(options):
        metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        fields.append(StructField(field.name, _spark_type(field.type), True, metadata))
    return StructType(fields)


def _check(schema: StructType, options: _Options) -> None:
    """Refuses a schema of the user's that is not one of ours."""
    every = _Options({})
    asked = [str(name) for name in options.config.get("features", [])]
    more = {name: True for name in ("include_flow_id", "include_splt", "include_raw_sequences")}
    every.config = {**options.config, **more, "features": ["all", *(name for name in asked if name != "all"), "timestamps"], "profile": None}
    known = {field.name: _spark_type(field.type) for field in _arrow_schema(every)}
    for field in schema.fields:
        if field.name not in known:
            near = difflib.get_close_matches(field.name, known, 1)
            raise ValueError(f"there is no column {field.name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if field.dataType.simpleString() != known[field.name].simpleString():
            raise TypeError(
                f"column {field.name!r} is {known[field.name].simpleString()}, not {field.dataType.simpleString()}: "
                "leave the schema as it is and cast the column after reading"
            )


def _rows(
    piece: slices.Slice, options: _Options, schema: StructType, counts: Callable[[Any, float], None] | None
) -> Iterator[pa.RecordBatch]:
    """The rows of one task, in batches that Spark takes."""
    begun = time.process_time()
    wanted = to_arrow_schema(schema, timezone="UTC")
    columns = [field.name for field in schema.fields]
    engine = _native.Engine(options.configuration(columns)._json())
    try:
        tables = engine.stream(piece.open())
    except OSError as error:
        raise _here(error) from error
    try:
        for table in tables:
            for batch in pa.table(table).select(columns).to_batches():
                yield from _cut(_cast(batch, wanted), options.batch_rows)
        warnings = tables.take_warnings()
        if warnings and options.strict:
            raise RuntimeError(f"{socket.gethostname()}: slice {piece.number} of {piece.of}: {'; '.join(warnings)} (option strict)")
        for warning in warnings:
            print(f"joyfuljay: warning: slice {piece.number} of {piece.of}: {warning}", file=sys.stderr)
        if counts is not None:
            counts(tables.summary, time.process_time() - begun)
    except OSError as error:
        raise _here(error) from error
    finally:
        tables.close()


def _here(error: OSError) -> OSError:
    """What a task could not read, with the host on which it could not: others may have it."""
    return OSError(f"{socket.gethostname()}: {error}")


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for field, array in zip(schema, batch.columns, strict=True):
        try:
            # Unsafe only in that nanoseconds become microseconds: every other type was chosen to hold the values.
            arrays.append(array.cast(field.type, safe=not pa.types.is_timestamp(array.type)))
        except pa.ArrowInvalid as error:
            raise TypeError(f"column {field.name!r}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    size = max(1, batch.nbytes // max(1, batch.num_rows))
    step = max(1, min(rows, BATCH_BYTES // size))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


class Counts:
    """What the tasks of :func:`read` have counted, on the driver.

        counts = Counts(spark)
        flows = read(spark, "captures/", counts=counts, features="flow_meta")
        flows.write.parquet("flows")
        counts.tell(metrics)     # a joyfuljay.monitoring.PrometheusMetrics

    A task is counted when it is done, and once, also when it ran again because it had failed or the rows were asked for twice.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._told = spark.sparkContext.accumulator({}, _ByTask())
        self._passed_on: set[tuple[str, int]] = set()

    def total(self) -> dict[str, Any]:
        """Sums over the tasks that are done: tasks, frames, packets, bytes, flows, and the cpu_seconds of the processes that made the
        rows, while they made them."""
        done = self._told.value.values()
        names = ("frames", "packets", "bytes", "flows", "cpu_seconds")
        return {"tasks": len(done), **{name: sum(counts[name] for counts in done) for name in names}}

    def tell(self, metrics: Any) -> None:
        """Adds what was counted since the last call to metrics of the driver."""
        for task, counts in self._told.value.items():
            if task not in self._passed_on:
                self._passed_on.add(task)
                metrics.observe_counts(counts["frames"], counts["packets"], counts["bytes"], counts["reasons"], counts["skipped"])


class _ByTask(AccumulatorParam[dict[Any, Any]]):
    """The counts of each task; those of a task that ran again are the same."""

    def zero(self, value: dict[Any, Any]) -> dict[Any, Any]:
        return {}

    def addInPlace(self, value1: dict[Any, Any], value2: dict[Any, Any]) -> dict[Any, Any]:
        return {**value1, **value2}


def read(
    spark: SparkSession, path: str | os.PathLike[str] | Sequence[str], *, counts: Counts | None = None, **options: Any
) -> DataFrame:
    """The same rows as ``spark.read.format("joyfuljay")``, with the counts of the tasks."""
    chosen = _Options({**options, "paths": json.dumps([os.fspath(p) for p in ([path] if isinstance(path, (str, os.PathLike)) else path)])})
    schema = _spark_schema(chosen)
    pieces = chosen.plan()
    told = counts._told if counts is not None else None
    job = uuid.uuid4().hex

    def tasks(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                piece = pieces[number]

                def tell(summary: Any, cpu_seconds: float, number: int = number) -> None:
                    if told is not None:
                        told.add({(job, number): {**_plain_counts(summary), "cpu_seconds": cpu_seconds}})

                yield from _rows(piece, chosen, schema, tell)

    frame = spark.range(0, len(pieces), 1, len(pieces))
    return frame.mapInArrow(tasks, schema)


def _plain_counts(summary: Any) -> dict[str, Any]:
    counts = {name: getattr(summary, name) for name in ("frames", "packets", "bytes", "flows")}
    return {**counts, "reasons": dict(summary.end_reasons), "skipped": dict(summary.skipped)}
