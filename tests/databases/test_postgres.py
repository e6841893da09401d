"""What is PostgreSQL's own: widths, addresses, lost connections, locks."""

import random
import shutil
import socket
import string
import threading

import pytest
from conftest import DEMO, PATIENCE, kill, until
from joyfuljay import _native
from joyfuljay.output.database import DatabaseWriter, to_database


@pytest.mark.parametrize("length", [20, 30, 200, 9000])
def test_the_widest_row_fits(postgres, length):
    """All features have a value, and all texts and lists are of this many random bytes."""
    rng = random.Random(length)

    def value(feature):
        kind = feature["type"]
        if feature["privacy"] == "address":
            return "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"
        texts = "".join(rng.choices(string.printable, k=length))
        return {
            "bool": True, "int64": 2**62, "float64": rng.random(), "string": texts, "timestamp[ns, UTC]": 10**18,
            "list[int64]": [rng.getrandbits(60) for _ in range(length // 8)], "list[float64]": [rng.random() for _ in range(length // 8)],
        }[kind]  # fmt: skip

    row = {f["name"]: value(f) for f in _native.feature_table()}
    assert to_database([row], postgres.dsn, "wide") == 1
    assert postgres.query("select count(*) from wide") == [(1,)]


def test_what_might_not_fit_is_refused_at_the_start(jj, postgres):
    for count in (300, 340, 400, 1600):
        row = {f"label{n}": "x" for n in range(count)}
        if 24 * count + 300 < 8160:
            assert to_database([row], postgres.dsn, f"labels{count}") == 1
            long = {name: "".join(random.choices(string.printable, k=500)) for name in row}
            assert to_database([long], postgres.dsn, f"labels{count}") == 1
        else:
            with pytest.raises(Exception, match="page|1600"):
                to_database([row], postgres.dsn, f"labels{count}")
            assert postgres.query(f"select to_regclass('labels{count}')") == [(None,)]
    # Columns that were dropped count.
    postgres.query("create table many ({})".format(", ".join(f"c{n} int" for n in range(1500))))
    for n in range(200):
        postgres.query(f"alter table many drop column c{n}")
    refused = jj("extract", DEMO, *postgres.arguments("many"), ok=False)
    assert "dropped included" in refused.stderr and "--db-table" in refused.stderr


def test_addresses_are_hosts(postgres):
    addresses = ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "2001:db8::1", "0.0.0.0", None]
    to_database(({"src_ip": a} for a in addresses), postgres.dsn, "hosts")
    assert postgres.query("select host(src_ip), masklen(src_ip), family(src_ip) from hosts order by ctid") == [
        ("10.0.0.1", 32, 4), ("::ffff:10.0.0.1", 128, 6), ("fe80::1", 128, 6), ("2001:db8::1", 128, 6), ("0.0.0.0", 32, 4), (None, None, None),
    ]  # fmt: skip
    assert postgres.query("select count(*) from hosts where src_ip << '10.0.0.0/8'") == [(1,)]


class Proxy:
    """A way to the server that can lose what the server says of a commit."""

    def __init__(self, port):
        self.port_of_server, self.cuts = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port_of_server))
            state = {"committing": False}
            threading.Thread(target=self.forth, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self.back, args=(client, server, state), daemon=True).start()

    def forth(self, client, server, state):
        try:
            while data := client.recv(65536):
                if b"COMMIT" in data and self.cuts > 0:
                    state["committing"] = True
                server.sendall(data)
        except OSError:
            pass
        self.close(client, server)

    def back(self, client, server, state):
        try:
            while data := server.recv(65536):
                if state["committing"] and b"COMMIT\0" in data:
                    # The server has committed, and nobody hears of it.
                    self.cuts -= 1
                    break
                client.sendall(data)
        except OSError:
            pass
        self.close(client, server)

    @staticmethod
    def close(*sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_a_batch_whose_commit_was_not_heard_of_is_there_once(jj, server, postgres, many):
    proxy = Proxy(server.port)
    options = ["--feature", "src_ip,src_port", "--db-table", "flows", "--db-batch-size", "500", "--db-timeout", "60"]
    # The first commit is that of the table itself, which is not repeated.
    process = jj.start("extract", many, *options, "-f", "postgres", "-o", server.url(postgres.name, proxy.port))

    def begun():
        assert process.poll() is None, process.stderr.read()
        return postgres.query("select to_regclass('joyfuljay_runs')") != [(None,)]

    until(begun)
    proxy.cuts = 3
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert proxy.cuts == 0 and "no row is there twice" in said
    ((rows, batches),) = postgres.query("select row_count, batches from joyfuljay_runs")
    assert postgres.query("select count(*), count(distinct (src_ip, src_port)) from flows") == [(rows, rows)]
    assert batches >= rows / 500


def test_equal_batches_both_stay(postgres):
    rows = [{"n": 1}] * 10
    with DatabaseWriter(postgres.dsn, "equal", batch_size=5) as writer:
        writer.write_many(rows)
    assert postgres.query("select count(*) from equal") == [(10,)]
    assert postgres.query("select batches, row_count from joyfuljay_runs") == [(2, 10)]


def test_a_backend_that_is_ended_is_replaced(jj, postgres, many):
    process = jj.start("extract", many, "--features", "flow_meta", "--db-batch-size", "200", *postgres.arguments("flows"))
    ended = 0
    while process.poll() is None and ended < 3:
        found = postgres.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'joyfuljay' and datname = current_database()"
        )
        # A connection that is ended while it makes the table is not made again.
        if found and postgres.query("select to_regclass('joyfuljay_runs')") != [(None,)]:
            ended += len(found)
        elif found:
            kill(process)
            process = jj.start("extract", many, "--features", "flow_meta", "--db-batch-size", "200", *postgres.arguments("flows"))
    said = process.communicate(timeout=PATIENCE)[1]
    if process.returncode != 0:
        assert "batches" in said or "administrator" in said or "connection" in said, said
    ((count,),) = postgres.query("select count(*) from flows")
    assert postgres.query("select coalesce(sum(row_count), 0) from joyfuljay_runs") == [(count,)]


def test_what_the_server_refuses_ends_the_run_and_is_told(jj, postgres, many):
    """A disk that is full, say: the batches before are there, and the run says how many."""
    jj("extract", DEMO, "--feature", "src_port", *postgres.arguments("flows"))
    postgres.query(
        "create function refuse() returns trigger language plpgsql as $$ begin if (select count(*) from flows) > 700 then"
        " raise exception using message = 'no space left', errcode = 'disk_full'; end if; return new; end $$"
    )
    postgres.query("create trigger refuse before insert on flows for each row execute function refuse()")
    done = jj("extract", many, "--feature", "src_port", "--db-batch-size", "100", *postgres.arguments("flows"), ok=False)
    assert done.returncode == 1 and "no space left" in done.stderr and "disk is full" in done.stderr
    ((batches, rows),) = postgres.query("select batches, row_count from joyfuljay_runs where finished is null")
    assert f"{batches} batches with {rows} rows" in done.stderr
    assert postgres.query("select count(*) from flows where run_id = 2") == [(rows,)]


def test_a_full_disk_ends_the_run_at_whole_batches(jj, server, postgres, small_disk, many):
    """The server's own disk is full; with room the run is taken up again."""
    if server.user:
        shutil.chown(small_disk, server.user)
    server.query(f"create tablespace small_{postgres.name} location '{small_disk}'", postgres.name)
    try:
        postgres.query(f"create table flows (run_id bigint) tablespace small_{postgres.name}")
        command = ["extract", many, "--features", "flow_meta", "--db-batch-size", "500", *postgres.arguments("flows")]
        runs = 0
        while True:
            # Until it is full, however few rows there are.
            done = jj.start(*command)
            said = done.communicate(timeout=PATIENCE)[1]
            runs += 1
            if done.returncode:
                break
            assert runs < 100
        assert done.returncode == 1 and "disk is full" in said
        ((run, batches, rows),) = postgres.query("select run_id, batches, row_count from joyfuljay_runs where finished is null")
        assert f"{batches} batches with {rows} rows" in said
        assert postgres.query(f"select count(*) from flows where run_id = {run}") == [(rows,)]
        assert rows == 500 * batches
        # With room it is taken up again.
        postgres.query("alter table flows set tablespace pg_default")
        jj(*command, "--db-resume", run)
        assert postgres.query(f"select count(*) = (select row_count from joyfuljay_runs where run_id = {run}) from flows where run_id = {run}") == [(True,)]
    finally:
        postgres.query("drop table if exists flows")
        server.query(f"drop tablespace small_{postgres.name}", postgres.name)


def test_a_lock_is_not_waited_for_without_end(jj, server, postgres):
    import psycopg

    jj("extract", DEMO, "--feature", "src_port", *postgres.arguments("flows"))
    with psycopg.connect(postgres.dsn) as reader:
        reader.execute("select * from flows")
        done = jj("extract", DEMO, "--features", "flow_meta", "--db-timeout", "0.2", *postgres.arguments("flows"), ok=False)
        assert "--db-timeout" in done.stderr
        # Without columns to add, readers are in nobody's way.
        jj("extract", DEMO, "--feature", "src_port", "--db-timeout", "0.2", *postgres.arguments("flows"))
    with psycopg.connect(postgres.dsn) as other:
        other.execute("select pg_advisory_xact_lock(x'4a6f7966756c4a61'::bigint)")
        done = jj("extract", DEMO, "--features", "flow_meta", "--db-timeout", "0.2", *postgres.arguments("flows"), ok=False)
        assert "another session" in done.stderr


def test_passwords_stay_secret(jj, server, postgres, tmp_path, monkeypatch):
    url = postgres.dsn.replace("postgres@", "postgres:topsecret@")
    done = jj("extract", DEMO, "--feature", "src_port", "-f", "postgres", "-o", url, "--prometheus-port", "0")
    assert "can see the password" in done.stderr and "topsecret" not in done.stderr
    done = jj("extract", DEMO, "-f", "postgres", "--db-url", url.replace(str(server.port), "1"), ok=False)
    assert "topsecret" not in done.stderr and "postgres@127.0.0.1" in done.stderr
    for given in (["-o", postgres.dsn], ["--db-url", postgres.dsn]):
        assert "password" not in jj("extract", DEMO, "--feature", "src_port", *given).stderr
    (tmp_path / "pass").write_text(f"127.0.0.1:{server.port}:*:postgres:topsecret\n")
    (tmp_path / "pass").chmod(0o644)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    assert "chmod 0600" in jj("extract", DEMO, "--feature", "src_port", "-o", postgres.dsn).stderr
