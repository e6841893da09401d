"""KafkaWriter and a real broker: what is read back by another project's client is what was written, whatever befalls the broker."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import PATIENCE, ROOT, ROWS
from joyfuljay import Pipeline
from joyfuljay.output import KafkaDeliveryError, KafkaWriter, to_kafka

CAPTURE = str(ROOT / "tests/data/demo.pcap")


def rows(count):
    """Rows of a capture, over and over, each with a number."""
    some = list(Pipeline().iter_features(CAPTURE))
    return ({"number": n, **some[n % len(some)]} for n in range(count))


def numbers(records):
    return [json.loads(record.value)["number"] for record in records]


def test_what_is_read_is_what_was_written(broker):
    began = time.time()
    assert to_kafka(rows(ROWS), broker.address, "all", key_field="src_ip", compression_type="gzip") == ROWS
    records = broker.read("all")
    assert len(records) == ROWS
    for row, record in zip(rows(ROWS), records, strict=True):
        assert json.loads(record.value, parse_constant=pytest.fail) == row
        assert record.key == row["src_ip"].encode()
    # The time of a record is that of writing, not that of the flow.
    assert began - 60 < records[0].timestamp / 1000 <= records[-1].timestamp / 1000 < time.time() + 60


@pytest.mark.parametrize("codec", [None, "none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_there(broker, codec):
    topic = f"codec-{codec}"
    to_kafka(({"number": n} for n in range(100)), broker.address, topic, compression_type=codec)
    # By librdkafka, which has them all without further packages.
    import confluent_kafka

    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": topic, "auto.offset.reset": "earliest"})
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        read = []
        until = time.monotonic() + PATIENCE
        while len(read) < 100 and time.monotonic() < until:
            read += [json.loads(m.value())["number"] for m in consumer.consume(100, 1) if m.error() is None]
    finally:
        consumer.close()
    assert read == list(range(100))


def test_arrow_batches(broker):
    pyarrow = pytest.importorskip("pyarrow")
    some = [{"number": n, "ratio": n / 4} for n in range(1000)]
    assert to_kafka(some, broker.address, "arrow", batch_size=300, value_format="arrow") == 1000
    assert sum((pyarrow.ipc.open_stream(r.value).read_all().to_pylist() for r in broker.read("arrow")), []) == some


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_is_restarted_has_every_row_once(own_broker, how):
    # A session that a killed broker left behind holds up its start.
    broker = own_broker("broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n")
    writer = KafkaWriter(broker.address, "rows", close_timeout=PATIENCE)
    away = threading.Event()

    def write():
        for n in range(ROWS):
            writer.write({"number": n})
            if n == ROWS // 2:
                away.wait()

    thread = threading.Thread(target=write)
    thread.start()
    until = time.monotonic() + PATIENCE
    while writer.rows_written < ROWS // 2 and time.monotonic() < until:
        time.sleep(0.01)
    broker.stop(how)
    # Half of the rows are written while there is no broker.
    away.set()
    while writer.rows_pending == 0:
        assert time.monotonic() < until
        time.sleep(0.01)
    broker.start()
    thread.join(PATIENCE)
    writer.close()
    assert (writer.rows_delivered, writer.rows_failed, writer.rows_sent_again) == (ROWS, {}, 0)
    assert numbers(broker.read("rows")) == list(range(ROWS))


def test_a_broker_that_does_not_answer_at_the_end(broker):
    broker.topic("silent")
    writer = KafkaWriter(broker.address, "silent", close_timeout=2)
    writer.write_many({"number": n} for n in range(500))
    writer.flush(PATIENCE)
    broker.signal(signal.SIGSTOP)
    try:
        writer.write_many({"number": n} for n in range(500, 1500))
        began = time.monotonic()
        with pytest.raises(KafkaDeliveryError) as raised:
            writer.close()
        assert time.monotonic() - began < 60
    finally:
        broker.signal(signal.SIGCONT)
    assert (raised.value.delivered, raised.value.undelivered) == (500, 1000)
    assert (writer.rows_written, writer.rows_pending) == (1500, 0)
    # None is reported written that is not there.
    assert numbers(broker.read("silent"))[:500] == list(range(500))


def test_a_row_above_the_limit_of_the_topic_is_counted_and_the_next_ones_pass(broker):
    broker.topic("small", max_message_bytes=1000)
    writer = KafkaWriter(broker.address, "small")
    writer.write_many({"number": n, "text": "x" * (2000 if n == 500 else 1)} for n in range(1000))
    with pytest.raises(KafkaDeliveryError) as raised:
        writer.close()
    assert raised.value.reasons == {"MSG_SIZE_TOO_LARGE": 1}
    assert numbers(broker.read("small")) == [n for n in range(1000) if n != 500]


def test_a_key_has_the_partition_of_other_clients(broker):
    from kafka import KafkaProducer

    broker.topic("keys", 15)
    keys = [f"10.0.{n}.1" for n in range(100)]
    to_kafka(({"k": key} for key in keys), broker.address, "keys", "k")
    other = KafkaProducer(bootstrap_servers=broker.address)
    for key in keys:
        other.send("keys", key=key.encode(), value=b"other")
    other.close()
    ours, theirs = {}, {}
    for record in broker.read("keys"):
        (theirs if record.value == b"other" else ours)[record.key] = record.partition
    assert ours == theirs and len(ours) == 100
    broker.topic("no-keys", 15)
    to_kafka(({"k": None} for _ in range(2000)), broker.address, "no-keys", "k", linger_ms=0, batch_size=1, config={"sticky.partitioning.linger.ms": 0})
    records = broker.read("no-keys")
    assert {record.key for record in records} == {None} and len({record.partition for record in records}) == 15


def login(password):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": password}


def test_login(broker):
    assert to_kafka([{"number": 1}], broker.login_address, "login", config=login("alice-secret")) == 1
    with pytest.raises(ConnectionError, match=f"Kafka at {broker.login_address} refuses the login by PLAIN: .*Authentication failed") as raised:
        to_kafka([{"number": 2}], broker.login_address, "login", config=login("wrong-secret"))
    assert "wrong-secret" not in str(raised.value)
    assert numbers(broker.read("login")) == [1]


def test_a_topic_that_is_not_there_is_named(own_broker):
    broker = own_broker("auto.create.topics.enable=false\n")
    with pytest.raises(ConnectionError, match="topic 'absent': .*create it"):
        KafkaWriter(broker.address, "absent", start_timeout=3)
    broker.topic("absent")
    assert to_kafka([{"number": 1}], broker.address, "absent", start_timeout=PATIENCE) == 1


def test_a_broker_that_comes_later_gets_every_row(own_broker):
    broker = own_broker()
    broker.topic("late")
    broker.stop()
    writer = KafkaWriter(broker.address, "late", start_timeout=0, close_timeout=PATIENCE)
    writer.write_many({"number": n} for n in range(1000))
    broker.start()
    writer.close()
    assert numbers(broker.read("late")) == list(range(1000))


def test_a_broker_that_lost_its_log_gets_the_rows_from_then_on(own_broker):
    broker = own_broker()
    writer = KafkaWriter(broker.address, "wiped", close_timeout=PATIENCE)
    writer.write_many({"number": n} for n in range(1000))
    writer.flush(PATIENCE)
    broker.stop("kill")
    shutil.rmtree(broker.folder / "data")
    broker.start()
    broker.topic("wiped")
    writer.write_many({"number": n} for n in range(1000, 2000))
    writer.close()
    # Those that a new producer had to send again may be there twice, and are counted.
    found = numbers(broker.read("wiped"))
    assert sorted(set(found)) == list(range(1000, 2000)) and len(found) - 1000 <= writer.rows_sent_again


def test_figures(own_broker):
    prometheus = pytest.importorskip("prometheus_client")
    from joyfuljay.monitoring import PrometheusMetrics

    registry = prometheus.CollectorRegistry()
    broker = own_broker()
    writer = KafkaWriter(broker.address, "figures", metrics=PrometheusMetrics(registry=registry), close_timeout=PATIENCE)
    writer.write({"number": 0})
    writer.flush(PATIENCE)
    broker.signal(signal.SIGSTOP)

    def figure(name):
        return registry.get_sample_value(f"joyfuljay_kafka_{name}", {"topic": "figures"})

    try:
        writer.write_many({"number": n} for n in range(1, 100))
        until = time.monotonic() + PATIENCE
        while figure("queue_depth") != 99:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert figure("rows_total") == 1
    finally:
        broker.signal(signal.SIGCONT)
    writer.close()
    assert (figure("rows_total"), figure("queue_depth")) == (100, 0)
    assert figure("bytes_total") == sum(len(r.value) for r in broker.read("figures"))


def test_rows_that_ran_out_of_time_are_counted(own_broker):
    broker = own_broker()
    broker.topic("timeout")
    writer = KafkaWriter(broker.address, "timeout", config={"message.timeout.ms": 2000})
    broker.stop("kill")
    writer.write_many({"number": n} for n in range(1000))
    with pytest.raises(KafkaDeliveryError) as raised:
        writer.close()
    assert raised.value.reasons == {"_MSG_TIMED_OUT": 1000}


def test_a_child_process_ends(broker):
    code = f"""
import os, sys
from joyfuljay.output import KafkaWriter
with KafkaWriter({broker.address!r}, "forked") as writer:
    writer.write({{"number": 1}})
    child = os.fork()
    if child == 0:
        try:
            writer.write({{"number": 2}})
        except RuntimeError as error:
            # An ordinary end, with all that the interpreter frees then; it leaves the block, too.
            sys.exit(7 if "belongs to process" in str(error) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert numbers(broker.read("forked")) == [1]


@pytest.fixture
def network():
    """A network namespace in which the host kafka is loopback, so that the page's address is a real one."""
    name = f"jj-kafka-{os.getpid()}"
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    except OSError as e:
        pytest.skip(str(e))
    if made.returncode != 0:
        pytest.skip(f"no namespace can be made: {made.stderr.strip()}")
    folder = pathlib.Path("/etc/netns") / name
    try:
        folder.mkdir(parents=True)
        (folder / "hosts").write_text("127.0.0.1 localhost kafka\n")
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ["ip", "netns", "exec", name]
    finally:
        (folder / "hosts").unlink(missing_ok=True)
        folder.rmdir()
        subprocess.run(["ip", "netns", "del", name], check=False)


READ = """
import json
from kafka import KafkaConsumer, TopicPartition
consumer = KafkaConsumer(bootstrap_servers="kafka:9092", auto_offset_reset="earliest")
place = TopicPartition("features", 0)
consumer.assign([place])
read = []
while consumer.position(place) < consumer.end_offsets([place])[place]:
    for some in consumer.poll(timeout_ms=1000).values():
        read += [json.loads(record.value) for record in some]
again = Pipeline()
expected = [again._extract_features(flow) for flow in again.iter_flows("capture.pcap")]
assert read == expected and read, (len(read), len(expected))
value = metrics.registry.get_sample_value
assert value("joyfuljay_flows_total", {"reason": "kafka"}) == len(read)
assert value("joyfuljay_errors_total", {"stage": "kafka"}) in (None, 0)
"""


def test_the_block_of_the_monitoring_page(network, own_broker, tmp_path):
    own_broker(port=9092, inside=network, KAFKA_HOST="kafka")
    page = (ROOT / "tests/python/monitoring-page.md").read_text()
    block = re.findall(r"```python\n(.*?)```", page, re.S)[11]
    assert 'KafkaWriter("kafka:9092", topic="features")' in block
    (tmp_path / "capture.pcap").write_bytes(pathlib.Path(CAPTURE).read_bytes())
    code = f"from joyfuljay import Pipeline\npipeline = Pipeline()\n{block}\n{READ}"
    done = subprocess.run(
        [*network, sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
