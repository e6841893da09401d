"""Where rows go besides files."""

from .kafka import KafkaWriter, is_kafka_available, to_kafka

__all__ = ["KafkaWriter", "is_kafka_available", "to_kafka"]
