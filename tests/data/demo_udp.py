#!/usr/bin/env python3
"""A UDP echo server and a client that talks in small bursts, for record_demo.sh.

usage: demo_udp.py serve ADDRESS PORT | demo_udp.py talk ADDRESS PORT
"""
import socket
import sys
import time

mode, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if mode == "serve":
    s.bind((address, port))
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data[: len(data) // 2], peer)
s.settimeout(1)
s.connect((address, port))
for burst in range(4):
    for n in range(5):
        s.send(bytes([burst]) * (40 + 200 * n))
    for n in range(5):
        try:
            s.recv(2048)
        except OSError:  # refused (ICMP port unreachable)
            sys.exit()
    time.sleep(0.12)
