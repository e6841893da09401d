"""What a type checker sees of the package, as its users have it."""

import re
import subprocess
import sys

import pytest

CODE = """
import joyfuljay
from joyfuljay import Config, Pipeline

p = Pipeline()
reveal_type(joyfuljay.extract("x", "table"))
reveal_type(joyfuljay.extract("x", "dict", flow_timeout=3))
reveal_type(p.process_pcap("x", "table"))
reveal_type(p.process_pcap("x", output_format="dict"))
reveal_type(p.process_pcap("x", "polars"))
reveal_type(p.process_pcaps_batch(["x"], "numpy"))
reveal_type(p.process_pcap_streaming("x", "y.csv"))
reveal_type(p.process_pcap_streaming("x"))
for flow in p.iter_flows("x"):
    reveal_type(flow.packets[0])
    reveal_type(flow.packets[1:])
    for packet in flow.packets:
        reveal_type(packet.tcp_flags)
"""

SEEN = """
joyfuljay._native.Table
list[dict[str, Any]]
joyfuljay._native.Table
list[dict[str, Any]]
polars.dataframe.frame.DataFrame
numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.float64]]
int
typing.Iterator[dict[str, Any]]
joyfuljay._native.Packet
list[joyfuljay._native.Packet]
int | None
"""


@pytest.fixture
def mypy(tmp_path):
    """mypy(code) -> the lines that it says of the code."""

    def run(code):
        (tmp_path / "user.py").write_text(code)
        command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "cache", "user.py"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False)
        return [re.sub(r"^user\.py:\d+: |builtins\.", "", line) for line in done.stdout.splitlines()]

    return run


def test_what_a_user_sees(mypy):
    said = mypy(CODE)
    types = [re.sub(r"Union\[(.*), None\]", r"\1 | None", line.split('"')[1]) for line in said]
    assert types == SEEN.split("\n")[1:-1], "\n".join(said)


def test_mistakes_are_seen(mypy):
    said = mypy(
        "import joyfuljay\n"
        "joyfuljay.Config(flow_timout=3)\n"
        "joyfuljay.Config(missing='nought')\n"
        "joyfuljay.extarct('x')\n"
        "from joyfuljay.core import FlowTable\n"
    )
    for found, about in zip(said, ("flow_timout", "missing", "extarct", "FlowTable"), strict=True):
        assert found.startswith("error") and about in found, said
