"""PostgreSQL under TLS: what `sslmode` and the files of certificates mean, with a server that asks for it."""

import os
import pathlib
import shutil
import tempfile

import pytest
from authority import authorities
from conftest import DEMO, started

#: Under TLS only, by name: whom the server lets in, and how.
RULES = """
hostssl all  me_tls      127.0.0.1/32 scram-sha-256
hostssl all  me_cert     127.0.0.1/32 cert
hostnossl all me_plain   127.0.0.1/32 trust
host    all  postgres    127.0.0.1/32 trust
local   all  all                      trust
"""


@pytest.fixture(scope="module")
def secure():
    """A server with a certificate of its own authority for `localhost`, and the files of a client."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jj-postgres-tls-"))
    try:
        server = started(folder)
        server.stop("fast")

        openssl = authorities(folder)
        # With extensions they are of version 3; those of version 1 are not taken by all.
        for name, subject, extension in [("server", "localhost", "subjectAltName = DNS:localhost"), ("client", "me_cert", "basicConstraints = CA:FALSE")]:
            (folder / "extensions").write_text(extension)
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", "request.pem", "-subj", f"/CN={subject}")
            openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-out", f"{name}.pem", "-extfile", "extensions")
        if server.user:
            shutil.chown(folder / "server.key", server.user)
        (folder / "server.key").chmod(0o600)
        rules = folder / "rules"
        rules.write_text(RULES)
        rules.chmod(0o644)
        settings = {"ssl": "on", "ssl_cert_file": folder / "server.pem", "ssl_key_file": folder / "server.key", "ssl_ca_file": folder / "ca.pem"}
        try:
            server.start(" ".join(f"-c {key}={value}" for key, value in {**settings, "hba_file": rules}.items()))
        except AssertionError as why:
            if "not supported by this build" in str(why) + (folder / "log").read_text():
                pytest.skip("this PostgreSQL was built without TLS")
            raise
        server.query("create role me_tls superuser login password 'a secret'")
        server.query("create role me_cert superuser login")
        server.query("create role me_plain superuser login")
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run(jj, secure, monkeypatch, tmp_path):
    """run(user, host, parameters) -> whether its rows came under TLS; the file of errors has what was said where none came."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", "a secret")
    database = secure.database()
    secure.query(
        "create table seen (ssl boolean, version text, cipher text);"
        "create function see() returns trigger language plpgsql as $$ begin"
        " insert into seen select ssl, version, cipher from pg_stat_ssl where pid = pg_backend_pid(); return new; end $$",
        database.name,
    )

    def extract(user="me_tls", host="localhost", ok=True, **parameters):
        query = "&".join(f"{key}={value}" for key, value in parameters.items())
        url = f"postgresql://{user}@{host}:{secure.port}/{database.name}" + (f"?{query}" if query else "")
        secure.query("drop table if exists flows; drop table if exists joyfuljay_runs; delete from seen", database.name)
        secure.query("create table flows (run_id bigint, src_port bigint)", database.name)
        secure.query("create trigger see after insert on flows for each statement execute function see()", database.name)
        done = jj("extract", DEMO, "--feature", "src_port", "-f", "postgres", "-o", url, "--db-table", "flows", ok=ok)
        assert "a secret" not in done.stderr
        if not ok:
            assert secure.query("select count(*) from flows", database.name) == [(0,)]
            return done.stderr
        assert secure.query("select count(*) > 0 from flows", database.name) == [(True,)]
        ((encrypted, version, cipher),) = secure.query("select distinct ssl, version, cipher from seen", database.name)
        assert (version is None and cipher is None) != encrypted
        return encrypted

    extract.folder = secure.folder
    return extract


def test_modes(run):
    """As libpq has them: prefer where nothing is said; require asks nothing of the server; the verifying ones need its authority."""
    ca = run.folder / "ca.pem"
    assert run()
    assert run(sslmode="prefer")
    assert run(sslmode="require")
    assert run(sslmode="verify-ca", sslrootcert=ca)
    assert run(sslmode="verify-full", sslrootcert=ca)
    # No TLS for whom the server has a place without it only.
    assert not run("me_plain")
    assert not run("me_plain", sslmode="disable")
    assert "pg_hba.conf" in run("me_plain", sslmode="require", ok=False)
    assert not run("postgres", sslmode="disable")
    assert "no encryption" in run(sslmode="disable", ok=False)
    assert "there are disable, prefer" in run(sslmode="allow", ok=False)


def test_a_server_that_is_another_is_refused(run):
    ca, other = run.folder / "ca.pem", run.folder / "other.pem"
    for mode in ("verify-ca", "verify-full"):
        said = run(sslmode=mode, sslrootcert=other, ok=False)
        assert "certificate is not accepted" in said and "sslrootcert" in said
        assert "root.crt" in run(sslmode=mode, ok=False)
    # The certificate names localhost.
    assert run(host="127.0.0.1", sslmode="verify-ca", sslrootcert=ca)
    assert "certificate is not accepted" in run(host="127.0.0.1", sslmode="verify-full", sslrootcert=ca, ok=False)
    # As libpq does, require checks the authority where it is named.
    assert run(sslmode="require", sslrootcert=ca)
    assert "certificate is not accepted" in run(sslmode="require", sslrootcert=other, ok=False)
    assert "no-such.pem" in run(sslmode="verify-full", sslrootcert=run.folder / "no-such.pem", ok=False)
    assert "verify-full only" in run(sslmode="require", sslrootcert="system", ok=False)
    assert "certificate is not accepted" in run(sslrootcert="system", ok=False) or not os.path.isdir("/etc/ssl/certs")


def test_files_and_variables_of_libpq(run, monkeypatch, tmp_path):
    place = tmp_path / ".postgresql"
    place.mkdir()
    shutil.copy(run.folder / "other.pem", place / "root.crt")
    assert "certificate is not accepted" in run(sslmode="verify-full", ok=False)
    assert "certificate is not accepted" in run(sslmode="require", ok=False)
    shutil.copy(run.folder / "ca.pem", place / "root.crt")
    assert run(sslmode="verify-full")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(run.folder / "other.pem"))
    assert "certificate is not accepted" in run(ok=False)
    # What the address says goes first.
    assert run(sslrootcert=run.folder / "ca.pem")
    monkeypatch.delenv("PGSSLROOTCERT")
    monkeypatch.delenv("PGSSLMODE")
    # Who comes with a certificate.
    assert run("me_cert", sslmode="verify-full", sslcert=run.folder / "client.pem", sslkey=run.folder / "client.key")
    assert "certificate" in run("me_cert", sslmode="verify-full", ok=False)
    for name, file in [("client.pem", "postgresql.crt"), ("client.key", "postgresql.key")]:
        shutil.copy(run.folder / name, place / file)
    assert run("me_cert", sslmode="verify-full")
    assert "does not go with" in run(
        "me_cert", sslmode="require", sslcert=run.folder / "client.pem", sslkey=run.folder / "ca.key", ok=False
    )


def test_the_password_is_bound_to_the_connection(run):
    """So nobody in between can pass it on, also where the certificate is not checked."""
    assert run(sslmode="require", channel_binding="require")
    assert "channel binding" in run("postgres", sslmode="disable", channel_binding="require", ok=False)


def test_a_server_without_tls(jj, server, postgres):
    jj("extract", DEMO, "--feature", "src_port", *postgres.arguments("flows"))
    for mode in ("require", "verify-full"):
        given = f"{postgres.dsn}?sslmode={mode}&sslrootcert=system" if mode == "verify-full" else f"{postgres.dsn}?sslmode={mode}"
        assert "does not support TLS" in jj("extract", DEMO, "--feature", "src_port", "-o", given, ok=False).stderr
    # A socket of this machine has none, whatever is asked for.
    socket = f"postgresql://postgres@/{postgres.name}?host={server.folder}&port={server.port}&sslmode=require"
    jj("extract", DEMO, "--feature", "src_port", "-f", "postgres", "-o", socket, "--db-table", "flows")
    assert postgres.query("select count(distinct run_id) from flows") == [(2,)]
