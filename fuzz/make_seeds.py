#!/usr/bin/env python3
"""Writes the seeds of every fuzz target to seeds/: small captures, frames and scripts that reach every parser.

The seeds are committed; run this again after changing it, and commit what it wrote.
"""

import pathlib
import shutil
import struct
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "data"))

import make_variants  # noqa: E402  (its frames of every link type and tunnel)


def be16(*values):
    return struct.pack(f">{len(values)}H", *values)


def tcp(payload=b"GET / HTTP/1.1\r\n\r\n", flags=0x18):
    return be16(40000, 80) + struct.pack(">IIBBHHH", 1, 2, 0x80, flags, 512, 0, 0) + b"\x02\x04\x05\xb4\x01\x03\x03\x07\x01\x01\x01\x00" + payload


def udp(port, payload, source=40000):
    return be16(source, port, 8 + len(payload), 0) + payload


def ip4(protocol, payload, fragment=0, options=b""):
    first = 0x45 + len(options) // 4
    head = struct.pack(">BBHHHBBH", first, 0, 20 + len(options) + len(payload), 7, fragment, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + options + payload


def ip6(protocol, payload):
    ends = bytes([0x20, 1, 0xD, 0xB8]) + bytes(11) + b"\1" + bytes([0x20, 1, 0xD, 0xB8]) + bytes(11) + b"\2"
    return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload


def ether(kind, payload):
    return b"\2\0\0\0\0\1\2\0\0\0\0\2" + be16(kind) + payload


DNS = be16(1, 0x100, 1, 0, 0, 0) + b"\7example\3com\0" + be16(1, 1)
V4, V6 = ip4(6, tcp()), ip6(6, tcp())
INNER = ether(0x800, V4)
SCTP = be16(36412, 36412) + bytes(8) + bytes([0, 3, 0, 17]) + bytes(12) + b"x"
EXTENSIONS = bytes([43, 0, 1, 4, 0, 0, 0, 0]) + bytes([60, 0, 4, 0, 0, 0, 0, 0]) + bytes([17, 0, 1, 4, 0, 0, 0, 0])

IP = {
    "tcp4": V4,
    "tcp6": V6,
    "udp4": ip4(17, udp(53, DNS)),
    "icmp": ip4(1, bytes([8, 0, 0, 0]) + be16(1, 1) + b"ping"),
    "icmp_error": ip4(1, bytes([3, 3, 0, 0, 0, 0, 0, 0]) + V4[:28]),
    "icmp6": ip6(58, bytes([128, 0, 0, 0]) + be16(1, 1) + b"ping"),
    "sctp": ip4(132, SCTP),
    "options": ip4(6, tcp(), options=b"\x94\4\0\0"),
    "extensions": ip6(0, EXTENSIONS + udp(53, DNS)),
    "authenticated": ip4(51, bytes([6, 4]) + bytes(22) + tcp()),
    "ipip": ip4(4, V4),
    "6in4": ip4(41, V6),
    "4in6": ip6(4, V4),
    "gre": ip4(47, be16(0, 0x800) + V4),
    "gre_key": ip4(47, be16(0x3000, 0x86DD) + bytes(8) + V6),
    "nvgre": ip4(47, be16(0x2000, 0x6558) + b"\0\0\7\0" + INNER),
    "gre_ppp": ip4(47, be16(0x3081, 0x880B, len(V4) + 4, 1) + bytes(8) + b"\xff\3" + be16(0x21) + V4),
    "erspan1": ip4(47, be16(0, 0x88BE) + INNER),
    "erspan2": ip4(47, be16(0x1000, 0x88BE) + bytes(4) + b"\x10\0\0\0" + bytes(4) + INNER),
    "erspan3": ip4(47, be16(0x1000, 0x22EB) + bytes(4) + b"\x20\0\0\0" + bytes(8) + INNER),
    "vxlan": ip4(17, udp(4789, b"\x08\0\0\0\0\0\7\0" + INNER)),
    "geneve": ip4(17, udp(6081, b"\1\0\x65\x58\0\0\7\0" + bytes(4) + INNER)),
    "gtpu": ip4(17, udp(2152, b"\x32\xff" + be16(len(V4) + 4) + b"\0\0\0\7\0\1\0\0" + V4)),
    "gtpu_extension": ip4(17, udp(2152, b"\x34\xff" + be16(len(V4) + 8) + b"\0\0\0\7\0\1\0\x85\1\0\0\0" + V4)),
    "teredo": ip4(17, udp(3544, V6)),
    "teredo_origin": ip4(17, udp(3544, b"\0\0" + bytes(6) + V6)),
    "l2tp": ip4(17, udp(1701, b"\0\2\0\1\0\2" + b"\xff\3" + be16(0x21) + V4)),
    "etherip": ip4(97, b"\x30\0" + INNER),
    "mpls_udp": ip4(17, udp(6635, b"\0\1\1\x40" + V4)),
    "deep": ip4(4, ip4(4, ip4(4, ip4(4, ip4(41, V6))))),
    "tso": V4[:2] + b"\0\0" + V4[4:],
}

ETHER = {
    "vlan": ether(0x8100, be16(5, 0x800) + V4),
    "qinq": ether(0x88A8, be16(5, 0x8100, 6, 0x86DD) + V6),
    "mpls": ether(0x8847, b"\0\1\0\x40\0\2\1\x40" + V4),
    "pseudowire": ether(0x8847, b"\0\1\1\x40" + bytes(4) + INNER),
    "pppoe": ether(0x8864, b"\x11\0\0\1" + be16(len(V4) + 2, 0x21) + V4),
    "llc_snap": ether(8 + len(V4), b"\xaa\xaa\3\0\0\0\x08\0" + V4),
    "llc": ether(3, b"\x42\x42\3"),
    "cisco": ether(0x8909, b"\1\1\0\7" + be16(0x800) + V4),
    "arp": ether(0x806, be16(1, 0x800) + b"\6\4\0\1" + bytes(20)),
    "padded": ether(0x800, ip4(6, tcp(b""))) + bytes(6),
    "vntag": ether(0x8926, bytes(4) + be16(0x800) + V4),
    "provider_backbone": ether(0x88E7, bytes(4) + INNER),
}

# Link types that have no frame in tests/data/link_types.pcapng.
LINKED = {14: V6, 147: V4, 229: V6, 9999: V4}


def frame_seed(link, *frames, cut=200):
    return be16(link) + bytes([cut]) + b"".join(be16(len(f)) + f for f in frames)


def frame_seeds():
    for name, packet in IP.items():
        yield f"ip_{name}", frame_seed(1, ether(0x86DD if packet[0] >> 4 == 6 else 0x800, packet))
    for name, packet in ETHER.items():
        yield f"ether_{name}", frame_seed(1, packet)
    for n, (link, packet) in enumerate([*LINKED.items(), *make_variants.link_types()]):
        yield f"link_{n:02}_{link}", frame_seed(link, packet)
    plain = {INNER[12:14]: INNER, b"\x86\xdd": ether(0x86DD, V6)}
    for n, (_, packet) in enumerate(make_variants.tunnels(plain[b"\x08\0"], plain[b"\x86\xdd"])):
        yield f"tunnel_{n:02}", frame_seed(1, packet)
    whole = ip4(17, udp(4789, b"\x08\0\0\0\0\0\7\0" + INNER))[20:]
    pieces = [ip4(17, whole[:48], 0x2000), ip4(17, whole[48:], 6)]
    yield "fragments", frame_seed(101, *pieces)
    yield "fragments_backwards", frame_seed(101, *reversed(pieces))
    yield "fragments6", frame_seed(101, ip6(44, b"\x11\0\0\1\0\0\0\7" + whole[:48]), ip6(44, b"\x11\0\0\x30\0\0\0\7" + whole[48:]))


def pcap_seeds():
    for order, letter in (("<", "le"), (">", "be")):
        for name, magic, extra in (("micro", 0xA1B2C3D4, 0), ("nano", 0xA1B23C4D, 0), ("modified", 0xA1B2CD34, 8),
                                   ("ixia_hw", 0x1C0001AC, 0), ("ixia_sw", 0x1C0001AB, 0)):
            for version in ((2, 4), (2, 3), (2, 2)) if name == "micro" else ((2, 4),):
                out = struct.pack(order + "IHHIIII", magic, *version, 0, 0, 65535, 1)
                out += bytes(4) if name.startswith("ixia") else b""
                for i, packet in enumerate((b"", INNER[:30], INNER)):
                    lengths = (len(INNER), len(packet)) if version == (2, 2) else (len(packet), len(INNER))
                    out += struct.pack(order + "IIII", 1_600_000_000 + i, 999_999, *lengths) + bytes(extra) + packet
                yield f"{name}_{letter}_{version[0]}_{version[1]}", out
        yield f"absurd_{letter}", struct.pack(order + "IHHIIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1, 1, 0, 1 << 24, 1)


def pcapng(order, *blocks):
    out = b""
    for kind, body in blocks:
        body += bytes(-len(body) % 4)
        length = struct.pack(order + "I", len(body) + 12)
        out += struct.pack(order + "I", kind) + length + body + length
    return out


def options(order, *pairs):
    return b"".join(struct.pack(order + "HH", code, len(v)) + v + bytes(-len(v) % 4) for code, v in pairs) + bytes(4)


def pcapng_seeds():
    sections = []
    for order, letter in (("<", "le"), (">", "be")):
        head = (0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options(order, (4, b"seeds")))
        plain = (1, struct.pack(order + "HHI", 1, 0, 64))
        clocks = [(1, struct.pack(order + "HHI", 101, 0, 0) + options(order, (2, b"eth0"), (9, bytes([r])), (14, struct.pack(order + "q", o))))
                  for r, o in ((9, 0), (0x94, -5), (12, 1 << 40), (3, 0))]
        packets = [(6, struct.pack(order + "IIIII", i, 0x5F5E1, 7, len(V4), len(V4)) + V4 + bytes(-len(V4) % 4)
                    + options(order, (2, bytes(4)))) for i in range(1, 5)]
        old = (2, struct.pack(order + "HHIIII", 0, 3, 1, 2, len(INNER), len(INNER)) + INNER)
        simple = (3, struct.pack(order + "I", len(INNER)) + INNER[:64])
        others = [(5, struct.pack(order + "III", 0, 0, 0)), (4, bytes(4)), (10, struct.pack(order + "II", 0x544C534B, 4) + b"keys"),
                  (0xBAD, struct.pack(order + "I", 32473) + b"custom")]
        yield f"simple_{letter}", pcapng(order, head, plain, simple, old)
        yield f"clocks_{letter}", pcapng(order, head, plain, *clocks, *packets)
        yield f"others_{letter}", pcapng(order, head, *others, plain, *others, simple)
        sections.append(pcapng(order, head, plain, simple))
    yield "sections", b"".join(sections * 2)


def fragment_seeds():
    def script(version, length, *steps):
        return bytes([version]) + be16(length) + b"".join(be16(place) + bytes([count]) for place, count in steps)

    for v in (0, 1):
        yield f"in_order_{v}", script(v, 3000, (0, 180), (180, 180), (360, 180))
        yield f"backwards_{v}", script(v, 3000, (360, 180), (180, 180), (0, 180))
        yield f"overlapping_{v}", script(v, 1000, (0, 60), (30, 90), (0x8000 + 50, 50), (100, 60))
        yield f"lying_{v}", script(v, 600, (0x8000, 40), (0, 40), (40, 60))
        yield f"missing_{v}", script(v, 600, (1, 40), (41, 60))
        yield f"whole_{v}", script(v, 100, (0, 255))
        yield f"tiny_{v}", script(v, 200, *((i, 1) for i in range(26)))


def stream_seeds():
    def script(isn, *segments, appetites=(1, 1, 1, 5, 20, 20, 9, 200)):
        return struct.pack(">I", isn) + bytes(appetites) + b"".join(be16(at) + bytes([n, v]) for at, n, v in segments)

    yield "in_order", script(7, *((i * 50, 50, i) for i in range(10)))
    yield "backwards", script(7, *((i * 50, 50, i) for i in reversed(range(10))))
    yield "wrapping", script(2**32 - 60, *((i * 50, 50, i) for i in (1, 0, 3, 2)))
    yield "overlapping", script(7, (10, 40, 1), (0, 30, 2), (30, 60, 3), (0, 100, 4), (20, 200, 5))
    yield "holes_filled_at_once", script(7, *((i * 20, 10, i) for i in range(1, 10)), (0, 250, 9))
    yield "never_taken", script(7, *((i * 50, 50, i) for i in range(10)), appetites=(1, 0) * 4)


def app_seeds():
    def script(client, server, *cuts):
        return bytes([len(cuts)]) + be16(len(client)) + b"".join(be16(at) + bytes([n, late]) for at, n, late in cuts) + client + server

    # Behind the headers of the hellos: random, session id, suites, compression, extensions.
    sni = be16(0, 14, 12) + b"\0" + be16(9) + b"localhost"
    client = bytes(32) + b"\0" + be16(2, 0x1301) + b"\1\0" + be16(len(sni)) + sni + bytes(512 - 4 - 2 - 41 - len(sni) - 2)
    server = bytes(32) + b"\0" + be16(0xC02F) + b"\0" + bytes(467) + b"\x14\3\3\0\1\1\x17\3\3\0\x20" + bytes(32)
    yield "whole", script(client, server)
    yield "cut", script(client, server, (5, 9, 0), (100, 30, 9), (0, 200, 2), (300, 100, 30))
    yield "bytes", script(client[:90], server[:90], *((0, 0, 0) for _ in range(100)))
    yield "other", script(b"\0" * 40, b"\xff" * 40, (3, 3, 3), (9, 9, 0))


# A ClientHello and a ServerHello behind their headers.
CLIENT_HELLO = b"\3\3" + bytes(32) + b"\0" + be16(4, 0x1301, 0xC02F) + b"\1\0"
CLIENT_EXTENSIONS = be16(0, 14, 12) + b"\0" + be16(9) + b"localhost" + be16(16, 5, 3) + b"\2h3" + be16(43, 3) + b"\2\3\4" + be16(10, 4, 2, 29)
CLIENT_HELLO += be16(len(CLIENT_EXTENSIONS)) + CLIENT_EXTENSIONS
SERVER_HELLO = b"\3\3" + bytes(32) + b"\0" + be16(0xC02F) + b"\0"
SERVER_13 = b"\3\3" + bytes(32) + b"\0" + be16(0x1301) + b"\0" + be16(6, 43, 2, 0x0304)
CERTIFICATE = b"\0\0\x16\0\0\x13\x30\x11" + bytes(17)
KEY_EXCHANGE = b"\3\0\x1d\x20" + bytes(32) + b"\4\1\0\0"


def handshake(kind, body):
    return bytes([kind]) + struct.pack(">I", len(body))[1:] + body


def tls_record(kind, body):
    return bytes([kind, 3, 3]) + be16(len(body)) + body


def tls_seeds():
    # The target sends the headers of the hellos: 512 bytes of a record, 508 of a message, of which the version is there.
    client, server = CLIENT_HELLO[2:].ljust(506, b"\0"), SERVER_HELLO[2:].ljust(506, b"\0")
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c") + SERVER_13[34:]
    flight = handshake(11, CERTIFICATE) + handshake(12, KEY_EXCHANGE) + handshake(14, b"")
    ccs, data = tls_record(20, b"\1"), tls_record(23, bytes(538))
    yield "full", b"\0" + talk((0, client), (1, server + tls_record(22, flight[:30]) + tls_record(22, flight[30:]) + ccs), (0, ccs + data), (1, data))
    yield "retry", b"\1" + talk((0, client), (1, retry.ljust(506, b"\0") + ccs + tls_record(22, handshake(2, SERVER_13)) + data))
    yield "ticket", b"\0" + talk((1, server + tls_record(22, handshake(4, bytes(9))) + ccs), (0, client + ccs))


def dtls_seeds():
    hello = CLIENT_HELLO[:35] + b"\0" + CLIENT_HELLO[35:]
    messages = (0, b"\1" + hello), (1, b"\3\xfe\xff\2\1\1"), (1, b"\2" + SERVER_HELLO), (1, b"\x0b" + CERTIFICATE), (1, b"\x0c" + KEY_EXCHANGE), (1, b"\x0e")
    yield "together", b"\0" + talk(*messages)
    yield "apart", b"\2" + talk(*messages)
    head = lambda epoch, kind, body: bytes([kind, 0xFE, 0xFD]) + be16(epoch) + bytes(6) + be16(len(body)) + body
    whole = lambda kind, body: head(0, 22, handshake(kind, body)[:4] + bytes(5) + struct.pack(">I", len(body))[1:] + body)
    yield "datagrams", b"\1" + talk((0, whole(1, hello)), (1, whole(2, SERVER_HELLO) + head(0, 20, b"\1")), (0, head(1, 23, bytes(40))), (1, head(1, 23, bytes(40))))


def quic_seeds():
    client, server = handshake(1, CLIENT_HELLO), handshake(2, SERVER_13)
    for version in range(6):
        yield f"together_{version}", bytes([version | 0x18]) + talk((0, client), (1, server))
        yield f"apart_{version}", bytes([version | 0x38]) + talk((0, client[:40]), (0, client[40:]), (1, server))
    frame = lambda data: b"\6\0" + be16(0x4000 | len(data)) + data
    yield "frames", b"\x08" + talk((0, frame(client)), (1, b"\2\1\0\0\0" + frame(server)), (0, b"\3\1\0\0\0\1\1\1" + b"\1\0"))
    yield "coalesced", b"\x10" + talk((0, frame(client)), (1, frame(server)))
    long = lambda version, kind, rest: bytes([0xC0 | kind << 4]) + struct.pack(">I", version) + b"\4abcd\2xy" + rest
    short = b"\x60" + bytes(30)
    for name, *datagrams in (
        ("short", short, long(1, 1, b"\x40\x28" + bytes(40)), short), ("retry", long(1, 3, bytes(40))), ("negotiation", long(0, 0, be16(0, 1, 0x6B33, 0x43CF))),
        ("initial", long(1, 0, b"\0\x40\x28" + bytes(40)) + long(1, 2, b"\x40\x28" + bytes(40)) + short), ("google", b"\x0d" + bytes(8) + b"Q043" + bytes(30)),
    ):
        yield name, b"\0" + talk(*((0, d) for d in datagrams), *((1, d) for d in datagrams))


def talk(*parts):
    """Segments or datagrams: side (0 or 1), bytes; each in pieces that fit, and cut."""
    out = b""
    for side, data in parts:
        for at in range(0, len(data), 512):
            piece = data[at : at + 512]
            eights = -(-len(piece) // 8)
            out += bytes([side << 7 | 0x40 | eights - 1, 5 << 3 | 8 * eights - len(piece)]) + piece
    return out


def framed(message):
    return be16(len(message)) + message


ANSWER = be16(1, 0x8180, 1, 2, 0, 1) + DNS[12:] + be16(0xC00C, 1, 1, 0, 60, 4) + bytes([192, 0, 2, 1])
ANSWER += be16(0xC00C, 1, 1, 0, 30, 4) + bytes([192, 0, 2, 2]) + bytes([0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0])


def dns_seeds():
    yield "transaction", talk((0, framed(DNS)), (1, framed(ANSWER)))
    yield "two_in_one", talk((0, framed(DNS) * 2), (1, framed(ANSWER) * 2 + framed(b"noise")))


def ssh_packet(payload):
    return struct.pack(">IB", len(payload) + 5, 4) + payload + bytes(4)


KEXINIT = b"\x14" + bytes(16) + b"".join(struct.pack(">I", len(n)) + n for n in (b"kex1,kex2", b"rsa", b"a", b"b", b"c", b"d", b"none", b"zlib", b"", b"")) + bytes(5)
SSH = b"SSH-2.0-OpenSSH_9.6 x\r\n" + ssh_packet(KEXINIT) + ssh_packet(b"\x1e\0\0") + ssh_packet(b"\x15") + bytes(60)


def ssh_seeds():
    yield "both", talk((0, SSH), (1, SSH.replace(b"2.0", b"1.99")))
    yield "version_1", talk((0, b"SSH-1.5-x\n\0\0\0\x20"), (1, b"SSH-2.0\n"))


GET = b"GET /dns-query?a HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nUpgrade: h2c\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAMES = b"\0\0\6\4\0\0\0\0\0\0\1\0\0\0\0\0\0\0\4\1\0\0\0\0\0" + b"\0\0\3\0\0\0\0\0\1abc"


def http1_seeds():
    yield "pair", talk((0, GET), (1, CHUNKED), (0, b"HEAD / HTTP/1.0\n\n"), (1, b"HTTP/1.1 200 OK\nContent-Length: 9\n\n"))
    yield "h2c", talk((0, GET), (1, b"HTTP/1.1 101 X\r\n\r\n" + FRAMES), (0, PREFACE + FRAMES))
    yield "connect", talk((0, b"CONNECT a HTTP/1.1\r\n\r\n"), (1, b"HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n"), (0, GET))
    yield "body", talk((0, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde" + GET), (1, b"HTTP/1.1 204 X\r\n\r\n"))


def http2_seeds():
    yield "frames", talk((0, PREFACE + FRAMES), (1, FRAMES))


RESET = b"\x38" + bytes(range(1, 9)) + bytes(5)
SERVER_RESET = b"\x40" + bytes(range(9, 17)) + b"\1\0\0\0\0" + bytes(range(1, 9)) + bytes(4)


def recognise_seeds():
    for name, *parts in (
        ("ssh", (1, b"hello\n" + SSH), (0, SSH)), ("http", (0, GET), (1, CHUNKED)), ("http2", (1, FRAMES), (0, PREFACE + FRAMES), (1, FRAMES)),
        ("smtp", (1, b"220 x\r\n"), (0, b"EHLO y\r\nQUIT\r\n")), ("socks", (0, b"\5\2\0\2"), (1, b"\5\2")), ("smb", (0, b"\0\0\0\x54\xffSMB")),
        ("openvpn", (0, framed(RESET)), (1, framed(SERVER_RESET)), (0, framed(b"\x30" * 20))), ("pptp", (0, be16(156, 1) + b"\x1a\x2b\x3c\x4d")),
        ("rdp", (0, b"\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\0\0\0\0")), ("mqtt", (0, b"\x10\x0c\0\4MQTT")), ("tls", (0, b"\x16\3\1\2\0\1\0\1\xfc\3\3")),
        ("bittorrent", (0, b"\x13BitTorrent protocol")), ("rtsp", (0, b"OPTIONS a RTSP/1.0\r\n")), ("imap", (1, b"* OK x\r\n")),
    ):
        yield name, talk(*parts)


def datagram_seeds():
    wireguard = b"\1\0\0\0abcd" + bytes(140), b"\2\0\0\0efghabcd" + bytes(80), b"\4\0\0\0abcd" + bytes(24)
    ike = b"initiatr" + bytes(9) + b"\x20\x22\x08" + bytes(4) + struct.pack(">I", 28)
    l2tp = be16(0xC802, 20) + bytes(8) + b"\x80\x08" + bytes(5) + b"\1"
    for name, *parts in (
        ("dns", (0, DNS), (1, ANSWER)), ("wireguard", (0, wireguard[0]), (1, wireguard[1]), (0, wireguard[2])), ("openvpn", (0, RESET), (1, SERVER_RESET)),
        ("ipsec", (0, ike), (1, bytes(4) + ike), *((0, struct.pack(">II", 256, n) + bytes(16)) for n in range(3))), ("l2tp", (0, l2tp)),
        ("stun", (0, b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12))), ("dhcp", (0, b"\1\1\6" + bytes(233) + b"\x63\x82\x53\x63")),
        ("ssdp", (1, b"HTTP/1.1 200 OK\r\nST: x\r\n\r\n")), ("sip", (0, b"INVITE a SIP/2.0\r\n")),
    ):
        yield name, talk(*parts)


def filter_seeds():
    def insn(code, k, jt=0, jf=0):
        return struct.pack("<HBBI", code, jt, jf, k)

    def program(*insns, wire_len=60, frame=bytes(range(64))):
        return bytes([len(insns)]) + b"".join(insns) + struct.pack("<H", wire_len) + frame

    yes, no = insn(6, 262144), insn(6, 0)
    # What tcpdump -d has for `ip and tcp port 80`, near enough.
    yield "port", program(insn(0x28, 12), insn(0x15, 0x800, 0, 8), insn(0x30, 23), insn(0x15, 6, 0, 6), insn(0x28, 20), insn(0x45, 0x1fff, 4, 0),
                          insn(0xb1, 14), insn(0x48, 16), insn(0x15, 80, 0, 1), yes, no)
    yield "memory", program(insn(0x80, 0), insn(2, 3), insn(0x61, 3), insn(0x0c, 0), insn(0x94, 7), insn(0x07, 0), insn(0x3c, 0), insn(0x16, 0))
    yield "jumps", program(insn(5, 1), no, insn(0, 5), insn(0x25, 4, 0, 1), yes, no)
    yield "ancillary", program(insn(0x20, 0xfffff030), insn(0x15, 1, 0, 1), yes, no)


def wire_seeds():
    """The messages of docs/remote.md; the first byte says whose it is."""
    def text(words):
        return struct.pack("<H", len(words)) + words

    def pull(coding, body, length=None, frames=2):
        return b"\1" + struct.pack("<BQQHIB", 0x82, 7, 100, frames, len(body) if length is None else length, coding) + body

    drops = struct.pack("<QQQ", 1, 2, 3)
    head = b"\1" + b"\0" + b"\2" + b"\1" + struct.pack("<Q", 5) + drops + struct.pack("<Q", 9) + b"\0" + struct.pack("<QQ", 0, 1)
    interfaces = struct.pack("<HQ", 1, 3) + text(b"eth0") + b"\1" + struct.pack("<Q", 4) + drops + struct.pack("<Q", 0)
    warnings = struct.pack("<H", 1) + text(b"a.pcap") + struct.pack("<QB", 24, 0) + text(b"cut short")
    frames = struct.pack("<HqqIIIIHH", 2, 10, 20, 3, 2, 60, 60, 1, 101) + b"abcde"
    body = head + interfaces + warnings + frames
    # A zstd frame with one raw block.
    stored = b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", len(body) - 256 if len(body) >= 256 else 0) + (len(body) << 3 | 1).to_bytes(3, "little") + body
    if len(body) < 256:
        stored = b"\x28\xb5\x2f\xfd\x20" + bytes([len(body)]) + (len(body) << 3 | 1).to_bytes(3, "little") + body
    yield "client_hello", b"\0" + struct.pack("<BHIB", 1, 1, 1 << 24, 1) + bytes(16) + struct.pack("<QQ", 5, 50)
    yield "acknowledgement", b"\0" + struct.pack("<BQ", 2, 5)
    yield "server_hello", b"\1" + struct.pack("<BH16sQQB", 0x81, 1, bytes(16), 0, 0, 1) + text(b"sensor")
    yield "pull", pull(0, body)
    yield "compressed", pull(1, stored, len(body))
    yield "idle", pull(0, b"\1\1" + struct.pack("<q", 5) + b"\2\0" + drops + struct.pack("<Q", 9) + b"\0" + struct.pack("<QQHHH", 0, 1, 0, 0, 0), frames=0)
    yield "end", b"\1" + struct.pack("<BQQB", 0x83, 8, 102, 1) + text(b"the interface is gone")


def main():
    for target, seeds in (("pcap", pcap_seeds), ("pcapng", pcapng_seeds), ("frame", frame_seeds), ("fragments", fragment_seeds),
                          ("streams", stream_seeds), ("app", app_seeds), ("tls", tls_seeds), ("dtls", dtls_seeds), ("quic", quic_seeds), ("dns", dns_seeds), ("ssh", ssh_seeds), ("http1", http1_seeds), ("http2", http2_seeds),
                          ("recognise", recognise_seeds), ("datagrams", datagram_seeds), ("filter", filter_seeds), ("wire", wire_seeds)):
        folder = HERE / "seeds" / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        count = 0
        for name, data in seeds():
            (folder / name).write_bytes(data)
            count += 1
        print(f"{target}: {count} seeds")


if __name__ == "__main__":
    main()
