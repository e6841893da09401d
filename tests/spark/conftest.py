"""A real Spark, in this process and its workers. Where it cannot be had, the tests are skipped and say why."""

import collections
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "live"))

import frames as wire  # noqa: E402


def missing():
    """Why there is no Spark, or None."""
    if shutil.which("java") is None:
        return "Java is not installed; on Debian: apt-get install openjdk-17-jre-headless"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", HERE / "requirements.txt"],
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        if done.returncode:
            return f"pyspark cannot be installed: {done.stderr.strip()[-300:]}"
    return None


REASON = missing()


def pytest_collection_modifyitems(items):
    if REASON:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def spark():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    # Failed tasks are tried four times; the heavy form has executors of their own.
    master = os.environ.get("JJ_SPARK_MASTER", "local[2,4]")
    builder = SparkSession.builder.master(master).appName("joyfuljay-tests")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "2",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def traffic(seconds=1200, seed=1):
    """Frames with their times in microseconds: UDP and TCP flows of all lengths, some of which go on for the whole time."""
    chance = random.Random(seed)
    now, made = 1_700_000_000_000_000, []
    end = now + seconds * 1_000_000
    while now < end:
        now += chance.randrange(200_000)
        flow = chance.randrange(4) if chance.random() < 0.2 else 4 + (now // 9_000_000) % 400
        client, server = f"10.1.{flow >> 8}.{flow & 255}", "10.2.0.1"
        ports = (2_000 + flow, 443)
        back = chance.random() < 0.4
        source, destination = (server, client) if back else (client, server)
        ports = ports[::-1] if back else ports
        payload = bytes(chance.randrange(200))
        if flow % 2:
            packet = wire.ipv4(wire.udp(*ports, payload), source, destination)
        else:
            flags = chance.choices([0x02, 0x12, 0x18, 0x11, 0x04], [1, 1, 20, 1, 1])[0]
            number = chance.getrandbits(32) if flags == 2 else now // 10 & 0xFFFFFFFF
            segment = struct.pack(">HHIIBBHHH", *ports, number, 1, 5 << 4, flags, 8192, 0, 0) + payload
            packet = wire.ipv4(segment, source, destination, protocol=6)
        made.append((now, wire.ethernet(packet)))
    return made


def write(path, timed):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
        for at, frame in timed:
            file.write(struct.pack("<IIII", at // 1_000_000, at % 1_000_000, len(frame), len(frame)) + frame)
    return str(path)


@pytest.fixture(scope="session")
def capture(tmp_path_factory):
    """Twenty minutes in one file."""
    return write(tmp_path_factory.mktemp("one") / "a capture, of one #1.pcap", traffic())


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Twenty minutes in rotated files."""
    folder, made = tmp_path_factory.mktemp("rotated"), traffic(seed=2)
    size = len(made) // int(os.environ.get("JJ_SPARK_FILES", "12")) + 1
    for i, start in enumerate(range(0, len(made), size)):
        write(folder / f"cap{i}.pcap", made[start : start + size])
    return str(folder)


#: What the tests read, unless they say otherwise.
OPTIONS = {"features": "flow_meta,timing,size,tcp", "flow_timeout": "4", "active_timeout": "90", "tasks": "5"}


@pytest.fixture
def whole():
    """The rows of one local run, as Spark has them."""
    import joyfuljay
    import pyarrow as pa

    def rows(path, columns, **config):
        config = {"features": ["flow_meta", "timing", "size", "tcp"], "flow_timeout": 4, "active_timeout": 90, **config}
        table = pa.table(joyfuljay.extract(path, "table", **config))
        return collections.Counter(tuple(row[name] for name in columns) for row in table.select(columns).to_pylist())

    return rows


def counted(frame, columns):
    """Rows of a DataFrame, in any order."""
    import decimal

    def plain(value):
        return int(value) if isinstance(value, decimal.Decimal) else value

    return collections.Counter(tuple(plain(row[name]) for name in columns) for row in frame.select(*columns).collect())
