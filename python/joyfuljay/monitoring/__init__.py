"""Prometheus metrics, the server that shows them, dashboards and alerting rules.

    from joyfuljay.monitoring import PrometheusMetrics, start_prometheus_server

    metrics = PrometheusMetrics()
    start_prometheus_server(9184)
"""

from .base import MetricsSink
from .grafana import (
    DashboardBuilder,
    export_dashboard,
    generate_alerting_rules,
    generate_prometheus_config,
    get_dashboard_path,
    load_overview_dashboard,
)
from .prometheus import MetricsServer, PrometheusMetrics, start_prometheus_server

__all__ = [
    "DashboardBuilder",
    "MetricsServer",
    "MetricsSink",
    "PrometheusMetrics",
    "export_dashboard",
    "generate_alerting_rules",
    "generate_prometheus_config",
    "get_dashboard_path",
    "load_overview_dashboard",
    "start_prometheus_server",
]
