"""What a run of `jj` serves at /metrics, read by the tests that watch it from outside.

No test depends on a machine that has nothing else to do: what is waited for has minutes, and fails by its own assertion.
"""

import re
import subprocess
import threading
import time
import urllib.request

#: Far beyond what anything here takes, also on a machine with ten times the load it has processors for.
PATIENCE = 300


def announced(child):
    """`http://HOST:PORT` of a run's metrics, from the line on its standard error; that and the rest of it are in `child.said`."""
    child.said = []
    for line in child.stderr:
        child.said.append(line)
        if found := re.search(rb"(https?://[0-9.]+:[0-9]+)/metrics", line):
            child.listener = threading.Thread(target=lambda: child.said.extend(child.stderr), daemon=True)
            child.listener.start()
            return found[1].decode()
    raise AssertionError(f"jj ended with {child.wait()} and no address of its metrics: {b''.join(child.said).decode()}")


def all_said(child):
    """What a run that was `announced` said on its standard error, once it has ended."""
    child.listener.join(PATIENCE)
    return b"".join(child.said)


def scrape(url):
    """The text of /metrics."""
    with urllib.request.urlopen(url + "/metrics", timeout=PATIENCE) as answer:
        return answer.read().decode()


def samples(text, name, label=""):
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line) and label in line]


def value(text, name, label=""):
    found = samples(text, name, label)
    return found[0] if found else 0.0


def total(text, name):
    return sum(samples(text, name))


def wait_for(what, seconds=PATIENCE, state=lambda: ""):
    """The first true answer of `what`; an error after so many seconds shows the `state` of things."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"nothing happened; {state()}"
        time.sleep(0.05)
    return found


def kill(child):
    """Ends a process, whatever it does, and takes it from the table of processes."""
    child.kill()
    try:
        return child.wait(PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise AssertionError("a killed process is still there") from late
