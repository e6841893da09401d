"""What Kafka output says to a metrics sink: each error at the stage output, and where prometheus_client is installed, families."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from .. import _extras
from ..monitoring.prometheus import PrometheusMetrics

_lock = threading.Lock()
_families: weakref.WeakKeyDictionary[Any, dict[str, dict[str, Any]]] = weakref.WeakKeyDictionary()


class KafkaMetrics:
    """The figures of one topic."""

    def __init__(self, sink: Any, topic: str) -> None:
        self._sink = sink
        self._topic = topic
        self._of: dict[str, Any] = {}
        registry = sink.registry if isinstance(sink, PrometheusMetrics) else None
        if registry is not None and _extras.has("prometheus_client"):
            with _lock:
                spaces = _families.setdefault(registry, {})
                if sink.namespace not in spaces:
                    spaces[sink.namespace] = _make(sink.namespace, registry)
            families = spaces[sink.namespace]
            self._failures = families["failures"]
            self._of = {name: family.labels(topic) for name, family in families.items() if name != "failures"}

    def delivered(self, rows: int, size: int, seconds: float) -> None:
        """Rows of a message that a broker has acknowledged, so long after they were written."""
        if self._of:
            self._of["rows"].inc(rows)
            self._of["bytes"].inc(size)
            self._of["latency"].observe(seconds)
            self._of["success"].set_to_current_time()

    def failed(self, rows: int, reason: str, error: Exception) -> None:
        """Rows of a message that will not be delivered."""
        if self._sink is not None:
            for _ in range(rows):
                self._sink.observe_error("output", error)
        if self._of:
            self._failures.labels(self._topic, reason).inc(rows)

    def retried(self, count: int) -> None:
        """Messages or requests that were sent again."""
        if self._of:
            self._of["retries"].inc(count)

    def waiting(self, rows: int) -> None:
        """Rows that are not acknowledged yet."""
        if self._of:
            self._of["queue"].set(rows)


def _make(namespace: str, registry: Any) -> dict[str, Any]:
    from prometheus_client import Counter, Gauge, Histogram

    def of(kind: Any, name: str, meaning: str, labels: tuple[str, ...] = ("topic",), **more: Any) -> Any:
        return kind(f"{namespace}_kafka_{name}", meaning, labels, registry=registry, **more)

    return {
        "rows": of(Counter, "rows_total", "Rows that a broker has acknowledged."),
        "bytes": of(Counter, "bytes_total", "Bytes of the values and keys that a broker has acknowledged."),
        "retries": of(Counter, "retries_total", "Requests that were sent again, and rows that a new producer sent again."),
        "failures": of(Counter, "failures_total", "Rows that were not delivered, by reason.", ("topic", "reason")),
        "queue": of(Gauge, "queue_depth", "Rows that wait for an acknowledgement."),
        "latency": of(
            Histogram,
            "delivery_duration_seconds",
            "Time from writing a message to its acknowledgement.",
            buckets=(0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120),
        ),
        "success": of(Gauge, "last_success_timestamp_seconds", "When a broker last acknowledged a row, Unix time."),
    }
