"""Live capture from Python, on the loopback interface: where capturing is not allowed, the tests are skipped."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

import joyfuljay
from joyfuljay import Config, Pipeline
from joyfuljay.extractors import FeatureExtractor

FLOWS = {"features": ["flow_meta"], "flow_timeout": 0.5}


@pytest.fixture(scope="module", autouse=True)
def allowed():
    try:
        joyfuljay.extract_live("lo", 0.1, "table", **FLOWS)
    except joyfuljay.CaptureError as e:
        pytest.skip(str(e))


@pytest.fixture
def port():
    """A port of this host to which datagrams go, each from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        done = threading.Event()

        def send():
            while not done.wait(0.05):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
                    source.sendto(b"datagram", sink.getsockname())

        thread = threading.Thread(target=send)
        thread.start()
        yield sink.getsockname()[1]
        done.set()
        thread.join()


def test_rows_come_while_the_capture_goes_on(port):
    rows = Pipeline(Config(**FLOWS)).process_live("lo", output_format="stream")
    row = next(row for row in rows if row["dst_port"] == port)
    assert (row["src_ip"], row["total_packets"], row["end_reason"]) == ("127.0.0.1", 1, "idle")
    rows.close()


def test_a_capture_ends_by_itself(port):
    rows = joyfuljay.extract_live(["lo"], 2, "dict", **FLOWS)
    assert port in [row["dst_port"] for row in rows]


def test_only_the_packets_of_a_process(port):
    """The datagrams go to a socket of this process; init has none of them."""
    own = joyfuljay.extract_live("lo", 2, "dict", pid=os.getpid(), **FLOWS)
    assert port in [row["dst_port"] for row in own]
    with pytest.raises(joyfuljay.CaptureError, match="there is none"):
        joyfuljay.extract_live("lo", 1, "dict", process="no such process", **FLOWS)


def test_ctrl_c_ends_the_capture_and_gives_its_rows(port):
    script = (
        "import joyfuljay, signal, sys\n"
        # A shell that runs this in the background has it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "seen = lambda p: print('capturing', flush=True)\n"
        "rows = joyfuljay.extract_live('lo', None, 'dict', progress=seen, features=['flow_meta'])\n"
        f"sys.exit(0 if any(row['dst_port'] == {port} for row in rows) else 3)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        for _ in range(20):
            assert child.stdout.readline() == "capturing\n"
        child.send_signal(signal.SIGINT)
        child.stdout.read()
        assert child.wait(300) == 0


def test_the_packets_are_saved(port, tmp_path):
    saved = tmp_path / "saved.pcapng"
    rows = joyfuljay.extract_live("lo", 2, "dict", save_pcap=saved, bpf_filter=f"udp and dst port {port}", **FLOWS)
    again = joyfuljay.extract(saved, "dict", **FLOWS)
    assert rows and sum(row["total_packets"] for row in rows) == sum(row["total_packets"] for row in again)
    assert {row["dst_port"] for row in again} == {port}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_capture_belongs_to_the_process_that_began_it(port):
    """A child has none of its threads: it is told so, and does not wait for rows that nobody makes."""
    rows = Pipeline(Config(**FLOWS)).process_live("lo", output_format="stream")
    next(rows)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        said = "nothing"
        try:
            # Rows that were in hand already may come first.
            for _ in rows:
                pass
        except RuntimeError as error:
            said = str(error)
        rows.close()
        os._exit(7 if "before the fork" in said else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    # The parent's goes on.
    assert port in [row["dst_port"] for row, _ in zip(rows, range(3))]
    rows.close()


def test_packets_are_not_saved_for_extractors_of_your_own(tmp_path):
    class Own(FeatureExtractor):
        feature_names = ["one"]

        def extract(self, flow):
            return {"one": 1}

    saved = tmp_path / "saved.pcapng"
    with pytest.raises(ValueError, match="save_pcap: not with extractors"):
        Pipeline(Config(**FLOWS), extractors=[Own()]).process_live("lo", 0.1, "dict", saved)
    assert list(tmp_path.iterdir()) == []
