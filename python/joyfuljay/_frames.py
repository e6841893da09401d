"""Rows in the form that the user asked for. A native table goes to each library through the Arrow C stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from . import _extras
from ._native import Table

if TYPE_CHECKING:
    from pandas import DataFrame

OutputFormat = Literal["dataframe", "pandas", "polars", "arrow", "numpy", "dict", "table"]

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


def convert(table: Table, output_format: OutputFormat) -> Any:
    """The table in a format that :func:`check` has passed."""
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
    return _pandas(table)


def text_type() -> Any:
    """What pandas has text as: its own type as of pandas 3; an older one would write None as text."""
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    return "str" if int(pandas.__version__.split(".")[0]) >= 3 else object


def _pandas(table: Table) -> DataFrame:
    pandas = _extras.need("pandas", "pandas", "output_format='dataframe'")
    if _extras.has("pyarrow"):
        import pyarrow

        # In blocks, which pyarrow makes in parallel: a block for each column takes twice as long and no less memory.
        arrow: DataFrame = pyarrow.table(table).to_pandas()
        return arrow
    # Without pyarrow: one copy of each column.
    numpy = _extras.need("numpy", "numpy", "output_format='dataframe'")
    columns = {}
    strings = set(table.string_columns)
    text = text_type()
    for name in table.column_names:
        column = table.column(name)
        if isinstance(column, list):
            objects = numpy.empty(len(column), dtype=object)
            objects[:] = column
            columns[name] = pandas.Series(objects, dtype=text if name in strings else object)
        else:
            columns[name] = pandas.Series(numpy.asarray(column), copy=False)
    frame: DataFrame = pandas.DataFrame(columns, columns=table.column_names)
    return frame
