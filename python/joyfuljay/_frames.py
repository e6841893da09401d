"""Rows in the form that the user asked for. A native table goes to each library through the Arrow C stream."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal

from . import _extras
from ._native import Table

if TYPE_CHECKING:
    from pandas import DataFrame

#: Types of a DataFrame's columns: those of numpy where they can hold what is not known, those of pandas that can, or Arrow's.
DtypeBackend = Literal["numpy_nullable", "pyarrow"] | None
#: What times are instead of seconds as float64, which are exact to some 200 ns.
Times = Literal["datetime", "ns"] | None
OutputFormat = Literal["dataframe", "pandas", "polars", "arrow", "numpy", "dict", "table"]

#: Whole numbers that name something and are never added up: no floats, also where some are not known.
_PORTS = frozenset(("src_port", "dst_port"))

#: Columns of times, and those of the group `timestamps`, which have them to the nanosecond.
TIME_NAMES = frozenset(("start_time", "end_time", "time_first", "time_last"))
TIMESTAMP_NAMES = ("start_timestamp", "end_timestamp")

#: As many packets of a flow as `max_sequence_length` may be.
_MOST_PAD = 65_535

_FORMATS = "dataframe (or pandas), polars, arrow, numpy, dict, table"


def default_format() -> OutputFormat:
    """A DataFrame where pandas is installed, else the table as it is."""
    return "dataframe" if _extras.has("pandas") else "table"


def check(output_format: str | None) -> OutputFormat:
    """The format by its name, or a ValueError with those that there are."""
    if output_format is None:
        return default_format()
    name = {"pandas": "dataframe", "pyarrow": "arrow", "dicts": "dict"}.get(output_format, output_format)
    if name not in ("dataframe", "polars", "arrow", "numpy", "dict", "table"):
        raise ValueError(f"output_format = {output_format!r}: must be {_FORMATS}")
    if name == "dataframe":
        _extras.need("pandas", "pandas", "output_format='dataframe'")
    elif name == "polars":
        _extras.need("polars", "polars", "output_format='polars'")
    elif name == "arrow":
        _extras.need("pyarrow", "arrow", "output_format='arrow'")
    elif name == "numpy":
        _extras.need("numpy", "numpy", "output_format='numpy'")
    return name  # type: ignore[return-value]


def check_backend(dtype_backend: str | None, output_format: OutputFormat) -> DtypeBackend:
    """The types of a DataFrame by their name, or a ValueError with those that there are."""
    if dtype_backend is None:
        return None
    if dtype_backend not in ("numpy_nullable", "pyarrow"):
        raise ValueError(f"dtype_backend = {dtype_backend!r}: must be numpy_nullable or pyarrow, or left out")
    if output_format != "dataframe":
        raise ValueError(f"dtype_backend: is of a DataFrame of pandas, not of output_format={output_format!r}; leave it out")
    if dtype_backend == "pyarrow":
        _extras.need("pyarrow", "arrow", "dtype_backend='pyarrow'")
    return dtype_backend  # type: ignore[return-value]


def check_shape(times: str | None, pad: int | None, output_format: OutputFormat) -> None:
    """Raises a ValueError where these cannot be had in this format."""
    if times not in (None, "datetime", "ns"):
        raise ValueError(f"times = {times!r}: must be datetime or ns, or left out for seconds as float64")
    if times is not None and output_format == "numpy":
        raise ValueError("times: a matrix of float64 has no exact times; leave it out, or choose another output_format")
    if pad is not None and (isinstance(pad, bool) or not isinstance(pad, int) or not 1 <= pad <= _MOST_PAD):
        raise ValueError(f"pad = {pad!r}: must be a whole number from 1 to {_MOST_PAD}, or left out for sequences of their own lengths")


def convert(
    table: Table, output_format: OutputFormat, dtype_backend: DtypeBackend = None, never_null: Collection[str] = ()
) -> Any:
    """The table in a format that :func:`check` has passed. ``never_null`` names the columns that have no nulls in any capture."""
    if output_format == "table":
        return table
    if output_format == "dict":
        return table.to_dicts()
    if output_format == "polars":
        return _extras.need("polars", "polars", "polars").DataFrame(table)
    if output_format == "arrow":
        return _extras.need("pyarrow", "arrow", "arrow").table(table)
    if output_format == "numpy":
        return _extras.need("numpy", "numpy", "numpy").asarray(table.numeric_matrix())
    return _pandas(table, dtype_backend, never_null)


def text_type() -> Any:
    """What pandas has text as: its own type as of pandas 3; an older one would write None as text."""
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    return "str" if int(pandas.__version__.split(".")[0]) >= 3 else object


def _pandas(table: Table, dtype_backend: DtypeBackend, never_null: Collection[str]) -> DataFrame:
    """The types of the columns follow from their names, never from the values of a capture."""
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    if _extras.has("pyarrow"):
        import pyarrow

        frame: DataFrame = from_arrow(pyarrow.table(table), dtype_backend, never_null)
        return frame
    # Without pyarrow: one copy of each column.
    numpy = _extras.need("numpy", "numpy", "output_format='dataframe'")
    columns = {}
    strings, numbers, times = set(table.string_columns), set(table.numeric_columns), set(table.time_columns)
    text = "string" if dtype_backend else text_type()
    for name in table.column_names:
        if name in numbers:
            values, mask = (numpy.asarray(part) for part in table.masked(name))
            columns[name] = pandas.Series(numeric(values, mask, dtype_backend, name, never_null), copy=False)
        elif name in times:
            values, mask = (numpy.asarray(part) for part in table.masked(name))
            stamps = pandas.Series(numpy.where(mask, numpy.datetime64("NaT"), values.astype("datetime64[ns]")))
            columns[name] = stamps.dt.tz_localize("UTC")
        else:
            column: Any = table.column(name)
            objects = numpy.empty(len(column), dtype=object)
            objects[:] = column
            columns[name] = pandas.Series(objects, dtype=text if name in strings else object)
    made: DataFrame = pandas.DataFrame(columns, columns=table.column_names)
    return made


def from_arrow(table: Any, dtype_backend: DtypeBackend, never_null: Collection[str]) -> Any:
    """A pyarrow table as a DataFrame."""
    import pandas
    import pyarrow

    if dtype_backend == "pyarrow":
        return table.to_pandas(types_mapper=pandas.ArrowDtype)
    nullable = {pyarrow.bool_(): pandas.BooleanDtype()}
    if dtype_backend == "numpy_nullable":
        nullable |= {
            pyarrow.int64(): pandas.Int64Dtype(),
            pyarrow.float64(): pandas.Float64Dtype(),
            pyarrow.string(): pandas.StringDtype(),
        }
    else:
        # A whole number that may be missing is float64 also where none is missing.
        types = [
            pyarrow.float64()
            if pyarrow.types.is_integer(field.type) and field.name not in never_null and field.name not in _PORTS
            else field.type
            for field in table.schema
        ]
        fields = [field.with_type(kind) for field, kind in zip(table.schema, types, strict=True)]
        table = table.cast(pyarrow.schema(fields), safe=False)
    # In blocks, which pyarrow makes in parallel: a block for each column takes twice as long and no less memory.
    frame = table.to_pandas(types_mapper=nullable.get)
    if dtype_backend is None:
        whole = {name: "bool" for name in never_null if str(frame.dtypes.get(name)) == "boolean"}
        whole |= {name: "Int64" for name in _PORTS if name in frame.columns and name not in never_null}
        frame = frame.astype(whole) if whole else frame
    return frame


def numeric(values: Any, mask: Any, dtype_backend: DtypeBackend, name: str, never_null: Collection[str]) -> Any:
    """A column of numbers or truth values for pandas, from an array of them and one that is true where a value is not known."""
    import numpy
    import pandas

    if dtype_backend == "numpy_nullable" or (name in _PORTS and name not in never_null):
        made = {"i": pandas.arrays.IntegerArray, "f": pandas.arrays.FloatingArray, "b": pandas.arrays.BooleanArray}
        return made[values.dtype.kind](values, mask)
    if name in never_null:
        return values
    if values.dtype.kind == "b":
        return pandas.arrays.BooleanArray(values, mask)
    return numpy.where(mask, numpy.nan, values)
