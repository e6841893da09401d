"""As much of a WebSocket client and server (RFC 6455) as hostile ones need, byte by byte."""

import base64
import hashlib
import os
import socket
import struct

SUBPROTOCOL = "joyfuljay.v1"
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


class Peer:
    """One end of a connection."""

    def __init__(self, stream, masks):
        self.stream, self.masks = stream, masks
        self.rest = b""

    def read(self, count):
        while len(self.rest) < count:
            if not (more := self.stream.recv(1 << 16)):
                raise EOFError
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def head(self):
        """An HTTP head: its first line and its headers."""
        while b"\r\n\r\n" not in self.rest:
            if not (more := self.stream.recv(1 << 16)):
                raise EOFError
            self.rest += more
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        return first, {name.lower(): text.strip() for name, text in (line.split(":", 1) for line in lines)}

    def send(self, payload, kind=BINARY, length=None):
        """A message; one may lie about its length."""
        length = len(payload) if length is None else length
        mask = 0x80 if self.masks else 0
        head = bytes([0x80 | kind])
        if length < 126:
            head += bytes([mask | length])
        elif length < 1 << 16:
            head += bytes([mask | 126]) + struct.pack(">H", length)
        else:
            head += bytes([mask | 127]) + struct.pack(">Q", length)
        # A mask of zeros leaves the payload as it is.
        self.stream.sendall(head + (bytes(4) if self.masks else b"") + payload)

    def message(self):
        """Kind and payload of the next message."""
        first, second = self.read(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
        mask = self.read(4) if second & 0x80 else None
        payload = self.read(length)
        if mask:
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        return first & 0x0F, payload

    def binary(self):
        """The next message that is one."""
        while True:
            kind, payload = self.message()
            if kind == BINARY:
                return payload
            if kind == CLOSE:
                raise EOFError(payload[2:].decode())


def client(port, token=None, subprotocol=SUBPROTOCOL, host="127.0.0.1", source=None, timeout=60):
    """A client's handshake: the peer, the status, and why it was refused."""
    stream = socket.create_connection((host, port), timeout=timeout, source_address=source and (source, 0))
    authorization = "" if token is None else f"Authorization: Bearer {token}\r\n"
    key = base64.b64encode(os.urandom(16)).decode()
    stream.sendall(
        f"GET / HTTP/1.1\r\nHost: sensor\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n{authorization}\r\n".encode()
    )
    peer = Peer(stream, masks=True)
    first, headers = peer.head()
    return peer, int(first.split()[1]), headers.get("joyfuljay-reason", "")


def accept(stream):
    """A server's handshake, whatever the client says; the peer and the client's headers."""
    peer = Peer(stream, masks=False)
    _, headers = peer.head()
    key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    stream.sendall(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accepted}\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n".encode()
    )
    return peer, headers


def hello(window=1 << 24, version=1):
    return struct.pack("<BHIB", 1, version, window, 0)


def acknowledge(seq):
    return struct.pack("<BQ", 2, seq)


def server_hello(stored=True, version=1, session=bytes(16)):
    return struct.pack("<BH16sQQBH", 0x81, version, session, 0, 0, stored, 4) + b"fake"


def end(seq=0, frames=0):
    return struct.pack("<BQQB", 0x83, seq, frames, 0)
