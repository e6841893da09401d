#!/usr/bin/env python3
"""An HTTP/3 server and client for record_demo.sh, as small as aioquic allows.

usage: demo_quic.py serve ADDRESS PORT CERT KEY | demo_quic.py fetch ADDRESS PORT NAME
"""
import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

BODY = bytes(range(256)) * 80


class Server(QuicConnectionProtocol):
    """Answers every request with BODY."""

    http = None

    def quic_event_received(self, event):
        self.http = self.http or H3Connection(self._quic)
        for e in self.http.handle_event(event):
            if isinstance(e, HeadersReceived):
                self.http.send_headers(e.stream_id, [(b":status", b"200"), (b"content-type", b"application/octet-stream")])
                self.http.send_data(e.stream_id, BODY, end_stream=True)
                self.transmit()


class Client(QuicConnectionProtocol):
    """Knows when the answer is whole."""

    http = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.done = asyncio.Event()

    def quic_event_received(self, event):
        self.http = self.http or H3Connection(self._quic)
        for e in self.http.handle_event(event):
            if isinstance(e, (DataReceived, HeadersReceived)) and e.stream_ended:
                self.done.set()

    async def get(self, name, path):
        self.http = self.http or H3Connection(self._quic)
        stream = self._quic.get_next_available_stream_id()
        headers = {b":method": b"GET", b":scheme": b"https", b":authority": name.encode(), b":path": path}
        self.http.send_headers(stream, list(headers.items()), end_stream=True)
        self.transmit()
        await asyncio.wait_for(self.done.wait(), 10)


async def run_server(address, port, cert, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(cert, key)
    await serve(address, int(port), configuration=configuration, create_protocol=Server)
    await asyncio.Event().wait()


async def fetch(address, port, name):
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, server_name=name, verify_mode=ssl.CERT_NONE)
    async with connect(address, int(port), configuration=configuration, create_protocol=Client) as client:
        await client.get(name, b"/")


asyncio.run({"serve": run_server, "fetch": fetch}[sys.argv[1]](*sys.argv[2:]))
