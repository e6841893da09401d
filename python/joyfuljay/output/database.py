"""Rows into a database: comes with a later version, and says so."""

from .._gone import gone

ADVICE = "rows into a database come with a later version; until then use pandas.DataFrame.to_sql"

__getattr__ = gone(__name__, {"*": ADVICE})
