"""CONTRIBUTING.md, followed to the letter: its worked example is made in a copy of the tree, built and used.

A block that begins with `// PATH` is a new file, one that begins with `--- PATH` changes a file: lines that stay, lines that go (-) and lines
that come (+); `@@` stands between places. What stays and goes must be found once, or the page is no longer true of the tree.

The copy lies in the target folder and is built in it, so that dependencies are compiled once. Cargo tells crates by their place in a
workspace, by times and by profile: those of the copy are not optimised, and so neither stand for the tree's own nor take their place.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
COPY = TARGET / "recipes"
PAGE = "CONTRIBUTING.md"
DEMO = ROOT / "tests/data/demo.pcap"


def blocks(page):
    """The fenced blocks of a page: language, lines."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S):
        yield found[1], found[2].splitlines()


def changed(path, text, lines):
    """A file's text after a change."""
    places = "\n".join(lines).split("\n@@\n")
    for place in places:
        rows = place.splitlines()
        assert all(row[:1] in (" ", "-", "+") for row in rows), f"{path}: neither ' ', '-' nor '+':\n{place}"
        before = "".join(f"{row[1:]}\n" for row in rows if row[0] != "+")
        after = "".join(f"{row[1:]}\n" for row in rows if row[0] != "-")
        found = list(re.finditer("^" + re.escape(before), text, re.M)) if before else []
        assert len(found) == 1, f"{PAGE} has these lines of {path}, which are there {len(found)} times:\n{before}"
        text = text[: found[0].start()] + after + text[found[0].end() :]
    return text


def example(page, tree):
    """The files of the worked example: path, text."""
    files = {}
    for language, lines in blocks(page):
        if language == "rust" and (name := re.fullmatch(r"// (\S+/\S+\.rs)", lines[0])):
            assert name[1] not in files and not (tree / name[1]).exists(), f"{name[1]} is there already"
            files[name[1]] = "".join(f"{line}\n" for line in lines[1:])
        elif language == "diff":
            path = lines[0].removeprefix("--- ")
            files[path] = changed(path, files.get(path) or (tree / path).read_text(), lines[1:])
    return files


def sources():
    """The files of the tree that are no products, whether they are committed or not."""
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:  # an unpacked archive
        leave = {"target", ".venv", "node_modules", "dist"}
        walk = (pathlib.Path(top, name) for top, _, found in os.walk(ROOT) for name in found)
        names = [str(path.relative_to(ROOT)) for path in walk if not leave & set(path.relative_to(ROOT).parts)]
    return {name for name in names if (ROOT / name).is_file()}


def put(path, content):
    """Writes a file only if it is another one: cargo goes by times."""
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="session")
def tree():
    """A copy of the tree with the worked example in it."""
    files = {name: (ROOT / name).read_bytes() for name in sources()}
    files |= {name: text.encode() for name, text in example((ROOT / PAGE).read_text(), ROOT).items()}
    for path in [path for path in COPY.rglob("*") if path.is_file()]:
        if str(path.relative_to(COPY)) not in files:
            path.unlink()
    for name, content in files.items():
        put(COPY / name, content)
    return COPY


def cargo(tree, command, *arguments):
    """Runs cargo in the copy, with the features of scripts/test; what it says is shown when it fails."""
    profile = [f"--config=profile.dev.package.{name}.opt-level=0" for name in members(tree)]
    return output(tree, "cargo", command, *profile, "--features", "joyfuljay-core/testing", *arguments)


@functools.cache
def members(tree):
    """The names of the packages of the workspace."""
    metadata = json.loads(output(tree, "cargo", "metadata", "--no-deps", "--format-version=1"))
    return [package["name"] for package in metadata["packages"]]


def output(tree, *command):
    done = subprocess.run(command, cwd=tree, env=os.environ | {"CARGO_TARGET_DIR": str(TARGET)}, capture_output=True, check=False)
    out = done.stdout.decode()
    assert done.returncode == 0, f"{' '.join(command)}:\n{out[-8000:]}{done.stderr.decode()[-8000:]}"
    return out


def unit_tests(tree, package, *names):
    """Runs tests of a crate. With xtask beside it, its dependencies have the features of the whole workspace (xtask/Cargo.toml)."""
    return cargo(tree, "test", "-p", package, "-p", "xtask", "--lib", "--", *names)


@pytest.fixture(scope="session")
def jj(tree, tmp_path_factory):
    """The command of the copy. It is taken away from where cargo puts it, which is where the tree's own is expected."""
    place = tmp_path_factory.mktemp("bin") / "jj"
    own = TARGET / "debug" / "jj"
    kept = shutil.copy2(own, place.with_name("own")) if own.exists() else None
    try:
        # With the whole workspace: alone, the command has other features of its dependencies on, and they were compiled anew.
        cargo(tree, "build", "--workspace", "--bin", "jj")
        shutil.copy2(own, place)
    finally:
        if kept:
            own.unlink(missing_ok=True)
            shutil.copy2(kept, own)
    return place


def run(jj, *arguments):
    done = subprocess.run([jj, *map(str, arguments)], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def rows(jj, *arguments):
    return [json.loads(line) for line in run(jj, "extract", *arguments, "-f", "json").splitlines()]


def test_the_page_has_the_recipes():
    files = example((ROOT / PAGE).read_text(), ROOT)
    new = {name for name in files if not (ROOT / name).exists()}
    kinds = ("trackers", "features", "features/tests", "encode", "deliver", "source", "tests")
    assert {pathlib.Path(name).parent.name for name in new} == {pathlib.Path(kind).name for kind in kinds}


def test_a_change_that_is_no_longer_true_is_told():
    with pytest.raises(AssertionError, match="0 times"):
        changed("x", "a\nb\n", [" c", "+d"])
    with pytest.raises(AssertionError, match="2 times"):
        changed("x", "a\na\n", [" a", "+d"])
    assert changed("x", "a\nb\nc\n", [" a", "-b", "+d", "@@", " c", "+e"]) == "a\nd\nc\ne\n"


def test_feature_tracker_and_group_hold_what_features_and_trackers_are_held_to(tree):
    out = unit_tests(tree, "joyfuljay-core", "features::", "trackers::", "rows::")
    assert "within_the_bound_of::first_bytes ... ok" in out


def test_a_golden_row_without_the_feature_is_told(tree):
    """The recipe says that the tests say what is missing: without the value they fail, naming the column."""
    path = tree / "crates/core/src/features/tests/timing.rs"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole.replace(b"\n            iat_range 0.2", b""))
        with pytest.raises(AssertionError, match="iat_range"):
            unit_tests(tree, "joyfuljay-core", "features::")
    finally:
        path.write_bytes(whole)


def test_the_format_holds_the_laws_of_sinks_and_the_source_runs(tree):
    unit_tests(tree, "joyfuljay-io", "sink::", "encode::")
    assert "lines_are_frames ... ok" in cargo(tree, "test", "--workspace", "--test", "hex")


def test_features_are_columns_with_right_values(jj, tmp_path):
    found = rows(jj, DEMO, "--features", "timing")
    ranges = [(r["iat_range"], r["iat_max"], r["iat_min"]) for r in found]
    assert len(ranges) > 40 and sum(value is not None for value, _, _ in ranges) > 20
    for value, most, least in ranges:
        assert (value is None) == (most is None) and (value is None or abs(value - (most - least)) < 1e-9)

    # The server's packet comes first in the file, and last in time.
    def udp(back, payload):
        ends = [([10, 0, 0, 1], 1000), ([10, 0, 0, 2], 7)]
        (src, sport), (dst, dport) = reversed(ends) if back else ends
        head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0) + bytes(src) + bytes(dst)
        return head + struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload

    packets = [(5, udp(True, b"\x07back")), (1, udp(False, b"A")), (2, udp(False, b"")), (3, udp(False, b"B")), (4, udp(False, b"B"))]
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for ts, packet in packets:
        capture += struct.pack("<IIII", ts, 0, len(packet), len(packet)) + packet
    (tmp_path / "udp.pcap").write_bytes(capture)
    (row,) = rows(jj, tmp_path / "udp.pcap", "--features", "first_byte")
    assert row == {"first_byte_fwd": 65, "first_byte_bwd": 7, "first_byte_changes": 1}
    assert b"first_byte_changes" in run(jj, "features", "--group", "first_byte")


def test_the_format_is_read_back_by_others(jj, tree):
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e/test_formats.py", "-k", "tsv"]
    done = subprocess.run(tests, cwd=tree, env=os.environ | {"JJ": str(jj)}, capture_output=True, check=False)
    # pytest fails, too, where `-k` finds no test.
    assert done.returncode == 0, done.stdout.decode()


def test_the_place_gets_what_a_file_would(jj):
    selection = [DEMO, "--features", "flow_meta", "--features", "first_byte", "-f", "tsv"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        got = bytearray()

        def read():
            connection, _ = server.accept()
            with connection:
                while part := connection.recv(65536):
                    got.extend(part)

        reader = threading.Thread(target=read)
        reader.start()
        run(jj, "extract", *selection, "-o", f"tcp:127.0.0.1:{server.getsockname()[1]}")
        reader.join()
    assert bytes(got) == run(jj, "extract", *selection, "-o", "-") and got.count(b"\n") > 40
