# made by `cargo xtask generate`; edit crates/python, not this file
"""
The native half of joyfuljay.
"""

from _typeshed import SupportsGetItem
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Final, SupportsFloat, SupportsIndex, final, overload
from typing_extensions import CapsuleType, Self, disjoint_base

__all__ = ["__version__", "Buffer", "DashboardBuilder", "Engine", "Flow", "FlowIterator", "FlowKey", "Live", "MetricsServer", "Packet", "PacketIterator", "PacketSequence", "Progress", "PrometheusMetrics", "Registry", "RowIterator", "Scans", "SensorServer", "Slice", "Summary", "Table", "TableIterator", "TableWriter", "alerting_rules", "capture_files", "captures_apart", "cli_main", "config_defaults", "config_keys", "config_load", "config_validate", "discover_sensors", "export_dashboard", "feature_groups", "feature_table", "overview_dashboard", "plan_slices", "profiles", "prometheus_config"]

__version__: str

@final
class Buffer:
    """
    Memory that ``numpy.asarray`` takes without a copy.
    """
    @property
    def __array_interface__(self, /) -> dict[str, Any]:
        """
        See numpy's array interface protocol, version 3.
        """

@final
class DashboardBuilder:
    """
    Builds a dashboard, row by row and panel by panel.
    """
    def __new__(cls, /, title: str, uid: str | None = None) -> DashboardBuilder: ...
    def add_panel(self, /, title: str, exprs: SupportsGetItem[int, str], graph: bool, unit: str | None = None, width: SupportsIndex | None = None, height: SupportsIndex | None = None, legend: SupportsGetItem[int, str] | None = None, description: str | None = None) -> None: ...
    def add_row(self, /, title: str) -> None: ...
    def build(self, /) -> str:
        """
        The dashboard as JSON.
        """
    def last(self, /) -> str:
        """
        The panel or row that was added last, as JSON.
        """

@final
class Engine:
    """
    A validated configuration, ready to run over captures.
    """
    def __new__(cls, /, config: str, metrics: object | None = None, native: bool = True) -> Engine:
        """
        A pipeline for a configuration (JSON). ``metrics`` is called for every run: a native ``PrometheusMetrics``, or any
        object with the methods of ``MetricsSink`` when ``native`` is false.
        """
    def empty(self, /) -> Table:
        """
        A table without rows.
        """
    def empty_slice(self, /) -> Table:
        """
        A table without rows, as slices have them: the group `connection` needs all flows.
        """
    def extract(self, /, flow: Flow) -> dict[str, Any]:
        """
        The features of one flow, None for what is not known.
        """
    def feature_names(self, /) -> list[str]:
        """
        Names of the columns, in their order.
        """
    def flows(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any, most: SupportsIndex | None = None) -> FlowIterator:
        """
        Flows of captures as they end; with their packets, ``most`` of each at most, when ``most`` is given.
        """
    def never_null(self, /) -> list[str]:
        """
        Names of the columns of numbers and truth values that never have a null.
        """
    def notes(self, /) -> list[str]:
        """
        What the user should know before a run: options without effect, and what stays in clear although addresses do not.
        """
    def observe_error(self, /, stage: str) -> None:
        """
        Reports an error at a stage to the metrics.
        """
    def observe_extractor(self, /, name: str, seconds: SupportsFloat | SupportsIndex) -> None:
        """
        Reports to the metrics how long an extractor of the user's own took over one flow.
        """
    def scans(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any) -> Scans:
        """
        Rows of captures for readers of Arrow streams: a run of its own for each of them.
        """
    def sink_errors(self, /) -> int:
        """
        How often the user's metrics sink raised.
        """
    def stream(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any) -> TableIterator:
        """
        Rows of captures while the run goes on, a table at a time.
        """
    def table(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any, progress: Callable[[Progress], object] | None = None) -> tuple[Table, Summary]:
        """
        Rows of captures, and what the run did.
        """
    def write(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any, output: str | PathLike[str], format: str | None = None, progress: Callable[[Progress], object] | None = None) -> Summary:
        """
        Writes the rows of captures to a file, whole or not at all; ``format`` is csv, json, parquet or arrow, by default what the
        file's extension says.
        """
    def write_database(self, /, inputs: Live | Slice | SupportsGetItem[int, str | PathLike[str]] | Any, place: str, table: str = ..., if_exists: str = "append", batch_size: SupportsIndex = ..., alter: bool = True, resume: SupportsIndex | None = None, progress: Callable[[Progress], object] | None = None) -> tuple[Summary, int]:
        """
        Writes the rows of captures into a table of a database, as ``jj extract -f sqlite`` and ``-f postgres`` do. What the run did, and
        its number in the database.
        """

@final
class Flow:
    """
    A bidirectional flow: had from ``Pipeline.iter_flows``, or built by hand with ``from_first_packet`` and ``add_packet``.
    """
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str:
        """
        What notebooks show.
        """
    def add_packet(self, /, packet: Packet) -> None:
        """
        Adds a packet of the same flow, in either direction.
        """
    @property
    def duration(self, /) -> float:
        """
        Seconds from the first to the last packet.
        """
    @property
    def end_reason(self, /) -> str:
        """
        Why the flow ended: fin, rst, idle, active, end_of_input, evicted.
        """
    @staticmethod
    def from_first_packet(packet: Packet) -> Flow:
        """
        A flow that begins with this packet; its sender is the initiator unless a SYN says otherwise.
        """
    @property
    def initiator_bytes(self, /) -> int: ...
    @property
    def initiator_ip(self, /) -> str: ...
    @property
    def initiator_packets(self, /) -> PacketSequence:
        """
        The packets of the initiator.
        """
    @property
    def initiator_port(self, /) -> int: ...
    @property
    def key(self, /) -> FlowKey: ...
    @property
    def last_seen(self, /) -> float:
        """
        Time of the last packet in seconds since the Unix epoch.
        """
    @property
    def packets(self, /) -> PacketSequence:
        """
        The packets in the order of the capture, made one at a time.
        """
    @property
    def protocol(self, /) -> int: ...
    @property
    def responder_bytes(self, /) -> int: ...
    @property
    def responder_ip(self, /) -> str: ...
    @property
    def responder_packets(self, /) -> PacketSequence:
        """
        The packets of the responder.
        """
    @property
    def responder_port(self, /) -> int: ...
    @property
    def start_time(self, /) -> float:
        """
        Time of the first packet in seconds since the Unix epoch.
        """
    @property
    def terminated(self, /) -> bool:
        """
        Whether FIN from both sides or RST ended it.
        """
    @property
    def tls_client_hello(self, /) -> bytes | None:
        """
        Comes with the features of TLS in a later version: raises NotImplementedError.
        """
    @property
    def tls_server_hello(self, /) -> bytes | None:
        """
        Comes with the features of TLS in a later version: raises NotImplementedError.
        """
    @property
    def total_bytes(self, /) -> int:
        """
        IP bytes of both directions.
        """
    @property
    def total_packets(self, /) -> int: ...

@final
class FlowIterator:
    """
    The flows of a capture as they end.
    """
    def __iter__(self, /) -> FlowIterator: ...
    def __next__(self, /) -> Flow: ...
    def close(self, /) -> None:
        """
        Gives the capture up; flows that came out stay.
        """
    def take_warnings(self, /) -> list[str]:
        """
        What went wrong without ending the run, since the last call.
        """

@final
class FlowKey:
    """
    The identity of a flow, the same for both directions: the two end points in a fixed order, and the protocol.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, ip_a: str, port_a: SupportsIndex, ip_b: str, port_b: SupportsIndex, protocol: SupportsIndex) -> FlowKey: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def from_packet(packet: Packet) -> FlowKey:
        """
        The key of the flow that a packet belongs to.
        """
    @property
    def ip_a(self, /) -> str: ...
    @property
    def ip_b(self, /) -> str: ...
    @property
    def port_a(self, /) -> int: ...
    @property
    def port_b(self, /) -> int: ...
    @property
    def protocol(self, /) -> int: ...
    def to_tuple(self, /) -> tuple[str, int, str, int, int]: ...

@final
class Live:
    """
    Network interfaces or a remote sensor to capture from, where captures could be read.
    """
    def __new__(cls, /, interfaces: SupportsGetItem[int, str], duration: SupportsFloat | SupportsIndex | None = None, *, snaplen: SupportsIndex = 0, promiscuous: bool = True, pid: SupportsIndex | None = None, process: str | None = None, token: str | None = None, tls_ca: str | PathLike[str] | None = None, tls_insecure: bool = False, save_pcap: str | PathLike[str] | None = None) -> Live:
        """
        One interface may be the address of a sensor (`jj://…`): `token` is then what it wants to see, if that is not in the address or in
        JOYFULJAY_TOKEN; the certificate is compared with the system's authorities or those of `tls_ca`. `duration` in seconds, None for no end; of frames `snaplen` bytes are kept, 0 for all; with `pid` or `process` (a name) only
        packets of that process are left. The packets of a run are written to `save_pcap`, too.
        """

@final
class MetricsServer:
    """
    A running metrics server. Closed by ``close()``, by leaving a ``with`` block, or with the process.
    """
    def __enter__(self, /) -> MetricsServer: ...
    def __exit__(self, /, exc_type: Any | None, exc_value: Any | None, traceback: Any | None) -> None: ...
    def __new__(cls, /, addr: str, port: SupportsIndex, registry: Registry, foreign: Callable[[bool, list[str]], str] | None = None, web_config: str | PathLike[str] | None = None) -> MetricsServer:
        """
        Listens when it returns. ``foreign(openmetrics, names)`` gives the text of families that live in Python.
        """
    def __repr__(self, /) -> str: ...
    @property
    def addr(self, /) -> str:
        """
        The IP address that it listens on.
        """
    def close(self, /) -> None:
        """
        Stops listening; answers under way leave first (2 s at most). May be called again.
        """
    @property
    def closed(self, /) -> bool:
        """
        Whether it has been closed.
        """
    def forget(self, /) -> int | None:
        """
        After a fork: the child has no server thread, and forgets that the parent has one. What it is to close, lest it keep the
        parent's port: its copy of the listening socket.
        """
    @property
    def port(self, /) -> int:
        """
        The port, also when any free one was asked for.
        """
    def set_ready(self, /, ready: bool) -> None:
        """
        What ``/readyz`` says: 200 or 503.
        """
    @property
    def url(self, /) -> str:
        """
        The live page for people; Prometheus reads ``metrics`` below it.
        """
    @property
    def warning(self, /) -> str | None:
        """
        What the user should know of who can read the metrics; None where there is nothing to say.
        """

@final
class Packet:
    """
    One packet: what its headers say. Made by hand for tests and hand-built flows, or had from ``flow.packets``.

    ``timestamp`` is in seconds since the Unix epoch (``timestamp_ns`` is exact), ``total_len`` is the length of the IP
    datagram on the wire and ``payload_len`` that of the upper-layer payload, both in bytes.
    """
    PROTO_ICMP: Final[int]
    PROTO_TCP: Final[int]
    PROTO_UDP: Final[int]
    TCP_ACK: Final[int]
    TCP_FIN: Final[int]
    TCP_PSH: Final[int]
    TCP_RST: Final[int]
    TCP_SYN: Final[int]
    TCP_URG: Final[int]
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __new__(cls, /, timestamp: SupportsFloat | SupportsIndex, src_ip: str, dst_ip: str, src_port: SupportsIndex, dst_port: SupportsIndex, protocol: SupportsIndex, payload_len: SupportsIndex, total_len: SupportsIndex, tcp_flags: SupportsIndex | None = None, raw_payload: bytes | None = None, src_mac: str | None = None, dst_mac: str | None = None, eth_type: SupportsIndex | None = None, vlan_id: SupportsIndex | None = None, ip_ttl: SupportsIndex | None = None, ip_id: SupportsIndex | None = None, ip_tos: SupportsIndex | None = None, ip_flags: SupportsIndex | None = None, ip_version: SupportsIndex | None = None, ipv6_flow_label: SupportsIndex | None = None, ipv6_traffic_class: SupportsIndex | None = None, tcp_seq: SupportsIndex | None = None, tcp_ack: SupportsIndex | None = None, tcp_window: SupportsIndex | None = None, tcp_options_raw: bytes | None = None, tcp_mss: SupportsIndex | None = None, tcp_window_scale: SupportsIndex | None = None, tcp_timestamp: tuple[SupportsIndex, SupportsIndex] | None = None, tcp_sack_permitted: bool = False, tcp_sack_blocks: SupportsGetItem[int, tuple[SupportsIndex, SupportsIndex]] | None = None, icmp_type: SupportsIndex | None = None, icmp_code: SupportsIndex | None = None, icmp_id: SupportsIndex | None = None, icmp_seq: SupportsIndex | None = None) -> Packet:
        """
        ``ip_ttl`` is 64 where it is not given; what else is not given is not known. The names and their order are those of
        0.1.6, which had a field of a dataclass for each.
        """
    def __repr__(self, /) -> str: ...
    @property
    def dst_ip(self, /) -> str: ...
    @property
    def dst_mac(self, /) -> str | None:
        """
        MAC address of the receiver, where the packet was made with it.
        """
    @property
    def dst_port(self, /) -> int:
        """
        Destination port; 0 for a protocol without ports.
        """
    @property
    def eth_type(self, /) -> int | None:
        """
        EtherType, where the packet was made with it.
        """
    def five_tuple(self, /) -> tuple[str, int, str, int, int]:
        """
        Source address and port, destination address and port, protocol.
        """
    @property
    def has_payload(self, /) -> bool: ...
    def has_tcp_flag(self, /, flag: SupportsIndex) -> bool:
        """
        Whether all bits of ``flag`` are set.
        """
    @property
    def icmp_code(self, /) -> int | None:
        """
        ICMP code, where the packet was made with it.
        """
    @property
    def icmp_id(self, /) -> int | None:
        """
        Identifier of an ICMP echo, where the packet was made with it.
        """
    @property
    def icmp_seq(self, /) -> int | None:
        """
        Sequence number of an ICMP echo, where the packet was made with it.
        """
    @property
    def icmp_type(self, /) -> int | None:
        """
        ICMP type, where the packet was made with it.
        """
    @property
    def ip_flags(self, /) -> int | None:
        """
        IPv4 flags, where the packet was made with it.
        """
    @property
    def ip_id(self, /) -> int | None:
        """
        IPv4 identification, where the packet was made with it.
        """
    @property
    def ip_tos(self, /) -> int | None:
        """
        IPv4 type of service, where the packet was made with it.
        """
    @property
    def ip_ttl(self, /) -> int:
        """
        IPv4 time to live, IPv6 hop limit.
        """
    @property
    def ip_version(self, /) -> int:
        """
        4 or 6.
        """
    @property
    def ipv6_flow_label(self, /) -> int | None:
        """
        IPv6 flow label, where the packet was made with it.
        """
    @property
    def ipv6_traffic_class(self, /) -> int | None:
        """
        IPv6 traffic class, where the packet was made with it.
        """
    @property
    def is_fin(self, /) -> bool: ...
    @property
    def is_icmp(self, /) -> bool: ...
    @property
    def is_rst(self, /) -> bool: ...
    @property
    def is_syn(self, /) -> bool: ...
    @property
    def is_syn_ack(self, /) -> bool: ...
    @property
    def is_tcp(self, /) -> bool: ...
    @property
    def is_udp(self, /) -> bool: ...
    @property
    def payload_len(self, /) -> int:
        """
        Upper-layer payload in bytes, as on the wire.
        """
    @property
    def protocol(self, /) -> int:
        """
        IP protocol number of the upper layer.
        """
    @property
    def raw_payload(self, /) -> bytes | None:
        """
        The payload that the packet was made with; None for packets of a capture, whose bytes are not kept.
        """
    @property
    def src_ip(self, /) -> str: ...
    @property
    def src_mac(self, /) -> str | None:
        """
        MAC address of the sender, where the packet was made with it.
        """
    @property
    def src_port(self, /) -> int:
        """
        Source port; 0 for a protocol without ports.
        """
    @property
    def tcp_ack(self, /) -> int | None: ...
    @property
    def tcp_flags(self, /) -> int | None:
        """
        TCP flags as on the wire; None where they are not known.
        """
    @property
    def tcp_mss(self, /) -> int | None:
        """
        TCP option: maximum segment size in bytes, where the packet was made with it.
        """
    @property
    def tcp_options_raw(self, /) -> bytes | None:
        """
        Bytes of the TCP options, where the packet was made with it.
        """
    @property
    def tcp_sack_blocks(self, /) -> list[tuple[int, int]] | None:
        """
        TCP option: blocks of a selective acknowledgement, left and right edge, where the packet was made with it.
        """
    @property
    def tcp_sack_permitted(self, /) -> bool:
        """
        TCP option: whether selective acknowledgement is permitted, where the packet was made with it.
        """
    @property
    def tcp_seq(self, /) -> int | None: ...
    @property
    def tcp_timestamp(self, /) -> tuple[int, int] | None:
        """
        TCP option: timestamp value and echo reply, where the packet was made with it.
        """
    @property
    def tcp_window(self, /) -> int | None: ...
    @property
    def tcp_window_scale(self, /) -> int | None:
        """
        TCP option: window scale, as a shift, where the packet was made with it.
        """
    @property
    def timestamp(self, /) -> float:
        """
        Time of capture in seconds since the Unix epoch.
        """
    @property
    def timestamp_ns(self, /) -> int:
        """
        Time of capture in nanoseconds since the Unix epoch.
        """
    @property
    def total_len(self, /) -> int:
        """
        Length of the IP datagram in bytes, as on the wire.
        """
    @property
    def vlan_id(self, /) -> int | None:
        """
        Outer VLAN id; None without a tag.
        """

@final
class PacketIterator:
    """
    Packets of a flow, one at a time.
    """
    def __iter__(self, /) -> PacketIterator: ...
    def __next__(self, /) -> Packet: ...

@final
class PacketSequence(Sequence[Packet]):
    """
    Packets of a flow: a sequence that makes each ``Packet`` when it is asked for.
    """
    def __iter__(self, /) -> PacketIterator: ...
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    def count(self, /, value: object) -> int:
        """
        How often a packet like this is there.
        """
    def index(self, /, value: object, start: SupportsIndex = 0, stop: SupportsIndex = ...) -> int:
        """
        The place of the first packet like this, at ``start`` or later and before ``stop``; ValueError where none is.
        """
    @property
    def missing(self, /) -> int:
        """
        Packets that came after the limit of ``max_packets`` was reached and are not here.
        """
    @property
    def truncated(self, /) -> bool:
        """
        Whether packets are missing.
        """
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Packet: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Packet]: ...

@final
class Progress:
    """
    How far a run has come.
    """
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str:
        """
        What notebooks show: a bar where the size of the input is known.
        """
    @property
    def bytes_read(self, /) -> int:
        """
        Bytes of input read so far, as stored.
        """
    @property
    def bytes_total(self, /) -> int | None:
        """
        Bytes of input in all; None where that cannot be known.
        """
    @property
    def current(self, /) -> str | None:
        """
        The input being read.
        """
    @property
    def elapsed(self, /) -> float:
        """
        Seconds since the start.
        """
    @property
    def flows(self, /) -> int:
        """
        Flows ended so far.
        """
    @property
    def packets(self, /) -> int:
        """
        Packets in flows so far.
        """
    @property
    def rows(self, /) -> int:
        """
        Rows written so far.
        """

@disjoint_base
class PrometheusMetrics:
    """
    Counters of one namespace of a registry; several objects for the same are handles on the same counters.
    """
    def __new__(cls, /, namespace: str = "joyfuljay", registry: Registry | None = None) -> Self: ...
    def __repr__(self, /) -> str: ...
    @property
    def namespace(self, /) -> str:
        """
        Prefix of the families.
        """
    def observe_counts(self, /, frames: SupportsIndex, packets: SupportsIndex, bytes: SupportsIndex, reasons: dict[str, SupportsIndex], skipped: dict[str, SupportsIndex]) -> None:
        """
        Adds what runs elsewhere have counted: frames, packets and their bytes, flows by the reason of their end, skipped frames by
        reason, as a summary has them.
        """
    def observe_error(self, /, stage: str, error: Exception | None = None) -> None:
        """
        Records an error at a stage of the pipeline.
        """
    def observe_flow(self, /, flow: Any, reason: str) -> None:
        """
        Records a flow that ended, for the given reason; the flow may be any object.
        """
    def observe_kafka(self, /, topic: str, rows: SupportsIndex = 0, bytes: SupportsIndex = 0, retries: SupportsIndex = 0, failures: SupportsGetItem[int, tuple[str, SupportsIndex]] = ..., waiting: SupportsIndex = 0, seconds: SupportsGetItem[int, SupportsFloat | SupportsIndex] = ...) -> None:
        """
        Records what became of rows for a Kafka topic; each failed one is an error at the stage output, too.
        """
    def observe_packet(self, /, packet: Any) -> None:
        """
        Records a processed packet: any object with ``total_len``.
        """
    def observe_packets(self, /, count: Any, bytes: Any) -> None:
        """
        Records ``count`` packets of ``bytes`` bytes together.
        """
    def observe_processing_time(self, /, mode: str, seconds: SupportsFloat | SupportsIndex) -> None:
        """
        Records how long processing took in a mode, in seconds.
        """
    def set_active_flows(self, /, count: Any) -> None:
        """
        Sets the number of flows that are open now.
        """

@final
class Registry:
    """
    A native registry: what a metrics server shows.
    """
    def __new__(cls, /) -> Registry:
        """
        An isolated registry.
        """
    def collect(self, /, namespace: str) -> list[tuple[str, str, str, str, list[str], list[tuple[list[str], Any]]]]:
        """
        Every family of a namespace that has samples: name, kind, unit, help, label names, and samples as pairs of label
        values and value, which for a histogram is the list of (upper bound, count up to it) and the sum.
        """
    @staticmethod
    def default() -> Registry:
        """
        The registry that is meant when none is given.
        """
    @staticmethod
    def describe(namespace: str) -> list[tuple[str, str, str, str, list[str]]]:
        """
        Name, kind, unit, help and label names of every family of a namespace.
        """
    def family_names(self, /) -> list[str]:
        """
        Names of every family that the registry has now, those of the process included.
        """
    def foreign_failed(self, /) -> None:
        """
        Counts a failure of what others have put beside this registry.
        """
    def is_same(self, /, other: Registry) -> bool:
        """
        Whether both are handles on one registry.
        """

@final
class RowIterator:
    """
    Rows of a table as dicts, one at a time.
    """
    def __iter__(self, /) -> RowIterator: ...
    def __next__(self, /) -> dict[str, Any]: ...

@final
class Scans:
    """
    Rows of captures for any number of readers of the Arrow C stream interface.
    """
    def __arrow_c_schema__(self, /) -> CapsuleType:
        """
        The Arrow C schema of the rows.
        """
    def __arrow_c_stream__(self, /, requested_schema: object | None = None) -> CapsuleType:
        """
        The Arrow C stream of a run that begins now (Arrow PyCapsule interface). ``requested_schema`` is a wish that is not granted.
        """
    @property
    def column_names(self, /) -> list[str]:
        """
        Names of the columns, in their order.
        """
    def take_failure(self, /) -> BaseException | None:
        """
        The exception that a run ended with since the last call, else None.
        """

@final
class SensorServer:
    """
    A sensor that serves. It does when it is made.
    """
    def __new__(cls, /, inputs: SupportsGetItem[int, str], token: str, metrics: PrometheusMetrics, *, host: str = "0.0.0.0", port: SupportsIndex = 8765, bpf_filter: str | None = None, pid: SupportsIndex | None = None, process: str | None = None, max_clients: SupportsIndex = 5, max_bandwidth: SupportsFloat | SupportsIndex | None = None, compress: bool = True, buffer: SupportsIndex | None = None, tls_cert: str | PathLike[str] | None = None, tls_key: str | PathLike[str] | None = None, tls_client_ca: str | PathLike[str] | None = None, name: str = ..., announce: bool = False, announce_properties: dict[str, str] = ...) -> SensorServer: ...
    @property
    def address(self, /) -> str:
        """
        The IP address that it listens on.
        """
    @property
    def auth_failures(self, /) -> int:
        """
        Clients turned away for a wrong token.
        """
    @property
    def bytes_sent(self, /) -> int:
        """
        Bytes sent.
        """
    @property
    def clients(self, /) -> int:
        """
        Clients now.
        """
    @property
    def drops(self, /) -> int:
        """
        Frames that clients were too slow for.
        """
    @property
    def messages_sent(self, /) -> int:
        """
        Messages sent.
        """
    @property
    def port(self, /) -> int:
        """
        The port, also when any free one was asked for.
        """
    @property
    def running(self, /) -> bool:
        """
        Whether it serves. It ends by itself when a pipe does.
        """
    def stop(self, /) -> None:
        """
        Ends it: clients get what has come, for some seconds at most. May be called again.
        """

@final
class Slice:
    """
    The work of one task: a slice of captures, as JSON, and what opens them (None: files of this machine).
    """
    def __new__(cls, /, json: str, store: object | None = None) -> Slice: ...
    @property
    def number(self, /) -> int:
        """
        Its number, from 1 on.
        """
    @property
    def of(self, /) -> int:
        """
        How many there are.
        """

@final
class Summary:
    """
    What a run did, in exact totals.
    """
    def __repr__(self, /) -> str: ...
    @property
    def bytes(self, /) -> int:
        """
        Bytes of these packets (IP length).
        """
    @property
    def elapsed(self, /) -> float:
        """
        Seconds of wall-clock time.
        """
    @property
    def end_reasons(self, /) -> dict[str, int]:
        """
        Flows by the reason of their end.
        """
    @property
    def flows(self, /) -> int:
        """
        Flows.
        """
    @property
    def frames(self, /) -> int:
        """
        Frames read.
        """
    @property
    def packets(self, /) -> int:
        """
        Packets that were put into flows.
        """
    @property
    def rows(self, /) -> int:
        """
        Rows.
        """
    @property
    def skipped(self, /) -> dict[str, int]:
        """
        Frames that did not become packets of a flow, by reason.
        """
    @property
    def warnings(self, /) -> list[str]:
        """
        What is to be known of the rows, and what went wrong without ending the run.
        """

@final
class Table:
    """
    Feature rows in Arrow's memory layout, one for each flow (two with ``bidirectional_split``).

    Any library that speaks the Arrow C stream interface takes it without a copy: ``pyarrow.table(t)``,
    ``polars.DataFrame(t)``. Iterating gives rows as dicts, which is the slow path.
    """
    def __arrow_c_schema__(self, /) -> CapsuleType:
        """
        The Arrow C schema of the rows.
        """
    def __arrow_c_stream__(self, /, requested_schema: object | None = None) -> CapsuleType:
        """
        The Arrow C stream of the rows (Arrow PyCapsule interface). ``requested_schema`` is a wish that is not granted.
        """
    def __iter__(self, /) -> RowIterator: ...
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str:
        """
        What notebooks show: the first rows and columns.
        """
    def column(self, /, name: str) -> Buffer | list[Any]:
        """
        A column as a buffer for numpy where its type allows it (float64 with NaN for what is not known; int64 and bool
        where all is known), else as a list.
        """
    @property
    def column_names(self, /) -> list[str]:
        """
        Names of the columns, in their order.
        """
    def concat(self, /, others: SupportsGetItem[int, Table]) -> Table:
        """
        The rows of this table and of others of the same columns, without a copy.
        """
    def labelled(self, /, name: str, text: str) -> Table:
        """
        The rows with one more column, which has the same text in each.
        """
    def masked(self, /, name: str) -> tuple[Buffer, Buffer]:
        """
        The values of a column of numbers, truth values or times (nanoseconds) as a buffer for numpy, and another that is true where a value is not known.
        """
    @property
    def nbytes(self, /) -> int:
        """
        Bytes of memory that the rows take.
        """
    @property
    def num_columns(self, /) -> int: ...
    @property
    def num_rows(self, /) -> int: ...
    @property
    def numeric_columns(self, /) -> list[str]:
        """
        Names of the columns of numbers and truth values: those of ``numeric_matrix`` and of ``output_format="numpy"``, in their order.
        """
    def numeric_matrix(self, /) -> Buffer:
        """
        Numbers and truth values as one row-major matrix of float64, NaN for what is not known.
        """
    def padded(self, /, length: SupportsIndex, zero: bool = False) -> Table:
        """
        The rows with every sequence as ``length`` columns ``NAME_0``, ``NAME_1``…; beyond its end null, or 0 where ``zero``.
        """
    @property
    def string_columns(self, /) -> list[str]:
        """
        Names of the columns of text.
        """
    @property
    def time_columns(self, /) -> list[str]:
        """
        Names of the columns of times.
        """
    def timed(self, /, as_integers: bool, keep: SupportsGetItem[int, str]) -> Table:
        """
        The rows with their times exact: as timestamps in UTC, or as whole nanoseconds since the Unix epoch. They are those of the
        columns of the group ``timestamps``, of which only the ones to ``keep`` stay.
        """
    def to_dicts(self, /) -> list[dict[str, Any]]:
        """
        Rows as a list of dicts, None for what is not known.
        """

@final
class TableIterator:
    """
    Tables of rows as they come, in the order of the rows.
    """
    def __iter__(self, /) -> TableIterator: ...
    def __next__(self, /) -> Table: ...
    def close(self, /) -> None:
        """
        Stops the run.
        """
    @property
    def summary(self, /) -> Summary | None:
        """
        What the run did; None before its end.
        """
    def take_warnings(self, /) -> list[str]:
        """
        What went wrong without ending the run, since the last call.
        """

@final
class TableWriter:
    """
    A table that is being written.
    """
    def __new__(cls, /, place: str, columns: SupportsGetItem[int, tuple[str, str]], table: str, if_exists: str = "append", batch_size: SupportsIndex = ..., alter: bool = True, patience: SupportsFloat | SupportsIndex = 30.0) -> TableWriter:
        """
        Opens a table with these columns, each a name and a type: bool, int64, uint64, float64, str, address, timestamp
        (nanoseconds since 1970), list_int64, list_float64, list_str.
        """
    def abandon(self, /) -> None:
        """
        Leaves the run without an end: its batches stay, and can be told.
        """
    def finish(self, /) -> None:
        """
        Ends the run.
        """
    def notes(self, /) -> list[str]:
        """
        What is to be known before the first row.
        """
    def remarks(self, /) -> list[str]:
        """
        What is to be known afterwards.
        """
    @property
    def rows_written(self, /) -> int:
        """
        Rows that are in the table.
        """
    @property
    def run_id(self, /) -> int:
        """
        The number of the run.
        """
    def write(self, /, rows: list[dict[str, Any]]) -> None:
        """
        Writes rows, in one transaction.
        """

def alerting_rules(error_threshold: SupportsFloat | SupportsIndex, packet_rate_threshold: SupportsFloat | SupportsIndex, active_flows_threshold: SupportsFloat | SupportsIndex, active_flows_ratio: SupportsFloat | SupportsIndex, lag_threshold: SupportsFloat | SupportsIndex, namespace: str, job: str, watched: str, runbook_url: str) -> str:
    """
    Alerting and recording rules as YAML.
    """

def capture_files(inputs: SupportsGetItem[int, str | PathLike[str]]) -> list[str]:
    """
    The files of captures on this machine, in the order in which a run reads them.
    """

def captures_apart(input: str | PathLike[str]) -> tuple[list[str], list[str]]:
    """
    The captures that an input names, to be read each by itself, and warnings of what was found there and cannot be read.
    """

def cli_main(args: SupportsGetItem[int, str]) -> int:
    """
    Runs the command on these arguments, the first of which is the name that was called; gives the exit code.
    """

def config_defaults() -> str:
    """
    The default configuration as JSON.
    """

def config_keys() -> list[tuple[str, str, str]]:
    """
    Every option: name, type in a configuration file, what it does.
    """

def config_load(path: str | PathLike[str]) -> str:
    """
    Reads a configuration file (TOML, YAML or JSON) as JSON.
    """

def config_validate(json: str) -> None:
    """
    Checks a configuration, given as JSON: ValueError says what is wrong and what would be right.
    """

def discover_sensors(timeout: SupportsFloat | SupportsIndex) -> list[tuple[str, str, int, dict[str, str]]]:
    """
    Sensors of the local network: name, address, port and properties of each.
    """

def export_dashboard(path: str | PathLike[str], dashboard: str | None = None, datasource_uid: str | None = None) -> None:
    """
    Writes a dashboard (JSON; the overview when none is given) for Grafana.
    """

def feature_groups() -> list[str]:
    """
    Feature groups, in the order of their columns.
    """

def feature_table(name: str | None = None) -> list[dict[str, str]]:
    """
    All that is said of every feature, or of the one of this name.
    """

def overview_dashboard() -> str:
    """
    The overview dashboard as JSON.
    """

def plan_slices(files: SupportsGetItem[int, str], tasks: SupportsIndex, config: str, store: object | None = None) -> list[str]:
    """
    The work of ``tasks`` tasks, as JSON; with a store, the files are put into the order of their first packets.
    """

def profiles() -> list[str]:
    """
    Names of the profiles, from the smallest to the largest.
    """

def prometheus_config(targets: SupportsGetItem[int, str], job: str, scrape_interval: str, metrics_path: str, https: bool, rule_files: SupportsGetItem[int, str]) -> str:
    """
    A Prometheus configuration as YAML.
    """
