"""Where captures come from, and what is said of bad ones."""

import json
import os
import shutil

import pytest
from conftest import DATA, packets


def test_standard_input(rows):
    data = (DATA / "demo.pcap").read_bytes()
    assert rows("-", input=data) == rows(DATA / "demo.pcap")


@pytest.mark.parametrize("ending", ["gz", "zst", "lz4"])
def test_compressed(rows, ending):
    assert rows(DATA / f"few.pcap.{ending}") == rows(DATA / "few.pcap")


def test_compressed_standard_input(rows):
    assert rows("-", input=(DATA / "few.pcap.gz").read_bytes()) == rows(DATA / "few.pcap")


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
