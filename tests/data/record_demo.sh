#!/usr/bin/env bash
# Records demo.pcap: real clients and real servers that talk over a virtual cable between two network namespaces.
#
# Nothing leaves the machine and nobody's traffic is in it: the addresses are those set aside for documentation
# (RFC 5737, RFC 3849), the names end in .test (RFC 6761), keys and certificates are made for the run and thrown away.
#
# usage (as root): tests/data/record_demo.sh [OUT.pcap]
# needs (Debian):  tcpdump tshark curl openssl openssh-server openssh-client dnsmasq-base bind9-dnsutils iputils-ping
#                  iproute2 python3-venv; aioquic comes from PyPI into a throw-away environment
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath -m "${1:-$here/demo.pcap}")
work=$(mktemp -d)
client=jjdemo-c
server=jjdemo-s
wire=

cleanup() {
    local ns pids
    [ -z "$wire" ] || kill $wire 2>/dev/null || true
    for ns in $client $server; do
        pids=$(ip netns pids $ns 2>/dev/null || true)
        [ -z "$pids" ] || kill $pids 2>/dev/null || true
        ip netns del $ns 2>/dev/null || true
        rm -rf /etc/netns/$ns
    done
    rm -rf "$work"
}
trap cleanup EXIT

c() { ip netns exec $client timeout 20 "$@"; }
# Answers are not the point, packets are; a client that fails on purpose must not end the recording.
try() { c "$@" >/dev/null 2>>"$work/clients.log" || echo "exit $?: $*" >>"$work/clients.log"; }
serve() { ip netns exec $server "$@" >>"$work/servers.log" 2>&1 & }

# --- the cable ---------------------------------------------------------------------------------------------------
mkdir -p /etc/netns/$client
printf 'nameserver 192.0.2.53\noptions timeout:2 attempts:1\n' >/etc/netns/$client/resolv.conf
python3 "$here/demo_wire.py" jjdemo0 jjdemo1 &
wire=$!
ip netns add $client
ip netns add $server
n=0
for ns in $client $server; do
    until ip link show jjdemo$n >/dev/null 2>&1; do sleep 0.1; done
    ip link set jjdemo$n netns $ns name eth0 address 02:00:5e:00:00:0$((n + 1))
    ip -n $ns link set lo up
    ip -n $ns link set eth0 up
    n=$((n + 1))
done
ip -n $client addr add 192.0.2.100/24 dev eth0
ip -n $client addr add 2001:db8::100/64 dev eth0 nodad
for a in 10 12 13 22 53; do
    ip -n $server addr add 192.0.2.$a/24 dev eth0
    ip -n $server addr add 2001:db8::$a/64 dev eth0 nodad
done
sleep 2 # router solicitations and duplicate address detection are over before the recording starts

# --- the servers -------------------------------------------------------------------------------------------------
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout "$work/key.pem" -out "$work/cert.pem" \
    -subj '/O=JoyfulJay demo/CN=www.demo.test' -addext 'subjectAltName=DNS:www.demo.test,DNS:tls12.demo.test,DNS:tls13.demo.test,DNS:quic.demo.test' 2>/dev/null
for t in tls12:12:-tls1_2 tls13:13:-tls1_3; do
    IFS=: read -r name host version <<<"$t"
    serve openssl s_server -accept "192.0.2.$host:443" -cert "$work/cert.pem" -key "$work/key.pem" "$version" -alpn http/1.1 -www -quiet
done

mkdir "$work/www"
echo '<!doctype html><title>demo</title><p>Hello.' >"$work/www/index.html"
head -c 45000 /dev/urandom >"$work/www/picture.bin"
serve python3 -m http.server -p HTTP/1.1 -b :: -d "$work/www" 80

serve dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --pid-file="$work/dnsmasq.pid" --user=root --no-daemon \
    --listen-address=192.0.2.53,2001:db8::53 --bind-interfaces --local=/test/ --cache-size=0 \
    --host-record=www.demo.test,192.0.2.10,2001:db8::10 --host-record=tls12.demo.test,192.0.2.12 --host-record=tls13.demo.test,192.0.2.13 \
    --host-record=ssh.demo.test,192.0.2.22,2001:db8::22 --cname=files.demo.test,www.demo.test \
    --txt-record=demo.test,"v=spf1 -all" --txt-record=big.demo.test,"$(printf 'x%.0s' {1..250})","$(printf 'y%.0s' {1..250})" \
    --mx-host=demo.test,mail.demo.test,10 --srv-host=_https._tcp.demo.test,www.demo.test,443

ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$work/user_key"
cp "$work/user_key.pub" "$work/authorized"
mkdir -p /run/sshd
serve /usr/sbin/sshd -D -e -f /dev/null -h "$work/host_key" -o ListenAddress=192.0.2.22 -o ListenAddress='[2001:db8::22]' -o UsePAM=no \
    -o PasswordAuthentication=no -o StrictModes=no -o PermitRootLogin=yes -o AuthorizedKeysFile="$work/authorized" \
    -o Subsystem='sftp internal-sftp' -o PrintMotd=no -o PidFile=none

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q aioquic
serve "$work/venv/bin/python" "$here/demo_quic.py" serve 192.0.2.10 443 "$work/cert.pem" "$work/key.pem"
serve python3 "$here/demo_udp.py" serve 192.0.2.10 7

# --- the recording -----------------------------------------------------------------------------------------------
ip netns exec $client tcpdump -q -i eth0 -s 0 -U -w "$work/demo.pcap" 2>"$work/tcpdump.log" &
recorder=$!
sleep 2

curl=(curl -sS -o /dev/null --max-time 10)
try ping -c 4 -i 0.2 192.0.2.10
try ping -6 -c 4 -i 0.2 2001:db8::10
try ping -c 2 -i 0.2 -s 3000 192.0.2.10        # fragments
try ping -6 -c 2 -i 0.2 -s 3000 2001:db8::10

try dig +short www.demo.test A
try dig +short www.demo.test AAAA
try dig +short demo.test TXT
try dig +short demo.test MX
try dig +short _https._tcp.demo.test SRV
try dig +short nobody.demo.test A              # NXDOMAIN
try dig +short -x 192.0.2.10
try dig +tcp +short big.demo.test TXT
try dig @2001:db8::53 +short files.demo.test A

try "${curl[@]}" http://www.demo.test/ -o /dev/null http://www.demo.test/picture.bin     # two requests, one connection
try "${curl[@]}" -4 http://www.demo.test/absent
try "${curl[@]}" -4 -d name=value http://www.demo.test/form
try "${curl[@]}" -6 http://www.demo.test/picture.bin

try "${curl[@]}" -k https://tls12.demo.test/
try "${curl[@]}" -k https://tls13.demo.test/
try "${curl[@]}" -k --tls-max 1.2 https://tls13.demo.test/   # refused with an alert
c sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect 192.0.2.13:443 -servername tls13.demo.test -alpn h2,http/1.1 -sess_out $work/session -ign_eof" >/dev/null 2>&1 || true
c sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | openssl s_client -connect 192.0.2.13:443 -servername tls13.demo.test -sess_in $work/session -ign_eof" >/dev/null 2>&1 || true
try python3 -c 'import ssl, urllib.request as u; u.urlopen("https://tls12.demo.test/", context=ssl._create_unverified_context(), timeout=10).read()'

try "$work/venv/bin/python" "$here/demo_quic.py" fetch 192.0.2.10 443 quic.demo.test

ssh=(-q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -i "$work/user_key" -F /dev/null)
try ssh "${ssh[@]}" root@ssh.demo.test 'uname; sleep 0.3; seq 300; sleep 0.3; true'
try scp "${ssh[@]}" "$here/record_demo.sh" "root@192.0.2.22:$work/copied"

try python3 "$here/demo_udp.py" talk 192.0.2.10 7
try python3 "$here/demo_udp.py" talk 192.0.2.10 9    # nobody there: ICMP port unreachable
try "${curl[@]}" http://192.0.2.10:8080/               # nobody there: RST
try "${curl[@]}" -g -6 'http://[2001:db8::10]:8080/'

kill -USR1 $wire                                        # from here on frames are lost and overtaken
try "${curl[@]}" -4 http://www.demo.test/picture.bin

sleep 1
kill -INT $recorder
wait $recorder || true
cat "$work/clients.log"
install -m 644 "$work/demo.pcap" "$out"
tshark -r "$out" -q -z io,phs 2>/dev/null
ls -l "$out"
