"""The commands ``jj`` and ``joyfuljay``."""

import os
import signal
import sys
from typing import NoReturn

from ._native import cli_main


def main() -> NoReturn:
    """Runs the command on the arguments of this process."""
    # The command has handlers of its own; Python's would only take note of the signal.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = os.path.basename(sys.argv[0])
    code = cli_main(["jj" if name.startswith("__main__") else name, *sys.argv[1:]])
    sys.exit(code)
