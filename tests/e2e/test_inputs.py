"""Where captures come from, and what is said of bad ones."""

import gzip
import json
import os
import shutil
import struct

import pytest
from conftest import DATA, WINDOW, packets


def test_standard_input(rows):
    data = (DATA / "demo.pcap").read_bytes()
    assert rows("-", *WINDOW, input=data) == rows(DATA / "demo.pcap", *WINDOW)


@pytest.mark.parametrize("ending", ["gz", "zst", "lz4"])
def test_compressed(rows, ending):
    assert rows(DATA / f"few.pcap.{ending}") == rows(DATA / "few.pcap")


def test_compressed_standard_input(rows):
    assert rows("-", *WINDOW, input=(DATA / "few.pcap.gz").read_bytes()) == rows(DATA / "few.pcap", *WINDOW)


def test_pcapng_with_every_kind_of_block(rows):
    assert 100 < packets(rows(DATA / "demo.pcapng")) <= 120


def test_cut_snap_length_keeps_wire_lengths(rows):
    found = rows(DATA / "snaplen_96.pcap")
    assert max(r["total_bytes"] for r in found) > 3000


def test_directory_is_walked_in_order(rows, tmp_path):
    (tmp_path / "b").mkdir()
    shutil.copy(DATA / "few.pcap", tmp_path / "b" / "two.pcap")
    shutil.copy(DATA / "raw_ip.pcap", tmp_path / "one.pcap")
    together = packets(rows(tmp_path))
    assert together == packets(rows(DATA / "few.pcap")) + packets(rows(DATA / "raw_ip.pcap"))
    assert rows(tmp_path) == rows(tmp_path)


def test_captures_of_different_sensors_are_kept_apart(jj, rows, tmp_path):
    for name in ("a/1.pcap", "a/2.pcap", "b/1.pcap"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(DATA / "few.pcap", tmp_path / name)
    without = ["--features", "flow_meta"]
    alone = rows(DATA / "few.pcap", *without)
    for workers in ("1", "2", "7"):
        by_file = rows(tmp_path, *without, "--separate", "file", "-w", workers)
        assert by_file == 3 * alone
        by_folder = rows(tmp_path, *without, "--separate", "folder", "-w", workers)
        assert by_folder == rows(tmp_path / "a", *without) + alone
    by_file = rows(tmp_path, *without, "--separate", "file", "--capture-column")
    assert [row.pop("capture") for row in by_file] == [str(tmp_path / name) for name in ("a/1.pcap", "a/2.pcap", "b/1.pcap") for _ in alone]
    assert by_file == 3 * alone
    assert {row["capture"] for row in rows(tmp_path, *without, "--separate", "folder", "--capture-column")} == {str(tmp_path / "a"), str(tmp_path / "b")}
    assert "--separate" in jj("extract", tmp_path, "--capture-column", ok=False).err
    assert "kept apart" in jj("extract", tmp_path, "--separate", "file", "--features", "connection", ok=False).err
    assert "is a stream" in jj("extract", "-", "--separate", "file", ok=False, input=b"").err


def test_glob_that_the_shell_did_not_expand(rows, tmp_path):
    for name in ("x1.pcap", "x2.pcap", "y.pcap"):
        shutil.copy(DATA / "few.pcap", tmp_path / name)
    assert packets(rows(tmp_path / "x*.pcap")) == 2 * packets(rows(DATA / "few.pcap"))


def test_several_files(rows):
    assert packets(rows(DATA / "few.pcap", DATA / "raw_ip.pcap")) == packets(rows(DATA / "few.pcap")) + 40


def test_tunnels_give_the_inner_flows(rows):
    found = rows(DATA / "tunnels.pcap")
    assert packets(found) == 27
    teredo = [r for r in found if r["dst_port"] == 5001]
    assert len(teredo) == 1
    assert not any(198 == int(r["src_ip"].split(".")[0]) for r in found if "." in r["src_ip"]), "an outer address leads no row"


def test_every_link_type_is_read(jj, rows):
    found = rows(DATA / "link_types.pcapng")
    links = json.loads(jj("info", "--json", DATA / "link_types.pcapng").out)["captures"][0]["link_types"]
    assert len(links) > 50
    assert {r["src_port"] for r in found} == {10000 + n for n in links}
    assert all((r["src_ip"], r["total_packets"], r["payload_bytes_fwd"]) == ("198.51.100.1", 1, 9) for r in found)


def test_fragments_belong_to_the_flow_of_their_datagram(rows):
    found = {r["src_port"]: r for r in rows(DATA / "fragments.pcap") if r["src_port"]}
    assert [found[p]["total_packets"] for p in (4001, 4002, 4003, 4004, 4007)] == [3, 3, 3, 3, 3]
    assert found[4008]["total_packets"] == 3


@pytest.mark.parametrize("name", ["cut_short.pcap", "cut_short.pcapng"])
def test_cut_capture_gives_what_came_before_and_a_warning(jj, name):
    done = jj("extract", DATA / name, "-f", "json", "-o", "-")
    assert done.out.count("\n") > 5
    assert name in done.err
    assert "offset" in done.err or "byte" in done.err


def test_no_capture_is_an_error_that_says_so(jj, tmp_path):
    text = tmp_path / "notes.pcap"
    text.write_text("This is no capture, whatever its name says.\n" * 4)
    done = jj("extract", text, "-f", "csv", "-o", tmp_path / "out.csv", ok=False)
    assert "notes.pcap" in done.err
    assert "capture" in done.err or "pcap" in done.err.replace("notes.pcap", "")
    assert not (tmp_path / "out.csv").exists()


def test_absent_file(jj, tmp_path):
    done = jj("extract", tmp_path / "nowhere.pcap", ok=False)
    assert "nowhere.pcap" in done.err


def test_empty_capture_gives_no_rows_and_no_error(jj, tmp_path):
    jj("extract", DATA / "empty.pcap", "-f", "parquet", "-o", tmp_path / "e.parquet")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "e.parquet")
    assert table.num_rows == 0 and "src_ip" in table.column_names


def test_file_names_that_are_no_utf8(jj, rows, tmp_path):
    odd = os.fsencode(tmp_path) + b"/a\xff.pcap"
    with open(odd, "wb") as f:
        f.write((DATA / "few.pcap").read_bytes())
    expected = rows(DATA / "few.pcap")
    for named in (os.fsdecode(odd), tmp_path / "a*", tmp_path):
        assert rows(named) == expected
    jj("info", os.fsdecode(odd))


def pcap(path, start, packets=1, port=1000):
    """A capture of UDP packets, one a second from `start`."""
    header = bytes.fromhex("4500001d000000004011000c") + bytes([192, 0, 2, 1, 198, 51, 100, 1])
    frame = bytes(12) + b"\x08\x00" + header + struct.pack(">HHHH", port, 53, 9, 0) + b"x"
    record = b"".join(struct.pack("<IIII", start + i, 0, len(frame), len(frame)) + frame for i in range(packets))
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + record)
    return path


def starts(found):
    return [r["start_time"] for r in found]


def test_a_ring_buffer_is_read_in_the_order_it_was_written(rows, tmp_path):
    # A flow of its own in each file, twelve of them, an hour apart: rows come in the order of reading.
    ring = tmp_path / "ring"
    ring.mkdir()
    for i in range(12):
        pcap(ring / f"x.pcap{i or ''}", 1_700_000_000 + 3600 * i, port=1000 + i)
    times = [1_700_000_000.0 + 3600 * i for i in range(12)]
    assert starts(rows(ring)) == times
    # As the shell puts them.
    assert starts(rows(*sorted(ring.iterdir(), key=str))) == times
    assert starts(rows(f"{ring}/x.pcap*")) == times
    # The ring begins anew: the lowest numbers are the newest.
    for i in range(3):
        pcap(ring / f"x.pcap{i or ''}", 1_700_000_000 + 3600 * (12 + i), port=2000 + i)
    times = [1_700_000_000.0 + 3600 * i for i in range(3, 15)]
    assert starts(rows(ring)) == times
    assert starts(rows(*sorted(ring.iterdir(), key=str))) == times


def test_files_found_are_read_by_their_time_where_names_do_not_tell_and_named_ones_as_named(rows, tmp_path):
    after, before = pcap(tmp_path / "after.pcap", 1_700_003_600), pcap(tmp_path / "before.pcap", 1_700_000_000)
    assert starts(rows(tmp_path)) == [1_700_000_000.0, 1_700_003_600.0]
    assert starts(rows(after, before)) == [1_700_003_600.0, 1_700_000_000.0]


def test_captures_that_overlap_and_packets_out_of_order_are_warned_of(jj, tmp_path):
    """Each once, by the first one; nothing of captures in order, and no exit code."""
    first, second = pcap(tmp_path / "one.pcap", 1_700_000_000), pcap(tmp_path / "another.pcap", 1_700_003_600)
    assert "warning" not in jj("extract", tmp_path, "-q").err
    mixed = tmp_path / "mixed.pcap"
    mixed.write_bytes(second.read_bytes() + first.read_bytes()[24:])
    said = jj("extract", mixed, "-q").err
    assert "mixed.pcap: packet 2 is 3600.000 s older than one before it" in said and said.count("warning") == 1, said
    mixed.unlink()
    other = pcap(tmp_path / "of another sensor.pcap", 1_700_000_000)
    for arguments in ([second, first], [second, other, first]):
        said = jj("extract", *arguments, "-q").err
        assert f"{arguments[1].name}: begins 3600.000 s before {second} ends" in said and said.count("warning") == 1, said
    assert " ends (1 more); " in said
    # One sensor's each, there is nothing to say.
    assert "warning" not in jj("extract", second, first, "--separate", "file", "-q").err


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the permissions of Unix")
def test_what_cannot_be_read_in_a_folder_is_counted_and_the_rest_goes_on(jj, tmp_path):
    folder = tmp_path / "caps"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "x.pcap").write_bytes((DATA / "few.pcap").read_bytes())
    (folder / "a.pcap").write_bytes((DATA / "few.pcap").read_bytes())
    (folder / "b.pcap").write_bytes((DATA / "few.pcap").read_bytes())
    (folder / "gone.pcap").symlink_to("nowhere.pcap")
    (folder / "notes.txt").write_text("notes")
    (folder / "a.pcap").chmod(0)
    (folder / "closed").chmod(0)
    privileged = os.geteuid() == 0  # nothing is closed to the superuser
    try:
        done = jj("extract", folder, "-f", "json", "--summary", "json")
        summary = json.loads(done.err.splitlines()[-1])
        assert summary["files_not_read"] == (2 if privileged else 4)
        assert "gone.pcap" in done.err and "notes.txt" in done.err
        if not privileged:
            assert "a.pcap" in done.err and "closed" in done.err
            assert "Permission denied" in jj("extract", folder / "a.pcap", ok=False).err
        assert "not read: " in jj("extract", folder, "-f", "csv", "-o", os.devnull).err
        assert "nowhere" in jj("extract", folder / "nowhere.pcap", ok=False).err
    finally:
        (folder / "closed").chmod(0o755)


def test_hidden_files_and_links_to_folders_are_passed_over_with_a_word(jj, tmp_path):
    folder, elsewhere = tmp_path / "caps", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    few = (DATA / "few.pcap").read_bytes()
    for path in (folder / "a.pcap", folder / ".hidden.pcap", elsewhere / "b.pcap"):
        path.write_bytes(few)
    (folder / "link").symlink_to(elsewhere)
    os.mkfifo(folder / "pipe")
    done = jj("extract", folder, "-f", "json", "--summary", "json")
    summary = json.loads(done.err.splitlines()[-1])
    [warning] = summary["warnings"]
    assert warning.endswith(": 1 hidden entry, 1 link to a directory, 1 pipe or device")
    assert summary["files_not_read"] == 0
    # Named, they are read.
    named = jj("extract", folder / "link", folder / ".hidden.pcap", "-f", "json", "--summary", "json")
    assert json.loads(named.err.splitlines()[-1])["frames"] == 2 * summary["frames"]


def test_padding_is_no_damage_and_a_long_window_is_named(jj, rows, tmp_path):
    few = (DATA / "few.pcap").read_bytes()
    expected = rows(DATA / "few.pcap")
    packed = gzip.compress(few)
    for name, data in {
        "pad.pcap": few + bytes(1000),
        "pad.pcap.gz": packed + bytes(512),
        "inside.pcap.gz": gzip.compress(few + bytes(3000)) + bytes(10_240),
        "members.pcap.gz": gzip.compress(b"") + gzip.compress(few[:500]) + gzip.compress(b"") + gzip.compress(few[500:]),
        "pad.pcap.lz4": (DATA / "few.pcap.lz4").read_bytes() + bytes(7),
        "pad.pcap.zst": (DATA / "few.pcap.zst").read_bytes() + bytes(70_000),
        "pad.pcapng": (DATA / "demo.pcapng").read_bytes() + bytes(4096),
    }.items():
        (tmp_path / name).write_bytes(data)
        done = jj("extract", tmp_path / name, "-f", "json", "-q")
        assert done.err == ""
        if "few" in name or "pcapng" not in name:
            assert [json.loads(line) for line in done.out.splitlines()] == expected
    # A frame header that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2).
    (tmp_path / "long.zst").write_bytes(bytes.fromhex("28b52ffd00a8") + bytes(100))
    err = jj("extract", tmp_path / "long.zst", ok=False).err
    assert "--long=31" in err and "damaged" not in err


def test_empty_and_skippable_lz4_frames_end_nothing(jj, rows, tmp_path):
    lz4 = (DATA / "few.pcap.lz4").read_bytes()
    empty = bytes.fromhex("04224d186440a700000000055dcc02")
    skippable = bytes.fromhex("502a4d18") + struct.pack("<I", 5) + b"notes"
    for i, data in enumerate((empty + empty + lz4, lz4 + empty, skippable + lz4, lz4 + skippable, empty + skippable + lz4 + skippable)):
        path = tmp_path / f"{i}.lz4"
        path.write_bytes(data)
        assert rows(path) == rows(DATA / "few.pcap")
        assert jj("extract", path, "-q").err == ""
