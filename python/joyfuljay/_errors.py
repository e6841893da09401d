"""What joyfuljay raises and Python has no error of its own for. The native module raises these too."""

__all__ = ["CaptureError", "JoyfulJayError", "PacketsNotKeptError"]


class JoyfulJayError(Exception):
    """What goes wrong in joyfuljay and is no error of Python's own."""

    __module__ = "joyfuljay"


class CaptureError(JoyfulJayError):
    """An input that is not a capture, or a damaged one."""

    __module__ = "joyfuljay"


class PacketsNotKeptError(JoyfulJayError):
    """The packets of this flow were not kept; the message says how to have them."""

    __module__ = "joyfuljay"
