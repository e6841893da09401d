"""Makes captures of six kinds of traffic, so that an example has something to learn from. Python alone; same seed, same bytes.

usage: traffic.py OUT.pcap [--flows N] [--seed N]

Clients of each kind have a network of their own, 198.18.KIND.0/24 (RFC 2544): that is the label. Ports say nothing. The kinds
overlap, as real ones do: a short download looks like a page, a paused call like a terminal.
"""

import argparse
import random
import struct

KINDS = ["page", "video", "download", "upload", "terminal", "call"]
MSS = 1448
TCP, UDP = 6, 17
SYN, PSH_ACK, ACK, SYN_ACK, FIN_ACK = 2, 24, 16, 18, 17


def label(address):
    """The kind of traffic of a client."""
    return KINDS[int(address.split(".")[2])]


class Conversation:
    """Packets of one flow, as (seconds, from the client, flags, payload bytes)."""

    def __init__(self, rng, protocol):
        self.rng, self.protocol, self.packets = rng, protocol, []
        self.rtt = rng.lognormvariate(-3.5, 0.6)  # 30 ms, give or take
        self.rate = rng.uniform(1e6, 12e6)  # bytes a second on the way between
        self.now = 0.0
        if protocol == TCP:
            for wait, client, flags in [(0, True, SYN), (self.rtt, False, SYN_ACK), (self.rtt / 50, True, ACK)]:
                self.send(wait, client, flags, 0)

    def send(self, wait, client, flags=PSH_ACK, payload=0):
        self.now += wait * self.rng.uniform(0.8, 1.25)
        self.packets.append((self.now, client, flags, payload))

    def bulk(self, client, size):
        """So many bytes one way: full segments in windows that grow, each second one acknowledged."""
        window, sent = 10, 0
        while size > 0:
            self.send(MSS / self.rate, client, PSH_ACK, min(MSS, size))
            size, sent = size - MSS, sent + 1
            if sent % 2 == 0:
                self.send(self.rtt / 40, not client, ACK)
            if sent >= window:
                self.now, window, sent = self.now + self.rtt / 2, min(2 * window, 80), 0

    def close(self):
        for client in (True, False):
            self.send(self.rtt / 2, client, FIN_ACK if self.protocol == TCP else 0, 0)


def converse(kind, rng):
    """A conversation of a kind."""
    flow = Conversation(rng, UDP if kind == "call" else TCP)
    think = rng.lognormvariate(0, 0.8)
    if kind == "page":
        for _ in range(rng.randint(1, 7)):
            flow.send(rng.expovariate(1 / think), True, PSH_ACK, rng.randint(250, 1100))
            flow.now += flow.rtt
            flow.bulk(False, int(rng.lognormvariate(9.2, 1.2)))
    elif kind == "video":
        for _ in range(rng.randint(2, 6)):
            flow.send(rng.uniform(1.5, 4.5), True, PSH_ACK, rng.randint(300, 900))
            flow.now += flow.rtt
            flow.bulk(False, int(rng.lognormvariate(11.2, 0.4)))
    elif kind in ("download", "upload"):
        flow.send(flow.rtt, True, PSH_ACK, rng.randint(150, 900))
        flow.now += flow.rtt
        flow.bulk(kind == "upload", int(rng.lognormvariate(11.4, 1.1)))
        flow.send(flow.rtt, kind != "upload", PSH_ACK, rng.randint(100, 400))
    elif kind == "terminal":
        for _ in range(rng.randint(8, 60)):
            flow.send(rng.expovariate(1 / (0.25 * think)), True, PSH_ACK, rng.choice([36, 36, 36, 44, 60]))
            flow.send(flow.rtt, False, PSH_ACK, rng.choice([36, 36, 44, 52, rng.randint(60, 1200)]))
            flow.send(flow.rtt / 40, True, ACK)
    else:
        size, turns = rng.choice([33, 92, 172]), rng.randint(2, 6)
        for turn in range(turns):
            for _ in range(int(rng.expovariate(1 / 40)) + 5):
                flow.send(0.02 if rng.random() < 0.97 else 0.3, turn % 2 == 0, 0, size + rng.randint(-4, 4))
    flow.close()
    return flow


def frame(flow, client, server, ports, packet, seq):
    """The bytes of a packet on Ethernet, and the sequence numbers behind it. Payloads are zeros: nobody reads them."""
    _, of_client, flags, payload = packet
    (src, dst), (sport, dport) = ((client, server), ports) if of_client else ((server, client), ports[::-1])
    if flow.protocol == TCP:
        mine, other = seq[of_client], seq[not of_client]
        upper = struct.pack(">HHIIBBHHH", sport, dport, mine, other if flags & ACK else 0, 0x50, flags, 65535, 0, 0)
        seq[of_client] = (mine + payload + (1 if flags & 3 else 0)) & 0xFFFFFFFF
    else:
        upper = struct.pack(">HHHH", sport, dport, 8 + payload, 0)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(upper) + payload, 0, 0x4000, 64, flow.protocol, 0) + src + dst
    total = sum(struct.unpack(">10H", head))
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    ends = b"\2\0\0\0\0\2\2\0\0\0\0\1" if of_client else b"\2\0\0\0\0\1\2\0\0\0\0\2"
    return ends + b"\x08\0" + head[:10] + struct.pack(">H", check) + head[12:] + upper + bytes(payload)


def write(path, flows, seed):
    """A capture of so many flows, of each kind as many."""
    rng = random.Random(seed)
    packets = []
    for n in range(flows):
        kind = n % len(KINDS)
        flow = converse(KINDS[kind], rng)
        client, server = bytes([198, 18, kind, n // len(KINDS) % 254 + 1]), bytes([198, 19, rng.randrange(8), rng.randrange(1, 255)])
        ports = (rng.randint(32768, 60999), rng.choice([443, 8443, 3478]))
        start, seq = rng.uniform(0, 600), {True: rng.getrandbits(32), False: rng.getrandbits(32)}
        for packet in flow.packets:
            packets.append((start + packet[0], n, frame(flow, client, server, ports, packet, seq)))
    packets.sort(key=lambda p: p[:2])
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for time, _, data in packets:
            micros = int((1_700_000_000 + time) * 1_000_000)
            out.write(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(data), len(data)) + data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--flows", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    write(a.out, a.flows, a.seed)
