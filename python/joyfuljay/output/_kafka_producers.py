"""Producers for :class:`joyfuljay.output.KafkaWriter`: librdkafka's, set up so that no row is lost silently, or one of the caller's."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from .. import _extras, _warnings

log = logging.getLogger("joyfuljay.output.kafka")

# Its errors come to us as such too; who wants its own lines sets the level.
_librdkafka = log.getChild("librdkafka")
_librdkafka.setLevel(logging.CRITICAL)

#: Rows and bytes that may wait: with the copies for sending again, twice as many bytes of memory. Full is back-pressure.
_QUEUE_ROWS = 100_000
_QUEUE_KIB = 64 * 1024

#: How long one question to a broker may take; several fit into the ten seconds of a start.
_ASK_SECONDS = 2.0

#: librdkafka's own bound of a batch, where the topic's is not lower.
_BATCH_BYTES = 1_000_000

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

Report = Callable[[Any, Any], None]


def settings(
    brokers: list[str],
    acks: str | int,
    compression_type: str | None,
    linger_ms: int | None,
    client_id: str | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """The properties of librdkafka; those of the caller come last."""
    codec = "none" if compression_type is None else compression_type
    if codec not in CODECS:
        raise ValueError(f"compression_type must be one of {', '.join(CODECS)}, not {compression_type!r}")
    every = str(acks) in ("all", "-1")
    if not every:
        _warnings.warn([f"acks={acks!r}: rows can be lost without a word when a broker fails; 'all' is safe"], _warnings.ConfigWarning)
    found: dict[str, Any] = {
        "bootstrap.servers": ",".join(brokers),
        "client.id": "joyfuljay" if client_id is None else client_id,
        "acks": "all" if every else str(acks),
        "enable.idempotence": every,
        # As the Java clients do, so that a key has one partition whoever writes it.
        "partitioner": "murmur2_random",
        "compression.type": codec,
        "queue.buffering.max.messages": _QUEUE_ROWS,
        "queue.buffering.max.kbytes": _QUEUE_KIB,
    }
    if linger_ms is not None:
        found["linger.ms"] = linger_ms
    return found | dict(more)


def open_producer(config: Mapping[str, Any], on_error: Callable[[Any], None], on_figures: Callable[[str], None] | None) -> Any:
    """A producer of confluent-kafka."""
    kafka = _confluent()
    more = {} if on_figures is None else {"stats_cb": on_figures, "statistics.interval.ms": 1000}
    try:
        return kafka.Producer({**config, **more, "error_cb": on_error, "logger": _librdkafka})
    except kafka.KafkaException as error:
        raise ValueError(f"Kafka output with compression {config.get('compression.type')}: {error.args[0].str()}") from None


def check(config: Mapping[str, Any], topic: str, seconds: float) -> int:
    """Waits until the topic is seen, at most so long: ConnectionError says why it is not. Gives the bytes that a batch may have."""
    kafka = _confluent()
    admins = _extras.need("confluent_kafka.admin", "kafka", "Kafka output")
    seen: list[Any] = []
    connection = {k: v for k, v in config.items() if k in _OF_CONNECTIONS or k.split(".")[0] in ("sasl", "ssl", "security", "socket")}
    try:
        admin = admins.AdminClient({**connection, "error_cb": seen.append, "logger": _librdkafka})
    except kafka.KafkaException as error:
        raise ValueError(f"Kafka output: {error.args[0].str()}") from None
    brokers = config["bootstrap.servers"]
    mechanism = config.get("sasl.mechanism", config.get("sasl.mechanisms", "GSSAPI"))
    until = time.monotonic() + seconds
    why = "no answer"
    while (left := until - time.monotonic()) > 0:
        try:
            described = admin.list_topics(topic, timeout=max(0.1, min(left, _ASK_SECONDS))).topics[topic]
            if described.error is None:
                break
            why = f"topic {topic!r}: {described.error.str()}; create it, or have the broker create topics"
        except kafka.KafkaException as error:
            why = error.args[0].str()
        admin.poll(0.2)
        refused = [e for e in seen if e.code() in (kafka.KafkaError._AUTHENTICATION, kafka.KafkaError.SASL_AUTHENTICATION_FAILED)]
        if refused:
            raise ConnectionError(f"Kafka at {brokers} refuses the login by {mechanism}: {refused[-1].str()}")
        if seen and not why.startswith("topic"):
            why = next((e for e in reversed(seen) if e.code() != kafka.KafkaError._ALL_BROKERS_DOWN), seen[-1]).str()
    else:
        raise ConnectionError(f"Kafka at {brokers} is not ready after {seconds:g} s: {why}")
    try:
        resource = admins.ConfigResource(admins.ConfigResource.Type.TOPIC, topic)
        found = admin.describe_configs([resource], request_timeout=_ASK_SECONDS)[resource].result(2 * _ASK_SECONDS)
        return min(_BATCH_BYTES, int(found["max.message.bytes"].value))
    except Exception as error:  # not every user may read the settings of a topic
        log.debug("the size limit of topic %s is not known: %s", topic, error)
        return _BATCH_BYTES


def is_fatal(error: Any) -> bool:
    """Whether a producer can do nothing more after this error."""
    fatal = getattr(error, "fatal", None)
    return callable(fatal) and fatal() is True or reason(error) in _FATAL


def was_purged(error: Any) -> bool:
    """Whether the message was thrown out of the queue, rather than refused."""
    return reason(error) in ("_PURGE_QUEUE", "_PURGE_INFLIGHT")


def reason(error: Any) -> str:
    """Short name of an error."""
    name = getattr(error, "name", None)
    return str(name()) if callable(name) else type(error).__name__


def text(error: Any) -> str:
    """What an error says, for people."""
    said = getattr(error, "str", None)
    return str(said()) if callable(said) else str(error)


class SendProducer:
    """A producer with ``send`` and ``flush`` (that of kafka-python, or a stand-in), with the methods of confluent-kafka's."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._waiting: list[Report] = []

    def produce(self, topic: str, value: bytes, key: bytes | None, on_delivery: Report) -> None:
        future = self._producer.send(topic, value=value, key=key)
        if hasattr(future, "add_callback") and hasattr(future, "add_errback"):
            future.add_callback(lambda sent: on_delivery(None, sent))
            future.add_errback(lambda error: on_delivery(error, None))
        else:
            # It says nothing of the single message: flush has to.
            self._waiting.append(on_delivery)

    def flush(self, timeout: float) -> None:
        flush = self._producer.flush
        error = None
        try:
            try:
                inspect.signature(flush).bind(timeout=timeout)
            except (TypeError, ValueError):
                flush()
            else:
                flush(timeout=timeout)
        except Exception as failed:
            error = failed
        waiting, self._waiting = self._waiting, []
        for report in waiting:
            report(error, None)
        if error is not None:
            log.warning("flush of the producer: %s", error)

    def close(self) -> None:
        if hasattr(self._producer, "close"):
            self._producer.close()

    def poll(self, timeout: float) -> None:
        if timeout:
            time.sleep(timeout)


#: What breaks the sequence of an idempotent producer.
_FATAL = ("_FATAL", "OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED")

_OF_CONNECTIONS = ("bootstrap.servers", "client.id", "broker.address.family", "enable.ssl.certificate.verification", "plugin.library.paths")


def _confluent() -> Any:
    return _extras.need("confluent_kafka", "kafka", "Kafka output")
