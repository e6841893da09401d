"""Rows as the bytes of Kafka messages."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _extras


def as_json(row: Mapping[str, Any]) -> bytes:
    """A row as valid JSON in UTF-8: what is no number (NaN, infinity) is null, as in the files of JSON Lines."""
    try:
        text = _dumps(row)
    except ValueError:
        text = _dumps(_finite(row))
    # Half a surrogate pair is no text in UTF-8.
    return text.encode("utf-8", "replace")


def as_arrow(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as one stream of Arrow IPC, without metadata of the schema."""
    pyarrow = _extras.need("pyarrow", "arrow", "value_format='arrow'")
    names = dict.fromkeys(name for row in rows for name in row)
    batch = pyarrow.RecordBatch.from_pydict({name: [row.get(name) for row in rows] for name in names}).replace_schema_metadata(None)
    out = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(out.getvalue())


def as_key(value: Any) -> bytes | None:
    """The key of a message: text in UTF-8, numbers in decimal, truth values as true and false; None for what is not known."""
    value = _plain(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode("utf-8", "replace")


def _dumps(row: Any) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain_or_text)


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's own."""
    to_list = getattr(value, "tolist", None)
    return value if to_list is None else to_list()


def _plain_or_text(value: Any) -> Any:
    plain = _plain(value)
    return plain if plain is not value else str(value)


def _finite(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
