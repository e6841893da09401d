"""A run that goes on for as long as a test wants, over a stream of packets whose totals are known beforehand."""

import importlib.util
import pathlib
import random
import subprocess
import threading
import time

from scrapes import PATIENCE, announced, kill, scrape, value, wait_for

ROOT = pathlib.Path(__file__).parent.parent.parent
#: How long metrics are served after a run's end: longer than any test, which ends the process itself.
LINGER = 4 * PATIENCE


def generator():
    """The bench's capture generator, a script and no module of a package."""
    spec = importlib.util.spec_from_file_location("make_capture", ROOT / "benches" / "make_capture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PacedRun:
    """`jj extract - …`, fed with real flows at `rate` packets per second until `finish` or `kill`.

    `packets` and `bytes` (IP total length) are what was fed, counted here and not by `jj`, and never less than it can have
    seen. While `spoil` is set, each record goes through it; those that it makes undecodable, and does not give back as they
    are, are counted in `spoiled` alone.
    """

    def __init__(self, jj, arguments, rate=5000, packets=2_000_000, port=0):
        self.packets = self.bytes = self.spoiled = 0
        self.spoil = None
        serve = ["--prometheus-port", str(port), "--prometheus-linger", str(LINGER)]
        # Closed flows leave soon after, as on a page that somebody looks at; by default they wait for the idle timeout.
        soon = ["--set", "close_timeout=1"]
        self._command = [jj, "extract", "-", *soon, *map(str, arguments), "--no-progress", *serve]
        # A port that was free a moment ago may be somebody's for a while.
        self.address = wait_for(self._started).removeprefix("http://") if port else self._started().removeprefix("http://")
        self._stop = threading.Event()
        self.pace(rate)
        self._make = generator()
        self._records = self._make.replayed(packets, random.Random(7))
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._feeder.start()

    @property
    def url(self):
        return f"http://{self.address}"

    @property
    def stderr(self):
        """Lines of its standard error so far."""
        return self.child.said

    def _started(self):
        self.child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            return announced(self.child)
        except AssertionError as error:
            if b"another program has the port" in b"".join(self.child.said):
                return None
            raise error

    def pace(self, rate):
        """From now on so many packets per second; 0 is a pause with every flow open."""
        self._plan = (time.monotonic(), self.packets + self.spoiled, rate)

    def _feed(self):
        pipe = self.child.stdin
        try:
            pipe.write(self._make.FILE_HEADER)
            while not self._stop.is_set():
                begun, before, rate = self._plan
                due = before + int((time.monotonic() - begun) * rate) - self.packets - self.spoiled
                batch = [record for _, record in zip(range(due), self._records, strict=False)]
                spoil = self.spoil or (lambda record: record)
                fed = [spoil(record) for record in batch]
                whole = [record for record, sent in zip(batch, fed, strict=True) if sent is record]
                self.packets += len(whole)
                self.bytes += sum(ip_length(record[16:]) for record in whole)
                self.spoiled += len(fed) - len(whole)
                pipe.write(b"".join(fed))
                pipe.flush()
                self._stop.wait(0.05)
            pipe.close()
        except BrokenPipeError:
            pass  # it was killed

    def stop_feeding(self):
        """The end of the input; what `jj` has counted is final once `active_runs` is 0."""
        self._stop.set()
        self._feeder.join(PATIENCE)
        assert not self._feeder.is_alive(), "the run has stopped reading its standard input"

    def scrape(self):
        return scrape(self.url)

    def finish(self):
        """Ends the input and waits until the run has counted all of it; its metrics are served on."""
        self.stop_feeding()
        wait_for(lambda: value(self.scrape(), "joyfuljay_active_runs", 'mode="pcap"') == 0)

    def kill(self):
        self._stop.set()
        kill(self.child)
        self._feeder.join(PATIENCE)


def ip_length(frame):
    """The IP packet's length by its own header; for the generator's frames, Ethernet without tags."""
    if frame[12:14] == b"\x08\x00":
        return int.from_bytes(frame[16:18], "big")
    return 40 + int.from_bytes(frame[18:20], "big")
