"""Where rows go: what is checked before a run, what a replaced file keeps, and what is refused."""

import contextlib
import os
import pathlib
import stat
import subprocess

import pytest
from conftest import DATA

DEMO = DATA / "demo.pcap"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def narrow_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("given", [0o600, 0o640, 0o664, 0o444])
def test_a_replaced_file_keeps_its_mode(jj, tmp_path, narrow_umask, given):
    out = tmp_path / "p.csv"
    out.write_text("old")
    out.chmod(given)
    jj("extract", DEMO, "-q", "-o", out)
    assert mode(out) == given
    assert out.read_text().startswith("src_ip,")


def test_a_new_file_has_the_mode_of_any_new_file(jj, tmp_path, narrow_umask):
    jj("extract", DEMO, "-q", "-o", tmp_path / "n.csv")
    assert mode(tmp_path / "n.csv") == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_a_replaced_file_keeps_its_owner_or_is_not_replaced(jj, tmp_path):
    out = tmp_path / "o.csv"
    out.write_text("old")
    os.chown(out, 4321, 1234)
    jj("extract", DEMO, "-q", "-o", out)
    assert (out.stat().st_uid, out.stat().st_gid) == (4321, 1234)

    # Another user may write to the folder, and could replace the file by one of their own.
    folder = tmp_path / "shared"
    folder.mkdir()
    theirs = folder / "x.csv"
    theirs.write_text("old")
    for directory in [folder, *folder.parents[:3]]:
        with contextlib.suppress(PermissionError):
            directory.chmod(0o777)
    command = [jj.path, "extract", str(DEMO), "-q", "-o", str(theirs)]
    if not readable_by_others(pathlib.Path(jj.path)) or not readable_by_others(DEMO):
        pytest.skip("other users cannot run the command here")
    for sticky in (0, 0o1000):
        folder.chmod(0o777 | sticky)
        done = subprocess.run(command, capture_output=True, user=4321, group=1234, extra_groups=[], check=False)
        assert done.returncode == 2
        assert b"x.csv" in done.stderr and b"cannot be replaced" in done.stderr
        assert theirs.read_text() == "old" and theirs.stat().st_uid == 0
        assert [p.name for p in folder.iterdir()] == ["x.csv"]


def readable_by_others(path):
    return path.stat().st_mode & stat.S_IROTH and all(p.stat().st_mode & stat.S_IXOTH for p in path.resolve().parents)


@pytest.mark.parametrize("name", ["new/", "new/.", "", "n" * 252 + ".csv", "file.csv/rows.csv", "none/rows.csv"])
def test_a_name_that_cannot_be_is_refused_before_the_capture_is_read(jj, tmp_path, name):
    (tmp_path / "file.csv").write_text("a file")
    fifo = tmp_path / "capture"
    os.mkfifo(fifo)
    # Nobody writes to the pipe: a run that began would wait for ever.
    with open(os.open(fifo, os.O_RDWR), "wb"):
        target = f"{tmp_path}/{name}" if name else ""
        done = jj("extract", fifo, "-f", "csv", "-q", "-o", target, ok=False)
    assert "error: " in done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["capture", "file.csv"]


def test_the_target_of_a_dangling_link_is_created(jj, tmp_path):
    (tmp_path / "sub").mkdir()
    link = tmp_path / "latest.csv"
    link.symlink_to("sub/today.csv")
    jj("extract", DEMO, "-q", "-o", link)
    assert link.is_symlink() and (tmp_path / "sub" / "today.csv").read_text().startswith("src_ip,")


def test_the_output_may_have_a_name_that_is_no_utf8(jj, tmp_path):
    name = os.fsencode(tmp_path) + b"/fl\xf6ws.csv"
    done = subprocess.run([jj.path, "extract", DEMO, "-o", name], capture_output=True, check=True)
    assert b"of csv" in done.stderr
    assert open(name, "rb").read().startswith(b"src_ip,")


def test_a_salt_that_is_no_utf8_matters_only_where_one_is_used(jj):
    env = {**os.environb, b"JJ_ANON_SALT": b"s\xe4lt"}
    jj("extract", DEMO, "-q", env=env)
    done = jj("extract", DEMO, "-q", "--anonymize-ips", env=env, ok=False)
    assert "JJ_ANON_SALT" in done.err and "UTF-8" in done.err


def test_the_capture_on_standard_input_is_never_the_output(jj, tmp_path):
    capture = tmp_path / "s.csv"
    capture.write_bytes(DEMO.read_bytes())
    for inputs in (["-"], ["/dev/stdin"]):
        with capture.open("rb") as stdin:
            assert "one of the captures" in jj("extract", *inputs, "-q", "-o", capture, stdin=stdin, ok=False).err
    assert capture.read_bytes() == DEMO.read_bytes()


@pytest.mark.parametrize("to", ["file", "stdout"])
def test_the_result_of_the_last_run_is_no_capture(jj, tmp_path, to):
    folder = tmp_path / "caps"
    folder.mkdir()
    (folder / "a.pcap").write_bytes(DEMO.read_bytes())
    out = folder / "flows.csv"
    results = []
    for _ in range(2):
        if to == "file":
            done = jj("extract", folder, "-q", "-o", out)
        else:
            with out.open("wb") as stdout:
                done = subprocess.run([jj.path, "extract", folder, "-q"], stdout=stdout, stderr=subprocess.PIPE, check=True)
        assert not done.stderr
        results.append(out.read_text())
    assert results[0] == results[1] and len(results[0].splitlines()) > 40
    err = jj("extract", folder, "-q", "-f", "csv", "-o", folder / "a.pcap", ok=False).err
    assert "one of the captures" in err


@pytest.mark.parametrize("arguments", [["extract", DEMO, "-q"], ["extract", DEMO, "-f", "parquet"], ["features"], ["export-dashboard"]])
def test_a_closed_standard_output_is_an_error(jj, tmp_path, arguments):
    command = " ".join(f"'{a}'" for a in [jj.path, *arguments])
    done = subprocess.run(["bash", "-c", f"{command} >&-"], capture_output=True, check=False)
    assert done.returncode == 1 and b"standard output is closed" in done.stderr
    # It is not missed where it is not used, and /dev/null, opened in whatever way, is no closed one.
    out = tmp_path / "o.csv"
    subprocess.run(["bash", "-c", f"'{jj.path}' extract '{DEMO}' -q -o '{out}' >&-"], check=True)
    assert out.exists()
    subprocess.run(["bash", "-c", f"{command} > /dev/null && {command} 1<> /dev/null"], stderr=subprocess.PIPE, check=True)
