"""Prometheus metrics. The counters are native; ``prometheus_client`` is not needed, but where it is installed the two meet:
a ``CollectorRegistry`` has our families as a collector of its own, and the server shows what else is in the registry.

After a fork the child has a copy of the counters as they were, which nobody sees until the child starts a server of its
own; the parent's server goes on in the parent only.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .. import _extras, _native
from .._native import MetricsServer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["MetricsServer", "PrometheusMetrics", "start_prometheus_server"]


class PrometheusMetrics(_native.PrometheusMetrics):
    """Counters for Prometheus: ``namespace`` is the prefix of the families.

    Without a registry it is the default one (``prometheus_client.REGISTRY`` where that is installed), which
    :func:`start_prometheus_server` shows. A second object for the same registry and namespace is a second handle on the
    same counters. A family of another collector under one of our names raises ValueError.

    Label values of your own are welcome, up to 100 for a family; further ones count as ``other``.
    """

    registry: CollectorRegistry | None

    def __new__(cls, namespace: str = "joyfuljay", registry: CollectorRegistry | None = None) -> PrometheusMetrics:
        with _lock:
            found = _default_registry() if registry is None else registry
            native = _native_registry(found)
            if found is not None:
                _register(found, native, namespace)
            metrics = super().__new__(cls, namespace, native)
        metrics.registry = found
        return metrics

    def __init__(self, namespace: str = "joyfuljay", registry: CollectorRegistry | None = None) -> None:
        super().__init__()

    def __reduce__(self) -> tuple[type[PrometheusMetrics], tuple[str]]:
        # Counters stay where they are: another process has its own, in its default registry.
        if self.registry is not _default_registry():
            raise TypeError("PrometheusMetrics of a registry of your own cannot be pickled: the other process has no such registry")
        return (type(self), (self.namespace,))


def start_prometheus_server(
    port: int,
    addr: str = "0.0.0.0",
    registry: CollectorRegistry | None = None,
    *,
    web_config: str | os.PathLike[str] | None = None,
) -> MetricsServer:
    """Starts the metrics server: ``/metrics`` for Prometheus, ``/`` for people, ``/healthz`` and ``/readyz``.

    It listens when this returns, on a native thread that needs no GIL for our families; collectors that others put into
    the registry are shown too, if they answer within a second. Port 0 takes any free one. The server runs until the
    process ends or :meth:`MetricsServer.close`; the handle has ``port``, ``addr`` and ``url`` and works in ``with``.

    ``web_config`` is a Prometheus web configuration file: TLS and basic authentication.

    Raises OSError, with the likely cause, when the address cannot be listened on.
    """
    with _lock:
        found = _default_registry() if registry is None else registry
        native = _native_registry(found)
    foreign = None if found is None else _Foreign(found, native)
    path = None if web_config is None else os.fspath(web_config)
    server = MetricsServer(addr, port, native, foreign, path)
    with _lock:
        _servers.add(server)
        for closed in [s for s in _servers if s.closed]:
            _servers.discard(closed)
    _warn_once("open", server.warning)
    return server


_lock = threading.RLock()

#: Servers live on when the caller drops the handle, as on the monitoring page.
_servers: set[MetricsServer] = set()

_natives: weakref.WeakKeyDictionary[Any, _native.Registry] = weakref.WeakKeyDictionary()
_collectors: weakref.WeakKeyDictionary[Any, dict[str, _Collector]] = weakref.WeakKeyDictionary()
_rendering = threading.local()
_warned: set[str] = set()


def _default_registry() -> CollectorRegistry | None:
    if not _extras.has("prometheus_client"):
        return None
    from prometheus_client import REGISTRY

    return REGISTRY


def _native_registry(registry: CollectorRegistry | None) -> _native.Registry:
    """The native registry that belongs to a registry of ``prometheus_client``."""
    if registry is None or registry is _default_registry():
        return _native.Registry.default()
    if not hasattr(registry, "register"):
        raise TypeError(f"registry must be a prometheus_client.CollectorRegistry, not {type(registry).__name__}")
    return _natives.setdefault(registry, _native.Registry())


def _register(registry: CollectorRegistry, native: _native.Registry, namespace: str) -> None:
    """Puts our collector for a namespace into a registry, unless it is there."""
    ours = _collectors.setdefault(registry, {})
    collector = ours.get(namespace)
    if collector is not None:
        known = getattr(registry, "_collector_to_names", None)
        if known is None or collector in known:
            return
    # A namespace that is no name is refused before anything is registered.
    _native.PrometheusMetrics(namespace, _native.Registry())
    collector = collector or _Collector(native, namespace)
    registry.register(collector)  # ValueError when a foreign collector has one of the names
    try:
        _native.PrometheusMetrics(namespace, native)
    except ValueError:
        registry.unregister(collector)
        raise
    ours[namespace] = collector


class _Collector:
    """Our families as ``prometheus_client`` collects them: one snapshot of the native counters, no lock of the capture."""

    def __init__(self, native: _native.Registry, namespace: str) -> None:
        self._native = native
        self._namespace = namespace

    def describe(self) -> Iterator[Metric]:
        for name, kind, unit, help_text, labels in _native.Registry.describe(self._namespace):
            yield _family(name, kind, unit, help_text, labels)

    def collect(self) -> Iterator[Metric]:
        # The native server has our families already when it asks for those of others.
        if getattr(_rendering, "foreign", False):
            return
        for name, kind, unit, help_text, labels, samples in self._native.collect(self._namespace):
            yield _family(name, kind, unit, help_text, labels, samples)


def _family(
    name: str, kind: str, unit: str, help_text: str, labels: Iterable[str], samples: Iterable[Any] = ()
) -> Metric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    base = name.removesuffix("_total") if kind == "counter" else name
    unit = unit if unit and base.endswith("_" + unit) else ""
    # Always with label names, be they none: add_metric then works for all.
    if kind == "histogram":
        text: Any = floatToGoString
        histogram = HistogramMetricFamily(base, help_text, labels=list(labels), unit=unit)
        for values, (buckets, total) in samples:
            histogram.add_metric(values, [(text(le), n) for le, n in buckets], sum_value=total)
        return histogram
    family: Any = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
        base, help_text, labels=list(labels), unit=unit
    )
    for values, value in samples:
        family.add_metric(values, value)
    return family  # type: ignore[no-any-return]


class _Foreign:
    """The text of what others have put into a registry, for the native server."""

    def __init__(self, registry: CollectorRegistry, native: _native.Registry) -> None:
        self._registry = registry
        self._native = native

    def __call__(self, openmetrics: bool, names: list[str]) -> str:
        from prometheus_client import exposition
        from prometheus_client.openmetrics import exposition as openmetrics_exposition

        own = {n.removesuffix("_total") for n in self._native.family_names()}
        _rendering.foreign = True
        try:
            families = [f for f in self._families(names) if f.name not in own]
        finally:
            _rendering.foreign = False
        writer: Any = openmetrics_exposition if openmetrics else exposition
        text: bytes = writer.generate_latest(_Collected(families))
        return text.decode("utf-8")


    def _families(self, names: list[str]) -> list[Metric]:
        """What the collectors give; one that raises is left out, counted and said once."""
        registry: Any = self._registry.restricted_registry(names) if names else self._registry
        try:
            return list(registry.collect())
        except Exception as error:
            # Which one it was only their registry knows, in an attribute that other versions of prometheus_client may not have.
            collectors = getattr(self._registry, "_collector_to_names", None)
            if collectors is None:
                raise
            self._native.foreign_failed()
            _warn_once("collector", f"a collector of the registry fails and is left out of the metrics: {type(error).__name__}: {error}")
        families: list[Metric] = []
        for collector in list(collectors):
            with contextlib.suppress(Exception):
                families += collector.collect()
        if not names:
            return families
        wanted = set(names)
        return [f for f in families if f.name in wanted or any(sample.name in wanted for sample in f.samples)]


class _Collected:
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


def _warn_once(about: str, message: str | None) -> None:
    if message is not None and about not in _warned:
        _warned.add(about)
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _after_fork_in_child() -> None:
    # The thread of a server is not copied: waiting for it would never end. Its socket is, and would keep the port.
    for server in _servers:
        socket = server.forget()
        if socket is not None:
            with contextlib.suppress(OSError):
                os.close(socket)
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
    os.register_at_fork(after_in_child=_after_fork_in_child)
