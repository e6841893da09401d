"""Finding remote sensors: comes with a later version, and says so."""

from .._gone import gone

ADVICE = (
    "remote capture and its discovery come with a later version; until then name the sensor: "
    "ssh sensor tcpdump -U -w - | jj extract -"
)

__getattr__ = gone(__name__, {"*": ADVICE})
