"""What a task does, without the cluster: the types of its batches, their size, memory, and what it leaves behind."""

import gc
import os
import pathlib
import socket
import struct
import subprocess
import sys

import pytest
from conftest import OPTIONS, traffic, write

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyspark")

from joyfuljay.spark import BATCH_BYTES, FlowSource, _cast, _cut, _spark_type  # noqa: E402
from pyspark.sql.pandas.types import to_arrow_schema  # noqa: E402
from pyspark.sql.types import StructField, StructType  # noqa: E402


def tasks_of(path, **options):
    source = FlowSource({**OPTIONS, **options, "path": path})
    schema = source.schema()
    reader = source.reader(schema)
    return schema, reader, reader.partitions()


def tables_and_types(schema):
    """What the JVM expects of an Arrow schema: names, types, and whether there may be nulls."""
    return [(field.name, field.type, field.nullable) for field in schema]


@pytest.mark.parametrize(
    "options",
    [
        {"features": "all", "include_flow_id": "true", "include_splt": "true", "include_raw_sequences": "true"},
        {"features": "flow_meta,timestamps", "bidirectional_split": "true"}, {"features": "all", "anonymize": "true", "anonymization_salt": "x"},
        {"profile": "JJ-CORE"}, {"profile": "JJ-EXTENDED"}, {"profile": "JJ-EXPERIMENTAL"}, {"columns": "dst_port,src_ip"},
    ],
    ids=lambda options: ",".join(map(str, options.values())),
)  # fmt: skip
def test_every_batch_has_the_types_that_spark_asks_for(capture, options):
    if "profile" in options:
        options = {**options, "features": "all"}
    schema, reader, tasks = tasks_of(capture, batch_rows="100", **options)
    wanted = tables_and_types(to_arrow_schema(schema, timezone="UTC"))
    batches = [batch for task in tasks for batch in reader.read(task)]
    assert len(batches) > len(tasks), "several of a task, and a last one that is shorter"
    for batch in batches:
        assert tables_and_types(batch.schema) == wanted
        batch.validate(full=True)


def test_a_column_of_another_type_is_named():
    wanted = to_arrow_schema(StructType([StructField("fits", _spark_type(pa.int32())), StructField("grows", _spark_type(pa.int32()))]))
    good = pa.record_batch({"fits": pa.array([1]), "grows": pa.array([2])})
    assert _cast(good, wanted).to_pylist() == [{"fits": 1, "grows": 2}]
    with pytest.raises(TypeError, match="'grows'"):
        _cast(pa.record_batch({"fits": pa.array([1]), "grows": pa.array([2**40])}), wanted)


def test_unsigned_numbers_keep_their_value():
    limits = {"u8": (pa.uint8(), 255), "u16": (pa.uint16(), 65535), "u32": (pa.uint32(), 2**32 - 1), "u64": (pa.uint64(), 2**64 - 1)}
    values = {name: pa.array([0, most // 2 + 1, most, None], kind) for name, (kind, most) in limits.items()}
    wanted = to_arrow_schema(StructType([StructField(name, _spark_type(kind)) for name, (kind, _) in limits.items()]))
    cast = _cast(pa.record_batch(values), wanted)
    for name, (_, most) in limits.items():
        assert [value if value is None else int(value) for value in cast[name].to_pylist()] == [0, most // 2 + 1, most, None]


def test_batches_are_cut_by_rows_and_by_bytes():
    long = pa.record_batch({"text": pa.array(["x" * 65_536] * 2_000), "list": pa.array([list(range(100))] * 2_000)})
    parts = list(_cut(long, 4_096))
    assert sum(part.num_rows for part in parts) == 2_000
    assert all(part.nbytes <= BATCH_BYTES for part in parts) and len(parts) >= 4
    assert [part.num_rows for part in _cut(long.slice(0, 10), 3)] == [3, 3, 3, 1]


def test_leaving_a_task_leaves_nothing_behind(capture):
    _, reader, tasks = tasks_of(capture, batch_rows="2")

    def left():
        gc.collect()
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def take_one():
        batches = reader.read(tasks[1])
        assert next(batches).num_rows == 2
        batches.close()

    take_one()
    before = left()
    for _ in range(50):
        take_one()
    assert left() <= before


def test_a_capture_that_an_executor_does_not_have_is_an_error_of_the_task(tmp_path):
    """It was there when the work was divided. Without it rows would be missing, and nobody know."""
    frames = traffic(seconds=100)
    for i in range(3):
        write(tmp_path / f"cap{i}.pcap", frames[i * len(frames) // 3 : (i + 1) * len(frames) // 3])
    _, reader, tasks = tasks_of(str(tmp_path), tasks="2")
    (tmp_path / "cap1.pcap").unlink()
    with pytest.raises(OSError, match="cap1.pcap") as failed:
        for task in tasks:
            list(reader.read(task))
    assert socket.gethostname() in str(failed.value)


def test_a_folder_of_other_files_is_an_error(tmp_path):
    for i in range(3):
        (tmp_path / f"notes{i}.txt").write_text("no capture")
    with pytest.raises(Exception, match="none of its 3 files is a capture"):
        tasks_of(str(tmp_path), tasks="2")


def test_memory_of_a_task_does_not_grow_with_the_capture(tmp_path):
    """As a worker of an executor, which has a limit: 20 and 160 MB."""
    record = struct.pack("<IIII", 0, 0, 1400, 1400) + bytes.fromhex("0202020202020202020202020800") + bytes.fromhex(
        "4500056a000040004011000000000000" + "0a0000020400003505560000"
    ) + bytes(1400 - 14 - 28)  # fmt: skip

    def peak(name, packets):
        path = tmp_path / name
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1))
            one = bytearray(record)
            for i in range(packets):
                # 100 packets a second; an address has 50 of them.
                struct.pack_into("<II", one, 0, 1_700_000_000 + i // 100, i % 100 * 10_000)
                struct.pack_into(">I", one, 16 + 14 + 12, 0x0A000000 + i // 50)
                file.write(one)
        code = (
            "import resource, sys\nsys.path.insert(0, sys.argv[2])\nfrom test_batches import tasks_of\n"
            "_, reader, tasks = tasks_of(sys.argv[1], tasks='1', features='flow_meta,timing')\n"
            "print(sum(batch.num_rows for task in tasks for batch in reader.read(task)),"
            " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        here = pathlib.Path(__file__).parent
        done = subprocess.run([sys.executable, "-c", code, str(path), str(here)], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        rows, kib = map(int, done.stdout.split())
        path.unlink()
        assert rows == packets // 50
        return kib

    small, large = peak("small.pcap", 14_000), peak("large.pcap", 112_000)
    assert large < small + 40_000, f"{small} and {large} KiB"
