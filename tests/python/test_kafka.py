"""KafkaWriter against producers of our own: the fate of each row, without a broker. tests/kafka has a real one."""

import json
import logging
import os
import pickle
import signal

import pytest

from joyfuljay.output import KafkaDeliveryError, KafkaWriter, is_kafka_available, kafka, to_kafka

ROWS = [{"src_ip": f"10.0.0.{i}", "total_packets": i, "iat_mean": i / 8} for i in range(10)]


class Error:
    """As confluent_kafka.KafkaError."""

    def __init__(self, name, fatal=False):
        self._name, self._fatal = name, fatal

    def name(self):
        return self._name

    def fatal(self):
        return self._fatal

    def __str__(self):
        return f"said {self._name}"


class Producer:
    """As confluent_kafka.Producer: reports come from poll; `fate` says of each value None, an error, or "never"."""

    def __init__(self, fate=lambda value: None, room=100):
        self.fate, self.room = fate, room
        self.sent, self.queue, self.acknowledged = [], [], []
        self.closed = self.purged = False
        self.polls = 0

    def produce(self, topic, value, key, on_delivery):
        if len(self.queue) >= self.room:
            raise BufferError("Local: Queue full")
        self.sent.append((topic, key, value))
        self.queue.append((value, on_delivery))

    def poll(self, timeout):
        self.polls += 1
        queue, self.queue = self.queue, []
        for value, report in queue:
            fate = self.fate(value)
            if fate == "never":
                self.queue.append((value, report))
            else:
                self.acknowledged += [value] if fate is None else []
                report(fate, None)

    def purge(self):
        self.purged = True
        queue, self.queue = self.queue, []
        for _, report in queue:
            report(Error("_PURGE_QUEUE"), None)

    def close(self):
        self.closed = True


class OldProducer:
    """As the stand-ins for kafka-python's that code for joyfuljay 0.1 has."""

    def __init__(self, error=None):
        self.sent, self.error = [], error
        self.flushed = self.closed = 0

    def send(self, topic, value=None, key=None):
        self.sent.append((topic, key, value))

    def flush(self):
        self.flushed += 1
        if self.error:
            raise self.error

    def close(self):
        self.closed += 1


def number(value):
    return json.loads(value)["total_packets"]


def test_each_row_is_a_message_of_json():
    producer = Producer()
    with KafkaWriter("unused:9092", "rows", key_field="src_ip", producer=producer) as writer:
        assert writer.write_many(ROWS[:4]) == 4
        assert writer.write_many(ROWS[4:]) == 10
    assert producer.closed
    assert producer.sent == [("rows", r["src_ip"].encode(), json.dumps(r, separators=(",", ":")).encode()) for r in ROWS]
    assert (writer.rows_written, writer.rows_delivered, writer.rows_pending, writer.rows_failed) == (10, 10, 0, {})
    writer.close()
    with pytest.raises(ValueError, match="is closed"):
        writer.write(ROWS[0])


def test_values_are_valid_json():
    numpy = pytest.importorskip("numpy")
    producer = Producer()
    row = {
        "nan": float("nan"),
        "list": [1.5, float("inf"), None],
        "f32": numpy.float32("nan"),
        "i64": numpy.int64(3),
        "array": numpy.array([1.0, numpy.nan]),
        "text": "ü\ud800",
        "truth": True,
    }
    to_kafka([row, {"array": numpy.array([1, 2])}], "unused", "rows", producer=producer)
    values = [json.loads(value, parse_constant=pytest.fail) for _, _, value in producer.sent]
    assert values[0] == {
        "nan": None, "list": [1.5, None, None], "f32": None, "i64": 3, "array": [1.0, None], "text": "ü?", "truth": True,
    }
    assert values[1] == {"array": [1, 2]}


def test_keys():
    producer = Producer()
    values = ["ü", 7, 0.5, True, None, float("nan"), b"\xff", ""]
    to_kafka(({"k": v} for v in values if v != b"\xff"), "unused", "rows", key_field="k", producer=producer)
    assert [key for _, key, _ in producer.sent] == ["ü".encode(), b"7", b"0.5", b"true", None, None, b""]


def test_a_key_that_no_row_has_is_null_and_said_once(caplog):
    producer = Producer()
    with caplog.at_level(logging.WARNING):
        to_kafka(ROWS, "unused", "rows", key_field="scr_ip", producer=producer)
    assert {key for _, key, _ in producer.sent} == {None}
    assert [r.getMessage() for r in caplog.records] == ["topic rows: no field 'scr_ip' in the row: the key is null"]


def test_a_full_queue_is_waited_for():
    producer = Producer(room=3)
    assert to_kafka(ROWS, "unused", "rows", producer=producer) == 10
    assert [number(value) for value in producer.acknowledged] == list(range(10))


def test_a_row_that_is_refused_is_counted_and_the_next_ones_pass(caplog):
    producer = Producer(lambda value: Error("MSG_SIZE_TOO_LARGE") if number(value) in (3, 5) else None)
    errors = []

    class Sink:
        def observe_error(self, stage, error=None):
            errors.append((stage, str(error)))

    writer = KafkaWriter("unused", "rows", producer=producer, metrics=Sink())
    writer.write_many(ROWS)
    with caplog.at_level(logging.WARNING), pytest.raises(KafkaDeliveryError, match=r"2 rows .*MSG_SIZE_TOO_LARGE: 2.*; 8 were") as raised:
        writer.close()
    assert (raised.value.undelivered, raised.value.delivered, raised.value.reasons) == (2, 8, {"MSG_SIZE_TOO_LARGE": 2})
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.undelivered) == (str(raised.value), 2)
    assert len([r for r in caplog.records if "MSG_SIZE_TOO_LARGE" in r.getMessage()]) == 1
    assert errors == [("output", "said MSG_SIZE_TOO_LARGE")] * 2
    assert writer.rows_written == writer.rows_delivered + sum(writer.rows_failed.values())


def test_close_raises_with_the_number_that_was_not_acknowledged():
    producer = Producer(lambda value: None if number(value) < 4 else "never")
    writer = KafkaWriter("unused", "rows", producer=producer, close_timeout=0.3)
    writer.write_many(ROWS)
    with pytest.raises(TimeoutError, match="6 rows"):
        writer.flush(0.1)
    with pytest.raises(KafkaDeliveryError) as raised:
        writer.close()
    assert (raised.value.undelivered, raised.value.delivered) == (6, 4)


def test_what_ended_the_block_is_not_hidden(caplog):
    with pytest.raises(ZeroDivisionError), KafkaWriter("unused", "rows", producer=Producer(lambda v: Error("X"))) as writer:
        writer.write(ROWS[0])
        1 / 0
    assert "1 rows for topic 'rows' were not delivered (X: 1); 0 were" in caplog.text


@pytest.fixture
def made(monkeypatch):
    """Producers that the writer makes itself, in place of librdkafka's."""
    made = []

    def use(*producers):
        left = list(producers)

        def make(config, on_error, on_figures):
            producer = left.pop(0)
            producer.config, producer.on_error = config, on_error
            made.append(producer)
            return producer

        monkeypatch.setattr(kafka, "open_producer", make)
        return made

    return use


def test_a_producer_that_failed_is_replaced_and_sends_again_what_was_not_acknowledged(made):
    broken = False

    def fate(value):
        nonlocal broken
        broken = broken or number(value) == 4
        return Error("OUT_OF_ORDER_SEQUENCE_NUMBER") if broken else None

    first, second = Producer(fate), Producer()
    used = made(first, second)
    writer = KafkaWriter("unused", "rows", start_timeout=0)
    writer.write_many(ROWS)
    writer.close()
    assert used == [first, second] and first.purged
    assert [number(v) for v in first.acknowledged + second.acknowledged] == list(range(10))
    assert (writer.rows_delivered, writer.rows_sent_again) == (10, 6)


def test_a_producer_that_fails_again_and_again_is_given_up(made):
    used = made(*(Producer(lambda value: Error("_FATAL", True)) for _ in range(10)))
    writer = KafkaWriter("unused", "rows", start_timeout=0, close_timeout=20)
    writer.write(ROWS[0])
    with pytest.raises(KafkaDeliveryError, match="_FATAL: 1"):
        writer.close()
    assert len(used) == 4


def test_reports_are_looked_at_while_no_row_is_written():
    import time

    producer = Producer()
    with KafkaWriter("unused", "rows", producer=producer) as writer:
        writer.write(ROWS[0])
        until = time.monotonic() + 60
        while writer.rows_delivered == 0:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_producers_of_the_older_version():
    producer = OldProducer()
    assert to_kafka(ROWS, ["unused:1"], "rows", "src_ip", 4, producer=producer) == 10
    assert producer.sent[1] == ("rows", b"10.0.0.1", b'{"src_ip":"10.0.0.1","total_packets":1,"iat_mean":0.125}')
    assert (producer.flushed, producer.closed) == (3, 1)
    with pytest.raises(KafkaDeliveryError, match="OSError: 10"):
        to_kafka(ROWS, "unused", "rows", producer=OldProducer(OSError("gone")))


def test_arrow_batches():
    pyarrow = pytest.importorskip("pyarrow")
    producer = Producer()
    assert to_kafka(ROWS, "unused", "rows", batch_size=4, producer=producer, value_format="arrow") == 10
    tables = [pyarrow.ipc.open_stream(value).read_all() for _, _, value in producer.sent]
    assert sum((t.to_pylist() for t in tables), []) == ROWS
    assert max(t.num_rows for t in tables) == 4 and {t.schema.metadata for t in tables} == {None}
    with pytest.raises(ValueError, match="key_field does not go with"):
        KafkaWriter("unused", "rows", "src_ip", producer=producer, value_format="arrow")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_is_told_to_make_its_own():
    with KafkaWriter("unused", "rows", producer=Producer()) as writer:
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                writer.write(ROWS[0])
            except RuntimeError as error:
                os._exit(7 if "belongs to process" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_rows_of_a_writer_that_nobody_closed_are_sent(run_python):
    code = """
from joyfuljay.output import KafkaWriter
class Producer:
    def send(self, topic, value, key): pass
    def flush(self): print("flushed")
KafkaWriter("unused", "rows", producer=Producer()).write({"a": 1})
"""
    assert run_python(code).stdout.startswith("flushed")


def test_an_empty_list_asks_no_broker():
    assert to_kafka([], "nowhere.invalid", "rows") == 0


def test_options_are_checked():
    with pytest.raises(ValueError, match="cannot be empty"):
        KafkaWriter(" , ", "rows")
    with pytest.raises(ValueError, match="none, gzip, snappy, lz4, zstd, not 'br'"):
        KafkaWriter("unused", "rows", compression_type="br")
    with pytest.raises(ValueError, match="json or arrow"):
        KafkaWriter("unused", "rows", value_format="avro")


def test_the_producer_is_idempotent_and_keys_go_where_java_puts_them(made):
    used = made(Producer(), Producer())
    KafkaWriter(["a:1", "b:2"], "rows", compression_type="zstd", linger_ms=7, client_id="me", start_timeout=0).close()
    expected = {
        "bootstrap.servers": "a:1,b:2", "acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random",
        "compression.type": "zstd", "linger.ms": 7, "client.id": "me",
    }
    assert expected.items() <= used[0].config.items()
    with pytest.warns(UserWarning, match="acks=1: rows can be lost"):
        KafkaWriter("a:1", "rows", acks=1, start_timeout=0, config={"linger.ms": 9}).close()
    assert (used[1].config["acks"], used[1].config["enable.idempotence"], used[1].config["linger.ms"]) == ("1", False, 9)


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
    with pytest.raises(ImportError, match=r"pip install 'joyfuljay\[kafka\]'"):
        KafkaWriter("unused", "rows")
    assert not is_kafka_available()


def test_a_broker_that_is_not_there_is_named():
    pytest.importorskip("confluent_kafka")
    assert is_kafka_available()
    with pytest.raises(ConnectionError, match=r"Kafka at 127\.0\.0\.1:1 is not ready after 1 s: .*127\.0\.0\.1:1"):
        KafkaWriter("127.0.0.1:1", "rows", start_timeout=1)


def test_families():
    prometheus = pytest.importorskip("prometheus_client")
    from joyfuljay.monitoring import PrometheusMetrics

    registry = prometheus.CollectorRegistry()
    metrics = PrometheusMetrics(registry=registry)
    producer = Producer(lambda value: Error("TOPIC_AUTHORIZATION_FAILED") if number(value) == 3 else None)
    with pytest.raises(KafkaDeliveryError):
        to_kafka(ROWS, "unused", "rows", producer=producer, metrics=metrics)
    to_kafka(ROWS, "unused", "more", producer=Producer(), metrics=metrics)

    def value(name, **labels):
        return registry.get_sample_value(f"joyfuljay_{name}", labels)

    assert value("kafka_rows_total", topic="rows") == 9
    assert value("kafka_rows_total", topic="more") == 10
    assert value("kafka_bytes_total", topic="rows") == sum(map(len, producer.acknowledged))
    assert value("kafka_failures_total", topic="rows", reason="TOPIC_AUTHORIZATION_FAILED") == 1
    assert value("kafka_queue_depth", topic="rows") == 0
    assert value("kafka_retries_total", topic="rows") == 0
    assert value("kafka_delivery_duration_seconds_count", topic="rows") == 9
    assert value("kafka_last_success_timestamp_seconds", topic="rows") > 1.7e9
    assert value("errors_total", stage="output") == 1
