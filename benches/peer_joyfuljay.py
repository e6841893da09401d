#!/usr/bin/env python3
"""joyfuljay 0.1.6.1 over a capture with its faster reader, dpkt. usage: peer_joyfuljay.py CAPTURE GROUP"""
import sys

from joyfuljay import Config, Pipeline
from joyfuljay.capture import DpktBackend

if __name__ == "__main__":
    capture, group = sys.argv[1:]
    frame = Pipeline(Config(features=[group]), backend=DpktBackend()).process_pcap(capture)
    print(len(frame), "flows", file=sys.stderr)
