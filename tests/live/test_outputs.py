"""Where rows of a capture go: several files, a disk that is full, and what becomes of both; and other things that a sensor meets."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest
from conftest import HEAVY, PATIENCE, ROOT
from frames import ethernet, ipv4, udp, write_pcap
from scrapes import announced, scrape, value, wait_for


def flows(first, count):
    return [ethernet(ipv4(udp(port, 9))) for port in range(first, first + count)]


def ports(rows):
    return sorted(row["src_port"] for row in rows)


def files_of(directory, suffix):
    return sorted(path for path in directory.iterdir() if path.suffix == suffix)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "arrow"])
def test_rows_in_several_files(wire, tmp_path, form):
    """Each is closed at a multiple of the period, also when nothing comes; together they have every row once."""
    folder = tmp_path / "parts"
    folder.mkdir()
    capture = wire.live("--features", "flow_meta", "--timeout", "0.2", "-o", folder / f"rows.{form}", "--output-seconds", "1")
    for burst in range(3):
        wire.send(frames=flows(1 + 100 * burst, 100))
        # It gets its name by the clock alone: no frame comes meanwhile.
        wait_for(lambda: read_all(folder, form) == list(range(1, 101 + 100 * burst)), state=capture.text)
    capture.stop()
    done = files_of(folder, f".{form}")
    assert {path.name for path in folder.iterdir()} == {path.name for path in done}
    assert len(done) >= 3 and all(path.name.startswith("rows-20") for path in done)
    # By their names' order the parts are in the order of their rows.
    last = [max(ports(read(path, form))) for path in done]
    assert last == sorted(last)


def read(path, form):
    if form == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if form == "csv":
        import csv

        with open(path, newline="") as file:
            return [{"src_port": int(row["src_port"])} for row in csv.DictReader(file)]
    if form == "parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path).to_pylist()
    import pyarrow.ipc

    return pyarrow.ipc.open_file(path).read_all().to_pylist()


def read_all(folder, form):
    """The ports of whole files: what has the name can be read."""
    return ports(row for path in files_of(folder, f".{form}") for row in read(path, form))


def test_files_by_size(wire, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    capture = wire.live("--features", "flow_meta", "--timeout", "0.2", "-o", folder / "rows.jsonl", "--output-size", "40kB")
    for burst in range(4):
        wire.send(frames=flows(1 + 50 * burst, 50))
        # Rows leave in pieces, and a piece is not divided.
        wait_for(lambda: sum(len(path.read_text().splitlines()) for path in folder.iterdir()) >= 50 * burst + 50, state=capture.text)
    capture.stop()
    done = files_of(folder, ".jsonl")
    assert read_all(folder, "jsonl") == list(range(1, 201)) and len(done) >= 3
    assert all(path.stat().st_size <= 80_000 for path in done)


def test_places_that_cannot_be_several(jj):
    done = subprocess.run([jj, "live", "lo", "--output-seconds", "5"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2 and "no further files" in done.stderr, done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no small disk can be made: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


class Served:
    """A capture whose metrics are read from inside its namespace."""

    def __init__(self, wire, *arguments):
        self.wire = wire
        command = ["ip", "netns", "exec", f"{wire.name}-b", wire.jj, "live", *map(str, arguments), "--prometheus-port", "0"]
        self.child = subprocess.Popen(command, stderr=subprocess.PIPE)
        wire.children.append(self.child)
        self.url = announced(self.child)
        wait_for(lambda: value(self.metrics(), "joyfuljay_active_runs", "live") == 1)

    def get(self, path):
        script = (
            "import urllib.request, urllib.error\n"
            f"try: print(urllib.request.urlopen({self.url + path!r}).read().decode())\n"
            "except urllib.error.HTTPError as e: print(e.code)"
        )
        return self.wire.inside("b", sys.executable, "-c", script, text=True).stdout

    def metrics(self):
        return self.get("/metrics")

    def figure(self, name, label=""):
        return value(self.metrics(), f"joyfuljay_{name}", label)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_full_disk_loses_counted_rows_until_there_is_room(wire, small_disk, form):
    rows = small_disk / f"rows.{form}"
    filler = small_disk / "filler"
    capture = Served(wire, "veth0", "--features", "flow_meta", "--timeout", "0.2", "-o", rows, "--output-error", "lose", "--summary", "json")
    wire.send(frames=flows(1, 100))
    wait_for(lambda: capture.figure("output_records_total") == 100)
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    wire.send(frames=flows(1001, 200))
    lost = wait_for(lambda: capture.figure("output_records_lost_total", "disk_full"))
    wait_for(lambda: capture.figure("output_records_total") == 300)
    wait_for(lambda: capture.get("/readyz").strip() == "503")
    lost = capture.figure("output_records_lost_total", "disk_full")
    filler.unlink()
    wire.send(frames=flows(2001, 100))
    wait_for(lambda: capture.figure("output_records_total") == 400)
    wait_for(lambda: capture.get("/readyz").strip() == "ready")
    assert capture.figure("output_records_lost_total", "disk_full") == lost
    capture.child.send_signal(signal.SIGTERM)
    assert capture.child.wait(PATIENCE) == 0
    # Whole rows only, and none but the lost ones is missing.
    found = ports(read(rows, form))
    assert len(found) == 400 - lost and set(range(1, 101)) | set(range(2001, 2101)) <= set(found)


def test_a_full_disk_ends_the_run_where_nothing_may_be_lost(wire, small_disk):
    capture = wire.live("--features", "flow_meta", "--timeout", "0.2", "-o", small_disk / "rows.jsonl")
    (small_disk / "filler").write_bytes(bytes(1000_000))
    wire.send(frames=flows(1, 1000))
    assert capture.child.wait(PATIENCE) == 1
    assert "cannot write" in capture.text() and "free some space" in capture.text()
    for line in (small_disk / "rows.jsonl").read_text().splitlines():
        json.loads(line)


def test_two_captures_of_one_interface_both_see_everything(wire):
    first, second = wire.live("--features", "flow_meta"), wire.live("--features", "flow_meta")
    sent = wire.send(frames=flows(1, 500))
    for capture in (first, second):
        assert capture.stop()["frames"] == sent
        assert ports(capture.rows()) == list(range(1, 501))


def test_a_second_signal_gives_up(wire, tmp_path):
    """The rows go to a reader that takes none, so that the first signal cannot end the run."""
    fifo = tmp_path / "rows"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    capture = wire.live("-o", fifo, "-f", "json", "--timeout", "0.1")
    # Some megabytes of rows: more than a pipe takes.
    wire.send(frames=flows(1, 5000))
    time.sleep(1)
    capture.child.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        capture.child.wait(2)
    capture.child.send_signal(signal.SIGINT)
    # What waits for its reader hears of it when the reader goes on, or of a third one.
    os.close(reader)
    assert capture.child.wait(PATIENCE) in (0, 130)


def test_an_idle_capture_takes_no_processor(wire):
    capture = wire.live("--features", "flow_meta")

    def used():
        fields = open(f"/proc/{capture.child.pid}/stat").read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # A loop that spins takes as much time as it gets: nothing near a tenth of it is one that waits. A hundredth on a quiet machine.
    before, began = used(), time.monotonic()
    time.sleep(600 if HEAVY else 5)
    share = (used() - before) / (time.monotonic() - began)
    print(f"an idle capture took {share:.2%} of a processor")
    assert share < (0.01 if HEAVY else 0.1)
    capture.stop()


def test_the_series_of_an_interface_end_with_it(wire):
    wire.ip("a", "link", "add", "veth1", "type", "veth", "peer", "name", "veth1", "netns", f"{wire.name}-b")
    for side in "ab":
        wire.ip(side, "link", "set", "veth1", "up")
    capture = Served(wire, "any", "-o", wire.directory / "rows.csv")
    wait_for(lambda: 'interface="veth1"' in capture.metrics())
    wire.ip("b", "link", "del", "veth1")
    wait_for(lambda: 'interface="veth1"' not in capture.metrics())
    assert 'interface="veth0"' in capture.metrics()


def test_saved_frames_are_counted(wire, tmp_path):
    capture = Served(wire, "veth0", "-o", wire.directory / "rows.csv", "--save-pcap", tmp_path / "saved.pcapng")
    sent = wire.send(frames=flows(1, 123))
    wait_for(lambda: capture.figure("saved_frames_total") == sent)
    assert capture.figure("saved_frames_lost_total") == 0


def test_times_are_those_of_the_host(wire):
    capture = wire.live("--features", "flow_meta")
    before = time.time()
    wire.send(frames=flows(1, 10))
    after = time.time()
    capture.stop()
    assert all(before - 1 <= row["start_time"] <= after + 1 for row in capture.rows()) and len(capture.rows()) == 10


def test_packets_of_the_firewalls_log(jj, tmp_path):
    """Link type 239: addresses are right, or the type is refused by its number; never no rows and success."""
    packet = ipv4(udp(5, 6))
    # Family, version, resource; then options of length and type: a prefix, and the packet.
    prefix = struct.pack("<HH", 4 + 8, 10) + b"prefix\0\0"
    body = struct.pack("<HH", 4 + len(packet), 9) + packet
    frame = struct.pack(">BBH", 2, 0, 5) + prefix + body
    path = write_pcap(tmp_path / "nflog.pcap", [frame], 239)
    done = subprocess.run([jj, "extract", path, "-f", "json", "--features", "flow_meta"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        (row,) = [json.loads(line) for line in done.stdout.splitlines()]
        assert (row["src_ip"], row["dst_port"]) == ("10.77.0.1", 6)
    else:
        assert "239" in done.stderr, done.stderr


def test_a_ring_that_the_kernel_has_no_memory_for_is_made_smaller(wire, jj):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    command = ["strace", "-f", "-e", "trace=setsockopt", "-e", "inject=setsockopt:error=ENOMEM:when=3", jj, "live", "veth0", "-d", "1", "-o", "/dev/null"]
    done = subprocess.run(["ip", "netns", "exec", f"{wire.name}-b", *command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    injected = [line for line in done.stderr.splitlines() if "INJECTED" in line]
    if not injected:
        pytest.skip("nothing can be injected here")
    # Whichever option was hit: capture stands with less memory and says so, or the error names it. Never silence.
    assert "ENOMEM" in injected[0]
    assert done.returncode == 0 and "ring" in done.stderr or done.returncode == 1 and "emory" in done.stderr, done.stderr


def test_losses_are_the_same_to_all_who_ask(wire):
    """The kernel forgets its counters when they are read; those of /metrics only rise, for two who scrape at once too."""
    capture = Served(wire, "veth0", "--features", "flow_meta", "--ring-size", "4", "-o", wire.directory / "rows.csv")
    ask = "\n".join(
        [
            "import threading, urllib.request",
            f"get = lambda: urllib.request.urlopen({capture.url + '/metrics'!r}).read().decode()",
            "def scrape(into): into.extend(get() for _ in range(20))",
            "both = [], []",
            "threads = [threading.Thread(target=scrape, args=(into,)) for into in both]",
            "[thread.start() for thread in threads]; [thread.join() for thread in threads]",
            "print('\\0'.join(both[0]) + '\\1' + '\\0'.join(both[1]))",
        ]
    )
    frames = [ethernet(ipv4(udp(1000 + i, 9, bytes(1000)))) for i in range(1000)]
    capture.child.send_signal(signal.SIGSTOP)
    sent = wire.send("--loop", "10", frames=frames)
    capture.child.send_signal(signal.SIGCONT)
    seen = wire.inside("b", sys.executable, "-c", ask, text=True).stdout
    for texts in seen.split("\1"):
        counts = [value(text, "joyfuljay_capture_packets_total") for text in texts.split("\0")]
        assert len(counts) == 20 and counts == sorted(counts)
    wait_for(lambda: capture.figure("capture_packets_total") == sent)
    lost = wait_for(lambda: capture.figure("capture_drops_total", 'where="kernel"'))
    assert wait_for(lambda: capture.figure("frames_total") == sent - lost, state=capture.metrics)
    wire.send(frames=frames[:10])
    wait_for(lambda: capture.figure("frames_total") == sent + 10 - lost, state=capture.metrics)
    assert capture.figure("capture_drops_total", 'where="kernel"') == lost


def test_a_reader_that_takes_its_time_holds_up_no_packet(wire):
    """Ten milliseconds a row: what waits for it waits behind the capture, and nothing is lost."""
    fifo = wire.directory / "rows"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    capture = wire.live("-f", "json", "--timeout", "0.2", "-o", fifo)
    os.set_blocking(reader, True)
    sent = wire.send("--rate", "20000", frames=flows(1, 1000))
    capture.child.send_signal(signal.SIGTERM)
    read = []
    with open(reader) as rows:
        for line in rows:
            read.append(json.loads(line)["src_port"])
            time.sleep(0.01)
    assert capture.child.wait(PATIENCE) == 0, capture.text()
    summary = capture.stop()
    assert sorted(read) == list(range(1, 1001))
    assert summary["frames"] == sent and summary["dropped"] == {"kernel": 0, "interface": 0, "queue": 0}


def test_a_folder_that_files_cannot_be_made_in_is_said_at_the_start(wire, tmp_path):
    """Not when the first of several files is closed. Root may write everywhere, so its other capabilities go."""
    folder = tmp_path / "of-another"
    folder.mkdir()
    shutil.chown(folder, 12_345, 12_345)
    drop = ["setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all,+net_raw"]
    done = wire.inside(
        "b", *drop, wire.jj, "live", "veth0", "-o", folder / "rows.csv", "--output-seconds", "3600", "-d", "60", check=False, text=True
    )
    assert done.returncode == 1 and "make files in its directory" in done.stderr and str(folder) in done.stderr, done.stderr
    assert list(folder.iterdir()) == []


def test_nothing_is_written_where_the_interface_is_not_there(wire):
    for form in ("csv", "json", "arrow"):
        done = wire.inside("b", wire.jj, "live", "nosuch0", "-f", form, check=False)
        assert (done.returncode, done.stdout) == (1, b"") and b"no such interface" in done.stderr, done


@pytest.mark.parametrize(
    "wrong",
    [["-d", "0"], ["--ring-size", "0"], ["--timeout", "soon"], ["--set", "no_such_key=1"], ["--config", "no-such-file.toml"], ["--filter", "no filter"], ["--no-such-option"]],
    ids=" ".join,
)
def test_what_stays_wrong_has_a_code_on_which_the_unit_does_not_begin_anew(wire, wrong):
    done = wire.inside("b", wire.jj, "live", "veth0", *wrong, "-o", wire.directory / "rows.csv", check=False, text=True)
    assert done.returncode == 2, done.stderr
    assert "RestartPreventExitStatus=2\n" in (ROOT / "packaging/systemd/joyfuljay@.service").read_text()
