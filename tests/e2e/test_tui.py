"""`jj tui` beside a run that serves its metrics; the run reads a pipe that stays open."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pytest
from conftest import DATA
from scrapes import PATIENCE, announced, kill, scrape, total, wait_for


@pytest.fixture
def run(jj, tmp_path):
    """A run over a pipe that has had demo.pcap; its address."""
    command = [jj.path, "extract", "-", "-o", tmp_path / "rows.csv", "--prometheus-port", "0", "--no-progress"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        child.stdin.write((DATA / "demo.pcap").read_bytes())
        child.stdin.flush()
        child.url = announced(child)
        wait_for(lambda: total(scrape(child.url), "joyfuljay_frames_total") == 662)
        yield child
    finally:
        child.stdin.close()
        kill(child)


def test_a_snapshot_has_the_figures_of_the_run(jj, run):
    done = jj("tui", run.url, "--once")
    packets = int(total(scrape(run.url), "joyfuljay_packets_total"))
    assert packets > 500
    for want in ["Reading captures", f"{packets} in all", "Flows ", "active", "Memory ", "Errors      none", "Output      csv:"]:
        assert want in done.out, done.out
    assert "\x1b" not in done.out and "q quits" not in done.out
    # Without a terminal that is what is meant.
    assert "Reading captures" in jj("tui", run.url).out


def test_nobody_there_is_an_error(jj):
    done = jj("tui", "http://127.0.0.1:1", "--once", ok=False)
    assert done.returncode == 1 and "nothing answers" in done.err and "--prometheus-port" in done.err
    done = jj("tui", "ftp://me:secret@host", ok=False)
    assert done.returncode == 2 and "http" in done.err and "secret" not in done.err


def test_a_password_is_sent_and_its_want_is_told(jj, tmp_path):
    # The hash is of "secret" (bcrypt, the least cost).
    config = tmp_path / "web.yml"
    config.write_text("basic_auth_users:\n  me: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
    command = [jj.path, "extract", "-", "-o", tmp_path / "rows.csv", "--prometheus-port", "0", "--prometheus-web-config", config]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        url = announced(child)
        done = jj("tui", url, "--once", ok=False)
        assert "asks for a name and a password" in done.err
        done = jj("tui", url.replace("//", "//me:wrong@"), "--once", ok=False)
        assert "wrong" in done.err and "me:wrong" not in done.err
        assert "Reading captures" in jj("tui", url.replace("//", "//me:secret@"), "--once").out
    finally:
        child.stdin.close()
        kill(child)


class Screen:
    """`jj tui` in a terminal of its own."""

    def __init__(self, jj, url, rows, columns):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.child = subprocess.Popen([jj.path, "tui", url], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                break
        return self.seen

    def wait_for(self, text):
        wait_for(lambda: text in self.read(), state=lambda: self.seen[-500:])

    def ended(self):
        wait_for(lambda: (self.read(), self.child.poll())[1] is not None)
        return self.child.returncode


@pytest.mark.parametrize("quit", [b"q", b"\x03"])
def test_a_terminal_shows_the_run_and_keys_quit(jj, run, quit):
    screen = Screen(jj, run.url, 24, 80)
    try:
        screen.wait_for(b"Packets/s")
        for rows, columns in [(12, 40), (1, 1), (2, 5), (50, 200)]:
            screen.resize(rows, columns)
            screen.child.send_signal(28)  # SIGWINCH, as the kernel sends it to the foreground
            time.sleep(0.2)
            assert screen.child.poll() is None, screen.read()
        os.write(screen.master, quit)
        assert screen.ended() == 0
        assert b"\x1b[?1049l" in screen.seen, "the terminal is as it was"
        assert b"panicked" not in screen.seen
    finally:
        kill(screen.child)


def test_a_run_that_ends_is_told_and_the_screen_stays(jj, run):
    screen = Screen(jj, run.url, 24, 80)
    try:
        screen.wait_for(b"Packets/s")
        run.stdin.close()
        assert run.wait(PATIENCE) == 0
        screen.wait_for(b"reachable")
        screen.child.terminate()
        assert screen.ended() == 0
        assert b"\x1b[?1049l" in screen.seen
    finally:
        kill(screen.child)
