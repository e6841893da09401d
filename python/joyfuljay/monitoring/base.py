"""What a pipeline reports to its observer."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["MetricsSink"]


@runtime_checkable
class MetricsSink(Protocol):
    """A metrics backend. Implement these five and give the object to ``Pipeline(metrics=...)``.

    A native run calls the sink a few times a second and at its end, on the thread that started the run, never from the
    packet path: a slow sink does not hold up a capture, and what it raises is counted and ends nothing. Two more
    methods make the calls cheap, and are used where the sink has them: ``observe_packets(count, bytes)`` instead of one
    ``observe_packet`` for each packet, and ``observe_flows(reason, count)``. Without the former, ``packet.total_len``
    is the mean of the packets reported together: number and sum are exact. ``flow`` is None in native runs.
    """

    def observe_packet(self, packet: Any) -> None:
        """A packet was processed."""

    def observe_flow(self, flow: Any, reason: str) -> None:
        """A flow ended: ``fin``, ``rst``, ``timeout``, ``completed``, ``evicted``."""

    def observe_processing_time(self, mode: str, seconds: float) -> None:
        """A run took so many seconds, in the mode ``pcap``, ``live`` or ``remote``."""

    def observe_error(self, stage: str, error: Exception | None = None) -> None:
        """Something went wrong at a stage: ``parsing``, ``extraction``, ``output``."""

    def set_active_flows(self, count: int) -> None:
        """So many flows are open now."""
