#!/usr/bin/env bash
# Peak memory (resident set) of `jj extract` where it could grow: a large capture, many open flows, one endless flow.
#
# usage: benches/memory.sh [JJ [LARGE_CAPTURE]]
#   JJ              the binary (default: target/release/jj)
#   LARGE_CAPTURE   default: a generated one of 3 M packets, 1.4 GB
# Exits with 1 where a bound is passed: 300 MB for the large capture, 1 GB for a million flows, open or closed, max_memory and an eighth
# for a million handshakes that stall, 2 GB for a million flows of QUIC, and for one flow no more than 16 MB between one million packets and ten.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
jj=${1:-${CARGO_TARGET_DIR:-$here/../target}/release/jj}
cache=${BENCH_CACHE:-$here/../.bench}
mkdir -p "$cache"
failed=0

make() { # NAME ARGUMENT...
    local file=$cache/$1
    shift
    [ -s "$file" ] || { python3 "$here/make_capture.py" "$file.part" "$@" && mv "$file.part" "$file"; }
}

peak() { # CAPTURE ARGUMENT... -> MB
    local capture=$1
    shift
    python3 "$here/measure.py" -- "$jj" extract "$capture" "$@" -f parquet -o "$cache/memory.parquet" --no-progress |
        python3 -c 'import json, sys; print(round(json.load(sys.stdin)["peak_mib"] * 1.048576))'
}

report() { # LABEL MB BOUND
    local verdict=ok
    [ "$2" -lt "$3" ] || { verdict="TOO MUCH"; failed=1; }
    printf '| %s | %s MB | %s MB | %s |\n' "$1" "$2" "$3" "$verdict"
}

groups=(--features flow_meta --features timing --features size --features tcp)
large=${2:-$cache/large.pcap}
[ $# -ge 2 ] || make large.pcap --packets 3000000
make flows_1m.pcap --flows 1000000
make scan_1m.pcap --scan 1000000
make stalled_tls_1m.pcap --stalled-tls 1000000
make quic_1m.pcap --quic 1000000
make one_flow_1m.pcap --one-flow 1000000
make one_flow_10m.pcap --one-flow 10000000

echo '| capture | peak | bound | |'
echo '|---|---:|---:|---|'
report "$(($(stat -Lc %s "$large") / 1000000)) MB capture, four groups, 2 workers" "$(peak "$large" "${groups[@]}" -w 2)" 300
report 'one million flows, all open, flow_meta' "$(peak "$cache/flows_1m.pcap" --features flow_meta -w 2)" 1000
report 'one million flows, all open, four groups' "$(peak "$cache/flows_1m.pcap" "${groups[@]}" -w 2)" 1000
report 'one million flows closed by RST (a scan), four groups' "$(peak "$cache/scan_1m.pcap" "${groups[@]}" -w 2)" 1000
report 'one million TLS handshakes that stall, flow_meta and tls, max_memory 2 GB' \
    "$(peak "$cache/stalled_tls_1m.pcap" --features flow_meta --features tls --set max_memory=2GB -w 1)" 2250
report 'one million QUIC Initials with random connection ids, a flow each, flow_meta, tls and quic' \
    "$(peak "$cache/quic_1m.pcap" --features flow_meta --features tls --features quic -w 1)" 2000
small=$(peak "$cache/one_flow_1m.pcap" "${groups[@]}" -w 1)
report 'one flow of one million packets' "$small" 300
report 'one flow of ten million packets' "$(peak "$cache/one_flow_10m.pcap" "${groups[@]}" -w 1)" $((small + 16))
rm -f "$cache/memory.parquet"
exit $failed
