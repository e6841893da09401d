"""What Kafka output says to a metrics sink: each error at the stage output; and to ours, all that there is."""

from __future__ import annotations

from typing import Any

from ..monitoring.prometheus import PrometheusMetrics


class KafkaMetrics:
    """The figures of one topic. Families and labels are those of the native table, which ``jj -f kafka`` feeds too."""

    def __init__(self, sink: Any, topic: str) -> None:
        self._sink = sink
        self._topic = topic
        self._native = sink if isinstance(sink, PrometheusMetrics) else None
        self._waiting = 0
        if self._native is not None:
            # From here on a rate sees the first row.
            self._native.observe_kafka(topic)

    def delivered(self, rows: int, size: int, seconds: float) -> None:
        """Rows of a message that a broker has acknowledged, so long after they were written."""
        if self._native is not None:
            self._waiting = max(0, self._waiting - rows)
            self._native.observe_kafka(self._topic, rows, size, seconds=[seconds], waiting=self._waiting)

    def failed(self, rows: int, reason: str, error: Exception) -> None:
        """Rows of a message that will not be delivered."""
        if self._native is not None:
            self._waiting = max(0, self._waiting - rows)
            self._native.observe_kafka(self._topic, failures=[(reason, rows)], waiting=self._waiting)
        elif self._sink is not None:
            for _ in range(rows):
                self._sink.observe_error("output", error)

    def retried(self, count: int) -> None:
        """Messages or requests that were sent again."""
        if self._native is not None:
            self._native.observe_kafka(self._topic, retries=count, waiting=self._waiting)

    def waiting(self, rows: int) -> None:
        """Rows that are not acknowledged yet."""
        if self._native is not None:
            self._waiting = rows
            self._native.observe_kafka(self._topic, waiting=rows)
