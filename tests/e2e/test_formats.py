"""Every output format holds the same rows."""

import csv
import io
import math

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest
from conftest import DATA, FOUR_GROUPS, packets

READERS = {
    "csv": lambda p: pyarrow.csv.read_csv(p),
    "parquet": pyarrow.parquet.read_table,
    "arrow": lambda p: pa.ipc.open_file(p).read_all() if p.read_bytes()[:6] == b"ARROW1" else pa.ipc.open_stream(p).read_all(),
}


@pytest.fixture(scope="module")
def reference(rows):
    found = rows(DATA / "demo.pcap", *FOUR_GROUPS)
    assert len(found) > 40
    return found


@pytest.mark.parametrize("form", READERS)
def test_reads_back_as_the_json_rows(jj, tmp_path, reference, form):
    out = tmp_path / f"out.{form}"
    jj("extract", DATA / "demo.pcap", *FOUR_GROUPS, "-f", form, "-o", out)
    table = READERS[form](out)
    assert table.column_names == list(reference[0])
    assert [p.name for p in tmp_path.iterdir()] == [out.name]
    for name in ("src_ip", "dst_ip", "src_port", "dst_port", "protocol", "total_packets", "total_bytes", "duration", "iat_mean"):
        values = table.column(name).to_pylist()
        assert len(values) == len(reference)
        for value, row in zip(values, reference):
            if isinstance(value, float) and row[name] is not None:
                assert math.isclose(value, row[name], rel_tol=1e-9), name
            else:
                assert value == row[name] or (value in (None, "") and row[name] is None), name


def test_pandas_reads_parquet(jj, tmp_path):
    import pandas

    out = tmp_path / "out.parquet"
    jj("extract", DATA / "demo.pcap", "-f", "parquet", "-o", out)
    frame = pandas.read_parquet(out)
    # 662 frames, of which 10 are no IP.
    assert frame["total_packets"].sum() == 652
    assert set(frame["protocol"]) == {1, 6, 17, 58}


def test_csv_on_stdout_is_csv(jj):
    done = jj("extract", DATA / "demo.pcap", "-f", "csv", "-o", "-")
    lines = list(csv.reader(io.StringIO(done.out)))
    assert "src_ip" in lines[0]
    assert {len(line) for line in lines} == {len(lines[0])}


def test_the_default_is_rows_on_stdout(jj):
    assert "192.0.2.100" in jj("extract", DATA / "demo.pcap").out


def test_the_form_follows_the_name_of_the_file(jj, tmp_path):
    jj("extract", DATA / "demo.pcap", "-o", tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes()[:4] == b"PAR1"


def test_demo_is_what_was_recorded(reference):
    """662 frames, 10 of them ARP. tshark counts the 16 TCP connections."""
    assert packets(reference) == 652
    tcp = [r for r in reference if r["protocol"] == 6]
    assert len({(r["src_ip"], r["src_port"]) for r in tcp}) == 16
    assert all(r["src_ip"] in ("192.0.2.100", "2001:db8::100") for r in tcp), "the client opened every connection"
    refused = [r for r in tcp if r["dst_port"] == 8080]
    assert [r["total_packets"] for r in refused] == [2, 2]
