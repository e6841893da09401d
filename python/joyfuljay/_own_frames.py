"""Rows with features of the user's own, in the form that was asked for.

The native columns have the types that they have without such features, whatever the values of a batch are: what is made
of them later (a model, a file, a concat) relies on that. Only the user's columns have their types from their values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from . import _extras
from ._frames import DtypeBackend, OutputFormat, from_arrow, numeric, text_type
from ._native import Table

if TYPE_CHECKING:
    from pandas import DataFrame

Row = dict[str, Any]


def from_dicts(
    rows: Sequence[Row],
    native: Table,
    own: Sequence[str],
    output_format: OutputFormat,
    dtype_backend: DtypeBackend = None,
    never_null: Collection[str] = (),
) -> Any:
    """The rows in a format that ``_frames.check`` has passed.

    ``native`` is a table of the native columns, of which only the types are used; ``own`` names the columns after them.
    """
    if output_format == "dict":
        return list(rows)
    columns = {name: [row.get(name) for row in rows] for name in own}
    if output_format == "polars":
        return _polars(rows, native, columns)
    if output_format == "arrow":
        return _arrow(rows, native, columns)
    if output_format == "numpy":
        return _numpy(rows, native, columns)
    return _pandas(rows, native, columns, dtype_backend, never_null)


def _polars(rows: Sequence[Row], native: Table, own: dict[str, list[Any]]) -> Any:
    polars = _extras.need("polars", "polars", "polars")
    schema = dict(polars.DataFrame(native).schema)
    for name, values in own.items():
        if _are_unknown(values):
            schema[name] = polars.Float64
    data = {**{name: [row[name] for row in rows] for name in native.column_names}, **own}
    return polars.DataFrame(data, schema_overrides=schema, strict=False)


def _arrow(rows: Sequence[Row], native: Table, own: dict[str, list[Any]]) -> Any:
    pyarrow = _extras.need("pyarrow", "arrow", "arrow")
    table = pyarrow.Table.from_pylist(list(rows), schema=pyarrow.table(native).schema)
    for name, values in own.items():
        kind = pyarrow.float64() if _are_unknown(values) else None
        try:
            column = pyarrow.array(values, kind)
        except pyarrow.ArrowException as error:
            raise type(error)(f"feature '{name}': {error}") from None
        table = table.append_column(name, column)
    return table


def _numpy(rows: Sequence[Row], native: Table, own: dict[str, list[Any]]) -> Any:
    """A matrix of the native numbers and of those own columns that have nothing but numbers."""
    numpy = _extras.need("numpy", "numpy", "numpy")
    columns = {name: [row[name] for row in rows] for name in native.numeric_columns}
    columns.update((name, values) for name, values in own.items() if all(v is None or _is_number(v) for v in values))
    matrix = numpy.empty((len(rows), len(columns)))
    for place, values in enumerate(columns.values()):
        matrix[:, place] = [float("nan") if v is None else float(v) for v in values]
    return matrix


def _pandas(
    rows: Sequence[Row], native: Table, own: dict[str, list[Any]], dtype_backend: DtypeBackend, never_null: Collection[str]
) -> DataFrame:
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    if _extras.has("pyarrow"):
        frame = from_arrow(_arrow(rows, native, {}), dtype_backend, never_null)
    else:
        columns = {name: [row[name] for row in rows] for name in native.column_names}
        made = {name: _series(values, native, name, dtype_backend, never_null) for name, values in columns.items()}
        frame = pandas.DataFrame(made)
    series = {name: pandas.Series(values, dtype="float64" if _are_unknown(values) else None) for name, values in own.items()}
    users = pandas.DataFrame(series, columns=list(own))
    if dtype_backend is not None:
        users = users.convert_dtypes(dtype_backend=dtype_backend)
    joined: DataFrame = pandas.concat([frame, users], axis=1)
    return joined


def _series(values: list[Any], native: Table, name: str, dtype_backend: DtypeBackend, never_null: Collection[str]) -> Any:
    """A native column for pandas without pyarrow, of the type that ``_frames`` gives it there."""
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    numpy = _extras.need("numpy", "numpy", "output_format='dataframe'")
    if name in native.numeric_columns:
        dtype = numpy.asarray(native.masked(name)[0]).dtype
        mask = numpy.array([v is None for v in values], dtype=bool)
        known = numpy.array([0 if v is None else v for v in values], dtype=dtype)
        return pandas.Series(numeric(known, mask, dtype_backend, name, never_null))
    objects = numpy.empty(len(values), dtype=object)
    objects[:] = values
    text = "string" if dtype_backend else text_type()
    return pandas.Series(objects, dtype=text if name in native.string_columns else object)


def _are_unknown(values: list[Any]) -> bool:
    return all(v is None for v in values)


def _is_number(value: object) -> bool:
    # numpy's truth value is the one of its numbers that is not registered as a number.
    return isinstance(value, (Real, Integral)) or type(value).__name__ in ("bool_", "bool")
