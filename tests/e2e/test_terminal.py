"""What a person at a terminal of 80 columns sees: colours, widths, errors with a way out."""

import fcntl
import os
import re
import struct
import subprocess
import termios

import pytest
from conftest import DATA

pty = pytest.importorskip("pty")
DEMO = DATA / "demo.pcap"
#: The subcommands that have options of their own.
COMMANDS = ["", "extract", "live", "connect", "serve", "watch", "discover", "info", "features", "schema", "profiles", "status", "validate", "tui", "completions", "export-dashboard", "export-alerts", "export-prometheus-config"]


@pytest.fixture
def typed(jj):
    """typed(*arguments, **environment) -> (exit code, what the terminal shows); with `keyboard` its input is the terminal, too."""

    def run(*arguments, keyboard=False, **environment):
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        plain = {name: text for name, text in os.environ.items() if not re.match("NO_COLOR|CLICOLOR|COLUMNS", name)}
        child = subprocess.Popen([jj.path, *map(str, arguments)], stdin=its if keyboard else subprocess.DEVNULL, stdout=its, stderr=its, env=plain | {"TERM": "xterm"} | environment)
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that nobody is left at the other end
                part = b""
            if not part:
                break
            shown += part
        os.close(ours)
        return child.wait(timeout=300), shown.decode().replace("\r\n", "\n")

    return run


def test_errors_and_warnings_are_coloured_at_a_terminal_alone(jj, typed):
    red = "\x1b[1m\x1b[31merror:\x1b[0m "
    for arguments in (["extract", "nowhere.pcap"], ["extract", DEMO, "-w", "abc"], ["extract", DEMO, "--set", "flow_timeout=abc"]):
        code, shown = typed(*arguments)
        assert code and shown.startswith(red), shown
        assert typed(*arguments, NO_COLOR="1")[1].startswith("error: ")
        assert typed(*arguments, CLICOLOR="0")[1].startswith("error: ")
        assert jj(*arguments, ok=False).err.startswith("error: ")
    shown = typed("extract", DATA, "-o", os.devnull, "-f", "csv", "--no-progress")[1]
    assert "\x1b[1m\x1b[33mwarning:\x1b[0m " in shown


@pytest.mark.parametrize("command", [["extract", "-"], ["info", "-"], ["serve", "-"], ["validate", "-", "--expected", "x.csv"]], ids=" ".join)
def test_nobody_is_asked_to_type_a_capture(typed, command):
    code, shown = typed(*command, keyboard=True)
    assert code == 2 and "standard input is a terminal" in shown and "tcpdump -w -" in shown, shown


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("help", ["-h", "--help"])
def test_help_fits(jj, command, help):
    done = jj(*filter(None, [command, help]), env=os.environ | {"COLUMNS": "80"})
    assert [line for line in done.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("arguments", [["features"], ["features", "tls_version", "tcp"]])
def test_features_fit(typed, arguments):
    shown = typed(*arguments)[1]
    assert len(shown) > 1000
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_the_progress_bar_is_one_line(typed):
    shown = typed("extract", DEMO, DATA / "tunnels.pcap", "-o", os.devnull, "-f", "csv", "--progress")[1]
    bars = [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", part) for part in re.split(r"[\r\n]", shown) if "% of" in part]
    assert bars and all(len(bar) <= 80 for bar in bars), bars


@pytest.mark.parametrize(
    "arguments,words",
    [
        (["watch", "/nowhere", "-o", "rows"], "there is no such folder: create it first"),
        (["watch", DEMO, "-o", "rows"], "jj extract reads files"),
        (["serve", "nowhere0", "--token", "x"], "there is no such interface and no such file; interfaces are"),
        (["connect", "localhost:8765"], "no address of a sensor: the form is jj://HOST:PORT"),
        (["profiles", "show", "foo"], "there are JJ-CORE, JJ-EXTENDED, JJ-EXPERIMENTAL"),
        (["profiles", "validate", DEMO], "binary, and neither Parquet nor Arrow IPC"),
        (["features", "--group", "foo"], "`jj features` lists them"),
        (["extract", DEMO, "--set", "flow_timeout=abc"], "--set flow_timeout=abc: must be a number"),
        (["extract", "nowhere.pcap"], "nowhere.pcap: No such file or directory"),
    ],
)
def test_errors_speak_plainly(jj, tmp_path, arguments, words):
    err = jj(*arguments, ok=False, cwd=tmp_path).err
    assert words in err and "os error" not in err, err
    assert not (tmp_path / "rows").exists()


def test_a_wrong_value_in_a_file_has_its_line_and_plain_words(jj, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("include_ports = true\nflow_timeout = 'long'\n")
    err = jj("extract", DEMO, "-c", path, ok=False).err
    assert err == f'error: {path}:2: flow_timeout = "long": must be a number\n'
