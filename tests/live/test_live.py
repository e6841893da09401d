"""`jj live`: what it shows is what was on the wire, and what it lost is counted."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from conftest import DATA, HEAVY, PATIENCE
from frames import B, ethernet, fragments, ipv4, ipv6, udp, write_pcap
from scrapes import announced, scrape, value, wait_for

#: What a flow is, without its times.
COUNTS = ["--features", "flow_meta,size,tcp", "--timeout", "3600"]
#: Columns that say when and how fast.
TIMES = re.compile("time|duration|per_second|rate|end_reason")


def timeless(rows):
    return sorted(json.dumps({name: v for name, v in row.items() if not TIMES.search(name)}, sort_keys=True) for row in rows)


def packets(rows):
    return sum(row["total_packets"] for row in rows)


def test_live_rows_are_those_of_the_file(wire, extract):
    capture = wire.live(*COUNTS)
    sent = wire.send(DATA / "demo.pcap", "--rate", "5000")
    summary = capture.stop()
    assert summary["frames"] == sent and summary["dropped"] == {"kernel": 0, "interface": 0, "queue": 0}
    assert summary["interfaces"][0]["received"] == sent and summary["clock"] == "running"
    live, file = capture.rows(), extract(DATA / "demo.pcap", *COUNTS)
    assert timeless(live) == timeless(file) and len(live) > 20


def test_tags_that_the_kernel_takes_off_are_put_back(wire, extract, tmp_path):
    """TCI 0x401d is VLAN 29 with priority 2; tag 0 is not the same as none; an 802.1ad tag stays outside."""
    def frame(port, *tags):
        return ethernet(ipv4(udp(port, 9)), *tags)

    frames = [
        frame(1, (0x8100, 0x401D)),
        frame(2, (0x8100, 0)),
        frame(3),
        frame(4, (0x88A8, 7), (0x8100, 100)),
        frame(5, (0x9100, 7), (0x8100, 100)),
        frame(6, (0x8100, 7), (0x8100, 100)),
    ]
    capture = wire.live("--features", "flow_meta,mac,ip_extended,size")
    assert wire.send(frames=frames) == len(frames)
    assert capture.stop()["frames"] == len(frames)
    file = extract(write_pcap(tmp_path / "tags.pcap", frames), "--features", "flow_meta,mac,ip_extended,size")
    assert timeless(capture.rows()) == timeless(file) and len(file) == len(frames)


def test_what_came_before_the_end_is_in_the_rows(wire):
    for _ in range(100 if HEAVY else 10):
        capture = wire.live("--features", "flow_meta")
        wire.send(frames=[ethernet(ipv4(udp(1, 9)))] * 14)
        summary = capture.stop()
        assert packets([row for row in capture.rows() if row["src_port"] == 1]) == 14, summary
        capture.rows_file.unlink()


def test_losses_are_counted_exactly(wire):
    capture = wire.live("--features", "flow_meta", "--ring-size", "4")
    frames = [ethernet(ipv4(udp(1000 + i, 9, bytes(1000)))) for i in range(1000)]
    capture.child.send_signal(signal.SIGSTOP)
    sent = wire.send("--loop", "20", frames=frames)
    capture.child.send_signal(signal.SIGCONT)
    sent += wire.send(frames=frames[:10])
    summary = capture.stop()
    lost = summary["dropped"]["kernel"]
    assert lost > 0 and summary["interfaces"][0]["ring_full"] > 0
    assert (summary["frames"] + lost, summary["interfaces"][0]["received"]) == (sent, sent)
    assert packets(capture.rows()) == summary["frames"]
    assert b"lost before" not in capture.rows_file.read_bytes()


def test_rows_do_not_depend_on_workers(wire):
    """Fragments and both directions of many flows."""
    frames = []
    for flow in range(50):
        there, back = udp(2000 + flow, 53, bytes(4000)), udp(53, 2000 + flow, bytes(3000))
        frames += [ethernet(p) for p in fragments(there, 2 * flow)]
        frames += [ethernet(p) for p in fragments(back, 2 * flow + 1, source=B, destination="10.77.0.1")]
    results = []
    for workers in (1, 2, 7):
        capture = wire.live(*COUNTS, "-w", workers)
        sent = wire.send(frames=frames)
        assert capture.stop()["frames"] == sent
        results.append(timeless(capture.rows()))
        capture.rows_file.unlink()
    assert results[0] == results[1] == results[2] and len(results[0]) == 50


def test_a_quiet_flow_leaves_by_the_clock(wire):
    capture = wire.live("--features", "flow_meta", "--timeout", "1")
    wire.send(frames=[ethernet(ipv4(udp(1, 2)))])
    row = wait_for(capture.rows, state=capture.text)[0]
    assert (row["total_packets"], row["end_reason"]) == (1, "idle")
    capture.stop()


def test_an_interface_may_go_down_and_come_up(wire):
    capture = wire.live("--features", "flow_meta")
    wire.send(frames=[ethernet(ipv4(udp(1, 9)))])
    wire.ip("b", "link", "set", "veth0", "down")
    wait_for(lambda: "is down" in capture.text(), state=capture.text)
    wire.ip("b", "link", "set", "veth0", "up")
    wait_for(lambda: "is up again" in capture.text(), state=capture.text)
    wire.send(frames=[ethernet(ipv4(udp(2, 9)))])
    assert capture.stop()["frames"] >= 2
    assert {1, 2} <= {row["src_port"] for row in capture.rows()}
    assert capture.text().count("is down") == 1


def test_an_interface_may_be_renamed_and_made_again(wire):
    capture = wire.live("--features", "flow_meta")
    wire.ip("b", "link", "set", "veth0", "name", "renamed")
    wait_for(lambda: "is called renamed" in capture.text(), state=capture.text)
    wire.ip("b", "link", "set", "renamed", "up")
    wire.send(frames=[ethernet(ipv4(udp(1, 9)))])
    wire.ip("b", "link", "del", "renamed")
    wait_for(lambda: "has vanished" in capture.text(), state=capture.text)
    wire.ip("a", "link", "add", "veth0", "type", "veth", "peer", "name", "renamed", "netns", f"{wire.name}-b")
    wire.ip("a", "link", "set", "veth0", "up")
    wire.ip("b", "link", "set", "renamed", "up")
    wait_for(lambda: "is there" in capture.text(), state=capture.text)
    wire.send(frames=[ethernet(ipv4(udp(2, 9)))])
    summary = capture.stop()
    assert {1, 2} <= {row["src_port"] for row in capture.rows()}, summary


def test_an_interface_may_be_waited_for(wire):
    capture = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", wire.jj, "live", "later", "--wait", "-f", "json", "--features", "flow_meta"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wire.children.append(capture)
    assert "does not exist yet" in next(line for line in capture.stderr if "later" in line and "capturing" not in line)
    wire.ip("b", "link", "set", "veth0", "down")
    wire.ip("b", "link", "set", "veth0", "name", "later")
    wire.ip("b", "link", "set", "later", "up")
    assert any("is there" in line for line in iter(capture.stderr.readline, ""))
    wire.send(frames=[ethernet(ipv4(udp(7, 9)))])
    capture.send_signal(signal.SIGTERM)
    out, _ = capture.communicate(timeout=PATIENCE)
    assert capture.returncode == 0 and json.loads(out.splitlines()[0])["src_port"] == 7


def test_promiscuity_ends_with_the_capture_however_it_ends(wire):
    assert wire.promiscuity() == 0
    first, second = wire.live(), wire.live()
    assert wire.promiscuity() == 2
    first.child.kill()
    first.child.wait(PATIENCE)
    assert wire.promiscuity() == 1
    second.stop()
    assert wire.promiscuity() == 0
    modest = wire.live("--no-promiscuous")
    assert wire.promiscuity() == 0
    modest.stop()


def test_the_loopback_interface_shows_a_packet_once(wire):
    capture = wire.live("--features", "flow_meta", interfaces=["lo"])
    sender = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); [s.sendto(b'x', ('127.0.0.1', 9)) for _ in range(10)]"
    wire.inside("b", sys.executable, "-c", sender)
    summary = capture.stop()
    assert [row["total_packets"] for row in capture.rows() if row["protocol"] == 17] == [10]
    assert summary["frames"] == summary["interfaces"][0]["received"]


TUN = """
import fcntl, os, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH", b"tun9", 0x1001))
if len(sys.argv) > 1: fcntl.ioctl(tun, 0x400454CD, int(sys.argv[1]))  # TUNSETLINK
os.system("ip link set tun9 up")
print("up", flush=True)
for line in sys.stdin:
    os.write(tun, bytes.fromhex(line))
    print("sent", flush=True)
"""


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="there is no /dev/net/tun")
def test_packets_without_a_link_header(wire):
    tun = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", sys.executable, "-c", TUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wire.children.append(tun)
    assert tun.stdout.readline() == "up\n"
    capture = wire.live("--features", "flow_meta", interfaces=["tun9"])
    for packet in (ipv4(udp(1, 9)), ipv6(udp(2, 9))):
        tun.stdin.write(packet.hex() + "\n")
        tun.stdin.flush()
        assert tun.stdout.readline() == "sent\n"
    capture.stop()
    rows = {row["src_port"]: row for row in capture.rows()}
    assert (rows[1]["src_ip"], rows[2]["src_ip"]) == ("10.77.0.1", "fd00::1")


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="there is no /dev/net/tun")
def test_a_hardware_type_that_is_not_read_is_refused_by_its_number(wire):
    """280 is that of CAN: its frames taken for Ethernet would be nothing, in silence."""
    tun = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", sys.executable, "-c", TUN, "280"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wire.children.append(tun)
    assert tun.stdout.readline() == "up\n"
    done = wire.inside("b", wire.jj, "live", "tun9", check=False, text=True)
    assert done.returncode == 1 and "hardware type 280" in done.stderr and done.stdout == "", done.stderr
    every = wire.inside("b", wire.jj, "live", "any", "-d", "0.2", "-o", wire.directory / "rows.csv", text=True)
    assert "tun9: left out, as frames of hardware type 280 are not read" in every.stderr


def test_frames_of_any_size_also_when_the_mtu_is_raised(wire):
    capture = wire.live("--features", "flow_meta")
    for mtu in (9000, 65535):
        for side in "ab":
            wire.ip(side, "link", "set", "veth0", "mtu", mtu)
        wire.send(frames=[ethernet(ipv4(udp(1, 9, bytes(mtu - 28))))])
    capture.stop()
    assert sum(row["total_bytes"] for row in capture.rows() if row["src_port"] == 1) == 9000 + 65535


TCP = """
import socket, sys
if sys.argv[1] == "server":
    listener = socket.create_server(("10.77.0.2", 8000))
    print("listening", flush=True)
    connection, _ = listener.accept()
    while connection.recv(1 << 20): pass
else:
    with socket.create_connection(("10.77.0.2", 8000)) as s: s.sendall(bytes(2_000_000))
"""


def test_merged_frames_have_all_bytes_and_are_said(wire):
    server = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", sys.executable, "-c", TCP, "server"], stdout=subprocess.PIPE, text=True
    )
    wire.children.append(server)
    assert server.stdout.readline() == "listening\n"
    capture = wire.live("--features", "flow_meta,size,tcp")
    wire.inside("a", sys.executable, "-c", TCP, "client")
    server.wait(PATIENCE)
    capture.stop()
    (row,) = [row for row in capture.rows() if row["dst_port"] == 8000]
    assert row["payload_bytes_fwd"] == 2_000_000
    assert "longer than its MTU" in capture.text()


def test_any_keeps_one_level_and_says_so(wire):
    """A bridge shows what comes in at its port."""
    wire.ip("b", "link", "add", "br0", "type", "bridge")
    wire.ip("b", "addr", "flush", "dev", "veth0")
    wire.ip("b", "link", "set", "veth0", "master", "br0")
    wire.ip("b", "addr", "add", f"{B}/30", "dev", "br0")
    wire.ip("b", "link", "set", "br0", "up")
    capture = wire.live("--features", "flow_meta", interfaces=["any"])
    wire.send(frames=[ethernet(ipv4(udp(1, 9)))] * 3)
    capture.stop()
    assert [row["total_packets"] for row in capture.rows() if row["src_port"] == 1] == [3]
    assert "veth0: left out, as its packets are seen on br0 too" in capture.text()
    both = wire.live("--features", "flow_meta", interfaces=["veth0", "br0"])
    both.stop()
    assert "seen on br0 too" in both.text()


def test_two_interfaces_are_one_stream(wire):
    wire.ip("a", "link", "add", "veth1", "type", "veth", "peer", "name", "veth1", "netns", f"{wire.name}-b")
    for side in "ab":
        wire.ip(side, "link", "set", "veth1", "up")
    capture = wire.live("--features", "flow_meta", interfaces=["veth0", "veth1"])
    sender = (
        "import socket, sys\n"
        "links = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(2)]\n"
        "[link.bind((f'veth{i}', 0)) for i, link in enumerate(links)]\n"
        "frame = bytes.fromhex(sys.argv[1])\n"
        "[links[i % 2].send(frame) for i in range(1000)]\n"
    )
    wire.inside("a", sys.executable, "-c", sender, ethernet(ipv4(udp(1, 9))).hex())
    summary = capture.stop()
    assert {i["name"]: i["received"] >= 500 for i in summary["interfaces"]} == {"veth0": True, "veth1": True}
    (row,) = [row for row in capture.rows() if row["src_port"] == 1]
    assert row["total_packets"] == 1000


def test_a_file_that_is_moved_away_is_begun_anew(wire):
    """mv and SIGHUP: every row is in one of the files; SIGHUP alone changes nothing."""
    capture = wire.live("--features", "flow_meta", "--timeout", "0.2")
    moved = []
    rounds = 200 if HEAVY else 10
    for i in range(rounds):
        wire.send(frames=[ethernet(ipv4(udp(10 * i + j + 1, 9))) for j in range(10)])
        if i % 2:
            moved.append(capture.rows_file.with_suffix(f".{i}"))
            capture.rows_file.rename(moved[-1])
        capture.child.send_signal(signal.SIGHUP)
        if i % 2:
            wait_for(capture.rows_file.exists, state=capture.text)
    capture.stop()
    lines = [line for path in [*moved, capture.rows_file] for line in path.read_text().splitlines()]
    assert sorted(json.loads(line)["src_port"] for line in lines) == list(range(1, 10 * rounds + 1))


def test_the_service_manager_is_told(wire, tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE)
        capture = subprocess.Popen(
            ["ip", "netns", "exec", f"{wire.name}-b", wire.jj, "live", "veth0", "-o", tmp_path / "rows.csv", "-q"],
            env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "500000"},
        )
        wire.children.append(capture)
        assert b"READY=1" in manager.recv(1000)
        # Alive on a quiet wire.
        assert [manager.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        capture.send_signal(signal.SIGTERM)
        wait_for(lambda: manager.recv(1000) == b"STOPPING=1")
        assert capture.wait(PATIENCE) == 0


def test_metrics_of_a_capture(wire):
    capture = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", wire.jj, "live", "veth0", "-o", wire.directory / "rows.csv", "--prometheus-port", "0"],
        stderr=subprocess.PIPE,
    )
    wire.children.append(capture)
    url = announced(capture)

    def text():
        # The server is in the namespace of the capture.
        script = f"import urllib.request; print(urllib.request.urlopen({url + '/metrics'!r}).read().decode())"
        return wire.inside("b", sys.executable, "-c", script, text=True).stdout

    wait_for(lambda: value(text(), "joyfuljay_capture_up", 'interface="veth0"') == 1)
    wire.send(frames=[ethernet(ipv4(udp(1, 9)))] * 7)
    found = wait_for(lambda: value(seen := text(), "joyfuljay_capture_packets_total", 'interface="veth0"') >= 7 and seen)
    assert value(found, "joyfuljay_active_runs", 'mode="live"') == 1
    assert value(found, "joyfuljay_capture_drops_total", 'where="kernel"') == 0
    assert 'joyfuljay_lag_seconds{source="veth0"}' in found
    wire.ip("b", "link", "set", "veth0", "down")
    wait_for(lambda: value(text(), "joyfuljay_capture_up", 'interface="veth0"') == 0)
    capture.send_signal(signal.SIGINT)
    assert capture.wait(PATIENCE) == 0


def test_what_is_missing_is_named(wire):
    def run(*arguments, drop=()):
        command = [*drop, wire.jj, "live", *arguments]
        return wire.inside("b", *command, check=False, text=True)

    none = run("nosuch0")
    assert none.returncode == 1 and "there are lo, veth0" in none.stderr.replace("veth0, lo", "lo, veth0")
    without = run("veth0", "--check", drop=["setpriv", "--bounding-set=-all", "--inh-caps=-all"])
    assert without.returncode == 1 and "CAP_NET_RAW" in without.stderr and "setcap cap_net_raw=ep" in without.stderr
    alone = run("veth0", "--check", drop=["setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all,+net_raw"])
    assert alone.returncode == 0, alone.stderr
    assert run("veth0", "-d", "0").returncode == 2
    ended = run("veth0", "-d", "0.2", "-q")
    assert ended.returncode == 0, ended.stderr


def test_saved_packets_give_the_same_rows(wire, extract, tmp_path):
    """Every column, times too; and one filter picks the same packets on the wire and in a file."""
    saved = tmp_path / "saved.pcapng"
    capture = wire.live("--timeout", "3600", "--save-pcap", saved)
    sent = wire.send(DATA / "demo.pcap", "--rate", "5000")
    assert capture.stop()["frames"] == sent
    live, file = capture.rows(), extract(saved, "--timeout", "3600")
    # What needs the whole input has no columns in a stream.
    assert live[0].keys() <= file[0].keys() and len(live[0]) > 400
    file = [{name: row[name] for name in live[0]} for row in file]
    assert sorted(map(json.dumps, live)) == sorted(map(json.dumps, file)) and len(live) > 20
    capture.rows_file.unlink()
    tagged = [ethernet(ipv4(udp(port, 53)), *tags) for port, tags in [(1, ()), (2, ((0x8100, 5),)), (3, ((0x8100, 6),))]]
    for expression in ("udp port 53", "vlan", "vlan 5 and udp", "not vlan"):
        capture = wire.live("--features", "flow_meta", "--filter", expression)
        wire.send(frames=tagged)
        capture.stop()
        found = extract(write_pcap(tmp_path / "tagged.pcap", tagged), "--features", "flow_meta", "--filter", expression)
        assert timeless(capture.rows()) == timeless(found), expression
        capture.rows_file.unlink()


OWN = """
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.2", 7777))
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


def test_only_the_packets_of_a_process(wire):
    owner = subprocess.Popen(
        ["ip", "netns", "exec", f"{wire.name}-b", sys.executable, "-c", OWN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wire.children.append(owner)
    capture = wire.live("--features", "flow_meta", "--pid", owner.stdout.readline().strip())
    wire.send(frames=[ethernet(ipv4(udp(1, 7777))), ethernet(ipv4(udp(2, 7778)))])
    capture.stop()
    assert [row["src_port"] for row in capture.rows()] == [1]
