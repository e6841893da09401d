#!/usr/bin/env python3
"""The cable of record_demo.sh: two TAP interfaces and 4 ms of wire between them, without asking the kernel for netem.

usage (as root): demo_wire.py NAME_A NAME_B
Runs until it is ended. After SIGUSR1 the wire is a poor one: it loses some large frames and delays others.
"""
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


poor = False


def make_poor(*_):
    global poor
    poor = True


def main(name_a, name_b):
    signal.signal(signal.SIGUSR1, make_poor)
    a, b = tap(name_a), tap(name_b)
    other = {a: b, b: a}
    rng = random.Random(1)
    on_the_wire = []  # (time of arrival, number, target, frame)
    number = 0
    last = {a: 0.0, b: 0.0}
    while True:
        now = time.monotonic()
        wait = max(0.0, on_the_wire[0][0] - now) if on_the_wire else None
        ready, _, _ = select.select([a, b], [], [], wait)
        for fd in ready:
            try:
                frame = os.read(fd, 65536)
            except BlockingIOError:
                continue
            arrival = time.monotonic() + 0.004 + rng.random() * 0.001
            large = len(frame) > 1000
            if poor and large and rng.random() < 0.08:
                continue
            if poor and large and rng.random() < 0.08:
                arrival += 0.002  # overtaken by those behind it
            else:
                arrival = last[fd] = max(arrival, last[fd])  # jitter alone does not reorder
            number += 1
            heapq.heappush(on_the_wire, (arrival, number, other[fd], frame))
        while on_the_wire and on_the_wire[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(on_the_wire)
            try:
                os.write(target, frame)
            except OSError:
                pass  # the interface is not up (yet, or any more)


main(*sys.argv[1:])
