"""Network namespaces of a test's own (scripts/veth): whether there can be some."""

import os
import pathlib
import subprocess
import sys

from scrapes import PATIENCE

VETH = pathlib.Path(__file__).parent.parent.parent / "scripts/veth"


def missing():
    """Why there can be no namespaces, or None."""
    if sys.platform != "linux":
        return "live capture is there on Linux only"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"jj-try-{os.getpid()}"
    try:
        made = subprocess.run([VETH, "up", name], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except OSError as e:
        return str(e)
    finally:
        subprocess.run([VETH, "down", name], capture_output=True, check=False)
    return None if made.returncode == 0 else f"no namespace can be made: {made.stderr.strip()}"
