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
import zlib

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


def crc_x25(data):
    """The check sequence of HDLC, and of DOCSIS headers."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc ^ 0xFFFF


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
    gtp_eth = struct.pack(">BBHI", 0x30, 255, len(v4_frame), 0xC0FFEE) + v4_frame
    yield "gtp-u, ethernet session", eth(0x0800, ip4(17, udp(2152, 2152, gtp_eth)))
    yield "tzsp", eth(0x0800, ip4(17, udp(40000, 37008, struct.pack(">BBHB", 1, 0, 1, 1) + v4_frame)))
    yield "capwap", eth(0x0800, ip4(17, udp(40001, 5247, struct.pack(">BBHI", 0, 2 << 3, 0, 0) + v4_frame)))
    yield "lisp", eth(0x0800, ip4(17, udp(40002, 4341, struct.pack(">II", 8 << 28, 1) + inner4)))
    yield "gue", eth(0x0800, ip4(17, udp(40003, 6080, struct.pack(">BBH", 0, 4, 0) + inner4)))
    yield "foo over udp", eth(0x0800, ip4(17, udp(40004, 5555, inner4)))
    yield "gre in udp", eth(0x0800, ip4(17, udp(40005, 4754, struct.pack(">HH", 0, 0x0800) + inner4)))
    yield "amt", eth(0x0800, ip4(17, udp(40006, 2268, b"\x06\0" + inner6)))
    yield "l2tp version 3", eth(0x0800, ip4(115, struct.pack(">I", 7) + v4_frame))
    yield "vxlan in vlan in ip-in-ip", eth(0x8100, struct.pack(">HH", 40, 0x0800) + ip4(4, ip4(17, udp(54323, 4789, vxlan))))


# --- link types -----------------------------------------------------------------------------------------------------


def link_types():
    """(link type, frame) around one UDP datagram whose source port is 10000 + the link type."""

    def inner(link):
        return ip4(17, udp(10000 + link, 53, b"link type", OUTER_A + OUTER_B))

    def snap(packet):
        return bytes.fromhex("aaaa03000000") + b"\x08\0" + packet

    def frame(packet, checked=False):
        whole = eth(0x0800, packet)
        return whole + struct.pack("<I", zlib.crc32(whole)) if checked else whole

    def docsis(packet):
        body = frame(packet, checked=True)
        head = struct.pack(">BBH", 0, 0, len(body))
        return head + struct.pack("<H", crc_x25(head)) + body

    dot11 = bytes.fromhex("08010000") + MAC_A + MAC_B + MAC_A + b"\0\0"
    erf = struct.pack("<Q", 0) + bytes([2, 4]) + struct.pack(">HHH", 16 + 2 + 74, 0, 74)
    pktap = struct.pack("<III24sIIIIi20sIHHi20s", 108, 1, 1, b"en0", 2, 2, 14, 0, 1, b"x", 0, 6, 0, 0, b"")
    pktap2 = bytes([52, 0, 0, 40, 0, 0]) + struct.pack("<HHHHHIIIIII12s", 1, 14, 0, 6, 17, 2, 0, 0, 0, 0, 0x80002, b"en0")
    prism = struct.pack("<II16s", 0x44, 144, b"wlan0").ljust(144, b"\0")
    ax25 = bytes(2 * b for b in b"QST   ") + b"\x60" + bytes(2 * b for b in b"N0CALL") + b"\x61\x03\xcc"
    headers = {
        0: lambda p: struct.pack("<I", 2) + p,
        6: lambda p: b"\x10\x40" + MAC_A + MAC_B + snap(p),
        7: lambda p: bytes([1, 2, 212, 0, 0, 1]) + p,
        9: lambda p: b"\xff\x03\0\x21" + p,
        10: lambda p: b"\x50" + MAC_A + MAC_B + snap(p),
        12: lambda p: p,
        50: lambda p: b"\xff\x03\0\x21" + p,
        51: lambda p: struct.pack(">BBHHH", 0x11, 0, 9, len(p) + 2, 0x0021) + p,
        100: snap,
        101: lambda p: p,
        104: lambda p: b"\x0f\0\x08\0" + p,
        105: lambda p: dot11 + snap(p),
        107: lambda p: b"\x18\x41\x03\xcc" + p,
        108: lambda p: struct.pack(">I", 2) + p,
        109: lambda p: struct.pack("<III", 2, 1, 0) + p,
        113: lambda p: struct.pack(">HHH8sH", 0, 1, 6, MAC_A, 0x0800) + p,
        117: lambda p: bytes([61, 2]).ljust(64, b"\0") + p,
        119: lambda p: prism + dot11 + snap(p),
        122: lambda p: (b"\x10\0" + MAC_A) * 2 + snap(p),
        123: lambda p: b"\x02\0\0\x05" + snap(p),
        127: lambda p: bytes.fromhex("0000090002000000") + b"\x10" + dot11 + snap(p) + b"FCS!",
        129: lambda p: bytes([1, 2, 0, 0, 212, 0, 0, 1]) + p,
        138: lambda p: bytes(16) + b"\x08\0" + p,
        143: docsis,
        163: lambda p: struct.pack(">II", 0x80211001, 64).ljust(64, b"\0") + dot11 + snap(p),
        166: lambda p: b"\0\x03\0\x21" + p,
        182: lambda p: b"\xc0\x01\x18\x41\x03\xcc" + p,
        192: lambda p: struct.pack("<BBHI", 0, 0, 8, 105) + dot11 + snap(p),
        196: lambda p: bytes([0, 0, 0, 0, 2]) + frame(p),
        197: lambda p: erf + b"\0\0" + frame(p, checked=True),
        202: lambda p: b"\0" + ax25 + p,
        3: lambda p: ax25 + p,
        204: lambda p: b"\x01\xff\x03\0\x21" + p,
        205: lambda p: b"\x01\x0f\0\x08\0" + p,
        206: lambda p: b"\x01\x18\x41\x03\xcc" + p,
        171: lambda p: struct.pack(">HHBBH", len(p) + 8, 0, 0, 0x10, 0) + p,
        178: lambda p: b"MGC\x01" + frame(p),
        179: lambda p: b"MGC\x80\0\x04\0\0\0\0\xff\x03\0\x21" + p,
        219: lambda p: struct.pack(">I", 17 << 12 | 1 << 8 | 64) + p,
        224: lambda p: bytes([6]) + bytes(7) + bytes([5, 0, 0, 0, 0, 0x20, 0, 0]) + bytes(8) + (b"\x10\0" + MAC_A) * 2 + snap(p),
        226: lambda p: struct.pack(">BBHIIIII", 2, 2, 0, len(p), 1, 1, 0, 0) + p,
        228: lambda p: p,
        239: lambda p: struct.pack(">BBH", 2, 0, 0) + struct.pack("<HH", len(p) + 4, 9) + p,
        240: lambda p: struct.pack("<I", 1 << 10 | (len(p) + 18) << 16) + frame(p, checked=True),
        241: lambda p: struct.pack("<I", 1 << 9 | 1 << 10 | (len(p) + 26) << 16) + b"\x55" * 7 + b"\xd5" + frame(p, checked=True),
        242: lambda p: bytes(40) + b"\x08\0\0\0" + p,
        247: lambda p: bytes([0, 2, 0, 1, 0, 0, 0, 2, 0x64, 0]) + bytes(10) + bytes(8) + b"\x08\0\0\0" + p + bytes(6),
        252: lambda p: struct.pack(">HH4sHH", 12, 4, b"ip", 0, 0) + p,
        258: lambda p: pktap + frame(p),
        259: lambda p: b"\xd5\x55\x55\0\x01\0" + frame(p),
        274: lambda p: b"\x55" * 7 + b"\xd5" + frame(p, checked=True),
        276: lambda p: struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, MAC_A) + p,
        279: lambda p: struct.pack(">BBHQQQI", 0x50, 0, 0, 0, 0, 0, len(p) + 14) + frame(p),
        281: lambda p: frame(p)[:12] + b"\x20\0\0\x01" + frame(p)[12:],
        282: lambda p: b"\x20\0\0\x01" + frame(p),
        284: lambda p: frame(p)[:12] + b"\xc0\x08\0\x01" + frame(p)[12:],
        285: lambda p: frame(p)[:12] + b"\xda\xda\0\0\xc0\x08\0\x01" + frame(p)[12:],
        289: lambda p: struct.pack(">H", len(p)) + p,
    }
    yield from ((link, header(inner(link))) for link, header in sorted(headers.items()))
    yield 258, pktap2 + frame(ip4(17, udp(10258, 54, b"link type", OUTER_A + OUTER_B)))


def link_types_pcapng():
    """One interface of each link type, one frame on each."""
    frames = list(link_types())
    out = section("<", *((link, 0, None) for link, _ in frames))
    for n, (_, frame) in enumerate(frames):
        out += enhanced("<", n, (START_NS + n * STEP_NS) // 1000, frame)
    return out


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
        "link_types.pcapng": link_types_pcapng(),
        "fragments.pcap": pcap(spaced(fragments())),
        "empty.pcap": pcap([]),
    }
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)
        print(f"{len(data):8} {name}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
