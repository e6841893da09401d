"""A run that goes on for as long as a test wants, over a stream of packets whose totals are known beforehand."""

import importlib.util
import pathlib
import random
import re
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).parent.parent.parent


def generator():
    """The bench's capture generator, a script and no module of a package."""
    spec = importlib.util.spec_from_file_location("make_capture", ROOT / "benches" / "make_capture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PacedRun:
    """`jj extract - …`, fed with real flows at `rate` packets per second until `finish` or `kill`.

    `packets` and `bytes` (IP total length) are what was fed, counted here and not by `jj`.
    """

    def __init__(self, jj, arguments, rate=5000, linger=60, packets=2_000_000, port=0):
        self.packets = self.bytes = 0
        self.child = subprocess.Popen(
            [jj, "extract", "-", *map(str, arguments), "--no-progress", "--prometheus-port", str(port), "--prometheus-linger", str(linger)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.address = self._announced()
        self.stderr = []
        threading.Thread(target=lambda: self.stderr.extend(self.child.stderr), daemon=True).start()
        self._rate, self._stop = rate, threading.Event()
        self._make = generator()
        self._records = self._make.replayed(packets, random.Random(7))
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    @property
    def url(self):
        return f"http://{self.address}"

    def _announced(self):
        for line in self.child.stderr:
            if found := re.search(rb"http://([0-9.]+:[0-9]+)/metrics", line):
                return found[1].decode()
        raise AssertionError(f"jj ended with {self.child.wait()} and no metrics address")

    def _feed(self):
        pipe = self.child.stdin
        begun = time.monotonic()
        try:
            pipe.write(self._make.FILE_HEADER)
            while not self._stop.is_set():
                due = int((time.monotonic() - begun) * self._rate) - self.packets
                batch = [record for record, _ in zip(self._records, range(due), strict=False)]
                pipe.write(b"".join(batch))
                pipe.flush()
                self.packets += len(batch)
                self.bytes += sum(ip_length(record[16:]) for record in batch)
                self._stop.wait(0.05)
            pipe.close()
        except BrokenPipeError:
            pass  # it was killed

    def stop_feeding(self):
        """The end of the input; what `jj` has counted is final once `active_runs` is 0."""
        self._stop.set()
        self._feeder.join(30)
        assert not self._feeder.is_alive(), "the run has stopped reading its standard input"

    def scrape(self):
        with urllib.request.urlopen(self.url + "/metrics", timeout=5) as answer:
            return answer.read().decode()

    def finish(self):
        """Ends the input and waits until the run has counted all of it; its metrics are served on."""
        self.stop_feeding()
        wait_for(lambda: value(self.scrape(), "joyfuljay_active_runs", 'mode="pcap"') == 0)

    def kill(self):
        self._stop.set()
        self.child.kill()
        self.child.wait(10)
        self._feeder.join(10)


def ip_length(frame):
    """The IP packet's length by its own header; for the generator's frames, Ethernet without tags."""
    if frame[12:14] == b"\x08\x00":
        return int.from_bytes(frame[16:18], "big")
    return 40 + int.from_bytes(frame[18:20], "big")


def samples(text, name, label=""):
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line) and label in line]


def value(text, name, label=""):
    found = samples(text, name, label)
    return found[0] if found else 0.0


def wait_for(what, seconds=60):
    """The first true answer of `what`."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)
    return found
