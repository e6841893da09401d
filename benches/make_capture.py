#!/usr/bin/env python3
"""Generates captures for the benches out of tests/data/demo.pcap. Python 3 alone; same arguments, same bytes.

usage: make_capture.py OUT --packets N      the flows of demo.pcap again and again, from other hosts, ports and times
       make_capture.py OUT --flows N        N TCP flows of two packets each, all open at once
       make_capture.py OUT --flows N --live M --each 20    N TCP flows of 20 packets each, M open at a time
       make_capture.py OUT --scan N         N SYNs, each answered by a RST: N closed flows within one idle timeout
       make_capture.py OUT --one-flow N     one TCP flow of N packets, with gaps in its sequence numbers
       make_capture.py OUT --stalled-tls N  N TCP flows whose ClientHello of 1,700 bytes stops after 1,400: all wait, all open at once
       make_capture.py OUT --quic N         N UDP flows of one QUIC Initial of 1,200 bytes each, with a random connection id
OUT may be - (standard output). --seed N changes the random choices.
"""
import argparse
import collections
import heapq
import os
import random
import struct
import sys

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "demo.pcap")
FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
RECORD = struct.Struct("<4I")
START_US = 1_700_000_000_000_000
CLIENT4, CLIENT6 = bytes([192, 0, 2, 100]), bytes.fromhex("20010db8000000000000000000000100")
PACKETS_PER_SECOND = 10_000

Template = collections.namedtuple("Template", "v6 protocol packets")  # packets: (µs since the first, frame, from client)


# --- checksums ------------------------------------------------------------------------------------------------------


def words(data):
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def adjust(frame, at, difference, zero=0):
    """Brings a checksum up to date after the words under it grew by `difference` (RFC 1624).

    `zero` is what stands for 0: UDP sends 65535, as its 0 means "not computed" (RFC 768).
    """
    old = frame[at] << 8 | frame[at + 1]
    new = (old - difference) % 65535 or zero
    frame[at], frame[at + 1] = new >> 8, new & 255


# --- replaying the demo ---------------------------------------------------------------------------------------------


def templates():
    """The flows of demo.pcap that can be moved to other addresses: TCP, UDP and ICMP echo, without fragments."""
    data = open(DEMO, "rb").read()
    flows = collections.OrderedDict()
    at = 24
    while at < len(data):
        seconds, micros, captured, _ = RECORD.unpack_from(data, at)
        frame = data[at + 16 : at + 16 + captured]
        at += 16 + captured
        if frame[12:14] == b"\x08\x00":
            v6, protocol, l4 = False, frame[23], 14 + (frame[14] & 15) * 4
            src, dst = frame[26:30], frame[30:34]
            if frame[20] & 0x3F or frame[21]:
                continue
        elif frame[12:14] == b"\x86\xdd":
            v6, protocol, l4 = True, frame[20], 54
            src, dst = frame[22:38], frame[38:54]
        else:
            continue
        if protocol not in (6, 17) and not (protocol == 1 and frame[l4] in (0, 8)):
            continue
        ports = (b"", b"") if protocol == 1 else (frame[l4 : l4 + 2], frame[l4 + 2 : l4 + 4])
        from_client = src in (CLIENT4, CLIENT6)
        if not from_client and dst not in (CLIENT4, CLIENT6):
            continue
        key = (protocol, dst, ports) if from_client else (protocol, src, ports[::-1])
        flows.setdefault((v6, *key), []).append((seconds * 10**6 + micros, frame, from_client))
    return [Template(key[0], key[1], [(ts - p[0][0], f, c) for ts, f, c in p]) for key, p in flows.items()]


class Replay:
    """One template with a client and a server of its own."""

    def __init__(self, template, rng):
        self.template = template
        if template.v6:
            self.client = bytes.fromhex("20010db80001000000000000") + rng.getrandbits(32).to_bytes(4, "big")
            self.server = bytes.fromhex("20010db80002000000000000") + rng.getrandbits(12).to_bytes(4, "big")
        else:
            self.client = b"\x0a" + rng.getrandbits(24).to_bytes(3, "big")
            self.server = b"\xc6\x12" + rng.getrandbits(12).to_bytes(2, "big")
        self.port = rng.randrange(1024, 65536).to_bytes(2, "big")
        frame = template.packets[0][1]
        old = frame[22:54] if template.v6 else frame[26:34]
        self.ip_difference = words(self.client + self.server) - words(old)

    def packet(self, n):
        """The n-th frame, moved to this replay's hosts."""
        v6, protocol, packets = self.template
        _, original, from_client = packets[n]
        frame = bytearray(original)
        pair = self.client + self.server if from_client else self.server + self.client
        l4 = 54 if v6 else 14 + (frame[14] & 15) * 4
        if v6:
            frame[22:54] = pair
        else:
            frame[26:34] = pair
            adjust(frame, 24, self.ip_difference)
        if protocol != 1:
            at = l4 if from_client else l4 + 2
            difference = self.ip_difference + words(self.port) - words(original[at : at + 2])
            frame[at : at + 2] = self.port
            check = l4 + (16 if protocol == 6 else 6)
            if protocol == 6 or frame[check] or frame[check + 1]:
                adjust(frame, check, difference, 0 if protocol == 6 else 65535)
        return frame


def replayed(packets, rng):
    """`packets` records in the order of time."""
    known = templates()
    planned, starts = 0, []
    span = packets * 10**6 // PACKETS_PER_SECOND
    while planned < packets:
        template = rng.choice(known)
        starts.append((rng.randrange(span), len(starts), template))
        planned += len(template.packets)
    starts.sort(reverse=True)
    running, written = [], 0
    while written < packets:
        while starts and (not running or starts[-1][0] <= running[0][0]):
            begin, number, template = starts.pop()
            heapq.heappush(running, (begin, number, 0, begin, Replay(template, rng)))
        ts, number, n, begin, replay = running[0]
        frame = replay.packet(n)
        yield RECORD.pack((START_US + ts) // 10**6, (START_US + ts) % 10**6, len(frame), len(frame)) + frame
        written += 1
        n += 1
        if n < len(replay.template.packets):
            # Never before the packet that precedes it: the demo has no such packet, a later one might.
            heapq.heapreplace(running, (max(ts, begin + replay.template.packets[n][0]), number, n, begin, replay))
        else:
            heapq.heappop(running)


# --- many flows, and one large one ----------------------------------------------------------------------------------


def tcp_frame(src, dst, src_port, dst_port, seq, ack, flags, payload=b""):
    length = 40 + len(payload)
    ip = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 0, 0x4000, 64, 6, 0, src, dst))
    adjust(ip, 10, words(ip))
    tcp = bytearray(struct.pack(">HHIIBBHHH", src_port, dst_port, seq, ack, 0x50, flags, 64240, 0, 0)) + payload
    adjust(tcp, 16, words(tcp) + words(src + dst) + 6 + length - 20)
    return bytearray(bytes.fromhex("02005e00000202005e0000010800")) + ip + tcp


def many_flows(flows):
    """Every SYN, then every SYN-ACK: when the first answer comes, all flows are open."""
    server, gap_us = b"\xc6\x12\x00\x01", 10
    for reply in (False, True):
        client = b"\x0a\0\0\0"
        frame = tcp_frame(server, client, 443, 40000, 7, 2, 0x12) if reply else tcp_frame(client, server, 40000, 443, 1, 0, 0x02)
        at = 30 if reply else 26
        template = bytes(frame)
        for n in range(flows):
            frame[:] = template
            frame[at + 1 : at + 4] = n.to_bytes(3, "big")
            difference = (n >> 16) + (n & 0xFFFF)
            adjust(frame, 24, difference)
            adjust(frame, 50, difference)
            ts = START_US + (n + flows * reply) * gap_us
            yield RECORD.pack(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame


def waves(flows, live, each):
    """TCP flows of `each` packets: `live` of them take turns packet by packet; when they are quiet for good, the next ones begin."""
    server, client, gap_us = b"\xc6\x12\x00\x01", b"\x0a\0\0\0", 2
    syn = tcp_frame(client, server, 40000, 443, 1, 0, 0x02)
    synack = tcp_frame(server, client, 443, 40000, 7, 2, 0x12)
    forth = tcp_frame(client, server, 40000, 443, 2, 8, 0x10)
    back = tcp_frame(server, client, 443, 40000, 8, 2, 0x10)
    ts, pack = START_US, RECORD.pack
    for begin in range(0, flows, live):
        wave = [(n.to_bytes(3, "big"), (n >> 16) + (n & 0xFFFF)) for n in range(begin, min(begin + live, flows))]
        for turn in range(each):
            template = (syn, synack)[turn] if turn < 2 else (forth, back)[turn % 2]
            at = 30 if turn % 2 else 26
            before, middle, after = template[: at + 1], template[at + 4 : 50], template[52:]
            ip_check, tcp_check = (template[k] << 8 | template[k + 1] for k in (24, 50))
            for address, difference in wave:
                frame = bytearray(before + address + middle + bytes(2) + after)
                # RFC 1624, for sums that do not come out as 0.
                check = (ip_check - difference) % 65535
                frame[24], frame[25] = check >> 8, check & 255
                check = (tcp_check - difference) % 65535
                frame[50], frame[51] = check >> 8, check & 255
                ts += gap_us
                yield pack(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame
        ts += 100 * 10**6  # beyond the idle timeout


def scan(flows):
    """A SYN and the RST that answers it, one client after the other."""
    server, client, gap_us = b"\xc6\x12\x00\x01", b"\x0a\0\0\0", 20
    pairs = [(tcp_frame(client, server, 40000, 443, 1, 0, 0x02), 26), (tcp_frame(server, client, 443, 40000, 0, 2, 0x14), 30)]
    for n in range(flows):
        difference = (n >> 16) + (n & 0xFFFF)
        for reply, (template, at) in enumerate(pairs):
            frame = bytearray(template)
            frame[at + 1 : at + 4] = n.to_bytes(3, "big")
            adjust(frame, 24, difference)
            adjust(frame, 50, difference)
            ts = START_US + n * gap_us + reply
            yield RECORD.pack(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame


def per_client(template, at, number):
    """A frame from or to the client of this number, whose address is at this offset."""
    frame = bytearray(template)
    frame[at + 1 : at + 4] = number.to_bytes(3, "big")
    difference = (number >> 16) + (number & 0xFFFF)
    adjust(frame, 24, difference)
    check = 50 if frame[23] == 6 else 40
    adjust(frame, check, difference, 0 if frame[23] == 6 else 65535)
    return frame


def stalled_tls(flows):
    """Handshakes of TCP, then the first 1,400 bytes of every hello: the first flow is open when the last one stalls."""
    server, client, gap_us = b"\xc6\x12\x00\x01", b"\x0a\0\0\0", 5
    hello = struct.pack(">BHHB", 22, 0x0301, 1695, 1) + (1691).to_bytes(3, "big") + b"\3\3"
    hello = (hello + bytes(range(32)) + b"\0" + struct.pack(">H", 512) + bytes(2000))[:1400]
    steps = [
        (tcp_frame(client, server, 40000, 443, 1, 0, 0x02), 26),
        (tcp_frame(server, client, 443, 40000, 7, 2, 0x12), 30),
        (tcp_frame(client, server, 40000, 443, 2, 8, 0x18, hello), 26),
    ]
    for step, (template, at) in enumerate(steps):
        for n in range(flows):
            ts = START_US + (n + flows * step) * gap_us
            frame = per_client(template, at, n)
            yield RECORD.pack(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame


def quic(flows, rng):
    """Initials that nobody can open: the connection id is random, and so is what should be sealed with its keys."""
    server, client, gap_us = b"\xc6\x12\x00\x01", b"\x0a\0\0\0", 10
    for n in range(flows):
        payload = b"\xc3\0\0\0\1\x08" + rng.randbytes(8) + b"\0\0" + struct.pack(">H", 0x4000 | 1182) + rng.randbytes(1182)
        ip = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0x4000, 64, 17, 0, client, server))
        adjust(ip, 10, words(ip))
        udp = bytearray(struct.pack(">HHHH", 40000, 443, 8 + len(payload), 0)) + payload
        adjust(udp, 6, words(udp) + words(client + server) + 17 + 8 + len(payload), 65535)
        frame = per_client(bytearray(bytes.fromhex("02005e00000202005e0000010800")) + ip + udp, 26, n)
        ts = START_US + n * gap_us
        yield RECORD.pack(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame


def one_flow(packets):
    """16-byte segments, nine of ten from the client; every eleventh leaves a hole that is never filled."""
    client, server = b"\x0a\0\0\x01", b"\xc6\x12\x00\x01"
    forth = tcp_frame(client, server, 40000, 443, 0, 1, 0x18, b"joyfuljay bench.")
    back = tcp_frame(server, client, 443, 40000, 1, 0, 0x10)
    checks = [f[50] << 8 | f[51] for f in (forth, back)]
    ts, seq = START_US, 1000
    pack_seq, pack_check, pack_record = struct.Struct(">I").pack_into, struct.Struct(">H").pack_into, RECORD.pack
    for n in range(packets):
        ts += 20 + (n * 2654435761 >> 7) % 180
        if n % 10 == 9:
            frame, at, base = back, 42, checks[1]
        else:
            frame, at, base = forth, 38, checks[0]
            seq = seq + (32 if n % 11 == 0 else 16) & 0xFFFFFFFF
        pack_seq(frame, at, seq)
        pack_check(frame, 50, (base - (seq >> 16) - (seq & 0xFFFF)) % 65535)
        yield pack_record(ts // 10**6, ts % 10**6, len(frame), len(frame)) + frame


def write(out, records):
    out.write(FILE_HEADER)
    batch, size = [], 0
    for record in records:
        batch.append(record)
        size += len(record)
        if size > 1 << 20:
            out.write(b"".join(batch))
            batch, size = [], 0
    out.write(b"".join(batch))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--packets", type=int)
    kind.add_argument("--flows", type=int, help="at most 16777216")
    kind.add_argument("--scan", type=int, help="at most 16777216")
    kind.add_argument("--stalled-tls", type=int, help="at most 16777216")
    kind.add_argument("--quic", type=int, help="at most 16777216")
    kind.add_argument("--one-flow", type=int)
    parser.add_argument("--live", type=int, help="with --flows: how many are open at a time")
    parser.add_argument("--each", type=int, default=2, help="with --live: packets of a flow")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.packets is not None:
        records = replayed(args.packets, random.Random(args.seed))
    elif (args.flows or args.scan or args.stalled_tls or args.quic or 0) > 1 << 24:
        parser.error("at most 16777216 flows, one client address each")
    elif args.flows is not None and args.live:
        records = waves(args.flows, args.live, args.each)
    elif args.flows is not None:
        records = many_flows(args.flows)
    elif args.scan is not None:
        records = scan(args.scan)
    elif args.stalled_tls is not None:
        records = stalled_tls(args.stalled_tls)
    elif args.quic is not None:
        records = quic(args.quic, random.Random(args.seed))
    else:
        records = one_flow(args.one_flow)
    if args.out == "-":
        write(sys.stdout.buffer, records)
    else:
        with open(args.out, "wb") as out:
            write(out, records)


if __name__ == "__main__":
    main()
