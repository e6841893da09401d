"""`jj serve` and `jj connect`: rows are those of the sensor's machine, and what goes wrong is mended or counted."""

import datetime
import ipaddress
import json
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import websocket
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from conftest import DATA, HEAVY, PATIENCE, SEND, TOKEN, total, value, wait_for
from frames import ethernet, ipv4, udp

CAPTURES = sorted(path.name for path in DATA.iterdir() if ".pcap" in path.name and path.name != "empty.pcap")
#: Columns that cost little.
FEW = ("--features", "flow_meta,size")


def capture(count, size=200, first=0, port=9):
    """A pcap of so many frames, each its own flow of 50 packets, a millisecond apart; without its header the first part of one."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    frames = [ethernet(ipv4(udp(1024 + flow, port, bytes(size)))) for flow in range(500)]
    record = bytearray()
    for i in range(first, first + count):
        frame = frames[i // 50 % 500]
        record += struct.pack("<IIII", 1_700_000_000 + i // 1000, i % 1000 * 1000, len(frame), len(frame)) + frame
    return header, bytes(record)


@pytest.fixture
def long_capture(tmp_path):
    """Forty messages' worth, which a narrow sensor takes some seconds for."""
    path = tmp_path / "long.pcap"
    path.write_bytes(b"".join(capture(80_000)))
    return path


def narrow(*more):
    return ["--no-compress", "--max-bandwidth", "4MB", *more]


def warnings(words):
    return sorted(line for line in words.splitlines() if line.startswith("warning"))


def packets(rows):
    return sum(row["total_packets"] for row in rows)


@pytest.mark.parametrize("name", CAPTURES)
def test_rows_are_those_of_a_local_read(field, extract, tmp_path, name):
    sensor = field.serve(DATA / name)
    for extension in ("csv", "parquet"):
        there, here = tmp_path / f"there.{extension}", tmp_path / f"here.{extension}"
        client = field.connect(sensor, "-o", there)
        words = client.end(signal.SIGCONT)
        said = extract(DATA / name, here)
        assert there.read_bytes() == here.read_bytes()
        assert warnings(words) == warnings(said)
    sensor.end()


def test_several_captures_and_a_long_one(field, extract, tmp_path, long_capture):
    for inputs in ([long_capture], [DATA / "few.pcap", DATA / "tunnels.pcap", long_capture]):
        for options in ([], ["--no-compress"]):
            sensor = field.serve(*inputs, *options)
            there, here = tmp_path / "there.csv", tmp_path / "here.csv"
            field.connect(sensor, "-o", there, "-w", "2", *FEW).end(signal.SIGCONT)
            subprocess.run([field.jj, "extract", *inputs, "-o", here, "-q", *FEW], check=True)
            assert there.read_bytes() == here.read_bytes()
            there.unlink()
            sensor.end()


def test_a_sensor_that_is_killed_is_waited_for_and_gone_on_with(field, extract, tmp_path, long_capture):
    sensor = field.serve(long_capture, *narrow())
    client = field.connect(sensor, *FEW, "--prometheus-port", "0")
    for number in (signal.SIGKILL, signal.SIGTERM):
        seen = total(client.scrape(), "joyfuljay_frames_total")
        wait_for(lambda: total(client.scrape(), "joyfuljay_frames_total") > seen, state=client.text)
        sensor.child.send_signal(number)
        sensor.child.wait(PATIENCE)
        wait_for(lambda: value(client.scrape(), "joyfuljay_remote_connections") == 0, state=client.text)
        sensor = field.serve(long_capture, *narrow(), port=sensor.port)
    assert client.child.wait(PATIENCE) == 0, client.text()
    assert "trying again" in client.text() and "connected again" in client.text()
    assert client.summary()["frames"] == 80_000 and client.summary()["dropped"]["queue"] == 0
    extract(long_capture, tmp_path / "here.jsonl", *FEW)
    assert client.rows_file.read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    sensor.end()


class Relay:
    """Hands bytes on between a client and a sensor, and cuts the connection after so many of them, again and again."""

    def __init__(self, port, every):
        self.place, self.every, self.cuts = ("127.0.0.1", port), every, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            sensor = socket.create_connection(self.place)
            threading.Thread(target=self.hand_on, args=(client, sensor, None), daemon=True).start()
            self.hand_on(sensor, client, self.every if self.cuts < 20 else None)

    def hand_on(self, source, target, most):
        """Until one of them ends, or so many bytes are through: at any place of a message, half an acknowledgement lost."""
        passed = 0
        try:
            while data := source.recv(65536):
                target.sendall(data if most is None else data[: most - passed])
                passed += len(data)
                if most is not None and passed >= most:
                    self.cuts += 1
                    break
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_twenty_cuts_lose_and_repeat_nothing(field, extract, tmp_path, long_capture):
    sensor = field.serve(long_capture, "--no-compress", "--prometheus-port", "0")
    relay = Relay(sensor.port, every=611_111)
    client = field.connect(relay, *FEW)
    assert client.child.wait(PATIENCE) == 0, client.text()
    assert relay.cuts == 20
    relay.listener.close()
    assert client.summary()["frames"] == 80_000 and client.summary()["dropped"]["queue"] == 0
    extract(long_capture, tmp_path / "here.jsonl", *FEW)
    assert client.rows_file.read_bytes() == (tmp_path / "here.jsonl").read_bytes()
    # No subscription of a connection that is no more is left.
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 0, state=sensor.text)
    sensor.end()


def test_a_capture_that_has_changed_is_not_gone_on_with(field, long_capture):
    sensor = field.serve(long_capture, *narrow())
    client = field.connect(sensor, *FEW, "--prometheus-port", "0")
    wait_for(lambda: total(client.scrape(), "joyfuljay_frames_total") > 0, state=client.text)
    sensor.end(signal.SIGKILL, -signal.SIGKILL)
    long_capture.write_bytes(b"".join(capture(50_000)))
    field.serve(long_capture, *narrow(), port=sensor.port)
    assert client.child.wait(PATIENCE) == 1
    assert "serves another capture now" in client.text() and not client.rows_file.exists()


def test_a_client_that_is_killed_harms_nobody(field, long_capture):
    sensor = field.serve(long_capture, *narrow("--prometheus-port", "0"))
    first, second = (field.connect(sensor, *FEW) for _ in range(2))
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 2, state=sensor.text)
    first.end(signal.SIGKILL, -signal.SIGKILL)
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 1, state=sensor.text)
    assert second.child.wait(PATIENCE) == 0 and second.summary()["frames"] == 80_000
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 0, state=sensor.text)
    sensor.end()


def test_a_client_that_is_stopped_ends_in_good_order(field, long_capture):
    sensor = field.serve(long_capture, *narrow())
    for number in (signal.SIGINT, signal.SIGTERM):
        client = field.connect(sensor, *FEW, "--prometheus-port", "0")
        wait_for(lambda: total(client.scrape(), "joyfuljay_frames_total") > 0, state=client.text)
        client.end(number)
        assert 0 < client.summary()["frames"] < 80_000
        assert packets(client.rows()) == client.summary()["flow_packets"]
    sensor.end()


def test_each_wrong_client_is_told_what_is_wrong(field):
    sensor = field.serve(DATA / "few.pcap", "--max-clients", "1")
    for token, subprotocol, status, words in [
        ("wrong", websocket.SUBPROTOCOL, 401, "the token is wrong"),
        ("", websocket.SUBPROTOCOL, 401, "token"),
        (None, websocket.SUBPROTOCOL, 401, "a token is needed"),
        (TOKEN[:-1], websocket.SUBPROTOCOL, 401, "the token is wrong"),
        (TOKEN, "joyfuljay.v9", 400, "speaks joyfuljay.v1"),
    ]:
        _, answered, why = websocket.client(sensor.port, token, subprotocol)
        assert answered == status and words in why, (token, why)
    peer, status, _ = websocket.client(sensor.port, TOKEN)
    assert status == 101
    _, status, why = websocket.client(sensor.port, TOKEN)
    assert (status, why) == (503, "the sensor has 1 clients and takes no more")
    peer.send(websocket.hello(version=9))
    with pytest.raises(EOFError, match="another version"):
        peer.binary()
    refused = field.run("connect", f"jj://127.0.0.1:{sensor.port}", "--token", "wrong")
    assert refused.child.wait(PATIENCE) == 1
    assert "the token is wrong" in refused.text() and "other users of this machine see a token" in refused.text()
    sensor.end()


def test_wrong_tokens_are_counted_and_an_address_that_gives_many_has_to_wait(field):
    count = 10_000 if HEAVY else 300
    sensor = field.serve(DATA / "few.pcap", "--prometheus-port", "0")
    answers = []
    for i in range(count):
        peer, status, _ = websocket.client(sensor.port, f"guess-{i}")
        peer.stream.close()
        answers.append(status)
        if i == count // 2:
            before = sensor.peak()
    assert answers[:10] == [401] * 10 and set(answers[10:]) == {429}
    assert value(sensor.scrape(), "joyfuljay_remote_auth_failures_total") == count
    assert sensor.peak() - before < 8 << 20
    # Whoever comes from elsewhere is served all the same.
    peer, status, _ = websocket.client(sensor.port, TOKEN, source="127.0.0.2")
    assert status == 101
    _, status, why = websocket.client(sensor.port, TOKEN)
    assert status == 429 and "wait" in why
    sensor.end()


def test_hostile_clients_harm_nobody(field):
    sensor = field.serve(DATA / "few.pcap", "--prometheus-port", "0")
    for garbage in (b"", b"\0" * 70_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 9000, bytes(range(256)) * 100):
        with socket.create_connection(("127.0.0.1", sensor.port), timeout=60) as stream:
            try:
                stream.sendall(garbage)
            except OSError:
                pass  # it has been closed before all was said
    hello = websocket.hello()
    for messages in (
        [(b"\xff" * 30, {})],
        [(b"", {})],
        [(hello + b"more", {})],
        [(hello[:-1], {})],
        [(websocket.acknowledge(5), {})],
        [(b"a text", {"kind": websocket.TEXT})],
        [(b"", {"length": 1 << 40})],
        [(bytes(1000), {})],
        [(hello, {}), (hello, {})],
        [(hello, {}), (websocket.acknowledge(0)[:-3], {})],
        [(hello, {}), (bytes(1 << 16), {})],
    ):
        peer, status, _ = websocket.client(sensor.port, TOKEN)
        assert status == 101
        with pytest.raises((EOFError, OSError)):
            for message, options in messages:
                peer.send(message, **options)
            while True:
                peer.binary()
    before = sensor.peak()
    client = field.connect(sensor)
    client.end(signal.SIGCONT)
    assert client.summary()["frames"] > 0 and before < 300 << 20
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 0, state=sensor.text)
    sensor.end()


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ([websocket.server_hello(), b"\x82" + bytes(40)], "not of its protocol"),
        ([websocket.server_hello(), struct.pack("<BQQHIB", 0x82, 0, 0, 0, 0xFFFFFFFF, 1)], "more than it may"),
        ([websocket.server_hello(), struct.pack("<BQQHIB", 0x82, 0, 0, 9, 1000, 1) + bytes(50)], "does not decompress"),
        ([websocket.server_hello(), websocket.server_hello()], "second hello"),
        ([websocket.server_hello(version=7)], "not of this protocol"),
        ([websocket.end()], "nothing to give"),
        ([b"\xff"], "not of this protocol"),
    ],
)
def test_a_hostile_sensor_is_an_error(field, says, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = field.connect(f"jj://127.0.0.1:{listener.getsockname()[1]}")
        stream, _ = listener.accept()
        peer, headers = websocket.accept(stream)
        assert headers["authorization"] == f"Bearer {TOKEN}"
        for message in says:
            peer.send(message)
        assert client.child.wait(PATIENCE) == 1
        assert words in client.text() and "panicked" not in client.text(), client.text()
        assert not client.rows_file.exists()


def test_what_is_no_sensor_is_named(field):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"jj://127.0.0.1:{listener.getsockname()[1]}"
        client = field.connect(url)
        stream, _ = listener.accept()
        stream.recv(10_000)
        stream.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        assert client.child.wait(PATIENCE) == 1 and "404" in client.text()
    client = field.connect(url)
    assert client.child.wait(PATIENCE) == 1 and "cannot be reached" in client.text()


def test_a_hundred_clients(field):
    sensor = field.serve(DATA / "demo.pcap", "--max-clients", "100", "--prometheus-port", "0")
    peers = [websocket.client(sensor.port, TOKEN, timeout=PATIENCE) for _ in range(100)]
    assert {status for _, status, _ in peers} == {101}
    assert websocket.client(sensor.port, TOKEN)[1] == 503
    assert value(sensor.scrape(), "joyfuljay_remote_connections") == 100

    def take(peer, got):
        peer.send(websocket.hello())
        kinds = []
        while not kinds or kinds[-1] != 0x83:
            message = peer.binary()
            kinds.append(message[0])
            if message[0] != 0x81:
                peer.send(websocket.acknowledge(struct.unpack_from("<Q", message, 1)[0]))
        got.append(kinds)

    got = []
    threads = [threading.Thread(target=take, args=(peer, got)) for peer, _, _ in peers]
    [thread.start() for thread in threads]
    [thread.join(PATIENCE) for thread in threads]
    assert got == [[0x81, 0x82, 0x83]] * 100
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 0, state=sensor.text)
    assert sensor.peak() < 1 << 30
    sensor.end()


def test_a_slow_client_loses_and_the_other_gets_all(field):
    """A stream that goes on while one client is held: what it misses falls out of the sensor's buffer, exactly counted."""
    megabytes = 200 if HEAVY else 40
    options = ["--buffer", "4MiB", "--no-compress", "--keepalive", "3600", "--prometheus-port", "0"]
    sensor = field.serve("-", *options, stdin=subprocess.PIPE)
    slow, quick = (field.connect(sensor, *FEW, "--keepalive", "3600", "--prometheus-port", "0") for _ in range(2))
    wait_for(lambda: value(sensor.scrape(), "joyfuljay_remote_connections") == 2, state=sensor.text)
    header, _ = capture(0)
    sensor.child.stdin.write(header)
    sent, chunk = 0, 1000

    def feed():
        nonlocal sent
        sensor.child.stdin.write(capture(chunk, 1000, first=sent)[1])
        sensor.child.stdin.flush()
        sent += chunk

    feed()
    for client in (slow, quick):
        wait_for(lambda: total(client.scrape(), "joyfuljay_frames_total") == sent, state=client.text)
    slow.child.send_signal(signal.SIGSTOP)
    while sent * 1058 < megabytes << 20:
        feed()
        wait_for(lambda: total(quick.scrape(), "joyfuljay_frames_total") == sent, state=quick.text)
    # A debug build with 4 MiB of messages, one under way to each client, and buffers of what is read.
    assert sensor.peak() < 128 << 20
    slow.child.send_signal(signal.SIGCONT)
    feed()
    sensor.child.stdin.close()
    for client in (slow, quick):
        assert client.child.wait(PATIENCE) == 0, client.text()
    assert sensor.child.wait(PATIENCE) == 0
    assert quick.summary()["frames"] == sent and quick.summary()["dropped"]["queue"] == 0
    lost = slow.summary()["dropped"]["queue"]
    assert lost > 0 and slow.summary()["frames"] + lost == sent
    assert "frames are missing" in slow.text()
    assert "frames lost to slow clients" in sensor.text()


def test_metrics_of_both_ends(field, long_capture):
    sensor = field.serve(long_capture, *narrow("--prometheus-port", "0", "--announce-name", "roof"))
    client = field.connect(sensor, *FEW, "--prometheus-port", "0", "--prometheus-linger", "300")
    wait_for(lambda: "runs_total" in client.scrape() and value(client.scrape(), "joyfuljay_runs_total", 'mode="remote",result="success"'))
    there, here = sensor.scrape(), client.scrape()
    for direction, opposite in (("sent", "received"), ("received", "sent")):
        for family in ("messages", "bytes"):
            name = f"joyfuljay_remote_{family}_total"
            wait_for(lambda: value(sensor.scrape(), name, direction) == value(client.scrape(), name, opposite) > 0)
    assert value(here, "joyfuljay_capture_packets_total", 'interface="roof"') == 80_000
    assert value(here, "joyfuljay_watermark_timestamp_seconds", 'source="roof"') > 1.7e9
    for text in (there, here):
        assert total(text, "joyfuljay_remote_drops_total") == 0 and "joyfuljay_remote_drops_total" in text
        assert TOKEN not in text
    client.child.send_signal(signal.SIGTERM)
    assert client.child.wait(PATIENCE) == 0
    sensor.end()


def test_the_token_is_in_no_list_of_processes(field, long_capture):
    sensor = field.serve(long_capture, *narrow())
    client = field.connect(sensor, *FEW, "-v")
    sensor.says("is there")
    listed = subprocess.run(["ps", "-efww", "--no-headers"], capture_output=True, text=True, check=True).stdout
    assert TOKEN not in listed and "--token-file" in listed
    client.end()
    assert sensor.end()


def certificates(directory):
    """An authority, and what it signed: NAME.pem, NAME.key."""
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)

    def write(name, certificate, key):
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (directory / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def make(name, names=(), by=None, authority=False, age=day):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer, issuers_key = (subject, key) if by is None else by
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - age, now - age + 30 * day)
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        write(name, builder.sign(issuers_key, hashes.SHA256()), key)
        return subject, key

    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    ca, other = make("ca", authority=True), make("other", authority=True)
    make("right", here, ca)
    make("named", [x509.DNSName("elsewhere.test")], ca)
    make("expired", here, ca, age=60 * day)
    make("foreign", here, other)
    make("client", [x509.DNSName("client")], ca)
    make("own", here)


def test_tls_is_verified_and_nothing_falls_back(field, tmp_path):
    certificates(tmp_path)

    def serve(name, *more):
        return field.serve(DATA / "few.pcap", "--tls-cert", tmp_path / f"{name}.pem", "--tls-key", tmp_path / f"{name}.key", *more)

    def refused(sensor, words, *options, url="jj://127.0.0.1:{}?tls=1"):
        client = field.connect(url.format(sensor.port), *options)
        assert client.child.wait(PATIENCE) == 1, client.text()
        assert words in client.text() and not client.rows_file.exists(), client.text()
        assert "is there" not in sensor.text()

    def works(sensor, *options, url="jj://127.0.0.1:{}?tls=1"):
        client = field.connect(url.format(sensor.port), *options)
        assert client.child.wait(PATIENCE) == 0, client.text()
        return client.text()

    ca = ("--tls-ca", tmp_path / "ca.pem")
    right = serve("right")
    # To who speaks plainly: no TLS, no service. And one that is trusted by nobody here.
    refused(right, "by TLS only", url="jj://127.0.0.1:{}")
    refused(right, "its certificate is refused")
    works(right, *ca)
    works(right, *ca, url="jjs://localhost:{}")
    assert "--tls-insecure" in works(right, "--tls-insecure")
    right.end()
    for name in ("named", "expired", "foreign", "own"):
        sensor = serve(name)
        refused(sensor, "its certificate is refused", *ca)
        sensor.end()
    named = serve("named")
    assert "not looked at" in works(named, "--tls-insecure")
    named.end()
    asks = serve("right", "--tls-client-ca", tmp_path / "ca.pem")
    refused(asks, "want a certificate", *ca)
    works(asks, *ca, "--tls-cert", tmp_path / "client.pem", "--tls-key", tmp_path / "client.key")
    asks.end()
    plain = field.serve(DATA / "few.pcap")
    refused(plain, "may not speak TLS", *ca)
    plain.end()


def test_a_sensor_serves_both_families_of_addresses(field):
    sensor = field.serve(DATA / "few.pcap", "--host", "::")
    for host in ("127.0.0.1", "localhost", *(["[::1]"] if socket.has_ipv6 else [])):
        client = field.connect(f"jj://{host}:{sensor.port}")
        assert client.child.wait(PATIENCE) == 0, client.text()
    sensor.end()


def test_wrong_use_is_said_without_the_token(field):
    jj = [field.jj]
    for arguments, words in [
        (["serve", DATA / "few.pcap"], "clients must show a token"),
        (["serve", "no-such-thing", "--token-file", field.token], "no-such-thing"),
        (["serve", DATA / "few.pcap", "--token-file", field.token, "--tls-cert", field.token, "--tls-key", field.token], "no certificate"),
        (["connect", f"jj://h?token={TOKEN}&user=1"], "and no others"),
        (["connect", f"jj://h?token={TOKEN} {TOKEN}"], "other characters"),
        (["connect", "jj://h", "--token-file", "no-such-file"], "no-such-file"),
        (["connect", "jj://h:1", "--token-file", field.token, "--tls-insecure"], "add ?tls=1"),
        (["connect", "jj://h"], "the sensor wants a token"),
    ]:
        done = subprocess.run([*jj, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        assert done.returncode in (1, 2) and words in done.stderr, (arguments, done.stderr)
        assert TOKEN not in done.stderr + done.stdout


#: Each namespace, and the address of the other end.
ENDS = (("a", "10.77.0.2"), ("b", "10.77.0.1"))


def cut(wire):
    """Frames go to nowhere in both directions, and nobody is told."""
    for side, other in ENDS:
        wire.inside(side, "ip", "neigh", "replace", other, "lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "veth0")


def mend(wire):
    for side, other in ENDS:
        wire.inside(side, "ip", "neigh", "del", other, "dev", "veth0")


def test_a_cut_that_nobody_is_told_of(wire):
    """Frames go to nowhere in both directions: both ends notice, connect again, and nothing is missing."""
    pause = 30 if HEAVY else 0
    keepalive = ["--keepalive", "15" if HEAVY else "1", "--prometheus-port", "0", "--prometheus-addr"]
    sensor = wire.serve("-", *keepalive, "10.77.0.2", side="b", stdin=subprocess.PIPE)
    client = wire.connect(f"jj://10.77.0.2:{sensor.port}", *FEW, *keepalive, "10.77.0.1", side="a")

    def scraped(side, running):
        place = running.says(r"metrics at (http://[^/]+)/")[1]
        return wire.inside(side, "python3", "-c", f"import urllib.request as u; print(u.urlopen('{place}/metrics').read().decode())", text=True).stdout

    def feed(count, first=0):
        header, records = capture(count, first=first)
        sensor.child.stdin.write((b"" if first else header) + records)
        sensor.child.stdin.flush()

    wait_for(lambda: "is there" in sensor.text(), state=sensor.text)
    feed(1000)
    wait_for(lambda: total(scraped("a", client), "joyfuljay_frames_total") == 1000, state=client.text)
    cut(wire)
    since = time.monotonic()
    feed(5000, first=1000)
    time.sleep(pause)
    wait_for(lambda: "not heard for too long" in sensor.text(), state=sensor.text)
    wait_for(lambda: "not heard for too long" in client.text(), state=client.text)
    assert not HEAVY or time.monotonic() - since < 90
    assert value(scraped("b", sensor), "joyfuljay_remote_connections") == 0
    mend(wire)
    wait_for(lambda: total(scraped("a", client), "joyfuljay_frames_total") == 6000, state=client.text)
    assert value(scraped("a", client), "joyfuljay_remote_reconnects_total") == 1
    assert value(scraped("b", sensor), "joyfuljay_remote_reconnects_total") == 1
    sensor.child.stdin.close()
    assert client.child.wait(PATIENCE) == 0 and sensor.child.wait(PATIENCE) == 0
    assert client.summary()["frames"] == 6000 and client.summary()["dropped"]["queue"] == 0
    assert packets(client.rows()) == 6000


def timeless(rows):
    times = ("time", "duration", "per_second", "end_reason")
    return sorted(json.dumps({k: v for k, v in row.items() if not any(t in k for t in times)}, sort_keys=True) for row in rows)


def test_a_live_interface_and_not_the_sensor_itself(wire, extract, tmp_path):
    """The client is at the other end of the wire that is captured."""
    sensor = wire.serve("veth0", side="b")
    options = ["--features", "flow_meta,size,tcp", "--timeout", "3600"]
    client = wire.connect(f"jj://10.77.0.2:{sensor.port}", *options, side="a")
    sensor.says("is there")
    sent = int(wire.inside("a", "python3", SEND, "veth0", DATA / "demo.pcap", "--rate", "5000").stdout)
    # Not read before it has all gone into the ring: a client that comes later, and goes, is not captured either.
    peer = wire.inside("a", "python3", "-c", f"import socket; socket.create_connection(('10.77.0.2', {sensor.port})).close()")
    assert peer.returncode == 0
    assert sensor.end(signal.SIGTERM)
    assert client.child.wait(PATIENCE) == 0, client.text()
    summary = client.summary()
    # ARP is no flow; what the namespaces say of themselves comes in beside what was sent.
    assert summary["frames"] >= sent and summary["clock"] == "running"
    assert not [row for row in client.rows() if sensor.port in (row["src_port"], row["dst_port"])]
    extract(DATA / "demo.pcap", tmp_path / "here.jsonl", *options)
    here = [json.loads(line) for line in (tmp_path / "here.jsonl").read_text().splitlines()]
    assert timeless(client.rows()) == timeless(here)


def test_a_quiet_flow_ends_by_the_clock_of_the_sensor(wire):
    sensor = wire.serve("veth0", side="b")
    client = wire.connect(f"jj://10.77.0.2:{sensor.port}", "--features", "flow_meta", "--timeout", "1", side="a")
    sensor.says("is there")
    frame = ethernet(ipv4(udp(1, 2))).hex() + "\n"
    wire.inside("a", "python3", SEND, "veth0", input=frame.encode())
    row = wait_for(lambda: [row for row in client.rows() if row["src_port"] == 1], state=client.text)[0]
    assert (row["total_packets"], row["end_reason"]) == (1, "idle")
    client.end()
    sensor.end()


def test_a_sensor_sends_nothing_of_its_own_stream_over_one_port(wire):
    """What captures its own connection sends it, captures that again, and never comes to rest. Nor when the client has come anew."""
    options = ["--keepalive", "1", "--prometheus-port", "0", "--prometheus-addr"]
    sensor = wire.serve("veth0", *options, "10.77.0.2", side="b")
    client = wire.connect(f"jj://10.77.0.2:{sensor.port}", *FEW, *options, "10.77.0.1", side="a")

    def scraped(side, running):
        place = running.says(r"metrics at (http://[^/]+)/")[1]
        return wire.inside(side, "python3", "-c", f"import urllib.request as u; print(u.urlopen('{place}/metrics').read().decode())", text=True).stdout

    def messages():
        return value(scraped("b", sensor), "joyfuljay_remote_messages_total", "sent")

    def idle():
        """Many messages pass, and none of their frames is in one of them."""
        before = messages()
        wait_for(lambda: messages() > before + 50, state=sensor.text)
        assert total(scraped("a", client), "joyfuljay_packets_total") == 0

    wait_for(lambda: "is there" in sensor.text(), state=sensor.text)
    idle()
    cut(wire)
    wait_for(lambda: "not heard for too long" in client.text(), state=client.text)
    mend(wire)
    wait_for(lambda: "connected again" in client.text(), state=client.text)
    idle()
    # All of it goes over the one port, whoever began it.
    ports = wire.inside("b", "ss", "-Htan", "state", "established", text=True).stdout.split("\n")
    ports = {int(line.split()[2].rsplit(":", 1)[1]) for line in ports if line}
    assert ports == {sensor.port}
    sensor.end()
    assert client.child.wait(PATIENCE) == 0
    assert client.rows() == []


def test_announced_sensors_are_found(wire):
    sensor = wire.serve(DATA / "few.pcap", "--host", "10.77.0.2", "--announce", "--announce-name", "roof", side="b")

    def found():
        done = wire.inside("a", wire.jj, "discover", "--timeout", "3", "--json", text=True)
        return json.loads(done.stdout)

    (server,) = wait_for(found, state=sensor.text)
    assert server["name"] == "roof._joyfuljay._tcp.local."
    assert (server["address"], server["port"], server["properties"]["tls"]) == ("10.77.0.2", sensor.port, "0")
    assert TOKEN not in json.dumps(server)
    lines = wire.inside("a", wire.jj, "discover", "--timeout", "3", text=True).stdout
    assert lines == f"jj://10.77.0.2:{sensor.port}  roof\n"
    sensor.end()
    wait_for(lambda: not found())


def test_a_name_that_is_taken_gets_a_number_and_bridges_are_left_out(wire):
    """Of containers' bridges nobody hears, unless they are asked for."""
    wire.inside("a", "ip", "link", "add", "veth1", "type", "veth", "peer", "name", "veth1", "netns", f"{wire.namespaces}-b")
    wire.inside("b", "ip", "link", "add", "br0", "type", "bridge")
    wire.inside("b", "ip", "link", "set", "veth1", "master", "br0")
    wire.inside("b", "ip", "addr", "add", "10.78.0.2/24", "dev", "br0")
    wire.inside("a", "ip", "addr", "add", "10.78.0.1/24", "dev", "veth1")
    for side, link in (("a", "veth1"), ("b", "veth1"), ("b", "br0")):
        wire.inside(side, "ip", "link", "set", link, "up")

    def found():
        done = wire.inside("a", wire.jj, "discover", "--timeout", "3", "--json", text=True)
        return {server["name"].removesuffix("._joyfuljay._tcp.local."): server["addresses"] for server in json.loads(done.stdout)}

    announced = ["--announce", "--announce-name", "roof"]
    first = wire.serve(DATA / "few.pcap", *announced, side="b")
    assert wait_for(found, state=first.text) == {"roof": ["10.77.0.2"]}
    second = wire.serve(DATA / "few.pcap", *announced, "--announce-on", "veth0", side="a")
    names = wait_for(lambda: len(seen := found()) == 2 and seen, state=second.text)
    assert "roof" in names and any(name.startswith("roof") and name != "roof" for name in names), names
    second.end()
    first.end()
    asked = wire.serve(DATA / "few.pcap", *announced, "--announce-on", "br0", side="b")
    wait_for(lambda: found().get("roof") == ["10.78.0.2"], state=asked.text)
    asked.end()


def test_without_ipv6_it_serves_ipv4(wire):
    """The namespaces have no IPv6; in one of them a socket of it would not take IPv4 by itself."""
    wire.inside("b", "sysctl", "-qw", "net.ipv6.bindv6only=1")
    sensor = wire.serve(DATA / "few.pcap", side="b")
    client = wire.connect(f"jj://10.77.0.2:{sensor.port}", side="a")
    assert client.child.wait(PATIENCE) == 0, client.text()
    sensor.end()
