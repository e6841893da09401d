"""A real Apache Kafka on loopback (scripts/kafka). Where it cannot be had, the tests are skipped and say why."""

import ctypes
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
KAFKA = ROOT / "scripts/kafka"
sys.path.insert(0, str(ROOT / "tests/common"))

#: A busy machine starts a broker, or fetches one, in less.
PATIENCE = int(os.environ.get("JJ_PATIENCE", "300"))

#: How many rows the long tests write; a million for the heavy form.
ROWS = int(os.environ.get("JJ_KAFKA_ROWS", "20000"))

#: How long a broker that still has its connections says nothing.
SILENCE = float(os.environ.get("JJ_KAFKA_SILENCE", "3"))


def missing():
    """Why there is no broker, or None."""
    if sys.platform != "linux":
        return "scripts/kafka is for Linux"
    done = subprocess.run([KAFKA, "install"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode == 3:
        return done.stderr.strip()
    assert done.returncode == 0, done.stderr
    return None


def pytest_collection_modifyitems(items):
    if reason := missing():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


def free_ports():
    """The first of three ports in a row that nobody has."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except (OSError, OverflowError):
                continue
            return port


class Broker:
    """A broker that answers."""

    def __init__(self, folder, more="", port=None, inside=(), **environment):
        self.folder, self.port = folder, port or free_ports()
        self.inside, self.environment = inside, {**os.environ, **environment}
        self.address, self.login_address = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.port + 2}"
        folder.mkdir()
        (folder / "more").write_text(more)
        self.start()

    def run(self, *words):
        done = subprocess.run(
            [*self.inside, KAFKA, *map(str, words)], capture_output=True, text=True, timeout=PATIENCE, check=False, env=self.environment
        )
        assert done.returncode == 0, done.stderr

    def start(self):
        self.run("start", self.folder, self.port)

    def stop(self, how="stop"):
        """In good order, or by "kill" at once."""
        if (self.folder / "pid").exists():
            self.run(how, self.folder)

    def signal(self, number):
        os.kill(int((self.folder / "pid").read_text()), number)

    def topic(self, name, partitions=1, **settings):
        from kafka.admin import KafkaAdminClient, NewTopic

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            admin.create_topics([NewTopic(name, partitions, 1, topic_configs={k.replace("_", "."): str(v) for k, v in settings.items()})])
        finally:
            admin.close()

    def delete(self, name):
        from kafka.admin import KafkaAdminClient

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            admin.delete_topics([name])
        finally:
            admin.close()

    def read(self, topic):
        """Every record of a topic, by the client of another project."""
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(bootstrap_servers=self.address, auto_offset_reset="earliest", enable_auto_commit=False)
        try:
            places = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            records = []
            while any(consumer.position(place) < ends[place] for place in places):
                for some in consumer.poll(timeout_ms=1000, max_records=10_000).values():
                    records += some
            return records
        finally:
            consumer.close()


class Far:
    """A broker at the other end of a wire, which can be cut: 10.77.0.2 in a namespace `b`."""

    def __init__(self, name, folder):
        self.name = name
        prefix = ["ip", "netns", "exec", f"{name}-b"]
        self.broker = Broker(folder, inside=prefix, KAFKA_LISTEN="10.77.0.2", KAFKA_HOST="10.77.0.2")
        self.broker.address = f"10.77.0.2:{self.broker.port}"

    def near(self, work):
        """What `work` gives, done in the namespace `a`: by its thread, and by the threads and processes that it begins."""
        outcome = []

        def inside():
            try:
                with open(f"/run/netns/{self.name}-a") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                outcome.append((work(), None))
            except BaseException as error:
                outcome.append((None, error))

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    def ip(self, side, *words):
        subprocess.run(["ip", "-n", f"{self.name}-{side}", *words], check=True, capture_output=True, timeout=PATIENCE)

    def cut(self):
        """Frames go to nowhere in both directions, and nobody is told."""
        for side, other in (("a", "10.77.0.2"), ("b", "10.77.0.1")):
            self.ip(side, "neigh", "replace", other, "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "veth0")

    def mend(self):
        for side, other in (("a", "10.77.0.2"), ("b", "10.77.0.1")):
            self.ip(side, "neigh", "del", other, "dev", "veth0")


@pytest.fixture
def far_broker(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"jj-far-{os.getpid()}"
    try:
        made = subprocess.run([ROOT / "scripts/veth", "up", name], capture_output=True, text=True, timeout=PATIENCE, check=False)
        if made.returncode != 0:
            pytest.skip(f"no namespace can be made: {made.stderr.strip()}")
        far = Far(name, tmp_path / "far")
        yield far
        far.broker.stop("kill")
    finally:
        subprocess.run([ROOT / "scripts/veth", "down", name], capture_output=True, check=False)


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    """One for all tests that leave it running."""
    broker = Broker(tmp_path_factory.mktemp("kafka") / "broker")
    yield broker
    broker.stop("kill")


@pytest.fixture
def own_broker(tmp_path):
    """own_broker(more properties) -> a broker of the test's own."""
    made = []

    def make(more="", **options):
        made.append(Broker(tmp_path / f"broker-{len(made)}", more, **options))
        return made[-1]

    yield make
    for broker in made:
        broker.stop("kill")
