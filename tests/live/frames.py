"""Frames to be sent, and a capture file of them."""

import socket
import struct

A, B = "10.77.0.1", "10.77.0.2"


def ethernet(payload, *tags, kind=0x0800):
    """A frame; `tags` are (type, control information), the outermost first."""
    tagged = b"".join(struct.pack(">HH", *tag) for tag in tags)
    return bytes.fromhex("020000000002020000000001") + tagged + struct.pack(">H", kind) + payload


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(payload, source=A, destination=B, protocol=17, identification=0, fragment=0):
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0)
    return header[:10] + struct.pack(">H", checksum(header + addresses)) + addresses + payload


def ipv6(payload, source="fd00::1", destination="fd00::2", protocol=17):
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload


def udp(source_port, destination_port, payload=b"hello"):
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def fragments(datagram, identification, size=1480, **addresses):
    """The IPv4 packets of a datagram."""
    for offset in range(0, len(datagram), size):
        more = 0x2000 if offset + size < len(datagram) else 0
        yield ipv4(datagram[offset : offset + size], identification=identification, fragment=more | offset // 8, **addresses)


def write_pcap(path, frames, link=1):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link))
        for i, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000, i, len(frame), len(frame)) + frame)
    return path
