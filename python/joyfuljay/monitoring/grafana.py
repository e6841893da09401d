"""Grafana dashboards, alerting rules for Prometheus, and a configuration that scrapes joyfuljay."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from .. import _native

__all__ = [
    "DashboardBuilder",
    "export_dashboard",
    "generate_alerting_rules",
    "generate_prometheus_config",
    "get_dashboard_path",
    "load_overview_dashboard",
]


def get_dashboard_path() -> Path:
    """Where the overview dashboard lies: a file of the installed package."""
    return Path(__file__).parent.parent / "dashboards" / "joyfuljay-overview.json"


def load_overview_dashboard() -> dict[str, Any]:
    """The overview dashboard."""
    return json.loads(_native.overview_dashboard())  # type: ignore[no-any-return]


def export_dashboard(
    output_path: str | os.PathLike[str],
    dashboard: dict[str, Any] | None = None,
    datasource_uid: str | None = None,
) -> Path:
    """Writes a dashboard (the overview when none is given) as JSON that Grafana imports; gives the path. Folders that are missing are made.

    With ``datasource_uid`` every reference to Prometheus names it.
    """
    text = None if dashboard is None else json.dumps(dashboard)
    _native.export_dashboard(os.fspath(output_path), text, datasource_uid)
    return Path(output_path)


def generate_alerting_rules(
    error_threshold: float = 10,
    packet_rate_threshold: float = 0,
    *,
    namespace: str = "joyfuljay",
    active_flows_threshold: float = 1000,
    active_flows_ratio: float = 0.8,
    lag_threshold: float = 60,
    job: str = "joyfuljay",
    profile: Literal["sensor", "batch"] = "sensor",
    runbook_url: str = "docs/runbooks/",
) -> str:
    """Alerting and recording rules for Prometheus, as YAML.

    Thresholds: errors per second; packets per second at or below which a running instance is alerted on; open flows
    where the table has no bound, and the share of it where it has one; seconds that a source may be behind.
    ``profile="batch"`` is for runs that end: nobody is paged because one ended well. ``runbook_url`` is where the alerts' pages lie;
    an empty one leaves them out.
    """
    return _native.alerting_rules(
        error_threshold,
        packet_rate_threshold,
        active_flows_threshold,
        active_flows_ratio,
        lag_threshold,
        namespace,
        job,
        profile,
        runbook_url,
    )


def generate_prometheus_config(
    job_name: str = "joyfuljay",
    target: str | Sequence[str] = "localhost:9184",
    scrape_interval: str = "15s",
    *,
    metrics_path: str = "/metrics",
    https: bool = False,
    rule_files: Sequence[str] = (),
) -> str:
    """A ``prometheus.yml`` that scrapes one or several targets (``host:port``), as YAML."""
    targets = [target] if isinstance(target, str) else list(target)
    return _native.prometheus_config(targets, job_name, scrape_interval, metrics_path, https, list(rule_files))


class DashboardBuilder:
    """Builds a dashboard row by row and panel by panel; panels never overlap. Every method but ``build`` gives the builder.

    ``title``, ``uid``, ``refresh`` and ``panels`` (a list of Grafana's JSON) may be changed until ``build``.
    """

    def __init__(self, title: str, uid: str | None = None, refresh: str = "10s") -> None:
        self._native = _native.DashboardBuilder(title, uid)
        self.title = title
        self.uid: str = json.loads(self._native.build())["uid"]
        self.refresh = refresh
        self.panels: list[dict[str, Any]] = []

    def add_row(self, title: str) -> DashboardBuilder:
        """A heading across the whole width."""
        self._native.add_row(title)
        return self._added()

    def add_stat_panel(
        self,
        title: str,
        expr: str,
        unit: str = "short",
        width: int = 4,
        height: int = 4,
        *,
        description: str | None = None,
    ) -> DashboardBuilder:
        """One big number. ``width`` is in columns, of 24; ``unit`` is Grafana's name of it."""
        self._native.add_panel(title, [expr], False, unit, width, height, None, description)
        return self._added()

    def add_graph_panel(
        self,
        title: str,
        expr: str | Sequence[str],
        unit: str = "short",
        width: int = 12,
        height: int = 8,
        legend_format: str | Sequence[str] | None = None,
        *,
        description: str | None = None,
    ) -> DashboardBuilder:
        """Lines over time, for one or several queries; one legend for each query, or one for all, else ValueError."""
        exprs = [expr] if isinstance(expr, str) else list(expr)
        legend = [legend_format] if isinstance(legend_format, str) else list(legend_format or ())
        self._native.add_panel(title, exprs, True, unit, width, height, legend, description)
        return self._added()

    def build(self) -> dict[str, Any]:
        """The dashboard; the builder can go on."""
        built: dict[str, Any] = json.loads(self._native.build())
        return built | {"title": self.title, "uid": self.uid, "refresh": self.refresh, "panels": copy.deepcopy(self.panels)}

    def _added(self) -> DashboardBuilder:
        self.panels.append(json.loads(self._native.last()))
        return self
