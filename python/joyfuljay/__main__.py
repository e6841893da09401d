"""``python -m joyfuljay`` is the command ``jj``."""

from ._command import main

if __name__ == "__main__":
    main()
