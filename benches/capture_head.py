#!/usr/bin/env python3
"""Copies the first N packets of a classic pcap file, or counts them all.

usage: capture_head.py IN.pcap OUT.pcap N | capture_head.py --count IN.pcap
"""
import struct
import sys

ORDERS = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}


def records(f):
    """The file header, then every record with its header."""
    head = f.read(24)
    order = ORDERS.get(head[:4]) or sys.exit(f"{f.name}: not a classic pcap file")
    yield head
    length = struct.Struct(order + "8xI4x")
    while len(head := f.read(16)) == 16:
        yield head + f.read(length.unpack(head)[0])


def count(path):
    with open(path, "rb", buffering=1 << 20) as f:
        return sum(1 for _ in records(f)) - 1


def copy_head(source, target, packets):
    with open(source, "rb", buffering=1 << 20) as f, open(target, "wb") as out:
        for n, record in enumerate(records(f)):
            if n > packets:
                break
            out.write(record)


if __name__ == "__main__":
    if sys.argv[1] == "--count":
        print(count(sys.argv[2]))
    else:
        copy_head(sys.argv[1], sys.argv[2], int(sys.argv[3]))
