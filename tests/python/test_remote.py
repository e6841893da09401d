"""Remote sensors from Python; what the protocol does on bad days is in tests/remote."""

import asyncio
import os

import pytest

import joyfuljay
from joyfuljay.monitoring import PrometheusMetrics
from joyfuljay.remote import DiscoveredServer, Server, discover_servers

FEW = {"features": ["flow_meta", "connection"]}


def test_rows_of_a_served_capture_are_those_of_the_file(capture):
    with Server(capture, "127.0.0.1", 0) as server:
        rows = joyfuljay.extract_live(server.get_connection_url(), output_format="dict", **FEW)
        assert (server.drops, server.auth_failures) == (0, 0) and server.bytes_sent > 0 and server.messages_sent > 0
        again = joyfuljay.extract_live(f"jj://127.0.0.1:{server.port}", output_format="dict", token=server.token, **FEW)
    assert rows == again == joyfuljay.extract(capture, "dict", **FEW)
    assert not server.running


def test_a_wrong_token_is_an_error_and_counted(capture):
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    with Server(capture, "127.0.0.1", 0, token="right", metrics=PrometheusMetrics(registry=registry)) as server:
        with pytest.raises(joyfuljay.CaptureError, match="the token is wrong"):
            joyfuljay.extract_live(f"jj://127.0.0.1:{server.port}", output_format="dict", token="wrong", **FEW)
        assert server.auth_failures == 1
        assert registry.get_sample_value("joyfuljay_remote_auth_failures_total") == 1
    with pytest.raises(joyfuljay.CaptureError, match="cannot be reached: [^()]+$"):
        joyfuljay.extract_live(f"jj://127.0.0.1:{server.port}", output_format="dict", token="right", **FEW)


def test_what_is_wrong_is_said_at_once(capture, monkeypatch):
    monkeypatch.delenv("JOYFULJAY_TOKEN", raising=False)
    with pytest.raises(ValueError, match="wants a token"):
        joyfuljay.extract_live("jj://127.0.0.1")
    with pytest.raises(ValueError, match="address of one sensor"):
        joyfuljay.extract_live("lo", token="x")
    with pytest.raises(ValueError, match="both, or none"):
        Server(capture, tls_cert="cert.pem")
    with pytest.raises(joyfuljay.CaptureError, match="no-such.pcap: there is no such interface and no such file"):
        Server("no-such.pcap", "127.0.0.1", 0).start()
    with Server(capture, "127.0.0.1", 0) as server, pytest.raises(OSError, match="cannot listen"):
        Server(capture, "127.0.0.1", server.port).start()


def test_it_can_be_awaited_and_stopped(capture):
    server = Server(capture, "127.0.0.1", 0)

    async def both():
        task = asyncio.create_task(server.run())
        while not server.running:
            await asyncio.sleep(0.01)
        server.stop()
        await task

    asyncio.run(both())
    assert not server.running
    server.stop()
    with server:
        assert server.running and "running" in repr(server)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_leaves_its_parents_server_does_not_wait_for_it(capture, run_python):
    code = f"""
import os, signal, sys
from joyfuljay import extract_live
from joyfuljay.remote import Server
with Server({capture!r}, "127.0.0.1", 0) as server:
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        # An ordinary end, with all that the interpreter frees then; it leaves the block, too.
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert server.running and len(extract_live(server.get_connection_url(), output_format="dict", features=["flow_meta"])) > 20
assert not server.running
"""
    run_python(code)


def test_looking_for_servers_ends():
    assert all(isinstance(found, DiscoveredServer) for found in discover_servers(0.1))
    with pytest.raises(ValueError, match="timeout"):
        discover_servers(-1)
