"""The configuration: the command's options, the configuration file and these keywords are one thing.

Names, defaults and ranges are judged by the engine; a test holds this file to it.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from numbers import Integral, Real
from typing import Any, Literal, TypeVar

from .. import _native

__all__ = ["Config", "FeatureGroup"]


class FeatureGroup(str, Enum):
    """Names of feature groups."""

    ALL = "all"
    FLOW_META = "flow_meta"
    TIMING = "timing"
    #: Bursts are part of the timing group.
    BURST = "timing"
    SIZE = "size"
    TCP = "tcp"
    TUNNEL = "tunnel"
    SEQUENCES = "sequences"
    SPLT = "splt"
    TIMESTAMPS = "timestamps"
    LABELS = "labels"
    APP = "app"
    HTTP = "http"
    CONNECTION = "connection"
    DNS = "dns"
    ENTROPY = "entropy"
    FINGERPRINT = "fingerprint"
    HTTP2 = "http2"
    ICMP = "icmp"
    IP_EXTENDED = "ip_extended"
    IPV6_OPTIONS = "ipv6_options"
    MAC = "mac"
    PADDING = "padding"
    QUIC = "quic"
    SSH = "ssh"
    TCP_FINGERPRINT = "tcp_fingerprint"
    TCP_MPTCP = "tcp_mptcp"
    TCP_OPTIONS = "tcp_options"
    TCP_RTT = "tcp_rtt"
    TCP_SEQUENCE = "tcp_sequence"
    TCP_WINDOW = "tcp_window"
    TLS = "tls"

    def __str__(self) -> str:
        return str(self.value)


_T = TypeVar("_T")


def _names_checked(cls: type[_T]) -> type[_T]:
    """Has unknown keywords answered with the nearest name, which the generated __init__ does not know."""
    init = cls.__init__

    @functools.wraps(init)
    def checked(self: _T, *args: Any, **options: Any) -> None:
        _refuse_unknown(options)
        init(self, *args, **options)

    cls.__init__ = checked  # type: ignore[method-assign, assignment]
    return cls


@_names_checked
@dataclass(kw_only=True)
class Config:
    """How packets become rows.

    A value out of its range raises ValueError here and not later; so does a name that does not exist.
    """

    flow_timeout: float = 60.0
    active_timeout: float | None = None
    close_timeout: float | None = None
    initiator_by_port: bool = False
    #: Bytes, or a size such as "2GB".
    max_memory: int | str | None = None
    max_concurrent_flows: int = 2_000_000
    flow_eviction_strategy: Literal["lru", "oldest"] = "lru"
    terminate_on_fin_rst: bool = True
    flow_key_vlan: bool = True
    flow_key_tunnel: bool = True
    sampling_rate: float | None = None
    sampling_seed: int = 0
    features: Sequence[str | FeatureGroup] = field(default_factory=lambda: ["all"])
    specific_features: Sequence[str] | None = None
    profile: str | None = None
    bidirectional_split: bool = False
    include_raw_sequences: bool = False
    include_splt: bool = False
    max_sequence_length: int = 50
    #: A CSV file; adds the column ``label``.
    labels: str | os.PathLike[str] | None = None
    bpf_filter: str | None = None
    include_ip_addresses: bool = True
    include_ports: bool = True
    anonymize_ips: bool = False
    anonymize: bool = False
    #: A secret: with it one can find the addresses again. So it is not shown.
    anonymization_salt: str | None = field(default=None, repr=False)
    include_flow_id: bool = False
    burst_threshold_ms: float = 50.0
    entropy_sample_bytes: int = 256
    num_workers: int | None = None
    missing: Literal["null", "zero"] = "null"
    connection_window: float | None = None
    connection_use_ports: bool = False
    connection_include_graph_metrics: bool = True
    connection_include_temporal: bool = True
    connection_community_algorithm: Literal["louvain", "greedy", "label_propagation"] = "louvain"
    connection_seed: int = 0

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            setattr(self, option.name, _plain(getattr(self, option.name)))
        # As the command takes them: "timing,tcp".
        if isinstance(self.features, str):
            self.features = [name.strip() for name in str(self.features).split(",")]
        if isinstance(self.specific_features, str):
            self.specific_features = [name.strip() for name in self.specific_features.split(",")]
        if self.labels is not None:
            self.labels = os.fspath(self.labels)
        # Older versions wrote 0 for "as many as there is room for".
        if self.max_concurrent_flows == 0:
            self.max_concurrent_flows = Config.max_concurrent_flows
        self.validate()

    def validate(self) -> None:
        """Checks the values again, after attributes were changed."""
        _native.config_validate(self._json())

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        values = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        values["features"] = [str(f) for f in self.features]
        if self.specific_features is not None:
            values["specific_features"] = [str(f) for f in self.specific_features]
        return values

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Writes a configuration file that the command reads too. With an ``anonymization_salt`` it is readable by its owner only."""
        _write(path, json.dumps(self.to_dict(), indent=2) + "\n", self.anonymization_salt is not None)

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Writes a configuration file in YAML, as :meth:`to_json` does in JSON."""
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in self.to_dict().items()]
        _write(path, "".join(lines), self.anonymization_salt is not None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Config:
        """From plain values; unknown names are refused with the nearest that there is."""
        _refuse_unknown(data)
        return cls(**data)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Config:
        """From a configuration file: TOML, YAML or JSON."""
        return cls(**json.loads(_native.config_load(os.fspath(path))))

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Config:
        """The same as :meth:`from_file`."""
        return cls.from_file(path)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Config:
        """The same as :meth:`from_file`."""
        return cls.from_file(path)

    def should_extract(self, group: str | FeatureGroup) -> bool:
        """Whether the features of a group are wanted: by its name, or as a part of ``"all"``."""
        names = [str(f) for f in self.features]
        return "all" in names or str(group) in names

    def should_include_feature(self, feature_name: str) -> bool:
        """Whether a feature is wanted by its name, as far as ``specific_features`` says."""
        return self.specific_features is None or feature_name in self.specific_features

    def filter_features(self, features: dict[str, Any]) -> dict[str, Any]:
        """Those of the features that rows under this configuration have."""
        wanted = set(_native.Engine(self._json()).feature_names())
        return {name: value for name, value in features.items() if name in wanted}

    @property
    def burst_threshold_seconds(self) -> float:
        """``burst_threshold_ms`` in seconds."""
        return self.burst_threshold_ms / 1000

    def _json(self) -> str:
        values = self.to_dict()
        for name, value in values.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name} = {value}: must be a finite number")
        return json.dumps(values)


def _plain(value: Any) -> Any:
    """Numbers of numpy and of others as Python's own, paths as text; anything else as it is."""
    if value is None or isinstance(value, (bool, int, float, str, list)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # numpy's truth value is the one of its scalars that is not registered as a number.
    if type(value).__name__ in ("bool", "bool_") and hasattr(value, "item"):
        return bool(value)
    return value


def _write(path: str | os.PathLike[str], text: str, secret: bool) -> None:
    """Writes a file; one that holds a secret is nobody else's to read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if secret else 0o666)
    with open(descriptor, "w", encoding="utf-8") as file:
        if secret and hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o600)
        file.write(text)


def _refuse_unknown(names: Mapping[str, Any]) -> None:
    known = {f.name for f in dataclasses.fields(Config)}
    for name in names:
        if name not in known:
            _native.config_validate(json.dumps({name: None}))  # says which name is the nearest


# One place for what the options do: the engine's table, of which the command's help is made too.
Config.__doc__ = f"{(Config.__doc__ or '').rstrip()}\n\n    Options:\n\n" + "".join(
    f"    ``{name}`` ({kind}): {' '.join(text.split())}\n\n" for name, kind, text in _native.config_keys()
)
