"""What `jj -f kafka` and `KafkaWriter` promise alike, each with a real broker: what another project's client reads back is what was
written, whatever befalls the broker, and no row is lost that is not counted."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from authority import authorities
from binary import binary
from conftest import PATIENCE, ROOT, ROWS, SILENCE, free_ports
from writers import Jj, Python, Refused, address, capture, in_background, numbers, until

both = pytest.mark.parametrize("writer", [Jj, Python], ids=lambda writer: writer.name)
DEMO = str(ROOT / "tests/data/demo.pcap")


@both
def test_what_is_read_is_what_was_written(broker, writer, tmp_path):
    """Row for row; JJ_KAFKA_ROWS=1000000 is the heavy form."""
    began, topic = time.time(), f"all-{writer.name}"
    path = capture(tmp_path / "some.pcap", ROWS)
    expected = tmp_path / "rows.jsonl"
    columns = ["--features", "flow_meta,size"]
    subprocess.run([binary(), "extract", path, "-o", expected, "--quiet", *columns], check=True)
    if writer is Jj:
        command = [binary(), "extract", path, "-f", "kafka", "--kafka-brokers", broker.address, "--kafka-topic", topic, "--quiet"]
        subprocess.run([*command, *columns, "--kafka-key", "src_ip", "--kafka-config", "compression.type=gzip"], check=True)
    else:
        from joyfuljay.output import to_kafka

        with open(expected) as lines:
            rows = (json.loads(line) for line in lines)
            assert to_kafka(rows, broker.address, topic, key_field="src_ip", compression_type="gzip") == ROWS
    records = broker.read(topic)
    assert len(records) == ROWS
    with open(expected, "rb") as lines:
        for number, (line, record) in enumerate(zip(lines, records, strict=True)):
            assert json.loads(record.value, parse_constant=pytest.fail) == json.loads(line)
            assert record.key == address(number).encode()
    # The time of a record is that of writing, not that of the flow.
    assert began - 60 < records[0].timestamp / 1000 <= records[-1].timestamp / 1000 < time.time() + 60


@both
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_there(broker, writer, codec):
    topic = f"codec-{codec}-{writer.name}"
    output = writer(broker.address, topic, codec=codec)
    output.write(range(100))
    assert output.close().delivered == 100
    # By librdkafka, which has them all without further packages.
    import confluent_kafka

    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": topic, "auto.offset.reset": "earliest"})
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        read = []
        end = time.monotonic() + PATIENCE
        while len(read) < 100 and time.monotonic() < end:
            read += [json.loads(m.value())["src_ip"] for m in consumer.consume(100, 1) if m.error() is None]
    finally:
        consumer.close()
    assert sorted(read) == sorted(map(address, range(100)))


@both
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_that_is_restarted_has_every_row_once(own_broker, writer, how):
    # A session that a killed broker left behind holds up its start.
    broker = own_broker("broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n")
    output = writer(broker.address, "rows", close_timeout=PATIENCE)
    output.write(range(ROWS // 2))
    until(lambda: output.figure("kafka_rows_total") > 0)
    broker.stop(how)
    # Half of the rows are written while there is no broker.
    thread = in_background(lambda: output.write(range(ROWS // 2, ROWS)))
    until(lambda: output.figure("kafka_queue_depth") > 0)
    broker.start()
    thread.join(PATIENCE)
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (ROWS, {})
    assert numbers(broker.read("rows")) == list(range(ROWS))


@both
def test_rows_flow_again_behind_five_restarts_and_a_long_silence(own_broker, writer):
    """In their order and once each. JJ_KAFKA_ROWS=1000000 and JJ_KAFKA_SILENCE=60 are the heavy form."""
    broker = own_broker("broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n")
    output = writer(broker.address, "rows", close_timeout=PATIENCE)
    share = ROWS // 6
    output.write(range(share))
    for part in range(1, 6):
        until(lambda: output.figure("kafka_rows_total") > 0)
        broker.stop("kill" if part % 2 else "stop")
        rows = range(part * share, (part + 1) * share)
        thread = in_background(lambda rows=rows: output.write(rows))
        until(lambda: output.figure("kafka_queue_depth") > 0)
        broker.start()
        thread.join(PATIENCE)
        until(lambda part=part: output.figure("kafka_rows_total") == (part + 1) * share)
    broker.signal(signal.SIGSTOP)
    try:
        output.write(range(6 * share, 6 * share + 1000))
        time.sleep(SILENCE)
    finally:
        broker.signal(signal.SIGCONT)
    until(lambda: output.figure("kafka_rows_total") == 6 * share + 1000)
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (6 * share + 1000, {})
    assert numbers(broker.read("rows")) == list(range(6 * share + 1000))


@both
def test_a_network_that_is_cut_and_comes_back_has_every_row_once(far_broker, writer):
    """Nobody hears of the cut: no connection is refused or reset. JJ_KAFKA_SILENCE=30 is the heavy form."""
    broker = far_broker.broker

    def work():
        output = writer(broker.address, "cut", close_timeout=PATIENCE)
        output.write(range(1000))
        until(lambda: output.figure("kafka_rows_total") == 1000)
        far_broker.cut()
        output.write(range(1000, 3000))
        until(lambda: output.figure("kafka_queue_depth") == 2000)
        time.sleep(SILENCE)
        # None is taken for delivered before it is.
        assert output.figure("kafka_rows_total") == 1000
        far_broker.mend()
        until(lambda: output.figure("kafka_rows_total") == 3000)
        output.write(range(3000, 4000))
        outcome = output.close()
        return outcome, numbers(broker.read("cut"))

    outcome, read = far_broker.near(work)
    assert (outcome.delivered, outcome.reasons) == (4000, {})
    assert read == list(range(4000))


@both
def test_a_network_that_stays_cut_holds_up_no_end(far_broker, writer):
    broker = far_broker.broker

    def work():
        output = writer(broker.address, "gone", close_timeout=2)
        output.write(range(500))
        until(lambda: output.figure("kafka_rows_total") == 500)
        far_broker.cut()
        output.write(range(500, 1500))
        began = time.monotonic()
        outcome = output.close()
        return outcome, time.monotonic() - began

    outcome, took = far_broker.near(work)
    assert (outcome.delivered, outcome.reasons) == (500, {"not_acknowledged": 1000}) and took < 60
    far_broker.mend()


@pytest.mark.parametrize("on_full", ["drop", "spool"])
def test_memory_has_a_bound_while_the_broker_is_away(own_broker, on_full):
    """What finds the queue full is dropped and counted, or in a file. JJ_KAFKA_SILENCE=600 is the heavy form."""
    broker = own_broker("broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n")
    broker.topic("away")
    options = {"queue.buffering.max.messages": "10000", "message.timeout.ms": "3600000"}
    output = Jj(broker.address, "away", config=options, on_full=on_full, close_timeout=PATIENCE)
    output.write(range(1000))
    until(lambda: output.figure("kafka_rows_total") == 1000)
    broker.stop("kill")
    sent, began, most, settled = 1000, time.monotonic(), 0, None
    while sent < 100_000 or time.monotonic() - began < SILENCE:
        output.write(range(sent, sent + 1000))
        sent += 1000
        until(lambda: output.written() >= sent - 1000)
        if sent == 50_000:
            settled = output.resident()
        most = max(most, output.resident())
        time.sleep(SILENCE / 200)
    print(f"{sent} rows in {time.monotonic() - began:.0f} s without a broker: {settled >> 10} KiB after half, {most >> 10} KiB at most")
    # Five times what the queue holds had come by then: what comes after it takes no memory.
    assert most < settled + (16 << 20)
    broker.start()
    outcome = output.close()
    lost = outcome.reasons.pop("queue_full", 0)
    assert outcome.reasons == {} and outcome.delivered + lost == sent, outcome
    assert (lost > 0) == (on_full == "drop"), outcome
    found = numbers(broker.read("away"))
    assert len(found) == outcome.delivered and found == sorted(set(found))


@both
def test_figures_of_the_client_do_not_pile_up_while_no_row_comes(broker, writer):
    """Ten a second are made; each that nobody took would be some kilobytes. JJ_KAFKA_SILENCE=600 is the heavy form."""
    topic = f"figures-{writer.name}"
    output = writer(broker.address, topic, config={"statistics.interval.ms": "100"})
    output.write(range(10))
    until(lambda: output.figure("kafka_rows_total") == 10)
    time.sleep(max(5, SILENCE / 10))
    before, began = output.resident(), time.monotonic()
    most = before
    while time.monotonic() - began < SILENCE:
        time.sleep(1)
        most = max(most, output.resident())
    print(f"{SILENCE:.0f} s without a row, a figure every 100 ms: {before >> 10} KiB at first, {most >> 10} KiB at most")
    assert most < before + (8 << 20)
    output.write(range(10, 20))
    assert output.close().delivered == 20
    assert numbers(broker.read(topic)) == list(range(20))


@both
def test_a_topic_that_is_deleted_and_made_again(own_broker, writer):
    """What comes while there is none waits, or is counted; what comes after it is there again arrives."""
    broker = own_broker("auto.create.topics.enable=false\n")
    broker.topic("again")
    output = writer(broker.address, "again", close_timeout=PATIENCE, config={"topic.metadata.refresh.interval.ms": "1000"})
    output.write(range(100))
    until(lambda: output.figure("kafka_rows_total") == 100)
    broker.delete("again")
    output.write(range(100, 200))
    until(lambda: output.figure("kafka_rows_total") + output.figure("kafka_failures_total") + output.figure("kafka_queue_depth") >= 200)
    broker.topic("again")
    sent = 200
    while output.figure("kafka_rows_total") < 200:
        output.write(range(sent, sent + 1))
        sent += 1
        time.sleep(0.5)
        assert sent < 200 + 2 * PATIENCE
    outcome = output.close()
    assert outcome.delivered + sum(outcome.reasons.values()) == sent, outcome
    found = numbers(broker.read("again"))
    # The first hundred went with the first topic.
    assert set(found) <= set(range(100, sent)) and max(found) == sent - 1 and len(set(found)) == outcome.delivered - 100


@both
def test_an_address_that_the_broker_tells_and_that_is_dead_is_named(own_broker, writer):
    port, dead = free_ports(), free_ports()
    broker = own_broker(f"advertised.listeners=PLAINTEXT://127.0.0.1:{dead},SASL_PLAINTEXT://127.0.0.1:{port + 2}\n", port=port)
    output = writer(broker.address, "dead", close_timeout=5)
    output.write(range(10))
    outcome = output.close()
    assert outcome.delivered == 0 and sum(outcome.reasons.values()) == 10, outcome
    assert f"127.0.0.1:{dead}" in outcome.said, outcome


@both
def test_localhost_is_a_broker_of_one_family_of_addresses(broker, writer):
    """localhost is ::1 too, where nobody listens."""
    topic = f"localhost-{writer.name}"
    output = writer(f"localhost:{broker.port}", topic)
    output.write(range(10))
    outcome = output.close()
    assert outcome.delivered == 10 and not re.search("^(error|warning)", outcome.said, re.M), outcome


@both
def test_a_broker_that_does_not_answer_at_the_end(broker, writer):
    topic = f"silent-{writer.name}"
    broker.topic(topic)
    output = writer(broker.address, topic, close_timeout=2)
    output.write(range(500))
    until(lambda: output.figure("kafka_rows_total") == 500)
    broker.signal(signal.SIGSTOP)
    try:
        output.write(range(500, 1500))
        began = time.monotonic()
        outcome = output.close()
        assert time.monotonic() - began < 60
    finally:
        broker.signal(signal.SIGCONT)
    assert (outcome.delivered, outcome.reasons) == (500, {"not_acknowledged": 1000})
    # None is reported written that is not there.
    assert numbers(broker.read(topic))[:500] == list(range(500))


@both
def test_a_row_above_the_limit_of_the_topic_is_counted_and_the_next_ones_pass(broker, writer):
    topic = f"small-{writer.name}"
    broker.topic(topic, max_message_bytes=1000)
    output = writer(broker.address, topic)
    output.write(range(1000), large={500})
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (999, {"MSG_SIZE_TOO_LARGE": 1})
    assert sorted(numbers(broker.read(topic))) == [n for n in range(1000) if n != 500]


@both
def test_a_key_has_the_partition_of_other_clients(broker, writer):
    from kafka import KafkaProducer

    topic = f"keys-{writer.name}"
    broker.topic(topic, 15)
    output = writer(broker.address, topic, key="src_ip")
    output.write(range(100))
    assert output.close().delivered == 100
    other = KafkaProducer(bootstrap_servers=broker.address)
    for number in range(100):
        other.send(topic, key=address(number).encode(), value=b"other")
    other.close()
    ours, theirs = {}, {}
    for record in broker.read(topic):
        (theirs if record.value == b"other" else ours)[record.key] = record.partition
    assert ours == theirs and len(ours) == 100
    topic = f"no-keys-{writer.name}"
    broker.topic(topic, 15)
    output = writer(broker.address, topic, config={"sticky.partitioning.linger.ms": "0"})
    output.write(range(2000))
    assert output.close().delivered == 2000
    records = broker.read(topic)
    assert {record.key for record in records} == {None} and len({record.partition for record in records}) == 15


def login(password):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": password}


@both
def test_login(broker, writer):
    topic = f"login-{writer.name}"
    output = writer(broker.login_address, topic, config=login("alice-secret"))
    output.write([1])
    assert output.close().delivered == 1
    with pytest.raises(Refused, match=f"[kK]afka at {broker.login_address} refuses the login by PLAIN: .*Authentication failed") as raised:
        output = writer(broker.login_address, topic, config=login("wrong-secret"))
        output.close()
    assert "wrong-secret" not in str(raised.value)
    assert numbers(broker.read(topic)) == [1]


@both
def test_a_password_that_is_changed_while_rows_are_written(own_broker, writer):
    """The next connection is refused: rows wait, are counted when their time is over, and the error says why without the password."""
    broker = own_broker("auto.create.topics.enable=true\n")
    output = writer(broker.login_address, "changed", config={**login("alice-secret"), "message.timeout.ms": "5000"})
    output.write(range(100))
    until(lambda: output.figure("kafka_rows_total") == 100)
    broker.stop()
    jaas = "listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required"
    (broker.folder / "more").write_text(f'{jaas} user_alice="another-secret";\n')
    broker.start()
    output.write(range(100, 200))
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (100, {"_MSG_TIMED_OUT": 100}), outcome
    assert "Authentication failed" in outcome.said and "alice-secret" not in outcome.said, outcome
    assert numbers(broker.read("changed")) == list(range(100))


@both
def test_a_broker_that_has_ipv6_only(own_broker, writer):
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("there is no IPv6")
    broker = own_broker(KAFKA_LISTEN="[::1]", KAFKA_HOST="[::1]")
    broker.address = f"[::1]:{broker.port}"
    output = writer(broker.address, "six")
    output.write(range(10))
    assert output.close().delivered == 10
    assert numbers(broker.read("six")) == list(range(10))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, the certificates of 127.0.0.1 and of another place that it signed, and another authority."""
    folder = tmp_path_factory.mktemp("tls")
    openssl = authorities(folder)
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=broker")
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-out", "pkcs8.pem")
    for server, names in (("server", "IP:127.0.0.1"), ("elsewhere", "DNS:elsewhere.test,IP:127.0.0.9")):
        (folder / "names").write_text(f"subjectAltName={names}\n")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-extfile", "names", "-out", "cert.pem"]
        openssl("x509", "-req", "-in", "request.pem", *signed)
        (folder / f"{server}.pem").write_text("".join((folder / name).read_text() for name in ("pkcs8.pem", "cert.pem", "ca.pem")))
    return folder


def with_tls(own_broker, certificates, server):
    """A broker with this certificate, and its address for TLS."""
    port, tls = free_ports(), free_ports()
    return own_broker(
        f"listeners=PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{port + 1}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{port},SSL://127.0.0.1:{tls}\n"
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT\n"
        f"ssl.keystore.type=PEM\nssl.keystore.location={certificates}/{server}.pem\n",
        port=port,
    ), f"127.0.0.1:{tls}"


@both
def test_a_certificate_of_another_name_is_refused_and_the_switch_for_names_is_one_of_its_own(own_broker, certificates, writer):
    broker, address = with_tls(own_broker, certificates, "elsewhere")

    def of(authority, **more):
        return {"security.protocol": "SSL", "ssl.ca.location": str(certificates / f"{authority}.pem"), **more}

    with pytest.raises(Refused, match="certificate verify failed"):
        writer(address, "names", config=of("ca")).close()
    no_names = {"ssl.endpoint.identification.algorithm": "none"}
    # Without names the chain is looked at all the same.
    with pytest.raises(Refused, match="certificate verify failed"):
        writer(address, "names", config=of("other", **no_names)).close()
    output = writer(address, "names", config=of("ca", **no_names))
    output.write(range(10))
    assert output.close().delivered == 10
    assert len(broker.read("names")) == 10


@both
def test_tls(own_broker, certificates, writer):
    broker, address = with_tls(own_broker, certificates, "server")
    output = writer(address, "tls", config={"security.protocol": "SSL", "ssl.ca.location": str(certificates / "ca.pem")})
    output.write(range(10))
    assert output.close().delivered == 10
    with pytest.raises(Refused, match="certificate verify failed"):
        writer(address, "tls", config={"security.protocol": "SSL", "ssl.ca.location": str(certificates / "other.pem")}).close()
    assert len(broker.read("tls")) == 10


@both
def test_a_topic_that_is_not_there_is_named(own_broker, writer):
    broker = own_broker("auto.create.topics.enable=false\n")
    with pytest.raises(Refused, match="topic 'absent': .*create it"):
        writer(broker.address, "absent", start_timeout=3).close()
    broker.topic("absent")
    output = writer(broker.address, "absent", start_timeout=PATIENCE)
    output.write([1])
    assert output.close().delivered == 1


@both
def test_brokers_that_are_nowhere(writer):
    nowhere = f"127.0.0.1:{free_ports()}"
    with pytest.raises(Refused, match=f"[kK]afka at {nowhere} is not ready after 2.*Connection refused"):
        writer(nowhere, "t", start_timeout=2).close()


@both
def test_a_broker_that_comes_later_gets_every_row(own_broker, writer):
    broker = own_broker()
    broker.topic("late")
    broker.stop()
    output = writer(broker.address, "late", start_timeout=0, close_timeout=PATIENCE)
    output.write(range(1000))
    broker.start()
    assert output.close().delivered == 1000
    assert numbers(broker.read("late")) == list(range(1000))


@both
def test_a_broker_that_lost_its_log_gets_the_rows_from_then_on(own_broker, writer):
    broker = own_broker()
    output = writer(broker.address, "wiped", close_timeout=PATIENCE)
    output.write(range(1000))
    until(lambda: output.figure("kafka_rows_total") == 1000)
    broker.stop("kill")
    shutil.rmtree(broker.folder / "data")
    broker.start()
    broker.topic("wiped")
    output.write(range(1000, 2000))
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (2000, {})
    # Those that a new producer had to send again may be there twice, and are counted.
    found = numbers(broker.read("wiped"))
    assert sorted(set(found)) == list(range(1000, 2000))


@both
def test_figures(own_broker, writer):
    broker = own_broker()
    output = writer(broker.address, "figures", close_timeout=PATIENCE)
    output.write(range(500))
    until(lambda: output.figure("kafka_rows_total") == 500)
    broker.signal(signal.SIGSTOP)
    try:
        output.write(range(500, 1000))
        until(lambda: output.figure("kafka_queue_depth") == 500)
        assert output.figure("kafka_rows_total") == 500
    finally:
        broker.signal(signal.SIGCONT)
    until(lambda: output.figure("kafka_rows_total") == 1000)
    read = broker.read("figures")
    assert output.figure("kafka_bytes_total") == sum(len(r.value) for r in read)
    assert output.figure("kafka_delivery_duration_seconds_count") == len(read)
    assert output.figure("kafka_last_success_timestamp_seconds") > 1.7e9
    assert output.close().delivered == 1000


@both
def test_rows_that_ran_out_of_time_are_counted(own_broker, writer):
    broker = own_broker()
    broker.topic("timeout")
    output = writer(broker.address, "timeout", config={"message.timeout.ms": "2000"})
    broker.stop("kill")
    output.write(range(1000))
    outcome = output.close()
    assert (outcome.delivered, outcome.reasons) == (0, {"_MSG_TIMED_OUT": 1000})


@both
def test_a_small_queue_holds_the_rows_back_and_loses_none(broker, writer):
    topic = f"queue-{writer.name}"
    output = writer(broker.address, topic, config={"queue.buffering.max.messages": "100"})
    output.write(range(20_000))
    assert output.close().delivered == 20_000
    assert numbers(broker.read(topic)) == list(range(20_000))


@pytest.mark.parametrize("on_full", ["drop", "spool"])
def test_rows_that_find_the_queue_full(own_broker, on_full):
    broker = own_broker()
    broker.topic("full")
    output = Jj(broker.address, "full", config={"queue.buffering.max.messages": "100"}, on_full=on_full, close_timeout=PATIENCE)
    broker.signal(signal.SIGSTOP)
    try:
        # It takes all of them although nobody takes a row.
        output.write(range(20_000))
        until(lambda: output.written() == 20_000)
    finally:
        broker.signal(signal.SIGCONT)
    outcome = output.close()
    lost = outcome.reasons.pop("queue_full", 0)
    assert outcome.reasons == {} and outcome.delivered + lost == 20_000
    assert (lost > 0) == (on_full == "drop"), outcome
    found = numbers(broker.read("full"))
    assert len(found) == outcome.delivered and found == sorted(set(found))


def test_a_second_signal_ends_the_wait_for_acknowledgements(own_broker):
    broker = own_broker()
    broker.topic("signals")
    output = Jj(broker.address, "signals", close_timeout=PATIENCE * 10)
    broker.signal(signal.SIGSTOP)
    try:
        output.write(range(1000))
        until(lambda: output.written() == 1000)
        # All rows are with the producer. The first one ends the input, and the run waits for the broker.
        output.child.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            output.child.wait(2)
        output.child.send_signal(signal.SIGTERM)
        said = output.said()
    finally:
        broker.signal(signal.SIGCONT)
    assert output.child.returncode == 1 and "not_acknowledged: 1000" in said, said


def test_batches_of_arrow_by_the_command(broker):
    pyarrow = pytest.importorskip("pyarrow")
    command = [binary(), "extract", DEMO, "-f", "kafka", "--kafka-brokers", broker.address, "--kafka-topic", "arrow-jj", "--quiet"]
    subprocess.run([*command, "--kafka-format", "arrow", "--kafka-batch-size", "10"], check=True)
    tables = [pyarrow.ipc.open_stream(r.value).read_all() for r in broker.read("arrow-jj")]
    whole = subprocess.run([binary(), "extract", DEMO, "-f", "arrow", "--quiet"], capture_output=True, check=True).stdout
    assert [len(table) for table in tables] == [10, 10, 10, 10, 6]
    assert pyarrow.concat_tables(tables).to_pylist() == pyarrow.ipc.open_stream(whole).read_all().to_pylist()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--kafka-brokers HOST:PORT and --kafka-topic"),
        (["--kafka-brokers", "::1:9092", "--kafka-topic", "t"], "brackets"),
        (["--kafka-brokers", "a:1", "--kafka-topic", "t", "--kafka-key", "nothing"], "no column 'nothing'"),
        (["--kafka-brokers", "a:1", "--kafka-topic", "t", "--kafka-config", "no.such=1"], "no.such"),
        (["--kafka-brokers", "a:1", "--kafka-topic", "t", "--kafka-config", "compression.type=lzma"], "lzma"),
        (["--kafka-brokers", "a:1", "--kafka-topic", "t", "-o", "x.csv"], "leave -o out"),
    ],
)
def test_options_that_cannot_be_meant(options, says):
    done = subprocess.run([binary(), "extract", DEMO, "-f", "kafka", *options], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2 and says in done.stderr, done.stderr
