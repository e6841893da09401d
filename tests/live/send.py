"""Sends the frames of a pcap file, or frames given in hexadecimal on standard input, out of an interface, as they are.

usage: send.py INTERFACE [FILE.pcap] [--rate FRAMES_A_SECOND] [--loop TIMES]

Says at the end how many the kernel took, as one number. Needs CAP_NET_RAW.
"""

import argparse
import socket
import struct
import sys
import time

ETH_P_ALL = 0x0003
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20


def frames_of(path):
    with open(path, "rb") as file:
        magic = file.read(24)[:4]
        order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}[magic]
        while len(header := file.read(16)) == 16:
            yield file.read(struct.unpack(order + "4I", header)[2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--loop", type=int, default=1)
    options = parser.parse_args()
    frames = list(frames_of(options.file)) if options.file else [bytes.fromhex(line) for line in sys.stdin]
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Straight to the driver: what the kernel took has arrived at the other end of a veth pair.
    link.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    link.bind((options.interface, 0))
    sent, began = 0, time.monotonic()
    for _ in range(options.loop):
        for frame in frames:
            link.send(frame)
            sent += 1
            # In portions, as a sleep takes longer than a frame.
            if options.rate and sent % 100 == 0:
                time.sleep(max(0, began + sent / options.rate - time.monotonic()))
    print(sent)


main()
