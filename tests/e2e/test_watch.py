"""`jj watch`: each capture once, connections whole, also where the watch is ended, killed and begun again."""

import collections
import csv
import json
import os
import random
import signal
import struct
import subprocess
import time

import pytest
from scrapes import PATIENCE, all_said, announced, kill, scrape, value, wait_for

#: Idle timeout, in seconds: a restart knows the flows of the last ten of it.
IDLE = 3
OPTIONS = ["--features", "flow_meta,timing", "--timeout", str(IDLE), "--set", "include_flow_id=true"]


def udp(flow, back, payload):
    client, server = struct.pack(">I", 0x0A010000 + flow), bytes([10, 2, 0, 1])
    ports = (2000 + flow, 53)
    source, destination, ports = (server, client, ports[::-1]) if back else (client, server, ports)
    datagram = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0) + source + destination + datagram


def pcap(frames):
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    for at, frame in frames:
        out.append(struct.pack("<IIII", at // 1_000_000, at % 1_000_000, len(frame), len(frame)) + frame)
    return b"".join(out)


def rotated(number=10, seconds=6, seed=3):
    """Captures of six seconds each; flows of a second to twenty seconds go through them."""
    chance = random.Random(seed)
    start = 1_700_000_000_000_000
    files = []
    for i in range(number):
        frames, now = [], start + i * seconds * 1_000_000
        while now < start + (i + 1) * seconds * 1_000_000:
            now += chance.randrange(8_000)
            second = now // 1_000_000
            # Flow k lives from second k on, for k % 20 seconds.
            flow = second - chance.randrange(20)
            if second - flow <= flow % 20:
                frames.append((now, udp(flow % 60_000, chance.random() < 0.4, bytes(chance.randrange(90)))))
        files.append(pcap(frames))
    return files


def rows(folder):
    found = collections.Counter()
    for name in sorted(os.listdir(folder)):
        if not name.startswith("."):
            with open(folder / name, newline="") as file:
                found.update(tuple(row) for row in list(csv.reader(file))[1:])
    return found


@pytest.fixture
def places(tmp_path):
    captures, flows = tmp_path / "captures", tmp_path / "flows"
    captures.mkdir()
    return captures, flows


@pytest.fixture
def expected(jj, tmp_path):
    """The rows of one run over these captures."""

    def of(captures):
        done = jj("extract", captures, *OPTIONS, "-q")
        return collections.Counter(tuple(row) for row in list(csv.reader(done.out.splitlines()))[1:])

    return of


class Watching:
    """A watch that goes on."""

    def __init__(self, command, captures, flows, settle="0.1"):
        # Of a job in the background SIGINT would be ignored.
        signals = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
        self.flows = flows
        self.process = subprocess.Popen(
            [command, "watch", captures, "-o", flows, "--settle", settle, *OPTIONS],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=signals,
        )

    def wait_for(self, *names, seconds=60):
        deadline = time.monotonic() + seconds
        while missing := [name for name in names if not (self.flows / name).exists()]:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, f"no {missing} in {sorted(os.listdir(self.flows))}"
            time.sleep(0.05)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


def put(folder, name, content):
    """As a writer does that nobody takes for finished before it is."""
    (folder / f".{name}").write_bytes(content)
    os.rename(folder / f".{name}", folder / name)


def test_once_gives_the_rows_of_one_run_in_a_file_for_each_capture(jj, places, expected):
    captures, flows = places
    for i, content in enumerate(rotated()):
        put(captures, f"cap{i}.pcap", content)
    (captures / "notes.txt").write_text("no capture")
    done = jj("watch", captures, "-o", flows, "--once", *OPTIONS)
    assert "notes.txt" in done.err
    assert rows(flows) == expected(captures)
    names = {name for name in os.listdir(flows) if not name.startswith(".")}
    assert names == {f"cap{i}.pcap.csv" for i in range(10)} | {"open-flows.csv"}
    jj("watch", captures, "-o", flows, "--once", *OPTIONS)
    assert rows(flows) == expected(captures), "nothing is done twice"


@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_watch_that_ends_and_begins_again_goes_on(jj, places, expected, ends):
    captures, flows = places
    contents = rotated()
    for start in (0, 3, 4, 8):
        watch = Watching(jj.path, captures, flows)
        stop = {0: 3, 3: 4, 4: 8, 8: 10}[start]
        for i in range(start, stop):
            put(captures, f"cap{i}.pcap", contents[i])
        watch.wait_for(*(f"cap{i}.pcap.csv" for i in range(start, stop)))
        code, said = watch.end(ends if stop < 10 else signal.SIGTERM)
        assert code == (-9 if ends == signal.SIGKILL and stop < 10 else 0), said
        if code == 0:
            assert rows(flows) == expected(captures), said
    assert not [name for name in os.listdir(flows) if name.endswith(".part")]


def test_flows_that_began_before_the_lead_in_are_cut_and_every_packet_is_in_one_row(jj, places):
    captures, flows = places
    start, files = 1_700_000_000_000_000, []
    # One flow that goes on for two minutes, a packet a second; the lead-in is of 30 s.
    for i in range(6):
        files.append(pcap([(start + (20 * i + s) * 1_000_000, udp(7, False, b"x")) for s in range(20)]))
    for i, content in enumerate(files):
        put(captures, f"cap{i}.pcap", content)
        watch = Watching(jj.path, captures, flows)
        watch.wait_for(f"cap{i}.pcap.csv")
        code, said = watch.end()
        assert code == 0, said
    total = 0
    for name in os.listdir(flows):
        if not name.startswith("."):
            with open(flows / name, newline="") as file:
                total += sum(int(row["total_packets"]) for row in csv.DictReader(file))
    assert total == 120
    assert "1 open flows began before" in said


def test_a_ring_writes_its_names_again_and_a_growing_capture_is_left_alone(jj, places, expected):
    captures, flows = places
    contents = rotated(4)
    watch = Watching(jj.path, captures, flows, "1.5")
    growing = captures / "ring1.pcap"
    with open(growing, "wb") as file:
        for piece in range(8):
            size = len(contents[0]) // 8 + 1
            file.write(contents[0][piece * size : (piece + 1) * size])
            file.flush()
            time.sleep(0.3)
            assert not (flows / "ring1.pcap.csv").exists()
    watch.wait_for("ring1.pcap.csv")
    os.remove(growing)
    put(captures, "ring1.pcap", contents[1])
    watch.wait_for("ring1.pcap-2.csv")
    code, said = watch.end()
    assert code == 0, said
    put(captures, "ring0.pcap", contents[0])
    assert rows(flows) == expected(captures)


def test_captures_that_were_deleted_leave_the_rows_of_their_open_flows(jj, places):
    captures, flows = places
    for i, content in enumerate(rotated(3)):
        put(captures, f"cap{i}.pcap", content)
    jj("watch", captures, "-o", flows, "--once", *OPTIONS)
    before = rows(flows)
    for i in range(3):
        os.remove(captures / f"cap{i}.pcap")
    put(captures, "later.pcap", pcap([(1_800_000_000_000_000, udp(1, False, b""))]))
    jj("watch", captures, "-o", flows, "--once", *OPTIONS)
    assert sum((rows(flows) - before).values()) == 1 and not before - rows(flows)
    state = json.loads((flows / ".jj-watch.json").read_text())
    assert [entry["name"] for entry in state["done"]] == ["later.pcap"]


def test_two_watches_do_not_write_to_one_folder(jj, places):
    captures, flows = places
    watch = Watching(jj.path, captures, flows)
    watch.wait_for(".jj-watch.json")
    second = jj("watch", captures, "-o", flows, ok=False)
    assert second.returncode == 1 and "another watch" in second.err
    assert watch.end()[0] == 0
    missing = jj("watch", captures / "not-there", "-o", flows, ok=False)
    assert missing.returncode == 1 and "not-there" in missing.err


def test_figures_of_a_watch(jj, places):
    captures, flows = places
    (captures / "notes.txt").write_text("no capture")
    put(captures, "0.pcap", rotated(1)[0])
    command = [jj.path, "watch", captures, "-o", flows, "--settle", "0.1", "--prometheus-port", "0", *OPTIONS]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        url = announced(child)

        def figures():
            text = scrape(url)
            return [value(text, f"joyfuljay_watch_{name}") for name in ("captures_waiting", "flows_cut_total")] + [
                value(text, "joyfuljay_watch_captures_total", f'outcome="{outcome}"') for outcome in ("read", "failed")
            ]

        wait_for(lambda: figures() == [0, 0, 1, 1], state=lambda: figures())
        before = value(scrape(url), "joyfuljay_watch_last_capture_timestamp_seconds")
        put(captures, "2.pcap", rotated(2)[1])
        wait_for(lambda: figures()[2] >= 2, state=lambda: figures())
        assert value(scrape(url), "joyfuljay_watch_last_capture_timestamp_seconds") >= before > 1.7e9
        child.send_signal(signal.SIGTERM)
        assert child.wait(PATIENCE) == 0, all_said(child)
    finally:
        kill(child)
