"""Kafka output: comes with a later version, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["KafkaWriter", "is_kafka_available", "to_kafka"]

_LATER = (
    "Kafka output comes with a later version of joyfuljay. Until then, give the rows of Pipeline.iter_features() to a "
    "producer of your own"
)


def is_kafka_available() -> bool:
    """Whether rows can be sent to Kafka: not in this version."""
    return False


class KafkaWriter:
    """Writes feature rows to a Kafka topic. Not in this version: making one raises NotImplementedError."""

    def __init__(
        self,
        brokers: str | list[str],
        topic: str,
        key_field: str | None = None,
        batch_size: int = 1000,
        acks: str | int = "all",
        compression_type: str | None = None,
        linger_ms: int | None = None,
        client_id: str | None = None,
        producer: Any | None = None,
        metrics: Any | None = None,
    ) -> None:
        raise NotImplementedError(_LATER)

    def write(self, features: dict[str, Any]) -> None:
        """Sends one row."""
        raise NotImplementedError(_LATER)

    def write_many(self, rows: Iterable[dict[str, Any]]) -> int:
        """Sends rows; gives their number."""
        raise NotImplementedError(_LATER)

    def close(self) -> None:
        """Sends what waits and closes the connection."""

    def __enter__(self) -> KafkaWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def to_kafka(
    features: Iterable[dict[str, Any]],
    brokers: str | list[str],
    topic: str,
    key_field: str | None = None,
    batch_size: int = 1000,
) -> int:
    """Sends rows to a Kafka topic. Not in this version: raises NotImplementedError."""
    raise NotImplementedError(_LATER)
