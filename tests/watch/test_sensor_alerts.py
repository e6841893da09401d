"""A real sensor on the loopback interface, and the alerts of what only a sensor has: rows that nobody takes, packets that are lost."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from scraper import export
from scrapes import announced, scrape, value, wait_for
from test_prometheus_alerts import shortened

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="live capture needs Linux and root")


@pytest.fixture
def sensor(jj):
    """It writes to a pipe that nobody reads yet."""
    command = [jj, "live", "lo", "-f", "json", "--features", "flow_meta", "--timeout", "0.2", "--ring-size", "1", "--prometheus-port", "0"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        url = announced(child)
        wait_for(lambda: value(scrape(url), "joyfuljay_active_runs", "live") == 1)
        yield child, url
    finally:
        child.kill()
        child.wait()


def datagrams(count, size):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        for number in range(count):
            try:
                link.sendto(bytes(size), ("127.0.0.1", 20_000 + number % 20_000))
            except ConnectionRefusedError:
                pass


def test_rows_that_nobody_takes_and_packets_that_are_lost(jj, sensor, prometheus, tmp_path):
    child, url = sensor
    rules = shortened(export(jj, "alerts", tmp_path / "joyfuljay-alerts.yml"))
    address = url.removeprefix("http://")
    server = prometheus(address, rules=rules, folder=tmp_path)

    def fires(name):
        return any(alert.get("instance") == address for alert in server.alerts().get(name, []))

    wait_for(lambda: server.one(f'up{{instance="{address}"}}') == 1)
    # Two thousand flows, a megabyte of rows: far less than the chunks that rows of a file wait for.
    datagrams(2000, 100)
    wait_for(lambda: fires("JoyfulJayOutputStalled"), state=lambda: scrape(url))
    threading.Thread(target=child.stdout.read, daemon=True).start()
    wait_for(lambda: not fires("JoyfulJayOutputStalled"), state=lambda: scrape(url))
    child.send_signal(signal.SIGSTOP)
    datagrams(20_000, 10_000)
    child.send_signal(signal.SIGCONT)
    wait_for(lambda: fires("JoyfulJayCaptureDrops"), state=lambda: scrape(url))
    assert value(scrape(url), "joyfuljay_capture_drops_total", 'where="kernel"') > 0
    wait_for(lambda: not fires("JoyfulJayCaptureDrops"), state=lambda: scrape(url))
    child.kill()
    wait_for(lambda: fires("JoyfulJayTargetMissing"))
