"""The two that write rows to Kafka, jj and the Python package, seen alike: what is true of one has to be true of the other."""

import ipaddress
import itertools
import json
import os
import re
import struct
import subprocess
import threading
import time

from binary import binary
from conftest import PATIENCE
from scrapes import all_said, announced, samples, scrape, value

#: Packets of a flow whose row is to be large.
MANY = 200


def address(number):
    return str(ipaddress.IPv4Address((10 << 24) + number))


def numbers(records):
    return [int(ipaddress.IPv4Address(json.loads(record.value)["src_ip"])) - (10 << 24) for record in records]


HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
ETHERNET = bytes.fromhex("0200000000020200000000010800")
ARP = bytes.fromhex("ffffffffffff0200000000020806") + bytes(28)
DATAGRAM = struct.pack(">HHHH", 1000, 2000, 8, 0)


def packets(number, count=1):
    """A flow of so many packets, a millisecond after the one before, in a capture file."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 28, 0, 0, 64, 17, 0, (10 << 24) + number, 0x0A4D0001)
    frame = ETHERNET + ip + DATAGRAM
    seconds, millis = divmod(number, 1000)
    return (struct.pack("<IIII", 1_700_000_000 + seconds, 1000 * millis, len(frame), len(frame)) + frame) * count


def capture(path, count):
    with open(path, "wb") as file:
        file.write(HEADER)
        for number in range(count):
            file.write(packets(number))
    return path


class Outcome:
    """How a writer ended: rows that were acknowledged, and the others by reason."""

    def __init__(self, delivered, reasons, said=""):
        self.delivered, self.reasons, self.said = delivered, reasons, said

    def __repr__(self):
        return f"{self.delivered} {self.reasons} {self.said}"


class Refused(Exception):
    """It did not begin."""


class Jj:
    """`jj extract` over a pipe. Rows leave as later packets come: each of these flows ends 10 ms after its packet."""

    name = "jj"

    def __init__(self, broker_address, topic, *, key=None, config=(), close_timeout=None, start_timeout=None, codec=None, on_full=None):
        command = [binary(), "extract", "-", "-f", "kafka", "--kafka-brokers", broker_address, "--kafka-topic", topic]
        command += ["--feature", "src_ip,total_packets", "--include-sequences", "--max-sequence-length", str(2 * MANY)]
        command += ["--set", "flow_timeout=0.01", "--summary", "json", "--prometheus-port", "0"]
        options = {"key": key, "close-timeout": close_timeout, "start-timeout": start_timeout, "on-full": on_full}
        for option, value in options.items():
            command += [] if value is None else [f"--kafka-{option}", str(value)]
        config = {**dict(config), **({} if codec is None else {"compression.type": codec})}
        environment = {**os.environ, "JOYFULJAY_KAFKA_PASSWORD": config.pop("sasl.password")} if "sasl.password" in config else None
        for name, value in config.items():
            command += ["--kafka-config", f"{name}={value}"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self.url = announced(self.child)
        self.last = 0
        until(lambda: self.child.poll() is not None or self.has_begun())
        self.write_bytes(HEADER)

    def has_begun(self):
        """Whether the topic was found and the run goes on."""
        try:
            return value(scrape(self.url), "joyfuljay_active_runs", "pcap") == 1
        except OSError:
            return False

    def write_bytes(self, data):
        try:
            self.child.stdin.write(data)
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Refused(self.said()) from None

    def said(self):
        self.child.wait(PATIENCE)
        return all_said(self.child).decode()

    def write(self, which, large=()):
        which = iter(which)
        while some := list(itertools.islice(which, 1000)):
            self.write_bytes(b"".join(packets(number, MANY if number in large else 1) for number in some))
            self.last = max(self.last, some[-1])

    def figure(self, name, label=""):
        # Flows end by packet time: a frame that is none of a flow says that time goes on.
        if not self.child.stdin.closed:
            self.last += 100
            seconds, millis = divmod(self.last, 1000)
            self.write_bytes(struct.pack("<IIII", 1_700_000_000 + seconds, 1000 * millis, len(ARP), len(ARP)) + ARP)
        return sum(samples(scrape(self.url), f"joyfuljay_{name}", label))

    def written(self):
        return self.figure("output_records_total")

    def resident(self):
        """Bytes of memory."""
        return resident(self.child.pid)

    def close(self):
        self.child.stdin.close()
        said = self.said()
        lost = re.search(r"error: topic '.*': (\d+) rows were not delivered \((.*)\); (\d+) were", said)
        if lost:
            reasons = {reason: int(rows) for reason, rows in (each.split(": ") for each in lost[2].split(", "))}
            assert self.child.returncode == 1 and sum(reasons.values()) == int(lost[1]), said
            return Outcome(int(lost[3]), reasons, said)
        if self.child.returncode != 0:
            raise Refused(said)
        summary = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
        return Outcome(summary["rows"], {}, said)


class Python:
    """`KafkaWriter`."""

    name = "python"

    def __init__(self, broker_address, topic, *, key=None, config=(), close_timeout=PATIENCE, start_timeout=None, codec=None, on_full=None):
        import prometheus_client
        from joyfuljay.monitoring import PrometheusMetrics
        from joyfuljay.output import KafkaWriter

        assert on_full in (None, "wait")
        self.registry = prometheus_client.CollectorRegistry()
        options = {"key_field": key, "compression_type": codec, "close_timeout": close_timeout, "start_timeout": start_timeout}
        options = {name: value for name, value in options.items() if value is not None}
        try:
            self.writer = KafkaWriter(broker_address, topic, metrics=PrometheusMetrics(registry=self.registry), config=dict(config), **options)
        except ConnectionError as error:
            raise Refused(str(error)) from None

    def write(self, which, large=()):
        for number in which:
            self.writer.write({"src_ip": address(number), "total_packets": 1, "text": "x" * (2000 if number in large else 1)})

    def figure(self, name, label=""):
        found = [s for family in self.registry.collect() for s in family.samples if s.name == f"joyfuljay_{name}"]
        return sum(s.value for s in found if all(part in str(s.labels) for part in [label]))

    def written(self):
        return self.writer.rows_written

    def resident(self):
        return resident("self")

    def close(self):
        from joyfuljay.output import KafkaDeliveryError

        try:
            self.writer.close()
        except KafkaDeliveryError as error:
            return Outcome(error.delivered, {"not_acknowledged" if r == "TimeoutError" else r: n for r, n in error.reasons.items()}, str(error))
        return Outcome(self.writer.rows_delivered, {})


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def in_background(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def until(what, state=lambda: ""):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, state()
        time.sleep(0.05)
