#!/usr/bin/env python3
"""Writes small captures that say the same things in other ways: formats, tunnels, fragments. Python 3 alone, same bytes each run.

usage: make_variants.py [FOLDER]      (default: the folder of this script; reads demo.pcap there)

Checksums of the headers that are built here are right; those inside recorded frames are the recorded ones.
"""
import gzip
import os
import shutil
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MAC_A, MAC_B = bytes.fromhex("02005e000101"), bytes.fromhex("02005e000102")
OUTER_A, OUTER_B = bytes([198, 51, 100, 1]), bytes([198, 51, 100, 2])
OUTER6_A, OUTER6_B = bytes.fromhex("20010db800010000" + "0" * 15 + "1"), bytes.fromhex("20010db800010000" + "0" * 15 + "2")
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_250_007  # not a whole number of microseconds, so that lost precision shows


# --- reading and writing captures ---------------------------------------------------------------------------------


def read_pcap(path):
    """Frames of a little-endian microsecond pcap file as (nanoseconds, bytes)."""
    data = open(path, "rb").read()
    assert data[:4] == b"\xd4\xc3\xb2\xa1", path
    at, frames = 24, []
    while at < len(data):
        seconds, micros, captured, _ = struct.unpack_from("<4I", data, at)
        frames.append((seconds * 10**9 + micros * 1000, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    return frames


def pcap(frames, link=1, nano=False, order="<", snaplen=262144):
    unit = 1 if nano else 1000
    out = [struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snaplen, link)]
    for ts, frame in frames:
        head = struct.pack(order + "4I", ts // 10**9, ts % 10**9 // unit, min(len(frame), snaplen), len(frame))
        out += [head, frame[:snaplen]]
    return b"".join(out)


def block(order, kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack(order + "2I", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def options(order, *pairs):
    out = b""
    for code, value in pairs:
        out += struct.pack(order + "2H", code, len(value)) + value + b"\0" * (-len(value) % 4)
    return out + struct.pack(order + "2H", 0, 0)


def section(order, *interfaces):
    """A section header and interfaces, each (link type, snaplen, time resolution byte or None)."""
    out = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options(order, (4, b"make_variants.py")))
    for link, snaplen, resolution in interfaces:
        opts = b"" if resolution is None else options(order, (9, bytes([resolution])))
        out += block(order, 1, struct.pack(order + "HHI", link, 0, snaplen) + opts)
    return out


def enhanced(order, interface, units, frame, wire_len=None):
    head = struct.pack(order + "5I", interface, units >> 32, units & 0xFFFFFFFF, len(frame), wire_len or len(frame))
    return block(order, 6, head + frame)


def pcapng(frames):
    """Two sections of different byte order; in each, interfaces of different resolution; and blocks that hold no frame."""
    half = len(frames) // 2
    out = section("<", (1, 0, 9), (1, 65535, None), (1, 0, 0x80 | 20))  # ns; us by default; 2^-20 s
    for n, (ts, frame) in enumerate(frames[:half]):
        units = (ts, ts // 1000, (ts << 20) // 10**9)[n % 3]
        out += enhanced("<", n % 3, units, frame)
    out += block("<", 0x0000000A, struct.pack("<2I", 0x544C534B, 4) + b"demo")  # decryption secrets
    out += block("<", 0x00000BAD, struct.pack("<I", 32473) + b"a custom block")
    out += section(">", (1, 0, 6))
    for ts, frame in frames[half:-2]:
        out += enhanced(">", 0, ts // 1000, frame)
    ts, frame = frames[-2]  # the obsolete packet block: interface and drop count of two bytes each
    units = ts // 1000
    out += block(">", 2, struct.pack(">HHIIII", 0, 0, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)) + frame)
    out += block(">", 5, struct.pack(">3I", 0, units >> 32, units & 0xFFFFFFFF) + options(">", (4, struct.pack(">Q", len(frames)))))
    return out + block(">", 3, struct.pack(">I", len(frames[-1][1])) + frames[-1][1])  # a simple packet has no time


# --- headers --------------------------------------------------------------------------------------------------------


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(protocol, payload, src=OUTER_A, dst=OUTER_B, ident=0, flags_offset=0x4000):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, flags_offset, 64, protocol, 0, src, dst)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ip6(next_header, payload, src=OUTER6_A, dst=OUTER6_B):
    return struct.pack(">IHBB16s16s", 6 << 28, len(payload), next_header, 64, src, dst) + payload


def udp(src_port, dst_port, payload, pseudo=None):
    """A UDP header; without a pseudo-header the checksum is 0, "not computed" (tunnels do so, RFC 6935)."""
    head = struct.pack(">4H", src_port, dst_port, 8 + len(payload), 0)
    if pseudo is None:
        return head + payload
    value = checksum(pseudo + struct.pack(">BBH", 0, 17, 8 + len(payload)) + head + payload) or 0xFFFF
    return head[:6] + struct.pack(">H", value) + payload


def eth(ethertype, payload):
    return MAC_B + MAC_A + struct.pack(">H", ethertype) + payload


def ip_of(frame):
    """The IP packet of an Ethernet frame, without padding, and its EtherType."""
    ethertype = struct.unpack_from(">H", frame, 12)[0]
    length = struct.unpack_from(">H", frame, 16)[0] if ethertype == 0x0800 else 40 + struct.unpack_from(">H", frame, 18)[0]
    return ethertype, frame[14 : 14 + length]


# --- tunnels --------------------------------------------------------------------------------------------------------


def tunnels(v4_frame, v6_frame):
    """(name, frame) for each tunnel and tag that is understood, around one IPv4 or IPv6 frame."""
    _, inner4 = ip_of(v4_frame)
    _, inner6 = ip_of(v6_frame)
    vxlan = struct.pack(">BxxxI", 8, 4242 << 8) + v4_frame
    geneve_option = struct.pack(">HBB", 0x0102, 0x80, 1) + b"JOYF"
    geneve = struct.pack(">BBHI", len(geneve_option) // 4, 0, 0x6558, 77 << 8) + geneve_option + v4_frame
    gtp_extension = struct.pack(">HBB", 0, 0, 0x85) + bytes([1, 0x00, 0x09, 0])  # PDU session container
    gtp = struct.pack(">BBHI", 0x34, 255, len(gtp_extension) + len(inner4), 0xC0FFEE) + gtp_extension + inner4
    erspan2 = struct.pack(">HHI", 1 << 12 | 100, 5, 0) + v4_frame
    teredo_src = bytes.fromhex("20010000c6336401") + bytes.fromhex("0000f227") + bytes(255 - b for b in OUTER_A)
    yield "vxlan", eth(0x0800, ip4(17, udp(54321, 4789, vxlan)))
    yield "geneve", eth(0x0800, ip4(17, udp(54322, 6081, geneve)))
    yield "gre", eth(0x0800, ip4(47, struct.pack(">HH", 0, 0x0800) + inner4))
    yield "gre with key and sequence", eth(0x0800, ip4(47, struct.pack(">HHII", 0x3000, 0x86DD, 99, 1) + inner6))
    yield "nvgre", eth(0x0800, ip4(47, struct.pack(">HHI", 0x2000, 0x6558, 5001 << 8) + v4_frame))
    yield "gtp-u", eth(0x0800, ip4(17, udp(2152, 2152, gtp)))
    yield "ip-in-ip", eth(0x0800, ip4(4, inner4))
    yield "6in4", eth(0x0800, ip4(41, inner6))
    yield "4in6", eth(0x86DD, ip6(4, inner4))
    yield "6in6 behind a hop-by-hop header", eth(0x86DD, ip6(0, bytes([41, 0, 1, 4, 0, 0, 0, 0]) + inner6))
    yield "erspan II", eth(0x0800, ip4(47, struct.pack(">HHI", 0x1000, 0x88BE, 7) + erspan2))
    inner_teredo = ip6(17, udp(5000, 5001, b"teredo", teredo_src + OUTER6_B + b"\0\0"), src=teredo_src)
    yield "teredo", eth(0x0800, ip4(17, udp(51234, 3544, inner_teredo)))
    yield "mpls, two labels", eth(0x8847, struct.pack(">II", 16 << 12 | 64, 17 << 12 | 1 << 8 | 64) + inner4)
    yield "mpls over ethernet pseudowire", eth(0x8847, struct.pack(">II", 18 << 12 | 1 << 8 | 64, 0) + v4_frame)
    yield "pppoe", eth(0x8864, struct.pack(">BBHHH", 0x11, 0, 9, len(inner4) + 2, 0x0021) + inner4)
    yield "vlan", eth(0x8100, struct.pack(">HH", 10, 0x0800) + inner4)
    yield "qinq", eth(0x88A8, struct.pack(">HHHH", 20, 0x8100, 30, 0x86DD) + inner6)
    yield "vxlan in vlan in ip-in-ip", eth(0x8100, struct.pack(">HH", 40, 0x0800) + ip4(4, ip4(17, udp(54323, 4789, vxlan))))


# --- fragments ------------------------------------------------------------------------------------------------------


def fragments4(datagram, ident, size):
    """The fragments of an IPv4 datagram's payload: first, middle ones, last."""
    protocol, payload, src, dst = datagram
    for at in range(0, len(payload), size):
        more = 0x2000 if at + size < len(payload) else 0
        yield eth(0x0800, ip4(protocol, payload[at : at + size], src, dst, ident, more | at // 8))


def fragments6(next_header, payload, ident, size):
    for at in range(0, len(payload), size):
        more = 1 if at + size < len(payload) else 0
        yield eth(0x86DD, ip6(44, struct.pack(">BxHI", next_header, at | more, ident) + payload[at : at + size]))


def fragments():
    """In order, the last one first, interleaved, one missing, overlapping, IPv6."""
    pseudo4 = OUTER_A + OUTER_B

    def datagram(port, size, fill):
        return (17, udp(port, 7, bytes([fill]) * size, pseudo4), OUTER_A, OUTER_B)

    in_order = list(fragments4(datagram(4001, 3000, 1), 1, 1480))
    backwards = list(fragments4(datagram(4002, 3000, 2), 2, 1480))[::-1]
    one, two = (list(fragments4(datagram(4003 + n, 2000, 3 + n), 3 + n, 800)) for n in (0, 1))
    interleaved = [f for pair in zip(one, two) for f in pair]
    missing = list(fragments4(datagram(4005, 3000, 5), 5, 1000))[:-1]
    overlapping = list(fragments4(datagram(4006, 2400, 6), 6, 1200))
    overlapping.insert(1, eth(0x0800, ip4(17, b"\xff" * 800, OUTER_A, OUTER_B, 6, 0x2000 | 1000 // 8)))
    repeated = list(fragments4(datagram(4007, 2000, 7), 7, 1480))
    repeated.insert(1, repeated[0])
    v6 = list(fragments6(17, udp(4008, 7, b"\x08" * 3000, OUTER6_A + OUTER6_B + b"\0\0"), 8, 1432))
    return [*in_order, *backwards, *interleaved, *missing, *overlapping, *repeated, *v6]


# --- files ----------------------------------------------------------------------------------------------------------


def spaced(frames):
    return [(START_NS + n * STEP_NS, frame) for n, frame in enumerate(frames)]


def compress(tool, data):
    """By the reference tool: there is no zstd and no lz4 in Python's own library (before 3.14)."""
    if not shutil.which(tool[0]):
        sys.exit(f"make_variants.py: {tool[0]} is not installed")
    return subprocess.run(tool, input=data, stdout=subprocess.PIPE, check=True).stdout


def main(folder):
    demo = read_pcap(os.path.join(HERE, "demo.pcap"))
    small = [frame for frame in demo if len(frame[1]) < 400]
    few = pcap(small[:12])
    udp_or_tcp = [f for _, f in small if len(f) > 60]
    v4 = next(f for f in udp_or_tcp if f[12:14] == b"\x08\x00" and f[23] == 17)
    v6 = next(f for f in udp_or_tcp if f[12:14] == b"\x86\xdd" and f[20] == 6)
    files = {
        "demo.pcapng": pcapng(small[:120]),
        "big_endian_ns.pcap": pcap(spaced([f for _, f in small[:40]]), nano=True, order=">"),
        "snaplen_96.pcap": pcap(demo[:60], snaplen=96),
        "raw_ip.pcap": pcap([(ts, ip_of(f)[1]) for ts, f in small if f[12:14] in (b"\x08\x00", b"\x86\xdd")][:40], link=101),
        "few.pcap": few,
        "few.pcap.gz": gzip.compress(few, 9, mtime=0),
        "few.pcap.zst": compress(["zstd", "-19", "-c", "-q"], few),
        "few.pcap.lz4": compress(["lz4", "-9", "-c", "-q"], few),
        "cut_short.pcap": pcap(small[:50])[:-37],
        "cut_short.pcapng": pcapng(small[:50])[:-61],
        "tunnels.pcap": pcap(spaced([f for _, f in tunnels(v4, v6)])),
        "fragments.pcap": pcap(spaced(fragments())),
        "empty.pcap": pcap([]),
    }
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        print(f"{len(data):8} {name}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
