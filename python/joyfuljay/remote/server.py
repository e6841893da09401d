"""The server of a remote sensor. It is native: packets and clients need no interpreter."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .. import _native
from ..monitoring.prometheus import PrometheusMetrics

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed import StrPath

__all__ = ["Server"]

#: How often a server that somebody waits for is looked at.
_LOOK = 0.05


class Server:
    """Serves the packets of an interface (``"any"`` for all, or the path of a capture) to remote clients.

    It serves from :meth:`start` to :meth:`stop`, in a ``with`` block, or as long as :meth:`run` is awaited; capture begins with the first
    client that shows the token. Counts go to ``metrics``, without one to those of the default registry, which
    :func:`~joyfuljay.monitoring.start_prometheus_server` shows.

    ``token``: without one, a random one is made. ``max_clients``: 0 sets no limit. ``max_bandwidth``: bytes a second for each client.
    ``tls_cert`` and ``tls_key`` (PEM) encrypt everything; with ``tls_client_ca`` clients need a certificate. ``announce`` has
    :func:`discover_servers` find it under ``announce_name``. ``buffer``: bytes kept for clients that are slow or away; ``client_queue_size``,
    which counted packets, is accepted and has no effect.
    """

    def __init__(
        self,
        interface: str,
        host: str = "0.0.0.0",
        port: int = 8765,
        bpf_filter: str | None = None,
        token: str | None = None,
        pid: int | None = None,
        max_clients: int = 5,
        max_bandwidth: float | None = None,
        compress: bool = True,
        tls_cert: StrPath | None = None,
        tls_key: StrPath | None = None,
        announce: bool = False,
        announce_name: str | None = None,
        announce_properties: Mapping[str, str] | None = None,
        client_queue_size: int = 1000,
        *,
        metrics: PrometheusMetrics | None = None,
        tls_client_ca: StrPath | None = None,
        process: str | None = None,
        buffer: int | None = None,
    ) -> None:
        if bool(tls_cert) != bool(tls_key):
            raise ValueError("tls_cert and tls_key: both, or none")
        self.interface, self.host, self.bpf_filter, self.pid, self.process = interface, host, bpf_filter, pid, process
        self.token = secrets.token_urlsafe(32) if token is None else token
        self.max_clients, self.max_bandwidth, self.compress, self.buffer = max_clients, max_bandwidth, compress, buffer
        self.tls_cert, self.tls_key, self.tls_client_ca = tls_cert, tls_key, tls_client_ca
        self.announce, self.announce_properties = announce, dict(announce_properties or {})
        self.announce_name = announce_name or socket.gethostname()
        self.metrics = PrometheusMetrics() if metrics is None else metrics
        self._port = port
        self._native: _native.SensorServer | None = None

    def start(self) -> Server:
        """Listens when it returns. Raises OSError where the address is taken, CaptureError where the interface cannot be captured from."""
        if self.running:
            return self

        def path(file: StrPath | None) -> str | None:
            return None if file is None else os.fspath(file)

        self._native = _native.SensorServer(
            [self.interface],
            self.token,
            self.metrics,
            host=self.host,
            port=self._port,
            bpf_filter=self.bpf_filter,
            pid=self.pid,
            process=self.process,
            max_clients=self.max_clients,
            max_bandwidth=self.max_bandwidth,
            compress=self.compress,
            buffer=self.buffer,
            tls_cert=path(self.tls_cert),
            tls_key=path(self.tls_key),
            tls_client_ca=path(self.tls_client_ca),
            name=self.announce_name,
            announce=self.announce,
            announce_properties=self.announce_properties,
        )
        return self

    def stop(self) -> None:
        """Ends it: clients get what has come. May be called again."""
        if self._native is not None:
            self._native.stop()

    async def run(self) -> None:
        """Serves until :meth:`stop` is called, or the task is cancelled."""
        self.start()
        try:
            while self.running:
                await asyncio.sleep(_LOOK)
        finally:
            await asyncio.to_thread(self.stop)

    def serve_forever(self) -> None:
        """Serves until Ctrl-C, or :meth:`stop` by another thread."""
        self.start()
        try:
            while self.running:
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    @property
    def port(self) -> int:
        """The port; that which it got, where 0 was asked for and it serves."""
        return self._port if self._native is None else self._native.port

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._native is not None and self._native.running

    @property
    def clients(self) -> int:
        """Clients now."""
        return 0 if self._native is None else self._native.clients

    @property
    def bytes_sent(self) -> int:
        """Bytes sent since the start."""
        return 0 if self._native is None else self._native.bytes_sent

    @property
    def messages_sent(self) -> int:
        """Messages sent since the start."""
        return 0 if self._native is None else self._native.messages_sent

    @property
    def drops(self) -> int:
        """Frames that clients were too slow for."""
        return 0 if self._native is None else self._native.drops

    @property
    def auth_failures(self) -> int:
        """Clients turned away for a wrong token."""
        return 0 if self._native is None else self._native.auth_failures

    def get_local_ip(self) -> str:
        """An address of this machine that others may reach it at."""
        if self.host not in ("0.0.0.0", "::", ""):
            return self.host
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                # Nothing is sent: the system only says which address it would send from.
                probe.connect(("192.0.2.1", 9))
                return str(probe.getsockname()[0])
            except OSError:
                return "127.0.0.1"

    def get_connection_url(self) -> str:
        """What a client connects to. The token is in it: not for logs."""
        host = self.get_local_ip()
        tls = "&tls=1" if self.tls_cert else ""
        return f"jj://{f'[{host}]' if ':' in host else host}:{self.port}?token={urllib.parse.quote(self.token, safe='')}{tls}"

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<joyfuljay.remote.Server of {self.interface} at {self.host}:{self.port} ({state})>"
