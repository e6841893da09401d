#!/usr/bin/env bash
# `jj extract` and its peers side by side on one capture (classic pcap); prints a Markdown table.
#
# usage: benches/peers.sh CAPTURE [--jj PATH] [--runs N] [--head N] [--only-jj] [--write]
#   --jj PATH   the binary to measure (default: target/release/jj when it is there; else only peers are measured)
#   --head N    packets of the capture that the slow peers get (default 20000)
#   --write     also put the table into docs/benchmarks.md
# The first line is `tcpdump -r CAPTURE -w /dev/null`, the read bound (apt-get install tcpdump); every figure is given as a multiple
# of its CPU time for a packet too.
# Peers: nfstream and joyfuljay 0.1.6.1 from PyPI, in environments of their own under ${BENCH_CACHE:-.bench};
# softflowd from Debian (apt-get install softflowd), left out where it is not installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${BENCH_CACHE:-$here/../.bench}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

environment() { # NAME PACKAGE...
    local dir=$cache/$1
    shift
    [ -x "$dir/bin/pip" ] || python3 -m venv "$dir"
    "$dir/bin/pip" install -q "$@"
}

args=("$@")
[ $# -gt 0 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
if [[ " $* " != *" --only-jj "* ]]; then
    environment nfstream nfstream
    environment joyfuljay "joyfuljay[graphs,fast]==0.1.6.1"
    args+=(--nfstream "$cache/nfstream/bin/python" --joyfuljay "$cache/joyfuljay/bin/joyfuljay")
fi
default_jj=${CARGO_TARGET_DIR:-$here/../target}/release/jj
if [[ " $* " != *" --jj "* ]] && [ -x "$default_jj" ]; then
    args+=(--jj "$default_jj")
fi
exec python3 "$here/peers.py" --scratch "$cache" "${args[@]}"
