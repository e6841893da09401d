"""What only KafkaWriter has: batches of rows of any kind, children of the process, the block of the monitoring page."""

import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import PATIENCE, ROOT
from joyfuljay.output import KafkaWriter, to_kafka

CAPTURE = str(ROOT / "tests/data/demo.pcap")


def numbers(records):
    return [json.loads(record.value)["number"] for record in records]


def test_arrow_batches(broker):
    pyarrow = pytest.importorskip("pyarrow")
    some = [{"number": n, "ratio": n / 4} for n in range(1000)]
    assert to_kafka(some, broker.address, "arrow", batch_size=300, value_format="arrow") == 1000
    assert sum((pyarrow.ipc.open_stream(r.value).read_all().to_pylist() for r in broker.read("arrow")), []) == some


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


def test_a_writer_is_not_handed_to_a_process_that_is_spawned(broker):
    with KafkaWriter(broker.address, "spawned") as writer:
        child = multiprocessing.get_context("spawn").Process(target=writer.write, args=({"number": 1},))
        with pytest.raises(TypeError, match="belongs to the process that made it"):
            child.start()
        writer.write({"number": 2})
    assert numbers(broker.read("spawned")) == [2]


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
