"""Rows into a Kafka topic: each of them is acknowledged by the brokers, or counted with the reason why it is not."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from .. import _extras
from .._errors import JoyfulJayError
from ._kafka_metrics import KafkaMetrics
from ._kafka_producers import SendProducer, check, is_fatal, log, open_producer, reason, settings, text, was_purged
from ._kafka_values import as_arrow, as_json, as_key

__all__ = ["KafkaDeliveryError", "KafkaWriter", "is_kafka_available", "to_kafka"]

#: Reports are looked at so often also while no row is written.
_POLL_SECONDS = 0.5

#: New producers in a row without one acknowledgement between them: then the fault is not the producer's state.
_MOST_REBUILDS = 3


def is_kafka_available() -> bool:
    """Whether rows can be sent to Kafka: confluent-kafka is installed (``pip install 'joyfuljay[kafka]'``)."""
    return _extras.has("confluent_kafka")


class KafkaDeliveryError(JoyfulJayError):
    """Rows were not acknowledged: ``undelivered`` of them, ``reasons`` says how many for which; ``delivered`` were."""

    __module__ = "joyfuljay.output.kafka"

    def __init__(self, topic: str, delivered: int, reasons: Mapping[str, int], of_brokers: Iterable[str] = ()) -> None:
        self.delivered = delivered
        self.reasons = dict(reasons)
        self.undelivered = sum(reasons.values())
        each = ", ".join(f"{why}: {rows}" for why, rows in sorted(reasons.items()))
        said = "".join(f"; {one}" for one in of_brokers)
        super().__init__(f"{self.undelivered} rows for topic {topic!r} were not delivered ({each}); {delivered} were{said}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Exception.__new__, (type(self),), self.__dict__ | {"args": self.args})


class _Message(NamedTuple):
    key: bytes | None
    value: bytes
    rows: int
    written: float


class KafkaWriter:
    """Writes feature rows to a Kafka topic, one message a row.

    A message's value is the row as JSON; with ``value_format="arrow"`` it is a stream of Arrow IPC with up to ``batch_size``
    rows, which leaves after a second at the latest. Its key is that of ``key_field`` (text in UTF-8, numbers in decimal,
    true and false), null where the row has no value there; its time is that of writing.

    The producer is idempotent and waits for all in-sync replicas. ``write`` waits while the queue is full. A row that the
    brokers refuse for good is counted and the next ones pass. ``close`` returns when every row is acknowledged, and
    raises :class:`KafkaDeliveryError` when one is refused or ``close_timeout`` seconds have not been enough.

    At the start the topic has to be seen within ``start_timeout`` seconds, else ConnectionError; 0 starts without a broker.
    ``config`` has further properties of librdkafka (``sasl.*``, ``ssl.*``, ``security.protocol``…). ``producer`` is one of your
    own, with the methods of confluent-kafka's or of kafka-python's; it is closed with the writer. ``metrics`` hears of errors at
    the stage ``output``; a ``PrometheusMetrics`` shows the families ``joyfuljay_kafka_*``.

    A writer belongs to the process that made it; its methods may be called from several threads.
    """

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
        *,
        value_format: Literal["json", "arrow"] = "json",
        start_timeout: float = 10.0,
        close_timeout: float = 60.0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        names = [name.strip() for name in (brokers.split(",") if isinstance(brokers, str) else brokers)]
        names = [name for name in names if name]
        if not names:
            raise ValueError("Kafka brokers list cannot be empty")
        if value_format not in ("json", "arrow"):
            raise ValueError(f"value_format must be json or arrow, not {value_format!r}")
        if value_format == "arrow" and key_field is not None:
            raise ValueError("key_field does not go with value_format='arrow': a message has rows of several keys")
        self.topic = topic
        self.key_field = key_field
        self.batch_size = max(1, batch_size)
        self._arrow = value_format == "arrow"
        self._close_timeout = close_timeout
        self._pid = os.getpid()
        # The producer and what is handed to it; held while it is asked, never by its reports.
        self._io = threading.RLock()
        # Counters and messages; held for moments.
        self._state = threading.Lock()
        self._rows: list[Mapping[str, Any]] = []
        self._messages: dict[int, _Message] = {}
        self._next = self._written = self._delivered = self._waiting = self._again = self._rebuilds = self._requests_again = 0
        self._failed: Counter[str] = Counter()
        self._fatal: Any = None
        self._replacing = False
        self._said: set[str] = set()
        #: What was said of brokers since they last acknowledged a row, by its kind.
        self._said_of_brokers: dict[str, str] = {}
        self._closed = threading.Event()
        self._metrics = KafkaMetrics(metrics, topic)
        self._config: dict[str, Any] | None = None
        if producer is None:
            self._config = settings(names, acks, compression_type, linger_ms, client_id, config or {})
            self._with_figures = metrics is not None
            if start_timeout > 0:
                # A batch above the topic's limit would be refused with all its rows.
                self._config.setdefault("batch.size", check(self._config, topic, start_timeout))
            self._producer = self._open()
        else:
            self._producer = producer if hasattr(producer, "produce") else SendProducer(producer)
        _open.add(self)
        threading.Thread(target=self._serve, name=f"joyfuljay-kafka-{topic}", daemon=True).start()

    def write(self, features: Mapping[str, Any]) -> None:
        """Sends one row; waits while the queue is full."""
        self._usable()
        if self._arrow:
            with self._io:
                self._rows.append(dict(features))
                with self._state:
                    self._written += 1
                    self._waiting += 1
                if len(self._rows) >= self.batch_size:
                    self._send_rows()
            return
        key = None
        if self.key_field is not None:
            if self.key_field not in features:
                self._say("key", f"no field {self.key_field!r} in the row: the key is null")
            key = as_key(features.get(self.key_field))
        value = as_json(features)
        with self._state:
            self._written += 1
            self._waiting += 1
            written = self._written
        self._send(key, value, 1)
        if written % self.batch_size == 0:
            with self._io:
                if isinstance(self._producer, SendProducer):
                    self._producer.flush(self._close_timeout)
                else:
                    self._look(0)

    def write_many(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Sends rows; gives the number of rows written so far, those before included."""
        for row in rows:
            self.write(row)
        return self.rows_written

    def flush(self, timeout: float | None = None) -> None:
        """Waits until every row so far is acknowledged or refused; TimeoutError after ``timeout`` seconds (``close_timeout``)."""
        self._usable()
        self._await(self._close_timeout if timeout is None else timeout)
        if self.rows_pending:
            raise TimeoutError(f"{self.rows_pending} rows for topic {self.topic!r} are not acknowledged yet")

    def close(self) -> None:
        """Waits until every row is acknowledged and closes; KafkaDeliveryError says how many are not. A second call does nothing."""
        if self._closed.is_set():
            return
        self._usable()
        try:
            self._await(self._close_timeout)
        finally:
            self._closed.set()
            _open.discard(self)
            self._give_up()
        if self._failed:
            raise KafkaDeliveryError(self.topic, self._delivered, self._failed, self._said_of_brokers.values())

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a KafkaWriter belongs to the process that made it and cannot be handed to another: make one there")

    @property
    def rows_written(self) -> int:
        """Rows written so far: delivered, failed or pending."""
        return self._written

    @property
    def rows_delivered(self) -> int:
        """Rows that the brokers have acknowledged."""
        return self._delivered

    @property
    def rows_failed(self) -> dict[str, int]:
        """Rows that will not be delivered, by reason."""
        with self._state:
            return dict(self._failed)

    @property
    def rows_pending(self) -> int:
        """Rows that are neither delivered nor failed yet."""
        return self._waiting

    @property
    def rows_sent_again(self) -> int:
        """Rows that a new producer sent again after a fatal error of the old one: they may be in the topic twice."""
        return self._again

    def __enter__(self) -> KafkaWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if os.getpid() != self._pid:
            # A child that leaves the block of its parent: the rows are the parent's.
            return
        try:
            self.close()
        except KafkaDeliveryError as lost:
            # What ended the block is not hidden by what came of it.
            if error is None:
                raise
            log.error("%s", lost)

    def _usable(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError(f"this KafkaWriter belongs to process {self._pid}, and its connection too: make one in each process")
        if self._closed.is_set():
            raise ValueError("the KafkaWriter is closed")

    def _open(self) -> Any:
        return open_producer(self._config or {}, self._on_error, self._on_figures if self._with_figures else None)

    def _send_rows(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._send(None, as_arrow(rows), len(rows))

    def _send(self, key: bytes | None, value: bytes, rows: int) -> None:
        with self._io:
            with self._state:
                number = self._next
                self._next += 1
                self._messages[number] = _Message(key, value, rows, time.monotonic())
            self._produce(number)

    def _produce(self, number: int) -> None:
        """Hands a message to the producer, when that has room."""
        producer = self._producer
        # A new producer is given what the old one had, this message included.
        while producer is self._producer and (message := self._messages.get(number)) is not None:
            try:
                producer.produce(self.topic, value=message.value, key=message.key, on_delivery=functools.partial(self._report, number))
                return
            except BufferError:
                self._look(0.1)
            except Exception as raised:
                error = raised.args[0] if raised.args and hasattr(raised.args[0], "name") else raised
                if self._fatal is None and not self._can_rebuild(error):
                    self._end(number, error)
                else:
                    self._fatal = self._fatal or error
                    self._rebuild()
                return

    def _look(self, seconds: float) -> None:
        """Has the producer report, and replaces it where it has failed."""
        self._producer.poll(seconds)
        if self._fatal is not None and not self._replacing:
            self._rebuild()
        self._metrics.waiting(self._waiting)

    def _report(self, number: int, error: Any, _message: Any) -> None:
        """The fate of a message."""
        if error is not None and (self._fatal is not None or self._can_rebuild(error)):
            self._fatal = self._fatal or error
        elif error is None or not (self._replacing and was_purged(error)):
            self._end(number, error)

    def _end(self, number: int, error: Any) -> None:
        with self._state:
            message = self._messages.pop(number, None)
            if message is None:
                return
            self._waiting -= message.rows
            if error is None:
                self._delivered += message.rows
                self._rebuilds = 0
                self._said_of_brokers.clear()
            else:
                self._failed[reason(error)] += message.rows
        size = len(message.value) + len(message.key or b"")
        if error is None:
            self._metrics.delivered(message.rows, size, time.monotonic() - message.written)
            return
        self._say(reason(error), f"a message of {size} bytes was not delivered ({reason(error)}): {text(error)}; further ones are counted only")
        with contextlib.suppress(Exception):  # a metrics sink of the user's own ends nothing
            self._metrics.failed(message.rows, reason(error), error if isinstance(error, Exception) else OSError(text(error)))

    def _can_rebuild(self, error: Any) -> bool:
        return self._config is not None and is_fatal(error) and self._rebuilds < _MOST_REBUILDS

    def _rebuild(self) -> None:
        """A new producer for one that can do nothing more; it is given every message that is not acknowledged, in order."""
        self._replacing = True
        try:
            self._rebuilds += 1
            log.warning("topic %s: the producer failed (%s) and is replaced; what it had not delivered is sent again", self.topic, text(self._fatal))
            old = self._producer
            old.purge()
            # Acknowledgements that are there already count.
            old.poll(0)
            self._fatal = None
            self._requests_again = 0
            producer = self._producer = self._open()
        finally:
            self._replacing = False
        with self._state:
            numbers = list(self._messages)
            rows = sum(message.rows for message in self._messages.values())
            self._again += rows
        self._metrics.retried(rows)
        for number in numbers:
            if producer is self._producer:
                self._produce(number)

    def _await(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._io:
            self._send_rows()
        while self._waiting and (left := until - time.monotonic()) > 0:
            with self._io:
                if isinstance(self._producer, SendProducer):
                    self._producer.flush(left)
                self._look(min(left, 0.1) if self._waiting else 0)

    def _give_up(self) -> None:
        """Ends the producer; what it still has counts as not delivered."""
        with self._io:
            if self._config is not None and self._waiting:
                self._replacing = True
                self._producer.purge()
                # Acknowledgements that are there already count.
                self._producer.poll(0)
            for number in list(self._messages):
                self._end(number, TimeoutError(f"no acknowledgement within {self._close_timeout:g} s"))
            self._metrics.waiting(self._waiting)
            if self._config is None and hasattr(self._producer, "close"):
                self._producer.close()
            self._producer = None

    def _on_error(self, error: Any) -> None:
        if self._can_rebuild(error):
            self._fatal = self._fatal or error
        elif reason(error) not in self._said_of_brokers:
            # Once for each kind, until rows are delivered again: while a broker is away there are several a second.
            self._said_of_brokers[reason(error)] = text(error)
            log.warning("topic %s: %s", self.topic, text(error))

    def _on_figures(self, figures: str) -> None:
        now = sum(broker.get("txretries", 0) for broker in json.loads(figures)["brokers"].values())
        # A new producer begins at 0.
        self._metrics.retried(max(0, now - self._requests_again))
        self._requests_again = now

    def _say(self, about: str, message: str) -> None:
        """Once for each kind."""
        if about not in self._said:
            self._said.add(about)
            log.warning("topic %s: %s", self.topic, message)

    def _serve(self) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            try:
                with self._io:
                    if self._closed.is_set():
                        return
                    self._send_rows()
                    self._look(0)
            except Exception as error:
                self._say("poll", f"{type(error).__name__}: {error}")


def to_kafka(
    features: Iterable[Mapping[str, Any]],
    brokers: str | list[str],
    topic: str,
    key_field: str | None = None,
    batch_size: int = 1000,
    **options: Any,
) -> int:
    """Sends rows to a Kafka topic and gives their number, once every one is acknowledged; options are those of :class:`KafkaWriter`.

    Raises KafkaDeliveryError where one is not. An empty list asks no broker.
    """
    if isinstance(features, (list, tuple)) and not features:
        return 0
    with KafkaWriter(brokers, topic, key_field, batch_size, **options) as writer:
        writer.write_many(features)
    return writer.rows_delivered


_open: set[KafkaWriter] = set()


def _close_all() -> None:
    """Writers that nobody closed: their rows are sent yet."""
    for writer in list(_open):
        try:
            writer.close()
        except Exception as error:
            log.error("at the end of the process: %s", error)


def _after_fork_in_child() -> None:
    # librdkafka's threads are not copied, and to free its handle would wait for them: the child never does.
    for writer in _open:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(writer._producer))
    _open.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
