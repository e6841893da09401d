#!/usr/bin/env python3
"""nfstream over a capture, every flow consumed. usage: peer_nfstream.py CAPTURE DISSECTIONS METERS"""
import sys

from nfstream import NFStreamer

if __name__ == "__main__":
    capture, dissections, meters = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    flows = packets = 0
    for flow in NFStreamer(
        source=capture, statistical_analysis=True, n_dissections=dissections, n_meters=meters, idle_timeout=60, active_timeout=10**9
    ):
        flows += 1
        packets += flow.bidirectional_packets
    print(flows, "flows,", packets, "packets", file=sys.stderr)
