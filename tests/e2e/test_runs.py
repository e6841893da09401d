"""Runs as they go: progress, summary, kills, metrics."""

import csv
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
from conftest import DATA, FOUR_GROUPS, RST, SYN, WINDOW, pcap
from scrapes import PATIENCE, all_said, announced, scrape, total, value, wait_for

#: Metrics at any free port; a run that a test ends by itself lingers for longer than the test.
SERVED = ["--prometheus-port", "0"]
LINGERING = [*SERVED, "--prometheus-linger", 2 * PATIENCE]

DEMO = DATA / "demo.pcap"
MAKE = DATA.parent.parent / "benches" / "make_capture.py"


def test_quiet_in_a_pipe(jj):
    err = jj("extract", DEMO, "-f", "csv", "-o", "-").err
    assert "\r" not in err and "\x1b" not in err


def test_summary_on_stderr_only(jj, tmp_path):
    done = jj("extract", DEMO, "-o", tmp_path / "out.csv", "-f", "csv")
    assert done.out == ""
    assert "662" in done.err and "skipped 10" in done.err, "packets read and skipped"


def test_broken_pipe_is_no_crash(jj):
    done = subprocess.run(["sh", "-c", f"'{jj.path}' extract '{DEMO}' -f csv -o - | head -1"], capture_output=True, timeout=PATIENCE, check=False)
    assert done.stdout.count(b"\n") == 1
    assert b"panicked" not in done.stderr


def gone_stderr(kind):
    """A standard error that cannot be written: no space left, or a reader that has gone."""
    if kind == "full":
        return os.open("/dev/full", os.O_WRONLY)
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("kind", ["full", "gone"])
@pytest.mark.parametrize("more", [[], ["--summary", "json"], ["--prometheus-port", "0"], ["--progress"]], ids=["text", "json", "metrics", "progress"])
def test_rows_and_exit_code_do_not_depend_on_standard_error(jj, tmp_path, kind, more):
    """The warning is of a capture that is cut short."""
    jj("extract", DATA / "cut_short.pcap", "-o", tmp_path / "want.csv")
    err = gone_stderr(kind)
    try:
        arguments = [DATA / "cut_short.pcap", "-o", tmp_path / "out.csv", *more]
        assert subprocess.run([jj.path, "extract", *arguments], stderr=err, timeout=PATIENCE, check=False).returncode == 0
        assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "want.csv").read_bytes()
        assert subprocess.run([jj.path, "extract", tmp_path / "none.pcap"], stderr=err, timeout=PATIENCE, check=False).returncode == 1
        assert subprocess.run([jj.path, "extract", DEMO, "--features", "none"], stderr=err, timeout=PATIENCE, check=False).returncode == 2
    finally:
        os.close(err)


def test_names_move_no_cursor_and_begin_no_line(jj, tmp_path):
    name = "\x1b[31mred\nerror: forged"
    missing = jj("extract", tmp_path / name, ok=False).err
    assert missing.count("\n") == 1 and "\\u{1b}[31mred\\nerror: forged" in missing
    cut = tmp_path / f"{name}.pcap"
    cut.write_bytes((DATA / "cut_short.pcap").read_bytes())
    output = tmp_path / f"{name}.csv"
    for said in (jj("extract", cut, "-o", output).err, jj("info", cut).err, jj("info", cut).out):
        assert "red" in said and "\x1b" not in said and "\nerror:" not in said
    assert output.exists(), "the file has the name that was given"


@pytest.fixture
def feeding(jj):
    """A run that reads standard input and waits for more; closed and ended afterwards."""
    started = []

    def start(*arguments):
        child = subprocess.Popen(
            [jj.path, "extract", "-", *map(str, arguments), "--no-progress"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(child)
        return child

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.wait()


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "arrow"])
def test_a_killed_run_leaves_nothing_that_looks_whole(jj, feeding, tmp_path, form):
    out = tmp_path / f"out.{form}"
    child = feeding("-f", form, "-o", out)
    feed(child, DEMO.read_bytes())
    wait_for(lambda: is_writing(child, tmp_path))
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    assert not out.exists()
    # What it left, if anything, goes with the next run.
    jj("extract", DEMO, "-f", form, "-o", out)
    assert list(tmp_path.iterdir()) == [out]


def test_tasks_of_an_array_job_write_into_one_folder(jj, tmp_path):
    """At once, two of them killed and run again: the rows are those of one run. A file is there when it is whole."""
    capture, many, folder = tmp_path / "many.pcap", 8, tmp_path / "parts"
    folder.mkdir()
    subprocess.run([sys.executable, MAKE, capture, "--flows", "5000", "--live", "50", "--each", "3"], check=True, timeout=PATIENCE)
    options = ["--features", "flow_meta", "--timeout", "0.001"]

    def task(number):
        command = ["extract", capture, "--slice", f"{number}/{many}", *options, "-f", "json", "-o", folder / f"flows-{number}.json", "-q"]
        return subprocess.Popen([jj.path, *map(str, command)], stderr=subprocess.PIPE)

    def whole():
        found = [line for path in sorted(folder.glob("*.json")) for line in path.read_text().splitlines(keepends=True)]
        assert all(line.endswith("}\n") for line in found)
        return sorted(found)

    tasks = {number: task(number) for number in range(1, many + 1)}
    for number in (3, 6):
        tasks[number].kill()
    for process in tasks.values():
        process.communicate(timeout=PATIENCE)
    whole()
    again = {number: task(number) for number in (3, 6)}
    assert {number: (process.communicate(timeout=PATIENCE)[1], process.returncode) for number, process in again.items()} == {3: (b"", 0), 6: (b"", 0)}
    assert whole() == sorted(jj("extract", capture, *options, "-f", "json", "-o", "-", "-q").out.splitlines(keepends=True))
    assert len(list(folder.iterdir())) == many


def read_all_of(child, data):
    """Feeds a run that serves its metrics, and waits until it has read everything."""
    url = announced(child)
    feed(child, data)
    wait_for(lambda: value(scrape(url), "joyfuljay_input_read_bytes") == len(data))


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_over_a_pipe_is_stopped_by_a_signal_and_finishes(jj, feeding, tmp_path, by):
    out = tmp_path / "out.csv"
    child = feeding("-f", "csv", "-o", out, *WINDOW, *SERVED)
    read_all_of(child, DEMO.read_bytes())
    child.send_signal(by)
    assert child.wait(PATIENCE) == 0
    assert out.read_text() == jj("extract", DEMO, *WINDOW, "-q", "-f", "csv", "-o", "-").out
    assert list(tmp_path.iterdir()) == [out]
    assert b"stopped by a signal" in all_said(child)


def test_a_second_signal_cancels_a_run_over_a_pipe(feeding, tmp_path):
    child = feeding("-f", "csv", "-o", tmp_path / "out.csv", *SERVED)
    read_all_of(child, DEMO.read_bytes())
    # Both are there when it goes on: it cannot have ended by the first.
    child.send_signal(signal.SIGSTOP)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGCONT)
    assert child.wait(PATIENCE) in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_waits_for_the_first_byte_ends_when_told(feeding, tmp_path):
    child = feeding("-f", "csv", "-o", tmp_path / "out.csv", *SERVED)
    url = announced(child)
    wait_for(lambda: total(scrape(url), "joyfuljay_active_runs") == 1)
    time.sleep(1)  # until it waits for its input
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_a_run_over_files_is_cancelled_by_the_first_signal(jj, tmp_path):
    capture = tmp_path / "many.pcap"
    with capture.open("wb") as to:
        subprocess.run([sys.executable, MAKE, "-", "--packets", "60000"], stdout=to, check=True)
    child = subprocess.Popen([jj.path, "extract", capture, "-q", "-f", "csv", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # It waits for its rows to be read: there are more of them than a pipe holds. The header comes before the run.
    child.stdout.readline()
    child.stdout.readline()
    child.send_signal(signal.SIGINT)
    time.sleep(5)  # until it has heard, however busy the machine is
    _, err = child.communicate(timeout=PATIENCE)
    assert (child.returncode, err) == (128 + signal.SIGINT, b"interrupted: no output file was written\n")


@pytest.fixture
def following(jj):
    """A run over a pipe whose rows are read as they come: the process, and a function that waits for the next line."""
    started = []

    def start(*arguments):
        child = subprocess.Popen(
            [jj.path, "extract", "-", "-f", "csv", "-o", "-", "--no-progress", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(child)
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line.decode().strip()) for line in child.stdout], daemon=True).start()
        return child, lambda: lines.get(timeout=PATIENCE)

    yield start
    for child in started:
        if child.poll() is None:
            child.kill()
        child.stdin.close()
        child.wait(PATIENCE)


SHORT = ["--feature", "src_port", "--feature", "end_reason"]


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_leave_while_the_wire_is_quiet(following, workers):
    child, line = following("-w", workers, "--timeout", "1", *SHORT)
    now = time.time()
    feed(child, pcap((now, 1001, RST), (now, 1002, SYN)))
    assert [line(), line(), line()] == ["src_port,end_reason", "1001,rst", "1002,idle"]
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(PATIENCE) == 0
    assert b"quiet flows end by the clock" in child.stderr.read()


@pytest.mark.parametrize("workers", [1, 2])
def test_old_packets_do_not_end_flows_by_the_clock(following, workers):
    child, line = following("-w", workers, "--timeout", "1", *SHORT)
    feed(child, pcap((1e9, 1001, SYN), (1e9 + 100, 1001, SYN)))
    assert [line(), line()] == ["src_port,end_reason", "1001,idle"], "what has ended leaves"
    feed(child, pcap((1e9 + 100.5, 1002, SYN), (1e9 + 300, 1002, SYN))[24:])
    assert line() == "1002,idle", "and not what the clock alone would have ended"
    child.stdin.close()
    assert [line(), line()] == ["1001,idle", "1002,end_of_input"]
    assert child.wait(PATIENCE) == 0
    assert b"not by the clock" in child.stderr.read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_a_pipe(jj, tmp_path):
    fifo, out = tmp_path / "fifo", tmp_path / "rows.csv"
    os.mkfifo(fifo)
    child = subprocess.Popen([jj.path, "extract", fifo, *WINDOW, "-q", "-f", "csv", "-o", out], stderr=subprocess.PIPE)
    try:
        with fifo.open("wb") as writer:
            writer.write(DEMO.read_bytes())
        assert child.wait(PATIENCE) == 0, child.stderr.read()
    finally:
        child.kill()
        child.communicate()
    assert out.read_text() == jj("extract", DEMO, *WINDOW, "-q", "-f", "csv", "-o", "-").out


def test_the_capture_is_never_the_output(jj, tmp_path):
    capture = tmp_path / "a.pcap"
    capture.write_bytes(DEMO.read_bytes())
    for output in (capture, tmp_path / "." / "a.pcap"):
        err = jj("extract", capture, "-f", "csv", "-o", output, ok=False).err
        assert "one of the captures" in err
    assert capture.read_bytes() == DEMO.read_bytes()


@pytest.mark.parametrize("what", ["missing", "garbage", "output"])
def test_a_run_that_cannot_begin_is_counted_and_lingers(jj, tmp_path, what):
    garbage = tmp_path / "notes.txt"
    garbage.write_text("notes\n")
    source = {"missing": tmp_path / "none.pcap", "garbage": garbage, "output": DEMO}[what]
    output = tmp_path / "none" / "o.csv" if what == "output" else tmp_path / "o.csv"
    child = subprocess.Popen(
        [jj.path, "extract", source, "-f", "csv", "-o", output, *map(str, LINGERING)], stderr=subprocess.PIPE
    )
    try:
        url = announced(child)
        wait_for(lambda: value(scrape(url), "joyfuljay_runs_total", 'mode="pcap",result="failure"') == 1)
        assert value(scrape(url), "joyfuljay_errors_total", "output" if what == "output" else "parsing") == 1
        child.terminate()
        assert child.wait(PATIENCE) in (1, 2)
    finally:
        child.kill()


def test_an_older_result_survives_a_killed_run(feeding, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("the result of yesterday\n")
    child = feeding("-f", "csv", "-o", out)
    feed(child, DEMO.read_bytes())
    wait_for(lambda: is_writing(child, tmp_path))
    child.kill()
    child.wait(PATIENCE)
    assert out.read_text() == "the result of yesterday\n"


def test_metrics_while_running_and_exact_at_the_end(feeding, tmp_path):
    capture = subprocess.run([sys.executable, MAKE, "-", "--packets", "60000"], stdout=subprocess.PIPE, check=True).stdout
    out = tmp_path / "out.csv"
    child = feeding(*FOUR_GROUPS, "-f", "csv", "-o", out, *LINGERING)
    url = announced(child)
    seen = []
    half = len(capture) // 2
    feed(child, capture[:half])
    wait_for(lambda: seen.append(value(scrape(url), "joyfuljay_packets_total")) or seen[-1] > 0)
    feed(child, capture[half:])
    child.stdin.close()
    child.stdin = None
    # The output appears under its name when the run is over; the metrics linger.
    wait_for(out.exists)
    wait_for(lambda: seen.append(value(scrape(url), "joyfuljay_packets_total")) or seen[-1] == 60000)
    assert seen == sorted(seen)
    # The run ends after its output has its name.
    wait_for(lambda: value(scrape(url), "joyfuljay_processing_duration_seconds_count", 'mode="pcap"') == 1)
    text = scrape(url)
    flows = sum(1 for _ in out.open()) - 1
    assert total(text, "joyfuljay_flows_total") == flows
    with out.open() as rows:
        assert sum(int(r["total_packets"]) for r in csv.DictReader(rows)) == 60000
    assert total(text, "joyfuljay_errors_total") == 0
    assert value(text, "joyfuljay_active_flows") == 0
    # A client that does not read its answers holds nothing up, and the run has succeeded.
    with socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(url).port)) as deaf:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        child.terminate()
        assert child.wait(PATIENCE) == 0


def test_taken_port_is_an_error_with_a_way_out(jj):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        err = jj("extract", DEMO, "-o", os.devnull, "-f", "csv", "--prometheus-port", port, ok=False).err
    assert str(port) in err


def is_writing(child, folder):
    """Whether the run has a file open in the folder; on Linux it has no name until it is whole."""
    for fd in pathlib.Path(f"/proc/{child.pid}/fd").iterdir():
        try:
            if os.readlink(fd).startswith(f"{folder}{os.sep}"):
                return True
        except FileNotFoundError:
            pass  # closed meanwhile
    return False


def feed(child, data):
    """Writes to a run's standard input, and fails rather than hangs where nobody reads it."""

    def write():
        try:
            child.stdin.write(data)
            child.stdin.flush()
        except BrokenPipeError:
            pass  # it was killed

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(PATIENCE)
    if writer.is_alive():
        child.kill()
        raise AssertionError("the run has stopped reading its standard input")
